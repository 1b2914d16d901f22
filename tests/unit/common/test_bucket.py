"""What is asked of a bucket whose server fails."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from morula.common.errors import Unavailable
from morula.common.store import open_store

KEY = "project/slide/plan/abc.parquet"


@pytest.mark.parametrize("status", [None, 503])
def test_a_bucket_is_asked_once_to_delete(status: int | None) -> None:
    """By the second time another may have written there."""
    asked: list[str] = []

    class Failing(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            asked.append(self.path)
            if status:
                self.send_error(status)

    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            store = open_store(
                f"s3://b-b?endpoint=http://127.0.0.1:{server.server_port}", access_key="a", secret_key="b"
            )
            with pytest.raises(Unavailable):
                store.delete(KEY)
        finally:
            server.shutdown()
    assert asked == [f"/b-b/{KEY}"]
