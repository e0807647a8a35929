"""Credit: one's own points, and what a facility keeps of them."""

from datetime import date
from typing import Any
from uuid import UUID

from flask import Response

from booking.api.base import Blueprint, problems
from booking.api.schemas.credit import (
    AppealDecision,
    AppealDecisionIn,
    AppealIn,
    AppealsOut,
    BanIn,
    BansOut,
    BanTakenOut,
    CreditOut,
    EntryOut,
    PointsIn,
    PointsListOut,
    PointsOut,
)
from booking.db import Session, reading, transaction
from booking.domain import credit as sums
from booking.domain import hours
from booking.domain.access import Subject, require
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import credit, facilities
from booking.services.credit import Source
from models import Ban, CreditEntry, Person

blp = Blueprint("api-credit", __name__, description="Points for how bookings are kept.")


@blp.get("/credit")
@needs("credit.see")
@blp.response(200, CreditOut)
def own() -> dict[str, Any]:
    """Read one's credit

    The score at each facility that has noted anything, and how it came about, the newest first.
    """
    with reading() as session:
        found = credit.own(session, actor=actor(), now=utc_now())
    return {"items": found, "total": len(found)}


@blp.post("/credit/entries/<uuid:entry_id>/appeal")
@needs("credit.appeal")
@blp.arguments(AppealIn)
@blp.response(200, EntryOut)
@problems(404, 409)
def appeal(wanted: dict[str, Any], entry_id: UUID) -> CreditEntry:
    """Appeal against points

    Once for each entry; the facility's manager reads it and may give the points back.
    """
    with transaction() as session:
        return credit.appeal(session, actor=actor(), entry_id=entry_id, text=wanted["text"], now=utc_now())


@blp.get("/facilities/<code:facility_id>/appeals")
@needs("credit.keep")
@blp.response(200, AppealsOut)
@problems(404)
def appeals(facility_id: str) -> dict[str, Any]:
    """List the appeals that wait"""
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        found = credit.appeals(session, actor=actor(), facility_id=place.id)
    names = ("id", "deed", "points", "at", "booking_id", "appeal", "appeal_text", "answer")
    items = [{name: getattr(one.entry, name) for name in names} | {"person": one.person} for one in found]
    return {"items": items, "total": len(items)}


@blp.post("/credit/entries/<uuid:entry_id>/decision")
@needs("credit.keep")
@blp.arguments(AppealDecisionIn)
@blp.response(200, EntryOut)
@problems(404, 409)
def decide(wanted: dict[str, Any], entry_id: UUID) -> CreditEntry:
    """Decide an appeal

    A ban for too few points ends if the points that come back are enough.
    """
    with transaction() as session:
        return credit.decide(
            session,
            actor=actor(),
            entry_id=entry_id,
            grant=wanted["decision"] is AppealDecision.GRANT,
            answer=wanted["answer"],
            now=utc_now(),
        )


@blp.get("/facilities/<code:facility_id>/bans")
@needs("credit.keep")
@blp.response(200, BansOut)
@problems(404)
def bans(facility_id: str) -> dict[str, Any]:
    """List who may not book"""
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        found = credit.bans(session, actor=actor(), facility_id=place.id, now=utc_now())
    return {"items": found, "total": len(found)}


