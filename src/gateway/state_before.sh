# Says what of this host would make any upgrade fail, a line each: its kind, a tab, and the text. Changes nothing. The
# packages of the release are the arguments: what is wrong with them an upgrade may mend.

say() { printf '%s\t%s\n' "$1" "$2"; }

for file in /var/lib/dpkg/updates/[0-9]*; do
    [ ! -e "$file" ] || { say interrupted "dpkg was interrupted and has left $file"; break; }
done

# Half installed, unpacked, half configured, or in need of a reinstallation. `dpkg --audit` also lists packages without
# checksums, which do no harm (dpkg 1.21).
dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\n' 2>/dev/null | while IFS='	' read -r state package; do
    case $state in
    ?[HUF]* | ??R*) ;;
    *) continue ;;
    esac
    is_ours=
    for ours in "$@"; do [ "$ours" != "$package" ] || is_ours=yes; done
    [ -n "$is_ours" ] || say unconfigured "the package $package is not completely installed (dpkg's state $state)"
done

# By dpkg, which has what `apt-mark hold` sets: apt-mark itself writes apt's cache anew.
dpkg-query -W -f '${db:Status-Want}\t${Package}\n' 2>/dev/null | while IFS='	' read -r want package; do
    [ "$want" != hold ] || say held "$package"
done

said=$(LC_ALL=C apt-get -q -o Debug::NoLocking=true -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= check 2>&1) ||
    say dependencies "$(printf '%s\n' "$said" | grep -e ' : ' -e '^E: ' | tr -s '\n ' ' ')"

awk '
    /^(MemAvailable|SwapFree):/ { kb += $2 }
    END { if (NR && kb < 65536) print "memory\tonly " int(kb / 1024) " MB of memory are available" }
' /proc/meminfo 2>/dev/null
exit 0
