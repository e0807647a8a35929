"""CalDAV over HTTP: what real programs send, what they are told, and that they book by the rules of the page."""

import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
from defusedxml.ElementTree import fromstring
from flask import Flask
from sqlalchemy import event, select, update
from werkzeug.test import TestResponse

from booking import db
from booking.domain.access import Scope
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.feeds.caldav import calendars as opened
from booking.http import identity
from booking.services import bookings, calendars, closures
from models import (
    ApiToken,
    Booking,
    CalendarLink,
    CalendarScope,
    ClosureKind,
    DavObject,
    Facility,
    Instrument,
    Person,
    Privacy,
)
from tests import cast
from tests.factories import make_facility, make_instrument

D, C, CS, A = (
    "{DAV:}",
    "{urn:ietf:params:xml:ns:caldav}",
    "{http://calendarserver.org/ns/}",
    "{http://apple.com/ns/ical/}",
)
SPACES = 'xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
NOW = datetime.now(UTC)
SOON = NOW.replace(hour=1, minute=0, second=0, microsecond=0) + timedelta(days=3)
HOUR = timedelta(hours=1)


# --- a program ------------------------------------------------------------------------------------


@dataclass
class Program:
    """A calendar program of somebody."""

    app: Flask
    person_id: UUID
    email: str
    token: str
    language: str = "en"

    @property
    def home(self) -> str:
        return f"/caldav/calendars/{self.person_id}/"

    def ask(self, method: str, path: str = "", body: str | bytes = "", **headers: str) -> TestResponse:
        path = path if path.startswith("/") else self.home + path
        secret = base64.b64encode(f"{self.email}:{self.token}".encode()).decode()
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        told = {"Authorization": f"Basic {secret}", "Accept-Language": self.language} | told
        return self.app.test_client().open(path, method=method, data=body, headers=told)

    def tree(self, *asked: str, status: int = 207, **headers: str) -> ET.Element:
        answer = self.ask(*asked, **headers)
        assert answer.status_code == status, answer.text
        return fromstring(answer.data)

    def find(self, path: str, *names: str, depth: int = 0) -> dict[str, dict[str, ET.Element]]:
        """PROPFIND: what each resource has of these properties."""
        props = "".join(f"<{name}/>" for name in names)
        tree = self.tree(
            "PROPFIND", path, f"<propfind {SPACES}><prop>{props}</prop></propfind>", Depth=str(depth)
        )
        return granted(tree)

    def report(self, path: str, body: str) -> ET.Element:
        return self.tree("REPORT", path, body)

    def sync(self, path: str, token: str = "", most: int = 0) -> tuple[dict[str, str], set[str], str]:
        """What changed, by its address, what is gone, and the token for next time."""
        limit = f"<limit><nresults>{most}</nresults></limit>" if most else ""
        tree = self.report(
            path,
            f"<sync-collection {SPACES}><sync-token>{token}</sync-token><sync-level>1</sync-level>{limit}"
            "<prop><getetag/></prop></sync-collection>",
        )
        changed = {path: told[D + "getetag"].text for path, told in granted(tree).items()}
        gone = {
            one.findtext(D + "href")
            for one in tree.iter(D + "response")
            if "404" in one.findtext(D + "status", "")
        }
        return changed, gone, tree.findtext(D + "sync-token")

    def query(self, path: str, inside: str = "") -> dict[str, str]:
        """calendar-query: the events that fit, by their addresses."""
        tree = self.report(
            path,
            f"<C:calendar-query {SPACES}><prop><getetag/><C:calendar-data/></prop><C:filter>"
            f'<C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">{inside}</C:comp-filter></C:comp-filter>'
            "</C:filter></C:calendar-query>",
        )
        return {path: told[C + "calendar-data"].text for path, told in granted(tree).items()}

    def put(
        self, path: str, uid: str, start: datetime, end: datetime, *more: str, **headers: str
    ) -> TestResponse:
        return self.ask("PUT", path, ics(uid, f"DTSTART:{z(start)}", f"DTEND:{z(end)}", *more), **headers)


def granted(tree: ET.Element) -> dict[str, dict[str, ET.Element]]:
    found: dict[str, dict[str, ET.Element]] = {}
    for one in tree.iter(D + "response"):
        for part in one.iter(D + "propstat"):
            if "200" in part.findtext(D + "status"):
                found.setdefault(one.findtext(D + "href"), {}).update(
                    {p.tag: p for p in part.find(D + "prop")}
                )
    return found


def ics(uid: str, *lines: str, kind: str = "VEVENT") -> str:
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", f"BEGIN:{kind}", f"UID:{uid}")
    return "\r\n".join((*head, *lines, f"END:{kind}", "END:VCALENDAR", ""))


