"""Booking a process on a page: steps typed, the route shown and held, booked, moved; what a facility says of them."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from booking import db
from booking.jobs import waitlist
from booking.services import processes
from models import Part, WaitlistEntry
from tests.web.lab import Lab, at, text_of, typed, value_of


@pytest.fixture
def lab(app):
    return Lab(app)


def form(*steps, start=None, **more):
    """Fill the form: steps are (what, hours, least, most)."""
    when = typed(start or at(9), at(10))
    filled = {"facility": "LAB", "start_date": when["start_date"], "start_time": when["start_time"]}
    for row, (what, hours, least, most) in enumerate(steps, 1):
        values = {"what": what, "hours": hours, "least": least, "most": most}
        filled |= {f"{name}-{row}": value for name, value in values.items()}
    return filled | more


TWO = (("i:SEM", "2", "0", "24"), ("i:BATH", "1.5", "0.5", "4"))


def booked_from(lab, page, **sent):
    """Press the button of the page that shows a route."""
    return lab.send(
        "ada", "/processes/new", **sent, places=value_of(page, "places"), key=value_of(page, "key")
    )


def test_a_process_is_found_shown_booked_and_moved(lab):
    lab.book("ben", "SEM", at(10), at(11))
    sent = form(*TWO)
    found = lab.send("ada", "/processes/new", **sent, find="1")
    assert found.status_code == 200
    said = text_of(found.text)
    assert "The earliest route" in said
    assert "11:00" in said
    assert "Wait before it" in said
    assert "Held for you until" in said
    assert "¥350.00 × 2 h" in said  # of the microscope; the bath is by agreement
    assert lab.count() == 1
    answer = booked_from(lab, found.text, **sent, purpose="Batch 7")
    assert answer.status_code == 303, text_of(answer.text)
    booking_id = answer.headers["Location"].rsplit("/", 1)[-1]
    booking = lab.booking(booking_id)
    assert [(row.instrument.code, row.starts_at, row.ends_at) for row in booking.items] == [
        ("SEM", at(11), at(13)),
        ("BATH", at(13, 30), at(15)),
    ]
    assert booking.purpose == "Batch 7"
    assert processes.of(booking.items[1]).lag == (30, 240)

    page = lab.get("ada", f"/bookings/{booking_id}")
    assert f"/bookings/{booking_id}/move" in page.text
    later = typed(at(9, days=8), at(10, days=8))
    when = {"date": later["start_date"], "time": later["start_time"]}
    shown = lab.get("ada", f"/bookings/{booking_id}/move", **when)
    assert shown.status_code == 200
    assert "Where all steps fit" in shown.text
    moved = lab.send("ada", f"/bookings/{booking_id}/move", **when, version=value_of(shown.text, "version"))
    assert moved.status_code == 303
    booking = lab.booking(booking_id)
    assert [row.starts_at for row in booking.items] == [at(9, days=8), at(11, 30, days=8)]
    assert lab.count() == 2


def test_who_was_slower_is_shown_the_route_that_is_earliest_now(lab):
    sent = form(*TWO)
    found = lab.send("ada", "/processes/new", **sent, find="1")
    lab.send("ada", "/holds", instrument="SEM", release=re.search(r'data-held="([^"]+)"', found.text)[1])
    lab.book("ben", "SEM", at(9), at(10))
    answer = booked_from(lab, found.text, **sent)
    assert answer.status_code == 409
    said = text_of(answer.text)
    assert "already taken" in said
    assert "10:00" in said
    assert lab.count() == 1
    assert booked_from(lab, answer.text, **sent).status_code == 303


def test_any_of_a_class_will_do_and_nonsense_is_named(lab):
    lab.book("ben", "SEM", at(9), at(12))
    page = lab.get("ada", "/processes/new", facility="LAB")
    assert 'value="c:0101"' in page.text
    found = lab.send("ada", "/processes/new", **form(("c:0101", "1", "0", "24")), find="1")
    assert "Second microscope" in text_of(found.text)
    assert value_of(found.text, "places").startswith("SEM2 ")
    for steps, words in (
        ((("i:SEM", "a", "0", "1"),), "Hours (row 1)"),
        ((("i:SEM", "1", "0", "1"), ("i:BATH", "1", "3", "1")), "At most so many hours after it (row 2)"),
        ((), "Instrument or class (row 1)"),
    ):
        answer = lab.send("ada", "/processes/new", **form(*steps), find="1")
        assert answer.status_code == 422
        assert words in text_of(answer.text)
    tampered = lab.send("ada", "/processes/new", **form(*TWO), places="SEM yesterday")
    assert tampered.status_code == 422


def test_no_route_says_so(lab):
    lab.book("ben", "SEM", at(0), at(0, days=40))
    answer = lab.send("ada", "/processes/new", **form(*TWO), find="1")
    assert answer.status_code == 200
    assert "No route is free" in text_of(answer.text)
    assert "Book all steps" not in answer.text


def test_who_finds_no_route_waits_in_line_and_is_offered_it_as_one(lab):
    taken = lab.book("ben", "BATH", at(0), at(0, days=40), quantity=4)
    page = lab.send("ada", "/processes/new", **form(*TWO), find="1").text
    assert "Wait in line" in page
    assert value_of(page, "until") > typed(at(9), at(10))["start_date"]
    day = typed(at(9), at(10))["start_date"]
    for until, words in (("", "Until this day"), ("2020-01-01", "Until this day")):
        wrong = lab.send("ada", "/processes/new", **form(*TWO), wait="1", until=until, found="offer")
        assert wrong.status_code == 422
        assert words in text_of(wrong.text)
    sent = lab.send("ada", "/processes/new", **form(*TWO), wait="1", until=day, found="offer")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/waitlist")
    said = text_of(lab.get("ada", "/waitlist").text)
    assert "Process in 2 steps: Microscope 2 h → Water bath 1 h 30 min" in said
    assert "All steps, in 4 h or longer, within" in said
    with db.reading() as session:
        [entry] = session.scalars(select(WaitlistEntry))
    waitlist.turn("key", lambda: False, now=datetime.now(UTC))
    said = text_of(lab.get("ada", "/waitlist", why=str(entry.id)).text)
    assert "step 2 is not reached" in said
    assert "Process in 2 steps" in text_of(lab.get("tam", "/waitlist/facility", facility="LAB").text)
    lab.send("ben", f"/bookings/{taken}/cancellation")
    waitlist.turn("key", lambda: False, now=datetime.now(UTC))
    page = lab.get("ada", "/waitlist").text
    assert "Offered to you: all steps" in page
    said = text_of(page)
    assert "Water bath: " in said[said.index("Offered to you") :]
    address = re.search(r'action="(/offers/[^"]+)"', page).group(1)
    assert lab.send("ada", address, answer="accept").headers["Location"].startswith("/bookings/")


def test_a_line_fills_in_its_stations(lab):
    with db.transaction() as session:
        session.add_all(
            Part(line_id=lab.places["PECVD"], station_id=lab.places[code], position=n)
            for n, code in enumerate(("SEM", "BATH"))
        )
    assert "/processes/new?line=PECVD" in lab.get("ada", "/instruments/PECVD").text
    page = lab.get("ada", "/processes/new", line="PECVD").text
    chosen = re.findall(r'<option value="i:(\w+)" selected', page)
    assert chosen == ["SEM", "BATH"]
    assert "At which facility?" in lab.get("ada", "/processes/new").text
    assert "/processes/new" in lab.get("ada", "/").text


def test_a_manager_keeps_changeovers_and_utilities(lab):
    assert lab.get("ada", "/facilities/LAB/processes").status_code == 403
    assert lab.get("tam", "/facilities/LAB/processes").status_code == 200
    pair = {"instrument": "", "before-1": "milk", "after-1": "soy", "minutes-1": "240"}
    wrong = lab.send("tam", "/facilities/LAB/changeovers", **pair | {"minutes-1": "long"})
    assert wrong.status_code == 422
    assert value_of(wrong.text, "before-1") == "milk"
    assert lab.send("tam", "/facilities/LAB/changeovers", **pair).status_code == 303
    page = lab.get("tam", "/facilities/LAB/processes").text
    assert (value_of(page, "before-1"), value_of(page, "minutes-1")) == ("milk", "240")
    steam = {"code": "STEAM", "name_zh": "蒸汽", "name_en": "Steam", "unit": "kg/h", "capacity": "300"}
    assert lab.send("tam", "/facilities/LAB/utilities", **steam).status_code == 303
    assert "300 kg/h" in text_of(lab.get("tam", "/facilities/LAB/processes").text)

    one = {"family-1": "milk", "draw-1-1": "200"}
    milk = lab.send("ada", "/processes/new", **form(("i:SEM", "1", "0", "1"), **one), find="1")
    assert booked_from(lab, milk.text, **form(("i:SEM", "1", "0", "1"), **one)).status_code == 303
    other = {"family-1": "soy"}
    soy = lab.send("ada", "/processes/new", **form(("i:SEM", "1", "0", "1"), **other), find="1")
    assert "14:00" in text_of(soy.text)
    full = lab.send(
        "ada", "/processes/new", **form(("i:SEM2", "1", "0", "1"), **{"draw-1-1": "101"}), find="1"
    )
    assert "10:00" in text_of(full.text)
    assert lab.send("tam", "/facilities/LAB/utilities", code="STEAM", drop="1").status_code == 303
