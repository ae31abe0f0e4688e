# The VPN host: the one door to the lab, with OpenVPN on 172.31.60.2, and the CI node's resolver beside it.
# shellcheck shell=bash

vpn_build() {
    build_image vpn "$HERE/vpn"
}

# sign NAME CN USAGE: a key, and a certificate that the lab's authority has signed.
sign() {
    local pki=$STATE/pki name=$1 cn=$2 usage=$3
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$cn" \
        -keyout "$pki/$name.key" -out "$pki/$name.csr" 2>/dev/null
    openssl x509 -req -in "$pki/$name.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 \
        -extfile <(printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=%s\n' "$usage") \
        -out "$pki/$name.crt" 2>/dev/null
}

# authority NAME: a certificate authority.
authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$1 of the lab" \
        -addext keyUsage=keyCertSign,cRLSign -keyout "$STATE/pki/$1.key" -out "$STATE/pki/$1.crt" 2>/dev/null
}

# vpn_keys: the server's and the client's certificates, and the profiles that clients get.
vpn_keys() {
    local pki=$STATE/pki server=$STATE/hosts/vpn/vpn
    if [[ ! -e $STATE/client.ovpn ]]; then
        (
            umask 077
            mkdir -p "$pki" "$server"
            authority ca
            authority other-ca
            sign server vpn.teravm.lab serverAuth
            sign client teravm-ci clientAuth
            openssl pkcs8 -topk8 -v2 aes-256-cbc -in "$pki/client.key" -passout "pass:$(secret TERAVM_VPN_KEY_PASSPHRASE)" \
                -out "$pki/client-encrypted.key"
            openvpn --genkey tls-crypt "$pki/tls-crypt.key"
            cp "$pki"/{ca.crt,server.crt,server.key,tls-crypt.key} "$server/"
            printf '%s\n%s\n' "$(secret TERAVM_VPN_USERNAME)" "$(secret TERAVM_VPN_PASSWORD)" >"$server/password"

            profile vpn.teravm.lab 1194 other-ca client >"$STATE/client-wrong-ca.ovpn"
            profile "$VPN_OUTSIDE" 1195 ca client >"$STATE/client-silent.ovpn"
            profile vpn.invalid 1194 ca client >"$STATE/client-unresolvable.ovpn"
            profile vpn.teravm.lab 1194 ca client-encrypted >"$STATE/client-encrypted.ovpn"
            {
                printf 'script-security 2\nup /etc/openvpn/update-resolv-conf\ndown /etc/openvpn/update-resolv-conf\n'
                profile vpn.teravm.lab 1194 ca client
            } >"$STATE/client-up.ovpn"
            profile vpn.teravm.lab 1194 ca client >"$STATE/client.ovpn"
        )
    fi
}

# profile REMOTE PORT CA KEY: a client's profile, with the directives that people's profiles have.
profile() {
    local pki=$STATE/pki
    cat <<PROFILE
# The profile of $CI.
client
dev tun
proto udp
remote $1 $2
resolv-retry infinite
nobind
user nobody
group nogroup
persist-key
persist-tun
remote-cert-tls server
auth-user-pass
redirect-gateway def1
route 192.168.61.0 255.255.255.0
verb 3
<ca>
$(cat "$pki/$3.crt")
</ca>
<cert>
$(cat "$pki/client.crt")
</cert>
<key>
$(cat "$pki/$4.key")
</key>
<tls-crypt>
$(grep -v '^#' "$pki/tls-crypt.key")
</tls-crypt>
PROFILE
}

vpn_up() {
    start_host "$1" vpn "$2" --device /dev/net/tun --sysctl net.ipv4.ip_forward=1
    docker network connect --ip "$VPN_OUTSIDE" "$PREFIX-outside" "$(container "$1")"
}

vpn_ready() {
    host_ready "$1"
    wait_for 20 "OpenVPN server on $1" inside "$1" sh -c 'ip -br address show tun0 | grep -q 10.99.0.1'
    wait_for 20 "resolver on $1" inside "$1" sh -c 'ss -Hlun sport = :53 | grep -q 172.31.60.2'
}

# The server keeps nothing but its sessions.
vpn_reset() {
    inside "$1" systemctl restart lab-vpn
}

# The server's port is closed.
fault_vpn_down() { inside vpn systemctl stop lab-vpn; }
heal_vpn_down() { inside vpn systemctl start lab-vpn; }

# The server runs, and what is sent to it is lost on the way.
fault_vpn_silent() { inside vpn iptables -I INPUT -p udp --dport 1194 -j DROP; }
heal_vpn_silent() { inside vpn iptables -D INPUT -p udp --dport 1194 -j DROP; }
