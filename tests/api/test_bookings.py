"""Placing, reading and changing bookings over the API."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from models import Booking, BookingItem, Instrument, Occupation
from tests.api.conftest import World, at, window

SHAPE = {
    "id",
    "may_move",
    "makes_room",
    "if_silent",
    "needed_by",
    "items",
    "start",
    "end",
    "state",
    "version",
    "purpose",
    "project_id",
    "confidential",
    "booked_by",
    "booked_for",
    "series_id",
    "series_day",
    "uid",
    "sequence",
    "created_at",
}


def test_a_booking_is_placed(world_on_both: World):
    world = world_on_both
    wish = {
        "instrument_id": "SEM",
        "start": at(9),
        "end": at(11),
        "quantity": 1,
        "purpose": "膜表面 🔬",
        "project_id": world.ids["project"],
        "confidential": False,
    }
    answer = world.post("/bookings", json=wish, who="ben")
    assert answer.status_code == 201
    booking = answer.json
    assert set(booking) == SHAPE
    assert booking["items"] == [{"instrument_id": "SEM", "start": at(9), "end": at(11), "quantity": 1}]
    assert (booking["start"], booking["end"]) == (at(9), at(11))
    assert (booking["state"], booking["version"], booking["sequence"]) == ("confirmed", 1, 0)
    assert booking["purpose"] == "膜表面 🔬"
    assert booking["project_id"] == world.ids["project"]
    assert booking["booked_for"] == {"id": world.ids["ben"], "name": "Ben"}
    assert booking["uid"] == f"{booking['id']}@yiqi.local"
    assert booking["created_at"].endswith("Z")
    assert UUID(booking["id"])
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Location"] == f"/api/v1/bookings/{booking['id']}"
    assert world.get(f"/bookings/{booking['id']}", who="ben").json == booking


def test_times_go_out_in_utc_whatever_zone_they_came_in(world: World):
    start = datetime.fromisoformat(at(9)).astimezone(datetime.strptime("+0530", "%z").tzinfo)
    wish = {"instrument_id": "SEM", "start": start.isoformat(), "end": at(10)}
    assert world.post("/bookings", json=wish).json["start"] == at(9)


def test_several_instruments_are_one_booking_all_or_nothing(world: World):
    items = [
        {"instrument_id": "SEM", "start": at(9), "end": at(11)},
        {"instrument_id": "TANK", "start": at(10), "end": at(12), "quantity": 3},
    ]
    answer = world.post("/bookings", json={"items": items, "purpose": "line"})
    assert answer.status_code == 201
    assert [(one["instrument_id"], one["quantity"]) for one in answer.json["items"]] == [
        ("SEM", 1),
        ("TANK", 3),
    ]
    assert (answer.json["start"], answer.json["end"]) == (at(9), at(12))
    items[0]["instrument_id"] = "SEM-2"
    refused = world.post("/bookings", json={"items": items}, who="ben")
    assert refused.status_code == 409
    assert world.get("/instruments/SEM-2/occupations", query_string=window()).json == {"occupations": []}


def test_a_taken_time_is_refused_with_reason_and_alternatives(world_on_both: World):
    world = world_on_both
    world.book(9, 10)
    answer = world.post(
        "/bookings", json={"instrument_id": "SEM", "start": at(9.5), "end": at(10.5)}, who="cleo"
    )
    assert answer.status_code == 409
    assert answer.mimetype == "application/problem+json"
    problem = answer.json
    assert (problem["code"], problem["status"]) == ("refused", 409)
    assert problem["type"]
    assert problem["title"]
    assert problem["detail"]
    (reason,) = problem["reasons"]
    assert set(reason) == {"code", "params", "message", "overridable"}
    assert (reason["code"], reason["overridable"]) == ("taken", False)
    assert reason["params"] == {"instrument": "SEM", "asked": 1, "free": 0, "units": 1}
    assert problem["alternatives"]
    assert all({"instrument_id", "start", "end", "why"} <= set(one) for one in problem["alternatives"])
    first = problem["alternatives"][0]
    again = {name: first[name] for name in ("instrument_id", "start", "end")}
    assert world.post("/bookings", json=again, who="cleo").status_code == 201


def test_every_reason_comes_at_once(world: World):
    world.book(9, 10, instrument="TANK", quantity=3)
    wish = {"instrument_id": "TANK", "start": at(9.1), "end": at(9.2), "quantity": 5}
    codes = {reason["code"] for reason in world.post("/bookings", json=wish).json["reasons"]}
    assert codes == {"too_many_units", "too_short", "off_step", "taken"}


def test_a_past_time_is_refused(world: World):
    wish = {"instrument_id": "SEM", "start": "2020-01-06T09:00:00Z", "end": "2020-01-06T10:00:00Z"}
    answer = world.post("/bookings", json=wish)
    assert answer.status_code == 409
    assert "past" in {reason["code"] for reason in answer.json["reasons"]}


def test_years_on_end_are_refused(world: World):
    wish = {"instrument_id": "SEM", "start": at(0), "end": at(0, day=3000)}
    answer = world.post("/bookings", json=wish)
    assert answer.status_code == 409
    assert "too_long" in {reason["code"] for reason in answer.json["reasons"]}


def test_what_needs_approval_waits_and_holds_its_time(world: World):
    booking = world.book(instrument="XRD")
    assert booking["state"] == "requested"
    rival = {"instrument_id": "XRD", "start": at(9), "end": at(10)}
    assert world.post("/bookings", json=rival, who="cleo").status_code == 409
    url = f"/bookings/{booking['id']}/approvals"
    assert world.post(url, json={"decision": "approve"}, who="ada").status_code == 403
    assert world.post(url, json={"decision": "approve"}, who="cleo").status_code == 403
    answer = world.post(url, json={"decision": "approve", "comment": "好"}, who="tam")
    assert answer.status_code == 200
    assert (answer.json["state"], answer.headers["ETag"]) == ("confirmed", '"2"')
    again = world.post(url, json={"decision": "reject"}, who="tam")
    assert again.status_code == 409
    assert [reason["code"] for reason in again.json["reasons"]] == ["wrong_state"]


def test_a_rejected_request_gives_its_time_back(world: World):
    booking = world.book(instrument="XRD")
    answer = world.post(f"/bookings/{booking['id']}/approvals", json={"decision": "reject"}, who="tam")
    assert answer.json["state"] == "rejected"
    assert world.book(instrument="XRD", who="cleo")["state"] == "requested"


def test_a_decision_is_approve_or_reject(world: World):
    booking = world.book(instrument="XRD")
    url = f"/bookings/{booking['id']}/approvals"
    for body, errors in (({}, {"decision": "required"}), ({"decision": "maybe"}, {"decision": "unknown"})):
        answer = world.post(url, json=body, who="tam")
        assert (answer.status_code, answer.json["errors"]) == (422, errors)


# --- reading ------------------------------------------------------------------------------------


def test_only_those_entitled_read_a_booking(world: World):
    booking = world.book(who="ben")
    url = f"/bookings/{booking['id']}"
    for who, status in (
        ("ben", 200),
        ("ada", 200),
        ("tam", 200),
        ("root", 200),
        ("cleo", 404),
        ("nora", 404),
    ):
        assert world.get(url, who=who).status_code == status, who
    assert world.get(url, who=None).status_code == 401


def test_a_known_version_is_not_sent_again(world: World):
    booking = world.book()
    url = f"/bookings/{booking['id']}"
    answer = world.get(url, headers={"If-None-Match": '"1"'})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"1"')
    assert world.get(url, headers={"If-None-Match": '"2"'}).status_code == 200


def test_bookings_are_listed_by_page_and_filter(world: World):
    made = [world.book(9 + n, 10 + n) for n in range(3)]
    world.book(9, 10, instrument="OVEN", who="cleo")
    first = world.get("/bookings", query_string={"page_size": 2, "mine": "true"}).json
    assert [one["id"] for one in first["items"]] == [one["id"] for one in made[:2]]
    assert first["total"] == 3
    rest = world.app.test_client().get(
        first["next"], headers={"Authorization": f"Bearer {world.tokens['ada']}"}
    )
    assert [one["id"] for one in rest.json["items"]] == [made[2]["id"]]
    assert rest.json["next"] is None
    assert set(rest.json) == {"items", "total", "next"}
    for query, total in (
        ({"instrument": "SEM"}, 3),
        ({"instrument": "OVEN"}, 0),
        ({"facility": "LAB"}, 3),
        ({"facility": "YARD"}, 0),
        ({"state": "cancelled"}, 0),
        ({"state": ["cancelled", "confirmed"]}, 3),
        ({"from": at(10), "to": at(11)}, 1),
        ({"from": at(11)}, 1),
        ({"to": at(10)}, 1),
        ({}, 3),
    ):
        assert world.get("/bookings", query_string=query).json["total"] == total, query


def test_lists_hold_only_what_one_may_see(world: World):
    world.book(who="ben")
    world.book(12, 13, who="cleo")
    totals = {
        who: world.get("/bookings", who=who).json["total"]
        for who in ("ada", "ben", "cleo", "tam", "root", "nora")
    }
    assert totals == {"ada": 1, "ben": 1, "cleo": 1, "tam": 2, "root": 2, "nora": 0}
    assert world.get("/bookings", who="ada", query_string={"mine": "1"}).json["total"] == 0


def test_unknown_things_in_filters_are_not_found(world: World):
    assert world.get("/bookings", query_string={"instrument": "NONE"}).status_code == 404
    assert world.get("/bookings", query_string={"facility": "NONE"}).status_code == 404


# --- changing -----------------------------------------------------------------------------------


def change(world: World, booking, body, who="ada", match='"1"'):
    headers = {} if match is None else {"If-Match": match}
    return world.patch(f"/bookings/{booking['id']}", json=body, headers=headers, who=who)


def test_a_booking_moves_lengthens_and_is_amended(world_on_both: World):
    world = world_on_both
    booking = world.book()
    answer = change(world, booking, {"start": at(13), "end": at(15)})
    assert answer.status_code == 200
    assert (answer.json["start"], answer.json["end"]) == (at(13), at(15))
    assert (answer.json["version"], answer.json["sequence"], answer.headers["ETag"]) == (2, 1, '"2"')
    assert answer.json["uid"] == booking["uid"]
    longer = change(world, booking, {"end": at(16)}, match='"2"')
    assert (longer.json["start"], longer.json["end"]) == (at(13), at(16))
    amended = change(world, booking, {"purpose": "other", "confidential": True}, match='"3"')
    assert (amended.json["purpose"], amended.json["confidential"]) == ("other", True)
    elsewhere = change(world, booking, {"instrument_id": "SEM-2"}, match='"4"')
    assert [one["instrument_id"] for one in elsewhere.json["items"]] == ["SEM-2"]
    assert world.get("/instruments/SEM/occupations", query_string=window()).json["occupations"] == []


def test_a_change_that_clashes_leaves_all_as_it_was(world: World):
    booking = world.book()
    world.book(13, 14, who="cleo")
    answer = change(world, booking, {"start": at(12), "end": at(14), "purpose": "other"})
    assert answer.status_code == 409
    assert [reason["code"] for reason in answer.json["reasons"]] == ["taken"]
    assert world.get(f"/bookings/{booking['id']}").json == booking


def test_a_stale_version_is_refused(world: World):
    booking = world.book()
    assert change(world, booking, {"purpose": "one"}).status_code == 200
    stale = change(world, booking, {"purpose": "two"})
    assert (stale.status_code, stale.json["code"]) == (412, "stale")
    for match in ('"0"', '"99999999999999999999"', 'W/"2"', '"zwei"', "2"):
        assert change(world, booking, {"purpose": "two"}, match=match).status_code == 412, match
        assert change(world, booking, {"end": at(11)}, match=match).status_code == 412, match
    assert world.get(f"/bookings/{booking['id']}").json["purpose"] == "one"
    assert change(world, booking, {"purpose": "two"}, match="*").status_code == 200
    assert change(world, booking, {"end": at(11)}, match="*").status_code == 200


def test_a_change_without_a_version_is_refused(world: World):
    answer = change(world, world.book(), {"purpose": "two"}, match=None)
    assert (answer.status_code, answer.json["code"]) == (428, "stale")
    assert "If-Match" in answer.json["detail"]
    several = change(world, world.book(12, 13), {"purpose": "two"}, match='"1", "2"')
    assert (several.status_code, several.json["errors"]) == (422, {"If-Match": "malformed"})


def test_a_stale_cancellation_is_refused(world: World):
    booking = world.book()
    change(world, booking, {"purpose": "one"})
    url = f"/bookings/{booking['id']}/cancellation"
    assert world.post(url, json={}, headers={"If-Match": '"1"'}).status_code == 412
    assert world.post(url, json={}, headers={"If-Match": '"2"'}).status_code == 200


def test_all_items_of_one_time_move_together(world: World):
    items = [{"instrument_id": code, "start": at(9), "end": at(10)} for code in ("SEM", "SEM-2")]
    booking = world.post("/bookings", json={"items": items}).json
    moved = change(world, booking, {"start": at(11), "end": at(12)})
    assert [(one["start"], one["end"]) for one in moved.json["items"]] == [(at(11), at(12))] * 2
    for body in ({"instrument_id": "OVEN"}, {"quantity": 2}):
        answer = change(world, booking, body, match='"2"')
        assert (answer.status_code, answer.json["errors"]) == (422, {"items": "required"})
    items[1]["start"] = at(9.5)
    apart = change(world, booking, {"items": items}, match='"2"')
    assert apart.status_code == 200
    answer = change(world, booking, {"end": at(13)}, match='"3"')
    assert (answer.status_code, answer.json["errors"]) == (422, {"items": "required"})


def test_others_may_not_change_what_they_see_or_do_not_see(world: World):
    booking = world.book()
    assert change(world, booking, {"purpose": "mine now"}, who="cleo").status_code == 404
    assert change(world, booking, {"purpose": "mine now"}, who="ben").status_code == 404
    assert change(world, booking, {"purpose": "mine now"}, who="nora").status_code == 404
    assert change(world, booking, {"purpose": "by the desk"}, who="tam").status_code == 200


def test_a_booking_stays_its_owners_when_the_instrument_is_withdrawn(world: World):
    booking = world.book()
    with world.session() as session:
        session.execute(update(Instrument).where(Instrument.code == "SEM").values(published=False))
    assert change(world, booking, {"purpose": "still mine"}).status_code == 200
    assert world.get(f"/bookings/{booking['id']}").json["items"] == booking["items"]


def test_an_empty_change_changes_nothing(world: World):
    booking = world.book()
    answer = change(world, booking, {})
    assert (answer.status_code, answer.json) == (200, booking)


# --- what happens to a booking -------------------------------------------------------------------


def test_a_cancelled_booking_gives_its_time_back(world_on_both: World):
    world = world_on_both
    booking = world.book()
    answer = world.post(f"/bookings/{booking['id']}/cancellation", json={"reason": "no sample"})
    assert (answer.status_code, answer.json["state"]) == (200, "cancelled")
    assert answer.json["items"] == booking["items"]
    assert world.book(who="cleo")
    again = world.post(f"/bookings/{booking['id']}/cancellation")
    assert (again.status_code, again.json["reasons"][0]["code"]) == (409, "wrong_state")


def test_a_cancellation_needs_no_body(world: World):
    booking = world.book()
    assert world.post(f"/bookings/{booking['id']}/cancellation").status_code == 200


def test_outsiders_cancel_nothing(world: World):
    booking = world.book()
    for who in ("cleo", "ben", "nora"):
        assert world.post(f"/bookings/{booking['id']}/cancellation", who=who).status_code == 404, who
    assert world.get(f"/bookings/{booking['id']}").json == booking


def test_check_in_waits_for_its_time(world: World):
    booking = world.book()
    answer = world.post(f"/bookings/{booking['id']}/check-in")
    assert answer.status_code == 409
    assert [reason["code"] for reason in answer.json["reasons"]] == ["not_open_yet"]
    out = world.post(f"/bookings/{booking['id']}/check-out", json={})
    assert (out.status_code, out.json["reasons"][0]["code"]) == (409, "wrong_state")
    assert world.post(f"/bookings/{booking['id']}/check-in", json={"force": True}).status_code == 422


def test_a_use_from_check_in_to_feedback(world: World):
    booking = world.book()
    _begin_now(world, booking)
    url = f"/bookings/{booking['id']}"
    assert world.post(f"{url}/check-in", who="cleo").status_code == 404
    assert world.post(f"{url}/check-in").json["state"] == "checked_in"
    ended = world.post(f"{url}/check-out")
    assert (ended.status_code, ended.json["state"]) == (200, "ended")
    body = {"rating": 5, "condition": "normal", "comment": "很好"}
    assert world.post(f"{url}/feedback", json=body, who="tam").status_code == 403
    assert world.post(f"{url}/feedback", json=body).status_code == 200


def test_staff_say_that_nobody_came(world: World):
    booking = world.book()
    url = f"/bookings/{booking['id']}/no-show"
    _begin_now(world, booking)
    early = world.post(url, who="tam")
    assert (early.status_code, early.json["reasons"][0]["code"]) == (409, "not_missed_yet")
    _begin_now(world, booking, ago=35)
    assert world.post(url).status_code == 403
    noted = world.post(url, json={"excused": True}, who="tam")
    assert (noted.status_code, noted.json["state"]) == (200, "no_show")


def _begin_now(world: World, booking, ago: int = 10) -> None:
    """Let a booking have begun so many minutes ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    span = {"starts_at": now - timedelta(minutes=ago), "ends_at": now + timedelta(minutes=30)}
    use = {"use_starts_at": span["starts_at"], "use_ends_at": span["ends_at"]}
    key = UUID(booking["id"])
    with world.session() as session:
        session.execute(update(Booking).where(Booking.id == key).values(span))
        session.execute(update(BookingItem).where(BookingItem.booking_id == key).values(span))
        session.execute(update(Occupation).where(Occupation.booking_id == key).values(span | use))


