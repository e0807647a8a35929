"""Rounds: those that take wishes, one's own wishes, and the board on which a facility allots them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import plan_words
from booking.db import Session, reading, transaction
from booking.domain.resolution.documents import read_pool
from booking.domain.resolution.problem import Instrument as Lane
from booking.domain.rounds import RoundAction, RoundState, WishState
from booking.domain.rules import Invalid, Refused
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import ngettext, pgettext
from booking.services import (
    facilities,
    instruments,
    round_drafts,
    round_steps,
    round_wishes,
    rounds,
    solver_runs,
)
from booking.services.round_steps import Place
from booking.web import blueprint
from booking.web.forms import LONGEST_NOTE, Intake, said
from booking.web.judgement import Said, sentences
from models import Instrument, Round, RoundPin, RoundWish, SolverRun

Answer = str | Redirect | tuple[str, int]

SETTLED = (RoundState.CONFIRMED, RoundState.CANCELLED)
RUN_TIMES = (5, 10, 30, 60, 300)
"""Seconds that a run may be given on the page."""


@dataclass(frozen=True)
class Line:
    """A wish as the board tells it: where the shown run puts it, what is settled, and why it stands so."""

    wish: RoundWish
    place: Place | None
    pin: RoundPin | None
    why: Sequence[str]

    @property
    def minutes(self) -> int:
        """Give the minutes of use of all its steps."""
        return round_steps.total(self.wish)


@dataclass(frozen=True)
class Track:
    """An instrument's time as it is drawn: spans in slots of the round, and who gets which."""

    instrument: Instrument
    staffed: Sequence[tuple[int, int]]
    blocked: Sequence[tuple[int, int]]
    uses: Sequence[tuple[int, int, RoundWish]]


@dataclass(frozen=True)
class Board:
    """All that a manager looks at: the run that is shown, or is under way, what is shown of it, and figures."""

    run: SolverRun | None
    shown: SolverRun | None
    running: bool
    runs: Sequence[SolverRun]
    lines: Sequence[Line]
    tracks: Sequence[Track]
    horizon: int
    figures: Mapping[str, Any]


@blueprint.get("/rounds", endpoint="rounds")
@needs("round.see")
def show_rounds() -> Answer:
    """Show which facilities allot time in a round, and what one has wished for."""
    with reading() as session:
        rows = rounds.listing(session, actor=actor())
        own = [
            (wish, row, _line(wish, round_steps.place_of(wish), None))
            for wish, row in round_wishes.mine(session, actor=actor())
        ]
        places = {one.instrument_id for *_, line in own if line.place for one in line.place.steps}
        names = instruments.by_ids(session, instrument_ids=places)
        managed = [one for one in facilities.managed(session, actor=actor()) if one.id in actor().manages]
    return render_template(
        "rounds/listing.html",
        rows=rows,
        own=own,
        names=names,
        managed=managed,
        now=utc_now(),
        words_of=plan_words,
    )


@blueprint.get("/rounds/<uuid:round_id>", endpoint="round")
@needs("round.see")
def show_round(round_id: UUID) -> Answer:
    """Show a round: to its manager the board, to everybody else what it is and their own wishes."""
    return round_page(round_id)


