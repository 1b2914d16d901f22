"""What a run needs, as a small folder that travels: images, labels and weights, and a configuration that names them.

`python -m morula.training.packing CONFIG FOLDER [QUALITY]`; `scripts/on-gpu pack` calls it.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from morula.common.errors import InvalidArgument
from morula.common.hashing import sha256_of
from morula.networks import shipped
from morula.networks.files import read_state
from morula.training import objectives
from morula.training.config import Config, Source, data_root, read_config
from morula.training.data import read_source
from morula.training.example import Example
from morula.training.objectives.flow_files import halves

CONFIG = "config.toml"
INDEX = "index.csv"
QUALITY = 85
_CHECKOUT = Path(__file__).parents[3]
_MOST_LABEL = np.iinfo(np.uint16).max
_FULL_COLOUR = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
Say = Callable[[str], None]


def pack(path: Path, folder: Path, quality: int, say: Say) -> Path:
    """The configuration in the folder, beside all that it names. Images are as good as JPEG of that quality is."""
    config, root = read_config(path), data_root(path)
    folder.mkdir(parents=True, exist_ok=True)
    changed: dict[str, Any] = {}
    if initial := objectives.find(config.objective).initial(config):
        changed["settings"] = {**config.settings, "initial": _weights(root / initial, folder)}
    changed["sources"] = tuple(_source(source, root, folder, quality, say) for source in config.sources)
    packed = folder / CONFIG
    packed.write_text(toml(config.model_copy(update=changed)), "utf-8")
    return packed


def _source(source: Source, root: Path, folder: Path, quality: int, say: Say) -> Source:
    """A folder of images in place of whatever the source was."""
    if not source.name or Path(source.name).name != source.name:
        raise InvalidArgument(f"a source that is packed gives a folder its name, which {source.name!r} cannot be")
    place = folder / source.name
    for part in ("images", "labels"):
        (place / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for one in read_source(source, root):
        _write_image(place / "images", one, quality)
        _write_labels(place / "labels", one)
        rows.append((one.name, one.group.removeprefix(f"{source.name}/"), one.kind, one.mpp))
    with (place / INDEX).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "group", "kind", "mpp"), *rows])
    size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    say(f"{source.name}: {len(rows)} images, {size / 2**20:.1f} MiB")
    return Source(
        name=source.name,
        path=source.name,
        index=f"{source.name}/{INDEX}",
        kind_column="kind",
        mpp_column="mpp",
        licence=source.licence,
        credit=source.credit,
    )


def _write_image(folder: Path, example: Example, quality: int) -> None:
    """As JPEG, or as PNG where that is smaller; of one channel where it is gray."""
    image = example.pixels[..., ::-1]
    if not np.ptp(image, axis=2).any():
        image = image[..., 0]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, *_FULL_COLOUR]
    jpeg, png = _encoded(".jpg", image, options), _encoded(".png", image, [])
    ending, content = min((".jpg", jpeg), (".png", png), key=lambda one: len(one[1]))
    (folder / f"{example.name}{ending}").write_bytes(content)


def _write_labels(folder: Path, example: Example) -> None:
    if example.labels.max(initial=0) > _MOST_LABEL:
        raise InvalidArgument(f"{example.key} has labels above {_MOST_LABEL}")
    depth = np.uint8 if example.labels.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16
    content = _encoded(".png", example.labels.astype(depth), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    (folder / f"{example.name}.png").write_bytes(content)


def _encoded(ending: str, image: NDArray[Any], options: list[int]) -> bytes:
    return cv2.imencode(ending, np.ascontiguousarray(image), options)[1].tobytes()


def _weights(path: Path, folder: Path) -> str:
    """A file to learn on from: a link to one that ships in this checkout, else its tensors in half precision."""
    if not path.is_file():
        raise InvalidArgument(f"there is no file {path} to learn on from")
    digest = sha256_of(path)
    for row in shipped.rows("segmenter"):
        for _, file in shipped.files(row):
            if _CHECKOUT in folder.resolve().parents and sha256_of(file) == digest:
                link = folder / file.name
                link.unlink(missing_ok=True)
                link.symlink_to(os.path.relpath(file, folder.resolve()))
                return file.name
    name = f"{path.stem}.safetensors"
    (folder / name).write_bytes(halves(read_state(path)))
    return name


def toml(config: Config) -> str:
    """A configuration as the file that it is read from."""
    return "".join(f"{_value(name)} = {_value(value)}\n" for name, value in config.model_dump(mode="json").items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_value(name)} = {_value(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    quality = int(sys.argv[3]) if sys.argv[3:] else QUALITY
    pack(Path(sys.argv[1]), Path(sys.argv[2]), quality, print)
