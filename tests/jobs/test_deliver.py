"""Messages leave once, whatever breaks on the way."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from booking import db
from booking.domain.notices import Channel
from booking.gateways import mail
from booking.jobs import deliver
from booking.services import notifications
from models import Delivery, Person
from tests.jobs.sink import sink
from tests.servers import ROOT


def never() -> bool:
    return False


def deliveries() -> list[Delivery]:
    with db.transaction() as session:
        found = list(
            session.scalars(
                select(Delivery).where(Delivery.channel == Channel.MAIL).order_by(Delivery.event_id)
            )
        )
        session.expunge_all()
        return found


def make_due() -> None:
    with db.transaction() as session:
        session.execute(update(Delivery).values(next_at=datetime.now(UTC) - timedelta(seconds=1)))


def test_events_become_messages_and_are_marked(settings, book):
    book(3)
    with sink() as server:
        deliver.run(replace(settings, smtp_url=server.url), never)
    found = deliveries()
    assert server.ids == [f"<{row.id}@yiqi.local>" for row in found]
    assert all(row.sent_at and not row.claimed_at for row in found)


def test_a_second_run_sends_nothing(settings, book):
    book(1)
    with sink() as server:
        reached = replace(settings, smtp_url=server.url)
        deliver.run(reached, never)
        deliver.run(reached, never)
    assert len(server.messages) == 1


def test_without_a_server_messages_become_files(settings, book):
    book(2)
    deliver.run(settings, never)
    assert len(list((settings.instance / "mail").glob("*.eml"))) == 2


def test_a_server_that_is_down_keeps_all_messages_and_the_queue_drains_later(settings, book):
    book(5)
    with pytest.raises(mail.Unreachable):
        deliver.run(replace(settings, smtp_url="smtp://127.0.0.1:1"), never)
    waiting = deliveries()
    assert all(row.sent_at is None and row.attempts == 0 and row.claimed_at is None for row in waiting)
    assert "127.0.0.1:1" in waiting[0].error
    make_due()
    with sink() as server:
        deliver.run(replace(settings, smtp_url=server.url), never)
    assert len(server.messages) == 5


def test_a_server_that_breaks_off_loses_none_and_doubles_none(settings, book):
    book(5)
    with sink() as server:

        def break_off(_message):
            return "421 going down" if len(server.messages) == 2 else "250 OK"

        server.answer = break_off
        reached = replace(settings, smtp_url=server.url)
        with pytest.raises(mail.Unreachable):
            deliver.run(reached, never)
        assert len(server.messages) == 2
        server.answer = lambda _message: "250 OK"
        make_due()
        deliver.run(reached, never)
    assert sorted(server.ids) == sorted(f"<{row.id}@yiqi.local>" for row in deliveries())


def test_a_message_that_is_refused_for_good_is_given_up_and_says_why(settings, book):
    book(3)
    with sink() as server:
        server.answer = lambda _message: "250 OK" if server.messages else _once(server)
        deliver.run(replace(settings, smtp_url=server.url), never)
    given_up = [row for row in deliveries() if row.given_up_at]
    assert len(given_up) == 1
    assert "no such person" in given_up[0].error
    assert len(server.messages) == 2


def _once(server) -> str:
    server.answer = lambda _message: "250 OK"
    return "550 no such person"


def test_a_message_that_cannot_be_made_does_not_keep_the_others(settings, book, monkeypatch):
    book(3)
    first = True
    write = deliver.letters.write

    def broken(notice, given):
        nonlocal first
        if first:
            first = False
            raise ZeroDivisionError("a template is broken")
        return write(notice, given)

    monkeypatch.setattr(deliver.letters, "write", broken)
    with sink() as server:
        deliver.run(replace(settings, smtp_url=server.url), never)
    assert len(server.messages) == 2
    (kept,) = [row for row in deliveries() if not row.sent_at]
    assert kept.attempts == 1
    assert kept.error == "ZeroDivisionError: a template is broken"


def test_what_is_no_longer_true_is_not_sent(settings, book):
    book(1)
    with db.transaction() as session:
        notifications.dispatch(session, remind=(), now=datetime.now(UTC))
        session.execute(update(Person).values(state="disabled"))
    with sink() as server:
        deliver.run(replace(settings, smtp_url=server.url), never)
    assert server.messages == []
    assert deliveries()[0].error == "no longer true"


def test_told_to_stop_it_gives_back_what_it_has_not_sent(settings, book):
    book(10)
    with sink() as server:
        reached = replace(settings, smtp_url=server.url)
        deliver.run(reached, lambda: len(server.messages) >= 4)
        assert len(server.messages) == 4
        assert all(row.claimed_at is None for row in deliveries())
        deliver.run(reached, never)
    assert max(Counter(server.ids).values()) == 1
    assert len(server.ids) == 10


def test_two_senders_at_once_send_each_message_once(settings, book):
    book(40)
    faults = []

    def send(reached):
        try:
            deliver.run(reached, never)
        except Exception as error:  # noqa: BLE001 - told below, where the test can fail
            faults.append(error)

    with sink() as server:
        reached = replace(settings, smtp_url=server.url)
        both = [threading.Thread(target=send, args=[reached]) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert faults == []
    assert max(Counter(server.ids).values()) == 1
    assert len(server.ids) == 40


@pytest.mark.server
def test_killed_between_sending_and_marking_it_loses_none(settings, book):
    """The server kills the sender the moment it has a message in hand, before or after it keeps it.

    Every fourth time; MESSAGES in the environment makes more of them than these few.
    """
    book(int(os.environ.get("MESSAGES", "24")))
    kills = {"kept": 0, "lost": 0}
    with sink() as server:
        nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.nursery"],
            cwd=ROOT,
            env=_environment(replace(settings, smtp_url=server.url)),
            stdout=subprocess.PIPE,
            text=True,
        )
        children = _Last(nursery)
        seen = 0

        def answer(_message) -> str:
            nonlocal seen
            seen += 1
            if seen % 4:
                return "250 OK"
            os.kill(children.pid, signal.SIGKILL)
            fate = "kept" if seen % 8 else "lost"
            kills[fate] += 1
            return "250 OK" if fate == "kept" else "451 never read"

        server.answer = answer
        assert nursery.wait(timeout=600) == 0
        children.join()
        nursery.stdout.close()
    found = deliveries()
    times = Counter(server.ids)
    assert set(times) == {f"<{row.id}@yiqi.local>" for row in found}
    assert all(row.sent_at for row in found)
    assert kills["kept"] >= 3
    assert kills["lost"] >= 3
    assert times.total() - len(times) <= kills["kept"]


class _Last(threading.Thread):
    """Knows the last id that a process printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._known = threading.Event()
        self._pid = 0
        self.start()

    def run(self) -> None:
        for line in self._process.stdout:
            self._pid = int(line)
            self._known.set()

    @property
    def pid(self) -> int:
        self._known.wait(60)
        return self._pid


def _environment(settings) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("YIQI_")}
    return clean | {
        "YIQI_INSTANCE": str(settings.instance),
        "YIQI_DATABASE_URL": settings.database_url,
        "YIQI_DIRECT_DATABASE_URL": settings.direct_database_url,
        "YIQI_SECRET_KEY": settings.secret_key,
        "YIQI_SMTP_URL": settings.smtp_url,
        "YIQI_DEFAULT_LOCALE": "en",
    }
