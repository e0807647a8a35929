"""The desk: its timeline in day and week, its list, today's runs; and the arithmetic of the drawing."""

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from booking import db
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.spans import Span
from booking.services.availability import Bar
from booking.web import timeline
from booking.web.forms import days_from
from models import Instrument
from tests.browser import ROOT
from tests.web.lab import Lab, at, local, quarter, text_of, typed

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def day_of(moment: datetime) -> str:
    return local(moment)[:10]


# --- the page -------------------------------------------------------------------------------------


def test_who_is_no_staff_has_no_desk(lab):
    for name in ("ada", "cleo"):
        assert lab.get(name, "/desk").status_code == 403
    assert lab.app.test_client().get("/desk").status_code == 303


def test_staff_come_to_their_own_facility_and_to_no_other(lab):
    assert "Laboratory" in text_of(lab.get("tam", "/desk").text)
    assert lab.get("tam", "/desk", facility="FAR").status_code == 404
    assert lab.get("tam", "/desk", facility="NONE").status_code == 404
    page = lab.get("root", "/desk", facility="FAR").text
    assert "Far away" in text_of(page)
    assert "Go to its desk" in page


def test_the_timeline_shows_who_and_what_of_every_instrument(lab):
    lab.book("ada", "SEM", at(9), at(11), purpose="Grain size")
    lab.book("cleo", "PECVD", at(13), at(14), purpose="canary", confidential=True)
    page = lab.get("tam", "/desk", day=day_of(at(9))).text
    said = text_of(page)
    for words in (
        "Microscope",
        "Water bath",
        "Deposition",
        "Unpublished",
        "Ada",
        "Grain size",
        "Cleo",
        "canary",
    ):
        assert words in said
    assert "look-booked" in page
    assert "look-pending" in page
    assert "Awaiting approval" in said
    assert "style=" not in page


def test_what_is_closed_is_drawn_and_listed(lab):
    sent = typed(
        at(9), at(11), facility="LAB", instrument="SEM", kind="breakdown", way="at_once", reason="Smoke"
    )
    assert lab.send("tam", "/closures/new", **sent).status_code == 303
    page = lab.get("tam", "/desk", day=day_of(at(9))).text
    assert "look-maintenance" in page
    assert "Smoke" in page


def test_day_and_week_lead_to_their_neighbours(lab):
    page = lab.get("tam", "/desk", day="2026-11-25", view="week").text
    assert "Mon 23 Nov 2026" in text_of(page)
    assert "day=2026-11-16" in page
    assert "day=2026-11-30" in page
    assert lab.get("tam", "/desk", day="2026-11-25").text.count("day=2026-11-26")


def test_the_list_says_the_same_as_the_timeline(lab):
    lab.book("ada", "SEM", at(9), at(11), purpose="Grain size")
    lab.book("ben", "BATH", at(9), at(11), quantity=3)
    said = text_of(lab.get("tam", "/desk", day=day_of(at(9)), form="list").text)
    for words in ("09:00 – 11:00", "Ada", "Grain size", "Microscope", "Water bath × 3", "Confirmed"):
        assert words in said


def test_rows_are_chosen_by_words(lab):
    said = text_of(lab.get("tam", "/desk", q="second").text)
    assert "Second microscope" in said
    assert "Water bath" not in said
    assert "No instrument has these words" in lab.get("tam", "/desk", q="zeppelin").text


def test_todays_runs_are_checked_in_and_out_at_the_desk(lab):
    lab.add_operator()
    start = quarter()
    booking = lab.book("ada", "SEM", start, start + timedelta(hours=3), now=start - timedelta(days=1))
    lab.book("cleo", "SEM2", at(9), at(11))
    page = lab.get("ben", "/desk").text
    runs = text_of("<main>" + page[page.index("runs-title") :])
    assert "Ada" in runs
    assert "Cleo" not in runs
    assert "Not there yet" in runs or datetime.now(UTC) == start
    answer = lab.send("ben", f"/bookings/{booking}/check-in", back="/desk?facility=LAB&day=2026-11-25")
    assert answer.headers["Location"] == "/desk?facility=LAB&day=2026-11-25"
    page = lab.get("ben", "/desk").text
    assert "Ada is checked in." in page
    assert "look-running" in page
    lab.send("ben", f"/bookings/{booking}/check-out", back="/desk")
    assert lab.booking(booking).state is State.ENDED
    assert "Ada is checked out" in lab.get("ben", "/desk").text


def test_an_operator_neither_approves_nor_closes(lab):
    lab.add_operator()
    lab.book("ada", "PECVD", at(9), at(11))
    page = lab.get("ben", "/desk").text
    assert "Close for a while" not in page
    assert "request waits" not in page
    assert "1 request waits" in lab.get("tam", "/desk").text


@pytest.mark.parametrize(
    "query",
    [
        {"day": "nonsense"},
        {"day": "0001-01-01"},
        {"day": "2099-12-31", "view": "week"},
        {"day": "2000-01-01", "view": "week"},
        {"view": "<b>", "form": "'"},
        {"q": "%_\\' OR 1=1"},
        {"q": "x" * 5000},
        {"q": "a\x07b"},
        {"page": "99"},
    ],
)
def test_no_address_breaks_the_desk(lab, query):
    assert lab.get("tam", "/desk", **query).status_code == 200


@pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 40])
def test_a_page_that_is_none_is_told(lab, page):
    assert lab.get("tam", "/desk", page=page).status_code == 422


