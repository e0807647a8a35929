"""What stands beside a booking: its steps of approval, the chemicals that are declared, its papers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from flask import Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain.access import Forbidden
from booking.domain.approvals import Need, StepState
from booking.domain.chemicals import Substance
from booking.domain.lifecycle import HOLDS, Action, State, WrongMove, possible
from booking.domain.papers import LONGEST_NUMBER, LONGEST_TITLE
from booking.domain.rules import Invalid, Reason, Refused
from booking.http import downloads
from booking.http.context import local_path
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import approval_steps, approvals, bookings, papers
from booking.services.bookings import Stale
from booking.web import blueprint, chemicals
from booking.web.forms import Intake
from booking.web.judgement import sentences
from models import ApprovalStep, Booking, PaperKind

Answer = str | Response | Redirect | tuple[str, int]


@dataclass(frozen=True)
class Speaker:
    """Somebody who is asked, and what they said; `instead` names who said it for them."""

    name: str
    approves: bool | None
    comment: str
    instead: str


@dataclass(frozen=True)
class Step:
    """A step of approval in words."""

    name: str
    state: str
    look: str
    open: bool
    need: str
    why: str
    due_at: datetime | None
    people: Sequence[Speaker]


@dataclass(frozen=True)
class Declared:
    """A chemical in words."""

    name: str
    cas: str
    amount: str
    hazards: Sequence[str]
    permit_number: str


@dataclass(frozen=True)
class Paper:
    """A paper in words."""

    id: UUID
    title: str
    kind: str
    number: str
    media_type: str
    added_at: datetime
    may_remove: bool


@dataclass(frozen=True)
class Beside:
    """All that stands beside a booking, and what the reader may do about it."""

    steps: Sequence[Step] = ()
    chemicals: Sequence[Declared] = ()
    papers: Sequence[Paper] = ()
    kinds: Sequence[tuple[str, str]] = ()
    may_declare: bool = False
    may_add: bool = False
    may_decide: bool = False


def beside(session: Session, booking: Booking, now: datetime) -> Beside:
    """Read what stands beside a booking that the reader may see."""
    who = actor()
    changes = bookings.may_on(who, "booking.change", booking)
    steps = approval_steps.current(session, booking_ids=[booking.id]).get(booking.id, [])
    asked = approvals.asked(session, actor=who, found=[booking], now=now)[booking.id]
    return Beside(
        steps=steps_in_words(steps),
        chemicals=declared_in_words(approval_steps.declared(session, booking_id=booking.id)),
        papers=[
            Paper(
                id=row.id,
                title=row.title,
                kind=wording.paper_name(row.kind.value),
                number=row.number,
                media_type=row.media_type,
                added_at=row.added_at,
                may_remove=row.added_by == who.person_id or bookings.may_on(who, "booking.approve", booking),
            )
            for row in papers.of_booking(session, booking_id=booking.id)
        ],
        kinds=[(kind.value, wording.paper_name(kind.value)) for kind in PaperKind],
        may_declare=changes and Action.CHANGE in possible(booking.state) and booking.ends_at > now,
        may_add=changes and booking.state in HOLDS,
        may_decide=booking.state is State.REQUESTED and (bool(asked.voices) or not steps),
    )


def steps_in_words(steps: Sequence[ApprovalStep]) -> list[Step]:
    """Word the steps of a booking for everybody who may see it."""
    return [
        Step(
            name=wording.approval_name(step.name),
            state=wording.step_state_name(step.state),
            look=_LOOKS.get(step.state, ""),
            open=step.state is StepState.OPEN,
            need=_need(step),
            why=wording.conditions_sentence(step.conditions),
            due_at=step.due_at,
            people=_people(step),
        )
        for step in steps
    ]


_LOOKS = {StepState.OPEN: "warn", StepState.APPROVED: "good", StepState.REJECTED: "bad"}


def _need(step: ApprovalStep) -> str:
    if step.state is StepState.WAITING:
        return _("when the steps before it are approved")
    return _("all of them must say yes") if step.need is Need.ALL else _("one of them must say yes")


def _people(step: ApprovalStep) -> list[Speaker]:
    names = {row.person_id: row.person.name for row in step.approvers}
    spoken = [row for row in step.approvers if row.approves is not None]
    shown = step.approvers if step.state is StepState.OPEN else spoken
    return [
        Speaker(
            name=row.person.name,
            approves=row.approves,
            comment=row.comment,
            instead=""
            if row.spoken_by in {None, row.person_id}
            else names.get(row.spoken_by, _("a colleague")),
        )
        for row in shown
    ]


def declared_in_words(found: Sequence[Substance]) -> list[Declared]:
    """Word the chemicals of a booking."""
    return [
        Declared(
            name=one.name,
            cas=one.cas,
            amount=wording.amount_of(one),
            hazards=[wording.hazard_name(hazard) for hazard in sorted(one.hazards)],
            permit_number=one.permit_number,
        )
        for one in found
    ]


# --- chemicals ------------------------------------------------------------------------------------


@blueprint.get("/bookings/<uuid:booking_id>/chemicals", endpoint="chemicals")
@needs("booking.change")
def show_chemicals(booking_id: UUID) -> Answer:
    """Show the form in which the chemicals of a booking are declared."""
    with reading() as session:
        booking = _changeable(session, booking_id)
        found = approval_steps.declared(session, booking_id=booking_id)
    return _chemicals_page(booking, chemicals.typed(found))


@blueprint.post("/bookings/<uuid:booking_id>/chemicals")
@needs("booking.change")
def declare_chemicals(booking_id: UUID) -> Answer:
    """Declare what is brought to a booking."""
    form = fields("version", *chemicals.field_names(), many=chemicals.box_names())
    found, errors = chemicals.read(form)
    with reading() as session:
        booking = _changeable(session, booking_id)
    if errors:
        return _chemicals_page(booking, chemicals.retyped(), errors=errors, status=422)
    intake = Intake(form)
    version = intake.whole("version", least=1, most=10**9, default=booking.version)
    try:
        with transaction() as session:
            changed = bookings.change(
                session,
                actor=actor(),
                booking_id=booking_id,
                version=version,
                chemicals=found,
                now=utc_now(),
            )
            asks = changed.state is State.REQUESTED and booking.state is not State.REQUESTED
    except Refused as refusal:
        return _chemicals_page(booking, chemicals.retyped(), reasons=refusal.reasons, status=409)
    except WrongMove as error:
        figures = {"state": error.state.value, "action": error.action.value}
        return _chemicals_page(
            booking, chemicals.retyped(), reasons=[Reason("wrong_state", figures)], status=409
        )
    except Stale:
        with reading() as session:
            booking = _changeable(session, booking_id)
        return _chemicals_page(booking, chemicals.retyped(), stale=True, status=412)
    if asks:
        flash(_("Declared. The facility has to approve it; the time is held until then."), "success")
    else:
        flash(_("Declared."), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


def _changeable(session: Session, booking_id: UUID) -> Booking:
    booking = bookings.get(session, actor=actor(), booking_id=booking_id)
    if not bookings.may_on(actor(), "booking.change", booking):
        raise Forbidden("booking.change")
    return booking


def _chemicals_page(
    booking: Booking,
    rows: Sequence[Mapping[str, object]],
    *,
    errors: Mapping[str, str] | None = None,
    reasons: Sequence[Reason] = (),
    stale: bool = False,
    status: int = 200,
) -> Answer:
    zone = booking.items[0].instrument.facility.zone
    page = render_template(
        "papers/declare.html",
        booking=booking,
        version=booking.version,
        zone=zone,
        reasons=sentences(reasons, zone),
        stale=stale,
        **chemicals.shown(rows, errors or {}),
    )
    return page, status


# --- papers ---------------------------------------------------------------------------------------


@blueprint.post("/bookings/<uuid:booking_id>/papers")
@needs("paper.add")
def add_paper(booking_id: UUID) -> Answer:
    """Put a paper to a booking."""
    from booking.web.bookings import booking_page  # noqa: PLC0415 - that page shows what is made here

    form = fields("kind", "title", "number", "back")
    try:
        found = sent(form)
        with transaction() as session:
            papers.add(session, actor=actor(), booking_id=booking_id, **asdict(found), now=utc_now())
    except Invalid as error:
        return booking_page(booking_id, status=422, errors=error.errors, typed=form)
    except Refused as refusal:
        return booking_page(booking_id, status=409, problem=refusal.reasons)
    flash(_("The paper is with the booking now."), "success")
    return redirect(local_path(form["back"], url_for("web.booking", booking_id=booking_id)), 303)


def sent(form: Mapping[str, str]) -> papers.Paper:
    """Read a paper that was sent with a form; one without a title is called as its file is.

    :raises Invalid: if a field makes no sense
    """
    intake = Intake(form)
    kind = intake.choice("kind", PaperKind)
    title = intake.text("title", longest=LONGEST_TITLE)
    number = intake.text("number", longest=LONGEST_NUMBER)
    if intake.errors or kind is None:
        raise Invalid(intake.errors)
    file = request.files.get("file")
    if file is None:
        return papers.Paper(kind, title, number)
    return papers.Paper(kind, title or (file.filename or "")[:LONGEST_TITLE], number, file.read())


@blueprint.get("/bookings/<uuid:booking_id>/papers/<uuid:paper_id>")
@needs("booking.see")
def paper(booking_id: UUID, paper_id: UUID) -> Response:
    """Give a paper to be saved."""
    with reading() as session:
        found, content = papers.read(
            session, actor=actor(), booking_id=booking_id, paper_id=paper_id, now=utc_now()
        )
    return downloads.paper(found.title, found.media_type, content)


@blueprint.post("/bookings/<uuid:booking_id>/papers/<uuid:paper_id>/removal")
@needs("paper.add")
def remove_paper(booking_id: UUID, paper_id: UUID) -> Answer:
    """Take a paper away."""
    form = fields("back")
    with transaction() as session:
        papers.remove(session, actor=actor(), booking_id=booking_id, paper_id=paper_id, now=utc_now())
    flash(_("The paper is removed."), "success")
    return redirect(local_path(form["back"], url_for("web.booking", booking_id=booking_id)), 303)
