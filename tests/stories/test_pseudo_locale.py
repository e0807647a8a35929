"""Every page in a language that is a third longer than English, and shows by its brackets what is translated."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from booking.domain.pseudo import BEGIN, END, pseudo
from tests.browser import shot
from tests.conftest import Databases
from tests.stories import test_pages_look as look

pytestmark = [pytest.mark.browser, pytest.mark.server]

WORDS = """() => {
    const said = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const box = node.parentElement.closest('script, style, template, code, kbd, time, svg, [lang="en"]');
        if (!box && node.data.trim() && node.parentElement.checkVisibility()) said.push(node.data.trim());
    }
    for (const name of ["placeholder", "title", "aria-label", "alt"])
        for (const marked of document.querySelectorAll(`[${name}]`)) said.push(marked.getAttribute(name).trim());
    return said;
}"""
CUT = """() => [...document.querySelectorAll("main *, header *")]
    .filter(one => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 2)
    .filter(one => getComputedStyle(one).overflowX === "hidden" && !one.title && !one.closest("[title]"))
    .filter(one => !one.matches(".visually-hidden, .visually-hidden *, .bar-use, [aria-hidden] *"))
    .map(one => `${one.tagName}.${one.className}: ${one.textContent.trim().slice(0, 60)}`)"""
TOO_WIDE = """() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    return [...document.querySelectorAll("body *")]
        .filter(one => one.getBoundingClientRect().right > root.clientWidth && one.checkVisibility())
        .filter(one => !one.firstElementChild)
        .map(one => `${one.tagName}.${one.className}: ${one.textContent.trim().slice(0, 60)}`);
}"""
UNTRANSLATED = re.compile(r"[A-Za-z]{3,}")
WRAPPED = re.compile(f"{BEGIN}[^{BEGIN}{END}]*{END}")
DATA = re.compile(
    r"""\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b
    | \S+@\S+ | https?://\S+ | \S+\.(?:ics|csv|xlsx|pdf|org)\b         # addresses and files
    | [A-Z0-9]+(?:[-_/.][A-Z0-9]+)+ | \b[A-Z]{2,}\d*\b                 # codes and abbreviations
    | UTC[+-]\S+ | Asia/\w+ | \bYiqi\b | \bEnglish$""",
    re.VERBOSE,
)
PEOPLE = re.compile(r"\b(?:Ada|Ben|Cleo|Tam|Nora|Root)\b")


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[str]:
    yield from look.serving(databases, {"YIQI_PSEUDO_LOCALE": "yes"})


@pytest.mark.parametrize("who", list(look.PAGES))
@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [look.WIDTHS["narrow"]])
def test_longer_words_fit_and_all_are_translated(page: Page, server: str, who: str):
    if who != "-":
        look.sign_in(page, server, who)
    faults = []
    for name, path in look.PAGES[who].items():
        page.goto(f"{server}{path.format_map(look.MADE)}")
        faults += [f"{name}: not translated: {words}" for words in bare(page.evaluate(WORDS))]
        for width, size in look.WIDTHS.items():
            page.set_viewport_size(size)
            shot(page, f"pseudo-{name}-{who}-{width}")
            faults += [f"{name}, {width}: cut: {element}" for element in page.evaluate(CUT)]
            faults += [f"{name}, {width}: too wide: {element}" for element in page.evaluate(TOO_WIDE)]
    assert not faults, "\n".join(faults)


def bare(said: list[str]) -> list[str]:
    """Give the words that are neither translated nor somebody's data."""
    return sorted({words for words in said if UNTRANSLATED.search(_left(words))})


def _left(words: str) -> str:
    rest = WRAPPED.sub("", WRAPPED.sub("", words))
    return PEOPLE.sub("", DATA.sub("", rest))


def test_what_is_bare_is_found():
    assert bare([pseudo("Book now")]) == []
    assert bare([pseudo(f"Booked by {pseudo('Ada')}"), "Mon 2 Nov 2026", "DG-SLAB-05"]) == []
    assert bare(["Book now", f"{pseudo('Price')} per hour"]) == ["Book now", f"{pseudo('Price')} per hour"]
