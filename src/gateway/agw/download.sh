# Downloads what apt would install, by the command in "$@", and notes for RELEASE which packages this has brought into
# apt's cache, CACHE: `release file`, a line each, and `release -` for each time that a release was prepared.
before=$(mktemp) || exit 1
trap 'rm -f "$before"' EXIT
trap 'exit 143' TERM
cached() { (cd CACHE && find . -maxdepth 1 -name '*.deb' | sed 's,^[.]/,,' | sort); }
cached > "$before"
status=0
"$@" 2>&1 || status=$?
cached | comm -13 "$before" - | sed "s/^/RELEASE /" >> STATE/brought
echo "RELEASE -" >> STATE/brought
exit $status
