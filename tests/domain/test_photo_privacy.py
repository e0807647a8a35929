"""Photos keep their pixels and lose what they say of their maker."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain.photo_privacy import plain
from booking.domain.photos import picture
from booking.domain.rules import Invalid

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"
PLACE = b"GPS 23.0207 N 113.7518 E, Serial 9f2c"


def segment(marker: int, said: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(said) + 2) + said


def exif(side: int | None, order: str = ">") -> bytes:
    entries = [struct.pack(order + "HHIHH", 0x0110, 3, 1, 7, 0)]
    if side is not None:
        entries.append(struct.pack(order + "HHIHH", 0x0112, 3, 1, side, 0))
    mark = b"MM" if order == ">" else b"II"
    tiff = mark + struct.pack(order + "HIH", 42, 8, len(entries)) + b"".join(entries) + bytes(4)
    return b"Exif\0\0" + tiff + PLACE


FRAME = segment(0xC2, struct.pack(">BHHB", 8, 60, 80, 1) + bytes(3))
PIXELS = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd3\x56"
COLOURS = segment(0xE2, b"ICC_PROFILE\0 sRGB")


def jpeg(*before: bytes, after: bytes = b"") -> bytes:
    return (
        b"\xff\xd8"
        + b"".join(before)
        + FRAME
        + PIXELS
        + segment(0xC4, b"table")
        + PIXELS
        + b"\xff\xd9"
        + after
    )


def chunk(sort: bytes, said: bytes) -> bytes:
    return struct.pack(">I", len(said)) + sort + said + struct.pack(">I", zlib.crc32(sort + said))


def test_a_jpeg_keeps_its_colours_and_loses_its_notes_and_what_hangs_on_behind():
    noted = jpeg(
        segment(0xE0, b"JFIF\0"),
        segment(0xE1, exif(None)),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + PLACE),
        segment(0xED, PLACE),
        segment(0xFE, PLACE),
        COLOURS,
        segment(0xE2, b"MPF\0" + PLACE),
        after=jpeg(segment(0xE1, exif(1))),
    )
    assert plain(noted, JPEG) == jpeg(segment(0xE0, b"JFIF\0"), COLOURS)


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("side", [1, 3, 6, 8, 9])
def test_which_side_is_up_stays_known(side, order):
    found = plain(jpeg(segment(0xE1, exif(side, order))), JPEG)
    assert PLACE not in found
    assert (b"Exif" in found) == (side in {3, 6, 8})
    assert found == plain(found, JPEG)
    assert picture(found) == picture(jpeg())
    if side == 6:
        assert found == plain(jpeg(segment(0xE1, exif(6, ">"))), JPEG)


def test_a_png_and_a_webp_lose_their_notes():
    head, rest = (
        chunk(b"IHDR", struct.pack(">II", 80, 60) + bytes(5)),
        chunk(b"IDAT", b"x") + chunk(b"IEND", b""),
    )
    words = b"".join(chunk(sort, PLACE) for sort in (b"eXIf", b"tEXt", b"iTXt", b"zTXt", b"tIME"))
    start = b"\x89PNG\r\n\x1a\n"
    assert plain(start + head + words + rest + PLACE, PNG) == start + head + rest

    def part(sort: bytes, said: bytes) -> bytes:
        return sort + len(said).to_bytes(4, "little") + said + b"\0" * (len(said) % 2)

    def webp(*parts: bytes) -> bytes:
        body = b"WEBP" + b"".join(parts)
        return b"RIFF" + len(body).to_bytes(4, "little") + body

    size = bytes(3) + (79).to_bytes(3, "little") + (59).to_bytes(3, "little")
    pixels = part(b"VP8L", b"\x2fpixels!")
    noted = webp(part(b"VP8X", b"\x2c" + size), pixels, part(b"EXIF", PLACE), part(b"XMP ", PLACE))
    assert plain(noted, WEBP) == webp(part(b"VP8X", b"\x20" + size), pixels)
    assert plain(webp(pixels), WEBP) == webp(pixels)


@given(st.binary(max_size=300), st.sampled_from([JPEG, PNG, WEBP]))
def test_nothing_breaks_it_and_a_picture_stays_the_picture(content, media):
    start = {JPEG: b"\xff\xd8\xff\xe1", PNG: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", WEBP: b"RIFF0000WEBPVP8X"}[
        media
    ]
    found = plain(start + content, media)
    assert plain(found, media) == plain(plain(found, media), media)
    try:
        before = picture(start + content)
    except Invalid:
        return
    assert picture(found) == before
