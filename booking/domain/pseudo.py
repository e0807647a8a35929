"""A language that nobody speaks: English with accents, a third longer, in brackets.

A page in it shows what is cut, what does not fit, and what nobody marked for translation.
"""

import re

_ACCENTS = str.maketrans("aceghijklnorsuwyzACEGHIJKLNORSUWYZ", "àçéĝĥîĵķļñôŕšûŵýžÀÇÉĜĤÎĴĶĻÑÔŔŠÛŴÝŽ")
_PLACE = re.compile(r"(%\(\w+\)[sd]|%%|\{\w+\}|&\w+;|<[^>]+>)")
_VOWEL = re.compile(r"([aeiouAEIOU])(?=\w)")

BEGIN, END = "⟦", "⟧"


def pseudo(sentence: str) -> str:
    """Give a sentence accented, its vowels doubled and in brackets; its places to fill stay as they are."""
    if not sentence.strip():
        return sentence
    parts = _PLACE.split(sentence)
    said = [part if place % 2 else _stretched(part) for place, part in enumerate(parts)]
    return f"{BEGIN}{''.join(said)}{END}"


def _stretched(part: str) -> str:
    return _VOWEL.sub(r"\1\1", part).translate(_ACCENTS)
