"""What tiles can be sampled from: a folder that a finished job left, and a slide's file of the published system."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from morula.common.errors import of_artifact
from morula.common.tables import read_metadata, read_tile_places
from morula.evaluator.published_files import ENDING, AnnotatedTile, Annotations, parse
from morula.evaluator.sampling import Ints, Offer
from morula.gateway.samples.published import UNKNOWN, magnification, slide_called, tile_entry
from morula.onebox.failures import Unreadable, WrongUse, read_bytes
from morula.onebox.results import MANIFEST, digest_of, entry_path, find_slides
from morula.tiler.probe import probe
from morula.tiler.readers import open_slide

ANNOTATIONS = "*_annotations.json"
OUTSIDE = -1
"""Tile of a cell that lies in none that was kept."""

Tile = dict[str, Any]


class Source(Protocol):
    """A slide with its cells."""

    @property
    def slide_id(self) -> str: ...
    def offer(self) -> Offer:
        """Its tiles, and how many cells each has."""
        ...

    def tiles(self, numbers: Sequence[int]) -> dict[int, Tile]:
        """Tiles as the published system writes them, with all that is known of their cells."""
        ...

    def picture(self, tile: Tile) -> bytes:
        """A tile's picture, as PNG."""
        ...


class Pictures:
    """Where the pixels are: slides, or pictures of tiles by their names."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._probed: set[str] = set()
        """Slides that a child process could read, which a bad one may end."""

    @cached_property
    def _tiles(self) -> Mapping[str, Path]:
        return {path.name: path for root in self._paths for path in sorted(root.rglob(f"*{ENDING}"))}

    @cached_property
    def _slides(self) -> Mapping[str, Mapping[str, Path]]:
        return {digest_of(files): files for root in self._paths for files in find_slides(root)[0]}

    def tile(self, name: str) -> bytes:
        """The picture of the tile of this name."""
        path = self._tiles.get(f"{name}{ENDING}")
        if path is None:
            raise WrongUse(
                f"there is no picture {name}{ENDING} in {_listed(self._paths)}: name its folder with --pictures"
            )
        return read_bytes(path)

    def slide(self, digest: str, name: str) -> Mapping[str, Path]:
        """The files of the slide with this digest."""
        files = self._slides.get(digest)
        if files is None:
            raise WrongUse(
                f"the slide {name} is not in {_listed(self._paths)}: name its file or folder with --pictures"
            )
        if digest not in self._probed:
            path = entry_path(files)
            probe(path, files.keys() - {path.name})
            self._probed.add(digest)
        return files


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def find_sources(paths: Sequence[Path], pictures: Pictures) -> Iterator[Source]:
    """The slides in these folders and files, by their places."""
    for path in paths:
        found: list[Source] = []
        if path.is_file():
            found.append(PublishedSlide(path, pictures))
        folders = [manifest.parent for manifest in sorted(path.rglob(MANIFEST))]
        found += [JobFolder(folder, pictures) for folder in folders if (folder / "cells.parquet").is_file()]
        found += [PublishedSlide(file, pictures) for file in sorted(path.rglob(ANNOTATIONS))]
        if not found:
            raise WrongUse(f"{path} has neither a finished job's {MANIFEST} and cells.parquet nor {ANNOTATIONS}")
        yield from found


@dataclass(frozen=True)
class JobFolder:
    """What `morula run` left of a slide."""

    path: Path
    pictures: Pictures

    @cached_property
    def slide(self) -> Mapping[str, Any]:
        try:
            manifest = json.loads(read_bytes(self.path / MANIFEST))
            name, digest = str(manifest["slide"]["name"]), str(manifest["slide"]["digest"])
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"{self.path / MANIFEST} does not say of which slide it is") from error
        metadata = read_metadata(self._places)
        return {"name": name, "digest": digest, "slide_mpp": metadata["slide_mpp"], "mpp": metadata["mpp"]}

    @property
    def slide_id(self) -> str:
        return slide_called(self.slide)

    def offer(self) -> Offer:
        tiles = self._places["tile"].to_numpy().astype(np.int64)
        counts = np.bincount(np.searchsorted(tiles, self._tile_of_cell[self._tile_of_cell != OUTSIDE]))
        return Offer(self.slide_id, tiles, np.pad(counts, (0, len(tiles) - len(counts))).astype(np.int64))

    def tiles(self, numbers: Sequence[int]) -> dict[int, Tile]:
        if not numbers:
            return {}
        wanted = np.flatnonzero(np.isin(self._tile_of_cell, numbers))
        cells = self._rows("cells.parquet", ["cell_id", "geometry"], wanted)
        assigned = self._read("assignments.parquet", ["cell_id", "cluster_id", "confidence"])
        found = assigned.filter(pc.is_in(assigned["cell_id"], cells["cell_id"].combine_chunks()))
        clusters = {row["cell_id"]: (row["cluster_id"], row["confidence"]) for row in found.to_pylist()}
        shapes = shapely.from_wkb(cells["geometry"].to_pylist())
        rings = [shapely.get_coordinates(shape.exterior).tolist()[:-1] for shape in shapes]
        ids = cells["cell_id"].to_pylist()
        of_tile = self._tile_of_cell[wanted]
        return {
            number: self._tile(number, [(ids[at], rings[at]) for at in np.flatnonzero(of_tile == number)], clusters)
            for number in numbers
        }

    def _tile(self, number: int, cells: Sequence[tuple[str, Any]], clusters: Mapping[str, tuple[int, float]]) -> Tile:
        at = int(np.searchsorted(self._places["tile"].to_numpy(), number))
        place = {name: self._places[name][at].as_py() for name in self._places.column_names}
        named = {**place, "mpp": self.slide["mpp"], "cell_ids": [cell_id for cell_id, _ in cells]}
        entry = tile_entry(named, self.slide, [ring for _, ring in cells])
        for cell in entry["cells"]:
            cluster, confidence = clusters[cell["uuid"]]
            # No cluster is 0 in our tables, and -1 in its files.
            cell |= {"cluster_id": cluster or -1, "cluster_confidence": round(confidence, 4)}
        return entry | {"width_px": place["width_px"], "height_px": place["height_px"]}

    def picture(self, tile: Tile) -> bytes:
        files = self.pictures.slide(self.slide["digest"], self.slide["name"])
        path = entry_path(files)
        scale = magnification(self.slide, self.slide)
        with open_slide(path, files.keys() - {path.name}) as slide:
            size = (round(tile["width_px"] * scale), round(tile["height_px"] * scale))
            return bytes(imagecodecs.png_encode(slide.read_scaled(tile["x"], tile["y"], 1 / scale, *size)))

    @cached_property
    def _places(self) -> pa.Table:
        with of_artifact("tiles.parquet"):
            return read_tile_places(read_bytes(self.path / "tiles.parquet"))

    @cached_property
    def _tile_of_cell(self) -> Ints:
        """The tile whose half-open square each cell's middle lies in."""
        cells = self._read("cells.parquet", ["x_px", "y_px"])
        tiles = self._places
        columns, rows = (np.unique(tiles[name].to_numpy()) for name in ("x_px", "y_px"))
        grid = np.full((len(rows) + 1, len(columns) + 1), -1)
        grid[np.searchsorted(rows, tiles["y_px"]), np.searchsorted(columns, tiles["x_px"])] = np.arange(len(tiles))
        x, y = (cells[name].to_numpy() for name in ("x_px", "y_px"))
        at = grid[np.searchsorted(rows, y, "right") - 1, np.searchsorted(columns, x, "right") - 1]
        left, top, width, height = (tiles[name].to_numpy()[at] for name in ("x_px", "y_px", "width_px", "height_px"))
        inside = (at >= 0) & (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
        return np.where(inside, tiles["tile"].to_numpy()[at], OUTSIDE).astype(np.int64)

    def _rows(self, name: str, columns: list[str], wanted: Ints) -> pa.Table:
        """Some rows of a table that need not fit into memory."""
        parts, start = [], 0
        try:
            with pq.ParquetFile(self.path / name) as file:
                for batch in file.iter_batches(columns=columns):
                    mine = wanted[(wanted >= start) & (wanted < start + len(batch))] - start
                    parts.append(batch.take(pa.array(mine)))
                    start += len(batch)
        except (OSError, pa.ArrowException) as error:
            raise Unreadable(f"{self.path / name} cannot be read: {error}") from error
        return pa.Table.from_batches(parts)

    def _read(self, name: str, columns: list[str]) -> pa.Table:
        try:
            return pq.read_table(self.path / name, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise Unreadable(f"{self.path / name} cannot be read: {error}") from error


@dataclass(frozen=True)
class PublishedSlide:
    """A slide's file of the published system. Its tiles are numbered as they stand there."""

    path: Path
    pictures: Pictures

    @cached_property
    def _annotated(self) -> Sequence[AnnotatedTile]:
        found = parse(Annotations, read_bytes(self.path), self.path.name).root
        if not found:
            raise WrongUse(f"{self.path} has no tiles")
        return found

    @property
    def slide_id(self) -> str:
        return self._annotated[0].name.partition("__")[0]

    def offer(self) -> Offer:
        counts = np.array([len(tile.cells) for tile in self._annotated], np.int64)
        return Offer(self.slide_id, np.arange(len(counts)), counts)

    def tiles(self, numbers: Sequence[int]) -> dict[int, Tile]:
        return {number: self._tile(self._annotated[number]) for number in numbers}

    def _tile(self, tile: AnnotatedTile) -> Tile:
        cells = [{**UNKNOWN, **cell.model_dump(exclude_unset=True)} for cell in tile.cells]
        named = {"slide_id": self.slide_id, "tile_name": tile.name, "tile_path": f"{self.slide_id}/{tile.name}{ENDING}"}
        return {**named, "magnification": tile.magnification, "x": tile.x, "y": tile.y, "cells": cells}

    def picture(self, tile: Tile) -> bytes:
        return self.pictures.tile(tile["tile_name"])