def test_feedback_has_its_bounds(world: World):
    booking = world.book()
    url = f"/bookings/{booking['id']}/feedback"
    for body, errors in (
        ({"rating": 0}, {"rating": "too_small"}),
        ({"rating": 6}, {"rating": "too_large"}),
        ({"rating": "5"}, {"rating": "malformed"}),
        ({"condition": "broken"}, {"condition": "unknown"}),
        ({"stars": 5}, {"stars": "unknown"}),
    ):
        answer = world.post(url, json=body)
        assert (answer.status_code, answer.json["errors"]) == (422, errors)
    early = world.post(url, json={"rating": 5})
    assert (early.status_code, early.json["code"]) == (409, "refused")


# --- idempotency --------------------------------------------------------------------------------

WISH = {"instrument_id": "SEM", "start": at(9), "end": at(10), "purpose": "once"}


def send(world: World, body, key="k-1", who="ada"):
    return world.post("/bookings", json=body, who=who, headers={"Idempotency-Key": key})


def test_a_request_sent_twice_books_once(world_on_both: World):
    world = world_on_both
    first = send(world, WISH)
    second = send(world, dict(reversed(WISH.items())))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert second.headers["Location"] == first.headers["Location"]
    assert world.get("/bookings").json["total"] == 1


def test_the_same_time_in_another_zone_is_the_same_request(world: World):
    first = send(world, WISH)
    zoned = datetime.fromisoformat(at(9)).astimezone(datetime.strptime("+0800", "%z").tzinfo).isoformat()
    assert send(world, WISH | {"start": zoned}).json["id"] == first.json["id"]


