# What all hosts are made from: a Debian that boots systemd and has sshd. It is not a host itself.
# shellcheck shell=bash

base_build() {
    local hash
    hash=$(inputs_hash "$HERE/base")
    if image_current base "$hash"; then return 0; fi
    say "building $PREFIX/base, which all others stand on (about a minute)"
    "$HERE/base/build" 2>"$STATE/build-base.log" |
        docker import --change "LABEL teravm-lab.inputs=$hash" --change 'CMD ["/sbin/init"]' - "$PREFIX/base" >/dev/null ||
        die "building $PREFIX/base failed: $(tail -3 "$STATE/build-base.log"); all of it is in $STATE/build-base.log"
}
