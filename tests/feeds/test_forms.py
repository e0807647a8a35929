"""The other forms of a feed: busy time alone, and news of freed time as Atom, RSS and JSON Feed."""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import UUID

import pytest
from defusedxml import ElementTree
from icalendar import Calendar
from sqlalchemy import select, update

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings, calendars, closures, facilities, housekeeping
from models import CameFree, ClosureKind, Instrument
from tests.factories import make_instrument, make_network
from tests.feeds.test_scopes import link_of
from tests.feeds.world import (
    APPROVALS,
    BUSY,
    FACILITY,
    FREE,
    INSTRUMENT,
    ME,
    NETWORK,
    NEVER,
    SUMMARY,
    World,
    copies,
    secret_of,
)

ATOM = "{http://www.w3.org/2005/Atom}"


def cancel(world: World, name: str, key: UUID) -> None:
    with db.transaction() as session:
        bookings.cancel(session, actor=world.actor(session, name), booking_id=key, now=world.now)


def ending(path: str, form: str) -> str:
    return path.replace(".ics", f".{form}")


def told(world: World, path: str) -> list[dict]:
    """Give the items of the news, after a look that all three forms tell the same."""
    answers = {form: world.get(ending(path, form)) for form in ("atom", "rss", "json")}
    assert {answer.status_code for answer in answers.values()} == {200}
    items = json.loads(answers["json"].data)["items"]
    entries = ElementTree.fromstring(answers["atom"].data).findall(f"{ATOM}entry")
    assert [(entry.findtext(f"{ATOM}id"), entry.findtext(f"{ATOM}title")) for entry in entries] == [
        (item["id"], item["title"]) for item in items
    ]
    rss = ElementTree.fromstring(answers["rss"].data).findall("channel/item")
    assert [(item.findtext("guid"), item.findtext("link"), item.findtext("description")) for item in rss] == [
        (item["id"], item["url"], item["content_text"]) for item in items
    ]
    return items


# --- news of freed time ----------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [INSTRUMENT, FREE, FACILITY, NETWORK])
def test_what_is_cancelled_is_news_until_somebody_has_it(world_on_both, scope):
    world = world_on_both
    with db.transaction() as session:
        make_network(session, facilities.by_code(session, code=world.facility), code="NET")
    path = world.make("tam", scope, {FACILITY: world.facility, NETWORK: "NET"}.get(scope, "SEM"))
    key = world.book("ben", 30, 33, purpose="CanaryPurpose")
    assert told(world, path) == []
    cancel(world, "ben", key)
    (item,) = told(world, path)
    assert item["title"] == "Microscope is free: Tue 3 Nov 2026, 22:00 – Wed 4 Nov 2026, 01:00"
    assert item["url"] == (
        "http://127.0.0.1:8000/bookings/new?instrument=SEM&start=2026-11-03T22:00&end=2026-11-04T01:00"
    )
    assert item["date_published"] == "2026-11-02T08:00:00Z"
    assert "Platform" in item["content_text"]
    assert "Asia/Shanghai" in item["content_text"]
    assert not re.search("Canary|Ben", str(item))
    # Part of it is taken: the rest stays, under the same id.
    world.book("ada", 31, 32)
    (rest,) = told(world, path)
    assert rest["id"] == item["id"]
    assert rest["content_text"].count("\n") == item["content_text"].count("\n") + 1
    world.book("ada", 30, 31)
    world.book("ada", 32, 33)
    assert told(world, path) == []


def test_a_move_a_lifted_closure_and_an_early_end_are_news_too(world):
    path = world.make("ada", INSTRUMENT, "SEM")
    key = world.book("ben", 30, 32)
    with db.transaction() as session:
        place = session.scalars(select(Instrument.id)).one()
        later = Span(world.now + timedelta(hours=31), world.now + timedelta(hours=33))
        bookings.change(
            session,
            actor=world.actor(session, "ben"),
            booking_id=key,
            version=None,
            items=[Item(place, later)],
            now=world.now,
        )
    assert [item["title"] for item in told(world, path)] == [
        "Microscope is free: Tue 3 Nov 2026, 22:00 – 23:00"
    ]
    with db.transaction() as session:
        tam = world.actor(session, "tam")
        closure, _ = closures.make(
            session,
            actor=tam,
            facility_id=facilities.by_code(session, code=world.facility).id,
            instrument_id=place,
            span=Span(world.now + timedelta(days=5), world.now + timedelta(days=5, hours=2)),
            kind=ClosureKind.MAINTENANCE,
            reason="",
            imposed=False,
            now=world.now,
        )
    with db.transaction() as session:
        tam = world.actor(session, "tam")
        closures.lift(session, actor=tam, closure_id=closure.id, now=world.now + timedelta(minutes=1))
    assert told(world, path)[0]["title"].startswith("Microscope is free: Sat 7 Nov")
    with db.transaction() as session:
        ben = world.actor(session, "ben")
        begin = later.start
        bookings.check_in(session, actor=ben, booking_id=key, now=begin)
        bookings.check_out(session, actor=ben, booking_id=key, now=begin + timedelta(minutes=30))
    assert len(told(world, path)) == 3


