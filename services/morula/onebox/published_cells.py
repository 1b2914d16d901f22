"""Cells of a tile of the published system: masks with what was said of each, as rows of the file of imported cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import find_objects
from skimage.draw import polygon2mask

from morula.common import imported
from morula.common.published import TILE_PX
from morula.onebox.failures import Unreadable
from morula.onebox.published_run import Known, Remarks, TileFiles, boxes_of

Labels = NDArray[np.int32]
NOTHING = Known()
FORMATS = ("PNG", "JPEG", "TIFF")
LARGEST_LABEL = 2**31 - 1


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A tile's pixels; Unreadable where it is no whole picture of a tile's size."""
    return np.asarray(_opened(path, "RGB"), np.uint8)


def read_mask(path: Path) -> Labels:
    """A tile's labels."""
    pixels = np.asarray(_opened(path, None))
    if pixels.ndim != 2:
        raise Unreadable(f"{path} has colours: a mask has a label in each pixel")
    if pixels.dtype.kind not in "uib" or pixels.min() < 0 or pixels.max() > LARGEST_LABEL:
        raise Unreadable(
            f"{path} has {pixels.dtype} from {pixels.min()} to {pixels.max()}: labels are whole numbers from 0 to "
            f"{LARGEST_LABEL}"
        )
    return pixels.astype(np.int32)


def _opened(path: Path, mode: str | None) -> Any:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            # Before a pixel is decoded: what a picture says of its size may be more than there is memory.
            if picture.size != (TILE_PX, TILE_PX):
                raise Unreadable(f"{path} has {picture.width} x {picture.height} px: a tile has {TILE_PX} x {TILE_PX}")
            return picture.convert(mode) if mode else np.array(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(f"{path} cannot be read as a picture: {error}") from error


def rows_of_tile(
    tile: TileFiles, known: Mapping[int, Known], corner: tuple[int, int], remarks: Remarks
) -> Iterator[dict[str, Any]]:
    """Rows of the cells of a tile whose corner lies at this place of the assembled slide."""
    labels = _labels(tile, known, remarks)
    boxes = {one.label_id: one.bbox for one in boxes_of(tile.boxes).root} if tile.boxes else {}
    # Numbered anew, because what is looked for is a list as long as the largest label.
    numbers, dense = np.unique(np.append(0, labels), return_inverse=True)
    places = find_objects(dense[1:].reshape(labels.shape))
    found = {int(label): place for label, place in zip(numbers[1:], places, strict=True)}
    for label in sorted((boxes.keys() | known.keys()) - found.keys()):
        remarks.add("cells have no mask, nor an outline in its place: they are left out", f"{tile.name.text} {label}")
    for label, (rows, columns) in found.items():
        box = (columns.start, rows.start, columns.stop - 1, rows.stop - 1)
        if boxes and boxes.get(label) != box:
            remarks.add("cells have another box than their mask: the mask counts", f"{tile.name.text} {label}")
        mask = labels[rows, columns] == label
        if cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] > 2:
            remarks.add("cells are in pieces: the largest is kept", f"{tile.name.text} {label}")
        said = known.get(label, NOTHING)
        if said.cluster is None:
            remarks.add("cells are in no cluster: they become noise", f"{tile.name.text} {label}")
        elif said.confidence is None:
            remarks.add("cells have a cluster and no confidence: it becomes 0", f"{tile.name.text} {label}")
        yield {
            "x_px": corner[0] + columns.start,
            "y_px": corner[1] + rows.start,
            "width_px": mask.shape[1],
            "height_px": mask.shape[0],
            "mask": imported.pack(mask),
            "cluster": imported.NO_CLUSTER if said.cluster is None else said.cluster,
            "confidence": said.confidence or 0.0,
            "class": said.pred_class,
            "tile": tile.name.text,
            "label": label,
            "number": said.number,
        }


def _labels(tile: TileFiles, known: Mapping[int, Known], remarks: Remarks) -> Labels:
    if tile.mask is not None:
        return read_mask(tile.mask)
    drawn = {label: said.polygon for label, said in known.items() if len(said.polygon) > 2}
    labels: Labels = np.zeros((TILE_PX, TILE_PX), np.int32)
    if tile.boxes is not None or known:
        instead = "the outlines of the slide's JSON are in their place" if drawn else "they have no cells"
        remarks.add(f"tiles have no mask: {instead}", tile.name.text)
    for label, outline in drawn.items():
        # Its outlines run through the middles of pixels, halfway between those inside and those outside.
        ring = np.asarray(outline, np.float64)[:, ::-1]
        labels[polygon2mask((TILE_PX, TILE_PX), ring)] = label  # type: ignore[no-untyped-call]
    return labels
