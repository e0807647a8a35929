"""Pages of the catalogue: search, an instrument with its week, facilities, networks."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import i18n, wording
from booking.db import Session, reading
from booking.domain import needs as ability_needs
from booking.domain.access import Actor, Subject, could, may
from booking.domain.hours import WeeklyHours
from booking.domain.pricing import CustomerClass, Unit
from booking.domain.rules import Invalid, Policy
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.services import (
    availability,
    catalogue,
    distances,
    facilities,
    instrument_files,
    instruments,
    networks,
    policies,
    qualification_needs,
    rounds,
)
from booking.services.catalogue import Facet, Filters
from booking.web import abilities, blueprint, browsing, week
from booking.web.cards import cards, class_of, day_from, in_force, local_date, local_time
from booking.web.forms import said
from booking.web.words import facet_name, region
from models import Facility, Instrument, InstrumentPrice

Answer = str | Redirect | tuple[str, int]

PER_PAGE = 20
REACHES = (10, 30, 100, 300)
"""The distances offered, in kilometres; an address may ask for any other."""

FACETS = ("kind", "category", "region", "facility", "network", "capability")
"""The ways to narrow the search, in the order of the page."""

VIEWS = ("week", "list")


@dataclass(frozen=True)
class Choice:
    """A facet as a link: it narrows the search, or widens it again when it is chosen."""

    key: str
    label: str
    count: int
    href: str
    chosen: bool
    inner: bool


@dataclass(frozen=True)
class PriceLine:
    """What one unit costs inside and outside, from a day on."""

    unit: Unit
    since: date
    inside: InstrumentPrice | None
    outside: InstrumentPrice | None
    coming: bool


@blueprint.get("/instruments", endpoint="catalogue")
@needs("catalogue.read")
def search() -> Answer:
    """Search the catalogue by words and filters; a need that was typed becomes one of the address."""
    who, now, filters = actor(), utc_now(), filters_asked()
    typed = {name: request.args.get(name, "") for name in abilities.FIELDS}
    wanted, errors = abilities.added(filters.capability, typed)
    if not errors and (typed["ability"] or typed["figure"]):
        return redirect(search_href(replace(filters, capability=wanted)))
    number, size = page_wanted(PER_PAGE, catalogue.MOST_PER_PAGE)
    asked = request.args.get("sort", "")
    with reading(begun=False) as session:
        filters = browsing.with_near(session, actor=who, filters=filters, asked=asked)
        sort = browsing.sort_of(asked, filters)
        found = catalogue.search(
            session,
            actor=who,
            filters=filters,
            page=number,
            page_size=size,
            locale=i18n.current_locale(),
        )
        own_order = browsing.in_order(
            session,
            actor=who,
            filters=filters,
            sort=sort,
            total=found.total,
            page=number,
            page_size=size,
            now=now,
        )
        rows = own_order.items if own_order else found.items
        shown = cards(session, actor=who, instruments=rows, now=now)
        near = nearness(session, filters)
        names = [("q", filters.q), *titles().items(), ("near", _("Near"))]
        less = (
            browsing.less(session, actor=who, filters=filters, names=names, href=search_href)
            if not found.total
            else []
        )
    choices = {name: _choices(name, found.facets[name], filters) for name in FACETS}
    page = render_template(
        "catalogue/search.html",
        filters=filters,
        typed=typed,
        near=near,
        away=lambda row: wording.away(found.km.get(row.facility_id)) if filters.near else "",
        errors=said(errors, {"figure": _("Figure"), "ability": _("Ability"), "limit": _("Limit")}),
        problems={name: wording.error_sentence(code) for name, code in errors.items()},
        set_filters={name: value for name, value in asdict(filters).items() if value},
        found=found,
        cards=shown,
        choices=choices,
        chosen=[(name, choice) for name in FACETS for choice in choices[name] if choice.chosen],
        lost=_lost(filters, choices),
        titles=titles(),
        orders=browsing.orders(sort, filters, search_href),
        sort=asked,
        cut=own_order is not None and own_order.cut,
        most_sorted=browsing.SORTED,
        less=less,
        page_url=page_url,
    )
    return (page, 422) if errors else page


def titles() -> dict[str, str]:
    """Name the facets."""
    return {
        "kind": _("Kind"),
        "category": _("Class"),
        "region": _("Region"),
        "facility": _("Facility"),
        "network": _("Network"),
        "capability": _("Ability"),
    }


def filters_asked() -> Filters:
    """Read what is looked for from the address.

    :raises Invalid: if a word is too long
    """
    names = ("q", *FACETS, "near", "within_km")
    return Filters(**{name: request.args.get(name, "").strip() for name in names})


@dataclass(frozen=True)
class Nearness:
    """The fields of a form that ask for what is near: where from, and how far."""

    place: str
    km: str
    places: list[tuple[str, str]]
    reaches: list[tuple[str, str]]


def nearness(session: Session, filters: Filters) -> Nearness:
    """Give what a form offers: all facilities that are somewhere known; one's own organisation's stands chosen."""
    places = distances.places(session)
    kilometres = sorted({*REACHES, *([int(filters.within_km)] if filters.within_km.isdecimal() else [])})
    return Nearness(
        filters.near or distances.own(session, actor=actor()),
        filters.within_km,
        [("", _("Anywhere")), *((row.code, i18n.name_of(row)) for row in places)],
        [("", _("Any distance")), *((str(km), _("Within %(km)s km", km=km)) for km in kilometres)],
    )


def _choices(name: str, facets: Iterable[Facet], filters: Filters) -> list[Choice]:
    """Give the links of one facet. Several capabilities may be chosen at once, of all others one."""
    now = getattr(filters, name)
    listed = [part for part in now.split(",") if part]
    choices = []
    for facet in facets:
        if name == "capability":
            chosen = facet.key in listed
            rest = [part for part in listed if part != facet.key]
            wanted = ",".join(rest if chosen else [*listed, facet.key])
        else:
            chosen = facet.key == now
            wanted = "" if chosen else facet.key
        href = search_href(replace(filters, **{name: wanted}))
        inner = name == "category" and len(facet.key) > 2
        choices.append(Choice(facet.key, facet_name(facet), facet.count, href, chosen, inner))
    return choices


def _lost(filters: Filters, choices: dict[str, list[Choice]]) -> list[tuple[str, str, str]]:
    """Give filters that are set and stand in no facet, as a need with a figure does: the way out of them."""
    lost = [
        (name, getattr(filters, name), search_href(replace(filters, **{name: ""})))
        for name in FACETS
        if name != "capability" and getattr(filters, name)
        if not any(choice.chosen for choice in choices[name])
    ]
    every = ability_needs.parts(filters.capability)
    found = {choice.key for choice in choices["capability"] if choice.chosen}
    for part in every:
        if part not in found:
            rest = ",".join(one for one in every if one != part)
            href = search_href(replace(filters, capability=rest))
            lost.append(("capability", abilities.words(part), href))
    return lost


def search_href(filters: Filters, *, sort: str | None = None) -> str:
    """Give the address of a search, in the order that is said, or else in that of the page at hand."""
    named = request.args.get("sort", "") if sort is None else sort
    asked = {**asdict(filters), "sort": named}
    return url_for("web.catalogue", **{name: value for name, value in asked.items() if value})


@blueprint.get("/instruments/<code>")
@needs("catalogue.read")
def instrument(code: str) -> str:
    """Show an instrument: what it is, its rules and prices, and a week of its time."""
    who, now = actor(), utc_now()
    view = request.args.get("view", VIEWS[0])
    if view not in VIEWS:
        raise Invalid({"view": "unknown"})
    with reading(begun=False) as session:
        row = instruments.by_code(session, actor=who, code=code)
        zone = row.facility.zone
        today = local_date(now, zone)
        (card,) = cards(session, actor=who, instruments=[row], now=now)
        day = day_from(request.args.get("day", ""), today, field="day")
        if not request.args.get("day") and card.next_free:
            day = local_date(card.next_free.start, zone)  # a week in which nothing can be had helps nobody
        policy = policies.in_force(session, row, person_id=who.person_id, start=now)
        drawn = _week(session, who, row, policy, week.monday_of(day), now)
        hours = facilities.own_hours(session, instrument_id=row.id)
        hours = hours or facilities.hours(session, facility_id=row.facility_id)
        stations = instruments.stations(session, instrument_id=row.id)
        wanted = qualification_needs.of_instrument(session, actor=who, instrument=row, now=now)
        photos, papers = instrument_files.sorts(instrument_files.listing(session, actor=who, instrument=row))
    subject = Subject(facility_id=row.facility_id)
    return render_template(
        "instruments/instrument.html",
        instrument=row,
        zone=zone,
        card=card,
        week=drawn,
        view=view,
        now=now,
        today=today,
        policy=policy,
        opening=opening_lines(hours, today),
        stations=stations,
        wanted=wanted,
        prices=price_lines(row.prices, today),
        paid=class_of(row, who),
        manages=may(who, "closure.make", subject),
        photos=photos,
        papers=papers,
        sees_faults=may(who, "fault.see", subject),
        down_until=card.down_until,
        wish=_wish(card.next_free, drawn, zone),
        week_href=lambda day, view=view: _week_href(code, day, view),
    )


def _week(
    session: Session, who: Actor, row: Instrument, policy: Policy, monday: date, now: datetime
) -> week.Week:
    span = week.span_of(monday, row.facility.zone)
    # A use that begins late on Sunday may end in the week after.
    wide = Span(span.start, span.end + timedelta(minutes=policy.shortest))
    return week.draw(
        monday,
        row.facility.zone,
        policy=policy,
        units=row.units,
        opened=availability.opening(session, instrument_ids=[row.id], within=span)[row.id],
        free=availability.free(session, actor=who, code=row.code, within=wide, now=now)
        if row.bookable
        else [],
        bars=availability.occupations(session, actor=who, instrument_ids=[row.id], within=span, now=now),
        now=now,
    )


def _wish(next_free: Span | None, drawn: week.Week, zone: str) -> tuple[str, str]:
    """Give what the form of a time begins with: the first begin of the week shown, or the next free one."""
    begins = [begin for day in drawn.days for begin in day.begins]
    span = Span(begins[0].start, begins[0].end) if begins else next_free
    if span is None:
        return "", ""
    return local_time(span.start, zone), local_time(span.end, zone)


def _week_href(code: str, day: date, view: str) -> str:
    other = view if view != VIEWS[0] else None
    return url_for("web.instrument", code=code, day=day.isoformat(), view=other, _anchor="calendar")


def opening_lines(hours: Iterable[WeeklyHours], today: date) -> list[tuple[int, list[WeeklyHours]]]:
    """Give each weekday with its hours in force."""
    valid = [rule for rule in hours if rule.valid_to is None or rule.valid_to > today]
    valid = [rule for rule in valid if rule.valid_from is None or rule.valid_from <= today]
    return [(day, [rule for rule in valid if rule.weekday == day]) for day in range(7)]


def price_lines(prices: Iterable[InstrumentPrice], today: date) -> list[PriceLine]:
    """Give the prices in force, and those to come, by unit and day."""
    rows = list(prices)
    lines = []
    for unit in Unit:
        of_unit = [price for price in rows if price.unit is unit]
        days = [today, *sorted({price.valid_from for price in of_unit if price.valid_from > today})]
        for day in days:
            inside = next(iter(in_force(of_unit, CustomerClass.INTERNAL, day)), None)
            outside = next(iter(in_force(of_unit, CustomerClass.EXTERNAL, day)), None)
            if inside or outside:
                since = max(price.valid_from for price in (inside, outside) if price)
                lines.append(PriceLine(unit, since, inside, outside, day > today))
    return lines


@blueprint.get("/facilities")
@needs("catalogue.read")
def all_facilities() -> str:
    """List the networks and facilities, with the number of instruments of each."""
    with reading(begun=False) as session:
        found = catalogue.search(session, actor=actor(), filters=Filters(), page_size=1)
        rows = [row for row in facilities.listing(session) if is_there(row)]
        wholes = networks.listing(session)
    counts = {facet.key: facet.count for facet in found.facets["facility"]}
    return render_template(
        "facilities/all.html",
        facilities=rows,
        makes=could(actor(), "facility.make"),
        networks=wholes,
        counts=counts,
        network_counts={facet.key: facet.count for facet in found.facets["network"]},
        places=[
            map_place(row, count, href=url_for("web.facility", code=row.code))
            for row in rows
            if (count := counts.get(row.code, 0))
            if row.latitude is not None
        ],
    )


def map_place(row: Facility, count: int, **more: object) -> dict[str, object]:
    """Give a facility as the map wants it, see templates/parts/map.html."""
    note = i18n.ngettext("%(num)d instrument", "%(num)d instruments", count, num=count)
    town = region(row.region_code) or row.town
    place = {"code": row.code, "name": i18n.name_of(row), "town": town, "count": count, "note": note}
    return place | {"lat": row.latitude, "lon": row.longitude} | more


def is_there(row: Facility) -> bool:
    """Tell whether a facility stands in lists: one that is withdrawn does for its own people alone."""
    return row.withdrawn_at is None or may(actor(), "facility.desk", Subject(facility_id=row.id))


@blueprint.get("/facilities/<code>")
@needs("catalogue.read")
def facility(code: str) -> str:
    """Show a facility: where it is, when it is open, and its instruments."""
    who, now = actor(), utc_now()
    number, size = page_wanted(PER_PAGE, catalogue.MOST_PER_PAGE)
    with reading(begun=False) as session:
        row = facilities.by_code(session, code=code)
        hours = facilities.hours(session, facility_id=row.id)
        found = catalogue.search(
            session,
            actor=who,
            filters=Filters(facility=code),
            page=number,
            page_size=size,
            locale=i18n.current_locale(),
        )
        shown = cards(session, actor=who, instruments=found.items, now=now)
        taking = rounds.taking(session, actor=who, facility_id=row.id, now=now)
    return render_template(
        "facilities/facility.html",
        facility=row,
        found=found,
        cards=shown,
        kinds=found.facets["kind"],
        opening=opening_lines(hours, local_date(now, row.zone)),
        now=now,
        desk=may(who, "facility.desk", Subject(facility_id=row.id)),
        keeps=may(who, "facility.edit", Subject(facility_id=row.id)),
        taking=taking,
        page_url=page_url,
    )


@blueprint.get("/networks/<code>")
@needs("catalogue.read")
def network(code: str) -> str:
    """Show a network: its facilities and what they have."""
    with reading(begun=False) as session:
        row = networks.by_code(session, code=code)
        look = networks.brand(session, code=code)
        found = catalogue.search(session, actor=actor(), filters=Filters(network=code), page_size=1)
        places = [
            place
            for place in facilities.listing(session)
            if row.id in {n.id for n in place.networks} and is_there(place)
        ]
    return render_template(
        "facilities/network.html",
        network=row,
        look=look,
        keeps=networks.keeps(actor(), row),
        found=found,
        facilities=places,
        counts={facet.key: facet.count for facet in found.facets["facility"]},
        kinds=found.facets["kind"],
        classes=[facet for facet in found.facets["category"] if len(facet.key) == 2],
    )
