# Says what of the packages and their files is not as it was before the switch, by what was kept in BACKUP; nothing
# where all is.
cd BACKUP/packages 2>/dev/null || { echo "there is no backup in BACKUP"; exit 0; }
[ -e ../unpacked ] || { echo "it is not recorded when the packages were unpacked"; exit 0; }
while read -r package version; do
    now=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$package" 2>/dev/null) || now='not installed'
    [ "$now" = "installed $version" ] || echo "$package is $now and was $version"
done < ../versions
while read -r package; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
    '' | not-installed | config-files) ;;
    *) echo "$package is new" ;;
    esac
done <<END
$(cat ../added ../removed 2>/dev/null)
END
# dpkg writes the list of a package's files anew whenever it has unpacked it, also for the same version.
while read -r when list; do
    [ "$(stat -c %Y "$list" 2>/dev/null)" = "$when" ] || echo "$list was written since"
done < ../unpacked
for archive in ../conffiles.tar ../overwritten.tar; do
    [ ! -e "$archive" ] || tar -C / -df "$archive" 2>&1 | head -n 5
done
while read -r file; do
    for left in "/$file".dpkg-* "/$file".ucf-*; do
        [ ! -e "$left" ] || grep -qxF -- "$left" ../etc || echo "$left is new"
    done
done < ../conffiles
exit 0