def round_page(round_id: UUID, *, problem: Sequence[Said] = (), title: str = "", status: int = 200) -> Answer:
    """Render a round as it stands now, with what went wrong with the last deed, if anything did.

    :raises NotFound: if there is none
    """
    with reading() as session:
        row = rounds.get(session, actor=actor(), round_id=round_id)
        keeps = rounds.keeps(actor(), row)
        wishes = round_wishes.of_round(session, actor=actor(), round_id=round_id)
        board = _board(session, row, wishes) if keeps else None
        own = [
            _line(wish, round_steps.place_of(wish), None)
            for wish in wishes
            if wish.person_id == actor().person_id
        ]
        named = {
            choice.instrument_id: choice.instrument
            for wish in wishes
            for some in (wish.choices, *(step.choices for step in wish.following))
            for choice in some
        }
    if request.args.get("part") == "progress":
        run = board.run if board else None
        return render_template(
            "runs/progress.html", run=run, running=bool(board and board.running), words_of=plan_words
        )
    page = render_template(
        "rounds/one.html",
        row=row,
        zone=row.facility.zone,
        keeps=keeps,
        board=board,
        own=own,
        named=named,
        takes_wishes=row.state is RoundState.OPEN and row.opens_at <= utc_now() < row.closes_at,
        settled=row.state in SETTLED,
        can_publish=bool(board and board.run and board.run.state in solver_runs.ENDED and board.run.result),
        run_times=[(str(seconds), _("%(seconds)s s", seconds=seconds)) for seconds in RUN_TIMES],
        now=utc_now(),
        problem=problem,
        problem_title=title,
        words_of=plan_words,
    )
    return page, status


def _board(session: Session, row: Round, wishes: Sequence[RoundWish]) -> Board:
    runs = round_drafts.runs(session, actor=actor(), round_id=row.id)
    running = bool(runs) and runs[0].state in solver_runs.OPEN
    shown = _shown(runs, request.args.get("run"))
    pins = round_wishes.pins(session, round_id=row.id)
    put = round_drafts.places(shown, wishes) if shown is not None and shown.result else {}
    why = round_drafts.reasons(session, shown) if shown is not None and shown.result else {}
    lines = [
        Line(
            wish,
            put.get(wish.id),
            pins.get(wish.id),
            [plan_words.why(one) for one in why.get(wish.id, wish.reasons)],
        )
        for wish in wishes
    ]
    tracks, horizon = _tracks(session, shown, lines) if shown is not None else ([], 0)
    return Board(
        shown if shown is not None and not running else (runs[0] if runs else None),
        shown,
        running,
        runs,
        lines,
        tracks,
        horizon,
        _figures(shown, lines),
    )


def _shown(runs: Sequence[SolverRun], wanted: str | None) -> SolverRun | None:
    """Give the run that the address names, else the newest that found something."""
    ended = [run for run in runs if run.result]
    return next((run for run in ended if str(run.id) == wanted), ended[0] if ended else None)


def _line(wish: RoundWish, place: Place | None, pin: RoundPin | None) -> Line:
    return Line(wish, place, pin, [plan_words.why(one) for one in wish.reasons])


