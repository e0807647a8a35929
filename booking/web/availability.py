"""Find a time: the earliest at which each instrument that suits can be had, with facets, and why others are not."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading
from booking.domain import needs as ability_needs
from booking.domain import vocabulary
from booking.domain.access import Actor
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import format_datetime, format_duration, format_number, name_of
from booking.i18n import gettext as _
from booking.services import distances, facilities, finder, instruments
from booking.services.catalogue import Facet, Filters
from booking.services.finder import Answer, Missed, Offer, Question
from booking.web import abilities, blueprint
from booking.web.cards import book_href, day_from, local_date, midnight
from booking.web.catalogue import map_place
from booking.web.catalogue import titles as catalogue_titles
from booking.web.words import facet_name, region, sort_of_instrument
from models import Facility, Instrument

LENGTHS = (30, 60, 90, 120, 180, 240, 360, 480, 720, 1440, 2880, 4320, 7200, 10080, 20160)
"""The lengths offered, in minutes; an address may ask for any other."""

USUAL_LENGTH = 120
USUAL_DAYS = 14
PER_PAGE = 20
FARTHER = 61
"""So many days are looked at where nothing is free in fewer."""

REACHES = (10, 30, 100, 300)
"""The distances offered, in kilometres; an address may ask for any other."""

FACETS = ("terms", "price", "kind", "category", "region", "facility", "network", "capability")
"""The ways to narrow the answer, in the order of the page."""

MANY = ("kind", "category", "region", "facility", "network", "capability", "terms")
"""Of these an address may name several, one by one or with commas between."""

WHENS = ("today", "tomorrow", "week", "weekend")

_FIELDS = {"duration": "minutes", "price": "ceiling"}
"""Fields of the form by the service's name for them."""

HOME_ZONE = "Asia/Shanghai"
"""Whose days are meant before there is any facility."""


@dataclass(frozen=True)
class Wish:
    """What is looked for; the two days are whole days on the facilities' clock."""

    minutes: int
    first: date
    last: date
    quantity: int


@dataclass(frozen=True)
class Time:
    """A time of an instrument with the address that books it."""

    start: datetime
    end: datetime
    book: str


@dataclass(frozen=True)
class Found:
    """An offer with the instrument that it is of, and the times after it."""

    offer: Offer
    instrument: Instrument
    book: str
    more: list[Time]


@dataclass(frozen=True)
class Lack:
    """An instrument that suits and is not free: why, in words, and the ways on."""

    instrument: Instrument
    why: str
    book: str | None
    widen: str | None
    wait: str


@dataclass(frozen=True)
class Tick:
    """A choice of a facet."""

    key: str
    label: str
    count: int
    chosen: bool
    inner: bool = False


