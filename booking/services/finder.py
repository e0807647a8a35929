"""Find a time: the earliest use of each instrument that suits, facets with counts, and why others are not free."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

from sqlalchemy import ColumnElement, Integer, case, func, literal, select
from sqlalchemy.orm import Session, load_only

from booking.domain import availability as free_time
from booking.domain import facets as domain
from booking.domain import vocabulary
from booking.domain.access import Actor
from booking.domain.facets import Traits
from booking.domain.occupation import Item
from booking.domain.policy import SHEET
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import (
    approval_steps,
    availability,
    catalogue,
    distances,
    first_gaps,
    policies,
    qualification_needs,
)
from booking.services.availability import WINDOW, Grounds
from booking.services.catalogue import Facet, Filters, several
from booking.services.distances import Reach
from models import (
    Capability,
    Category,
    Facility,
    Instrument,
    Network,
    NetworkFacility,
    OperatorNeed,
)

CANDIDATES = 400
"""So many instruments are looked at at once; with those that only one facet keeps out, twice as many."""

AT_ONCE = 32
"""Where the earliest alone are asked for, so few are looked at closely at a time."""

AHEAD = timedelta(days=1)
"""So much of the ledger is read at first: what is not free in it is looked at in four times as much, and so on."""

SORTS = ("earliest", "price", "nearest")
TERMS = ("instant", "trained", "operated")
"""What can be asked of the terms: no approval, no training that the reader lacks, an operator who does the work."""

CEILINGS = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
"""Prices in yuan that are worth a choice."""

MORE = 4
"""So many times after the first are told of an instrument."""

MISSED = 5
"""Of so many instruments that are not free it is told why."""

LATER = timedelta(days=90)
"""So far ahead it is looked when they are free."""

_BY_COLUMN = ("kind", "category", "facility", "region", "network")
_OPERATED = (OperatorNeed.ALWAYS, OperatorNeed.START_STOP)


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for: a use so long within a span, by the filters, and how the answer is sorted."""

    duration: timedelta
    within: Span
    filters: Filters = field(default_factory=Filters)
    quantity: int = 1
    part: str = ""
    days: str = ""
    terms: frozenset[str] = frozenset()
    ceiling: int | None = None
    sort: str = SORTS[0]

    def check(self) -> None:
        """Refuse what makes no sense.

        :raises Invalid: with a code for each part that does not
        """
        availability.check_window(self.within)
        errors = {}
        if self.duration <= timedelta(0) or self.duration > WINDOW:
            errors["duration"] = "out_of_range"
        if self.part and self.part not in free_time.PARTS:
            errors["part"] = "unknown"
        if self.days and self.days not in free_time.DAYS:
            errors["days"] = "unknown"
        if not self.terms <= set(TERMS):
            errors["terms"] = "unknown"
        if self.sort not in SORTS:
            errors["sort"] = "unknown"
        if self.sort == "nearest" and not self.filters.near:
            errors["near"] = "required"
        if errors:
            raise Invalid(errors)


