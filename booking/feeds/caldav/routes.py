"""The addresses of CalDAV, and who may ask for what there."""

from uuid import UUID

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response as AnyResponse

from booking.db import Unavailable, reading
from booking.domain.access import Forbidden, NotFound
from booking.domain.dav import Unfit
from booking.domain.lifecycle import WrongMove
from booking.domain.rules import Invalid, Refused
from booking.feeds.caldav import calendars, refusals, reports, writing
from booking.feeds.caldav.multistatus import (
    COMPLIANCE,
    METHODS,
    Wanted,
    multistatus,
    of_properties,
    root_of_body,
    wanted_of,
)
from booking.feeds.caldav.reports import BadReport
from booking.feeds.caldav.resources import (
    of_calendar,
    of_entrance,
    of_event,
    of_home,
    of_principal,
)
from booking.feeds.caldav.xml import BadXml, D, Element
from booking.http.guard import needs, open_to_all
from booking.http.identity import OpenPassword, UnknownToken, actor
from booking.i18n import gettext as _
from booking.services.bookings import Stale
from booking.services.rate_limits import TooMany

blueprint = Blueprint("caldav", __name__)

HOME = "/caldav/calendars/<uuid:person_id>/"
CALENDAR = f"{HOME}<name>/"
EVENT = f"{CALENDAR}<path:event>"


@blueprint.route("/.well-known/caldav", methods=["GET", "PROPFIND"])
@open_to_all
def well_known() -> AnyResponse:
    """Lead programs that know nothing but our name to the entrance."""
    return redirect(url_for("caldav.entrance"), 301)


# --- what there is ----------------------------------------------------------------------------------------


@blueprint.get("/caldav/", endpoint="entrance", strict_slashes=False)
@blueprint.get("/caldav/principals/<uuid:person_id>/", endpoint="principal", strict_slashes=False)
@blueprint.get(HOME, endpoint="home", strict_slashes=False)
@blueprint.get(CALENDAR, endpoint="calendar", strict_slashes=False)
@needs("calendar.sync")
def explain(person_id: UUID | None = None, name: str = "") -> Response:
    """Tell whoever opens it in a browser what this address is for."""
    _only_own(person_id)
    if name:
        with reading() as session:
            calendars.open_one(session, name)
    words = _("This address is for calendar programs that speak CalDAV.")
    return Response(f"{words}\n", mimetype="text/plain")


@blueprint.route("/caldav/", methods=["PROPFIND"], endpoint="find_entrance", strict_slashes=False)
@needs("calendar.sync")
def find_entrance() -> Response:
    """Say who is there, and where their calendars are."""
    return multistatus([of_properties(url_for("caldav.entrance"), of_entrance(actor()), _wanted())])


@blueprint.route(
    "/caldav/principals/<uuid:person_id>/",
    methods=["PROPFIND"],
    endpoint="find_principal",
    strict_slashes=False,
)
@needs("calendar.sync")
def find_principal(person_id: UUID) -> Response:
    """Say who a person is, and where their calendars are."""
    _only_own(person_id)
    path = url_for("caldav.principal", person_id=person_id)
    return multistatus([of_properties(path, of_principal(actor()), _wanted())])


@blueprint.route(HOME, methods=["PROPFIND"], endpoint="find_home", strict_slashes=False)
@needs("calendar.sync")
def find_home(person_id: UUID) -> Response:
    """List a person's calendars."""
    _only_own(person_id)
    wanted, deep = _wanted(), _depth() == 1
    answers = [of_properties(url_for("caldav.home", person_id=person_id), of_home(actor()), wanted)]
    if not deep:
        return multistatus(answers)
    if D + "sync-token" in wanted:
        with reading() as session:
            names = [calendar.collection.name for calendar in calendars.open_all(session)]
        for name in names:
            calendars.refreshed(name)
    with reading() as session:
        answers += [
            of_properties(calendar.path(), of_calendar(calendar), wanted)
            for calendar in calendars.open_all(session)
        ]
    return multistatus(answers)


@blueprint.route(CALENDAR, methods=["PROPFIND"], endpoint="find_calendar", strict_slashes=False)
@needs("calendar.sync")
def find_calendar(person_id: UUID, name: str) -> Response:
    """Describe a calendar, and list what is in it."""
    _only_own(person_id)
    wanted, deep = _wanted(), _depth() == 1
    if D + "sync-token" in wanted:
        calendars.refreshed(name)  # first: what is read after it may be newer than the token, never older
    with reading() as session:
        calendar = calendars.open_one(session, name)
        answers = [of_properties(calendar.path(), of_calendar(calendar), wanted)]
        if deep:
            answers += [
                of_properties(calendar.path(event.name), of_event(calendar, event), wanted)
                for event in calendar.events.values()
            ]
    return multistatus(answers)


