"""Proposals: another place for a booking that an outage displaces; answered here or by the link of the mail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import plan_words
from booking.db import Session, reading, transaction
from booking.domain.access import Actor, NotFound
from booking.domain.occupation import Item
from booking.domain.replanning import Answer as Said
from booking.domain.replanning import Cause, ProposalKind, ProposalState
from booking.domain.rules import Invalid, Refused
from booking.http.forms import fields
from booking.http.guard import needs, open_to_all
from booking.http.identity import actor, utc_now
from booking.http.locale import speak_as_the_letter
from booking.services import instruments, proposals
from booking.web import blueprint
from booking.web.availability import HOME_ZONE
from booking.web.forms import Intake
from booking.web.judgement import sentences
from models import Instrument, Proposal

Answer = str | Redirect | tuple[str, int]


@blueprint.get("/proposals/<uuid:proposal_id>", endpoint="proposal")
@needs("proposal.answer")
def show_proposal(proposal_id: UUID) -> Answer:
    """Show what is proposed, or what became of it."""
    return _own_page(proposal_id)


@blueprint.post("/proposals/<uuid:proposal_id>")
@needs("proposal.answer")
def answer_proposal(proposal_id: UUID) -> Answer:
    """Take the other place, give the booking up, or give it up and wait in line."""
    said = _said()
    try:
        booking_id = _answer(actor(), proposal_id, said, utc_now())
    except Refused as refusal:
        return _own_page(proposal_id, problem=sentences(refusal.reasons, HOME_ZONE), status=409)
    flash(plan_words.answer_done(said), "success")
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


@blueprint.get("/proposals/<uuid:link_id>/<secret>", endpoint="proposal_by_link")
@open_to_all
def show_by_link(link_id: UUID, secret: str) -> Answer:
    """Show what a mailed link proposes; looking at it answers nothing."""
    try:
        return _linked_page(link_id, secret)
    except NotFound:
        return _link_is_over()


@blueprint.post("/proposals/<uuid:link_id>/<secret>")
@open_to_all
def answer_proposal_by_link(link_id: UUID, secret: str) -> Answer:
    """Answer a proposal by its link; no signing in is needed."""
    said, now = _said(), utc_now()
    try:
        with reading() as session:
            person, proposal_id = proposals.linked(session, link_id=link_id, secret=secret, now=now)
        speak_as_the_letter(person.locale)
        _answer(person, proposal_id, said, now)
        return _linked_page(link_id, secret, done=plan_words.answer_done(said))
    except Refused as refusal:
        return _linked_page(link_id, secret, problem=sentences(refusal.reasons, HOME_ZONE), status=409)
    except NotFound:
        return _link_is_over()


def _said() -> Said:
    intake = Intake(fields("answer"))
    said = intake.choice("answer", Said)
    if said is None:
        raise Invalid(intake.errors)
    return said


def _answer(who: Actor, proposal_id: UUID, said: Said, now: datetime) -> UUID:
    with transaction() as session:
        found = proposals.answer(session, actor=who, proposal_id=proposal_id, answer=said, now=now)
        return found.booking_id


def _own_page(proposal_id: UUID, *, problem: Sequence[object] = (), status: int = 200) -> Answer:
    with reading() as session:
        found = _Shown.of(session, proposals.get(session, actor=actor(), proposal_id=proposal_id))
    return _page(found, url_for("web.proposal", proposal_id=proposal_id), problem=problem, status=status)


def _linked_page(
    link_id: UUID, secret: str, *, done: str = "", problem: Sequence[object] = (), status: int = 200
) -> Answer:
    with reading() as session:
        person, proposal_id = proposals.linked(session, link_id=link_id, secret=secret, now=utc_now())
        found = _Shown.of(session, proposals.get(session, actor=person, proposal_id=proposal_id))
    speak_as_the_letter(person.locale)
    return _page(found, request.path, done=done, problem=problem, status=status)


@dataclass(frozen=True)
class _Shown:
    """A proposal with what its page tells: what the booking had, what it would have, what it was to cost."""

    proposal: Proposal
    before: Sequence[Item]
    items: Sequence[Item]
    places: Mapping[int, Instrument]
    price: Decimal | None
    cause: Cause

    @classmethod
    def of(cls, session: Session, found: Proposal) -> "_Shown":
        before, items = proposals.items_before(found), proposals.proposed_items(found)
        wanted = {item.instrument_id for item in (*before, *items)}
        places = instruments.by_ids(session, instrument_ids=wanted)
        cause = proposals.cause_of(session, found)
        return cls(found, before, items, places, proposals.price(session, found.booking), cause)


def _page(
    shown: _Shown, address: str, *, done: str = "", problem: Sequence[object] = (), status: int = 200
) -> Answer:
    found = shown.proposal
    is_open = found.state is ProposalState.OPEN and (found.deadline is None or found.deadline > utc_now())
    page = render_template(
        "proposals/one.html",
        shown=shown,
        proposal=found,
        address=address,
        open=is_open,
        chosen=request.args.get("answer", ""),
        has_place=found.kind is not ProposalKind.NO_PLACE,
        silence=plan_words.silence_sentence(proposals.if_silent(found).value, found.kind.value),
        because=plan_words.displaced_by(shown.cause.value),
        giving_up=plan_words.giving_up(shown.price),
        state=plan_words.proposal_state(found.state),
        kind=plan_words.proposal_kind(found.kind),
        done=done,
        problem=problem,
    )
    return page, status


def _link_is_over() -> Answer:
    return render_template("proposals/link_is_over.html"), 404
