"""A first look round for each role: a few pages in a row, each with what it is good for."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import flash, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from booking.db import reading, transaction
from booking.domain import access
from booking.domain.access import Actor
from booking.http.context import local_path
from booking.http.forms import fields
from booking.http.guard import may_open, needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import accounts, approvals
from booking.web import blueprint

Words = Callable[[], str]


@dataclass(frozen=True)
class Stop:
    """A page of a tour, what it is good for, and what on it is meant: the first of these that is there."""

    endpoint: str
    title: Words
    text: Words
    target: str = "main h1"
    there: Callable[[], bool] = lambda: True
    """Whether the page has anything for the reader, where opening it is not all."""


@dataclass(frozen=True)
class Tour:
    """What somebody of a role is shown, and who that is."""

    name: str
    label: Words
    shown: Callable[[Actor], bool]
    stops: tuple[Stop, ...]


@dataclass(frozen=True)
class Place:
    """Where somebody stands on a tour."""

    number: int
    of: int
    stop: Stop
    back: str
    on: str
    after: str
    """The page without its tour."""


def _decides() -> bool:
    """Tell whether anything was ever put before the reader for approval: others find the page closed."""
    with reading() as session:
        return approvals.takes_part(session, actor=actor(), now=utc_now())


TOURS = (
    Tour(
        "booking",
        lambda: _("Finding and booking"),
        lambda who: who.signed_in,
        (
            Stop(
                "web.home",
                lambda: _("Begin here"),
                lambda: _(
                    "Say when and for how long you need something, or look for an instrument by its name."
                ),
                "[data-tour=doors], main form",
            ),
            Stop(
                "web.free",
                lambda: _("Times that are free"),
                lambda: _(
                    "Each line is the next time that an instrument is free for you, with its price. One click leads to"
                    " the booking; nothing is booked before you confirm it."
                ),
                "[data-tour=offers], main form",
            ),
            Stop(
                "web.catalogue",
                lambda: _("All instruments"),
                lambda: _(
                    "Search by name, model, place or ability, also by pinyin. The page of an instrument shows its week:"
                    " drag over free time to book it."
                ),
                "main form",
            ),
            Stop(
                "web.my_bookings",
                lambda: _("What you have booked"),
                lambda: _("Move, cancel or repeat a booking here, and check in when you begin."),
            ),
            Stop(
                "web.waitlist",
                lambda: _("When nothing is free"),
                lambda: _("Leave a wish: you are offered a time as soon as one comes free."),
            ),
            Stop(
                "web.calendars",
                lambda: _("In your own calendar"),
                lambda: _(
                    "Subscribe once, and your bookings stand in Outlook, Apple, Google or any other calendar."
                ),
            ),
            Stop(
                "web.notice_wishes",
                lambda: _("What you hear of"),
                lambda: _(
                    "Choose for each topic whether you are told here, by mail or in a group chat, and when."
                ),
            ),
        ),
    ),
    Tour(
        "group",
        lambda: _("Leading a group"),
        lambda who: bool(who.leads),
        (
            Stop(
                "web.memberships",
                lambda: _("Who belongs to you"),
                lambda: _(
                    "People who say that they belong to your organisation wait here until you confirm it."
                ),
            ),
            Stop(
                "web.my_bookings",
                lambda: _("What your group has booked"),
                lambda: _("You see, move and cancel the bookings of your members too."),
            ),
            Stop(
                "web.approvals",
                lambda: _("What you approve"),
                lambda: _("Where a rule asks the leader of a project, the requests wait here."),
                there=_decides,
            ),
        ),
    ),
    Tour(
        "facility",
        lambda: _("Running a facility"),
        lambda who: access.could(who, "facility.desk"),
        (
            Stop(
                "web.desk",
                lambda: _("Your desk"),
                lambda: _(
                    "What waits for you, who comes today, what is down and how well your instruments are used."
                ),
            ),
            Stop(
                "web.approvals",
                lambda: _("Requests"),
                lambda: _("Approve or reject, one by one or many at once, the oldest first."),
            ),
            Stop(
                "web.closures",
                lambda: _("Closing for maintenance"),
                lambda: _(
                    "A closure shows whom it hits before it is saved, and finds new times for them; nobody is moved"
                    " who has not agreed."
                ),
            ),
            Stop(
                "web.rounds",
                lambda: _("Rounds"),
                lambda: _(
                    "Where an instrument is scarce, collect wishes and allot all hours at once, with reasons."
                ),
            ),
            Stop(
                "web.kiosks",
                lambda: _("Labels, tablets and screens"),
                lambda: _("Print a code for each instrument, and let people check in by it."),
            ),
        ),
    ),
    Tour(
        "network",
        lambda: _("Looking after a network"),
        lambda who: access.could(who, "network.desk"),
        (
            Stop(
                "web.officer",
                lambda: _("Your network"),
                lambda: _(
                    "Facilities in figures and on a map: how much is open, booked and used, and what waits too long."
                ),
            ),
            Stop(
                "web.all_facilities",
                lambda: _("Facilities"),
                lambda: _(
                    "Each facility has a page of its own, with its instruments, its rules and who works there."
                ),
            ),
            Stop(
                "web.announcements",
                lambda: _("Announcements"),
                lambda: _("Tell everybody in the network something, from one day to another."),
            ),
        ),
    ),
    Tour(
        "administration",
        lambda: _("Administration"),
        lambda who: who.administrator,
        (
            Stop(
                "web.people",
                lambda: _("People and roles"),
                lambda: _("Give somebody a role at a facility, in a network or in an organisation."),
            ),
            Stop(
                "web.organisations",
                lambda: _("Organisations"),
                lambda: _("Rules and prices go by the kind and region of an organisation."),
            ),
            Stop(
                "web.working_days",
                lambda: _("Working days"),
                lambda: _(
                    "Holidays and the days that are worked instead, for each year once they are announced."
                ),
            ),
        ),
    ),
)
"""The tours, each for whom it is; one that somebody may see stands in their menu of tours."""


def offered(who: Actor) -> list[Tour]:
    """Give the tours of somebody's roles, those of the facility before those of everybody."""
    return [tour for tour in reversed(TOURS) if tour.shown(who)]


