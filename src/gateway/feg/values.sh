# Prints what .env gives each of the names, a line each, as compose reads it: the last assignment counts, without the
# quotes around it or the comment behind it. A mark of UTF-8 at the beginning of the file is none of its first name.
values() {
    awk -v names="$*" '
        BEGIN { count = split(names, name, " ") }
        NR == 1 { sub(/^\357\273\277/, "") }
        {
            for (i = 1; i <= count; i++) {
                if (!match($0, "^[ \t\r\v\f]*(export[ \t]+)?" name[i] "[ \t\r\v\f]*=[ \t\r\v\f]*")) continue
                value = substr($0, RLENGTH + 1)
                quote = substr(value, 1, 1)
                closed = quote ~ /["\047]/ ? index(substr(value, 2), quote) : 0
                if (closed) {
                    value = substr(value, 2, closed - 1)
                } else {
                    sub(/(^|[ \t])#.*/, "", value)
                    sub(/[ \t\r\v\f]+$/, "", value)
                }
                values[i] = value
            }
        }
        END { for (i = 1; i <= count; i++) print values[i] }
    ' .env
}

# Has compose say what the .env that "$@" names gives to project, registry and tag, a line each: it fills in `${NAME}`.
resolved() {
    {
        printf 'services:\n  teravm-ci:\n    image: teravm-ci\n    environment:\n'
        printf '      TERAVM_CI_%s: "=${%s}"\n' PROJECT COMPOSE_PROJECT_NAME REGISTRY DOCKER_REGISTRY TAG IMAGE_VERSION
    } | compose -f - "$@" config 2>/dev/null | awk -v quotes="^[\"\047]|[\"\047]$" '
        match($0, /^ *TERAVM_CI_(PROJECT|REGISTRY|TAG): */) {
            name = $1
            value = substr($0, RLENGTH + 1)
            gsub(quotes, "", value)
            values[name] = substr(value, 2)
        }
        END { print values["TERAVM_CI_PROJECT:"]; print values["TERAVM_CI_REGISTRY:"]; print values["TERAVM_CI_TAG:"] }
    '
}
