"""The page of a screen on a wall: it belongs to nobody, names nobody, and changes only when something happens."""

from collections.abc import Sequence
from hashlib import sha256

from flask import Response, make_response, render_template, request
from markupsafe import Markup

from booking import i18n
from booking.db import reading, transaction
from booking.gateways import labels as drawing
from booking.gateways.labels import Label
from booking.http.context import public_url_for
from booking.http.guard import open_to_all
from booking.http.identity import utc_now
from booking.i18n import gettext as _
from booking.services import kiosks, screens
from booking.services.labels import Status
from booking.services.screens import Shown
from booking.web import blueprint
from models import KioskKind

ROWS = 8
"""Instruments that are read from afar on one page."""

SECONDS = 20
"""So often a screen asks whether anything has changed."""

_LOOKS = {
    Status.FREE: "free",
    Status.IN_USE: "busy",
    Status.BOOKED: "busy",
    Status.CLEANING: "busy",
}


@blueprint.get("/wall/<secret>", endpoint="screen")
@open_to_all
def show_screen(secret: str) -> Response:
    """Show what the instruments of a screen are doing; unchanged since the client's copy, nothing is sent."""
    now = utc_now()
    with reading() as session:
        kiosk = kiosks.by_secret(session, secret=secret, kind=KioskKind.SCREEN)
        facility = kiosks.facility_of(session, kiosk=kiosk)
        rows = screens.show(session, kiosk=kiosk, now=now)
    if kiosk.seen_at is None or kiosk.seen_at < now - kiosks.SEEN_EVERY:
        with transaction() as session:
            kiosks.note_seen(session, kiosk_id=kiosk.id, now=now)
    alone = kiosk.instrument_id is not None
    code = rows[0].instrument.code if alone and rows else facility.code
    address = public_url_for("web.instrument" if alone and rows else "web.facility", code=code)
    page = render_template(
        "kiosks/screen.html",
        kiosk=kiosk,
        facility=facility,
        alone=alone,
        pages=[rows[first : first + ROWS] for first in range(0, len(rows), ROWS)],
        zone=facility.zone,
        look=lambda shown: _LOOKS.get(shown.status, "shut"),
        word=_word,
        until=lambda shown: _until(shown, facility.zone),
        ahead=lambda shown: _ahead(shown, facility.zone),
        drawn=Markup(drawing.svg(Label(address, code)).decode()),  # noqa: S704 - all escaped
        seconds=SECONDS,
    )
    return _answer(page)


def _answer(page: str) -> Response:
    tag = sha256(page.encode()).hexdigest()[:32]
    response = Response(status=304) if request.if_none_match.contains_weak(tag) else make_response(page)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _word(shown: Shown) -> str:
    if shown.status is Status.FREE and shown.instrument.units > 1:
        return _("%(free)s of %(units)s free", free=shown.free, units=shown.instrument.units)
    return {
        Status.FREE: _("Free"),
        Status.IN_USE: _("In use"),
        Status.BOOKED: _("Taken"),
        Status.CLEANING: _("In use"),
        Status.DOWN: _("Out of order"),
        Status.CLOSED: _("Closed"),
        Status.SHUT: _("Not open"),
    }[shown.status]


def _until(shown: Shown, zone: str) -> str:
    if shown.until is None:
        return ""
    at = i18n.format_time(shown.until, zone)
    if i18n.format_date(shown.until, zone) != i18n.format_date(utc_now(), zone):
        at = f"{i18n.format_date(shown.until, zone, 'day')} {at}"
    return _("opens %(at)s", at=at) if shown.status is Status.SHUT else _("until %(at)s", at=at)


def _ahead(shown: Shown, zone: str) -> Sequence[str]:
    return [
        f"{i18n.format_time(span.start, zone)}–{i18n.format_time(span.end, zone)}" for span in shown.ahead
    ]
