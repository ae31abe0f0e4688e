# Secures the way back, in the folder BACKUP/packages: what apt said it would do stands in ../simulated, the packages of
# the night in ../ours, and what will be installed in apt's cache.

# What the switch takes along goes back too: `Inst libx [1.0] (1.1 …)` is replaced, `Inst liby (1.0 …)` is new.
awk '$1 == "Inst" && $3 ~ /^\[/ { gsub(/[][]/, "", $3); print $2, $3 }' ../simulated > ../replaced
awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }' ../simulated > ../new
# What is not there at all goes when we go back; dpkg knows it all the same where another package speaks of it. What was
# removed once and has left its conffiles is removed again, and not ours to purge.
: > ../added
: > ../removed
while read -r package; do
    states=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null) || states=
    case $states in
    '' | not-installed) printf '%s\n' "$package" >> ../added ;;
    config-files) printf '%s\n' "$package" >> ../removed ;;
    esac
done < ../new
awk '!seen[$1]++' ../ours ../replaced > ../versions
while read -r package version <&3; do
    keep "$package" "$version"
done 3< ../versions

# Which files were there: a conffile that is not among them was brought by the release.
find /etc -xdev ! -type d > ../etc || find /etc -xdev ! -type d > ../etc
: > ../stated
cat ../versions ../removed > ../with-conffiles
while read -r package _; do
    dpkg-query -W -f '${Conffiles}\n' "$package" >> ../stated
done < ../with-conffiles
# Of a link, dpkg replaces what it leads to.
while read -r path _; do
    case $path in
    /*)
        if [ -e "$path" ]; then printf '%s\n' "${path#/}"; fi
        if [ -f "$path" ] && [ -L "$path" ]; then readlink -f "$path" | cut -c 2-; fi
        ;;
    esac
done < ../stated > ../conffiles
tar -C / -cf ../conffiles.tar -T ../conffiles

# What else the switch overwrites and the packages that are kept do not bring: files of theirs that the site has changed
# (`??5??????`, an attribute, and the path, whose first slash is the 13th letter), and what belongs to other packages or
# to nobody.
: > ../owned
: > ../brought
: > ../overwritten
while read -r package _; do
    dpkg-query -L "$package" >> ../owned
    dpkg -V "$package" 2>/dev/null | awk '/^..5/ && substr($0, 11, 1) != "c" { print substr($0, 14) }' >> ../overwritten
done < ../versions
awk '
    $1 == "Inst" { for (i = 3; i <= NF; i++) if ($i ~ /^\(/) { print $2, substr($i, 2); break } }
' ../simulated > ../installed
while read -r package version; do
    # apt keeps no copy of what it takes from a disk of this host.
    for deb in CACHE/"${package%:*}_$(printf %s "$version" | sed 's/:/%3a/')"_*.deb; do
        [ -e "$deb" ] || continue
        dpkg-deb --fsys-tarfile "$deb" | tar -t | sed -n 's,^\./\(.*[^/]\)$,\1,p' >> ../brought
    done
done < ../installed
sed 's,^/,,' ../owned | sort -u > ../owned.sorted
sort -u ../brought | comm -23 - ../owned.sorted | while read -r path; do
    if [ ! -d "/$path" ] && { [ -e "/$path" ] || [ -L "/$path" ]; }; then printf '%s\n' "$path"; fi
done >> ../overwritten
tar -C / -cf ../overwritten.tar -T ../overwritten
# When each of the packages was unpacked, by the list of its files.
while read -r package _; do
    for list in "/var/lib/dpkg/info/$package.list" "/var/lib/dpkg/info/${package%:*}:"*.list; do
        if [ -e "$list" ]; then stat -c '%Y %n' "$list"; fi
    done
done < ../versions > ../unpacked
sync
