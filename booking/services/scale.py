"""A great many instruments and bookings to measure with: valid rows, written in bulk past no guard.

Instruments take their words from a real inventory. Bookings lie on a grid of four windows a day, so that none
overlaps another, most of them in the past.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.domain import search, vocabulary
from booking.domain.identity import time_ordered_id
from booking.domain.inventory import LONG_DAY, Inventory, Record, defaults
from booking.domain.lifecycle import HOLDS, State
from booking.domain.pricing import CustomerClass, Unit
from booking.services import bulk, catalogue, facilities, occupation
from booking.services.occupation import Bulk
from models import (
    Booking,
    BookingItem,
    Capability,
    Event,
    Facility,
    Instrument,
    InstrumentKind,
    InstrumentPrice,
    InstrumentText,
    Network,
    NetworkFacility,
    OperatorNeed,
    Organisation,
    OrganisationKind,
    Person,
)

PER_FACILITY = 200
WINDOWS = 4
"""Uses a day on each lane of an instrument; with gaps, three and a half on average."""

WINDOW = timedelta(minutes=210)
AROUND = 15
"""Minutes of set-up, and of clean-up, that a window leaves room for."""

FIRST_HOUR = 0
"""The hour of the day, in UTC, at which facilities open: 08:00 in Guangdong."""

PAST_SHARE = 0.7
GAP = 0.12
PURPOSES = ("样品测试", "工艺验证", "设备调试", "委托试验", "培训")

_EPOCH = datetime(2000, 1, 2, tzinfo=UTC)
_LAST = datetime(2099, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """An instrument to be booked: units, and minutes around each use."""

    id: int
    facility_id: int
    units: int
    around: int


@dataclass(slots=True)
class Rows:
    """Rows of some bookings, as they are to be written."""

    bookings: list[tuple[Any, ...]] = field(default_factory=list)
    items: list[tuple[Any, ...]] = field(default_factory=list)
    occupations: list[Bulk] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)


# Instruments


def places(session: Session, *, inventory: Inventory, count: int, now: datetime) -> list[Place]:
    """Make facilities with so many instruments, and give those to be booked, by id."""
    catalogue.ensure_categories(session)
    start = session.scalar(select(func.count()).select_from(Facility)) or 0
    made = _facilities(session, start, -(-count // PER_FACILITY))
    bases = [{**defaults(), **record.filled, **record.stated} for record in inventory.instruments]
    words = [_words(record, base) for record, base in zip(inventory.instruments, bases, strict=True)]
    homes = [search.text([], [home.name_zh, home.name_en, home.town]) for home in made]
    rows, texts = [], {}
    for n in range(count):
        base, home = bases[n % len(bases)], made[n // PER_FACILITY]
        code, model = _code(home, n), _model(n)
        rows.append(_instrument(base, home, n, now))
        texts[code] = f"{words[n % len(bases)]}{code.lower()} {model.lower()}{homes[n // PER_FACILITY]}"
    bulk.insert(session, Instrument, _INSTRUMENT, rows)
    ids = _ids(session, [home.id for home in made])
    _beside(session, ids, texts, bases)
    return [Place(place, home, units, around) for _, place, home, units, around in ids]


_INSTRUMENT = (
    "code",
    "facility_id",
    "category_code",
    "kind",
    "name_zh",
    "name_en",
    "model",
    "manufacturer",
    "location",
    "units",
    "unit_name",
    "revision",
    "published",
    "bookable",
    "approval_required",
    "confidential",
    "step_minutes",
    "shortest_minutes",
    "longest_minutes",
    "notice_minutes",
    "setup_minutes",
    "cleanup_minutes",
    "capacity",
    "capacity_unit",
    "operator_need",
    "training_required",
    "modes",
    "hazards",
    "updated_at",
)


def _instrument(base: dict[str, Any], home: Facility, n: int, now: datetime) -> tuple[Any, ...]:
    kind = "station" if base["kind"] == "line" else base["kind"]  # lines would need stations of their own
    around = AROUND if n % 2 else 0
    return (
        _code(home, n),
        home.id,
        base["category"],
        InstrumentKind(kind),
        f"{base['name_zh']} {n + 1}号",
        f"{base['name_en']} no. {n + 1}",
        _model(n),
        "Example Instruments",
        f"{n % 9 + 1}-{n % 40 + 100}",
        _units(n),
        "",
        1,
        True,
        True,
        False,
        False,
        15,
        30,
        480,
        0,
        around,
        around,
        base["capacity"],
        base["capacity_unit"],
        OperatorNeed(base["operator_need"]),
        base["training_required"],
        list(base["modes"]),
        list(base["hazards"]),
        now,
    )


def _code(home: Facility, n: int) -> str:
    return f"{home.code}-{n % PER_FACILITY:03}"


def _model(n: int) -> str:
    return f"M{n % 997}-{n % 13}"


def _units(n: int) -> int:
    return 512 if n % 50 == 49 else (1, 1, 1, 1, 1, 1, 1, 1, 3, 16)[n % 10]


def _words(record: Record, base: dict[str, Any]) -> str:
    terms = vocabulary.class_names(base["category"] or "")
    terms += [vocabulary.ability_name(one.tag) for one in base["capabilities"]]
    others = [name for term in terms for name in term]
    return search.text([record.stated["name_zh"], record.stated["name_en"]], others)


def _facilities(session: Session, start: int, count: int) -> list[Facility]:
    made = []
    for n in range(start, start + count):
        owner = Organisation(
            code=f"SCALE-ORG-{n}",
            name_zh=f"第{n}试验单位",
            name_en=f"Sample organisation {n}",
            kind=OrganisationKind.RESEARCH_INSTITUTE,
        )
        made.append(
            Facility(
                code=f"SCALE-{n:04}",
                name_zh=f"第{n}中试平台",
                name_en=f"Sample pilot platform {n}",
                organisation=owner,
                region_code=("441900", "450100", "450200", "440300")[n % 4],
                town=("松山湖", "南宁", "柳州", "大朗")[n % 4],
                zone="Asia/Shanghai",
            )
        )
    session.add_all(made)
    session.flush()
    session.add_all(rule for home in made for rule in facilities.rows_of(LONG_DAY, facility_id=home.id))
    network = session.scalar(select(Network).where(Network.code == "SCALE"))
    if network is None:
        network = Network(code="SCALE", name_zh="试验网", name_en="Sample network")
        session.add(network)
        session.flush()
    session.add_all(NetworkFacility(network_id=network.id, facility_id=home.id) for home in made)
    session.flush()
    return made


def _ids(session: Session, homes: Sequence[int]) -> list[tuple[str, int, int, int, int]]:
    query = select(
        Instrument.code, Instrument.id, Instrument.facility_id, Instrument.units, Instrument.setup_minutes
    ).where(Instrument.facility_id.in_(homes))
    rows = session.execute(query.order_by(Instrument.id))
    return [(code, place, home, units, around or 0) for code, place, home, units, around in rows]


def _beside(
    session: Session,
    ids: Sequence[tuple[str, int, int, int, int]],
    texts: dict[str, str],
    bases: Sequence[dict[str, Any]],
) -> None:
    """Write what stands in other tables: words, abilities, prices."""
    text_columns = ("instrument_id", "search_text", *_EMPTY_TEXTS, "stations")
    empty = ("",) * len(_EMPTY_TEXTS)
    rows = ((place, texts[code], *empty, []) for code, place, *_ in ids)
    bulk.insert(session, InstrumentText, text_columns, rows)
    abilities = (
        (place, one.tag, one.value, one.unit)
        for n, (_, place, *_) in enumerate(ids)
        for one in bases[n % len(bases)]["capabilities"]
    )
    bulk.insert(session, Capability, ("instrument_id", "tag", "value", "unit"), abilities)
    prices = (
        (
            place,
            who,
            Unit.HOUR,
            Decimal(50 + n % 40 * 10) * (1 + turn),
            datetime(2026, 1, 1, tzinfo=UTC).date(),
        )
        for n, (_, place, *_) in enumerate(ids)
        for turn, who in enumerate(CustomerClass)
    )
    columns = ("instrument_id", "customer_class", "unit", "amount", "valid_from")
    bulk.insert(session, InstrumentPrice, columns, prices)


_EMPTY_TEXTS = (
    "about_zh",
    "about_en",
    "specifications_zh",
    "specifications_en",
    "rules_zh",
    "rules_en",
)


# People


def people(session: Session, *, count: int, now: datetime) -> list[tuple[UUID, int]]:
    """Make accounts without passwords; give each with the organisation that it books for."""
    owner = Organisation(
        code=f"SCALE-UNI-{session.scalar(select(func.count()).select_from(Organisation))}",
        name_zh="试验大学",
        name_en="Sample university",
        kind=OrganisationKind.UNIVERSITY,
    )
    session.add(owner)
    session.flush()
    start = session.scalar(select(func.count()).select_from(Person)) or 0
    rows = [
        Person(email=f"person-{n}@scale.example.org", name=f"Person {n}", created_at=now)
        for n in range(start, start + count)
    ]
    session.add_all(rows)
    session.flush()
    return [(row.id, owner.id) for row in rows]


# Bookings


def batches(
    *,
    places: Sequence[Place],
    people: Sequence[tuple[UUID, int]],
    count: int,
    now: datetime,
    size: int = 20_000,
) -> Iterator[Rows]:
    """Give the rows of so many bookings, evenly over the instruments, in batches of about this size.

    :raises ValueError: if so many do not fit into a hundred years
    """
    each, more = divmod(count, len(places))
    author = _Author(people, now)
    for n, place in enumerate(places):
        author.fill(place, each + (n < more))
        if len(author.rows.bookings) >= size:
            yield author.rows
            author.rows = Rows()
    if author.rows.bookings:
        yield author.rows


def write(session: Session, rows: Rows) -> None:
    """Write a batch; the guards of the ledger check every row.

    :raises Refused: if they find that time is taken already
    """
    bulk.insert(session, Booking, _BOOKING, rows.bookings)
    bulk.insert(session, BookingItem, _ITEM, rows.items)
    occupation.take_many(session, rows.occupations)
    bulk.insert(session, Event, _EVENT, rows.events)


_BOOKING = (
    "id",
    "person_id",
    "organisation_id",
    "state",
    "purpose",
    "confidential",
    "starts_at",
    "ends_at",
    "version",
    "sequence",
    "created_at",
    "updated_at",
)
_ITEM = ("booking_id", "position", "instrument_id", "starts_at", "ends_at", "quantity")
_EVENT = ("at", "kind", "actor_id", "booking_id", "facility_id", "subject", "data", "dispatched_at")


class _Author:
    """Whoever makes up the bookings, with the dice and the clock."""

    def __init__(self, people: Sequence[tuple[UUID, int]], now: datetime) -> None:
        self.rows = Rows()
        self.people = people
        self.now = now
        self.dice = random.Random(20261102)  # noqa: S311 - an even spread, no secret

    def fill(self, place: Place, count: int) -> None:
        """Book an instrument so many times, window after window."""
        lanes = min(place.units, 4)
        quantity = place.units // lanes
        days = count / (WINDOWS * (1 - GAP) * lanes)
        midnight = datetime.combine(self.now.date(), time(FIRST_HOUR), tzinfo=UTC)
        first = midnight - timedelta(days=int(days * PAST_SHARE))
        if first < _EPOCH or first + timedelta(days=days * 1.5) > _LAST:
            raise ValueError(f"{count} bookings of one instrument do not fit into a hundred years")
        left = count
        slots = itertools.count()
        while left:
            day, turn = divmod(next(slots), WINDOWS)
            window = first + timedelta(days=day) + turn * WINDOW
            for _ in range(lanes):
                if left and self.dice.random() >= GAP:
                    self.book(place, window, quantity)
                    left -= 1

    def book(self, place: Place, window: datetime, quantity: int) -> None:
        """Make up one booking inside a window."""
        dice, now = self.dice, self.now
        start = window + timedelta(minutes=AROUND + 30 * dice.randrange(2))
        end = start + timedelta(minutes=30 * dice.randrange(2, 6))
        created = min(now, start) - timedelta(minutes=dice.randrange(60, 20_000))
        booking = time_ordered_id(created)
        state, kinds = _state(start, end, now, dice)
        steps = len(kinds)
        touched = min(now, end) if steps > 1 else created
        who, organisation = self.people[dice.randrange(len(self.people))]
        purpose = PURPOSES[dice.randrange(len(PURPOSES))]
        self.rows.bookings.append(
            (
                booking,
                who,
                organisation,
                state,
                purpose,
                False,
                start,
                end,
                steps,
                steps - 1,
                created,
                touched,
            )
        )
        self.rows.items.append((booking, 0, place.id, start, end, quantity))
        times = (created, touched)
        self.rows.events += [
            (times[turn], kind, who, booking, place.facility_id, "", {"version": turn + 1}, now)
            for turn, kind in enumerate(kinds)
        ]
        if state in HOLDS:
            around = timedelta(minutes=place.around)
            alone = place.units == 1
            self.rows.occupations.append(
                Bulk(place.id, start - around, end + around, start, end, quantity, alone, booking)
            )


def _state(
    start: datetime, end: datetime, now: datetime, dice: random.Random
) -> tuple[State, tuple[str, ...]]:
    """Give a state that fits the time, with the events that led to it."""
    if dice.random() < 0.05:
        return State.CANCELLED, ("booking.placed", "booking.cancelled")
    if end <= now:
        return State.ENDED, ("booking.placed", "booking.ended")
    if start <= now:
        return State.CHECKED_IN, ("booking.placed", "booking.checked_in")
    return State.CONFIRMED, ("booking.placed",)
