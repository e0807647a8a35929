"""Closing facilities and instruments over the API."""

import pytest

from tests.api.conftest import World, at, window

NIGHT = {"start": at(9), "end": at(12), "reason": "new pump"}


def test_a_manager_closes_an_instrument_and_opens_it_again(world_on_both: World):
    world = world_on_both
    answer = world.post("/facilities/LAB/closures", json=NIGHT | {"instrument_id": "SEM"}, who="tam")
    assert answer.status_code == 201
    closure = answer.json
    assert set(closure) == {
        "id",
        "facility_id",
        "instrument_id",
        "kind",
        "start",
        "end",
        "reason",
        "imposed",
        "created_at",
        "displaced",
    }
    assert (closure["facility_id"], closure["instrument_id"]) == ("LAB", "SEM")
    assert (closure["kind"], closure["start"], closure["end"]) == ("maintenance", at(9), at(12))
    assert closure["displaced"] == []
    wish = {"instrument_id": "SEM", "start": at(10), "end": at(11)}
    assert world.post("/bookings", json=wish).status_code == 409
    listed = world.get("/facilities/LAB/closures", query_string=window(), who="tam").json
    assert listed == {"items": [{k: v for k, v in closure.items() if k != "displaced"}], "total": 1}
    url = f"/facilities/LAB/closures/{closure['id']}"
    assert world.delete(url, who="tam").status_code == 204
    assert world.delete(url, who="tam").status_code == 204
    assert world.post("/bookings", json=wish).status_code == 201
    assert world.get("/facilities/LAB/closures", query_string=window(), who="tam").json["total"] == 0


def test_a_whole_facility_closes(world: World):
    answer = world.post("/facilities/LAB/closures", json=NIGHT | {"kind": "closure"}, who="tam")
    assert (answer.status_code, answer.json["instrument_id"]) == (201, None)
    bars = world.get("/facilities/LAB/occupations", query_string=window()).json["occupations"]
    assert {(bar["instrument_id"], bar["kind"]) for bar in bars} >= {
        (code, "closure") for code in ("SEM", "TANK")
    }


def test_a_planned_closure_is_refused_where_it_meets_bookings(world: World):
    booking = world.book(10, 11)
    answer = world.post("/facilities/LAB/closures", json=NIGHT, who="tam")
    assert (answer.status_code, answer.json["reasons"][0]["code"]) == (409, "meets_bookings")
    imposed = world.post("/facilities/LAB/closures", json=NIGHT | {"imposed": True}, who="tam")
    assert (imposed.status_code, imposed.json["displaced"]) == (201, [booking["id"]])
    assert world.get(f"/bookings/{booking['id']}").json["state"] == "confirmed"


@pytest.mark.parametrize(
    ("who", "status"), [("ada", 403), ("cleo", 403), ("nora", 403), (None, 401), ("root", 201)]
)
def test_only_managers_close(world: World, who, status):
    assert world.post("/facilities/LAB/closures", json=NIGHT, who=who).status_code == status
    assert world.get("/facilities/LAB/closures", query_string=window(), who=who).status_code in {
        200,
        401,
        403,
    }


