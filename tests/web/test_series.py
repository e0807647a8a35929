"""Series by the pages: the form with a verdict and a choice for each date, the page of one, and its changes."""

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from booking import db
from booking.domain import one_time, recurrence
from booking.services import approval_steps, bookings, decision_links, series
from models import Booking, OneTimeLink, Person, Purpose, RuleKind, Series
from tests import cast
from tests.services.test_policies import make_rule
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
    assert "Choose what becomes of this date." not in page.text  # nothing was asked of anybody yet
    refused = lab.send("ada", "/series/new", **fields)
    assert refused.status_code == 409
    assert "Nothing was booked" in refused.text
    assert re.findall(r'id="(choice-[\d-]+)-error"', refused.text) == [f"choice-{day(1)}"]
    assert refused.text.count("Choose what becomes of this date.") == 1
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


ACETONE = {"chemical-1": "Acetone", "cas-1": "67-64-1", "hazard-1": "hazardous"}


def rule(lab: Lab, name: str, code: str, **data) -> None:
    """Ask for a step of approval on one instrument."""
    with db.transaction() as session:
        make_rule(session, name, 1, kind=RuleKind.APPROVAL, data=data, instrument_id=lab.places[code])


def declared(lab: Lab, series_id: str) -> list[list[str]]:
    ids = [one.id for one in made(lab, series_id)]
    with db.reading() as session:
        found = approval_steps.declared_for(session, booking_ids=ids)
    return [[one.name for one in found.get(booking_id, [])] for booking_id in ids]


def test_what_the_booking_form_declares_goes_with_the_repetition(lab):
    manager = {"role": "manager"}
    rule(lab, "Safety", "SEM", approvers=manager, when=[{"condition": "hazardous"}])
    sent = typed(
        at(9), at(11), instrument="SEM", quantity="1", key="k", shown="1", booked_for="ben@example.org"
    )
    page = lab.send("ada", "/series/new", **sent, **ACETONE, repeat="1", **{"amount-2": "", "hold": "x"})
    assert page.status_code == 200
    assert value_of(page.text, "chemical-1") == "Acetone"
    assert value_of(page.text, "booked_for") == "ben@example.org"
    assert text_of(page.text).count("Free, needs approval") == 8
    fields = form(**ACETONE, booked_for="ben@example.org", seen=value_of(page.text, "seen"))
    again = lab.send("ada", "/series/new", **fields)  # four times instead of eight
    assert "Nothing is booked yet" in again.text
    answer = lab.send("ada", "/series/new", **fields | {"seen": value_of(again.text, "seen")})
    series_id = answer.headers["Location"].rpartition("/")[2]
    assert declared(lab, series_id) == [["Acetone"]] * 4
    assert {one.person_id for one in made(lab, series_id)} == {lab.people["ben"]}
    assert "Acetone" in lab.get("ada", f"/series/{series_id}").text
    asked = lab.get("tam", "/approvals").text
    assert "Hazardous" in asked


def test_another_chemical_than_was_shown_is_shown_first(lab):
    _page, fields = shown(lab, "ada", form())
    answer = lab.send("ada", "/series/new", **fields, **ACETONE)
    assert "Nothing is booked yet" in answer.text
    assert count(Series) == 0
    wrong = lab.send("ada", "/series/new", **fields, **ACETONE | {"cas-1": "67-64-2"})
    assert wrong.status_code == 422
    assert 'href="#cas-1"' in wrong.text


def test_chemicals_of_a_series_are_declared_anew(lab):
    series_id = booked(lab)
    path = f"/series/{series_id}/chemicals"
    assert "Chemicals of the series" in lab.get("ada", path).text
    assert lab.send("ada", path, **ACETONE, version="1").status_code == 303
    assert declared(lab, series_id) == [["Acetone"]] * 4
    assert value_of(lab.get("ada", path).text, "chemical-1") == "Acetone"
    stale = lab.send("ada", path, **ACETONE, version="1")
    assert stale.status_code == 412
    assert value_of(stale.text, "chemical-1") == "Acetone"
    assert lab.send("ada", path, **{"hazard-1": "hazardous"}, version="2").status_code == 422
    data = {"approvers": None, "permit_for": ["highly_toxic"]}
    rule(lab, "Permit", "SEM", **data)
    toxic = {"chemical-1": "Arsenic", "hazard-1": "highly_toxic", "version": "2"}
    refused = lab.send("ada", path, **toxic)
    assert refused.status_code == 409
    assert "permit" in text_of(refused.text)
    assert declared(lab, series_id) == [["Acetone"]] * 4


