"""How images are changed before a network sees them, so that it learns what does not matter.

Everything is drawn from the generator it is given: the same generator gives the same image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from morula.training.red_cells import with_red_cells
from morula.training.smooth import smoothed

Floats = NDArray[np.float32]
Rng = np.random.Generator

_LEAST_RANGE = 1.0
# Directions of optical density: haematoxylin, eosin, diaminobenzidine, and a residual that is nearly grey.
_STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
_MIXES = np.stack([_STAINS[0], _STAINS[1], np.cross(_STAINS[0], _STAINS[1])])


# Red cells are told by their colour alone: in others they would teach that what is smooth and round is no nucleus.
_TRUE_COLOURS = dict.fromkeys(("other_stains_p", "gray_p", "shuffle_p", "invert_p"), 0.0)


class Augmentation(BaseModel):
    """How often and how much. Probabilities end in `_p`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: tuple[float, float] = (0.65, 1.5)
    stain: float = 0.25
    """Spread of the strength of each stain."""
    turn: float = 0.06
    """Spread of the colour of each stain."""
    other_stains_p: float = 0.15
    invert_p: float = 0.1
    gray_p: float = 0.1
    shuffle_p: float = 0.1
    tint_p: float = 0.4
    """Of gray images, which are then shown in one or two colours."""
    red_cells_p: float = 0.0
    """Of stained images, in which red blood cells are then painted between nuclei."""
    smooth_p: float = 0.0
    """Of images whose objects then have no texture: they would be told by it alone from red cells."""
    blur_p: float = 0.25
    blur_px: tuple[float, float] = (0.4, 1.6)
    shrink_p: float = 0.15
    shrink: tuple[float, float] = (1.3, 2.5)
    noise_p: float = 0.35
    noise: float = 0.12
    jpeg_p: float = 0.2
    jpeg_quality: tuple[int, int] = (35, 90)


@dataclass(frozen=True)
class View:
    """A crop of an image as the network sees it."""

    planes: Floats
    """(3, side, side), about 0 to 1."""
    flow: Floats
    """(2, side, side): dy and dx, of length 1 in objects."""
    inside: Floats
    """(side, side): 1 in objects."""