def z(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def said(answer: TestResponse) -> tuple[int, str, str]:
    """The status of a refusal, the condition that failed and its sentence."""
    error = fromstring(answer.data)
    assert error.tag == D + "error"
    return answer.status_code, error[0].tag.rpartition("}")[2], error.findtext(D + "responsedescription")


# --- the world ------------------------------------------------------------------------------------


@dataclass
class World:
    app: Flask
    ids: dict[str, int] = field(default_factory=dict)

    def program(self, name: str, *scopes: Scope) -> Program:
        with db.transaction() as session:
            person = getattr(cast, name)(session)
            person.locale = "en"
            secret = cast.token(session, person, *scopes)
            return Program(self.app, person.id, person.email, secret)

    def shows(self, name: str, scope: CalendarScope, subject: str, privacy: Privacy = Privacy.BUSY) -> str:
        """Have somebody keep a calendar's address, and give its secret."""
        with db.transaction() as session:
            actor = cast.actor_of(session, getattr(cast, name)(session))
            return calendars.make(
                session, actor=actor, scope=scope, subject=subject, privacy=privacy, locale="en", now=NOW
            )[1]

    def book(self, name: str, *spans: Span, code: str = "SEM", **told: Any) -> Booking:
        with db.transaction() as session:
            person = getattr(cast, name)(session)
            place = session.scalars(select(Instrument).where(Instrument.code == code)).one()
            items = [Item(place.id, span) for span in spans]
            return bookings.place(session, actor=cast.actor_of(session, person), items=items, now=NOW, **told)

    def booked(self) -> list[Booking]:
        with db.reading() as session:
            return list(session.scalars(select(Booking).order_by(Booking.created_at, Booking.id)))


@pytest.fixture
def world(app: Flask) -> World:
    return _world(app)


@pytest.fixture
def world_on_both(app_on_both: Flask) -> World:
    return _world(app_on_both)


def _world(app: Flask) -> World:
    world = World(app)
    with db.transaction() as session:
        lab = make_facility(session, code="LAB", name_en="Laboratory")
        sem = make_instrument(session, lab, code="SEM", name_en="Microscope")
        asks = make_instrument(session, lab, code="XRD", name_en="Diffractometer", approval_required=True)
        world.ids = {"SEM": sem.id, "XRD": asks.id}
        cast.tam(session, lab)
        cast.ben(session), cast.cleo(session)
    world.shows("ada", CalendarScope.INSTRUMENT, "SEM")
    return world


@pytest.fixture
def ada(world: World) -> Program:
    return world.program("ada")


def sem(world: World) -> str:
    return f"instrument-{world.ids['SEM']}/"


# --- finding it -----------------------------------------------------------------------------------


def test_thunderbird_finds_the_calendars_reads_them_and_hears_what_changed(world_on_both):
    world, ada = world_on_both, world_on_both.program("ada")
    first = world.book("ada", Span(SOON, SOON + HOUR), purpose="Alloy")
    known = world.app.test_client().open("/.well-known/caldav", method="PROPFIND")
    assert (known.status_code, known.headers["Location"]) == (301, "/caldav/")
    asked = world.app.test_client().open("/caldav/", method="PROPFIND")
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"] == 'Basic realm="Yiqi", charset="UTF-8"'

    [(_, entrance)] = ada.find("/caldav/", "current-user-principal", "resourcetype").items()
    principal = entrance[D + "current-user-principal"].findtext(D + "href")
    options = ada.ask("OPTIONS", principal)
    assert (options.status_code, options.headers["DAV"]) == (200, "1, 3, calendar-access")
    [(_, person)] = ada.find(principal, "C:calendar-home-set", "displayname").items()
    home = person[C + "calendar-home-set"].findtext(D + "href")
    listed = ada.find(home, "resourcetype", "displayname", "sync-token", "CS:getctag", depth=1)
    names = {path: told[D + "displayname"].text for path, told in listed.items()}
    assert names == {home: "Ada", f"{home}me/": "Yiqi: my bookings", home + sem(world): "Microscope"}
    assert [one.tag for one in listed[f"{home}me/"][D + "resourcetype"]] == [D + "collection", C + "calendar"]

    changed, gone, token = ada.sync("me/")
    assert list(changed) == [f"{home}me/{first.id}.ics"]
    assert gone == set()
    hrefs = "".join(f"<href>{path}</href>" for path in [*changed, f"{home}me/no%20ne.ics", "/elsewhere.ics"])
    tree = ada.report(
        "me/",
        f"<C:calendar-multiget {SPACES}><prop><getetag/><C:calendar-data/></prop>{hrefs}</C:calendar-multiget>",
    )
    found = granted(tree)
    assert {path: told[D + "getetag"].text for path, told in found.items()} == changed
    assert "SUMMARY:Microscope\r\n" in found[next(iter(changed))][C + "calendar-data"].text
    missing = {
        one.findtext(D + "href"): one.findtext(D + "status")
        for one in tree
        if one.find(D + "status") is not None
    }
    assert missing == dict.fromkeys((f"{home}me/no%20ne.ics", "/elsewhere.ics"), "HTTP/1.1 404 Not Found")

    assert ada.sync("me/", token) == ({}, set(), token)
    second = world.book("ada", Span(SOON + 2 * HOUR, SOON + 3 * HOUR))
    with db.transaction() as session:
        actor = cast.actor_of(session, cast.ada(session))
        bookings.cancel(session, actor=actor, booking_id=first.id, now=NOW)
    changed, gone, later = ada.sync("me/", token)
    assert list(changed) == [f"{home}me/{second.id}.ics"]
    assert gone == {f"{home}me/{first.id}.ics"}
    assert ada.sync("me/", later) == ({}, set(), later)
    assert list(ada.sync("me/")[0]) == list(changed)  # who begins anew hears of no graves


def test_evolution_reads_books_and_moves_without_asking_for_a_version(world_on_both):
    world, ada = world_on_both, world_on_both.program("ada")
    path = sem(world)
    granted_there = ada.find(path, "current-user-privilege-set")[ada.home + path]
    names = {one[0].tag for one in granted_there[D + "current-user-privilege-set"]}
    assert names >= {D + "read", D + "write-content", D + "bind", D + "unbind"}
    before = ada.find(path, "CS:getctag")[ada.home + path][CS + "getctag"].text
    event = f"{path}{quote('20261121T1@host', safe='')}.ics"
    made = ada.put(
        event,
        "20261121T1@host",
        SOON,
        SOON + HOUR,
        "SUMMARY:Alloy 7",
        If_None_Match="*",
        Prefer="return=minimal",
    )
    assert (made.status_code, made.headers.get("ETag"), made.data) == (201, None, b"")
    assert ada.find(path, "CS:getctag")[ada.home + path][CS + "getctag"].text != before
    weeks = timedelta(weeks=5)
    inside = f'<C:time-range start="{z(NOW - weeks)}" end="{z(NOW + weeks)}"/>'
    [(href, data)] = ada.query(path, inside).items()
    assert href == ada.home + event
    [booking] = world.booked()
    assert (booking.purpose, booking.starts_at, booking.ends_at) == ("Alloy 7", SOON, SOON + HOUR)
    assert f"UID:{booking.id}@yiqi.local\r\n" in data
    for spelt in (href, href.replace("%40", "@")):
        tree = ada.report(
            path,
            f"<C:calendar-multiget {SPACES}><prop><C:calendar-data/></prop><href>{spelt}</href></C:calendar-multiget>",
        )
        assert granted(tree)[href][C + "calendar-data"].text == data
        assert ada.ask("GET", spelt).text == data

    moved = data.replace(f"DTEND:{z(SOON + HOUR)}", f"DTEND:{z(SOON + 2 * HOUR)}")
    assert ada.ask("PUT", event, moved).status_code == 204
    [booking] = world.booked()
    assert (booking.purpose, booking.ends_at, booking.sequence) == ("Alloy 7", SOON + 2 * HOUR, 1)
    assert list(ada.query(path, inside)) == [href]
    assert ada.ask("DELETE", event).status_code == 204
    assert [one.state for one in world.booked()] == ["cancelled"]
    assert ada.ask("GET", event).status_code == 404
    assert ada.query(path, inside) == {}


def test_what_is_asked_for_and_not_there_is_told_unless_the_program_wants_it_short(world, ada):
    body = f"<propfind {SPACES}><prop><displayname/><quota-used-bytes/></prop></propfind>"
    told = ada.tree("PROPFIND", "me/", body, Depth="0")
    assert [part.findtext(D + "status") for part in told.iter(D + "propstat")] == [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404 Not Found",
    ]
    short = ada.tree("PROPFIND", "me/", body, Depth="0", Prefer="return=minimal")
    assert [part.findtext(D + "status") for part in short.iter(D + "propstat")] == ["HTTP/1.1 200 OK"]
    everything = granted(ada.tree("PROPFIND", "me/", "", Depth="0"))[f"{ada.home}me/"]
    assert {D + "resourcetype", D + "displayname", D + "getetag"} <= set(everything)
    assert said(ada.ask("PROPFIND", "me/", "", Depth="infinity"))[:2] == (403, "propfind-finite-depth")
    for path in ("/caldav", ada.home.rstrip("/"), f"{ada.home}me"):
        assert ada.ask("PROPFIND", path, "", Depth="0").status_code == 207


def test_the_calendars_of_a_person_are_those_of_which_they_keep_an_address(world, ada):
    with db.transaction() as session:
        actor = cast.actor_of(session, cast.tam(session))
        assert actor.manages
    tam = world.program("tam")
    assert list(tam.find("", "displayname", depth=1)) == [tam.home, f"{tam.home}me/"]
    world.shows("tam", CalendarScope.FACILITY, "LAB")
    world.shows("tam", CalendarScope.FREE, "SEM")
    facility = f"facility-{_facility_id()}/"
    assert list(tam.find("", "displayname", depth=1)) == [tam.home, f"{tam.home}me/", tam.home + facility]
    world.book("ada", Span(SOON, SOON + HOUR), purpose="Alloy")
    [data] = tam.query(facility).values()
    assert "SUMMARY:Microscope (Ada)\r\nDESCRIPTION:Alloy\r\n" in data
    with db.transaction() as session:
        session.execute(update(CalendarLink).values(revoked_at=NOW))
    assert list(tam.find("", "displayname", depth=1)) == [tam.home, f"{tam.home}me/"]
    assert tam.ask("PROPFIND", facility).status_code == 404
    assert ada.ask("GET", f"{tam.home}me/").status_code == 404


def _facility_id() -> int:
    with db.reading() as session:
        return session.scalars(select(Facility.id).where(Facility.code == "LAB")).one()


# --- what they read -------------------------------------------------------------------------------


def test_the_events_are_those_of_the_feed_octet_by_octet(world, ada):
    secret = world.shows("ada", CalendarScope.INSTRUMENT, "SEM", Privacy.FULL)
    world.book("ada", Span(SOON, SOON + HOUR), purpose="第二批，试样; 🧪\nwith \\ and ,")
    world.book("cleo", Span(SOON + 2 * HOUR, SOON + 3 * HOUR), purpose="secret alloy")
    feed = world.app.test_client().get(f"/calendars/{secret}.ics").data
    paths = ada.query(sem(world))
    assert len(paths) == 2
    for path, data in paths.items():
        answer = ada.ask("GET", path)
        body = answer.data
        assert body.decode() == data
        inner = body[body.index(b"BEGIN:VEVENT") : body.index(b"END:VCALENDAR")]
        assert inner in feed
        assert answer.headers["ETag"] == f'"{hashlib.sha256(inner).hexdigest()[:32]}"'
        assert ada.ask("GET", path, If_None_Match=answer.headers["ETag"]).status_code == 304
        assert ada.ask("HEAD", path).headers["Content-Length"] == str(len(body))


def test_a_character_that_xml_has_not_spoils_no_answer(world, ada):
    world.book("ada", Span(SOON, SOON + HOUR), purpose="Alloy\uffff\ufffe 7 🧪")
    [(path, data)] = ada.query(sem(world)).items()
    assert "DESCRIPTION:Alloy 7 🧪\r\n" in data
    assert "\uffff" in ada.ask("GET", path).text


def test_nobody_reads_what_is_confidential_and_rights_are_asked_at_each_request(world, ada):
    booking = world.book("cleo", Span(SOON, SOON + HOUR), purpose="secret alloy", confidential=True)
    [(path, data)] = ada.query(sem(world)).items()
    assert "SUMMARY:Busy\r\n" in data
    assert str(booking.id) not in path + data
    assert "secret" not in data
    assert said(ada.ask("DELETE", path))[:2] == (403, "need-privileges")
    assert said(ada.put(path, "x", SOON + HOUR, SOON + 2 * HOUR))[:2] == (403, "need-privileges")
    assert [(one.state, one.starts_at) for one in world.booked()] == [("confirmed", SOON)]
    with db.transaction() as session:
        session.execute(update(Instrument).where(Instrument.code == "SEM").values(published=False))
    assert ada.ask("PROPFIND", sem(world)).status_code == 404
    assert list(ada.find("", "displayname", depth=1)) == [ada.home, f"{ada.home}me/"]


def test_a_query_chooses_by_time_and_by_text(world, ada):
    for n in range(3):
        world.book("ada", Span(SOON + 2 * n * HOUR, SOON + (2 * n + 1) * HOUR), purpose=f"Batch {n}")
    path = sem(world)

    def count(inside: str) -> int:
        return len(ada.query(path, inside))

    assert count("") == 3
    assert (
        count(f'<C:time-range start="{z(SOON + HOUR)}" end="{z(SOON + 2 * HOUR)}"/>') == 0
    )  # they only touch
    assert count(f'<C:time-range start="{z(SOON + HOUR)}"/>') == 2
    assert count(f'<C:time-range end="{z(SOON + HOUR)}"/>') == 1
    text = '<C:prop-filter name="{}"><C:text-match {}>{}</C:text-match></C:prop-filter>'.format
    assert count(text("DESCRIPTION", "", "batch 1")) == 1
    assert count(text("DESCRIPTION", 'negate-condition="yes"', "batch 1")) == 2
    assert count(text("DESCRIPTION", 'collation="i;octet"', "batch 1")) == 0
    assert count('<C:prop-filter name="RRULE"><C:is-not-defined/></C:prop-filter>') == 3
    assert count('<C:prop-filter name="LOCATION"/>') == 3
    assert count('<C:comp-filter name="VALARM"/>') == 0
    todo = (
        f"<C:calendar-query {SPACES}><prop><getetag/></prop><C:filter>"
        '<C:comp-filter name="VCALENDAR"><C:comp-filter name="VTODO"/></C:comp-filter></C:filter></C:calendar-query>'
    )
    assert granted(ada.report(path, todo)) == {}
    for broken, condition in (
        ('<C:time-range start="yesterday"/>', "valid-filter"),
        ("<C:time-range/>", "valid-filter"),
        (text("SUMMARY", 'collation="x"', "a"), "supported-collation"),
        ('<C:prop-filter name="A"><C:param-filter name="B"/></C:prop-filter>', "supported-filter"),
    ):
        body = todo.replace('name="VTODO"/>', f'name="VEVENT">{broken}</C:comp-filter>')
        assert said(ada.ask("REPORT", path, body))[:2] == (403, condition)
    assert said(ada.ask("REPORT", path, f"<expand-property {SPACES}/>"))[:2] == (403, "supported-report")


def test_busy_time_is_told_without_a_word_of_who(world, ada):
    world.shows("ada", CalendarScope.INSTRUMENT, "XRD")
    world.book("ada", Span(SOON, SOON + HOUR), code="XRD", purpose="secret alloy")
    world.book("cleo", Span(SOON + 2 * HOUR, SOON + 3 * HOUR), code="XRD", purpose="secret steel")
    body = '<C:free-busy-query {}><C:time-range start="{}" end="{}"/></C:free-busy-query>'
    asked = body.format(SPACES, z(SOON + HOUR / 2), z(SOON + 9 * HOUR))
    answer = ada.ask("REPORT", f"instrument-{world.ids['XRD']}/", asked)
    assert (answer.status_code, answer.mimetype) == (200, "text/calendar")
    assert f"FREEBUSY;FBTYPE=BUSY-TENTATIVE:{z(SOON + HOUR / 2)}/{z(SOON + HOUR)}\r\n" in answer.text
    # Whether others wait for approval is not for her to know.
    assert f"FREEBUSY;FBTYPE=BUSY:{z(SOON + 2 * HOUR)}/{z(SOON + 3 * HOUR)}\r\n" in answer.text
    assert "secret" not in answer.text


# --- what changed ---------------------------------------------------------------------------------


def test_changes_may_be_taken_in_pieces(world, ada):
    for n in range(5):
        world.book("ada", Span(SOON + 2 * n * HOUR, SOON + (2 * n + 1) * HOUR))
    seen: set[str] = set()
    token = ""
    for expected in (2, 2, 1):
        changed, gone, token = ada.sync("me/", token, most=2)
        assert (len(changed), gone & seen) == (expected, set())
        seen |= set(changed)
    assert len(seen) == 5
    assert ada.sync("me/", token, most=2) == ({}, set(), token)


def test_a_token_of_elsewhere_or_of_long_ago_is_none(world, ada, monkeypatch):
    booking = world.book("ada", Span(SOON, SOON + HOUR))
    first = ada.sync("me/")[2]
    other = ada.sync(sem(world))[2]
    with db.transaction() as session:
        actor = cast.actor_of(session, cast.ada(session))
        bookings.cancel(session, actor=actor, booking_id=booking.id, now=NOW)
    assert len(ada.sync("me/", first)[1]) == 1
    ahead = ":".join([*first.split(":")[:-1], "99"])
    for token in (other, ahead, "urn:x", "http://x", f"{first}x"):
        body = f"<sync-collection {SPACES}><sync-token>{token}</sync-token><prop><getetag/></prop></sync-collection>"
        assert said(ada.ask("REPORT", "me/", body))[:2] == (403, "valid-sync-token")
    monkeypatch.setattr(opened, "utc_now", lambda: NOW + timedelta(days=91))
    world.book("ada", Span(SOON + 2 * HOUR, SOON + 3 * HOUR))
    ada.sync("me/")
    body = (
        f"<sync-collection {SPACES}><sync-token>{first}</sync-token><prop><getetag/></prop></sync-collection>"
    )
    assert said(ada.ask("REPORT", "me/", body))[:2] == (403, "valid-sync-token")
    with db.reading() as session:
        kept = session.scalars(select(DavObject).where(DavObject.name == f"{booking.id}.ics"))
        assert [one.gone_at for one in kept] == [None]  # in the other calendar, which nobody asked for since


def test_names_that_change_are_changes_and_time_that_passes_takes_away(world, ada, monkeypatch):
    booking = world.book("ada", Span(SOON, SOON + HOUR))
    token = ada.sync(sem(world))[2]
    with db.transaction() as session:
        session.execute(
            update(Instrument).where(Instrument.code == "SEM").values(name_en="SEM 2", updated_at=NOW)
        )
    changed, gone, token = ada.sync(sem(world), token)
    assert (len(changed), gone) == (1, set())
    monkeypatch.setattr(opened, "utc_now", lambda: NOW + timedelta(days=40))
    changed, gone, token = ada.sync(sem(world), token)
    assert (changed, gone) == ({}, {f"{ada.home}{sem(world)}{booking.id}.ics"})


def test_two_programs_in_two_languages_agree(world, ada):
    world.book("ada", Span(SOON, SOON + HOUR))
    with db.transaction() as session:
        session.execute(update(Person).values(locale=None))
    first = ada.sync("me/")
    ada.language = "zh-CN"
    assert ada.sync("me/", first[2]) == ({}, set(), first[2])
    assert ada.sync("me/") == first


def _statements(asked: Callable[[], object]) -> int:
    counted: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        counted.append(statement)

    event.listen(db.engine(), "before_cursor_execute", note)
    asked()
    event.remove(db.engine(), "before_cursor_execute", note)
    return len(counted)


@pytest.mark.parametrize("method", ["sync", "query", "list"])
def test_the_statements_do_not_grow_with_the_events(world_on_both, method):
    world, ada = world_on_both, world_on_both.program("ada")
    ask = {
        "sync": lambda: ada.sync(sem(world)),
        "query": lambda: ada.query(sem(world)),
        "list": lambda: ada.find(sem(world), "getetag", depth=1),
    }[method]
    counts = []
    for some in (range(3), range(3, 30)):
        for n in some:
            world.book("ada", Span(SOON + 2 * n * HOUR, SOON + (2 * n + 1) * HOUR))
        ask()
        counts.append(_statements(ask))
    assert counts[0] == counts[1]


# --- what they write ------------------------------------------------------------------------------


def test_the_same_event_sent_twice_is_one_booking(world, ada):
    path = f"{sem(world)}a.ics"
    for expected, headers in ((201, {"If_None_Match": "*"}), (204, {"If_None_Match": "*"}), (204, {})):
        assert ada.put(path, "a@x", SOON, SOON + HOUR, "SUMMARY:Alloy", **headers).status_code == expected
    [booking] = world.booked()
    assert booking.version == 1
    other = ada.put(path, "a@x", SOON + HOUR, SOON + 2 * HOUR, "SUMMARY:Alloy", If_None_Match="*")
    assert said(other)[:2] == (412, "stale")
    assert said(ada.put(f"{sem(world)}b.ics", "a@x", SOON, SOON + HOUR))[:2] == (403, "no-uid-conflict")
    assert said(ada.put(path, "b@x", SOON, SOON + HOUR))[:2] == (403, "no-uid-conflict")
    assert len(world.booked()) == 1
    ada.ask("DELETE", path)
    assert ada.put(path, "a@x", SOON, SOON + HOUR).status_code == 201  # who cancelled may book again
    assert [one.state for one in world.booked()] == ["cancelled", "confirmed"]
    assert len(ada.sync(sem(world))[0]) == 1


def test_eight_programs_that_send_the_same_at_once_make_one_booking(world_on_both):
    world, ada = world_on_both, world_on_both.program("ada")
    with ThreadPoolExecutor(8) as pool:
        done = [
            pool.submit(ada.put, f"{sem(world)}a.ics", "a@x", SOON, SOON + HOUR, "SUMMARY:Alloy")
            for _ in range(8)
        ]
    assert sorted(one.result().status_code for one in done) == [201] + [204] * 7
    assert len(world.booked()) == 1
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(ada.sync, sem(world)) for _ in range(8)]
    assert len({repr(one.result()) for one in done}) == 1


