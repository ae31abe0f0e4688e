# Sets IMAGE_VERSION in NEXT/.env to $tag: the last assignment is the one that counts; appended if it is missing; all else stays
# byte for byte: quotes, a comment behind the value, the line's end.
file=NEXT/.env
key='^[[:space:]]*(export[[:blank:]]+)?IMAGE_VERSION[[:space:]]*='
if grep -aqE "$key" "$file"; then
    line=$(grep -anE "$key" "$file" | tail -n 1 | cut -d : -f 1)
    [ -n "$line" ] || exit 3
    cp -p "$file" "$file.new" || exit 3
    sed -E "${line} {
        s/(${key}[[:blank:]]*\")[^\"]*/\\1$tag/; t
        s/(${key}[[:blank:]]*')[^']*/\\1$tag/; t
        s/(${key}[[:blank:]]*)[^[:space:]#][^[:space:]]*/\\1$tag/; t
        s/(${key})/\\1$tag/
    }" "$file" > "$file.new" || exit 3
    mv "$file.new" "$file" || exit 3
else
    if [ "$(tail -c 1 "$file" | od -An -tx1)" != ' 0a' ] && [ -s "$file" ]; then
        printf '\n' >> "$file" || exit 3
    fi
    printf 'IMAGE_VERSION=%s\n' "$tag" >> "$file" || exit 3
fi
