"""What somebody would use instead of this program, each with its own best options: how it is called for a testbed.

A testbed is a list of hosts, each with its role (`agw`, `feg`, `ng40`), address, port and user. `peers/` has what a user would write.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests/bench/peers"
VENV = ROOT / "target/bench-venv/bin"


@dataclass
class Testbed:
    hosts: list
    key: str
    known_hosts: str
    # What the hosts are to run, and the list of tests; without one there are no tests.
    release: dict = field(default_factory=dict)

    def of(self, *roles):
        return [host for host in self.hosts if host["role"] in roles]


def ansible(testbed, folder):
    """Pipelining, all hosts at once, none waits for another; facts are not gathered."""
    lines = []
    for role, group in (("agw", "agw"), ("feg", "fegs"), ("ng40", "ng40")):
        lines.append(f"[{group}]")
        for number, host in enumerate(testbed.of(role)):
            lines.append(f"{role}{number} ansible_host={host['address']} ansible_port={host['port']} ansible_user={host['user']}")
    lines += ["[all:vars]", f"ansible_ssh_private_key_file={testbed.key}", "ansible_python_interpreter=/usr/bin/python3"]
    lines.append(f"ansible_ssh_common_args=-o UserKnownHostsFile={testbed.known_hosts}")
    (folder / "inventory.ini").write_text("\n".join(lines) + "\n")
    (folder / "ansible.cfg").write_text((PEERS / "ansible.cfg").read_text())
    return ["ansible-playbook", "-i", "inventory.ini", "-e", json.dumps(testbed.release), PEERS / "playbook.yml"]


def pyinfra(testbed, folder):
    """All hosts at once, as it does by itself."""
    (folder / "testbed.json").write_text(json.dumps(testbed.__dict__))
    data = [f"--data={key}={value}" for key, value in testbed.release.items()]
    deploys = [PEERS / "deploy.py"] + ([PEERS / "tests.py"] if "list" in testbed.release else [])
    return [VENV / "pyinfra", "-y", *data, PEERS / "inventory.py", *deploys]


def fabric(testbed, folder):
    """The labs' own script until 2022: one host after the other, and a fixed wait."""
    (folder / "testbed.json").write_text(json.dumps(testbed.__dict__))
    words = [f"--hash={testbed.release['hash']}"] + ([f"--test-file={testbed.release['list']}"] if "list" in testbed.release else [])
    return [VENV / "fab", "-r", PEERS, "upgrade-and-run", *words]


TOOLS = {"pyinfra": pyinfra, "ansible": ansible, "fabric": fabric}
