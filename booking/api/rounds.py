"""Rounds: opened by facilities, wished of by people, solved, published and confirmed."""

from typing import Any
from uuid import UUID

from flask import Response, url_for

from booking import plan_words
from booking.api.base import Blueprint, problems
from booking.api.schemas.bookings import NothingIn
from booking.api.schemas.replans import RunOut
from booking.api.schemas.rounds import (
    ActionIn,
    DraftIn,
    NewRoundIn,
    OutcomeOut,
    PinIn,
    RoundIn,
    RoundOut,
    RoundRunsOut,
    RoundsIn,
    RoundsOut,
    RoundWishesOut,
    RoundWishIn,
    RoundWishOut,
    RunIn,
    WishPriorityIn,
)
from booking.db import Session, reading, transaction
from booking.domain.rounds import RoundAction
from booking.domain.rules import Invalid
from booking.http import etags
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import facilities, instruments, round_drafts, round_steps, round_wishes, rounds
from booking.services.round_steps import Place, Stage
from models import Round, RoundPin, RoundWish, RoundWishStep, SolverRun

blp = Blueprint("api-rounds", __name__, description="Allotting the time of some days to all wishes at once.")


@blp.get("/rounds")
@needs("round.see")
@blp.arguments(RoundsIn, location="query")
@blp.response(200, RoundsOut)
@problems(404)
def listing(wanted: dict[str, Any]) -> dict[str, Any]:
    """List rounds

    Of a facility or of all, those that take wishes first.
    """
    with reading() as session:
        code = wanted["facility"]
        place = facilities.by_code(session, code=code).id if code else None
        found = rounds.listing(session, actor=actor(), facility_id=place)
    return {"items": found, "total": len(found)}


@blp.post("/rounds")
@needs("round.keep")
@blp.arguments(NewRoundIn)
@blp.response(201, RoundOut)
@problems(404)
def make(wanted: dict[str, Any]) -> tuple[Round, dict[str, str]]:
    """Open a round"""
    with transaction() as session:
        place = facilities.by_code(session, code=wanted["facility"])
        row = rounds.make(session, actor=actor(), facility_id=place.id, terms=wanted["terms"], now=utc_now())
    where = url_for("api-rounds.one", round_id=row.id)
    return row, {"ETag": etags.of_version(row.version), "Location": where}


@blp.get("/rounds/<uuid:round_id>")
@needs("round.see")
@blp.response(200, RoundOut)
@problems(404)
def one(round_id: UUID) -> tuple[Round, dict[str, str]]:
    """Read a round"""
    with reading() as session:
        row = rounds.get(session, actor=actor(), round_id=round_id)
    return row, {"ETag": etags.of_version(row.version)}


@blp.route("/rounds/<uuid:round_id>", methods=["PUT"])
@needs("round.keep")
@blp.arguments(RoundIn)
@blp.response(200, RoundOut)
@problems(404, 409)
def amend(wanted: dict[str, Any], round_id: UUID) -> tuple[Round, dict[str, str]]:
    """Change the terms of a round

    As long as no draft is published.
    """
    with transaction() as session:
        row = rounds.amend(
            session, actor=actor(), round_id=round_id, terms=wanted["terms"], version=None, now=utc_now()
        )
    return row, {"ETag": etags.of_version(row.version)}


@blp.post("/rounds/<uuid:round_id>/actions")
@needs("round.keep")
@blp.arguments(ActionIn)
@blp.response(200, RoundOut)
@problems(404, 409)
def act(wanted: dict[str, Any], round_id: UUID) -> Round:
    """Close, reopen or cancel a round, or take its draft back"""
    if wanted["action"] in {RoundAction.PUBLISH, RoundAction.CONFIRM}:
        raise Invalid({"action": "unknown"})
    with transaction() as session:
        return rounds.act(session, actor=actor(), round_id=round_id, action=wanted["action"], now=utc_now())


# --- wishes ---------------------------------------------------------------------------------------


@blp.get("/rounds/<uuid:round_id>/wishes")
@needs("round.see")
@blp.response(200, RoundWishesOut)
@problems(404)
def wishes(round_id: UUID) -> dict[str, Any]:
    """List wishes of a round

    All of them for the facility's staff, one's own for everybody else.
    """
    with reading() as session:
        found = round_wishes.of_round(session, actor=actor(), round_id=round_id)
        pins = round_wishes.pins(session, round_id=round_id)
        return {"items": [_wish(wish, pins) for wish in found], "total": len(found)}


