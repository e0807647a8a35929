"""Papers of bookings: how many, how large, and what a file is by its content, whatever its name says."""

from booking.domain.rules import Invalid

MEGABYTE = 1024 * 1024
LARGEST = 10 * MEGABYTE
MOST = 20
LONGEST_TITLE = 300
LONGEST_NUMBER = 100

PDF, PNG, JPEG, TEXT = "application/pdf", "image/png", "image/jpeg", "text/plain"
ENDINGS = {PDF: ".pdf", PNG: ".png", JPEG: ".jpg", TEXT: ".txt"}
"""What the file of each type is called; no others are kept."""


def media_type(content: bytes) -> str:
    """Tell what a file is by its first bytes; text is what decodes as UTF-8 without control characters.

    A file that could be read as two things is taken for the harmless one, and is only ever given out as such.

    :raises Invalid: if it is too large, empty, or none of the kinds that are kept
    """
    if not content:
        raise Invalid({"file": "required"})
    if len(content) > LARGEST:
        raise Invalid({"file": "too_large_file"}, most=LARGEST // MEGABYTE)
    if content.startswith(b"%PDF-"):
        return PDF
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if content.startswith(b"\xff\xd8\xff"):
        return JPEG
    if _is_text(content):
        return TEXT
    raise Invalid({"file": "unknown_file"})


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    if any(character < " " and character not in "\t\r\n\f" for character in text):
        return False
    # Pages and drawings that a browser would run are text too, and are no papers.
    start = text.lstrip()[:200].lower()
    return not start.startswith(("<!doctype", "<html", "<svg", "<?xml", "<script"))


def file_name(title: str, media: str) -> str:
    """Give a name under which a paper is saved: its title without what file systems dislike."""
    kept = "".join(
        "-" if character in '<>:"/\\|?*%;' or not character.isprintable() else character
        for character in title
    )
    base = kept.strip(" .")[:100] or "paper"
    ending = ENDINGS.get(media, "")
    return base if base.lower().endswith(ending) else base + ending
