"""Letters say what happened, to whom it concerns, in their language and on the facility's clock."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from booking import i18n
from booking.config import Settings
from booking.domain import one_time
from booking.domain.access import SYSTEM, Actor, Role
from booking.domain.calendar_sources import Means
from booking.domain.chemicals import Hazard, Substance
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.spans import Span
from booking.jobs import letters
from booking.services import (
    accounts,
    approvals,
    bookings,
    closures,
    events,
    expiry,
    notice_wishes,
    notifications,
    qualifications,
)
from models import (
    ApprovalStep,
    Booking,
    CalendarQuestion,
    CalendarSource,
    ClosureKind,
    Delivery,
    EntryState,
    Event,
    HookKind,
    Instrument,
    MembershipRequest,
    OfferState,
    Person,
    Proposal,
    ProposalKind,
    ProposalState,
    QuestionKind,
    Replan,
    ReplanState,
    Transfer,
    TransferState,
    WaitlistEntry,
    WaitlistOffer,
)
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.services.test_policies import make_rule

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
START = datetime(2026, 11, 5, 1, tzinfo=UTC)
KEY = "a key for tests and for tests alone"
SNAPSHOTS = Path(__file__).parent / "letters"
SETTINGS = replace(
    Settings(), public_url="https://yiqi.example.org/", secret_key=KEY, default_locale="en", host_name="h"
)


@pytest.fixture
def furnace(session) -> Instrument:
    place = make_facility(session, name_zh="中试平台", name_en="Pilot platform", code="PILOT")
    return make_instrument(
        session,
        facility=place,
        approval_required=True,
        name_zh="真空炉",
        name_en="Vacuum furnace",
        code="PILOT-01",
        location="B 201",
    )


@pytest.fixture
def pool(session, furnace) -> Instrument:
    return make_instrument(
        session,
        facility=furnace.facility,
        units=512,
        name_zh="电池测试柜",
        name_en="Battery tester",
        code="PILOT-02",
    )


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def tam(session, furnace) -> Actor:
    return cast.actor_of(session, cast.tam(session, furnace.facility))


def place(session, actor, *items, **said) -> object:
    return bookings.place(session, actor=actor, items=list(items), **said, now=NOW)


def item(instrument, start=START, hours=2, quantity=1) -> Item:
    return Item(instrument.id, Span(start, start + timedelta(hours=hours)), quantity)


def letter_to(session, person_id, kind, settings=SETTINGS, now=NOW) -> letters.Letter:
    session.flush()
    notifications.dispatch(session, remind=settings.remind, now=now)
    session.flush()
    query = select(Delivery.id).join(Event, Event.id == Delivery.event_id)
    delivery_id = session.scalars(
        query.where(Delivery.person_id == person_id, Event.kind == kind).order_by(Event.id.desc())
    ).first()
    return letters.write(notifications.notice(session, delivery_id=delivery_id, now=now), settings)


# --- every form of message ------------------------------------------------------------------------


def placed(session, ada, tam, furnace, pool):
    place(session, ada, item(pool, quantity=16), purpose="Cycling of cells <b>A</b> & B")
    return ada.person_id, "booking.placed"


def requested(session, ada, tam, furnace, pool):
    place(session, ada, item(furnace), item(pool, start=START + timedelta(days=1), quantity=3))
    return ada.person_id, "booking.requested"


def waiting(session, ada, tam, furnace, pool):
    place(session, ada, item(furnace), purpose="Sintering")
    return tam.person_id, "approval.opened"


def changed(session, ada, tam, furnace, pool):
    booking = place(session, ada, item(pool))
    bookings.change(
        session,
        actor=tam,
        booking_id=booking.id,
        version=None,
        items=[item(pool, start=START + timedelta(hours=3))],
        now=NOW,
    )
    return ada.person_id, "booking.changed"


def cancelled(session, ada, tam, furnace, pool):
    booking = place(session, ada, item(pool))
    bookings.cancel(session, actor=tam, booking_id=booking.id, reason="The pump is broken", now=NOW)
    return ada.person_id, "booking.cancelled"


def withdrawn(session, ada, tam, furnace, pool):
    booking = place(session, ada, item(furnace))
    bookings.cancel(session, actor=ada, booking_id=booking.id, now=NOW)
    return ada.person_id, "booking.withdrawn"


def approved(session, ada, tam, furnace, pool):
    booking = place(session, ada, item(furnace))
    approvals.approve(session, actor=tam, booking_id=booking.id, comment="Bring your own tubes", now=NOW)
    return ada.person_id, "booking.approved"


def rejected(session, ada, tam, furnace, pool):
    booking = place(session, ada, item(furnace))
    approvals.reject(session, actor=tam, booking_id=booking.id, comment="Too hot", now=NOW)
    return ada.person_id, "booking.rejected"


def expired(session, ada, tam, furnace, pool):
    booking = place(session, ada, item(furnace))
    expiry.expire(session, actor=SYSTEM, booking_id=booking.id, now=START)
    return ada.person_id, "booking.expired"


def displaced(session, ada, tam, furnace, pool):
    place(session, ada, item(pool))
    closures.make(
        session,
        actor=tam,
        facility_id=pool.facility_id,
        instrument_id=pool.id,
        span=Span(START, START + timedelta(hours=1)),
        kind=ClosureKind.BREAKDOWN,
        reason="Water in the cellar",
        imposed=True,
        now=NOW,
    )
    return ada.person_id, "booking.displaced"


def reminded(session, ada, tam, furnace, pool):
    place(session, ada, item(pool))
    session.flush()
    notifications.dispatch(session, remind=(60,), now=NOW)
    notifications.remind(session, now=START - timedelta(hours=1))
    return ada.person_id, "booking.reminded"


def signed_up(session, ada, tam, furnace, pool):
    accounts.send_confirmation(session, person_id=ada.person_id, key=KEY, now=NOW)
    return ada.person_id, "person.signed_up"


def password_reset_asked(session, ada, tam, furnace, pool):
    accounts.ask_reset(session, email=ada.email, key=KEY, now=NOW)
    return ada.person_id, "person.password_reset_asked"


def invited(session, ada, tam, furnace, pool):
    dora = accounts.create(session, email="dora@example.org", name="dora", confirmed=False, now=NOW)
    place = furnace.facility
    accounts.invite(session, actor=tam, person=dora, role=Role.OPERATOR, place=place, key=KEY, now=NOW)
    return dora.id, "person.invited"


def membership_requested(session, ada, tam, furnace, pool):
    cleo = cast.cleo(session)
    session.add(
        MembershipRequest(person_id=cleo.id, organisation_id=cast.university(session).id, asked_at=NOW)
    )
    himself = cast.actor_of(session, cleo)
    events.record(session, actor=himself, kind="person.confirmed", now=NOW, subject=f"person:{cleo.id}")
    return ada.person_id, "person.confirmed"


def membership(decision):
    """A story of Cleo's wish to belong to Ada's university."""

    def story(session, ada, tam, furnace, pool):
        cleo, place = cast.cleo(session), cast.university(session)
        cleo.email_confirmed_at = NOW
        session.add(MembershipRequest(person_id=cleo.id, organisation_id=place.id, asked_at=NOW))
        session.flush()
        decide = accounts.grant_membership if decision == "granted" else accounts.refuse_membership
        decide(session, actor=ada, person_id=cleo.id, now=NOW)
        return cleo.id, f"person.membership_{decision}"

    return story


def switched_off(session, ada, tam, furnace, pool):
    hook = notice_wishes.add_hook(
        session,
        actor=ada,
        kind=HookKind.DINGTALK,
        name="Our group",
        url="https://hooks.example.org/robot?token=9f2c",
        secret="",
        now=NOW,
    )
    notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW)
    notice_wishes.hook_failed(session, hook_id=hook.id, now=NOW + timedelta(days=3))
    return ada.person_id, "webhook.switched_off"


def said(kind, to="ada", **data):
    """A story in which another part of the house says what happened."""

    def story(session, ada, tam, furnace, pool):
        person_id = {"ada": ada, "tam": tam}[to].person_id
        told = {
            "person_id": str(ada.person_id),
            "instrument": furnace.code,
            "start": START.isoformat(),
            "end": (START + timedelta(hours=2)).isoformat(),
            "deadline": (NOW + timedelta(hours=1)).isoformat(),
        }
        actor = SYSTEM if to == "ada" else ada
        told |= {name: value(session) if callable(value) else value for name, value in data.items()}
        events.record(session, actor=actor, kind=kind, now=NOW, facility_id=furnace.facility_id, **told)
        return person_id, kind

    return story


def about_booking(kind, to="ada", **data):
    """A story of a booking in which another part of the house says what happened."""

    def story(session, ada, tam, furnace, pool):
        booking = place(session, ada, item(pool))
        events.record(
            session,
            actor=tam,
            kind=kind,
            now=NOW,
            booking=booking,
            facility_id=pool.facility_id,
            person_id=str(ada.person_id),
            **data,
        )
        return ada.person_id, kind

    return story


def of_step(kind):
    """A story of a step of approval that is still open."""

    def story(session, ada, tam, furnace, pool):
        booking = place(session, ada, item(furnace), purpose="Sintering")
        session.flush()
        step = session.scalars(select(ApprovalStep).where(ApprovalStep.booking_id == booking.id)).one()
        told = {"step_id": str(step.id), "due": (NOW + timedelta(days=2)).isoformat()}
        events.record(session, actor=SYSTEM, kind=kind, now=NOW, booking=booking, **told)
        return tam.person_id, kind

    return story


def _tam(session) -> str:
    return str(cast.tam(session).id)


def changed_hands(session, ada, tam, furnace, pool):
    about_booking("booking.handed_over", from_name="Ben", to_name="Ada")(session, ada, tam, furnace, pool)
    return tam.person_id, "booking.handed_over"


def missed(session, ada, tam, furnace, pool):
    ben_id, _kind = transfer_asked(session, ada, tam, furnace, pool)
    found = session.scalars(select(Transfer)).one()
    told = {"person_id": str(ada.person_id), "transfer_id": str(found.id)}
    booking = session.get_one(Booking, found.booking_id)
    events.record(session, actor=SYSTEM, kind="transfer.lapsed", now=NOW, booking=booking, **told)
    return ben_id, "transfer.lapsed"


def _offer(session) -> str:
    place = session.scalars(select(Instrument).where(Instrument.code == "PILOT-01")).one()
    end, ada = START + timedelta(hours=2), cast.ada(session)
    entry = WaitlistEntry(
        id=UUID(int=7),
        person_id=ada.id,
        window_starts_at=START,
        window_ends_at=end,
        reach_starts_at=START,
        reach_ends_at=end,
        minutes=120,
        state=EntryState.OFFERED,
        joined_at=NOW,
    )
    offer = WaitlistOffer(
        id=UUID(int=8),
        entry_id=entry.id,
        instrument_id=place.id,
        starts_at=START,
        ends_at=end,
        state=OfferState.OPEN,
        offered_at=NOW,
        deadline=NOW + timedelta(hours=1),
    )
    session.add(entry)
    session.flush()
    session.add(offer)
    session.flush()
    return str(offer.id)


def transfer_asked(session, ada, tam, furnace, pool):
    ben = cast.ben(session)
    booking = place(session, ada, item(pool))
    session.flush()
    found = Transfer(
        booking_id=booking.id, from_id=ada.person_id, to_id=ben.id, state=TransferState.OPEN, asked_at=NOW
    )
    session.add(found)
    session.flush()
    told = {"person_id": str(ben.id), "transfer_id": str(found.id), "note": "I am away that day"}
    events.record(session, actor=ada, kind="transfer.asked", now=NOW, booking=booking, **told)
    return ben.id, "transfer.asked"


def taken_away(kind, to):
    """A story of a licence that Ada has no more, though she has booked what needs it."""

    def story(session, ada, tam, furnace, pool):
        same = {"session": session, "actor": tam, "code": "FURNACE", "now": NOW}
        names = {"name_zh": "高温炉上岗资质", "name_en": "Furnace licence"}
        qualifications.define(**same, facility_id=furnace.facility_id, **names)
        qualifications.need(**same, instrument_id=pool.id)
        held = qualifications.award(**same, person_id=ada.person_id)
        place(session, ada, item(pool))
        reason = "The door stood open"
        qualifications.revoke(session, actor=tam, certificate_id=held.id, reason=reason, now=NOW)
        return {"ada": ada, "tam": tam}[to].person_id, kind

    return story


def proposed(session, ada, tam, furnace, pool):
    """A story of a tester that breaks down while Ada has it, and of another time for her."""
    booking = place(session, ada, item(pool))
    told = {
        "person_id": str(ada.person_id),
        "proposal_id": _proposal(session, booking, pool, tam),
        "proposed": "later",
        "instrument": pool.code,
        "start": (START + timedelta(hours=6)).isoformat(),
        "end": (START + timedelta(hours=8)).isoformat(),
        "deadline": (NOW + timedelta(days=2)).isoformat(),
        "if_silent": "stay",
        "reason": "A fuse has <b>blown</b>",
    }
    events.record(
        session,
        actor=tam,
        kind="proposal.made",
        now=NOW,
        booking=booking,
        facility_id=pool.facility_id,
        **told,
    )
    return ada.person_id, "proposal.made"


def by_calendar(kind, event=""):
    """A story of Ada's calendar, which says something that she is asked about."""

    def happened(session, ada, tam, furnace, pool):
        booking = place(session, ada, item(pool))
        question_id = UUID(int=8)
        span = {"starts_at": START + timedelta(hours=6), "ends_at": START + timedelta(hours=8)}
        moves = kind is QuestionKind.COUNTERED
        session.add(
            CalendarQuestion(
                id=question_id,
                booking_id=booking.id,
                person_id=ada.person_id,
                position=-1,
                kind=kind,
                booking_sequence=0,
                created_at=NOW,
                **span if moves else {},
            )
        )
        told = {"start": span["starts_at"].isoformat(), "end": span["ends_at"].isoformat()} if moves else {}
        if event:
            told["deadline"] = (NOW + timedelta(hours=6)).isoformat()
        events.record(
            session,
            actor=ada,
            kind=event or f"invitation.{kind.value}",
            now=NOW,
            booking=booking,
            facility_id=pool.facility_id,
            person_id=str(ada.person_id),
            question_id=str(question_id),
            comment="The <b>reactor</b> is not ready.",
            **told,
        )
        return ada.person_id, event or f"invitation.{kind.value}"

    return happened


