"""Permits over the API: read by all, entered, tried, ended and struck out by managers; bookings beyond are refused."""

from datetime import datetime, timedelta

from tests.api.conftest import World


def test_a_permit_is_tried_entered_ended_and_struck_out(world_on_both: World):
    world = world_on_both
    booking = world.book(10, 11)
    day = datetime.fromisoformat(booking["start"]).date()
    where = "/instruments/SEM/permits"

    def term(first: int, last: int) -> dict[str, str]:
        days = (day + timedelta(days=first), day + timedelta(days=last))
        return {
            "name": "辐射安全许可证",
            "number": "7",
            "valid_from": str(days[0]),
            "valid_until": str(days[1]),
        }

    tried = world.post(where, json=term(-30, -1) | {"dry_run": True}, who="tam").json
    assert tried == {"dry_run": True, "displaced": [booking["id"]], "replan_id": None, "permit": None}
    assert world.get(where, who="ada").json == {"items": [], "total": 0}
    made = world.post(where, json=term(-30, -1), who="tam").json
    assert made["displaced"] == [booking["id"]]
    assert world.get(f"/replans/{made['replan_id']}", who="tam").json["cause"] == "permit"
    wish = {"instrument_id": "SEM", "start": booking["end"], "end": _later(booking["end"])}
    refused = world.post("/bookings", json=wish)
    assert (refused.status_code, [one["code"] for one in refused.json["reasons"]]) == (409, ["permit_over"])
    assert "辐射安全许可证" in refused.json["reasons"][0]["message"]
    renewed = world.post(where, json=term(0, 400), who="tam").json
    assert (renewed["displaced"], renewed["replan_id"]) == ([], None)
    assert world.get(f"/replans/{made['replan_id']}", who="tam").json["state"] == "over"
    listed = world.get(where, who="cleo").json["items"]
    assert [(one["valid_until"], one["renewed"]) for one in listed] == [
        (term(0, 400)["valid_until"], False),
        (term(-30, -1)["valid_until"], True),
    ]
    one = f"{where}/{renewed['permit']['id']}"
    ended = world.post(f"{one}/end", json={"last_day": str(day)}, who="tam").json
    assert (ended["permit"]["valid_until"], ended["displaced"]) == (str(day), [])
    assert world.post(f"{one}/end", json={"last_day": str(day)}, who="tam").status_code == 422
    later = {"last_day": str(day + timedelta(days=9))}
    none = world.post(f"{one}/end", json=later, who="tam")
    assert (none.status_code, none.json["errors"]) == (422, {"reason": "required"})
    typed_over = world.post(f"{one}/end", json=later | {"reason": "Mistyped"}, who="tam").json
    assert (typed_over["permit"]["valid_until"], typed_over["covered"]) == (later["last_day"], [])
    assert world.delete(f"{one}?dry_run=true", who="tam").json["displaced"] == [booking["id"]]
    assert world.delete(one, who="tam").json["displaced"] == [booking["id"]]
    assert world.delete(one, who="tam").status_code == 404
    assert world.delete(f"{where}/{made['permit']['id']}", who="tam").json["displaced"] == []
    assert world.post("/bookings", json=wish).status_code == 201


def test_who_keeps_no_permits_may_only_read_them(world: World):
    where = "/instruments/SEM/permits"
    term = {"name": "X", "valid_from": "2026-01-01", "valid_until": "2027-01-01"}
    for who in ("ada", "cleo"):
        assert world.get(where, who=who).status_code == 200
        assert world.post(where, json=term, who=who).status_code == 403
    wrong = world.post(where, json=term | {"valid_until": "2025-01-01"}, who="tam")
    assert (wrong.status_code, wrong.json["errors"]) == (422, {"valid_until": "inverted"})


def _later(at: str) -> str:
    return (datetime.fromisoformat(at) + timedelta(hours=1)).isoformat()
