"""What no request may bring, refused before any view."""

from flask import Flask, abort, request

from booking.domain import access
from booking.http import downloads, guard
from booking.http.identity import actor

_JSON = {"application/json"}
_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}


def init(app: Flask) -> None:
    """Refuse NUL characters in addresses, and let files be larger than other bodies."""
    app.before_request(_check)


def init_types(app: Flask) -> None:
    """Refuse bodies of the API that are not JSON, once it is known who sends them."""
    app.before_request(_check_type)


def _check() -> None:
    if "\x00" in request.path or b"%00" in request.query_string:
        abort(400)
    downloads.takes_file(request)


def _check_type() -> None:
    if not request.path.startswith("/api/") or request.method not in _WITH_BODY:
        return
    if request.endpoint is None:
        return  # nothing takes a body there: what is wrong is the address or the method
    body = request.content_length or "Transfer-Encoding" in request.headers
    taken = downloads.UPLOADS if downloads.takes_file(request) else _JSON
    # A form can be sent by any site without asking; JSON cannot.
    if body and request.mimetype not in taken and _may_come_in():
        abort(415)


def _may_come_in() -> bool:
    """Tell whether the view lets the sender in; whom it does not, it tells so itself."""
    action = guard.of_request()
    return action in (None, guard.OPEN) or access.could(actor(), str(action))
