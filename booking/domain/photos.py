"""Photos of instruments: what a picture is by its content, how wide and high, and how large it may be."""

import struct
from dataclasses import dataclass

from booking.domain.papers import JPEG, MEGABYTE, PNG
from booking.domain.rules import Invalid

WEBP = "image/webp"
LARGEST = 5 * MEGABYTE
LARGEST_SMALL = 200 * 1024
"""A picture of up to so many bytes may stand in a list."""

MOST_PIXELS = 8000
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture is, and its size in pixels."""

    media_type: str
    width: int
    height: int


def picture(content: bytes, *, field: str = "file") -> Picture:
    """Tell what a picture is by its first bytes; what cannot be measured is none.

    :raises Invalid: if there is none, it is no JPEG, PNG or WebP, or is too large
    """
    if not content:
        raise Invalid({field: "required"})
    if len(content) > LARGEST:
        raise Invalid({field: "too_large_photo"})
    found = _png(content) or _webp(content) or _jpeg(content)
    if found is None:
        raise Invalid({field: "not_a_photo"})
    if not 1 <= max(found.width, found.height) <= MOST_PIXELS or min(found.width, found.height) < 1:
        raise Invalid({field: "too_large_photo" if max(found.width, found.height) > 1 else "not_a_photo"})
    return found


def _png(content: bytes) -> Picture | None:
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or content[12:16] != b"IHDR" or len(content) < 33:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return Picture(PNG, width, height)


def _webp(content: bytes) -> Picture | None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP" or len(content) < 30:
        return None
    sort, data = content[12:16], content[20:30]
    if sort == b"VP8X":
        return Picture(
            WEBP, 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
        )
    if sort == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return Picture(WEBP, 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if sort == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[6:10])
        return Picture(WEBP, width & 0x3FFF, height & 0x3FFF)
    return None


def _jpeg(content: bytes) -> Picture | None:
    """Walk over the segments of a JPEG to the one that tells its size."""
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return Picture(JPEG, width, height)
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