@blueprint.get("/free")
@needs("availability.read")
def free() -> tuple[str, int] | Redirect:
    """Find the earliest free time of every instrument that suits."""
    who, now = actor(), utc_now()
    errors: dict[str, str] = {}
    number, size = page_wanted(PER_PAGE, PER_PAGE)
    with reading() as session:
        places = [row for row in facilities.listing(session) if row.withdrawn_at is None]
        zone = _zone(places, request.args.get("facility", ""))
        today = local_date(now, zone)
        if request.args.get("where") or request.args.get("when"):
            return redirect(_plain(today))
        wish = Wish(USUAL_LENGTH, today, today + timedelta(days=USUAL_DAYS), 1)
        question, answer = None, Answer([])
        filters = Filters()
        typed = {name: request.args.get(name, "") for name in abilities.FIELDS}
        try:
            wish = _wish(today)
            filters = _filters(session, who, typed)
            question = _question(wish, filters, _within(wish, zone, now))
            answer = finder.find(
                session,
                actor=who,
                question=question,
                limit=size,
                offset=(number - 1) * size,
                whole=True,
                now=now,
            )
        except Invalid as error:
            errors = {
                _FIELDS.get(name, name): wording.error_sentence(code) for name, code in error.errors.items()
            }
        rows = instruments.listed(
            session,
            actor=who,
            instrument_ids=[
                *(offer.instrument_id for offer in answer.offers),
                *(one.instrument.id for one in answer.missed),
            ],
        )
        relaxed = _relaxed(session, who, question, now) if question and not (errors or answer.free) else []
    ticks = {name: _ticks(name, answer.facets.get(name, ()), filters) for name in FACETS}
    needed = {name: value or None for name, value in abilities.typed(filters.capability).items()}
    at = {row.code: answer.at[row.id] for row in places if row.id in answer.at}
    page = render_template(
        "catalogue/free.html",
        wish=wish,
        filters=filters,
        answer=answer,
        found=[_found(offer, rows[offer.instrument_id], wish, needed) for offer in answer.offers],
        lacking=[
            _lack(one, rows[one.instrument.id], wish, needed)
            for one in answer.missed
            if one.instrument.id in rows
        ],
        relaxed=relaxed,
        errors=errors,
        typed={"ability": "", "limit": "", "figure": ""} if not errors else typed,
        titles=titles(),
        ticks=ticks,
        chips=_chips(filters, ticks),
        sort=request.args.get("sort", "") or finder.SORTS[0],
        sorts=sorts(finder.SORTS),
        asked={name: request.args.get(name, "").strip() for name in ("part", "days", "ceiling")},
        lengths=lengths(wish.minutes),
        part_options=part_options(),
        day_options=[("", _("Any day")), ("weekdays", _("Monday to Friday")), ("weekends", _("Weekend"))],
        near_options=near_options(places, filters.near),
        reach_options=reach_options(filters.within_km),
        away=wording.away,
        places=[
            map_place(row, at[row.code], href=_href(facility=[row.code], sort=None))
            for row in places
            if row.code in at and row.latitude is not None and row.longitude is not None
        ],
        by_place=_by_place(places, at, answer),
        here=_here(answer, filters, places),
        clear=_href(**dict.fromkeys((*MANY, "ceiling", "part", "days", "near", "within_km", "sort"))),
        later=_href(to=[(wish.first + timedelta(days=FARTHER)).isoformat()]),
        page=number,
        page_size=size,
        page_url=page_url,
    )
    return page, 422 if errors else 200


# --- what a form offers ---------------------------------------------------------------------------


def lengths(chosen: int) -> list[tuple[int, str]]:
    """Give the lengths that a form offers, the chosen one among them, in minutes and in words."""
    return [(minutes, format_duration(minutes)) for minutes in sorted({*LENGTHS, chosen})]


def kind_options() -> list[tuple[str, str]]:
    """Give the kinds of instruments that a form offers."""
    return [("", _("Any"))] + [(kind, sort_of_instrument(kind)) for kind in vocabulary.KINDS]


def part_options() -> list[tuple[str, str]]:
    """Give the parts of a day in which a use may begin."""
    return [
        ("", _("Any time")),
        ("morning", _("Morning (from 6)")),
        ("afternoon", _("Afternoon (from 12)")),
        ("night", _("Evening and night (from 18)")),
    ]


def when_options() -> list[tuple[str, str]]:
    """Give the days that a form offers by name."""
    return [
        ("", _("Soonest")),
        ("today", _("Today")),
        ("tomorrow", _("Tomorrow")),
        ("week", _("This week")),
        ("weekend", _("At the weekend")),
    ]


def where_options(facets: Mapping[str, Sequence[Facet]]) -> list[tuple[str, object]]:
    """Give the regions, networks and facilities that a form offers, and the regions that it may be near to."""

    def options(name: str) -> list[tuple[str, str]]:
        return [(f"{name}:{facet.key}", facet_name(facet)) for facet in facets[name]]

    near = [(f"near:{facet.key}", _("Near %(place)s", place=facet_name(facet))) for facet in facets["region"]]
    groups = [
        (_("Regions"), options("region")),
        (_("Nearest first"), near),
        (_("Networks"), options("network")),
        (_("Facilities"), options("facility")),
    ]
    return [("", _("Anywhere")), *((title, group) for title, group in groups if group)]


