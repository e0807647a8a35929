"""A great many instruments and bookings to measure with: valid rows, written in bulk past no guard.

Instruments take their words from a real inventory. Bookings lie on a grid of four windows a day, so that none
overlaps another, most of them in the past.
"""

import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from booking.domain import search, vocabulary
from booking.domain.inventory import LONG_DAY, Inventory, Record, defaults
from booking.domain.lifecycle import HOLDS, State
from booking.domain.pricing import CustomerClass, Unit
from booking.services import bulk, catalogue, facilities, occupation, seeds
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
    Occupation,
    OperatorNeed,
    Organisation,
    OrganisationKind,
    Person,
)
from models.base import UtcDateTime

_DOMAIN = "@scale.example.org"
BARE_FROM = 20_000
PER_FACILITY = 200
WINDOWS = 4
"""Uses a day on each lane of an instrument; with gaps, three and a half on average."""

WINDOW = 210
"""Minutes."""

AROUND = 15
"""Minutes of set-up, and of clean-up, that a window leaves room for."""

FIRST_HOUR = 0
"""The hour of the day, in UTC, at which facilities open: 08:00 in Guangdong."""

PAST_SHARE = 0.7
GAPS = (0.1, 0.06, 0.04, 0.06, 0.14, 0.5, 0.7)
"""The share of windows that nobody takes, by weekday; Monday is first."""

_GAP = sum(GAPS) / len(GAPS)
PURPOSES = ("样品测试", "工艺验证", "设备调试", "委托试验", "培训")


@dataclass(frozen=True, slots=True)
class Place:
    """An instrument to be booked: units, and minutes around each use."""

    id: int
    facility_id: int
    units: int
    around: int


# Where it goes


def inhabited(session: Session) -> bool:
    """Tell whether anybody is in the database but the demo's people and those made here."""
    strangers = Person.email.not_in([email for email, _ in seeds.PEOPLE]) & ~Person.email.endswith(_DOMAIN)
    return session.scalar(select(Person.id).where(strangers).limit(1)) is not None


def worth_bare(session: Session, count: int) -> bool:
    """Tell whether to write so many bookings without indexes: to build them anew must cost less than to feed them."""
    there = session.scalar(select(func.count()).select_from(Booking)) or 0
    return count >= max(BARE_FROM, there)


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
        Person(email=f"person-{n}{_DOMAIN}", name=f"Person {n}", created_at=now)
        for n in range(start, start + count)
    ]
    session.add_all(rows)
    session.flush()
    return [(row.id, owner.id) for row in rows]


# Bookings

_STAGE = Table(
    "scale_stage",
    MetaData(),
    Column("id", Uuid(as_uuid=False)),
    Column("person_id", Uuid(as_uuid=False)),
    Column("organisation_id", Integer),
    Column("state", String(20)),
    Column("purpose", String(300)),
    Column("instrument_id", Integer),
    Column("facility_id", Integer),
    Column("quantity", Integer),
    Column("around", Integer),
    Column("alone", Boolean),
    Column("starts", Integer),
    Column("ends", Integer),
    Column("created", Integer),
    Column("touched", Integer),
    prefixes=["TEMPORARY"],
)
"""What is made up of a booking; the rows of its tables follow from it. Times are minutes since 1970."""

_NAMES = tuple(column.name for column in _STAGE.c)
Row = tuple[Any, ...]


def batches(
    *,
    places: Sequence[Place],
    people: Sequence[tuple[UUID, int]],
    count: int,
    now: datetime,
    size: int = 50_000,
) -> Iterator[list[Row]]:
    """Give so many bookings, evenly over the instruments, in batches of about this size.

    :raises ValueError: if so many do not fit into a hundred years
    """
    each, more = divmod(count, len(places))
    author = _Author(people, now)
    for n, place in enumerate(places):
        author.fill(place, each + (n < more))
        if len(author.rows) >= size:
            yield author.rows
            author.rows = []
    if author.rows:
        yield author.rows


def write(session: Session, rows: Sequence[Row], now: datetime) -> None:
    """Write a batch; the guards of the ledger check every row.

    :raises Exception: if they find that time is taken already; each engine has its own
    """
    connection = session.connection()
    _STAGE.create(connection, checkfirst=True)
    session.execute(delete(_STAGE))
    bulk.insert(session, _STAGE, _NAMES, rows)
    at = _at_of(connection.dialect.name)
    c = _STAGE.c
    start, end = at(c.starts).label("starts_at"), at(c.ends).label("ends_at")
    steps = case((c.state == State.CONFIRMED, 1), else_=2)
    state = type_coerce(c.state, Booking.state.type)
    booked = select(c.id, c.person_id, c.organisation_id, state, c.purpose, start, end, steps, steps - 1)
    booked = booked.add_columns(at(c.created).label("created_at"), at(c.touched).label("updated_at"))
    session.execute(insert(Booking).from_select(_BOOKING, booked))
    items = select(c.id, literal(0), c.instrument_id, start, end, c.quantity)
    session.execute(insert(BookingItem).from_select(_ITEM, items))
    around = at(c.starts - c.around).label("from_at"), at(c.ends + c.around).label("until_at")
    held = select(c.instrument_id, *around, start, end, c.quantity, c.alone, c.id)
    occupation.take_many(session, held.where(c.state.in_(HOLDS)).order_by(c.instrument_id))
    later = case(*((c.state == state, kind) for state, kind in _LATER.items()))
    for version, (kind, when) in enumerate(((literal("booking.placed"), c.created), (later, c.touched)), 1):
        told = select(
            at(when).label("at"),
            kind.label("kind"),
            c.person_id,
            c.id,
            c.facility_id,
            literal({"version": version}, Event.data.type),
            literal(now, Event.at.type).label("dispatched_at"),
        )
        if version > 1:
            told = told.where(c.state != State.CONFIRMED)
        session.execute(insert(Event).from_select(_EVENT, told))


