# Sets names in NEXT/.env: the last assignment is the one that counts; appended if it is missing; all else stays byte
# for byte: quotes, a comment behind the value, the line's end, a mark of UTF-8 at the beginning of the file.
file=NEXT/.env
assign() {
    key="^($(printf '\357\273\277'))?[[:space:]]*(export[[:blank:]]+)?$1[[:space:]]*="
    if grep -aqE "$key" "$file"; then
        line=$(grep -anE "$key" "$file" | tail -n 1 | cut -d : -f 1)
        [ -n "$line" ] || exit 3
        cp -p "$file" "$file.new" || exit 3
        sed -E "${line} {
            s/(${key}[[:blank:]]*\")[^\"]*/\\1$2/; t
            s/(${key}[[:blank:]]*')[^']*/\\1$2/; t
            s/(${key}[[:blank:]]*)[^[:space:]#][^[:space:]]*/\\1$2/; t
            s/(${key})/\\1$2/
        }" "$file" >"$file.new" || exit 3
        mv "$file.new" "$file" || exit 3
    else
        if [ "$(tail -c 1 "$file" | od -An -tx1)" != ' 0a' ] && [ -s "$file" ]; then
            printf '\n' >>"$file" || exit 3
        fi
        printf '%s=%s\n' "$1" "$2" >>"$file" || exit 3
    fi
}
assign IMAGE_VERSION "$tag"
# Magma's templates name the commit a second time. It follows where it was that of the release that is left.
if [ -n "$old_commit" ]; then
    case $(values GIT_HASH) in "$old_commit"*) assign GIT_HASH "$commit" ;; esac
fi
