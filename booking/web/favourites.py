"""The star at an instrument: kept at hand, or no longer."""

from flask import flash, g, redirect, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response as Redirect

from booking.db import Unavailable, reading, transaction
from booking.domain.access import could
from booking.http.context import local_path
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import favourites
from booking.web import blueprint


@blueprint.post("/instruments/<code>/favourite", endpoint="add_favourite")
@needs("favourite.keep")
def add(code: str) -> Redirect:
    """Keep an instrument at hand."""
    back = fields("back")["back"]
    with transaction() as session:
        row = favourites.add(session, actor=actor(), code=code, now=utc_now())
        name = name_of(row)
    flash(_("“%(name)s” is among your favourites.", name=name), "success")
    return _back(code, back)


@blueprint.post("/instruments/<code>/favourite/removal", endpoint="drop_favourite")
@needs("favourite.keep")
def drop(code: str) -> Redirect:
    """Keep an instrument at hand no longer."""
    back = fields("back")["back"]
    with transaction() as session:
        row = favourites.drop(session, actor=actor(), code=code)
        name = name_of(row)
    flash(_("“%(name)s” is no longer among your favourites.", name=name), "success")
    return _back(code, back)


def is_favourite(instrument_id: int) -> bool:
    """Tell whether the reader keeps an instrument at hand; one statement for a whole page."""
    if "favourites" not in g:
        try:
            with reading() as session:
                g.favourites = frozenset(favourites.ids(session, actor=actor()))
        except Unavailable:
            g.favourites = frozenset()
    return instrument_id in g.favourites


def may_keep() -> bool:
    """Tell whether the reader can keep anything at hand."""
    return could(actor(), favourites.ACTION)


def _back(code: str, back: str) -> Redirect:
    return redirect(local_path(back, url_for("web.instrument", code=code)), 303)


def _give(state: BlueprintSetupState) -> None:
    state.app.jinja_env.globals.update(is_favourite=is_favourite, may_keep_favourites=may_keep)


blueprint.record_once(_give)
