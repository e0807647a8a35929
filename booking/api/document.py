"""The OpenAPI document: what the views say of themselves, and what holds for every operation."""

from collections.abc import Iterator, Sequence
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin

from booking.api.base import Blueprint, Code
from booking.api.schemas import fields
from booking.api.schemas.problems import ProblemOut
from booking.domain.access import RULES
from booking.http.guard import OPEN, guards

TITLE = "Yiqi 仪起"
VERSION = "1"
OPENAPI = "3.1.0"

ABOUT = """\
Find pilot-plant instruments, book them without double bookings, and see them in calendars.

Signing in. Send `Authorization: Bearer TOKEN` with a token from your account's page. A token has
scopes: `read`, `book`, `manage`. Scripts of a signed-in page may use the session's cookie instead; then every
write carries the page's CSRF token in `X-CSRFToken`.

Times are RFC 3339 with an offset, spans hold their start and not their end. Answers are in UTC.

Errors are RFC 9457 problems with a `code`. A refusal names every reason at once and what could
be taken instead.

Versions. A booking has an `ETag`; `PATCH` wants it in `If-Match`.
"""

EVERYWHERE = (400, 401, 403, 422, 429, 503)
WITH_BODY = (413, 415)

PROBLEMS = {
    400: "The request cannot be understood, or a cookie's write lacks its CSRF token.",
    401: "Nobody is signed in, or the token is not valid.",
    403: "Whoever asks may not do this; code `forbidden`.",
    404: "There is no such thing, or none that whoever asks may know of; code `not_found`.",
    409: "The rules refuse it, with every reason and what could be taken instead; code `refused`.",
    412: "The booking has changed since the version in `If-Match`; code `stale`.",
    413: "The body is larger than a megabyte, a paper than ten.",
    415: "The body is not `application/json`, or a paper of no kind that is kept.",
    422: "Something sent makes no sense, with a code for each field; code `invalid`.",
    428: "`If-Match` is missing; code `stale`.",
    429: "Too many requests; code `too_many`.",
    503: "The database is busy or away, or too many ask at once; nothing was changed; code `unavailable`.",
}

_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How to sign in.", "schema": {"type": "string"}}},
    429: _RETRY,
    503: _RETRY,
}
_CHANGED = frozenset({"/api/v1/bookings/{booking_id}", "/api/v1/series/{series_id}"})
"""What is changed only by who names the version that they read."""

_ETAG = {"ETag": {"description": "The booking's version.", "schema": {"type": "string"}, "example": '"1"'}}
_TAG = {"ETag": {"description": "The version.", "schema": {"type": "string"}, "example": '"1"'}}
_LOCATION = {"Location": {"description": "The booking's address.", "schema": {"type": "string"}}}
_IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "The version that was read, in quotes, or `*`.",
    "schema": {"type": "string"},
    "example": '"1"',
}
_IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "description": "The version that is known; answered by 304 if it is still so.",
    "schema": {"type": "string"},
    "example": '"1"',
}
_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Makes the request safe to repeat for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
_LINKS = {
    name: {
        "operationId": f"bookings_{name}",
        "parameters": {"booking_id": "$response.body#/id"},
        "description": f"The `id` of the answer is the `booking_id` of `{name}`.",
    }
    for name in ("one", "change", "cancel", "decide", "check_in", "check_out", "feedback")
}
_REFUSED_EXAMPLE = {
    "type": "urn:yiqi:problem:refused",
    "title": "This is not possible",
    "status": 409,
    "code": "refused",
    "detail": "DG-SLAB-05 is already taken at this time, its set-up and clean-up included.",
    "request_id": "4f6ad2cbb5b94f2e8a1d0c7e9b3a5d61",
    "reasons": [
        {
            "code": "taken",
            "params": {"instrument": "DG-SLAB-05", "asked": 1, "free": 0, "units": 1},
            "message": "DG-SLAB-05 is already taken at this time, its set-up and clean-up included.",
            "overridable": False,
        }
    ],
    "alternatives": [
        {
            "instrument_id": "DG-SLAB-05",
            "start": "2026-11-23T05:00:00Z",
            "end": "2026-11-23T07:00:00Z",
            "why": "nearest",
        }
    ],
}