def test_a_hold_that_runs_out_is_no_news(world):
    from booking.services import holds, occupation

    path = world.make("ada", INSTRUMENT, "SEM")
    with db.transaction() as session:
        place = session.scalars(select(Instrument.id)).one()
        span = Span(world.now + timedelta(hours=30), world.now + timedelta(hours=31))
        holds.take(session, actor=world.actor(session, "ben"), items=[Item(place, span)], now=world.now)
    with db.transaction() as session:
        assert occupation.release_expired(session, now=world.now + timedelta(hours=1)) == 1
    assert told(world, path) == []


def test_news_grow_old_and_are_forgotten(world):
    path = world.make("ada", FREE, "SEM")
    cancel(world, "ben", world.book("ben", 24 * 60, 24 * 60 + 1))
    assert len(told(world, path)) == 1
    world.now += timedelta(days=15)
    assert told(world, path) == []
    with db.transaction() as session:
        housekeeping.prune(session, now=world.now)
    with db.reading() as session:
        assert session.scalars(select(CameFree)).all() != []
    with db.transaction() as session:
        housekeeping.prune(session, now=world.now + timedelta(days=16))
        assert session.scalars(select(CameFree)).all() == []


def test_news_of_what_is_hidden_or_not_bookable_are_not_told(world):
    with db.transaction() as session:
        make_network(session, facilities.by_code(session, code=world.facility), code="NET")
    cancel(world, "ben", world.book("ben", 30, 31))
    path = world.make("cleo", NETWORK, "NET")
    assert len(told(world, path)) == 1
    with db.transaction() as session:
        session.execute(update(Instrument).values(bookable=False, revision=Instrument.revision + 1))
    assert told(world, path) == []
    with db.transaction() as session:
        values = {"bookable": True, "published": False, "revision": Instrument.revision + 1}
        session.execute(update(Instrument).values(values))
    assert told(world, path) == []
    hidden = world.make("tam", INSTRUMENT, "SEM")
    assert len(told(world, hidden)) == 1


def test_several_instruments_have_one_list_of_news_the_latest_first(world):
    with db.transaction() as session:
        lab = facilities.by_code(session, code=world.facility)
        make_instrument(session, facility=lab, code="XRD", name_en="Dif <b>&\ufffe\x07fractometer")
    path = world.make("ada", FREE, several=["SEM", "XRD"], name="Mine & yours")
    first, second = world.book("ben", 30, 31), world.book("ben", 40, 41, code="XRD")
    cancel(world, "ben", first)
    world.now += timedelta(minutes=1)
    cancel(world, "ben", second)
    items = told(world, path)
    assert [item["title"].split(" is free")[0] for item in items][1] == "Microscope"
    assert items[0]["title"].startswith("Dif <b>&")
    feed = ElementTree.fromstring(world.get(ending(path, "atom")).data)
    assert feed.findtext(f"{ATOM}title") == "Mine & yours: freed time"
    assert feed.findtext(f"{ATOM}updated") == "2026-11-02T08:01:00Z"


def test_news_speak_the_language_of_the_feed(world):
    cancel(world, "ben", world.book("ben", 30, 31))
    path = world.make("ada", INSTRUMENT, "SEM", locale="zh_Hans_CN")
    assert told(world, path)[0]["title"].startswith("电镜")
    assert json.loads(world.get(ending(path, "json")).data)["language"] == "zh-Hans-CN"


# --- busy time alone -------------------------------------------------------------------------------


def freebusy(world: World, path: str) -> Calendar:
    answer = world.get(ending(path, "ifb"))
    assert answer.status_code == 200
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", answer.data) is None
    assert max(map(len, answer.data.split(b"\r\n"))) <= 75
    (component,) = Calendar.from_ical(answer.data).walk("VFREEBUSY")
    return component


def periods(component: Calendar) -> dict[str, list[tuple[datetime, datetime]]]:
    lines = component.get("FREEBUSY", [])
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for line in lines if isinstance(lines, list) else [lines]:
        found.setdefault(line.params["FBTYPE"], []).append((line.start, line.end))
    return found


def hours(world: World, *pairs: tuple[float, float]) -> list[tuple[datetime, datetime]]:
    return [(world.now + timedelta(hours=a), world.now + timedelta(hours=b)) for a, b in pairs]


