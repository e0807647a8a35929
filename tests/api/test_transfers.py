"""Handing over and swapping over the API, and the races of accepting."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from booking.services import invariants
from tests.api.conftest import World, at


def offered(world: World, booking: str, to: str = "ada@example.org", who: str = "ben", **more: str):
    answer = world.post("/transfers", json={"booking_id": booking, "to": to, **more}, who=who)
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_booking_is_handed_over(world: World):
    booking = world.book(who="ben", purpose="films")
    transfer = offered(world, booking["id"], note="I am ill")
    assert (transfer["state"], transfer["note"]) == ("open", "I am ill")
    assert (transfer["giver"]["name"], transfer["taker"]["name"]) == ("Ben", "Ada")
    assert transfer["booking"]["items"] == booking["items"]
    assert transfer["for_booking"] is None
    assert world.get("/transfers", query_string={"state": "open"}).json["items"] == [transfer]
    accepted = world.post(f"/transfers/{transfer['id']}/acceptance", json={})
    assert (accepted.status_code, accepted.json["state"]) == (200, "accepted")
    now = world.get(f"/bookings/{booking['id']}").json
    assert now["booked_for"]["name"] == "Ada"
    assert (now["uid"], now["sequence"], now["state"]) == (booking["uid"], 1, "confirmed")
    assert world.get(f"/bookings/{booking['id']}", who="ben").status_code == 404
    again = world.post(f"/transfers/{transfer['id']}/acceptance", json={}, headers={"Accept-Language": "en"})
    assert [one["message"] for one in again.json["reasons"]] == ["This offer is over: “Accepted”."]


def test_an_offer_is_declined_withdrawn_or_answered_in_exchange(world: World):
    his, hers = world.book(who="ben")["id"], world.book(11, 12)["id"]
    first = offered(world, his)
    assert world.post(f"/transfers/{first['id']}/refusal", json={"note": "no"}).json["state"] == "declined"
    second = offered(world, his)
    assert world.post(f"/transfers/{second['id']}/withdrawal", who="ben").json["state"] == "withdrawn"
    third = offered(world, his)
    back = world.post(f"/transfers/{third['id']}/exchange", json={"booking_id": hers})
    assert (back.status_code, back.json["for_booking"]["id"]) == (201, his)
    done = world.post(f"/transfers/{back.json['id']}/acceptance", who="ben")
    assert done.json["state"] == "accepted"
    assert world.get(f"/bookings/{his}").json["booked_for"]["name"] == "Ada"
    assert world.get(f"/bookings/{hers}", who="ben").json["booked_for"]["name"] == "Ben"


def test_who_is_no_colleague_is_as_unknown_as_nobody(world: World):
    booking = world.book(who="ben")["id"]
    for to in ("cleo@example.org", "nobody@example.org", "no address"):
        answer = world.post("/transfers", json={"booking_id": booking, "to": to}, who="ben")
        assert (answer.status_code, answer.json["errors"]) == (422, {"to": "nobody"})
    assert offered(world, booking, "cleo@example.org", "tam")["giver"]["name"] == "Ben"
    transfer = world.get("/transfers", who="cleo").json["items"][0]["id"]
    for path in (f"/transfers/{transfer}/acceptance", f"/transfers/{transfer}/refusal"):
        assert world.post(path, json={}, who="root").status_code == 404
    assert world.get(f"/transfers/{transfer}", who="nora").status_code == 404
    for to in ("ada@example.org", "nobody@example.org"):
        strange = world.post("/transfers", json={"booking_id": booking, "to": to}, who="cleo")
        assert strange.status_code == 404


def test_a_swap_is_with_a_booking_that_one_may_see(world: World):
    hers, his = world.book()["id"], world.book(11, 12, who="ben")["id"]
    swap = offered(world, hers, "ben@example.org", "ada", for_booking_id=his)
    assert swap["for_booking"]["id"] == his
    blind = {"booking_id": his, "to": "ada@example.org", "for_booking_id": hers}
    assert world.post("/transfers", json=blind, who="ben").status_code == 404


def test_times_are_swapped_through_the_mask(world: World):
    mine = world.book(9, 10, who="ben", purpose="films")["id"]
    theirs = world.book(11, 12, who="cleo", purpose="alloy")["id"]
    url = f"/bookings/{mine}/swaps"
    for who, status in ((None, 401), ("cleo", 404), ("ada", 403), ("tam", 403), ("root", 403)):
        assert world.get(url, who=who).status_code == status
    (slot,) = world.get(url, who="ben").json["items"]
    assert set(slot) == {"instrument_id", "start", "end"}
    assert world.post(url, json=slot | {"instrument_id": "NONE"}, who="ben").status_code == 404
    wrong = world.post(url, json=slot | {"end": at(13)}, who="ben")
    assert wrong.json["reasons"][0]["code"] == "swap_gone"
    asked = world.post(url, json=slot | {"note": "Please"}, who="ben")
    assert asked.status_code == 201
    swap = asked.json
    assert (swap["blind"], swap["giver"]["name"], swap["taker"], swap["booking"]["id"]) == (
        True,
        "Ben",
        None,
        mine,
    )
    hidden = swap["for_booking"]
    assert (hidden["id"], hidden["state"], hidden["purpose"]) == (None, None, "")
    assert (hidden["start"], hidden["items"][0]["instrument_id"]) == (slot["start"], slot["instrument_id"])
    (offer,) = world.get("/transfers", who="cleo").json["items"]
    assert (offer["giver"], offer["taker"]["name"], offer["for_booking"]["id"]) == (None, "Cleo", theirs)
    assert (offer["booking"]["id"], offer["booking"]["purpose"], offer["note"]) == (None, "", "Please")
    for who in ("ben", "ada", "tam", "root"):
        assert world.post(f"/transfers/{swap['id']}/acceptance", json={}, who=who).status_code == 404
    done = world.post(f"/transfers/{swap['id']}/acceptance", json={}, who="cleo")
    assert (done.status_code, done.json["state"], done.json["giver"]) == (200, "accepted", None)
    assert world.get(f"/bookings/{theirs}", who="cleo").json["start"] == at(9)
    assert world.get(f"/bookings/{mine}", who="ben").json["start"] == slot["start"]
    assert world.get(f"/bookings/{mine}", who="cleo").status_code == 404


# --- races ----------------------------------------------------------------------------------------


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Begin all at one instant, each in a thread of its own."""
    barrier = threading.Barrier(len(calls))
    answers: dict[int, object] = {}

    def run(number: int) -> None:
        barrier.wait()
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answers[number] for number in range(len(calls))]