def test_a_paper_is_put_to_every_date_and_taken_away_again(lab):
    series_id = booked(lab)
    path = f"/series/{series_id}/papers"
    sent = {"kind": "sds", "title": "SDS acetone", "number": ""}
    pages = b"%PDF-1.7 acetone" + b" " * 300_000
    file = (BytesIO(pages), "sds.pdf")
    assert lab.send("ada", path, **sent, file=file).status_code == 303
    page = lab.get("ada", f"/series/{series_id}").text
    assert "beside 4 dates" in page
    for one in made(lab, series_id):
        found = re.search(
            rf"/bookings/{one.id}/papers/([0-9a-f-]+)", lab.get("ada", f"/bookings/{one.id}").text
        )
        assert lab.get("ada", found[0]).data == pages
    missing = lab.send("ada", path, kind="sds", title="", number="")
    assert missing.status_code == 422
    assert 'href="#title"' in missing.text
    removal = re.search(rf"{path}/[0-9a-f-]+/removal", page)[0]
    assert lab.send("cleo", removal).status_code == 404
    assert lab.send("ada", removal).status_code == 303
    assert "SDS acetone" not in lab.get("ada", f"/series/{series_id}").text


def test_my_series_are_listed_with_their_figures(lab):
    assert "No series yet" in lab.get("ada", "/series").text
    series_id = booked(lab, purpose="Grain size")
    lab.send("ada", f"/series/{series_id}/cancellation", scope="this", day=day(0))
    page = lab.get("ada", "/series")
    said = text_of(page.text)
    assert f"Every week on {FIRST:%A}, 4 times" in said
    assert "3 ahead" in said
    assert "1 left out" in said
    assert "Grain size" in said
    assert f'href="/series/{series_id}"' in page.text
    assert 'href="/series"' in lab.get("ada", "/bookings").text
    assert "No series is over" in lab.get("ada", "/series?show=over").text
    lab.send("ada", f"/series/{series_id}/cancellation", scope="all")
    assert "4 left out" in text_of(lab.get("ada", "/series?show=over").text)
    assert "No series yet" in lab.get("ben", "/series").text


def test_staff_see_the_series_of_their_facility(lab):
    booked(lab)
    page = lab.get("tam", "/desk/series?facility=LAB")
    assert "Series at Laboratory" in page.text
    assert "Ada" in text_of(page.text)
    assert "/desk/series?facility=LAB" in lab.get("tam", "/desk?facility=LAB").text
    assert lab.get("ada", "/desk/series?facility=LAB").status_code == 403


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"repeats": "daily", "interval": "3", "ends": "count", "count": "3"}, [0, 3, 6]),
        ({"ends": "until", "excluded": "2"}, [0, 7, 21]),
        ({"interval": "2"}, [0, 14]),
    ],
)
def test_a_series_gets_another_pattern(lab, wish, expected):
    series_id = booked(lab)
    if "excluded" in wish:
        wish = {**wish, "excluded": day(int(wish["excluded"]))}
    fields = change_form(lab, series_id, **wish)
    path = f"/series/{series_id}/change"
    page = lab.send("ada", path, **fields)
    assert page.status_code == 200, text_of(page.text)
    fields["seen"] = value_of(page.text, "seen")
    assert lab.send("ada", path, **fields, **choices(page.text)).status_code == 303
    live = [one.series_day for one in made(lab, series_id) if one.state.value == "confirmed"]
    assert [(on - FIRST).days for on in sorted(live)] == expected


