"""Exceptions become answers, in one place: RFC 9457 problems for programs, pages for people."""

import json
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, g, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from markupsafe import escape
from werkzeug.exceptions import HTTPException

from booking import wording
from booking.db import Unavailable, reading
from booking.domain.access import VISITOR, Forbidden, NotFound
from booking.domain.lifecycle import WrongMove
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Reason, Refused
from booking.http import admission, crowds, metrics
from booking.http.context import for_programs, local_path
from booking.http.identity import UnknownToken, actor, utc_now
from booking.http.logs import request_id, security
from booking.i18n import language_tag
from booking.services import alternatives as offers
from booking.services import availability, waitlist
from booking.services.bookings import KeyReused, Stale
from booking.services.gates import Wish
from booking.services.rate_limits import TooMany
from booking.services.sign_in import Identity

_log = logging.getLogger(__name__)

RETRY_AFTER = 5
"""Seconds after which a database that was busy is worth another try."""

_CODES = {
    400: "bad_request",
    401: "unauthorised",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "timeout",
    409: "conflict",
    410: "gone",
    412: "stale",
    413: "too_large",
    414: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    428: "precondition_required",
    429: "too_many",
    431: "too_large",
    500: "internal",
    501: "internal",
    503: "unavailable",
}
_TOLD_AS = {"precondition_required": "stale", "in_line": "unavailable"}
"""Worded apart, but one matter for a program: its version is not good enough; it has to come again."""
_MARSHMALLOW = {
    "Missing data for required field.": "required",
    "Field may not be null.": "required",
    "Unknown field.": "unknown",
}


@dataclass(frozen=True)
class Problem:
    """What went wrong, before it is worded."""

    status: int
    code: str
    reasons: Sequence[Reason] = ()
    items: Sequence[Item] = ()
    wish: Wish | None = None
    needs: str = ""
    instead: Sequence[availability.Alternative] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    queue: Mapping[str, Any] = field(default_factory=dict)


def init(app: Flask) -> None:
    """Answer every exception that may leave a view."""
    for kind, reply in (
        (Forbidden, _forbidden),
        (UnknownToken, _unknown_token),
        (NotFound, lambda _error: Problem(404, "not_found")),
        (Refused, refusal_of),
        (WrongMove, _wrong_move),
        (Invalid, lambda error: Problem(422, "invalid", errors=error.errors)),
        (Stale, lambda _error: Problem(412, "stale")),
        (KeyReused, lambda _error: Problem(422, "invalid", errors={"Idempotency-Key": "reused"})),
        (TooMany, lambda error: Problem(429, "too_many", headers={"Retry-After": str(error.retry_after)})),
        (Unavailable, _unavailable),
        (admission.InLine, _in_line),
        (CSRFError, lambda _error: Problem(400, "csrf")),
        (RecursionError, _too_deep),
        (HTTPException, _of_http),
    ):
        app.register_error_handler(kind, _handler(reply))


def _handler(reply: Any) -> Any:
    def handle(error: Exception) -> Any:
        found = reply(error)
        return answer(found) if isinstance(found, Problem) else found

    return handle


def _forbidden(error: Forbidden) -> Any:
    security("refused", action=error.action, path=request.path, person=_person())
    if not error.sign_in:
        return Problem(403, "forbidden")
    if for_programs():
        return Problem(401, "unauthorised", headers={"WWW-Authenticate": 'Bearer realm="yiqi"'})
    # What a form was about to do is not repeated after signing in; its page is shown again.
    wanted = request.full_path.rstrip("?") if request.method in {"GET", "HEAD"} else _page_before()
    return redirect(url_for("web.sign_in", next=wanted), 303)


def _page_before() -> str | None:
    """Give the page of ours from which a form was sent, as far as the browser tells."""
    if request.method in {"GET", "HEAD"}:
        return None
    before = urlsplit(request.referrer or "")
    if before.netloc != request.host:
        return None
    return local_path(urlunsplit(("", "", before.path, before.query, "")))


def _unknown_token(_error: UnknownToken) -> Problem:
    security("unknown_token", path=request.path, address=request.remote_addr)
    g.identity = Identity(VISITOR)
    challenge = 'Bearer realm="yiqi", error="invalid_token"'
    return Problem(401, "unauthorised", headers={"WWW-Authenticate": challenge})


