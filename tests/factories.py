"""Rows with valid defaults; a test names only what it is about."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from booking.domain.hours import ALWAYS, WeeklyHours
from booking.domain.pricing import CustomerClass, Unit
from booking.services import instruments
from models import (
    Capability,
    Facility,
    Instrument,
    InstrumentKind,
    InstrumentPrice,
    InstrumentText,
    Network,
    NetworkFacility,
    OpeningRule,
    Organisation,
    OrganisationKind,
    Part,
)

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


def make_organisation(session: Session, **given: Any) -> Organisation:
    """A university, unless told otherwise."""
    n = next(_numbers)
    defaults = {"code": f"ORG-{n}", "name_zh": f"示例单位{n}", "name_en": f"Example unit {n}"}
    row = Organisation(**defaults | {"kind": OrganisationKind.UNIVERSITY} | given)
    session.add(row)
    session.flush()
    return row


def make_network(session: Session, *facilities: Facility, **given: Any) -> Network:
    """A network of these facilities."""
    n = next(_numbers)
    row = Network(**{"code": f"NET-{n}", "name_zh": f"示例网{n}", "name_en": f"Example network {n}"} | given)
    session.add(row)
    session.flush()
    session.add_all(NetworkFacility(network_id=row.id, facility_id=facility.id) for facility in facilities)
    session.flush()
    return row


def make_facility(
    session: Session,
    organisation: Organisation | None = None,
    *,
    always_open: bool = True,
    hours: Sequence[WeeklyHours] = (),
    **given: Any,
) -> Facility:
    """A facility in Shanghai's zone that is open around the clock, or in the hours given."""
    n = next(_numbers)
    defaults = {
        "code": f"FAC-{n}",
        "name_zh": f"示例中试平台{n}",
        "name_en": f"Example pilot platform {n}",
        "region_code": "",
        "town": "",
    }
    row = Facility(**defaults | {"organisation": organisation or make_organisation(session)} | given)
    session.add(row)
    session.flush()
    session.add_all(_rules(hours or (ALWAYS if always_open else ()), facility_id=row.id))
    session.flush()
    return row


def make_instrument(
    session: Session,
    facility: Facility | None = None,
    *,
    hours: Sequence[WeeklyHours] = (),
    capabilities: Sequence[str] = (),
    price: Decimal | int | None = None,
    stations: Sequence[Instrument] = (),
    about: dict[str, Any] | None = None,
    **given: Any,
) -> Instrument:
    """A published device of one unit, free to book at once in steps of a quarter of an hour.

    `price` is yuan an hour for everybody; `stations` makes a line that takes these whole.
    """
    n = next(_numbers)
    defaults = {
        "code": f"INS-{n}",
        "name_zh": f"示例仪器{n}",
        "name_en": f"Example instrument {n}",
        "kind": InstrumentKind.LINE if stations else InstrumentKind.DEVICE,
        "model": "",
        "manufacturer": "",
        "location": "",
        "units": 1,
        "step_minutes": 15,
        "shortest_minutes": 15,
        "updated_at": LONG_AGO,
    }
    place = facility or make_facility(session)
    row = Instrument(
        **defaults | {"facility": place} | given,
        text=InstrumentText(**about or {}),
        capabilities=[Capability(tag=tag, value=None, unit="") for tag in capabilities],
        prices=[] if price is None else [_price(who, price) for who in CustomerClass],
        documents=[],
    )
    row.text.search_text = instruments.search_text(row, place)
    session.add(row)
    session.flush()
    session.add_all(_rules(hours, instrument_id=row.id))
    session.add_all(
        Part(line_id=row.id, station_id=station.id, position=i) for i, station in enumerate(stations)
    )
    session.flush()
    return row


def _price(who: CustomerClass, amount: Decimal | int) -> InstrumentPrice:
    return InstrumentPrice(
        customer_class=who, unit=Unit.HOUR, amount=Decimal(amount), valid_from=LONG_AGO.date(), valid_to=None
    )


def _rules(hours: Sequence[WeeklyHours], **owner: int) -> list[OpeningRule]:
    return [
        OpeningRule(
            weekday=rule.weekday,
            opens=rule.opens,
            closes=rule.closes,
            valid_from=rule.valid_from,
            valid_to=rule.valid_to,
            **owner,
        )
        for rule in hours
    ]
