#!/bin/bash
# Finishes an upgrade: when .env asks for another release than the one that runs, the containers are made anew from it,
# and what is no longer used is removed.
running=$(docker ps --filter name=magmad --format '{{.Image}}' | sed 's/.*://')
wanted=$(sed -n 's/^IMAGE_VERSION=//p' /var/opt/magma/docker/.env)
if [ "$running" = "$wanted" ]; then
    exit
fi

cd /var/opt/magma/docker || exit
docker-compose down && docker-compose up -d
docker system prune -af
