"""What a round asks of the resolver: its waiting wishes, calendars and promises as a pool of numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from booking.domain import rounds as figures
from booking.domain.access import Actor
from booking.domain.hours import instant, zone
from booking.domain.lifecycle import HOLDS
from booking.domain.occupation import Item
from booking.domain.resolution.problem import DAY, SLOTS_AN_HOUR, Floor, Pool, Step, Wish
from booking.domain.rounds import PinKind, Weights, WishState
from booking.domain.spans import Span
from booking.services import availability, lanes, organisations, round_steps
from booking.services.lanes import Draws, Grid, Lanes
from booking.services.round_steps import Stage
from models import (
    Booking,
    BookingItem,
    Instrument,
    Organisation,
    Round,
    RoundPin,
    RoundShare,
    RoundWish,
    RoundWishStep,
)

SLOT_MINUTES = 60 // SLOTS_AN_HOUR
WEEK = 7 * DAY
MEMORY = figures.HALF_LIFE * 6
"""Use that lies further behind counts for nothing: less than a sixty-fourth of it would be left."""

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Posed:
    """A pool with what its numbers mean: the wishes in their order, the instrument of each lane, what is pinned."""

    pool: Pool
    names: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A step of a wish that is settled before the run: it takes its time, and counts for promises and limits."""

    wish: RoundWish
    instrument_id: int
    span: Span