def _proposal(session, booking, pool, tam):
    closure, _ = closures.make(
        session,
        actor=tam,
        facility_id=pool.facility_id,
        instrument_id=pool.id,
        span=Span(START, START + timedelta(hours=4)),
        kind=ClosureKind.BREAKDOWN,
        reason="",
        imposed=True,
        now=NOW,
    )
    row = Replan(facility_id=pool.facility_id, closure_id=closure.id, state=ReplanState.SENT, created_at=NOW)
    session.add(row)
    session.flush()
    found = Proposal(
        id=UUID(int=9),
        replan_id=row.id,
        number=0,
        booking_id=booking.id,
        booking_sequence=0,
        kind=ProposalKind.NO_PLACE,
        cost=1,
        state=ProposalState.OPEN,
        deadline=NOW + timedelta(days=2),
    )
    session.add(found)
    session.flush()
    return str(found.id)


def of_round(kind, *, served=True):
    """A story of a wish in a round, with or without a place."""

    def story(session, ada, tam, furnace, pool):
        end = START + timedelta(hours=2)
        place = {"instrument": pool.code, "start": START.isoformat(), "end": end.isoformat()}
        reasons = [] if served else [{"code": "cap", "cap": 20.0, "over": 4.0}]
        told = {
            "person_id": str(ada.person_id),
            "round_name": "Winter <b>cycle</b>",
            "reasons": reasons,
            **(place if served else {"instrument": "", "start": None, "end": None}),
        }
        events.record(
            session,
            actor=tam,
            kind=kind,
            now=NOW,
            facility_id=pool.facility_id,
            subject=str(UUID(int=7)),
            **told,
        )
        return ada.person_id, kind

    return story


