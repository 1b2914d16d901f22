"""The files that a finished job leaves in a folder, whole or not at all."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from morula.common.hashing import sha256_of
from morula.common.keys import STAGE_REVISIONS, slide_digest
from morula.common.models import ModelSpec
from morula.common.slide_sets import SlideFiles, entry_of, files_around, files_below
from morula.gateway.pipeline.params import PIPELINE_REVISION, Choices, make_params
from morula.onebox.client import Client, Json
from morula.onebox.failures import Failure, Unreadable, WrongUse
from morula.onebox.machine import numerics

MANIFEST = "manifest.json"


def find_slides(path: Path) -> tuple[list[dict[str, Path]], list[Path]]:
    """The slides at a path, each as its files, and the files of a folder that belong to none.

    A folder may hold many; a file is one slide, with all others that its format needs.
    """
    try:
        path.stat()
        if path.is_dir():
            files = files_below(path)
            sets, rest = SlideFiles(files).sets()
        elif path.is_file():
            files = files_around(path)
            sets, rest = [SlideFiles(files).set_of(path.name)], []
        else:
            raise Unreadable(f"{path} is neither a file nor a folder")
    except FileNotFoundError as error:
        raise Unreadable(f"{path} is not there; check the path") from error
    except OSError as error:
        raise Unreadable(f"cannot read {error.filename or path}: {error.strerror}") from error
    if not sets:
        raise Unreadable(f"there is no slide in {path}")
    return [_named(files, names) for names in sets], [files[name] for name in rest]


def _named(files: Mapping[str, Path], names: Sequence[str]) -> dict[str, Path]:
    """Files of one slide, named from the folder in which its entry lies."""
    base = files[entry_of(names)].parent
    return {files[name].relative_to(base).as_posix(): files[name] for name in names}


def only_slide(slide: Path) -> dict[str, Path]:
    """The files of the one slide at a path."""
    slides, _ = find_slides(slide)
    if len(slides) > 1:
        raise WrongUse(f"there are {len(slides)} slides in {slide}; name one of them")
    return slides[0]


def entry_path(slide: Mapping[str, Path]) -> Path:
    """The file of a slide that a reader opens."""
    return slide[entry_of(slide)]


def digest_of(slide: Mapping[str, Path]) -> str:
    """The slide's digest, as the gateway will compute it."""
    files = [(name, _sha256(path), path.stat().st_size) for name, path in slide.items()]
    return slide_digest(files, entry_of(slide))


def is_finished(out: Path, digest: str, params: Mapping[str, Any], known: Sequence[ModelSpec]) -> bool:
    """Whether the folder holds the whole result of this slide with these parameters, as this program makes it.

    `known` are the models that there are.
    """
    manifest_path = out / MANIFEST
    if not manifest_path.is_file():
        return False
    try:
        manifest: Json = json.loads(manifest_path.read_bytes())
        ours: Json = manifest["request"]
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{manifest_path} was not written by Morula; choose another folder with --out") from error
    files: Json = manifest.get("files_sha256", {})
    if ours != {"slide_digest": digest, **params} or not files or not _is_current(manifest, params, known):
        return False
    return all(_is_whole(out / name, sha256) for name, sha256 in files.items())


def result_digest_in(out: Path) -> str:
    """Digest of the result whose files lie in the folder."""
    return str(json.loads((out / MANIFEST).read_bytes())["result_digest"])


def stain_in(out: Path) -> str | None:
    """The stain that the result in the folder was made for."""
    stain: str | None = json.loads((out / MANIFEST).read_bytes())["params"].get("stain")
    return stain


def _is_current(manifest: Json, params: Mapping[str, Any], known: Sequence[ModelSpec]) -> bool:
    """Whether the result was made by the steps and models of this program: an upgrade may give another one."""
    made: Json = manifest.get("params", {})
    if "slide_mpp" not in made:
        return False
    choices, stain = Choices(**params), made.get("stain")
    ours = make_params(choices, made["slide_mpp"], known, numerics(), known_stain=stain)
    expected = {
        "pipeline_revision": PIPELINE_REVISION,
        "stage_revisions": STAGE_REVISIONS,
        "params": ours.to_json(),
    }
    return all(manifest.get(name) == value for name, value in expected.items())


def fetch(client: Client, job_id: str, out: Path, request: Mapping[str, object]) -> list[str]:
    """Puts the job's files into the folder; the manifest, which makes them a result, comes last."""
    listed = client.get(f"/v1/jobs/{job_id}/files")["files"]
    with staging(out) as folder:
        for file in listed:
            client.download(f"/v1/jobs/{job_id}/files/{file['name']}", folder / file["name"])
            if not _is_whole(folder / file["name"], file["sha256"]):
                raise Failure(f"{file['name']} arrived damaged; run again")
        names = sorted(file["name"] for file in listed if file["name"] != MANIFEST)
        manifest: Json = json.loads((folder / MANIFEST).read_bytes())
        manifest["request"] = dict(request)
        manifest["files_sha256"] = {name: _sha256(folder / name) for name in names}
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        (out / MANIFEST).unlink(missing_ok=True)
        for name in [*names, MANIFEST]:
            (folder / name).replace(out / name)
    return [*names, MANIFEST]


def check_out(out: Path) -> None:
    """Raises where results cannot be put, before anything is done for them; leaves nothing."""
    with staging(out):
        pass


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A folder inside OUT that never stays; OUT and folders above it go, too, if they were made for nothing."""
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    made = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".morula-", dir=out))
        yield made
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        if made is not None:
            shutil.rmtree(made)
        for folder in missing:
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()


def _unwritable(out: Path, error: OSError) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(f"no disk space left in {out}: free some and run again, or choose another folder with --out")
    return WrongUse(f"cannot write to {out}: {error.strerror}; choose another folder with --out")


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror}") from error
