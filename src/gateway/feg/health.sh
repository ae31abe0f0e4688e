# Defines `health`, which prints of each service in "$@" of the project PROJECT that is not healthy what its health check last said, a
# line each. Without names it is asked of every service that is unhealthy.
health() {
    if [ $# = 0 ]; then set -- health=unhealthy; else set -- $(printf 'label=com.docker.compose.service=%s\n' "$@"); fi
    for filter; do
        for id in $(docker ps -aq --filter label=com.docker.compose.project=PROJECT --filter "$filter"); do
            docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}}{{println}}{{with .State.Health}}{{if ne .Status "healthy"}}{{range .Log}}@ {{.ExitCode}} {{.Output}}{{println}}{{end}}{{end}}{{end}}' "$id" 2>/dev/null |
                awk '
                    NR == 1 { service = $0; next }
                    /^@ -?[0-9]+ / { status = $2; said = ""; sub(/^@ -?[0-9]+ /, "") }
                    NF { gsub(/[ \t\r]+/, " "); gsub(/^ | $/, ""); said = said (said == "" ? "" : " ") $0 }
                    END { if (status != "") print "health check of `" service "` ended with " status (said == "" ? "" : ": " substr(said, 1, 300)) }
                '
        done
    done
}
