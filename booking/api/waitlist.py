"""The waitlist: waiting for time that is taken, and answering what is offered."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from flask import Response, url_for

from booking import plan_words
from booking.api.base import Blueprint, problems
from booking.api.instruments import filters
from booking.api.routes import steps, within
from booking.api.schemas.bookings import BookingOut, NothingIn
from booking.api.schemas.routes import RouteWishIn
from booking.api.schemas.waitlist import PriorityIn, WaitIn, WaitOut, WaitsIn, WaitsOut
from booking.db import reading, transaction
from booking.domain import waitlist as line
from booking.http import etags
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import next_url
from booking.services import facilities, instruments, line_processes, offers, waitlist, wish_reasons
from booking.services.waitlist import LONGEST_WISH, InLine
from models import Booking, EntryState

blp = Blueprint("api-waitlist", __name__, description="Waiting for time that is taken.")


@blp.post("/waitlist")
@needs("waitlist.join")
@blp.arguments(WaitIn)
@blp.response(201, WaitOut)
@problems(404, 409)
def join(wish: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Wish for time, and wait for it in line

    For an instrument at a time that is taken, or for so long at any time of a window, or of parts of it, on any of
    several instruments. Time that comes free goes to one person after the other, by priority, then by the time of
    joining: it is offered, or booked `at_once`. All wishes are tried every few minutes. The same wish sent again is
    the same place.
    """
    who = actor()
    asked, codes = wish.pop("filters"), wish.pop("codes")
    with transaction() as session:
        if codes:
            places = list(instruments.by_codes(session, actor=who, codes=codes).values())
        else:
            places = waitlist.instruments_for(session, actor=who, filters=filters(asked))
        entry = waitlist.join(
            session,
            actor=who,
            instrument_ids=places,
            wish=", ".join(str(value) for value in asked.values() if value),
            filters=None if codes else filters(asked),
            now=utc_now(),
            **wish,
        )
        found = told(waitlist.get(session, actor=who, entry_id=entry.id))
    return found, {"Location": url_for("api-waitlist.one", entry_id=entry.id)}


