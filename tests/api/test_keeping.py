"""Keeping facilities, instruments, prices and files by the API."""

from datetime import UTC, datetime, timedelta

from tests.api.conftest import World
from tests.house.test_matrix import PHOTO

DAY = (datetime.now(UTC).date() + timedelta(days=400)).isoformat()


def test_an_instrument_is_made_changed_published_and_its_history_told(world: World):
    wrong = world.post("/instruments", who="tam", json={"id": "NEW", "facility_id": "LAB", "units": 0})
    assert (wrong.status_code, wrong.json["errors"]) == (422, {"units": "too_small"})
    wish = {"id": "NEW", "facility_id": "LAB", "name_zh": "新仪器", "kind": "device"}
    wish |= {"capabilities": ["volume_l=50 L"], "longest_minutes": 120, "published": True}
    made = world.post("/instruments", who="tam", json=wish)
    assert made.status_code == 201
    assert made.json["capabilities"] == [{"tag": "volume_l", "value": "50", "unit": "L"}]
    assert world.get("/instruments/NEW", who="ada").status_code == 404  # a draft, whatever was asked
    odd = world.patch("/instruments/NEW", who="tam", json={"category": "9999", "hazards": ["love"]})
    assert odd.json["errors"].keys() >= {"hazards"}
    shown = world.patch("/instruments/NEW", who="tam", json={"published": True, "longest_minutes": None})
    assert (shown.status_code, shown.json["rules"]["longest_minutes"]) == (200, None)
    assert world.get("/instruments/NEW", who="ada").status_code == 200
    told = world.get("/instruments/NEW/history", who="tam").json["items"]
    assert [(one["kind"], one["by"]) for one in told] == [
        ("instrument.changed", "Tam"),
        ("instrument.added", "Tam"),
    ]
    assert {"field": "published", "before": False, "after": True} in told[0]["changes"]
    assert world.get("/instruments/NEW/history", who="ada").status_code == 403


def test_a_facility_is_withdrawn_and_opened_again(world: World):
    assert world.patch("/facilities/LAB", who="tam", json={"town": "松山湖"}).json["town"] == "松山湖"
    alone = world.patch("/facilities/LAB", who="tam", json={"latitude": 23.0, "longitude": None})
    assert alone.json["errors"] == {"longitude": "required"}
    world.book()
    refused = world.post("/facilities/LAB/withdrawal", who="tam", json={})
    assert (refused.status_code, refused.json["reasons"][0]["code"]) == (409, "bookings_ahead")


def test_prices_and_files_have_their_calls(world: World):
    price = {"customer_classes": ["external"], "unit": "sample", "amount": "12.50", "since": DAY}
    rows = world.post("/instruments/SEM/prices", who="tam", json=price).json["items"]
    [mine] = [row for row in rows if row["valid_from"] == DAY]
    assert (mine["amount"], mine["unit"]) == ("12.50", "sample")
    raised = {"percent": "10", "since": DAY, "dry_run": True}
    told = world.post("/facilities/LAB/price-changes", who="tam", json=raised).json
    assert ("12.50", "13.75") in [(one["before"], one["after"]) for one in told["items"]]
    assert world.ask("DELETE", f"/instruments/SEM/prices/{mine['id']}", who="tam").status_code == 204
    where = "/instruments/SEM/files"
    sent = world.ask(
        "POST", f"{where}?sort=photo&title_en=Front", who="tam", data=PHOTO, content_type="image/png"
    )
    assert (sent.status_code, sent.json["width"], sent.json["media_type"]) == (201, 2, "image/png")
    assert [one["title_en"] for one in world.get(where, who="cleo").json["items"]] == ["Front"]
    assert world.get(f"{where}/{sent.json['id']}", who="cleo").data == PHOTO
    assert world.ask("DELETE", f"{where}/{sent.json['id']}", who="ada").status_code == 403


def test_hours_may_begin_on_a_day_to_come(world: World):
    wish = {"hours": "Mon-Fri 09:00-17:00", "since": DAY, "dry_run": True}
    assert world.ask("PUT", "/facilities/LAB/hours", who="tam", json=wish).json["displaced"] == []
    late = world.ask(
        "PUT", "/instruments/SEM/service", who="tam", json=wish | {"bookable": True, "since": "2020-01-01"}
    )
    assert (late.status_code, late.json["errors"]) == (422, {"since": "past"})
