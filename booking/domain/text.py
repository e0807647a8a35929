"""Lines of text that people type: trimmed, bounded, without what would break a log, a mail or a calendar."""

import unicodedata

from booking.domain.rules import Invalid

_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of surrogate pairs, line and paragraph separators."""


def clean_line(field: str, raw: str, *, longest: int, required: bool = False) -> str:
    """Give the text trimmed.

    :raises Invalid: for the field, if it is missing, too long or holds control characters
    """
    line = raw.strip()
    if required and not line:
        raise Invalid({field: "required"})
    if len(line) > longest:
        raise Invalid({field: "too_long_text"}, longest=longest)
    if any(unicodedata.category(character) in _REFUSED for character in line):
        raise Invalid({field: "control_characters"})
    return line
