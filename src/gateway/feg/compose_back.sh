# Has compose bring back from BACKUP what was there: $started ran, $stopped had containers that did not.
place docker-compose.yml || exit 1
place .env || exit 1
cmp docker-compose.yml BACKUP/docker-compose.yml && cmp .env BACKUP/.env || exit 1

# Those of the services that compose knows: a site's own containers, from a file that we do not know, were left alone.
known() {
    for service; do
        if grep -qxF -- "$service" BACKUP/services; then printf '%s ' "$service"; fi
    done
}
remove_the_others() {
    for service in $(cat BACKUP/services NEXT/services 2>/dev/null | sort -u); do
        case " $started $stopped " in
        *" $service "*) ;;
        *) remove "$service" || exit 1 ;;
        esac
    done
}

# With a new start of the Docker engine where nothing else helps.
bring_back() {
    said_by compose "$@" && return
    holds_a_lost_name || did_not_answer || return
    start_engine_anew && said_by compose "$@"
}

by_compose() {
    [ -z "$up" ] || bring_back up -d $up || return 1
    [ -z "$down" ] || { bring_back up --no-start --no-deps $down && bring_back stop $down; }
}
by_another_compose() {
    chosen=$compose_program
    programs >BACKUP/programs
    while IFS= read -r compose_program <&5; do
        [ "$compose_program" != "$chosen" ] || continue
        echo "$chosen has failed, trying $compose_program"
        by_compose && return
    done 5<BACKUP/programs
    return 1
}

remove_the_others
up=$(known $started)
down=$(known $stopped)
by_compose || by_another_compose || from_record || exit 1
# What the services that ran depend on may have been started along with them.
remove_the_others
