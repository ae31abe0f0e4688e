# Waits in a channel until it is told what to run: `sh -c WAITING sh WRAPPER GRACE LATE`. It says first that it waits:
# nothing is sent to a program that a start file of the login shell has put in its place. The line that it is told by is
# `MARK SCRIPT-SIZE DATA-SIZE DEADLINE WAITED [sudo -n]`; where the channel is closed before, nothing is run. WAITED is
# for how many seconds the channel had been open, by the clock of whoever sent it: when the line has come much later
# than that, it was on its way while the connection was lost, and who sent it may have died or sent it again. Nothing is
# run then, and it says so.
#
# bash would give up reading after TMOUT seconds.
unset TMOUT
echo 'teravm-ci: waiting' >&2
read -r opened _ </proc/uptime
read -r mark script_size data_size deadline waited sudo || exit
read -r now _ </proc/uptime
[ "$((${now%.*} - ${opened%.*} - waited))" -le "$3" ] || { echo "$mark late" >&2; exit 75; }
# When what it runs is killed, `timeout` kills itself the same way, and a channel that ends by a signal looks like a
# broken connection; this shell makes that a status.
$sudo timeout -k "$2" "$deadline" sh -c "$1" sh "$mark" "$script_size" "$data_size"
exit
