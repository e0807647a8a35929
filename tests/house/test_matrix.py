"""Every address asked by every role: the matrix's answer, nothing changed by a refusal, no secret told."""

import base64
import hashlib
import io
import secrets
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask import session as flask_session
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from booking import db
from booking.config import Settings
from booking.domain import one_time, recurrence
from booking.domain.access import SYSTEM, Actor, Role
from booking.domain.announcements import Level, Shown
from booking.domain.calendar_sources import Entry, Means, Reading
from booking.domain.notices import Channel
from booking.domain.occupation import Item
from booking.domain.pricing import CustomerClass, Unit
from booking.domain.spans import Span
from booking.domain.utilisation import Measure
from booking.gateways import calendar_reader, hooks
from booking.http.guard import guards
from booking.services import (
    bookings,
    calendar_sources,
    calendars,
    closures,
    facilities,
    faults,
    holds,
    instrument_files,
    kiosks,
    move_questions,
    offers,
    papers,
    price_lists,
    qualifications,
    replans,
    round_drafts,
    round_wishes,
    rounds,
    series,
    series_papers,
    standing_by,
    transfers,
    turns,
    waitlist,
)
from booking.web import exports
from models import (
    Announcement,
    ApiToken,
    Appeal,
    Ban,
    Booking,
    BookingPaper,
    CalendarQuestion,
    CalendarScope,
    ClosureKind,
    CreditEntry,
    Delegation,
    Delivery,
    Event,
    Facility,
    FileSort,
    Hold,
    HookKind,
    Instrument,
    InstrumentPermit,
    JoinState,
    KioskKind,
    Membership,
    MembershipRequest,
    NetworkRequest,
    OneTimeLink,
    PaperKind,
    Person,
    Privacy,
    Project,
    ProjectMember,
    Purpose,
    QuestionKind,
    Readership,
    Rule,
    RuleKind,
    Series,
    SignIn,
    SolverRun,
    UtilisationTarget,
    Utility,
    Webhook,
)
from tests import cast
from tests.factories import make_facility, make_instrument, make_network
from tests.house.matrix import MATRIX, ROLES, Case

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
NOW -= timedelta(minutes=NOW.minute % 15)
SOON = NOW.replace(minute=0, hour=1) + timedelta(days=7)
ZONE = ZoneInfo("Asia/Shanghai")

SERIES_DAYS = tuple((SOON + timedelta(days=n)).astimezone(ZONE).date() for n in (2, 9))

WHO = {
    "visitor": (None, "lab"),
    "outsider": ("cleo", "lab"),
    "stranger": ("ben", "ada's"),
    "owner": ("ben", "lab"),
    "leader": ("ada", "lab"),
    "elsewhere": ("tam", "yard"),
    "manager": ("tam", "lab"),
    "operator": ("tam", "hall"),
    "officer": ("nora", "lab"),
    "administrator": ("root", "lab"),
}
"""Each role: who asks, and of which of the four places below."""


@dataclass
class Things:
    """What can be asked about: one of everything of one person at one facility."""

    facility: str
    owner: str
    free: str = ""
    hidden: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    purpose: str = ""


@dataclass
class World:
    app: Flask
    template: Path
    path: Path
    things: dict[str, Things] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, tuple[str, str]] = field(default_factory=dict)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    network: str = "NET"
    feed: str = ""

    def restore(self) -> None:
        """Put the database back as it was made; the engine stays, which knows the statements by now."""
        db.engine().dispose()
        for name in ("", "-wal", "-shm"):
            Path(f"{self.path}{name}").unlink(missing_ok=True)
        shutil.copyfile(self.template, self.path)


# --- what there is ------------------------------------------------------------------------------


