"""While somebody is away: who decides in their place, and for whom they decide."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import reading, transaction
from booking.domain import hours
from booking.domain.rules import Invalid
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, identity, utc_now
from booking.i18n import gettext as _
from booking.services import delegations
from booking.web import blueprint
from booking.web.forms import Intake, as_date, local_midnight, said

Answer = str | Redirect | tuple[str, int]


@blueprint.get("/absences", endpoint="absences")
@needs("delegation.keep")
def show_absences() -> Answer:
    """Show who decides for me while I am away, and for whom I decide."""
    return _page()


@blueprint.post("/absences")
@needs("delegation.keep")
def make_absence() -> Answer:
    """Let a colleague decide in my place for some days."""
    form = fields("delegate", "from", "until")
    intake = Intake(form)
    delegate = intake.text("delegate", longest=254)
    zone = hours.zone(_zone())
    first, last = as_date(form["from"]), as_date(form["until"])
    for name, day in (("from", first), ("until", last)):
        if day is None:
            intake.errors[name] = "malformed" if form[name] else "required"
    if intake.errors or first is None or last is None:
        return _page(form, intake.errors, 422)
    try:
        with transaction() as session:
            delegations.make(
                session,
                actor=actor(),
                delegate=delegate,
                starts_at=local_midnight(first, zone),
                ends_at=local_midnight(last + timedelta(days=1), zone),
                now=utc_now(),
            )
    except Invalid as error:
        return _page(form, error.errors, 422)
    flash(_("Noted. You may end it at any time."), "success")
    return redirect(url_for("web.absences"), 303)


@blueprint.post("/absences/<uuid:delegation_id>/end")
@needs("delegation.keep")
def end_absence(delegation_id: UUID) -> Answer:
    """Decide again myself."""
    fields()
    with transaction() as session:
        delegations.end(session, actor=actor(), delegation_id=delegation_id, now=utc_now())
    flash(_("You decide again yourself."), "success")
    return redirect(url_for("web.absences"), 303)


def _page(
    typed: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None, status: int = 200
) -> Answer:
    now = utc_now()
    today = now.astimezone(hours.zone(_zone())).date().isoformat()
    with reading() as session:
        own = delegations.own(session, actor=actor(), now=now)
        received = delegations.received(session, actor=actor(), now=now)
        known = delegations.colleagues(session, actor=actor())
    words = {"delegate": _("Colleague"), "from": _("First day"), "until": _("Last day")}
    page = render_template(
        "approvals/absences.html",
        own=own,
        received=received,
        colleagues=[(one.email, f"{one.name} · {one.email}") for one in known],
        typed={"delegate": "", "from": today, "until": today, **(typed or {})},
        errors=said(errors or {}, words),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
        zone=_zone(),
        now=now,
    )
    return page, status


def _zone() -> str:
    return identity().zone or "Asia/Shanghai"
