"""A real S3 server on loopback: Ceph's RADOS gateway over one monitor and one OSD in memory."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import ServerProcess
from tests.servers.require import free_ports, program, require

INSTALL = "apt-get install ceph-mon ceph-osd radosgw ceph-common"
PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool")

# One copy of everything, in memory; the gateway's rubbish is taken away at once, because memory is what it fills.
# A monitor gathers changes for a second before it agrees to them: that is a second for each of the gateway's pools.
# It ends where less than 5 % of a disk is free, however large the disk: it has a few megabytes to write here.
_CONFIGURATION = """\
[global]
fsid = {cluster}
mon host = {monitors}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {root}/keyring
run dir = {root}
admin socket = {root}/$name.asok
log file = {root}/$name.log
pid file = {root}/$name.pid
mon data = {root}/mon
osd data = {root}/osd
osd objectstore = memstore
memstore device bytes = 6442450944
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd class load list = *
osd class default list = *
mon warn on pool no redundancy = false
mon data avail warn = 1
mon data avail crit = 0
paxos propose interval = 0.02
paxos min wait = 0.01
mon allow pool size one = true
rgw gc obj min wait = 1
rgw gc processor period = 2
[client.rgw.a]
rgw frontends = beast endpoint={host}:{port}
rgw data = {root}/rgw
"""

_KEYS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    "client.rgw.a": {"mon": "allow rwx", "osd": "allow rwx"},
}


@dataclass(frozen=True)
class S3Server:
    """Where the server is, and who may write."""

    endpoint: str
    access_key: str
    secret_key: str
    _gateway: ServerProcess
    _configuration: Path

    def start(self) -> None:
        self._gateway.start()
        self._gateway.wait_until(lambda: _answers(self.endpoint))

    def stop(self) -> None:
        """At once; what was written stays with the daemons behind it."""
        self._gateway.stop(signal.SIGKILL)

    def set_quota(self, limit_bytes: int | None) -> None:
        """How much may lie in each bucket; None is as much as there is room for."""
        command = ("radosgw-admin", "-c", self._configuration, "quota")
        scope = ("--quota-scope=bucket", "--uid=morula")
        if limit_bytes is None:
            _run(*command, "disable", *scope)
        else:
            _run(*command, "set", *scope, f"--max-size={limit_bytes}")
            _run(*command, "enable", *scope)

    def url(self, bucket: str) -> str:
        return f"s3://{bucket}?endpoint={self.endpoint}"


@contextmanager
def s3_server(host: str = "127.0.0.1") -> Iterator[S3Server]:
    """A server, as long as the context lasts, which is asked at this address of the machine."""
    missing = [name for name in PROGRAMS if not program(name)]
    require(not missing, f"Ceph ({', '.join(missing)})", INSTALL)
    root = Path(tempfile.mkdtemp(prefix="mrgw-", dir="/tmp"))
    try:
        with ExitStack() as running:
            yield _start(root, running, host)
    finally:
        shutil.rmtree(root)


def _start(root: Path, running: ExitStack, host: str) -> S3Server:
    monitor_port, old_monitor_port, port = free_ports(3)
    monitors = f"[v2:127.0.0.1:{monitor_port},v1:127.0.0.1:{old_monitor_port}]"
    cluster = str(uuid.uuid4())
    for name in ("mon", "osd", "rgw"):
        (root / name).mkdir()
    configuration = root / "ceph.conf"
    configuration.write_text(_CONFIGURATION.format(cluster=cluster, monitors=monitors, root=root, host=host, port=port))
    _write_keys(root / "keyring")
    _run("monmaptool", "--create", "--fsid", cluster, "--addv", "a", monitors, root / "monmap")
    _run("ceph-mon", "--mkfs", "-i", "a", "--monmap", root / "monmap", "-c", configuration)

    def daemon(*command: str) -> ServerProcess:
        process = ServerProcess([*command, "-f", "-c", str(configuration)], root / f"{command[0]}.output")
        running.callback(process.stop, signal.SIGKILL)  # all is in memory: nothing to save
        return process

    monitor = daemon("ceph-mon", "-i", "a")
    monitor.wait_until(lambda: _accepts(monitor_port))
    number = _run("ceph", "-c", configuration, "osd", "create").strip()
    _run("ceph-osd", "-i", number, "--mkfs", "-c", configuration)
    _run("ceph", "-c", configuration, "osd", "crush", "add", f"osd.{number}", "1.0", "host=lab", "root=default")
    daemon("ceph-osd", "-i", number)
    gateway = daemon("radosgw", "-n", "client.rgw.a")
    endpoint = f"http://{host}:{port}"
    gateway.wait_until(lambda: _answers(endpoint))
    keys = {"--access-key": secrets.token_hex(8), "--secret": secrets.token_hex(16)}
    user = ["--uid=morula", "--display-name=morula", *(part for pair in keys.items() for part in pair)]
    _run("radosgw-admin", "-c", configuration, "user", "create", *user)
    return S3Server(endpoint, keys["--access-key"], keys["--secret"], gateway, configuration)


def _write_keys(keyring: Path) -> None:
    _run("ceph-authtool", "--create-keyring", keyring)
    for name, rights in _KEYS.items():
        caps = [part for service, right in rights.items() for part in ("--cap", service, right)]
        _run("ceph-authtool", keyring, "-n", name, "--gen-key", *caps)


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
    return done.stdout


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _answers(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(endpoint, timeout=2):
            return True
    except OSError:
        return False
