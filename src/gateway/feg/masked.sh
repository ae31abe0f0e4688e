# Runs a command and returns its exit status; what it prints goes through mask.
masked() {
    { status=$({ { "$@" 2>&1 3>&- 4>&- && echo 0 >&3 || echo $? >&3; } | mask >&4 3>&-; } 3>&1); } 4>&1
    return "${status:-1}"
}

# Compose quotes the lines of .env that it does not understand (`unexpected character "-" in variable name near "…"`).
# No value of theirs passes.
mask() {
    awk '
        BEGIN {
            count = split(".env NEXT/.env BACKUP/.env", files, " ")
            for (i = 1; i <= count; i++) {
                while ((getline line < files[i]) > 0) learn(line)
            }
        }
        function learn(line,    at, key, value) {
            gsub(/^[ \t]+|[ \t\r]+$/, "", line)
            at = index(line, "=")
            if (at == 0) { if (length(line) >= 6) values[line]; return }
            key = substr(line, 1, at - 1)
            gsub(/^(export[ \t])?[ \t]*|[ \t]+$/, "", key)
            if (key != "") keys[key]
            value = substr(line, at + 1)
            gsub(/^[ \t"\047]+|[ \t"\047]+$/, "", value)
            if (length(value) >= 6 && toupper(key) ~ /PASS|SECRET|TOKEN|KEY|CRED/) values[value]
        }
        function cut(sign,    at) {
            at = index($0, sign)
            if (at) $0 = substr($0, 1, at + length(sign) - 1) "***"
        }
        {
            cut(" near \""); cut("quoted value ")
            for (key in keys) { cut(key "="); cut(key " =") }
            for (value in values) {
                while (at = index($0, value)) $0 = substr($0, 1, at - 1) "***" substr($0, at + length(value))
            }
            print
            fflush()
        }
    '
}
