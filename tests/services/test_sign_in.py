"""Sessions kept on the server, on both engines."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import event, select

from booking.domain.access import Forbidden, NotFound, Role
from booking.services import rate_limits, sign_in
from booking.services.rate_limits import Limit, TooMany
from models import Membership, PersonState, SignIn
from tests import cast
from tests.factories import make_facility

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
IDLE = timedelta(hours=12)
DAYS = timedelta(days=14)


def start(session, person, now=NOW) -> str:
    return sign_in.start(
        session, person_id=person.id, agent="Firefox", address="192.0.2.1", lifetime=DAYS, now=now
    )


def known(session, secret, now=NOW):
    session.flush()
    return sign_in.by_secret(session, secret=secret, idle=IDLE, now=now)


def test_a_session_stands_for_its_person_with_all_roles(session):
    facility = make_facility(session)
    tam = cast.tam(session, facility)
    session.add(Membership(person_id=tam.id, role=Role.MEMBER, organisation_id=cast.university(session).id))
    tam.zone = "Asia/Tokyo"
    found = known(session, start(session, tam))
    assert found.actor == cast.actor_of(session, tam)
    assert found.actor.manages == {facility.id}
    assert found.zone == "Asia/Tokyo"
    assert found.actor.scopes is None


def test_who_asks_costs_one_statement(session):
    secret = start(session, cast.ada(session))
    session.flush()
    statements = []
    note = lambda _c, _cursor, statement, *_more: statements.append(statement)  # noqa: E731
    event.listen(session.get_bind(), "before_cursor_execute", note)
    try:
        assert sign_in.by_secret(session, secret=secret, idle=IDLE, now=NOW) is not None
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", note)
    assert len(statements) == 1


def test_secrets_differ_and_a_wrong_one_is_nobodys(session):
    ada = cast.ada(session)
    first, second = start(session, ada), start(session, ada)
    assert first != second
    assert len(first) >= 43
    for wrong in ("", "x", first + "x", first.swapcase(), "\ud800"):
        assert known(session, wrong) is None


def test_a_session_ends_when_idle_and_in_any_case(session):
    secret = start(session, cast.ada(session))
    found = known(session, secret)
    assert known(session, secret, NOW + IDLE - timedelta(seconds=1)) is not None
    assert known(session, secret, NOW + IDLE) is None
    last = NOW + DAYS - timedelta(seconds=1)
    sign_in.note_use(session, sign_in_id=found.sign_in_id, now=last)
    assert known(session, secret, last) is not None
    assert known(session, secret, NOW + DAYS) is None


def test_the_last_use_never_goes_back(session):
    secret = start(session, cast.ada(session))
    found = known(session, secret)
    sign_in.note_use(session, sign_in_id=found.sign_in_id, now=NOW + timedelta(hours=1))
    sign_in.note_use(session, sign_in_id=found.sign_in_id, now=NOW)
    assert known(session, secret).noted_at == NOW + timedelta(hours=1)


def test_the_disabled_are_nobody(session):
    cleo = cast.cleo(session)
    secret = start(session, cleo)
    cleo.state = PersonState.DISABLED
    assert known(session, secret) is None


def test_sessions_are_listed_and_ended_by_their_owner_alone(session):
    ada, cleo = cast.ada(session), cast.cleo(session)
    secret = start(session, ada)
    start(session, ada, NOW - timedelta(days=2))  # idle too long
    mine, hers = cast.actor_of(session, ada), cast.actor_of(session, cleo)
    (row,) = sign_in.listing(session, actor=mine, idle=IDLE, now=NOW)
    assert (row.agent, row.address) == ("Firefox", "192.0.2.1")
    assert sign_in.listing(session, actor=hers, idle=IDLE, now=NOW) == []
    for sign_in_id in (row.id, uuid4()):
        with pytest.raises(NotFound):
            sign_in.end(session, actor=hers, sign_in_id=sign_in_id, now=NOW)
    assert known(session, secret) is not None
    sign_in.end(session, actor=mine, sign_in_id=row.id, now=NOW)
    assert known(session, secret) is None


def test_all_others_end_at_once(session):
    ada, ben = cast.ada(session), cast.ben(session)
    here, there, bens = start(session, ada), start(session, ada), start(session, ben)
    keep = known(session, here).sign_in_id
    sign_in.end_others(session, actor=cast.actor_of(session, ada), keep=keep, now=NOW)
    assert known(session, here) is not None
    assert known(session, there) is None
    assert known(session, bens) is not None


def test_a_token_keeps_no_sessions(session):
    with_token = cast.actor_of(session, cast.ada(session), scopes=[])
    with pytest.raises(Forbidden):
        sign_in.listing(session, actor=with_token, idle=IDLE, now=NOW)


def test_what_a_browser_calls_itself_is_cut_and_cleaned(session):
    sign_in.start(
        session,
        person_id=cast.ada(session).id,
        agent="a\x00b\n" + "c" * 1000,
        address="x" * 1000,
        lifetime=DAYS,
        now=NOW,
    )
    row = session.scalars(select(SignIn)).one()
    assert row.agent.startswith("abccc")
    assert (len(row.agent), len(row.address)) == (300, 64)


# --- limits ---------------------------------------------------------------------------------------

THREE = Limit("three", 3, 60)


def count(session, key="a", now=NOW):
    rate_limits.count(session, attempts=[(THREE, key)], now=now)


def test_so_many_and_no_more(session):
    for _ in range(3):
        count(session)
    with pytest.raises(TooMany) as error:
        count(session, now=NOW + timedelta(seconds=20))
    assert error.value.retry_after == 40
    count(session, key="b")
    count(session, now=NOW + timedelta(seconds=60))


def test_one_limit_that_is_used_up_is_enough(session):
    wide = Limit("wide", 100, 60)
    for _ in range(3):
        rate_limits.count(session, attempts=[(wide, "x"), (THREE, "a")], now=NOW)
    with pytest.raises(TooMany):
        rate_limits.count(session, attempts=[(wide, "x"), (THREE, "a")], now=NOW)


def test_attempts_are_forgotten_and_given_back(session):
    for _ in range(3):
        count(session)
    rate_limits.give_back(session, limit=THREE, key="a")
    count(session)
    rate_limits.clear(session, limit=THREE, key="a")
    for _ in range(3):
        count(session)
    rate_limits.give_back(session, limit=THREE, key="never seen")


def test_counters_are_pruned_when_their_time_is_over(session):
    for _ in range(3):
        count(session)
    rate_limits.prune(session, now=NOW + timedelta(seconds=59))
    with pytest.raises(TooMany):
        count(session)
    rate_limits.prune(session, now=NOW + timedelta(seconds=60))
    count(session)
