"""What one side asks the other by program: whether a booking may be moved, whether a facility joins; and who came."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from booking.services import bookings
from models import NetworkFacility
from tests import cast
from tests.api.conftest import World, at
from tests.factories import make_facility, make_network


def test_an_owner_is_asked_with_a_deadline_and_answers(world: World):
    booking = world.book()
    url = f"/bookings/{booking['id']}/move-questions"
    wish = {"start": at(11), "end": at(12), "comment": "The pump is changed"}
    soon = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    wrong = world.post(url, json={**wish, "end": at(11)}, who="tam")
    assert (wrong.status_code, wrong.json["errors"]) == (422, {"end": "inverted"})
    assert world.post(url, json=wish, who="ben").status_code in {403, 404}
    asked = world.post(url, json={**wish, "answer_by": soon.isoformat()}, who="tam")
    assert asked.status_code == 201
    assert asked.json["answer_by"] == soon.isoformat().replace("+00:00", "Z")
    assert (asked.json["state"], asked.json["start"]) == ("open", at(11))
    taken = world.post("/bookings", json={"instrument_id": "SEM", "start": at(11), "end": at(12)}, who="ben")
    assert [reason["code"] for reason in taken.json["reasons"]] == ["taken"]
    one = asked.headers["Location"].removeprefix("/api/v1")
    assert world.get(one).json == asked.json
    assert world.get(url, who="tam").json["items"] == [asked.json]
    answered = world.post(f"{one}/answer", json={"answer": "accept"})
    assert (answered.status_code, answered.json["state"]) == (200, "done")
    assert world.get(f"/bookings/{booking['id']}").json["start"] == at(11)
    over = world.post(f"{one}/withdrawal", who="tam")
    assert (over.status_code, over.json["reasons"][0]["code"]) == (409, "question_over")


def test_what_is_asked_is_taken_back(world: World):
    booking = world.book()
    url = f"/bookings/{booking['id']}/move-questions"
    asked = world.post(url, json={"start": at(11), "end": at(12)}, who="tam").json
    withdrawn = world.post(f"/move-questions/{asked['id']}/withdrawal", who="tam")
    assert (withdrawn.status_code, withdrawn.json["state"]) == (200, "withdrawn")
    world.book(11, 12, who="ben")
    refused = world.post(f"/move-questions/{asked['id']}/answer", json={"answer": "accept"})
    assert refused.status_code == 409


def test_who_came_after_all_is_checked_in(world: World):
    booking = world.book()
    assert world.delete(f"/bookings/{booking['id']}/no-show", who="tam").status_code == 409
    with world.session() as session:
        (row,) = bookings.by_ids(session, ids=[UUID(booking["id"])])
        now = datetime.now(UTC)
        row.starts_at, row.ends_at = now - timedelta(hours=2), now + timedelta(hours=1)
        row.items[0].starts_at, row.items[0].ends_at = row.starts_at, row.ends_at
    assert world.post(f"/bookings/{booking['id']}/no-show", json={}, who="tam").json["state"] == "no_show"
    assert world.delete(f"/bookings/{booking['id']}/no-show").status_code == 403
    found = world.delete(f"/bookings/{booking['id']}/no-show", who="tam")
    assert (found.status_code, found.json["state"]) == (200, "checked_in")


def test_a_facility_joins_once_both_sides_agree(world: World):
    with world.session() as session:
        make_facility(session, code="HALL", name_en="Hall")
        other = make_network(session, code="OTHER")
        cast.nora(session, other)
    wish = {"network_id": "OTHER", "facility_id": "LAB", "note": "Join us"}
    unknown = world.post("/network-requests", json={**wish, "facility_id": "NONE"}, who="nora")
    assert (unknown.status_code, unknown.json["errors"]) == (422, {"facility_id": "unknown"})
    asked = world.post("/network-requests", json=wish, who="nora")
    assert (asked.status_code, asked.json["yours_to_answer"], asked.json["by_facility"]) == (
        201,
        False,
        False,
    )
    again = world.post("/network-requests", json=wish, who="nora")
    assert (again.status_code, again.json["reasons"][0]["code"]) == (409, "network_asked")
    (mine,) = world.get("/network-requests", who="tam").json["items"]
    assert (mine["id"], mine["yours_to_answer"], mine["note"]) == (asked.json["id"], True, "Join us")
    url = f"/network-requests/{mine['id']}"
    silent = world.post(f"{url}/answer", json={"answer": "refuse"}, who="tam")
    assert (silent.status_code, silent.json["errors"]) == (422, {"reason": "required"})
    assert world.post(f"{url}/withdrawal", who="tam").status_code == 404
    done = world.post(f"{url}/answer", json={"answer": "accept"}, who="tam")
    assert (done.status_code, done.json["state"]) == (200, "accepted")
    assert world.post(f"{url}/withdrawal", who="nora").status_code == 409
    with world.session() as session:
        joined = session.scalars(select(NetworkFacility.facility_id)).all()
        assert len(joined) == 3
    other_way = world.post(
        "/network-requests", json={"network_id": "OTHER", "facility_id": "HALL"}, who="root"
    )
    assert other_way.status_code == 204
