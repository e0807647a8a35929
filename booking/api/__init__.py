"""The REST API, `/api/v1`: every module of its list has one blueprint, and adds its routes to it."""

import json
from types import ModuleType

from flask import Blueprint, Flask, Response, current_app, render_template

from booking.api.base import PREFIX, Code
from booking.http.guard import open_to_all

pages = Blueprint("api-docs", __name__)


def register(app: Flask) -> None:
    """Put the API, its document and its page of docs into the application."""
    app.url_map.converters["code"] = Code
    for module in _modules():
        app.register_blueprint(module.blp, url_prefix=PREFIX)
    app.register_blueprint(pages, url_prefix="/api")


def _modules() -> tuple[ModuleType, ...]:
    # One a line: a new part of the API is a new line here.
    from booking.api import (  # noqa: PLC0415 - these load marshmallow, which the jobs never need
        accounts,
        announcements,
        approvals,
        availability,
        bookings,
        calendar_questions,
        calendar_sources,
        calendars,
        credit,
        facilities,
        faults,
        favourites,
        holds,
        instrument_files,
        instruments,
        keeping,
        move_questions,
        network_requests,
        networks,
        notices,
        organisations,
        permits,
        qualifications,
        replans,
        rounds,
        routes,
        rules,
        series,
        standby,
        transfers,
        utilisation,
        waitlist,
        working_days,
    )

    # In the order of the docs.
    return (
        instruments,
        rules,
        working_days,
        availability,
        utilisation,
        favourites,
        bookings,
        move_questions,
        routes,
        series,
        holds,
        waitlist,
        standby,
        rounds,
        replans,
        approvals,
        qualifications,
        transfers,
        faults,
        credit,
        facilities,
        organisations,
        networks,
        network_requests,
        announcements,
        permits,
        keeping,
        instrument_files,
        calendars,
        calendar_questions,
        calendar_sources,
        notices,
        accounts,
    )


def openapi_text(app: Flask) -> str:
    """Give the OpenAPI document as JSON; made once, when it is first asked for."""
    found: str | None = app.extensions.get("yiqi-openapi")
    if found is None:
        from booking.api.document import build  # noqa: PLC0415 - apispec takes its time to load

        made = build(app, [module.blp for module in _modules()])
        found = app.extensions["yiqi-openapi"] = json.dumps(made, ensure_ascii=False, indent=2) + "\n"
    return found


@pages.get("/openapi.json")
@open_to_all
def openapi() -> Response:
    """The OpenAPI document."""
    return Response(openapi_text(current_app), mimetype="application/json")


@pages.get("/docs")
@open_to_all
def docs() -> str:
    """The document as a page on which one can try things."""
    from booking.api import reference  # noqa: PLC0415 - as rarely as the document

    described = json.loads(openapi_text(current_app))
    shared = described["components"]["responses"].items()
    return render_template(
        "api/docs.html",
        about=[reference.words(part) for part in described["info"]["description"].split("\n\n")],
        parts=reference.parts(described),
        shapes=reference.shapes(described),
        names=list(described["components"]["schemas"]),
        errors=[
            (name.removeprefix("Problem"), reference.words(said["description"])) for name, said in shared
        ],
        anchors=reference.anchors,
    )
