"""One leads: death, pauses, outages and jumps of the clock included."""

from typing import ClassVar

import pytest

from booking import db
from booking.jobs import leader
from booking.jobs.leader import BEAT, DEAD, GONE, FileLock, Leader, ServerLock, lock_for
from booking.services import jobs


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


class FakeLock:
    """A lock that one of its kind holds, until it drops it or dies."""

    held: ClassVar[dict[str, object]] = {}

    def take(self) -> bool:
        return FakeLock.held.setdefault("by", self) is self

    def drop(self) -> None:
        if FakeLock.held.get("by") is self:
            del FakeLock.held["by"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(settings, clock):
    FakeLock.held.clear()

    def of(name: str) -> Leader:
        made = Leader(FakeLock(), clock=clock)
        made._name = name
        return made

    return of


def holder() -> str:
    with db.reading() as session:
        return jobs.lease(session).holder


def die(who: Leader) -> None:
    """Be gone without a word: the lock falls, the lease stays."""
    who._lock.drop()


def test_the_first_leads_at_once_and_the_second_waits(make):
    first, second = make("first"), make("second")
    assert first.campaign()
    assert not second.campaign()
    assert first.lives()
    assert first.still_leads()
    assert not second.still_leads()
    assert holder() == "first"


def test_one_who_resigns_is_followed_at_once(make):
    first, second = make("first"), make("second")
    first.campaign()
    first.resign()
    assert holder() == ""
    assert second.campaign()


def test_one_who_dies_is_followed_when_it_has_been_silent_for_a_little(make, clock):
    first, second = make("first"), make("second")
    first.campaign()
    assert not second.campaign()
    die(first)
    assert not second.campaign()
    clock.at += DEAD
    assert second.campaign()
    assert second.succeeds_the_dead


def test_one_who_lives_is_not_followed_however_long_it_takes(make, clock):
    first, second = make("first"), make("second")
    first.campaign()
    for _ in range(20):
        clock.at += BEAT
        assert first.lives()
        assert not second.campaign()


def test_a_living_leader_that_lost_its_lock_is_not_followed(make, clock):
    """As when the connection that held it broke; with the next sign of life it takes the lock again."""
    first, second = make("first"), make("second")
    first.campaign()
    second.campaign()
    die(first)
    for _ in range(5):
        clock.at += BEAT
        assert first.lives()
        assert not second.campaign()


def test_a_paused_leader_is_followed_after_longer_and_steps_down_when_it_is_back(make, clock):
    first, second = make("first"), make("second")
    first.campaign()
    second.campaign()
    clock.at += DEAD
    assert not second.campaign()
    clock.at += GONE
    assert second.campaign()
    assert not second.succeeds_the_dead
    assert not first.still_leads()
    assert not first.lives()
    assert holder() == "second"
    assert second.lives()
    for _ in range(3):
        clock.at += BEAT
        assert not first.campaign()
        assert second.lives()


def test_of_two_who_want_to_follow_one_does(make, clock):
    first, second, third = make("first"), make("second"), make("third")
    first.campaign()
    second.campaign()
    third.campaign()
    die(first)
    clock.at += GONE
    assert [second.campaign(), third.campaign()].count(True) == 1


def test_a_dead_leader_that_comes_back_to_a_raised_fence_cannot_give_the_lease_back(make, clock):
    first, second = make("first"), make("second")
    first.campaign()
    second.campaign()
    clock.at += GONE
    second.campaign()
    first.resign()
    assert holder() == "second"


def test_without_a_database_nobody_leads(make, monkeypatch):
    first = make("first")
    first.campaign()

    def gone():
        raise db.Unavailable("no route")

    monkeypatch.setattr(leader, "transaction", gone)
    assert not first.lives()
    monkeypatch.setattr(leader, "reading", gone)
    assert not first.campaign()
    monkeypatch.undo()


# --- the locks ------------------------------------------------------------------------------------


def test_only_one_has_the_lock_until_it_drops_it(settings):
    one, other = lock_for(settings), lock_for(settings)
    try:
        assert one.take()
        assert one.take()
        assert not other.take()
        one.drop()
        assert other.take()
        assert not one.take()
    finally:
        one.drop()
        other.drop()


def test_each_database_has_the_lock_that_dies_with_its_holder(settings):
    expected = FileLock if settings.sqlite else ServerLock
    assert isinstance(lock_for(settings), expected)


def test_a_server_that_is_away_gives_no_lock():
    lock = ServerLock("postgresql+psycopg://yiqi@127.0.0.1:1/nothing")
    assert not lock.take()
    lock.drop()