def statements(lab: Lab, path: str) -> int:
    seen: list[str] = []
    engine = db.engine()
    listener = lambda *arguments: seen.append(arguments[2])  # noqa: E731 - removed again below
    event.listen(engine, "before_cursor_execute", listener)
    try:
        assert lab.client("tam").get(path).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", listener)
    return len([one for one in seen if one.lstrip().upper().startswith(("SELECT", "WITH"))])


@pytest.mark.parametrize("path", ["/desk", "/desk?view=week", "/approvals", "/bookings"])
def test_more_bookings_cost_no_more_statements(lab, path):
    day = {"days": 0}
    lab.book("ada", "SEM", at(1, **day), at(2, **day), now=at(0, days=-1))
    # Of what is ahead more is told.
    lab.book("ada", "SEM", at(22, **day), at(23, 45, **day), now=at(0, days=-1))
    lab.book("ada", "PECVD", at(1), at(2))
    lab.get("tam", path)
    before = statements(lab, path)
    for hour in range(3, 13):
        lab.book("ben", "SEM", at(hour, **day), at(hour, 30, **day), now=at(0, days=-1))
        lab.book("ada", "PECVD", at(hour), at(hour, 15))
    with db.transaction() as session:
        assert session.get_one(Instrument, lab.places["SEM"])
    # The first request of another organisation asks for its prices, too.
    assert statements(lab, path) <= before + (2 if path == "/approvals" else 0)


# --- the drawing ----------------------------------------------------------------------------------


def test_a_day_is_drawn_from_its_first_open_hour_to_its_last():
    first = date(2026, 11, 3)
    opened = [Span(datetime(2026, 11, 3, 0, 30, tzinfo=UTC), datetime(2026, 11, 3, 9, 30, tzinfo=UTC))]
    paper = timeline.paper(first, 1, SHANGHAI, opened=opened)
    assert (paper.opens, paper.closes, paper.step, paper.columns) == (8, 18, 15, 40)
    assert paper.place(opened[0]) == (3, 39)
    assert paper.place(Span(datetime(2026, 11, 4, tzinfo=UTC), datetime(2026, 11, 5, tzinfo=UTC))) is None


def test_what_is_never_open_is_drawn_by_day():
    paper = timeline.paper(date(2026, 11, 3), 7, SHANGHAI)
    assert (paper.opens, paper.closes) == timeline.DAYTIME


@given(
    first=st.dates(date(2026, 1, 1), date(2027, 12, 31)),
    days=st.integers(1, 7),
    hours=st.tuples(st.integers(0, 23), st.integers(1, 24)),
    starts=st.integers(-2000, 12000),
    length=st.integers(1, 3000),
    zone=st.sampled_from([SHANGHAI, BERLIN]),
)
def test_every_place_is_on_the_paper_and_keeps_the_order_of_time(first, days, hours, starts, length, zone):
    begin = days_from(first, 1, zone).start
    opened = [Span(begin + timedelta(hours=hours[0]), begin + timedelta(hours=max(hours[0] + 1, hours[1])))]
    paper = timeline.paper(first, days, zone, opened=opened)
    assert paper.columns <= timeline.MOST_COLUMNS
    assert paper.columns * paper.step == days * (paper.closes - paper.opens) * 60
    start = begin + timedelta(minutes=starts)
    span = Span(start, start + timedelta(minutes=length))
    place = paper.place(span)
    if place is not None:
        assert 1 <= place[0] < place[1] <= paper.columns + 1
    # Clocks that are put back repeat an hour: within a day the order holds by the wall.
    assert paper.line(span.start) <= paper.line(span.start + timedelta(hours=2), up=True)
    if not span.overlaps(paper.span):
        assert place is None


@given(
    days=st.sampled_from([1, 7]),
    starts=st.integers(-100, 11000),
    lengths=st.tuples(st.integers(0, 90), st.integers(5, 2000), st.integers(0, 90)),
    width=st.sampled_from([timeline.STRIP, timeline.NARROWEST]),
)
def test_every_bar_has_room_for_a_finger_and_its_use_inside(days, starts, lengths, width):
    first = date(2026, 11, 2)
    begin = days_from(first, 1, SHANGHAI).start + timedelta(minutes=starts)
    setup, use, cleanup = (timedelta(minutes=minutes) for minutes in lengths)
    bar = Bar(
        instrument_id=1,
        start=begin,
        end=begin + setup + use + cleanup,
        use_start=begin + setup,
        use_end=begin + setup + use,
        quantity=1,
        kind=Kind.BOOKING,
        booking_id=None,
        title=None,
        state=None,
        mine=False,
    )
    paper = timeline.paper(first, days, SHANGHAI, spans=[days_from(first, days, SHANGHAI)])
    for block in timeline.blocks(paper, [bar], width=width):
        assert 1 <= block.first < block.last <= paper.columns + 1
        assert (block.last - block.first) * width / paper.columns >= timeline.TARGET
        for lines in (block.bar, block.use):
            assert 1 <= lines[0] < lines[1] <= block.last - block.first + 1
        assert paper.place(Span(bar.start, bar.end)) == tuple(block.first + line - 1 for line in block.bar)


def test_the_style_sheet_has_a_class_for_every_place():
    style = (ROOT / "static" / "css" / "timeline.css").read_text(encoding="utf-8")
    for name, most in (("from", timeline.MOST_COLUMNS), ("to", timeline.MOST_COLUMNS + 1), ("ticks", 24)):
        found = {int(number) for number in re.findall(rf"\.{name}-(\d+)\{{--{name}:\1\}}", style)}
        assert set(range(1, most + 1)) <= found