def of_calendar(kind, **data):
    """A story of a calendar elsewhere that meets bookings and cannot be read any more."""

    def story(session, ada, tam, furnace, pool):
        row = CalendarSource(
            facility_id=pool.facility_id,
            name="Operator's <b>roster</b>",
            url="https://calendars.example.org/roster.ics",
            means=Means.ROSTER,
            created_at=NOW,
            next_at=NOW,
            failures=3,
            failing_since=NOW,
            told=["1", "2", "3"],
        )
        session.add(row)
        session.flush()
        told = {"facility_id": row.facility_id, "subject": str(row.id), "name": row.name, **data}
        events.record(session, actor=SYSTEM, kind=kind, now=NOW, **told)
        return tam.person_id, kind

    return story


DATES = {
    "series": str(UUID(int=5)),
    "dates": 3,
    "first": START.isoformat(),
    "last": (START + timedelta(days=14)).isoformat(),
}
LEARNT = {"name_zh": "高温炉上岗资质", "name_en": "Furnace licence", "until": "2027-11-05"}
FAULT = {"comment": "It smells of <b>burning</b>", "stops_work": True}
PERMIT = {"permit": "压力容器定期检验", "number": "粤-2026-7", "until": "2027-11-05"}
JOINS = {
    "name_zh": "大湾区中试联盟",
    "name_en": "Bay Area pilots",
    "facility_zh": "中试平台",
    "facility_en": "Pilot platform",
}
LOST = {"deed": "no_show", "points": -10, "granted": True, "comment": "The train was late"}