def refusal_of(error: Refused) -> Problem:
    """Give a refusal as it is told."""
    return Problem(
        409,
        "refused",
        reasons=error.reasons,
        items=error.items,
        wish=error.wish,
        needs=error.needs,
        instead=error.instead,
    )


def _wrong_move(error: WrongMove) -> Problem:
    params = {"state": error.state.value, "action": error.action.value}
    return Problem(409, "refused", reasons=[Reason("wrong_state", params)])


def _unavailable(error: Unavailable) -> Problem:
    _log.warning("the database is not available: %s", error)
    return Problem(503, "unavailable", headers={"Retry-After": str(RETRY_AFTER)})


def _in_line(error: admission.InLine) -> Any:
    """Tell somebody their place: a program its ticket, a person by a page that comes again by itself."""
    g.setdefault("identity", Identity(VISITOR))  # nothing is read for those who wait
    headers = {"Retry-After": str(error.seconds)}
    if for_programs():
        told = {"place": error.place, "seconds": error.seconds, "ticket": error.ticket}
        headers[admission.HEADER] = error.ticket
        return Problem(503, "in_line", headers=headers, queue=told)
    page = render_template(
        "errors/in_line.html",
        place=error.place,
        seconds=error.seconds,
        sent=_sent(),
        address=request.full_path.rstrip("?"),
        before=_page_before(),
    )
    response = Response(page, 503, {**headers, "Cache-Control": "no-store"}, mimetype="text/html")
    if request.method in {"GET", "HEAD"}:
        response.headers["Refresh"] = str(error.seconds)
    admission.keep_place(response, error.ticket, error.seconds)
    return response


def _sent() -> list[tuple[str, str]] | None:
    """Give what a form sent, to be sent again; None if it cannot be: files, passwords, no form at all."""
    if request.method != "POST":
        return None
    try:
        typed = list(request.form.items(multi=True))
        files = any(request.files.values())
    except HTTPException:
        return None
    secret = any("password" in name or name == "secret" for name, _ in typed)
    return None if files or secret or not typed else typed


def _too_deep(_error: RecursionError) -> Problem:
    _log.warning("a body nested too deeply", exc_info=True)
    return Problem(400, "bad_request")


def _of_http(error: HTTPException) -> Any:
    status = error.code or 500
    if error.response is not None or status < 400:
        return error
    headers = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
    # webargs puts what its schema found into `data`.
    messages = (getattr(error, "data", None) or {}).get("messages", {})
    return Problem(
        status,
        _CODES.get(status, "internal" if status >= 500 else "bad_request"),
        errors=field_errors(messages),
        headers=headers,
    )


def field_errors(messages: Any) -> dict[str, str]:
    """Turn a schema's nested messages into one code for each field, `items.0.start`.

    The first level of webargs, where the value stood (json, query …), is left out.
    """
    found: dict[str, str] = {}
    if isinstance(messages, Mapping):
        for inner in messages.values():
            found.update(_flat(inner, ""))
    return found