def test_a_key_reused_with_another_body_is_invalid(world: World):
    send(world, WISH)
    answer = send(world, WISH | {"purpose": "twice"})
    assert (answer.status_code, answer.json["errors"]) == (422, {"Idempotency-Key": "reused"})
    assert world.get("/bookings").json["total"] == 1


def test_keys_belong_to_their_senders(world: World):
    send(world, WISH)
    other = send(world, WISH | {"instrument_id": "SEM-2"}, who="cleo")
    assert other.status_code == 201


def test_a_refused_request_leaves_its_key_free(world: World):
    booking = world.book(who="cleo")
    assert send(world, WISH).status_code == 409
    world.post(f"/bookings/{booking['id']}/cancellation", who="cleo")
    assert send(world, WISH).status_code == 201


@pytest.mark.parametrize(
    ("key", "code"), [("", "required"), ("x" * 201, "too_long_text"), ("a b", "malformed")]
)
def test_a_key_has_its_form(world: World, key, code):
    answer = send(world, WISH, key=key)
    assert (answer.status_code, answer.json["errors"]) == (422, {"Idempotency-Key": code})


# --- dry run ------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_price_and_writes_nothing(world: World):
    wish = {"instrument_id": "SEM", "start": at(9), "end": at(10.5)}
    answer = world.post("/bookings/dry-run", json=wish)
    assert answer.status_code == 200
    assert answer.json == {
        "allowed": True,
        "reasons": [],
        "alternatives": [],
        "estimate": {
            "total": "900.00",
            "currency": "CNY",
            "lines": [{"amount": "900.00", "hours": "1.5", "rate": "600.00", "unit": "hour", "quantity": 1}],
        },
        "needs_approval": False,
        "steps": [],
        "conditions": [],
        "unannounced_years": [],
    }
    assert world.get("/bookings").json["total"] == 0
    assert world.get("/instruments/SEM/occupations", query_string=window()).json["occupations"] == []


