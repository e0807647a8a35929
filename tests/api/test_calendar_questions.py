"""What calendars answered to invitations, over the API: listed, and answered by its person alone."""

from datetime import datetime
from uuid import UUID, uuid4

import pytest

from booking.db import transaction
from models import Booking, CalendarQuestion, QuestionKind, QuestionState
from tests.api.conftest import World, at


def asked(booking_id: str, start: str | None = None, end: str | None = None) -> str:
    """Have the owner's calendar decline a booking, or propose another time for it."""
    with transaction() as session:
        booking = session.get_one(Booking, UUID(booking_id))
        question = CalendarQuestion(
            id=uuid4(),
            booking_id=booking.id,
            person_id=booking.person_id,
            position=-1,
            kind=QuestionKind.COUNTERED if start else QuestionKind.DECLINED,
            state=QuestionState.OPEN,
            booking_sequence=booking.sequence,
            starts_at=datetime.fromisoformat(start) if start else None,
            ends_at=datetime.fromisoformat(end) if end else None,
            created_at=booking.created_at,
        )
        session.add(question)
        return str(question.id)


def test_what_was_declined_is_cancelled_on_ones_word_or_kept(world_on_both: World):
    world = world_on_both
    first, second = world.book(10, 11), world.book(12, 13)
    kept, given_up = asked(second["id"]), asked(first["id"])
    listed = world.get("/calendar-questions").json
    assert [(one["id"], one["kind"], one["start"]) for one in listed["items"]] == [
        (given_up, "declined", None),
        (kept, "declined", None),
    ]
    assert world.get("/calendar-questions", who="cleo").json == {"items": [], "total": 0}
    where = f"/calendar-questions/{given_up}"
    for who in ("cleo", "tam"):
        assert world.get(where, who=who).status_code == 404
        assert world.post(f"{where}/answer", json={"answer": "accept"}, who=who).status_code == 404
    assert world.post(f"{where}/answer", json={"answer": "perhaps"}).json["errors"] == {"answer": "unknown"}
    for _ in range(2):
        done = world.post(f"{where}/answer", json={"answer": "accept"})
        assert (done.status_code, done.json["state"]) == (200, "done")
    assert world.get(f"/bookings/{first['id']}").json["state"] == "cancelled"
    left = world.post(f"/calendar-questions/{kept}/answer", json={"answer": "keep"})
    assert (left.json["state"], left.json["answered_at"] is None) == ("left", False)
    assert world.get(f"/bookings/{second['id']}").json["state"] == "confirmed"
    over = world.post(f"/calendar-questions/{kept}/answer", json={"answer": "accept"})
    assert (over.status_code, over.json["reasons"][0]["code"]) == (409, "question_over")
    assert world.get("/calendar-questions").json["total"] == 0


@pytest.mark.parametrize(("hour", "status"), [(14, 200), (16, 409)])
def test_another_time_is_taken_under_the_rules_of_any_change(world: World, hour, status):
    booking = world.book(10, 11)
    world.book(16, 17, who="cleo")
    question = asked(booking["id"], at(hour), at(hour + 1))
    moved = world.post(f"/calendar-questions/{question}/answer", json={"answer": "accept"})
    assert moved.status_code == status
    now_at = world.get(f"/bookings/{booking['id']}").json["start"]
    assert now_at == (at(hour) if status == 200 else at(10))
    state = world.get(f"/calendar-questions/{question}").json["state"]
    assert state == ("done" if status == 200 else "open")
