"""What a JPEG says of itself."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from morula.common.jpeg import header_of, is_whole, jpeg_size

PIXELS = np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)
JPEG = bytes(imagecodecs.jpeg8_encode(PIXELS))
COMMENT = b"\xff\xfe\x00\x08\xff\xda\x00\x02\xff\xd9"  # What looks like a scan and an end is neither.


def progressive() -> bytes:
    """A picture in several scans."""
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, "JPEG", progressive=True)
    return content.getvalue()


def test_its_size_is_known_before_it_is_decoded() -> None:
    assert jpeg_size(JPEG) == (40, 24)
    assert jpeg_size(JPEG[:2] + b"\xff\xe0\x00\x04ab\xff" + JPEG[2:]) == (40, 24)  # a comment, a fill byte
    for broken in (b"", b"noise", JPEG[:30], JPEG[:2] + JPEG[40:]):
        assert jpeg_size(broken) is None


def test_its_header_ends_where_the_pixels_begin() -> None:
    header = header_of(JPEG)
    scan = JPEG.index(b"\xff\xda")
    assert header == JPEG[: scan + 2 + 12]  # Three components of two bytes, and six for the rest.
    assert header_of(JPEG[:2] + COMMENT + JPEG[2:]) == JPEG[:2] + COMMENT + header[2:]
    for broken in (b"", b"noise", header[:-1], JPEG[:scan]):
        assert header_of(broken) == b""


@pytest.mark.parametrize("jpeg", [JPEG, progressive(), JPEG[:2] + COMMENT + JPEG[2:]])
def test_it_is_whole_up_to_its_end_whatever_follows(jpeg: bytes) -> None:
    assert is_whole(jpeg)
    assert is_whole(jpeg + b"\0\0\0\x18ftypmp42x\xff\xday")
    for length in range(0, len(jpeg) - 1, 7):
        assert not is_whole(jpeg[:length])