@blp.post("/rounds/<uuid:round_id>/wishes")
@needs("wish.make")
@blp.arguments(RoundWishIn)
@blp.response(201, RoundWishOut)
@problems(404, 409)
def wish_for(wanted: dict[str, Any], round_id: UUID) -> tuple[dict[str, Any], dict[str, str]]:
    """Wish for time in a round

    With `following`, further steps of a process: all of them are served, one after the other, or none is.
    """
    who, codes, steps = actor(), wanted.pop("instruments"), wanted.pop("following")
    with transaction() as session:
        every = dict.fromkeys([*codes, *(code for step in steps for code in step["instruments"])])
        places = instruments.by_codes(session, actor=who, codes=list(every))
        wish = round_wishes.submit(
            session,
            actor=who,
            round_id=round_id,
            instrument_ids=[places[code] for code in codes],
            following=[
                Stage(one["minutes"], tuple(places[code] for code in one["instruments"]), one["lag"])
                for one in steps
            ],
            now=utc_now(),
            **wanted,
        )
        told = _wish(round_wishes.get(session, actor=who, wish_id=wish.id), {})
    return told, {"Location": url_for("api-rounds.wish", wish_id=wish.id)}


@blp.get("/wishes/<uuid:wish_id>")
@needs("wish.see")
@blp.response(200, RoundWishOut)
@problems(404)
def wish(wish_id: UUID) -> dict[str, Any]:
    """Read a wish"""
    with reading() as session:
        return _one_wish(session, wish_id)


@blp.delete("/wishes/<uuid:wish_id>")
@needs("wish.withdraw")
@blp.response(204)
@problems(404, 409)
def withdraw(wish_id: UUID) -> Response:
    """Take a wish back"""
    with transaction() as session:
        round_wishes.withdraw(session, actor=actor(), wish_id=wish_id, now=utc_now())
    return Response(status=204)


@blp.route("/wishes/<uuid:wish_id>", methods=["PATCH"])
@needs("round.keep")
@blp.arguments(WishPriorityIn)
@blp.response(200, RoundWishOut)
@problems(404, 409)
def rank(wanted: dict[str, Any], wish_id: UUID) -> dict[str, Any]:
    """Change the priority of a wish"""
    with transaction() as session:
        round_wishes.rank(session, actor=actor(), wish_id=wish_id, now=utc_now(), **wanted)
        return _one_wish(session, wish_id)


@blp.put("/wishes/<uuid:wish_id>/pin")
@needs("round.keep")
@blp.arguments(PinIn)
@blp.response(200, RoundWishOut)
@problems(404, 409)
def pin(wanted: dict[str, Any], wish_id: UUID) -> dict[str, Any]:
    """Settle a wish before the next run

    Its place; or, without one, that it is left out.
    """
    who, code = actor(), wanted["instrument_id"]
    with transaction() as session:
        place = instruments.by_code(session, actor=who, code=code).id if code is not None else None
        steps = wanted["following"]
        known = instruments.by_codes(session, actor=who, codes=[one["instrument_id"] for one in steps])
        round_wishes.pin(
            session,
            actor=who,
            wish_id=wish_id,
            instrument_id=place,
            starts_at=wanted["start"],
            following=[(known[one["instrument_id"]], one["start"]) for one in steps],
            reason=wanted["reason"],
            now=utc_now(),
        )
        return _one_wish(session, wish_id)


@blp.delete("/wishes/<uuid:wish_id>/pin")
@needs("round.keep")
@blp.response(200, RoundWishOut)
@problems(404)
def unpin(wish_id: UUID) -> dict[str, Any]:
    """Let the next run decide about a wish"""
    with transaction() as session:
        round_wishes.unpin(session, actor=actor(), wish_id=wish_id, now=utc_now())
        return _one_wish(session, wish_id)


# --- runs and drafts ------------------------------------------------------------------------------


@blp.post("/rounds/<uuid:round_id>/runs")
@needs("round.keep")
@blp.arguments(RunIn)
@blp.response(202, RunOut)
@problems(404, 409)
def run(wanted: dict[str, Any], round_id: UUID) -> SolverRun:
    """Have a round allotted

    By a process of its own. An open run of the same round is stopped.
    """
    with transaction() as session:
        return round_drafts.ask(session, actor=actor(), round_id=round_id, now=utc_now(), **wanted)


@blp.get("/rounds/<uuid:round_id>/runs")
@needs("round.keep")
@blp.response(200, RoundRunsOut)
@problems(404)
def runs(round_id: UUID) -> dict[str, Any]:
    """List the runs of a round

    With their progress and what they found, the newest first.
    """
    who = actor()
    with reading() as session:
        found = round_drafts.runs(session, actor=who, round_id=round_id)
        known = round_wishes.of_round(session, actor=who, round_id=round_id)
        return {"items": [_run(session, one, known) for one in found], "total": len(found)}