def faults(world: World) -> list[object]:
    with world.session() as session:
        return [fault for found in invariants.check(session, now=datetime.now(UTC)) for fault in found.faults]


@pytest.mark.parametrize("round_", range(4))
def test_accepted_twice_at_once_it_changes_hands_once(world_on_both: World, round_: int):
    world = world_on_both
    booking = world.book(9 + round_, 10 + round_, who="ben")["id"]
    path = f"/transfers/{offered(world, booking)['id']}/acceptance"
    answers = at_once(*[lambda: world.post(path, json={}).status_code] * 4)
    assert Counter(answers) == {200: 1, 409: 3}
    now = world.get(f"/bookings/{booking}").json
    assert (now["booked_for"]["name"], now["version"]) == ("Ada", 2)


@pytest.mark.parametrize("round_", range(4))
def test_accepted_while_it_is_cancelled_one_of_them_is_refused(world_on_both: World, round_: int):
    world = world_on_both
    booking = world.book(9 + round_, 10 + round_, who="ben")["id"]
    path = f"/transfers/{offered(world, booking)['id']}/acceptance"
    taken, given_up = at_once(
        lambda: world.post(path, json={}).status_code,
        lambda: world.post(f"/bookings/{booking}/cancellation", json={}, who="ben").status_code,
    )
    # Once it is Ada's, it is not there for Ben.
    assert (taken, given_up) in {(200, 404), (409, 200)}
    now = world.get(f"/bookings/{booking}", who="root").json
    assert (now["booked_for"]["name"], now["state"]) == (
        ("Ada", "confirmed") if taken == 200 else ("Ben", "cancelled")
    )


