# Sets $is_remounted where a hook of apt mounts file systems writable for as long as apt is at work.
if apt-config dump 2>/dev/null | grep -q 'Pre-Invoke.*remount'; then is_remounted=yes; fi
