# Secures the way back, in the folder BACKUP/packages: what apt said it would do stands in ../simulated, and the packages of the
# night in ../ours.

# What the switch takes along goes back too: `Inst libx [1.0] (1.1 …)` is replaced, `Inst liby (1.0 …)` is new.
awk '$1 == "Inst" && $3 ~ /^\[/ { gsub(/[][]/, "", $3); print $2, $3 }' ../simulated > ../replaced
awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }' ../simulated > ../new
# What is not there at all goes when we go back; dpkg knows it all the same where another package speaks of it. What was removed once
# and has left its conffiles is removed again, and not ours to purge.
: > ../added
: > ../removed
while read -r package; do
    states=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null) || states=
    case $states in
    '' | not-installed) printf '%s\n' "$package" >> ../added ;;
    config-files) printf '%s\n' "$package" >> ../removed ;;
    esac
done < ../new
awk '!seen[$1]++' ../ours ../replaced > ../versions
while read -r package version <&3; do
    keep "$package" "$version"
done 3< ../versions

# Which files were there: a conffile that is not among them was brought by the release.
find /etc -xdev ! -type d > ../etc || find /etc -xdev ! -type d > ../etc
: > ../stated
cat ../versions ../removed > ../with-conffiles
while read -r package _; do
    dpkg-query -W -f '${Conffiles}\n' "$package" >> ../stated
done < ../with-conffiles
# Of a link, dpkg replaces what it leads to.
while read -r path _; do
    case $path in
    /*)
        if [ -e "$path" ]; then printf '%s\n' "${path#/}"; fi
        if [ -f "$path" ] && [ -L "$path" ]; then readlink -f "$path" | cut -c 2-; fi
        ;;
    esac
done < ../stated > ../conffiles
tar -C / -cf ../conffiles.tar -T ../conffiles
sync