_BOOKING = (
    "id",
    "person_id",
    "organisation_id",
    "state",
    "purpose",
    "starts_at",
    "ends_at",
    "version",
    "sequence",
    "created_at",
    "updated_at",
)
_ITEM = ("booking_id", "position", "instrument_id", "starts_at", "ends_at", "quantity")
_EVENT = ("at", "kind", "actor_id", "booking_id", "facility_id", "data", "dispatched_at")
_LATER = {
    State.CANCELLED: "booking.cancelled",
    State.ENDED: "booking.ended",
    State.CHECKED_IN: "booking.checked_in",
}
"""The event after which a booking is in a state."""

TABLES = (Booking, BookingItem, Occupation, Event)
"""The tables that bookings are written to."""


def _at_of(dialect: str) -> Callable[[ColumnElement[int]], ColumnElement[datetime]]:
    """Give what makes the engine's time of a column of minutes."""
    if dialect == "postgresql":
        return lambda minutes: func.to_timestamp(minutes * 60, type_=UtcDateTime)
    return lambda minutes: func.strftime(
        "%Y-%m-%d %H:%M:%S.000000", minutes * 60, "unixepoch", type_=UtcDateTime
    )


class _Author:
    """Whoever makes up the bookings, with the dice and the clock; a loop of ten million counts its instructions."""

    def __init__(self, people: Sequence[tuple[UUID, int]], now: datetime) -> None:
        self.rows: list[Row] = []
        self.people = [(who.hex, organisation) for who, organisation in people]
        self.now = _minutes(now)
        self.midnight = _minutes(datetime.combine(now.date(), time(FIRST_HOUR), tzinfo=UTC))
        self.dice = random.Random(20261102)  # noqa: S311 - an even spread, no secret
        self.keys = random.Random(secrets.randbits(128))  # noqa: S311 - never the same in another run

    def fill(self, place: Place, count: int) -> None:
        """Book an instrument so many times, window after window, weekends less."""
        lanes = min(place.units, 4)
        days = count / (WINDOWS * (1 - _GAP) * lanes)
        first = self.midnight - int(days * PAST_SHARE) * _DAY
        if first < _EPOCH or first + days * 1.5 * _DAY > _LAST:
            raise ValueError(f"{count} bookings of one instrument do not fit into a hundred years")
        left, day, dice = count, first, self.dice.random
        while left:
            gap = GAPS[(day // _DAY + 3) % 7]  # 1970 began on a Thursday
            for turn in range(WINDOWS):
                window = day + turn * WINDOW + AROUND
                for _ in range(lanes):
                    if left and dice() >= gap:
                        self.book(place, window, place.units // lanes)
                        left -= 1
            day += _DAY

    def book(self, place: Place, window: int, quantity: int) -> None:
        """Make up one booking inside a window."""
        dice, now = self.dice.random, self.now
        start = window + (30 if dice() < 0.5 else 0)
        end = start + 60 + 30 * int(4 * dice())
        created = (min(now, start)) - 60 - int(19_940 * dice())
        if dice() < 0.05:
            state = State.CANCELLED
        else:
            state = State.ENDED if end <= now else State.CHECKED_IN if start <= now else State.CONFIRMED
        touched = created if state is State.CONFIRMED else min(now, end)
        who, organisation = self.people[int(len(self.people) * dice())]
        random_bits = self.keys.getrandbits(74)  # as booking.domain.identity makes an id, without its secrecy
        key = created * 60_000 << 80 | 7 << 76 | random_bits >> 62 << 64 | 2 << 62 | random_bits & _LOW
        self.rows.append(
            (
                f"{key:032x}",
                who,
                organisation,
                state.value,
                PURPOSES[int(len(PURPOSES) * dice())],
                place.id,
                place.facility_id,
                quantity,
                place.around,
                place.units == 1,
                start,
                end,
                created,
                touched,
            )
        )


_LOW = (1 << 62) - 1


def _minutes(at: datetime) -> int:
    return int(at.timestamp()) // 60


_DAY = 24 * 60
_EPOCH = _minutes(datetime(2000, 1, 2, tzinfo=UTC))
_LAST = _minutes(datetime(2099, 1, 1, tzinfo=UTC))
