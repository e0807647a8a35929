"""How to have one's calendars in a program that speaks CalDAV, and to book instruments from there."""

from flask import render_template

from booking import i18n
from booking.db import reading
from booking.http.context import public_url_for
from booking.http.guard import needs
from booking.http.identity import actor
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import dav
from booking.services.dav import Collection
from booking.web import blueprint


@blueprint.get("/calendars/programs", endpoint="programs")
@needs("calendar.make")
def show_programs() -> str:
    """Say what to type into a calendar program, and which of my calendars it will find."""
    who = actor()
    with reading() as session:
        found = dav.listing(session, actor=who, locale=i18n.current_locale())
    return render_template(
        "calendars/programs.html",
        server=public_url_for("caldav.entrance"),
        email=who.email,
        calendars=[
            (_title(one), public_url_for("caldav.calendar", person_id=who.person_id, name=one.name), one)
            for one in found
        ],
    )


def _title(one: Collection) -> str:
    kept = one.kept.display_name if one.kept else ""
    return kept or (name_of(one.found.subject) if one.found.subject else _("My bookings"))
