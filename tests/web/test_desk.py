"""The desk: what waits, runs, is down, comes and was booked; and the arithmetic of the drawing."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from booking import db, i18n
from booking.domain.access import SYSTEM
from booking.domain.lifecycle import Action, State
from booking.domain.occupation import Kind
from booking.domain.spans import Span
from booking.services import bookings, closures, faults
from booking.services.availability import Bar
from booking.web import timeline
from booking.web.forms import days_from
from models import ClosureKind, Instrument, InstrumentPermit
from tests import cast
from tests.browser import ROOT
from tests.web.lab import Lab, at, local, quarter, text_of

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


def test_what_goes_on_today_is_drawn_and_the_timeline_is_one_click_away(lab):
    lab.book(
        "cleo", "SEM", at(9, days=0), at(11, days=0), now=at(0, days=-2), purpose="canary", confidential=True
    )
    page = lab.get("tam", "/desk").text
    assert "canary" in text_of(page)
    assert "/timeline?facility=LAB" in page
    assert " style=" not in page


def test_requests_come_oldest_first_and_are_approved_with_one_click(lab):
    lab.book("cleo", "PECVD", at(9), at(10), now=datetime.now(UTC) - timedelta(hours=2), purpose="Second")
    first = lab.book(
        "ada", "PECVD", at(13), at(14), now=datetime.now(UTC) - timedelta(days=3), purpose="First"
    )
    page = lab.get("tam", "/desk").text
    said = text_of(page)
    assert said.index("First") < said.index("Second")
    assert "asked 3 days ago" in said
    assert "2 requests wait" in said
    answer = lab.send(
        "tam", f"/bookings/{first}/approval", back="/desk?facility=LAB", comment="", version="1"
    )
    assert answer.headers["Location"] == "/desk?facility=LAB"
    assert lab.booking(first).state is State.CONFIRMED
    assert "1 request waits" in text_of(lab.get("tam", "/desk").text)


def test_what_is_down_is_told_with_why_and_since_when(lab):
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    for code, kind in (("SEM", ClosureKind.BREAKDOWN), ("BATH", ClosureKind.MAINTENANCE)):
        close(
            lab, code, Span(now - timedelta(hours=3), now + timedelta(hours=3)), kind, now - timedelta(days=1)
        )
    with db.transaction() as session:
        ada = cast.actor_of(session, cast.ada(session))
        faults.report(session, actor=ada, code="SEM2", text="No vacuum", stops_work=True, now=now)
        session.get_one(Instrument, lab.places["PECVD"]).bookable = False
    said = text_of(lab.get("tam", "/desk").text)
    assert "4 instruments are down" in said
    down = said[said.index("Down now") :]
    for words in ("Breakdown", "Maintenance", "Reported as stopping work", "No vacuum", "Not bookable now"):
        assert words in down
    with i18n.use_locale("en"):
        assert f"since {i18n.format_datetime(now - timedelta(hours=3), 'Asia/Shanghai')}" in down
    assert "1 fault report" in down


def test_a_closure_tells_how_many_it_meets_and_leads_to_other_places(lab):
    for hour in (9, 11, 13):
        lab.book("ada", "SEM", at(hour), at(hour + 1))
    given_up = lab.book("ada", "SEM", at(15), at(16))
    lab.send("ada", f"/bookings/{given_up}/cancellation", version="1")
    closure = close(lab, "SEM", Span(at(8), at(18)), ClosureKind.BREAKDOWN, datetime.now(UTC))
    page = lab.get("tam", "/desk").text
    assert "3 bookings affected" in text_of(page)
    assert "3 bookings stand in closures" in text_of(page)
    assert f"/closures/{closure}/replan" in page


def test_no_shows_of_a_month_are_told(lab):
    for days in (-3, -29, -40):
        booking = lab.book("ben", "SEM", at(9, days=days), at(10, days=days), now=at(0, days=days - 2))
        with db.transaction() as session:
            row = bookings.get(session, actor=SYSTEM, booking_id=booking)
            bookings.finish(session, actor=SYSTEM, booking=row, action=Action.MISS, now=row.ends_at)
    said = text_of(lab.get("tam", "/desk").text)
    assert "2 no-shows in 30 days" in said
    assert "Ben" in said[said.index("Nobody came") :]


def test_what_runs_out_is_told_unless_it_was_renewed(lab):
    today = datetime.now(UTC).date()
    terms = (("Vessel", 20), ("Radiation", 90), ("Metrology", 10), ("Metrology", 400))
    with db.transaction() as session:
        session.add_all(
            InstrumentPermit(
                instrument_id=lab.places["SEM"],
                name=name,
                valid_from=today - timedelta(days=300 - days),
                valid_until=today + timedelta(days=days),
                created_at=at(0, days=-300),
            )
            for name, days in terms
        )
    said = text_of(lab.get("tam", "/desk").text)
    told = said[said.index("Runs out within 60 days") : said.index("Rounds")]
    assert "Vessel" in told
    assert "Radiation" not in told
    assert "Metrology" not in told


def test_whoever_is_still_there_after_the_end_is_marked(lab):
    start = quarter() - timedelta(hours=3)
    booking = lab.book("ada", "SEM", start, start + timedelta(hours=1), now=start - timedelta(days=1))
    with db.transaction() as session:
        bookings.check_in(session, actor=SYSTEM, booking_id=booking, now=start)
    said = text_of(lab.get("tam", "/desk").text)
    assert ("Beyond the end" in said) or start.astimezone(SHANGHAI).date() < datetime.now(SHANGHAI).date()


def test_a_desk_with_nothing_to_do_is_quiet(lab):
    said = text_of(lab.get("tam", "/desk").text)
    assert "Nothing waits for you." in said
    assert "No requests wait." in said
    assert "Everything runs." in said
    lab.book("ada", "PECVD", at(9), at(10))
    assert "Nothing waits for you." not in text_of(lab.get("tam", "/desk").text)


# --- how much was booked --------------------------------------------------------------------------


def test_utilisation_stands_in_a_table_with_what_it_means(lab):
    """SEM is open day and night: 672 h in four weeks, of which 168 are booked."""
    for day in range(-8, -1):
        lab.book("ada", "SEM", at(0, days=day), at(0, days=day + 1), now=at(0, days=-20))
    page = lab.get("tam", "/desk").text
    row = text_of("<main>" + page[page.index(">Microscope</a></th>") :].split("</tr>")[0])
    assert row.split()[1:] == ["25%", "–", "168", "672", "0%", "0%", "0"]
    assert "Booked ÷ open." in page
    chart = json.loads(unescape(re.search(r'data-chart="([^"]+)"', page)[1]))
    assert len(chart["labels"]) == 4
    assert [one["name"] for one in chart["series"]] == ["Booked", "Used"]
    assert sum(chart["series"][0]["values"]) == pytest.approx(100 * 168 / (672 / 4 * 5), abs=0.3)
    assert len(re.findall(r"<th scope=\"row\">\w+ \d+ \w+</th>", page)) >= 4
    twelve = lab.get("tam", "/desk", weeks="12").text
    assert "8.3%" in twelve
    assert len(json.loads(unescape(re.search(r'data-chart="([^"]+)"', twelve)[1]))["labels"]) == 12


def test_a_target_is_drawn_beside_what_was_booked(lab):
    day = (datetime.now(UTC) - timedelta(days=100)).date().isoformat()
    form = {"facility": "LAB", "instrument": "", "measure": "percent", "value": "60", "valid_from": day}
    assert "No target is set." in lab.get("tam", "/desk").text
    assert lab.send("tam", "/desk/targets", **form).status_code == 303
    assert lab.send("tam", "/desk/targets", **form | {"instrument": "SEM", "value": "80"}).status_code == 303
    page = lab.get("tam", "/desk").text
    assert "No target is set." not in page
    assert 'class="meter missed"' in page
    row = text_of("<main>" + page[page.index(">Microscope</a></th>") :].split("</tr>")[0])
    assert row.split()[1:3] == ["0%", "80%"]
    chart = json.loads(unescape(re.search(r'data-chart="([^"]+)"', page)[1]))
    assert chart["series"][2]["name"] == "Target"
    assert chart["series"][2]["values"][0] == pytest.approx((4 * 60 + 80) / 5, abs=0.1)
    listed = text_of(lab.get("tam", "/desk/targets").text)
    assert "80% of the open time" in listed
    assert "counts now" in listed
    gone = re.findall(r"/desk/targets/([0-9a-f-]{36})/removal", lab.get("tam", "/desk/targets").text)
    for key in gone:
        assert lab.send("tam", f"/desk/targets/{key}/removal", facility="LAB").status_code == 303
    assert "No target is set." in lab.get("tam", "/desk").text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"value": "0"}, "This is too small."),
        ({"value": "101"}, "This is too much."),
        ({"value": "x"}, "This cannot be understood."),
        ({"value": ""}, "This is needed."),
        ({"measure": "hours", "value": "8785"}, "This is too much."),
        ({"valid_from": ""}, "This is needed."),
    ],
)
def test_a_target_that_makes_no_sense_is_told(lab, changed, said):
    form = {
        "facility": "LAB",
        "instrument": "",
        "measure": "percent",
        "value": "60",
        "valid_from": "2026-01-01",
    }
    answer = lab.send("tam", "/desk/targets", **form | changed)
    assert answer.status_code == 422
    assert said in text_of(answer.text)


def test_a_target_of_hours_ends_and_an_operator_sets_none(lab):
    lab.add_operator()
    form = {
        "facility": "LAB",
        "instrument": "",
        "measure": "hours",
        "value": "1400",
        "valid_from": "2026-01-01",
    }
    assert lab.send("ben", "/desk/targets", **form).status_code == 403
    assert "Set a target" not in lab.get("ben", "/desk/targets").text
    assert lab.send("tam", "/desk/targets", **form).status_code == 303
    assert "1,400 h a year" in lab.get("tam", "/desk/targets").text
    assert lab.send("tam", "/desk/targets", **form | {"measure": "none", "value": ""}).status_code == 303
    assert "No target" in lab.get("tam", "/desk/targets").text
    assert lab.send("cleo", "/desk/targets", **form).status_code == 403
    assert lab.send("tam", "/desk/targets", **form | {"instrument": "FAR-1"}).status_code == 404


def close(lab: Lab, code: str, span: Span, kind: ClosureKind, now: datetime) -> UUID:
    with db.transaction() as session:
        row = session.get_one(Instrument, lab.places[code])
        closure, _met = closures.make(
            session,
            actor=SYSTEM,
            facility_id=row.facility_id,
            instrument_id=row.id,
            span=span,
            kind=kind,
            reason="",
            imposed=True,
            now=now,
        )
        return closure.id


# --- what staff do there --------------------------------------------------------------------------


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
    assert "Requests, the oldest first" not in page
    assert "1 request waits" in text_of(lab.get("tam", "/desk").text)


@pytest.mark.parametrize(
    "query",
    [
        {"weeks": "x"},
        {"weeks": "-4"},
        {"weeks": "9" * 50},
        {"view": "<b>", "form": "'"},
        {"page": "99"},
    ],
)
def test_no_address_breaks_the_desk(lab, query):
    assert lab.get("tam", "/desk", **query).status_code == 200


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


@pytest.mark.parametrize("path", ["/desk", "/desk?weeks=12", "/approvals", "/bookings"])
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


def test_staff_note_who_did_not_come_and_may_excuse_them(lab):
    start = quarter() - timedelta(hours=1)
    booking = lab.book("ada", "SEM", start, start + timedelta(hours=3), now=start - timedelta(days=1))
    link = f'/bookings/{booking}#missed"'
    for page in ("/desk", "/i/SEM"):
        assert link in lab.get("tam", page).text
    assert link not in lab.get("ada", "/i/SEM").text
    assert "Nobody came?" not in lab.get("ada", f"/bookings/{booking}").text
    assert "Nobody came?" in lab.get("tam", f"/bookings/{booking}").text
    assert lab.send("ada", f"/bookings/{booking}/no-show").status_code == 403
    assert lab.send("cleo", f"/bookings/{booking}/no-show").status_code in {403, 404}
    assert lab.send("tam", f"/bookings/{booking}/no-show", excused="1").status_code == 303
    assert lab.booking(booking).state is State.NO_SHOW
    page = text_of(lab.get("tam", f"/bookings/{booking}").text)
    assert "Noted as no-show" in page
    assert "Nobody came?" not in page
    assert "points" not in text_of(lab.get("ada", "/notices").text)
