"""Taking back, for a few minutes, what one did to a booking."""

from typing import Any
from uuid import UUID

from flask import Response, flash, redirect, url_for
from werkzeug.wrappers import Response as Redirect

from booking.db import transaction
from booking.domain.lifecycle import HOLDS, State
from booking.domain.rules import Refused
from booking.http.context import local_path
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import format_span
from booking.i18n import gettext as _
from booking.services import undoing
from booking.services.bookings import Stale
from booking.web import blueprint
from booking.web.bookings import book_again, booking_page, version_of
from booking.web.forms import with_link
from models import Booking

Answer = str | Response | Redirect | tuple[str, int]


@blueprint.post("/bookings/<uuid:booking_id>/undo", endpoint="undo_booking")
@needs("booking.change")
def undo_booking(booking_id: UUID) -> Answer:
    """Take back the last thing that I did to a booking."""
    form = fields("version", "back")
    try:
        with transaction() as session:
            found = undoing.undo(
                session,
                actor=actor(),
                booking_id=booking_id,
                version=version_of(form["version"]),
                now=utc_now(),
            )
    except Refused as refusal:
        return booking_page(
            booking_id, status=409, problem=refusal.reasons, title=_("This cannot be taken back any more")
        )
    except Stale:
        return booking_page(booking_id, status=412, stale=True)
    flash(_done(found, booking_id), "success")
    own = url_for("web.booking", booking_id=found.id) if found.state in HOLDS else url_for("web.my_bookings")
    return redirect(local_path(form["back"], own), 303)


def _done(found: Booking, asked: UUID) -> Any:
    if found.state not in HOLDS:
        words = _("Taken back, as if it had not been booked: the time is free again.")
        return with_link(words, book_again(found, utc_now()), _("Book it again"))
    if found.id != asked:
        return (
            _("Asked for again as it was; the facility has to approve it, and the time is held until then.")
            if found.state is State.REQUESTED
            else _("Booked again, as it was.")
        )
    if found.starts_at <= utc_now():  # nothing else is taken back once it has begun
        return (
            _("Taken back: %(name)s is expected again, and no points are lost.", name=found.person.name)
            if found.state is State.CONFIRMED
            else _("Taken back: %(name)s is checked in, and no points are lost.", name=found.person.name)
        )
    zone = found.items[0].instrument.facility.zone
    return _("Changed back: %(span)s.", span=format_span(found.starts_at, found.ends_at, zone))
