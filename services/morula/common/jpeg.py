"""Reads the headers of a JPEG before it is decoded, because decoders trust them."""

from __future__ import annotations

from collections.abc import Iterator

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SCAN, END = 0xDA, 0xD9
RESTARTS = range(0xD0, 0xD8)


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """Width and height that the frame's header states; None where there is none."""
    for marker, start, _ in _segments(jpeg):
        if marker in FRAMES and start + 9 <= len(jpeg):
            return int.from_bytes(jpeg[start + 7 : start + 9], "big"), int.from_bytes(
                jpeg[start + 5 : start + 7], "big"
            )
    return None


def header_of(jpeg: bytes) -> bytes:
    """All up to the first byte of pixels; empty where there are none."""
    for marker, _, stop in _segments(jpeg):
        if marker == SCAN and stop <= len(jpeg):
            return jpeg[:stop]
    return b""


def is_whole(jpeg: bytes) -> bool:
    """Whether the picture has an end marker; bytes after it do not matter."""
    return END in _later_markers(jpeg)


def scan_count(jpeg: bytes) -> int:
    """How often a decoder goes over the picture: more than once where it sharpens as it loads."""
    return bool(header_of(jpeg)) + sum(marker == SCAN for marker in _later_markers(jpeg))


def _later_markers(jpeg: bytes) -> Iterator[int]:
    """Markers among and behind the pixels, up to the picture's end."""
    place = len(header_of(jpeg))
    while place:
        place = jpeg.find(b"\xff", place)
        if not 0 <= place < len(jpeg) - 1:
            return
        marker = jpeg[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker == 0 or marker in RESTARTS:
            place += 2
        else:  # Tables or a scan's header.
            yield marker
            if marker == END:
                return
            place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and stop of each segment before the pixels, of which the last is the scan's header."""
    place = 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF:
        marker = jpeg[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        stop = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        yield marker, place, stop
        if marker == SCAN:
            return
        place = stop