def test_a_stale_copy_is_refused_and_one_that_is_not_moves_the_booking(world, ada):
    path = f"{sem(world)}a.ics"
    ada.put(path, "a@x", SOON, SOON + HOUR, "SUMMARY:Alloy")
    first = ada.ask("GET", path)
    tags = {"If_Match": first.headers["ETag"]}
    later = first.text.replace(z(SOON + HOUR), z(SOON + 2 * HOUR))
    assert ada.ask("PUT", path, later, **tags).status_code == 204
    assert said(ada.ask("PUT", path, first.text, **tags)) == (
        412,
        "stale",
        "It changed after you read it. Read it again and repeat your change.",
    )
    assert said(ada.ask("DELETE", path, **tags))[:2] == (412, "stale")
    assert said(ada.put(f"{sem(world)}none.ics", "n", SOON, SOON + HOUR, If_Match="*"))[:2] == (412, "stale")
    [booking] = world.booked()
    assert (booking.ends_at, booking.version) == (SOON + 2 * HOUR, 2)
    weak = f"W/{ada.ask('GET', path).headers['ETag']}"  # as a proxy makes it that packs
    assert (
        ada.ask("PUT", path, later.replace("SUMMARY:", "SUMMARY:Steel: "), If_Match=weak).status_code == 204
    )
    assert ada.ask("DELETE", path, If_Match="*").status_code == 204


