"""The jobs of the line: each does no more when it runs again, and after a pause what is still true."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.jobs import waitlist, waitlist_rules, waitlist_windows
from booking.services import bookings, turns
from booking.services import waitlist as line
from booking.services.catalogue import Filters
from models import Capability, EntryState, Event, Freed, Instrument, WaitlistEntry, WaitlistOffer
from tests import cast
from tests.factories import make_instrument


def go_on() -> bool:
    return False


def start() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)


def wait(*codes: str, now: datetime | None = None, begins: datetime | None = None) -> None:
    """Let Cleo wait for two hours on each instrument, which is made if need be."""
    at = begins or start()
    with db.transaction() as session:
        cleo = cast.actor_of(session, cast.cleo(session))
        for code in codes:
            row = session.scalar(select(Instrument).where(Instrument.code == code))
            line.join(
                session,
                actor=cleo,
                instrument_ids=[(row or make_instrument(session, code=code)).id],
                window=Span(at, at + timedelta(hours=2)),
                minutes=120,
                now=now or datetime.now(UTC),
            )


def kinds() -> list[str]:
    with db.reading() as session:
        query = select(Event.kind).where(Event.kind.startswith("waitlist.")).order_by(Event.id)
        return [kind.removeprefix("waitlist.") for kind in session.scalars(query)]


def test_what_came_free_is_offered_once_however_often_the_job_runs(settings):
    wait("SEM")
    for _ in range(3):
        waitlist.run(settings, go_on)
    assert kinds() == ["joined", "offered"]
    with db.reading() as session:
        assert session.scalars(select(Freed)).all() == []


def test_after_a_pause_of_hours_the_silent_are_passed_over_once(settings):
    wait("SEM")
    waitlist.run(settings, go_on)
    with db.reading() as session:
        deadline = session.scalars(select(WaitlistOffer.deadline)).one()
    for hours in (5, 5, 6):
        waitlist.turn("key", go_on, now=deadline + timedelta(hours=hours))
    assert kinds() == ["joined", "offered", "silent"]


def test_one_instrument_that_fails_does_not_keep_the_others(settings, monkeypatch):
    wait("BAD", "GOOD")
    choose = turns.choose
    with db.reading() as session:
        bad = session.scalar(select(Instrument.id).where(Instrument.code == "BAD"))

    def broken(session, *, freed, **more):
        if freed.instrument_id == bad:
            raise ZeroDivisionError
        return choose(session, freed=freed, **more)

    monkeypatch.setattr(turns, "choose", broken)
    waitlist.run(settings, go_on)
    with db.reading() as session:
        offered = session.scalars(select(WaitlistOffer.instrument_id)).all()
        assert bad not in offered
        assert len(offered) == 1
        assert session.scalars(select(Freed.instrument_id)).all() == [bad]  # for the next turn
    monkeypatch.undo()
    waitlist.run(settings, go_on)
    assert kinds().count("offered") == 2


def test_who_was_told_to_stop_offers_nothing(settings):
    wait("SEM")
    waitlist.run(settings, lambda: True)
    assert kinds() == ["joined"]


def test_places_whose_window_is_over_end_once(settings):
    past = datetime.now(UTC) - timedelta(days=1)
    wait("SEM", now=past - timedelta(hours=3), begins=past.replace(minute=0, second=0, microsecond=0))
    for _ in range(2):
        waitlist_windows.run(settings, go_on)
    assert kinds() == ["joined", "lapsed"]
    with db.reading() as session:
        assert session.scalars(select(WaitlistEntry.state)).one() is EntryState.LAPSED


def test_all_is_looked_at_from_time_to_time(settings):
    wait("SEM")
    with db.transaction() as session:
        ada = cast.actor_of(session, cast.ada(session))
        sem = session.scalars(select(Instrument)).one()
        items = [Item(sem.id, Span(start(), start() + timedelta(hours=1)))]
        bookings.place(session, actor=ada, items=items, now=datetime.now(UTC))
    waitlist.run(settings, go_on)
    with db.transaction() as session:
        session.scalars(select(Instrument)).one().units = 2
    waitlist.run(settings, go_on)
    assert kinds() == ["joined"]
    waitlist_rules.run(settings, go_on)
    waitlist.run(settings, go_on)
    assert kinds() == ["joined", "offered"]


def test_what_was_asked_for_by_ability_is_found_anew_once_however_often_the_job_runs(settings):
    big = Filters(capability="volume_l>=500")
    with db.transaction() as session:
        cleo = cast.actor_of(session, cast.cleo(session))
        ada = cast.actor_of(session, cast.ada(session))
        tank = make_instrument(session, code="TANK")
        session.add(Capability(instrument_id=tank.id, tag="volume_l", value=600, unit="L"))
        session.flush()
        whole = Span(start(), start() + timedelta(hours=2))
        bookings.place(session, actor=ada, items=[Item(tank.id, whole)], now=datetime.now(UTC))
        line.join(
            session,
            actor=cleo,
            instrument_ids=[tank.id],
            filters=big,
            window=whole,
            minutes=60,
            now=datetime.now(UTC),
        )
    waitlist.run(settings, go_on)
    with db.transaction() as session:
        vat = make_instrument(session, code="VAT")
        session.add(Capability(instrument_id=vat.id, tag="volume_l", value=800, unit="L"))
    waitlist.run(settings, go_on)
    assert kinds() == ["joined"]
    for _ in range(2):
        waitlist_rules.run(settings, go_on)
        waitlist.run(settings, go_on)
    assert kinds() == ["joined", "offered"]
    with db.reading() as session:
        assert session.scalars(select(WaitlistOffer.instrument_id)).all() == [vat.id]


def test_a_wish_is_booked_at_once_and_others_make_room_for_it_once_however_often_the_job_runs(settings):
    at = start()
    with db.transaction() as session:
        ada, cleo = (cast.actor_of(session, getattr(cast, name)(session)) for name in ("ada", "cleo"))
        sem = make_instrument(session, code="SEM").id
        for begins, ends in ((1, 3), (4, 48)):
            span = Span(at + timedelta(hours=begins), at + timedelta(hours=ends))
            booking = bookings.place(session, actor=ada, items=[Item(sem, span)], now=datetime.now(UTC))
            booking.makes_room = begins == 1
        line.join(
            session,
            actor=cleo,
            instrument_ids=[sem],
            window=Span(at, at + timedelta(hours=4)),
            minutes=120,
            at_once=True,
            now=datetime.now(UTC),
        )
    for _ in range(2):
        waitlist_rules.run(settings, go_on)
        waitlist.run(settings, go_on)
    assert kinds() == ["joined", "booked"]
    with db.reading() as session:
        query = select(Event.kind).where(Event.kind.in_(("booking.placed", "booking.made_room")))
        told = list(session.scalars(query.order_by(Event.id)))
        assert told == ["booking.placed", "booking.placed", "booking.made_room", "booking.placed"]
        entry = session.scalars(select(WaitlistEntry)).one()
        assert entry.state is EntryState.SERVED
        assert session.scalars(select(WaitlistOffer)).all() == []
