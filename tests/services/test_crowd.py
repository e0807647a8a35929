"""What a crowd shares: the answers are those that each would get alone, and hold only as long as the calendar does."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from booking.domain.occupation import Item
from booking.domain.rules import Refused
from booking.domain.spans import Span
from booking.services import alternatives, bookings, gone, holds
from booking.services.crowd import LIVES, Crowd
from models import Category
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 0, tzinfo=UTC)


def item(instrument, start=2, end=3):
    return Item(instrument.id, Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end)))


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def ben(session):
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def cleo(session):
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def sem(session):
    session.add(Category(code="99", name_zh="示例", name_en="Examples"))
    session.flush()
    facility = make_facility(session)
    for _ in range(3):
        make_instrument(session, facility, category_code="99")
    return make_instrument(session, facility, category_code="99")


def place(session, actor, wish):
    return bookings.place(session, actor=actor, items=[wish], now=NOW)


def try_fast(session, crowd, actor, wish, now=NOW):
    gone.refuse_what_is_gone(
        session, crowd=crowd, actor=actor, items=[wish], project_id=None, chemicals=(), now=now
    )


def test_who_comes_later_is_refused_as_place_refuses(session, ada, ben, cleo, sem):
    wish, crowd = item(sem), Crowd()
    try_fast(session, crowd, ben, wish)  # nothing is known yet
    place(session, ada, wish)
    with pytest.raises(Refused) as alone:
        place(session, cleo, wish)
    gone.note(session, crowd=crowd, item=wish, now=NOW)
    with pytest.raises(Refused) as shared:
        try_fast(session, crowd, cleo, wish)
    assert (shared.value.reasons, shared.value.items) == (alone.value.reasons, alone.value.items)
    try_fast(session, crowd, cleo, item(sem, 3, 4))  # what is free beside it is tried as ever
    late = NOW + LIVES + timedelta(seconds=1)
    try_fast(session, crowd, cleo, wish, now=late)


def test_a_change_of_the_calendar_ends_what_was_known(session, ada, cleo, sem):
    wish, crowd = item(sem), Crowd()
    booking = place(session, ada, wish)
    gone.note(session, crowd=crowd, item=wish, now=NOW)
    with pytest.raises(Refused):
        try_fast(session, crowd, cleo, wish)
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    try_fast(session, crowd, cleo, wish)
    assert place(session, cleo, wish)


def test_what_somebody_holds_while_they_fill_a_form_is_theirs_to_try(session, ada, cleo, sem):
    wish, crowd = item(sem), Crowd()
    holds.take(session, actor=ada, items=[wish], now=NOW)
    gone.note(session, crowd=crowd, item=wish, now=NOW)
    try_fast(session, crowd, ada, wish)
    try_fast(session, crowd, cleo, wish)  # the lock decides
    assert place(session, ada, wish)


def test_alternatives_are_the_same_for_all_and_worked_out_once(session, ada, ben, cleo, sem):
    wish, crowd = item(sem), Crowd()
    place(session, ada, wish)
    counts = []

    def find(actor, **more):
        statements = []
        listen = lambda *seen: statements.append(seen[2])  # noqa: E731
        event.listen(session.get_bind(), "before_cursor_execute", listen)
        asked = alternatives.wish_of(actor, [wish], NOW)
        found = alternatives.find(session, actor=actor, wish=asked, **more)
        event.remove(session.get_bind(), "before_cursor_execute", listen)
        counts.append(len(statements))
        return found

    alone = {actor: find(actor) for actor in (ben, cleo)}
    assert alone[ben]
    assert {actor: find(actor, crowd=crowd) for actor in (ben, cleo)} == alone
    assert find(ben, crowd=crowd) == alone[ben]
    assert counts[-1] <= counts[0] // 2
    taken = alone[ben][0]
    place(session, cleo, Item(taken.instrument_id, Span(taken.start, taken.end)))
    now = find(ben, crowd=crowd)
    assert taken not in now
    assert now == find(ben)
