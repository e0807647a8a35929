"""A real browser for tests: pages in both languages and any size, accessibility checks, pictures.

Override `locale`, `viewport`, `colour_scheme` or `javascript` by parametrizing a test with that name:
`@pytest.mark.parametrize("locale", ["zh-CN", "en"])`.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = ROOT / "test-artefacts"
PICTURED = os.environ.get("YIQI_PICTURES", "") not in {"", "0", "no"}
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
LOCAL_SCHEMES = ("data", "blob", "about")
LOCAL_HOSTS = ("127.0.0.1", "localhost")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SETTLED = """async () => {
    const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
    await frame();
    await frame();
    await Promise.all(document.getAnimations().map(animation => animation.finished.catch(() => {})));
}"""
# A foot that stays in sight lies over whatever is scrolled beneath it just now, which no reader has to hit there.
UNSTUCK = (
    """place => document.querySelectorAll(".sheet-foot").forEach(foot => { foot.style.position = place; })"""
)
RUN_AXE = """async ([exclude, standards]) => {
    const where = {include: [["html"]], exclude: exclude.map(selector => [selector])};
    const how = {
        runOnly: {type: "tag", values: standards},
        rules: {"target-size": {enabled: true}},
        resultTypes: ["violations"],
    };
    return (await axe.run(where, how)).violations;
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(FLAGS))
        yield browser
        browser.close()


def program() -> str:
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        if name and (found := shutil.which(name)):
            return found
    raise RuntimeError("Chromium is missing: run `./dev test`, or set CHROMIUM")


@pytest.fixture
def locale() -> str:
    return "zh-CN"


@pytest.fixture
def viewport() -> dict[str, int]:
    return DESKTOP


@pytest.fixture
def colour_scheme() -> str:
    return "light"


@pytest.fixture
def javascript() -> bool:
    return True


@pytest.fixture
def page(
    browser: Browser, locale: str, viewport: dict[str, int], colour_scheme: Any, javascript: bool
) -> Iterator[Page]:
    """A page of a person nobody knows; script errors, CSP breaches and outside requests fail the test."""
    context = browser.new_context(
        locale=locale,
        viewport=viewport,  # type: ignore[arg-type]
        color_scheme=colour_scheme,
        java_script_enabled=javascript,
        timezone_id="Asia/Shanghai",
        reduced_motion="reduce",
        accept_downloads=True,
    )
    page = context.new_page()
    problems = watch(page)
    yield page
    context.close()
    assert not problems, "\n".join(problems)


def watch(page: Page) -> list[str]:
    """Collect what no page may do, from now on."""
    problems: list[str] = []

    def console(message: Any) -> None:
        if re.search(r"Content.Security.Policy|Refused to|violates", message.text):
            problems.append(f"{page.url}: {message.text}")

    def request(request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme not in LOCAL_SCHEMES and address.hostname not in LOCAL_HOSTS:
            problems.append(f"{page.url}: asked for {request.url}")

    page.on("console", console)
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on("request", request)
    return problems


def axe(page: Page, *, exclude: tuple[str, ...] = ()) -> list[str]:
    """Return the accessibility violations of WCAG 2.2 A and AA, a line for each element.

    `exclude` holds CSS selectors of components that are excused by name.
    """
    if not page.evaluate("typeof window.axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    page.evaluate(SETTLED)  # colours on their way from one scheme to the other are neither
    page.evaluate(UNSTUCK, "static")
    found = page.evaluate(RUN_AXE, [list(exclude), STANDARDS])
    page.evaluate(UNSTUCK, "")
    return [_line(violation, node) for violation in found for node in violation["nodes"]]


def _line(violation: dict[str, Any], node: dict[str, Any]) -> str:
    where = " ".join(map(str, node["target"]))
    return f"{violation['id']} ({violation['impact']}): {where}: {violation['help']}; {node['html'][:200]}"


def shot(page: Page, name: str, *, whole: bool = True, needed: bool = PICTURED) -> None:
    """Save a picture of the page for people to look at, if they asked for pictures or need this one."""
    if needed:
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)
