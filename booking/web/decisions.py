"""A decision from a letter: the page behind a link, and the yes or no to one step without signing in."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import reading, transaction
from booking.domain.access import NotFound
from booking.domain.lifecycle import WrongMove
from booking.domain.rules import Invalid, Reason, Refused
from booking.http.forms import choices, fields
from booking.http.guard import open_to_all
from booking.http.identity import utc_now
from booking.http.locale import speak_as_the_letter
from booking.i18n import gettext as _
from booking.services import approval_steps, decision_links
from booking.services.bookings import Stale
from booking.web import blueprint
from booking.web.approvals import Decision, dates_of, dates_sent
from booking.web.bookings import version_of
from booking.web.forms import LONGEST_NOTE, Intake, labels, said
from booking.web.judgement import sentences
from booking.web.papers import declared_in_words, steps_in_words
from models import Booking

Answer = str | Redirect | tuple[str, int]


@blueprint.get("/decisions/<uuid:link_id>/<secret>")
@open_to_all
def decision(link_id: UUID, secret: str) -> Answer:
    """Show the request that waits for the link's person; looking decides nothing."""
    return _page(link_id, secret)


@blueprint.post("/decisions/<uuid:link_id>/<secret>")
@open_to_all
def decide_by_link(link_id: UUID, secret: str) -> Answer:
    """Approve or reject in the name of the link's person; the link works once."""
    form = fields("decision", "comment", "version", "together", many=("dates",))
    intake = Intake(form)
    wanted = intake.choice("decision", Decision)
    comment = intake.text("comment", longest=LONGEST_NOTE, lines=True)
    if wanted is Decision.REJECT and not comment and not intake.errors:
        intake.errors["comment"] = "why_not"
    dates = dates_of(" ".join(choices("dates"))) if form["together"] else None
    if dates is not None and not dates:
        intake.errors["dates"] = "required"
    if intake.errors or wanted is None:
        return _page(link_id, secret, errors=intake.errors, comment=form["comment"], status=422)
    try:
        with transaction() as session:
            whose = decision_links.decide(
                session,
                link_id=link_id,
                secret=secret,
                approves=wanted is Decision.APPROVE,
                comment=comment,
                version=version_of(form["version"]),
                dates=dates,
                now=utc_now(),
            )
    except NotFound:
        return _page(link_id, secret, status=410)
    except Invalid:
        return _page(link_id, secret, status=422)
    except Stale:
        return _page(link_id, secret, stale=True, comment=comment, status=412)
    except Refused as refusal:
        return _page(link_id, secret, reasons=refusal.reasons, comment=comment, status=409)
    except WrongMove:
        return _page(link_id, secret, status=409)
    speak_as_the_letter(whose.locale)
    flash(_("Thank you. Your decision is noted."), "success")
    return redirect(request.path, 303)


def _page(
    link_id: UUID,
    secret: str,
    *,
    errors: Mapping[str, str] | None = None,
    reasons: Sequence[Reason] = (),
    stale: bool = False,
    comment: str = "",
    status: int = 200,
) -> Answer:
    now = utc_now()
    try:
        with reading() as session:
            found = decision_links.opened(session, link_id=link_id, secret=secret, now=now)
            declared = approval_steps.declared(session, booking_id=found.booking.id)
            steps = approval_steps.current(session, booking_ids=[found.booking.id])[found.booking.id]
    except NotFound:
        return render_template("approvals/link_is_over.html"), 404
    speak_as_the_letter(found.actor.locale)
    step = next((one for one in steps if one.id == found.step.id), None)
    zone = found.booking.items[0].instrument.facility.zone
    page = render_template(
        "approvals/decision.html",
        open=found.voice is not None and step is not None,
        why_closed=_why_closed(found),
        name=found.actor.name,
        booking=found.booking,
        zone=zone,
        absent=wording.joined(one.name for one in found.voice.instead_of) if found.voice else "",
        step=steps_in_words([step])[0] if step else None,
        dates=[(one, dates_sent([one])) for one in _dates(found)],
        unticked=() if not errors else set(_unticked(found)),
        chemicals=declared_in_words(declared),
        address=url_for("web.decide_by_link", link_id=link_id, secret=secret),
        comment=comment,
        reasons=sentences(reasons, zone),
        stale=stale,
        errors=said(errors or {}, labels() | {"dates": _("Dates")}),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
    )
    return page, status


def _dates(found: decision_links.Opened) -> list[Booking]:
    """Give the dates of a series on which one word may count; none where the request stands alone."""
    others = [booking for booking, _step in found.others]
    return sorted([found.booking, *others], key=lambda one: one.starts_at) if others else []


def _unticked(found: decision_links.Opened) -> list[Booking]:
    ticked = dates_of(" ".join(choices("dates")))
    return [booking for booking in _dates(found) if booking.id not in ticked]


def _why_closed(found: decision_links.Opened) -> str:
    state = wording.state_name(found.booking.state)
    if found.used:
        return _("You have answered by this link, which works once. The booking is “%(state)s”.", state=state)
    if found.voice is None:
        return _("Your answer is not needed any more. The booking is “%(state)s”.", state=state)
    return ""
