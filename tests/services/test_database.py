"""Connections that the server ended, and what is read without a transaction."""

import pytest
from sqlalchemy import text

from booking import db


@pytest.fixture
def opened(postgresql_url):
    db.init(postgresql_url)
    yield db.engine()
    db.dispose()


def backend() -> int:
    with db.reading() as session:
        return session.scalar(text("SELECT pg_backend_pid()"))


def end(pid: int, url: str) -> None:
    own = db.make_engine(url)
    with own.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    own.dispose()


def test_a_connection_that_the_server_ended_is_replaced_before_it_is_used(opened, postgresql_url):
    first = backend()
    assert backend() == first
    end(first, postgresql_url)
    assert backend() != first


def test_a_connection_that_lay_idle_is_asked_first(opened, postgresql_url, monkeypatch):
    asked = []
    ping = opened.dialect.do_ping
    monkeypatch.setattr(opened.dialect, "do_ping", lambda dbapi: asked.append(dbapi) or ping(dbapi))
    first = backend()
    assert backend() == first
    assert asked == []
    monkeypatch.setattr(db, "IDLE", 0.0)
    assert backend() == first
    assert len(asked) == 1
    end(first, postgresql_url)
    monkeypatch.setattr(db, "_readable", lambda _descriptor: False)  # cut off without a word
    assert backend() != first


def test_nothing_is_begun_where_that_is_no_matter(opened):
    with db.reading(begun=False) as session:
        first, second = (session.scalar(text("SELECT txid_current()")) for _ in range(2))
        assert first != second
    with db.reading() as session:
        first, second = (session.scalar(text("SELECT txid_current()")) for _ in range(2))
        assert first == second
