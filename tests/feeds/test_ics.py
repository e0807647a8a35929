"""The feed over HTTP: what its subscribers get, whatever they send and whatever is broken."""

import gzip
import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from sqlalchemy import delete, select, update

from booking import db
from booking.domain.policy import PlaceKind, RuleKind
from booking.domain.working_days import Announced, DayKind
from booking.feeds import answers, rendering
from booking.http.logs import JsonLines
from booking.services import bookings, calendars, feeds, rules, working_days
from booking.services.rules import Draft
from booking.services.sign_in import hashed
from models import (
    Booking,
    CalendarLink,
    Instrument,
    Membership,
    Person,
    PersonState,
    Privacy,
    SignIn,
)
from tests import cast
from tests.feeds import conformance, judges
from tests.feeds.world import (
    BUSY,
    FACILITY,
    FREE,
    INSTRUMENT,
    ME,
    NEVER,
    SUMMARY,
    World,
    build,
    copies,
    fill,
    secret_of,
)

TORTURE = "a\\b;c,d \u200fעברית 🧪👩‍🔬\n第二行，双螺杆挤出中试线" + "样" * 90


# --- what it says ----------------------------------------------------------------------------------


def test_two_readers_see_what_was_booked(world_on_both):
    world = world_on_both
    path = world.make()
    ids = [world.book("ada", 2 * n, 2 * n + 1, purpose=TORTURE[: n * 9]) for n in range(12)]
    feed = world.get(path).data
    assert conformance.faults(feed) == []
    with db.reading() as session:
        rows = {str(row.id): row for row in session.scalars(select(Booking))}
    truth = [
        judges.Seen(
            uid=f"{key}@yiqi.local",
            start=int(rows[str(key)].starts_at.timestamp()),
            end=int(rows[str(key)].ends_at.timestamp()),
            changed=int(rows[str(key)].updated_at.timestamp()),
            sequence=0,
            status="CONFIRMED",
            transparency="OPAQUE",
            summary="Microscope",
            description=rows[str(key)].purpose or None,
            location="B 204, Platform, 松山湖 1 号",
            url=f"http://127.0.0.1:8000/bookings/{key}",
            categories=(),
        )
        for key in ids
    ]
    assert judges.by_ical(feed) == truth
    assert judges.by_ical_js(feed)[0]["events"] == truth


def test_a_feed_speaks_its_own_language_whatever_the_client_asks(world):
    world.book("ada", 1, 2)
    chinese, english = (world.make(locale=locale) for locale in ("zh_Hans_CN", "en"))
    for wish in ("en", "zh"):
        assert "SUMMARY:电镜" in world.get(chinese, {"Accept-Language": wish}).text
        assert "SUMMARY:Microscope" in world.get(english, {"Accept-Language": wish}).text


def test_free_time_turns_with_the_rules_at_once_and_with_a_dated_one_on_its_day(world_on_both):
    world = world_on_both
    world.book("ada", 1, 2)
    path = world.make("ada", FREE, "SEM")
    seen = [world.get(path)]

    def turned() -> bool:
        """Say whether whoever asks with the last entity tag gets another calendar."""
        answer = world.get(path, {"If-None-Match": seen[-1].headers["ETag"]})
        if answer.status_code == 304:
            return False
        seen.append(answer)
        return answer.text != seen[-2].text

    def order(**draft) -> int:
        with db.transaction() as session:
            tam = world.actor(session, "tam")
            at = rules.where(session, actor=tam, kind=PlaceKind.FACILITY, code=world.facility)
            wish = Draft(RuleKind.SETTING, **draft)
            return rules.add(session, actor=tam, at=at, draft=wish, now=world.now).id

    setup = order(name="setup", value=30)
    assert turned()
    with db.transaction() as session:
        changes = {"value": 90}
        tam = world.actor(session, "tam")
        rules.change(session, actor=tam, rule_id=setup, changes=changes, now=world.now)
    assert turned()
    with db.transaction() as session:
        rules.end(session, actor=world.actor(session, "tam"), rule_id=setup, now=world.now)
    assert turned()
    assert seen[-1].text == seen[0].text
    assert not turned()

    order(name="setup", value=60, day_kind=DayKind.HOLIDAY)
    with db.transaction() as session:
        days = [Announced(world.now.date(), DayKind.HOLIDAY)]
        root = cast.actor_of(session, cast.root(session))
        working_days.announce(session, actor=root, days=days, source="", now=world.now)
    assert turned()

    tomorrow = world.now.date() + timedelta(days=1)
    order(name="horizon", value=5 * 24 * 60, valid_from=tomorrow)
    turned()
    world.now = world.now.replace(hour=15, minute=59)
    assert not turned()
    world.now = world.now.replace(hour=16, minute=0)  # midnight where the facility stands
    assert turned()