@blueprint.route(CALENDAR, methods=["PROPPATCH"], endpoint="change_calendar", strict_slashes=False)
@needs("calendar.sync")
def change_calendar(person_id: UUID, name: str) -> Response:
    """Keep how a person calls and colours a calendar of theirs."""
    _only_own(person_id)
    return writing.change(name, _sent())


@blueprint.route(CALENDAR, methods=["REPORT"], endpoint="report", strict_slashes=False)
@needs("calendar.sync")
def report(person_id: UUID, name: str) -> Response:
    """Give the events that are asked for, or what changed."""
    _only_own(person_id)
    return reports.answer(name, _sent())


@blueprint.get(EVENT, endpoint="event")
@needs("calendar.sync")
def get_event(person_id: UUID, name: str, event: str) -> Response:
    """Give an event."""
    _only_own(person_id)
    with reading() as session:
        found = calendars.open_one(session, name).events.get(event)
    if found is None:
        raise NotFound("event", event)
    response = Response(found.body, content_type="text/calendar; charset=utf-8; component=vevent")
    response.set_etag(found.etag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


@blueprint.route(EVENT, methods=["PROPFIND"], endpoint="find_event")
@needs("calendar.sync")
def find_event(person_id: UUID, name: str, event: str) -> Response:
    """Describe an event."""
    _only_own(person_id)
    wanted = _wanted()
    with reading() as session:
        calendar = calendars.open_one(session, name)
        found = calendar.events.get(event)
        if found is None:
            raise NotFound("event", event)
        return multistatus([of_properties(calendar.path(event), of_event(calendar, found), wanted)])


# --- booking ----------------------------------------------------------------------------------------------


@blueprint.put(EVENT, endpoint="put_event")
@needs("booking.place")
def put_event(person_id: UUID, name: str, event: str) -> Response:
    """Book an instrument, or move and amend a booking."""
    _only_own(person_id)
    return writing.put(name, event)


@blueprint.delete(EVENT, endpoint="drop_event")
@needs("booking.cancel")
def drop_event(person_id: UUID, name: str, event: str) -> Response:
    """Cancel a booking."""
    _only_own(person_id)
    return writing.drop(name, event)


# --- what every request has -------------------------------------------------------------------------------


def _only_own(person_id: UUID | None) -> None:
    if person_id is not None and person_id != actor().person_id:
        raise NotFound("person", person_id)


def _wanted() -> Wanted:
    root = root_of_body()
    return Wanted(None) if root is None else wanted_of(root)


def _sent() -> Element:
    root = root_of_body()
    if root is None:
        raise BadXml("nothing")
    return root


def _depth() -> int:
    """Give how deep is asked: 0 or 1.

    :raises BadReport: if everything is asked for at once
    """
    told = request.headers.get("Depth", "1").strip().lower()
    if told == "infinity":
        raise BadReport(D + "propfind-finite-depth")
    return 0 if told == "0" else 1


@blueprint.before_app_request
def _other_methods() -> AnyResponse | None:
    """Answer what asks for no view: what programs try and we have not is refused as they understand it."""
    if not request.path.startswith(("/caldav", "/.well-known/caldav")):
        return None
    if request.method == "OPTIONS":
        response = Response(status=200)
        response.headers["DAV"] = COMPLIANCE
        response.headers["Allow"] = METHODS
        return response
    if isinstance(request.routing_exception, MethodNotAllowed):
        if not actor().signed_in:
            return refusals.unknown()
        return refusals.of_method()
    return None


for _kind, _reply in (
    (Forbidden, refusals.forbidden),
    (UnknownToken, lambda _error: refusals.unknown()),
    (NotFound, lambda _error: refusals.missing()),
    (BadXml, lambda _error: refusals.unreadable()),
    (BadReport, reports.words),
    (Unfit, refusals.unfit),
    (Refused, refusals.refused),
    (WrongMove, refusals.wrong_move),
    (Invalid, refusals.invalid),
    (Stale, lambda _error: refusals.stale()),
    (TooMany, refusals.too_many),
    (Unavailable, lambda _error: refusals.unavailable()),
    (HTTPException, refusals.of_http),
):
    blueprint.register_error_handler(_kind, _reply)
blueprint.app_errorhandler(OpenPassword)(lambda _error: refusals.open_password())
