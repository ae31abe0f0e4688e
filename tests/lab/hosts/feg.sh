# The federation gateways: each has a Docker engine of its own, and the 16 containers of the old release.
# shellcheck shell=bash

feg_build() {
    build_image feg "$HERE/feg" "$HERE/registry"
}

# The engine's disk is small, so that it can be full.
feg_up() {
    remove_disk "$1"
    disk "$1" 1G
    (
        umask 077
        secret TERAVM_REGISTRY_PASSWORD >"$STATE/hosts/$1/registry-password"
    )
    start_host "$1" feg "$2" --volume "$PREFIX-$1:/var/lib/docker"
}

feg_ready() {
    host_ready "$1"
    feg_runs "$1" || {
        say "after 60 s still no 16 running services on $1"
        return 1
    }
}

# Waits on the host itself: to ask it again and again from here would cost more than what it waits for.
feg_runs() {
    # The host expands it.
    # shellcheck disable=SC2016
    inside "$1" timeout 60 sh -c 'until docker ps --format "{{.Names}} {{.Status}}" | awk "\$2 == \"Up\" { up++ }
        /^td-agent-bit .*\(healthy\)/ { healthy = 1 } END { exit !(up >= 16 && healthy) }"; do sleep 0.5; done'
}

feg_reset() { inside "$1" feg-first-state; }

# compose-v2 HOST: the host has `docker compose` instead of `docker-compose`.
fault_compose_v2() {
    inside "$1" sh -c 'mv /usr/bin/docker-compose /usr/local/lib/compose-v2/v1 && mkdir -p /usr/libexec/docker/cli-plugins &&
        ln -s /usr/local/lib/compose-v2/docker-compose /usr/libexec/docker/cli-plugins/docker-compose'
}
heal_compose_v2() {
    inside "$1" sh -c 'rm -f /usr/libexec/docker/cli-plugins/docker-compose
        [ ! -e /usr/local/lib/compose-v2/v1 ] || mv /usr/local/lib/compose-v2/v1 /usr/bin/docker-compose'
}

# both-composes HOST: the host has `docker compose` besides `docker-compose`.
fault_both_composes() {
    inside "$1" sh -c 'mkdir -p /usr/libexec/docker/cli-plugins &&
        ln -s /usr/local/lib/compose-v2/docker-compose /usr/libexec/docker/cli-plugins/docker-compose'
}
heal_both_composes() { inside "$1" rm -f /usr/libexec/docker/cli-plugins/docker-compose; }

# merged-twice HOST FILE: a compose file has the key `<<:` twice in one mapping, as Magma's of 1.6.1 and 1.8.0 have. docker-compose
# reads it, and `docker compose` refuses it.
fault_merged_twice() {
    inside "$1" sed -i.once -e '0,/^services:/s//x-again: \&again\n  restart: always\n\n&/' \
        -e '/^    container_name: csfb/s/^/    <<: *again\n/' "$2"
}
# The host expands it.
# shellcheck disable=SC2016
heal_merged_twice() { inside "$1" sh -c '[ ! -e "$1.once" ] || mv "$1.once" "$1"' sh "$2"; }

# The engine starts anew, and all containers with it.
fault_dockerd_restart() { inside "$1" systemctl restart docker; }

# The engine is there, and answers nothing any more.
fault_dockerd_stuck() { inside "$1" systemctl kill --kill-who main --signal STOP docker; }
heal_dockerd_stuck() { inside "$1" systemctl kill --kill-who main --signal CONT docker; }

# The site's own job has begun, and looks at .env at the worst moment: as soon as that is another file, or after 12 s.
fault_cron_at_work() {
    # shellcheck disable=SC2016
    inside "$1" sed -i '2i before=$(stat -c %i /var/opt/magma/docker/.env)\
for _ in $(seq 240); do [ "$(stat -c %i /var/opt/magma/docker/.env)" = "$before" ] || break; sleep 0.05; done' \
        /var/opt/magma/docker/recreate_services.sh
    inside "$1" systemd-run --quiet --collect --unit teravm-lab-cron /var/opt/magma/docker/recreate_services.sh
}
heal_cron_at_work() { inside "$1" sh -c 'systemctl stop teravm-lab-cron 2>/dev/null; true'; }

# An operator who wants to help. Where we are at work at that moment, one of the two `docker-compose up` meets names that are taken.
fault_operator_recreates() {
    inside "$1" sh -c 'cd /var/opt/magma/docker && docker-compose down && docker-compose up -d' || true
}

# An operator who makes room: every image that no container uses goes, and every container that does not run.
fault_operator_prunes() { inside "$1" docker system prune --all --force; }

# name-lost HOST NAME: the Docker engine holds NAME for a container that is gone, as after a prune in the midst of a rename.
fault_name_lost() {
    # shellcheck disable=SC2016
    inside "$1" sh -c '
        image=$(docker images --quiet | head -n 1)
        docker rm --force "$1" >/dev/null 2>&1
        for _ in $(seq 300); do
            docker create --name "$1" "$image" true >/dev/null 2>&1 || exit 0
            docker rename "$1" "$1-2" >/dev/null 2>&1 & docker rm --force "$1" >/dev/null 2>&1 & wait
            docker rm --force "$1" "$1-2" >/dev/null 2>&1
        done
        exit 1' sh "$2"
}
heal_name_lost() { inside "$1" systemctl restart docker; }

# magmad's own upgrader has been told another release by the orchestrator, and writes it where the cron job finds it.
fault_magmad_upgrades() {
    inside "$1" sed -i 's/^IMAGE_VERSION=.*/IMAGE_VERSION=c0ffee00/' /var/opt/magma/docker/.env
}
