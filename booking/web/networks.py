"""What a network looks like and who is in it, as its officers keep it."""

from collections.abc import Mapping
from typing import Any

from flask import Response, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking.db import Session, reading, transaction
from booking.domain import colours
from booking.domain.rules import Invalid
from booking.http import site
from booking.http.context import settings
from booking.http.forms import fields, sentences
from booking.http.guard import needs, open_to_all
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import facilities, networks
from booking.web import blueprint
from booking.web.forms import said
from models import Network

Answer = str | Redirect | tuple[str, int]

FIELDS = (*networks.LONGEST, "accent", "host")
_FOR_GOOD = f"public, max-age={365 * 24 * 3600}, immutable"


@blueprint.get("/networks/<code>/settings", endpoint="network_settings")
@needs("network.keep")
def show_settings(code: str) -> Answer:
    """Show what may be changed of a network."""
    return _page(code)


@blueprint.post("/networks/<code>/settings", endpoint="set_network")
@needs("network.keep")
def change_settings(code: str) -> Answer:
    """Change how a network looks, or only show how it would."""
    typed = fields(*FIELDS, "try")
    wanted = {name: typed[name] for name in FIELDS if name != "host" or actor().administrator}
    if typed["try"]:
        return _page(code, typed=typed)
    try:
        with transaction() as session:
            networks.dress(session, actor=actor(), code=code, wanted=wanted, now=utc_now())
    except Invalid as error:
        return _page(code, typed=typed, error=error), 422
    return _done(code)


@blueprint.post("/networks/<code>/logo", endpoint="set_network_logo")
@needs("network.keep")
def set_logo(code: str) -> Answer:
    """Give a network a logo."""
    fields()
    sent = request.files.get("file")
    try:
        with transaction() as session:
            content = sent.read() if sent else b""
            networks.set_logo(session, actor=actor(), code=code, content=content, now=utc_now())
    except Invalid as error:
        return _page(code, error=error), 422
    return _done(code)


@blueprint.post("/networks/<code>/logo/removal", endpoint="drop_network_logo")
@needs("network.keep")
def drop_logo(code: str) -> Answer:
    """Take the logo away."""
    fields()
    with transaction() as session:
        networks.drop_logo(session, actor=actor(), code=code, now=utc_now())
    return _done(code)


@blueprint.get("/networks/<code>/logo", endpoint="network_logo")
@needs("catalogue.read")
def logo(code: str) -> Response:
    """Send the logo of a network."""
    with reading() as session:
        media, digest, content = networks.logo(session, code=code)
    answer = Response(content, mimetype=media)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    # Its address names its content, so that caches may keep it.
    answer.headers["Cache-Control"] = _FOR_GOOD if request.args.get("v") == digest[:12] else "no-cache"
    answer.set_etag(digest)
    return answer.make_conditional(request)


@blueprint.get("/accents/<colour>.css", endpoint="accent")
@open_to_all
def accent(colour: str) -> Response:
    """Send the tokens that an accent sets, each readable where it stands, on light pages and on dark ones."""
    if not colours.is_colour(f"#{colour}"):
        abort(404)
    made = colours.palette(f"#{colour}")
    answer = Response(_root(made.light) + f"@media (prefers-color-scheme: dark){{{_root(made.dark)}}}\n")
    answer.mimetype = "text/css"
    answer.headers["Cache-Control"] = _FOR_GOOD
    return answer


def _root(tokens: Mapping[str, str]) -> str:
    return ":root{" + "".join(f"--{name}:{value};" for name, value in tokens.items()) + "}"


@blueprint.post("/networks/<code>/facilities", endpoint="add_to_network")
@needs("network.keep")
def add_facility(code: str) -> Answer:
    """Take a facility into a network."""
    typed = fields("facility")
    try:
        with transaction() as session:
            networks.add_facility(
                session, actor=actor(), code=code, facility=typed["facility"], now=utc_now()
            )
    except Invalid as error:
        return _page(code, error=error), 422
    return _done(code, "members")


@blueprint.post("/networks/<code>/facilities/<facility>/removal", endpoint="remove_from_network")
@needs("network.keep")
def remove_facility(code: str, facility: str) -> Answer:
    """Let a facility leave a network."""
    fields()
    try:
        with transaction() as session:
            networks.remove_facility(session, actor=actor(), code=code, facility=facility, now=utc_now())
    except Invalid as error:
        return _page(code, error=error), 422
    return _done(code, "members")


def _done(code: str, part: str = "") -> Redirect:
    site.forget()
    flash(_("Kept."), "success")
    return redirect(url_for("web.network_settings", code=code, _anchor=part or None), 303)


def _page(code: str, *, typed: dict[str, str] | None = None, error: Invalid | None = None) -> str:
    with reading() as session:
        row = networks.kept(session, actor=actor(), code=code)
        look = networks.brand(session, code=code)
        members, others = _facilities(session, row)
    form = typed or {name: getattr(row, name) or "" for name in FIELDS}
    errors = error.errors if error else {}
    accent = form["accent"].strip().lower()
    return render_template(
        "networks/settings.html",
        network=row,
        look=look,
        form=form,
        palette=colours.palette(accent) if colours.is_colour(accent) else None,
        wrong_accent=bool(accent) and not colours.is_colour(accent),
        accent=accent,
        longest=networks.LONGEST,
        members=members,
        others=[(one.code, name_of(one)) for one in others],
        errors=said(errors, _labels()),
        problems=sentences(error) if error else {},
        public_url=settings().public_url,
    )


def _facilities(session: Session, row: Network) -> tuple[list[Any], list[Any]]:
    """Give who is in a network, and who could be taken in by the reader."""
    every = facilities.listing(session)
    members = [one for one in every if row.id in {network.id for network in one.networks}]
    others = [one for one in every if one not in members and networks.may_add(actor(), row, one)]
    return members, others


def _labels() -> dict[str, str]:
    return {
        "name_zh": _("Name in Chinese"),
        "name_en": _("Name in English"),
        "short_zh": _("Short name in Chinese"),
        "short_en": _("Short name in English"),
        "footer_zh": _("Foot of the page in Chinese"),
        "footer_en": _("Foot of the page in English"),
        "contact": _("Contact"),
        "accent": _("Accent colour"),
        "host": _("Host name"),
        "file": _("Logo"),
        "facility": _("Facility"),
    }
