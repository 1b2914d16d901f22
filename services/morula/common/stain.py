"""Stains: their words and their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Stain = Literal["H&E", "IHC", "fluorescence", "other"]
"""What a slide is stained with. IHC is haematoxylin and diaminobenzidine (DAB); others let light through."""
STAINS: tuple[Stain, ...] = get_args(Stain)


def _plain(word: str) -> str:
    return word.lower().replace("&", "").replace(" ", "")


STAIN_WORDS: Mapping[str, Stain] = {_plain(stain): stain for stain in STAINS}
"""As people may type them: a shell takes an ampersand for itself."""
_OTHER_WORDS: Mapping[str, Stain] = {
    "h+e": "H&E",
    "hematoxylinandeosin": "H&E",
    "haematoxylinandeosin": "H&E",
    "hematoxylineosin": "H&E",
    "haematoxylineosin": "H&E",
    "dab": "IHC",
    "immunohistochemistry": "IHC",
    "if": "fluorescence",
    "dapi": "fluorescence",
    "immunofluorescence": "fluorescence",
}
"""What these are called elsewhere."""


def stain_called(word: str) -> Stain | None:
    """The stain that is meant; None where there is none of this name."""
    plain = _plain(word)
    return STAIN_WORDS.get(plain) or _OTHER_WORDS.get(plain)


# Ruifrok and Johnston's vectors, unit length.
_HAEMATOXYLIN = (0.6500, 0.7041, 0.2860)
_EOSIN = (0.0704, 0.9914, 0.1109)
_DAB = (0.2681, 0.5703, 0.7764)

# What is assumed where a slide's own stains make no sense.
FIXED_STAIN_MATRIX: tuple[float, ...] = (*_HAEMATOXYLIN, *_EOSIN)
FIXED_IHC_MATRIX: tuple[float, ...] = (*_HAEMATOXYLIN, *_DAB)


@dataclass(frozen=True)
class Staining:
    """What is known of a slide's stain: its word, and the colours of its two stains where it has them."""

    stain: Stain | None = None
    matrix: Sequence[float] = ()


def fixed_matrix(stain: Stain | None) -> tuple[float, ...]:
    """The usual colours of haematoxylin and the other stain: eosin unless it is IHC."""
    return FIXED_IHC_MATRIX if stain == "IHC" else FIXED_STAIN_MATRIX
