"""What no request may bring, refused before any view."""

from flask import Flask, abort, request

from booking.http import downloads

_JSON = {"application/json"}
_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}


def init(app: Flask) -> None:
    """Refuse NUL characters in addresses, and bodies of the API that are not JSON."""
    app.before_request(_check)


def _check() -> None:
    if "\x00" in request.path or b"%00" in request.query_string:
        abort(400)
    file = downloads.takes_file(request)
    if request.path.startswith("/api/") and request.method in _WITH_BODY:
        body = request.content_length or "Transfer-Encoding" in request.headers
        # A form can be sent by any site without asking; JSON cannot.
        if body and request.mimetype not in (downloads.UPLOADS if file else _JSON):
            abort(415)
