"""Fixtures for all tests: real servers, real data where there is some, small doubles."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from xdist.remote import Producer

from morula.common import redaction
from morula.common.folder import FolderStore
from morula.common.testing import temporary_store
from tests.servers.ceph import S3Server
from tests.servers.ceph import s3_server as start_s3_server
from tests.servers.data import data_dir  # noqa: F401 - a fixture
from tests.servers.postgres import PostgresServer, postgres
from tests.servers.require import require
from tests.servers.sharing import SharedServers

ROOT = Path(__file__).resolve().parent.parent


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedServers | None:
    """Where files are shared out among workers."""
    return SharedServers(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def other_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test keeps secret is a plain word to the next."""
    monkeypatch.setattr(redaction, "_forms", set())
    monkeypatch.setattr(redaction, "_pattern", None)


@pytest.fixture
def folder_store() -> Iterator[FolderStore]:
    with temporary_store() as store:
        yield store


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server on loopback."""
    with start_s3_server() as server:
        yield server


@pytest.fixture
def s3_url(s3_server: S3Server) -> str:
    """Store URL of a fresh bucket; keys are those of `s3_server`."""
    bucket = f"test-{secrets.token_hex(6)}"
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint,
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=bucket)
    client.close()
    return s3_server.url(bucket)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL server."""
    with postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """URL of a fresh, empty database: `postgresql://...`; SQLAlchemy wants `postgresql+psycopg://`."""
    return postgres_server.new_database()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ca.crt`, and `own.crt` with `own.key` for localhost that it signed."""
    require(shutil.which("openssl"), "openssl", "apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test ca", "-days", "2")
    openssl("req", *key, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "own.csr", "-out", "own.crt", *signing)
    return folder
