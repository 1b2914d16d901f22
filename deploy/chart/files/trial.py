"""`helm test`: a small slide goes in through the API, its cells are found, and it goes again."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from morula.common.testing import write_slide

URL = os.environ["MORULA_URL"]
KEY = os.environ["MORULA_KEY"]
PATIENCE_S = 1800
"""Nodes and workers may have to start first."""
PAUSE_S = 2
ANSWER_S = 900
"""The API itself lets an upload wait 600 s for a tiler that must start first."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trial.tiff")
        # Another picture each time, so that nothing is there from the last.
        write_slide(path, seed=time.time_ns() % 2**32)
        slide = upload(path)
    try:
        job = ended(ask("POST", "/v1/jobs", {"slide_id": slide["id"], "segmenter": "watershed"})["id"])
        if job["state"] != "succeeded" or not job["cell_count"]:
            sys.exit(f"The job ended as {job['state']} with {job['cell_count']} cells: {job['error']}")
        sys.stdout.write(f"{job['cell_count']} cells\n")
    finally:
        ask("DELETE", f"/v1/slides/{slide['id']}")


def ended(job_id: str) -> Any:
    """The job, once it has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        job = ask("GET", f"/v1/jobs/{job_id}")
        if job["state"] in ("succeeded", "failed", "cancelled"):
            return job
        time.sleep(PAUSE_S)
    sys.exit(f"The job has not ended within {PATIENCE_S} s; it waits for {job['waiting_for']}.")


def upload(path: Path) -> Any:
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    return send("POST", "/v1/slides", body, f"multipart/form-data; boundary={boundary}")


def ask(method: str, path: str, body: object = None) -> Any:
    return send(method, path, None if body is None else json.dumps(body).encode(), "application/json")


def send(method: str, path: str, body: bytes | None, media_type: str) -> Any:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": media_type}
    try:
        with urlopen(Request(URL + path, data=body, headers=headers, method=method), timeout=ANSWER_S) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")
    except HTTPError as refusal:
        sys.exit(f"{method} {path} was answered with {refusal.code}: {why(refusal.read().decode(errors='replace'))}")


def why(text: str) -> str:
    """The problem in words; what a proxy says is no JSON."""
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text


if __name__ == "__main__":
    main()
