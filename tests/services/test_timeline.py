"""The resource timeline on both engines: rows in order, what takes time, who sees and moves it, and news."""

from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import event

from booking.domain.access import Actor
from booking.domain.occupation import Item, Kind
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import agreements, bookings, closures, holds, timeline
from booking.services.timeline import Look, Only
from models import ClosureKind, IfSilent, InstrumentKind, Occupation, OpeningRule, Part
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 0, tzinfo=UTC)  # Monday, 08:00 in Guangdong
WEEK = Span(NOW - timedelta(hours=8), NOW + timedelta(days=7, hours=-8))


def span(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def lab(session):
    return make_facility(session, code="LAB")


@pytest.fixture
def tam(session, lab):
    return cast.actor_of(session, cast.tam(session, lab))


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


def place(session, actor, instrument, start, end, **more):
    items = [Item(instrument.id, span(start, end), more.pop("quantity", 1))]
    return bookings.place(session, actor=actor, items=items, now=NOW, **more)


def drawn(session, actor, *instruments, now=NOW):
    return timeline.drawn(
        session, actor=actor, instrument_ids=[row.id for row in instruments], within=WEEK, now=now
    )


def bars(session, actor, instrument, now=NOW):
    return drawn(session, actor, instrument, now=now)[instrument.id].bars


def codes(session, *facilities, **asked):
    found = timeline.index(
        session, facility_ids=[row.id for row in facilities], within=WEEK, now=NOW, **asked
    )
    return [row.code for row in found.rows]


# --- rows -----------------------------------------------------------------------------------------


def test_rows_stand_by_facility_and_stations_under_their_line(session, lab):
    far = make_facility(session, code="FAR")
    make_instrument(session, far, code="A-FAR")
    for code in ("B-STATION", "Z-STATION", "M-ALONE"):
        make_instrument(session, lab, code=code)
    line = make_instrument(session, lab, code="K-LINE", kind=InstrumentKind.LINE)
    rows = {
        row.code: row for row in timeline.index(session, facility_ids=[lab.id], within=WEEK, now=NOW).rows
    }
    for code in ("B-STATION", "Z-STATION"):
        session.add(Part(line_id=line.id, station_id=rows[code].id))
    session.flush()
    assert codes(session, lab, far) == ["K-LINE", "B-STATION", "Z-STATION", "M-ALONE", "A-FAR"]
    found = timeline.index(session, facility_ids=[lab.id], within=WEEK, now=NOW)
    assert {row.code for row in found.rows if row.line == line.id} == {"B-STATION", "Z-STATION"}
    assert found.total == 4


def test_words_and_entries_choose_rows(session, lab, ada):
    taken = make_instrument(session, lab, code="SEM", name_en="Microscope")
    make_instrument(session, lab, code="BATH", name_en="Water bath")
    place(session, ada, taken, 2, 4)
    assert codes(session, lab, words="microscope") == ["SEM"]
    assert codes(session, lab, only=Only.BOOKED) == ["SEM"]
    assert codes(session, lab, only=Only.FREE) == ["BATH"]
    later = Span(WEEK.end, WEEK.end + timedelta(days=7))
    found = timeline.index(session, facility_ids=[lab.id], within=later, only=Only.FREE, now=NOW)
    assert [row.code for row in found.rows] == ["BATH", "SEM"]


def test_the_hours_are_those_in_which_anything_is_open(session):
    lab = make_facility(session, code="LATE", always_open=False)
    place = make_instrument(session, lab, code="SEM")
    assert timeline.index(session, facility_ids=[lab.id], within=WEEK, now=NOW).hours is None
    session.add(OpeningRule(facility_id=lab.id, weekday=0, opens=9 * 60, closes=17 * 60 + 30))
    session.add(OpeningRule(instrument_id=place.id, weekday=1, opens=7 * 60 + 15, closes=12 * 60))
    session.flush()
    assert timeline.index(session, facility_ids=[lab.id], within=WEEK, now=NOW).hours == (7, 18)


def test_a_window_that_makes_no_sense_is_refused(session, lab, tam):
    ages = Span(NOW, NOW + timedelta(days=401))
    for ask in (
        lambda: timeline.index(session, facility_ids=[lab.id], within=ages, now=NOW),
        lambda: timeline.drawn(session, actor=tam, instrument_ids=[], within=ages, now=NOW),
    ):
        with pytest.raises(Invalid) as refusal:
            ask()
        assert refusal.value.errors == {"to": "out_of_range"}


# --- what takes time ------------------------------------------------------------------------------


def test_each_sort_of_entry_has_its_look(session, lab, tam, ada):
    sem = make_instrument(session, lab, code="SEM")
    asking = make_instrument(session, lab, code="ASK", approval_required=True)
    place(session, ada, sem, 2, 4)
    place(session, ada, asking, 2, 4)
    holds.take(session, actor=ada, items=[Item(sem.id, span(5, 6), 1)], now=NOW)
    closures.make(
        session,
        actor=tam,
        facility_id=lab.id,
        instrument_id=sem.id,
        span=span(8, 9),
        kind=ClosureKind.MAINTENANCE,
        reason="",
        imposed=False,
        now=NOW,
    )
    session.add(
        Occupation(
            instrument_id=sem.id,
            starts_at=span(10, 11).start,
            ends_at=span(10, 11).end,
            use_starts_at=span(10, 11).start,
            use_ends_at=span(10, 11).end,
            kind=Kind.EXTERNAL,
            imposed=True,
        )
    )
    session.flush()
    looks = [bar.look for bar in bars(session, tam, sem)]
    assert looks == [Look.BOOKED, Look.HELD, Look.CLOSED, Look.IMPORTED]
    assert [bar.look for bar in bars(session, tam, asking)] == [Look.PENDING]
    # A hold that has run out stands in nobody's way, and is not drawn.
    assert Look.HELD not in {bar.look for bar in bars(session, tam, sem, now=NOW + timedelta(hours=1))}


def test_who_sees_and_who_moves(session, lab, tam, ada):
    sem = make_instrument(session, lab, code="SEM")
    far = make_instrument(session, make_facility(session, code="FAR"), code="FAR-1")
    booking = place(session, ada, sem, 2, 4, purpose="Grain size", confidential=True)
    bar = bars(session, tam, sem)[0]
    assert (bar.booking_id, bar.version, bar.person, bar.title) == (str(booking.id), 1, "Ada", "Grain size")
    assert (bar.movable, bar.own, bar.asks, bar.confidential) == (True, False, True, True)
    operator = Actor(person_id=tam.person_id, operates=frozenset({lab.id}))
    assert (bars(session, operator, sem)[0].movable, bars(session, operator, sem)[0].person) == (False, "Ada")
    # Of other facilities there is no row at all, and what is over is not moved.
    assert drawn(session, tam, far) == {}
    assert not bars(session, tam, sem, now=NOW + timedelta(hours=5))[0].movable


def test_who_agreed_beforehand_is_not_asked_nor_who_moves_their_own(session, lab, tam, ada):
    sem = make_instrument(session, lab, code="SEM")
    asking = make_instrument(session, lab, code="ASK", approval_required=True)
    booking = place(session, ada, sem, 2, 4)
    agreements.agree(
        session, actor=ada, booking_id=booking.id, may_move=True, if_silent=IfSilent.STAY, now=NOW
    )
    place(session, tam, sem, 6, 8)
    place(session, ada, asking, 2, 4)
    assert [(bar.own, bar.asks) for bar in bars(session, tam, sem)] == [(False, False), (True, False)]
    assert not bars(session, tam, asking)[0].asks


def test_a_row_tells_its_step_and_where_it_is_open(session, lab, tam):
    sem = make_instrument(session, lab, code="SEM", step_minutes=45)
    own = make_instrument(session, lab, code="OWN", step_minutes=10)
    session.add(OpeningRule(instrument_id=own.id, weekday=1, opens=9 * 60, closes=12 * 60))
    session.flush()
    found = drawn(session, tam, sem, own)
    assert (found[sem.id].step, found[own.id].step) == (45, 10)
    assert found[own.id].opened == (Span(NOW + timedelta(hours=25), NOW + timedelta(hours=28)),)
    assert found[sem.id].revision == sem.revision


def test_the_agenda_is_by_start_in_pages_and_by_look(session, lab, tam, ada):
    sem = make_instrument(session, lab, code="SEM", name_en="Microscope")
    bath = make_instrument(session, lab, code="BATH", units=2)
    asking = make_instrument(session, lab, code="ASK", approval_required=True)
    for instrument, hour in ((sem, 6), (bath, 4), (asking, 2)):
        place(session, ada, instrument, hour, hour + 1)

    def agenda(**asked):
        given = {"page": 1, "page_size": 10, "words": ""} | asked
        found, total = timeline.agenda(
            session, actor=tam, facility_ids=[lab.id], within=WEEK, now=NOW, **given
        )
        return [row.code for row, _bar in found], total

    assert agenda() == (["ASK", "BATH", "SEM"], 3)
    assert agenda(page=2, page_size=2) == (["SEM"], 3)
    assert agenda(looks={Look.BOOKED}) == (["BATH", "SEM"], 2)
    assert agenda(looks={Look.CLOSED, Look.PENDING}) == (["ASK"], 1)
    assert agenda(looks=set()) == ([], 0)
    assert agenda(words="microscope") == (["SEM"], 1)


# --- news -----------------------------------------------------------------------------------------


def test_whatever_changes_a_calendar_changes_the_mark(session, lab, tam, ada):
    sem = make_instrument(session, lab, code="SEM", setup_minutes=0)
    make_instrument(session, make_facility(session, code="FAR"), code="FAR-1")
    start = timeline.mark(session, actor=tam)
    assert start == (1, sem.revision)
    marks = [start]
    booking = place(session, ada, sem, 2, 4)
    marks.append(timeline.mark(session, actor=tam))
    moved = [Item(sem.id, span(3, 5), 1)]
    bookings.change(session, actor=tam, booking_id=booking.id, version=1, items=moved, now=NOW)
    marks.append(timeline.mark(session, actor=tam))
    bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + timedelta(hours=3))
    marks.append(timeline.mark(session, actor=tam, facility="LAB"))
    assert sorted(set(marks)) == marks
    assert timeline.revisions(session, actor=tam) == {sem.id: marks[-1][1]}
    assert timeline.mark(session, actor=tam, facility="FAR") == (0, 0)


