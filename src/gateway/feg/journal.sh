# What the engine and the containers of a project have said in the last so many seconds. A container that has said
# nothing is not asked: a look into the journal, or at the file that Docker keeps, costs less than a Docker client.
journalctl -q --no-pager -o short-iso --since -SECONDSs -u 'docker*' 2>&1
ids=$(docker ps -aq --filter label=com.docker.compose.project=PROJECT)
[ -n "$ids" ] || exit 0
docker inspect --format '{{.Name}} {{.HostConfig.LogConfig.Type}} {{.LogPath}}' $ids | while read -r name driver log; do
    name=${name#/}
    echo "== $name"
    case $driver in
    journald) said=$(journalctl -q --no-pager -n 1 --since -SECONDSs CONTAINER_NAME="$name" 2>&1) ;;
    json-file) said=$(find "$log" -newermt '-SECONDS seconds' 2>&1) ;;
    *) said=unknown ;;
    esac
    [ -n "$said" ] || continue
    docker logs --since SECONDSs --timestamps "$name" 2>&1 | tail -n 2000
done
