# What the runner of a job and those who ask after it have in common. `$d` is the job's directory.

# When a process was started, in the kernel's own count.
started_at() {
    read -r line <"/proc/$1/stat" || return
    set -- ${line##*) }
    echo "${20}"
}

# Which start of the host this is. A container that is started anew has the kernel's number of before, and another first
# process.
boot() {
    echo "$(cat /proc/sys/kernel/random/boot_id)/$(started_at 1 2>/dev/null)"
}

# The processes of the job: the session of its script, and whoever has its name in the environment.
members() {
    {
        session_members
        grep -lazxF "TERAVM_CI_JOB=$d" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3
    } | sort -u
}

session_members() {
    [ -s "$d/script.pid" ] && read -r session started booted <"$d/script.pid" || return
    [ "$booted" = "$(boot)" ] || return
    # The number may belong to somebody else by now.
    [ ! -e "/proc/$session" ] || [ "$(started_at "$session" 2>/dev/null)" = "$started" ] || return
    for stat in /proc/[0-9]*/stat; do
        { read -r line <"$stat"; } 2>/dev/null || continue
        set -- ${line##*) }
        [ "$1" != Z ] && [ "$4" = "$session" ] || continue
        stat=${stat#/proc/}
        echo "${stat%/stat}"
    done
}

# Ends the job's processes: asks, waits so many seconds, and kills.
end_members() {
    pids=$(members)
    [ -z "$pids" ] || kill -TERM $pids 2>/dev/null
    [ -z "$pids" ] || kill -CONT $pids 2>/dev/null
    patience=$(($1 * 5)) pass=0
    while pids=$(members) && [ -n "$pids" ]; do
        if [ "$pass" -ge "$patience" ]; then
            kill -KILL $pids 2>/dev/null
        fi
        # What a kill does not end within ten seconds hangs in the kernel.
        [ "$pass" -lt $((patience + 50)) ] || return 1
        pass=$((pass + 1))
        sleep 0.2
    done
}
