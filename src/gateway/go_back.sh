# Brings the packages and their conffiles back from the folder BACKUP/packages, and compares.
cd BACKUP/packages || exit 1
options='-o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-overwrite'

was_there() {
    grep -qxF -- "$1" ../etc || grep -qxF -- "${1#/}" ../conffiles
}

# What the release brought goes before the packages do: dpkg then forgets it. Gone later, it would count as removed by
# the site, and the next switch would not bring it again (dpkg 1.21).
while read -r package _; do
    dpkg-query -W -f '${Conffiles}\n' "$package" 2>/dev/null
done < ../versions > ../stated
while read -r path _; do
    case $path in
    /etc/*) was_there "$path" || rm -f "$path" "$path".dpkg-* "$path".ucf-* ;;
    esac
done < ../stated

tar -C / -xpf ../conffiles.tar || exit 1
APT --no-download --allow-downgrades --reinstall $options install "$PWD"/*.deb ||
    dpkg --force-confold --force-overwrite --force-downgrade -i ./*.deb || exit 1
if [ -s ../removed ]; then
    dpkg --remove $(cat ../removed) || echo "these packages were removed once and stay: $(tr '\n' ' ' < ../removed)"
fi
if [ -s ../added ]; then
    dpkg --purge $(cat ../added) || echo "these packages are new and stay: $(tr '\n' ' ' < ../added)"
fi
[ ! -e ../overwritten.tar ] || tar -C / -xpf ../overwritten.tar || exit 1
tar -C / -xpf ../conffiles.tar || exit 1
while read -r file; do
    for left in "/$file".dpkg-* "/$file".ucf-*; do
        was_there "$left" || rm -f "$left"
    done
done < ../conffiles

tar -C / -df ../conffiles.tar || exit 1
while read -r package version; do
    now=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$package")
    [ "$now" = "installed $version" ] || { echo "$package is $now and was $version"; exit 1; }
done < ../versions
systemctl daemon-reload
