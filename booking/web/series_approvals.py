"""Approvals of series: the dates that wait for the reader, decided together or one by one."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for

from booking.db import reading, transaction
from booking.domain import recurrence
from booking.domain.access import Forbidden, NotFound, could
from booking.domain.lifecycle import WrongMove
from booking.domain.rules import Refused
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import ngettext
from booking.services import approval_steps, approvals, papers, series_approvals
from booking.services.bookings import Stale
from booking.services.series_approvals import Decided
from booking.web import blueprint
from booking.web.approvals import dates_of, dates_sent, why_not
from booking.web.bookings import Answer
from booking.web.forms import LONGEST_NOTE, Intake, as_uuid, said
from booking.web.papers import declared_in_words, steps_in_words
from booking.web.repetition import rule_words, said_errors
from models import Series


class Deed(StrEnum):
    """What is done with the dates: the same with all of them, or with each what was chosen for it."""

    APPROVE = "approve"
    REJECT = "reject"
    CHOSEN = "chosen"


class Choice(StrEnum):
    """What is chosen for one date."""

    APPROVE = "approve"
    REJECT = "reject"
    LATER = "later"


@blueprint.get("/series/<uuid:series_id>/approvals", endpoint="series_approvals")
@needs("approval.decide")
def show_series_approvals(series_id: UUID) -> Answer:
    """Show the dates of a series that wait for my decision, with a choice for each."""
    return _page(series_id, {})


@blueprint.post("/series/<uuid:series_id>/approvals")
@needs("approval.decide")
def decide_series(series_id: UUID) -> Answer:
    """Decide dates of a series, all of those that were chosen or none."""
    # It comes from this page, or from the inbox, whose form is that of all requests.
    form = fields("decision", "comment", "back", *_of_each(), many=("chosen",))
    intake = Intake(form | {"comment": form.get(f"comment-{series_id}") or form["comment"]})
    deed = intake.choice("decision", Deed)
    comment = intake.text("comment", longest=LONGEST_NOTE, lines=True)
    seen = dates_of(form.get(f"dates-{series_id}", ""))
    answers = {one: _said(deed, form.get(f"date-{one}", "")) for one in seen}
    wanted = {one: yes for one, yes in answers.items() if yes is not None}
    if not wanted and not intake.errors:
        intake.errors["decision"] = "required"
    if not all(wanted.values()) and not comment and not intake.errors:
        intake.errors["comment"] = "why_not"
    if intake.errors:
        return _page(series_id, form, errors=intake.errors, status=422)
    try:
        with transaction() as session:
            decided = series_approvals.decide(
                session,
                actor=actor(),
                series_id=series_id,
                said=wanted,
                comment=comment,
                versions=seen,
                now=utc_now(),
            )
    except NotFound:
        if not could(actor(), "booking.approve"):
            raise Forbidden(approvals.ACTION) from None
        raise
    except (Refused, WrongMove, Stale) as error:
        return _page(series_id, form, problem=why_not(error), status=412 if isinstance(error, Stale) else 409)
    for words in _told(decided):
        flash(words, "success")
    return redirect(url_for("web.approvals"), 303)


def _of_each() -> list[str]:
    """Give the fields of single dates and requests."""
    known = {"version", "comment", "dates", "date"}
    return [
        name for name in request.form if name.partition("-")[0] in known and as_uuid(name.partition("-")[2])
    ]


def _said(deed: Deed | None, choice: str) -> bool | None:
    if deed is Deed.CHOSEN:
        return {Choice.APPROVE.value: True, Choice.REJECT.value: False}.get(choice)
    return None if deed is None else deed is Deed.APPROVE


def _told(decided: Decided) -> list[str]:
    yes, no, rest = len(decided.approved), len(decided.rejected), len(decided.waiting)
    return [
        *([ngettext("%(num)d date approved.", "%(num)d dates approved.", yes, num=yes)] if yes else []),
        *([ngettext("%(num)d date rejected.", "%(num)d dates rejected.", no, num=no)] if no else []),
        *([_("Your word is noted; others have to decide besides.")] if rest else []),
    ]


def _page(
    series_id: UUID,
    typed: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Answer:
    now = utc_now()
    with reading() as session:
        try:
            found = series_approvals.asked(session, actor=actor(), series_id=series_id, now=now)
        except NotFound:
            if not problem:
                raise
            flash(problem, "warning")
            return redirect(url_for("web.approvals"), 303)
        row = session.get_one(Series, series_id)
        first = found[0].booking
        declared = approval_steps.declared(session, booking_id=first.id)
        attached = papers.of_booking(session, booking_id=first.id)
    dates = [one.booking for one in found]
    page = render_template(
        "series/approvals.html",
        series=row,
        rule=rule_words(recurrence.parse(row.rule, row.first_day)),
        dates=dates,
        sent=dates_sent(dates),
        first=first,
        zone=row.zone,
        steps=steps_in_words(found[0].steps),
        chemicals=declared_in_words(declared),
        papers=attached,
        chosen={booking.id: typed.get(f"date-{booking.id}", Choice.APPROVE.value) for booking in dates},
        comment=typed.get(f"comment-{series_id}") or typed.get("comment", ""),
        errors=said(errors or {}, {"comment": _("Comment"), "decision": _("Your decision")}),
        problems=said_errors(errors or {}),
        problem=problem,
        now=now,
    )
    return page, status
