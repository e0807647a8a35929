"""Every sentence of code and templates has its Chinese, of both kinds, with the same places to fill."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from tests.house import hong_kong

ROOT = Path(__file__).resolve().parents[2]
KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "mark": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
METHODS = [("booking/**.py", "python"), ("templates/**", "jinja2")]
PLACES = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
LOCALES = ["zh_Hans_CN", "zh_Hant_HK"]

Key = tuple[str, str]
"""The context, which most sentences do without, and the sentence, the first of its forms."""


@cache
def sentences() -> dict[Key, str]:
    """Give every sentence by its key, the last of its forms."""
    found = {}
    for folder in ("booking", "templates"):
        for _, _, message, _, context in extract_from_dir(
            ROOT / folder,
            [
                (pattern.partition("/")[2], method)
                for pattern, method in METHODS
                if pattern.startswith(folder)
            ],
            keywords=KEYWORDS,
        ):
            forms = message if isinstance(message, tuple) else (message,)
            if forms[0]:
                found[context or "", forms[0]] = forms[-1]
    return found


def translated(locale: str) -> dict[Key, tuple[str, ...]]:
    with (ROOT / "booking" / "translations" / locale / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale=locale)
    return {
        (m.context or "", m.id if isinstance(m.id, str) else m.id[0]): (
            (m.string,) if isinstance(m.string, str) else tuple(m.string)
        )
        for m in catalogue
        if m.id
    }


@pytest.mark.parametrize("locale", LOCALES)
def test_nothing_is_untranslated_and_nothing_is_left_over(locale):
    wanted, known = sentences(), translated(locale)
    assert len(wanted) > 500
    assert sorted(wanted.keys() - known.keys()) == []
    assert sorted(known.keys() - wanted.keys()) == []
    assert [key for key, forms in known.items() if not all(forms)] == []


@pytest.mark.parametrize("locale", LOCALES)
def test_a_translation_fills_the_same_places(locale):
    known = translated(locale)
    wrong = [
        (key, form)
        for key, source in sentences().items()
        for form in known.get(key, ())
        if set(PLACES.findall(form)) != set(PLACES.findall(source))
    ]
    assert wrong == []


@pytest.mark.parametrize("locale", LOCALES)
def test_a_percent_sign_is_written_twice(locale):
    # A template fills the places of every sentence, and so takes a lone sign for a place that is broken off.
    lone = re.compile(r"%(?!\(\w+\)[sd])")
    said = [
        *sentences().items(),
        *((key, form) for key, forms in translated(locale).items() for form in forms),
    ]
    assert [(key, form) for key, form in said if lone.search(form.replace("%%", ""))] == []


def test_the_catalogue_of_hong_kong_is_as_the_simplified_one_makes_it():
    stale = "python -m tests.house.hong_kong writes it anew"
    assert hong_kong.HONG_KONG.read_bytes() == hong_kong.derived(), stale


def test_hong_kong_reads_no_simplified_characters():
    wrong = [
        (form, character)
        for forms in translated("zh_Hant_HK").values()
        for form in forms
        for character in form
        if "\u3400" <= character <= "\u9fff" and not _is_of_hong_kong(character)
    ]
    assert wrong == []


def _is_of_hong_kong(character: str) -> bool:
    try:
        character.encode("big5hkscs")
    except UnicodeEncodeError:
        return False
    return True