def test_a_request_is_tentative_and_says_so(world):
    with db.transaction() as session:
        session.execute(update(Instrument).values(approval_required=True))
    world.book("ada", 1, 2)
    feed = world.get(world.make()).text
    assert "STATUS:TENTATIVE" in feed
    assert "SUMMARY:Awaiting approval: Microscope" in feed


def test_what_was_called_off_shows_only_when_asked_for(world):
    key = world.book("ada", 30, 31)
    path = world.make()
    assert world.get(path).text.count("BEGIN:VEVENT") == 1
    with db.transaction() as session:
        bookings.cancel(session, actor=world.actor(session, "ada"), booking_id=key, now=world.now)
    assert "BEGIN:VEVENT" not in world.get(path).text
    feed = world.get(f"{path}?cancelled=1")
    assert conformance.faults(feed.data) == []
    assert "STATUS:CANCELLED\r\nTRANSP:TRANSPARENT\r\nX-MICROSOFT-CDO-BUSYSTATUS:FREE" in feed.text
    assert "SUMMARY:Cancelled: Microscope" in feed.text
    assert feed.headers["ETag"] != world.get(path).headers["ETag"]


@pytest.mark.parametrize("scope", [ME, INSTRUMENT, FACILITY, FREE])
def test_every_kind_of_feed_is_good(world, scope):
    world.book("tam", 1, 2, purpose="Calibration; of, all\nthings")
    subject = {ME: "", FACILITY: world.facility}.get(scope, "SEM")
    for privacy in Privacy:
        feed = world.get(world.make("tam", scope, subject, privacy)).data
        assert conformance.faults(feed) == []
        assert judges.by_ical(feed) == judges.by_ical_js(feed)[0]["events"] != []


def test_an_empty_feed_is_a_calendar(world):
    answer = world.get(world.make())
    assert answer.status_code == 200
    assert conformance.faults(answer.data) == []
    assert judges.by_ical(answer.data) == judges.by_ical_js(answer.data)[0]["events"] == []


def test_a_feed_that_its_owner_may_no_longer_read_is_empty_and_says_so(world):
    world.book("ada", 1, 2)
    path = world.make(scope=INSTRUMENT, subject="SEM")
    with db.transaction() as session:
        session.execute(update(Instrument).values(published=False))
    answer = world.get(path)
    assert answer.status_code == 200
    assert "BEGIN:VEVENT" not in answer.text
    assert "You may no longer see" in answer.text
    assert "Microscope" not in answer.text


def test_nobody_reads_what_is_confidential(world):
    world.book("cleo", 1, 2, purpose="CanaryPurpose")  # a company's booking is confidential by default
    with db.transaction() as session:
        session.execute(update(Person).where(Person.id == world.people["cleo"]).values(name="CanaryPerson"))
    for name, scope, subject in (
        ("ada", INSTRUMENT, "SEM"),
        ("ben", INSTRUMENT, "SEM"),
        ("tam", INSTRUMENT, "SEM"),
        ("tam", FACILITY, world.facility),
        ("ada", FREE, "SEM"),
        ("ada", ME, ""),
    ):
        for privacy in Privacy:
            for query in ("", "?cancelled=1"):
                feed = world.get(world.make(name, scope, subject, privacy) + query).text.replace("\r\n ", "")
                assert "Canary" not in feed
                assert "Company" not in feed
    assert "CanaryPurpose" in world.get(world.make("cleo")).text


