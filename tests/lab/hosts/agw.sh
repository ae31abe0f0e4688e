# The access gateway: Magma's packages from the depot's repository, and the units that they bring.
# shellcheck shell=bash

agw_build() {
    build_image agw "$HERE/agw" "$HERE/depot/packages"
}

# /var is a disk of its own, as large as a small gateway's, so that it can be full.
agw_up() {
    remove_disk "$1"
    disk "$1" 2G
    start_host "$1" agw "$2" --volume "$PREFIX-$1:/var"
}

agw_ready() {
    host_ready "$1"
    wait_for 20 "magma@mme on $1" inside "$1" systemctl is-active --quiet magma@mme
    wait_for 20 "end of magma@enodebd on $1" agw_enodebd_is_down "$1"
}

# It fails at the boot, as long as the site's own line is in its file; a night may have left it down in another way.
agw_enodebd_is_down() {
    inside "$1" sh -c '! grep -q ens9 /etc/magma/enodebd.yml' ||
        [[ $(inside "$1" systemctl is-active magma@enodebd) == @(failed|inactive) ]]
}

# A gateway that boots from the image is back in three seconds, whatever was done to the old one.
agw_reset() {
    remove_host "$1"
    agw_up "$1" "$(field "$1" 3)"
}

# Somebody else has dpkg's lock, as an unattended upgrade has it. Debian's programs lock by fcntl(2).
# shellcheck disable=SC2016 # What stands in single quotes is expanded on the host.
fault_dpkg_lock() {
    inside agw systemd-run --quiet --collect --unit teravm-lab-dpkg-lock perl -MFcntl -e '
        open(my $lock, "+>>", "/var/lib/dpkg/lock-frontend") or die;
        my $wanted = pack("s s q q l", F_WRLCK, 0, 0, 0, 0);
        fcntl($lock, F_SETLKW, $wanted) or die;
        open(my $held, ">", "/run/teravm-lab-dpkg-lock") or die;
        sleep'
    wait_for 30 "lock of dpkg" inside agw test -e /run/teravm-lab-dpkg-lock
}
heal_dpkg_lock() { inside agw sh -c 'systemctl stop teravm-lab-dpkg-lock 2>/dev/null; rm -f /run/teravm-lab-dpkg-lock'; }

# Something that apt runs before dpkg prints without end, once: as a debconf question that nobody answers is asked again
# and again.
fault_apt_prints() {
    inside agw sh -c ': >/run/teravm-lab-noise; cat >/etc/apt/apt.conf.d/99teravm-lab-noise' <<'HOOK'
DPkg::Pre-Invoke {"[ ! -e /run/teravm-lab-noise ] || { rm /run/teravm-lab-noise; exec yes 'What do you want to do about modified configuration file magmad.yml?'; }";};
HOOK
}
heal_apt_prints() { inside agw rm -f /run/teravm-lab-noise /etc/apt/apt.conf.d/99teravm-lab-noise; }

# /usr/local is a small disk of its own, with 200 KB left.
# shellcheck disable=SC2016 # What stands in single quotes is expanded on the host.
fault_usr_local_full() {
    inside agw sh -c 'mkdir -p /run/usr-local && cp -a /usr/local/. /run/usr-local/ &&
        mount -t tmpfs -o size=$(($(du -sk /run/usr-local | cut -f 1) + 400))k tmpfs /usr/local && cp -a /run/usr-local/. /usr/local/'
}
heal_usr_local_full() { inside agw sh -c 'if mountpoint -q /usr/local; then umount -l /usr/local; fi; rm -rf /run/usr-local'; }

# The same with room enough, which somebody else takes whenever dpkg begins to work.
# shellcheck disable=SC2016 # What stands in single quotes is expanded on the host.
fault_usr_local_fills() {
    inside agw sh -c 'mkdir -p /run/usr-local && cp -a /usr/local/. /run/usr-local/ &&
        mount -t tmpfs -o size=$(($(du -sk /run/usr-local | cut -f 1) + 40000))k tmpfs /usr/local && cp -a /run/usr-local/. /usr/local/ &&
        echo "DPkg::Pre-Invoke { \"head -c 1G /dev/zero >/usr/local/filler 2>/dev/null || true\"; };" >/etc/apt/apt.conf.d/99filler'
}
heal_usr_local_fills() {
    inside agw rm -f /etc/apt/apt.conf.d/99filler
    heal_usr_local_full
}

# A dpkg that was killed while it wrote its database.
fault_dpkg_interrupted() { inside agw sh -c 'dpkg-query -s magma >/var/lib/dpkg/updates/0001'; }
heal_dpkg_interrupted() { inside agw rm -f /var/lib/dpkg/updates/0001; }

fault_package_held() { inside agw apt-mark hold magma; }
heal_package_held() { inside agw apt-mark unhold magma; }
