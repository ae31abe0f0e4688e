# Pulls images while other things are done; what that says is in NEXT/pulled. `pulled` waits for them, and ends with PULL_FAILED where one
# could not be had. A script that ends before takes them along.
pulls=
trap '[ -z "$pulls" ] || kill $pulls 2>/dev/null' EXIT
pull() {
    exec DOCKER pull -q "$1" >>NEXT/pulled 2>&1 &
    pulls="$pulls $!"
}
pulled() {
    status=0
    for pull in $pulls; do wait "$pull" || status=PULL_FAILED; done
    pulls=
    [ "$status" = 0 ] || { cat NEXT/pulled; exit "$status"; }
}