def test_an_administrator_hears_of_all(session, lab):
    root = cast.actor_of(session, cast.root(session))
    make_instrument(session, lab, code="SEM")
    make_instrument(session, make_facility(session, code="FAR"), code="FAR-1")
    assert timeline.mark(session, actor=root)[0] == 2
    assert timeline.mark(session, actor=root, facility="FAR")[0] == 1


# --- statements -----------------------------------------------------------------------------------


class Statements:
    def __init__(self, session) -> None:
        self._engine = session.get_bind()
        self.count = 0

    def _note(self, *_) -> None:
        self.count += 1

    def __enter__(self):
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)


def counts(session, actor: Actor, facility_id: int, ids: list[int]) -> list[int]:
    found = []
    for ask in (
        lambda: timeline.index(session, facility_ids=[facility_id], within=WEEK, now=NOW),
        lambda: timeline.drawn(session, actor=actor, instrument_ids=ids, within=WEEK, now=NOW),
        lambda: timeline.mark(session, actor=actor),
        lambda: timeline.agenda(
            session, actor=actor, facility_ids=[facility_id], within=WEEK, page=1, page_size=100, now=NOW
        ),
    ):
        session.expunge_all()
        session.info.clear()
        with Statements(session) as seen:
            ask()
        found.append(seen.count)
    return found