def test_a_new_title_is_a_new_purpose_and_ours_is_none(world, ada):
    path = f"{sem(world)}a.ics"
    ada.put(path, "a@x", SOON, SOON + HOUR, "SUMMARY:Alloy")
    kept = ada.ask("GET", path).text
    for title, expected in (
        ("Microscope (Ada)", "Alloy"),
        ("Awaiting approval: Microscope (Ada)", "Alloy"),
        ("Alloy", "Alloy"),
        ("Steel", "Steel"),
    ):
        sent = kept.replace("SUMMARY:Microscope (Ada)", f"SUMMARY:{title}")
        assert ada.ask("PUT", path, sent).status_code == 204
        assert world.booked()[0].purpose == expected
        assert "SUMMARY:Microscope (Ada)" in ada.ask("GET", path).text


def test_notes_go_with_the_purpose_and_sending_them_again_changes_nothing(world, ada):
    for n, notes in enumerate(("Bring gloves", "样品 " * 300)):
        path, start = f"{sem(world)}{n}.ics", SOON + 3 * n * HOUR
        sent = (path, f"{n}@x", start, start + HOUR, "SUMMARY:Alloy", f"DESCRIPTION:{notes}")
        assert ada.put(*sent).status_code == 201
        assert ada.put(*sent, If_None_Match="*").status_code == 204
        assert ada.put(*sent).status_code == 204
        booking = world.booked()[-1]
        assert (booking.purpose, booking.version) == (f"Alloy\n{notes}".strip(), 1)