def test_a_busy_feed_has_times_and_nothing_else(world):
    key = world.book("ada", 1, 2, purpose="Fibres")
    feed = world.get(world.make(privacy=BUSY)).text
    assert "SUMMARY:Busy" in feed
    for told in ("Fibres", "Microscope", "LOCATION", "DESCRIPTION:Fibres", "URL", str(key)):
        assert told not in feed.replace("\r\n ", "")


def test_bookings_of_others_show_who_only_to_staff(world):
    world.book("ben", 1, 2, purpose="Fibres")
    assert "SUMMARY:Microscope (Ben)" in world.get(world.make("tam", INSTRUMENT, "SEM")).text
    masked = world.get(world.make("cleo", INSTRUMENT, "SEM")).text
    assert "SUMMARY:Busy" in masked
    assert "Ben" not in masked
    assert "Fibres" not in masked


# --- window and cap --------------------------------------------------------------------------------


def test_of_1001_events_the_past_goes_first_and_the_calendar_says_so(world):
    fill(world, [-48, *range(1000)])
    feed = world.get(world.make()).data
    assert feed.count(b"BEGIN:VEVENT") == 1000
    assert conformance.faults(feed) == []
    first = min(seen.start for seen in judges.by_ical(feed))
    assert first == int(world.now.timestamp())
    assert len(feed) < 1_000_000
    said = feed.decode().replace("\r\n ", "").replace("\\,", ",")
    assert (
        "X-WR-CALDESC:From 30 days back to 365 days ahead, in whole days (UTC), and at most 1000 events"
        in said
    )
    assert str(world.now.year) not in said.split("BEGIN:VEVENT")[0]


def test_what_is_31_days_back_or_366_ahead_is_cut(world):
    fill(world, [24 * day for day in (-31, -30, 365, 366)])
    starts = [seen.start for seen in judges.by_ical(world.get(world.make()).data)]
    assert starts == [int((world.now + timedelta(days=day)).timestamp()) for day in (-30, 365)]


def test_ten_thousand_events_with_a_raised_cap(make_app, sqlite_url, now, monkeypatch):
    world = build(make_app(sqlite_url, feed_events=10_000), now, monkeypatch)
    fill(world, [n % 8000 for n in range(10_001)])
    path = world.make(privacy=SUMMARY)
    answer = world.get(path)
    assert answer.data.count(b"BEGIN:VEVENT") == 10_000
    assert conformance.faults(answer.data) == []
    assert world.get(path, {"If-None-Match": answer.headers["ETag"]}).status_code == 304


# --- HTTP ------------------------------------------------------------------------------------------


def test_the_headers_of_a_feed(world):
    world.book("ada", 1, 2)
    answer = world.get(world.make())
    headers = answer.headers
    assert answer.status_code == 200
    assert headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert headers["Content-Disposition"].startswith("inline")
    assert headers["ETag"].startswith('"')
    assert parsedate_to_datetime(headers["Last-Modified"]) == world.now
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["X-Robots-Tag"] == "noindex"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in headers
    assert int(headers["Content-Length"]) == len(answer.data)


def test_an_address_is_short_and_long_enough(world):
    path = world.make()
    assert len(f"{world.app.extensions['yiqi'].public_url}{path}") <= 250
    assert len(secret_of(path)) >= 22
    assert path.endswith(".ics")


@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"other", {0}', "*", "{1}", "W/{1}"])
def test_a_known_version_is_304_without_a_body(world, form):
    world.book("ada", 1, 2)
    path = world.make()
    plain = world.get(path).headers["ETag"]
    packed = world.get(path, {"Accept-Encoding": "gzip"}).headers["ETag"]
    answer = world.get(path, {"If-None-Match": form.format(plain, packed)})
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] in {plain, packed}
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Content-Type" not in answer.headers


def test_a_known_version_renders_nothing(world, monkeypatch):
    world.book("ada", 1, 2)
    path = world.make()
    tag = world.get(path).headers["ETag"]

    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(feeds, "entries", fail)
    monkeypatch.setattr(rendering, "render", fail)
    assert world.get(path, {"If-None-Match": tag}).status_code == 304
    assert world.get(path).status_code == 200  # nor does a whole answer that nothing changed in


