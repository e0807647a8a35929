"""Faults, credit and longer use over the API: who may, what is answered, in which shape."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import update

from booking.domain.credit import Deed
from booking.services import credit, facilities
from models import Booking, BookingItem, Occupation
from tests import cast
from tests.api.conftest import World, at


def lose_points(world: World, booking: str) -> None:
    now = datetime.now(UTC)
    with world.session() as session:
        ada = cast.actor_of(session, cast.ada(session))
        credit.note(
            session,
            actor=ada,
            person_id=ada.person_id,
            facility_id=facilities.by_code(session, code="LAB").id,
            deed=Deed.NO_SHOW,
            booking_id=UUID(booking),
            at=now,
            now=now,
        )


def test_a_fault_is_reported_confirmed_and_mended(world: World):
    booking = world.book()
    sent = {"instrument_id": "SEM", "text": "Smoke", "stops_work": True}
    assert world.post("/faults", json=sent, who=None).status_code == 401
    assert world.post("/faults", json=sent | {"text": " "}).json["errors"] == {"text": "required"}
    made = world.post("/faults", json=sent)
    assert (made.status_code, made.json["state"], made.json["reported_by"]["name"]) == (201, "open", "Ada")
    fault = made.json["id"]
    assert world.get("/faults").json["total"] == 1
    assert world.get("/faults", who="cleo").json["total"] == 0
    assert world.get("/faults?facility=LAB", who="cleo").status_code == 403
    assert world.get("/faults?facility=LAB&waiting=true", who="tam").json["total"] == 1
    assert world.post(f"/faults/{fault}/confirmation", who="ada").status_code == 403
    past = world.post(f"/faults/{fault}/confirmation", json={"down_until": at(0, day=-9)}, who="tam")
    assert past.json["errors"] == {"down_until": "out_of_range"}
    done = world.post(f"/faults/{fault}/confirmation", json={"down_until": at(24)}, who="tam")
    assert (done.status_code, done.json["state"], done.json["displaced"]) == (
        200,
        "confirmed",
        [booking["id"]],
    )
    again = world.post(f"/faults/{fault}/dismissal", json={"answer": "no"}, who="tam")
    assert (again.status_code, again.json["reasons"][0]["code"]) == (409, "fault_settled")
    assert world.post(f"/faults/{fault}/mending", who="tam").json["state"] == "mended"
    assert world.post(f"/faults/{uuid4()}/mending", who="tam").status_code == 404


def test_credit_is_read_appealed_and_decided(world: World):
    assert world.get("/credit").json == {"items": [], "total": 0}
    booking = world.book()["id"]
    lose_points(world, booking)
    (standing,) = world.get("/credit").json["items"]
    assert (standing["facility_id"], standing["score"], standing["ban"]) == ("LAB", 90, None)
    (entry,) = standing["entries"]
    assert (entry["deed"], entry["points"], entry["booking_id"]) == ("no_show", -10, booking)
    url = f"/credit/entries/{entry['id']}"
    assert world.post(f"{url}/appeal", json={"text": "x"}, who="cleo").status_code == 404
    assert world.post(f"{url}/appeal", json={"text": "Shut"}).json["appeal"] == "open"
    again = world.post(f"{url}/appeal", json={"text": "Shut"})
    assert (again.status_code, again.json["reasons"][0]["code"]) == (409, "appeal_settled")
    assert world.get("/facilities/LAB/appeals").status_code == 403
    (waiting,) = world.get("/facilities/LAB/appeals", who="tam").json["items"]
    assert (waiting["appeal_text"], waiting["person"]["name"]) == ("Shut", "Ada")
    assert world.post(f"{url}/decision", json={"decision": "grant"}).status_code == 403
    granted = world.post(f"{url}/decision", json={"decision": "grant"}, who="tam")
    assert granted.json["appeal"] == "granted"
    assert world.get("/credit").json["items"][0]["score"] == 100


def test_who_is_banned_is_told_who_may_lift_it(world: World):
    world.book()
    sent = {"email": "ada@example.org", "until": at(24 * 30), "reason": "Broke the stage"}
    assert world.post("/facilities/LAB/bans", json=sent).status_code == 403
    unknown = world.post("/facilities/LAB/bans", json=sent | {"email": "cleo@example.org"}, who="tam")
    assert unknown.json["errors"] == {"email": "unknown"}
    made = world.post("/facilities/LAB/bans", json=sent, who="tam")
    assert (made.status_code, made.json["person"]["name"]) == (201, "Ada")
    wish = {"instrument_id": "SEM", "start": at(12), "end": at(13)}
    refused = world.post("/bookings", json=wish, headers={"Accept-Language": "en"})
    (reason,) = refused.json["reasons"]
    assert (refused.status_code, reason["code"], reason["overridable"]) == (409, "banned", True)
    assert "A manager of the facility may lift this." in reason["message"]
    assert world.get("/facilities/LAB/bans", who="tam").json["total"] == 1
    url = f"/bans/{made.json['id']}"
    assert world.delete(f"/facilities/FAR{url}", who="tam").status_code == 404
    assert world.delete(f"/facilities/LAB{url}", who="tam").status_code == 204
    assert world.post("/bookings", json=wish).status_code == 201


def test_points_are_set_from_a_day_on(world: World):
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    sent = {"deed": "late", "points": -5, "valid_from": tomorrow}
    url = "/facilities/LAB/credit-rules"
    assert world.post(url, json=sent).status_code == 403
    assert world.post(url, json=sent | {"deed": "smiling"}, who="tam").status_code == 422
    assert world.post(url, json=sent | {"valid_from": "2020-01-01"}, who="tam").json["errors"] == {
        "valid_from": "out_of_range"
    }
    assert world.post(url, json=sent, who="tam").status_code == 201
    rules = {rule["deed"]: rule for rule in world.get(url, who="tam").json["items"]}
    assert (rules["late"]["points"], rules["threshold"]["ban_below"]) == (-2, 60)


def test_points_of_all_facilities_are_the_administrators(world: World):
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat()
    sent = {"deed": "late", "points": -5, "valid_from": today}
    of_lab = "/facilities/LAB/credit-rules"

    def late(url: str, who: str) -> tuple[int, str]:
        (found,) = [rule for rule in world.get(url, who=who).json["items"] if rule["deed"] == "late"]
        return found["points"], found["place"]

    for who, status in (("tam", 403), ("cleo", 403), (None, 401)):
        assert world.get("/credit-rules", who=who).status_code == status
        assert world.post("/credit-rules", json=sent, who=who).status_code == status
        assert world.delete("/credit-rules/late", who=who).status_code == status
    assert late(of_lab, "tam") == (-2, "default")
    assert world.post("/credit-rules", json=sent, who="root").json["place"] == "all"
    assert late("/credit-rules", "root") == late(of_lab, "tam") == (-5, "all")
    assert world.post(of_lab, json=sent | {"points": -1}, who="tam").json["place"] == "facility"
    assert late(of_lab, "tam") == (-1, "facility")
    assert world.delete(f"{of_lab}/late", who="ada").status_code == 403
    assert world.delete(f"{of_lab}/late", who="tam").status_code == 204
    assert late(of_lab, "tam") == (-5, "all")
    assert world.delete("/credit-rules/late", who="root").status_code == 204
    assert late(of_lab, "tam") == (-2, "default")
    assert world.delete("/credit-rules/smiling", who="root").status_code == 404


def test_a_running_use_is_extended_and_feedback_counts_samples(world: World):
    booking = world.book()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    now -= timedelta(minutes=now.minute % 15)
    span = {"starts_at": now, "ends_at": now + timedelta(minutes=30)}
    use = {"use_starts_at": span["starts_at"], "use_ends_at": span["ends_at"]}
    key = UUID(booking["id"])
    with world.session() as session:
        session.execute(update(Booking).where(Booking.id == key).values(span))
        session.execute(update(BookingItem).where(BookingItem.booking_id == key).values(span))
        session.execute(update(Occupation).where(Occupation.booking_id == key).values(span | use))
    url = f"/bookings/{booking['id']}"
    assert world.post(f"{url}/extension", json={"minutes": 0}).status_code == 422
    assert world.post(f"{url}/extension", who="cleo").status_code == 404
    longer = world.post(f"{url}/extension", json={"minutes": 60})
    assert longer.status_code == 200
    assert longer.json["end"] == (now + timedelta(minutes=90)).isoformat().replace("+00:00", "Z")
    world.post(f"{url}/check-in")
    world.post(f"{url}/check-out")
    body = {"condition": "faulty", "comment": "hums", "samples": 12}
    assert world.post(f"{url}/feedback", json=body | {"samples": -1}).status_code == 422
    away = {"instrument_id": "TANK"}
    assert world.post(f"{url}/feedback", json=body | away).json["errors"] == {"instrument_id": "unknown"}
    assert world.post(f"{url}/feedback", json=body).status_code == 200
    (fault,) = world.get("/faults").json["items"]
    assert (fault["text"], fault["booking_id"]) == ("hums", booking["id"])
