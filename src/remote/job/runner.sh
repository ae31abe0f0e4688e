# Runs one job of teravm-ci, once: `sh runner DIRECTORY DEADLINE GRACE HEAD TAIL`. Whoever has `lock` locked is the
# runner. HEAD and TAIL are what the log keeps, in bytes.
d=$1

if [ "$2" = script ]; then
    echo "$$ $(started_at $$) $(boot)" >"$d/script.pid" || exit 126
    export TERAVM_CI_JOB="$d"
    exec sh "$d/script"
fi

deadline=$2 grace=$3 head=$4 tail=$5
exec 9>>"$d/lock"
# Whoever looks whether there is a runner has it for a moment.
flock -w 10 9 || exit
[ ! -e "$d/pid" ] || exit 0

how=exited
trap 'how=deadline' USR1
trap 'how=stopped' USR2
echo "$$ $(boot)" >"$d/pid.new" && mv "$d/pid.new" "$d/pid" || exit 1
# Whoever started us waits for the end of our output.
exec >/dev/null 2>&1

# Writes the log: the beginning as it comes, and of what is more than that the end, when the output has ended.
write_log() {
    # What is buffered is not there yet for whoever follows.
    stdbuf -o0 head -c "$head" || return
    [ "$(stat -c %s "$d/log")" -ge "$head" ] || return 0
    # A shell's background commands have no standard input of their own.
    exec 3<&0
    { LC_ALL=C dd bs=64k <&3 2>"$d/more" & echo $! >"$d/reader"; wait; } | tail -c "$tail" >"$d/tail" || return
    more=$(sed -n 's/^\([0-9]*\) bytes\{0,1\} .*/\1/p' "$d/more" | tail -n 1)
    kept=$(stat -c %s "$d/tail")
    if [ "${more:-0}" -gt "$kept" ]; then
        : >"$d/shortened"
        printf '\n[%s bytes are left out here]\n' "$((more - kept))" || return
    fi
    cat "$d/tail" || return
    rm -f "$d/tail" "$d/more" "$d/reader"
    # What the script has left behind may go on printing.
    cat >/dev/null
}

# The commands that the job is in, a line each: of its processes those that have none of their own.
at_work() {
    for pid in $(members); do
        { read -r line <"/proc/$pid/stat"; } 2>/dev/null || continue
        set -- ${line##*) }
        echo "$pid $2"
    done |
        awk '{ is[$1]; has_child[$2] } END { for (pid in is) if (!(pid in has_child)) print pid }' | sort -n |
        while read -r pid; do
            tr '\000\n' '  ' <"/proc/$pid/cmdline" | cut -c 1-200 | sed 's/ *$//'
        done
}

# The log is written by a process of its own, which notices a full disk; the script is not kept from going on.
{ write_log || { : >"$d/cut"; cat >/dev/null; exit 1; }; } <"$d/pipe" >"$d/log" 9>&- &
log=$!
{
    trap 'kill $nap; exit' TERM
    sleep "$deadline" &
    nap=$!
    wait $nap
    trap '' TERM
    kill -USR1 $$
    at_work 2>/dev/null | head -n 3 >"$d/at_work"
    end_members "$grace"
} 9>&- &
timer=$!

# In the foreground: a shell's background commands ignore SIGINT, and the script would inherit that.
setsid -w sh "$d/runner" "$d" script >"$d/pipe" 2>&1 </dev/null 9>&-
status=$?

kill $timer
[ "$how" != deadline ] || wait $timer
# The log ends with the script, but for what the script left behind and what holds the pipe open.
for pause in 0.01 0.02 0.05 0.1 0.2 0.5 1 1; do
    kill -0 $log || break
    sleep $pause
done
# Such a process keeps the end of the output from being seen: what came until now is the end.
if kill -0 $log && read -r reader <"$d/reader"; then
    # It says how much it has read when it is asked, and not when it is ended.
    kill -USR1 "$reader"
    sleep 0.1
    kill "$reader"
    for pause in 0.05 0.1 0.2 0.5 1 1 2; do
        [ -e "$d/reader" ] && kill -0 $log || break
        sleep $pause
    done
fi
extent="whole"
[ ! -e "$d/shortened" ] || extent="shortened"
kill -0 $log || wait $log || extent="cut"
[ ! -e "$d/cut" ] || extent="cut"

# What fails while its host shuts down has not failed by itself.
[ "$status" = 0 ] || [ "$(systemctl is-system-running 2>/dev/null)" != stopping ] || how=rebooted

# Its blocks are there already, so that a full disk does not keep us from saying how it ended.
printf '%s %s %s\n' "$how" "$status" "$extent" 1<>"$d/rc.new" && mv "$d/rc.new" "$d/rc"
