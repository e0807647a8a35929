"""The inbox of requests: who sees it, deciding one or several, and what happens when somebody was faster."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from booking import db
from booking.domain.lifecycle import State
from models import Instrument
from tests.web.lab import Lab, at, text_of, value_of


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def test_who_manages_nothing_has_no_inbox(lab):
    lab.add_operator()
    for name in ("ada", "ben", "cleo"):
        assert lab.get(name, "/approvals").status_code == 403
        assert lab.send(name, "/approvals", decision="approve").status_code == 403
    assert lab.app.test_client().get("/approvals").status_code == 303


def test_an_empty_inbox_says_so(lab):
    assert "Nothing waits for you" in lab.get("tam", "/approvals").text


def test_the_inbox_tells_who_asks_for_what_and_what_is_around(lab):
    lab.book("ben", "PECVD", at(14), at(15), purpose="the rival")
    booking = lab.book("ada", "PECVD", at(9), at(11), purpose="Nitride <film>")
    page = lab.get("tam", "/approvals").text
    assert "asked just now" in page
    said = text_of(page)
    for words in (
        "2 requests wait for you",
        "Ada",
        "ada@example.org",
        "Nitride <film>",
        "Price by agreement",
    ):
        assert words in said
    card = page[page.index(f'id="request-{booking}"') :]
    card = card[: card.index("</li>\n    <li") if "</li>\n    <li" in card else None]
    assert "the rival" in card
    assert "asked" in said


def test_requests_of_other_facilities_are_not_his(lab):
    with db.transaction() as session:
        session.get_one(Instrument, lab.places["FAR-1"]).approval_required = True
    booking = lab.book("ada", "FAR-1", at(9), at(11))
    assert "Far instrument" not in lab.get("tam", "/approvals").text
    assert lab.send("tam", f"/bookings/{booking}/approval", version="1").status_code == 404
    assert (
        lab.send("tam", "/approvals", decision="approve", chosen=str(booking), comment="").status_code == 303
    )
    assert "not there for you" in lab.get("tam", "/approvals").text
    assert lab.booking(booking).state is State.REQUESTED
    assert "Far instrument" in lab.get("root", "/approvals").text


def test_one_is_approved_with_a_comment_of_its_own(lab):
    booking = lab.book("ada", "PECVD", at(9), at(11))
    page = lab.get("tam", "/approvals").text
    sent = {
        f"version-{booking}": value_of(page, f"version-{booking}"),
        f"comment-{booking}": "Bring wafers",
        "comment": "for all",
        "back": "",
    }
    answer = lab.send("tam", f"/bookings/{booking}/approval", **sent)
    assert answer.headers["Location"] == "/approvals"
    assert lab.booking(booking).state is State.CONFIRMED
    assert "Approved: Ada, Deposition." in lab.get("tam", "/approvals").text
    assert "Approved: Bring wafers" in lab.get("ada", f"/bookings/{booking}").text


def test_one_is_rejected_and_its_time_is_free_again(lab):
    booking = lab.book("ada", "PECVD", at(9), at(11))
    page = lab.get("tam", f"/bookings/{booking}").text
    assert "This request waits for you" in page
    answer = lab.send(
        "tam", f"/bookings/{booking}/rejection", version="1", comment="No gas", back=f"/bookings/{booking}"
    )
    assert answer.headers["Location"] == f"/bookings/{booking}"
    assert lab.booking(booking).state is State.REJECTED
    assert "Rejected: No gas" in lab.get("ada", f"/bookings/{booking}").text
    lab.book("ben", "PECVD", at(9), at(11))


def test_several_are_decided_at_once(lab):
    first, second = lab.book("ada", "PECVD", at(9), at(11)), lab.book("ben", "PECVD", at(13), at(14))
    left = lab.book("ben", "PECVD", at(16), at(17))
    sent = {f"version-{one}": "1" for one in (first, second, left)}
    answer = lab.send(
        "tam", "/approvals", decision="approve", comment="Welcome", chosen=[str(first), str(second)], **sent
    )
    assert answer.status_code == 303
    states = [lab.booking(one).state for one in (first, second, left)]
    assert states == [State.CONFIRMED, State.CONFIRMED, State.REQUESTED]
    assert "2 requests approved." in lab.get("tam", "/approvals").text
    refused = lab.send("tam", "/approvals", decision="reject", comment="", chosen=[str(left)])
    assert refused.status_code == 422
    assert "Say why" in refused.text
    lab.send("tam", "/approvals", decision="reject", comment="Full that day", chosen=[str(left)])
    assert lab.booking(left).state is State.REJECTED


def test_what_somebody_else_decided_first_is_told(lab):
    booking, other = lab.book("ada", "PECVD", at(9), at(11)), lab.book("ben", "PECVD", at(13), at(14))
    lab.send("root", f"/bookings/{booking}/rejection", version="1", comment="No gas")
    answer = lab.send("tam", f"/bookings/{booking}/approval", version="1", comment="")
    assert answer.status_code in {409, 412}
    late = lab.send("tam", f"/bookings/{booking}/approval", comment="")
    assert late.status_code == 409
    assert "It has been decided already" in late.text
    assert "Rejected" in text_of(late.text)
    lab.send("tam", "/approvals", decision="approve", comment="", chosen=[str(booking), str(other)])
    page = text_of(lab.get("tam", "/approvals").text)
    assert "1 request approved." in page
    assert "It has been decided already: the booking is “Rejected”." in page
    assert lab.booking(booking).state is State.REJECTED


def test_what_was_changed_meanwhile_is_looked_at_again(lab):
    booking = lab.book("ada", "PECVD", at(9), at(11))
    sent = {
        "start_date": at(12).date().isoformat(),
        "start_time": "20:00",
        "end_date": "",
        "end_time": "21:00",
    }
    changed = lab.send("ada", f"/bookings/{booking}/change", version="1", instrument="PECVD", **sent)
    assert changed.status_code == 303
    answer = lab.send("tam", f"/bookings/{booking}/approval", version="1", comment="")
    assert answer.status_code == 412
    assert "20:00 – 21:00" in text_of(answer.text)
    lab.send("tam", "/approvals", decision="approve", chosen=[str(booking)], **{f"version-{booking}": "1"})
    assert "was changed after you saw it" in lab.get("tam", "/approvals").text
    assert lab.booking(booking).state is State.REQUESTED


def test_nothing_ticked_and_nothing_said_is_told(lab):
    lab.book("ada", "PECVD", at(9), at(11))
    lab.book("ben", "PECVD", at(13), at(14))
    for sent in ({"decision": "approve"}, {"decision": "explode", "chosen": "x"}, {"chosen": "x"}):
        assert lab.send("tam", "/approvals", **sent).status_code == 422
    answer = lab.send("tam", "/approvals", decision="approve", comment="kept words")
    assert '<a href="#chosen">' in answer.text
    assert re.search(r'id="chosen"', answer.text)
    assert "kept words" in answer.text


@pytest.mark.parametrize("chosen", ["nonsense", "9" * 500, "00000000-0000-4000-8000-000000000000"])
def test_what_is_no_request_is_told_and_breaks_nothing(lab, chosen):
    answer = lab.send("tam", "/approvals", decision="approve", comment="", chosen=[chosen])
    assert answer.status_code == 303
    assert "1 request was not decided." in lab.get("tam", "/approvals").text


def test_a_comment_without_end_is_told_at_its_field(lab):
    booking = lab.book("ada", "PECVD", at(9), at(11))
    answer = lab.send("tam", f"/bookings/{booking}/approval", version="1", comment="x" * 501)
    assert answer.status_code == 422
    assert '<a href="#comment">' in answer.text
    assert lab.booking(booking).state is State.REQUESTED


def test_time_that_has_passed_is_only_rejected(lab):
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=4)
    booking = lab.book("ada", "PECVD", start, now=start - timedelta(days=1))
    page = lab.get("tam", "/approvals").text
    assert "Its time has passed" in page
    assert f"/bookings/{booking}/approval" not in page
    refused = lab.send("tam", f"/bookings/{booking}/approval", version="1", comment="")
    assert refused.status_code == 409
    assert "already passed" in refused.text
    silent = lab.send("tam", f"/bookings/{booking}/rejection", version="1", comment="")
    assert silent.status_code == 422
    assert "Say why" in silent.text
    assert (
        lab.send("tam", f"/bookings/{booking}/rejection", version="1", comment="Too late").status_code == 303
    )


def test_a_long_inbox_has_pages_and_a_constant_number_of_statements(lab):
    for hour in range(24):
        lab.book("ada", "PECVD", at(hour, days=8), at(hour, 15, days=8)) if hour % 2 == 0 else None
    for hour in range(0, 24, 2):
        lab.book("ada", "PECVD", at(hour, days=9), at(hour, 15, days=9))
    first, second = lab.get("tam", "/approvals").text, lab.get("tam", "/approvals", page=2).text
    assert first.count('class="card request"') == 20
    assert second.count('class="card request"') == 4


def test_looking_approves_nothing(lab):
    booking = lab.book("ada", "PECVD", at(9), at(11))
    for path in ("/approvals", f"/bookings/{booking}", f"/approvals?decision=approve&chosen={booking}"):
        assert lab.get("tam", path).status_code == 200
    assert lab.get("tam", f"/bookings/{booking}/approval").status_code == 405
    assert lab.booking(booking).state is State.REQUESTED
