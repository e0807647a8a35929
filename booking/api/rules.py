"""Rules of booking: what counts for an instrument, and the rules of each place."""

from datetime import datetime
from typing import Any

from flask import Response

from booking.api.base import Blueprint, problems
from booking.api.schemas.rules import (
    PolicyIn,
    PolicyOut,
    RuleChangeIn,
    RuleIn,
    RuleOut,
    RulesIn,
    RulesListOut,
    TrialOut,
    minutes,
)
from booking.db import Session, reading, transaction
from booking.domain import policy
from booking.domain.occupation import Item
from booking.domain.policy import PlaceKind
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.problems import reason_out
from booking.services import instruments, policies, rules
from booking.services.rules import Line, Where
from models import Rule

blp = Blueprint("api-rules", __name__, description="What may be booked, by whom and how much.")


@blp.get("/instruments/<code:instrument_id>/policy")
@needs("rule.read")
@blp.arguments(PolicyIn, location="query")
@blp.response(200, PolicyOut)
@problems(404)
def of_instrument(wanted: dict[str, Any], instrument_id: str) -> dict[str, Any]:
    """Read the rules that count for you

    Every setting with its value and the place it comes from: the instrument itself, its own `sheet`, its class, its
    facility, a network, or the default of the system. Then every rule, those for other people and times too.
    """
    who = actor()
    start: datetime = wanted.get("at") or utc_now()
    with reading() as session:
        row = instruments.by_code(session, actor=who, code=instrument_id)
        lines, found = rules.explain(session, instrument=row, person_id=who.person_id, start=start)
        wheres = {rule.place: rules.where_of(session, rule.place) for rule in found}
        items = [Item(row.id, Span(start, start))]
        years = policies.unannounced(session, items, {row.id: row})
        return {
            "settings": [_line(line) for line in lines],
            "rules": [_known(rule, wheres[rule.place]) for rule in found],
            "unannounced_years": list(years),
        }


@blp.get("/rules")
@needs("rule.read")
@blp.arguments(RulesIn, location="query")
@blp.response(200, RulesListOut)
@problems(404)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List the rules of a place"""
    with reading() as session:
        at = _where(session, wanted)
        found = [_told(row, at) for row in rules.listing(session, place=at.place)]
    return {"items": found, "total": len(found)}


@blp.post("/rules")
@needs("rule.edit")
@blp.arguments(RuleIn)
@blp.response(201, RuleOut)
@problems(404)
def add(wanted: dict[str, Any]) -> dict[str, Any]:
    """Set a rule

    Of settings with one name the nearest place counts: instrument, its sheet, class, facility, network. At one place
    the more particular counts, then the newer. Quotas of all places count.
    """
    with transaction() as session:
        at = _where(session, wanted)
        row = rules.add(session, actor=actor(), at=at, draft=wanted["draft"], now=utc_now())
        return _told(row, at)


@blp.post("/rules/trial")
@needs("rule.edit")
@blp.arguments(RuleIn)
@blp.response(200, TrialOut)
@problems(404)
def trial(wanted: dict[str, Any]) -> dict[str, Any]:
    """Try a rule on last month's bookings

    Nothing is written.
    """
    with reading() as session:
        at = _where(session, wanted)
        found = rules.trial(session, actor=actor(), at=at, draft=wanted["draft"], now=utc_now())
        return {
            "start": found.within.start,
            "end": found.within.end,
            "tried": found.tried,
            "total": found.total,
            "refused": len(found.refused),
            "outranked": found.outranked,
            "items": [
                {
                    "booking_id": one.booking.id,
                    "start": one.booking.starts_at,
                    "end": one.booking.ends_at,
                    "reason": reason_out(one.reason),
                }
                for one in found.refused
            ],
        }


@blp.route("/rules/<int:rule_id>", methods=["PATCH"])
@needs("rule.edit")
@blp.arguments(RuleChangeIn)
@blp.response(200, RuleOut)
@problems(404)
def change(wanted: dict[str, Any], rule_id: int) -> dict[str, Any]:
    """Change a rule

    With another value, one in force ends today and another follows it; the answer is the one that counts from now on.
    """
    with transaction() as session:
        row = rules.change(session, actor=actor(), rule_id=rule_id, changes=wanted, now=utc_now())
        return _told(row, rules.where_of(session, policies.place_of(row)))


@blp.route("/rules/<int:rule_id>", methods=["DELETE"])
@needs("rule.edit")
@blp.response(204)
@problems(404)
def end(rule_id: int) -> Response:
    """End a rule

    From today on it no longer counts. Ending one twice changes nothing.
    """
    with transaction() as session:
        rules.end(session, actor=actor(), rule_id=rule_id, now=utc_now())
    return Response(status=204)


def _where(session: Session, wanted: dict[str, Any]) -> Where:
    kind, code = wanted["at"]
    return rules.where(session, actor=actor(), kind=kind, code=code)


def _line(line: Line) -> dict[str, Any]:
    rule, sheet = line.rule, line.rule is not None and line.where is None
    return {
        "name": line.name,
        "value": line.value,
        "place": line.where.kind if line.where else PlaceKind.SHEET if sheet else PlaceKind.DEFAULT,
        "place_id": line.where.code if line.where else None,
        "rule_id": str(rule.id) if rule is not None and line.where else None,
    }


def _told(row: Rule, at: Where) -> dict[str, Any]:
    return _known(policies.as_rule(row), at) | {"note": row.note}


def _known(rule: policy.Rule, at: Where) -> dict[str, Any]:
    mask = rule.weekdays or 0
    return {
        "id": str(rule.id),
        "place": at.kind,
        "place_id": at.code,
        "kind": rule.kind,
        "name": rule.name,
        "value": rule.value,
        "data": dict(rule.data),
        "customer_class": rule.customer_class,
        "day_kind": rule.day_kind,
        "weekdays": [day for day in range(7) if mask >> day & 1],
        "opens": minutes(rule.opens),
        "closes": minutes(rule.closes),
        "valid_from": rule.valid_from,
        "valid_to": rule.valid_to,
        "note": "",
    }
