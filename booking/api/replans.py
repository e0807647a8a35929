"""Replans: what an outage displaces, repairs of it, proposals to people and their answers."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from flask import url_for

from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.replans import (
    ChosenIn,
    ProposalAnswerIn,
    ProposalOut,
    ProposalsOut,
    ReplanOut,
    ReplansIn,
    ReplansOut,
)
from booking.db import Session, reading, transaction
from booking.domain.occupation import Item
from booking.http.context import settings
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import facilities, instruments, proposals, replans
from booking.services.replans import Repair
from models import Booking, Proposal, Replan

blp = Blueprint("api-replans", __name__, description="Finding other places for what an outage displaces.")


@blp.post("/closures/<uuid:closure_id>/replan")
@needs("closure.make")
@blp.arguments(NothingIn, required=False)
@blp.response(201, ReplanOut)
@problems(404, 409)
def begin(_nothing: dict[str, Any], closure_id: UUID) -> tuple[dict[str, Any], dict[str, str]]:
    """Look for repairs

    Of all bookings that the closure displaces. A process of its own works on it; read the replan again for its
    progress. Asked again before people were asked, it begins anew.
    """
    with transaction() as session:
        row = replans.begin(session, actor=actor(), closure_id=closure_id, now=utc_now())
        told = _told(session, row)
    return told, {"Location": url_for("api-replans.one", replan_id=row.id)}


@blp.post("/replans/<uuid:replan_id>/search")
@needs("closure.make")
@blp.arguments(NothingIn, required=False)
@blp.response(200, ReplanOut)
@problems(404, 409)
def again(_nothing: dict[str, Any], replan_id: UUID) -> dict[str, Any]:
    """Look for repairs anew

    Whatever displaces the bookings: a closure, other opening hours, other working days, a withdrawn instrument.
    """
    with transaction() as session:
        return _told(session, replans.again(session, actor=actor(), replan_id=replan_id, now=utc_now()))


@blp.get("/replans")
@needs("facility.desk")
@blp.arguments(ReplansIn, location="query")
@blp.response(200, ReplansOut)
@problems(404)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List replans

    Of a facility, for its staff.
    """
    with reading() as session:
        place = facilities.by_code(session, code=wanted["facility"])
        found = replans.listing(session, actor=actor(), facility_id=place.id)
        return {"items": [_told(session, row) for row in found], "total": len(found)}


@blp.get("/replans/<uuid:replan_id>")
@needs("facility.desk")
@blp.response(200, ReplanOut)
@problems(404)
def one(replan_id: UUID) -> dict[str, Any]:
    """Read a replan

    With the progress of its run, the repairs that were found, and what people have answered.
    """
    with reading() as session:
        return _told(session, replans.get(session, actor=actor(), replan_id=replan_id))


@blp.post("/replans/<uuid:replan_id>/proposals")
@needs("closure.make")
@blp.arguments(ChosenIn)
@blp.response(201, ReplanOut)
@problems(404, 409)
def send(wanted: dict[str, Any], replan_id: UUID) -> dict[str, Any]:
    """Ask people

    Each place is held for its owner until they answer or their deadline passes. Neighbours who agreed beforehand to
    make room are moved at once.
    """
    with transaction() as session:
        row = replans.send(
            session,
            actor=actor(),
            replan_id=replan_id,
            chosen=wanted["repair"],
            key=settings().key(),
            now=utc_now(),
        )
        return _told(session, row)


@blp.delete("/replans/<uuid:replan_id>/proposals")
@needs("closure.make")
@blp.response(200, ReplanOut)
@problems(404)
def withdraw(replan_id: UUID) -> dict[str, Any]:
    """Take proposals back

    Those that nobody has answered yet.
    """
    with transaction() as session:
        row = replans.withdraw(session, actor=actor(), replan_id=replan_id, now=utc_now())
        return _told(session, row)


@blp.get("/proposals")
@needs("proposal.answer")
@blp.response(200, ProposalsOut)
def mine() -> dict[str, Any]:
    """List what waits for your answer"""
    with reading() as session:
        found = proposals.mine(session, actor=actor(), now=utc_now())
        return {"items": _proposals(session, found), "total": len(found)}