@pytest.mark.parametrize("round_", range(4))
def test_accepted_while_it_is_moved_nobody_gets_what_they_did_not_see(world_on_both: World, round_: int):
    world = world_on_both
    booking = world.book(9 + round_, 10 + round_, who="ben")["id"]
    path = f"/transfers/{offered(world, booking)['id']}/acceptance"
    move = {"instrument_id": "OVEN", "start": at(20), "end": at(21)}
    taken, moved = at_once(
        lambda: world.post(path, json={}).status_code,
        lambda: (
            world.patch(f"/bookings/{booking}", json=move, headers={"If-Match": "*"}, who="ben").status_code
        ),
    )
    assert (taken, moved) in {(200, 404), (200, 412), (409, 200), (412, 200)}
    now = world.get(f"/bookings/{booking}", who="root").json
    if taken == 200:
        assert (now["booked_for"]["name"], now["start"]) == ("Ada", at(9 + round_))
    else:
        assert (now["booked_for"]["name"], now["start"]) == ("Ben", at(20))


@pytest.mark.parametrize("round_", range(4))
def test_two_swaps_crossing_each_other_do_not_wait_for_each_other(world_on_both: World, round_: int):
    world = world_on_both
    hers = world.book(9 + round_, 10 + round_)["id"]
    his = world.book(9 + round_, 10 + round_, instrument="OVEN", who="ben")["id"]
    one = offered(world, hers, "ben@example.org", "ada", for_booking_id=his)["id"]
    other = offered(world, his, "ada@example.org", "root", for_booking_id=hers)["id"]
    answers = at_once(
        lambda: world.post(f"/transfers/{one}/acceptance", json={}, who="ben").status_code,
        lambda: world.post(f"/transfers/{other}/acceptance", json={}, who="ada").status_code,
    )
    assert sorted(answers) == [200, 409]
    assert world.get(f"/bookings/{hers}", who="root").json["booked_for"]["name"] == "Ben"
    assert world.get(f"/bookings/{his}", who="root").json["booked_for"]["name"] == "Ada"
    assert faults(world) == []


@pytest.mark.parametrize("round_", range(3))
def test_times_swapped_by_crossing_wishes_while_one_moves_are_swapped_once_or_never(
    world_on_both: World, round_: int
):
    world = world_on_both
    mine, theirs = (world.book(hour, hour + 1, who=who)["id"] for hour, who in ((9, "ben"), (11, "cleo")))
    paths = []
    for who, other, booking in (("ben", "cleo", mine), ("cleo", "ben", theirs)):
        (slot,) = world.get(f"/bookings/{booking}/swaps", who=who).json["items"]
        asked = world.post(f"/bookings/{booking}/swaps", json=slot, who=who)
        paths.append((other, f"/transfers/{asked.json['id']}/acceptance"))
    calls = [lambda who=who, path=path: world.post(path, json={}, who=who).status_code for who, path in paths]
    move = {"start": at(20), "end": at(21)}
    if round_:
        headers = {"If-Match": "*"}
        calls.append(
            lambda: world.patch(f"/bookings/{mine}", json=move, headers=headers, who="ben").status_code
        )
    answers = at_once(*calls)
    swapped = answers[:2].count(200)
    assert swapped <= 1
    assert swapped == 1 or round_
    starts = [world.get(f"/bookings/{booking}", who="root").json["start"] for booking in (mine, theirs)]
    moved = bool(round_) and answers[2] == 200
    assert starts == [at(20) if moved else at(11) if swapped else at(9), at(9) if swapped else at(11)]
    assert faults(world) == []