def test_another_version_is_the_whole_feed(world):
    path = world.make()
    assert world.get(path, {"If-None-Match": '"nope"'}).status_code == 200
    tag = world.get(path).headers["ETag"]
    world.book("ada", 1, 2)
    answer = world.get(path, {"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != tag


def test_the_time_of_the_last_change_is_honoured(world):
    path = world.make()
    first = world.get(path)
    seen = first.headers["Last-Modified"]
    assert world.get(path, {"If-Modified-Since": seen}).status_code == 304
    older = "Mon, 02 Nov 2020 08:00:00 GMT"
    assert world.get(path, {"If-Modified-Since": older}).status_code == 200
    # The entity tag is the finer word and goes first.
    assert world.get(path, {"If-Modified-Since": seen, "If-None-Match": '"nope"'}).status_code == 200
    world.book("ada", 1, 2)
    again = world.get(path, {"If-Modified-Since": seen})  # within the same second
    assert again.status_code == 200
    assert parsedate_to_datetime(again.headers["Last-Modified"]) > parsedate_to_datetime(seen)


def test_head_is_a_get_without_the_body(world):
    world.book("ada", 1, 2)
    path = world.make()
    whole, head = world.get(path), world.client.head(path)
    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length"):
        assert head.headers[name] == whole.headers[name]


def test_gzip_is_another_representation_with_its_own_tag(world):
    world.book("ada", 1, 2)
    path = world.make()
    plain = world.get(path)
    packed = [world.get(path, {"Accept-Encoding": "gzip, br"}) for _ in range(2)]
    assert packed[0].headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed[0].data) == plain.data
    assert packed[0].data == packed[1].data
    assert packed[0].headers["ETag"] != plain.headers["ETag"]
    assert "Content-Encoding" not in world.get(path, {"Accept-Encoding": "gzip;q=0"}).headers


def test_bytes_are_the_same_until_something_changes(world):
    world.book("ada", 1, 2)
    path = world.make()
    first = world.get(path)
    assert world.get(path).data == first.data
    for copy in copies(world):  # as after a restart on another machine
        copy.unlink()
    rendering.shelf = rendering.Shelf(most=100)
    again = world.get(path)
    assert (again.data, again.headers["ETag"]) == (first.data, first.headers["ETag"])
    world.now += timedelta(days=1)  # nothing enters the window nor leaves it
    assert world.get(path).data == first.data
    world.now += timedelta(days=40)
    assert b"VEVENT" not in world.get(path).data


def test_a_rename_changes_the_feed(world):
    world.book("ada", 1, 2)
    path = world.make()
    first = world.get(path)
    with db.transaction() as session:
        session.execute(update(Instrument).values(name_en="Renamed", updated_at=world.now))
    answer = world.get(path, {"If-None-Match": first.headers["ETag"]})
    assert "SUMMARY:Renamed" in answer.text
    assert f"LAST-MODIFIED:{world.now:%Y%m%dT%H%M%SZ}" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer yiqi_wrong"},
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"Cookie": "yiqi=garbage; other=1"},
        {"Accept": "text/html"},
        {"Accept": "application/json"},
        {"Accept-Charset": "iso-8859-1", "User-Agent": ""},
        {"X-Requested-With": "XMLHttpRequest", "Origin": "https://other.example.org"},
    ],
    ids=str,
)
def test_nothing_else_that_a_client_sends_matters(world, headers):
    world.book("ada", 1, 2)
    path = world.make()
    answer = world.get(path, headers)
    assert (answer.status_code, answer.data) == (200, world.get(path).data)
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert "Set-Cookie" not in answer.headers


