"""Series: judged date by date, placed, changed, cancelled, and a date put back."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from flask import Response, request, url_for

from booking.api.approvals import FILE
from booking.api.base import Blueprint, problems
from booking.api.schemas.approvals import ChemicalsOut, PaperIn
from booking.api.schemas.bookings import Decision
from booking.api.schemas.series import (
    DateDecision,
    SeriesApprovalIn,
    SeriesCancellationIn,
    SeriesChangeIn,
    SeriesDateIn,
    SeriesDecidedOut,
    SeriesIn,
    SeriesListIn,
    SeriesListOut,
    SeriesOut,
    SeriesPaperOut,
    SeriesPapersOut,
    SeriesVerdictOut,
)
from booking.db import Session, reading, transaction
from booking.domain import recurrence
from booking.domain.access import Actor, Forbidden, NotFound, could
from booking.domain.chemicals import told
from booking.domain.recurrence import Pattern
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.http import etags, idempotency
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.http.problems import reason_out
from booking.services import (
    acting,
    approvals,
    facilities,
    instruments,
    series,
    series_approvals,
    series_lists,
    series_papers,
)
from booking.services.papers import Paper
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
    mark = idempotency.fingerprint(_plain(order)) if key else ""
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


@blp.get("/series")
@needs("booking.list")
@blp.arguments(SeriesListIn, location="query")
@blp.response(200, SeriesListOut)
@problems(404)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List series

    One's own with their next date and how many dates are over, ahead, and left out; for its staff those of a
    facility.
    """
    who, now, page, page_size = actor(), utc_now(), wanted["page"], wanted["page_size"]
    asked = {"over": wanted["over"], "page": page, "page_size": page_size, "now": now}
    with reading() as session:
        if code := wanted["facility"]:
            place = facilities.by_code(session, code=code).id
            found, total = series_lists.of_facility(session, actor=who, facility_id=place, **asked)
        else:
            found, total = series_lists.own(session, actor=who, **asked)
    return {"items": found, "total": total, "next": next_url(total, page, page_size)}


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


@blp.post("/series/<uuid:series_id>/approvals")
@needs("approval.decide")
@blp.arguments(SeriesApprovalIn)
@blp.response(200, SeriesDecidedOut)
@problems(404, 409, 412)
def decide(wanted: dict[str, Any], series_id: UUID) -> dict[str, Any]:
    """Approve or reject the dates of a series

    All that wait for one's word, with another decision for single dates where one is named; all or none. The
    person hears of it in one message.
    """
    who, now = actor(), utc_now()
    yes = wanted["decision"] is Decision.APPROVE
    others = {one["day"]: one["decision"] for one in wanted["dates"]}
    try:
        with transaction() as session:
            waiting = series_approvals.asked(session, actor=who, series_id=series_id, now=now)
            if others.keys() - {one.booking.series_day for one in waiting}:
                raise Invalid({"dates": "unknown"})
            said = {one.booking.id: others.get(one.booking.series_day) for one in waiting}
            done = series_approvals.decide(
                session,
                actor=who,
                series_id=series_id,
                said={
                    one: yes if other is None else other is DateDecision.APPROVE
                    for one, other in said.items()
                    if other is not DateDecision.LATER
                },
                versions={one.booking.id: one.booking.version for one in waiting},
                comment=wanted["comment"],
                now=now,
            )
    except NotFound:
        if not could(who, "booking.approve"):
            raise Forbidden(approvals.ACTION) from None
        raise
    found = [*done.approved, *done.rejected, *done.waiting]
    return {"items": sorted(found, key=lambda one: one.starts_at)}


@blp.get("/series/<uuid:series_id>/chemicals")
@needs("booking.see")
@blp.response(200, ChemicalsOut)
@problems(404)
def chemicals(series_id: UUID) -> dict[str, Any]:
    """List the chemicals that are declared for a series

    They are declared by `chemicals` when a series is placed or changed, and hold for all dates that are ahead.
    """
    with reading() as session:
        whole = series.get(session, actor=actor(), series_id=series_id, now=utc_now())
        return {"items": series.declared(session, whole=whole)}


@blp.get("/series/<uuid:series_id>/papers")
@needs("booking.see")
@blp.response(200, SeriesPapersOut)
@problems(404)
def papers_of(series_id: UUID) -> dict[str, Any]:
    """List the papers of a series"""
    with reading() as session:
        return {"items": series_papers.listing(session, actor=actor(), series_id=series_id, now=utc_now())}


@blp.post("/series/<uuid:series_id>/papers")
@needs("paper.add")
@blp.arguments(PaperIn, location="query")
@blp.response(201, SeriesPaperOut)
@blp.doc(requestBody=FILE)
@problems(404, 409)
def add_paper(wanted: dict[str, Any], series_id: UUID) -> series_papers.Shared:
    """Add a paper to a series

    It is put beside every date that is still ahead, and its content is kept once.
    """
    paper = Paper(**wanted, content=request.get_data(cache=False) or None)
    with transaction() as session:
        return series_papers.add(session, actor=actor(), series_id=series_id, paper=paper, now=utc_now())


@blp.delete("/series/<uuid:series_id>/papers/<uuid:paper_id>")
@needs("paper.add")
@blp.response(204)
@problems(404, 409)
def remove_paper(series_id: UUID, paper_id: UUID) -> Response:
    """Remove a paper from a series

    From every date that is still ahead; the id is that of any of them.
    """
    with transaction() as session:
        series_papers.remove(session, actor=actor(), series_id=series_id, paper_id=paper_id, now=utc_now())
    return Response(status=204)


def _plain(order: Mapping[str, Any]) -> dict[str, Any]:
    """Give the wish in a form that is written the same by every process."""
    return {**order, "chemicals": [told(one) for one in order["chemicals"]]}


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
        chemicals=order["chemicals"],
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
        excluded=frozenset(wanted["excluded"]) if "excluded" in wanted else None,
        purpose=wanted.get("purpose"),
        confidential=wanted.get("confidential"),
        chemicals=wanted.get("chemicals"),
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