def near_options(places: Sequence[Facility], chosen: str) -> list[tuple[str, object]]:
    """Give the places from which distances count: regions, towns, facilities, or where the reader is."""
    known = [row for row in places if row.latitude is not None and row.longitude is not None]
    codes = sorted({row.region_code for row in known if region(row.region_code)})
    towns = sorted({row.town for row in known if row.town} - {region(code) for code in codes})
    groups = [
        (_("Cities"), [*((code, region(code)) for code in codes), *((town, town) for town in towns)]),
        (_("Facilities"), [(row.code, name_of(row)) for row in known]),
    ]
    options: list[tuple[str, object]] = [("", _("Anywhere"))]
    listed = {key for _title, group in groups for key, _words in group}
    if chosen and chosen not in listed:
        options.append((chosen, _("Where I am (%(place)s)", place=chosen)))
    return [*options, *((title, group) for title, group in groups if group)]


def reach_options(chosen: str) -> list[tuple[str, str]]:
    """Give the distances that a form offers."""
    every = sorted({*REACHES, *([int(chosen)] if chosen.isdecimal() and len(chosen) < 6 else [])})
    return [("", _("Any distance")), *((str(km), _("Within %(km)s km", km=km)) for km in every)]


def sorts(names: Iterable[str]) -> list[tuple[str, str]]:
    """Give the orders that a list can have."""
    words = {
        "name": _("Best match"),
        "earliest": _("Earliest first"),
        "price": _("Cheapest first"),
        "nearest": _("Nearest first"),
    }
    return [(name, words[name]) for name in names]


def titles() -> dict[str, str]:
    """Name the facets."""
    return {"terms": _("Terms"), "price": _("Estimate"), **catalogue_titles()}


# --- the question ---------------------------------------------------------------------------------


def _plain(today: date) -> str:
    """Give the address that says in plain fields what the form of the home page asked in one."""
    name, _colon, value = request.args.get("where", "").partition(":")
    asked: dict[str, list[str] | None] = {"where": None, "when": None}
    if name in {"facility", "region", "network", "near"} and value:
        asked[name] = [value]
    if name == "near":
        asked["sort"] = ["nearest"]
    if days := _days(request.args.get("when", ""), today):
        asked |= {"from": [days[0].isoformat()], "to": [days[1].isoformat()]}
    return _href(**asked)


def _days(when: str, today: date) -> tuple[date, date] | None:
    sunday = today + timedelta(days=6 - today.weekday())
    match when:
        case "today":
            return today, today
        case "tomorrow":
            return today + timedelta(days=1), today + timedelta(days=1)
        case "week":
            return today, sunday
        case "weekend":
            return max(today, sunday - timedelta(days=1)), sunday
    return None


def _zone(places: Sequence[Facility], code: str) -> str:
    """Give the zone whose days are meant: the chosen facility's, else that of most facilities."""
    chosen = [place.zone for place in places if place.code == code]
    zones = chosen or [place.zone for place in places] or [HOME_ZONE]
    return Counter(zones).most_common(1)[0][0]


def _wish(today: date) -> Wish:
    minutes = _whole("minutes") or USUAL_LENGTH
    quantity = _whole("quantity") or 1
    first = day_from(request.args.get("from", ""), today, field="from")
    last = day_from(request.args.get("to", ""), first + timedelta(days=USUAL_DAYS), field="to")
    if last < first:
        raise Invalid({"to": "inverted"})
    return Wish(minutes, first, last, quantity)


def _whole(name: str, longest: int = 6) -> int | None:
    raw = request.args.get(name, "").strip()
    if not raw:
        return None
    if not raw.isascii() or not raw.isdigit():
        raise Invalid({name: "malformed"})
    if len(raw) > longest or int(raw) < 1:
        raise Invalid({name: "out_of_range"})
    return int(raw)


def listed(name: str) -> str:
    """Give what the address says of a facet of which several may be chosen, with commas between."""
    parts = [part.strip() for value in request.args.getlist(name) for part in value.split(",")]
    return ",".join(dict.fromkeys(part for part in parts if part))


