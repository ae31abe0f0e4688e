#!/bin/sh
# Magma's own is Python and talks to the cloud; this one has its name and its answers, and asks the units instead.
stage=0
for unit in magma@control_proxy magma@magmad magma@eventd; do
    stage=$((stage + 1))
    echo "$stage. -- Testing $unit --"
    if ! systemctl is-active --quiet "$unit"; then
        echo "> Error: $unit is not active"
        echo "Suggestions"
        echo "  1. journalctl -u $unit"
        exit 1
    fi
done
echo
echo "Success!"
