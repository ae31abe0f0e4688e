# Has compose check the files in "$@" with NEXT/.env, and lists their services in NEXT/services. Of the very files that are in use, and that
# it was asked about before (KNOWN has their sum, and what it said), it is not asked again; but where they name others that it reads.
read_files() { for file; do [ "$file" = -f ] || cat "$file"; done; }
sum=$({ cat NEXT/.env; read_files "$@"; } 2>/dev/null | sha256sum | cut -d ' ' -f 1)
if [ "$(head -n 1 KNOWN 2>/dev/null)" = "$sum" ] && cmp -s .env NEXT/.env && cmp -s docker-compose.yml NEXT/docker-compose.yml &&
    ! read_files "$@" | grep -qE '(^|[[:space:]{,])"?(include|extends|env_file)"?[[:space:]]*:'; then
    tail -n +2 KNOWN > NEXT/services || exit 3
else
    masked COMPOSE --project-directory . "$@" --env-file NEXT/.env config -q || exit
    COMPOSE --project-directory . "$@" --env-file NEXT/.env config --services > NEXT/services 2>/dev/null || exit 3
fi
{ echo "$sum" && cat NEXT/services; } > NEXT/known || exit 3