def test_what_follows_gets_another_pattern_with_a_choice_for_each_date(lab):
    series_id = booked(lab)
    taken = timedelta(weeks=2, days=1)
    lab.book("ben", "SEM", at(9) + taken, at(11) + taken)
    wish = {"scope": "following", "day": day(2), "repeats": "daily", "ends": "count", "count": "3"}
    fields = change_form(lab, series_id, **wish)
    path = f"/series/{series_id}/change"
    page = lab.send("ada", path, **fields)
    assert "Every day, 3 times" in text_of(page.text)
    assert "2 dates can be booked, 1 cannot" in text_of(page.text)
    assert text_of(page.text).count("Will be cancelled") == 1
    fields["seen"] = value_of(page.text, "seen")
    fields[f"choice-{(FIRST + taken).isoformat()}"] = "skip"
    answer = lab.send("ada", path, **fields)
    assert answer.status_code == 303
    new_id = answer.headers["Location"].rpartition("/")[2]
    assert states(lab, series_id) == ["confirmed"] * 2
    assert sorted(states(lab, new_id)) == ["cancelled", "confirmed", "confirmed"]
    said = text_of(lab.get("ada", f"/series/{new_id}").text)
    assert "Every day, 3 times" in said
    assert "Left out" in said


def test_a_pattern_that_the_form_cannot_say_is_kept(lab):
    first = at(9).astimezone(SHANGHAI).date()
    other = first.day % 27 + 1
    with db.transaction() as session:
        who = cast.actor_of(session, session.get_one(Person, lab.people["ada"]))
        repeated = recurrence.parse(f"FREQ=MONTHLY;BYMONTHDAY={other};COUNT=3", first)
        pattern = recurrence.Pattern(repeated, first, 540, 120)
        plan = series.Plan(lab.places["SEM"], pattern, otherwise=series.Otherwise.SKIP)
        series_id = str(series.place(session, actor=who, plan=plan, now=datetime.now(UTC)).id)
    fields = change_form(lab, series_id, start_time="10:00", end_time="12:00")
    assert fields["repeats"] == "kept"
    path = f"/series/{series_id}/change"
    page = lab.send("ada", path, **fields)
    fields["seen"] = value_of(page.text, "seen")
    assert lab.send("ada", path, **fields, **choices(page.text)).status_code == 303
    assert {one.series_day.day for one in made(lab, series_id)} == {other}


def test_a_date_that_is_taken_between_look_and_save_shows_the_table_anew(lab):
    choice = {f"choice-{day(3)}": f"SEM {day(3)}T14:00 {day(3)}T16:00", f"choice-{day(5)}": "skip"}
    page, fields = shown(lab, "ada", form(count=20, **choice))
    assert "19 dates can be booked" in text_of(page.text)
    late = timedelta(weeks=16)
    lab.book("ben", "SEM", at(10) + late, at(12) + late)
    answer = lab.send("ada", "/series/new", **fields)
    assert answer.status_code == 409
    said = text_of(answer.text)
    assert "Nothing was booked" in said
    assert "18 dates can be booked, 1 cannot" in said
    kept = choices(answer.text)
    assert {name: kept[name] for name in choice} == choice
    assert f"SEM {day(16)}T08:00 {day(16)}T10:00" in answer.text  # what could be had instead
    assert count(Series) == 0
    assert lab.count() == 1
    fields |= kept | {f"choice-{day(16)}": "skip", "seen": value_of(answer.text, "seen")}
    assert lab.send("ada", "/series/new", **fields).status_code == 303


def test_a_change_that_somebody_else_overtook_keeps_what_was_typed(lab):
    series_id = booked(lab)
    path = f"/series/{series_id}/change"
    fields = change_form(lab, series_id, start_time="10:00", end_time="12:00", **{f"choice-{day(1)}": "skip"})
    fields["seen"] = value_of(lab.send("ada", path, **fields).text, "seen")
    lab.send("ada", f"/series/{series_id}/cancellation", scope="this", day=day(3))
    answer = lab.send("ada", path, **fields)
    assert answer.status_code == 412
    assert "What you typed is kept" in answer.text
    assert value_of(answer.text, "start_time") == "10:00"
    assert choices(answer.text)[f"choice-{day(1)}"] == "skip"
    assert set(choices(answer.text)) == {f"choice-{day(week)}" for week in range(3)}
    again = fields | {"version": value_of(answer.text, "version"), "seen": value_of(answer.text, "seen")}
    assert lab.send("ada", path, **again).status_code == 303
    assert states(lab, series_id) == ["confirmed", "cancelled", "confirmed", "cancelled"]


# --- approval -------------------------------------------------------------------------------------


def asked(lab: Lab, who: str = "ada") -> str:
    return booked(lab, who, code="PECVD")


