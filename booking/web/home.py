"""The home page: search, a time found in one step, what is next, and what there is."""

from flask import render_template

from booking import i18n
from booking.db import reading
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.services import catalogue, rounds
from booking.services.catalogue import Filters
from booking.web import blueprint, mine
from booking.web.availability import (
    HOME_ZONE,
    USUAL_LENGTH,
    kind_options,
    lengths,
    when_options,
    where_options,
)
from booking.web.cards import local_date

PLACES = 12


@blueprint.get("/")
@needs("catalogue.read")
def home() -> str:
    """Greet whoever comes, with their next bookings if they are known."""
    who, now = actor(), utc_now()
    with reading(begun=False) as session:
        found = catalogue.search(
            session, actor=who, filters=Filters(), page_size=1, locale=i18n.current_locale()
        )
        own = mine.facts(session, who, now)
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
        when_options=when_options(),
        where_options=where_options(found.facets),
        classes=[facet for facet in found.facets["category"] if len(facet.key) == 2],
        taking=taking,
        today=local_date(now, HOME_ZONE),
        **own,
    )
