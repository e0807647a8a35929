"""The booking sheet without scripts: its buttons, whom and what for, what its main button does, and what follows."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask

from booking import db
from booking.domain.lifecycle import State
from models import Instrument, OpeningRule, Project, ProjectMember
from tests.web.lab import SHANGHAI, Lab, at, local, text_of, typed, value_of


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def wish(code="SEM", start=None, end=None, **more) -> dict[str, str]:
    times = typed(start or at(9), end or at(11))
    return {
        **times,
        "instrument": code,
        "quantity": "1",
        "purpose": "",
        "key": uuid4().hex,
        "shown": "1",
        **more,
    }


def main_button(page: str) -> str:
    """The main button: its words, and what it sends besides."""
    found = re.search(r"<button[^>]*data-send ([^>]*)>([^<]*)<", page)
    return f"{found[2].strip()} {found[1].strip()}".strip()


def times(page: str) -> tuple[str, str, str]:
    return value_of(page, "start_date"), value_of(page, "start_time"), value_of(page, "end_time")


def day_of(moment) -> str:
    return moment.astimezone(SHANGHAI).date().isoformat()


# --- when -----------------------------------------------------------------------------------------


def test_buttons_give_another_length_day_and_week_and_book_nothing(lab):
    sent = wish(purpose="kept")
    for nudge, expected in {
        "length 30": (day_of(at(9)), "09:00", "09:30"),
        "length 240": (day_of(at(9)), "09:00", "13:00"),
        "days +1": (day_of(at(9, days=8)), "09:00", "11:00"),
        "days -1": (day_of(at(9, days=6)), "09:00", "11:00"),
        f"on {day_of(at(9, days=12))}": (day_of(at(9, days=12)), "09:00", "11:00"),
        "on nonsense": (day_of(at(9)), "09:00", "11:00"),
        "length 999": (day_of(at(9)), "09:00", "11:00"),
    }.items():
        page = lab.send("ada", "/bookings/new", **sent, nudge=nudge)
        assert page.status_code == 200
        assert times(page.text) == expected, nudge
        assert "kept" in page.text
    assert lab.count() == 0


def test_the_same_button_tells_a_script_the_time_it_leads_to(lab):
    asked = wish(part="verdict", nudge="days +1")
    page = lab.get("ada", "/bookings/new", **asked).text
    assert f'data-start="{local(at(9, days=8))}"' in page
    assert f'data-end="{local(at(11, days=8))}"' in page


def test_the_next_free_time_is_the_next_of_this_length_past_what_is_taken(lab):
    lab.book("ben", "SEM", at(9, days=7), at(12, days=7))
    page = lab.send("ada", "/bookings/new", **wish(start=at(10), end=at(12)), nudge="next").text
    assert times(page) == (day_of(at(12)), "12:00", "14:00")
    assert "Free: you can book it now." in page


def test_a_day_is_the_open_hours_as_far_as_one_use_may_reach(lab):
    with db.transaction() as session:
        row = session.get_one(Instrument, lab.places["SEM"])
        row.longest_minutes = 8 * 60
        day = at(9).astimezone(SHANGHAI).weekday()
        session.add(OpeningRule(instrument_id=row.id, weekday=day, opens=8 * 60, closes=20 * 60))
    page = lab.send("ada", "/bookings/new", **wish(), nudge="length day").text
    assert times(page)[1:] == ("08:00", "16:00")


def test_only_lengths_that_the_rules_allow_are_offered(lab):
    with db.transaction() as session:
        row = session.get_one(Instrument, lab.places["SEM"])
        row.shortest_minutes, row.longest_minutes, row.step_minutes = 60, 120, 60
    page = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(9)), end=local(at(11))).text
    assert set(re.findall(r'value="length (\w+)"', page)) == {"60", "120"}
    assert re.search(r'value="length 120"[^>]*aria-pressed="true"', page)


def test_the_week_says_how_free_each_day_is(lab):
    with db.transaction() as session:
        row = session.get_one(Instrument, lab.places["SEM"])
        day = at(9).astimezone(SHANGHAI).weekday()
        session.add(OpeningRule(instrument_id=row.id, weekday=day, opens=8 * 60, closes=18 * 60))
    lab.book("ben", "SEM", at(9), at(12))
    page = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(13)), end=local(at(14))).text
    days = re.findall(
        r'class="glance-day level-(\d)"[^>]*value="on ([^"]+)"([^>]*)>.*?glance-free">([^<]*)<', page
    )
    assert len(days) == 7
    chosen = [one for one in days if "aria-pressed" in one[2]]
    assert [(one[0], one[1], one[3]) for one in chosen] == [("3", day_of(at(13)), "7 h free")]
    assert {one[3] for one in days if one not in chosen} == {"closed"}


# --- for whom, what for ---------------------------------------------------------------------------


def test_a_leader_chooses_by_name_and_it_becomes_that_persons_booking(lab):
    page = lab.get("ada", "/bookings/new", instrument="SEM").text
    assert re.search(r'<option value=""[^>]*>Me: Ada</option>', page)
    assert re.search(r'<option value="ben@example.org">Ben</option>', page)
    sent = wish(booked_for="ben@example.org")
    where = lab.send("ada", "/bookings/new", **sent).headers["Location"]
    assert lab.booking(where.rpartition("/")[2]).person_id == lab.people["ben"]


def test_somebody_who_is_not_listed_is_named_by_address(lab):
    sent = wish(booked_for="@", booked_for_other="ben@example.org")
    where = lab.send("tam", "/bookings/new", **sent).headers["Location"]
    assert lab.booking(where.rpartition("/")[2]).person_id == lab.people["ben"]
    page = lab.send("tam", "/bookings/new", **wish(booked_for="@", booked_for_other="x@example.org"))
    assert page.status_code == 422
    assert value_of(page.text, "booked_for_other") == "x@example.org"


def test_staff_are_offered_those_who_came_lately_and_nobody_else_is(lab):
    lab.book("cleo", "SEM", at(9))
    assert "cleo@example.org" in lab.get("tam", "/bookings/new", instrument="SEM").text
    assert "cleo@example.org" not in lab.get("ada", "/bookings/new", instrument="SEM").text
    page = lab.get("ben", "/bookings/new", instrument="SEM").text
    assert '<select class="control " id="booked_for"' not in page


def test_the_project_is_the_only_one_or_the_last_one_used_here(lab):
    only = lab.get("ada", "/bookings/new", instrument="SEM").text
    assert f'value="{lab.project_id}" selected' in only
    with db.transaction() as session:
        known = session.get_one(Project, lab.project_id)
        other = Project(
            code="P-2", name="Powders", organisation_id=known.organisation_id, leader_id=lab.people["ada"]
        )
        session.add(other)
        session.flush()
        session.add(ProjectMember(project_id=other.id, person_id=lab.people["ada"]))
        other_id = other.id
    assert " selected" not in re.search(
        r'id="project".*?</select>', lab.get("ada", "/bookings/new", instrument="SEM").text, re.DOTALL
    )[0].replace('value="" selected', "")
    lab.book("ada", "SEM", at(9), project_id=other_id)
    lab.book("ada", "SEM2", at(9), project_id=lab.project_id)
    assert f'value="{other_id}" selected' in lab.get("ada", "/bookings/new", instrument="SEM").text
    none = lab.get("ada", "/bookings/new", instrument="SEM", project="").text
    assert f'value="{other_id}" selected' not in none


# --- the main button ------------------------------------------------------------------------------


def test_the_main_button_says_what_it_does(lab):
    def button(who: str, code: str, start, end) -> str:
        query = {"instrument": code, "start": local(start), "end": local(end)}
        return main_button(lab.get(who, "/bookings/new", **query).text)

    assert button("ada", "SEM", at(9), at(11)) == "Book"
    assert button("ada", "PECVD", at(9), at(11)) == "Ask for approval"
    lab.book("ben", "SEM", at(9), at(11))
    taken = button("ada", "SEM", at(9), at(11))
    assert taken.startswith("Take Second microscope instead")
    assert 'name="instead" value="SEM2 ' in taken
    assert button("tam", "SEM", at(9, 3), at(9, 7)).startswith("Take ")  # a clash no manager sets aside
    assert button("tam", "SEM", at(13, 3), at(13, 7)) == "Book as an exception"


def test_where_nothing_else_is_free_one_joins_the_waitlist(lab):
    lab.book("ben", "BATH", at(0, days=1), at(0, days=300), quantity=4)
    page = lab.get(
        "ada", "/bookings/new", instrument="BATH", start=local(at(9, days=90)), end=local(at(11, days=90))
    )
    page = page.text
    assert main_button(page) == 'Join the waitlist name="join" value="1"'


def test_every_reason_leads_to_its_remedy(lab):
    page = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(9, 3)), end=local(at(9, 7))).text
    reasons = re.search(r'id="refusal".*?</ul>', page, re.DOTALL)[0]
    assert reasons.count("<li>") == reasons.count('href="/instruments/SEM/rules"') > 1


# --- over a calendar ------------------------------------------------------------------------------


def test_the_sheet_alone_is_no_page_and_says_what_was_done(lab):
    sheet = lab.get(
        "ada", "/bookings/new", instrument="SEM", part="sheet", start=local(at(9)), end=local(at(11))
    )
    assert "<html" not in sheet.text
    assert value_of(sheet.text, "part") == "sheet"
    wrong = lab.send("ada", "/bookings/new", **wish(part="sheet", start=at(9), end=at(8)))
    assert wrong.status_code == 422
    assert "<html" not in wrong.text
    made = lab.send("ada", "/bookings/new", **wish(part="sheet"))
    assert made.status_code == 201
    assert "<html" not in made.text
    said = text_of(made.text)
    for words in (
        "Booked. The time is yours.",
        "Add to my calendar",
        "Undo",
        "Repeat weekly",
        "Invite others",
    ):
        assert words in said
    assert "/undo" in made.text
    assert lab.count() == 1


# --- afterwards -----------------------------------------------------------------------------------


def test_what_was_booked_is_confirmed_with_what_one_does_next(lab):
    booking = lab.send("ada", "/bookings/new", **wish()).headers["Location"]
    page = lab.get("ada", booking).text
    panel = re.search(r'<section class="done".*?</section>', page, re.DOTALL)[0]
    assert f'href="{booking}.ics"' in panel
    assert 'href="/calendars"' in panel
    next_week = local(at(9) + timedelta(weeks=1)).replace(":", "%3A")
    assert f"/series/new?instrument=SEM&amp;start={next_week}" in panel.replace(":00", "%3A00")
    assert 'href="mailto:?subject=Microscope' in panel
    undone = lab.send("ada", f"{booking}/undo", version="1")
    assert undone.headers["Location"] == "/bookings"
    assert lab.booking(booking.rpartition("/")[2]).state is State.CANCELLED
    assert "as if it had not been booked" in lab.get("ada", "/bookings").text
    assert '<section class="done"' not in lab.get("ada", booking).text


def test_who_decides_a_request_is_said_at_once(lab):
    booking = lab.send("ada", "/bookings/new", **wish("PECVD")).headers["Location"]
    panel = re.search(r'<section class="done asks".*?</section>', lab.get("ada", booking).text, re.DOTALL)[0]
    assert "Your request is in." in panel
    assert "Who decides:" in panel
    assert "Tam" in panel or "the managers of Laboratory" in panel


def test_others_see_no_panel_and_no_undo(lab):
    booking = lab.send("ada", "/bookings/new", **wish()).headers["Location"]
    page = lab.get("tam", booking).text
    assert 'class="done"' not in page
    assert "/undo" not in page


def test_the_list_takes_back_what_was_just_done_and_stays_where_it_was(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    page = lab.get("ada", "/bookings").text
    assert f'action="/bookings/{booking}/undo"' in page
    answer = lab.send("ada", f"/bookings/{booking}/undo", version="1", back="/bookings?show=ahead")
    assert answer.headers["Location"] == "/bookings?show=ahead"
    old = lab.book("ada", "SEM", at(9), at(11), now=at(9, days=-1))
    assert f'action="/bookings/{old}/undo"' not in lab.get("ada", "/bookings").text
