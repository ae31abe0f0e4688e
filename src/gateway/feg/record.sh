# Keeps in BACKUP/containers how each container was made, a line each: service, name, image, state, and the two halves
# of what the engine needs to make it again.
ids=$(docker ps -aq --filter label=com.docker.compose.project=PROJECT --filter label=com.docker.compose.oneoff=False)
service='{{index .Config.Labels "com.docker.compose.service"}}'
rest='{{.Name}}	{{.Image}}	{{.State.Status}}	{{json .Config}}	{{json .HostConfig}}'
[ -z "$ids" ] ||
    docker inspect --format "$service	$rest" $ids >BACKUP/containers
