# Prints what .env gives each of the names, a line each: the last assignment counts, without the quotes around it.
values() {
    awk -v names="$*" '
        BEGIN { count = split(names, name, " ") }
        {
            for (i = 1; i <= count; i++) {
                if (!match($0, "^[ \t\r\v\f]*" name[i] "[ \t\r\v\f]*=[ \t\r\v\f]*")) continue
                value = substr($0, RLENGTH + 1)
                sub(/[ \t\r\v\f]+$/, "", value)
                if (value ~ /^".*"$/ && length(value) > 1) value = substr(value, 2, length(value) - 2)
                if (value ~ /^\047.*\047$/ && length(value) > 1) value = substr(value, 2, length(value) - 2)
                values[i] = value
            }
        }
        END { for (i = 1; i <= count; i++) print values[i] }
    ' .env
}
