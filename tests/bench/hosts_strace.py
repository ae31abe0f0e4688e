#!/usr/bin/env python3
"""How a night grows with the number of its gateways: 1, 4 and 16 FEGs whose switch takes a second, each behind an sshd of its own.

    tests/bench/hosts [--fegs N,N,N] [--times N] [--tools NAME,NAME]

The hosts are mount namespaces of this machine, on loopback; what a gateway calls is `thin/gateway`. Each row is the median of so many
upgrades. The hosts' own work takes the machine's cores as well, so it is shown: what 16 of them cost is not ours to save.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measured import measured
from tools import ROOT, TOOLS, Testbed

THIN = ROOT / "tests/bench/thin/gateway"
PROGRAM = Path(os.environ.get("TERAVM_CI", ROOT / "target/release/teravm-ci"))
OLD, NEW = "3f7c21ab", "5d2e8f90"
PROGRAMS = ["docker", "docker-compose", "apt-get", "apt-cache", "dpkg-query", "systemctl", "journalctl"]
PORT = 22_000

# In a mount namespace of its own: the folders that a gateway is, and its programs before all others.
BOOT = """
set -e
mkdir -p /var/opt/magma /var/lib/teravm-ci /run/sshd
for folder in /var/opt/magma /var/lib/teravm-ci /root; do mount -t tmpfs tmpfs $folder; done
mount --bind "$1/bin" /usr/local/sbin
mkdir -p /var/opt/magma/docker /root/.ssh
cp "$1/id.pub" /root/.ssh/authorized_keys
cd /var/opt/magma/docker
printf 'COMPOSE_PROJECT_NAME=feg\\nDOCKER_REGISTRY=registry.bench/\\nIMAGE_VERSION=@OLD@\\n' >.env
echo 'services: {}' >docker-compose.yml
echo @OLD@ >runs
exec /usr/sbin/sshd -D -e -f "$1/sshd_config" -p "$2"
""".replace("@OLD@", OLD)


class Hosts:
    """An AGW, an NG40 that is asked for its lock only, and so many FEGs."""

    def __init__(self, folder, fegs):
        self.folder, self.fegs = folder, fegs
        (folder / "bin").mkdir()
        for program in PROGRAMS:
            (folder / "bin" / program).symlink_to(THIN)
        for name in ("id", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nHostKey {folder}/host\nUsePAM no\nStrictModes no\nMaxStartups 100\n"
            f"AuthorizedKeysFile /root/.ssh/authorized_keys\nPermitRootLogin yes\n"
            f"SetEnv PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        )
        self.ports = [PORT + number for number in range(fegs + 2)]
        key = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text("".join(f"[127.0.0.1]:{port} {key}\n" for port in self.ports))
        self.children = []
        with open(folder / "sshd.log", "w") as log:
            for port in self.ports:
                command = (["strace","-f","-ttt","-s","200","-e","trace=execve,clone,clone3,vfork,fork","-o","/tmp/t/strace.feg"] if port == self.ports[2] else []) + ["unshare", "--mount", "sh", "-c", BOOT, "boot", folder, str(port)]
                self.children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        for port in self.ports:
            self.wait_for(port)
        self.config()

    def wait_for(self, port):
        until = time.monotonic() + 20
        while subprocess.run(["ssh-keyscan", "-p", str(port), "127.0.0.1"], capture_output=True).stdout == b"":
            if time.monotonic() > until:
                sys.exit(f"no sshd at {port}: {(self.folder / 'sshd.log').read_text()}")
            time.sleep(0.1)

    def config(self):
        agw, ng40, *fegs = [f"root@127.0.0.1:{port}" for port in self.ports]
        (self.folder / "config.yaml").write_text(
            f"""
vpn: {{kind: none}}
ssh: {{key: {{file: {self.folder}/id}}, known_hosts: {self.folder}/known_hosts}}
verify: {{stable: 0s, timeout: 1m}}
feg: {{services: [redis, session_proxy]}}
suites: {{}}
setups:
  bench: {{agw: {agw}, ng40: {ng40}, feg: {fegs}}}
"""
        )

    def run(self, release):
        """Whether every FEG runs the release: asked of the processes, whose folders nobody else sees."""
        of = lambda child: Path(f"/proc/{child.pid}/root/var/opt/magma/docker/runs").read_text().strip()
        return all(of(child) == release for child in self.children[2:])

    def end(self):
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.wait()


def called(tool, hosts):
    """A tool's command, in the hosts' folder."""
    if tool == "teravm-ci":
        return [PROGRAM, "upgrade", "feg", "--tag", NEW, "--config", "config.yaml"]
    fegs = [{"role": "feg", "address": "127.0.0.1", "port": port, "user": "root"} for port in hosts.ports[2:]]
    testbed = Testbed(fegs, key=f"{hosts.folder}/id", known_hosts=f"{hosts.folder}/known_hosts", release={"hash": NEW})
    return TOOLS[tool](testbed, hosts.folder)


def upgraded(tool, fegs):
    """One upgrade of so many FEGs, and what it took."""
    folder = Path(tempfile.mkdtemp(prefix="teravm-ci-bench-"))
    hosts = Hosts(folder, fegs)
    try:
        with open(folder / "log", "w+") as log:
            taken = measured(called(tool, hosts), log, cwd=folder)
            if taken.status != 0 or not hosts.run(NEW):
                log.seek(0)
                sys.exit(f"{tool}: exit status {taken.status}\n{log.read()}")
        return taken
    finally:
        hosts.end()
        shutil.rmtree(folder)


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--fegs", default="1,4,16")
    words.add_argument("--times", type=int, default=3)
    words.add_argument("--tools", default="teravm-ci,pyinfra,ansible")
    words = words.parse_args()
    print("| FEGs | tool | wall s | CPU s | memory MB |\n| ---: | --- | ---: | ---: | ---: |")
    for fegs in map(int, words.fegs.split(",")):
        for tool in words.tools.split(","):
            runs = [upgraded(tool, fegs) for _ in range(words.times)]
            of = lambda key: statistics.median(getattr(run, key) for run in runs)
            print(f"| {fegs} | {tool} | {of('wall'):.2f} | {of('cpu'):.2f} | {of('memory'):.1f} |", flush=True)


main()
