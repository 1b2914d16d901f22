"""What Morula stands on, and how it is taken away: SQLite and a folder on one small disk, or PostgreSQL and S3."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import boto3

from morula.common.folder import FolderStore
from morula.common.store import Store, open_store
from tests.servers.ceph import S3Server, s3_server
from tests.servers.disks import filled, small_disk
from tests.servers.postgres import PostgresServer, postgres

DISK_BYTES = 1 << 30
Change = Callable[[bytes], bytes]


class Ground(Protocol):
    """A store and databases, each of which can be away for a while."""

    name: str
    store: Store
    environment: dict[str, str]
    """Where programs find the store."""
    gateway_count: int

    def new_database(self) -> str:
        """URL of an empty database."""

    def clear(self) -> None:
        """Empties the store."""

    def damage(self, key: str, change: Change) -> None:
        """Changes an object's bytes behind everybody's back."""

    def database_away(self, seconds: float) -> None:
        """Nobody can use the database for so long."""

    def store_away(self, seconds: float) -> None:
        """Nobody can reach the store for so long."""

    def store_full(self, seconds: float) -> None:
        """Nothing can be written for so long."""


class FolderGround:
    """SQLite and a folder of objects on one disk."""

    name = "SQLite + folder"
    gateway_count = 1

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._objects = disk / "objects"
        self._numbers = itertools.count()
        self.database = disk
        self.store = FolderStore(self._objects)
        self.environment = {"MORULA_STORE_URL": self._objects.as_uri()}

    def new_database(self) -> str:
        shutil.rmtree(self._disk / f"database-{next(self._numbers) - 1}", ignore_errors=True)
        folder = self._disk / f"database-{next(self._numbers)}"
        folder.mkdir()
        self.database = folder / "morula.db"
        return f"sqlite:///{self.database}"

    def clear(self) -> None:
        for stored in list(self.store.list("")):
            self.store.delete(stored.key)

    def damage(self, key: str, change: Change) -> None:
        path = self._objects / key
        path.write_bytes(change(path.read_bytes()))

    def database_away(self, seconds: float) -> None:
        with closing(sqlite3.connect(self.database, isolation_level=None, timeout=60)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            other.execute("ROLLBACK")

    def store_away(self, seconds: float) -> None:
        away = self._objects.with_name("objects-away")
        self._objects.rename(away)
        time.sleep(seconds)
        # Who wrote meanwhile may have made the folder anew: what lies there is a part of the store like the rest.
        if self._objects.exists():
            shutil.copytree(self._objects, away, dirs_exist_ok=True)
            shutil.rmtree(self._objects)
        away.rename(self._objects)

    def store_full(self, seconds: float) -> None:
        with filled(self._disk):
            time.sleep(seconds)


class ServerGround:
    """PostgreSQL and a bucket, with two gateways."""

    name = "PostgreSQL + S3"
    gateway_count = 2

    def __init__(self, database: PostgresServer, objects: S3Server, cache: Path) -> None:
        self._database = database
        self._objects = objects
        self._bucket = "chaos"
        self._s3 = boto3.client(
            "s3",
            endpoint_url=objects.endpoint,
            aws_access_key_id=objects.access_key,
            aws_secret_access_key=objects.secret_key,
            region_name="us-east-1",
        )
        self._s3.create_bucket(Bucket=self._bucket)
        url = objects.url(self._bucket)
        self.store = open_store(url, access_key=objects.access_key, secret_key=objects.secret_key, cache_dir=cache)
        self.environment = {
            "MORULA_STORE_URL": url,
            "MORULA_S3_ACCESS_KEY": objects.access_key,
            "MORULA_S3_SECRET_KEY": objects.secret_key,
            "MORULA_CACHE_DIR": str(cache),
        }

    def new_database(self) -> str:
        return self._database.new_database().replace("postgresql://", "postgresql+psycopg://", 1)

    def clear(self) -> None:
        for stored in list(self.store.list("")):
            self.store.delete(stored.key)

    def damage(self, key: str, change: Change) -> None:
        found = self._s3.get_object(Bucket=self._bucket, Key=key)
        body = change(found["Body"].read())
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, Metadata=found["Metadata"])

    def database_away(self, seconds: float) -> None:
        self._database.stop()
        time.sleep(seconds)
        self._database.start()

    def store_away(self, seconds: float) -> None:
        self._objects.stop()
        time.sleep(seconds)
        self._objects.start()

    def store_full(self, seconds: float) -> None:
        self._objects.set_quota(1)
        time.sleep(seconds)
        self._objects.set_quota(None)


@contextmanager
def folder_ground(root: Path) -> Iterator[Ground]:
    with small_disk(root / "disk", DISK_BYTES) as disk:
        yield FolderGround(disk)


@contextmanager
def server_ground(root: Path) -> Iterator[Ground]:
    with postgres() as database, s3_server() as objects:
        yield ServerGround(database, objects, root / "cache")


GROUNDS = {"local": folder_ground, "servers": server_ground}
