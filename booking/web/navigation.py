"""What stands around every page: the ways to the others, the languages, the account."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, current_app, request, url_for
from werkzeug.exceptions import HTTPException

from booking import i18n
from booking.db import Unavailable, reading
from booking.domain import access
from booking.domain.access import Actor
from booking.domain.announcements import Announcement
from booking.http import site
from booking.http.context import settings
from booking.http.identity import UnknownToken, actor, utc_now
from booking.i18n import gettext as _
from booking.services import accounts, approvals, notifications
from booking.services.networks import Brand
from booking.web import tours
from booking.web.tours import Place, Tour


@dataclass(frozen=True)
class Page:
    """A page of the navigation: its endpoint, its words, and for whom it is there."""

    endpoint: str
    label: Callable[[], str]
    shown: Callable[[Actor], bool] = lambda _who: True
    beside: frozenset[str] = field(default_factory=frozenset)
    idle: Callable[[Actor], bool] = lambda _who: True
    """Whether it is there while nothing waits on it."""


def _signed_in(who: Actor) -> bool:
    return who.signed_in


PAGES = (
    Page("web.home", lambda: _("Home")),
    Page(
        "web.catalogue",
        lambda: _("Instruments"),
        beside=frozenset(
            {
                "web.instrument",
                "web.facility",
                "web.all_facilities",
                "web.network",
                *("web.network_settings", "web.staff"),
                "web.day",
                "web.rules",
                "web.rules_of_instrument",
                *("web.new_rule", "web.change_rule", "web.approval_rules", "web.report_problem"),
                *("web.new_facility", "web.edit_facility", "web.facility_history", "web.facility_prices"),
                *("web.new_instrument", "web.edit_instrument", "web.instrument_history"),
                *("web.instrument_files", "web.instrument_prices"),
            }
        ),
    ),
    Page("web.free", lambda: _("Find a time")),
    Page(
        "web.my_bookings",
        lambda: _("My bookings"),
        _signed_in,
        frozenset(
            {
                *(
                    "web.new_booking",
                    "web.booking",
                    "web.change_booking",
                    "web.transfers",
                    "web.proposal",
                    "web.calendar_question",
                ),
                *("web.new_process", "web.move_process"),
                *(
                    "web.new_series",
                    "web.series",
                    "web.change_series",
                    "web.my_series",
                    "web.series_chemicals",
                ),
            }
        ),
    ),
    Page(
        "web.calendars",
        lambda: _("Calendars"),
        _signed_in,
        frozenset({"web.make_calendar", "web.renew_calendar", "web.calendar", "web.change_calendar"}),
    ),
    Page(
        "web.desk",
        lambda: _("Desk"),
        lambda who: access.could(who, "facility.desk"),
        frozenset(
            {
                "web.resource_timeline",
                "web.closures",
                "web.replan",
                "web.new_closure",
                *("web.calendar_sources", "web.calendar_source", "web.new_calendar_source"),
                "web.calendar_import",
                "web.quiet_times",
                "web.facility_hours",
                "web.instrument_service",
                "web.facility_processes",
                "web.facility_waitlist",
                "web.facility_standby",
                "web.facility_series",
                "web.facility_qualifications",
                "web.keep_qualification",
                "web.faults",
                "web.kiosks",
                "web.import_page",
                "web.facility_credit",
                "web.targets",
            }
        ),
    ),
    Page("web.officer", lambda: _("Network"), lambda who: access.could(who, "network.desk")),
    Page(
        "web.approvals",
        lambda: _("Approvals"),
        lambda who: access.could(who, "approval.decide"),
        frozenset({"web.absences", "web.make_absence", "web.series_approvals"}),
        idle=lambda who: access.could(who, "booking.approve"),
    ),
    Page(
        "web.memberships",
        lambda: _("Members"),
        lambda who: access.could(who, "membership.grant"),
        idle=lambda who: bool(who.leads),
    ),
)
"""The pages of the header, in its order; `beside` are the pages that belong under one."""

DESK = next(page for page in PAGES if page.endpoint == "web.desk")

ACCOUNT = (
    Page("web.waitlist", lambda: _("My wishes"), _signed_in, frozenset({"web.new_place"})),
    Page(
        "web.rounds",
        lambda: _("Rounds"),
        _signed_in,
        frozenset({"web.round", "web.new_round", "web.change_round", "web.new_wish"}),
    ),
    Page("web.account", lambda: _("My account"), _signed_in),
    Page("web.tours", lambda: _("Tours"), _signed_in),
    Page(
        "web.my_qualifications", lambda: _("My qualifications"), _signed_in, frozenset({"web.qualification"})
    ),
    Page("web.password", lambda: _("Password"), _signed_in),
    Page("web.sessions", lambda: _("Where I am signed in"), _signed_in),
    Page("web.tokens", lambda: _("API tokens"), _signed_in),
    Page("web.badge", lambda: _("Badge and PIN"), _signed_in),
    Page("web.credit", lambda: _("My credit"), _signed_in),
    Page("web.notice_wishes", lambda: _("What I hear of"), _signed_in),
    Page("web.webhooks", lambda: _("Webhooks"), _signed_in),
    Page("web.working_days", lambda: _("Working days"), lambda who: access.could(who, "working_day.edit")),
    Page(
        "web.organisations",
        lambda: _("Organisations"),
        lambda who: access.could(who, "organisation.keep"),
    ),
    Page(
        "web.common_points",
        lambda: _("Credit of all facilities"),
        lambda who: access.could(who, "credit.keep_all"),
    ),
    Page(
        "web.announcements",
        lambda: _("Announcements"),
        lambda who: access.could(who, "announcement.keep"),
        frozenset({"web.new_announcement", "web.change_announcement"}),
    ),
    Page(
        "web.network_requests",
        lambda: _("Joining networks"),
        lambda who: access.could(who, "network.answer"),
    ),
    Page(
        "web.people",
        lambda: _("People"),
        lambda who: access.could(who, "person.administer"),
        frozenset({"web.person"}),
    ),
)
BELL = Page("web.notices", lambda: _("Notices"), _signed_in)
FOOTER = (
    Page("web.all_facilities", lambda: _("Facilities")),
    Page("api-docs.docs", lambda: _("API")),
)


@dataclass(frozen=True)
class Entry:
    """A link as the reader sees it; `here` is the value of `aria-current`, or nothing."""

    href: str
    label: str
    here: str
    count: int


@dataclass(frozen=True)
class Frame:
    """All that the frame of a page shows."""

    language: str
    locale: str
    languages: dict[str, str]
    address: str
    pages: list[Entry]
    account: list[Entry]
    footer: list[Entry]
    waiting: int
    bell: Entry | None
    switch_language: str | None
    sign_in: str | None
    sign_up: str | None
    sign_out: str | None
    tour: Place | None
    welcome: list[Tour]
    brand: Brand | None
    banners: list[Announcement]


def register(blueprint: Blueprint) -> None:
    """Give every page of the application its frame, pages of errors included."""
    blueprint.app_context_processor(lambda: {"frame": frame()})


def frame() -> Frame:
    """Build the frame of the page that is being rendered."""
    who = _who()
    waiting = _waiting(who)
    return Frame(
        language=i18n.language_tag(),
        locale=i18n.current_locale(),
        languages=i18n.LOCALES,
        address=request.full_path.rstrip("?") if request.method == "GET" or _shown() else "/",
        pages=_entries(PAGES, who, {"web.approvals": waiting, "web.memberships": _asking(who)}),
        account=_entries(ACCOUNT, who),
        footer=_entries(FOOTER, who),
        waiting=waiting,
        bell=next(iter(_entries((BELL,), who, {BELL.endpoint: _unread(who)})), None),
        switch_language=_address("web.language"),
        sign_in=_address("web.sign_in", **_back()),
        sign_up=_address("web.sign_up") if settings().sign_up else None,
        sign_out=_address("web.sign_out"),
        tour=tours.place(who),
        welcome=tours.offered(who) if who.newcomer and _shown() == "web.home" else [],
        brand=site.brand(),
        banners=site.banners(who, desk=_shown() == DESK.endpoint or _shown() in DESK.beside),
    )


def _who() -> Actor:
    try:
        return actor()
    except (Unavailable, UnknownToken):  # the page that tells of it has a frame too
        return access.VISITOR


def _waiting(who: Actor) -> int:
    if not access.could(who, "approval.decide"):
        return 0
    try:
        with reading() as session:
            return approvals.waiting(session, actor=who, now=utc_now())
    except Unavailable:
        return 0


def _asking(who: Actor) -> int:
    if not access.could(who, "membership.grant"):
        return 0
    try:
        with reading() as session:
            return accounts.membership_requests_waiting(session, actor=who)
    except Unavailable:
        return 0


def _unread(who: Actor) -> int:
    if not who.signed_in:
        return 0
    try:
        with reading() as session:
            return notifications.unread(session, actor=who)
    except Unavailable:
        return 0


def _entries(pages: tuple[Page, ...], who: Actor, counts: dict[str, int] | None = None) -> list[Entry]:
    known = counts or {}
    return [
        Entry(href, page.label(), _here(page), known.get(page.endpoint, 0))
        for page in pages
        if page.shown(who)
        and (page.idle(who) or known.get(page.endpoint))
        and (href := _address(page.endpoint))
    ]


def _here(page: Page) -> str:
    shown = _shown()
    if shown == page.endpoint:
        return "page"
    return "true" if shown in page.beside else ""


def _shown() -> str | None:
    """Give the page that is shown: a form that was sent and comes back is the page of its address."""
    if request.method in {"GET", "HEAD"}:
        return request.endpoint
    addresses = current_app.create_url_adapter(request)
    try:
        return str(addresses.match(method="GET")[0]) if addresses else None
    except HTTPException:
        return None


def _address(endpoint: str, **values: Any) -> str | None:
    """Give the address of a page, None where this server lacks it."""
    return url_for(endpoint, **values) if endpoint in current_app.view_functions else None


def _back() -> dict[str, str]:
    """Come back to this page after signing in."""
    if request.method != "GET" or request.endpoint in {None, "web.home", "web.sign_in", "web.sign_up"}:
        return {}
    return {"next": request.full_path.rstrip("?")}
