"""Limits over several bookings: what they refuse, in which words, and how a manager makes an exception."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from booking import db, wording
from booking.domain.access import Forbidden
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.quotas import Measure, Party, Period, name_of
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, gates, policies, quotas
from models import Category, Event, Rule
from tests import cast
from tests.factories import make_facility, make_instrument, make_network
from tests.services.test_policies import make_rule

HOUR = timedelta(hours=1)


def make_quota(
    session: Session, value: int | None, party="person", measure="hours", period="week", days=None, **given
) -> Rule:
    name = name_of(Party(party), Measure(measure), Period(period))
    data = {"party": party, "measure": measure, "period": period, "days": days}
    return make_rule(session, name, value, kind=RuleKind.QUOTA, data=data, **given)


def wish(instrument, now, start, hours=1.0) -> Item:
    at = now + start * HOUR
    return Item(instrument.id, Span(at, at + hours * HOUR))


def place(session, person, now, *items: Item, **given):
    return bookings.place(session, actor=cast.actor_of(session, person), items=items, now=now, **given)


def refused(session, person, now, *items: Item):
    with pytest.raises(Refused) as error:
        place(session, person, now, *items)
    return error.value.reasons


def said(reason) -> str:
    return wording.sentence(reason.code, reason.params)


def test_hours_of_a_week_at_a_facility(session, now):
    ben, ada = cast.ben(session), cast.ada(session)
    facility = make_facility(session, code="LAB")
    one, two, away = (make_instrument(session, facility=facility, code=c) for c in ("A", "B", "C"))
    away.facility_id = make_facility(session).id
    make_quota(session, 16 * 60, facility_id=facility.id)
    place(session, ben, now, wish(one, now, 1, 14.5))
    place(session, ben, now, wish(away, now, 1, 40))  # at another place
    place(session, ada, now, wish(one, now, 20, 10))  # another person's
    gone = place(session, ben, now, wish(two, now, 1))
    bookings.cancel(session, actor=cast.actor_of(session, ben), booking_id=gone.id, now=now)

    (reason,) = refused(session, ben, now, wish(two, now, 40, 2))

    assert (reason.code, reason.overridable) == ("quota_hours", True)
    assert said(reason) == (
        "14.5 h of 16 h used in the week from Mon 2 Nov 2026; this asks for 2 h. It is the limit for each person. "
        f"(A rule of the facility {facility.name_en}.) A manager of {facility.name_en} may make an exception."
    )
    place(session, ben, now, wish(two, now, 40, 1.5))
    place(session, ben, now, wish(two, now, 7 * 24, 16))  # next week


def test_the_organisations_bookings_count_together(session, now):
    ada, ben, cleo = cast.ada(session), cast.ben(session), cast.cleo(session)
    session.add_all([Category(code="03", name_zh="类"), Category(code="0301", name_zh="类")])
    facility = make_facility(session, code="LAB")
    network = make_network(session, facility, code="NET")
    tank = make_instrument(session, facility=facility, category_code="0301", units=9)
    make_quota(session, 2, "organisation", "bookings", "day", category_code="03")
    make_quota(session, 3, "organisation", "bookings", "rolling", 7, network_id=network.id)
    for person in (ada, ben):
        place(session, person, now, wish(tank, now, 1))
    place(session, cleo, now, wish(tank, now, 1))  # of another organisation

    (reason,) = refused(session, ben, now, wish(tank, now, 3))
    assert said(reason).startswith(
        "2 of 2 bookings used on Mon 2 Nov 2026. It is the limit for each organisation."
    )
    assert "(A rule of the class 03 Metrology.)" in said(reason)

    place(session, ada, now, wish(tank, now, 24))
    (reason,) = refused(session, ben, now, wish(tank, now, 72))
    assert said(reason).startswith("3 of 3 bookings used within 7 days, from")
    assert f"(A rule of the network {network.name_en}.)" in said(reason)


def test_bookings_ahead_and_the_gap_between_them(session, now):
    ben = cast.ben(session)
    facility = make_facility(session, code="LAB")
    one, two = (make_instrument(session, facility=facility, code=code) for code in ("A", "B"))
    make_rule(session, "concurrent", 2, facility_id=facility.id)
    make_rule(session, "gap", 120, instrument_id=one.id)
    first = place(session, ben, now, wish(one, now, 1))

    (reason,) = refused(session, ben, now, wish(one, now, 3))
    assert said(reason).startswith(
        "Between two bookings of one person on A lie at least 2 h; there is one at Mon 2 Nov 2026, 17:00."
    )
    place(session, ben, now, wish(two, now, 3))
    (reason,) = refused(session, ben, now, wish(one, now, 9))
    assert said(reason).startswith("2 bookings lie ahead already; the limit for each person is 2.")

    # A change makes no booking more, and later one is over.
    actor = cast.actor_of(session, ben)
    moved = [wish(one, now, 2)]
    bookings.change(session, actor=actor, booking_id=first.id, version=None, items=moved, now=now)
    place(session, ben, now + 4 * HOUR, wish(one, now, 9))


def test_several_wishes_of_one_command_count_together(session, now):
    ben = cast.ben(session)
    instrument = make_instrument(session)
    make_quota(session, 120, instrument_id=instrument.id)
    actor = cast.actor_of(session, ben)
    found = gates.Wish(
        ben.id,
        None,
        None,
        [wish(instrument, now, 5)],
        {instrument.id: instrument},
        now,
        beside=[wish(instrument, now, 1), wish(instrument, now, 3)],
    )
    assert [reason.code for reason in gates.reasons(session, found)] == ["quota_hours"]
    assert place(session, ben, now, wish(instrument, now, 1), wish(instrument, now, 3)).id
    assert actor.person_id == ben.id


def test_who_has_more_than_a_new_rule_allows_may_still_shorten(session, now):
    ben = cast.ben(session)
    instrument = make_instrument(session)
    long = place(session, ben, now, wish(instrument, now, 1, 8))
    make_quota(session, 120, instrument_id=instrument.id)
    actor = cast.actor_of(session, ben)

    def change(hours):
        items = [wish(instrument, now, 1, hours)]
        return bookings.change(session, actor=actor, booking_id=long.id, version=None, items=items, now=now)

    assert change(6).ends_at == now + 7 * HOUR
    with pytest.raises(Refused, match="quota_hours"):
        change(7)


def test_a_class_of_customers_may_be_free_of_a_limit(session, now):
    ben, cleo = cast.ben(session), cast.cleo(session)
    facility = make_facility(session, cast.university(session))
    instrument = make_instrument(session, facility=facility)
    make_quota(session, 60, facility_id=facility.id)
    make_quota(session, None, facility_id=facility.id, customer_class=CustomerClass.INTERNAL)
    place(session, ben, now, wish(instrument, now, 1, 8))
    assert [r.code for r in refused(session, cleo, now, wish(instrument, now, 20, 2))] == ["quota_hours"]


def test_no_statement_where_no_such_rule_is_set(session, now):
    ben = cast.ben(session)
    instrument = make_instrument(session)
    make_rule(session, "longest", 600, instrument_id=instrument.id)
    place(session, ben, now, wish(instrument, now, 1))
    session.flush()
    found = gates.Wish(ben.id, None, None, [wish(instrument, now, 5)], {instrument.id: instrument}, now)
    policies.rules_for(session, [instrument])
    seen: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *a: seen.append(a[2]))
    assert quotas.gate(session, found) == []
    assert seen == []


def test_a_manager_makes_an_exception_with_a_reason(session, now):
    facility = make_facility(session, code="LAB")
    tam, ben = cast.tam(session, facility), cast.ben(session)
    instrument = make_instrument(session, facility=facility)
    make_quota(session, 60, facility_id=facility.id)
    make_rule(session, "longest", 60, facility_id=facility.id)
    item = wish(instrument, now, 1, 2)

    with pytest.raises(Forbidden):
        place(session, ben, now, item, override="It is urgent")
    with pytest.raises(Invalid) as error:
        place(session, tam, now, item, override="ok")
    assert error.value.errors == {"override_reason": "too_short_text"}
    booking = place(session, tam, now, item, override=" Service visit ")

    told = session.query(Event).filter_by(booking_id=booking.id, kind="booking.placed").one()
    assert told.data["overrode"] == ["quota_hours", "too_long"]
    assert wording.event_sentence(told.kind, told.data) == (
        "Booked. Exception made (limit of hours, longest use): Service visit"
    )
    with pytest.raises(Refused) as refusal:  # what is taken stays taken
        place(session, tam, now, item, override="Service visit")
    assert "taken" in {reason.code for reason in refusal.value.reasons}


def test_changing_and_giving_up_have_notices_of_their_own(session, now):
    facility = make_facility(session, code="LAB")
    tam, ben = cast.tam(session, facility), cast.ben(session)
    instrument = make_instrument(session, facility=facility, code="SEM")
    make_rule(session, "notice_to_change", 120, facility_id=facility.id)
    make_rule(session, "notice_to_cancel", 60, facility_id=facility.id)
    make_rule(session, "horizon", 24 * 60, facility_id=facility.id)
    make_rule(session, "horizon_to_change", 48 * 60, facility_id=facility.id)
    booking = place(session, ben, now, wish(instrument, now, 3))
    owner, manager = cast.actor_of(session, ben), cast.actor_of(session, tam)

    def change(at, start, actor=owner, **given):
        items = [wish(instrument, now, start)]
        return bookings.change(
            session, actor=actor, booking_id=booking.id, version=None, items=items, now=at, **given
        )

    assert [r.code for r in refused(session, ben, now, wish(instrument, now, 30))] == ["horizon"]
    change(now, 30)
    change(now, 3)
    late = now + 90 * HOUR / 60
    with pytest.raises(Refused) as error:
        change(late, 5)
    assert said(error.value.reasons[0]).startswith("SEM can be changed until 2 h before the start")
    change(late, 4, actor=manager, override="Asked by telephone")
    with pytest.raises(Refused) as error:
        bookings.cancel(session, actor=owner, booking_id=booking.id, now=now + 3.5 * HOUR)
    assert said(error.value.reasons[0]).startswith("SEM can be given up until 1 h before the start")
    with pytest.raises(Refused):
        bookings.cancel(session, actor=manager, booking_id=booking.id, now=now + 3.5 * HOUR)
    gone = bookings.cancel(session, actor=manager, booking_id=booking.id, reason="Ill", now=now + 3.5 * HOUR)
    assert gone.state.value == "cancelled"


def test_one_of_two_at_once_has_the_last_hours(database_url, now):
    """Two instruments share no lock; the limit of the facility does not give its last place twice."""
    rounds, people = 5, 4
    db.init(database_url)
    try:
        with db.transaction() as session:
            facility = make_facility(session)
            places = [make_instrument(session, facility=facility) for _ in range(people)]
            ben = cast.ben(session)
            make_quota(session, rounds, measure="bookings", facility_id=facility.id)
            actor = cast.actor_of(session, ben)
        for turn in range(rounds + 1):
            barrier, answers = threading.Barrier(people), []

            def book(instrument, turn=turn, barrier=barrier, answers=answers):
                barrier.wait(10)
                try:
                    with db.transaction() as session:
                        items = [wish(instrument, now, 1 + 2 * turn)]
                        bookings.place(session, actor=actor, items=items, now=now)
                    answers.append("placed")
                except Refused as error:
                    answers.append(error.reasons[0].code)

            threads = [threading.Thread(target=book, args=[one]) for one in places]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            placed = answers.count("placed")
            if turn == 0:
                assert placed == people  # four of five
            elif turn == 1:
                assert sorted(answers) == ["placed", *["quota_bookings"] * (people - 1)]
            else:
                assert answers == ["quota_bookings"] * people
                break
    finally:
        db.dispose()
