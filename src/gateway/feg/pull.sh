# Pulls images while other things are done; what that says is in NEXT/pulled. `pulled` waits for them, calls `noted`,
# and ends with PULL_FAILED where one could not be had. A script that ends before takes them along.
pulls=
references=
trap '[ -z "$pulls" ] || kill $pulls 2>/dev/null' EXIT
pull() {
    exec DOCKER pull -q "$1" >>NEXT/pulled 2>&1 &
    pulls="$pulls $!"
    references="$references $1"
}
pulled() {
    status=0
    for pull in $pulls; do wait "$pull" || status=PULL_FAILED; done
    pulls=
    noted
    [ "$status" = 0 ] || { cat NEXT/pulled; exit "$status"; }
}