def _filters(session: Session, who: Actor, typed: Mapping[str, str]) -> Filters:
    several = {name: listed(name) for name in MANY if name != "terms"}
    single = {name: request.args.get(name, "").strip() for name in ("q", "near", "within_km")}
    filters = Filters(**several, **single)
    wanted, wrong = abilities.added(filters.capability, typed)
    if wrong:
        raise Invalid(wrong)
    if request.args.get("sort") == "nearest" and not filters.near:
        filters = replace(filters, near=distances.own(session, actor=who))
    return replace(filters, capability=wanted)


def _question(wish: Wish, filters: Filters, within: Span) -> Question:
    return Question(
        timedelta(minutes=wish.minutes),
        within,
        filters,
        quantity=wish.quantity,
        part=request.args.get("part", ""),
        days=request.args.get("days", ""),
        terms=frozenset(part for part in listed("terms").split(",") if part),
        ceiling=_whole("ceiling", longest=9),
        sort=request.args.get("sort", "") or finder.SORTS[0],
    )


def _within(wish: Wish, zone: str, now: datetime) -> Span:
    end = midnight(wish.last + timedelta(days=1), zone)
    start = max(midnight(wish.first, zone), now)
    if start >= end:
        raise Invalid({"to": "past"})
    return Span(start, end)


def _href(**changes: list[str] | None) -> str:
    """Give the address of the same question with some fields changed, or left out; from its first page."""
    asked: dict[str, list[str] | None] = {name: request.args.getlist(name) for name in request.args}
    asked |= {**changes, "page": None}
    plain = {name: [value for value in values or () if value] for name, values in asked.items()}
    return _address({name: values for name, values in plain.items() if values})


def _address(fields: Mapping[str, Any]) -> str:
    return url_for("web.free", **fields)


# --- the answer -----------------------------------------------------------------------------------


def _found(offer: Offer, row: Instrument, wish: Wish, needed: Mapping[str, str | None]) -> Found:
    def book(start: datetime, end: datetime) -> str:
        return book_href(row.code, start, end, row.facility.zone, wish.quantity, **needed)

    more = [Time(span.start, span.end, book(span.start, span.end)) for span in offer.more]
    return Found(offer, row, book(offer.start, offer.end), more)


def _lack(one: Missed, row: Instrument, wish: Wish, needed: Mapping[str, str | None]) -> Lack:
    zone = row.facility.zone
    span = one.next
    day = local_date(span.start, zone) if span else None
    last = max(wish.last, day) if day else wish.last
    return Lack(
        row,
        _why(one, zone),
        book_href(row.code, span.start, span.end, zone, wish.quantity, **needed) if span else None,
        _href(to=[day.isoformat()], part=None, days=None) if day and day > wish.last else None,
        url_for(
            "web.new_place",
            instrument=row.code,
            minutes=wish.minutes,
            quantity=wish.quantity,
            first=wish.first.isoformat(),
            last=last.isoformat(),
        ),
    )


def _why(one: Missed, zone: str) -> str:
    """Say why an instrument is not free: no use of it may be so long, or all is taken until a day."""
    if one.lengths:
        shortest, longest, step = (format_duration(minutes) if minutes else "" for minutes in one.lengths)
        if longest:
            return _(
                "It is used for %(shortest)s to %(longest)s, in steps of %(step)s.",
                shortest=shortest,
                longest=longest,
                step=step,
            )
        return _("It is used for %(shortest)s or more, in steps of %(step)s.", shortest=shortest, step=step)
    if one.next is None:
        return _("Nothing is free in the next %(days)s days.", days=finder.LATER.days)
    return _(
        "No free start in these days; next free on %(time)s.", time=format_datetime(one.next.start, zone)
    )