@blp.post("/waitlist/routes")
@needs("waitlist.join")
@blp.arguments(RouteWishIn)
@blp.response(201, WaitOut)
@problems(404, 409)
def join_for_route(order: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Wait for a process

    For the earliest route of all steps in a window, by default of 30 days. It is tried when time comes free and every
    few minutes, and offered, all steps held as one, or booked `at_once`. The same process for the same time is the
    same place.
    """
    who, now = actor(), utc_now()
    found = steps(order["steps"])
    with transaction() as session:
        entry = line_processes.join(
            session,
            actor=who,
            steps=found,
            window=within(order, now),
            project_id=order["project_id"],
            purpose=order["purpose"],
            wish=" → ".join(one.code or ", ".join(one.filters.kept.values()) for one in found)[:LONGEST_WISH],
            at_once=order["at_once"],
            may_move=order["may_move"],
            now=now,
        )
        shown = told(waitlist.get(session, actor=who, entry_id=entry.id))
    return shown, {"Location": url_for("api-waitlist.one", entry_id=entry.id)}


@blp.get("/waitlist")
@needs("waitlist.list")
@blp.arguments(WaitsIn, location="query")
@blp.response(200, WaitsOut)
@problems(404)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List places in line

    One's own; or, for its staff, everybody's at a facility, in the order of the line.
    """
    who, page, page_size = actor(), wanted["page"], wanted["page_size"]
    with reading() as session:
        if code := wanted["facility"]:
            place = facilities.by_code(session, code=code)
            found, total = waitlist.of_facility(
                session, actor=who, facility_id=place.id, page=page, page_size=page_size
            )
        else:
            every = waitlist.mine(session, actor=who)
            found, total = every[(page - 1) * page_size : page * page_size], len(every)
    return {"items": [told(one) for one in found], "total": total, "next": next_url(total, page, page_size)}


@blp.get("/waitlist/<uuid:entry_id>")
@needs("waitlist.see")
@blp.response(200, WaitOut)
@problems(404)
def one(entry_id: UUID) -> dict[str, Any]:
    """Read a place in line

    With the reasons why nothing was found, of one that waits why nothing is found so far.
    """
    with reading() as session:
        found = waitlist.get(session, actor=actor(), entry_id=entry_id)
        shown = told(found)
        if found.entry.state is EntryState.WAITING:
            shown["reasons"] = _reasons(wish_reasons.so_far(session, entry=found.entry, now=utc_now()))
        return shown


@blp.route("/waitlist/<uuid:entry_id>", methods=["PATCH"])
@needs("waitlist.rank")
@blp.arguments(PriorityIn)
@blp.response(200, WaitOut)
@problems(404, 409)
def rank(wanted: dict[str, Any], entry_id: UUID) -> dict[str, Any]:
    """Change the priority of a place in line"""
    with transaction() as session:
        waitlist.rank(session, actor=actor(), entry_id=entry_id, now=utc_now(), **wanted)
        return told(waitlist.get(session, actor=actor(), entry_id=entry_id))


@blp.delete("/waitlist/<uuid:entry_id>")
@needs("waitlist.answer")
@blp.response(204)
@problems(404, 412)
def leave(entry_id: UUID) -> Response:
    """Leave the line

    What was offered goes to the next.
    """
    with transaction() as session:
        waitlist.leave(session, actor=actor(), entry_id=entry_id, now=utc_now())
    return Response(status=204)


@blp.post("/offers/<uuid:offer_id>/acceptance")
@needs("waitlist.answer")
@blp.arguments(NothingIn, required=False)
@blp.response(201, BookingOut)
@problems(404, 409)
def accept(_nothing: dict[str, Any], offer_id: UUID) -> tuple[Booking, dict[str, str]]:
    """Take an offer

    It becomes a booking; accepted again it gives the same one.
    """
    with transaction() as session:
        booking = offers.accept(session, actor=actor(), offer_id=offer_id, now=utc_now())
    where = url_for("api-bookings.one", booking_id=booking.id)
    return booking, {"ETag": etags.of_version(booking.version), "Location": where}


@blp.post("/offers/<uuid:offer_id>/refusal")
@needs("waitlist.answer")
@blp.arguments(NothingIn, required=False)
@blp.response(200, WaitOut)
@problems(404, 409)
def decline(_nothing: dict[str, Any], offer_id: UUID) -> dict[str, Any]:
    """Decline an offer

    It goes to the next in line; one goes on waiting for other times, where the wish leaves any.
    """
    with transaction() as session:
        entry = offers.decline(session, actor=actor(), offer_id=offer_id, now=utc_now())
        return told(waitlist.get(session, actor=actor(), entry_id=entry.id))


def _reasons(reasons: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"code": str(one["code"]), "message": plan_words.why(one)} for one in reasons]


def _step(step: dict[str, Any]) -> dict[str, Any]:
    return {
        "instruments": [step["code"]] if step["code"] else step["any_of"],
        "filters": step["filters"],
        "duration": f"PT{step['minutes']}M",
        "lag_least": f"PT{step['lag'][0]}M",
        "lag_most": f"PT{step['lag'][1]}M",
        "family": step["family"],
        "quantity": step["quantity"],
    }


def _places(found: InLine) -> list[dict[str, Any]]:
    every = found.places(found.offer) if found.offer else []
    return [{"instrument_id": row.code, "start": span.start, "end": span.end} for row, span in every]


def told(found: InLine) -> dict[str, Any]:
    """Tell a place in the line."""
    entry, offer = found.entry, found.offer
    return {
        "id": entry.id,
        "person": entry.person,
        "instruments": [row.code for row in found.instruments],
        "filters": entry.filters,
        "steps": [_step(step) for step in entry.steps],
        "start": entry.window_starts_at,
        "end": entry.window_ends_at,
        "duration": f"PT{entry.minutes}M",
        "quantity": entry.quantity,
        "priority": entry.priority,
        "purpose": entry.purpose,
        "wish": entry.wish,
        "windows": [{"start": start, "end": end} for start, end in line.read(entry.windows)],
        "at_once": entry.at_once,
        "may_move": entry.may_move,
        "reasons": _reasons(entry.reasons),
        "project_id": entry.project_id,
        "state": entry.state,
        "ahead": found.ahead,
        "joined_at": entry.joined_at,
        "booking_id": entry.booking_id,
        "standby": None
        if entry.lead_minutes is None
        else {
            "at_most": f"PT{entry.most_minutes}M",
            "lead_minutes": entry.lead_minutes,
            "here_since": entry.here_at,
        },
        "offer": offer
        and {
            "id": offer.id,
            **_places(found)[0],
            "following": _places(found)[1:],
            "deadline": offer.deadline,
            "state": offer.state,
        },
    }