class _Defaults:
    """What flask-smorest asks of its own Api object, of which we need no more."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    DEFAULT_REQUEST_BODY_CONTENT_TYPE = DEFAULT_RESPONSE_CONTENT_TYPE = "application/json"


def build(app: Flask, blueprints: Sequence[Blueprint]) -> dict[str, Any]:
    """Give the document of these blueprints as the application has registered them."""
    pages, schemas = FlaskPlugin(), MarshmallowPlugin(schema_name_resolver=_name)
    spec = APISpec(TITLE, VERSION, OPENAPI, [pages, schemas], info={"description": ABOUT})
    pages.register_converter(Code, lambda _: {"type": "string", "minLength": 1, "maxLength": 40})
    schemas.map_to_openapi_type(fields.Length, "string", "duration")
    spec.components.schema("Problem", schema=ProblemOut)
    for blueprint in blueprints:
        spec.tag({"name": _tag(blueprint), "description": blueprint.description})
        blueprint.register_views_in_doc(_Defaults, app, spec, name=blueprint.name, parameters=None)
    return _complete(app, spec.to_dict(), blueprints)


def _name(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Out")


def _tag(blueprint: Blueprint) -> str:
    return blueprint.name.removeprefix("api-")


def _complete(app: Flask, document: dict[str, Any], blueprints: Sequence[Blueprint]) -> dict[str, Any]:
    """Add to every operation what its route and guard say: its name, who may call it, its problems."""
    document["servers"] = [{"url": "/"}]
    components = document["components"]
    components["securitySchemes"] = _schemes(app)
    components["responses"] = {f"Problem{status}": _problem(status) for status in PROBLEMS}
    known = {(endpoint, method): guard for endpoint, method, guard in guards(app)}
    for endpoint, path, method, operation in _operations(app, document, blueprints):
        blueprint, _, view = endpoint.removeprefix("api-").partition(".")
        operation["operationId"] = f"{blueprint}_{view}"
        operation["tags"] = [blueprint]
        _secure(operation, known[endpoint, method])
        _add_problems(operation, app.view_functions[endpoint], path, method)
    _add_headers(document)
    _choose_form(components["schemas"])
    return document


def _schemes(app: Flask) -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A token from one's account page."},
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": app.config["SESSION_COOKIE_NAME"],
            "description": "The session of a signed-in page; writes need the header `X-CSRFToken` besides.",
        },
    }


def _operations(
    app: Flask, document: dict[str, Any], blueprints: Sequence[Blueprint]
) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    names = {blueprint.name for blueprint in blueprints}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] not in names:
            continue
        path = FlaskPlugin.flaskpath2openapi(rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule.endpoint, path, method, document["paths"][path][method.lower()]


def _problem(status: int) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if status == 409:
        content["example"] = _REFUSED_EXAMPLE
    found: dict[str, Any] = {
        "description": PROBLEMS[status],
        "content": {"application/problem+json": content},
    }
    if status in _HEADERS:
        found["headers"] = _HEADERS[status]
    return found


def _secure(operation: dict[str, Any], guard: str | None) -> None:
    ways: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
    rule = None if guard in {None, OPEN} else RULES[str(guard)]
    if rule is None or "anyone" in rule.relations:
        ways.append({})
    if rule is not None and rule.scope is not None:
        words = f"A token needs the scope `{rule.scope.value}`."
        operation["description"] = "\n\n".join(filter(None, (operation.get("description"), words)))
    operation["security"] = ways


def _add_problems(operation: dict[str, Any], view: Any, path: str, method: str) -> None:
    own = getattr(view, "__problems__", ())
    found = {*own, *EVERYWHERE}
    if "requestBody" in operation:
        found.update(WITH_BODY)
    if (
        not operation.get("parameters")
        and "requestBody" not in operation
        and "{" not in path
        and method == "GET"
    ):
        found.discard(422)
    responses = {code: said for code, said in operation["responses"].items() if code != "422"}
    for status in sorted(found):
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    operation["responses"] = dict(sorted(responses.items()))


def _add_headers(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not isinstance(operation, dict):
                continue
            for status in ("200", "201"):
                answer = operation["responses"].get(status, {})
                schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
                if schema.get("$ref", "").endswith("/Booking"):
                    answer["headers"] = {**_ETAG, **(_LOCATION if status == "201" else {})}
                elif schema.get("$ref", "").endswith("/Series"):
                    answer["headers"] = dict(_TAG)
            more = operation.setdefault("parameters", [])
            if path == "/api/v1/bookings" and method == "post":
                more.append(_KEY)
                operation["responses"]["201"]["links"] = _LINKS
            elif path == "/api/v1/series" and method == "post":
                more.append(_KEY)
            elif path in _CHANGED and method == "patch":
                more.append({**_IF_MATCH, "required": True})
            elif path == "/api/v1/bookings/{booking_id}" and method == "get":
                more.append(_IF_NONE_MATCH)
                operation["responses"]["304"] = {"description": "Still the version of `If-None-Match`."}
            elif method == "post" and (
                path.endswith(("/cancellation", "/approvals")) or path == "/api/v1/series/{series_id}/dates"
            ):
                more.append(_IF_MATCH)
            if not more:
                del operation["parameters"]


def _choose_form(schemas: dict[str, Any]) -> None:
    """Say that a wish has either one item's own fields or the list of items."""
    single = ["instrument_id", "start", "end", "quantity"]
    for name in ("BookingIn", "DryRunIn"):
        schemas[name]["oneOf"] = [
            {"required": single[:3], "properties": {"items": False}},
            {"required": ["items"], "properties": dict.fromkeys(single, False)},
        ]
    change = schemas["BookingChangeIn"]
    change["anyOf"] = [{"properties": {"items": False}}, {"properties": dict.fromkeys(single, False)}]
