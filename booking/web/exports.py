"""Lists as files: what a list shows, with the filters that are on, as CSV or XLSX in which nothing calculates.

A new list is a function that gives its `Sheet` and a line of `LISTS`; its page says `export("name")`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, abort, request, url_for

from booking import plan_words, wording
from booking.db import Session, reading
from booking.domain import hours, sheets
from booking.domain.spans import Span
from booking.domain.working_days import YEARS, DayKind
from booking.http.downloads import table_file
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import current_locale, name_of, pgettext
from booking.i18n import gettext as _
from booking.services import (
    accounts,
    bookings,
    catalogue,
    closures,
    facilities,
    faults,
    imports,
    instruments,
    organisations,
    price_lists,
    qualifications,
    round_wishes,
    rounds,
    staff,
    waitlist,
    working_days,
)
from booking.services.bookings import Part
from booking.web import rule_sheets, words
from booking.web.catalogue import filters_asked, is_there
from booking.web.closures import chosen_facility, kind_words
from booking.web.faults import Show, state_words
from models import Booking, Certificate, Facility

KINDS = ("csv", "xlsx")
MOST = sheets.MOST_ROWS
"""So many rows go into one file."""

PER_PAGE = 100
_OF_PAGES = frozenset(
    {"page", "page_size", "kind", "part", "external", "anchor", "method", "scheme", "values"}
)
"""Words of an address that are no filter, or would be another thing to `url_for`."""

AHEAD = timedelta(days=365)

Row = Sequence[object]


@dataclass(frozen=True)
class Sheet:
    """A list as a file: what its columns are called and its rows."""

    heading: Sequence[str]
    rows: Iterable[Row]


def _pages(page_of: Callable[[int], tuple[Sequence[Any], int]]) -> Iterator[Any]:
    """Give the rows of all pages of a list, the first `MOST` of them."""
    given = 0
    for number in range(1, MOST // PER_PAGE + 1):
        rows, total = page_of(number)
        yield from rows
        given += len(rows)
        if given >= total or not rows:
            return


def _times(*named: str) -> list[str]:
    """Name the columns of times: on the place's clock, and the same in UTC."""
    return [
        *named,
        *(_("%(time)s (UTC)", time=name) for name in named),
        _("Clock"),
    ]


def _at(zone: str, *times: datetime | None) -> list[object]:
    local = [
        None if at is None else at.astimezone(hours.zone(zone)).strftime("%Y-%m-%d %H:%M") for at in times
    ]
    universal = [None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in times]
    return [*local, *universal, zone]


def _yes(value: bool) -> str:
    return _("yes") if value else _("no")


def _staffed(session: Session) -> Facility:
    return chosen_facility(facilities.managed(session, actor=actor()), request.args.get("facility"))


# --- the lists ------------------------------------------------------------------------------------


def _instruments(session: Session) -> Sheet:
    filters = filters_asked()

    def page_of(number: int) -> tuple[Sequence[Any], int]:
        found = catalogue.search(
            session,
            actor=actor(),
            filters=filters,
            page=number,
            page_size=PER_PAGE,
            locale=current_locale(),
            facets=False,
        )
        return found.items, found.total

    heading = [
        *(_("Code"), _("Name in Chinese"), _("Name in English"), _("Kind"), _("Class")),
        *(_("Facility"), _("Name of the facility"), _("Model"), _("Manufacturer"), _("Location")),
        *(_("Units"), _("Can be booked"), _("Needs approval"), _("Needs training")),
    ]
    rows = (
        [
            *(
                row.code,
                row.name_zh,
                row.name_en,
                words.sort_of_instrument(row.kind.value),
                row.category_code,
            ),
            *(row.facility.code, name_of(row.facility), row.model, row.manufacturer, row.location),
            *(row.units, _yes(row.bookable), _yes(row.approval_required), _yes(row.training_required)),
        ]
        for row in _pages(page_of)
    )
    return Sheet(heading, rows)


def _instrument_sheet(session: Session) -> Sheet:
    """Give the instruments of a facility as the import takes them in again; its columns have the import's names."""
    return Sheet(
        *imports.sheet(session, actor=actor(), facility=request.args.get("facility", ""), now=utc_now())
    )