def test_a_manager_closes_only_the_facilitys_own(world: World):
    assert world.post("/facilities/YARD/closures", json=NIGHT, who="tam").status_code == 403
    assert world.get("/facilities/YARD/closures", query_string=window(), who="tam").status_code == 403
    strange = world.post("/facilities/LAB/closures", json=NIGHT | {"instrument_id": "OVEN"}, who="tam")
    assert strange.status_code == 404
    closure = world.post("/facilities/YARD/closures", json=NIGHT, who="root").json
    for place in ("LAB", "YARD"):
        assert world.delete(f"/facilities/{place}/closures/{closure['id']}", who="tam").status_code in {
            403,
            404,
        }
    assert world.delete(f"/facilities/LAB/closures/{closure['id']}", who="root").status_code == 404
    assert world.get("/facilities/YARD/closures", query_string=window(), who="root").json["total"] == 1


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"start": "required", "end": "required"}),
        (NIGHT | {"end": at(9)}, {"end": "inverted"}),
        (NIGHT | {"end": at(0, day=500)}, {"to": "out_of_range"}),
        (NIGHT | {"kind": "holiday"}, {"kind": "unknown"}),
        (NIGHT | {"imposed": 1}, {"imposed": "malformed"}),
        (NIGHT | {"reason": "x" * 501}, {"reason": "too_long_text"}),
        (NIGHT | {"facility_id": "YARD"}, {"facility_id": "unknown"}),
    ],
)
def test_a_closure_that_makes_no_sense_is_invalid(world: World, body, errors):
    answer = world.post("/facilities/LAB/closures", json=body, who="tam")
    assert (answer.status_code, answer.json["errors"]) == (422, errors)


def test_unknown_places_are_not_found(world: World):
    assert world.post("/facilities/NONE/closures", json=NIGHT, who="tam").status_code == 404
    gone = "/facilities/LAB/closures/6265c0fb-e33b-4529-a4b3-0ae5bf41c93a"
    assert world.delete(gone, who="tam").status_code == 404


def test_quiet_times_are_told_with_whom_they_displace(world: World):
    booking = world.book(10, 11)
    asked = {"length": "PT1H", "from": at(10), "to": at(12), "instrument_id": "SEM"}
    found = world.get("/facilities/LAB/closures/quiet-times", query_string=asked, who="tam").json
    first, second = found["items"][:2]
    assert (first["start"], first["end"], first["cost"], first["displaced"]) == (at(11), at(12), 0, [])
    assert second["displaced"] == [booking["id"]]
    assert (second["moved"], second["without_place"]) == (1, 0)
    assert second["by_class"] == {"internal": 0, "external": 1}
    several = asked | {"instrument_id": "SEM, SEM-2"}
    found = world.get("/facilities/LAB/closures/quiet-times", query_string=several, who="tam").json
    assert found["items"][0]["start"] == at(11)
    wrong = world.get(
        "/facilities/LAB/closures/quiet-times", query_string=asked | {"length": "PT9H"}, who="tam"
    )
    assert (wrong.status_code, wrong.json["errors"]) == (422, {"length": "out_of_range"})


def test_several_instruments_are_closed_together_at_a_quiet_time(world: World):
    world.book(10, 11)
    both = {"instrument_ids": ["SEM", "SEM-2"], "start": at(10), "end": at(11), "reason": "Vacuum"}
    path = "/facilities/LAB/closures/quiet-times"
    refused = world.post(path, json=both, who="tam")
    assert (refused.status_code, [one["code"] for one in refused.json["reasons"]]) == (
        409,
        ["meets_bookings"],
    )
    seen = {"from": at(9), "to": at(12)}
    assert world.get("/facilities/LAB/closures", query_string=seen, who="tam").json["total"] == 0
    made = world.post(path, json=both | {"displaces": 1}, who="tam")
    assert made.status_code == 201, made.json
    assert [one["instrument_id"] for one in made.json["items"]] == ["SEM", "SEM-2"]
    assert (made.json["total"], made.json["items"][0]["reason"]) == (2, "Vacuum")
    replan = world.get(f"/replans/{made.json['replan_id']}", who="tam").json
    assert (replan["cause"], replan["closure_id"], replan["state"]) == ("closures", None, "open")
    assert world.get("/facilities/LAB/closures", query_string=seen, who="tam").json["total"] == 2
    whole = world.post(path, json={"start": at(13), "end": at(14)}, who="tam").json
    assert [one["instrument_id"] for one in whole["items"]] == [None]
    assert whole["replan_id"] is None
    wrong = world.post(path, json=both | {"displaces": -1}, who="tam")
    assert (wrong.status_code, list(wrong.json["errors"])) == (422, ["displaces"])
