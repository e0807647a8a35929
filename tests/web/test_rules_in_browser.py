"""Forms of rules in a real browser: fields stand there once an answer needs them; without scripts all do."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from booking import db
from tests import browser, cast
from tests.factories import make_facility
from tests.servers import GunicornServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

STEPS, NEW = "/approvals/rules/facility/LAB", "/rules/facility/LAB/new"


@pytest.fixture
def address(sqlite_url: str) -> Iterator[str]:
    engine = db.make_engine(sqlite_url)
    with Session(engine.execution_options(write=True)) as session:
        cast.tam(session, make_facility(session, code="LAB"))
        session.commit()
    engine.dispose()
    with GunicornServer(sqlite_url, workers=1) as server:
        yield server.base_url


def _open(page, address: str, path: str) -> None:
    page.goto(f"{address}/sign-in?next={path}")
    page.fill("[name=email]", "tam@example.org")
    page.fill("[name=password]", cast.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_selector("[name=note]")
    page.wait_for_load_state()  # the scripts of the form have run


def _shown(page, *names: str) -> list[bool]:
    return [page.is_visible(f"[name={name}]") for name in names]


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("viewport", [browser.PHONE], ids=["phone"])
def test_fields_stand_there_once_an_answer_needs_them(page, address):
    _open(page, address, STEPS)
    assert _shown(page, "people", "minutes", "cost", "opens", "on_silence", "escalate_who") == [False] * 6
    page.select_option("[name=who]", "people")
    page.check("#when-over_minutes")
    page.fill("[name=deadline_days]", "2")
    assert _shown(page, "people", "minutes", "cost", "on_silence", "escalate_who") == [
        *(True, True, False, True, False)
    ]
    page.select_option("[name=on_silence]", "escalate")
    assert _shown(page, "escalate_who", "escalate_people") == [True, False]
    assert browser.axe(page) == []
    page.goto(f"{address}{NEW}")
    assert _shown(page, "value", "answer", "period", "days") == [True, False, False, False]
    page.select_option("[name=what]", "late_allowed")
    assert _shown(page, "value", "answer") == [False, True]
    page.select_option("[name=what]", "quota:person.bookings")
    page.select_option("[name=period]", "rolling")
    assert _shown(page, "value", "answer", "period", "days") == [True, False, True, True]
    assert browser.axe(page) == []


@pytest.mark.parametrize("locale", ["en"])
@pytest.mark.parametrize("javascript", [False])
def test_without_scripts_all_fields_stand_there(page, address):
    _open(page, address, STEPS)
    assert all(_shown(page, "people", "minutes", "cost", "opens", "on_silence", "escalate_people"))
    page.goto(f"{address}{NEW}")
    assert all(_shown(page, "value", "answer", "period", "days"))
