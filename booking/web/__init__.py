"""Pages: every module here adds its routes to the one blueprint, and stands in the list below."""

from flask import Blueprint, Flask

blueprint = Blueprint("web", __name__)

# They need the blueprint above. One a line: a new file of pages is a new line here.
from booking.web import accounts as accounts  # noqa: E402
from booking.web import approvals as approvals  # noqa: E402
from booking.web import availability as availability  # noqa: E402
from booking.web import booking_form as booking_form  # noqa: E402
from booking.web import bookings as bookings  # noqa: E402
from booking.web import calendars as calendars  # noqa: E402
from booking.web import cards as cards  # noqa: E402
from booking.web import catalogue as catalogue  # noqa: E402
from booking.web import closures as closures  # noqa: E402
from booking.web import desk as desk  # noqa: E402
from booking.web import health as health  # noqa: E402
from booking.web import home as home  # noqa: E402
from booking.web import navigation as navigation  # noqa: E402
from booking.web import sign_in as sign_in  # noqa: E402
from booking.web import words as words  # noqa: E402

navigation.register(blueprint)
words.register(blueprint)
cards.register(blueprint)


def register(app: Flask) -> None:
    """Put the pages into the application."""
    app.register_blueprint(blueprint)