STORIES = {
    "booking.placed": placed,
    "booking.requested": requested,
    "booking.waiting": waiting,
    "booking.changed": changed,
    "booking.cancelled": cancelled,
    "booking.withdrawn": withdrawn,
    "booking.approved": approved,
    "booking.rejected": rejected,
    "booking.expired": expired,
    "booking.displaced": displaced,
    "booking.reminded": reminded,
    "person.signed_up": signed_up,
    "person.password_reset_asked": password_reset_asked,
    "person.invited": invited,
    "booking.no_show": about_booking("booking.no_show"),
    "booking.overtime": about_booking("booking.overtime"),
    "approval.reminded": of_step("approval.reminded"),
    "approval.escalated": of_step("approval.escalated"),
    "approval.expired": of_step("approval.expired"),
    **{kind: said(kind, **DATES) for kind in ("series.placed", "series.changed", "series.cancelled")},
    "series.decided": said(
        "series.decided", approved=2, rejected=1, comment="The third is an audit", **DATES
    ),
    "series.expired": said("series.expired", **DATES),
    "proposal.made": proposed,
    "invitation.declined": by_calendar(QuestionKind.DECLINED),
    "invitation.countered": by_calendar(QuestionKind.COUNTERED),
    "proposal.withdrawn": about_booking("proposal.withdrawn"),
    "booking.stands": about_booking("booking.stands"),
    "wish.drafted": of_round("wish.drafted"),
    "wish.served": of_round("wish.served"),
    "wish.unserved": of_round("wish.unserved", served=False),
    "wish.round_cancelled": of_round("wish.round_cancelled", served=False),
    "waitlist.offered": said("waitlist.offered", offer_id=_offer),
    "waitlist.silent": said("waitlist.silent"),
    "waitlist.lapsed": said(
        "waitlist.lapsed",
        reasons=[
            {"code": "taken_by", "kinds": {"enterprise": 2, "none": 1}, "closures": 1},
            {
                "code": "next_best",
                "instrument": "XRD-1",
                "start": (START + timedelta(days=9)).isoformat(),
                "zone": "Asia/Shanghai",
            },
        ],
    ),
    "transfer.asked": transfer_asked,
    "transfer.accepted": about_booking("transfer.accepted"),
    "transfer.declined": about_booking("transfer.declined"),
    "transfer.withdrawn": about_booking("transfer.withdrawn"),
    "transfer.lapsed": about_booking("transfer.lapsed"),
    "qualification.requested": said("qualification.requested", "tam", note="I begin in May", **LEARNT),
    "qualification.scheduled": said("qualification.scheduled", session_starts=START.isoformat(), **LEARNT),
    "qualification.session_cancelled": said("qualification.session_cancelled", **LEARNT),
    "qualification.granted": said("qualification.granted", **LEARNT),
    "qualification.refused": said("qualification.refused", reason="Not yet", **LEARNT),
    "qualification.revoked": taken_away("qualification.revoked", "ada"),
    "qualification.flagged": taken_away("qualification.flagged", "tam"),
    "qualification.expiring": said("qualification.expiring", days=7, **LEARNT),
    "bookings.taken_over": said("bookings.taken_over", bookings=3),
    "calendar_source.clashes": of_calendar("calendar_source.clashes", bookings=3),
    "calendar_source.failing": of_calendar("calendar_source.failing", failure="status", figure="404"),
    "permit.expiring": said("permit.expiring", "tam", days=30, **PERMIT),
    "permit.over": said("permit.over", "tam", days=-1, **PERMIT),
    "fault.reported": said("fault.reported", "tam", **FAULT),
    "fault.confirmed": said("fault.confirmed", **FAULT),
    "fault.mended": said("fault.mended", **FAULT),
    "fault.dismissed": said("fault.dismissed", **FAULT),
    "credit.changed": about_booking("credit.changed", **LOST),
    "ban.made": said("ban.made", until=(NOW + timedelta(days=30)).isoformat(), reason="Score below 60"),
    "ban.lifted": said("ban.lifted", reason=""),
    "appeal.opened": said("appeal.opened", "tam", **LOST),
    "appeal.decided": said("appeal.decided", **LOST),
    "membership.requested": membership_requested,
    "membership.granted": membership("granted"),
    "membership.refused": membership("refused"),
    "network.asked": said("network.invited", "tam", by_facility=False, note="Join us", **JOINS),
    "network.answered": said("network.answered", accepted=False, reason="Too far away", **JOINS),
    "booking.move_asked": by_calendar(QuestionKind.COUNTERED, "booking.move_asked"),
    "booking.move_answered": about_booking("booking.move_answered", accepted=False),
    "booking.move_unanswered": about_booking("booking.move_unanswered"),
    "booking.move_unasked": about_booking("booking.move_unasked"),
    "booking.came": about_booking("booking.came"),
    "webhook.switched_off": switched_off,
    "approval.unanswered": of_step("approval.unanswered"),
    "delegation.made": said("delegation.made", "tam", person_id=_tam),
    "delegation.ended": said("delegation.ended", "tam", person_id=_tam),
    "booking.handed_over": about_booking("booking.handed_over", from_name="Ben", to_name="Ada"),
    "booking.changed_hands": changed_hands,
    "transfer.missed": missed,
    "badge.changed": said("badge.changed", "tam", person_id=_tam),
    "person.password_changed": said("person.password_changed"),
    "person.enabled": said("person.enabled"),
    "role.given": said("person.role_given", role="manager", name_zh="中试平台", name_en="Pilot platform"),
    "role.taken": said("person.role_taken", role="administrator"),
}


