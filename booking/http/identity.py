"""Who is asking: a session's cookie or a Bearer token becomes an Actor, with one statement a request."""

import ipaddress
import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flask import Flask, Response, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from booking.db import reading_newest, transaction
from booking.domain.access import VISITOR, Actor
from booking.http.context import settings
from booking.services import sign_in, tokens
from booking.services.sign_in import Identity

_log = logging.getLogger(__name__)
_VISITOR = Identity(VISITOR)

NOTED_EVERY = timedelta(minutes=5)
"""How often it is noted that a session or token was used."""


class UnknownToken(Exception):
    """A Bearer token that there is not, not any more, or whose person may not sign in."""


class OpenPassword(Exception):
    """A password that came over a connection on which others can read."""


class _User(UserMixin):  # type: ignore[misc]
    """What flask-login keeps for a request: the session's secret and who it stands for."""

    def __init__(self, secret: str, identity: Identity) -> None:
        self.secret = secret
        self.identity = identity

    def get_id(self) -> str:
        return self.secret


class _Cookies(SecureCookieSessionInterface):
    """Flask's signed cookies, with the signer made once and not for each request."""

    _signer: Any = None

    def get_signing_serializer(self, app: Flask) -> Any:
        self._signer = self._signer or super().get_signing_serializer(app)
        return self._signer


def utc_now() -> datetime:
    """Give the time: the clock of all edges that answer requests."""
    return datetime.now(UTC)


def actor() -> Actor:
    """Give who is asking, a visitor if nobody signed in.

    :raises UnknownToken: if a Bearer token was sent that is not valid
    """
    return identity().actor


def identity() -> Identity:
    """Give who is asking and how we know, found once a request.

    :raises UnknownToken: if a Bearer token was sent that is not valid
    """
    found: Identity | None = g.get("identity")
    if found is None:
        token = bearer()
        if token is not None:
            found = _by_token(token)
        elif by_password():
            found = _by_password()
        else:
            found = _by_cookie()
        g.identity = found
    return found


def by_password() -> bool:
    """Tell whether programs give name and password with each request here, and cookies count for nothing."""
    return request.path == "/caldav" or request.path.startswith("/caldav/")


def bearer() -> str | None:
    """Give the Bearer token that was sent, None without one. Who sends one is never known by cookie."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def has_cookie() -> bool:
    """Tell whether the request claims a session."""
    return "_user_id" in session


def _by_token(token: str) -> Identity:
    with reading_newest() as db:
        found = tokens.by_secret(db, secret=token, now=utc_now())
    if found is None:
        raise UnknownToken
    return found


def _by_password() -> Identity:
    """Know a calendar program by its person's address and a token of theirs.

    :raises OpenPassword: if others on the way could have read it
    """
    sent = request.authorization
    if sent is None or sent.type != "basic":
        return _VISITOR
    if settings().production and not (request.is_secure or _from_here()):
        raise OpenPassword
    # A stranger's name costs what anybody's does: the token alone is looked up.
    found = _by_token(sent.password or "")
    if found.actor.email != (sent.username or "").strip().lower():
        raise UnknownToken
    return found


def _from_here() -> bool:
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _by_cookie() -> Identity:
    # Asked first, so that a request without a session does not touch it, and its answer varies by no cookie.
    if not has_cookie() or not current_user.is_authenticated:
        return _VISITOR
    found: Identity = current_user.identity
    return found


def _load(secret: str) -> _User | None:
    now = utc_now()
    with reading_newest() as db:
        found = sign_in.by_secret(db, secret=secret, idle=_idle(), now=now)
    return None if found is None else _User(secret, found)


def _idle() -> timedelta:
    return timedelta(hours=settings().session_hours)


def begin(secret: str) -> None:
    """Give the browser a session that was just started; whatever it held before is forgotten."""
    session.clear()
    session.permanent = True
    user = _load(secret)
    if user is not None:
        login_user(user)
        g.identity = user.identity


def forget() -> None:
    """Take the session from the browser."""
    logout_user()
    session.clear()
    g.identity = _VISITOR


def init(app: Flask) -> None:
    """Know people by their cookie."""
    app.session_interface = _Cookies()
    manager = LoginManager()
    # The secret itself is checked on the server; a changed network or browser version ends no session.
    manager.session_protection = None
    manager.user_loader(_load)
    # Not init_app: its hook for "remember me" cookies, which we do not have, would touch every session.
    app.login_manager = manager  # type: ignore[attr-defined]
    app.after_request(_note_use)


def _note_use(response: Response) -> Response:
    found: Identity | None = g.get("identity")
    if found is not None and found.noted_at is not None:
        now = utc_now()
        if now - found.noted_at >= NOTED_EVERY:
            response.call_on_close(partial(_note, found, request.user_agent.string, now))
    return response


def _note(found: Identity, agent: str, now: datetime) -> None:
    """Note the use when the answer has gone out: no request waits for it, and none fails by it."""
    try:
        with transaction() as db:
            if found.token_id is not None:
                tokens.note_use(db, token_id=found.token_id, agent=agent, now=now)
            elif found.sign_in_id is not None:
                sign_in.note_use(db, sign_in_id=found.sign_in_id, now=now)
    except Exception:  # noqa: BLE001 - the answer is out; nobody can be told but the log
        _log.warning("the last use of a session or token could not be noted", exc_info=True)
