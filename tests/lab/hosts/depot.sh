# The depot: what the gateways are upgraded from. An apt repository and compose files on port 80, and a Docker registry
# on port 5000, which registry.sh knows about.
# shellcheck shell=bash

depot_build() {
    build_image depot "$HERE/depot" "$HERE/registry"
}

# depot_keys: the key that signs the repository; the access gateway gets the public half.
depot_keys() {
    local depot=$STATE/hosts/depot agw=$STATE/hosts/agw home
    if [[ -e $agw/magma.gpg ]]; then return 0; fi
    home=$(mktemp -d)
    gpg --homedir "$home" --batch --quiet --pinentry-mode loopback --passphrase '' \
        --quick-generate-key 'Magma of the lab <packages@magma.invalid>' ed25519 sign never 2>"$STATE/gpg.log" ||
        die "the repository's key could not be made: $(tail -3 "$STATE/gpg.log")"
    (
        umask 077
        gpg --homedir "$home" --batch --armor --export-secret-keys >"$depot/apt-key.asc"
    )
    gpg --homedir "$home" --batch --export >"$agw/magma.gpg"
    chmod 0644 "$agw/magma.gpg"
    gpgconf --homedir "$home" --kill all
    rm -rf "$home"
}

depot_up() {
    start_host "$1" depot "$2"
    if declare -F registry_up >/dev/null; then registry_up "$1"; fi
}

depot_ready() {
    host_ready "$1"
    wait_for 20 "signed repository on $1" inside "$1" curl -sf http://127.0.0.1/magma/dists/focal-ci/InRelease
    if declare -F registry_ready >/dev/null; then registry_ready "$1"; fi
}

# The repository itself changes only by faults, which are healed before a reset.
depot_reset() {
    if declare -F registry_reset >/dev/null; then registry_reset "$1"; fi
}

# Nothing listens on port 80 any more.
fault_repo_down() { inside depot sh -c 'rm /etc/nginx/sites-enabled/magma && systemctl reload nginx'; }
heal_repo_down() { inside depot sh -c 'ln -sf ../sites-available/magma /etc/nginx/sites-enabled/magma && systemctl reload nginx'; }

# The repository answers every request with an error of its own.
fault_repo_500() { inside depot sh -c 'echo "return 500;" >/etc/nginx/fault.conf && systemctl reload nginx'; }
heal_repo_500() { inside depot sh -c 'rm -f /etc/nginx/fault.conf && systemctl reload nginx'; }

# The packages are not those that the index promises.
fault_repo_wrong_hash() { inside depot magma-repository spoil; }
heal_repo_wrong_hash() { inside depot magma-repository mend; }

# The index was changed after it was signed.
fault_repo_forged() { inside depot magma-repository forge; }
heal_repo_forged() { inside depot magma-repository sign; }
