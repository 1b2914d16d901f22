"""The servers that other tests stand on are real."""

import psycopg


def test_postgres_answers_in_a_fresh_database(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)
