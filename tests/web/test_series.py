"""Series by the pages: the form with a verdict and a choice for each date, the page of one, and its changes."""

import re
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from booking import db
from booking.services import bookings
from models import Booking, Series
from tests.web.lab import SHANGHAI, Lab, at, local, text_of, typed, value_of

FIRST = at(9).astimezone(SHANGHAI).date()


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def day(week: int) -> str:
    return (FIRST + timedelta(weeks=week)).isoformat()


def form(code: str = "SEM", count: int = 4, **more: str) -> dict[str, str]:
    """The whole form as the page sends it, before anything was shown."""
    given = {"instrument": code, "quantity": "1", "purpose": "", "project": "", "shown": "1", "key": "k"}
    given |= {"repeats": "weekly", "interval": "1", "ends": "count", "count": str(count), "excluded": ""}
    return typed(at(9), at(11), **given, **{f"weekday-{FIRST.weekday()}": "1"}) | more


def shown(lab: Lab, who: str, fields: dict[str, str]):
    """Show the dates, and give the page with the form that it would send next."""
    page = lab.send(who, "/series/new", **fields, check="1")
    return page, fields | {"seen": value_of(page.text, "seen")}


def booked(lab: Lab, who: str = "ada", **more: str) -> str:
    _page, fields = shown(lab, who, form(**more))
    answer = lab.send(who, "/series/new", **fields)
    assert answer.status_code == 303, text_of(answer.text)
    return answer.headers["Location"].rpartition("/")[2]


def made(lab: Lab, series_id: str) -> list[Booking]:
    with db.reading() as session:
        return bookings.of_series(session, series_id=UUID(series_id))


def states(lab: Lab, series_id: str) -> list[str]:
    return [one.state.value for one in made(lab, series_id)]


def count(table) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_the_booking_form_leads_to_all_dates_in_one_click(lab):
    page = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(9)), end=local(at(11))).text
    assert 'formaction="/series/new"' in page
    sent = typed(at(9), at(11), instrument="SEM", quantity="1", purpose="Weekly", key="k", shown="1")
    answer = lab.send("ada", "/series/new", **sent, repeat="1", of_single_bookings="x")
    said = text_of(answer.text)
    assert answer.status_code == 200
    assert "8 dates can be booked" in said
    assert said.count("Free ") >= 8
    assert "Weekly" in answer.text
    assert "¥5,600.00" in said
    assert count(Booking) == 0


def test_what_was_not_shown_is_shown_and_not_booked(lab):
    _page, fields = shown(lab, "ada", form())
    answer = lab.send("ada", "/series/new", **fields | {"count": "5"})
    assert answer.status_code == 200
    assert "5 dates can be booked" in text_of(answer.text)
    assert count(Series) == 0


def test_a_series_is_booked_and_shown(lab):
    series_id = booked(lab, purpose="Grain size")
    assert states(lab, series_id) == ["confirmed"] * 4
    page = lab.get("ada", f"/series/{series_id}")
    said = text_of(page.text)
    assert page.status_code == 200
    assert f"Every week on {FIRST:%A}, 4 times" in said
    assert "Grain size" in said
    one = made(lab, series_id)[0]
    assert f"/series/{series_id}" in lab.get("ada", f"/bookings/{one.id}").text


def test_each_date_tells_its_verdict_and_offers_a_choice(lab):
    lab.book("ben", "SEM", at(10) + timedelta(weeks=1), at(12) + timedelta(weeks=1))
    page, fields = shown(lab, "ada", form())
    said = text_of(page.text)
    assert "3 dates can be booked, 1 cannot" in said
    assert "Not possible SEM is already taken" in said
    options = re.search(rf'<select[^>]*name="choice-{day(1)}">(.*?)</select>', page.text, re.DOTALL)[1]
    values = re.findall(r'value="([^"]*)"', options)
    assert {
        "",
        "skip",
        "waitlist",
        f"SEM {day(1)}T08:00 {day(1)}T10:00",
        f"SEM2 {day(1)}T09:00 {day(1)}T11:00",
    } <= set(values)
    refused = lab.send("ada", "/series/new", **fields)
    assert refused.status_code == 409
    assert "Nothing was booked" in refused.text
    assert count(Series) == 0
    other = lab.send(
        "ada", "/series/new", **fields | {f"choice-{day(1)}": f"SEM2 {day(1)}T09:00 {day(1)}T11:00"}
    )
    assert other.status_code == 303
    booking = made(lab, other.headers["Location"].rpartition("/")[2])[1]
    assert booking.items[0].instrument_id == lab.places["SEM2"]