@pytest.fixture
def world(
    make_app: Callable[..., Flask], sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.setattr(hooks, "send", lambda *_args, **_told: None)  # nothing leaves this machine
    monkeypatch.setattr(calendar_reader, "look", lambda *_args, **_told: _ELSEWHERE)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    found = World(make_app(sqlite_url), tmp_path / "template.sqlite3", path)
    with db.transaction() as session:
        _people_and_places(session, found)
    for name in (None, "ada", "ben", "cleo", "tam", "nora", "root"):
        found.cookies[name or "visitor"] = _browser(found, name)
    with db.engine().connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.engine().dispose()
    shutil.copyfile(path, found.template)
    found.restore()
    return found


def _people_and_places(session: Session, world: World) -> None:
    lab = make_facility(session, code="LAB", name_en="Laboratory")
    yard = make_facility(session, code="YARD", name_en="Yard")
    hall = make_facility(session, code="HALL", name_en="Hall")
    network = make_network(session, lab, code=world.network)
    people = {
        "ada": cast.ada(session),
        "ben": cast.ben(session),
        "cleo": cast.cleo(session),
        "tam": cast.tam(session, lab),
        "nora": cast.nora(session, network),
        "root": cast.root(session),
    }
    session.add(Membership(person_id=people["tam"].id, role=Role.OPERATOR, facility_id=hall.id))
    university = cast.university(session)
    session.add(MembershipRequest(person_id=people["cleo"].id, organisation_id=university.id, asked_at=NOW))
    # Random words stand for what nobody else may read: names, project and purposes.
    hidden = {name: f"{name}-{secrets.token_hex(6)}" for name in ("ada", "ben", "project")}
    for name in ("ada", "ben"):
        people[name].name = hidden[name]
    project = Project(
        code="P-1",
        name=hidden["project"],
        organisation_id=cast.university(session).id,
        leader_id=people["ada"].id,
    )
    session.add(project)
    session.flush()
    session.add_all(ProjectMember(project_id=project.id, person_id=people[n].id) for n in ("ada", "ben"))
    world.tokens = {name: cast.token(session, person) for name, person in people.items()}
    for place, facility, owner in (
        ("lab", lab, "ben"),
        ("ada's", lab, "ada"),
        ("yard", yard, "ben"),
        ("hall", hall, "ben"),
    ):
        world.things[place] = _things(session, facility, people[owner], people["root"], project)
    _, world.feed = calendars.make(
        session,
        actor=cast.actor_of(session, people["cleo"]),
        scope=CalendarScope.INSTRUMENT,
        subject=world.things["lab"].ids["planned_at"],
        privacy=Privacy.FULL,
        locale="en",
        now=NOW,
    )
    # The letters of all this are out, or /readyz would miss the jobs.
    session.execute(update(Event).values(dispatched_at=NOW))
    of = {place: things.purpose for place, things in world.things.items()}
    everything = [*hidden.values(), *of.values()]
    world.secrets = {
        "visitor": everything,
        "outsider": everything,
        "officer": everything,
        "stranger": [of["ada's"]],
        "elsewhere": [of["yard"]],
    }


def _things(session: Session, facility: Facility, owner: Person, root: Person, project: Project) -> Things:
    """Make a booking in each state, a closure, a feed, a session and a token."""
    facility = facilities.by_code(session, code=facility.code)
    who = cast.actor_of(session, owner)
    things = Things(facility.code, owner.email, purpose=f"purpose-{secrets.token_hex(6)}")

    def book(instrument: Instrument, start: datetime, end: datetime, *, placed: datetime) -> Booking:
        return bookings.place(
            session,
            actor=who,
            items=[Item(instrument.id, Span(start, end))],
            purpose=things.purpose,
            project_id=project.id,
            confidential=True,
            now=placed,
        )

    at, begins, runs, ends, closes, free = (make_instrument(session, facility) for _ in range(6))
    given = make_instrument(session, facility)
    asks = make_instrument(session, facility, approval_required=True)
    hidden = make_instrument(session, facility, published=False)
    lined, kept, stood, moves = (make_instrument(session, facility) for _ in range(4))
    first, second = (make_instrument(session, facility) for _ in range(2))
    allotted = [make_instrument(session, facility) for _ in range(4)]
    hours = timedelta(hours=1)
    yesterday = NOW - timedelta(days=1)
    planned = book(at, SOON, SOON + hours, placed=NOW)
    repeated = _series(session, who, at, things.purpose)
    pending = _series(session, who, asks, things.purpose)
    (waits,) = bookings.of_series(session, series_id=pending.id)
    shared = papers.Paper(PaperKind.PERMIT, "Licence", "7")
    listed = series_papers.add(session, actor=who, series_id=repeated.id, paper=shared, now=NOW)
    asked = book(asks, SOON, SOON + hours, placed=NOW)
    begun = book(begins, NOW, NOW + 2 * hours, placed=yesterday)
    running = book(runs, NOW, NOW + 2 * hours, placed=yesterday)
    bookings.check_in(session, actor=who, booking_id=running.id, now=NOW)
    paper = BookingPaper(
        booking_id=planned.id,
        kind=PaperKind.SDS,
        title="SDS",
        media_type="text/plain",
        content=b"text",
        added_by=owner.id,
        added_at=NOW,
    )
    away = Delegation(
        person_id=owner.id, delegate_id=root.id, starts_at=SOON, ends_at=SOON + timedelta(days=1)
    )
    session.add_all([paper, away])
    process = bookings.place(
        session,
        actor=who,
        items=[
            Item(first.id, Span(SOON, SOON + hours)),
            Item(second.id, Span(SOON + hours, SOON + 2 * hours)),
        ],
        purpose=things.purpose,
        project_id=project.id,
        confidential=True,
        now=NOW,
    )
    steam = Utility(facility_id=facility.id, code=f"U-{secrets.token_hex(4)}", name_zh="蒸汽", capacity=1)
    session.add(steam)
    ended = book(ends, NOW - 3 * hours, NOW - hours, placed=yesterday)
    bookings.check_in(session, actor=who, booking_id=ended.id, now=NOW - 3 * hours)
    bookings.check_out(session, actor=who, booking_id=ended.id, now=NOW - 2 * hours)
    closed, _ = closures.make(
        session,
        actor=cast.actor_of(session, root),
        facility_id=facility.id,
        instrument_id=closes.id,
        span=Span(SOON, SOON + hours),
        kind=ClosureKind.MAINTENANCE,
        reason="",
        imposed=False,
        now=NOW,
    )
    keeper = cast.actor_of(session, root)
    to_move = book(moves, SOON, SOON + hours, placed=NOW)
    later = Span(SOON + hours, SOON + 2 * hours)
    moved = move_questions.ask(session, actor=keeper, booking_id=to_move.id, span=later, key="x", now=NOW)
    session.refresh(facility, ["organisation"])
    plans = _plans(session, facility, book, keeper, who, things.purpose, allotted)
    link, _ = calendars.make(session, actor=who, scope=CalendarScope.ME, locale="en", now=NOW)
    calendars.make(session, actor=who, scope=CalendarScope.INSTRUMENT, subject=at.code, locale="en", now=NOW)
    in_line = _in_line(session, lined, who, things.purpose)
    in_line |= _standing_by(session, stood, who, things.purpose)
    # A person holds one time at once: it is that of the first place.
    hold_id = uuid4()
    if session.scalar(select(Hold.id).where(Hold.person_id == owner.id, ~Hold.offered)) is None:
        item = Item(kept.id, Span(SOON, SOON + hours))
        hold_id = holds.take(session, actor=who, items=[item], now=datetime.now(UTC)).id
    fault = faults.report(session, actor=who, code=closes.code, text=things.purpose, now=NOW)
    kiosk, kiosk_secret = kiosks.make(
        session,
        actor=cast.actor_of(session, root),
        facility_id=facility.id,
        instrument_id=None,
        name="x",
        now=NOW,
    )
    _screen, screen_secret = kiosks.make(
        session,
        actor=cast.actor_of(session, root),
        facility_id=facility.id,
        instrument_id=None,
        name="x",
        kind=KioskKind.SCREEN,
        now=NOW,
    )
    of_owner: dict[str, Any] = {"person_id": owner.id, "facility_id": facility.id}
    lost = CreditEntry(**of_owner, booking_id=planned.id, deed="late", points=-2, at=NOW)
    disputed = CreditEntry(
        **of_owner,
        booking_id=planned.id,
        deed="overtime",
        points=-2,
        at=NOW,
        appeal=Appeal.OPEN,
        appeal_text=things.purpose,
        appealed_at=NOW,
    )
    # One that is not in force yet, or the owner could book nothing.
    ban = Ban(**of_owner, reason=things.purpose, starts_at=SOON + 99 * hours, ends_at=SOON + 199 * hours)
    session.add_all([lost, disputed, ban])
    other = SignIn(
        person_id=owner.id,
        secret_hash=secrets.token_bytes(32),
        created_at=NOW,
        seen_at=NOW,
        expires_at=NOW + timedelta(days=14),
    )
    token = ApiToken(
        person_id=owner.id, name="x", secret_hash=secrets.token_bytes(32), scopes=["read"], created_at=NOW
    )
    session.add_all([other, token])
    session.flush()
    held = session.scalars(select(Membership).where(Membership.person_id == owner.id)).first()
    told = Delivery(
        event_id=session.scalars(select(Event.id).where(Event.booking_id == planned.id)).first(),
        person_id=owner.id,
        channel=Channel.INBOX,
        next_at=NOW,
    )
    hook = Webhook(
        person_id=owner.id,
        kind={"YARD": HookKind.WECOM, "HALL": HookKind.DINGTALK}.get(facility.code, HookKind.GENERIC),
        name="x",
        url="https://hooks.example.org/x",
        created_at=NOW,
    )
    session.add_all([told, hook])
    session.flush()
    things.free, things.hidden = free.code, hidden.code
    learnt = _taught(session, facility, owner, root)
    handed = book(given, SOON, SOON + hours, placed=NOW)
    transfer = transfers.offer(
        session,
        actor=cast.actor_of(session, root),
        booking_id=handed.id,
        to=root.id,
        note=things.purpose,
        now=NOW,
    )
    session.flush()
    limit = Rule(
        facility_id=facility.id,
        kind=RuleKind.SETTING,
        name="longest",
        value=600,
        data={},
        valid_from=(NOW - timedelta(days=9)).date(),
        created_at=NOW,
    )
    step_rule = Rule(
        facility_id=facility.id,
        kind=RuleKind.APPROVAL,
        name="Never",
        value=0,
        data={},
        valid_from=(NOW - timedelta(days=9)).date(),
        created_at=NOW,
    )
    session.add_all([limit, step_rule])
    session.flush()
    announced = Announcement(
        facility_id=facility.id,
        level=Level.INFO,
        shown=Shown.DESK,
        audience=Readership.STAFF,
        text_en="Hello",
        begins_at=NOW - timedelta(days=1),
        created_at=NOW,
    )
    staffed = Membership(person_id=root.id, role=Role.OPERATOR, facility_id=facility.id)
    asking = make_network(session, code=f"ASKS-{secrets.token_hex(4)}")
    asked_net = NetworkRequest(
        network_id=asking.id,
        facility_id=facility.id,
        by_facility=False,
        state=JoinState.OPEN,
        asked_by=root.id,
        asked_at=NOW,
    )
    session.add_all([announced, staffed, asked_net])
    session.flush()
    things.ids = {
        "free_row": str(free.id),
        "announcement": str(announced.id),
        "staffed": str(staffed.id),
        "asked_net": str(asked_net.id),
        "rule": str(limit.id),
        "step_rule": str(step_rule.id),
        "paper": str(paper.id),
        "delegation": str(away.id),
        **learnt,
        "handed": str(handed.id),
        "transfer": str(transfer.id),
        **_asked_by_calendar(session, planned),
        "move_question": str(moved.id),
        **_calendar_elsewhere(session, facility, who, cast.actor_of(session, root)),
        **_permitted(session, facility),
        **_kept(session, facility),
        "operator": facility.organisation.code,
        **_aimed(session, facility),
        "planned": str(planned.id),
        "process": str(process.id),
        "utility": steam.code,
        "planned_at": at.code,
        "booked": str(at.id),
        "series": str(repeated.id),
        "pending": str(pending.id),
        "waits": f"{waits.id}:{waits.version}",
        "shared": str(listed.paper.id),
        "asked": str(asked.id),
        "begun": str(begun.id),
        "running": str(running.id),
        "ended": str(ended.id),
        "closure": str(closed.id),
        "fault": str(fault.id),
        "kiosk": str(kiosk.id),
        "kiosk_secret": kiosk_secret,
        "screen_secret": screen_secret,
        "lost": str(lost.id),
        "disputed": str(disputed.id),
        "ban": str(ban.id),
        **in_line,
        **plans,
        "hold": str(hold_id),
        "calendar": str(link.id),
        "session": str(other.id),
        "token": str(token.id),
        "person": str(owner.id),
        "notice": str(told.id),
        "webhook": str(hook.id),
        "membership": str(held.id),
        "asks": str(cast.cleo(session).id),
        "project": str(project.id),
    }
    return things


def _series(session: Session, who: Actor, instrument: Instrument, purpose: str) -> Series:
    """Make a series of two dates, of which the second is left out."""
    first, second = SERIES_DAYS
    rule = recurrence.parse("FREQ=WEEKLY;COUNT=2", first)
    pattern = recurrence.Pattern(rule, first, 14 * 60, 60, frozenset({second}))
    plan = series.Plan(instrument.id, pattern)
    return series.place(session, actor=who, plan=plan, purpose=purpose, confidential=True, now=NOW)


def _plans(
    session: Session,
    facility: Facility,
    book: Callable[..., Booking],
    keeper: Actor,
    who: Actor,
    purpose: str,
    places: Sequence[Instrument],
) -> dict[str, str]:
    """Open a round with a wish and a run, and have three outages: not looked at, repaired, and asked about."""
    wished, *broken = places
    terms = rounds.Terms(
        "Spring", *(SOON.date() + timedelta(days=n) for n in (3, 9)), NOW, NOW + timedelta(days=2)
    )
    row = rounds.make(session, actor=keeper, facility_id=facility.id, terms=terms, now=NOW)
    wish = round_wishes.submit(
        session,
        actor=who,
        round_id=row.id,
        instrument_ids=[wished.id],
        minutes=60,
        purpose=purpose,
        now=NOW,
    )
    run = round_drafts.ask(session, actor=keeper, round_id=row.id, now=NOW)
    found = {"round": str(row.id), "wish": str(wish.id), "wished": wished.code, "run": str(run.id)}
    for name, place in zip(("outage", "repaired", "asked_about"), broken, strict=True):
        book(place, SOON, SOON + timedelta(hours=1), placed=NOW)
        closure, _ = closures.make(
            session,
            actor=keeper,
            facility_id=facility.id,
            instrument_id=place.id,
            span=Span(SOON, SOON + timedelta(hours=1)),
            kind=ClosureKind.BREAKDOWN,
            reason="",
            imposed=True,
            now=NOW,
        )
        found[name] = str(closure.id)
        if name == "outage":
            continue
        replan = replans.begin(session, actor=keeper, closure_id=closure.id, now=NOW)
        search = session.get_one(SolverRun, replan.run_id)
        slot = (SOON + timedelta(hours=4) - datetime.fromisoformat(search.names["start"])) // timedelta(
            minutes=15
        )
        change = {"wish": 0, "hit": True, "after": [[0, slot]], "cost": 116, "slots": 16}
        search.result = {"repairs": [{"kind": "least", "cost": 116, "changes": [change]}]}
        found[name] = str(replan.id)
    sent = replans.send(session, actor=keeper, replan_id=replan.id, chosen=0, key="x", now=NOW)
    proposal = sent.proposals[0]
    mailed = session.scalars(select(OneTimeLink).where(OneTimeLink.subject == str(proposal.id))).one()
    return found | {
        "proposal": str(proposal.id),
        "proposal_link": str(mailed.id),
        "proposal_secret": one_time.secret("x", mailed.id),
    }


def _asked_by_calendar(session: Session, booking: Booking) -> dict[str, str]:
    """Have the person's calendar decline, so that they are asked."""
    question = CalendarQuestion(
        id=uuid4(),
        booking_id=booking.id,
        person_id=booking.person_id,
        position=-1,
        kind=QuestionKind.DECLINED,
        booking_sequence=booking.sequence,
        created_at=NOW,
    )
    link_id = uuid4()
    link = OneTimeLink(
        id=link_id,
        person_id=booking.person_id,
        purpose=Purpose.ANSWER_CALENDAR,
        subject=str(question.id),
        secret_hash=one_time.hashed(one_time.secret("x", link_id)),
        created_at=NOW,
        expires_at=booking.ends_at,
    )
    session.add_all([question, link])
    session.flush()
    return {
        "question": str(question.id),
        "question_link": str(link_id),
        "question_secret": one_time.secret("x", link_id),
    }


def _calendar_elsewhere(session: Session, facility: Facility, who: Actor, keeper: Actor) -> dict[str, str]:
    """Subscribe the facility to a calendar that meets a booking, and to one that is paused."""
    session.refresh(facility, ["organisation"])
    place = make_instrument(session, facility)
    span = Span(SOON, SOON + timedelta(hours=1))
    bookings.place(session, actor=who, items=[Item(place.id, span)], now=NOW)
    found = {"source_place": place.code}
    for name in ("source", "paused_source"):
        draft = calendar_sources.draft(
            session,
            actor=keeper,
            facility_id=facility.id,
            name=name,
            url=f"https://calendars.example.org/{name}-{secrets.token_hex(6)}.ics",
            means=Means.MAINTENANCE,
            instruments=[place.code],
        )
        row = calendar_sources.add(session, actor=keeper, draft=draft, now=NOW)
        found[name] = str(row.id)
    calendar_sources.pause(session, actor=keeper, source_id=row.id, now=NOW)
    calendar_sources.take_over(
        session, source_id=UUID(found["source"]), reading=_ELSEWHERE, data=b"", now=NOW
    )
    return found


