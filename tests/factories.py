"""Rows with valid defaults; a test names only what it is about."""

import itertools
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from models import (
    Facility,
    Instrument,
    InstrumentKind,
    InstrumentText,
    Network,
    NetworkFacility,
    OpeningRule,
    Organisation,
    OrganisationKind,
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
    session: Session, organisation: Organisation | None = None, *, always_open: bool = True, **given: Any
) -> Facility:
    """A facility in Shanghai's zone that is open around the clock."""
    n = next(_numbers)
    defaults = {"code": f"FAC-{n}", "name_zh": f"示例中试平台{n}", "name_en": f"Example pilot platform {n}"}
    row = Facility(**defaults | {"organisation": organisation or make_organisation(session)} | given)
    session.add(row)
    session.flush()
    if always_open:
        session.add_all(OpeningRule(facility_id=row.id, weekday=d, opens=0, closes=1440) for d in range(7))
        session.flush()
    return row


def make_instrument(session: Session, facility: Facility | None = None, **given: Any) -> Instrument:
    """A published device of one unit, free to book at once in steps of a quarter of an hour."""
    n = next(_numbers)
    defaults = {
        "code": f"INS-{n}",
        "name_zh": f"示例仪器{n}",
        "name_en": f"Example instrument {n}",
        "kind": InstrumentKind.DEVICE,
        "units": 1,
        "step_minutes": 15,
        "shortest_minutes": 15,
        "updated_at": LONG_AGO,
    }
    row = Instrument(**defaults | {"facility": facility or make_facility(session)} | given)
    row.text = InstrumentText(search_text=f"{row.code} {row.name_zh} {row.name_en}".lower())
    session.add(row)
    session.flush()
    return row
