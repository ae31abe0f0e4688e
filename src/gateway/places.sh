# Defines `place`, which says whether an upgrade can write to a folder. A script that has called it for each folder
# finds in $lacks whether anything is missing. A read-only mount is no obstacle where $is_remounted is set: something
# mounts it writable.
lacks=
is_remounted=
obstacle() {
    printf '%s\t%s\n' "$1" "$2"
    lacks=yes
}

# For root, only a read-only mount is not writable.
is_writable() { [ -w "$1" ]; }

# place MB FOLDER: prints `free`, a tab and how much is free at FOLDER, or what is in the way as a fact: its kind, a tab
# and the text. A folder that is not there yet is made in the one above it. With 0 MB it is only asked whether it can be
# written to.
place() {
    at=$2
    while [ ! -d "$at" ]; do at=$(dirname "$at"); done
    free=$(df -Pk "$at" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
    # A file system that does not count its files has 0 in all.
    nodes=$(df -Pi "$at" 2>/dev/null | awk 'NR == 2 && $2 + 0 > 0 { print $4 + 0 }')
    if ! is_writable "$at" && [ -z "$is_remounted" ]; then
        obstacle read-only "$2 is on a file system that is mounted read-only"
    elif [ "$1" = 0 ]; then
        :
    elif [ "${free:-0}" -lt "$1" ]; then
        obstacle room "only ${free:-0} MB are free at $2, and an upgrade needs at least $1 MB"
    elif [ "${nodes:-1000}" -lt 1000 ]; then
        obstacle room "only $nodes more files fit on the file system of $2, and an upgrade needs at least 1000"
    else
        printf 'free\t%s MB free at %s\n' "$free" "$2"
    fi
}
