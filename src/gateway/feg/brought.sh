# Notes which images a pull brings to this host: in STATE/brought a line `TAG IMAGE` for each that was not there before,
# and `TAG -` for each time that a release was prepared.
docker images -q --no-trunc | sort -u >NEXT/images || exit 3
noted() {
    for reference in $references; do
        id=$(docker image inspect --format '{{.Id}}' "$reference" 2>/dev/null) || continue
        grep -qxF -- "$id" NEXT/images || echo "$tag $id"
    done >>STATE/brought
    [ "$(tail -n 1 STATE/brought)" = "$tag -" ] || echo "$tag -" >>STATE/brought
}
