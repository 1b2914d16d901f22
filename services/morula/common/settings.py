"""What a service is told from outside. Read in `__main__` only and passed on by constructor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from morula.common.cache import DEFAULT_CACHE_BYTES
from morula.common.redaction import keep_secret, keep_url_secret
from morula.common.store import Store, open_store


@dataclass(frozen=True)
class Tls:
    """Files of one side of a TLS connection, PEM."""

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    """Whom to trust; a server that has it asks its callers for a certificate (mTLS)."""


class Settings(BaseSettings):
    """Variables such as `MORULA_ADDRESS`; secrets among them are kept out of every text from the moment they are read.

    A URL is a SecretStr, too: there may be a password in it. What stands below a field is its description for people.
    """

    model_config = SettingsConfigDict(
        env_prefix="MORULA_",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="after")
    def _keep_secrets(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                text = value.get_secret_value()
                keep_url_secret(text) if "://" in text else keep_secret(text)
        return self


class ServiceSettings(Settings):
    """Settings of every service."""

    address: str = "127.0.0.1:0"
    """Where to listen: `host:port` or `unix:/path`."""
    store_url: SecretStr = SecretStr("")
    """The object store: `file:///path` or `s3://bucket?endpoint=http://host:port`."""
    s3_access_key: SecretStr = SecretStr("")
    """Name of the account at the bucket."""
    s3_secret_key: SecretStr = SecretStr("")
    """Its secret."""
    cache_dir: Path | None = None
    """Where objects of a bucket are kept while they are read as files; a private temporary folder by default."""
    cache_bytes: int = Field(default=DEFAULT_CACHE_BYTES, gt=0)
    """How much of them is kept once nobody reads it; the least recently used go first."""
    token: SecretStr | None = None
    """Bearer token that callers must present; none is asked for when it is not set."""
    tls_cert: Path | None = None
    """The server's own certificate, PEM; without it nothing is encrypted."""
    tls_key: Path | None = None
    """The key to it."""
    tls_ca: Path | None = None
    """Certificates to trust; a server that has it asks its callers for theirs (mTLS)."""
    metrics_port: int | None = None
    """Port of `/metrics` for Prometheus, and of `/healthz` and `/readyz`; without it there are none."""
    metrics_host: str = "127.0.0.1"
    """Address of that port."""
    log_level: str = "INFO"
    """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""
    threads: int = Field(default=0, ge=0)
    """Threads for compute; 0 takes what this process may use."""
    admit: int = Field(default=3, ge=1)
    """Calls that may be in at once, the running one included; the next is answered BUSY."""
    drain_s: float = Field(default=0.0, ge=0)
    """Pause between NOT_SERVING and refusing calls, so that balancers can look away."""
    grace_s: float = Field(default=600.0, ge=0)
    """How long calls in flight may take once the server stops."""
    max_connection_age_s: float = Field(default=0.0, ge=0)
    """Age at which a connection is closed gently, so that callers find new servers; 0 is never."""

    @property
    def tls(self) -> Tls | None:
        if not (self.tls_cert or self.tls_key or self.tls_ca):
            return None
        return Tls(certificate=self.tls_cert, key=self.tls_key, authority=self.tls_ca)

    @property
    def bearer(self) -> str | None:
        return self.token.get_secret_value() if self.token else None

    def open_store(self) -> Store:
        return open_store(
            self.store_url.get_secret_value(),
            access_key=self.s3_access_key.get_secret_value(),
            secret_key=self.s3_secret_key.get_secret_value(),
            cache_dir=self.cache_dir,
            cache_bytes=self.cache_bytes,
        )


class ModelSettings(ServiceSettings):
    """Settings of services that know models."""

    weights_dir: Path | None = None
    """Folder of an operator's weights, as `morula models add` fills it."""
