"""The life of a gRPC server, written once, and the channel that calls one.

start NOT_SERVING -> warm -> SERVING -> (SIGTERM) NOT_SERVING -> pause for balancers -> finish what is in flight.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from morula.common.errors import InvalidArgument
from morula.common.interceptors import CallerInterceptor, ServerInterceptor, StreamCallerInterceptor
from morula.common.probes import serve_probes
from morula.common.settings import ServiceSettings, Tls
from morula.common.telemetry import log
from morula.common.wire import from_rpc_error

__all__ = ["MAX_MESSAGE_BYTES", "Server", "channel", "from_rpc_error", "serve"]

# Set on both sides: a message over the default of 4 MiB is answered with the status of a busy server.
MAX_MESSAGE_BYTES = 64 << 20
HEALTH_INTERVAL_S = 5.0

_LIMITS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
]

# A shard's call is repeated only where the server never answered; BUSY is the conductor's to requeue.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "3s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


def channel(address: str, *, token: str | None = None, tls: Tls | None = None) -> grpc.aio.Channel:
    """A channel to `host:port`, `dns:///name:port` or `unix:/path`."""
    options = [
        *_LIMITS,
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        ("grpc.enable_retries", 1),
        # Without it a request of more than 256 KiB is not repeated at all.
        ("grpc.per_rpc_retry_buffer_size", 2 * MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # A shard computes for minutes without a byte on the wire.
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # Every channel has its own connection: a test's restarted server is not mistaken for the old one.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    interceptors: list[Any] = [CallerInterceptor(token), StreamCallerInterceptor(token)]
    if tls is None:
        return grpc.aio.insecure_channel(address, options=options, interceptors=interceptors)
    credentials = grpc.ssl_channel_credentials(_read(tls.authority), _read(tls.key), _read(tls.certificate))
    return grpc.aio.secure_channel(address, credentials, options=options, interceptors=interceptors)


class _Health(HealthServicer):  # type: ignore[misc] # it comes without types
    """A health service that can end its watchers: the server would wait for them as for any call in flight."""

    def __init__(self) -> None:
        super().__init__()
        self._ended = asyncio.Event()

    def end_watches(self) -> None:
        self._ended.set()

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - the generated name
        watch = asyncio.ensure_future(super().Watch(request, context))
        ended = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({watch, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            ended.cancel()


class Server:
    """One server with its services, health and reflection."""

    def __init__(
        self,
        settings: ServiceSettings,
        services: Sequence[object],
        *,
        warm: Callable[[], None] | None = None,
        device_check: Callable[[], bool] | None = None,
    ) -> None:
        self._settings = settings
        self._warm = warm
        self._device_check = device_check
        self._health = _Health()
        self._grpc = grpc.aio.server(interceptors=[ServerInterceptor(settings.bearer)], options=_options(settings))
        self._names = [_register(service, self._grpc).full_name for service in services]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflected = (*self._names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(reflected, self._grpc)
        self._watch: asyncio.Task[None] | None = None
        self.port = 0
        self.is_serving = False

    async def start(self) -> None:
        """Listens, NOT_SERVING until the services are warm."""
        await self._set_health(serving=False)
        self.port = _listen(self._grpc, self._settings)
        await self._grpc.start()
        if self._warm:
            await asyncio.to_thread(self._warm)
        await self._set_health(serving=True)
        if self._device_check:
            self._watch = asyncio.create_task(self._watch_device(self._device_check))
        log.info("serving", address=self._settings.address, port=self.port, services=self._names)

    async def stop(self, grace_s: float | None = None) -> None:
        """Takes no new calls and waits for those in flight."""
        await self._flip()
        self._health.end_watches()
        await self._grpc.stop(self._settings.grace_s if grace_s is None else grace_s)

    async def drain(self) -> None:
        """Answers NOT_SERVING and gives balancers time to notice; calls are still taken."""
        await self._flip()
        await asyncio.sleep(self._settings.drain_s)

    async def _flip(self) -> None:
        if self._watch:
            self._watch.cancel()
        self.is_serving = False
        await self._health.enter_graceful_shutdown()

    async def _watch_device(self, check: Callable[[], bool]) -> None:
        while True:
            await asyncio.sleep(HEALTH_INTERVAL_S)
            try:
                healthy = await asyncio.to_thread(check)
            except Exception:  # noqa: BLE001 - whatever a driver raises, the device is not well
                log.exception("device check failed")
                healthy = False
            await self._set_health(serving=healthy)

    async def _set_health(self, *, serving: bool) -> None:
        self.is_serving = serving
        states = health_pb2.HealthCheckResponse
        for name in ("", *self._names):
            await self._health.set(name, states.SERVING if serving else states.NOT_SERVING)


async def serve(
    settings: ServiceSettings,
    services: Sequence[object],
    *,
    warm: Callable[[], None] | None = None,
    device_check: Callable[[], bool] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT; no call that was taken is lost."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Not signal.signal: a handler that raises would tear the loop down under the calls in flight.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(settings, services, warm=warm, device_check=device_check)
    _offer_probes(settings, server)
    try:
        await _until(stopping, server.start())
        await stopping.wait()
        log.info("draining")
        await server.drain()
    finally:
        await server.stop()
        log.info("stopped")


def _offer_probes(settings: ServiceSettings, server: Server) -> None:
    """Serves numbers and probes where a port is named; whoever has that port does not keep us from the calls."""
    if settings.metrics_port is None:
        return
    try:
        serve_probes(settings.metrics_port, settings.metrics_host, lambda: server.is_serving)
    except OSError as error:
        log.warning("no metrics", host=settings.metrics_host, port=settings.metrics_port, detail=str(error))


async def _until(stopping: asyncio.Event, work: Any) -> None:
    """Runs `work`, but no longer than until the stop: a server that is still warming can be told to go."""
    started, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if started.done():
        started.result()
    else:
        started.cancel()


def _options(settings: ServiceSettings) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        *_LIMITS,
        # Otherwise two processes could listen on one port, and each would get some of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    if settings.max_connection_age_s:
        options += [
            ("grpc.max_connection_age_ms", int(settings.max_connection_age_s * 1000)),
            ("grpc.max_connection_age_grace_ms", int(settings.grace_s * 1000)),
        ]
    return options


def _listen(server: grpc.aio.Server, settings: ServiceSettings) -> int:
    tls = settings.tls
    if tls is None:
        return server.add_insecure_port(settings.address)
    if not (tls.certificate and tls.key):
        raise InvalidArgument("TLS needs MORULA_TLS_CERT and MORULA_TLS_KEY")
    authority = _read(tls.authority)
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
    return server.add_secure_port(settings.address, credentials)


def _register(service: object, server: grpc.aio.Server) -> ServiceDescriptor:
    """Adds a servicer by the generated function of the class that it extends."""
    for base in type(service).__mro__:
        if base.__module__.endswith("_pb2_grpc") and base.__name__.endswith("Servicer"):
            getattr(sys.modules[base.__module__], f"add_{base.__name__}_to_server")(service, server)
            messages = sys.modules[base.__module__.removesuffix("_grpc")]
            return messages.DESCRIPTOR.services_by_name[base.__name__.removesuffix("Servicer")]
    raise TypeError(f"{type(service).__name__} extends no generated servicer")


def _read(path: Any) -> bytes | None:
    return path.read_bytes() if path else None
