# Says what of this host explains that an upgrade failed, a line each: its kind, a tab, and the text. Changes nothing.

say() { printf '%s\t%s\n' "$1" "$2"; }

for folder in / /etc /usr /usr/local /opt /var /var/lib /var/lib/docker /var/opt /var/cache/apt /tmp; do
    [ -d "$folder" ] || continue
    df -Pk "$folder" 2>/dev/null |
        awk 'NR == 2 && $4 < 5120 { print "room\tonly " $4 " KB are free on the file system of " $6 }'
    case $folder in
    /var/lib/docker | /var/opt | /tmp) ;;
    *) [ -n "$is_remounted" ] || [ -w "$folder" ] || say read-only "$folder is on a file system that is mounted read-only" ;;
    esac
done | awk '!seen[$0]++'

journalctl -q -k --no-pager -o cat --since "-${since:-900} seconds" 2>/dev/null |
    sed -n 's/.*Out of memory: \(Killed process [0-9]* ([^)]*)\).*/memory\tthe kernel ran out of memory: \1/p' |
    tail -n 1

# Who has dpkg's lock: apt and dpkg lock by fcntl(2).
for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock; do
    node=$(stat -c %i "$lock" 2>/dev/null) || continue
    of_lock='$2 == "POSIX" && substr($6, length($6) - length(node) + 1) == node { print $5 }'
    awk -v node=":$node" "$of_lock" /proc/locks 2>/dev/null |
        while read -r pid; do
            # A lock of another file may have the same number, on another file system.
            for open in "/proc/$pid"/fd/*; do [ ! "$open" -ef "$lock" ] || break; done
            [ "$open" -ef "$lock" ] || continue
            name=$(cat "/proc/$pid/comm" 2>/dev/null) || name=unknown
            say locked "dpkg is locked by process $pid ($name)"
        done
done | awk '!seen[$0]++' | head -n 1
exit 0