@pytest.fixture
def fixed_ids(monkeypatch):
    """The same ids in every run, so that letters can be compared."""
    fixed = UUID("00000000-0000-7000-8000-000000000001")
    monkeypatch.setattr(bookings, "time_ordered_id", lambda _now: fixed)
    monkeypatch.setattr(accounts, "uuid4", lambda: fixed)


def test_every_form_of_message_has_its_story_here():
    # Those around meetings are told in their own tests.
    others = {notifications.DIGEST, notifications.INVITATION, notifications.ANSWER}
    assert set(STORIES) | others == notifications.TEMPLATES


@pytest.mark.usefixtures("fixed_ids")
@pytest.mark.parametrize("template", sorted(STORIES))
def test_letters_are_as_they_were(session, ada, tam, furnace, pool, template):
    """Compare with the stored letter; SNAPSHOTS=write in the environment stores what is written now."""
    person_id, kind = STORIES[template](session, ada, tam, furnace, pool)
    written = letter_to(session, person_id, kind)
    body = written.html.partition("<body>\n")[2].partition("</body>")[0]
    text = f"{written.to_name} <{written.to_address}>\n{written.subject}\n\n{written.text}\n{body}"
    path = SNAPSHOTS / f"{template}.txt"
    if os.environ.get("SNAPSHOTS") == "write":
        SNAPSHOTS.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("locale", i18n.LOCALES)
