"""Organisations, as administrators keep them: where each is registered."""

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from booking import plan_words
from booking.db import reading, transaction
from booking.domain.vocabulary import REGIONS
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import organisations
from booking.web import blueprint


@blueprint.get("/organisations", endpoint="organisations")
@needs("organisation.keep")
def show_organisations() -> str:
    """Show all organisations, and where each is registered."""
    with reading() as session:
        rows = organisations.listing(session)
    known = {organisations.region_of(row): "" for row in rows} | dict.fromkeys(REGIONS, "")
    return render_template(
        "organisations/listing.html",
        rows=[(row, organisations.region_of(row)) for row in rows],
        regions=[
            ("", _("Not known")),
            *((code, plan_words.region_name(code)) for code in sorted(known) if code),
        ],
        words_of=plan_words,
    )


@blueprint.post("/organisations/<code>/region")
@needs("organisation.keep")
def register_organisation(code: str) -> Redirect:
    """Say where an organisation is registered."""
    region = fields("region")["region"]
    with transaction() as session:
        organisations.register_in(session, actor=actor(), code=code, region_code=region, now=utc_now())
    flash(_("Kept."), "success")
    return redirect(url_for("web.organisations"), 303)
