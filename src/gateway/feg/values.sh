# Prints what .env gives each of the names, a line each, as compose reads it: the last assignment counts, without the quotes around
# it or the comment behind it.
values() {
    awk -v names="$*" '
        BEGIN { count = split(names, name, " ") }
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
