"""The Fabric script's own procedure, step by step, for Fabric 3: what the labs had. Its fixed wait of 30 s is part of it."""

import json
import time
from pathlib import Path

from fabric import Connection, task

FOLDER = "/var/opt/magma/docker"


def connections(role):
    testbed = json.loads(Path("testbed.json").read_text())
    found = [host for host in testbed["hosts"] if host["role"] == role]
    key = {"key_filename": testbed["key"]}
    return [Connection(host["address"], host["user"], host["port"], connect_kwargs=key) for host in found]


@task
def upgrade_and_run(_, hash, test_file=None):
    upgrade_agw(hash)
    upgrade_fegs(hash)
    if test_file:
        time.sleep(30)
        run_tests(test_file)


def upgrade_agw(hash):
    for agw in connections("agw"):
        agw.run("sudo apt update", hide=True)
        version = agw.run(f"apt-cache madison magma | grep {hash} | awk 'NR==1{{print $3}}'", hide=True).stdout.strip()
        options = '-f -y --allow-downgrades -o "Dpkg::Options::=--force-confnew"'
        agw.run(f"sudo DEBIAN_FRONTEND=noninteractive apt install {options} magma={version}", hide=True)
        agw.run("sudo service sctpd restart", hide=True)


def upgrade_fegs(hash):
    for feg in connections("feg"):
        in_folder = lambda command: feg.run(f"sudo sh -c 'cd {FOLDER} && {command}'", hide=True)
        in_folder("docker-compose down")
        in_folder("cp docker-compose.yml docker-compose.yml.backup")
        in_folder("cp .env .env.backup")
        in_folder(f"sed -i s/IMAGE_VERSION=.*/IMAGE_VERSION={hash}/ .env")
        feg.run("df -hP | grep /dev/sd || true", hide=True)
        in_folder(f"wget -q -O docker-compose.yml http://192.168.60.10/compose/{hash}/docker-compose.yml")
        in_folder("docker-compose up -d")


def run_tests(test_file):
    for ng40 in connections("ng40"):
        for list_ in ("state.ntl", test_file):
            said = ng40.run(f"bash -lc 'cd magma/automation && ng40test {list_}'", hide=True, warn=True)
        print(said.stdout)