@pytest.mark.parametrize("template", sorted(STORIES))
def test_letters_can_be_written_in_every_language(session, ada, tam, furnace, pool, template, locale):
    person_id, kind = STORIES[template](session, ada, tam, furnace, pool)
    session.get(Person, person_id).locale = locale
    written = letter_to(session, person_id, kind)
    assert written.language == i18n.language_tag(locale)
    assert written.subject
    assert "\n" not in written.subject
    for text in (written.text, written.html):
        assert "%(" not in text
        assert "None" not in text


# --- what they say --------------------------------------------------------------------------------


def test_names_are_in_the_readers_language(session, ada, tam, furnace, pool):
    place(session, ada, item(furnace))
    assert "Vacuum furnace" in letter_to(session, ada.person_id, "booking.requested").text
    session.get(Person, ada.person_id).locale = "zh_Hans_CN"
    assert "真空炉" in letter_to(session, ada.person_id, "booking.requested").text


def test_without_a_choice_the_servers_language_is_spoken(session, ada, tam, furnace, pool):
    place(session, ada, item(furnace))
    settings = replace(SETTINGS, default_locale="zh_Hans_CN")
    assert letter_to(session, ada.person_id, "booking.requested", settings).language == "zh-Hans-CN"


def test_times_are_on_the_facilitys_clock_and_say_which_that_is(session, ada):
    place_far = make_facility(session, zone="America/New_York")
    there = make_instrument(session, facility=place_far)
    place(session, ada, item(there, start=datetime(2026, 11, 5, 15, tzinfo=UTC)))
    text = letter_to(session, ada.person_id, "booking.placed").text
    assert "10:00 – 12:00" in text
    assert "UTC-05:00" in text