def test_a_session_is_neither_used_nor_touched(world):
    client = world.client
    with db.transaction() as session:
        cast.sign_in(client, session, session.get_one(Person, world.people["ben"]))
        session.execute(update(SignIn).values(seen_at=datetime(2026, 1, 1, tzinfo=UTC)))
    world.book("ada", 1, 2)
    path = world.make()
    answer = client.get(path)
    answer.close()
    assert answer.data == world.get(path).data
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "private, no-cache"
    with db.reading() as session:
        assert session.scalar(select(SignIn.seen_at)) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_feed_is_never_limited(make_app, sqlite_url, now, monkeypatch):
    world = build(make_app(sqlite_url, requests_per_minute=2, rate_limits=True), now, monkeypatch)
    path = world.make()
    assert {world.get(path).status_code for _ in range(6)} == {200}


def test_robots_may_fetch_feeds(world):
    answer = world.get("/robots.txt")
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert "Allow: /calendars/" in answer.text.splitlines()


# --- gone, unknown, broken -------------------------------------------------------------------------


def _revoke(world: World) -> None:
    with db.transaction() as session:
        who = world.actor(session, "ada")
        for listed in calendars.listing(session, actor=who):
            calendars.revoke(session, actor=who, link_id=listed.link.id, now=world.now)


def test_a_revoked_address_is_410_and_its_copy_is_gone(world):
    path = world.make()
    tag = world.get(path).headers["ETag"]
    world.get(f"{path}?cancelled=1")
    assert len(copies(world)) == 2
    _revoke(world)
    for headers in ({}, {"If-None-Match": tag}, {"If-None-Match": "*"}):
        assert world.get(path, headers).status_code == 410
    assert copies(world) == []


def test_the_address_of_a_closed_account_is_410(world):
    path = world.make()
    assert world.get(path).status_code == 200
    with db.transaction() as session:
        session.execute(
            update(Person).where(Person.id == world.people["ada"]).values(state=PersonState.DISABLED)
        )
    assert world.get(path).status_code == 410
    assert copies(world) == []


@pytest.mark.parametrize("token", ["x", "x" * 2000, "中文", "%ff%fe", "a.b", "..", "a b", "'; --", "%0d%0aX"])
def test_an_unknown_address_is_404_in_plain_words(world, token):
    answer = world.get(f"/calendars/{token}.ics", {"If-None-Match": "*"})
    assert answer.status_code == 404
    assert "Set-Cookie" not in answer.headers


def _cut_off() -> None:
    """Take the database away: nothing listens there."""
    db.init("postgresql://nobody@127.0.0.1:1/none")