@dataclass(frozen=True, slots=True)
class Offer:
    """A time at which an instrument can be had, with what it would cost (None: negotiated), and how far away.

    `asks` tells whether it needs approval, or may; `more` are the times after it.
    """

    instrument_id: int
    code: str
    start: datetime
    end: datetime
    estimate: Decimal | None
    km: float | None = None
    asks: bool = False
    more: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Missed:
    """An instrument that suits and has no such time: what its lengths are, or when it is free next."""

    instrument: Instrument
    lengths: tuple[int, int | None, int] | None
    next: Span | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The offers of a page; of all that suits, how many are free, and what else could be asked.

    `without` counts how many more were free without one facet, `beyond` those that nobody looked at.
    """

    offers: list[Offer]
    free: int = 0
    matching: int = 0
    asking: int = 0
    beyond: int = 0
    facets: dict[str, list[Facet]] = field(default_factory=dict)
    missed: list[Missed] = field(default_factory=list)
    without: Counter[str] = field(default_factory=Counter)
    at: Mapping[int, int] = field(default_factory=dict)
    """Offers by facility."""
    reach: Reach | None = None


class _Seen(NamedTuple):
    """What is known of all candidates, by instrument."""

    rows: dict[int, Instrument]
    grounds: Grounds | None
    first: dict[int, Span]
    charges: dict[int, Decimal | None]
    asking: set[int]


_NOTHING = _Seen({}, None, {}, {}, set())


def find(
    session: Session,
    *,
    actor: Actor,
    question: Question,
    limit: int = 50,
    offset: int = 0,
    whole: bool = False,
    now: datetime,
) -> Answer:
    """Give the earliest time of each matching instrument at which such a use can be had.

    `whole` counts facets too and tells of what is not free. A constant number of statements however many instruments
    match.

    :raises Invalid: if the question makes no sense
    """
    question.check()
    reach = distances.reach(session, near=question.filters.near, within_km=question.filters.within_km)
    judged = bool(question.ceiling is not None or question.terms)
    if limit and not whole and not judged and question.sort == "earliest":
        return _soonest(session, actor, question, reach, limit + offset, offset, now)
    found = _candidates(session, actor, question, reach, near_misses=whole)
    rows = {row.id: row for row, _ in found}
    seen = _looked(session, actor, question, rows, now)
    all_judged = whole or question.sort == "price" or judged
    if all_judged:
        seen = _judged(session, actor, question, seen, rows)
    chosen = _chosen(question)
    things = _traits(session, actor, question, seen, now, every=whole)
    every = domain.tally(things, chosen)
    free = domain.tally((thing for thing in things if thing.key in seen.first), chosen)
    order = sorted(free.passing, key=lambda place: _rank(place, question.sort, seen, reach))
    shown = order[offset : offset + limit]
    if not all_judged:
        seen = _judged(session, actor, question, seen, shown)
    offers = [_offer(place, seen, reach) for place in shown]
    answer = Answer(offers, len(free.passing), len(every.passing), reach=reach)
    if not whole:
        return answer
    missing = [place for place in every.passing if place not in seen.first]
    exact = sum(1 for _, failed in found if not failed)
    return replace(
        answer,
        offers=_with_more(session, question, offers, seen, now),
        asking=sum(place in seen.asking for place in free.passing),
        beyond=_beyond(session, actor, question, reach, exact),
        facets=_facets(session, question, free.counts),
        missed=_missed(session, actor, question, [rows[place] for place in missing], now),
        without=free.without,
        at=Counter(rows[place].facility_id for place in free.passing),
    )


# --- the earliest of many -------------------------------------------------------------------------


def _soonest(
    session: Session,
    actor: Actor,
    question: Question,
    reach: Reach | None,
    wanted: int,
    offset: int,
    now: datetime,
) -> Answer:
    """Give the earliest offers, and look closely at no more instruments, and no farther ahead, than that takes.

    The database tells before when no use can begin on each. Those that come first by it are looked at for a while
    ahead, until what was found comes before all that is left. What is not free for so long takes its place again.
    """
    gaps = first_gaps.find(
        session,
        suits=_suits(question, question.filters, actor, reach),
        duration=question.duration,
        within=question.within,
        part=question.part,
        days=question.days,
        most=CANDIDATES,
        now=now,
    )
    matching = len(gaps)
    seen = _NOTHING
    best: list[int] = []
    ahead = AHEAD
    while gaps:
        few, gaps = gaps[: max(wanted, AT_ONCE)], gaps[max(wanted, AT_ONCE) :]
        until = min(question.within.end, few[-1].at + question.duration + ahead)
        rows = _rows(session, [gap.place for gap in few])
        grounds = availability.grounds_of(session, list(rows.values()), person_id=actor.person_id)
        first = _first(session, question, grounds, Span(few[0].at, until), rows, now)
        seen = seen._replace(rows=seen.rows | rows, first=seen.first | first)
        if until < question.within.end:
            later = until - question.duration
            gaps = sorted([*gaps, *(gap._replace(at=later) for gap in few if gap.place not in first)])
            ahead *= 4
        best = sorted(seen.first, key=lambda place: (seen.first[place].start, seen.rows[place].code))[:wanted]
        if gaps and len(best) == wanted:
            last = best[-1]
            if (seen.first[last].start, seen.rows[last].code) <= gaps[0][:2]:
                break
    shown = best[offset:]
    seen = _judged(session, actor, question, seen, shown)
    offers = [_offer(place, seen, reach) for place in shown]
    return Answer(offers, len(seen.first), matching, reach=reach)


# --- what is looked at ----------------------------------------------------------------------------


def _candidates(
    session: Session, actor: Actor, question: Question, reach: Reach | None, *, near_misses: bool
) -> list[tuple[Instrument, int]]:
    """Give what suits, and what all but one facet let pass, with how many of them keep it out."""
    asked = question.filters
    free = replace(asked, **dict.fromkeys(_BY_COLUMN, "")) if near_misses else asked
    tests = catalogue.tests(asked) if near_misses else {}
    failed: ColumnElement[int] = sum(
        (case((test, 0), else_=1) for name, test in tests.items() if name in _BY_COLUMN),
        literal(0, Integer),
    )
    query = (
        select(Instrument, failed.label("failed"))
        .options(_NARROW)
        .where(*_suits(question, free, actor, reach))
        .order_by(Instrument.id)
        .limit(CANDIDATES)
    )
    if tests:
        query = query.where(failed <= 1).order_by(None).order_by(failed, Instrument.id).limit(2 * CANDIDATES)
    return [(row, count) for row, count in session.execute(query)]


def _rows(session: Session, places: Sequence[int]) -> dict[int, Instrument]:
    query = select(Instrument).where(Instrument.id.in_(places)).options(_NARROW)
    return {row.id: row for row in session.scalars(query)}


_NARROW = load_only(
    Instrument.code,
    Instrument.facility_id,
    Instrument.category_code,
    Instrument.kind,
    Instrument.units,
    Instrument.approval_required,
    Instrument.training_required,
    Instrument.operator_need,
    *(getattr(Instrument, f"{name}_minutes") for name in SHEET),
)
"""What is asked of an instrument before it is shown."""


def _suits(
    question: Question, filters: Filters, actor: Actor, reach: Reach | None
) -> list[ColumnElement[bool]]:
    """Say of an instrument that it matches and may be booked in such a quantity."""
    matches = catalogue.conditions(filters, actor, reach)
    return [*matches, Instrument.bookable.is_(True), Instrument.units >= question.quantity]


def _beyond(session: Session, actor: Actor, question: Question, reach: Reach | None, looked: int) -> int:
    """Count what suits and was not looked at: nothing, unless so much suits that it was cut off."""
    if looked < CANDIDATES:
        return 0
    query = select(func.count()).select_from(Instrument)
    query = query.where(*_suits(question, question.filters, actor, reach))
    return max(0, (session.scalar(query) or 0) - looked)


def _looked(
    session: Session, actor: Actor, question: Question, rows: dict[int, Instrument], now: datetime
) -> _Seen:
    """Find the first use of each: soon for most, and as far ahead as is asked for those that have none soon."""
    if not rows:
        return _NOTHING
    grounds = availability.grounds_of(session, list(rows.values()), person_id=actor.person_id)
    first: dict[int, Span] = {}
    start, end = max(question.within.start, now), question.within.end
    until, ahead = start, AHEAD
    while until < end:
        until = min(end, start + question.duration + ahead)
        left = [place for place in rows if place not in first]
        first |= _first(session, question, grounds, Span(start, until), left, now)
        ahead *= 4
    return _Seen(rows, grounds, first, {}, set())


def _first(
    session: Session,
    question: Question,
    grounds: Grounds,
    within: Span,
    places: Collection[int],
    now: datetime,
) -> dict[int, Span]:
    """Find the first use of each in a span; one statement."""
    if not places:
        return {}
    uses = _uses(session, question, grounds, within, places, now)
    return {place: first for place, found in uses.items() if (first := next(found, None))}


def _uses(
    session: Session,
    question: Question,
    grounds: Grounds,
    within: Span,
    places: Collection[int],
    now: datetime,
) -> dict[int, Iterator[Span]]:
    """Walk through the uses of each in a span."""
    rooms = availability.rooms_on(session, grounds, within, now, only=places)
    zones = {place: grounds.hours[place][0] for place in places}
    begins = _begins(question, within, zones.values())
    length, quantity = question.duration, question.quantity
    return {
        place: availability.uses(rooms[place], length, quantity, now, zones[place], begins.get(zones[place]))
        for place in places
    }


def _judged(session: Session, actor: Actor, question: Question, seen: _Seen, places: Iterable[int]) -> _Seen:
    """Find out what the uses of some would cost, and which must be approved."""
    usual = Span(question.within.start, question.within.start + question.duration)
    items = [Item(place, seen.first.get(place, usual), question.quantity) for place in places]
    charges = availability.estimates(session, actor=actor, items=items)
    costs = {
        item.instrument_id: charge.amount if charge else None
        for item, charge in zip(items, charges, strict=True)
    }
    asking = approval_steps.may_ask(session, actor=actor, items=items, instruments=seen.rows)
    return seen._replace(charges=costs, asking=asking)


def _begins(question: Question, within: Span, zones: Iterable[str]) -> dict[str, list[Span]]:
    """Give in each zone when a use may begin; nothing where that does not matter."""
    if not question.part and not question.days:
        return {}
    return {
        zone: free_time.begins(within, zone, part=question.part, days=question.days) for zone in set(zones)
    }


# --- facets ---------------------------------------------------------------------------------------


def _chosen(question: Question) -> dict[str, frozenset[str]]:
    chosen = {name: frozenset(several(getattr(question.filters, name))) for name in _BY_COLUMN}
    ceiling = frozenset() if question.ceiling is None else frozenset({str(question.ceiling)})
    return chosen | {"price": ceiling, "terms": question.terms}


def _traits(
    session: Session, actor: Actor, question: Question, seen: _Seen, now: datetime, *, every: bool
) -> list[Traits]:
    """Give what each candidate has of each facet; the costly ones only where they are asked for."""
    rows = list(seen.rows.values())
    facilities = policies.facilities_of(session, {row.facility_id for row in rows})
    networks = _networks(session, facilities) if every or question.filters.network else {}
    tags = _tags(session, seen.rows) if every else {}
    trained: dict[int, bool] = {}
    if every or "trained" in question.terms:
        trained = qualification_needs.held(session, actor=actor, rows=rows, now=now)
    ceilings = {*CEILINGS, *([question.ceiling] if question.ceiling is not None else [])}
    return [
        Traits(
            row.id,
            {
                "kind": frozenset({row.kind.value}),
                "category": _stems(row.category_code),
                "facility": frozenset({facilities[row.facility_id].code}),
                "region": _regions(facilities[row.facility_id].region_code),
                "network": frozenset(networks.get(row.facility_id, ())),
                "capability": frozenset(tags.get(row.id, ())),
                "price": _below(seen.charges.get(row.id), ceilings),
                "terms": _terms(row, seen.asking, trained),
            },
        )
        for row in rows
    ]


def _stems(code: str | None) -> frozenset[str]:
    return frozenset(code[:end] for end in range(1, len(code) + 1)) if code else frozenset()


def _regions(code: str) -> frozenset[str]:
    return frozenset({code, code[:4] + "00", code[:2] + "0000"}) if code else frozenset()


def _below(cost: Decimal | None, ceilings: Iterable[int]) -> frozenset[str]:
    return frozenset(str(one) for one in ceilings if cost is not None and cost <= one)


def _terms(row: Instrument, asking: set[int], trained: Mapping[int, bool]) -> frozenset[str]:
    has = {
        "instant": row.id not in asking,
        "trained": trained.get(row.id, not row.training_required),
        "operated": row.operator_need in _OPERATED,
    }
    return frozenset(name for name, true in has.items() if true)


def _networks(session: Session, facilities: Iterable[int]) -> dict[int, list[str]]:
    query = (
        select(NetworkFacility.facility_id, Network.code)
        .join(Network, Network.id == NetworkFacility.network_id)
        .where(NetworkFacility.facility_id.in_(list(facilities)))
    )
    found: dict[int, list[str]] = {}
    for place, code in session.execute(query):
        found.setdefault(place, []).append(code)
    return found


def _tags(session: Session, ids: Iterable[int]) -> dict[int, list[str]]:
    query = select(Capability.instrument_id, Capability.tag).where(Capability.instrument_id.in_(list(ids)))
    found: dict[int, list[str]] = {}
    for place, tag in session.execute(query):
        found.setdefault(place, []).append(tag)
    return found


def _facets(
    session: Session, question: Question, counts: Mapping[str, Counter[str]]
) -> dict[str, list[Facet]]:
    """Name the choices of each facet that something free has; what is chosen stands there with nothing too."""
    asked = {name: several(getattr(question.filters, name)) for name in _BY_COLUMN}
    of = {name: Counter(counts.get(name, {})) for name in (*_BY_COLUMN, "capability", "price", "terms")}
    for name, words in asked.items():
        for word in words:
            of[name].setdefault(word, 0)
    regions = {
        code: count
        for code, count in of["region"].items()
        if code in asked["region"] or (not code.endswith("0000") and code in vocabulary.REGIONS)
    }
    tags = sorted(of["capability"], key=lambda tag: (-of["capability"][tag], tag))[
        : catalogue.MOST_CAPABILITIES
    ]
    return {
        "kind": [
            catalogue.facet(kind, name, of["kind"][kind])
            for kind, name in vocabulary.KINDS.items()
            if kind in of["kind"]
        ],
        "category": _named(
            session, Category, {code: n for code, n in of["category"].items() if len(code) in {2, 4}}
        ),
        "region": catalogue.regions(regions),
        "facility": _named(session, Facility, of["facility"]),
        "network": _named(session, Network, of["network"]),
        "capability": [
            catalogue.facet(tag, vocabulary.ability_name(tag), of["capability"][tag]) for tag in tags
        ],
        "price": _prices(of["price"], question),
        "terms": [Facet(term, "", "", of["terms"][term]) for term in TERMS],
    }


def _prices(counts: Mapping[str, int], question: Question) -> list[Facet]:
    """Give the ceilings that part the offers: the lowest that lets so many pass, and the one that is chosen."""
    chosen = None if question.ceiling is None else str(question.ceiling)
    found, before = [], 0
    for ceiling in sorted(counts, key=int):
        if counts[ceiling] > before or ceiling == chosen:
            found.append(Facet(ceiling, "", "", counts[ceiling]))
            before = counts[ceiling]
    return found


def _named(
    session: Session, model: type[Category | Facility | Network], counts: Mapping[str, int]
) -> list[Facet]:
    most = sorted(counts, key=lambda code: (-counts[code], code))[: catalogue.MOST_CHOICES]
    query = select(model.code, model.name_zh, model.name_en).where(model.code.in_(most)).order_by(model.code)
    return [Facet(code, zh, en, counts[code]) for code, zh, en in session.execute(query)]


# --- the answer -----------------------------------------------------------------------------------


def _rank(place: int, sort: str, seen: _Seen, reach: Reach | None) -> tuple[object, ...]:
    earliest = (seen.first[place].start, seen.rows[place].code)
    if sort == "price":
        cost = seen.charges[place]
        return (cost is None, cost or 0, *earliest)
    if sort == "nearest" and reach is not None:
        km = reach.km.get(seen.rows[place].facility_id)
        return (km is None, km or 0, *earliest)
    return earliest


def _offer(place: int, seen: _Seen, reach: Reach | None) -> Offer:
    row, span = seen.rows[place], seen.first[place]
    return Offer(
        row.id,
        row.code,
        span.start,
        span.end,
        seen.charges[place],
        reach.km.get(row.facility_id) if reach else None,
        row.id in seen.asking,
    )


def _with_more(
    session: Session, question: Question, offers: list[Offer], seen: _Seen, now: datetime
) -> list[Offer]:
    """Tell with each offer the times after it: of most within days, of the others as far ahead as is asked."""
    if not offers or seen.grounds is None:
        return offers
    start, end = min(offer.start for offer in offers), question.within.end
    soon = min(end, max(offer.end for offer in offers) + MORE * question.duration + AHEAD)
    after: dict[int, tuple[Span, ...]] = {}
    for until in dict.fromkeys((soon, end)):
        few = [one.instrument_id for one in offers if len(after.get(one.instrument_id, ())) < MORE]
        if few:
            uses = _uses(session, question, seen.grounds, Span(start, until), few, now)
            after |= {place: tuple(islice(found, 1, 1 + MORE)) for place, found in uses.items()}
    return [replace(one, more=after[one.instrument_id]) for one in offers]


def _missed(
    session: Session, actor: Actor, question: Question, rows: Sequence[Instrument], now: datetime
) -> list[Missed]:
    """Tell why some are not free: no use may be so long, or when one can be had, at any hour of the day."""
    few = rows[:MISSED]
    if not few:
        return []
    within = Span(question.within.start, question.within.start + min(LATER, WINDOW))
    rooms = availability.rooms_of(session, few, within, now, person_id=actor.person_id)
    zones = availability.zones(session, few)
    found = []
    for row in few:
        uses = availability.uses(
            rooms[row.id], question.duration, question.quantity, now, zones[row.facility_id]
        )
        allowed = [room for room in rooms[row.id] if free_time.length_allowed(room.policy, question.duration)]
        policy = rooms[row.id][0].policy if rooms[row.id] and not allowed else None
        lengths = (policy.shortest, policy.longest, policy.step) if policy else None
        found.append(Missed(row, lengths, next(uses, None)))
    return sorted(found, key=lambda one: (one.next is None, one.next or Span(now, now)))
