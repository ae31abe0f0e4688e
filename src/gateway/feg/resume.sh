for kept in QUIESCED/*; do
    [ -e "$kept" ] || continue
    file=$(printf %s "${kept##*/}" | sed 's|%|/|g; s|=p|%|g; s|=e|=|g')
    # cron reads no file with a dot in its name.
    cp -p "$kept" "$file.teravm-ci"
    sync "$file.teravm-ci"
    mv "$file.teravm-ci" "$file"
    rm -f "$kept"
done