def test_what_needs_approval_is_tentative(world, ada):
    world.shows("ada", CalendarScope.INSTRUMENT, "XRD")
    path = f"instrument-{world.ids['XRD']}/a.ics"
    assert ada.put(path, "a@x", SOON, SOON + HOUR, "SUMMARY:Alloy").status_code == 201
    assert [one.state for one in world.booked()] == ["requested"]
    assert "STATUS:TENTATIVE\r\n" in ada.ask("GET", path).text


def test_a_refusal_says_why_and_what_could_be_had(world):
    ada = world.program("ada")
    world.book("cleo", Span(SOON, SOON + HOUR))
    path = f"{sem(world)}a.ics"
    status, condition, words = said(ada.put(path, "a@x", SOON, SOON + HOUR))
    assert (status, condition) == (403, "resource-busy")
    assert words.startswith(
        "SEM is already taken at this time, its set-up and clean-up included. Possible instead: SEM, "
    )
    assert "Cleo" not in words
    past = said(ada.put(path, "a@x", NOW - 3 * HOUR, NOW - 2 * HOUR))
    assert past[:2] == (403, "refused")
    assert "This time has already passed." in past[2]
    ada.put(path, "a@x", SOON + 2 * HOUR, SOON + 3 * HOUR)
    assert said(ada.put(path, "a@x", SOON, SOON + HOUR))[:2] == (403, "resource-busy")
    assert world.booked()[-1].starts_at == SOON + 2 * HOUR
    with db.transaction() as session:
        session.execute(update(Person).values(locale="zh_Hans_CN"))
    assert (
        "SEM 在该时段（含准备和清理时间）已被占用。"
        in said(ada.put(f"{sem(world)}b.ics", "b", SOON, SOON + HOUR))[2]
    )


