# Prints those units that the packages brought before the switch and do not bring now, a line each. The arguments are
# the list of the files of the packages before, that of now, and the units. A unit is brought by a file of its own, or
# by any file or folder that has the name of its instance: Magma's template starts `/usr/local/bin/NAME` or the Python
# package `magma/NAME`.

owned=$1
brought=$2
shift 2

names() { tr / '\n' < "$1" | sed 's/[.].*//' | sort -u; }

is_named_in() {
    grep -qxF -- "$name" "$1" || { [ -n "$instance" ] && grep -qxF -- "$instance" "$1"; }
}

names "$owned" > "$owned.names"
names "$brought" > "$brought.names"
for unit in "$@"; do
    name=${unit%.*}
    instance=
    case $name in *@?*) instance=${name#*@} ;; esac
    if is_named_in "$owned.names" && ! is_named_in "$brought.names"; then printf '%s\n' "$unit"; fi
done
rm -f "$owned.names" "$brought.names"
