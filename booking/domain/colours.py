"""Colours: how well one is read on another (WCAG 2.2), and a palette that is read well, made of one colour."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

LEAST = 4.5
"""The contrast that WCAG 2.2 asks of text, level AA."""

_FORM = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_STEPS = 50

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
_LIGHT_PAGES: tuple[Colour, ...] = (WHITE, (0xF4, 0xF6, 0xF7), (0xED, 0xF0, 0xF2))
_DARK_PAGES: tuple[Colour, ...] = ((0x16, 0x1E, 0x25), (0x0F, 0x15, 0x1A), (0x1D, 0x27, 0x30))
"""What text stands on: the surfaces of tokens.css."""


@dataclass(frozen=True, slots=True)
class Palette:
    """The tokens that a colour sets, on light pages and on dark ones; `kept` tells whether it is used as it is."""

    light: Mapping[str, str]
    dark: Mapping[str, str]
    kept: bool


def is_colour(text: str) -> bool:
    """Tell whether a text is a colour as it is kept, #rrggbb in lower case."""
    return bool(_FORM.fullmatch(text))


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours, from 1 to 21."""
    return _contrast(_read(one), _read(other))


def palette(accent: str) -> Palette:
    """Make the palette of an accent: darkened for light pages and lightened for dark ones until it is read well."""
    wanted = _read(accent)
    light = _until(wanted, BLACK, _read_on_light)
    dark = _until(wanted, WHITE, _read_on_dark)
    solid = _until(wanted, BLACK, _carries_white)
    return Palette(
        light={
            "accent": _written(light),
            "accent-solid": _written(light),
            "accent-deep": _written(_mixed(light, BLACK, 0.25)),
            "accent-soft": _written(_soft(light)),
            "accent-line": _written(_mixed(light, WHITE, 0.6)),
        },
        dark={
            "accent": _written(dark),
            "accent-solid": _written(solid),
            "accent-deep": _written(_mixed(solid, BLACK, 0.15)),
            "accent-soft": _written(_soft_dark(dark)),
            "accent-line": _written(_mixed(dark, _DARK_PAGES[0], 0.6)),
        },
        kept=light == wanted,
    )


def _read_on_light(colour: Colour) -> bool:
    pages = (*_LIGHT_PAGES, _soft(colour))
    return all(_contrast(colour, page) >= LEAST for page in pages)


def _read_on_dark(colour: Colour) -> bool:
    pages = (*_DARK_PAGES, _soft_dark(colour))
    return all(_contrast(colour, page) >= LEAST for page in pages)


def _carries_white(colour: Colour) -> bool:
    return _contrast(colour, WHITE) >= LEAST


def _soft(colour: Colour) -> Colour:
    return _mixed(colour, WHITE, 0.88)


def _soft_dark(colour: Colour) -> Colour:
    return _mixed(colour, _DARK_PAGES[0], 0.86)


def _until(colour: Colour, towards: Colour, good: Callable[[Colour], bool]) -> Colour:
    """Give the first colour on the way towards another one that will do; the other one does in any case."""
    for step in range(_STEPS):
        found = _mixed(colour, towards, step / _STEPS)
        if good(found):
            return found
    return towards


def _mixed(one: Colour, other: Colour, part: float) -> Colour:
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _contrast(one: Colour, other: Colour) -> float:
    dim, bright = sorted((_luminance(one), _luminance(other)))
    return (bright + 0.05) / (dim + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _read(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _written(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