@pytest.mark.parametrize(
    ("sent", "condition"),
    [
        (ics("a", f"DTSTART:{z(SOON)}"), "valid-calendar-object-resource"),
        (ics("a", f"DTSTART:{z(SOON)}", f"DTEND:{z(SOON - HOUR)}"), "valid-calendar-data"),
        (ics("a", f"DTSTART:{z(SOON)}", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3"), "no-recurrence"),
        (ics("a", f"DTSTART:{z(SOON)}", "DURATION:PT1H", "RRULE:FREQ=SECONDLY"), "no-recurrence"),
        (ics("a", "DTSTART;TZID=Nowhere:20270101T100000", "DURATION:PT1H"), "valid-calendar-data"),
        (ics("a", f"DUE:{z(SOON)}", kind="VTODO"), "supported-calendar-component"),
        (ics("", f"DTSTART:{z(SOON)}", "DURATION:PT1H"), "valid-calendar-data"),
        (ics("a" * 300, f"DTSTART:{z(SOON)}", "DURATION:PT1H"), "valid-calendar-data"),
        ("BEGIN:VCALENDAR", "valid-calendar-data"),
        (b"\xff\xfe\x00", "valid-calendar-data"),
        ("", "valid-calendar-data"),
        (
            ics("a", f"DTSTART:{z(SOON)}", "DURATION:PT1H", f"DESCRIPTION:{'x' * 100_000}"),
            "max-resource-size",
        ),
    ],
)
def test_what_cannot_be_booked_is_refused_with_a_sentence(world, ada, sent, condition):
    status, found, words = said(ada.ask("PUT", f"{sem(world)}a.ics", sent))
    assert (status, found) == (403, condition)
    assert words.endswith(".")
    assert world.booked() == []


def test_whole_days_and_times_without_a_zone_are_those_of_the_facility(make_app, sqlite_url):
    world = _world(make_app(sqlite_url))
    with db.transaction() as session:
        place = make_facility(session, code="NY", zone="America/New_York")
        row = make_instrument(session, place, code="NMR")
        world.ids["NMR"] = row.id
    world.shows("ada", CalendarScope.INSTRUMENT, "NMR")
    ada, path = world.program("ada"), f"instrument-{world.ids['NMR']}/"
    day = (NOW + timedelta(days=9)).date()
    while day.weekday() != 6 or not (day.month == 3 and 8 <= day.day <= 14):  # the next spring forward
        day += timedelta(days=1)
    whole = ics("a", f"DTSTART;VALUE=DATE:{day:%Y%m%d}")
    assert ada.ask("PUT", f"{path}a.ics", whole).status_code == 201
    floating = ics("b", f"DTSTART:{day - timedelta(days=1):%Y%m%d}T090000", "DURATION:PT1H")
    assert ada.ask("PUT", f"{path}b.ics", floating).status_code == 201
    windows = ics(
        "c", f"DTSTART;TZID=China Standard Time:{day - timedelta(days=2):%Y%m%d}T090000", "DURATION:PT1H"
    )
    assert ada.ask("PUT", f"{path}c.ics", windows).status_code == 201
    first, second, third = world.booked()
    assert (first.starts_at.hour, first.ends_at - first.starts_at) == (5, timedelta(hours=23))
    assert (second.starts_at.hour, third.starts_at.hour) == (14, 1)


def test_only_calendars_of_instruments_are_written(world, ada):
    booking = world.book("ada", Span(SOON, SOON + HOUR))
    privileges = ada.find("me/", "current-user-privilege-set")[f"{ada.home}me/"]
    assert D + "write-content" not in {one[0].tag for one in privileges[D + "current-user-privilege-set"]}
    for refused in (
        ada.put("me/a.ics", "a", SOON + 5 * HOUR, SOON + 6 * HOUR),
        ada.put(f"me/{booking.id}.ics", f"{booking.id}@yiqi.local", SOON + 5 * HOUR, SOON + 6 * HOUR),
        ada.ask("DELETE", f"me/{booking.id}.ics"),
    ):
        assert said(refused)[:2] == (403, "need-privileges")
    assert [(one.state, one.starts_at) for one in world.booked()] == [("confirmed", SOON)]
    assert ada.ask("DELETE", "me/none.ics").status_code == 404
    assert said(ada.ask("DELETE", f"{sem(world)}none.ics"))[:2] == (404, "not-found")


def test_closures_show_and_cannot_be_touched(world, ada):
    with db.transaction() as session:
        tam = cast.actor_of(session, cast.tam(session))
        closures.make(
            session,
            actor=tam,
            facility_id=_facility_id(),
            instrument_id=world.ids["SEM"],
            span=Span(SOON, SOON + HOUR),
            kind=ClosureKind.MAINTENANCE,
            reason="Pump",
            imposed=False,
            now=NOW,
        )
    [(path, data)] = ada.query(sem(world)).items()
    assert "DESCRIPTION:Pump\r\n" in data
    assert said(ada.ask("DELETE", path))[:2] == (403, "need-privileges")
    assert said(ada.put(path, "x", SOON, SOON + HOUR))[:2] == (403, "need-privileges")


def test_of_a_booking_with_two_times_the_one_that_is_meant_moves_and_goes(world, ada):
    booking = world.book("ada", Span(SOON, SOON + HOUR), Span(SOON + 3 * HOUR, SOON + 4 * HOUR))
    first, second = (f"{sem(world)}{booking.id}-{n}.ics" for n in range(2))
    moved = ada.ask("GET", second).text.replace(z(SOON + 4 * HOUR), z(SOON + 5 * HOUR))
    assert ada.ask("PUT", second, moved).status_code == 204
    assert f"DTEND:{z(SOON + 5 * HOUR)}" in ada.ask("GET", second).text
    assert f"DTEND:{z(SOON + HOUR)}" in ada.ask("GET", first).text
    assert ada.ask("DELETE", first).status_code == 204
    [left] = world.booked()
    assert (left.state, left.starts_at, left.ends_at) == ("confirmed", SOON + 3 * HOUR, SOON + 5 * HOUR)


def test_a_manager_moves_the_bookings_of_others_and_a_student_does_not(world):
    booking = world.book("ada", Span(SOON, SOON + HOUR), confidential=False)
    for name, expected in (("tam", 204), ("ben", 403)):
        world.shows(name, CalendarScope.INSTRUMENT, "SEM")
        program = world.program(name)
        path = next(iter(program.query(sem(world))))
        sent = program.ask("GET", path).text.replace(z(SOON + HOUR), z(SOON + 2 * HOUR))
        answer = program.ask("PUT", path, sent)
        assert answer.status_code == expected
    assert said(answer)[2] == "This is no booking of yours, so that you cannot change it here."
    assert world.booked()[0].ends_at == SOON + 2 * HOUR
    assert booking.id == world.booked()[0].id


def test_names_and_colours_are_kept_for_each_person(world, ada):
    def patch(*props: str) -> ET.Element:
        body = f'<propertyupdate {SPACES} xmlns:A="http://apple.com/ns/ical/"><set><prop>{"".join(props)}</prop></set>'
        return ada.tree("PROPPATCH", "me/", f"{body}</propertyupdate>")

    name, colour = "<displayname>Meine</displayname>", "<A:calendar-color>#ff0000ff</A:calendar-color>"
    patch(name, colour, "<A:calendar-order>7</A:calendar-order>")
    names = ("displayname", f'A:calendar-color xmlns:A="{A[1:-1]}"', f'A:calendar-order xmlns:A="{A[1:-1]}"')
    mine = ada.find("me/", *names)[f"{ada.home}me/"]
    assert [one.text for one in mine.values()] == ["Meine", "#ff0000ff", "7"]
    told = patch("<displayname>Other</displayname>", "<C:calendar-timezone>x</C:calendar-timezone>")
    assert [part.findtext(D + "status") for part in told.iter(D + "propstat")] == [
        "HTTP/1.1 424 Failed Dependency",
        "HTTP/1.1 403 Forbidden",
    ]
    assert ada.find("me/", "displayname")[f"{ada.home}me/"][D + "displayname"].text == "Meine"
    tam = world.program("tam")
    assert tam.find("me/", "displayname")[f"{tam.home}me/"][D + "displayname"].text == "Yiqi: my bookings"


@pytest.mark.parametrize("method", ["MKCALENDAR", "MKCOL", "COPY", "MOVE", "LOCK", "ACL", "POST"])
def test_what_we_have_not_is_refused_as_programs_understand_it(world, ada, method):
    for path in ("new/", "me/", f"{sem(world)}a.ics"):
        assert said(ada.ask(method, path))[:2] == (403, "not-supported")
    assert world.app.test_client().open(f"{ada.home}me/", method=method).status_code == 401


# --- who they are ---------------------------------------------------------------------------------


def test_a_password_is_a_token_of_the_person_within_its_scopes(world):
    reads = world.program("ada", Scope.READ)
    assert reads.ask("PROPFIND", "me/").status_code == 207
    assert said(reads.put(f"{sem(world)}a.ics", "a", SOON, SOON + HOUR))[:2] == (403, "need-privileges")
    privileges = reads.find(sem(world), "current-user-privilege-set")[reads.home + sem(world)]
    assert D + "write-content" not in {one[0].tag for one in privileges[D + "current-user-privilege-set"]}
    reads.email = "ADA@example.org"
    assert reads.ask("PROPFIND", "me/").status_code == 207
    for change in ({"email": "ben@example.org"}, {"email": ""}, {"token": "yiqi_guess"}, {"token": ""}):
        other = Program(
            world.app, reads.person_id, **{"email": "ada@example.org", "token": reads.token} | change
        )
        answer = other.ask("PROPFIND", "me/")
        assert (answer.status_code, answer.headers["WWW-Authenticate"][:5]) == (401, "Basic")
    with db.transaction() as session:
        session.execute(update(ApiToken).values(revoked_at=NOW))
    assert reads.ask("PROPFIND", "me/").status_code == 401


def test_the_owner_sees_by_which_program_a_token_was_used(world):
    ada = world.program("ada")
    ada.ask("PROPFIND", "me/", User_Agent="Mozilla/5.0 Thunderbird/140.1").close()
    with db.reading() as session:
        assert session.scalars(select(ApiToken.agent)).one() == "Mozilla/5.0 Thunderbird/140.1"


def test_a_password_does_not_travel_in_the_clear(make_app, sqlite_url):
    app = make_app(sqlite_url, production=True, public_url="https://yiqi.example.org", secret_key="x" * 64)
    ada = _world(app).program("ada")
    assert ada.ask("PROPFIND", "me/").status_code == 207  # a proxy of this machine
    client = app.test_client()
    secret = base64.b64encode(f"{ada.email}:{ada.token}".encode()).decode()
    asked = {"headers": {"Authorization": f"Basic {secret}"}, "environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
    for method in ("PROPFIND", "PUT", "MKCALENDAR"):
        assert said(client.open(f"{ada.home}me/x", method=method, **asked))[:2] == (403, "tls-required")
    assert client.open("/caldav/nothing/of/the/kind", method="PROPFIND", **asked).status_code == 404
    assert client.open(f"{ada.home}me/", method="PROPFIND", base_url="https://x", **asked).status_code == 207


def test_a_session_of_the_browser_opens_nothing_here(world, ada):
    client = world.app.test_client()
    with db.transaction() as session:
        cast.sign_in(client, session, cast.ada(session))
    assert client.get("/account").status_code == 200
    for method, path in (
        ("PROPFIND", f"{ada.home}me/"),
        ("DELETE", f"{ada.home}me/a.ics"),
        ("GET", "/caldav"),
    ):
        assert client.open(path, method=method).status_code == 401


def test_basic_opens_nothing_elsewhere(world, ada):
    assert ada.ask("GET", "/api/v1/bookings?mine=true").status_code == 401
    assert ada.ask("GET", "/account").status_code == 303


def test_whoever_guesses_passwords_is_stopped(make_app, sqlite_url):
    ada = _world(make_app(sqlite_url, requests_per_minute=5)).program("ada")
    ada.token = "yiqi_guess"
    assert [ada.ask("PROPFIND", "me/").status_code for _ in range(7)][4:] == [401, 429, 429]


def test_a_disabled_person_is_out_at_once(world, ada):
    with db.transaction() as session:
        session.execute(update(Person).where(Person.id == ada.person_id).values(state="disabled"))
    assert ada.ask("PROPFIND", "me/").status_code == 401


def test_without_the_database_a_program_is_asked_to_come_again(world, ada, monkeypatch):
    def away() -> None:
        raise db.Unavailable("away")

    monkeypatch.setattr(identity, "reading_newest", away)
    for answer in (ada.ask("PROPFIND", "me/"), ada.put(f"{sem(world)}a.ics", "a", SOON, SOON + HOUR)):
        assert said(answer)[:2] == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0


# --- hostile bodies -------------------------------------------------------------------------------

BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;">]><propfind xmlns="DAV:"><prop>&b;</prop></propfind>'


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><propfind xmlns="DAV:"/>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "http://192.0.2.1/">]><propfind xmlns="DAV:">&a;</propfind>',
        "<a>" * 2000,
        "<a>" * 40 + "</a>" * 40,
        f"<a>{'<b/>' * 30_000}</a>",
        "<a",
        b"\x00\x01",
        b"\xff\xfe<\x00a\x00",
        '<?xml version="1.0" encoding="utf-7"?><a/>',
        '<?xml version="1.0" encoding="x"?><a/>',
    ],
)
@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", "PROPPATCH"])
def test_xml_that_nobody_means_well_with_is_refused(world, ada, method, body):
    assert said(ada.ask(method, "me/", body))[:2] == (400, "malformed")


def test_a_body_of_ten_megabytes_is_not_read(world, ada):
    large = b"<a>" + b"x" * 10_000_000 + b"</a>"
    for method, path in (("PROPFIND", "me/"), ("REPORT", "me/"), ("PROPPATCH", "me/")):
        assert ada.ask(method, path, large).status_code == 413
    assert said(ada.ask("PUT", f"{sem(world)}a.ics", large))[:2] == (403, "max-resource-size")


@pytest.mark.parametrize("name", ["..%2f..%2fetc", "%00", "a" * 300, "a%0d%0ab", "%ff", "%F0%9F%A7%AA.ics"])
def test_odd_names_break_nothing(world, ada, name):
    for method in ("GET", "PROPFIND", "PUT", "DELETE"):
        sent = ics("x", f"DTSTART:{z(SOON)}", "DURATION:PT1H") if method == "PUT" else ""
        assert ada.ask(method, f"{sem(world)}{name}", sent).status_code in {201, 204, 207, 308, 400, 403, 404}
