# Has a script that fails say what somebody else has done meanwhile. Its own files are in their place once are_placed is
# set.
engine() { cat /var/run/docker.pid 2>/dev/null; }
began_with=$(engine)
are_placed=
witness() {
    [ $? = 0 ] && return
    timeout 20 DOCKER ps -q >/dev/null 2>&1 || echo "the Docker engine does not answer"
    [ "$(engine)" = "$began_with" ] || echo "the Docker engine was started anew meanwhile"
    [ -z "$are_placed" ] || cmp -s .env NEXT/.env || echo "somebody else has written .env meanwhile"
}
trap witness EXIT
trap 'exit 143' TERM
