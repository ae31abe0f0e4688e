# Prints what the health checks of the services in "$@" have last said, and what the services themselves have last
# printed.
masked health "$@"
for service; do
    for id in $(containers "label=com.docker.compose.service=$service"); do
        masked docker logs --tail 8 "$id" | sed "s/^/$service: /"
    done
done
