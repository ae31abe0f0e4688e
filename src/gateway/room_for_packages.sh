# Says, for each file system that the packages are unpacked to, how much they need there and how much is free, a line
# each: KB needed, KB free, files needed, files free (0 where it does not say), and where it is mounted. What apt will
# install stands in ../simulated, the packages are in CACHE. dpkg unpacks every new file beside the old one, which goes
# afterwards: all of the new has to fit.

# A folder at the top may be a link: /lib is one to /usr/lib.
for folder in /*; do
    [ ! -L "$folder" ] || printf 'link %s %s\n' "$folder" "$(readlink -f "$folder")"
done > ../places
awk '{ print "mount", $2 }' /proc/mounts >> ../places
awk '
    $1 == "Inst" { for (i = 3; i <= NF; i++) if ($i ~ /^\(/) { print $2, substr($i, 2); break } }
' ../simulated > ../installed
while read -r package version; do
    for deb in CACHE/"${package%:*}_$(printf %s "$version" | sed 's/:/%3a/')"_*.deb; do
        [ ! -e "$deb" ] || dpkg-deb -c "$deb"
    done
done < ../installed > ../contents
awk '
    FILENAME ~ /places$/ && $1 == "link" { to[$2] = $3; next }
    FILENAME ~ /places$/ { mounted[$2] = 1; next }
    {
        path = substr($6, 2)
        top = path
        sub(/^\//, "", top)
        sub(/\/.*/, "", top)
        if (("/" top) in to) path = to["/" top] substr(path, length(top) + 2)
        while (path != "" && !(path in mounted)) sub(/\/[^\/]*$/, "", path)
        if (path == "") path = "/"
        kb[path] += $1 ~ /^-/ ? int(($3 + 4095) / 4096) * 4 : 4
        files[path]++
    }
    END { for (path in kb) print kb[path] + 1024, files[path], path }
' ../places ../contents | sort -k 3 | while read -r kb files path; do
    free=$(df -Pk "$path" | awk 'NR == 2 { print $4 }')
    nodes=$(df -Pi "$path" 2>/dev/null | awk 'NR == 2 { print ($2 + 0 > 0) ? $4 + 0 : 0 }')
    echo "$kb $free $files ${nodes:-0} $path"
done
