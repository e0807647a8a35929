"""Refusals of CalDAV: what failed, and a sentence that programs show to whoever sits before them.

A rule that stands against a booking is 403, never 409 or 412: programs take these for a clash with their own copy, ask
whether to overwrite, and send the same again without asking for a version.
"""

from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from booking import i18n, wording
from booking.domain.access import VISITOR, Forbidden, in_scope
from booking.domain.dav import Unfit
from booking.domain.lifecycle import WrongMove
from booking.domain.rules import Invalid, Reason, Refused
from booking.feeds.caldav.multistatus import COMPLIANCE, METHODS, refusal
from booking.feeds.caldav.xml import C, D, Y
from booking.http import metrics, problems
from booking.http.identity import actor, identity
from booking.http.logs import security
from booking.i18n import gettext as _
from booking.services.availability import Alternative
from booking.services.rate_limits import TooMany
from booking.services.sign_in import Identity


def unknown() -> Response:
    """Ask for name and password."""
    if request.authorization is not None:
        security("unknown_token", path=request.path, address=request.remote_addr)
    g.identity = Identity(VISITOR)
    words = _("Sign in with your e-mail address and an app password; make one on the page “API tokens”.")
    response = Response(f"{words}\n", 401, mimetype="text/plain")
    response.headers["WWW-Authenticate"] = 'Basic realm="Yiqi", charset="UTF-8"'
    response.headers["DAV"] = COMPLIANCE
    return response


def open_password() -> Response:
    """Refuse a password that others may have read."""
    g.identity = Identity(VISITOR)
    security("open_password", path=request.path, address=request.remote_addr)
    return refusal(403, Y + "tls-required", _("Use https:// – a password must not travel in the clear."))


def forbidden(error: Forbidden) -> Response:
    """Refuse what this person, or this password, may not do."""
    if error.sign_in:
        return unknown()
    security("refused", action=error.action, path=request.path)
    if error.action in {"booking.change", "booking.cancel"} and in_scope(actor(), error.action):
        return unfit(Unfit("not_yours"))
    words = _(
        "Nothing can be changed here with this password. Instruments are booked in their own calendars."
    )
    return refusal(403, D + "need-privileges", words)


def missing() -> Response:
    """Say that there is nothing."""
    return refusal(404, Y + "not-found", wording.problem_detail("not_found"))


def unreadable() -> Response:
    """Refuse a body that is no XML."""
    return refusal(400, Y + "malformed", _("The request is no XML that can be read."))


def refused(error: Refused) -> Response:
    """Say every reason that stands against a booking, and what could be had instead."""
    problem = problems.refusal_of(error)
    codes = [reason.code for reason in error.reasons]
    metrics.refused(codes)
    reasons = [wording.sentence(reason.code, reason.params) for reason in error.reasons]
    instead = [_offer(one) for one in problems.alternatives(problem, waiting=False)[:3]]
    words = " ".join(reasons)
    if instead:
        words = _("%(reasons)s Possible instead: %(offers)s", reasons=words, offers=wording.strung(instead))
    return refusal(403, Y + ("resource-busy" if "taken" in codes else "refused"), words)


def _offer(found: Alternative) -> str:
    zone = identity().zone or "Asia/Shanghai"
    return _(
        "%(instrument)s, %(start)s–%(end)s (%(why)s)",
        instrument=found.code,
        start=i18n.format_datetime(found.start, zone),
        end=i18n.format_time(found.end, zone),
        why=wording.alternative_sentence(found),
    )


def wrong_move(error: WrongMove) -> Response:
    """Say that the booking is no longer where this is possible."""
    return refused(
        Refused([Reason("wrong_state", {"state": error.state.value, "action": error.action.value})])
    )


def invalid(error: Invalid) -> Response:
    """Say what makes no sense."""
    words = " ".join(f"{name}: {wording.error_sentence(code)}" for name, code in error.errors.items())
    return refusal(403, C + "valid-calendar-object-resource", words)


def unfit(error: Unfit) -> Response:
    """Say why an event cannot be booked as it was sent."""
    condition, say = _UNFIT[error.code]
    return refusal(403, condition, say())


_UNFIT = {
    "unreadable": (C + "valid-calendar-data", lambda: _("The event cannot be read.")),
    "too_large": (C + "max-resource-size", lambda: _("The event is too large.")),
    "not_an_event": (
        C + "supported-calendar-component",
        lambda: _("Only events can be kept here, no tasks and no notes."),
    ),
    "recurs": (
        Y + "no-recurrence",
        lambda: _("Book each date of its own here, or repeat a booking on the page of the instrument."),
    ),
    "no_end": (
        C + "valid-calendar-object-resource",
        lambda: _("A booking needs a beginning and an end after it."),
    ),
    "unknown_zone": (C + "valid-calendar-data", lambda: _("The time zone of the event is not known here.")),
    "uid_conflict": (
        C + "no-uid-conflict",
        lambda: _("This is already in the calendar under another address."),
    ),
    "not_yours": (
        D + "need-privileges",
        lambda: _("This is no booking of yours, so that you cannot change it here."),
    ),
}


def stale() -> Response:
    """Say that the program's copy is older than what is here."""
    return refusal(412, Y + "stale", wording.problem_detail("stale"))


def too_many(error: TooMany) -> Response:
    """Ask for patience."""
    response = refusal(429, Y + "too-many", wording.problem_detail("too_many"))
    response.headers["Retry-After"] = str(error.retry_after)
    return response


def unavailable() -> Response:
    """Ask to come again, since the database is away."""
    response = refusal(503, Y + "unavailable", wording.problem_detail("unavailable"))
    response.headers["Retry-After"] = str(problems.RETRY_AFTER)
    return response


def of_method() -> Response:
    """Refuse what programs try and we have not, such as making calendars."""
    words = _("Calendars are chosen on the page “Calendars”; they cannot be made or removed from here.")
    response = refusal(403, Y + "not-supported", words)
    response.headers["Allow"] = METHODS
    return response


def of_http(error: HTTPException) -> Response:
    """Say what else is wrong with a request."""
    status = error.code or 500
    words = _("The request is too large.") if status == 413 else error.name
    return refusal(status, Y + error.name.lower().replace(" ", "-"), words)
