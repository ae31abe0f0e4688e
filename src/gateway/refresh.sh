# Has apt refresh its lists with $options, and prints what it said and its exit status. Somebody else's refresh is
# waited for: DPkg::Lock::Timeout knows dpkg's lock and not that of the lists (apt 2.6.1).
began=$(date +%s)
while :; do
    said=$(apt-get -q $options update 2>&1)
    status=$?
    case $said in
    *"Could not get lock"*) [ $(($(date +%s) - began)) -lt 120 ] || break ;;
    *) break ;;
    esac
    sleep 2
done
printf '%s\nstatus %s\n' "$said" "$status"