def test_a_dry_run_refuses_as_the_booking_would(world: World):
    world.book(who="cleo")
    wish = {"instrument_id": "SEM", "start": at(9), "end": at(10)}
    verdict = world.post("/bookings/dry-run", json=wish).json
    refused = world.post("/bookings", json=wish).json
    assert verdict["allowed"] is False
    assert verdict["reasons"] == refused["reasons"]
    assert verdict["alternatives"] == refused["alternatives"]
    assert verdict["alternatives"]


def test_a_dry_run_tells_that_approval_is_needed_and_a_price_negotiated(world: World):
    verdict = world.post(
        "/bookings/dry-run", json={"instrument_id": "XRD", "start": at(9), "end": at(10)}
    ).json
    assert (verdict["allowed"], verdict["needs_approval"]) == (True, True)
    assert verdict["estimate"] == {"total": None, "currency": "CNY", "lines": [None]}


def test_a_dry_run_of_a_move_leaves_the_booking_out_of_account(world: World):
    booking = world.book()
    wish = {"instrument_id": "SEM", "start": at(9.5), "end": at(10.5)}
    assert world.post("/bookings/dry-run", json=wish).json["allowed"] is False
    assert world.post("/bookings/dry-run", json=wish | {"booking_id": booking["id"]}).json["allowed"] is True
    other = world.post("/bookings/dry-run", json=wish | {"booking_id": booking["id"]}, who="cleo")
    assert other.status_code == 404


