"""As somebody who knows pyinfra would write it: all hosts side by side, and nothing is restarted that is as it should be."""

from pyinfra import host
from pyinfra.operations import apt, files, server, systemd

FOLDER = "/var/opt/magma/docker"

if "agw" in host.groups:
    apt.update(_sudo=True)
    packages = apt.packages(
        packages=[f"magma={host.data.version}", f"magma-sctpd={host.data.sctpd}"],
        extra_install_args="--allow-downgrades -o Dpkg::Options::=--force-confnew -o Dpkg::Options::=--force-overwrite",
        _sudo=True,
    )
    systemd.service(service="sctpd", restarted=True, _sudo=True, _if=packages.did_change)

if "fegs" in host.groups:
    if host.data.get("compose_url"):
        files.download(src=host.data.compose_url, dest=f"{FOLDER}/docker-compose.yml", force=True, mode="644", _sudo=True)
    env = files.line(path=f"{FOLDER}/.env", line="^IMAGE_VERSION=.*", replace=f"IMAGE_VERSION={host.data.hash}", _sudo=True)
    server.shell(commands=[f"cd {FOLDER} && docker-compose pull -q && docker-compose up -d"], _sudo=True, _if=env.did_change)
