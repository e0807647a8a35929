"""What is offered instead of a refused wish: every sort, ranked, priced, and never what would be refused itself."""

import contextlib
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event

from booking.domain.hours import WeeklyHours
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import alternatives, availability, bookings, policies
from models import Capability, Category, Rule
from tests import cast
from tests.factories import make_facility, make_instrument, make_network

NOW = datetime(2026, 11, 2, 0, tzinfo=UTC)  # Monday, 08:00 in Guangdong
DRY = "0702"


def span(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def cleo(session):
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def facility(session):
    session.add(Category(code=DRY, name_zh="干燥", name_en="Drying"))
    session.flush()
    return make_facility(session, latitude=22.9, longitude=113.9)


def dryer(session, facility, volume=None, **given):
    row = make_instrument(session, facility, **{"category_code": DRY} | given)
    if volume is not None:
        session.add(Capability(instrument_id=row.id, tag="volume_l", value=Decimal(volume), unit="L"))
        session.flush()
    return row


def place(session, actor, instrument, start, end):
    return bookings.place(session, actor=actor, items=[Item(instrument.id, span(start, end))], now=NOW)


def refused(session, actor, instrument, start, end):
    with pytest.raises(Refused) as refusal:
        place(session, actor, instrument, start, end)
    return refusal.value


def offers(session, actor, refusal, **given):
    return alternatives.find(session, actor=actor, wish=replace(refusal.wish, now=NOW), **given)


def of(found, why):
    return [one for one in found if one.why == why]


def test_nearest_times_and_equal_instruments(session, ada, facility):
    wanted = dryer(session, facility)
    elsewhere = dryer(session, make_facility(session, latitude=22.9, longitude=114.0))
    near = dryer(session, facility)
    taken = dryer(session, facility)
    make_instrument(session, facility=facility)
    for instrument in (wanted, taken):
        place(session, ada, instrument, 4, 6)
    found = offers(session, ada, refused(session, ada, wanted, 4, 6))
    assert [(one.code, one.km) for one in of(found, "equal")] == [(near.code, 0), (elsewhere.code, 10.2)]
    nearest = of(found, "nearest")
    assert {one.code for one in nearest} == {wanted.code}
    assert min(abs(one.minutes) for one in nearest) == 120
    assert found[0].code == near.code, "the same time next door is better than two hours later"
    assert [one.code for one in of(found, "cheaper")] == [taken.code]


def test_every_offer_can_be_booked(session, ada, cleo, facility):
    wanted = dryer(session, facility, cleanup_minutes=30, price=100, hours=[WeeklyHours(0, 480, 960)])
    dryer(session, facility, price=50, setup_minutes=45)
    busy = dryer(session, facility, price=80, longest_minutes=240)
    place(session, ada, wanted, 3, 5)
    place(session, ada, busy, 2, 3)
    found = offers(session, cleo, refused(session, cleo, wanted, 1, 5))
    assert {one.why for one in found} >= {"equal", "cheaper", "shorter", "split"}
    for one in found:
        items = [Item(one.instrument_id, part) for part in one.spans]
        verdict = bookings.dry_run(session, actor=cleo, items=items, now=NOW)
        assert verdict.allowed, (one, verdict.reasons)
        assert verdict.estimate.total == one.estimate
        assert verdict.estimate.total - 400 == one.difference


def test_what_fits_of_a_use_and_the_use_in_parts(session, ada, facility):
    wanted = dryer(session, facility, cleanup_minutes=30, hours=[WeeklyHours(0, 480, 960)])
    place(session, ada, wanted, 3, 4)
    found = offers(session, ada, refused(session, ada, wanted, 0.5, 4.5))
    (shorter,) = of(found, "shorter")
    assert (shorter.spans, shorter.lost) == ((span(0.5, 2.5),), 120)
    (split,) = of(found, "split")
    assert split.parts == (span(0.5, 2.5), span(4.5, 6.5))
    assert (split.minutes, split.lost) == (0, 0)


def test_equal_is_what_can_do_as_much_or_all_that_is_needed(session, ada, facility):
    wanted = dryer(session, facility, volume=100)
    small, large, none = (dryer(session, facility, volume=volume) for volume in (50, 200, None))
    place(session, ada, wanted, 4, 6)
    refusal = refused(session, ada, wanted, 4, 6)
    assert [one.code for one in of(offers(session, ada, refusal), "equal")] == [large.code]
    found = offers(session, ada, refusal, needs="volume_l>=40")
    assert {one.code for one in of(found, "equal")} == {small.code, large.code}
    assert none.code not in {one.code for one in found}


def test_members_of_the_same_network_come_before_strangers(session, ada, facility):
    wanted = dryer(session, facility)
    stranger, member = (dryer(session, make_facility(session)) for _ in range(2))
    make_network(session, facility, member.facility)
    found = availability.equals(session, instrument=wanted, quantity=1)
    assert [row.code for row in found] == [member.code, stranger.code]


def test_nothing_is_offered_that_a_gate_would_refuse(session, ada, facility):
    wanted, other = dryer(session, facility), dryer(session, make_facility(session))
    place(session, ada, wanted, 4, 6)
    quota = {"party": "person", "measure": "hours", "period": "week"}
    session.add(
        Rule(
            instrument_id=wanted.id,
            kind=RuleKind.QUOTA,
            name="person.hours.week",
            value=180,
            data=quota,
            valid_from=NOW.date(),
            created_at=NOW,
        )
    )
    session.flush()
    found = offers(session, ada, refused(session, ada, wanted, 4, 6))
    assert of(found, "equal")[0].code == other.code
    for one in found:
        items = [Item(one.instrument_id, part) for part in one.spans]
        assert bookings.dry_run(session, actor=ada, items=items, now=NOW).allowed
    assert all(one.start >= NOW + timedelta(days=6) for one in found if one.code == wanted.code)


def test_an_offer_says_that_it_needs_approval(session, ada, facility):
    wanted = dryer(session, facility)
    dryer(session, make_facility(session), approval_required=True)
    place(session, ada, wanted, 4, 6)
    found = offers(session, ada, refused(session, ada, wanted, 4, 6))
    assert [one.needs_approval for one in of(found, "equal")] == [True]
    assert not any(one.needs_approval for one in of(found, "nearest"))


def test_a_line_is_offered_only_when_its_stations_are_free(session, ada, facility):
    station = make_instrument(session, facility)
    wanted = dryer(session, facility, kind="line", stations=[])
    line = dryer(session, facility, stations=[station])
    place(session, ada, wanted, 4, 6)
    place(session, ada, station, 5, 6)
    found = offers(session, ada, refused(session, ada, wanted, 4, 6))
    assert not of(found, "equal")
    assert [one.code for one in of(found, "cheaper")] == [line.code]


class Statements:
    """Counts what is sent to the database."""

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


def test_statements_do_not_grow_with_the_candidates(session, ada, facility):
    wanted = dryer(session, facility)
    place(session, ada, wanted, 4, 6)
    refusal = refused(session, ada, wanted, 4, 6)
    others = [dryer(session, facility, price=10, published=n < 6) for n in range(36)]
    counts = []
    for shown in (6, 36):
        for one in others[:shown]:
            one.published = True
        session.flush()
        policies.forget(session)
        with Statements(session) as statements:
            assert len(offers(session, ada, refusal)) == 3 + 3
        counts.append(statements.count)
    assert counts[0] == counts[1]
    assert counts[1] <= 40


@pytest.mark.parametrize("seed", range(2))
def test_nearest_and_equal_are_those_of_brute_force(session, ada, cleo, facility, seed):
    """Whatever a dry run lets through on the quarters around is found, the nearest first."""
    chance = random.Random(seed)
    around = {
        "setup_minutes": chance.choice([0, 15, 45]),
        "cleanup_minutes": chance.choice([0, 30]),
        "notice_minutes": chance.choice([0, 90]),
        "units": chance.choice([1, 2]),
    }
    hours = [WeeklyHours(day, 480, 1200) for day in range(4)]
    wanted, other = (dryer(session, facility, hours=hours, **around) for _ in range(2))
    for row in (wanted, other):
        for _ in range(30):
            start = chance.randrange(0, 48 * 4) / 4
            items = [Item(row.id, span(start, start + chance.choice([0.5, 1, 2])))]
            with contextlib.suppress(Refused):
                bookings.place(session, actor=ada, items=items, now=NOW)

    def allowed(row, start):
        items = [Item(row.id, Span(start, start + timedelta(hours=2)))]
        return bookings.dry_run(session, actor=cleo, items=items, now=NOW).allowed

    starts = [NOW + timedelta(minutes=15 * n) for n in range(36 * 4)]
    free = [start for start in starts if allowed(wanted, start)]
    begin = next(start for start in starts[8:] if start not in free and 0 <= start.hour <= 8)
    refusal = refused_at(session, cleo, wanted, begin)
    found = offers(session, cleo, refusal)
    nearest = sorted(free, key=lambda start: (abs(start - begin), start))
    told = {one.start for one in of(found, "nearest")}
    near = {start for start in told if start < starts[-1]}
    assert near == set(nearest[: len(near)])
    assert [one.code for one in of(found, "equal")] == ([other.code] if allowed(other, begin) else [])


def refused_at(session, actor, row, start):
    items = [Item(row.id, Span(start, start + timedelta(hours=2)))]
    with pytest.raises(Refused) as refusal:
        bookings.place(session, actor=actor, items=items, now=NOW)
    return refusal.value
