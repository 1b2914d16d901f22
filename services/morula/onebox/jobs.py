"""A job of the gateway, from when it is asked for until it has ended well."""

from __future__ import annotations

from rich.console import Console

from morula.onebox.client import Client, Json, problem_error
from morula.onebox.failures import Failure
from morula.onebox.progress import follow


def finish(client: Client, job: Json, console: Console) -> Json:
    """The job as it ended; raises what it failed of. Who interrupts this cancels the job."""
    try:
        job = follow(client.watch(job["id"]), console)
    except KeyboardInterrupt:
        client.post(f"/v1/jobs/{job['id']}/cancel")
        raise
    if job["state"] == "cancelled":
        raise Failure("the job was cancelled; run again to continue from what is done")
    if job["state"] == "failed":
        raise problem_error(job["error"] or {})
    return job
