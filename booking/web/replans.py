"""Replans: repairs of what a closure displaces with what each asks of whom, and how people have answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import plan_words
from booking.db import Session, reading, transaction
from booking.domain.access import Subject, may
from booking.domain.occupation import Item
from booking.domain.replanning import ReplanState
from booking.domain.rules import Refused
from booking.http.context import settings
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import ngettext
from booking.services import facilities, instruments, proposals, replans, solver_runs
from booking.services.proposals import Change
from booking.services.replans import Repair
from booking.web import blueprint
from booking.web.judgement import Said, sentences
from models import Booking, Facility, Instrument, Replan, RunState, SolverRun

Answer = str | Redirect | tuple[str, int]


@dataclass(frozen=True)
class Row:
    """What a repair asks of one booking, as its table tells it."""

    change: Change
    booking: Booking
    items: Sequence[Item]

    @property
    def divided(self) -> bool:
        """Tell whether it gets several parts instead of one place."""
        return len(self.items) > len(self.booking.items)

    @property
    def late(self) -> bool:
        """Tell whether it comes after the day by which it is needed."""
        return proposals.too_late(self.booking, self.items)


@dataclass(frozen=True)
class Card:
    """One repair with its rows."""

    repair: Repair
    name: str
    rows: Sequence[Row]


@blueprint.post("/closures/<uuid:closure_id>/replan", endpoint="begin_replan")
@needs("closure.make")
def begin_replan(closure_id: UUID) -> Answer:
    """Look for other places for what a closure displaces."""
    fields()
    try:
        with transaction() as session:
            row = replans.begin(session, actor=actor(), closure_id=closure_id, now=utc_now())
            return redirect(url_for("web.replan", replan_id=row.id), 303)
    except Refused as refusal:
        for said in sentences(refusal.reasons, "Asia/Shanghai"):
            flash(said.message, "warning")
        return redirect(url_for("web.closures"), 303)


@blueprint.post("/replans/<uuid:replan_id>/search", endpoint="search_replan")
@needs("closure.make")
def search_replan(replan_id: UUID) -> Answer:
    """Look for other places anew."""
    fields()
    try:
        with transaction() as session:
            replans.again(session, actor=actor(), replan_id=replan_id, now=utc_now())
    except Refused as refusal:
        return _page(replan_id, problem=sentences(refusal.reasons, "Asia/Shanghai"), status=409)
    return redirect(url_for("web.replan", replan_id=replan_id), 303)


@blueprint.get("/replans/<uuid:replan_id>", endpoint="replan")
@needs("facility.desk")
def show_replan(replan_id: UUID) -> Answer:
    """Show how far the search is, the repairs that it found, or what people have answered."""
    return _page(replan_id)


@blueprint.post("/replans/<uuid:replan_id>/proposals", endpoint="send_replan")
@needs("closure.make")
def send_replan(replan_id: UUID) -> Answer:
    """Ask the people of the repair that was chosen."""
    typed = fields("repair", "version")
    try:
        with transaction() as session:
            row = replans.send(
                session,
                actor=actor(),
                replan_id=replan_id,
                chosen=int(typed["repair"]) if typed["repair"].isdecimal() else -1,
                version=int(typed["version"]) if typed["version"].isdecimal() else None,
                key=settings().key(),
                now=utc_now(),
            )
            asked = sum(not one.by_agreement for one in row.proposals)
    except Refused as refusal:
        return _page(replan_id, problem=sentences(refusal.reasons, "Asia/Shanghai"), status=409)
    words = ngettext("%(num)d person is asked.", "%(num)d people are asked.", asked, num=asked)
    flash(words, "success")
    return redirect(url_for("web.replan", replan_id=replan_id), 303)


@blueprint.post("/replans/<uuid:replan_id>/withdrawal", endpoint="withdraw_replan")
@needs("closure.make")
def withdraw_replan(replan_id: UUID) -> Answer:
    """Take back what nobody has answered yet."""
    fields()
    with transaction() as session:
        replans.withdraw(session, actor=actor(), replan_id=replan_id, now=utc_now())
    flash(_("Taken back. Those who had not answered keep their bookings as they are."), "success")
    return redirect(url_for("web.replan", replan_id=replan_id), 303)


@blueprint.post("/replans/<uuid:replan_id>/stop", endpoint="stop_replan")
@needs("closure.make")
def stop_replan(replan_id: UUID) -> Answer:
    """Stop looking, with the best found so far."""
    fields()
    with transaction() as session:
        row = replans.lock(session, actor(), replan_id, None)
        if row.run_id is not None:
            solver_runs.stop(session, run_id=row.run_id)
    return redirect(url_for("web.replan", replan_id=replan_id), 303)


def _page(replan_id: UUID, *, problem: Sequence[Said] = (), status: int = 200) -> Answer:
    with reading() as session:
        row = replans.get(session, actor=actor(), replan_id=replan_id)
        run = replans.run_of(session, actor=actor(), replan_id=replan_id)
        facility = next(
            one for one in facilities.managed(session, actor=actor()) if one.id == row.facility_id
        )
        cards = _cards(session, run) if run is not None else []
        proposed = {one.id: proposals.proposed_items(one) for one in row.proposals}
        before = {one.id: proposals.items_before(one) for one in row.proposals}
        late = {one.id for one in row.proposals if proposals.too_late(one.booking, proposed[one.id])}
        by_hand = replans.by_hand(session, run) if run is not None else []
        lines = [line.items for card in cards for line in card.rows]
        wanted = {
            item.instrument_id for items in (*lines, *proposed.values(), *before.values()) for item in items
        }
        places = instruments.by_ids(session, instrument_ids=wanted)
        struck = _struck(session, row)
        manages = may(actor(), "closure.make", Subject(facility_id=row.facility_id))
    running = run is not None and run.state in solver_runs.OPEN
    if request.args.get("part") == "progress":
        return render_template("runs/progress.html", run=run, running=running, words_of=plan_words)
    page = render_template(
        "replans/one.html",
        row=row,
        run=run,
        running=running,
        failed=run is not None and run.state is RunState.FAILED,
        facility=facility,
        struck=struck,
        cards=cards,
        proposed=proposed,
        before=before,
        late=late,
        by_hand=by_hand,
        places=places,
        manages=manages,
        can_send=manages and row.state is ReplanState.OPEN and bool(cards),
        problem=problem,
        words_of=plan_words,
    )
    return page, status


def _struck(session: Session, row: Replan) -> Facility | Instrument:
    place = replans.place_of(row)
    if place is None:
        return session.get_one(Facility, row.facility_id)
    return session.get_one(Instrument, place)


def _cards(session: Session, run: SolverRun) -> list[Card]:
    found = replans.repairs(run)
    every = [change for repair in found for change in repair.changes]
    concerned = replans.bookings_of(session, every)
    return [
        Card(
            repair,
            plan_words.repair_name(repair.kind),
            [
                Row(change, concerned[change.booking_id], _items(concerned[change.booking_id], change))
                for change in repair.changes
                if change.booking_id in concerned
            ],
        )
        for repair in found
    ]


def _items(booking: Booking, change: Change) -> list[Item]:
    """Give what a booking would have: its place, or the parts into which it could be divided where there is none."""
    return proposals.items_of(booking, change) or list(change.instead)
