"""Hours and withdrawal over the API: tried and kept, with whom they displace and where other places are looked for."""

from tests.api.conftest import World


def test_hours_displace_and_are_tried_first(world_on_both: World):
    world = world_on_both
    booking = world.book(22, 23)
    wish = {"hours": "Mon-Sun 08:00-20:00"}
    tried = world.ask("PUT", "/facilities/LAB/hours", json=wish | {"dry_run": True}, who="tam").json
    assert tried == {"dry_run": True, "displaced": [booking["id"]], "replan_id": None}
    kept = world.ask("PUT", "/facilities/LAB/hours", json=wish, who="tam").json
    assert kept["displaced"] == [booking["id"]]
    replan = world.get(f"/replans/{kept['replan_id']}", who="tam").json
    assert (replan["cause"], replan["closure_id"], replan["state"]) == ("hours", None, "open")
    again = world.post(f"/replans/{kept['replan_id']}/search", json={}, who="tam")
    assert (again.status_code, again.json["run"]["state"]) == (200, "queued")
    wrong = world.ask("PUT", "/facilities/LAB/hours", json={"hours": "late"}, who="tam")
    assert (wrong.status_code, wrong.json["errors"]) == (422, {"opening": "not_hours"})
    assert world.ask("PUT", "/facilities/LAB/hours", json=wish, who="ada").status_code == 403


def test_an_instrument_is_withdrawn(world: World):
    booking = world.book(10, 11)
    wish = {"bookable": False}
    assert world.ask("PUT", "/instruments/SEM/service", json=wish, who="cleo").status_code == 403
    kept = world.ask("PUT", "/instruments/SEM/service", json=wish, who="tam").json
    assert kept["displaced"] == [booking["id"]]
    assert world.get(f"/replans/{kept['replan_id']}", who="tam").json["cause"] == "withdrawn"
    refused = world.post(
        "/bookings", json={"instrument_id": "SEM", "start": booking["end"], "end": booking["end"]}
    )
    assert refused.status_code in {409, 422}
    back = world.ask("PUT", "/instruments/SEM/service", json={"bookable": True}, who="tam").json
    assert (back["displaced"], back["replan_id"]) == ([], None)
