"""What processes keep is never older than the database: another one changes it by hand, and the next booking knows."""

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from booking.api.schemas.bookings import BookingOut, booking_told
from booking.db import make_engine
from booking.domain.policy import RuleKind
from booking.services import bookings, kept
from models import (
    Facility,
    Instrument,
    InstrumentPermit,
    OpeningRule,
    Organisation,
    OrganisationKind,
    Part,
    Rule,
)
from tests.api.conftest import DAY, World, at

FOREVER = {"valid_from": date(2020, 1, 1), "created_at": DAY}


@pytest.fixture
def elsewhere(world_on_both: World, database_url: str):
    """A transaction of another process, as it were: a connection of its own, and no service."""
    engine = make_engine(database_url).execution_options(write=True)
    with Session(engine) as session:
        yield session
    engine.dispose()


def wish(world: World, hour: float, *, instrument: str = "SEM", **more):
    return world.post(
        "/bookings", json={"instrument_id": instrument, "start": at(hour), "end": at(hour + 1), **more}
    )


def codes(answer) -> set[str]:
    assert answer.status_code == 409, answer.text
    return {reason["code"] for reason in answer.json["reasons"]}


def place(session: Session, code: str = "SEM") -> Instrument:
    return session.query(Instrument).filter_by(code=code).one()


def a_rule(session: Session, row: Instrument):
    common = {"kind": RuleKind.SETTING, "name": "longest", "value": 30, "data": {}}
    return insert(Rule).values(facility_id=row.facility_id, **common, **FOREVER)


def a_permit(session: Session, row: Instrument):
    days = {"valid_from": date(2020, 1, 1), "valid_until": date(2020, 2, 1)}
    return insert(InstrumentPermit).values(instrument_id=row.id, name="Radiation", created_at=DAY, **days)


def other_hours(session: Session, row: Instrument):
    return delete(OpeningRule).where(OpeningRule.facility_id == row.facility_id)


@pytest.mark.parametrize(
    ("change", "code"), [(a_rule, "too_long"), (a_permit, "permit_over"), (other_hours, "closed")]
)
def test_what_another_process_changed_counts_from_its_commit_on(world_on_both, elsewhere, change, code):
    world = world_on_both
    for hour in (1, 2, 3):
        assert wish(world, hour).status_code == 201
    row = place(elsewhere)
    elsewhere.execute(change(elsewhere, row))
    elsewhere.rollback()
    assert wish(world, 4).status_code == 201
    elsewhere.execute(change(elsewhere, place(elsewhere)))
    elsewhere.commit()
    assert codes(wish(world, 5)) == {code}
    elsewhere.execute(delete(Rule))
    elsewhere.execute(delete(InstrumentPermit))
    elsewhere.commit()
    assert wish(world, 6).status_code == (409 if change is other_hours else 201)


def test_an_uncommitted_change_of_rules_is_nobodys(world_on_both, elsewhere):
    if elsewhere.get_bind().dialect.name == "sqlite":
        pytest.skip("there one writes at a time, and the booking would wait")
    assert wish(world_on_both, 1).status_code == 201
    elsewhere.execute(a_rule(elsewhere, place(elsewhere)))
    assert wish(world_on_both, 2).status_code == 201
    elsewhere.commit()
    assert codes(wish(world_on_both, 3)) == {"too_long"}


def test_a_code_that_became_anothers_is_the_others(world_on_both, elsewhere):
    world = world_on_both
    assert wish(world, 1).status_code == wish(world, 1, instrument="SEM-2").status_code == 201
    ids = {code: place(elsewhere, code).id for code in ("SEM", "SEM-2")}
    for code, key in (("OLD", ids["SEM"]), ("SEM", ids["SEM-2"])):
        elsewhere.execute(update(Instrument).where(Instrument.id == key).values(code=code))
    elsewhere.commit()
    booked = wish(world, 2)
    assert booked.status_code == 201
    found = world.get(f"/bookings/{booked.json['id']}").json
    assert [item["instrument_id"] for item in found["items"]] == ["SEM"]
    assert wish(world, 2, instrument="SEM-2").status_code == 404
    assert codes(wish(world, 2)) == {"taken"}


def test_a_line_that_gained_a_station_takes_it(world_on_both, elsewhere):
    world = world_on_both
    assert wish(world, 1).status_code == wish(world, 1, instrument="SEM-2").status_code == 201
    line, station = place(elsewhere, "SEM-2").id, place(elsewhere).id
    elsewhere.execute(insert(Part).values(line_id=line, station_id=station, position=0))
    elsewhere.commit()
    assert wish(world, 2, instrument="SEM-2").status_code == 201
    assert codes(wish(world, 2)) == {"taken"}


def test_an_organisation_that_became_a_company_is_masked(world_on_both, elsewhere):
    world = world_on_both
    for hour in (1, 2):
        assert wish(world, hour).json["confidential"] is False
    elsewhere.execute(update(Organisation).values(kind=OrganisationKind.ENTERPRISE))
    elsewhere.commit()
    assert wish(world, 3).json["confidential"] is True


def test_who_was_banned_books_no_more(world_on_both):
    world = world_on_both
    assert wish(world, 1).status_code == 201
    days = {"email": "ada@example.org", "reason": "Left the door open", "until": at(24 * 30)}
    made = world.post("/facilities/LAB/bans", json=days, who="tam")
    assert made.status_code == 201, made.text
    assert codes(wish(world, 2)) == {"banned"}
    assert wish(world, 2, instrument="OVEN").status_code == 201


def test_what_is_told_of_a_new_booking_is_what_is_told_of_it_later(world_on_both):
    world = world_on_both
    several = [
        {"instrument_id": code, "start": at(hour), "end": at(hour + 1), "quantity": 1}
        for code, hour in (("SEM", 4), ("TANK", 6))
    ]
    orders = [
        {"purpose": "孔径 <b>", "needed_by": "2099-01-01", "project_id": world.ids["project"]},
        {"confidential": True, "chemicals": [{"name": "乙醇", "quantity": "1", "unit": "L"}]},
    ]
    told = [wish(world, 1 + n, **order) for n, order in enumerate(orders)]
    told.append(wish(world, 1, instrument="XRD"))
    told.append(world.post("/bookings", json={"items": several}))
    told.append(
        world.post(
            "/bookings",
            json={
                "instrument_id": "SEM",
                "start": at(8),
                "end": at(9),
                "booked_for": world.ids["ben"],
                "project_id": world.ids["project"],
            },
        )
    )
    for answer in told:
        assert answer.status_code == 201, answer.text
        again = world.get(f"/bookings/{answer.json['id']}")
        assert again.json == answer.json
        assert again.headers["ETag"] == answer.headers["ETag"]
        assert answer.headers["Location"] == f"/api/v1/bookings/{answer.json['id']}"


def test_the_plain_answer_is_that_of_the_schema(world_on_both):
    world = world_on_both
    made = wish(world, 1, purpose="x", needed_by="2099-01-01").json["id"]
    with world.session() as session, world.app.test_request_context():
        [row] = bookings.by_ids(session, ids=[UUID(made)])
        assert booking_told(row) == BookingOut().dump(row)


def test_no_state_is_kept_for_ever(world_on_both, elsewhere):
    for hour in range(kept.MOST_STATES + 3):
        elsewhere.execute(update(Facility).values(name_en=f"Laboratory {hour}"))
        elsewhere.commit()
        assert wish(world_on_both, hour).status_code == 201
    assert len(kept._process._states) == kept.MOST_STATES
