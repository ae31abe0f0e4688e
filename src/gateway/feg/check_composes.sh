# Asks each compose program that is there about the files in use, and leaves nothing behind.
aside=$(mktemp -d) || exit
trap 'rm -rf "$aside"' EXIT
echo "@server $(docker version --format '{{.Server.Version}}' 2>/dev/null)"
programs >"$aside/programs"
while IFS= read -r compose_program <&5; do
    echo "@program $compose_program"
    question version compose version --short
    question engine reach_engine
    question in_use compose config -q
    echo "@release 0"
done 5<"$aside/programs"
