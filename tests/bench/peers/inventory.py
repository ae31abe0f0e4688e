"""The testbed of testbed.json, for pyinfra."""

import json
from pathlib import Path

testbed = json.loads(Path("testbed.json").read_text())


def hosts(role):
    ssh = {"ssh_key": testbed["key"], "ssh_known_hosts_file": testbed["known_hosts"]}
    found = [host for host in testbed["hosts"] if host["role"] == role]
    return [
        (f"@ssh/{role}{number}", {"ssh_hostname": host["address"], "ssh_port": host["port"], "ssh_user": host["user"], **ssh})
        for number, host in enumerate(found)
    ]


agw = hosts("agw")
fegs = hosts("feg")
ng40 = hosts("ng40")