@blp.post("/facilities/<code:facility_id>/bans")
@needs("credit.keep")
@blp.arguments(BanIn)
@blp.response(201, BanTakenOut)
@problems(404)
def ban(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Ban somebody

    They may not book at the facility until then; what is booked stays booked.
    """
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        found = credit.ban(session, actor=actor(), facility_id=place.id, **wanted, now=utc_now())
        return _told(session, found)


@blp.route("/facilities/<code:facility_id>/bans/<uuid:ban_id>", methods=["DELETE"])
@needs("credit.keep")
@blp.response(204)
@problems(404)
def lift(facility_id: str, ban_id: UUID) -> Response:
    """Lift a ban

    Lifting one twice changes nothing.
    """
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        credit.lift(session, actor=actor(), ban_id=ban_id, facility_id=place.id, now=utc_now())
    return Response(status=204)


@blp.get("/facilities/<code:facility_id>/credit-rules")
@needs("credit.keep")
@blp.response(200, PointsListOut)
@problems(404)
def rules(facility_id: str) -> dict[str, Any]:
    """List the points in force today"""
    with reading() as session:
        place = facilities.by_code(session, code=facility_id)
        require(actor(), "credit.keep", Subject(facility_id=place.id))
        return _in_force(session, place.id, _today(place.zone))


@blp.post("/facilities/<code:facility_id>/credit-rules")
@needs("credit.keep")
@blp.arguments(PointsIn)
@blp.response(201, PointsOut)
@problems(404)
def set_rule(wanted: dict[str, Any], facility_id: str) -> dict[str, Any]:
    """Set points from a day on

    Today or later; what has been stays as it was counted.
    """
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        return _set(session, wanted, place.id)


@blp.route("/facilities/<code:facility_id>/credit-rules/<deed>", methods=["DELETE"])
@needs("credit.keep")
@blp.response(204)
@problems(404)
def end_rule(facility_id: str, deed: str) -> Response:
    """End a facility's own points

    From today on the points of all facilities count again. Ending them twice changes nothing.
    """
    with transaction() as session:
        place = facilities.by_code(session, code=facility_id)
        credit.end_rule(session, actor=actor(), facility_id=place.id, name=deed, now=utc_now())
    return Response(status=204)


@blp.get("/credit-rules")
@needs("credit.keep_all")
@blp.response(200, PointsListOut)
def common_rules() -> dict[str, Any]:
    """List the points of all facilities in force today

    They count wherever a facility has said nothing else.
    """
    require(actor(), "credit.keep_all")
    with reading() as session:
        return _in_force(session, None, _today(credit.CLOCK))


@blp.post("/credit-rules")
@needs("credit.keep_all")
@blp.arguments(PointsIn)
@blp.response(201, PointsOut)
def set_common_rule(wanted: dict[str, Any]) -> dict[str, Any]:
    """Set points of all facilities from a day on

    For administrators. Today or later; what has been stays as it was counted.
    """
    with transaction() as session:
        return _set(session, wanted, None)


@blp.route("/credit-rules/<deed>", methods=["DELETE"])
@needs("credit.keep_all")
@blp.response(204)
@problems(404)
def end_common_rule(deed: str) -> Response:
    """End points of all facilities

    From today on the default counts again. Ending them twice changes nothing.
    """
    with transaction() as session:
        credit.end_rule(session, actor=actor(), facility_id=None, name=deed, now=utc_now())
    return Response(status=204)


def _in_force(session: Session, facility_id: int | None, day: date) -> dict[str, Any]:
    found = credit.rules_of(session, facility_id=facility_id, day=day)
    sources = credit.sources_of(session, facility_id=facility_id, day=day)
    items = [_points(name.value, found[name], sources[name]) for name in sums.NAMES]
    return {"items": items, "total": len(items)}


def _set(session: Session, wanted: dict[str, Any], facility_id: int | None) -> dict[str, Any]:
    name = wanted.pop("deed").value
    row = credit.set_rule(session, actor=actor(), facility_id=facility_id, name=name, **wanted, now=utc_now())
    return _points(name, row, Source.ALL if facility_id is None else Source.FACILITY)


def _points(name: str, rule: Any, source: Source) -> dict[str, Any]:
    figures = {figure: getattr(rule, figure) for figure in ("points", "ban_below", "ban_days")}
    return {"deed": name, **figures, "place": source}


def _today(zone: str) -> date:
    return utc_now().astimezone(hours.zone(zone)).date()


def _told(session: Session, found: Ban) -> dict[str, Any]:
    return {
        "id": found.id,
        "reason": found.reason,
        "starts_at": found.starts_at,
        "ends_at": found.ends_at,
        "person": session.get_one(Person, found.person_id),
    }
