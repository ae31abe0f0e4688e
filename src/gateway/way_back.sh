# Secures the way back, in the folder BACKUP/packages: what apt said it would do stands in ../simulated, and the packages of the
# night in ../ours.

# What the switch takes along goes back too: `Inst libx [1.0] (1.1 …)` is replaced, `Inst liby (1.0 …)` is new.
awk '$1 == "Inst" && $3 ~ /^\[/ { gsub(/[][]/, "", $3); print $2, $3 }' ../simulated > ../replaced
awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }' ../simulated > ../new
# What was removed once and has left its conffiles is not ours to purge.
while read -r package; do
    dpkg-query -W "$package" >/dev/null 2>&1 || printf '%s\n' "$package"
done < ../new > ../added
awk '!seen[$1]++' ../ours ../replaced > ../versions
while read -r package version <&3; do
    keep "$package" "$version"
done 3< ../versions

# Which files were there: a conffile that is not among them was brought by the release.
find /etc -xdev ! -type d > ../etc || find /etc -xdev ! -type d > ../etc
: > ../stated
while read -r package _; do
    dpkg-query -W -f '${Conffiles}\n' "$package" >> ../stated
done < ../versions
while read -r path _; do
    case $path in
    /*) if [ -e "$path" ]; then printf '%s\n' "${path#/}"; fi ;;
    esac
done < ../stated > ../conffiles
tar -C / -cf ../conffiles.tar -T ../conffiles
sync
