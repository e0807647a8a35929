"""Bookings: judged, placed, read, changed, and what happens to them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Response

from booking.api.base import PREFIX, Blueprint, problems, written
from booking.api.schemas.bookings import (
    AgreementIn,
    ApprovalIn,
    BookingChangeIn,
    BookingIn,
    BookingOut,
    BookingsIn,
    BookingsOut,
    CancellationIn,
    ConditionsOut,
    Decision,
    DryRunIn,
    ExtensionIn,
    FeedbackIn,
    NoShowIn,
    NothingIn,
    VerdictOut,
    booking_told,
)
from booking.api.schemas.fields import window
from booking.db import Session, reading, transaction
from booking.domain.access import Actor, Forbidden, NotFound, could
from booking.domain.chemicals import told
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.http import crowds, etags, idempotency
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.http.problems import alternative_out, reason_out
from booking.services import (
    acting,
    agreements,
    alternatives,
    approval_steps,
    approvals,
    attendance,
    bookings,
    facilities,
    instruments,
    kept,
    undoing,
    waitlist,
)
from booking.services.approval_steps import Foretold
from booking.services.availability import Alternative
from models import Booking

blp = Blueprint("api-bookings", __name__, description="Time that is booked.")

Wish = tuple[str, Span, int]
"""An instrument's code, the span of use, and the number of units."""
Answer = tuple[Booking, dict[str, str]]


@blp.post("/bookings")
@needs("booking.place")
@blp.arguments(BookingIn)
@blp.response(201, BookingOut)
@problems(404, 409)
def place(order: dict[str, Any]) -> Response:
    """Place a booking

    On one instrument, or with `items` on several, all or nothing. An instrument that needs approval gives
    a booking in the state `requested`, which holds its time. With an `Idempotency-Key` a request may be
    sent again for 24 hours: it gives the booking that it made.
    """
    who, key, wanted = actor(), idempotency.key_sent(), order.pop("needs")
    mark = idempotency.fingerprint(_plain(order)) if key else ""
    try:
        if order["booked_for"] is None and not order["override_reason"]:
            crowds.refuse_what_is_gone(
                lambda session: _items(session, who, order["items"]),
                key=key,
                fingerprint=mark,
                needs=wanted,
                project_id=order["project_id"],
                chemicals=order["chemicals"],
                now=utc_now(),
            )
        try:
            booking = _placed(who, order, key, mark, trusting=order["booked_for"] is None)
        except (kept.Outdated, NotFound):
            booking = _placed(who, order, key, mark, trusting=False)
    except Refused as refusal:
        refusal.needs = wanted
        raise
    headers = {"ETag": etags.of_version(booking.version), "Location": f"{PREFIX}/bookings/{booking.id}"}
    return written(booking_told(booking), 201, headers)


def _placed(who: Actor, order: Mapping[str, Any], key: str | None, mark: str, *, trusting: bool) -> Booking:
    with transaction() as session:
        return bookings.place(
            session,
            actor=who,
            items=_items(session, who, order["items"], trusting=trusting),
            purpose=order["purpose"],
            project_id=order["project_id"],
            confidential=order["confidential"],
            chemicals=order["chemicals"],
            booked_for=_person(session, order["booked_for"]),
            key=key,
            fingerprint=mark,
            override=order["override_reason"],
            needed_by=order["needed_by"],
            bare=True,
            now=utc_now(),
        )


@blp.post("/bookings/dry-run")
@needs("booking.place")
@blp.arguments(DryRunIn)
@blp.response(200, VerdictOut)
@problems(404)
def dry_run(order: dict[str, Any]) -> dict[str, Any]:
    """Judge a booking without placing it

    The same rules as for placing one, every reason at once, what could be had instead, and the price.
    Nothing is written.
    """
    who, now = actor(), utc_now()
    with reading(begun=False) as session:
        items = _items(session, who, order["items"])
        verdict = bookings.dry_run(
            session,
            actor=who,
            items=items,
            project_id=order["project_id"],
            booking_id=order["booking_id"],
            booked_for=_person(session, order["booked_for"]),
            chemicals=order["chemicals"],
            now=now,
        )
        steps = approval_steps.foretold(session, steps=verdict.steps)
        instead: list[Alternative] = []
        if not verdict.allowed:
            if verdict.wish is not None:
                instead = alternatives.find(session, actor=who, wish=verdict.wish, needs=order["needs"])
            if order["booking_id"] is None:
                instead += waitlist.way_out(session, reasons=verdict.reasons, items=items)
    return {
        "allowed": verdict.allowed,
        "reasons": [reason_out(reason) for reason in verdict.reasons],
        "alternatives": [alternative_out(one) for one in instead],
        "estimate": {
            "total": verdict.estimate.total,
            "currency": "CNY",
            "lines": verdict.estimate.lines,
        },
        "needs_approval": verdict.needs_approval,
        "steps": [_foretold(step) for step in steps],
        "conditions": [reason_out(reason) for reason in verdict.conditions],
        "unannounced_years": list(verdict.unannounced),
    }


