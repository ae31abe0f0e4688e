# Removes from apt's cache, CACHE, the packages that were brought there for releases other than the last KEEP, and that
# are neither installed nor those of the backup. Prints them behind `swept` and a tab, a line each. What others brought
# stays.
if [ -s STATE/brought ]; then
    tac STATE/brought | awk -v keep=KEEP '!seen[$1]++ && ++count <= keep { print $1 }' > STATE/kept_releases
    dpkg-query -W -f '${Package}_${Version}\n' 2>/dev/null > STATE/kept_packages
    awk '{ print $1 "_" $2 }' BACKUP/versions >> STATE/kept_packages 2>/dev/null || true
    sed -i 's/:/%3a/g' STATE/kept_packages
    while read -r release file; do
        if grep -qxF -- "$release" STATE/kept_releases || grep -qxF -- "${file%_*}" STATE/kept_packages; then
            echo "$release $file"
        elif [ "$file" != - ] && [ -e "CACHE/$file" ]; then
            rm -f "CACHE/$file"
            printf 'swept\t%s\n' "$file" >&3
        fi
    done < STATE/brought 3>&1 > STATE/brought.new
    mv STATE/brought.new STATE/brought
    rm -f STATE/kept_releases STATE/kept_packages
fi