def _kept(session: Session, facility: Facility) -> dict[str, str]:
    """An instrument with a photo, a document for staff, and a price to come."""
    session.refresh(facility, ["organisation"])
    place = make_instrument(session, facility)
    now: dict[str, Any] = {"actor": SYSTEM, "code": place.code, "now": NOW}
    shot = instrument_files.add(session, sort=FileSort.PHOTO, content=PHOTO, **now)
    inside = instrument_files.add(
        session, sort=FileSort.DOCUMENT, content=b"%PDF-1", title_en="X", audience=Readership.STAFF, **now
    )
    row = price_lists.put(
        session,
        customer_classes=[CustomerClass.EXTERNAL],
        unit=Unit.HOUR,
        amount=Decimal(100),
        since=NOW.date() + timedelta(days=9),
        **now,
    )
    [price] = row.prices
    return {"kept": place.code, "photo": str(shot.id), "inside": str(inside.id), "price": str(price.id)}


def _permitted(session: Session, facility: Facility) -> dict[str, str]:
    """An instrument that may only run with a permit."""
    session.refresh(facility, ["organisation"])
    place = make_instrument(session, facility)
    row = InstrumentPermit(
        instrument_id=place.id,
        name="X",
        valid_from=date(2026, 1, 1),
        valid_until=date(2090, 1, 1),
        created_at=NOW,
    )
    session.add(row)
    session.flush()
    return {"permit": str(row.id), "permitted": place.code}


def _aimed(session: Session, facility: Facility) -> dict[str, str]:
    """A target of utilisation for all of the facility."""
    before = session.scalars(select(UtilisationTarget)).all()
    row = UtilisationTarget(
        facility_id=facility.id,
        measure=Measure.PERCENT,
        value=50,
        valid_from=date(2026, 1, 1) - timedelta(days=len(before)),
        created_at=NOW,
    )
    session.add(row)
    session.flush()
    return {"target": str(row.id)}


