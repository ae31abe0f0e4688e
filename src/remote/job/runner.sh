# Runs one job of teravm-ci, once: `sh runner DIRECTORY DEADLINE GRACE`. Whoever has `lock` locked is the runner.
d=$1

if [ "$2" = script ]; then
    echo "$$ $(started_at $$) $(boot)" >"$d/script.pid" || exit 126
    export TERAVM_CI_JOB="$d"
    exec sh "$d/script"
fi

deadline=$2 grace=$3
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

# The log is written by a process of its own, which notices a full disk; the script is not kept from going on.
{ cat || { : >"$d/cut"; cat >/dev/null; exit 1; }; } <"$d/pipe" >"$d/log" 9>&- &
log=$!
{
    trap 'kill $nap; exit' TERM
    sleep "$deadline" &
    nap=$!
    wait $nap
    trap '' TERM
    kill -USR1 $$
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
extent="whole"
kill -0 $log || wait $log || extent="cut"
[ ! -e "$d/cut" ] || extent="cut"

# What fails while its host shuts down has not failed by itself.
[ "$status" = 0 ] || [ "$(systemctl is-system-running 2>/dev/null)" != stopping ] || how=rebooted

# Its blocks are there already, so that a full disk does not keep us from saying how it ended.
printf '%s %s %s\n' "$how" "$status" "$extent" 1<>"$d/rc.new" && mv "$d/rc.new" "$d/rc"
