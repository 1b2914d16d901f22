"""The servers that other tests stand on are real."""

import psycopg
import pytest

from morula.common.store import open_store
from tests.servers.ceph import S3Server
from tests.servers.postgres import PostgresServer


def test_postgres_answers_in_a_fresh_database(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)


def test_postgres_that_was_away_has_what_was_written(postgres_server: PostgresServer, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    postgres_server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_url)
    postgres_server.start()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_s3_that_was_away_has_what_was_written(s3_server: S3Server, s3_url: str) -> None:
    store = open_store(s3_url, access_key=s3_server.access_key, secret_key=s3_server.secret_key)
    store.put("default/kept.bin", b"seven")
    s3_server.stop()
    s3_server.start()
    assert store.get("default/kept.bin") == b"seven"
