# Waits in a channel until it is told what to run: `sh -c WAITING sh WRAPPER GRACE`. The line that it is told by is
# `MARK SCRIPT-SIZE DATA-SIZE DEADLINE [sudo -n]`; where the channel is closed before, nothing is run.
# bash would give up after that many seconds.
unset TMOUT
read -r mark script_size data_size deadline sudo || exit
# When what it runs is killed, `timeout` kills itself the same way, and a channel that ends by a signal looks like a broken
# connection; this shell makes that a status.
$sudo timeout -k "$2" "$deadline" sh -c "$1" sh "$mark" "$script_size" "$data_size"
exit
