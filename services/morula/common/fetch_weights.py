"""`python -m morula.common.fetch_weights`: copies an operator's weights from a bucket into a folder, and checks them.

It runs before a service does, in the same pod. What lies in the bucket is a folder as `morula models add` fills it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from morula.common.errors import ModelUnavailable, MorulaError
from morula.common.hashing import sha256_of
from morula.common.models import ModelSpec
from morula.common.settings import Settings
from morula.common.store import Store, open_store
from morula.common.telemetry import configure, log
from morula.common.weights import WeightsFolder, read_row

ROW = ".json"


class FetchSettings(Settings):
    """Where weights are fetched from, and where they go."""

    weights_source: SecretStr
    """`s3://bucket/prefix?endpoint=https://host`."""

    weights_dir: Path
    """The folder that is filled; services read it."""

    s3_access_key: SecretStr = SecretStr("")
    """Name of the account at the bucket."""

    s3_secret_key: SecretStr = SecretStr("")
    """Its secret."""


def main() -> None:
    configure("weights")
    settings = FetchSettings()
    source = urlsplit(settings.weights_source.get_secret_value())
    try:
        store = open_store(
            source._replace(path="").geturl(),
            access_key=settings.s3_access_key.get_secret_value(),
            secret_key=settings.s3_secret_key.get_secret_value(),
        )
        for spec in fetch(store, source.path.strip("/"), settings.weights_dir):
            log.info("weights are here", model=spec.name, revision=spec.revision)
    except MorulaError as error:
        sys.exit(str(error))


def fetch(store: Store, prefix: str, folder: Path) -> list[ModelSpec]:
    """Copies rows and the files that they name; the rows, once all of their files have been compared with their
    digests. Whatever else lies there is left alone."""
    start = f"{prefix}/" if prefix else ""
    names = [seen.key.removeprefix(start) for seen in store.survey(start)]
    names = [name for name in names if "/" not in name and not name.startswith(".")]
    rows = [name for name in names if name.endswith(ROW)]
    if not rows:
        raise ModelUnavailable(
            f"no row of a model lies at {start or 'the bucket'}: is it where `morula models add` wrote?"
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = WeightsFolder(folder)
    specs = [_fetch_row(store, start + name, _unfinished(folder / name)) for name in rows]
    wanted = tuple(sha256 for spec in specs for _, sha256 in spec.files)
    for name in names:
        if name.startswith(wanted) and name not in rows and not (folder / name).exists():
            _fetch_file(store, start + name, folder / name)
    for spec in specs:
        weights.files(spec)
    # A row makes its model known.
    for name in rows:
        _unfinished(folder / name).rename(folder / name)
    return weights.rows()


def _unfinished(target: Path) -> Path:
    return target.with_name(f".{target.name}")


def _fetch_row(store: Store, key: str, target: Path) -> ModelSpec:
    _copy(store, key, target)
    return read_row(target)


def _fetch_file(store: Store, key: str, target: Path) -> None:
    unfinished = _unfinished(target)
    _copy(store, key, unfinished)
    # A file of weights is called by its digest.
    if not target.name.startswith(sha256_of(unfinished)):
        unfinished.unlink()
        raise ModelUnavailable(f"{key} is not the file that its name says: it has been changed or damaged")
    unfinished.rename(target)


def _copy(store: Store, key: str, target: Path) -> None:
    with store.open(key) as stream, target.open("wb") as sink:
        shutil.copyfileobj(stream, sink)


if __name__ == "__main__":
    main()