@blp.get("/bookings")
@needs("booking.list")
@blp.arguments(BookingsIn, location="query")
@blp.response(200, BookingsOut)
@problems(404)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List bookings

    One's own, those of the groups that one leads and of the facilities where one works; by start.
    """
    who = actor()
    page, page_size = wanted["page"], wanted["page_size"]
    within = window(wanted.get("start"), wanted.get("end"))
    with reading(begun=False) as session:
        instrument_id = facility_id = None
        if code := wanted["instrument"]:
            instrument_id = instruments.by_codes(session, actor=who, codes=[code])[code]
        if code := wanted["facility"]:
            facility_id = facilities.by_code(session, code=code).id
        found, total = bookings.listing(
            session,
            actor=who,
            mine=wanted["mine"],
            instrument_id=instrument_id,
            facility_id=facility_id,
            within=within,
            states=wanted["state"],
            page=page,
            page_size=page_size,
        )
    return {"items": found, "total": total, "next": next_url(total, page, page_size)}


@blp.get("/bookings/<uuid:booking_id>")
@needs("booking.see")
@blp.response(200, BookingOut)
@problems(404)
def one(booking_id: UUID) -> Answer | Response:
    """Read a booking"""
    with reading(begun=False) as session:
        booking = bookings.get(session, actor=actor(), booking_id=booking_id)
    if etags.unchanged(booking.version):
        return etags.mark(Response(status=304), booking.version)
    return _told(booking)


@blp.get("/bookings/<uuid:booking_id>/conditions")
@needs("booking.see")
@blp.response(200, ConditionsOut)
@problems(404)
def conditions(booking_id: UUID) -> dict[str, Any]:
    """List what a booking still lacks

    What its person must hold before they can check in and does not by now: a training still to come, a
    qualification that was taken away or ends before the day of use.
    """
    with reading(begun=False) as session:
        booking = bookings.get(session, actor=actor(), booking_id=booking_id, now=utc_now())
        found = bookings.conditions(session, booking=booking, now=utc_now())
    return {"items": [reason_out(reason) for reason in found]}


@blp.route("/bookings/<uuid:booking_id>", methods=["PATCH"])
@needs("booking.change")
@blp.arguments(BookingChangeIn)
@blp.response(200, BookingOut)
@problems(404, 409, 412, 428)
def change(wanted: dict[str, Any], booking_id: UUID) -> Answer:
    """Change a booking

    Move, lengthen, shorten or amend it, under the rules of a new one; what is left out stays. `start`,
    `end` and `quantity` alone change every item of a booking whose items share one time. `If-Match` must
    hold the version that was read, `*` is whichever is there.
    """
    who, version = actor(), etags.version_required()
    with transaction() as session:
        items = None
        if "items" in wanted:
            items = _items(session, who, wanted["items"])
        elif wanted.keys() & {"instrument_id", "start", "end", "quantity"}:
            before = bookings.get(session, actor=who, booking_id=booking_id)
            # What is built on this version must not land on a later one.
            version = before.version if version is None else version
            items = _moved(session, who, before, wanted)
        booking = bookings.change(
            session,
            actor=who,
            booking_id=booking_id,
            version=version,
            items=items,
            purpose=wanted.get("purpose"),
            confidential=wanted.get("confidential"),
            chemicals=wanted.get("chemicals"),
            override=wanted.get("override_reason", ""),
            now=utc_now(),
        )
    return _told(booking)


@blp.post("/bookings/<uuid:booking_id>/cancellation")
@needs("booking.cancel")
@blp.arguments(CancellationIn, required=False)
@blp.response(200, BookingOut)
@problems(404, 409, 412)
def cancel(wanted: dict[str, Any], booking_id: UUID) -> Answer:
    """Cancel a booking

    Its time is free again at once. A request that nobody has approved yet is withdrawn.
    """
    with transaction() as session:
        booking = bookings.cancel(
            session,
            actor=actor(),
            booking_id=booking_id,
            reason=wanted["reason"],
            version=etags.version_wanted(),
            override=wanted["override_reason"],
            now=utc_now(),
        )
    return _told(booking)


@blp.post("/bookings/<uuid:booking_id>/undo")
@needs("booking.change")
@blp.arguments(NothingIn, required=False)
@blp.response(200, BookingOut)
@problems(404, 409, 412)
def undo(_nothing: dict[str, Any], booking_id: UUID) -> Answer:
    """Take back the last thing one did

    For ten minutes, while nobody has done anything to the booking since and it has not begun. What was placed is given
    up without notice or penalty; what was changed is as it was; what was cancelled is placed again with the same data,
    as a booking of another id, if its time is still free. Whom staff noted as not having come is expected again, or
    checked in if the time to come is over, until the booking would end.
    """
    with transaction() as session:
        booking = undoing.undo(
            session, actor=actor(), booking_id=booking_id, version=etags.version_wanted(), now=utc_now()
        )
    return _told(booking)


@blp.post("/bookings/<uuid:booking_id>/approvals")
@needs("approval.decide")
@blp.arguments(ApprovalIn)
@blp.response(200, BookingOut)
@problems(404, 409, 412)
def decide(wanted: dict[str, Any], booking_id: UUID) -> Answer:
    """Approve or reject a request

    On behalf of all open steps on which one may speak, or of one of them. The request is confirmed once every
    step is approved.
    """
    who, version = actor(), etags.version_wanted()
    command = approvals.approve if wanted["decision"] is Decision.APPROVE else approvals.reject
    try:
        with transaction() as session:
            booking = command(
                session,
                actor=who,
                booking_id=booking_id,
                comment=wanted["comment"],
                version=version,
                step_id=wanted["step_id"],
                now=utc_now(),
            )
    except NotFound:
        if not could(who, "booking.approve"):
            raise Forbidden(approvals.ACTION) from None
        raise
    return _told(booking)


@blp.put("/bookings/<uuid:booking_id>/agreement")
@needs("booking.agree")
@blp.arguments(AgreementIn)
@blp.response(200, BookingOut)
@problems(404, 409)
def agree(wanted: dict[str, Any], booking_id: UUID) -> Answer:
    """Say what may be done after an outage, and for those who wait

    Whether the booking may be moved a little so that others find room whom an outage meets, or who wait, and what
    becomes of it if an outage displaces it and you do not answer.
    """
    with transaction() as session:
        return _told(agreements.agree(session, actor=actor(), booking_id=booking_id, now=utc_now(), **wanted))


@blp.post("/bookings/<uuid:booking_id>/check-in")
@needs("booking.check_in")
@blp.arguments(NothingIn, required=False)
@blp.response(200, BookingOut)
@problems(404, 409)
def check_in(_nothing: dict[str, Any], booking_id: UUID) -> Answer:
    """Check in

    From the start of set-up to the end of the use.
    """
    with transaction() as session:
        return _told(bookings.check_in(session, actor=actor(), booking_id=booking_id, now=utc_now()))


@blp.post("/bookings/<uuid:booking_id>/check-out")
@needs("booking.check_in")
@blp.arguments(NothingIn, required=False)
@blp.response(200, BookingOut)
@problems(404, 409)
def check_out(_nothing: dict[str, Any], booking_id: UUID) -> Answer:
    """Check out

    What is left of the time is free again at once.
    """
    with transaction() as session:
        return _told(bookings.check_out(session, actor=actor(), booking_id=booking_id, now=utc_now()))


@blp.post("/bookings/<uuid:booking_id>/no-show")
@needs("booking.miss")
@blp.arguments(NoShowIn, required=False)
@blp.response(200, BookingOut)
@problems(404, 409)
def call_missed(wanted: dict[str, Any], booking_id: UUID) -> Answer:
    """Say that nobody came

    For the facility's staff, once the person has had the time to come that the rules give. The time is free again;
    who is `excused` loses no points.
    """
    with transaction() as session:
        found = attendance.call_missed(
            session, actor=actor(), booking_id=booking_id, excused=wanted.get("excused", False), now=utc_now()
        )
        return _told(found)


@blp.delete("/bookings/<uuid:booking_id>/no-show")
@needs("booking.approve")
@blp.response(200, BookingOut)
@problems(404, 409)
def say_came(booking_id: UUID) -> Answer:
    """Say that somebody came after all

    For the facility's managers. They are checked in, or were there until the end if the time is over; points that it
    cost are given back. It is refused if somebody else has the time by now.
    """
    with transaction() as session:
        found = attendance.say_came(session, actor=actor(), booking_id=booking_id, now=utc_now())
        return _told(found)


@blp.post("/bookings/<uuid:booking_id>/feedback")
@needs("booking.feedback")
@blp.arguments(FeedbackIn)
@blp.response(200, BookingOut)
@problems(404, 409)
def feedback(wanted: dict[str, Any], booking_id: UUID) -> Answer:
    """Say how the use was

    What is `faulty` is reported to its facility.
    """
    condition = wanted["condition"]
    with transaction() as session:
        booking = bookings.feedback(
            session,
            actor=actor(),
            booking_id=booking_id,
            rating=wanted["rating"],
            condition=condition.value if condition else "",
            comment=wanted["comment"],
            samples=wanted["samples"],
            faulty=wanted["instrument_id"],
            now=utc_now(),
        )
    return _told(booking)


@blp.post("/bookings/<uuid:booking_id>/extension")
@needs("booking.change")
@blp.arguments(ExtensionIn, required=False)
@blp.response(200, BookingOut)
@problems(404, 409, 412)
def extend(wanted: dict[str, Any], booking_id: UUID) -> Answer:
    """Extend a booking

    Its end moves on by so many minutes, under the rules of a change.
    """
    with transaction() as session:
        booking = bookings.extend(
            session, actor=actor(), booking_id=booking_id, minutes=wanted["minutes"], now=utc_now()
        )
    return _told(booking)


def _foretold(step: Foretold) -> dict[str, Any]:
    rule = step.rule
    return {
        "facility_id": step.facility.code,
        "name": rule.name,
        "stage": rule.stage,
        "need": rule.need,
        "conditions": [condition.told() for condition in rule.when],
        "role": rule.approvers.role if rule.approvers else None,
        "people": step.people,
        "deadline_days": rule.deadline_days,
        "on_silence": rule.on_silence,
    }


def _plain(order: Mapping[str, Any]) -> dict[str, Any]:
    """Give the wish in a form that is written the same by every process."""
    return {**order, "chemicals": [told(one) for one in order["chemicals"]]}


def _told(booking: Booking) -> Answer:
    return booking, {"ETag": etags.of_version(booking.version)}


def _person(session: Session, named: str | None) -> UUID | None:
    return acting.person_called(session, named) if named else None


def _items(session: Session, who: Actor, wishes: Sequence[Wish], *, trusting: bool = False) -> list[Item]:
    codes = [code for code, _, _ in wishes]
    ids = instruments.by_codes(session, actor=who, codes=codes, trusting=trusting)
    return [Item(ids[code], span, quantity) for code, span, quantity in wishes]


def _moved(session: Session, who: Actor, before: Booking, wanted: Mapping[str, Any]) -> list[Item]:
    """Give the booking's items with one instrument, span or quantity of its own for all of them.

    :raises Invalid: where that would not say what becomes of which item
    """
    if len({(row.starts_at, row.ends_at) for row in before.items}) > 1 or (
        len(before.items) > 1 and wanted.keys() & {"instrument_id", "quantity"}
    ):
        raise Invalid({"items": "required"})
    start, end = wanted.get("start", before.starts_at), wanted.get("end", before.ends_at)
    if start >= end:
        raise Invalid({"end": "inverted"})
    places = [row.instrument_id for row in before.items]
    if "instrument_id" in wanted:
        code = wanted["instrument_id"]
        places = [instruments.by_codes(session, actor=who, codes=[code])[code]]
    return [
        Item(place, Span(start, end), wanted.get("quantity", row.quantity))
        for place, row in zip(places, before.items, strict=True)
    ]
