"""Settings come from MORULA_ variables and never change."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from morula.common.folder import FolderStore
from morula.common.settings import ServiceSettings, Tls


def test_variables_are_read_with_their_prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MORULA_ADDRESS", "unix:/tmp/x")
    monkeypatch.setenv("MORULA_TOKEN", "secret")
    monkeypatch.setenv("MORULA_TLS_CERT", "/certs/tls.crt")
    monkeypatch.setenv("MORULA_STORE_URL", f"file://{tmp_path}/o")
    monkeypatch.setenv("MORULA_METRICS_PORT", "")
    settings = ServiceSettings()
    assert settings.address == "unix:/tmp/x"
    assert settings.bearer == "secret"
    assert settings.tls == Tls(certificate=Path("/certs/tls.crt"))
    assert settings.metrics_port is None
    assert isinstance(settings.open_store(), FolderStore)


def test_secrets_are_never_printed() -> None:
    settings = ServiceSettings.model_validate({"token": "geheim", "s3_secret_key": "geheim"})
    assert "geheim" not in repr(settings)
    assert "geheim" not in settings.model_dump_json()


def test_settings_are_frozen_and_bounded() -> None:
    settings = ServiceSettings()
    assert settings.tls is None
    assert settings.bearer is None
    with pytest.raises(ValidationError):
        settings.address = "0.0.0.0:1"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        ServiceSettings(admit=0)