def _facilities(session: Session) -> Sheet:
    heading = [
        *(_("Code"), _("Name in Chinese"), _("Name in English"), _("Operator"), _("Region"), _("Town")),
        *(_("Address"), _("Latitude"), _("Longitude"), _("Clock"), _("Contact"), _("Networks")),
    ]
    rows = (
        [
            *(row.code, row.name_zh, row.name_en, name_of(row.organisation), row.region_code, row.town),
            *(row.address, row.latitude, row.longitude, row.zone, row.contact),
            "; ".join(network.code for network in row.networks),
        ]
        for row in facilities.listing(session)
        if is_there(row)
    )
    return Sheet(heading, rows)


def _bookings_sheet(found: Iterable[Booking]) -> Sheet:
    heading = [
        *(_("Number"), _("State"), _("Instrument"), _("Name of the instrument"), _("Facility")),
        *_times(_("Start"), _("End")),
        *(pgettext("how many", "Quantity"), _("For"), _("Purpose")),
    ]
    rows = (
        [
            *(str(booking.id), wording.state_name(booking.state), item.instrument.code),
            *(name_of(item.instrument), item.instrument.facility.code),
            *_at(item.instrument.facility.zone, item.starts_at, item.ends_at),
            *(item.quantity, booking.person.name, booking.purpose),
        ]
        for booking in found
        for item in booking.items
    )
    return Sheet(heading, rows)


def _my_bookings(session: Session) -> Sheet:
    part = {part.value: part for part in Part}.get(request.args.get("show", ""), Part.AHEAD)
    now = utc_now()

    def page_of(number: int) -> tuple[Sequence[Any], int]:
        rows, counts = bookings.own(
            session, actor=actor(), part=part, page=number, page_size=PER_PAGE, now=now
        )
        return rows, counts[part]

    return _bookings_sheet(_pages(page_of))


def _facility_bookings(session: Session) -> Sheet:
    facility, now = _staffed(session), utc_now()
    within = Span(now - AHEAD, now + AHEAD)

    def page_of(number: int) -> tuple[Sequence[Any], int]:
        return bookings.listing(
            session,
            actor=actor(),
            facility_id=facility.id,
            within=within,
            page=number,
            page_size=PER_PAGE,
        )

    return _bookings_sheet(_pages(page_of))


def _people(session: Session) -> Sheet:
    asked = request.args.get("q", "")[:200]

    def page_of(number: int) -> tuple[Sequence[Any], int]:
        return accounts.people(session, actor=actor(), words=asked, page=number, page_size=PER_PAGE)

    found = list(_pages(page_of))
    places = accounts.places_of(session, memberships=[held for one in found for held in one.memberships])

    def role(held: Any) -> str:
        place = places[held.id]
        said = wording.role_name(held.role)
        return said if place is None else f"{said} ({place.code})"

    heading = [
        pgettext("of a person", "Name"),
        _("E-mail address"),
        _("Roles"),
        _("State"),
        _("Account since"),
    ]
    rows = (
        [
            *(one.name, one.email, "; ".join(role(held) for held in one.memberships)),
            _("Disabled")
            if one.state.value == "disabled"
            else _("Active")
            if one.email_confirmed_at
            else _("Address not confirmed"),
            one.created_at.date(),
        ]
        for one in found
    )
    return Sheet(heading, rows)


def _staff(session: Session) -> Sheet:
    _facility, held = staff.listing(session, actor=actor(), code=request.args.get("facility", ""))
    heading = [pgettext("of a person", "Name"), _("E-mail address"), _("Role")]
    rows = ([one.person.name, one.person.email, wording.role_name(one.membership.role)] for one in held)
    return Sheet(heading, rows)


def _organisations(session: Session) -> Sheet:
    heading = [
        *(_("Code"), _("Name in Chinese"), _("Name in English"), _("Kind"), _("Registered in")),
        _("Unified social credit code"),
    ]
    rows = (
        [
            *(row.code, row.name_zh, row.name_en, plan_words.organisation_kind(row.kind.value)),
            *(organisations.region_of(row), row.uscc),
        ]
        for row in organisations.listing(session)
    )
    return Sheet(heading, rows)


