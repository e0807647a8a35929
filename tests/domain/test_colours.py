"""Accents are read well wherever they stand, whatever somebody chose."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from booking.domain import colours

CHOSEN = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
TOKENS = (Path(__file__).parents[2] / "static/css/tokens.css").read_text()


def tokens(name: str) -> list[str]:
    """What a token is on light pages and on dark ones."""
    return re.findall(rf"--{name}: (#[0-9a-f]{{6}})", TOKENS)


@given(CHOSEN)
def test_text_in_the_accent_is_read_on_every_surface(chosen: str):
    made = colours.palette(chosen)
    for which, found in enumerate((made.light, made.dark)):
        surfaces = [tokens(name)[which] for name in ("surface", "paper", "raised")]
        for page in (*surfaces, found["accent-soft"]):
            assert colours.contrast(found["accent"], page) >= colours.LEAST
        for button in ("accent-solid", "accent-deep"):
            assert colours.contrast("#ffffff", found[button]) >= colours.LEAST


def test_a_colour_that_is_read_is_kept_and_a_pale_one_darkened():
    assert colours.palette("#0b5a7d").kept
    assert colours.palette("#0b5a7d").light["accent"] == "#0b5a7d"
    pale = colours.palette("#ffe066")
    assert not pale.kept
    assert colours.contrast(pale.light["accent"], "#ffffff") >= colours.LEAST
    assert round(colours.contrast("#000000", "#ffffff"), 6) == 21


def test_only_six_digits_are_a_colour():
    for text in ("#fff", "0b5a7d", "#0B5A7D", "#0b5a7d;}", "url(x)"):
        assert not colours.is_colour(text)
