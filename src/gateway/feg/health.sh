# Prints the containers of the project PROJECT that a filter lets through.
containers() { docker ps -aq --filter label=com.docker.compose.project=PROJECT --filter "$1"; }

# Defines `health`, which prints of each service in "$@" of the project that is not healthy what its health check last
# said, a line each. Without names it is asked of every service that is unhealthy.
health() {
    if [ $# = 0 ]; then
        set -- health=unhealthy
    else
        set -- $(printf 'label=com.docker.compose.service=%s\n' "$@")
    fi
    service='{{index .Config.Labels "com.docker.compose.service"}}{{println}}'
    of_checks='{{range .Log}}@ {{.ExitCode}} {{.Output}}{{println}}{{end}}'
    if_not_healthy="{{with .State.Health}}{{if ne .Status \"healthy\"}}$of_checks{{end}}{{end}}"
    for filter; do
        for id in $(containers "$filter"); do
            docker inspect --format "$service$if_not_healthy" "$id" | last_check
        done
    done
}

# Makes one line of the service, and below it the checks, the oldest first: `@ STATUS` and what it said, which may be
# several lines.
last_check() {
    awk '
        NR == 1 { service = $0; next }
        /^@ -?[0-9]+ / { status = $2; said = ""; sub(/^@ -?[0-9]+ /, "") }
        NF { gsub(/[ \t\r]+/, " "); gsub(/^ | $/, ""); said = said (said == "" ? ": " : " ") $0 }
        END { if (status != "") print "health check of `" service "` ended with " status substr(said, 1, 300) }
    '
}
