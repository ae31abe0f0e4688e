# Keeps the package $1 at version $2 in the current folder: from apt's cache, from the repository, or made anew from
# what is installed, with the files as they are now (the repository may have lost it).
keep() {
    arch=$(dpkg-query -W -f '${Architecture}' "$1")
    name=${1%:*}
    file="${name}_$(printf %s "$2" | sed 's/:/%3a/')_$arch.deb"
    if cp "/var/cache/apt/archives/$file" . 2>/dev/null && is_whole "$file"; then
        echo "kept $1 $2 from apt's cache"
        return
    fi
    rm -f "$file"
    if apt-get -q -o APT::Sandbox::User=root download "$1=$2" >/dev/null 2>&1 && is_whole "$file"; then
        echo "kept $1 $2 from the repository"
        return
    fi
    rm -f "$file"
    repack "$1"
    is_whole "$file"
    echo "kept $1 $2 from what is installed"
}

# Whether the package can be read to its end: `dpkg-deb --info` looks at its beginning only.
is_whole() {
    dpkg-deb --fsys-tarfile "$1" 2>/dev/null >/dev/null
}

# Makes $file of the package $1 as it is installed. Each command stands by itself: `set -e` hears of the last of a pipe
# only.
repack() {
    tree=$PWD/../tree
    rm -rf "$tree"
    mkdir -m 755 "$tree" "$tree/DEBIAN"
    dpkg-query -s "$1" > "$tree.status"
    awk '
        /^[^ ]/ { skip = ($1 == "Status:" || $1 == "Conffiles:" || $1 == "Config-Version:") }
        !skip
    ' "$tree.status" > "$tree/DEBIAN/control"
    chmod 644 "$tree/DEBIAN/control"
    for part in preinst postinst prerm postrm config templates triggers shlibs symbols md5sums conffiles; do
        for of in "$name" "$name:$arch"; do
            if [ -e "/var/lib/dpkg/info/$of.$part" ]; then
                cp -p "/var/lib/dpkg/info/$of.$part" "$tree/DEBIAN/$part"
            fi
        done
    done
    # A conffile that the site has removed is no longer part of the package.
    if [ -e "$tree/DEBIAN/conffiles" ]; then
        while read -r path; do
            if [ -e "$path" ]; then printf '%s\n' "$path"; fi
        done < "$tree/DEBIAN/conffiles" > "$tree.conffiles"
        cat "$tree.conffiles" > "$tree/DEBIAN/conffiles"
    fi
    # A folder may be a link today (/lib is one to /usr/lib): what is below it stays below it.
    dpkg-query -L "$1" > "$tree.list"
    while read -r path; do
        if [ -d "$path" ] && { [ ! -L "$path" ] || grep -qF -- "$path/" "$tree.list"; }; then
            mkdir -p "$tree$path"
            chmod --reference="$path" "$tree$path"
            chown --reference="$path" "$tree$path"
        elif [ -e "$path" ] || [ -L "$path" ]; then
            printf '%s\n' "${path#/}"
        fi
    done < "$tree.list" > "$tree.files"
    tar -C / --no-recursion -cf "$tree.tar" -T "$tree.files"
    tar -C "$tree" -xpf "$tree.tar"
    dpkg-deb -Zgzip --build "$tree" "$file" >/dev/null
    rm -rf "$tree" "$tree".*
}
