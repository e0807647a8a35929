"""Series: judged date by date, placed, changed, cancelled, and a date put back."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from flask import url_for

from booking.api.base import Blueprint, problems
from booking.api.schemas.series import (
    SeriesCancellationIn,
    SeriesChangeIn,
    SeriesDateIn,
    SeriesIn,
    SeriesOut,
    SeriesVerdictOut,
)
from booking.db import Session, reading, transaction
from booking.domain import recurrence
from booking.domain.access import Actor
from booking.domain.recurrence import Pattern
from booking.domain.spans import Span
from booking.http import etags, idempotency
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.problems import reason_out
from booking.services import acting, instruments, series
from booking.services.series import Edit, Plan, Preview, Whole
from booking.services.series_dates import Choice, Judged, Way

blp = Blueprint("api-series", __name__, description="Bookings that repeat by a rule.")

Answer = tuple[Whole, dict[str, str]]


@blp.post("/series/dry-run")
@needs("booking.place")
@blp.arguments(SeriesIn)
@blp.response(200, SeriesVerdictOut)
@problems(404)
def dry_run(order: dict[str, Any]) -> dict[str, Any]:
    """Judge a series date by date without placing it

    For every date the verdict, what the facility's clock does, and what could be had instead: other times of
    that day, and equal instruments at the same time. Nothing is written.
    """
    who = actor()
    with reading() as session:
        plan = _plan(session, who, order)
        found = series.preview(session, actor=who, plan=plan, now=utc_now())
        codes = instruments.codes_of(session, instrument_ids={one.item.instrument_id for one in found.dates})
    return _verdict(found, codes)


@blp.post("/series")
@needs("booking.place")
@blp.arguments(SeriesIn)
@blp.response(201, SeriesOut)
@problems(404, 409)
def place(order: dict[str, Any]) -> Answer:
    """Place a series

    All dates or none. A date that cannot be had refuses them all, unless a choice for it or `otherwise` says
    what becomes of it. With an `Idempotency-Key` a request may be sent again for 24 hours.
    """
    who, now, key = actor(), utc_now(), idempotency.key_sent()
    mark = idempotency.fingerprint(order) if key else ""
    with transaction() as session:
        row = series.place(
            session,
            actor=who,
            plan=_plan(session, who, order),
            purpose=order["purpose"],
            confidential=order["confidential"],
            key=key,
            fingerprint=mark,
            now=now,
        )
        made = series.get(session, actor=who, series_id=row.id, now=now)
    where = url_for("api-series.one", series_id=made.series.id)
    return made, {**_tag(made), "Location": where}


@blp.get("/series/<uuid:series_id>")
@needs("booking.see")
@blp.response(200, SeriesOut)
@problems(404)
def one(series_id: UUID) -> Answer:
    """Read a series with all its dates"""
    with reading() as session:
        found = series.get(session, actor=actor(), series_id=series_id, now=utc_now())
    return found, _tag(found)


@blp.route("/series/<uuid:series_id>", methods=["PATCH"])
@needs("booking.change")
@blp.arguments(SeriesChangeIn)
@blp.response(200, SeriesOut)
@problems(404, 409, 412, 428)
def change(wanted: dict[str, Any], series_id: UUID) -> Answer:
    """Change one date, it and those that follow, or all that are ahead

    Under the rules of new bookings, all or none. Those that follow become a series of their own, which is the
    answer. A date that was moved alone stays where it is.
    """
    who, version, now = actor(), etags.version_required(), utc_now()
    with transaction() as session:
        row = series.change(
            session,
            actor=who,
            series_id=series_id,
            version=version,
            scope=wanted["scope"],
            day=wanted.get("day"),
            edit=_edit(session, who, series_id, wanted),
            now=now,
        )
        found = series.get(session, actor=who, series_id=row.id, now=now)
    return found, _tag(found)


@blp.post("/series/<uuid:series_id>/cancellation")
@needs("booking.cancel")
@blp.arguments(SeriesCancellationIn)
@blp.response(200, SeriesOut)
@problems(404, 409, 412)
def cancel(wanted: dict[str, Any], series_id: UUID) -> Answer:
    """Cancel one date, it and those that follow, or all that are ahead"""
    who, now = actor(), utc_now()
    with transaction() as session:
        series.cancel(
            session,
            actor=who,
            series_id=series_id,
            version=etags.version_wanted(),
            scope=wanted["scope"],
            day=wanted.get("day"),
            reason=wanted["reason"],
            now=now,
        )
        found = series.get(session, actor=who, series_id=series_id, now=now)
    return found, _tag(found)


@blp.post("/series/<uuid:series_id>/dates")
@needs("booking.change")
@blp.arguments(SeriesDateIn)
@blp.response(201, SeriesOut)
@problems(404, 409, 412)
def put_back(wanted: dict[str, Any], series_id: UUID) -> Answer:
    """Put a date back that was left out or cancelled

    Where the rule says, or at another time or on another instrument; it is judged anew.
    """
    who, now = actor(), utc_now()
    with transaction() as session:
        series.put_back(
            session,
            actor=who,
            series_id=series_id,
            version=etags.version_wanted(),
            day=wanted["day"],
            choice=_other(session, who, wanted["instrument_id"], wanted["span"]),
            override=wanted["override_reason"],
            now=now,
        )
        found = series.get(session, actor=who, series_id=series_id, now=now)
    return found, _tag(found)


def _plan(session: Session, who: Actor, order: Mapping[str, Any]) -> Plan:
    code, first_day = order["instrument_id"], order["first_day"]
    pattern = Pattern(
        rule=recurrence.parse(order["rule"], first_day),
        first_day=first_day,
        start_minute=order["start"],
        minutes=order["length"],
        excluded=frozenset(order["excluded"]),
    )
    named = order["booked_for"]
    return Plan(
        instrument_id=instruments.by_codes(session, actor=who, codes=[code])[code],
        pattern=pattern,
        quantity=order["quantity"],
        project_id=order["project_id"],
        booked_for=acting.person_called(session, named) if named else None,
        choices=_choices(session, who, order["choices"]),
        otherwise=order["otherwise"],
        override=order["override_reason"],
    )


def _edit(session: Session, who: Actor, series_id: UUID, wanted: Mapping[str, Any]) -> Edit:
    code = wanted.get("instrument_id")
    rule = None
    if "rule" in wanted:
        # What the rule leaves open is as on the first of the dates that it is for.
        first_day = wanted.get("day")
        if first_day is None or wanted["scope"] is series.Scope.ALL:
            first_day = series.get(session, actor=who, series_id=series_id, now=utc_now()).series.first_day
        rule = recurrence.parse(wanted["rule"], first_day)
    return Edit(
        start_minute=wanted.get("start"),
        minutes=wanted.get("length"),
        quantity=wanted.get("quantity"),
        instrument_id=instruments.by_codes(session, actor=who, codes=[code])[code] if code else None,
        rule=rule,
        purpose=wanted.get("purpose"),
        choices=_choices(session, who, wanted["choices"]),
        otherwise=wanted["otherwise"],
        override=wanted["override_reason"],
    )


def _choices(session: Session, who: Actor, wanted: Iterable[Mapping[str, Any]]) -> dict[date, Choice]:
    chosen = list(wanted)
    codes = {code for one in chosen if (code := one["instrument_id"])}
    ids = instruments.by_codes(session, actor=who, codes=sorted(codes)) if codes else {}
    return {
        one["day"]: Choice(
            Way(one["take"].value),
            ids.get(one["instrument_id"]),
            Span(one["start"], one["end"]) if "start" in one else None,
        )
        for one in chosen
    }


def _other(session: Session, who: Actor, code: str, span: Span | None) -> Choice | None:
    if not code and span is None:
        return None
    place = instruments.by_codes(session, actor=who, codes=[code])[code] if code else None
    return Choice(Way.OTHER, place, span)


def _verdict(found: Preview, codes: Mapping[int, str]) -> dict[str, Any]:
    return {
        "allowed": found.allowed,
        "zone": found.zone,
        "dates": [_date(one, codes) for one in found.dates],
        "estimate": {"total": found.estimate.total, "currency": "CNY", "lines": found.estimate.lines},
    }


def _date(one: Judged, codes: Mapping[int, str]) -> dict[str, Any]:
    return {
        "day": one.day,
        "instrument_id": codes[one.item.instrument_id],
        "start": one.item.span.start,
        "end": one.item.span.end,
        "way": one.way,
        "clock": one.clock,
        "allowed": not one.reasons,
        "needs_approval": one.needs_approval,
        "reasons": [reason_out(reason) for reason in one.reasons],
        "alternatives": [
            {"instrument_id": other.code, "start": other.start, "end": other.end, "why": other.why}
            for other in one.alternatives
        ],
    }


def _tag(found: Whole) -> dict[str, str]:
    return {"ETag": etags.of_version(found.series.version)}
