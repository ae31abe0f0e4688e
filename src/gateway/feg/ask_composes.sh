# Asks the compose programs that are there, until one is found that reads the files in use and also those in "$@" with
# NEXT/.env: prints a line `@...` for each question, and the answer behind `| `. The services of the release are in
# NEXT/services then. A program is not asked again about the very files that it was asked about before: KNOWN has their
# sum, the program and the services.
read_files() { for file; do [ "$file" = -f ] || cat "$file"; done; }
identity() {
    programs
    docker compose version 2>&1
    docker version --format '{{.Server.Version}}' 2>&1
    stat -L -c '%n %s %Y' "$(command -v docker-compose)" 2>/dev/null
}
read_release() { compose --project-directory . "$@" --env-file NEXT/.env config -q; }
list_release() { compose --project-directory . "$@" --env-file NEXT/.env config --services >NEXT/services 2>/dev/null; }
# The edit of .env has to be at the line that compose reads.
reads_tag() {
    is=$(resolved --env-file NEXT/.env | tail -n 1)
    [ "$is" = "$tag" ] && return
    echo "of the edited .env compose takes IMAGE_VERSION as \`$is\` and not \`$tag\`:" \
        "is it assigned in a way of its own?"
    return 1
}
ask_all() {
    programs >NEXT/programs
    while IFS= read -r compose_program <&5; do
        echo "@program $compose_program"
        question version compose version --short
        question engine reach_engine
        reaches=$?
        question in_use compose config -q
        reads=$?
        question release read_release "$@" || continue
        reads_tag || exit 3
        list_release "$@" || exit 3
        if [ "$reaches" = 0 ] && [ "$reads" = 0 ]; then
            { echo "$sum" && echo "$compose_program" && cat NEXT/services; } >NEXT/known || exit 3
            return
        fi
    done 5<NEXT/programs
}
sum=$({ identity; cat NEXT/.env; read_files "$@"; } 2>/dev/null | sha256sum | cut -d ' ' -f 1)
echo "@server $(docker version --format '{{.Server.Version}}' 2>/dev/null)"
if [ "$(head -n 1 KNOWN 2>/dev/null)" = "$sum" ] &&
    cmp -s .env NEXT/.env && cmp -s docker-compose.yml NEXT/docker-compose.yml &&
    ! read_files "$@" | grep -qE '(^|[[:space:]{,])"?(include|extends|env_file)"?[[:space:]]*:'; then
    echo "@program $(sed -n 2p KNOWN)"
    echo "@known 0"
    tail -n +3 KNOWN >NEXT/services && cp KNOWN NEXT/known || exit 3
else
    ask_all "$@"
fi
[ -s NEXT/services ] || exit REFUSED