def test_only_the_free_ones_are_booked_when_that_is_pressed(lab):
    lab.book("ben", "SEM", at(10) + timedelta(weeks=1), at(12) + timedelta(weeks=1))
    _page, fields = shown(lab, "ada", form())
    answer = lab.send("ada", "/series/new", **fields, free_only="1")
    assert answer.status_code == 303
    assert len(made(lab, answer.headers["Location"].rpartition("/")[2])) == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"count": "0"}, "count"),
        ({"count": "400"}, "count"),
        ({"ends": "until", "until": ""}, "until"),
        ({"ends": "until", "until": "2020-01-01"}, "until"),
        ({"repeats": "hourly"}, "repeats"),
        ({"interval": "0"}, "interval"),
        ({"excluded": "yesterday"}, "excluded"),
        ({"start_time": "24:00", "end_time": "24:00"}, "end_time"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_field(lab, change, field):
    page, _fields = shown(lab, "ada", form() | change)
    assert page.status_code == 422
    assert f'href="#{field}"' in page.text


def test_days_are_left_out_and_months_go_by_weekday(lab):
    page, fields = shown(lab, "ada", form(excluded=f"{day(1)}, {day(2)}"))
    assert "2 dates can be booked" in text_of(page.text)
    assert lab.send("ada", "/series/new", **fields, **choices(page.text)).status_code == 303
    for repeats in ("daily", "monthly_day", "monthly_last", "monthly_weekday", "monthly_last_weekday"):
        page, _fields = shown(lab, "ada", form("BATH", count=2, repeats=repeats))
        assert page.status_code == 200
        assert "2 dates can be booked" in text_of(page.text)


def test_dates_that_need_approval_say_so(lab):
    page, fields = shown(lab, "ada", form("PECVD"))
    assert "Free, needs approval" in text_of(page.text)
    answer = lab.send("ada", "/series/new", **fields)
    assert states(lab, answer.headers["Location"].rpartition("/")[2]) == ["requested"] * 4


def test_an_unknown_choice_or_instrument_in_the_form_is_no_choice(lab):
    _page, fields = shown(lab, "ada", form())
    odd = {f"choice-{day(0)}": "x", "choice-nonsense": "skip", f"choice-{day(9)}": "skip"}
    assert lab.send("ada", "/series/new", **fields | odd).status_code == 303
    hidden = fields | {"key": "k2", f"choice-{day(0)}": f"HIDDEN {day(0)}T09:00 {day(0)}T11:00"}
    assert lab.send("ada", "/series/new", **hidden).status_code == 404


def test_one_date_is_given_up_and_put_back(lab):
    series_id = booked(lab)
    answer = lab.send("ada", f"/series/{series_id}/cancellation", scope="this", day=day(1))
    assert answer.status_code == 303
    page = lab.get("ada", f"/series/{series_id}").text
    assert "The date is given up" in page
    assert "Put it back" in page
    assert lab.send("ada", f"/series/{series_id}/dates", day=day(1)).status_code == 303
    assert states(lab, series_id) == ["confirmed", "cancelled", "confirmed", "confirmed", "confirmed"]
    again = lab.send("ada", f"/series/{series_id}/dates", day=day(1))
    assert again.status_code == 409
    assert "This date has its booking." in again.text
    assert lab.send("ada", f"/series/{series_id}/dates", day="x").status_code == 422


def test_all_that_are_ahead_are_given_up(lab):
    series_id = booked(lab)
    late = lab.send("ada", f"/series/{series_id}/cancellation", scope="all", version="9")
    assert late.status_code == 412
    sent = {"scope": "following", "day": day(2), "reason": "Over", "version": "1"}
    assert lab.send("ada", f"/series/{series_id}/cancellation", **sent).status_code == 303
    assert states(lab, series_id) == ["confirmed", "confirmed", "cancelled", "cancelled"]
    assert lab.send("ada", f"/series/{series_id}/cancellation", scope="all").status_code == 303
    again = lab.send("ada", f"/series/{series_id}/cancellation", scope="all")
    assert (again.status_code, "No date of this series is still ahead." in again.text) == (409, True)


def choices(page: str) -> dict[str, str]:
    """What a browser sends of the table's fields."""
    found = re.findall(r'<select[^>]*name="(choice-[^"]*)">(.*?)</select>', page, re.DOTALL)
    return {
        name: re.search(r'value="([^"]*)" selected', options)[1] if "selected" in options else ""
        for name, options in found
    }


def change_form(lab: Lab, series_id: str, **more: str) -> dict[str, str]:
    page = lab.get("ada", f"/series/{series_id}/change").text
    names = ("start_time", "end_time", "quantity", "interval", "count", "until", "excluded", "version")
    fields = {name: value_of(page, name) for name in names}
    fields |= {name: chosen_of(page, name) for name in ("repeats", "ends")}
    fields |= {"scope": "all", "day": "", "purpose": "", f"weekday-{FIRST.weekday()}": "1"}
    return fields | more


def chosen_of(page: str, name: str) -> str:
    """What is chosen in a field of several."""
    options = re.search(rf'<select[^>]*name="{name}".*?</select>', page, re.DOTALL)[0]
    return re.search(r'value="([^"]*)"[^>]* selected', options)[1]


def test_the_dates_of_a_change_are_shown_and_then_changed(lab):
    series_id = booked(lab)
    lab.book("ben", "SEM", at(11) + timedelta(weeks=2), at(12) + timedelta(weeks=2))
    path = f"/series/{series_id}/change"
    fields = change_form(lab, series_id, start_time="10:00", end_time="12:00")
    page = lab.send("ada", path, **fields)
    assert page.status_code == 200
    assert "3 dates can be booked, 1 cannot" in text_of(page.text)
    fields["seen"] = value_of(page.text, "seen")
    assert lab.send("ada", path, **fields).status_code == 409
    fields[f"choice-{day(2)}"] = "skip"
    assert lab.send("ada", path, **fields).status_code == 303
    found = made(lab, series_id)
    assert [one.state.value for one in found] == ["confirmed", "confirmed", "cancelled", "confirmed"]
    assert {one.starts_at.astimezone(SHANGHAI).hour for one in found if one.state.value == "confirmed"} == {
        10
    }
    assert lab.send("ada", path, **fields).status_code == 412


def test_this_and_what_follows_becomes_a_series_of_its_own(lab):
    series_id = booked(lab)
    path = f"/series/{series_id}/change"
    fields = change_form(lab, series_id, scope="following", day=day(2), start_time="13:00", end_time="15:00")
    fields["seen"] = value_of(lab.send("ada", path, **fields).text, "seen")
    answer = lab.send("ada", path, **fields)
    assert answer.status_code == 303
    new_id = answer.headers["Location"].rpartition("/")[2]
    assert new_id != series_id
    assert len(made(lab, series_id)) == len(made(lab, new_id)) == 2
    assert "The series before this one" in lab.get("ada", f"/series/{new_id}").text


def test_a_series_may_end_earlier(lab):
    series_id = booked(lab)
    path = f"/series/{series_id}/change"
    fields = change_form(lab, series_id, until=day(1))
    page = lab.send("ada", path, **fields)
    assert text_of(page.text).count("Will be cancelled") == 2
    fields["seen"] = value_of(page.text, "seen")
    assert set(choices(page.text)) == {f"choice-{day(0)}", f"choice-{day(1)}"}
    assert lab.send("ada", path, **fields, **choices(page.text)).status_code == 303
    assert states(lab, series_id) == ["confirmed", "confirmed", "cancelled", "cancelled"]


def test_an_outsider_finds_no_series(lab):
    series_id = booked(lab)
    for path in (f"/series/{series_id}", f"/series/{series_id}/change"):
        assert lab.get("cleo", path).status_code == 404
    for path, sent in (
        ("cancellation", {"scope": "all"}),
        ("dates", {"day": day(1)}),
        ("change", {"scope": "all"}),
    ):
        assert lab.send("cleo", f"/series/{series_id}/{path}", **sent).status_code == 404
    assert states(lab, series_id) == ["confirmed"] * 4