@blp.post("/runs/<uuid:run_id>/stop")
@needs("round.keep")
@blp.arguments(NothingIn, required=False)
@blp.response(200, RunOut)
@problems(404)
def stop(_nothing: dict[str, Any], run_id: UUID) -> SolverRun:
    """Stop a run

    The best plan that it has found stays.
    """
    with transaction() as session:
        return round_drafts.stop(session, actor=actor(), run_id=run_id)


@blp.put("/rounds/<uuid:round_id>/draft")
@needs("round.keep")
@blp.arguments(DraftIn)
@blp.response(200, RoundOut)
@problems(404, 409)
def publish(wanted: dict[str, Any], round_id: UUID) -> Round:
    """Publish a draft

    Everybody sees where their own wishes go, and why.
    """
    with transaction() as session:
        return round_drafts.publish(
            session, actor=actor(), round_id=round_id, run_id=wanted["run_id"], now=utc_now()
        )


@blp.post("/rounds/<uuid:round_id>/confirmation")
@needs("round.keep")
@blp.arguments(NothingIn, required=False)
@blp.response(201, OutcomeOut)
@problems(404, 409)
def confirm(_nothing: dict[str, Any], round_id: UUID) -> dict[str, Any]:
    """Confirm the published draft

    All of its places become bookings in one transaction, or none does.
    """
    with transaction() as session:
        outcome = round_drafts.confirm(session, actor=actor(), round_id=round_id, now=utc_now())
        return {"bookings": [booking.id for booking in outcome.bookings], "unserved": outcome.unserved}


def _one_wish(session: Session, wish_id: UUID) -> dict[str, Any]:
    wish = round_wishes.get(session, actor=actor(), wish_id=wish_id)
    return _wish(wish, round_wishes.pins(session, round_id=wish.round_id))


def _wish(wish: RoundWish, pins: dict[UUID, RoundPin]) -> dict[str, Any]:
    place, known = round_steps.place_of(wish), pins.get(wish.id)
    every = [*wish.choices, *(choice for step in wish.following for choice in step.choices)]
    codes = {choice.instrument_id: choice.instrument.code for choice in every}
    return {
        "id": wish.id,
        "round_id": wish.round_id,
        "person": wish.person,
        "instruments": [choice.instrument.code for choice in wish.choices],
        "following": [_step(step) for step in wish.following],
        "start": wish.window_starts_at,
        "end": wish.window_ends_at,
        "duration": f"PT{wish.minutes}M",
        "priority": wish.priority,
        "may_move": wish.may_move,
        "keep_waiting": wish.keep_waiting,
        "purpose": wish.purpose,
        "project_id": wish.project_id,
        "state": wish.state,
        "place": place
        and _place(codes, place) | {"following": [_place(codes, one) for one in place.following]},
        "reasons": [{"code": str(one["code"]), "message": plan_words.why(one)} for one in wish.reasons],
        "pin": known
        and {
            "kind": known.kind,
            "instrument_id": codes.get(known.instrument_id or 0),
            "start": known.starts_at,
            "following": [
                {"instrument_id": codes.get(place), "start": start}
                for place, start in round_steps.settled(known)
            ],
            "reason": known.reason,
        },
        "booking_id": wish.booking_id,
        "submitted_at": wish.submitted_at,
    }


def _step(step: RoundWishStep) -> dict[str, Any]:
    return {
        "instruments": [choice.instrument.code for choice in step.choices],
        "duration": f"PT{step.minutes}M",
        "lag_least": f"PT{step.lag_least}M",
        "lag_most": f"PT{step.lag_most}M",
    }


def _place(codes: dict[int, str], place: Place) -> dict[str, Any]:
    return {"instrument_id": codes[place.instrument_id], "start": place.starts_at, "end": place.ends_at}


def _run(session: Session, run: SolverRun, known: list[RoundWish]) -> dict[str, Any]:
    put = round_drafts.places(run, known) if run.result else {}
    every = {one.instrument_id for place in put.values() for one in place.steps}
    codes = instruments.codes_of(session, instrument_ids=every)
    shown = {name: getattr(run, name) for name in RunOut().fields}
    places = [
        {"wish_id": key, "step": step, **_place(codes, one)}
        for key, place in put.items()
        for step, one in enumerate(place.steps)
    ]
    return {**shown, "served": run.result.get("served"), "places": places}
