"""Against forged requests: every write that rides on a cookie carries a token of the session."""

from flask import Flask, current_app, request
from flask_wtf.csrf import CSRFProtect

from booking.http.identity import bearer, by_password, has_cookie

_protect = CSRFProtect()


def init(app: Flask) -> None:
    """Check every write; the token is in the form field `csrf_token` or the header `X-CSRFToken`."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # a token is as old as its session; pages stay open over lunch
    _protect.init_app(app)
    app.before_request(_check)


def _check() -> None:
    if request.endpoint is None or not current_app.config["WTF_CSRF_ENABLED"]:
        return
    if bearer() is not None:
        return  # no other site can make a browser send one, and cookies beside it count for nothing
    if by_password():
        return  # cookies count for nothing there, and other sites cannot make a browser send these methods
    if request.path.startswith("/api/") and not has_cookie():
        return  # a program that forgot its token: it is a visitor, and the guard says so
    _protect.protect()
