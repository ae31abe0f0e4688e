# A Docker engine that is stuck for good is started anew: 20.10 has been seen so after many containers were stopped at once. It is
# given the minute that compose gives it too; a pull takes its time.
exec 3>&1
docker() {
    if [ "$1" = pull ]; then
        command DOCKER "$@"
        return
    fi
    timeout 60 DOCKER "$@"
    status=$?
    [ $status = 124 ] || return $status
    echo "the Docker engine does not answer" >&3
    start_engine_anew >&3 && command DOCKER "$@"
}

did_not_answer() { grep -q 'UnixHTTPConnectionPool.*Read timed out' BACKUP/said; }

# One that does not end when it is asked to is killed; what starts it anew then goes on by itself.
start_engine_anew() {
    echo "starting the Docker engine anew"
    timeout 90 systemctl restart docker 2>&1 && return
    systemctl kill --kill-who main --signal KILL docker 2>&1
    systemctl start docker 2>&1
}
