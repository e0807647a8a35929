"""What people show to a tablet: a badge's number or a PIN; and how little the tablet shows of them."""

import hashlib
import hmac
import re
from itertools import pairwise

_PIN = re.compile(r"\d{6,12}", re.ASCII)
_NUMBER = re.compile(r"[0-9A-Za-z:._-]{6,64}", re.ASCII)
_IDEOGRAPH = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")


def fault_of_pin(pin: str) -> str | None:
    """Give the code of what is wrong with a PIN, None if it will do."""
    if not _PIN.fullmatch(pin):
        return "not_a_pin"
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    return "easy_pin" if len(steps) == 1 and steps <= {0, 1, 9} else None


def number(typed: str) -> str | None:
    """Give a badge's number as readers of all makes send it, None if it is none."""
    plain = typed.strip()
    return plain.upper() if _NUMBER.fullmatch(plain) else None


def hashed(key: str, found: str) -> bytes:
    """Give what is kept of a number. Numbers are short and could be tried out, but not without the server's key."""
    return hmac.digest(key.encode(), b"badge:" + found.encode(), hashlib.sha256)


def initials(name: str) -> str:
    """Give of a name no more than its first letters: `A. L.`, of a Chinese one its first character, `张*`."""
    words = name.split()
    if not words:
        return "–"
    if _IDEOGRAPH.match(words[0]):
        return f"{words[0][0]}*"
    return " ".join(f"{word[0].upper()}." for word in words[:3])
