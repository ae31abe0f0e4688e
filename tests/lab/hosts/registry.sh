# The Docker registry of the depot, at 192.168.60.10:5000: plain HTTP, and a login. It is no host of its own: depot.sh
# calls what is here. Its images and their tags are made from registry/releases.
# shellcheck shell=bash

# registry_login PASSWORD: the one password that the registry accepts from magma-ci.
registry_login() { printf '%s\n' "$1" | inside depot registry-login; }

# The login is the lab's and not the image's, so it is set when the host has booted.
registry_ready() {
    registry_login "$(secret TERAVM_REGISTRY_PASSWORD)"
    wait_for 20 "registry on $1" registry_accepts_login
}

registry_accepts_login() {
    printf 'user = "magma-ci:%s"\n' "$(secret TERAVM_REGISTRY_PASSWORD)" |
        inside depot curl -sf -K - http://127.0.0.1:5000/v2/
}

# Faults are healed before a reset; what remains are tags.
registry_reset() { inside "$1" registry-tag first; }

# The registry knows our login no more: 401, with its own words.
fault_registry_refuses() { registry_login "another password"; }
heal_registry_refuses() { registry_login "$(secret TERAVM_REGISTRY_PASSWORD)"; }

# The login is right and may not see these images: 403.
fault_registry_forbids() { inside depot touch /run/registry-front/403; }
heal_registry_forbids() { inside depot rm -f /run/registry-front/403; }

# Every request ends in an error of the server, with a page that is no JSON.
fault_registry_500() { inside depot touch /run/registry-front/500; }
heal_registry_500() { inside depot rm -f /run/registry-front/500; }

# registry-says CODE STATUS MESSAGE: of every manifest the registry says this, in the words of another registry: a code of its own, an
# HTTP status, and a message, in which `_` stands for a blank.
fault_registry_says() {
    local says="location ~ /manifests/ { default_type application/json; return $2 '{\"errors\":[{\"code\":\"$1\",\"message\":\"${3//_/ }\"}]}'; }"
    # shellcheck disable=SC2016
    inside depot sh -c 'echo "$1" >/run/registry-front/says.conf && systemctl reload registry-front' sh "$says"
}
heal_registry_says() { inside depot sh -c 'rm -f /run/registry-front/says.conf && systemctl reload registry-front'; }

# Manifests are there and layers are not, so that only a pull finds out.
fault_registry_blobs() { inside depot touch /run/registry-front/blobs; }
heal_registry_blobs() { inside depot rm -f /run/registry-front/blobs; }

# Nothing listens on port 5000.
fault_registry_down() { inside depot systemctl stop registry-front; }
heal_registry_down() { inside depot systemctl start registry-front; }

# retag COMMIT: the tag moves to other images, of the same behaviour.
fault_retag() { inside depot registry-tag move "$1"; }
heal_retag() { inside depot registry-tag back "$1"; }

# registry-finds COMMIT: the registry has the images of a release again that it had lost. It loses them at the next reset.
fault_registry_finds() { inside depot registry-tag find "$1"; }
