# fetch_compose URL: the compose file of a release, to NEXT. What is asked for by https never comes by http, wherever
# the server sends us to. wget follows any redirect or none.
fetch_compose() {
    case $1 in
        https://*) schemes='=https' redirects=0 ;;
        *) schemes='=http,https' redirects=20 ;;
    esac
    if command -v curl >/dev/null; then
        curl -fsSL --globoff --proto "$schemes" --proto-redir "$schemes" --max-time 120 -o NEXT/docker-compose.yml "$1"
    else
        wget -q --max-redirect="$redirects" -T 120 -O NEXT/docker-compose.yml "$1"
    fi
}
