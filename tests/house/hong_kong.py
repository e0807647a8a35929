"""Writes the catalogue of Hong Kong anew from the Simplified one: `python -m tests.house.hong_kong`.

What somebody translated otherwise stays, where the comment above it says so: `# by hand`.
"""

import io
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from booking.domain.characters import hong_kong

TRANSLATIONS = Path(__file__).resolve().parents[2] / "booking" / "translations"
SIMPLIFIED = TRANSLATIONS / "zh_Hans_CN" / "LC_MESSAGES" / "messages.po"
HONG_KONG = TRANSLATIONS / "zh_Hant_HK" / "LC_MESSAGES" / "messages.po"
BY_HAND = "by hand"
HEADERS = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")


def derived() -> bytes:
    """Give the catalogue of Hong Kong: the Simplified one in Traditional characters, and what is by hand."""
    source = _read(SIMPLIFIED, "zh_Hans_CN")
    kept = _read(HONG_KONG, "zh_Hant_HK") if HONG_KONG.exists() else Catalog()
    made = _Catalog(
        locale="zh_Hant_HK", project="Yiqi", fuzzy=False, header_comment="# Yiqi in Traditional Chinese."
    )
    for message in source:
        if not message.id:
            continue
        own = kept.get(message.id, message.context)
        by_hand = own is not None and BY_HAND in own.user_comments
        made.add(
            message.id,
            own.string if own is not None and by_hand else _converted(message.string),
            flags=message.flags,
            user_comments=[BY_HAND] if by_hand else [],
            context=message.context,
        )
    written = io.BytesIO()
    write_po(written, made, width=0, sort_output=True, no_location=True)
    return written.getvalue()


class _Catalog(Catalog):
    """A catalogue whose header holds nothing that changes from day to day."""

    @property
    def mime_headers(self):
        return [header for header in super().mime_headers if header[0] in HEADERS]


def _read(path: Path, locale: str) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=locale)


def _converted(said):
    return hong_kong(said) if isinstance(said, str) else tuple(hong_kong(form) for form in said)


if __name__ == "__main__":
    HONG_KONG.parent.mkdir(parents=True, exist_ok=True)
    HONG_KONG.write_bytes(derived())
