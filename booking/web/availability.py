"""Find a time: the earliest at which each instrument that suits can be had."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from flask import render_template, request, url_for

from booking import wording
from booking.db import reading
from booking.domain import needs as ability_needs
from booking.domain import vocabulary
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import format_duration, name_of
from booking.i18n import gettext as _
from booking.services import availability, catalogue, facilities, instruments
from booking.services.availability import Offer
from booking.services.catalogue import Filters
from booking.web import abilities, blueprint
from booking.web.cards import book_href, day_from, local_date, midnight
from booking.web.words import sort_of_instrument
from models import Facility, Instrument

LENGTHS = (30, 60, 90, 120, 180, 240, 360, 480, 720, 1440, 2880, 4320, 7200, 10080, 20160)
"""The lengths offered, in minutes; an address may ask for any other."""

USUAL_LENGTH = 120
USUAL_DAYS = 14
MOST = 50
_FIELDS = {"duration": "minutes"}
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
class Found:
    """An offer with the instrument that it is of."""

    offer: Offer
    instrument: Instrument
    book: str


@blueprint.get("/free")
@needs("availability.read")
def free() -> tuple[str, int]:
    """Find the earliest free time of every instrument that suits."""
    who, now = actor(), utc_now()
    errors: dict[str, str] = {}
    with reading() as session:
        places = facilities.listing(session)
        zone = _zone(places, request.args.get("facility", ""))
        today = local_date(now, zone)
        wish = Wish(USUAL_LENGTH, today, today + timedelta(days=USUAL_DAYS), 1)
        filters, found = Filters(), []
        typed = {name: request.args.get(name, "") for name in abilities.FIELDS}
        try:
            wish = _wish(today)
            filters = _filters(typed)
            offers = availability.find(
                session,
                actor=who,
                duration=timedelta(minutes=wish.minutes),
                within=_within(wish, zone, now),
                filters=filters,
                quantity=wish.quantity,
                limit=MOST,
                now=now,
            )
            rows = instruments.listed(
                session, actor=who, instrument_ids=[offer.instrument_id for offer in offers]
            )
            first = {name: value or None for name, value in abilities.typed(filters.capability).items()}
            found = [_found(offer, rows[offer.instrument_id], wish, first) for offer in offers]
        except Invalid as error:
            errors = {
                _FIELDS.get(name, name): wording.error_sentence(code) for name, code in error.errors.items()
            }
        classes = [row for row in catalogue.categories(session) if len(row.code) == 2]
    page = render_template(
        "catalogue/free.html",
        wish=wish,
        lengths=lengths(wish.minutes),
        filters=filters,
        found=found,
        most=MOST,
        errors=errors,
        typed={"ability": "", "limit": "", "figure": ""} if not errors else typed,
        needed=_needed(filters),
        away=wording.away,
        kind_options=kind_options(),
        category_options=[("", _("Any"))] + [(row.code, name_of(row)) for row in classes],
        facility_options=[("", _("Any"))] + [(row.code, name_of(row)) for row in places],
        later=_later(wish),
    )
    return page, 422 if errors else 200


def lengths(chosen: int) -> list[tuple[int, str]]:
    """Give the lengths that a form offers, the chosen one among them, in minutes and in words."""
    return [(minutes, format_duration(minutes)) for minutes in sorted({*LENGTHS, chosen})]


def kind_options() -> list[tuple[str, str]]:
    """Give the kinds of instruments that a form offers."""
    return [("", _("Any"))] + [(kind, sort_of_instrument(kind)) for kind in vocabulary.KINDS]


def _later(wish: Wish) -> str:
    """Give the address of the same question over two months."""
    asked = request.args.to_dict() | {"to": (wish.first + timedelta(days=61)).isoformat()}
    return url_for("web.free", **{name: value for name, value in asked.items() if value})


def _zone(places: Sequence[Facility], code: str) -> str:
    """Give the zone whose days are meant: the chosen facility's, else that of most facilities."""
    chosen = [place.zone for place in places if place.code == code]
    zones = chosen or [place.zone for place in places] or [HOME_ZONE]
    return Counter(zones).most_common(1)[0][0]


def _wish(today: date) -> Wish:
    minutes = _whole("minutes", USUAL_LENGTH)
    quantity = _whole("quantity", 1)
    first = day_from(request.args.get("from", ""), today, field="from")
    last = day_from(request.args.get("to", ""), first + timedelta(days=USUAL_DAYS), field="to")
    if last < first:
        raise Invalid({"to": "inverted"})
    return Wish(minutes, first, last, quantity)


def _whole(name: str, default: int) -> int:
    raw = request.args.get(name, "").strip()
    if not raw:
        return default
    if not raw.isascii() or not raw.isdigit():
        raise Invalid({name: "malformed"})
    if len(raw) > 6 or int(raw) < 1:
        raise Invalid({name: "out_of_range"})
    return int(raw)


def _filters(typed: Mapping[str, str]) -> Filters:
    names = ("q", "facility", "network", "kind", "category", "capability", "near", "within_km")
    filters = Filters(**{name: request.args.get(name, "").strip() for name in names})
    wanted, wrong = abilities.added(filters.capability, typed)
    if wrong:
        raise Invalid(wrong)
    return replace(filters, capability=wanted)


def _needed(filters: Filters) -> list[tuple[str, str]]:
    """Give each need in words, with the address of the same question without it."""
    every = ability_needs.parts(filters.capability)
    asked = {name: value for name, value in request.args.items() if name not in abilities.FIELDS}
    return [
        (
            abilities.words(part),
            url_for("web.free", **(asked | {"capability": ",".join(one for one in every if one != part)})),
        )
        for part in every
    ]


def _within(wish: Wish, zone: str, now: datetime) -> Span:
    end = midnight(wish.last + timedelta(days=1), zone)
    start = max(midnight(wish.first, zone), now)
    if start >= end:
        raise Invalid({"to": "past"})
    return Span(start, end)


def _found(offer: Offer, row: Instrument, wish: Wish, needed: Mapping[str, str | None]) -> Found:
    href = book_href(row.code, offer.start, offer.end, row.facility.zone, wish.quantity, **needed)
    return Found(offer, row, href)