def test_a_booking_says_by_which_day_it_is_needed(world: World):
    booking = world.book(9, 10, needed_by="2027-03-01")
    assert booking["needed_by"] == "2027-03-01"
    where = f"/bookings/{booking['id']}/agreement"
    wish = {"may_move": False, "if_silent": "stay"}
    assert world.ask("PUT", where, json=wish | {"may_move": True}).json["needed_by"] == "2027-03-01"
    assert world.ask("PUT", where, json=wish | {"needed_by": "2027-04-01"}).json["needed_by"] == "2027-04-01"
    assert world.ask("PUT", where, json=wish | {"needed_by": None}).json["needed_by"] is None
    assert world.ask("PUT", where, json=wish | {"needed_by": "soon"}).status_code == 422


# --- taking back ----------------------------------------------------------------------------------


def test_the_last_thing_one_did_is_taken_back(world: World):
    booking = world.book()
    url = f"/bookings/{booking['id']}"
    stale = world.post(f"{url}/undo", headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json["code"]) == (412, "stale")
    gone = world.post(f"{url}/undo", headers={"If-Match": '"1"'})
    assert (gone.status_code, gone.json["state"]) == (200, "cancelled")
    again = world.post(f"{url}/undo")
    assert (again.status_code, again.json["code"]) == (409, "refused")
    assert [one["code"] for one in again.json["reasons"]] == ["nothing_to_undo"]


def test_a_cancelled_booking_comes_back_as_another(world: World):
    booking = world.book()
    url = f"/bookings/{booking['id']}"
    assert world.post(f"{url}/cancellation").status_code == 200
    back = world.post(f"{url}/undo")
    assert back.status_code == 200
    assert back.json["id"] != booking["id"]
    assert (back.json["start"], back.json["state"]) == (booking["start"], "confirmed")
    assert back.headers["ETag"] == '"1"'