def test_busy_time_is_one_component_of_periods_without_words(world_on_both):
    world = world_on_both
    world.book("ada", 1, 2, purpose="Canary")
    world.book("ada", 2, 3)
    world.book("ada", 5, 6)
    with db.transaction() as session:
        session.execute(update(Instrument).values(approval_required=True))
    world.book("ada", 7, 8)
    for path in (world.make(), world.make("ada", INSTRUMENT, "SEM")):
        component = freebusy(world, path)
        assert periods(component) == {
            "BUSY": hours(world, (1, 3), (5, 6)),
            "BUSY-TENTATIVE": hours(world, (7, 8)),
        }
        assert component["DTSTART"].dt == datetime(2026, 10, 3, tzinfo=UTC)
        assert component["DTEND"].dt == datetime(2027, 11, 3, tzinfo=UTC)
    answer = world.get(ending(world.make(), "ifb"))
    for word in ("Canary", "Microscope", "ATTENDEE", "ORGANIZER", "METHOD"):
        assert word not in answer.text
    # Whether a stranger's booking is approved is not theirs to know.
    assert periods(freebusy(world, world.make("cleo", INSTRUMENT, "SEM"))).keys() == {"BUSY"}


def test_free_time_is_told_as_free_and_a_closure_as_unavailable(world):
    with db.transaction() as session:
        closures.make(
            session,
            actor=world.actor(session, "tam"),
            facility_id=facilities.by_code(session, code=world.facility).id,
            instrument_id=None,
            span=Span(*hours(world, (24, 48))[0]),
            kind=ClosureKind.CLOSURE,
            reason="",
            imposed=False,
            now=world.now,
        )
    taken = periods(freebusy(world, world.make("ada", INSTRUMENT, "SEM")))
    assert taken == {"BUSY-UNAVAILABLE": hours(world, (24, 48))}
    free = periods(freebusy(world, world.make("ada", FREE, "SEM", future_days=3)))
    midnight = world.now.replace(hour=0)
    end = midnight + timedelta(days=4)
    assert free == {"FREE": [(midnight, hours(world, (24, 48))[0][0]), (hours(world, (24, 48))[0][1], end)]}


def test_an_empty_busy_time_keeps_its_bytes_for_the_day(world):
    path = world.make()
    first = world.get(ending(path, "ifb"))
    assert periods(freebusy(world, path)) == {}
    for copy in copies(world):
        copy.unlink()
    assert world.get(ending(path, "ifb")).data == first.data


# --- of every form ---------------------------------------------------------------------------------

FORMS = {
    "ics": "text/calendar; charset=utf-8",
    "ifb": "text/calendar; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
    "json": "application/feed+json; charset=utf-8",
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_answered_alike(world, form):
    world.book("ben", 1, 2)
    cancel(world, "ben", world.book("ben", 30, 31))
    path = ending(world.make("ada", INSTRUMENT, "SEM", SUMMARY), form)
    good = world.get(path)
    assert good.headers["Content-Type"] == FORMS[form]
    assert good.headers["Cache-Control"] == "private, no-cache"
    assert good.headers["Referrer-Policy"] == "no-referrer"
    assert good.headers["X-Robots-Tag"] == "noindex"
    assert parsedate_to_datetime(good.headers["Last-Modified"]) == world.now
    known = world.get(path, {"If-None-Match": good.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")
    assert world.get(path, {"Authorization": "Bearer", "Accept": "text/html"}).data == good.data
    world.now += timedelta(hours=3)
    assert world.get(path).data == good.data  # what stands in it does not change with the clock
    db.init("postgresql://nobody@127.0.0.1:1/none")  # nothing listens there
    away = world.get(path)
    assert (away.status_code, away.data, away.headers["ETag"]) == (200, good.data, good.headers["ETag"])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_revoked_address_is_gone(world, form):
    path = world.make("ada", INSTRUMENT, "SEM")
    assert {world.get(ending(path, each)).status_code for each in FORMS} == {200}
    assert len(copies(world)) == len(FORMS)
    with db.transaction() as session:
        calendars.revoke(session, actor=world.actor(session, "ada"), link_id=link_of(path).id, now=world.now)
    assert world.get(ending(path, form)).status_code == 410
    assert copies(world) == []


@pytest.mark.parametrize(
    ("scope", "forms"), [(ME, "atom rss json"), (FACILITY, "ifb"), (APPROVALS, "ifb atom rss json")]
)
def test_a_form_in_which_a_feed_does_not_come_is_not_there_and_harms_nothing(world, scope, forms):
    path = world.make("tam", scope, world.facility if scope is FACILITY else "")
    world.get(path)
    kept = copies(world)
    for form in forms.split():
        answer = world.get(ending(path, form))
        assert answer.status_code == 404
        assert answer.status_code not in NEVER
    assert copies(world) == kept != []


def test_a_privacy_that_tells_nothing_tells_nothing_in_any_form(world):
    world.book("ada", 1, 2, purpose="Canary")
    path = world.make("ada", INSTRUMENT, "SEM", BUSY)
    for form in FORMS:
        assert "Canary" not in world.get(ending(path, form)).text
    assert secret_of(path) not in world.get(ending(path, "atom")).text
