"""The hold of a form: time kept for who fills it, taken, renewed and given back while they do."""

from flask import render_template

from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import NotFound
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.http import limits
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import holds, instruments
from booking.services.rate_limits import TooMany
from booking.web import blueprint
from booking.web.forms import MOST_UNITS, Intake, as_code, as_uuid
from models import Hold

SPAN_FIELDS = ("start_date", "start_time", "end_date", "end_time")


@blueprint.post("/holds")
@needs("hold.take")
def hold() -> str:
    """Hold what stands in the form, renew the hold or give it back; tell what is held now, which may be nothing.

    Why something cannot be held is said by the verdict of the form.
    """
    form = fields(
        "instrument", *SPAN_FIELDS, "quantity", "booking", "renew", "release", "project", "booked_for"
    )
    zone = "UTC"
    try:
        with reading() as session:
            place = instruments.by_code(session, actor=actor(), code=as_code(form["instrument"]))
        zone = place.facility.zone
        intake = Intake(form)
        span = intake.span(hours.zone(zone))
        quantity = intake.whole("quantity", least=1, most=MOST_UNITS, default=1)
        if form["release"]:
            give_back(form["release"])
            return fragment(None, zone)
        if form["renew"]:
            return fragment(renew(form["renew"]), zone)
        if span is None or quantity is None:
            return fragment(None, zone)
        item = Item(place.id, span, quantity)
        return fragment(take([item], booking=form["booking"]), zone)
    except NotFound:
        return fragment(None, zone)


def take(items: list[Item], *, booking: str = "") -> Hold | None:
    """Hold the time for the reader; None where it cannot be, or was tried too often."""
    who = actor()
    try:
        limits.count((holds.TAKINGS, str(who.person_id)))
        with transaction() as session:
            return _take(session, items, booking)
    except (Refused, Invalid, NotFound, TooMany):
        return None


def _take(session: Session, items: list[Item], booking: str) -> Hold:
    return holds.take(session, actor=actor(), items=items, booking_id=as_uuid(booking), now=utc_now())


def renew(raw: str) -> Hold | None:
    """Renew the reader's hold; None where that is not possible any more."""
    hold_id = as_uuid(raw)
    if hold_id is None:
        return None
    try:
        with transaction() as session:
            return holds.renew(session, actor=actor(), hold_id=hold_id, now=utc_now())
    except NotFound:
        return None
    except Refused:
        with reading() as session:
            return holds.current(session, actor=actor(), now=utc_now())


def give_back(raw: str) -> None:
    """Give the reader's hold back, if there is one of this id."""
    hold_id = as_uuid(raw)
    if hold_id is None:
        return
    with transaction() as session:
        holds.release(session, actor=actor(), hold_id=hold_id, now=utc_now())


def fragment(held: Hold | None, zone: str) -> str:
    """Tell what is held, as the part of a form that is open already."""
    return render_template("bookings/hold_alone.html", held=told(held), zone=zone)


def told(held: Hold | None) -> dict[str, object] | None:
    """Give what a page says of a hold."""
    if held is None:
        return None
    left = (held.expires_at - utc_now()).total_seconds()
    return {
        "id": held.id,
        "until": held.expires_at,
        "seconds": max(0, int(left)),
        "renewable": holds.renewable(held),
    }
