# Defines `package_units PACKAGE...`, which prints the units that packages bring, as systemctl and journalctl take them,
# a line each: of a template the pattern of its instances, and those that another unit wants, whether or not they are
# loaded.
package_units() {
    dpkg-query -L "$@" 2>/dev/null | sed -nE \
        -e 's,^(/usr)?/lib/systemd/system/([^/]+\.(service|socket|target|timer|path))$,\2,p' \
        -e 's,^/etc/systemd/system/([^/]+\.(service|socket|target|timer|path))$,\1,p' | sort -u |
        while read -r unit; do
            case $unit in
            *@.*)
                printf '%s\n' "${unit%%@.*}@*.${unit##*.}"
                for link in /etc/systemd/system/*.wants/"${unit%%@.*}"@?*."${unit##*.}" \
                    /lib/systemd/system/*.wants/"${unit%%@.*}"@?*."${unit##*.}"; do
                    [ ! -L "$link" ] || printf '%s\n' "${link##*/}"
                done
                ;;
            *) printf '%s\n' "$unit" ;;
            esac
        done
}
