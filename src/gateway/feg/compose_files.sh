# The files that compose reads here, as its options in "$@": the compose file from NEXT, the site's own beside it as
# they are.
files=$(values COMPOSE_FILE)
if [ -z "$files" ]; then
    files=docker-compose.yml
    for file in docker-compose.override.yml docker-compose.override.yaml; do
        if [ -e "$file" ]; then files=$files:$file; fi
    done
fi
set --
IFS=:
for file in $files; do
    case $file in
    docker-compose.yml | ./docker-compose.yml | "$PWD/docker-compose.yml") file=NEXT/docker-compose.yml ;;
    esac
    set -- "$@" -f "$file"
done
unset IFS