def _tracks(session: Session, run: SolverRun, lines: Sequence[Line]) -> tuple[list[Track], int]:
    """Draw the calendars that the run was given, one track for each unit, and what it put there."""
    pool = read_pool(solver_runs.with_document(session, run))
    names = instruments.by_ids(session, instrument_ids=run.names["lanes"])
    by_id = {str(line.wish.id): line.wish for line in lines}
    uses: dict[int, list[tuple[int, int, RoundWish]]] = {}
    for number, steps in (run.result.get("plan") or {}).items():
        wish = by_id.get(run.names["wishes"][int(number)])
        stages = round_steps.stages(wish) if wish is not None else []
        for stage, (lane, slot) in zip(stages, steps, strict=False):
            uses.setdefault(lane, []).append((slot, slot + -(-stage.minutes // 15), by_id[str(wish.id)]))
    return [
        Track(names[place], drawn.staffed, _within(drawn, pool.horizon), uses.get(lane, []))
        for lane, (place, drawn) in enumerate(zip(run.names["lanes"], pool.instruments, strict=True))
        if place in names
    ], pool.horizon


def _within(lane: Lane, horizon: int) -> list[tuple[int, int]]:
    return [(start, min(end, horizon)) for start, end in lane.blocked if start < horizon]


def _figures(run: SolverRun | None, lines: Sequence[Line]) -> dict[str, Any]:
    """Give the figures of a plan: wishes served, hours, those of each class of organisation, floors, distance."""
    waiting = [line for line in lines if line.wish.state is WishState.WAITING]
    served = [line for line in waiting if line.place is not None]
    minutes: dict[int, int] = {}
    for line in served:
        minutes[line.wish.priority] = minutes.get(line.wish.priority, 0) + line.minutes
    found: dict[str, Any] = {
        "wishes": len(waiting),
        "served": len(served),
        "asked_hours": sum(line.minutes for line in waiting) / 60,
        "hours": sum(line.minutes for line in served) / 60,
        "by_priority": sorted(((key, value / 60) for key, value in minutes.items()), reverse=True),
    }
    if run is None or not run.result or run.bound is None or run.objective is None:
        return found
    floors = zip(run.names.get("floors", ()), run.result.get("missing", ()), strict=False)
    return found | {
        "share": round(100 * run.objective / run.bound, 1) if run.bound > 0 else 100.0,
        "floors": [
            (plan_words.organisation_kind(kind), group, missing / 4) for (kind, group), missing in floors
        ],
        "caps": len(run.result.get("caps_bound", ())),
    }


# --- deeds ----------------------------------------------------------------------------------------


def _done(round_id: UUID, words: str) -> Redirect:
    flash(words, "success")
    return redirect(url_for("web.round", round_id=round_id), 303)


def _refused(round_id: UUID, refusal: Refused, title: str) -> Answer:
    with reading() as session:
        zone = rounds.get(session, actor=actor(), round_id=round_id).facility.zone
    return round_page(round_id, problem=sentences(refusal.reasons, zone), title=title, status=409)


@blueprint.post("/rounds/<uuid:round_id>/action", endpoint="act_on_round")
@needs("round.keep")
def act_on_round(round_id: UUID) -> Answer:
    """Close, reopen or cancel a round, or take its draft back."""
    intake = Intake(fields("action"))
    action = intake.choice("action", RoundAction)
    if action is None or action in {RoundAction.PUBLISH, RoundAction.CONFIRM}:
        raise Invalid({"action": "unknown"})
    try:
        with transaction() as session:
            row = rounds.act(session, actor=actor(), round_id=round_id, action=action, now=utc_now())
            if action is RoundAction.CLOSE:
                round_drafts.ask_first(session, round_id=row.id, now=utc_now())
    except Refused as refusal:
        return _refused(round_id, refusal, _("Nothing was changed"))
    return _done(round_id, plan_words.round_state(row.state))


@blueprint.post("/rounds/<uuid:round_id>/runs", endpoint="run_round")
@needs("round.keep")
def run_round(round_id: UUID) -> Answer:
    """Have the wishes allotted by a process of its own."""
    intake = Intake(fields("seconds"))
    seconds = intake.whole("seconds", least=1, most=solver_runs.LONGEST, default=round_drafts.USUAL_SECONDS)
    intake.demand()
    try:
        with transaction() as session:
            round_drafts.ask(session, actor=actor(), round_id=round_id, seconds=seconds or 1, now=utc_now())
    except Refused as refusal:
        return _refused(round_id, refusal, _("Not started"))
    return redirect(url_for("web.round", round_id=round_id), 303)


@blueprint.post("/runs/<uuid:run_id>/stop", endpoint="stop_run")
@needs("round.keep")
def stop_run(run_id: UUID) -> Answer:
    """Stop a run with the best that it has."""
    fields()
    with transaction() as session:
        run = round_drafts.stop(session, actor=actor(), run_id=run_id)
        round_id = run.subject
    return redirect(url_for("web.round", round_id=round_id), 303)


@blueprint.post("/rounds/<uuid:round_id>/draft", endpoint="publish_round")
@needs("round.keep")
def publish_round(round_id: UUID) -> Answer:
    """Publish what a run found; everybody sees where their own wishes go, and why."""
    intake = Intake(fields("run"))
    run_id = intake.key("run")
    intake.demand()
    if run_id is None:
        raise Invalid({"run": "required"})
    try:
        with transaction() as session:
            round_drafts.publish(session, actor=actor(), round_id=round_id, run_id=run_id, now=utc_now())
    except Refused as refusal:
        return _refused(round_id, refusal, _("Not published"))
    return _done(round_id, _("Published. Everybody is told where their wishes go, and why."))


@blueprint.post("/rounds/<uuid:round_id>/confirmation", endpoint="confirm_round")
@needs("round.keep")
def confirm_round(round_id: UUID) -> Answer:
    """Turn the draft into bookings; where the calendar has changed, run it anew instead."""
    fields()
    try:
        with transaction() as session:
            outcome = round_drafts.confirm(session, actor=actor(), round_id=round_id, now=utc_now())
            made = len(outcome.bookings)
    except Refused as refusal:
        if any(reason.code == "draft_outdated" for reason in refusal.reasons):
            with transaction() as session:
                round_drafts.ask(session, actor=actor(), round_id=round_id, now=utc_now())
            return _refused(round_id, refusal, _("Not confirmed; a new run has begun"))
        return _refused(round_id, refusal, _("Not confirmed"))
    words = ngettext("Confirmed: %(num)d booking.", "Confirmed: %(num)d bookings.", made, num=made)
    return _done(round_id, words)


@blueprint.post("/wishes/<uuid:wish_id>/withdrawal", endpoint="withdraw_wish")
@needs("wish.withdraw")
def withdraw_wish(wish_id: UUID) -> Answer:
    """Take a wish back."""
    fields()
    with reading() as session:
        round_id = round_wishes.get(session, actor=actor(), wish_id=wish_id).round_id
    try:
        with transaction() as session:
            round_wishes.withdraw(session, actor=actor(), wish_id=wish_id, now=utc_now())
    except Refused as refusal:
        return _refused(round_id, refusal, _("Nothing was changed"))
    return _done(round_id, _("The wish is taken back."))


@blueprint.post("/wishes/<uuid:wish_id>/settlement", endpoint="settle_wish")
@needs("round.keep")
def settle_wish(wish_id: UUID) -> Answer:
    """Rank a wish, keep it where a run has put it, leave it out, or let the next run decide."""
    intake = Intake(fields("deed", "priority", "run", "reason"))
    reason = intake.text("reason", longest=LONGEST_NOTE)
    priority = intake.whole("priority", least=1, most=4, default=2)
    with reading() as session:
        round_id = round_wishes.get(session, actor=actor(), wish_id=wish_id).round_id
    try:
        intake.demand()
        with transaction() as session:
            _settle(session, wish_id, intake.raw("deed"), priority or 2, intake.key("run"), reason)
    except Invalid as error:
        labels = {"reason": _("Why"), "priority": _("Priority"), "run": pgettext("in a plan", "Place")}
        shown = [Said(one, False) for one in said(error.errors, labels).values()]
        return round_page(round_id, problem=shown, title=_("Nothing was changed"), status=422)
    except Refused as refusal:
        return _refused(round_id, refusal, _("Nothing was changed"))
    return _done(round_id, _("Kept. Run the round again to see what it comes to."))


def _settle(
    session: Session, wish_id: UUID, deed: str, priority: int, run_id: UUID | None, reason: str
) -> None:
    same: dict[str, Any] = {"actor": actor(), "wish_id": wish_id, "now": utc_now()}
    if deed == "rank":
        round_wishes.rank(session, priority=priority, reason=reason, **same)
    elif deed == "unpin":
        round_wishes.unpin(session, **same)
    elif deed == "leave_out":
        round_wishes.pin(session, instrument_id=None, starts_at=None, reason=reason, **same)
    elif deed == "pin" and run_id is not None:
        run = round_drafts.run_of(session, actor=actor(), run_id=run_id)
        wish = round_wishes.get(session, actor=actor(), wish_id=wish_id)
        place = round_drafts.places(run, [wish]).get(wish_id)
        if place is None:
            raise Invalid({"run": "unknown"})
        round_wishes.pin(
            session,
            instrument_id=place.instrument_id,
            starts_at=place.starts_at,
            following=[(one.instrument_id, one.starts_at) for one in place.following],
            reason=reason,
            **same,
        )
    else:
        raise Invalid({"deed": "unknown"})