def place(who: Actor) -> Place | None:
    """Give where the reader stands, None if this page is not the stop of a tour that its address names."""
    name, _dot, number = request.args.get("tour", "").partition(".")
    tour = next((tour for tour in TOURS if tour.name == name and tour.shown(who)), None)
    if tour is None or not number.isascii() or not number.isdigit() or len(number) > 2:
        return None
    stops, at = _stops(tour), int(number)
    if not 1 <= at <= len(stops) or stops[at - 1].endpoint != request.endpoint:
        return None
    return Place(
        number=at,
        of=len(stops),
        stop=stops[at - 1],
        back=_address(tour, at - 1) if at > 1 else "",
        on=_address(tour, at + 1) if at < len(stops) else "",
        after=url_for(stops[at - 1].endpoint),
    )


def _stops(tour: Tour) -> list[Stop]:
    """Leave out pages that the reader may not open."""
    return [stop for stop in tour.stops if may_open(stop.endpoint) and stop.there()]


def _address(tour: Tour, number: int) -> str:
    return url_for(_stops(tour)[number - 1].endpoint, tour=f"{tour.name}.{number}")


@blueprint.get("/tours", endpoint="tours")
@needs("account.keep")
def show_tours() -> str:
    """Offer the tours of the reader's roles."""
    return render_template("home/tours.html", tours=[(tour, _stops(tour)) for tour in offered(actor())])


@blueprint.get("/tours/<name>", endpoint="tour")
@needs("account.keep")
def begin(name: str) -> Response:
    """Lead to the first stop.

    :raises NotFound: if the reader has no such tour
    """
    tour = next((tour for tour in offered(actor()) if tour.name == name), None)
    if tour is None:
        raise NotFound
    return redirect(_address(tour, 1))


@blueprint.post("/tours/end", endpoint="end_tour")
@needs("account.keep")
def end() -> Response:
    """Note that the reader was shown round, or would rather not be."""
    asked = fields("next")
    with transaction() as session:
        accounts.end_tour(session, actor=actor(), now=utc_now())
    flash(_("The tours stay in the menu of your account."), "success")
    return redirect(local_path(asked["next"]), 303)
