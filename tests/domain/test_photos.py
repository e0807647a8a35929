"""What a picture is by its content."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.photos import LARGEST, picture
from booking.domain.rules import Invalid


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02" + bytes(12)


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    frame = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(12)
    return b"\xff\xd8" + before + frame + b"\xff\xd9"


def webp(sort: bytes, data: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + sort + bytes(4) + data + bytes(12)


SIDE = st.integers(2, 8000)
SEGMENT = b"\xff\xe1" + struct.pack(">H", 6) + b"\xff\xc0Ex"
"""One that holds what looks like the segment with the size."""


@given(SIDE, SIDE)
def test_every_kind_tells_its_size(width, height):
    sizes = struct.pack("<HH", width, height)
    lossless = (width - 1 | (height - 1) << 14).to_bytes(4, "little")
    extended = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    for content, media in (
        (png(width, height), "image/png"),
        (jpeg(width, height), "image/jpeg"),
        (jpeg(width, height, SEGMENT), "image/jpeg"),
        (webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + sizes), "image/webp"),
        (webp(b"VP8L", b"\x2f" + lossless + bytes(5)), "image/webp"),
        (webp(b"VP8X", bytes(4) + extended), "image/webp"),
    ):
        found = picture(content)
        assert (found.media_type, found.width, found.height) == (media, width, height)


@given(st.binary(max_size=200))
def test_nothing_else_is_a_picture_and_nothing_breaks_it(content):
    for start in (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBPVP8X"):
        try:
            found = picture(start + content)
        except Invalid:
            continue
        assert min(found.width, found.height) >= 1
        assert max(found.width, found.height) <= 8000


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "required"),
        (b"GIF89a" + bytes(50), "not_a_photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_a_photo"),
        (png(8001, 10), "too_large_photo"),
        (png(0, 10), "too_large_photo"),
        (png(10, 10) + bytes(LARGEST), "too_large_photo"),
    ],
)
def test_others_are_refused(content, code):
    with pytest.raises(Invalid) as refused:
        picture(content)
    assert refused.value.errors == {"file": code}
