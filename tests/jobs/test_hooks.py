"""Posts and digests leave once, whatever breaks on the way, and a dead address keeps nobody else."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from booking import db
from booking.domain.notices import Channel, Pace, Quiet, Topic
from booking.domain.rules import Invalid
from booking.gateways import mail, way_out
from booking.jobs import deliver, digests, hooks
from booking.services import notice_wishes, notifications
from models import Delivery, HookKind, Person, Webhook
from tests import cast
from tests.jobs.sink import sink
from tests.jobs.test_deliver import _environment, _Last
from tests.jobs.web_sink import PUBLIC, web_sink
from tests.servers import ROOT

SECRETS = ("9f2c-key", "SEC77aa")


def never() -> bool:
    return False


@pytest.fixture
def server(monkeypatch):
    """The world outside: every name leads to it."""
    with web_sink() as found:
        monkeypatch.setattr(way_out.Pinned, "begin", lambda _self: None)
        monkeypatch.setattr(way_out, "_resolve", lambda _host, _port: [PUBLIC])
        monkeypatch.setattr(way_out, "_connect", found.connect)
        yield found


@contextmanager
def acting(name: str):
    with db.transaction() as session:
        person = getattr(cast, name)(session)
        session.flush()
        yield session, cast.actor_of(session, person)


def give_hook(name: str = "ada", kind: HookKind = HookKind.GENERIC, **given) -> None:
    fields = {"name": "", "url": f"https://hooks.example.org/{SECRETS[0]}", "secret": SECRETS[1]} | given
    with acting(name) as (session, who):
        notice_wishes.add_hook(session, actor=who, kind=kind, now=datetime.now(UTC), **fields)


def wish(pace: Pace, *channels: Channel, quiet: Quiet | None = None) -> None:
    with acting("ada") as (session, who):
        wishes = {(Topic.BOOKINGS, channel): pace for channel in channels}
        notice_wishes.choose(session, actor=who, wishes=wishes, quiet=quiet, now=datetime.now(UTC))


def dispatch() -> None:
    with db.transaction() as session:
        notifications.dispatch(session, remind=(), now=datetime.now(UTC))


def rows(channel: Channel) -> list[Delivery]:
    with db.transaction() as session:
        query = select(Delivery).where(Delivery.channel == channel).order_by(Delivery.event_id)
        found = list(session.scalars(query))
        session.expunge_all()
        return found


def make_due() -> None:
    with db.transaction() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(Delivery).values(next_at=past, held_until=None))


def both(work: Callable[[], None]) -> list[Exception]:
    """Do the same twice at once; give what went wrong."""
    faults: list[Exception] = []

    def once() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - told to the test, which can fail
            faults.append(error)

    threads = [threading.Thread(target=once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


# --- posts ----------------------------------------------------------------------------------------


def test_an_address_hears_each_event_once_in_the_readers_language(settings, book, server):
    book(2)
    give_hook()
    with acting("ada") as (session, who):
        session.get_one(Person, who.person_id).locale = "en"
    dispatch()
    hooks.run(settings, never)
    hooks.run(settings, never)
    found = rows(Channel.WEBHOOK)
    assert [post["id"] for post in server.posts] == [str(row.id) for row in found]
    assert all(row.sent_at and not row.claimed_at for row in found)
    assert server.posts[0]["notices"][0]["kind"] == "booking.placed"
    assert server.posts[0]["title"].startswith("Booked")
    assert server.posts[0]["url"].startswith(f"{settings.public_url}/bookings/")


def test_two_senders_at_once_post_each_message_once(settings, book, server):
    book(20)
    give_hook()
    dispatch()
    assert both(lambda: hooks.run(settings, never)) == []
    ids = [post["id"] for post in server.posts]
    assert len(ids) == len(set(ids)) == 20


def test_a_dead_address_keeps_neither_mail_nor_other_addresses(settings, book, server):
    book(2)
    give_hook()
    give_hook(kind=HookKind.WECOM, url=f"https://other.example.org/{SECRETS[0]}")
    dispatch()
    server.answer = lambda post: (500, {}, b"") if "id" in post else (200, {}, b'{"errcode":0}')
    hooks.run(settings, never)
    assert all(row.sent_at for row in rows(Channel.WECOM))
    first, second = rows(Channel.WEBHOOK)
    assert (first.attempts, first.error) == (1, "status 500")
    # What was meant for the same address is not even tried, and it is no fault of it.
    assert (second.attempts, second.sent_at, second.claimed_at) == (0, None, None)
    assert sum("id" in post for post in server.posts) == 1
    with sink() as mails:
        deliver.run(replace(settings, smtp_url=mails.url), never)
        assert len(mails.messages) == 2


def test_no_log_holds_an_address_or_its_secret(settings, book, server, caplog):
    caplog.set_level(logging.DEBUG)
    book(1)
    give_hook()
    dispatch()
    server.answer = lambda _post: (500, {}, b"")
    hooks.run(settings, never)
    make_due()
    server.answer = lambda _post: (302, {"Location": "http://127.0.0.1/"}, b"")
    hooks.run(settings, never)
    told = " ".join(str(record.__dict__) for record in caplog.records)
    assert "a webhook took nothing" in told
    for secret in (*SECRETS, "hooks.example.org"):
        assert secret not in told
        assert secret not in " ".join(row.error for row in rows(Channel.WEBHOOK))


def test_an_address_that_has_failed_for_days_is_switched_off_and_mail_says_so(settings, book, server):
    book(1)
    give_hook()
    dispatch()
    server.answer = lambda _post: (404, {}, b"")
    hooks.run(settings, never)
    with db.transaction() as session:
        long_ago = datetime.now(UTC) - notice_wishes.OFF_AFTER - timedelta(minutes=1)
        session.execute(update(Webhook).values(failed_at=long_ago))
    make_due()
    hooks.run(settings, never)
    (row,) = rows(Channel.WEBHOOK)
    assert row.given_up_at
    with sink() as mails:
        deliver.run(replace(settings, smtp_url=mails.url), never)
        assert any("switched off" in message["Subject"] for message in mails.messages)
    hooks.run(settings, never)
    assert len(server.posts) == 2


def test_what_was_meant_for_a_forgotten_address_is_given_up(settings, book, server):
    book(1)
    give_hook()
    dispatch()
    with acting("ada") as (session, who):
        (hook,) = notice_wishes.hooks(session, actor=who)
        notice_wishes.remove_hook(session, actor=who, hook_id=hook.id, now=datetime.now(UTC))
    hooks.run(settings, never)
    assert server.posts == []
    assert rows(Channel.WEBHOOK)[0].error == "there is no such address any more"


def test_a_name_that_leads_into_our_own_network_is_never_connected_to(settings, book, server, monkeypatch):
    book(1)
    give_hook()
    dispatch()
    monkeypatch.setattr(way_out, "_resolve", lambda _host, _port: ["127.0.0.1"])
    hooks.run(settings, never)
    assert server.connected == []
    assert rows(Channel.WEBHOOK)[0].error == "not_public"


def test_a_robot_inside_is_reached_when_the_operator_named_it(settings, book, server, monkeypatch):
    book(1)
    monkeypatch.setattr(way_out, "_resolve", lambda _host, _port: ["10.9.0.7"])
    with pytest.raises(Invalid):
        give_hook(url="https://relay/x")
    give_hook(url="https://relay/x", inside=replace(settings, hook_networks="relay").hooks_inside)
    dispatch()
    hooks.run(replace(settings, hook_networks="bot.lab"), never)
    assert server.connected == []
    make_due()
    hooks.run(replace(settings, hook_networks="relay"), never)
    assert server.connected == [("10.9.0.7", 443)]
    assert rows(Channel.WEBHOOK)[0].sent_at


def test_a_post_that_cannot_be_made_does_not_keep_the_others(settings, book, server, monkeypatch):
    book(2)
    give_hook()
    dispatch()
    brief, broken = hooks.messages.brief, [ZeroDivisionError("a template is broken")]

    def once(notice, **given):
        if broken:
            raise broken.pop()
        return brief(notice, **given)

    monkeypatch.setattr(hooks.messages, "brief", once)
    hooks.run(settings, never)
    assert len(server.posts) == 1
    assert [row.attempts for row in rows(Channel.WEBHOOK) if not row.sent_at] == [1]


@pytest.mark.server
def test_killed_between_posting_and_marking_it_loses_none_and_says_which_come_twice(settings, book, server):
    """The server kills the sender at every fourth message, before or after it keeps it."""
    book(24)
    give_hook()
    dispatch()
    kept: Counter[str] = Counter()
    keys, kills = set(), 0
    nursery = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.nursery", str(server.port)],
        cwd=ROOT,
        env=_environment(settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    children = _Last(nursery)

    def answer(post) -> tuple[int, dict[str, str], bytes]:
        nonlocal kills
        number = len(server.posts)
        if number % 4 == 0:
            kills += 1
            os.kill(children.pid, signal.SIGKILL)
        if number % 8:
            kept[post["id"]] += 1
            keys.add(server.headers[-1]["Idempotency-Key"])
        return 200, {}, b""

    server.answer = answer
    assert nursery.wait(timeout=600) == 0
    children.join()
    nursery.stdout.close()
    found = rows(Channel.WEBHOOK)
    assert set(kept) == {str(row.id) for row in found}
    assert keys == {f'"{row.id}"' for row in found}
    assert len(found) == 24
    assert all(row.sent_at for row in found)
    assert kills >= 6
    assert 1 <= kept.total() - len(kept) <= kills


def test_told_to_stop_it_gives_back_what_it_has_not_posted(settings, book, server):
    book(5)
    give_hook()
    dispatch()
    hooks.run(settings, lambda: len(server.posts) >= 2)
    assert len(server.posts) == 2
    assert all(row.claimed_at is None for row in rows(Channel.WEBHOOK))
    hooks.run(settings, never)
    assert len({post["id"] for post in server.posts}) == len(server.posts) == 5


# --- digests --------------------------------------------------------------------------------------


def test_a_digest_is_one_message_for_all_that_is_due_and_leaves_once(settings, book, server):
    give_hook(kind=HookKind.FEISHU)
    wish(Pace.DAILY, Channel.MAIL, Channel.FEISHU)
    book(3)
    dispatch()
    with sink() as mails:
        reached = replace(settings, smtp_url=mails.url)
        for job in (deliver, hooks, digests):
            job.run(reached, never)
        assert (mails.messages, server.posts) == ([], [])
        make_due()
        for job in (deliver, hooks, digests, digests):
            job.run(reached, never)
        (letter,) = mails.messages
    assert letter["Subject"] == "3 notices from Yiqi"
    text = letter.get_body(("plain",)).get_content()
    assert text.count(f"{settings.public_url}/bookings/") == 3
    (post,) = server.posts
    assert post["content"]["text"].startswith("3 notices from Yiqi\nBooked")
    for channel in (Channel.MAIL, Channel.FEISHU):
        assert all(row.sent_at for row in rows(channel))


def test_two_at_once_send_a_digest_once(settings, book):
    wish(Pace.DAILY, Channel.MAIL)
    book(12)
    dispatch()
    make_due()
    with sink() as mails:
        assert both(lambda: digests.run(replace(settings, smtp_url=mails.url), never)) == []
        assert len(mails.messages) == 1


def test_a_digest_says_nothing_that_is_no_longer_so_and_none_is_sent_of_nothing(settings, book):
    wish(Pace.WEEKLY, Channel.MAIL)
    book(2)
    dispatch()
    make_due()
    with db.transaction() as session:
        session.execute(update(Person).values(state="disabled"))
    with sink() as mails:
        digests.run(replace(settings, smtp_url=mails.url), never)
        assert mails.messages == []
    assert all(row.error == "no longer true" for row in rows(Channel.MAIL))


def test_a_mail_server_that_is_down_keeps_the_digest(settings, book):
    wish(Pace.DAILY, Channel.MAIL)
    book(2)
    dispatch()
    make_due()
    with pytest.raises(mail.Unreachable):
        digests.run(replace(settings, smtp_url="smtp://127.0.0.1:1"), never)
    assert all(row.attempts == 0 and row.claimed_at is None for row in rows(Channel.MAIL))
    make_due()
    with sink() as mails:
        digests.run(replace(settings, smtp_url=mails.url), never)
        assert len(mails.messages) == 1


def test_one_whose_sender_died_is_sent_again_under_the_same_id(settings, book, monkeypatch):
    wish(Pace.DAILY, Channel.MAIL)
    book(2)
    dispatch()
    make_due()
    with sink() as mails:
        reached = replace(settings, smtp_url=mails.url)
        with monkeypatch.context() as death:
            death.setattr(notifications, "sent", _die)
            with pytest.raises(SystemExit):
                digests.run(reached, never)
        digests.run(reached, never)
        assert len(mails.messages) == 1
        with db.transaction() as session:
            notifications.give_back(session, now=datetime.now(UTC))
        digests.run(reached, never)
        first, second = mails.ids
    assert first == second


def _die(*_args, **_told) -> None:
    raise SystemExit


def test_quiet_hours_keep_mail_posts_and_digests_but_not_the_inbox(settings, book, server):
    give_hook()
    local = datetime.now(UTC) + timedelta(hours=8)
    minute = local.hour * 60 + local.minute
    wish(Pace.AT_ONCE, Channel.MAIL, quiet=Quiet((minute - 60) % 1440, (minute + 120) % 1440))
    book(1)
    dispatch()
    make_due()  # as if they had been chosen after the events were dispatched
    with sink() as mails:
        reached = replace(settings, smtp_url=mails.url)
        for job in (deliver, hooks, digests):
            job.run(reached, never)
        assert mails.messages == []
    assert server.posts == []
    for channel in (Channel.MAIL, Channel.WEBHOOK):
        (row,) = rows(channel)
        assert row.held_until == row.next_at > datetime.now(UTC) + timedelta(hours=1)
    assert len(rows(Channel.INBOX)) == 1
