"""Every page of the matrix in a real browser: no fault for accessibility, nothing cut off, also with errors shown.

What stands in the matrix is looked at, so that no page can be forgotten. The world is the matrix's, too: one of
everything.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page

from booking import db
from tests.browser import axe, shot, watch
from tests.house.matrix import MATRIX, Case
from tests.house.test_matrix import WHO, World, request_of
from tests.house.test_matrix import world as world  # noqa: PLC0414 - the fixture
from tests.servers import GunicornServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
PREFERRED = ("owner", "manager", "officer", "administrator", "leader", "visitor")
LOOKS = {"zh-HK": [(PHONE, "dark"), (WIDE, "light")], "en": [(PHONE, "light"), (WIDE, "dark")]}
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
SEND = """([path, data]) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = path;
    for (const [name, value] of Object.entries(data)) {
        const field = document.createElement("input");
        field.type = "hidden";
        field.name = name;
        field.value = value;
        form.append(field);
    }
    document.body.append(form);
    form.submit();
}"""


class Visit(NamedTuple):
    """A page: its case, who looks at it, and at which address."""

    case: Case
    role: str
    path: str

    @property
    def name(self) -> str:
        return "-".join(filter(None, (self.case.endpoint.removeprefix("web."), self.case.thing, self.role)))


@pytest.fixture
def server(world: World) -> Iterator[GunicornServer]:
    db.dispose()
    secret = {"YIQI_SECRET_KEY": world.app.config["SECRET_KEY"]}
    with GunicornServer(f"sqlite:///{world.path}", workers=1, env=secret) as running:
        yield running


def _visits(world: World, method: str, answers: set[str]) -> list[Visit]:
    """Give one visit for each case of the pages, by the first role that is answered so."""
    found = []
    for case, row in MATRIX.items():
        if not case.endpoint.startswith("web.") or case.method != method:
            continue
        role = next((role for role in PREFERRED if row[role] in answers), None)
        if role is None:
            continue
        values, sent = request_of(case, world.things[WHO[role][1]], world)
        path = world.app.url_map.bind("localhost").build(case.endpoint, values, method=method)
        query = "&".join(f"{name}={value}" for name, value in sent.get("query_string", {}).items())
        found.append(Visit(case, role, f"{path}?{query}" if query else path))
    return found


@pytest.mark.parametrize("language", list(LOOKS))
def test_every_page_has_no_fault_and_fits(browser: Browser, world: World, server, language):
    faults, seen = [], 0
    for role, visits in _by_role(_visits(world, "GET", {"200"})).items():
        page = _page(browser, world, server, role, language)
        faults_of_page = watch(page)
        for visit in visits:
            answer = page.request.get(f"{server.base_url}{visit.path}")
            if "<html" not in answer.body().decode(errors="replace"):  # a file, or a part of a page
                continue
            page.goto(f"{server.base_url}{visit.path}")
            seen += 1
            for size, scheme in LOOKS[language]:
                page.set_viewport_size(size)
                page.emulate_media(color_scheme=scheme)
                faults += _looked_at(page, f"{visit.name}-{language}-{size['width']}-{scheme}")
        faults += faults_of_page
        page.context.close()
    assert seen > 80
    assert not faults, "\n".join(faults)


def test_every_form_that_is_sent_back_has_no_fault(browser: Browser, world: World, server):
    faults, seen = [], 0
    for role, visits in _by_role(_visits(world, "POST", {"200", "201", "303", "302"})).items():
        page = _page(browser, world, server, role, "zh-CN")
        token = world.cookies[WHO[role][0] or "visitor"][1]
        for visit in visits:
            page.goto(f"{server.base_url}/facilities")
            with page.expect_navigation() as answered:
                page.evaluate(SEND, [visit.path, {"csrf_token": token}])
            if answered.value.status == 422:
                seen += 1
                faults += _looked_at(page, f"errors-{visit.name}")
        page.context.close()
    assert seen > 30
    assert not faults, "\n".join(faults)


def _by_role(visits: list[Visit]) -> dict[str, list[Visit]]:
    return {role: [visit for visit in visits if visit.role == role] for role in PREFERRED}


def _page(browser: Browser, world: World, server, role: str, language: str) -> Page:
    context = browser.new_context(locale=language, viewport=PHONE, reduced_motion="reduce")
    name = WHO[role][0] or "visitor"
    context.add_cookies(
        [
            {
                "name": world.app.config["SESSION_COOKIE_NAME"],
                "value": world.cookies[name][0],
                "url": server.base_url,
            }
        ]
    )
    return context.new_page()


def _looked_at(page: Page, name: str) -> list[str]:
    faults = [f"{name}: {line}" for line in axe(page)]
    if page.evaluate(TOO_WIDE):
        faults.append(f"{name}: scrolls sideways at {page.viewport_size['width']} px")
    if faults:
        shot(page, f"every-{name}", needed=True)
    return faults
