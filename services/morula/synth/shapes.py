"""One shape for all: a bent, wobbly ellipse. Nuclei, glands and vessels are of it; outline and raster agree."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from morula.synth.noise import Floats, Lattice

Blobs = NDArray[np.void]  # a structured array of BLOB or of a type that holds its fields

BLOB_FIELDS: list[tuple[str, str]] = [
    ("x", "f8"), ("y", "f8"), ("a", "f8"), ("b", "f8"), ("angle", "f8"), ("bend", "f8"),
    ("w2", "c16"), ("w3", "c16"), ("w5", "c16"),
]  # fmt: skip
OUTLINE_POINTS = 36


def wobble(blobs: Blobs, lattice: Lattice, amount: Any) -> None:
    """Give each blob its own irregularity, of about `amount` of its radius."""
    for k, (name, share) in enumerate((("w2", 0.5), ("w3", 0.7), ("w5", 0.4))):
        phase = 2 * np.pi * lattice.uniform(900 + k)
        blobs[name] = amount * share * lattice.uniform(910 + k) * np.exp(1j * phase)


def enlarged(blobs: Blobs, times: int) -> Blobs:
    """The same shapes on a raster of finer pixels."""
    large = blobs.copy()
    for name in ("x", "y", "a", "b"):
        large[name] *= times
    return large


def outlines(blobs: Blobs, points: int = OUTLINE_POINTS) -> Floats:
    """(blob, point, xy): the closed outline without its last point."""
    z = np.exp(2j * np.pi * np.arange(points) / points)[None, :]
    blob = blobs[:, None]
    r = 1 + np.real(blob["w2"] * z**2 + blob["w3"] * z**3 + blob["w5"] * z**5)
    u, v = r * z.real, r * z.imag
    p, q = u * blob["a"], (v + blob["bend"] * (u * u - 0.4)) * blob["b"]
    c, s = np.cos(blob["angle"]), np.sin(blob["angle"])
    return np.stack([blob["x"] + p * c - q * s, blob["y"] + p * s + q * c], axis=-1)


def radial(blob: Any, x: Any, y: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(t, depth): t is 0 in the middle, 1 on the outline; depth is the distance inside the outline in px (about)."""
    dx, dy = (x - blob["x"]).astype(np.float32), (y - blob["y"]).astype(np.float32)
    c, s = np.float32(np.cos(blob["angle"])), np.float32(np.sin(blob["angle"]))
    u = (dx * c + dy * s) * np.float32(1 / blob["a"])
    v = (dy * c - dx * s) * np.float32(1 / blob["b"]) - np.float32(blob["bend"]) * (u * u - np.float32(0.4))
    rho = np.hypot(u, v) + np.float32(1e-6)
    z = (u + 1j * v) / rho
    z2 = z * z
    z3 = z2 * z
    w2, w3, w5 = (np.complex64(blob[name]) for name in ("w2", "w3", "w5"))
    t = rho / (1 + (w2 * z2 + w3 * z3 + w5 * z2 * z3).real)
    # The gradient of an ellipse's t: steep across, shallow along. Close enough to turn t into pixels.
    steep = np.hypot(u / np.float32(blob["a"]), v / np.float32(blob["b"])) / rho
    return t, (1 - t) / steep


def reach(blob: Any) -> float:
    """No point of the blob is farther from its centre (px)."""
    wide = 1 + abs(blob["w2"]) + abs(blob["w3"]) + abs(blob["w5"])
    return float(np.hypot(wide * blob["a"], (wide + abs(blob["bend"]) * wide * wide) * blob["b"]) + 2)


def box(blob: Any, pad_px: float, shape: tuple[int, int], x0: int, y0: int) -> tuple[slice, slice] | None:
    """The part of a raster at (x0, y0) that the blob and `pad_px` around it can touch; None if it is outside."""
    r = reach(blob) + pad_px
    left, right = max(0, int(blob["x"] - r) - x0), min(shape[1], int(blob["x"] + r) + 2 - x0)
    top, bottom = max(0, int(blob["y"] - r) - y0), min(shape[0], int(blob["y"] + r) + 2 - y0)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None