def _flat(messages: Any, path: str) -> Iterable[tuple[str, str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            # Schema-wide errors of marshmallow stand under this name.
            step = "" if name == "_schema" else str(name)
            yield from _flat(inner, ".".join(part for part in (path, step) if part))
    elif isinstance(messages, list | tuple):
        if messages:
            yield from _flat(messages[0], path)
    else:
        text = str(messages)
        code = text if text.replace("_", "").isalnum() and text.islower() else "malformed"
        yield path or "body", _MARSHMALLOW.get(text, code)


def answer(problem: Problem) -> Response:
    """Word the problem for whoever asked."""
    response = _as_json(problem) if for_programs() else _as_page(problem)
    metrics.refused([reason.code for reason in problem.reasons])
    response.status_code = problem.status
    response.headers.extend(problem.headers)
    response.headers["Cache-Control"] = "no-store"
    return response


def _as_json(problem: Problem) -> Response:
    body: dict[str, Any] = {
        "type": f"urn:yiqi:problem:{problem.code}",
        "title": wording.problem_title(problem.code),
        "status": problem.status,
        "code": _TOLD_AS.get(problem.code, problem.code),
        "detail": _detail(problem),
        "request_id": request_id(),
    }
    if problem.reasons:
        body["reasons"] = [reason_out(reason) for reason in problem.reasons]
    if problem.code == "refused":
        body["alternatives"] = plain([alternative_out(found) for found in alternatives(problem)])
    if problem.errors:
        body["errors"] = dict(problem.errors)
    if problem.queue:
        body["queue"] = dict(problem.queue)
    return Response(json.dumps(body, ensure_ascii=False), mimetype="application/problem+json")


def _as_page(problem: Problem) -> Response:
    if problem.status >= 500:
        # Whatever failed may fail again while the page looks for its reader.
        g.setdefault("identity", Identity(VISITOR))
    try:
        page = render_template(
            "errors/problem.html",
            problem=problem,
            title=wording.problem_title(problem.code),
            detail=_detail(problem),
            reasons=[wording.sentence(reason.code, reason.params) for reason in problem.reasons],
            alternatives=alternatives(problem, waiting=False) if problem.code == "refused" else [],
            says=wording.alternative_sentence,
            zone=_zone(),
            before=_page_before(),
            request_id=request_id(),
        )
    except Exception:  # noqa: BLE001 - the reader gets an answer whatever else is broken
        _log.exception("the error page failed")
        page = _bare_page(problem)
    return Response(page, mimetype="text/html")


def _zone() -> str:
    found = g.get("identity")
    return (found.zone if found else None) or "Asia/Shanghai"


def _bare_page(problem: Problem) -> str:
    words = escape(wording.problem_title(problem.code)), escape(_detail(problem)), escape(request_id())
    lang = escape(language_tag())
    return '<!doctype html><html lang="{}"><title>{}</title><h1>{}</h1><p>{}</p><p>{}</p>'.format(
        lang, words[0], *words
    )


def reason_out(reason: Reason) -> dict[str, Any]:
    """Give a reason as the API tells it."""
    return {
        "code": reason.code,
        "params": {name: plain(value) for name, value in reason.params.items()},
        "message": wording.sentence(reason.code, reason.params),
        "overridable": reason.overridable,
    }


def alternative_out(found: availability.Alternative) -> dict[str, Any]:
    """Give an alternative as the API tells it."""
    return {
        "instrument_id": found.code,
        "start": found.start,
        "end": found.end,
        "why": found.why,
        "reason": wording.alternative_sentence(found),
        "parts": [
            {"instrument_id": code, "start": start, "end": end}
            for code, (start, end) in zip(
                found.codes or [found.code] * len(found.spans), found.spans, strict=True
            )
        ],
        "minutes_later": found.minutes,
        "minutes_lost": found.lost,
        "estimate": found.estimate,
        "price_difference": found.difference,
        "facility_id": found.facility or None,
        "km": found.km,
        "needs_approval": found.needs_approval,
    }


def alternatives(problem: Problem, *, waiting: bool = True) -> list[availability.Alternative]:
    """Look for other times and instruments; the refusal stands whether or not this succeeds."""
    if problem.instead or not problem.items:
        return list(problem.instead)
    now = utc_now()
    try:
        with reading(begun=False) as session:
            wish = problem.wish or offers.wish_of(actor(), problem.items, now)
            found = offers.find(
                session,
                actor=actor(),
                wish=replace(wish, now=now),
                needs=problem.needs,
                crowd=crowds.crowd(),
            )
            crowds.note_what_is_gone(session, problem.reasons, problem.items, now)
            line = waitlist.way_out(session, reasons=problem.reasons, items=problem.items) if waiting else []
            return [*found, *line]
    except Exception:  # noqa: BLE001 - an offer beside the answer, not the answer
        _log.exception("no alternatives could be found")
        return []


def plain(value: Any) -> Any:
    """Give a figure as JSON has it: times as RFC 3339 in UTC, money as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value


def _detail(problem: Problem) -> str:
    if problem.reasons:
        return " ".join(wording.sentence(reason.code, reason.params) for reason in problem.reasons)
    if problem.errors:
        return " ".join(f"{name}: {wording.error_sentence(code)}" for name, code in problem.errors.items())
    return wording.problem_detail(problem.code)


def _person() -> str | None:
    found = g.get("identity")
    return str(found.actor.person_id) if found and found.actor.signed_in else None
