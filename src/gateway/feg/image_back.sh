# name_image ID REFERENCE: gives an image that ran the name under which it was started. One that somebody has pruned
# meanwhile comes from the registry again: by its digest, because the tag may have moved, else by its tag.
name_image() {
    if docker image inspect "$1" >/dev/null 2>&1; then
        docker tag "$1" "$2" || exit 1
        return
    fi
    for name in $(sed -n "s/^$1 //p" BACKUP/images 2>/dev/null) "$2"; do
        echo "the image of $2 is gone, asking the registry for $name"
        docker pull -q "$name" 2>&1 && docker tag "$1" "$2" && return
    done
    exit 1
}