@blp.get("/proposals/<uuid:proposal_id>")
@needs("proposal.answer")
@blp.response(200, ProposalOut)
@problems(404)
def proposal(proposal_id: UUID) -> dict[str, Any]:
    """Read a proposal"""
    with reading() as session:
        return _proposals(session, [proposals.get(session, actor=actor(), proposal_id=proposal_id)])[0]


@blp.post("/proposals/<uuid:proposal_id>/answer")
@needs("proposal.answer")
@blp.arguments(ProposalAnswerIn)
@blp.response(200, ProposalOut)
@problems(404, 409)
def answer(wanted: dict[str, Any], proposal_id: UUID) -> dict[str, Any]:
    """Answer a proposal

    `accept` moves the booking to the place that is held for it, `cancel` gives it up free of charge, `wait` gives it
    up and puts its owner in line.
    """
    with transaction() as session:
        found = proposals.answer(
            session, actor=actor(), proposal_id=proposal_id, answer=wanted["answer"], now=utc_now()
        )
        return _proposals(session, [found])[0]


def _told(session: Session, row: Replan) -> dict[str, Any]:
    run = replans.run_of(session, actor=actor(), replan_id=row.id)
    found = replans.repairs(run) if run is not None else []
    every = [change for repair in found for change in repair.changes]
    concerned = replans.bookings_of(session, every)
    items = {
        id(change): proposals.items_of(concerned[change.booking_id], change) or list(change.instead)
        for change in every
    }
    codes = _codes(session, (item for some in items.values() for item in some))
    return {
        "id": row.id,
        "cause": row.cause,
        "closure_id": row.closure_id,
        "state": row.state,
        "chosen": row.chosen,
        "version": row.version,
        "run": run,
        "repairs": [_repair(one, concerned, items, codes) for one in found],
        "proposals": _proposals(session, row.proposals),
    }


def _codes(session: Session, items: Iterable[Item]) -> dict[int, str]:
    return instruments.codes_of(session, instrument_ids={item.instrument_id for item in items})


def _repair(
    one: Repair, concerned: dict[UUID, Booking], items: dict[int, list[Item]], codes: dict[int, str]
) -> dict[str, Any]:
    return {
        "number": one.number,
        "kind": one.kind,
        "cost": one.cost,
        "moved": one.moved,
        "without_place": one.without_place,
        "neighbours": one.neighbours,
        "changes": [
            {
                "booking_id": change.booking_id,
                "person": concerned[change.booking_id].person,
                "hit": change.hit,
                "before": concerned[change.booking_id].starts_at,
                "instrument_id": codes.get(change.instrument_id or 0),
                "start": change.starts_at,
                "items": _items(items[id(change)], codes),
                "late": proposals.too_late(concerned[change.booking_id], items[id(change)]),
                "cost": change.cost,
            }
            for change in one.changes
        ],
    }


def _items(items: Sequence[Item], codes: dict[int, str]) -> list[dict[str, Any]]:
    return [
        {
            "instrument_id": codes[item.instrument_id],
            "start": item.span.start,
            "end": item.span.end,
            "quantity": item.quantity,
        }
        for item in items
    ]


def _proposals(session: Session, found: Sequence[Proposal]) -> list[dict[str, Any]]:
    after = [proposals.proposed_items(one) for one in found]
    before = [proposals.items_before(one) for one in found]
    codes = _codes(session, (item for some in (*after, *before) for item in some))
    return [
        {
            "id": one.id,
            "booking_id": one.booking.id,
            "person": one.booking.person,
            "kind": one.kind,
            "by_agreement": one.by_agreement,
            "instrument_id": one.instrument.code if one.instrument else None,
            "start": one.starts_at,
            "end": one.ends_at,
            "items": _items(after[number], codes),
            "before": _items(before[number], codes),
            "state": one.state,
            "deadline": one.deadline,
            "if_silent": proposals.if_silent(one),
        }
        for number, one in enumerate(found)
    ]
