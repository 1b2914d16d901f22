"""A worker's plain port, as kubelets and Prometheus ask it."""

from __future__ import annotations

import urllib.error
import urllib.request

from morula.common.probes import serve_probes


def test_numbers_and_probes_are_served_on_loopback() -> None:
    serving = False
    server, thread = serve_probes(0, "127.0.0.1", lambda: serving)
    host, port = server.server_address[:2]

    def ask(path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    try:
        assert host == "127.0.0.1"
        assert b"python_info" in ask("/metrics")[1]
        assert (ask("/healthz")[0], ask("/readyz")[0], ask("/")[0]) == (200, 503, 404)
        serving = True
        assert ask("/readyz")[0] == 200
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