def test_what_people_typed_is_text_and_no_markup(session, ada, tam, furnace, pool):
    place(session, ada, item(pool), purpose="<script>alert(1)</script> & more")
    written = letter_to(session, ada.person_id, "booking.placed")
    assert "<script>alert(1)</script> & more" in written.text
    assert "<script>" not in written.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in written.html


def test_a_manager_reads_nothing_of_what_is_booked_elsewhere(session, ada, tam, furnace):
    secret = make_instrument(session, approval_required=True, name_en="Elsewhere 9f2c", name_zh="别处 9f2c")
    place(session, ada, item(furnace), item(secret))
    written = letter_to(session, tam.person_id, "approval.opened")
    assert "Vacuum furnace" in written.text
    assert "9f2c" not in written.subject + written.text + written.html


def test_an_approver_reads_why_it_waits_and_what_is_brought(session, ada, tam, furnace):
    when = [{"condition": "over_minutes", "value": 60}, {"condition": "hazardous"}]
    data = {"approvers": {"role": "manager"}, "when": when}
    make_rule(session, "Safety", 1, kind=RuleKind.APPROVAL, data=data, instrument_id=furnace.id)
    toxic = Substance(
        "Arsenic trioxide", quantity=Decimal(5), unit="g", hazards=frozenset({Hazard.HIGHLY_TOXIC})
    )
    place(session, ada, item(furnace), chemicals=[Substance("Water"), toxic])
    written = letter_to(session, tam.person_id, "approval.opened")
    for part in (written.text, written.html):
        assert "Why it needs approval: longer than 1 h, dangerous chemicals are declared." in part
        assert "Arsenic trioxide 5 g (Highly toxic chemical)" in part


def test_the_link_is_the_one_that_the_page_knows(session, ada, tam, furnace, pool):
    signed_up(session, ada, tam, furnace, pool)
    written = letter_to(session, ada.person_id, "person.signed_up")
    link_id = session.scalars(select(Event).where(Event.kind == "person.signed_up")).one().data["link_id"]
    address = f"https://yiqi.example.org/confirmations/{link_id}/{one_time.secret(KEY, UUID(link_id))}"
    assert address in written.text
    assert f'href="{address}"' in written.html


def test_a_link_made_before_the_key_was_changed_still_works(session, ada, tam, furnace, pool):
    signed_up(session, ada, tam, furnace, pool)
    settings = replace(
        SETTINGS, secret_key="another key, thirty-two characters", secret_key_fallbacks=f"x,{KEY}"
    )
    link_id = session.scalars(select(Event).where(Event.kind == "person.signed_up")).one().data["link_id"]
    written = letter_to(session, ada.person_id, "person.signed_up", settings)
    assert one_time.secret(KEY, UUID(link_id)) in written.text


def test_a_link_of_an_unknown_key_is_not_sent(session, ada, tam, furnace, pool):
    signed_up(session, ada, tam, furnace, pool)
    with pytest.raises(letters.WrongKey):
        letter_to(session, ada.person_id, "person.signed_up", replace(SETTINGS, secret_key="another key"))