def view(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int32],
    flows: NDArray[np.int8],
    reference: NDArray[np.uint8],
    side_px: int,
    wanted: Augmentation,
    rng: Rng,
    middle: tuple[float, float] | None = None,
) -> View:
    """A random crop: turned, mirrored, scaled, in other colours, less sharp; about a place (x, y), or about any."""
    matrix, turned = _placement(labels.shape, side_px, wanted, rng, middle)
    size = (side_px, side_px)
    crop = np.asarray(cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
    frame = cv2.warpAffine(np.ones(labels.shape, np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    # As floats, which hold every number up to 2^24: integers of this size are not warped.
    placed = cv2.warpAffine(labels.astype(np.float32), matrix, size, flags=cv2.INTER_NEAREST).astype(np.int32)
    inside = (placed > 0).astype(np.float32)
    drawn = cv2.warpAffine(flows.astype(np.float32) / 127, matrix, size, flags=cv2.INTER_LINEAR)
    dx = turned[0, 0] * drawn[..., 1] + turned[0, 1] * drawn[..., 0]
    dy = turned[1, 0] * drawn[..., 1] + turned[1, 1] * drawn[..., 0]
    # Of generators of their own: what is painted changes nothing of what is drawn after.
    painting, smoothing = rng.spawn(2)
    if smoothing.random() < wanted.smooth_p:
        crop = smoothed(crop, placed, smoothing)
    if painting.random() < wanted.red_cells_p and _is_stained(reference):
        crop = with_red_cells(crop, inside, painting)
        wanted = wanted.model_copy(update=_TRUE_COLOURS)
    shown = _planes(crop, reference, wanted, rng) * frame[..., None]
    flow = np.stack([dy, dx]) * inside
    return View(np.ascontiguousarray(np.moveaxis(shown, -1, 0)), flow.astype(np.float32), inside)


def cell_view(
    pixels: NDArray[np.uint8],
    own: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    side_px: int,
    wanted: Augmentation,
    rng: Rng,
    middle: tuple[float, float],
) -> Floats:
    """(4, side, side): a cell as embedders are shown one, and which pixels are its own, changed in the same ways.

    Grey levels are not scaled by the image: what is dark in one slide has to be as dark in another.
    """
    matrix, _ = _placement(own.shape, side_px, wanted, rng, middle)
    size, beyond = (side_px, side_px), cv2.BORDER_REFLECT_101
    crop = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=beyond)
    mask = cv2.warpAffine(own, matrix, size, flags=cv2.INTER_NEAREST, borderMode=beyond)
    planes = _planes(np.asarray(crop, np.uint8), reference, wanted, rng, spans=False)
    return np.concatenate([np.moveaxis(planes, -1, 0), np.asarray(mask, np.float32)[None]])


def _placement(
    shape: tuple[int, ...], side_px: int, wanted: Augmentation, rng: Rng, middle: tuple[float, float] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The affine map from image to crop, and how it turns directions (x, y)."""
    angle, scale = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(*np.log(wanted.scale)))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [mirror, 1.0]
    # The crop's middle is where its own corners stay inside the image, as far as that can be.
    margin = np.minimum(side_px / scale / 2, np.array(shape[::-1]) / 2)
    place = rng.uniform(margin, np.array(shape[::-1]) - margin) if middle is None else np.array(middle)
    linear = turned * scale
    return np.column_stack([linear, side_px / 2 - linear @ place]), turned


def _planes(
    crop: NDArray[np.uint8], reference: NDArray[np.uint8], wanted: Augmentation, rng: Rng, *, spans: bool = True
) -> Floats:
    """Colours changed, and where it `spans` them scaled by what the whole image would then have as dark and bright."""
    if rng.random() < wanted.jpeg_p:
        quality = int(rng.integers(*wanted.jpeg_quality))
        encoded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        crop = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
    sharp = _degraded(crop.astype(np.float32), wanted, rng)
    both = np.concatenate([sharp.reshape(-1, 3), reference.astype(np.float32)])
    both = np.clip(_recoloured(both, len(reference), wanted, rng), 0, 255)
    low, high = np.percentile(both[-len(reference) :], (1, 99), axis=0) if spans else (np.zeros(3), np.full(3, 255.0))
    room = np.where(high - low > _LEAST_RANGE, high - low, np.inf)
    shown = ((both[: -len(reference)] - low) / room).reshape(crop.shape)
    gamma = np.exp(rng.normal(0, 0.2))
    shown = np.sign(shown) * np.abs(shown) ** gamma
    gain = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.05, 3))
    shown = 0.5 + (shown - 0.5) * gain + rng.normal(0, 0.06) + rng.normal(0, 0.03, 3)
    if rng.random() < wanted.noise_p:
        spread = rng.uniform(0.01, wanted.noise)
        grain = rng.standard_normal(shown.shape if rng.random() < 0.5 else (*shown.shape[:2], 1), np.float32)
        shown = shown + spread * grain
    return np.asarray(shown, np.float32)


def _degraded(crop: Floats, wanted: Augmentation, rng: Rng) -> Floats:
    if rng.random() < wanted.shrink_p:
        factor = rng.uniform(*wanted.shrink)
        small = cv2.resize(crop, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        crop = np.asarray(cv2.resize(small, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    if rng.random() < wanted.blur_p:
        crop = np.asarray(cv2.GaussianBlur(crop, (0, 0), rng.uniform(*wanted.blur_px)), np.float32)
    return crop


def _recoloured(both: Floats, reference_count: int, wanted: Augmentation, rng: Rng) -> Floats:
    """Pixels (n, 3) in other colours: the last are those of the whole image."""
    whole = both[-reference_count:]
    if _is_coloured(whole):
        both = _restained(both, wanted, rng)
        if rng.random() < wanted.gray_p:
            both = np.repeat(both @ rng.dirichlet((2, 2, 2)).astype(np.float32)[:, None], 3, axis=1)
        elif rng.random() < wanted.shuffle_p:
            both = both[:, rng.permutation(3)]
    elif rng.random() < wanted.tint_p:
        both = _tinted(both, rng)
    if rng.random() < wanted.invert_p:
        both = 255 - both
    return both


def _is_coloured(pixels: NDArray[Any]) -> bool:
    return float(np.mean(np.ptp(pixels.astype(np.float32), axis=1))) > 4.0


def _is_stained(pixels: NDArray[np.uint8]) -> bool:
    """Coloured, and dark on light."""
    return _is_coloured(pixels) and float(np.median(pixels)) > 127


def _restained(both: Floats, wanted: Augmentation, rng: Rng) -> Floats:
    """Stains taken apart, each a little stronger or weaker and of another hue; sometimes quite other stains."""
    density = -np.log10((both + 1) / 256)
    unit = _MIXES / np.linalg.norm(_MIXES, axis=1, keepdims=True)
    amounts = density @ np.linalg.inv(unit)
    colours = unit.copy()
    if rng.random() < wanted.other_stains_p:
        colours[0], colours[1] = _STAINS[rng.permutation(3)[:2]]
    colours = colours + rng.normal(0, wanted.turn, (3, 3))
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    strengths = np.exp(rng.normal(0, wanted.stain, 3))
    density = (amounts * strengths + rng.normal(0, 0.03, 3)) @ colours
    return np.asarray(256 * 10 ** -np.clip(density, 0, 2.4) - 1, np.float32)


def _tinted(both: Floats, rng: Rng) -> Floats:
    """A gray image in one or two colours, with a little of what a camera adds in the others."""
    weights = rng.permutation([1.0, rng.choice([0.0, rng.uniform(0, 1)]), 0.0])
    dark = rng.uniform(0, 6)
    grain = rng.standard_normal(both.shape, np.float32) * np.float32(rng.uniform(0, 2))
    return np.asarray(both * weights + dark + grain, np.float32)
