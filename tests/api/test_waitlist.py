"""The waitlist over the API."""

from datetime import UTC, datetime

import pytest

from booking.jobs import waitlist as job
from models import Capability, Instrument
from tests.api.conftest import World, at


def turn() -> None:
    job.turn("the key", lambda: False, now=datetime.now(UTC))


def wish(**more) -> dict:
    return {"instrument_id": "SEM", "start": at(9), "end": at(10), **more}


def test_from_the_refusal_to_the_booking(world_on_both: World):
    world = world_on_both
    booking = world.book()
    refused = world.post("/bookings", json=wish(), who="cleo").json
    (way,) = [one for one in refused["alternatives"] if one["why"] == "waitlist"]
    assert {name: way[name] for name in ("instrument_id", "start", "end", "why")} == {
        "instrument_id": "SEM",
        "start": at(9),
        "end": at(10),
        "why": "waitlist",
    }
    dry = world.post("/bookings/dry-run", json=wish(), who="cleo").json
    assert dry["alternatives"][-1]["why"] == "waitlist"
    joined = world.post("/waitlist", json=wish(purpose="Films"), who="cleo")
    assert joined.status_code == 201
    where = joined.headers["Location"].removeprefix("/api/v1")
    assert joined.json | {"id": "", "joined_at": "", "person": {}} == {
        "id": "",
        "person": {},
        "instruments": ["SEM"],
        "start": at(9),
        "end": at(10),
        "duration": "PT60M",
        "quantity": 1,
        "priority": 100,
        "purpose": "Films",
        "wish": "",
        "windows": [],
        "at_once": False,
        "may_move": False,
        "reasons": [],
        "standby": None,
        "project_id": None,
        "state": "waiting",
        "ahead": 0,
        "joined_at": "",
        "booking_id": None,
        "filters": {},
        "steps": [],
        "offer": None,
    }
    assert world.post("/waitlist", json=wish(), who="cleo").json["id"] == joined.json["id"]
    turn()
    waiting = world.get(where, who="cleo").json
    assert waiting["state"] == "waiting"
    assert [reason["code"] for reason in waiting["reasons"]] == ["taken_by", "next_best"]
    assert all(reason["message"] for reason in waiting["reasons"])
    assert world.post(f"/bookings/{booking['id']}/cancellation").status_code == 200
    turn()
    offer = world.get(where, who="cleo").json["offer"]
    assert (offer["instrument_id"], offer["start"], offer["state"]) == ("SEM", at(9), "open")
    assert world.post("/bookings", json=wish(), who="ben").status_code == 409
    assert world.post(f"/offers/{offer['id']}/acceptance", who="ben").status_code == 404
    taken = world.post(f"/offers/{offer['id']}/acceptance", who="cleo")
    assert (taken.status_code, taken.json["purpose"]) == (201, "Films")
    again = world.post(f"/offers/{offer['id']}/acceptance", who="cleo")
    assert (again.status_code, again.json["id"]) == (201, taken.json["id"])
    late = world.post(f"/offers/{offer['id']}/refusal", who="cleo")
    assert (late.status_code, late.json["reasons"][0]["code"]) == (409, "offer_over")
    served = world.get(where, who="cleo").json
    assert (served["state"], served["booking_id"]) == ("served", taken.json["id"])


def test_any_instrument_that_suits_at_any_time_of_a_week(world: World):
    with world.session() as session:
        tank = session.query(Instrument).filter_by(code="TANK").one()
        session.add(Capability(instrument_id=tank.id, tag="volume_l", value=60, unit="L"))
    flexible = {"capability": "volume_l>=50", "start": at(0), "end": at(0, 7), "duration": "PT6H"}
    made = world.post("/waitlist", json=flexible)
    assert (made.status_code, made.json["instruments"], made.json["wish"]) == (201, ["TANK"], "volume_l>=50")
    turn()
    offer = world.get(f"/waitlist/{made.json['id']}").json["offer"]
    assert (offer["start"], offer["end"]) == (at(0), at(6))
    passed = world.post(f"/offers/{offer['id']}/refusal").json
    assert (passed["state"], passed["offer"]) == ("waiting", None)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"start": at(9), "end": at(10)}, {"instruments": "required"}),
        (wish(capability="volume_l>=50"), {"instruments": "unknown"}),
        ({"q": "nothing like it", "start": at(9), "end": at(10)}, {"instruments": "unknown"}),
        (wish(end=at(8)), {"end": "inverted"}),
        (wish(duration="PT2H"), {"duration": "out_of_range"}),
        (wish(duration="PT30S"), {"duration": "out_of_range"}),
        (wish(end=at(0, 200), duration="PT2H"), {"end": "out_of_range"}),
        (wish(instruments=[]), {"instruments": "required"}),
        (wish(quantity=0), {"quantity": "too_small"}),
        (wish(colour="red"), {"colour": "unknown"}),
    ],
)
def test_a_wish_that_makes_no_sense_is_told_field_by_field(world: World, body, errors):
    answer = world.post("/waitlist", json=body)
    assert (answer.status_code, answer.json["errors"]) == (422, errors)


