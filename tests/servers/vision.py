"""A small server that speaks the protocol of OpenAI's chat completions, with answers that a test chooses."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What goes back for one request."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    piece_s: float = 0.0
    """How long each byte takes."""
    breaks_off: bool = False
    """After its first half, or before anything where it has none."""


@dataclass
class Endpoint:
    """The running server, and what it was asked."""

    url: str
    asked: list[Json] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


def completion(content: str | None, *, tokens: int = 100, **message: object) -> Answer:
    """An answer as a model gives it."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, **message}}
    told = {"id": "1", "object": "chat.completion", "model": "seer-1", "choices": [choice]}
    return Answer(json.dumps({**told, "usage": {"total_tokens": tokens}}).encode())


def named(cell_class: str) -> Answer:
    return completion(json.dumps({"reason": "Large, round and dark.", "cell_class": cell_class}))


@contextmanager
def vision_endpoint(answer: Callable[[int], Answer]) -> Iterator[Endpoint]:
    """Serves; the n-th request gets `answer(n)`."""
    endpoint = Endpoint("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            number = len(endpoint.asked)
            endpoint.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            endpoint.keys.append(self.headers.get("Authorization", ""))
            given = answer(number) if self.path == "/v1/chat/completions" else Answer(b"", 404)
            time.sleep(given.after_s)
            if given.breaks_off and not given.body:
                self.close_connection = True
                return
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            if not given.piece_s:
                self.wfile.write(given.body[: len(given.body) // 2] if given.breaks_off else given.body)
                return
            with suppress(ConnectionError):
                for byte in given.body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(given.piece_s)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
