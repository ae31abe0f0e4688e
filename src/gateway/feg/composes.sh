# Each compose program that is there, one a line. The one that the configuration names comes first, then v2, then v1.
programs() {
    {
        [ -z CONFIGURED ] || printf '%s\n' CONFIGURED
        if docker compose version >/dev/null 2>&1; then echo 'docker compose'; fi
        if command -v docker-compose >/dev/null; then echo docker-compose; fi
    } | awk '!seen[$0]++'
}

# Runs compose as $compose_program calls it: at_rest.sh has a $program of its own.
compose() { eval "$compose_program \"\$@\""; }
