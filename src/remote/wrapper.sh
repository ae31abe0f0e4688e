# Runs one script on a host: `sh -c WRAPPER sh MARK SCRIPT-SIZE DATA-SIZE`, under `timeout`.
#
# Script and data come over standard input, so that no list of processes shows them and no limit of the command line
# cuts them. The mark frames what the script prints: what a login shell said before it is not the script's, and an end
# without it is a connection that broke. Standard input stays open as long as somebody listens; its end ends the script.
# bash would give up waiting after that many seconds.
unset TMOUT
mark=$1 script_size=$2 data_size=$3
shift 3
exec 3<&0 </dev/null
script=$(head -c "$script_size" <&3)
case $script in *"$mark") ;; *) exit 125 ;; esac

# `timeout` kills the group after its grace only while its child, this shell, is there: it has to outlive the script.
over=
trap 'over=yes' TERM

if [ "$data_size" = duplex ]; then
    printf '%s begin\n' "$mark"
    printf '%s begin\n' "$mark" >&2
    (trap - TERM; eval "$script") <&3 3<&-
    status=$?
else
    data=
    if [ "$data_size" -gt 0 ]; then
        data=$(head -c "$data_size" <&3)
        case $data in *.) data=${data%.} ;; *) exit 125 ;; esac
    fi
    # Nothing more comes: what ends this `read` is the end.
    (trap - TERM; read -r _ <&3; kill "$PPID") >/dev/null 2>&1 &
    watch=$!
    printf '%s begin\n' "$mark"
    printf '%s begin\n' "$mark" >&2
    if [ "$data_size" -gt 0 ]; then
        printf %s "$data" | base64 -d | (trap - TERM; unset data; eval "$script") 3<&-
    else
        (trap - TERM; eval "$script") 3<&-
    fi
    status=$?
    kill "$watch" 2>/dev/null
fi

[ -z "$over" ] || exit 124
[ "$data_size" = duplex ] || printf '%s end\n' "$mark"
printf '%s %s\n' "$mark" "$status" >&2
exit 0
