"""The installable web app: its manifest, the worker that keeps it, and the page that is left without a network.

Kept on the device are the shell of that page, which is the same for everybody, and the next bookings of whoever is
signed in there, until they sign out.
"""

import functools
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Response, abort, current_app, render_template, url_for

from booking import i18n, wording
from booking.db import reading
from booking.domain.lifecycle import State
from booking.domain.spans import Span
from booking.gateways import pdf
from booking.http import site
from booking.http.context import public_url_for, settings
from booking.http.guard import needs, open_to_all
from booking.http.identity import actor, utc_now
from booking.http.static import static_url, styles_url
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import bookings
from booking.web import blueprint
from models import Booking, BookingItem

AHEAD = timedelta(days=60)
MOST = 20
"""So many bookings are kept on a device."""

STYLES = ("tokens", "base", "forms", "parts", "offline")
KEPT = frozenset({State.REQUESTED, State.CONFIRMED, State.CHECKED_IN})
ICONS = (("icon-192.png", "192x192", "any"), ("icon-512.png", "512x512", "any"))
MASKABLE = ("icon-maskable-512.png", "512x512", "maskable")


@blueprint.get("/manifest.webmanifest", endpoint="manifest")
@open_to_all
def manifest() -> Response:
    """Say what the app is called and looks like once it is installed."""
    brand = site.brand()
    name = name_of(brand) if brand else _("Yiqi: find, book and share pilot-plant instruments")
    short = (i18n.either(brand.short_zh, brand.short_en) or name) if brand else _("Yiqi")
    told = {
        "id": "/",
        "name": name,
        "short_name": short,
        "lang": i18n.language_tag(),
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f4f6f7",
        "theme_color": brand.accent if brand and brand.accent else "#0b5a7d",
        "icons": [
            {"src": static_url(f"img/{file}"), "sizes": sizes, "type": "image/png", "purpose": purpose}
            for file, sizes, purpose in (*ICONS, MASKABLE)
        ],
        "shortcuts": [
            {"name": _("Find a time"), "url": url_for("web.free")},
            {"name": _("My bookings"), "url": url_for("web.my_bookings")},
        ],
    }
    answer = Response(json.dumps(told, ensure_ascii=False), mimetype="application/manifest+json")
    answer.headers["Cache-Control"] = "no-cache"
    answer.vary.update(["Accept-Language", "Cookie"])
    return answer


@blueprint.get("/sw.js", endpoint="worker")
@open_to_all
def worker() -> Response:
    """Give the service worker; its first line names what it keeps, so that it changes whenever that does."""
    shell = {
        "pages": {locale: url_for("web.offline", locale=locale) for locale in i18n.LOCALES},
        "files": [
            styles_url(*STYLES),
            static_url("js/offline.js"),
            static_url("img/mark.svg"),
        ],
    }
    code = Path(current_app.static_folder or "", "js", "worker.js").read_text(encoding="utf-8")
    text = f"const SHELL = {json.dumps(shell)};\n{code}"
    answer = Response(text, mimetype="text/javascript")
    answer.headers["Cache-Control"] = "no-cache"
    answer.add_etag()
    return answer


@blueprint.get("/offline/<locale>", endpoint="offline")
@open_to_all
def offline(locale: str) -> str:
    """Give the page that is left without a network: the same for everybody, filled in from what the device keeps."""
    if locale not in i18n.LOCALES:
        abort(404)
    with i18n.use_locale(locale):
        return render_template("offline/page.html", styles=STYLES)


@blueprint.get("/account/offline.json", endpoint="offline_bookings")
@needs("booking.list")
def offline_bookings() -> Response:
    """Give my next bookings as the device keeps them: worded, with the code that opens each."""
    now = utc_now()
    with reading() as session:
        found, _total = bookings.listing(
            session,
            actor=actor(),
            mine=True,
            within=Span(now, now + AHEAD),
            states=KEPT,
            page_size=MOST,
        )
        told = {
            "reader": str(actor().person_id),
            "name": actor().name,
            "locale": i18n.current_locale(),
            "at": i18n.format_datetime(now, found[0].items[0].instrument.facility.zone if found else "UTC"),
            "until": (now + timedelta(days=settings().session_days)).isoformat(),
            "items": [_told(booking) for booking in found],
        }
    answer = Response(json.dumps(told, ensure_ascii=False), mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _told(booking: Booking) -> dict[str, Any]:
    return {
        "id": str(booking.id),
        "state": wording.state_name(booking.state),
        "ends": booking.ends_at.isoformat(),
        "parts": [_part(item) for item in booking.items],
        "code": code_of(public_url_for("web.booking", booking_id=booking.id)),
    }


@functools.lru_cache(maxsize=256)
def code_of(address: str) -> dict[str, Any]:
    """Give the code that leads to an address as a drawing: its side in modules, and the path of the dark ones."""
    rows = pdf.matrix(address)
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    return {"size": len(rows), "path": path}


def _part(item: BookingItem) -> dict[str, str]:
    facility = item.instrument.facility
    return {
        "what": name_of(item.instrument),
        "code": item.instrument.code,
        "when": i18n.format_span(item.starts_at, item.ends_at, facility.zone),
        "where": " · ".join(filter(None, (name_of(facility), item.instrument.location, facility.address))),
        "contact": facility.contact,
    }
