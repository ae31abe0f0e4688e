# What can be asked of a job: each verb is sent to the host anew. `$d` is the job's directory.

# Starts it, unless it was started before, and prints when that was: RUNNER-SIZE DEADLINE GRACE HEAD TAIL, runner and
# script on standard input.
start() {
    mkdir -p "${d%/*}" || return
    if [ ! -d "$d" ]; then
        new=$(mktemp -d "$d.XXXXXXXX") || return
        trap 'rm -rf "$new"' EXIT
        trap 'exit 143' TERM
        head -c "$1" >"$new/runner" && cat >"$new/script" && printf '%64s\n' '' >"$new/rc.new" || return
        date '+%s.%N %y%m%d_%H%M%S' >"$new/since" || return
        : >"$new/log" && : >"$new/lock" && mkfifo "$new/pipe" || return
        # The directory appears whole, and only one can be the first.
        mv -T "$new" "$d" 2>/dev/null || [ -d "$d" ] || return
    fi
    # One at a time: the runner has written down who it is when we hear the end of its output.
    exec 8>>"$d/start" && flock 8 || return
    [ -e "$d/pid" ] || said=$(cd && setsid -f sh "$d/runner" "$d" "$2" "$3" "$4" "$5" </dev/null 2>&1 8>&-)
    # What comes next may take long, and need not keep others from asking.
    [ -e "$d/pid" ] && cat "$d/since" && exec 8>&- && return
    echo "${said:-its runner did not start}" >&2
    return 1
}

is_running() {
    ! flock -n -s "$d/lock" true
}

# How it stands, as one line.
report() {
    if [ ! -d "$d" ]; then
        echo none
    elif [ -e "$d/rc" ]; then
        read -r how status extent <"$d/rc"
        echo "ended $how $status $extent $(stat -c %s "$d/log")"
    elif is_running; then
        echo running
    elif [ -e "$d/rc" ]; then
        report
    elif [ ! -e "$d/pid" ]; then
        echo unstarted
    else
        read -r _ booted <"$d/pid"
        if [ "$booted" = "$(boot)" ]; then
            echo "ended vanished 0 whole $(stat -c %s "$d/log")"
        else
            echo "ended rebooted 0 whole $(stat -c %s "$d/log")"
        fi
    fi
}

# Prints its log from OFFSET on until it ends, and then how it stands.
follow() {
    if [ -d "$d" ]; then
        # It is our own child that waits for the end: its number cannot become another's while `tail` looks at it.
        flock -s "$d/lock" true &
        watch=$!
        tail -c "+$(($1 + 1))" -f -s 0.1 --pid=$watch "$d/log" &
        tail=$!
        wait $watch
        wait $tail
    fi
    report >&2
}

# Ends it with all its processes: GRACE in seconds.
stop() {
    # Whoever has taken its directory away has left its processes.
    [ -d "$d" ] || { end_members "$1" && report; return; }
    for _ in 1 2 3 4 5; do
        if is_running; then
            read -r runner _ <"$d/pid" && kill -USR2 "$runner"
        fi
        if ! end_members "$1"; then
            echo "these processes do not end: $(members | tr '\n' ' ')" >&2
            return 1
        fi
        # The runner has something to write when its script has gone, or may have been about to start it.
        flock -w 2 -s "$d/lock" true && break
    done
    report
}

# Prints what it was in when its deadline came.
at_work() { cat "$d/at_work" 2>/dev/null || true; }

# Of the folder `$d`, removes every job that has ended and has no process any more, but for those whose name begins with
# PREFIX and the KEEP newest. Prints for each how many KB it had, and its name.
sweep() {
    folder=$d
    [ -d "$folder" ] || return 0
    kept=0
    ls -1t "$folder" | while IFS= read -r name; do
        d=$folder/$name
        case $name in "$1"*) continue ;; esac
        [ -d "$d" ] && [ ! -L "$d" ] && [ -e "$d/pid" ] || continue
        case $(report) in "ended "*) ;; *) continue ;; esac
        [ -z "$(members)" ] || continue
        kept=$((kept + 1))
        [ "$kept" -gt "$2" ] || continue
        size=$(du -sk "$d" | cut -f 1)
        rm -rf "$d" && echo "$size $name"
    done
}

# Removes what it left, unless it is running.
remove() {
    [ -d "$d" ] || return 0
    ! is_running && rm -rf "$d"
}
