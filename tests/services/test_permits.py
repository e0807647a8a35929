"""Permits on both engines: what they refuse and no longer offer, whom their end displaces, renewals, warnings."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from booking.domain.access import Actor, Forbidden, NotFound, Role
from booking.domain.hours import zone
from booking.domain.occupation import Item
from booking.domain.permits import OVER
from booking.domain.replanning import Cause, ProposalKind, ReplanState
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import availability, bookings, permits, replans
from booking.services.permits import Draft
from models import Category, Event, Instrument, InstrumentKind, InstrumentPermit, Membership, Part
from tests import cast
from tests.factories import make_instrument
from tests.services.test_replans import HOUR, NOW, place, send, solved, span

TODAY = date(2026, 11, 2)
VESSEL = "压力容器定期检验"


def after(days: int) -> date:
    return TODAY + timedelta(days=days)


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session)


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=sem.facility_id))
    return cast.actor_of(session, person)


def draft(first: int, last: int, name: str = VESSEL) -> Draft:
    return Draft(name, "粤-2026-7", after(first), after(last))


def add(session, tam, instrument, first, last, name=VESSEL, now=NOW):
    return permits.add(session, actor=tam, code=instrument.code, draft=draft(first, last, name), now=now)


def refused(session, actor, *items):
    with pytest.raises(Refused) as found:
        bookings.place(session, actor=actor, items=items, now=NOW)
    return found.value.reasons


def test_a_use_beyond_the_last_day_is_refused_and_told_what_is_over(session, tam, ada, sem):
    add(session, tam, sem, -100, 1)
    last = place(session, ada, sem, 30, 32)  # until midnight of the last day
    wish = Item(sem.id, span(32, 33))
    [reason] = refused(session, ada, wish)
    figures = {"instrument": sem.code, "permit": VESSEL, "until": "2026-11-03", "since": None}
    assert (reason.code, reason.overridable) == ("permit_over", False)
    assert reason.params.items() >= figures.items()
    assert reason.params["at_zh"]
    verdict = bookings.dry_run(session, actor=ada, items=[Item(sem.id, span(40, 41))], now=NOW)
    assert [one.code for one in verdict.reasons] == ["permit_over"]
    bookings.cancel(session, actor=ada, booking_id=last.id, now=NOW)
    # A gap of a day is no permit; a renewal without a gap is.
    add(session, tam, sem, 3, 9)
    assert refused(session, ada, Item(sem.id, span(30, 60)))[0].params["until"] == "2026-11-03"
    add(session, tam, sem, 2, 2)
    assert bookings.dry_run(session, actor=ada, items=[Item(sem.id, span(33, 60))], now=NOW).allowed


def test_every_name_is_needed_and_a_line_needs_those_of_its_stations(session, tam, ada, sem):
    line = make_instrument(session, sem.facility, kind=InstrumentKind.LINE)
    session.add(Part(line_id=line.id, station_id=sem.id, position=1))
    session.flush()
    add(session, tam, sem, -1, 20)
    add(session, tam, sem, -1, 10, name="辐射安全许可证")
    for asked in (sem, line):
        found = refused(session, ada, Item(asked.id, span(24 * 15, 24 * 15 + 1)))
        assert [(one.params["instrument"], one.params["permit"]) for one in found] == [
            (sem.code, "辐射安全许可证")
        ]
        found = refused(session, ada, Item(asked.id, span(24 * 25, 24 * 25 + 1)))
        assert len(found) == 2
    # The end of the station's displaces what is booked on the line.
    booking = place(session, ada, line, 24 * 5, 24 * 5 + 1)
    [row] = [one for one in permits.listing(session, actor=ada, code=sem.code, now=NOW) if one.days == 10]
    met, replan = permits.end(
        session, actor=tam, code=sem.code, permit_id=row.permit.id, last_day=after(3), now=NOW
    )[1:]
    assert met == [booking]
    assert replan is None or replan.cause is Cause.PERMIT


def test_time_without_a_permit_is_not_offered(session, tam, ada, sem):
    add(session, tam, sem, 1, 2)
    found = availability.free(
        session, actor=ada, code=sem.code, within=Span(NOW, NOW + timedelta(days=9)), now=NOW
    )
    tz = zone("Asia/Shanghai")
    assert found[0].start.astimezone(tz) == datetime(2026, 11, 3, tzinfo=tz)
    assert found[-1].end.astimezone(tz) == datetime(2026, 11, 5, tzinfo=tz)


def test_who_comes_after_the_end_is_turned_away(session, tam, ada, sem):
    booking = place(session, ada, sem, 40, 42)
    add(session, tam, sem, -5, 0)
    with pytest.raises(Refused) as found:
        bookings.check_in(session, actor=ada, booking_id=booking.id, now=NOW + 40 * HOUR)
    assert [one.code for one in found.value.reasons] == ["permit_over"]


def test_an_earlier_end_displaces_and_the_renewal_drops_what_was_looked_for(session, tam, ada, sem):
    session.add(Category(code="0101", name_zh="电镜"))
    session.flush()
    sem.category_code = "0101"
    twin = make_instrument(session, sem.facility, category_code="0101")
    bare = make_instrument(session, sem.facility, category_code="0101")
    add(session, tam, bare, -9, -1)  # equal, but may not run either
    permit = add(session, tam, sem, -300, 300)[0]
    kept, booking = place(session, ada, sem, 24, 26), place(session, ada, sem, 72, 74)
    same = {"actor": tam, "code": sem.code, "permit_id": permit.id, "last_day": after(1), "now": NOW}
    assert permits.by_ending(session, **same) == [booking]
    assert permit.valid_until == after(300)
    _, met, replan = permits.end(session, **same)
    assert (met, replan.cause, replans.place_of(replan)) == ([booking], Cause.PERMIT, sem.id)
    # Typed over, the bookings that it covers again need no other place.
    later = same | {"last_day": after(200)}
    assert (permits.by_ending(session, **later), permits.covered(session, **later)) == ([], [booking])
    with pytest.raises(Invalid) as error, session.begin_nested():
        permits.end(session, **later)
    assert error.value.errors == {"reason": "required"}
    _, met, none = permits.end(session, **later, reason="The day was mistyped")
    assert (met, none, replan.state) == ([], None, ReplanState.OVER)
    told = session.scalars(select(Event).where(Event.kind == "permit.prolonged")).one()
    assert (told.data["before"], told.data["until"], told.data["reason"]) == (
        after(1).isoformat(),
        after(200).isoformat(),
        "The day was mistyped",
    )
    _, met, replan = permits.end(session, **same)
    assert met == [booking]
    # A renewal that does not reach it has other places looked for anew; one that does has none.
    _, met, second = add(session, tam, sem, 2, 2)
    assert (met, replan.state, second.state) == ([booking], ReplanState.OVER, ReplanState.OPEN)
    assert permits.by_adding(session, actor=tam, code=sem.code, draft=draft(3, 9), now=NOW) == []
    _, met, third = add(session, tam, sem, 3, 9)
    assert (met, third, second.state) == ([], None, ReplanState.OVER)
    # Struck out again, the booking is proposed the one equal that may run.
    [last] = [
        one.permit for one in permits.listing(session, actor=tam, code=sem.code, now=NOW) if one.days == 9
    ]
    struck = {"actor": tam, "code": sem.code, "permit_id": last.id, "now": NOW}
    assert permits.by_striking(session, **struck) == [booking]
    met, fourth = permits.strike(session, **struck)
    assert met == [booking]
    while fourth.run_id != solved(session, fourth).id:  # runs of replans that were dropped
        pass
    [proposal] = send(session, tam, fourth).proposals
    assert (proposal.booking_id, proposal.kind, proposal.instrument_id) == (
        booking.id,
        ProposalKind.ELSEWHERE,
        twin.id,
    )
    assert bare.id != proposal.instrument_id
    assert kept.starts_at == NOW + 24 * HOUR


def test_what_makes_no_sense_and_who_may_not(session, tam, ada, sem):
    permit = add(session, tam, sem, -3, 9)[0]
    for wrong, errors in (
        (Draft(" ", "", after(3), after(1)), {"name": "required"}),
        (Draft(VESSEL, "", after(3), after(1)), {"valid_until": "inverted"}),
        (Draft(VESSEL, "", after(-3), after(20)), {"valid_from": "duplicate"}),
        (
            Draft(VESSEL, "7" * 101, date(1026, 1, 1), after(1)),
            {"number": "too_long_text", "valid_from": "out_of_range"},
        ),
    ):
        for asked in (permits.by_adding, permits.add):
            with pytest.raises(Invalid) as found:
                asked(session, actor=tam, code=sem.code, draft=wrong, now=NOW)
            assert found.value.errors == errors
    same = {"code": sem.code, "permit_id": permit.id, "now": NOW}
    for day in (after(9), after(-4)):
        with pytest.raises(Invalid):
            permits.end(session, actor=tam, last_day=day, **same)
    for asked in (permits.strike, permits.by_striking):
        with pytest.raises(Forbidden):
            asked(session, actor=ada, **same)
        with pytest.raises(NotFound):
            asked(session, actor=tam, **same | {"code": make_instrument(session, sem.facility).code})
    with pytest.raises(Forbidden):
        permits.add(session, actor=ada, code=sem.code, draft=draft(10, 20), now=NOW)


def test_managers_are_warned_once_each_and_not_of_what_is_renewed(session, tam, sem):
    permit = add(session, tam, sem, -300, 60)[0]
    days = []
    for later in (-1, 0, 1, 30, 31, 53, 60, 61, 70):
        now = datetime(2026, 11, 2, 4, tzinfo=UTC) + timedelta(days=later)
        for _ in range(2):
            if permits.anything_runs_out(session, now=now):
                permits.warn(session, now=now)
    told = session.scalars(select(Event).where(Event.kind.in_(["permit.expiring", "permit.over"]))).all()
    days = [(one.kind, one.data["days"]) for one in sorted(told, key=lambda one: one.at)]
    assert days == [
        ("permit.expiring", 60),
        ("permit.expiring", 30),
        ("permit.expiring", 7),
        ("permit.over", -1),
    ]
    assert permit.warned_days == OVER
    renewed = add(session, tam, sem, 61, 100, now=NOW)[0]
    add(session, tam, sem, 101, 900, now=NOW)
    assert permits.warn(session, now=NOW + timedelta(days=95)) == 0
    assert session.get_one(InstrumentPermit, renewed.id).warned_days == 7
