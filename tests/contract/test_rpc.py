"""The wire, over real channels: errors, retries, limits, the token, ids, metrics, TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from morula.common import errors, tracing
from morula.common.interceptors import CALLS
from morula.common.rpc import MAX_MESSAGE_BYTES, Server, channel
from morula.common.settings import ServiceSettings, Tls
from morula.common.telemetry import bind_job
from morula.common.testing import running
from morula.v1 import artifact_pb2, clusterer_pb2, clusterer_pb2_grpc, tiler_pb2, tiler_pb2_grpc
from tests.contract.rpc_services import (
    SERVING,
    TIMEOUT_S,
    TRACE,
    Clusterer,
    Tiler,
    failure_of,
    health,
    render,
    render_request,
    serving,
    settle_request,
)


@pytest.mark.parametrize("kind", [kind for kind in errors.ALL_ERRORS if kind is not errors.Unavailable])
async def test_an_error_reaches_the_caller_as_itself(kind: type[errors.MorulaError]) -> None:
    service = Tiler(kind("Größe unbekannt", key="a/b"))
    async with running(service) as client:
        failure = await failure_of(render(client))
    assert type(failure) is kind
    assert failure.detail == "Größe unbekannt"
    assert failure.metadata == {"key": "a/b"}
    assert service.call_count == 1  # BUSY among them: only UNAVAILABLE is tried again


async def test_an_unknown_exception_tells_the_caller_nothing_but_where_to_look(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with running(Tiler(OSError("/secret/path"))) as client:
        failure = await failure_of(render(client, metadata=(("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),)))
    assert type(failure) is errors.Internal
    assert failure.detail == "internal error"
    assert failure.metadata == {"trace_id": TRACE}
    assert "/secret/path" in capsys.readouterr().out


async def test_what_is_not_implemented_stays_so() -> None:
    async with running(Tiler()) as client:
        stub = tiler_pb2_grpc.TilerServiceStub(client)
        request = tiler_pb2.InspectSlideRequest(slide=render_request().slide)
        assert type(await failure_of(stub.InspectSlide(request, timeout=TIMEOUT_S))) is errors.Unimplemented
        assert (
            type(await failure_of(client.unary_unary("/morula.v1.X/Y", None, None)(b"", timeout=5)))
            is errors.Unimplemented
        )


@pytest.mark.parametrize("failure", [None, errors.ArtifactChanged("other bytes"), RuntimeError("secret")])
async def test_streams_arrive_and_then_fail_as_calls_do(failure: Exception | None) -> None:
    received: list[int] = []

    async def read(client: grpc.aio.Channel) -> None:
        stub = clusterer_pb2_grpc.ClustererServiceStub(client)
        async for reply in stub.SettleCells(settle_request(), timeout=TIMEOUT_S):
            received.append(reply.progress.done_count)  # noqa: PERF401 - what came before a failure is kept

    async with running(Clusterer(failure)) as client:
        if failure is None:
            await read(client)
        else:
            expected = errors.ArtifactChanged if isinstance(failure, errors.MorulaError) else errors.Internal
            assert type(await failure_of(read(client))) is expected
    assert received == [0, 1, 2]


async def test_missing_fields_are_named_by_their_paths_also_in_streams() -> None:
    async with running(Tiler(), Clusterer()) as client:
        broken = render_request()
        broken.width_px = 0
        broken.slide.files.add(object=artifact_pb2.ObjectRef(key="k"))
        failure = await failure_of(render(client, broken))
        assert type(failure) is errors.MissingField
        assert failure.metadata["fields"] == "width_px, slide.files[1].name, slide.files[1].object.sha256"
        stub = clusterer_pb2_grpc.ClustererServiceStub(client)
        call = stub.SettleCells(clusterer_pb2.SettleCellsRequest(index_key="i"), timeout=TIMEOUT_S)
        failure = await failure_of(call.read())
        assert failure.metadata["fields"] == "identity, outlines_key, shard_list"


async def test_unavailable_is_tried_again_with_large_messages_too() -> None:
    service = Tiler(errors.Unavailable(), errors.Unavailable())
    async with running(service) as client:
        request = render_request("x" * (8 << 20))
        assert (await render(client, request)).jpeg == b"jpeg"
    assert service.call_count == 3


async def test_messages_have_one_limit_and_beyond_it_nobody_is_busy() -> None:
    async with running(Tiler(jpeg=b"x" * (MAX_MESSAGE_BYTES - 100))) as client:
        assert len((await render(client)).jpeg) == MAX_MESSAGE_BYTES - 100
    async with running(Tiler(jpeg=b"x" * (MAX_MESSAGE_BYTES + 1))) as client:
        assert type(await failure_of(render(client))) is errors.TooLarge


async def test_a_server_with_a_token_serves_its_holders_and_health_anyone(socket_path: str) -> None:
    settings = ServiceSettings.model_validate({"address": f"unix:{socket_path}", "token": "right"})
    async with serving(settings, Tiler()):
        for token in (None, "wrong", "right "):
            async with channel(settings.address, token=token) as client:
                assert type(await failure_of(render(client))) is errors.Unauthenticated
                assert await health(client) == SERVING
        async with channel(settings.address) as client:
            # Nothing is sent: a call that was refused while it writes may end as an error of the client itself.
            call = reflection_pb2_grpc.ServerReflectionStub(client).ServerReflectionInfo()
            assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        async with channel(settings.address, token="right") as client:
            assert (await render(client)).jpeg == b"jpeg"


async def test_ids_of_job_and_trace_travel_to_the_service() -> None:
    service = Tiler()

    async def call(client: grpc.aio.Channel) -> None:
        bind_job("job-7")
        with tracing.inside(tracing.parse(f"00-{TRACE}-00f067aa0ba902b7-01")):
            await render(client)

    async with running(service) as client:
        await asyncio.create_task(call(client))
        assert service.seen_ids == {"job_id": "job-7", "trace_id": TRACE}
        await render(client)
        assert "job_id" not in service.seen_ids
        assert service.seen_ids["trace_id"] != TRACE


async def test_calls_are_counted_by_method_and_code() -> None:
    def counted(code: str) -> float:
        return float(CALLS.labels("/morula.v1.TilerService/RenderRegion", code)._value.get())

    before = counted("OK"), counted("NOT_FOUND"), counted("INTERNAL"), counted("INVALID_ARGUMENT")
    async with running(Tiler(errors.ArtifactMissing(), RuntimeError())) as client:
        for _ in range(2):
            await failure_of(render(client))
        await failure_of(render(client, tiler_pb2.RenderRegionRequest()))
        await render(client)
    after = counted("OK"), counted("NOT_FOUND"), counted("INTERNAL"), counted("INVALID_ARGUMENT")
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1, 1]


async def test_reflection_lists_the_services() -> None:
    async with running(Tiler(), Clusterer()) as client:
        stub = reflection_pb2_grpc.ServerReflectionStub(client)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        reply = await call.read()
        names = {service.name for service in reply.list_services_response.service}
    assert {"morula.v1.TilerService", "morula.v1.ClustererService", "grpc.health.v1.Health"} <= names


async def test_calls_are_spread_over_all_servers() -> None:
    services = [Tiler(), Tiler()]
    loopback = ServiceSettings(address="127.0.0.1:0")
    async with (
        serving(loopback, services[0]) as one,
        serving(loopback, services[1]) as two,
        channel(f"ipv4:127.0.0.1:{one.port},127.0.0.1:{two.port}") as client,
    ):
        await client.channel_ready()
        for _ in range(40):
            await render(client)
    assert min(service.call_count for service in services) >= 10


async def test_connections_age_without_a_lost_call() -> None:
    service = Tiler()
    settings = ServiceSettings(address="127.0.0.1:0", max_connection_age_s=0.1)
    async with serving(settings, service) as server, channel(f"dns:///localhost:{server.port}") as client:
        ends = asyncio.get_running_loop().time() + 1
        count = 0
        while asyncio.get_running_loop().time() < ends:
            await render(client)
            count += 1
    assert service.call_count == count


async def test_two_servers_never_share_an_address() -> None:
    async with serving(ServiceSettings(address="127.0.0.1:0"), Tiler()) as server:
        other = Server(ServiceSettings(address=f"127.0.0.1:{server.port}"), [Tiler()])
        with pytest.raises(RuntimeError):
            await other.start()
        await other.stop(0)


def test_a_servicer_must_be_one() -> None:
    async def make() -> None:
        Server(ServiceSettings(), [object()])

    with pytest.raises(TypeError):
        asyncio.run(make())


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls_proves_the_server_and_if_asked_the_caller(certificates: Path, mutual: bool) -> None:
    own = {"tls_cert": certificates / "own.crt", "tls_key": certificates / "own.key"}
    authority = {"tls_ca": certificates / "ca.crt"} if mutual else {}
    settings = ServiceSettings.model_validate({"address": "127.0.0.1:0", **own, **authority})
    trusting = Tls(authority=certificates / "ca.crt")
    proving = Tls(certificates / "own.crt", certificates / "own.key", certificates / "ca.crt")
    async with serving(settings, Tiler()) as server:
        address = f"localhost:{server.port}"
        async with channel(address, tls=proving) as client:
            assert (await render(client)).jpeg == b"jpeg"
        async with channel(address, tls=trusting) as client:
            if mutual:
                assert type(await failure_of(render(client))) is errors.Unavailable
            else:
                assert (await render(client)).jpeg == b"jpeg"
        async with channel(address) as client:
            assert type(await failure_of(render(client))) is errors.Unavailable


async def test_half_a_certificate_is_refused(certificates: Path) -> None:
    server = Server(ServiceSettings(tls_cert=certificates / "own.crt"), [Tiler()])
    with pytest.raises(errors.InvalidArgument):
        await server.start()
    await server.stop(0)
