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
            profile "$VPN_OUTSIDE" 1194 ca client >"$server/second.ovpn"

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

# The server starts anew; it says good-bye to its clients.
fault_vpn_restart() { inside vpn systemctl restart lab-vpn; }

# The server is killed and starts anew: nobody is told.
fault_vpn_killed() { inside vpn systemctl kill --signal KILL lab-vpn; }

# From its next connection on the client has another address.
fault_vpn_address() {
    inside vpn sh -c 'mkdir -p /run/ccd && echo "ifconfig-push 10.99.0.77 255.255.255.0" >/run/ccd/teravm-ci &&
        mkdir -p /run/systemd/system/lab-vpn.service.d && printf "[Service]\nExecStart=\nExecStart=/usr/sbin/openvpn --config /etc/openvpn/lab.conf --suppress-timestamps --client-config-dir /run/ccd\n" \
            >/run/systemd/system/lab-vpn.service.d/address.conf && systemctl daemon-reload && systemctl restart lab-vpn'
}
heal_vpn_address() {
    inside vpn sh -c 'rm -rf /run/ccd /run/systemd/system/lab-vpn.service.d && systemctl daemon-reload && systemctl restart lab-vpn'
}

# A second client with the same certificate, which comes back whenever it is starved.
fault_vpn_second_client() {
    inside vpn systemd-run --quiet --collect --unit teravm-lab-second openvpn --config /lab/vpn/second.ovpn --dev tun7 \
        --auth-user-pass /lab/vpn/password --route-noexec --ifconfig-noexec --pull-filter ignore redirect-gateway \
        --ping 5 --ping-restart 10
}
heal_vpn_second_client() { inside vpn sh -c 'systemctl stop teravm-lab-second 2>/dev/null; true'; }

# vpn-slow [MILLISECONDS [PERCENT]]: what goes through the tunnel takes that much longer on each way (200), and that much of
# it is lost (5). The kernel may have no netem, so a relay stands before the server's port.
fault_vpn_slow() {
    inside vpn systemd-run --quiet --collect --unit teravm-lab-relay /usr/local/sbin/slow-relay 1196 1194 "${1:-200}" "${2:-5}"
    wait_for 10 "relay on vpn" inside vpn sh -c 'ss -Hlun sport = :1196 | grep -q 1196'
    inside vpn iptables -t nat -I PREROUTING -p udp --dport 1194 -j REDIRECT --to-ports 1196
    # Packets of a connection that is there already would go on past the relay.
    inside vpn sh -c 'conntrack -D -p udp --dport 1194 >/dev/null 2>&1; true'
}
heal_vpn_slow() {
    inside vpn sh -c 'iptables -t nat -D PREROUTING -p udp --dport 1194 -j REDIRECT --to-ports 1196
        systemctl stop teravm-lab-relay; conntrack -D -p udp --dport 1194 >/dev/null 2>&1; true'
}
