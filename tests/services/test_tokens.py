"""API tokens on both engines."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import event, select

from booking.domain.access import SYSTEM, VISITOR, Forbidden, NotFound, Scope
from booking.domain.rules import Invalid
from booking.services import tokens
from models import ApiToken, Event, PersonState
from tests import cast

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
MONTH = timedelta(days=30)


def make(session, actor, **given):
    defaults = {"name": "Wall display", "scopes": ["read"], "expires_at": NOW + MONTH, "now": NOW}
    return tokens.make(session, actor=actor, **defaults | given)


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


def test_a_token_is_its_person_within_its_scopes(session, ada):
    token, secret = make(session, ada, scopes=["book", "read", "read"])
    assert secret.startswith("yiqi_")
    assert len(secret) >= 48
    found = tokens.by_secret(session, secret=secret, now=NOW)
    assert found.actor.person_id == ada.person_id
    assert found.actor.leads == ada.leads
    assert found.actor.scopes == {Scope.READ, Scope.BOOK}
    assert found.token_id == token.id


def test_only_the_hash_is_kept(session, ada):
    token, secret = make(session, ada)
    assert len(token.secret_hash) == 32
    data = session.scalars(select(Event)).one().data
    assert secret not in f"{vars(token)} {data}"


def test_a_token_costs_one_statement(session, ada):
    _token, secret = make(session, ada)
    session.flush()
    statements = []
    note = lambda _c, _cursor, statement, *_more: statements.append(statement)  # noqa: E731
    event.listen(session.get_bind(), "before_cursor_execute", note)
    try:
        tokens.by_secret(session, secret=secret, now=NOW)
    finally:
        event.remove(session.get_bind(), "before_cursor_execute", note)
    assert len(statements) == 1


def test_a_token_ends(session, ada):
    token, secret = make(session, ada)
    assert tokens.by_secret(session, secret=secret, now=NOW + MONTH) is None
    for wrong in ("", "yiqi_", secret[:-1], secret.upper()):
        assert tokens.by_secret(session, secret=wrong, now=NOW) is None
    tokens.revoke(session, actor=ada, token_id=token.id, now=NOW)
    session.flush()
    assert tokens.by_secret(session, secret=secret, now=NOW) is None
    assert tokens.listing(session, actor=ada, now=NOW) == []
    tokens.revoke(session, actor=ada, token_id=token.id, now=NOW + MONTH)
    assert token.revoked_at == NOW


def test_the_disabled_have_no_tokens(session, ada):
    _token, secret = make(session, ada)
    cast.ada(session).state = PersonState.DISABLED
    session.flush()
    assert tokens.by_secret(session, secret=secret, now=NOW) is None


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({"scopes": []}, {"scopes": "required"}),
        ({"scopes": ["read", "everything"]}, {"scopes": "unknown"}),
        ({"expires_at": NOW}, {"expires": "out_of_range"}),
        ({"expires_at": NOW + timedelta(days=5000)}, {"expires": "out_of_range"}),
        ({"name": "x" * 101}, {"name": "too_long_text"}),
        ({"name": "a\nb"}, {"name": "control_characters"}),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(session, ada, given, errors):
    with pytest.raises(Invalid) as error:
        make(session, ada, **given)
    assert error.value.errors == errors


def test_nobody_hoards_tokens(session, ada):
    for _ in range(tokens.MOST):
        make(session, ada)
    with pytest.raises(Invalid):
        make(session, ada)


def test_tokens_are_made_and_revoked_by_their_owner(session, ada):
    cleo = cast.actor_of(session, cast.cleo(session))
    token, _secret = make(session, ada)
    assert tokens.listing(session, actor=cleo, now=NOW) == []
    for token_id in (token.id, uuid4()):
        with pytest.raises(NotFound):
            tokens.revoke(session, actor=cleo, token_id=token_id, now=NOW)
    with pytest.raises(Forbidden):
        make(session, cleo, person_id=ada.person_id)
    with pytest.raises(Forbidden):
        make(session, VISITOR)
    assert token.revoked_at is None


def test_a_token_makes_no_tokens(session, ada):
    by_token = cast.actor_of(session, cast.ada(session), scopes=Scope)
    with pytest.raises(Forbidden):
        make(session, by_token)


def test_the_console_makes_tokens_for_others(session, ada):
    _token, secret = make(session, SYSTEM, person_id=ada.person_id, expires_at=None)
    found = tokens.by_secret(session, secret=secret, now=NOW + timedelta(days=5000))
    assert found.actor.person_id == ada.person_id
    with pytest.raises(NotFound):
        make(session, SYSTEM, person_id=uuid4())


def test_the_last_use_is_noted_and_never_goes_back(session, ada):
    token, secret = make(session, ada)
    assert tokens.by_secret(session, secret=secret, now=NOW).noted_at.year == 1
    for at in (NOW + MONTH / 2, NOW):
        tokens.note_use(session, token_id=token.id, now=at)
    session.expire_all()
    assert session.get(ApiToken, token.id).used_at == NOW + MONTH / 2
