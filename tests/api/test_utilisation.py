"""Utilisation and favourites over REST: figures for staff and officers, favourites for oneself."""

from datetime import timedelta

from booking import db
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings
from models import Instrument
from tests import cast
from tests.api.conftest import DAY, World


def days(first: int, last: int) -> dict[str, str]:
    return {
        "from": (DAY + timedelta(days=first)).date().isoformat(),
        "to": (DAY + timedelta(days=last)).date().isoformat(),
    }


def test_staff_read_how_an_instrument_and_a_facility_were_used(world: World):
    with db.transaction() as session:
        row = session.query(Instrument).filter_by(code="SEM").one()
        ada = cast.actor_of(session, cast.ada(session))
        item = Item(row.id, Span(DAY, DAY + timedelta(hours=6)))
        bookings.place(session, actor=ada, items=[item], now=DAY - timedelta(days=3))
        facility = row.facility.code if "facility" in row.__dict__ else None
    found = world.get("/instruments/SEM/utilisation", who="tam", query_string=days(-1, 1))
    assert found.status_code == 200
    told = found.json
    assert told["booked_hours"] == 6
    assert told["utilisation"] == told["booked_hours"] / told["open_hours"]
    assert told["used_share"] == 0
    assert told["target"] is None
    assert [one["instrument_id"] for one in told["instruments"]] == ["SEM"]
    assert sum(one["booked_hours"] for one in told["weeks"]) == 6
    code = facility or world.get("/instruments/SEM").json["facility"]["code"]
    whole = world.get(f"/facilities/{code}/utilisation", who="tam", query_string=days(-1, 1)).json
    assert whole["booked_hours"] == 6
    assert "SEM" in [one["instrument_id"] for one in whole["instruments"]]


def test_others_read_no_figures_and_days_must_make_sense(world: World):
    for who in ("ada", "cleo"):
        assert world.get("/instruments/SEM/utilisation", who=who, query_string=days(0, 6)).status_code == 403
    assert world.get("/instruments/SEM/utilisation", who=None, query_string=days(0, 6)).status_code == 401
    for wrong in (days(0, 400), days(3, 1), {"from": "x", "to": "y"}, {}):
        answer = world.get("/instruments/SEM/utilisation", who="tam", query_string=wrong)
        assert (answer.status_code, answer.json["code"]) == (422, "invalid")


def test_favourites_are_kept_and_let_go(world: World):
    assert world.get("/favourites").json == {"items": [], "total": 0}
    for _ in range(2):
        assert world.ask("PUT", "/favourites/SEM").status_code == 204
    found = world.get("/favourites").json
    assert [one["id"] for one in found["items"]] == ["SEM"]
    assert world.get("/favourites", who="cleo").json["total"] == 0
    assert world.ask("PUT", "/favourites/NONE").status_code == 404
    assert world.ask("PUT", "/favourites/SEM", who=None).status_code == 401
    assert world.ask("DELETE", "/favourites/SEM").status_code == 204
    assert world.get("/favourites").json["total"] == 0
