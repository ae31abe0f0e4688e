# Puts a question to compose: prints a line `@NAME STATUS`, and the answer behind `| `.
question() {
    name=$1
    shift
    masked "$@" >NEXT/said </dev/null
    status=$?
    echo "@$name $status"
    sed 's/^/| /' NEXT/said
    return "$status"
}
# The engine is asked by compose itself: a version of the engine's interface that compose insists on shows there only.
reach_engine() {
    printf 'services:\n  teravm-ci:\n    image: teravm-ci\n' | compose -p teravm-ci -f - ps -q
}