def pose(session: Session, *, row: Round, pins: Mapping[UUID, RoundPin], now: datetime) -> Posed:
    """Put a round into numbers; the number of statements does not depend on the number of wishes.

    What is pinned stands in the calendars and is taken from caps, floors and budget; what is left out is not there.
    """
    wishes = waiting(session, round_id=row.id)
    free = [wish for wish in wishes if wish.id not in pins]
    pinned = [one for wish in wishes if wish.id in pins for one in _pinned(wish, pins[wish.id])]
    instruments = _instruments(session, wishes)
    groups = _groups(row.shares, instruments)
    over = lanes.grid(row.first_day, row.last_day, row.facility.zone)
    read = lanes.lanes(
        session,
        list(instruments.values()),
        over=over,
        groups=groups,
        taken=[(one.instrument_id, one.span) for one in pinned],
        kept_free=lambda staffed: figures.kept_free(staffed, percent=row.reserve_percent, week=WEEK),
        now=now,
    )
    weights = row.counts
    case = _Case(
        over,
        read,
        weights=weights,
        fair=_fair(session, row, wishes, now),
        parties=_parties(wishes),
        classes=_classes(session, row, wishes),
        subsidies=_subsidies(session, row, wishes),
        draws=lanes.draws(session, instruments),
    )
    pool = Pool(
        name=row.name,
        start=row.first_day,
        horizon=over.horizon,
        instruments=read.instruments,
        wishes=tuple(_wish(wish, case) for wish in free),
        floors=tuple(_floors(session, row, pinned, case, groups)),
        caps=_caps(row, free, pinned, case),
        budget=_budget(row, pinned, case),
        short=-(-weights.floor_points // SLOTS_AN_HOUR),
        utilities=case.draws.utilities,
    )
    names = {
        "wishes": [str(wish.id) for wish in free],
        "lanes": list(read.of_lane),
        "start": over.start.isoformat(),
        "zone": row.facility.zone,
        "pins": _settled(pinned),
        "left_out": [
            str(wish.id) for wish in wishes if wish.id in pins and pins[wish.id].kind is PinKind.LEFT_OUT
        ],
        "organisations": {str(case.parties[wish.id]): wish.organisation_id for wish in free},
        "floors": [[floor.quota_class, floor.group] for floor in pool.floors],
        "weights": asdict(weights),
    }
    return Posed(pool, names)


def _pinned(wish: RoundWish, pin: RoundPin) -> Iterable[_Pinned]:
    """Give each step of a wish whose place is settled."""
    if pin.kind is not PinKind.PLACE or pin.instrument_id is None or pin.starts_at is None:
        return []
    found = [(pin.instrument_id, pin.starts_at), *round_steps.settled(pin)]
    place = round_steps.placed(wish, found)
    return [_Pinned(wish, one.instrument_id, Span(one.starts_at, one.ends_at)) for one in place.steps]


def _settled(pinned: Iterable[_Pinned]) -> dict[str, list[list[Any]]]:
    """Give where the steps of each settled wish go."""
    found: dict[str, list[list[Any]]] = {}
    for one in pinned:
        found.setdefault(str(one.wish.id), []).append([one.instrument_id, one.span.start.isoformat()])
    return found


@dataclass(frozen=True, slots=True)
class _Case:
    """All that turns the wishes of one round into numbers."""

    over: Grid
    lanes: Lanes
    weights: Weights
    fair: Mapping[int | None, float]
    parties: Mapping[UUID, int]
    classes: Mapping[int | None, str]
    subsidies: Mapping[UUID, int]
    draws: Draws


def waiting(session: Session, *, round_id: UUID) -> Sequence[RoundWish]:
    """Give the wishes that a run decides about, first come first."""
    query = (
        select(RoundWish)
        .where(RoundWish.round_id == round_id, RoundWish.state == WishState.WAITING)
        .options(
            selectinload(RoundWish.choices),
            selectinload(RoundWish.following).selectinload(RoundWishStep.choices),
        )
        .order_by(RoundWish.submitted_at, RoundWish.id)
    )
    return session.scalars(query).all()


def _instruments(session: Session, wishes: Iterable[RoundWish]) -> dict[int, Instrument]:
    places = {place for wish in wishes for place in round_steps.wanted(wish)}
    rows = session.scalars(
        select(Instrument).where(Instrument.id.in_(places), Instrument.bookable).order_by(Instrument.id)
    )
    return {one.id: one for one in rows}


def _wish(wish: RoundWish, case: _Case) -> Wish:
    stages = round_steps.stages(wish)
    slots = sum(-(-stage.minutes // SLOT_MINUTES) for stage in stages)
    value = figures.worth(
        slots=slots,
        priority=wish.priority,
        fair=case.fair.get(wish.organisation_id, 1.0),
        factor=case.weights.priority_factor,
    )
    window = case.over.inside(Span(wish.window_starts_at, wish.window_ends_at)) or (0, 0)
    return Wish(
        steps=tuple(_step(stage, value, case) for stage in stages),
        window=window,
        value=value,
        late=figures.lateness(value, window[1] - window[0], case.weights.late_percent),
        organisation=case.parties[wish.id],
        quota_class=case.classes.get(wish.organisation_id, ""),
        priority=wish.priority,
        submitted=int((wish.submitted_at - EPOCH).total_seconds()),
        consents=wish.may_move,
        subsidy=case.subsidies.get(wish.id, 0),
    )


def _step(stage: Stage, value: int, case: _Case) -> Step:
    least, most = stage.lag
    return Step(
        -(-stage.minutes // SLOT_MINUTES),
        tuple(
            (lane, figures.penalty(value, rank, case.weights.rank_percent))
            for rank, place in enumerate(stage.instrument_ids)
            for lane in case.lanes.by_instrument.get(place, ())
        ),
        attended=True,
        lag=(-(-least // SLOT_MINUTES), most // SLOT_MINUTES),
        draws=case.draws.of_any(stage.instrument_ids),
    )


def _parties(wishes: Iterable[RoundWish]) -> dict[UUID, int]:
    """Number the organisations; who wishes for none stands for themselves."""
    known: dict[object, int] = {}
    return {wish.id: known.setdefault(wish.organisation_id or wish.person_id, len(known)) for wish in wishes}


def _classes(session: Session, row: Round, wishes: Iterable[RoundWish]) -> dict[int | None, str]:
    """Give the class of each organisation that wishes, as the promises of the round tell them apart."""
    ids = {wish.organisation_id for wish in wishes if wish.organisation_id is not None}
    found = session.scalars(select(Organisation).where(Organisation.id.in_(ids)))
    return {one.id: _class_of(one, row) for one in found}


def _class_of(one: Organisation, row: Round) -> str:
    promised = [share.region_code for share in row.shares if share.organisation_kind is one.kind]
    return figures.quota_class(one.kind.value, organisations.region_of(one), promised)


def _promised_to(share: RoundShare) -> str:
    kind = share.organisation_kind.value
    return f"{kind}@{share.region_code}" if share.region_code else kind


def _groups(shares: Iterable[RoundShare], instruments: Mapping[int, Instrument]) -> dict[int, str]:
    """Give the category of a promise under which each instrument falls; no promise's category lies in another's."""
    codes = {share.category_code for share in shares if share.category_code is not None}
    return {
        place: code
        for place, one in instruments.items()
        for code in codes
        if (one.category_code or "").startswith(code)
    }


def _floors(
    session: Session,
    row: Round,
    pinned: Sequence[_Pinned],
    case: _Case,
    groups: Mapping[int, str],
) -> Iterable[Floor]:
    for share in row.shares:
        minutes = share.floor_minutes or 0
        if share.annual_minutes is not None:
            delivered = _delivered(session, row, share)
            minutes = figures.promised(
                annual=share.annual_minutes, delivered=delivered, rounds_left=share.rounds_left
            )
        minutes -= sum(
            int(one.span.minutes)
            for one in pinned
            if case.classes.get(one.wish.organisation_id) == _promised_to(share)
            and share.category_code in {None, groups.get(one.instrument_id)}
        )
        if minutes >= SLOT_MINUTES:
            yield Floor(_promised_to(share), share.category_code, minutes // SLOT_MINUTES)


def _delivered(session: Session, row: Round, share: RoundShare) -> int:
    """Give the minutes that a kind of organisation has booked since the year's beginning and before the round."""
    tz = zone(row.facility.zone)
    since = instant(row.first_day.replace(month=1, day=1), 0, tz)
    until = instant(row.first_day, 0, tz)
    query = (
        select(BookingItem.starts_at, BookingItem.ends_at)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(
            Instrument.facility_id == row.facility_id,
            Booking.organisation_id.in_(_organisations(session, share)),
            Booking.state.in_(HOLDS),
            BookingItem.starts_at >= since,
            BookingItem.starts_at < until,
        )
    )
    if share.category_code is not None:
        query = query.where(Instrument.category_code.startswith(share.category_code, autoescape=True))
    return sum(int(Span(start, end).minutes) for start, end in session.execute(query))


def _organisations(session: Session, share: RoundShare) -> list[int]:
    """Give the organisations to which something is promised."""
    of_kind = session.scalars(select(Organisation).where(Organisation.kind == share.organisation_kind))
    start = figures.prefix(share.region_code or "")
    return [one.id for one in of_kind if organisations.region_of(one).startswith(start)]


def _fair(
    session: Session, row: Round, wishes: Sequence[RoundWish], now: datetime
) -> dict[int | None, float]:
    """Give the fair-share factor of each organisation that wishes, by what all have used of the facility lately."""
    query = (
        select(Booking.organisation_id, BookingItem.starts_at, BookingItem.ends_at)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .join(Instrument, Instrument.id == BookingItem.instrument_id)
        .where(
            Instrument.facility_id == row.facility_id,
            Booking.state.in_(HOLDS),
            BookingItem.starts_at < now,
            BookingItem.starts_at >= now - MEMORY,
        )
    )
    uses: dict[int | None, list[tuple[datetime, float]]] = {}
    for organisation, start, end in session.execute(query):
        uses.setdefault(organisation, []).append((start, Span(start, end).minutes / 60))
    usage = {organisation: figures.decayed(found, now) for organisation, found in uses.items()}
    parties = {wish.organisation_id for wish in wishes} | usage.keys()
    total, least = sum(usage.values()), row.counts.fair_percent
    return {
        organisation: figures.fair_share(usage.get(organisation, 0.0), total, len(parties), least)
        for organisation in parties
    }


def _subsidies(session: Session, row: Round, wishes: Sequence[RoundWish]) -> dict[UUID, int]:
    """Give in cents what the budget pays of each wish at the price of the instrument liked best, rounded down."""
    per_cent = {_promised_to(share): share.subsidy_percent for share in row.shares}
    if row.budget is None or not any(per_cent.values()):
        return {}
    classes = _classes(session, row, wishes)
    found: dict[UUID, int] = {}
    by_party: dict[int | None, list[RoundWish]] = {}
    for wish in wishes:
        by_party.setdefault(wish.organisation_id, []).append(wish)
    for organisation, theirs in by_party.items():
        percent = per_cent.get(classes.get(organisation, ""), 0)
        uses = [(wish, item) for wish in theirs for item in _first_uses(wish)]
        if percent and uses:
            actor = Actor(organisations=frozenset() if organisation is None else frozenset({organisation}))
            charges = availability.estimates(session, actor=actor, items=[item for _, item in uses])
            prices: Counter[UUID] = Counter()
            for (wish, _), charge in zip(uses, charges, strict=True):
                prices[wish.id] += int((charge.amount if charge else Decimal(0)) * percent)
            found |= prices
    return found


def _first_uses(wish: RoundWish) -> list[Item]:
    """Give all steps on the instruments liked best, at the earliest."""
    start, found = wish.window_starts_at, []
    for number, stage in enumerate(round_steps.stages(wish)):
        start += timedelta(minutes=stage.lag[0] if number else 0)
        end = start + timedelta(minutes=stage.minutes)
        found.append(Item(stage.instrument_ids[0], Span(start, end)))
        start = end
    return found


def _caps(row: Round, free: Sequence[RoundWish], pinned: Sequence[_Pinned], case: _Case) -> dict[int, int]:
    if row.cap_minutes is None:
        return {}
    used: Counter[int] = Counter()
    for one in pinned:
        used[case.parties[one.wish.id]] += int(one.span.minutes)
    parties = {case.parties[wish.id] for wish in free}
    return {party: max(0, row.cap_minutes - used[party]) // SLOT_MINUTES for party in parties}


def _budget(row: Round, pinned: Sequence[_Pinned], case: _Case) -> int | None:
    if row.budget is None:
        return None
    settled = {one.wish.id for one in pinned}
    return max(0, int(row.budget * 100) - sum(case.subsidies.get(one, 0) for one in settled))