def test_what_could_never_be_booked_so_is_refused(world: World):
    answer = world.post("/waitlist", json=wish(quantity=3))
    assert (answer.status_code, answer.json["reasons"][0]["code"]) == (409, "too_many_units")
    assert world.post("/waitlist", json=wish(instrument_id="SECRET")).status_code == 404
    assert world.post("/waitlist", json=wish(), who="reader").status_code == 403


def test_one_s_own_places_and_the_facility_s_line(world: World):
    world.book(who="tam")
    mine = world.post("/waitlist", json=wish(), who="ada").json
    other = world.post("/waitlist", json=wish(), who="cleo").json
    assert other["ahead"] == 1
    assert [one["id"] for one in world.get("/waitlist", who="cleo").json["items"]] == [other["id"]]
    line = world.get("/waitlist", query_string={"facility": "LAB"}, who="tam").json
    assert [(one["id"], one["person"]["name"]) for one in line["items"]] == [
        (mine["id"], "Ada"),
        (other["id"], "Cleo"),
    ]
    assert world.get("/waitlist", query_string={"facility": "LAB"}, who="cleo").status_code == 403
    assert world.get("/waitlist", query_string={"facility": "YARD"}, who="tam").status_code == 403
    assert world.get(f"/waitlist/{mine['id']}", who="cleo").status_code == 404
    ranked = {"priority": 50, "reason": "Urgent run"}
    where = f"/waitlist/{other['id']}"
    assert world.patch(where, json=ranked, who="cleo").status_code == 403
    assert world.patch(where, json={"priority": 50}, who="tam").json["errors"] == {"reason": "required"}
    assert world.patch(where, json=ranked, who="tam").json["ahead"] == 0
    assert world.delete(where, who="ada").status_code == 404
    assert world.delete(where, who="cleo").status_code == 204
    assert world.get(where, who="cleo").json["state"] == "left"
    assert world.patch(where, json=ranked, who="tam").status_code == 409


def test_a_wish_of_several_windows_is_booked_at_once(world_on_both: World):
    world = world_on_both
    windows = [{"start": at(9), "end": at(10)}, {"start": at(14), "end": at(16)}]
    asked = {"instrument_id": "SEM", "start": at(9), "end": at(16), "duration": "PT2H", "windows": windows}
    wrong = world.post("/waitlist", json=asked | {"windows": windows[:1]}, who="cleo")
    assert (wrong.status_code, list(wrong.json["errors"])) == (422, ["windows"])
    joined = world.post("/waitlist", json=asked | {"at_once": True, "may_move": True}, who="cleo")
    assert joined.status_code == 201
    assert (joined.json["windows"], joined.json["at_once"], joined.json["may_move"]) == (windows, True, True)
    turn()
    served = world.get(f"/waitlist/{joined.json['id']}", who="cleo").json
    assert (served["state"], served["offer"]) == ("served", None)
    booking = world.get(f"/bookings/{served['booking_id']}", who="cleo").json
    assert (booking["start"], booking["end"]) == (at(14), at(16))
    assert (booking["may_move"], booking["makes_room"]) == (True, True)


def test_an_agreement_that_does_not_speak_of_those_who_wait_leaves_that_as_it_was(world_on_both: World):
    world = world_on_both
    where = f"/bookings/{world.book()['id']}/agreement"
    agreed = world.ask("PUT", where, json={"may_move": False, "if_silent": "stay", "makes_room": True}).json
    assert agreed["makes_room"] is True
    assert world.ask("PUT", where, json={"may_move": True, "if_silent": "stay"}).json["makes_room"] is True
    taken_back = world.ask(
        "PUT", where, json={"may_move": True, "if_silent": "stay", "makes_room": False}
    ).json
    assert taken_back["makes_room"] is False