_PACKED = base64.b64encode(zlib.compress(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")).decode()
PHOTO = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x01\x08\x02\0\0\0\x7b\x40\xe8\xdd"
    b"\0\0\0\x0bIDAT\x08\xd7c`@\x06\0\0\x0e\0\x01\xa9\x91s\xb1\0\0\0\0IEND\xaeB`\x82"
)
_SHEET = {"name_zh": "新仪器", "kind": "device", "operator_need": "self", "units": "1"}
_FROM = (NOW.date() + timedelta(days=3)).isoformat()
_PRICE = {"customer_class": "both", "unit": "hour", "amount": "90", "since": _FROM}
_RAISE = {"customer_class": "both", "percent": "5", "step": "1", "since": _FROM}
_ELSEWHERE = Reading("", (Entry("1", "", Span(SOON, SOON + timedelta(hours=2)), False, "Pump"),))


def _tomorrow() -> str:
    return (NOW + timedelta(days=1)).astimezone(ZONE).date().isoformat()


def _standing_by(session: Session, instrument: Instrument, who: Actor, purpose: str) -> dict[str, str]:
    """Have somebody stand by today at an instrument that is free, be there, and be called."""
    for name in ("standby", "shortest"):
        rule = Rule(kind=RuleKind.SETTING, data={}, name=name, value=1, instrument_id=instrument.id)
        rule.valid_from, rule.created_at = NOW.date() - timedelta(days=9), NOW
        session.add(rule)
    session.flush()
    entry = standing_by.stand_by(
        session,
        actor=who,
        instrument_id=instrument.id,
        day=NOW.astimezone(ZONE).date(),
        least=1,
        most=2,
        lead=0,
        purpose=purpose,
        now=NOW,
    )
    standing_by.say_here(session, actor=who, entry_id=entry.id, now=NOW)
    (freed,) = (one for one in turns.work(session) if one.instrument_id == instrument.id)
    choice = turns.choose(session, freed=freed, now=NOW)
    offer = offers.offer(session, choice=choice, key="x", now=NOW)
    turns.done(session, freed=freed)
    return {"stands_by": str(entry.id), "called": str(offer.id), "stand_by_at": instrument.code}


def _in_line(session: Session, instrument: Instrument, who: Actor, purpose: str) -> dict[str, str]:
    """Have somebody wait in line for an instrument, and offer it to them."""
    entry = waitlist.join(
        session,
        actor=who,
        instrument_ids=[instrument.id],
        window=Span(SOON, SOON + timedelta(hours=1)),
        minutes=60,
        purpose=purpose,
        now=NOW,
    )
    freed = next(one for one in turns.work(session) if one.instrument_id == instrument.id)
    choice = turns.choose(session, freed=freed, now=NOW)
    offer = offers.offer(session, choice=choice, key="x", now=NOW)
    turns.done(session, freed=freed)
    link = session.scalars(select(OneTimeLink).where(OneTimeLink.subject == str(offer.id))).one()
    return {
        "place": str(entry.id),
        "offer": str(offer.id),
        "offer_link": str(link.id),
        "offer_secret": one_time.secret("x", link.id),
    }


def _taught(session: Session, facility: Facility, owner: Person, root: Person) -> dict[str, str]:
    """Have somebody ask for a qualification of a facility, with a training session ahead; Nora holds it."""
    keeper, code = cast.actor_of(session, root), f"Q-{secrets.token_hex(4)}"
    qualifications.define(
        session, actor=keeper, facility_id=facility.id, code=code, name_en="Laser safety", now=NOW
    )
    elsewhere = make_instrument(session, facility)
    rule = qualifications.need(session, actor=keeper, code=code, instrument_id=elsewhere.id, now=NOW)
    training = qualifications.plan(
        session,
        actor=keeper,
        code=code,
        starts_at=SOON,
        ends_at=SOON + timedelta(hours=1),
        seats=9,
        now=NOW,
    )
    asked = qualifications.ask(session, actor=cast.actor_of(session, owner), code=code, now=NOW)
    held = qualifications.award(session, actor=keeper, code=code, person_id=cast.nora(session).id, now=NOW)
    return {
        "qualification": code,
        "need": str(rule),
        "training": str(training.id),
        "certificate": str(asked.id),
        "held": str(held.id),
    }


def _browser(world: World, name: str | None) -> tuple[str, str]:
    """Give the cookie of a browser in which somebody signed in, and the token of its pages."""
    client = world.app.test_client()
    if name is not None:
        with db.transaction() as session:
            person = session.scalars(select(Person).where(Person.email == f"{name}@example.org")).one()
            cast.sign_in(client, session, person)
    with client.session_transaction() as cookie:
        kept = dict(cookie)
    with world.app.test_request_context():
        flask_session.update(kept)
        token = generate_csrf()
        kept = dict(flask_session)
    with client.session_transaction() as cookie:
        cookie.update(kept)
    return client.get_cookie(world.app.config["SESSION_COOKIE_NAME"]).value, token


# --- what is asked ------------------------------------------------------------------------------


def _rule(case: Case, t: Things, world: World) -> dict[str, Any]:
    """A rule that would refuse whatever is booked, at the facility or in the network."""
    place = {"network_id": world.network} if case.thing else {"facility_id": t.facility}
    return {**place, "kind": "setting", "name": "notice", "value": 500_000}


def rfc(at: datetime) -> str:
    return at.isoformat()


def span_typed(start: datetime, end: datetime) -> dict[str, str]:
    """A span as forms have it, on the facility's clock."""
    typed = {}
    for name, at in (("start", start), ("end", end)):
        local = at.astimezone(ZONE)
        typed |= {f"{name}_date": local.strftime("%Y-%m-%d"), f"{name}_time": local.strftime("%H:%M")}
    return typed


LATER = SOON + timedelta(hours=3), SOON + timedelta(hours=4)
SERIES = {
    "rule": "FREQ=WEEKLY;COUNT=2",
    "first_day": (SOON + timedelta(days=1)).astimezone(ZONE).date().isoformat(),
    "start": "14:00",
    "length": "PT1H",
}
WINDOW = {"from": rfc(SOON), "to": rfc(SOON + timedelta(days=1))}


def _calendar_requests(t: Things, i: dict[str, str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    source, place = {"source_id": i["source"]}, {"facility_id": t.facility}
    wish = {"name": "Plan", "url": "https://calendars.example.org/new.ics", "means": "maintenance"}
    typed = {"facility": t.facility, "transparent": "", "floating_zone": "", **wish}
    return {
        "api-calendar-sources.listing": (place, {}),
        "api-calendar-sources.preview": (place, {"json": wish}),
        "api-calendar-sources.add": (place, {"json": wish}),
        "api-calendar-sources.one": (source, {}),
        "api-calendar-sources.change": (source, {"json": {"name": "Another"}}),
        "api-calendar-sources.refresh": (source, {"json": {}}),
        "api-calendar-sources.pause": (source, {}),
        "api-calendar-sources.resume": ({"source_id": i["paused_source"]}, {}),
        "api-calendar-sources.remove": (source, {}),
        "api-calendar-sources.begin": (source, {"json": {}}),
        "web.calendar_sources": ({"facility": t.facility}, {}),
        "web.new_calendar_source": ({"facility": t.facility}, {}),
        "web.add_source": ({}, {"data": typed}),
        "web.calendar_source": (source, {}),
        "web.change_calendar_source": (source, {}),
        "web.change_source": (
            source,
            {"data": {"name": "Another", "means": "maintenance", "instrument": i["source_place"]}},
        ),
        "web.refresh_source": (source, {"data": {}}),
        "web.pause_source": (source, {"data": {}}),
        "web.resume_source": ({"source_id": i["paused_source"]}, {"data": {}}),
        "web.remove_source": (source, {"data": {}}),
        "web.replan_source": (source, {"data": {}}),
        "web.calendar_import": ({"facility": t.facility}, {}),
        "web.import_calendar": (
            {},
            {"data": {"facility": t.facility, "instrument": t.free, "name": "a.ics", "packed": _PACKED}},
        ),
    }


def request_of(case: Case, t: Things, world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the values in the address, and what else is sent: json, data, headers."""
    hidden = t.hidden if case.thing == "hidden" else t.free
    wish = {"instrument_id": hidden, "start": rfc(LATER[0]), "end": rfc(LATER[1])}
    code = {"instrument_id": hidden, **WINDOW}
    typed = {"instrument": hidden, "quantity": "1", **span_typed(*LATER)}
    i = t.ids
    permit = {"permit_id": i["permit"]}
    kept_api = {"instrument_id": i["kept"], "file_id": i["photo"]}
    kept_file = {"code": i["kept"], "file_id": i["photo"]}
    learnt = {"qualification_id": i["qualification"]}
    coded, paper = {"code": i["qualification"]}, {"certificate_id": i["certificate"]}
    handing = {"transfer_id": i["transfer"]}
    to_move = {"question_id": i["move_question"]}
    decided = {f"version-{i['asked']}": "1", "decision": "approve", "chosen": i["asked"]}
    linked = {"link_id": i["offer_link"], "secret": "guessed" if case.thing else i["offer_secret"]}
    asked: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "api-instruments.one": ({"instrument_id": hidden}, {}),
        "api-availability.free": (code, {}),
        "api-availability.of_instrument": (
            code if case.thing else {"instrument_id": i["planned_at"], **WINDOW},
            {},
        ),
        "api-availability.of_facility": ({"facility_id": t.facility, **WINDOW}, {}),
        "api-availability.find": ({"duration": "PT1H", **WINDOW}, {}),
        "api-rules.of_instrument": ({"instrument_id": hidden}, {}),
        "api-rules.listing": ({"facility_id": t.facility}, {}),
        "api-rules.add": ({}, {"json": _rule(case, t, world)}),
        "api-rules.trial": ({}, {"json": _rule(case, t, world)}),
        "api-rules.change": ({"rule_id": int(i["rule"])}, {"json": {"value": 540}}),
        "api-rules.end": ({"rule_id": int(i["rule"])}, {}),
        "web.rules_of_instrument": ({"code": hidden}, {}),
        "web.rules": ({"sort": "facility", "code": t.facility}, {}),
        "web.new_rule": ({"sort": "facility", "code": t.facility}, {}),
        "web.add_rule": (
            {"sort": "network", "code": world.network}
            if case.thing
            else {"sort": "facility", "code": t.facility},
            {"data": {"what": "notice", "value": "300 d"} | ({"try": "1"} if case.thing else {})},
        ),
        "web.change_rule": ({"rule_id": int(i["rule"])}, {}),
        "web.submit_rule": ({"rule_id": int(i["rule"])}, {"data": {"value": "9 h", "note": ""}}),
        "web.end_rule": ({"rule_id": int(i["rule"])}, {"data": {}}),
        "web.announce_days": ({}, {"data": {"table": "2031-01-01,holiday", "source": ""}}),
        "api-facilities.one": ({"facility_id": t.facility}, {}),
        "api-facilities.closed": ({"facility_id": t.facility, **WINDOW}, {}),
        "api-facilities.close": ({"facility_id": t.facility}, {"json": wish | {"instrument_id": t.free}}),
        "api-facilities.quiet": ({"facility_id": t.facility, "length": "PT2H", **WINDOW}, {}),
        "api-facilities.close_quietly": (
            {"facility_id": t.facility},
            {"json": {"instrument_ids": [t.free], "start": wish["start"], "end": wish["end"]}},
        ),
        "api-facilities.set_hours": ({"facility_id": t.facility}, {"json": {"hours": "always"}}),
        "api-instruments.set_service": (
            {"instrument_id": t.free},
            {"json": {"bookable": True, "hours": ""}},
        ),
        "api-favourites.listing": ({}, {}),
        "api-favourites.add": ({"instrument_id": t.free}, {}),
        "api-favourites.drop": ({"instrument_id": t.free}, {}),
        "api-utilisation.of_instrument": (
            {"instrument_id": t.free, "from": "2026-11-02", "to": "2026-11-08"},
            {},
        ),
        "api-utilisation.of_facility": (
            {"facility_id": t.facility, "from": "2026-11-02", "to": "2026-11-08"},
            {},
        ),
        "api-permits.listing": ({"instrument_id": hidden}, {}),
        "api-permits.add": (
            {"instrument_id": t.free},
            {"json": {"name": "X", "valid_from": "2026-01-01", "valid_until": "2090-01-01"}},
        ),
        "api-permits.end": (permit | {"instrument_id": i["permitted"]}, {"json": {"last_day": "2080-01-01"}}),
        "api-permits.strike": (permit | {"instrument_id": i["permitted"]}, {}),
        "api-keeping.make_facility": (
            {},
            {
                "json": {
                    "id": "NEW-3",
                    "name_zh": "新平台",
                    "organisation_id": i["operator"],
                    "network_id": world.network,
                }
            },
        ),
        "api-keeping.change_facility": ({"facility_id": t.facility}, {"json": {"town": "X"}}),
        "api-keeping.withdraw": ({"facility_id": t.facility}, {"json": {}}),
        "api-keeping.reopen": ({"facility_id": t.facility}, {}),
        "api-keeping.facility_history": ({"facility_id": t.facility}, {}),
        "api-keeping.make_instrument": (
            {},
            {"json": {"id": "NEW-4", "facility_id": t.facility, "name_zh": "新仪器", "kind": "device"}},
        ),
        "api-keeping.change_instrument": ({"instrument_id": t.free}, {"json": {"model": "X"}}),
        "api-keeping.instrument_history": ({"instrument_id": t.free}, {}),
        "api-keeping.prices": ({"instrument_id": t.free}, {}),
        "api-keeping.set_price": (
            {"instrument_id": t.free},
            {"json": {"customer_classes": ["external"], "unit": "hour", "amount": "9", "since": _FROM}},
        ),
        "api-keeping.strike_price": ({"instrument_id": i["kept"], "price_id": int(i["price"])}, {}),
        "api-keeping.raise_prices": ({"facility_id": t.facility}, {"json": {"percent": "5", "since": _FROM}}),
        "api-instrument-files.listing": ({"instrument_id": i["kept"]}, {}),
        "api-instrument-files.add": (
            {"instrument_id": t.free, "sort": "photo"},
            {"data": PHOTO, "content_type": "image/png"},
        ),
        "api-instrument-files.one": (kept_api | ({"file_id": i["inside"]} if case.thing else {}), {}),
        "api-instrument-files.change": (kept_api, {"json": {"title_zh": "正面", "title_en": ""}}),
        "api-instrument-files.remove": (kept_api, {}),
        "api-facilities.lift": ({"facility_id": t.facility, "closure_id": i["closure"]}, {}),
        "api-bookings.place": ({}, {"json": wish}),
        "api-bookings.dry_run": (
            {},
            {"json": wish | ({"booking_id": i["planned"]} if case.thing == "move" else {})},
        ),
        "api-bookings.one": ({"booking_id": i["planned"]}, {}),
        "api-bookings.conditions": ({"booking_id": i["planned"]}, {}),
        "api-routes.find": ({}, {"json": {"steps": [{"instrument_id": hidden, "duration": "PT1H"}]}}),
        "api-routes.book": ({}, {"json": {"steps": [{"instrument_id": hidden, "duration": "PT1H"}]}}),
        "api-routes.later": ({"booking_id": i["process"]}, {"json": {"after": rfc(LATER[1])}}),
        "api-routes.move": ({"booking_id": i["process"]}, {"json": {"after": rfc(LATER[1])}}),
        "api-routes.changeovers": ({"facility": t.facility}, {}),
        "api-routes.set_changeovers": ({}, {"json": {"facility": t.facility, "changeovers": []}}),
        "api-routes.utilities": ({"facility_id": t.facility}, {}),
        "api-routes.keep_utility": (
            {"facility_id": t.facility, "utility": "STEAM"},
            {"json": {"name_zh": "蒸汽", "capacity": 2}},
        ),
        "api-routes.drop_utility": ({"facility_id": t.facility, "utility": i["utility"]}, {}),
        "web.new_process": ({"facility": t.facility}, {}),
        "web.place_process": (
            {},
            {
                "data": {
                    "facility": t.facility,
                    "what-1": f"i:{hidden}",
                    "hours-1": "1",
                    "least-1": "0",
                    "most-1": "1",
                    "find": "1",
                    **{f"start_{name}": span_typed(*LATER)[f"start_{name}"] for name in ("date", "time")},
                }
            },
        ),
        "web.move_process": ({"booking_id": i["process"]}, {}),
        "web.submit_move": (
            {"booking_id": i["process"]},
            {"data": {"date": (SOON + timedelta(days=2)).date().isoformat(), "time": "09:00"}},
        ),
        "web.facility_processes": ({"code": t.facility}, {}),
        "web.set_changeovers": (
            {"code": t.facility},
            {"data": {"before-1": "a", "after-1": "b", "minutes-1": "9"}},
        ),
        "web.keep_utility": (
            {"code": t.facility},
            {"data": {"code": "N2", "name_zh": "氮气", "capacity": "3"}},
        ),
        "api-bookings.change": (
            {"booking_id": i["planned"]},
            {"json": {"purpose": "other"}, "headers": {"If-Match": "*"}},
        ),
        "api-bookings.cancel": ({"booking_id": i["planned"]}, {"json": {}}),
        "api-bookings.undo": ({"booking_id": i["running"]}, {"json": {}}),
        "api-bookings.decide": ({"booking_id": i["asked"]}, {"json": {"decision": "approve"}}),
        "api-bookings.call_missed": ({"booking_id": i["begun"]}, {"json": {}}),
        "api-bookings.say_came": ({"booking_id": i["begun"]}, {}),
        "api-bookings.check_in": ({"booking_id": i["begun"]}, {"json": {}}),
        "api-bookings.check_out": ({"booking_id": i["running"]}, {"json": {}}),
        "api-bookings.feedback": ({"booking_id": i["ended"]}, {"json": {"rating": 5}}),
        "api-approvals.steps": ({"booking_id": i["asked"]}, {}),
        "api-approvals.chemicals": ({"booking_id": i["planned"]}, {}),
        "api-approvals.listing": ({"booking_id": i["planned"]}, {}),
        "api-approvals.add": (
            {"booking_id": i["planned"], "kind": "permit", "title": "x", "number": "1"},
            {},
        ),
        "api-approvals.one": ({"booking_id": i["planned"], "paper_id": i["paper"]}, {}),
        "api-approvals.remove": ({"booking_id": i["planned"], "paper_id": i["paper"]}, {}),
        "api-approvals.ask_for": (
            {},
            {
                "json": {
                    "facility_id": t.facility,
                    "name": "Safety",
                    "data": {"approvers": {"role": "manager"}},
                }
            },
        ),
        "api-approvals.delegate": (
            {},
            {"json": {"delegate": "ada@example.org", "start": rfc(LATER[0]), "end": rfc(LATER[1])}},
        ),
        "api-approvals.withdraw": ({"delegation_id": i["delegation"]}, {}),
        "api-bookings.extend": ({"booking_id": i["running"]}, {"json": {}}),
        "api-faults.listing": (
            {},
            {"query_string": {"facility": t.facility}} if case.thing else {},
        ),
        "api-faults.report": ({}, {"json": {"instrument_id": hidden, "text": "x"}}),
        "api-faults.confirm": ({"fault_id": i["fault"]}, {"json": {}}),
        "api-faults.mend": ({"fault_id": i["fault"]}, {"json": {}}),
        "api-faults.dismiss": ({"fault_id": i["fault"]}, {"json": {"answer": "x"}}),
        "api-credit.appeal": ({"entry_id": i["lost"]}, {"json": {"text": "x"}}),
        "api-credit.decide": ({"entry_id": i["disputed"]}, {"json": {"decision": "grant"}}),
        "api-credit.appeals": ({"facility_id": t.facility}, {}),
        "api-credit.bans": ({"facility_id": t.facility}, {}),
        "api-credit.ban": (
            {"facility_id": t.facility},
            {"json": {"email": t.owner, "until": rfc(SOON), "reason": "x"}},
        ),
        "api-credit.lift": ({"facility_id": t.facility, "ban_id": i["ban"]}, {}),
        "api-credit.rules": ({"facility_id": t.facility}, {}),
        "api-credit.set_rule": (
            {"facility_id": t.facility},
            {"json": {"deed": "late", "points": -1, "valid_from": SOON.date().isoformat()}},
        ),
        "api-working-days.of_year": ({"year": 2026}, {}),
        "api-organisations.listing": ({}, {}),
        "api-organisations.change": ({"code": "UNI"}, {"json": {"region": "450100"}}),
        **_of_networks(case, t),
        "web.organisations": ({}, {}),
        "web.register_organisation": ({"code": "UNI"}, {"data": {"region": "450100"}}),
        "api-working-days.announce": ({}, {"json": {"days": [{"day": "2031-01-01", "kind": "holiday"}]}}),
        "api-working-days.sheet": (
            {},
            {"data": b"day,kind\n2031-01-01,holiday\n", "content_type": "application/octet-stream"},
        ),
        "api-credit.end_rule": ({"facility_id": t.facility, "deed": "late"}, {}),
        "api-credit.set_common_rule": (
            {},
            {"json": {"deed": "late", "points": -1, "valid_from": SOON.date().isoformat()}},
        ),
        "api-credit.end_common_rule": ({"deed": "late"}, {}),
        "web.day": ({"code": hidden if case.thing else i["planned_at"]}, {}),
        "web.book_hour": ({"code": hidden}, {"data": span_typed(*LATER)}),
        "web.extend_booking": ({"booking_id": i["running"]}, {"data": {}}),
        "web.report_problem": ({"code": t.free}, {}),
        "web.submit_problem": ({"code": t.free}, {"data": {"text": "x"}}),
        "web.label_svg": ({"code": t.free}, {}),
        "web.label_png": ({"code": t.free}, {}),
        "web.label_sheet": ({"code": t.facility}, {}),
        "web.kiosk": ({"secret": "guessed" if case.thing else i["kiosk_secret"]}, {}),
        "web.screen": ({"secret": i["kiosk_secret" if case.thing else "screen_secret"]}, {}),
        "web.act_at_kiosk": (
            {"secret": i["kiosk_secret"]},
            {"data": {"act": "check_in", "booking": i["begun"], "key": "guessed"}},
        ),
        "web.set_badge": (
            {},
            {"data": {"number": "ABC-12345", "pin": "", "password": cast.PASSWORD}},
        ),
        "web.appeal": ({"entry_id": i["lost"]}, {"data": {"text": "x"}}),
        "web.faults": ({"facility": t.facility}, {}),
        "web.confirm_fault": ({"fault_id": i["fault"]}, {"data": {"facility": t.facility, "answer": ""}}),
        "web.mend_fault": ({"fault_id": i["fault"]}, {"data": {"facility": t.facility, "answer": ""}}),
        "web.dismiss_fault": ({"fault_id": i["fault"]}, {"data": {"facility": t.facility, "answer": "x"}}),
        "web.facility_credit": ({"facility": t.facility}, {}),
        "web.end_credit_rule": ({}, {"data": {"facility": t.facility, "deed": "late"}}),
        "web.set_common_points": (
            {},
            {"data": {"deed": "late", "points": "-1", "valid_from": SOON.date().isoformat()}},
        ),
        "web.end_common_points": ({}, {"data": {"deed": "late"}}),
        "web.set_credit_rule": (
            {},
            {
                "data": {
                    "facility": t.facility,
                    "deed": "late",
                    "points": "-1",
                    "valid_from": SOON.date().isoformat(),
                }
            },
        ),
        "web.ban_person": (
            {},
            {
                "data": {
                    "facility": t.facility,
                    "email": t.owner,
                    "until": SOON.date().isoformat(),
                    "reason": "x",
                }
            },
        ),
        "web.lift_ban": ({"ban_id": i["ban"]}, {"data": {"facility": t.facility}}),
        "web.decide_appeal": (
            {"entry_id": i["disputed"]},
            {"data": {"facility": t.facility, "decision": "grant", "answer": ""}},
        ),
        "web.kiosks": ({"facility": t.facility}, {}),
        "web.make_kiosk": ({}, {"data": {"facility": t.facility, "instrument": "", "name": "x"}}),
        "web.revoke_kiosk": ({"kiosk_id": i["kiosk"]}, {"data": {"facility": t.facility}}),
        "web.enrol_badge": (
            {},
            {"data": {"facility": t.facility, "email": t.owner, "number": "ABC-12345"}},
        ),
        "api-holds.take": ({}, {"json": wish}),
        "api-holds.renew": ({"hold_id": i["hold"]}, {"json": {}}),
        "api-holds.release": ({"hold_id": i["hold"]}, {}),
        **_of_plans(case, t),
        "api-waitlist.join": ({}, {"json": wish}),
        "api-waitlist.join_for_route": (
            {},
            {"json": {"steps": [{"instrument_id": hidden, "duration": "PT1H"}]}},
        ),
        "api-waitlist.listing": ({"facility": t.facility} if case.thing else {}, {}),
        "api-waitlist.one": ({"entry_id": i["place"]}, {}),
        "api-waitlist.rank": ({"entry_id": i["place"]}, {"json": {"priority": 50, "reason": "urgent"}}),
        "api-waitlist.leave": ({"entry_id": i["place"]}, {}),
        "api-waitlist.accept": ({"offer_id": i["offer"]}, {"json": {}}),
        "api-waitlist.decline": ({"offer_id": i["offer"]}, {"json": {}}),
        "api-standby.outlook": ({"instrument_id": hidden if case.thing else t.free}, {}),
        "api-standby.stand_by": (
            {"instrument_id": i["stand_by_at"]},
            {"json": {"day": _tomorrow(), "at_least": "PT1H", "at_most": "PT2H"}},
        ),
        "api-standby.presence": ({"entry_id": i["stands_by"]}, {"json": {"here": False}}),
        "api-standby.call_next": ({"offer_id": i["called"]}, {"json": {}}),
        "api-standby.of_facility": ({"facility_id": t.facility}, {}),
        "web.standby": ({"code": hidden if case.thing else t.free}, {}),
        "web.stand_by": (
            {"code": i["stand_by_at"]},
            {"data": {"day": _tomorrow(), "least": "60", "most": "120", "lead": "0"}},
        ),
        "web.standby_presence": ({"entry_id": i["stands_by"]}, {"data": {"here": "no"}}),
        "web.call_next": ({"offer_id": i["called"]}, {"data": {}}),
        "web.facility_standby": ({"facility": t.facility}, {}),
        "web.hold": ({}, {"data": typed}),
        "web.join_waitlist": (
            {},
            {
                "data": {
                    "instrument": hidden,
                    "first": typed["start_date"],
                    "last": typed["end_date"],
                    "minutes": "60",
                }
            },
        ),
        "web.leave_line": ({"entry_id": i["place"]}, {"data": {}}),
        "web.answer_offer": ({"offer_id": i["offer"]}, {"data": {"answer": "accept"}}),
        "web.offer_by_link": (linked, {}),
        "web.answer_by_link": (linked, {"data": {"answer": "accept"}}),
        "web.facility_waitlist": ({"facility": t.facility}, {}),
        "web.rank_place": (
            {"entry_id": i["place"]},
            {"data": {"priority": "50", "reason": "urgent", "facility": t.facility}},
        ),
        "api-qualifications.define": (
            {},
            {"json": {"facility_id": t.facility, "id": "NEW", "name_en": "New"}},
        ),
        "api-qualifications.redefine": (learnt, {"json": {"name_en": "Other"}}),
        "api-qualifications.retire": (learnt, {}),
        "api-qualifications.needed": (learnt, {}),
        "api-qualifications.need": (learnt, {"json": {"instrument_id": t.free}}),
        "api-qualifications.need_no_more": (learnt | {"rule_id": i["need"]}, {}),
        "api-qualifications.sessions": (learnt, {}),
        "api-qualifications.plan": (
            learnt,
            {"json": {"start": rfc(LATER[0]), "end": rfc(LATER[1]), "seats": 2}},
        ),
        "api-qualifications.call_off": ({"session_id": i["training"]}, {}),
        "api-qualifications.certificates": ({"facility": t.facility} if case.thing else {}, {}),
        "api-qualifications.ask": (
            {},
            {"json": learnt | ({"person": "cleo@example.org"} if case.thing else {})},
        ),
        "api-qualifications.certificate": (paper, {}),
        "api-qualifications.seat": (paper, {"json": {"session_id": i["training"]}}),
        "api-qualifications.withdraw": (paper, {"json": {}}),
        "api-qualifications.decide": (paper, {"json": {"decision": "grant"}}),
        "api-transfers.offer": ({}, {"json": {"booking_id": i["planned"], "to": "ada@example.org"}}),
        "api-transfers.slots": ({"booking_id": i["planned"]}, {}),
        "api-transfers.swap": (
            {"booking_id": i["planned"]},
            {"json": {"instrument_id": i["planned_at"], "start": rfc(LATER[0]), "end": rfc(LATER[1])}},
        ),
        "web.swap": ({"booking_id": i["planned"]}, {}),
        "web.ask_swap": (
            {"booking_id": i["planned"]},
            {"data": {"slot": f"{i['planned_at']} {rfc(LATER[0])} {rfc(LATER[1])}", "note": ""}},
        ),
        "api-move-questions.of_booking": ({"booking_id": i["planned"]}, {}),
        "api-move-questions.ask": (
            {"booking_id": i["planned"]},
            {"json": {"start": rfc(LATER[0]), "end": rfc(LATER[1])}},
        ),
        "api-move-questions.one": (to_move, {}),
        "api-move-questions.answer": (to_move, {"json": {"answer": "keep"}}),
        "api-move-questions.withdraw": (to_move, {"json": {}}),
        "web.withdraw_move_question": (to_move, {"data": {}}),
        "api-transfers.one": (handing, {}),
        "api-transfers.accept": (handing, {"json": {}}),
        "api-transfers.decline": (handing, {"json": {}}),
        "api-transfers.exchange": (handing, {"json": {"booking_id": i["planned"]}}),
        "api-transfers.withdraw": (handing, {"json": {}}),
        "web.qualification": (coded, {}),
        "web.ask_qualification": (coded, {"data": {"note": "", "session": ""}}),
        "web.choose_seat": (paper, {"data": {"session": i["training"]}}),
        "web.withdraw_request": (paper, {"data": {}}),
        "web.facility_qualifications": ({"facility": t.facility}, {}),
        "web.define_qualification": (
            {"facility": t.facility},
            {"data": {"code": "NEW", "name_zh": "", "name_en": "New", "months": ""}},
        ),
        "web.grant_certificate": (paper, {"data": {}}),
        "web.refuse_certificate": (paper, {"data": {"reason": "x"}}),
        "web.revoke_certificate": ({"certificate_id": i["held"]}, {"data": {"reason": "x"}}),
        "web.keep_qualification": (coded, {}),
        "web.redefine_qualification": (coded, {"data": {"name_zh": "", "name_en": "Other", "months": ""}}),
        "web.retire_qualification": (coded, {"data": {}}),
        "web.need_qualification": (coded, {"data": {"instrument": t.free, "category": "", "mode": ""}}),
        "web.end_need": (coded | {"rule_id": i["need"]}, {"data": {}}),
        "web.plan_training": (coded, {"data": span_typed(*LATER) | {"seats": "2", "place": ""}}),
        "web.call_training_off": (
            {"session_id": i["training"]},
            {"data": {"code": i["qualification"]}},
        ),
        "web.award_qualification": (
            coded,
            {"data": {"person": "cleo@example.org", "granted_on": "", "expires_on": ""}},
        ),
        "web.offer_booking": ({"booking_id": i["planned"]}, {"data": {"to": "ada@example.org", "note": ""}}),
        "web.accept_transfer": (handing, {"data": {}}),
        "web.decline_transfer": (handing, {"data": {"note": ""}}),
        "web.offer_exchange": (handing, {"data": {"booking": i["planned"], "note": ""}}),
        "web.withdraw_transfer": (handing, {"data": {}}),
        "api-calendars.make": (
            {},
            {
                "json": {
                    "": {"scope": "me"},
                    "hidden": {"scope": "instrument", "id": hidden},
                    "facility": {"scope": "facility", "id": t.facility},
                    "project": {"scope": "project", "id": i["project"]},
                    "network": {"scope": "network", "id": world.network},
                    "approvals": {"scope": "approvals"},
                }.get(case.thing)
            },
        ),
        "api-calendars.change": ({"calendar_id": i["calendar"]}, {"json": {"name": "x"}}),
        "api-calendars.renew": ({"calendar_id": i["calendar"]}, {"json": {}}),
        "api-calendars.revoke": ({"calendar_id": i["calendar"]}, {}),
        "api-notices.read": ({"notice_id": i["notice"]}, {"json": {}}),
        "api-notices.read_all": ({}, {"json": {}}),
        "api-notices.choose": ({}, {"json": {"wishes": [], "quiet": {"begins": 1320, "ends": 420}}}),
        **{
            f"feeds.{form}": ({"token": "guessed" if case.thing == "guess" else world.feed}, {})
            for form in ("feed", "busy", "atom", "rss", "json_feed")
        },
        **_of_caldav(case, t),
        "static": ({"filename": "js/menu.js"}, {}),
        "styles": ({"names": "tokens+base"}, {}),
        "scripts": ({"names": "hold+strip"}, {}),
        "web.counts": ({}, {"environ_base": {"REMOTE_ADDR": "192.0.2.7" if case.thing else "127.0.0.1"}}),
        "web.instrument": ({"code": hidden if case.thing else i["planned_at"]}, {}),
        "web.facility": ({"code": t.facility}, {}),
        "web.week_sheet": ({"code": hidden if case.thing else i["planned_at"], "names": "1"}, {}),
        "web.week_sheet_file": ({"code": hidden if case.thing else i["planned_at"], "names": "1"}, {}),
        "web.facility_sheet": ({"code": t.facility, "names": "1"}, {}),
        "web.facility_sheet_file": ({"code": t.facility, "names": "1"}, {}),
        "web.network": ({"code": world.network}, {}),
        "web.language": ({}, {"data": {"locale": "en", "next": "/"}}),
        "web.submit_sign_in": (
            {},
            {"data": {"email": "ada@example.org", "password": "not hers", "next": ""}},
        ),
        "web.sign_out": ({}, {"data": {}}),
        "web.submit_sign_up": (
            {},
            {
                "data": {
                    "name": "Ada",
                    "email": "ada@example.org",
                    "password": cast.PASSWORD,
                    "organisation": "",
                }
            },
        ),
        "web.confirmation": ({"link_id": str(uuid4()), "secret": "guessed"}, {}),
        "web.confirm": (
            {"link_id": str(uuid4()), "secret": "guessed"},
            {"data": {"password": cast.PASSWORD}},
        ),
        "web.submit_ask_reset": ({}, {"data": {"email": "ada@example.org"}}),
        "web.reset": ({"link_id": str(uuid4()), "secret": "guessed"}, {}),
        "web.submit_reset": (
            {"link_id": str(uuid4()), "secret": "guessed"},
            {"data": {"password": cast.PASSWORD}},
        ),
        "web.submit_account": ({}, {"data": {"name": "Other", "locale": "en", "zone": "UTC"}}),
        "web.submit_password": (
            {},
            {"data": {"password": cast.PASSWORD, "new_password": "a kite made of other paper"}},
        ),
        "web.end_session": ({"sign_in_id": i["session"]}, {"data": {}}),
        "web.end_other_sessions": ({}, {"data": {}}),
        "web.make_token": (
            {},
            {"data": {"name": "x", "days": "30", "password": cast.PASSWORD, "scopes": "read"}},
        ),
        "web.revoke_token": ({"token_id": i["token"]}, {"data": {}}),
        "web.make_calendar": (
            {},
            {
                "data": {
                    "what": f"facility:{t.facility}" if case.thing else "me",
                    "privacy": "summary",
                    "locale": "en",
                }
            },
        ),
        "web.calendar": ({"calendar_id": i["calendar"]}, {}),
        "web.change_calendar": (
            {"calendar_id": i["calendar"]},
            {"data": {"privacy": "busy", "locale": "en"}},
        ),
        "web.read_notice": ({"notice_id": i["notice"]}, {"data": {}}),
        "web.read_all_notices": ({}, {"data": {"until": NOW.isoformat()}}),
        "web.tour": ({"name": "booking"}, {}),
        "web.end_tour": ({}, {"data": {"next": "/"}}),
        "web.choose_notices": ({}, {"data": {"quiet_begins": "22:00", "quiet_ends": "07:00"}}),
        "web.add_webhook": (
            {},
            {
                "data": {
                    "kind": "feishu",
                    "name": "",
                    "url": "https://hooks.example.org/y",
                    "secret": "",
                }
            },
        ),
        "web.try_webhook": ({"hook_id": i["webhook"]}, {"data": {}}),
        "web.remove_webhook": ({"hook_id": i["webhook"]}, {"data": {}}),
        "web.renew_calendar": ({"calendar_id": i["calendar"]}, {"data": {}}),
        "web.revoke_calendar": ({"calendar_id": i["calendar"]}, {"data": {}}),
        "web.new_booking": ({"instrument": i["planned_at"]}, {}),
        "web.place_booking": ({}, {"data": typed | {"purpose": "x"}}),
        "web.booking": ({"booking_id": i["planned"]}, {}),
        "web.timeline_card": ({"booking_id": i["planned"]}, {}),
        "web.booking_file": ({"booking_id": i["planned"]}, {}),
        "web.change_booking": ({"booking_id": i["planned"]}, {}),
        "web.submit_change": (
            {"booking_id": i["planned"]},
            {"data": typed | {"instrument": i["planned_at"], "version": "1", "purpose": "x"}},
        ),
        "web.cancel_booking": ({"booking_id": i["planned"]}, {"data": {"reason": "", "version": "1"}}),
        "web.undo_booking": ({"booking_id": i["running"]}, {"data": {}}),
        "web.call_missed": ({"booking_id": i["begun"]}, {"data": {}}),
        "web.say_came": ({"booking_id": i["begun"]}, {"data": {}}),
        "web.check_in": ({"booking_id": i["begun"]}, {"data": {}}),
        "web.check_out": ({"booking_id": i["running"]}, {"data": {}}),
        "web.give_feedback": ({"booking_id": i["ended"]}, {"data": {"rating": "5"}}),
        "web.chemicals": ({"booking_id": i["planned"]}, {}),
        "web.declare_chemicals": (
            {"booking_id": i["planned"]},
            {"data": {"version": "1", "chemical-1": "Water"}},
        ),
        "web.add_paper": (
            {"booking_id": i["planned"]},
            {"data": {"kind": "permit", "title": "x", "number": "1"}},
        ),
        "web.paper": ({"booking_id": i["planned"], "paper_id": i["paper"]}, {}),
        "web.remove_paper": ({"booking_id": i["planned"], "paper_id": i["paper"]}, {"data": {}}),
        "web.approval_rules": ({"sort": "facility", "code": t.facility}, {}),
        "web.add_approval_rule": (
            {"sort": "facility", "code": t.facility},
            {"data": {"name": "Safety", "who": "manager"}},
        ),
        "web.end_approval_rule": ({"rule_id": int(i["step_rule"])}, {"data": {}}),
        "web.make_absence": (
            {},
            {
                "data": {
                    "delegate": "ada@example.org",
                    "from": LATER[0].date().isoformat(),
                    "until": LATER[1].date().isoformat(),
                }
            },
        ),
        "web.end_absence": ({"delegation_id": i["delegation"]}, {"data": {}}),
        "web.decision": ({"link_id": uuid4(), "secret": "guessed"}, {}),
        "web.decide_by_link": (
            {"link_id": uuid4(), "secret": "guessed"},
            {"data": {"decision": "approve", "comment": "", "version": "1"}},
        ),
        "api-series.dry_run": ({}, {"json": SERIES | {"instrument_id": hidden}}),
        "api-series.place": ({}, {"json": SERIES | {"instrument_id": hidden}}),
        "api-series.one": ({"series_id": i["series"]}, {}),
        "api-series.change": (
            {"series_id": i["series"]},
            {"json": {"scope": "all", "purpose": "other"}, "headers": {"If-Match": "*"}},
        ),
        "api-series.cancel": ({"series_id": i["series"]}, {"json": {"scope": "all"}}),
        "api-series.put_back": ({"series_id": i["series"]}, {"json": {"day": SERIES_DAYS[1].isoformat()}}),
        "api-series.listing": ({"facility": t.facility} if case.thing else {}, {}),
        "api-series.decide": ({"series_id": i["pending"]}, {"json": {"decision": "approve"}}),
        "api-series.chemicals": ({"series_id": i["series"]}, {}),
        "api-series.papers_of": ({"series_id": i["series"]}, {}),
        "api-series.add_paper": (
            {"series_id": i["series"], "kind": "permit", "title": "x", "number": "1"},
            {},
        ),
        "api-series.remove_paper": ({"series_id": i["series"], "paper_id": i["shared"]}, {}),
        "web.facility_series": ({"facility": t.facility}, {}),
        "web.series_approvals": ({"series_id": i["pending"]}, {}),
        "web.decide_series": (
            {"series_id": i["pending"]},
            {"data": {"decision": "approve", f"dates-{i['pending']}": i["waits"]}},
        ),
        "web.series_chemicals": ({"series_id": i["series"]}, {}),
        "web.declare_series_chemicals": (
            {"series_id": i["series"]},
            {"data": {"chemical-1": "Acetone", "version": "1"}},
        ),
        "web.add_series_paper": (
            {"series_id": i["series"]},
            {"data": {"kind": "permit", "title": "x", "number": "1"}},
        ),
        "web.remove_series_paper": ({"series_id": i["series"], "paper_id": i["shared"]}, {"data": {}}),
        "web.new_series": ({"instrument": i["planned_at"]}, {}),
        "web.place_series": ({}, {"data": typed}),
        "web.series": ({"series_id": i["series"]}, {}),
        "web.change_series": ({"series_id": i["series"]}, {}),
        "web.submit_series_change": (
            {"series_id": i["series"]},
            {
                "data": {
                    "scope": "all",
                    "start_time": "14:00",
                    "end_time": "15:00",
                    "repeats": "weekly",
                    "interval": "1",
                    "ends": "count",
                    "count": "2",
                }
            },
        ),
        "web.ask_to_join": ({}, {"data": {"organisation": "nobody"}}),
        "web.cancel_series": ({"series_id": i["series"]}, {"data": {"scope": "all"}}),
        "web.put_back_date": (
            {"series_id": i["series"]},
            {"data": {"day": SERIES_DAYS[1].isoformat()}},
        ),
        "web.desk": ({"facility": t.facility}, {}),
        "web.add_favourite": ({"code": t.free}, {"data": {"back": ""}}),
        "web.drop_favourite": ({"code": t.free}, {"data": {"back": ""}}),
        "web.officer": ({}, {}),
        "web.officer_sheet": ({"kind": "csv"}, {}),
        "web.targets": ({"facility": t.facility}, {}),
        "web.set_target": (
            {},
            {
                "data": {"facility": t.facility, "instrument": "", "measure": "percent", "value": "60"}
                | {"valid_from": "2026-02-01"}
            },
        ),
        "web.drop_target": ({"target_id": i["target"]}, {"data": {"facility": t.facility}}),
        "web.resource_timeline": ({"facility": t.facility}, {}),
        "web.timeline_rows": ({"ids": i["free_row"]}, {}),
        "web.timeline_news": ({"facility": t.facility}, {}),
        "web.closures": ({"facility": t.facility}, {}),
        "web.new_closure": ({"facility": t.facility}, {}),
        "web.make_closure": (
            {},
            {
                "data": {
                    "facility": t.facility,
                    "instrument": t.free,
                    **span_typed(*LATER),
                    "kind": "maintenance",
                    "reason": "",
                    "way": "planned",
                }
            },
        ),
        "web.quiet_times": ({"facility": t.facility, "hours": "2"}, {}),
        "web.close_quietly": (
            {},
            {
                "data": {
                    "facility": t.facility,
                    "start": rfc(LATER[0] + timedelta(days=40)),
                    "end": rfc(LATER[1] + timedelta(days=40)),
                    "displaces": "99",
                }
            },
        ),
        "web.facility_hours": ({"code": t.facility}, {}),
        "web.set_facility_hours": ({"code": t.facility}, {"data": {"opening": "always"}}),
        "web.make_facility": (
            {},
            {
                "data": {
                    "code": "NEW-1",
                    "name_zh": "新平台",
                    "zone": "Asia/Shanghai",
                    "organisation": i["operator"],
                    "network": world.network,
                }
            },
        ),
        "web.edit_facility": ({"code": t.facility}, {}),
        "web.change_facility": (
            {"code": t.facility},
            {"data": {"name_zh": "平台", "zone": "Asia/Shanghai", "organisation": i["operator"]}},
        ),
        "web.withdraw_facility": ({"code": t.facility}, {"data": {"again": "1"}}),
        "web.facility_history": ({"code": t.facility}, {}),
        "web.facility_prices": ({"code": t.facility}, {}),
        "web.raise_prices": ({"code": t.facility}, {"data": _RAISE}),
        "web.new_instrument": ({"code": t.facility}, {}),
        "web.make_instrument": ({"code": t.facility}, {"data": {"code": "NEW-2", **_SHEET}}),
        "web.edit_instrument": ({"code": t.free}, {}),
        "web.change_instrument": ({"code": t.free}, {"data": _SHEET}),
        "web.publish_instrument": ({"code": t.free}, {"data": {"publish": "yes"}}),
        "web.instrument_history": ({"code": t.free}, {}),
        "web.instrument_files": ({"code": t.free}, {}),
        "web.add_file": (
            {"code": t.free},
            {"data": {"sort": "photo", "file": (io.BytesIO(PHOTO), "a.png")}},
        ),
        "web.change_file": (kept_file, {"data": {"title_zh": "正面", "audience": "everyone"}}),
        "web.remove_file": (kept_file, {"data": {}}),
        "web.photo": (kept_file, {}),
        "web.file": (kept_file | ({"file_id": i["inside"]} if case.thing else {}), {}),
        "web.instrument_prices": ({"code": t.free}, {}),
        "web.set_price": ({"code": t.free}, {"data": _PRICE}),
        "web.strike_price": ({"code": i["kept"], "price_id": int(i["price"])}, {"data": {}}),
        "web.instrument_service": ({"code": t.free}, {}),
        "web.set_instrument_service": ({"code": t.free}, {"data": {"bookable": "yes", "opening": ""}}),
        "web.add_permit": (
            {"code": t.free},
            {"data": {"name": "X", "valid_from": "2026-01-01", "valid_until": "2090-01-01"}},
        ),
        "web.end_permit": (permit | {"code": i["permitted"]}, {"data": {"last_day": "2080-01-01"}}),
        "web.strike_permit": (permit | {"code": i["permitted"]}, {"data": {}}),
        "web.lift_closure": ({"closure_id": i["closure"]}, {"data": {}}),
        "web.decide_several": ({}, {"data": {**decided, "comment": ""}}),
        "web.approve_booking": ({"booking_id": i["asked"]}, {"data": {"comment": "", "version": "1"}}),
        "web.reject_booking": ({"booking_id": i["asked"]}, {"data": {"comment": "no", "version": "1"}}),
        "web.grant_membership": ({"person_id": i["asks"]}, {"data": {}}),
        "web.refuse_membership": ({"person_id": i["asks"]}, {"data": {}}),
        "web.person": ({"person_id": i["person"]}, {}),
        "web.give_role": (
            {"person_id": i["person"]},
            {"data": {"role": "manager", "place": t.facility}},
        ),
        "web.take_role": ({"person_id": i["person"], "membership_id": i["membership"]}, {"data": {}}),
        "web.disable_person": ({"person_id": i["person"]}, {"data": {}}),
        "web.enable_person": ({"person_id": i["person"]}, {"data": {}}),
        "web.end_persons_sessions": ({"person_id": i["person"]}, {"data": {}}),
    }
    return asked.get(case.endpoint, ({}, {}))


def ask(world: World, case: Case, role: str) -> TestResponse:
    """Ask as the role: programs by token, people by cookie."""
    name, place = WHO[role]
    values, sent = request_of(case, world.things[place], world)
    path = world.app.url_map.bind("localhost").build(case.endpoint, values, method=case.method)
    client: FlaskClient = world.app.test_client()
    if case.endpoint.startswith(("api-", "caldav.")):
        headers = dict(sent.pop("headers", {}))
        if name is not None:
            headers["Authorization"] = f"Bearer {world.tokens[name]}"
        return client.open(path, method=case.method, headers=headers, **sent)
    cookie, token = world.cookies[name or "visitor"]
    client.set_cookie(world.app.config["SESSION_COOKIE_NAME"], cookie)
    if "data" in sent:
        sent = sent | {"data": sent["data"] | {"csrf_token": token}}
    return client.open(path, method=case.method, **sent)


# --- what is answered ---------------------------------------------------------------------------

BOOKKEEPING = {
    ("api_token", "used_at"),
    ("api_token", "agent"),
    ("sign_in", "seen_at"),
    ("kiosk", "seen_at"),
    ("calendar_link", "fetched_at"),
    ("calendar_link", "agent"),
    ("calendar_link", "address"),
}
"""That somebody came at all; no answer depends on it."""


class Watch:
    """Tells whether anything but the bookkeeping of visits was written since it began to look."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self._at_first = self._content()
        self._seen = self._version()

    def changed(self) -> bool:
        seen, self._seen = self._seen, self._version()
        return seen != self._seen and self._content() != self._at_first

    def close(self) -> None:
        self._connection.close()

    def _version(self) -> int:
        """A number that moves when another connection commits."""
        return self._connection.execute("PRAGMA data_version").fetchone()[0]

    def _content(self) -> str:
        found = hashlib.sha256()
        tables = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        for (table,) in tables.fetchall():
            names = [row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")]
            kept = ", ".join(f'"{name}"' for name in names if (table, name) not in BOOKKEEPING)
            rows = self._connection.execute(f'SELECT {kept} FROM "{table}"')  # noqa: S608 - our own names
            found.update(f"{table}{sorted(map(repr, rows))}".encode())
        return found.hexdigest()


def _of_caldav(case: Case, t: Things) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What is sent to somebody's calendars: that of an instrument, and a booking in it."""
    i = t.ids
    person = {"person_id": i["person"]}
    calendar = person | {"name": f"instrument-{i['booked']}"}
    event = calendar | {"event": f"{'new' if case.thing else i['planned']}.ics"}
    uid = "new" if case.thing else f"{i['planned']}@{Settings().host_name}"
    starts = LATER[0] if case.thing else SOON
    sent = (
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:{starts:%Y%m%dT%H%M%SZ}\r\n"
        "DURATION:PT1H\r\nSUMMARY:x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    changes = "<sync-collection xmlns='DAV:'><sync-token/><prop><getetag/></prop></sync-collection>"
    name = (
        "<propertyupdate xmlns='DAV:'><set><prop><displayname>x</displayname></prop></set></propertyupdate>"
    )
    return {
        **{f"caldav.{name}": (person, {}) for name in ("principal", "find_principal", "home", "find_home")},
        **{f"caldav.{name}": (calendar, {}) for name in ("calendar", "find_calendar")},
        **{f"caldav.{name}": (event, {}) for name in ("event", "find_event", "drop_event")},
        "caldav.put_event": (event, {"data": sent}),
        "caldav.report": (calendar, {"data": changes}),
        "caldav.change_calendar": (calendar, {"data": name}),
    }


def _of_networks(case: Case, t: Things) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What is sent to the addresses of networks and announcements."""
    net, picture = {"network_id": "NET"}, b"\x89PNG\r\n\x1a\n"
    member = {**net, "facility_id": "HALL" if case.thing else "LAB"}
    told = {"text_en": "No power", "begins_at": rfc(NOW)}
    typed = {"text_en": "No power", "text_zh": "", "level": "info", "shown": "desk", "audience": "staff"}
    typed |= {"begins_date": NOW.date().isoformat(), "begins_time": "00:00", "ends_date": "", "ends_time": ""}
    one = {"announcement_id": t.ids["announcement"]}
    binary = {"data": picture, "content_type": "application/octet-stream"}
    if case.thing == "people":
        table = "email,role,place\nnew@example.org,operator,LAB\n"
    else:
        table = f"code,facility,name_zh,kind\nNEW-1,{t.facility},新,device\n"
    sent = {"name": "a.csv", "content": base64.b64encode(table.encode()).decode()}
    listed = {"kind": "csv", "facility": t.facility, "round": t.ids["round"]}
    return {
        **{f"web.{exports.endpoint(name)}": (listed, {}) for name in exports.LISTS},
        "api-networks.one": (net, {}),
        "api-networks.change": (net, {"json": {"contact": "1 Lake Road"}}),
        "api-networks.set_logo": (net, binary),
        "api-networks.drop_logo": (net, {}),
        "api-networks.take_in": (member, {}),
        "api-networks.let_leave": (member, {}),
        "api-announcements.make": ({}, {"json": told | {"facility_id": t.facility}}),
        "api-announcements.change": (one, {"json": told}),
        "api-announcements.end": (one, {}),
        "web.offline": ({"locale": "en"}, {}),
        "web.accent": ({"colour": "0b5a7d"}, {}),
        "web.network_logo": ({"code": "NET"}, {}),
        "web.network_settings": ({"code": "NET"}, {}),
        "api-network-requests.waiting": ({}, {}),
        "api-network-requests.ask": ({}, {"json": {"network_id": "NET", "facility_id": "HALL"}}),
        "api-network-requests.answer": ({"request_id": t.ids["asked_net"]}, {"json": {"answer": "accept"}}),
        "api-network-requests.withdraw": ({"request_id": t.ids["asked_net"]}, {"json": {}}),
        "web.network_requests": ({}, {}),
        "web.ask_network": ({}, {"data": {"network": "NET", "facility": "HALL"}}),
        "web.answer_network": ({"request_id": t.ids["asked_net"]}, {"data": {"verdict": "accept"}}),
        "web.unask_network": ({"request_id": t.ids["asked_net"]}, {"data": {}}),
        "web.set_network": ({"code": "NET"}, {"data": {"name_zh": "网", "contact": "1 Lake Road"}}),
        "web.set_network_logo": (
            {"code": "NET"},
            {"data": {"file": (io.BytesIO(picture), "a.png")}, "content_type": "multipart/form-data"},
        ),
        "web.drop_network_logo": ({"code": "NET"}, {"data": {}}),
        "web.add_to_network": ({"code": "NET"}, {"data": {"facility": "HALL"}}),
        "web.remove_from_network": ({"code": "NET", "facility": "LAB"}, {"data": {}}),
        "web.make_announcement": ({}, {"data": typed | {"place": f"facility:{t.facility}"}}),
        "web.change_announcement": (one, {}),
        "web.submit_announcement": (one, {"data": typed}),
        "web.end_announcement": (one, {"data": {}}),
        "web.import_page": ({"sort": "instruments"}, {}),
        "web.import_template": ({"sort": "people", "kind": "csv"}, {}),
        "web.import_file": ({"sort": case.thing or "instruments"}, {"data": sent}),
        "web.staff": ({"code": t.facility}, {}),
        "web.give_staff_role": (
            {"code": t.facility},
            {"data": {"email": "new@example.org", "role": case.thing or "operator"}},
        ),
        "web.take_staff_role": ({"code": t.facility, "membership_id": t.ids["staffed"]}, {"data": {}}),
        "web.joining": ({"link_id": str(uuid4()), "secret": "guessed"}, {}),
        "web.join": (
            {"link_id": str(uuid4()), "secret": "guessed"},
            {"data": {"name": "X", "password": "paper kite"}},
        ),
        "web.put_away": (one, {"data": {"version": "1", "next": "/"}}),
    }


def _of_plans(case: Case, t: Things) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """What is sent to the addresses of rounds, repairs and proposals."""
    i = t.ids
    days = {
        f"{name}_day": (SOON.date() + timedelta(days=n)).isoformat()
        for name, n in (("first", 3), ("last", 9))
    }
    terms = {"name": "Summer", **days, "opens_at": rfc(NOW), "closes_at": rfc(NOW + timedelta(days=1))}
    closes = (NOW + timedelta(days=2)).date().isoformat()
    typed = {
        "name": "Summer",
        **days,
        "opens_date": NOW.date().isoformat(),
        "opens_time": "00:00",
        "closes_date": closes,
        "closes_time": "12:00",
        "reserve": "3",
    }
    row, one, run = {"round_id": i["round"]}, {"wish_id": i["wish"]}, {"run_id": i["run"]}
    replan, sent = {"replan_id": i["repaired"]}, {"replan_id": i["asked_about"]}
    proposal = {"proposal_id": i["proposal"]}
    asked = {"question_id": i["question"]}
    asked_by_link = {
        "link_id": i["question_link"],
        "secret": "guessed" if case.thing else i["question_secret"],
    }
    linked = {
        "link_id": i["proposal_link"],
        "secret": "guessed" if case.thing else i["proposal_secret"],
    }
    why = {"reason": "The sample is fresh"}
    agreed = {"may_move": True, "if_silent": "move"}
    return {
        "api-bookings.agree": ({"booking_id": i["planned"]}, {"json": agreed}),
        "api-rounds.listing": ({}, {}),
        "api-rounds.make": ({}, {"json": terms | {"facility": t.facility}}),
        "api-rounds.one": (row, {}),
        "api-rounds.amend": (row, {"json": terms}),
        "api-rounds.act": (row, {"json": {"action": "close"}}),
        "api-rounds.wishes": (row, {}),
        "api-rounds.wish_for": (row, {"json": {"instruments": [i["wished"]], "duration": "PT1H"}}),
        "api-rounds.wish": (one, {}),
        "api-rounds.withdraw": (one, {}),
        "api-rounds.rank": (one, {"json": why | {"priority": 4}}),
        "api-rounds.pin": (one, {"json": why}),
        "api-rounds.unpin": (one, {}),
        "api-rounds.run": (row, {"json": {"seconds": 1}}),
        "api-rounds.runs": (row, {}),
        "api-rounds.stop": (run, {"json": {}}),
        "api-rounds.publish": (row, {"json": {"run_id": i["run"]}}),
        "api-rounds.confirm": (row, {"json": {}}),
        **_calendar_requests(t, i),
        "api-replans.begin": ({"closure_id": i["outage"]}, {"json": {}}),
        "api-replans.again": (replan, {"json": {}}),
        "api-replans.listing": ({"facility": t.facility}, {}),
        "api-replans.one": (replan, {}),
        "api-replans.send": (replan, {"json": {"repair": 0}}),
        "api-replans.withdraw": (sent, {}),
        "api-replans.mine": ({}, {}),
        "api-replans.proposal": (proposal, {}),
        "api-replans.answer": (proposal, {"json": {"answer": "accept"}}),
        "web.agree": ({"booking_id": i["planned"]}, {"data": {"if_silent": "move", "may_move": "1"}}),
        "web.rounds": ({}, {}),
        "web.round": (row, {}),
        "web.new_round": ({"facility": t.facility}, {}),
        "web.make_round": ({}, {"data": typed | {"facility": t.facility}}),
        "web.change_round": (row, {}),
        "web.amend_round": (row, {"data": typed}),
        "web.new_wish": (row, {}),
        "web.make_wish": (
            row,
            {
                "data": {
                    "first": days["first_day"],
                    "last": days["last_day"],
                    "instrument": i["wished"],
                    "length": "1",
                    "unit": "hours",
                }
            },
        ),
        "web.act_on_round": (row, {"data": {"action": "close"}}),
        "web.run_round": (row, {"data": {"seconds": "1"}}),
        "web.stop_run": (run, {"data": {}}),
        "web.publish_round": (row, {"data": {"run": i["run"]}}),
        "web.confirm_round": (row, {"data": {}}),
        "web.withdraw_wish": (one, {"data": {}}),
        "web.settle_wish": (one, {"data": why | {"deed": "rank", "priority": "4"}}),
        "web.begin_replan": ({"closure_id": i["outage"]}, {"data": {}}),
        "web.search_replan": (replan, {"data": {}}),
        "web.replan": (replan, {}),
        "web.send_replan": (replan, {"data": {"repair": "0"}}),
        "web.withdraw_replan": (sent, {"data": {}}),
        "web.stop_replan": (replan, {"data": {}}),
        "api-calendar-questions.mine": ({}, {}),
        "api-calendar-questions.question": (asked, {}),
        "api-calendar-questions.answer": (asked, {"json": {"answer": "keep"}}),
        "web.calendar_question": (asked, {}),
        "web.answer_calendar_question": (asked, {"data": {"answer": "no"}}),
        "web.calendar_question_by_link": (asked_by_link, {}),
        "web.answer_calendar_question_by_link": (asked_by_link, {"data": {"answer": "no"}}),
        "web.renew_mail_secret": ({}, {"data": {}}),
        "web.proposal": (proposal, {}),
        "web.answer_proposal": (proposal, {"data": {"answer": "accept"}}),
        "web.proposal_by_link": (linked, {}),
        "web.answer_proposal_by_link": (linked, {"data": {"answer": "accept"}}),
    }


def told(answer: TestResponse) -> str:
    """The answer as the matrix writes it."""
    if answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in"):
        return "in"
    return str(answer.status_code)


def failures(world: World, cases: list[Case]) -> Iterator[str]:
    watch = Watch(world.path)
    for case in cases:
        for role in ROLES:
            expected = MATRIX[case][role]
            answer = ask(world, case, role)
            where = f"{case.method} {case.endpoint} {case.thing} as {role}"
            found = told(answer)
            if found != expected.replace("non", "303"):
                yield f"{where}: {found}, not {expected}"
            changed = watch.changed()
            harmless = case.method == "GET" or expected in {"in", "non"} or expected >= "4"
            if changed and harmless:
                yield f"{where}: something was changed"
            for secret in world.secrets.get(role, ()):
                if secret.encode() in answer.data:
                    yield f"{where}: {secret} was told"
            answer.close()
            if changed:
                watch.close()
                world.restore()
                watch = Watch(world.path)
    watch.close()


def test_every_answer_is_that_of_the_matrix(world: World):
    known = {(endpoint, method) for endpoint, method, _ in guards(world.app)}
    cases = [case for case in MATRIX if (case.endpoint, case.method) in known]
    found = list(failures(world, cases))
    assert not found, "\n".join(found)


def test_every_address_stands_in_the_matrix(app: Flask):
    routes = {(endpoint, method) for endpoint, method, _ in guards(app)}
    mapped = {(case.endpoint, case.method) for case in MATRIX}
    assert sorted(routes - mapped) == []
    assert sorted(mapped - routes) == []


def test_the_secrets_are_there_for_the_entitled(world: World):
    """Or it would prove nothing that the others do not find them."""
    for case in (
        Case("api-bookings.one", "GET"),
        Case("web.booking", "GET"),
        Case("web.booking_file", "GET"),
    ):
        for role in ("owner", "leader", "manager", "operator", "administrator"):
            purpose = world.things[WHO[role][1]].purpose
            assert (purpose in ask(world, case, role).text) is (MATRIX[case][role] == "200"), (case, role)
