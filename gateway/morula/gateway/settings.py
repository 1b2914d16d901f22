"""Settings of the gateway, read from MORULA_* once, in `__main__`."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from morula.common.compute import cpu_count
from morula.common.models import Profile
from morula.common.settings import Settings
from morula.gateway.pipeline.params import Numerics

GIB = 1024**3


class GatewaySettings(Settings):
    """Where things are, and how much is let in."""

    host: str = "127.0.0.1"
    """Address to listen on. Beyond loopback every request needs an API key, and nothing starts before there is one."""

    port: int = 8100
    """Port to listen on."""

    require_keys: bool = False
    """Ask for an API key on loopback, too; beyond it one is always asked for."""

    first_key: SecretStr | None = None
    """An API key with all scopes that is let in from the start, for example from a secret of the cluster: `morula_`
    and 43 letters, digits, `-` or `_`, which is 256 random bits in base64url. It is in the list of keys as `first`;
    once revoked it stays so."""

    https_cert: Path | None = None
    """Certificate of this server for browsers and programs, PEM, with those between it and its authority; with it
    the gateway speaks HTTPS."""

    https_key: Path | None = None
    """The key to it."""

    forwarded_allow_ips: str = "127.0.0.1"
    """Addresses or networks of proxies, with commas, or `*`: what they say of a request's scheme and sender is
    believed. Name yours where it ends TLS before the gateway."""

    database_url: SecretStr = SecretStr("sqlite:///morula.sqlite")
    """`sqlite:////absolute/path` or `postgresql+psycopg://...`."""

    engine_url: SecretStr | None = None
    """Database of the conductor's engine; on SQLite a file beside the ledger, on PostgreSQL the same database."""

    store_url: SecretStr = SecretStr("file:///var/lib/morula/objects")
    """The object store, the services' own: `file:///path` or `s3://bucket?endpoint=http://host:port`."""

    s3_access_key: SecretStr = SecretStr("")
    """Name of the account at the bucket."""

    s3_secret_key: SecretStr = SecretStr("")
    """Its secret."""

    cache_dir: Path | None = None
    """Where objects of a bucket are kept while they are read as files; a private temporary folder by default."""

    tiler_address: str = "127.0.0.1:9101"
    """Where the tiler listens: `host:port`, `dns:///host:port` or `unix:/path`."""

    segmenter_address: str = "127.0.0.1:9102"
    """Where the segmenter listens."""

    embedder_address: str = "127.0.0.1:9103"
    """Where the embedder listens."""

    clusterer_address: str = "127.0.0.1:9104"
    """Where the clusterer listens."""

    labeller_address: str = "127.0.0.1:9105"
    """Where the labeller listens."""

    evaluator_address: str = "127.0.0.1:9106"
    """Where the evaluator listens."""

    token: SecretStr | None = None
    """Bearer token for the services."""

    tls_ca: Path | None = None
    """Certificates of the services to trust, PEM; with it calls are encrypted."""

    tls_cert: Path | None = None
    """The gateway's own certificate, for services that ask for one."""

    tls_key: Path | None = None
    """The key to it."""

    grace_s: int = Field(default=5, ge=0)
    """How long requests under way, such as uploads, may take once the gateway is told to stop."""

    away_patience_s: float = Field(default=0.0, ge=0)
    """How long an upload, a picture or a draw of tiles waits for a service that is away, as one is that is scaled to
    zero. Jobs wait without end."""

    gpu_services: frozenset[str] = frozenset()
    """Services whose pods need a GPU: where one is away, its jobs say that they wait for a GPU."""

    executor_id: str = "conductor"
    """Who this conductor is; a conductor that starts under the same name carries on with its work."""

    job_concurrency: int = Field(default=2, ge=1)
    """Jobs that this gateway runs at a time; the others wait."""

    shards_in_flight: int = Field(default=8, ge=1, le=8)
    """Shards of one job whose pixels may lie in the store at a time."""

    max_failed_tile_share: float = Field(default=0.01, ge=0, le=1)
    """A job of whose tiles a larger share cannot be read fails."""

    folders: dict[str, Path] = Field(default_factory=dict)
    """Folders that slides may be read from by reference, by the name that requests use."""

    weights_dir: Path | None = None
    """Folder of an operator's weights, the segmenter's own; only its rows are read here."""

    network_dtype: Literal["float32", "bfloat16"] = "float32"
    """What networks compute in: bfloat16 where they can is faster on hardware that has it. Part of what cells
    and vectors of networks are kept under, as are threads, because both may change them."""

    network_threads: int = Field(default=0, ge=0)
    """Threads of networks on a processor: as many as segmenters and embedders have. 0 takes what this process
    may use."""

    clusterer_algorithms: frozenset[str] = frozenset()
    """Ways of clustering beside the one that is always there, for which the clusterer has packages: `umap-dbscan` where
    the extra `paper` is installed, `umap-dbscan-cuml` where `cuml` is and a GPU. Jobs that need another are refused."""

    profile: Profile = "research"
    """What results are for. `commercial` refuses jobs with models whose licence or training data do not clearly allow
    that: those that `morula models` does not list with `yes`."""

    scratch: Path | None = None
    """Where uploads and exports lie until they are in the store; the system's temporary folder where not set."""

    retain_events_days: float = Field(default=7.0, ge=0)
    """For how many days listeners can still hear of a change."""

    retain_event_count: int = Field(default=100_000, ge=1000)
    """And of how many changes at least."""

    retain_layer_count: int = Field(default=20, ge=1)
    """Newest versions of a labelling's layers that are kept; older ones can be learnt again."""

    retain_sheets_days: float = Field(default=30.0, ge=1)
    """How long pictures of cells are kept; they are drawn again when somebody looks."""

    retain_workflows_days: float = Field(default=7.0, ge=0)
    """How long the engine remembers jobs that have ended."""

    max_upload_bytes: int = 64 * GIB
    """Largest upload."""

    allowed_hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "[::1]"})
    """Names under which the gateway may be asked for; others are refused, but at `/healthz`, `/readyz` and `/metrics`.
    Beyond loopback: those under which people and programs reach it."""

    log_level: str = "INFO"
    """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""

    @property
    def is_reachable(self) -> bool:
        """Whether it listens beyond loopback."""
        try:
            return not ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host != "localhost"

    @property
    def asks_for_keys(self) -> bool:
        """Whether requests need a key."""
        return self.require_keys or self.is_reachable

    @property
    def numerics(self) -> Numerics:
        """How networks compute."""
        return Numerics(self.network_dtype, self.network_threads or cpu_count())

    @property
    def store_is_local(self) -> bool:
        """Whether the store is a folder of this machine, maybe on the disk of the scratch."""
        return self.store_url.get_secret_value().startswith("file:")

    @property
    def conductor_url(self) -> str:
        """Database of the conductor's engine."""
        if self.engine_url is not None:
            return self.engine_url.get_secret_value()
        database_url = self.database_url.get_secret_value()
        if database_url.startswith("sqlite"):
            path = Path(database_url.removeprefix("sqlite:///"))
            return f"sqlite:///{path.with_name('engine.sqlite')}"
        return database_url
