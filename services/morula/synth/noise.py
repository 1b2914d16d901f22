"""Random numbers that are a function of the place: any block can be drawn alone and fits its neighbours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _avalanche(h: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: every input bit reaches every output bit."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


def uniform(seed: int, *keys: Any) -> Floats:
    """Numbers in [0, 1), one for each (broadcast) tuple of whole-number keys."""
    with np.errstate(over="ignore"):  # the hash lives on wrap-around
        h = _avalanche(np.atleast_1d(np.asarray(seed, np.int64)).astype(np.uint64) + _GOLDEN)
        for key in keys:
            h = _avalanche((h ^ np.asarray(key, np.int64).astype(np.uint64)) + _GOLDEN)
    return np.asarray((h >> np.uint64(11)) * 2.0**-53, np.float64)


def value_noise(seed: int, stream: int, x: Any, y: Any, scale_px: float) -> Floats:
    """Smooth noise in [-1, 1] with bumps of about `scale_px`."""
    gx, gy = np.asarray(x, np.float64) / scale_px, np.asarray(y, np.float64) / scale_px
    ix, iy = np.floor(gx).astype(np.int64), np.floor(gy).astype(np.int64)
    tx, ty = gx - ix, gy - iy
    sx, sy = tx**3 * (tx * (6 * tx - 15) + 10), ty**3 * (ty * (6 * ty - 15) + 10)
    near, right, below, beyond = _corners(seed, stream, ix, iy)
    top, low = near * (1 - sx) + right * sx, below * (1 - sx) + beyond * sx
    return np.asarray((top * (1 - sy) + low * sy) * 2 - 1)


def _corners(seed: int, stream: int, ix: Ints, iy: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Random numbers of the four lattice nodes around each place; a dense grid of places shares few nodes."""
    left, top = (int(i.min()) if i.size else 0 for i in (ix, iy))
    across, down = (int(np.ptp(i)) + 2 if i.size else 2 for i in (ix, iy))
    if across * down > 4 * ix.size:
        near, right = uniform(seed, stream, ix, iy), uniform(seed, stream, ix + 1, iy)
        return near, right, uniform(seed, stream, ix, iy + 1), uniform(seed, stream, ix + 1, iy + 1)
    nodes = uniform(seed, stream, left + np.arange(across)[None, :], top + np.arange(down)[:, None]).ravel()
    at = (iy - top) * across + (ix - left)
    return nodes[at], nodes[at + 1], nodes[at + across], nodes[at + across + 1]


def fractal(seed: int, stream: int, x: Any, y: Any, scale_px: float, octaves: int = 3) -> Floats:
    """Value noise of halving scale and weight, about [-1, 1]."""
    parts = [value_noise(seed, stream * 16 + k, x, y, scale_px / 2**k) * 0.5**k for k in range(octaves)]
    return np.asarray(sum(parts) / (2 - 0.5 ** (octaves - 1)))


@dataclass(frozen=True)
class Window:
    """A half-open rectangle of level-0 pixels."""

    x0: int
    y0: int
    x1: int
    y1: int

    def grown(self, margin_px: int) -> "Window":
        return Window(self.x0 - margin_px, self.y0 - margin_px, self.x1 + margin_px, self.y1 + margin_px)

    @property
    def shape(self) -> tuple[int, int]:
        return self.y1 - self.y0, self.x1 - self.x0


@dataclass(frozen=True)
class Lattice:
    """Jittered lattice points of a window with as many private random numbers each as one asks for."""

    seed: int
    stream: int
    ix: Ints
    iy: Ints
    x: Floats
    y: Floats

    @classmethod
    def over(cls, window: Window, seed: int, stream: int, spacing_px: float, jitter: float) -> "Lattice":
        row_px = spacing_px * 0.866  # rows of a triangular lattice
        ys = np.arange(np.floor(window.y0 / row_px) - 1, np.ceil(window.y1 / row_px) + 2, dtype=np.int64)
        xs = np.arange(np.floor(window.x0 / spacing_px) - 2, np.ceil(window.x1 / spacing_px) + 2, dtype=np.int64)
        iy, ix = (a.ravel() for a in np.meshgrid(ys, xs, indexing="ij"))
        x, y = lattice_point(seed, stream, ix, iy, spacing_px, jitter)
        inside = (x >= window.x0) & (x < window.x1) & (y >= window.y0) & (y < window.y1)
        return cls(seed, stream, ix[inside], iy[inside], x[inside], y[inside])

    def uniform(self, k: int, low: float = 0.0, high: float = 1.0) -> Floats:
        return low + (high - low) * uniform(self.seed, self.stream, self.ix, self.iy, k)

    def normal(self, k: int) -> Floats:
        """Box and Muller, cut at three deviations so that no object outgrows its margin."""
        u, v = (
            uniform(self.seed, self.stream, self.ix, self.iy, k, 1),
            uniform(self.seed, self.stream, self.ix, self.iy, k, 2),
        )
        return np.asarray(np.clip(np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v), -3, 3))

    def where(self, keep: NDArray[np.bool_]) -> "Lattice":
        return Lattice(self.seed, self.stream, self.ix[keep], self.iy[keep], self.x[keep], self.y[keep])


def lattice_point(
    seed: int, stream: int, ix: Ints, iy: Ints, spacing_px: float, jitter: float
) -> tuple[Floats, Floats]:
    """Where a lattice node lies; `jitter` is the greatest shift in spacings."""
    jx, jy = uniform(seed, stream, ix, iy, -1) * 2 - 1, uniform(seed, stream, ix, iy, -2) * 2 - 1
    return (ix + 0.5 * (iy % 2) + jitter * jx) * spacing_px, (iy + jitter * jy) * spacing_px * 0.866