def test_a_series_is_one_request_in_the_inbox_and_approved_in_one_click(lab):
    series_id = asked(lab)
    lab.book("ben", "PECVD", at(14))
    page = lab.get("tam", "/approvals").text
    assert "2 requests wait for you" in text_of(page)
    assert text_of(page).count("Approve all dates") == 1
    dates = value_of(page, f"dates-{series_id}")
    sent = {f"dates-{series_id}": dates, "decision": "approve", "comment": "", "back": ""}
    others = {name: value_of(page, name) for name in re.findall(r'name="(version-[^"]+)"', page)}
    assert lab.send("tam", f"/series/{series_id}/approvals", **sent, **others).status_code == 303
    assert states(lab, series_id) == ["confirmed"] * 4
    assert "4 dates approved." in text_of(lab.get("tam", "/approvals").text)


def test_a_series_is_ticked_among_others_and_decided_with_them(lab):
    series_id = asked(lab)
    alone = lab.book("ben", "PECVD", at(14))
    page = lab.get("tam", "/approvals").text
    sent = {f"dates-{series_id}": value_of(page, f"dates-{series_id}"), f"version-{alone}": "1"}
    answer = lab.send(
        "tam", "/approvals", **sent, chosen=[series_id, str(alone)], decision="reject", comment="No", back=""
    )
    assert answer.status_code == 303
    assert states(lab, series_id) == ["rejected"] * 4
    assert lab.booking(alone).state.value == "rejected"


def test_a_series_is_decided_date_by_date(lab):
    series_id = asked(lab)
    path = f"/series/{series_id}/approvals"
    page = lab.get("tam", path).text
    assert "4 dates wait for you" in text_of(page)
    assert path in lab.get("tam", f"/series/{series_id}").text
    first, second, third, _fourth = (f"date-{one.id}" for one in made(lab, series_id))
    sent = {f"dates-{series_id}": value_of(page, f"dates-{series_id}"), "decision": "chosen", "comment": ""}
    sent |= {first: "approve", second: "reject", third: "later"}
    wordless = lab.send("tam", path, **sent)
    assert wordless.status_code == 422
    assert 'value="later" selected' in wordless.text
    assert lab.send("tam", path, **sent | {"comment": "Audit"}).status_code == 303
    assert states(lab, series_id) == ["confirmed", "rejected", "requested", "requested"]
    late = lab.send("tam", path, **sent | {"comment": "Audit"})
    assert late.status_code in {409, 412}
    assert "Nothing was decided" in late.text
    nothing = lab.send("tam", path, **{f"dates-{series_id}": "x", "decision": "approve", "comment": ""})
    assert nothing.status_code == 422


def test_only_those_who_are_asked_decide_on_a_series(lab):
    series_id = asked(lab)
    path = f"/series/{series_id}/approvals"
    for who in ("ada", "ben", "cleo"):
        assert lab.get(who, path).status_code == 404
        dates = " ".join(f"{one.id}:1" for one in made(lab, series_id))
        sent = {f"dates-{series_id}": dates, "decision": "approve", "comment": ""}
        assert lab.send(who, path, **sent).status_code == 403
    assert states(lab, series_id) == ["requested"] * 4


def test_the_letters_link_asks_for_all_dates_at_once(lab):
    series_id = asked(lab)
    with db.transaction() as session:
        decision_links.write(session, key="k", now=datetime.now(UTC))
    with db.reading() as session:
        (link,) = session.scalars(select(OneTimeLink).where(OneTimeLink.purpose == Purpose.DECIDE_STEP))
    path = f"/decisions/{link.id}/{one_time.secret('k', link.id)}"
    client = lab.app.test_client()
    page = client.get(path).text
    dates = re.findall(r'name="dates" value="([^"]+)" checked', page)
    assert len(dates) == 4
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    sent = {"csrf_token": token, "together": "1", "version": "1", "comment": "", "decision": "approve"}
    none = client.post(path, data=sent)
    assert none.status_code == 422
    assert 'href="#dates"' in none.text
    assert client.post(path, data=sent | {"dates": dates[1:]}).status_code == 303
    assert states(lab, series_id) == ["requested", "confirmed", "confirmed", "confirmed"]
    assert "works once" in client.get(path).text
