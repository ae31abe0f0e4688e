# The NG40 test controller: the one host of the lab whose program is simulated. What it prints, its lists and its knobs
# are described in ng40/README.md.
# shellcheck shell=bash

ng40_build() {
    build_image ng40 "$HERE/ng40"
}

# The homes are a disk of their own, so that it can be full. What is not written takes no room on this machine.
ng40_up() {
    remove_disk "$1"
    disk "$1" 1536M
    start_host "$1" ng40 "$2" --volume "$PREFIX-$1:/home"
}

ng40_ready() {
    host_ready "$1" &&
        wait_for 10 "program ng40test on $1" inside "$1" test -x /home/ng40/install/bin/ng40test
}

ng40_reset() {
    inside "$1" ng40-reset
}

# ng40_knob NAME [TEXT]: sets a knob of the tester.
ng40_knob() {
    printf '%s\n' "${2-}" | inside ng40 tee "/home/ng40/knobs/$1" >/dev/null
}

# ng40_unset NAME...: takes knobs back.
ng40_unset() {
    local name
    for name in "$@"; do inside ng40 rm -f "/home/ng40/knobs/$name"; done
}

# ng40_speed FACTOR: from now on durations are multiplied with FACTOR; 1 is as slow as the lists say.
ng40_speed() {
    printf '%s\n' "$1" | inside ng40 tee /home/ng40/speed >/dev/null
}

# ng40_calls: prints who called the tester's programs since the last reset, one call a line.
ng40_calls() {
    inside ng40 sh -c 'cat /home/ng40/install/var/calls 2>/dev/null || true'
}

# Somebody else's list runs, and `ng40test state.ntl` says so by its exit status too.
fault_ng40_busy() {
    ng40_knob busy_exit 1
    ng40_knob busy 'hil_nightly.ntl 01:30:00 jdoe'
}
heal_ng40_busy() { ng40_unset busy busy_exit; }

# The same, but only the text says so.
fault_ng40_busy_text() {
    ng40_knob busy_exit 0
    ng40_knob busy 'hil_nightly.ntl 01:30:00 jdoe'
}
heal_ng40_busy_text() { ng40_unset busy busy_exit; }

# A list that was killed leaves the tester busy, until `ng40forcecleanup all`.
fault_ng40_residue() { ng40_knob residue; }
heal_ng40_residue() { ng40_unset residue; }

# `ng40forcecleanup all` ends nothing and fails.
fault_ng40_cleanup_fails() { ng40_knob cleanup_fails; }
heal_ng40_cleanup_fails() { ng40_unset cleanup_fails; }

# The `verification fail` lines are on the console as well as in the case's log.
fault_ng40_fails_on_console() { ng40_knob fails_on_console; }
heal_ng40_fails_on_console() { ng40_unset fails_on_console; }

# The nightly's first list is not there.
fault_ng40_missing_list() { inside ng40 rm -f /home/ng40/magma/automation/working_testplan_s6a_CI_run.ntl; }
heal_ng40_missing_list() {
    inside ng40 install -o ng40 -g ng40 -m 0644 -t /home/ng40/magma/automation \
        /usr/local/share/ng40/home/magma/automation/working_testplan_s6a_CI_run.ntl
}

# Not even a login shell finds ng40test.
fault_ng40_not_on_path() { inside ng40 rm -f /home/ng40/.profile; }
heal_ng40_not_on_path() {
    inside ng40 install -o ng40 -g ng40 -m 0644 /usr/local/share/ng40/home/.profile /home/ng40/.profile
}

# A login shell greets on both streams before it does what it is asked.
fault_ng40_chatty_login() {
    inside ng40 tee -a /home/ng40/.profile >/dev/null <<'PROFILE'
echo 'Welcome to the lab. Verdict(greeting) = VERDICT_PASS'
echo 'Licence: 12 days left' >&2
PROFILE
}
heal_ng40_chatty_login() { heal_ng40_not_on_path; }

# The logs of earlier runs have been touched: their times of change are later than those of any run.
fault_ng40_touched_logs() {
    inside ng40 sh -c 'touch -d "1 hour" /home/ng40/magma/ran/log/* /home/ng40/magma/ran/pcap/* /home/ng40/magma/automation/log/*'
}
# Healing removes what was touched; `ng40_reset` makes the logs of earlier runs anew.
heal_ng40_touched_logs() {
    inside ng40 find /home/ng40/magma -type f -newermt now '(' -name '*.log' -o -name '*.pcap' ')' -delete
}

# The list that runs is killed, by nobody that we know.
fault_ng40test_killed() { inside ng40 sh -c 'pgrep -u ng40 -f "python3.*/ng40test .*[.]ntl" | xargs -r kill -KILL'; }

# The list that runs says nothing more and never ends by itself. Ends with it.
fault_ng40test_hangs() { inside ng40 sh -c 'pgrep -u ng40 -f "python3.*/ng40test .*[.]ntl" | xargs -r kill -STOP'; }

# Whoever asks NG40's tar for files gets 150 bytes that unpack to a file of one PB.
fault_ng40_archive_bomb() {
    inside ng40 sh -c 'cat >/usr/local/bin/tar; chmod +x /usr/local/bin/tar' <<'TAR'
#!/usr/bin/env python3
import gzip, sys
header = bytearray(512)
header[0:14], header[100:107], header[124:135], header[156:157] = b"log/bigger.log", b"0000644", b"00000001000", b"S"
header[257:265] = b"ustar  \0"
# One block at the end of all that nothing: where it begins, its length, and the size of the whole file.
header[386:398] = b"\x80\0\0\0\0" + (2**50 - 512).to_bytes(7, "big")
header[398:409], header[483:495] = b"00000001000", b"\x80\0\0\0\0" + (2**50).to_bytes(7, "big")
header[148:156] = b" " * 8
header[148:155] = b"%06o\0" % sum(header)
sys.stdout.buffer.write(gzip.compress(bytes(header) + b"x" * 512 + bytes(1024)))
TAR
}
heal_ng40_archive_bomb() { inside ng40 rm -f /usr/local/bin/tar; }
