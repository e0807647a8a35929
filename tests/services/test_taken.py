"""The ledger as programs read it, on both engines: the same as objects of it tell, for every reader."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from booking.domain import moments
from booking.domain.access import VISITOR, Actor, NotFound
from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import availability, bookings, closures, holds, taken
from models import ClosureKind
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 0, tzinfo=UTC)
DAY = Span(NOW, NOW + timedelta(days=1))


def span(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def lab(session):
    """A microscope that is booked, held and closed, for whom and by whom differs; a bath that nobody sees."""
    lab = make_facility(session, code="LAB")
    sem = make_instrument(session, lab, code="SEM", cleanup_minutes=15)
    bath = make_instrument(session, lab, code="BATH", units=3)
    make_instrument(session, lab, code="IDLE")
    tam = cast.actor_of(session, cast.tam(session, lab))
    ada, ben, cleo = (cast.actor_of(session, getattr(cast, name)(session)) for name in ("ada", "ben", "cleo"))

    def place(actor, instrument, start, end, **more):
        items = [Item(instrument.id, span(start, end), more.pop("quantity", 1))]
        bookings.place(session, actor=actor, items=items, now=NOW, **more)

    place(ben, sem, 2, 4, purpose='A "quoted" purpose, 中文')
    place(cleo, sem, 5, 6, purpose="A secret", confidential=True)
    place(tam, bath, 2, 3, quantity=2, purpose="Hot")
    bath.published = False
    holds.take(session, actor=ada, items=[Item(sem.id, span(7, 8), 1)], now=NOW)
    closures.make(
        session,
        actor=tam,
        facility_id=lab.id,
        instrument_id=sem.id,
        span=span(9, 10),
        kind=ClosureKind.MAINTENANCE,
        reason="",
        imposed=False,
        now=NOW,
    )
    root = cast.actor_of(session, cast.root(session))
    found = {"ada": ada, "ben": ben, "cleo": cleo, "tam": tam, "root": root, "nobody": VISITOR}
    return {row.code: row.id for row in (sem, bath)}, found


def objects(session, actor: Actor, places: dict[str, int], now=NOW) -> list[tuple]:
    codes = {place: code for code, place in places.items()}
    bars = availability.occupations(session, actor=actor, instrument_ids=list(codes), within=DAY, now=now)
    return [
        (
            codes[bar.instrument_id],
            *(bar.start, bar.end, bar.use_start, bar.use_end),
            *(bar.quantity, bar.kind.value, str(bar.booking_id) if bar.booking_id else None),
            *(bar.title, bar.state.value if bar.state else None, bar.mine),
        )
        for bar in bars
    ]


def rows(found: list[taken.Taken]) -> list[tuple]:
    return [(one.code, *map(moments.moment, one[1:5]), *one[5:]) for one in found]


@pytest.mark.parametrize("who", ["ada", "ben", "cleo", "tam", "root", "nobody"])
def test_rows_are_as_the_objects_for_every_reader(session, lab, who):
    places, people = lab
    actor = people[who]
    asked = {"actor": actor, "within": DAY, "now": NOW}
    sem = {"SEM": places["SEM"]}
    seen = places if who in {"tam", "root"} else sem
    assert rows(taken.of_instrument(session, code="SEM", **asked)) == objects(session, actor, sem)
    assert rows(taken.of_facility(session, code="LAB", **asked)) == objects(session, actor, seen)
    assert len(taken.of_instrument(session, code="SEM", **asked)) == 4
    # A hold that has run out takes nobody's time.
    later = asked | {"now": NOW + timedelta(hours=1)}
    assert len(taken.of_instrument(session, code="SEM", **later)) == 3


def test_what_is_not_there_for_a_reader_is_not_found(session, lab):
    _places, people = lab
    asked = {"within": DAY, "now": NOW}
    for code in ("BATH", "NONE"):
        with pytest.raises(NotFound):
            taken.of_instrument(session, actor=people["ada"], code=code, **asked)
    with pytest.raises(NotFound):
        taken.of_facility(session, actor=people["ada"], code="NONE", **asked)
    assert taken.of_instrument(session, actor=people["ada"], code="IDLE", **asked) == []
    assert len(taken.of_instrument(session, actor=people["tam"], code="BATH", **asked)) == 1
    with pytest.raises(Invalid):
        taken.of_instrument(session, actor=VISITOR, code="SEM", within=Span(NOW, NOW), now=NOW)


def test_it_is_one_statement_however_many_instruments_there_are(session, lab):
    _places, people = lab
    seen: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        seen.append(statement)

    engine = session.get_bind()
    session.flush()
    for code, count in (("LAB", 4), ("HALL", 60)):
        if code == "HALL":
            hall = make_facility(session, code=code)
            for _ in range(count):
                row = make_instrument(session, hall)
                items = [Item(row.id, span(2, 3), 1)]
                bookings.place(session, actor=people["ben"], items=items, now=NOW)
            session.flush()
        event.listen(engine, "before_cursor_execute", note)
        try:
            found = taken.of_facility(session, actor=VISITOR, code=code, within=DAY, now=NOW)
            taken.of_instrument(session, actor=VISITOR, code="IDLE", within=DAY, now=NOW)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        assert len(found) == count
        # One of the laboratory's is not published: that a visitor does not see it need not be asked.
        assert len(seen) == 2
        seen.clear()
