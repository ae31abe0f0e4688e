# Makes the containers again from BACKUP/containers, without compose. A container that is still the one that ran is only
# started. Docker's client has no command for that, so the engine's own interface is spoken to.
make_again() {
    body=$(printf '%s,"HostConfig":%s}' "${config%\}}" "$host_config")
    length=$(printf %s "$body" | wc -c)
    rm -f BACKUP/request BACKUP/answer
    mkfifo BACKUP/request || return 1
    trap '' PIPE
    docker system dial-stdio <BACKUP/request >BACKUP/answer &
    # The engine drops a request whose sender has closed its side.
    exec 6>BACKUP/request
    {
        printf 'POST /containers/create?name=%s HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n' "${name#/}"
        printf 'Content-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' "$length" "$body"
    } >&6
    wait $!
    exec 6>&-
    rm -f BACKUP/request
    head -n 1 BACKUP/answer | grep -q ' 201 ' && return
    echo "the engine does not make the container ${name#/} again: $(tail -n 1 BACKUP/answer)"
    return 1
}
from_record() {
    echo "no compose program brings the containers back; making them again as they were"
    while IFS='	' read -r service name image state config host_config <&7; do
        is_image=$(docker inspect --format '{{.Image}}' "$name" 2>/dev/null)
        if [ "$is_image" != "$image" ]; then
            remove "$service" || return 1
            make_again || return 1
        fi
        case $state in
        running | restarting) docker start "$name" >/dev/null || return 1 ;;
        *) docker stop "$name" >/dev/null || return 1 ;;
        esac
    done 7<BACKUP/containers
}