def _closures(session: Session) -> Sheet:
    facility, now = _staffed(session), utc_now()
    found = closures.listing(session, actor=actor(), facility_id=facility.id, within=Span(now, now + AHEAD))
    kinds = kind_words()
    codes = instruments.codes_of(
        session, instrument_ids={row.instrument_id for row in found if row.instrument_id is not None}
    )
    heading = [_("Instrument"), _("Kind"), *_times(_("Start"), _("End")), _("Reason"), _("At once")]
    rows = (
        [
            *(codes.get(row.instrument_id or 0, ""), kinds[row.kind.value]),
            *(*_at(facility.zone, row.starts_at, row.ends_at), row.reason, _yes(row.imposed)),
        ]
        for row in found
    )
    return Sheet(heading, rows)


def _prices(session: Session) -> Sheet:
    _facility, found = price_lists.of_facility(session, actor=actor(), code=request.args.get("facility", ""))
    heading = [
        *(_("Instrument"), _("Name of the instrument"), _("Whom it is for"), _("What it is for")),
        *(_("Yuan"), _("From"), _("Until, not including")),
    ]
    rows = (
        [
            *(row.code, name_of(row), words.customer_class(price.customer_class)),
            *(words.price_unit(price.unit), price.amount, price.valid_from, price.valid_to),
        ]
        for row in found
        for price in sorted(row.prices, key=lambda one: (one.customer_class, one.unit, one.valid_from))
    )
    return Sheet(heading, rows)


def _wishes(session: Session) -> Sheet:
    try:
        round_id = UUID(request.args.get("round", ""))
    except ValueError:
        abort(404)
    row = rounds.get(session, actor=actor(), round_id=round_id)
    found = round_wishes.of_round(session, actor=actor(), round_id=round_id)
    heading = [
        *(_("Number"), _("Person"), _("State"), _("Instruments"), pgettext("length of time", "Minutes")),
        *_times(_("Not before"), _("Not after"), _("Placed at")),
        *(_("Priority"), _("Purpose")),
    ]
    rows = (
        [
            *(str(wish.id), wish.person.name, plan_words.wish_state(wish.state)),
            *("; ".join(choice.instrument.code for choice in wish.choices), wish.minutes),
            *_at(row.facility.zone, wish.window_starts_at, wish.window_ends_at, wish.starts_at),
            *(wish.priority, wish.purpose),
        ]
        for wish in found
    )
    return Sheet(heading, rows)


def _certificates_sheet(found: Iterable[Certificate]) -> Sheet:
    heading = [
        *(_("Qualification"), _("Name"), _("Person"), _("E-mail address"), _("State")),
        *(_("Granted on"), _("Valid until")),
    ]
    rows = (
        [
            *(row.qualification.code, name_of(row.qualification), row.person.name, row.person.email),
            *(wording.step_name(row.state.value), row.granted_on, row.expires_on),
        ]
        for row in found
    )
    return Sheet(heading, rows)


def _my_qualifications(session: Session) -> Sheet:
    return _certificates_sheet(qualifications.own(session, actor=actor()))


def _certificates(session: Session) -> Sheet:
    facility = _staffed(session)

    def page_of(number: int) -> tuple[Sequence[Any], int]:
        return qualifications.of_facility(
            session, actor=actor(), facility_id=facility.id, page=number, page_size=PER_PAGE
        )

    return _certificates_sheet(_pages(page_of))


def _working_days(session: Session) -> Sheet:
    """Give the days of a year as the import takes them in again."""
    asked = request.args.get("year", "")
    year = int(asked) if len(asked) == 4 and asked.isascii() and asked.isdecimal() else utc_now().year
    if year not in YEARS:
        abort(404)
    rows = ([row.day, DayKind(row.kind).value, row.name] for row in working_days.listed(session, year))
    return Sheet(["day", "kind", "name"], rows)


