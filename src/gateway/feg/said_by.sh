# Runs compose and returns its exit status; what it says goes on its way, and the end of it is kept.
said_by() {
    { masked "$@"; echo $? >BACKUP/status; } | { tee -a /dev/fd/3 | tail -c 65536 >BACKUP/said; } 3>&1
    return "$(cat BACKUP/status)"
}

# Whether what was said last failed at a name that the Docker engine holds for a container which is gone. Docker 20.10
# does so when a container is removed (`docker system prune`) at the moment at which compose renames it; only a new
# start of the engine frees it.
holds_a_lost_name() {
    conflict='Conflict\. The container name .* is already in use by container'
    id=$(sed -n "s/.*$conflict \"\([0-9a-f]*\)\".*/\\1/p" BACKUP/said | head -n 1)
    [ -n "$id" ] && ! docker inspect "$id" >/dev/null 2>&1 || return 1
    echo "the Docker engine holds the name of a container that is gone"
}
