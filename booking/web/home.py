"""The home page: search, a time found in one step, what is next, and what there is."""

from datetime import datetime, timedelta

from flask import render_template

from booking import i18n
from booking.db import Session, reading
from booking.domain.access import Actor, could
from booking.domain.lifecycle import State
from booking.domain.spans import Span
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import (
    approvals,
    bookings,
    catalogue,
    closures,
    instruments,
    proposals,
    rounds,
    transfers,
    waitlist,
)
from booking.services.catalogue import Filters
from booking.web import blueprint
from booking.web.availability import HOME_ZONE, USUAL_LENGTH, kind_options, lengths
from booking.web.cards import Card, cards, local_date
from models import Booking

AHEAD = timedelta(days=365)
BEHIND = timedelta(days=60)
NEXT = 5
AGAIN = 3
PLACES = 12
LIVING = (State.REQUESTED, State.CONFIRMED, State.CHECKED_IN)


@blueprint.get("/")
@needs("catalogue.read")
def home() -> str:
    """Greet whoever comes, with their next bookings if they are known."""
    who, now = actor(), utc_now()
    with reading() as session:
        found = catalogue.search(
            session, actor=who, filters=Filters(), page_size=1, locale=i18n.current_locale()
        )
        upcoming, total = _next(session, who, now)
        struck = closures.struck(session, found=upcoming, now=now)
        again = _again(session, who, now)
        waiting = approvals.waiting(session, actor=who, now=now) if could(who, "approval.decide") else 0
        offered = waitlist.offered(session, actor=who, now=now) if who.signed_in else 0
        handed = transfers.waiting(session, actor=who) if who.signed_in else 0
        proposed = proposals.mine(session, actor=who, now=now) if who.signed_in else []
        taking = rounds.taking(session, actor=who, now=now)
    places = sorted(found.facets["facility"], key=lambda facet: (-facet.count, facet.key))
    return render_template(
        "home/home.html",
        total=found.total,
        networks=found.facets["network"],
        facilities=places[:PLACES],
        more_facilities=max(0, len(places) - PLACES),
        kinds=found.facets["kind"],
        kind_options=kind_options(),
        lengths=lengths(USUAL_LENGTH),
        length=USUAL_LENGTH,
        classes=[facet for facet in found.facets["category"] if len(facet.key) == 2],
        upcoming=upcoming,
        struck=struck,
        more_upcoming=max(0, total - len(upcoming)),
        again=again,
        waiting=waiting,
        offered=offered,
        handed=handed,
        proposed=len(proposed),
        taking=taking,
        today=local_date(now, HOME_ZONE),
    )


def _next(session: Session, who: Actor, now: datetime) -> tuple[list[Booking], int]:
    if not who.signed_in:
        return [], 0
    ahead = Span(now, now + AHEAD)
    return bookings.listing(session, actor=who, mine=True, within=ahead, states=LIVING, page_size=NEXT)


def _again(session: Session, who: Actor, now: datetime) -> list[Card]:
    """Give the instruments that somebody used or booked last, each with its next free time."""
    if not who.signed_in:
        return []
    around = Span(now - BEHIND, now + BEHIND)
    past, _total = bookings.listing(session, actor=who, mine=True, within=around, page_size=100)
    latest: dict[int, None] = {}
    for booking in sorted(past, key=lambda booking: booking.created_at, reverse=True):
        for item in booking.items:
            latest.setdefault(item.instrument_id)
    chosen = list(latest)[:AGAIN]
    rows = instruments.listed(session, actor=who, instrument_ids=chosen)
    return cards(session, actor=who, instruments=[rows[place] for place in chosen if place in rows], now=now)
