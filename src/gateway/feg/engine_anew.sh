# A Docker engine that is stuck for good is started anew: 20.10 has been seen so after many containers were stopped at
# once. It is given the minute that compose (v1) gives it too; a pull takes its time.
exec 3>&1
docker() {
    case $1 in
    pull)
        command DOCKER "$@"
        return
        ;;
    compose)
        while_it_answers DOCKER "$@"
        return
        ;;
    esac
    timeout 60 DOCKER "$@"
    status=$?
    [ $status = 124 ] || return $status
    echo "the Docker engine does not answer" >&3
    start_engine_anew >&3 && command DOCKER "$@"
}

# Compose as a plugin of Docker takes its time too, and waits for a stuck engine without end: it is given up when that
# answers no more. The client (up to 24) does not pass the request to end on to the plugin, and waits for it; `timeout`,
# here without a limit, asks both.
while_it_answers() {
    timeout -k 10 0 "$@" &
    compose=$! seconds=0
    while kill -0 $compose 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        [ $((seconds % 10)) = 0 ] && ! answers || continue
        kill $compose
        wait $compose
        echo "the Docker engine does not answer"
        return 1
    done
    wait $compose
}

# What is stuck is one container, as a rule.
answers() {
    ids=$(timeout 60 DOCKER ps -aq 2>/dev/null)
    [ $? != 124 ] || return 1
    [ -n "$ids" ] || return 0
    timeout 60 DOCKER inspect $ids >/dev/null 2>&1
    [ $? != 124 ]
}

did_not_answer() { grep -qE 'UnixHTTPConnectionPool.*Read timed out|^the Docker engine does not answer' BACKUP/said; }

# One that does not end when it is asked to is killed; what starts it anew then goes on by itself.
start_engine_anew() {
    echo "starting the Docker engine anew"
    timeout 90 systemctl restart docker 2>&1 && return
    systemctl kill --kill-who main --signal KILL docker 2>&1
    systemctl start docker 2>&1
}