def _waitlist(session: Session) -> Sheet:
    facility = _staffed(session)

    def page_of(number: int) -> tuple[Sequence[Any], int]:
        return waitlist.of_facility(
            session, actor=actor(), facility_id=facility.id, page=number, page_size=PER_PAGE
        )

    heading = [
        *(_("Person"), _("Instruments"), _("Before it in the line")),
        *_times(_("Not before"), _("Not after"), _("Waits since")),
    ]
    rows = (
        [
            *(one.entry.person.name, "; ".join(row.code for row in one.instruments), one.ahead),
            *_at(facility.zone, one.entry.window_starts_at, one.entry.window_ends_at, one.entry.joined_at),
        ]
        for one in _pages(page_of)
    )
    return Sheet(heading, rows)


def _faults(session: Session) -> Sheet:
    facility = _staffed(session)
    waiting = request.args.get("show") != Show.ALL.value
    found = faults.listing(
        session,
        actor=actor(),
        facility_id=facility.id,
        states=faults.WAITING if waiting else (),
        limit=MOST,
    )
    heading = [
        *(_("Instrument"), _("Name of the instrument"), _("State"), _("Stops work"), _("What is wrong")),
        *(_("Reported by"), *_times(_("Reported"), _("Settled")), _("Answer")),
    ]
    states = state_words()
    rows = (
        [
            *(row.instrument.code, name_of(row.instrument), states[row.state.value], _yes(row.stops_work)),
            *(row.text, row.person.name, *_at(facility.zone, row.reported_at, row.settled_at), row.answer),
        ]
        for row in found
    )
    return Sheet(heading, rows)


def _rules(session: Session) -> Sheet:
    """Give the rules that concern a place, in words and in figures."""
    sort, code = (
        request.args.get("sort", "facility"),
        request.args.get("code") or request.args.get("facility"),
    )
    if not code:
        abort(404)
    return Sheet(*rule_sheets.table(session, sort=sort, code=code, now=utc_now()))


LISTS: dict[str, tuple[str, Callable[[Session], Sheet]]] = {
    "instruments": ("catalogue.read", _instruments),
    "instrument-sheet": ("instrument.edit", _instrument_sheet),
    "facilities": ("catalogue.read", _facilities),
    "my-bookings": ("booking.list", _my_bookings),
    "bookings": ("facility.desk", _facility_bookings),
    "people": ("person.administer", _people),
    "staff": ("role.list", _staff),
    "organisations": ("organisation.keep", _organisations),
    "closures": ("facility.desk", _closures),
    "prices": ("instrument.edit", _prices),
    "wishes": ("round.see", _wishes),
    "my-qualifications": ("qualification.own", _my_qualifications),
    "qualifications": ("qualification.train", _certificates),
    "rules": ("rule.read", _rules),
    "working-days": ("rule.read", _working_days),
    "waitlist": ("facility.desk", _waitlist),
    "faults": ("fault.see", _faults),
}
"""Every list that goes out as a file: its name in addresses, who may have it, and its rows."""


def endpoint(name: str) -> str:
    """Give the endpoint of a list's file."""
    return f"export_{name.replace('-', '_')}"


def register(blueprint: Blueprint) -> None:
    """Give each list its address, and templates the ways to them."""
    for name, (action, rows_of) in LISTS.items():
        view = needs(action)(_view(name, rows_of))
        blueprint.add_url_rule(f"/exports/{name}.<kind>", endpoint=endpoint(name), view_func=view)
    blueprint.app_template_global("export_url")(_address)


def _address(name: str, kind: str, asked: Mapping[str, str]) -> str:
    """Give the address of a list's file; which page of it is looked at does not matter."""
    wanted: dict[str, Any] = {
        key: value for key, value in asked.items() if key.isidentifier() and key not in _OF_PAGES
    }
    return url_for(f"web.{endpoint(name)}", kind=kind, **wanted)


def _view(name: str, rows_of: Callable[[Session], Sheet]) -> Callable[[str], Response]:
    def give(kind: str) -> Response:
        if kind not in KINDS:
            abort(404)
        with reading() as session:
            found = rows_of(session)
            return table_file(name, kind, found.heading, found.rows)

    give.__doc__ = f"Give the list {name} as a file."
    return give
