"""What a photo says of where, when and by whom it was taken is left out of it; its pixels stay as they are."""

import re
import struct
from collections.abc import Iterator

from booking.domain.papers import JPEG, PNG
from booking.domain.photos import WEBP

_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""What ends the pixels of a scan: no stuffed byte, no restart."""

_PNG_WORDS = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"tIME"})
_WEBP_WORDS = frozenset({b"EXIF", b"XMP "})
_WEBP_FLAGS = 0x08 | 0x04
"""Those by which a WebP says that it has such parts."""


def plain(content: bytes, media_type: str) -> bytes:
    """Give a picture without its notes; the side on which a camera was held stays, or it would lie."""
    if media_type == JPEG:
        return b"\xff\xd8" + b"".join(_jpeg(content))
    if media_type == PNG:
        return content[:8] + b"".join(_png(content))
    return _webp(content) if media_type == WEBP else content


def _jpeg(content: bytes) -> Iterator[bytes]:
    """Walk over the segments; what follows the end of the picture is left out."""
    at = 2
    while at + 3 < len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            break
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == 0xDA:  # the pixels follow, up to the next segment
            found = _NEXT_MARKER.search(content, end)
            end = found.start() if found else len(content)
        yield _kept(marker, content[at:end])
        at = end
    if content[at : at + 1] not in {b"", b"\xff"}:
        yield content[at:]  # no segments any more: left as it is
    else:
        yield b"\xff\xd9"


def _kept(marker: int, segment: bytes) -> bytes:
    """Give what stays of a segment: all of what a picture is drawn by, of the notes the side that is up."""
    said = segment[4:]
    if marker == 0xE1:
        side = _side_up(said) if said.startswith(_EXIF) else 1
        return _turned(side) if side != 1 else b""
    notes = marker == 0xFE or 0xE3 <= marker <= 0xED or marker == 0xEF
    if notes or (marker == 0xE2 and not said.startswith(b"ICC_PROFILE\0")):
        return b""
    return segment


def _side_up(exif: bytes) -> int:
    """Read from the notes of a camera how it was held, 1 to 8; 1 where they do not say."""
    tiff = exif[len(_EXIF) :]
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2], "")
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4) if order else (0,)
        (count,) = struct.unpack_from(order + "H", tiff, first) if first else (0,)
        for number in range(count):
            tag, kind, _many, value = struct.unpack_from(order + "HHIH", tiff, first + 2 + 12 * number)
            if tag == _ORIENTATION and kind == 3 and 1 <= value <= 8:
                return int(value)
    except struct.error:
        return 1
    return 1


def _turned(side: int) -> bytes:
    said = _EXIF + struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, side, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", len(said) + 2) + said


def _png(content: bytes) -> Iterator[bytes]:
    at = 8
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        sort = content[at + 4 : at + 8]
        if sort not in _PNG_WORDS:
            yield content[at:end]
        at = end
        if sort == b"IEND":
            return
    yield content[at:]


def _webp(content: bytes) -> bytes:
    parts, at, dropped = [], 12, False
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if content[at : at + 4] in _WEBP_WORDS:
            dropped = True
        else:
            parts.append(content[at:end])
        at = end
    if not dropped:
        return content
    if parts and parts[0][:4] == b"VP8X" and len(parts[0]) > 8:
        flags = parts[0][8] & ~_WEBP_FLAGS
        parts[0] = parts[0][:8] + bytes([flags]) + parts[0][9:]
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
