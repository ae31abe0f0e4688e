# Removes the images that were pulled for releases other than the last KEEP, that no container was made from, and that
# the backup does not need. Prints them behind `swept` and a tab. An image that has a name beyond those of the release
# is somebody's, and stays; so does what others pulled.
is_of_release() { case ${1%:*} in IMAGES) ;; *) return 1 ;; esac; }

# Whether nothing is left to remember of an image: it is gone.
remove_image() {
    [ "$1" != - ] || return 0
    names=$(docker image inspect --format '{{range .RepoTags}}{{println .}}{{end}}' "$1" 2>/dev/null) || return 0
    for name in $names; do is_of_release "$name" || return 1; done
    for name in ${names:-$1}; do docker rmi "$name" >/dev/null 2>&1 || return 1; done
    printf 'swept\t%s\n' ${names:-$1} >&3
}

sweep_images() {
    tac STATE/brought | awk -v keep=KEEP '!seen[$1]++ && ++count <= keep { print $1 }' >STATE/kept_releases
    ids=$(docker ps -aq) || return 0
    [ -z "$ids" ] || docker inspect --format '{{.Image}}' $ids >STATE/kept_images || return 0
    cut -d ' ' -f 1 BACKUP/images >>STATE/kept_images 2>/dev/null || true
    while read -r release id; do
        if grep -qxF -- "$release" STATE/kept_releases || grep -qxF -- "$id" STATE/kept_images ||
            ! remove_image "$id" </dev/null; then
            echo "$release $id"
        fi
    done <STATE/brought 3>&1 >STATE/brought.new
    mv STATE/brought.new STATE/brought
}
if [ -s STATE/brought ]; then sweep_images; fi
rm -f STATE/kept_releases STATE/kept_images