def test_many_instruments_cost_no_more_statements_than_few(session, lab, ada):
    hall = make_facility(session, code="HALL")
    few = [make_instrument(session, lab) for _ in range(20)]
    many = [make_instrument(session, hall) for _ in range(300)]
    for instrument in [*few[:5], *many[:30]]:
        place(session, ada, instrument, 2, 4)
    who = Actor(person_id=ada.person_id, operates=frozenset({lab.id, hall.id}))
    small, great = (lab.id, [row.id for row in few]), (hall.id, [row.id for row in many])
    session.flush()
    found = counts(session, who, *small)
    assert counts(session, who, *great) == found
    assert (found[0], found[2], found[3]) == (2, 1, 3)


def test_rows_are_at_most_so_many(session, lab, monkeypatch):
    monkeypatch.setattr(timeline, "MOST_ROWS", 3)
    for number in range(5):
        make_instrument(session, lab, code=f"M-{number}")
    found = timeline.index(session, facility_ids=[lab.id], within=WEEK, now=NOW)
    assert ([row.code for row in found.rows], found.total) == (["M-0", "M-1", "M-2"], 5)


def test_midnight_of_the_window_is_told_apart(session, lab, tam, ada):
    sem = make_instrument(session, lab, code="SEM")
    before = Span(WEEK.start - timedelta(hours=2), WEEK.start)
    session.add(
        Occupation(
            instrument_id=sem.id,
            starts_at=before.start,
            ends_at=before.end,
            use_starts_at=before.start,
            use_ends_at=before.end,
            kind=Kind.EXTERNAL,
            imposed=True,
        )
    )
    session.flush()
    assert bars(session, tam, sem) == []
    assert WEEK.start.time() == time(16)