def test_without_the_database_the_last_good_answer_is_given(world, caplog):
    world.book("ada", 1, 2)
    path, never_read = world.make(), world.make()
    good = world.get(path)
    _cut_off()
    answer = world.get(path)
    assert (answer.status_code, answer.data) == (200, good.data)
    for name in ("ETag", "Last-Modified", "Content-Type", "Cache-Control", "Vary"):
        assert answer.headers[name] == good.headers[name]
    assert world.get(path, {"If-None-Match": good.headers["ETag"]}).status_code == 304
    assert world.get(path, {"If-Modified-Since": good.headers["Last-Modified"]}).status_code == 304
    packed = world.get(path, {"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data) == good.data
    # Whoever has read it before keeps that; whoever has not is told nothing that ends a subscription.
    assert world.get(never_read, {"If-None-Match": '"any"'}).status_code == 304
    assert world.get(never_read).status_code not in NEVER
    assert secret_of(path) not in caplog.text


def test_a_revoked_address_stays_gone_without_the_database(world):
    path = world.make()
    world.get(path)
    _revoke(world)
    world.get(path)
    _cut_off()
    assert world.get(path).status_code == 404


def test_a_fault_of_ours_gives_the_last_good_answer_too(world, monkeypatch):
    path = world.make()
    good = world.get(path)
    world.book("ada", 1, 2)

    def fail(*_: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr(rendering, "render", fail)
    answer = world.get(path)
    assert (answer.status_code, answer.data) == (200, good.data)


def test_a_torn_copy_is_no_copy(world):
    world.book("ada", 1, 2)
    path = world.make()
    good = world.get(path)
    (copy,) = copies(world)
    for torn in (copy.read_bytes()[:-1], b"", b"{}\nrest", b"no JSON\n"):
        copy.write_bytes(torn)
        assert world.get(path).data == good.data
    copy.write_bytes(b"")
    _cut_off()
    assert world.get(path).status_code not in NEVER | {200}


def test_copies_are_named_by_the_hash_and_for_the_server_alone(world):
    path = world.make()
    world.get(path)
    (copy,) = copies(world)
    assert copy.name == f"{hashed(secret_of(path)).hex()}.ics"
    assert copy.stat().st_mode & 0o077 == 0
    assert copy.parent.stat().st_mode & 0o077 == 0
    assert secret_of(path).encode() not in copy.read_bytes()


def test_a_full_disk_fails_no_answer(world, monkeypatch):
    path = world.make()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(answers.feed_copies, "write", full)
    assert world.get(path).status_code == 200


# --- who asked -------------------------------------------------------------------------------------


def _link() -> CalendarLink:
    with db.reading() as session:
        return session.scalars(select(CalendarLink)).one()


def _fetch(world: World, path: str, address: str, agent: str) -> int:
    answer = world.get(path, {"User-Agent": agent}, environ_base={"REMOTE_ADDR": address})
    answer.close()  # what is noted is noted when the answer has gone out
    return answer.status_code


def test_the_owner_sees_when_and_from_where_it_was_read(world):
    path = world.make()
    _fetch(world, path, "192.0.2.77", "Google-Calendar-Importer")
    link = _link()
    assert (link.fetched_at, link.agent, link.address) == (
        world.now,
        "Google-Calendar-Importer",
        "192.0.2.0/24",
    )
    world.now += timedelta(minutes=4)
    _fetch(world, path, "198.51.100.9", "Other")
    assert _link().agent == "Google-Calendar-Importer"  # written every few minutes at most
    world.now += timedelta(minutes=2)
    _fetch(world, path, "2001:db8:1234:5678::9", "Thunder\tbird \u200f" + "x" * 999)
    link = _link()
    assert link.address == "2001:db8:1234::/48"
    assert link.agent.startswith("Thunderbird x")
    assert len(link.agent) <= 300


def test_a_304_is_a_fetch_as_well(world):
    path = world.make()
    tag = world.get(path).headers["ETag"]
    world.now += timedelta(minutes=10)
    world.get(path, {"If-None-Match": tag}).close()
    assert _link().fetched_at == world.now


def test_with_its_person_an_address_goes_without_a_trace(world):
    path = world.make()
    world.get(path)
    with db.transaction() as session:
        session.execute(delete(CalendarLink))
    assert world.get(path).status_code == 404
    assert copies(world) == []


def test_what_cannot_be_noted_fails_no_answer(world, monkeypatch, caplog):
    path = world.make()

    def fail(*_: object, **__: object) -> None:
        raise db.Unavailable("locked")

    monkeypatch.setattr(calendars, "note_fetch", fail)
    assert _fetch(world, path, "192.0.2.1", "x") == 200
    assert "could not be noted" in caplog.text


def test_the_secret_stands_in_no_log(world, capfd):
    path = world.make()
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonLines().format(record))

    keep = Keep()
    logger = logging.getLogger("booking")
    logger.addHandler(keep)
    try:
        world.get(path)
        world.get(f"{path}?cancelled=1")
        _revoke(world)
        world.get(path)
        _cut_off()
        world.get(path)
    finally:
        logger.removeHandler(keep)
    assert any('"path": "/calendars/***' in line for line in lines)
    assert not any(secret_of(path) in line for line in lines)
    assert all(json.loads(line) for line in lines)
    printed = capfd.readouterr()
    assert secret_of(path) not in printed.out + printed.err


def test_rights_are_asked_at_each_fetch(world):
    world.book("ben", 1, 2, purpose="Fibres")
    path = world.make("tam", FACILITY, world.facility)
    assert "Fibres" in world.get(path).text
    with db.transaction() as session:
        session.execute(delete(Membership).where(Membership.person_id == world.people["tam"]))
    answer = world.get(path)
    assert answer.status_code == 200
    assert "VEVENT" not in answer.text
