"""Every log line is JSON and carries the ids of the call it belongs to."""

import json
import subprocess
import sys

import pytest
import structlog

from morula.common import tracing
from morula.common.telemetry import bind_call, bind_job, current_ids

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def clean_context() -> None:
    structlog.contextvars.clear_contextvars()


def test_ids_of_a_call_go_on_with_the_calls_it_makes() -> None:
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-job-id": "job-1", "baggage": "of=anybody"}
    with tracing.answering("call", headers, {}):
        bind_call(headers)
        sent = current_ids()
    assert sent.keys() == {"traceparent", "x-job-id"}
    assert sent["x-job-id"] == "job-1"
    _, trace_id, span_id, _ = sent["traceparent"].split("-")
    assert trace_id == TRACE
    assert span_id != "00f067aa0ba902b7", "what is called is below the call, not beside it"


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}])
def test_a_call_without_a_trace_starts_one(headers: dict[str, str]) -> None:
    with tracing.answering("call", headers, {}):
        assert current_ids() == {"traceparent": f"00-{tracing.current_trace_id()}-{tracing.current().span_id:016x}-03"}


def test_who_is_not_to_be_told_of_makes_calls_that_are_not() -> None:
    with tracing.inside(tracing.unsampled()), tracing.answering("call", current_ids(), {}) as span:
        assert current_ids()["traceparent"].endswith("-00")
        assert not span.is_recording()


def test_a_named_span_is_found_again_by_its_name() -> None:
    above = tracing.root("job")
    assert tracing.named(above, "cut") == tracing.named(tracing.root("job"), "cut")
    others = [above, tracing.named(above, "cut"), tracing.named(above, "embed"), tracing.root("other")]
    assert len({span.span_id for span in others}) == len(others)


@pytest.mark.parametrize("job_id", ["a\nb", "x" * 129, "<script>", ""])
def test_odd_job_ids_stay_out_of_the_logs(job_id: str) -> None:
    bind_call({"x-job-id": job_id, "traceparent": "nonsense"})
    assert "job_id" not in structlog.contextvars.get_contextvars()


def test_log_lines_are_json_with_service_and_ids() -> None:
    script = (
        "from morula.common import tracing\n"
        "from morula.common.telemetry import bind_job, configure, log\n"
        "configure('tiler', 'INFO')\n"
        "bind_job('job-9')\n"
        "log.debug('unheard')\n"
        "with tracing.inside(tracing.root('job')):\n    log.info('cut', tile_count=3)\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('broken')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    cut, broken = (json.loads(line) for line in done.stderr.splitlines())
    assert (cut["event"], cut["level"], cut["service"], cut["job_id"]) == ("cut", "info", "tiler", "job-9")
    assert (cut["tile_count"], cut["trace_id"]) == (3, f"{tracing.root('job').trace_id:032x}")
    assert "trace_id" not in broken
    assert broken["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_what_libraries_log_is_json_too() -> None:
    script = (
        "import logging\n"
        "from morula.common.telemetry import bind_job, configure\n"
        "configure('gateway', 'INFO')\n"
        "bind_job('job-9')\n"
        "logging.getLogger('uvicorn.error').info('unheard')\n"
        "try:\n    1 / 0\n"
        "except ZeroDivisionError:\n    logging.getLogger('uvicorn.error').exception('broken %s', 'pipe')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    [line] = [json.loads(line) for line in done.stderr.splitlines()]
    assert (line["event"], line["level"], line["service"], line["job_id"]) == (
        "broken pipe",
        "error",
        "gateway",
        "job-9",
    )
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_a_job_is_bound_for_what_follows() -> None:
    bind_job("job-2")
    assert current_ids()["x-job-id"] == "job-2"
