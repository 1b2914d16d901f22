"""Names in files of the published system: of tiles, and what follows from a name about where the tile lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

TILE_PX = 512
NOISE = -1
UNCLASSIFIED = "Unclassified"
NO_CLASSES = frozenset({"", UNCLASSIFIED, "Undetermined"})
ERROR = "Error - "
"""Beginning of what stands in a class's place where none was found out."""
_TILE = re.compile(
    r"(?P<slide>.+)__MAG_(?P<whole>\d{1,3})d(?P<part>\d{2,3})__X_(?P<x>\d{1,9})__Y_(?P<y>\d{1,9})__IDX_\d+"
)


@dataclass(frozen=True)
class TileName:
    """A tile by its name, which says where its corner lies at the scanner's level 0."""

    text: str
    slide: str
    magnification: float
    """As the name tells it: cut off after two digits, in names of before after three."""
    unit: float
    """What the last of these digits is worth."""
    x_px: int
    y_px: int

    @classmethod
    def of(cls, text: str) -> Self | None:
        """None where it is no tile's name."""
        found = _TILE.fullmatch(text)
        if found is None:
            return None
        unit = 10.0 ** -len(found["part"])
        magnification = int(found["whole"]) + int(found["part"]) * unit
        return cls(text, found["slide"], magnification, unit, int(found["x"]), int(found["y"]))

    @property
    def sides_px(self) -> list[int]:
        """The sides that its square at level 0 may have: a name leaves open what was cut off."""
        if self.magnification + self.unit <= 0:
            return []
        longest = round(TILE_PX / max(self.magnification, self.unit / 2))
        shortest = round(TILE_PX / (self.magnification + self.unit))
        return list(range(longest, shortest - 1, -1))


def file_name(path: str) -> str:
    """The last part of a path of any machine: nothing is ever looked for where a file says that it lies."""
    return PurePosixPath(path.replace("\\", "/")).name


def is_class(name: str | None) -> bool:
    """Whether it is the name of a class, and not what stands where there is none."""
    return name is not None and name.strip() not in NO_CLASSES and not name.startswith(ERROR)
