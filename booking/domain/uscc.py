"""The unified social credit code (统一社会信用代码) of a legal unit, GB 32100-2015."""

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


def is_valid(code: str) -> bool:
    """Tell whether a code has 18 characters of the alphabet and the right check character.

    The check is the alphabet's character at (31 - sum of value times weight, modulo 31), modulo 31.
    """
    if len(code) != 18 or any(ch not in ALPHABET for ch in code):
        return False
    total = sum(ALPHABET.index(ch) * weight for ch, weight in zip(code, WEIGHTS, strict=False))
    return code[17] == ALPHABET[(31 - total % 31) % 31]