def _relaxed(session: Session, who: Actor, question: Question, now: datetime) -> list[tuple[str, int, str]]:
    """Give what could be asked less of, how many would then be free, and the address that asks so."""
    filters = question.filters
    far = Span(question.within.start, question.within.start + timedelta(days=FARTHER))
    last = local_date(far.end, HOME_ZONE).isoformat()
    less: list[tuple[str, Question, tuple[str, ...]]] = [
        (_("At any time of any day"), replace(question, part="", days=""), ("part", "days")),
        (_("One unit"), replace(question, quantity=1), ("quantity",)),
        (_("At any price"), replace(question, ceiling=None), ("ceiling",)),
        (_("On any terms"), replace(question, terms=frozenset()), ("terms",)),
        (_("At any distance"), replace(question, filters=replace(filters, within_km="")), ("within_km",)),
    ]
    for key, name in [("q", filters.q), *((key, titles()[key]) for key in MANY if key != "terms")]:
        if getattr(filters, key):
            other = replace(question, filters=replace(filters, **{key: ""}))
            less.append((_("Without “%(name)s”", name=name), other, (key,)))
    asked = [
        (words, other, _href(**dict.fromkeys(names))) for words, other, names in less if other != question
    ]
    asked.insert(0, (_("Look two months ahead"), replace(question, within=far), _href(to=[last])))
    counted = [
        (words, finder.find(session, actor=who, question=other, limit=0, now=now).free, href)
        for words, other, href in asked
    ]
    return [one for one in counted if one[1]]


def _ticks(name: str, facets: Iterable[Facet], filters: Filters) -> list[Tick]:
    if name == "terms":
        chosen = set(listed("terms").split(","))
        words = {
            "instant": _("No approval needed"),
            "trained": _("No training that I lack"),
            "operated": _("The facility's operator does it"),
        }
        return [Tick(one.key, words[one.key], one.count, one.key in chosen) for one in facets]
    if name == "price":
        at = request.args.get("ceiling", "").strip()
        return [
            Tick(
                one.key, _("Up to ¥%(amount)s", amount=format_number(int(one.key))), one.count, one.key == at
            )
            for one in facets
        ]
    chosen = set(getattr(filters, name).split(","))
    return [
        Tick(
            one.key,
            facet_name(one),
            one.count,
            one.key in chosen,
            inner=name == "category" and len(one.key) > 2,
        )
        for one in facets
    ]


def _chips(filters: Filters, ticks: Mapping[str, Sequence[Tick]]) -> list[tuple[str, str]]:
    """Give what narrows the answer in words, each with the address of the question without it."""
    chips = []
    for name in FACETS:
        if name in {"price", "capability"}:
            continue
        every = [tick.key for tick in ticks[name] if tick.chosen]
        asked = [part for part in listed(name).split(",") if part]
        labels = {tick.key: tick.label for tick in ticks[name]}
        for key in asked:
            rest = [part for part in asked if part != key]
            if key in every or name != "terms":
                chips.append((labels.get(key, key), _href(**{name: rest})))
    chips += [(tick.label, _href(ceiling=None)) for tick in ticks["price"] if tick.chosen]
    every = ability_needs.parts(filters.capability)
    fields = dict.fromkeys(abilities.FIELDS)
    for part in every:
        rest = [",".join(one for one in every if one != part)]
        chips.append((abilities.words(part), _href(capability=rest, **fields)))
    for name, options in (("part", part_options()),):
        chips += [
            (words, _href(**{name: None})) for key, words in options if key and key == request.args.get(name)
        ]
    return chips


def _by_place(
    places: Sequence[Facility], at: Mapping[str, int], answer: Answer
) -> list[tuple[Facility, int, str, str]]:
    """Give the facilities that have offers: how many, how far, and the address of theirs; nearest or most first."""
    km = answer.reach.km if answer.reach else {}
    found = [row for row in places if row.code in at]
    order = sorted(found, key=lambda row: (km.get(row.id, 1e9), -at[row.code], row.code))
    return [
        (
            row,
            at[row.code],
            wording.away(km.get(row.id)) if answer.reach else "",
            _href(facility=[row.code]),
        )
        for row in order
    ]


def _here(answer: Answer, filters: Filters, places: Sequence[Facility]) -> dict[str, object] | None:
    if answer.reach is None or answer.reach.here is None:
        return None
    latitude, longitude = answer.reach.here
    name = next((name_of(row) for row in places if row.code == filters.near), filters.near)
    return {"lat": latitude, "lon": longitude, "name": region(name) or name}
