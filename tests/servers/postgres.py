"""A private PostgreSQL cluster on loopback."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.processes import ServerProcess
from tests.servers.require import free_ports, program, require

INSTALL = "apt-get install postgresql"


@dataclass(frozen=True)
class PostgresServer:
    """A server that can be away for a while."""

    url: str
    """Of its database `postgres`, without a driver's name."""
    _process: ServerProcess
    _check: list[str]

    def new_database(self) -> str:
        """URL of a fresh, empty database."""
        import psycopg  # Only with the gateway's packages.

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url.rsplit("/", 1)[0] + f"/{name}"

    def start(self) -> None:
        self._process.start()
        self.wait()

    def stop(self) -> None:
        """At once and in order: open connections are closed."""
        self._process.stop(signal.SIGINT)

    def wait(self) -> None:
        self._process.wait_until(lambda: subprocess.run(self._check, check=False).returncode == 0)


@contextmanager
def postgres(host: str = "127.0.0.1") -> Iterator[PostgresServer]:
    """A server, as long as the context lasts, which trusts all who reach this address of the machine."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb, server, isready = (program(name, *folders) for name in ("initdb", "postgres", "pg_isready"))
    require(initdb and server and isready, "PostgreSQL", INSTALL)
    assert initdb
    assert server
    assert isready
    options = _unprivileged()
    # Short and below /tmp: a socket's path has at most 107 bytes, and user postgres must reach it.
    root = Path(tempfile.mkdtemp(prefix="mpg-", dir="/tmp"))
    try:
        if options:
            os.chown(root, pwd.getpwnam("postgres").pw_uid, -1)
        create = [initdb, "--auth=trust", "--username=morula", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run([*create, "-D", root / "data"], check=True, capture_output=True, cwd="/", **options)
        with (root / "data" / "pg_hba.conf").open("a") as trusted:
            trusted.write("host all all samenet trust\n")
        (port,) = free_ports(1)
        settings = {
            "listen_addresses": host,
            "port": str(port),
            "unix_socket_directories": str(root),
            "fsync": "off",
            "max_connections": "200",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        process = ServerProcess([server, "-D", str(root / "data"), *flags], root / "output", cwd="/", **options)
        check = [isready, "-q", "-h", host, "-p", str(port), "-U", "morula"]
        running = PostgresServer(f"postgresql://morula@{host}:{port}/postgres", process, check)
        try:
            running.wait()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(root)


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
