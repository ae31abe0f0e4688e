# Waits until nothing runs any more that cron has started from the files set aside: it may have begun a moment before,
# and what it has read by then it acts upon. The deadline of the switch is the limit.
until_at_rest() {
    while is_at_work; do sleep 0.2; done
}
is_at_work() {
    # One that cron has forked, and that is no program of its own yet.
    for pid in $(pgrep -f '^/usr/sbin/CRON'); do
        pgrep -P "$pid" >/dev/null || return 0
    done
    for program in $(cat QUIESCED/* 2>/dev/null | tr -s ' \t;&|<>()' '\n' | grep '^/' | sort -u); do
        # An interpreter is at work for many.
        case $program in /bin/* | /sbin/* | /usr/bin/* | /usr/sbin/*) continue ;; esac
        if [ -f "$program" ] && [ -x "$program" ] && pgrep -f -- "$program" >/dev/null; then return 0; fi
    done
    return 1
}
until_at_rest
