"""What stands around approvals: steps, chemicals, papers, who decides in whose place."""

from typing import Any
from uuid import UUID

from flask import Response, request

from booking.api.base import Blueprint, problems
from booking.api.schemas.approvals import (
    ApprovalRuleIn,
    ApprovalRuleOut,
    ChemicalsOut,
    DelegationIn,
    DelegationOut,
    DelegationsOut,
    PaperIn,
    PaperOut,
    PapersOut,
    StepsOut,
)
from booking.db import reading, transaction
from booking.domain.rules import Invalid
from booking.http import downloads
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import (
    approval_rules,
    approval_steps,
    approvals,
    bookings,
    delegations,
    papers,
    rules,
)
from models import BookingPaper, Delegation, Person, Rule

blp = Blueprint(
    "api-approvals", __name__, description="Steps of approval, what is declared for them, and who decides."
)

FILE = {
    "required": False,
    "description": "The file, at most 10 MB; left out for a permit that is a number alone. Plain text is sent"
    " as `application/octet-stream`: what a file is, is found by its content.",
    "content": {
        media: {"schema": {"type": "string", "format": "binary"}} for media in sorted(downloads.UPLOADS)
    },
}


@blp.get("/bookings/<uuid:booking_id>/approvals")
@needs("booking.see")
@blp.response(200, StepsOut)
@problems(404)
def steps(booking_id: UUID) -> dict[str, Any]:
    """List the steps of approval

    Who is asked, until when, and who said what, of all rounds.
    """
    with reading() as session:
        _, found = approvals.steps_of(session, actor=actor(), booking_id=booking_id, now=utc_now())
    return {"items": found}


@blp.get("/bookings/<uuid:booking_id>/chemicals")
@needs("booking.see")
@blp.response(200, ChemicalsOut)
@problems(404)
def chemicals(booking_id: UUID) -> dict[str, Any]:
    """List the chemicals that are declared

    They are declared by `chemicals` when a booking is placed or changed.
    """
    with reading() as session:
        bookings.get(session, actor=actor(), booking_id=booking_id, now=utc_now())
        found = approval_steps.declared(session, booking_id=booking_id)
    return {"items": found}


@blp.get("/bookings/<uuid:booking_id>/papers")
@needs("booking.see")
@blp.response(200, PapersOut)
@problems(404)
def listing(booking_id: UUID) -> dict[str, Any]:
    """List the papers"""
    with reading() as session:
        _, found = papers.listing(session, actor=actor(), booking_id=booking_id, now=utc_now())
    return {"items": found}


@blp.post("/bookings/<uuid:booking_id>/papers")
@needs("paper.add")
@blp.arguments(PaperIn, location="query")
@blp.response(201, PaperOut)
@blp.doc(requestBody=FILE)
@problems(404, 409)
def add(wanted: dict[str, Any], booking_id: UUID) -> BookingPaper:
    """Add a paper

    PDF, PNG, JPEG or plain text, told by its content; at most 20 to a booking.
    """
    content = request.get_data(cache=False)
    with transaction() as session:
        return papers.add(
            session,
            actor=actor(),
            booking_id=booking_id,
            content=content or None,
            now=utc_now(),
            **wanted,
        )


@blp.get("/bookings/<uuid:booking_id>/papers/<uuid:paper_id>")
@needs("booking.see")
@blp.response(
    200,
    {"type": "string", "format": "binary"},
    content_type="application/octet-stream",
    description="The file as an attachment, in the type that was found by its content.",
)
@problems(404)
def one(booking_id: UUID, paper_id: UUID) -> Response:
    """Read a paper"""
    with reading() as session:
        paper, content = papers.read(
            session, actor=actor(), booking_id=booking_id, paper_id=paper_id, now=utc_now()
        )
    return downloads.paper(paper.title, paper.media_type, content)


@blp.delete("/bookings/<uuid:booking_id>/papers/<uuid:paper_id>")
@needs("paper.add")
@blp.response(204)
@problems(404)
def remove(booking_id: UUID, paper_id: UUID) -> Response:
    """Remove a paper

    For who added it, and the facility's managers. That it was there stays in the history.
    """
    with transaction() as session:
        papers.remove(session, actor=actor(), booking_id=booking_id, paper_id=paper_id, now=utc_now())
    return Response(status=204)


@blp.post("/rules/approvals")
@needs("rule.edit")
@blp.arguments(ApprovalRuleIn)
@blp.response(201, ApprovalRuleOut)
@problems(404)
def ask_for(wanted: dict[str, Any]) -> Rule:
    """Ask for a step of approval

    Of rules of one name the nearest place counts. One that stands at the same place under the name ends as this one
    begins. It is ended as every rule.
    """
    kind, code = wanted.pop("at")
    with transaction() as session:
        where = rules.where(session, actor=actor(), kind=kind, code=code)
        return approval_rules.add(session, actor=actor(), at=where, **wanted, now=utc_now())


@blp.get("/delegations")
@needs("delegation.keep")
@blp.response(200, DelegationsOut)
def delegated() -> dict[str, Any]:
    """List who decides in one's place"""
    with reading() as session:
        found = delegations.own(session, actor=actor(), now=utc_now())
    return {"items": [_told(row, person) for row, person in found]}


@blp.post("/delegations")
@needs("delegation.keep")
@blp.arguments(DelegationIn)
@blp.response(201, DelegationOut)
def delegate(wanted: dict[str, Any]) -> dict[str, Any]:
    """Let a colleague decide in one's place

    Somebody of the same facility or organisation sees and decides the requests that wait for one, meanwhile.
    """
    now = utc_now()
    try:
        with transaction() as session:
            row = delegations.make(
                session,
                actor=actor(),
                delegate=wanted["delegate"],
                starts_at=wanted["start"],
                ends_at=wanted["end"],
                now=now,
            )
            return _told(row, session.get_one(Person, row.delegate_id))
    except Invalid as error:
        raise Invalid(
            {"end" if name == "until" else name: code for name, code in error.errors.items()}
        ) from None


@blp.delete("/delegations/<uuid:delegation_id>")
@needs("delegation.keep")
@blp.response(204)
@problems(404)
def withdraw(delegation_id: UUID) -> Response:
    """Decide again oneself"""
    with transaction() as session:
        delegations.end(session, actor=actor(), delegation_id=delegation_id, now=utc_now())
    return Response(status=204)


def _told(row: Delegation, person: Person) -> dict[str, Any]:
    return {
        "id": row.id,
        "delegate": person.email,
        "name": person.name,
        "start": row.starts_at,
        "end": row.ends_at,
    }
