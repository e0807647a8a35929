"""Booking by the pages: the form and its verdict, one's own bookings, the page of one and what it offers."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4
from zoneinfo import ZoneInfo

import icalendar
import pytest
from flask import Flask

from booking import db
from booking.domain.access import Role
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.services import bookings
from booking.web.forms import Intake, typed_local
from models import Membership, Person
from tests import cast
from tests.web import browsing
from tests.web.lab import Lab, at, local, quarter, text_of, typed, value_of

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def form(code: str, start: datetime, end: datetime, **more: str) -> dict[str, str]:
    """The whole form as the page sends it."""
    return typed(start, end, instrument=code, quantity="1", purpose="", key=uuid4().hex, shown="1", **more)


def placed(answer) -> str:
    """The id of the booking that the answer leads to."""
    assert answer.status_code == 303, text_of(answer.text)
    return answer.headers["Location"].rpartition("/")[2]


# --- the form -------------------------------------------------------------------------------------


def test_a_visitor_signs_in_and_comes_back_to_the_filled_form(lab):
    client = lab.app.test_client()
    wanted = f"/bookings/new?instrument=SEM&start={local(at(9))}&end={local(at(11))}"
    answer = client.get(wanted)
    assert answer.status_code == 303
    back = parse_qs(urlsplit(answer.headers["Location"]).query)["next"][0]
    signed_in = browsing.sign_in(client, "ada@example.org", cast.PASSWORD, next=back)
    page = client.get(signed_in.headers["Location"], headers={"Accept-Language": "en"}).text
    assert value_of(page, "start_time") == "09:00"
    assert value_of(page, "end_date") == at(11).astimezone(ZoneInfo("Asia/Shanghai")).date().isoformat()


def test_who_was_signed_out_while_typing_comes_back_to_the_times(lab):
    client = lab.app.test_client()
    answer = browsing.send(
        client, "/bookings/new", **form("SEM", at(9), at(11)) | {"purpose": "secret-purpose"}
    )
    assert answer.status_code == 303
    back = parse_qs(urlsplit(answer.headers["Location"]).query)["next"][0]
    assert back.startswith("/bookings/new?instrument=SEM")
    assert "start_time=09:00" in back
    assert "secret-purpose" not in back
    assert lab.count() == 0


def test_the_form_tells_price_and_rules_before_anything_is_sent(lab):
    page = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(9)), end=local(at(11)))
    said = text_of(page.text)
    assert page.status_code == 200
    assert "Free: you can book it now." in said
    assert "¥700.00" in said
    assert "¥350.00 × 2 h" in said
    assert "Asia/Shanghai (UTC+08:00)" in said
    assert lab.count() == 0


def test_without_a_time_the_form_offers_the_next_free_one(lab):
    page = lab.get("ada", "/bookings/new", instrument="SEM").text
    assert "Free: you can book it now." in page
    assert value_of(page, "start_date")


def test_without_an_end_it_is_the_shortest_use(lab):
    page = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(9))).text
    assert value_of(page, "end_time") == "09:15"


def test_the_form_says_that_approval_is_needed(lab):
    page = lab.get("ada", "/bookings/new", instrument="PECVD", start=local(at(9)), end=local(at(11)))
    assert "Free, but the facility has to approve it." in page.text
    assert "Price by agreement" in page.text
    assert "Ask for approval" in page.text


def test_the_form_tells_why_a_time_cannot_be_had(lab):
    lab.book("ben", "SEM", at(9), at(11))
    answer = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(10)), end=local(at(12)))
    assert answer.status_code == 200
    said = text_of(answer.text)
    assert "already taken" in said
    assert "Nearest free time" in said
    assert "Equal instrument, same time" in said


def test_a_page_asks_for_the_verdict_alone(lab):
    answer = lab.get(
        "ada", "/bookings/new", instrument="SEM", part="verdict", **typed(at(9), at(11)), quantity="1"
    )
    assert answer.status_code == 200
    assert "Free: you can book it now." in answer.text
    assert "<html" not in answer.text


def test_the_verdict_counts_chemicals_that_are_told_whole(lab):
    rule = {"name": "Safety", "stage": "1", "who": "manager", "need": "any", "when": "hazardous"}
    assert lab.send("tam", "/approvals/rules/facility/LAB", **rule).status_code == 303
    wish = {"instrument": "SEM", "part": "verdict", **typed(at(9), at(11)), "quantity": "1"}
    half = lab.get("ada", "/bookings/new", **wish, **{"hazard-1": "hazardous"}).text
    assert "Free: you can book it now." in half
    whole = lab.get("ada", "/bookings/new", **wish, **{"hazard-1": "hazardous", "chemical-1": "Acetone"}).text
    assert "Free, but the facility has to approve it." in whole
    assert 'data-button="Ask for approval"' in whole


def test_whose_own_booking_is_in_the_way_is_led_to_it(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    wish = {"instrument": "SEM", "start": local(at(10)), "end": local(at(12))}
    own = lab.get("ada", "/bookings/new", **wish).text
    assert "You have booked this time yourself" in own
    assert f'href="/bookings/{booking}"' in own
    assert "time yourself" not in lab.get("ben", "/bookings/new", **wish).text
    after = {"instrument": "SEM", "start": local(at(11)), "end": local(at(12))}
    assert "time yourself" not in lab.get("ada", "/bookings/new", **after).text


def test_a_form_that_comes_back_is_the_page_of_its_address(lab):
    lab.book("ben", "SEM", at(9), at(11))
    here = "/bookings/new?instrument=SEM"
    page = lab.send("ada", here, **form("SEM", at(9), at(11)))
    assert page.status_code == 409
    assert 'href="/bookings" aria-current="true"' in page.text
    assert value_of(page.text, "next") == here  # where a change of language leads back to


def test_a_form_of_no_instrument_leads_to_the_catalogue(lab):
    assert lab.get("ada", "/bookings/new").headers["Location"] == "/instruments"


def test_an_unknown_or_hidden_instrument_is_not_there(lab):
    assert lab.get("ada", "/bookings/new", instrument="NONE").status_code == 404
    assert lab.get("ada", "/bookings/new", instrument="HIDDEN").status_code == 404
    assert lab.get("ada", "/bookings/new", instrument="x\nSEM").status_code == 303
    assert lab.get("tam", "/bookings/new", instrument="HIDDEN").status_code == 200


def test_checking_writes_nothing_and_keeps_what_was_typed(lab):
    answer = lab.send(
        "ada", "/bookings/new", **form("SEM", at(9), at(11), check="1") | {"purpose": "my purpose"}
    )
    assert answer.status_code == 200
    assert "Free: you can book it now." in answer.text
    assert "my purpose" in answer.text
    assert lab.count() == 0


# --- booking --------------------------------------------------------------------------------------


def test_a_booking_is_made_and_shown(lab):
    answer = lab.send(
        "ada",
        "/bookings/new",
        **form("SEM", at(9), at(11), project=str(lab.project_id)) | {"purpose": "Grain size\r\nof films"},
    )
    booking = lab.booking(placed(answer))
    assert booking.state is State.CONFIRMED
    assert (booking.starts_at, booking.ends_at) == (at(9), at(11))
    assert booking.purpose == "Grain size\nof films"
    assert booking.project_id == lab.project_id
    page = text_of(lab.get("ada", f"/bookings/{booking.id}").text)
    for words in (
        "Booked. The time is yours.",
        "Microscope",
        "Confirmed",
        "¥700.00",
        "Thin films",
        "1 Lake Road",
    ):
        assert words in page
    assert "Microscope" in lab.get("ada", "/bookings").text


def test_it_works_on_both_databases(app_on_both):
    lab = Lab(app_on_both)
    first = placed(lab.send("ada", "/bookings/new", **form("SEM", at(9), at(11))))
    assert lab.send("ben", "/bookings/new", **form("SEM", at(10), at(12))).status_code == 409
    moved = lab.send(
        "ada", f"/bookings/{first}/change", **typed(at(10), at(12)), instrument="SEM", version="1"
    )
    assert moved.status_code == 303
    assert lab.send("ada", f"/bookings/{first}/cancellation", reason="", version="2").status_code == 303
    for page in ("/bookings", "/bookings?show=waiting", "/bookings?show=over", f"/bookings/{first}"):
        assert lab.get("ada", page).status_code == 200
    assert lab.get("tam", "/desk?view=week").status_code == 200


def test_a_request_waits_for_approval_and_holds_its_time(lab):
    booking = lab.booking(placed(lab.send("ada", "/bookings/new", **form("PECVD", at(9), at(11)))))
    assert booking.state is State.REQUESTED
    assert "Your request is in." in lab.get("ada", f"/bookings/{booking.id}").text
    assert "Deposition" in lab.get("ada", "/bookings?show=waiting").text
    assert lab.send("ben", "/bookings/new", **form("PECVD", at(9), at(11))).status_code == 409


def test_a_form_that_is_sent_twice_books_once(lab):
    sent = form("SEM", at(9), at(11))
    first = placed(lab.send("ada", "/bookings/new", **sent))
    assert placed(lab.send("ada", "/bookings/new", **sent)) == first
    assert lab.count() == 1


def test_a_form_that_comes_back_with_another_time_asks_first(lab):
    sent = form("SEM", at(9), at(11))
    placed(lab.send("ada", "/bookings/new", **sent))
    moved = sent | typed(at(13), at(14))
    answer = lab.send("ada", "/bookings/new", **moved)
    assert answer.status_code == 409
    assert "This form has made a booking already" in answer.text
    assert lab.count() == 1
    placed(lab.send("ada", "/bookings/new", **moved | {"key": value_of(answer.text, "key")}))
    assert lab.count() == 2


def test_a_refusal_keeps_everything_and_offers_what_is_free(lab):
    lab.book("ben", "SEM", at(9), at(11))
    sent = form("SEM", at(9), at(11), project=str(lab.project_id), confidential="1") | {
        "purpose": "<b>kept</b>"
    }
    answer = lab.send("ada", "/bookings/new", **sent)
    assert answer.status_code == 409
    assert "already taken" in answer.text
    assert "&lt;b&gt;kept&lt;/b&gt;" in answer.text
    assert re.search(rf'value="{lab.project_id}" selected', answer.text)
    assert re.search(r'name="confidential" value="1" checked', answer.text)
    assert value_of(answer.text, "start_time") == "09:00"
    choices = re.findall(r'name="instead" value="([^"]+)"', answer.text)
    assert {choice.split()[0] for choice in choices} == {"SEM", "SEM2"}
    equal = next(choice for choice in choices if choice.startswith("SEM2"))
    taken = lab.send("ada", "/bookings/new", **sent, instead=equal)
    assert taken.status_code == 200
    assert value_of(taken.text, "instrument") == "SEM2"
    assert "&lt;b&gt;kept&lt;/b&gt;" in taken.text
    assert lab.count() == 1


def test_every_reason_is_told_at_once(lab):
    sent = form("BATH", at(9, 7), at(9, 12)) | {"quantity": "9"}
    answer = lab.send("ada", "/bookings/new", **sent)
    said = text_of(answer.text)
    assert answer.status_code == 409
    for words in ("4 units; you asked for 9", "too short", "steps of"):
        assert words in said


def test_who_may_make_an_exception_is_said_once_if_it_is_the_same_for_all_reasons(lab):
    asks = "may make an exception"
    wrong = lab.send("ada", "/bookings/new", **form("SEM", at(9, 3), at(9, 7)))
    assert text_of(wrong.text).count("SEM") > 1
    assert text_of(wrong.text).count(asks) == 1
    lab.book("ben", "SEM", at(9), at(11))
    taken_too = text_of(lab.send("ada", "/bookings/new", **form("SEM", at(9, 3), at(9, 7))).text)
    assert "already taken" in taken_too
    assert taken_too.count(asks) == 2  # with each reason of which it is true


def test_a_wish_of_a_wrong_length_is_offered_one_that_is_allowed(lab):
    answer = lab.send("ada", "/bookings/new", **form("SEM", at(9, 3), at(9, 7)))
    assert answer.status_code == 409
    choices = re.findall(r'name="instead" value="SEM (\S+) (\S+)"', answer.text)
    assert (local(at(9)), local(at(9, 15))) in choices


def test_some_units_of_many(lab):
    lab.book("ben", "BATH", at(9), at(11), quantity=3)
    page = lab.get("ada", "/bookings/new", instrument="BATH", start=local(at(9)), end=local(at(10))).text
    assert "How many places" in page
    assert (
        lab.send("ada", "/bookings/new", **form("BATH", at(9), at(11)) | {"quantity": "2"}).status_code == 409
    )
    booking = placed(lab.send("ada", "/bookings/new", **form("BATH", at(9), at(11)) | {"quantity": "1"}))
    assert lab.booking(booking).items[0].quantity == 1


def test_companies_are_confidential_unless_they_say_otherwise(lab):
    times = {"start": local(at(9)), "end": local(at(11))}
    assert (
        'name="confidential" value="1" checked'
        in lab.get("cleo", "/bookings/new", instrument="SEM", **times).text
    )
    assert (
        'name="confidential" value="1" checked'
        not in lab.get("ada", "/bookings/new", instrument="SEM", **times).text
    )
    secret = placed(lab.send("cleo", "/bookings/new", **form("SEM", at(9), at(11), confidential="1")))
    open_one = placed(lab.send("cleo", "/bookings/new", **form("SEM", at(12), at(13))))
    assert lab.booking(secret).confidential
    assert not lab.booking(open_one).confidential


def test_others_see_that_time_is_taken_never_by_whom(lab):
    lab.book("cleo", "SEM", at(9), at(11), purpose="canary-purpose", confidential=True)
    page = lab.get("ada", "/bookings/new", instrument="SEM", start=local(at(14)), end=local(at(15))).text
    assert "Taken" in page
    assert "canary-purpose" not in page
    assert "Cleo" not in page
    # Those who work there read it in the agenda of that day; others have no such page.
    agenda = {"day": local(at(9))[:10], "form": "list"}
    assert "canary-purpose" in lab.get("tam", "/timeline", **agenda).text
    assert lab.get("ada", "/timeline", **agenda).status_code == 403


def test_somebody_elses_project_is_not_known(lab):
    answer = lab.send("cleo", "/bookings/new", **form("SEM", at(9), at(11), project=str(lab.project_id)))
    assert answer.status_code == 422
    assert "Project: This is not known." in text_of(answer.text)
    assert lab.count() == 0


BAD = {
    "no time": ({"start_time": ""}, "start_time"),
    "no date": ({"start_date": "", "end_date": ""}, "start_date"),
    "a word": ({"start_time": "noon"}, "start_time"),
    "an hour that is none": ({"end_time": "25:00"}, "end_time"),
    "a day that is none": ({"start_date": "2026-02-30"}, "start_date"),
    "long ago": ({"start_date": "0001-01-01"}, "start_date"),
    "far ahead": ({"end_date": "9999-12-31"}, "end_date"),
    "the wrong way round": ({"start_time": "12:00"}, "end_time"),
    "no length": ({"start_time": "11:00"}, "end_time"),
    "many digits": ({"start_date": "9" * 400}, "start_date"),
    "no units": ({"quantity": "0"}, "quantity"),
    "fewer than none": ({"quantity": "-3"}, "quantity"),
    "half of one": ({"quantity": "1.5"}, "quantity"),
    "units without end": ({"quantity": "9" * 30}, "quantity"),
    "more digits than a number has": ({"quantity": "9" * 5000}, "quantity"),
    "too long a purpose": ({"purpose": "x" * 4001}, "purpose"),
    "a bell in the purpose": ({"purpose": "ring\x07"}, "purpose"),
    "no project": ({"project": "nonsense"}, "project"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_makes_no_sense_is_told_at_its_field(lab, name):
    changed, field = BAD[name]
    answer = lab.send("ada", "/bookings/new", **form("BATH", at(9), at(11)) | changed)
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert f'id="{field}"' in answer.text
    assert 'aria-invalid="true"' in answer.text or field == "project"
    assert lab.count() == 0


def test_nobody_sends_fields_that_the_form_lacks(lab):
    answer = lab.send("ada", "/bookings/new", **form("SEM", at(9), at(11)), person_id=str(lab.people["ben"]))
    assert answer.status_code == 422
    assert lab.count() == 0


@pytest.mark.parametrize("purpose", ["x" * 2_000_000, "a\x00b"])
def test_a_purpose_that_no_database_keeps_is_refused(lab, purpose):
    answer = lab.send("ada", "/bookings/new", **form("SEM", at(9), at(11)) | {"purpose": purpose})
    assert answer.status_code in {413, 422}
    assert lab.count() == 0


def test_any_script_may_be_written(lab):
    purpose = "薄膜 🧪 \u202eright to left\u202c فيلم"
    booking = placed(lab.send("ada", "/bookings/new", **form("SEM", at(9), at(11)) | {"purpose": purpose}))
    assert lab.booking(booking).purpose == purpose


@pytest.mark.parametrize(
    "query",
    [
        {"start": "garbage", "end": "9999-99-99T99:99"},
        {"start": "0001-01-01T00:00+08:00"},
        {"start": "2026-11-03T09:00Z", "end": "2026-11-03T10:00+05:30"},
        {"quantity": "1e308"},
        {"start": "9" * 3000},
        {"part": "verdict", "start_date": "٢٠٢٦-١١-٠٣", "start_time": "::"},
        {"project": "'"},
    ],
)
def test_no_address_breaks_the_form(lab, query):
    assert lab.get("ada", "/bookings/new", instrument="SEM", **query).status_code in {200, 422}


# --- times on clocks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"),
    [("９：００", "11：30"), ("0900", "1130"), ("9:00", "11:30:00"), ("09:00", "11:30")],
)
def test_times_are_read_as_people_type_them(start, end):
    intake = Intake({"start_date": "2026年11月3日", "start_time": start, "end_date": "", "end_time": end})
    span = intake.span(ZoneInfo("Asia/Shanghai"))
    assert intake.errors == {}
    assert span == Span(datetime(2026, 11, 3, 1, tzinfo=UTC), datetime(2026, 11, 3, 3, 30, tzinfo=UTC))


def test_midnight_may_be_written_as_the_end_of_the_day():
    intake = Intake({"start_date": "2026-11-03", "start_time": "20:00", "end_date": "", "end_time": "24:00"})
    span = intake.span(ZoneInfo("Asia/Shanghai"))
    assert span is not None
    assert span.end == datetime(2026, 11, 3, 16, tzinfo=UTC)


def test_an_address_with_an_offset_is_put_on_the_facilitys_clock():
    assert typed_local("start", "2026-11-03T09:00+00:00", BERLIN) == {
        "start_date": "2026-11-03",
        "start_time": "10:00",
    }


def test_a_time_that_the_clock_skips_is_the_one_after_the_gap(lab):
    page = lab.get(
        "ada", "/bookings/new", instrument="FAR-1", start="2027-03-28T02:30", end="2027-03-28T04:00"
    )
    assert "03:30 – 04:00" in text_of(page.text)


def test_a_time_that_comes_twice_stays_what_it_was_if_nobody_touches_it(lab):
    # 02:30 in Berlin for the second time that night.
    start = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    booking = lab.book(
        "ada", "FAR-1", start, start + timedelta(hours=1), now=datetime(2026, 10, 1, tzinfo=UTC)
    )
    with db.reading() as session:
        who = cast.actor_of(session, session.get_one(Person, lab.people["ada"]))
        item = bookings.get(session, actor=who, booking_id=booking).items[0]
        from booking.web.booking_form import _item
        from booking.web.forms import typed_span

        kept = Span(item.starts_at, item.ends_at)
        intake = Intake(typed_span(kept, BERLIN))
        read = _item(intake, item.instrument, kept=kept)
    assert read == Item(item.instrument_id, kept, 1)


def test_the_readers_own_clock_stands_beside_the_facilitys(lab):
    with db.transaction() as session:
        session.get_one(Person, lab.people["ada"]).zone = "Europe/Berlin"
    booking = lab.book("ada", "SEM", at(16), at(17))
    assert "on your clock (Europe/Berlin)" in lab.get("ada", f"/bookings/{booking}").text
    assert "on your clock" not in lab.get("tam", f"/bookings/{booking}").text


# --- one's own bookings ---------------------------------------------------------------------------


def test_an_empty_list_teaches_what_to_do(lab):
    for show in ("ahead", "waiting", "over", "nonsense"):
        assert 'class="empty"' in lab.get("ada", "/bookings", show=show).text


def test_bookings_lie_in_three_heaps(lab):
    long_ago = datetime(2026, 1, 10, tzinfo=UTC)
    lab.book("ada", "SEM", at(9), at(11))
    lab.book("ada", "PECVD", at(9), at(11))
    lab.book("ada", "BATH", long_ago + timedelta(days=2), now=long_ago)
    lab.book("ben", "SEM2", at(9), at(11))
    heaps = {
        show: text_of(lab.get("ada", "/bookings", show=show).text) for show in ("ahead", "waiting", "over")
    }
    for show, name in (("ahead", "Microscope"), ("waiting", "Deposition"), ("over", "Water bath")):
        assert [other for other in heaps if name in heaps[other]] == [show]
    assert all("Second microscope" not in heap for heap in heaps.values())


def test_booking_again_asks_for_the_same_hour_of_a_coming_week(lab):
    start = at(9, days=-20)
    lab.book("ada", "SEM", start, start + timedelta(hours=2), now=start - timedelta(days=1))
    page = lab.get("ada", "/bookings", show="over").text
    [again] = re.findall(r'href="(/bookings/new\?[^"]+)"', page)
    wanted = parse_qs(urlsplit(again.replace("&amp;", "&")).query)
    assert wanted["instrument"] == ["SEM"]
    assert wanted["start"] == [local(start + timedelta(weeks=3))]
    assert wanted["end"] == [local(start + timedelta(weeks=3, hours=2))]


# --- whose booking it is --------------------------------------------------------------------------

DEEDS = ("cancellation", "check-in", "check-out", "feedback", "approval", "rejection", "change")


def test_an_outsider_can_neither_see_nor_touch_it(lab):
    booking = lab.book("ada", "SEM", at(9), at(11), purpose="canary")
    for path in ("", "/change", ".ics"):
        answer = lab.get("cleo", f"/bookings/{booking}{path}")
        assert answer.status_code == 404
        assert "canary" not in answer.text
    lab.add_operator()  # so that somebody passes the guards of all routes
    for deed in DEEDS:
        assert lab.send("cleo", f"/bookings/{booking}/{deed}").status_code in {403, 404}, deed
    after = lab.booking(booking)
    assert (after.version, after.state) == (1, State.CONFIRMED)


def test_a_colleague_sees_it_no_more_than_an_outsider_but_the_leader_does(lab):
    of_ada = lab.book("ada", "SEM", at(9), at(11))
    of_ben = lab.book("ben", "SEM", at(12), at(13))
    assert lab.get("ben", f"/bookings/{of_ada}").status_code == 404
    assert lab.get("ada", f"/bookings/{of_ben}").status_code == 200


def test_the_facilitys_staff_see_it_and_may_change_it(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    page = text_of(lab.get("tam", f"/bookings/{booking}").text)
    assert "Booked by" in page
    assert "Move or change" in page
    sent = typed(at(10), at(12), instrument="SEM", quantity="1", version="1", purpose="", shown="1")
    assert lab.send("tam", f"/bookings/{booking}/change", **sent).status_code == 303


def test_an_operator_sees_it_but_does_not_move_it(lab):
    lab.add_operator()
    booking = lab.book("ada", "SEM", at(9), at(11))
    page = text_of(lab.get("ben", f"/bookings/{booking}").text)
    assert "Booked by" in page
    assert "Move or change" not in page
    assert lab.get("ben", f"/bookings/{booking}/change").status_code == 403
    assert lab.send("ben", f"/bookings/{booking}/cancellation", version="1").status_code == 403
    assert lab.booking(booking).version == 1


def test_what_is_no_booking_is_not_there(lab):
    assert lab.get("ada", f"/bookings/{uuid4()}").status_code == 404
    assert lab.get("ada", "/bookings/nonsense").status_code == 404


def test_deeds_are_not_done_by_looking(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    for deed in DEEDS[:-1]:
        assert lab.get("tam", f"/bookings/{booking}/{deed}").status_code == 405


def test_a_form_without_its_token_does_nothing(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    answer = lab.client("ada").post(f"/bookings/{booking}/cancellation", data={"version": "1"})
    assert answer.status_code == 400
    assert lab.booking(booking).state is State.CONFIRMED


# --- changing one ---------------------------------------------------------------------------------


def change(start: datetime, end: datetime, **more: str) -> dict[str, str]:
    return typed(start, end, instrument="SEM", quantity="1", purpose="", shown="1", **{"version": "1"} | more)


def test_a_booking_is_moved_and_lengthened(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    page = lab.get("ada", f"/bookings/{booking}/change").text
    assert value_of(page, "start_time") == "09:00"
    assert value_of(page, "version") == "1"
    sent = change(at(10), at(13)) | {"purpose": "more of it"}
    assert lab.send("ada", f"/bookings/{booking}/change", **sent).status_code == 303
    after = lab.booking(booking)
    assert (after.starts_at, after.ends_at, after.purpose) == (at(10), at(13), "more of it")
    history = text_of(lab.get("ada", f"/bookings/{booking}").text)
    assert "Changed" in history
    assert "10:00 – 13:00" in history


def test_a_change_is_checked_before_it_is_sent(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    lab.book("ben", "SEM", at(11), at(12))
    path = f"/bookings/{booking}/change"
    answer = lab.send("ada", path, **change(at(9), at(12), check="1"))
    assert answer.status_code == 200
    assert "already taken" in answer.text
    alone = lab.get("ada", path, part="verdict", **change(at(8), at(11))).text
    assert "Possible as you typed it." in alone
    assert lab.booking(booking).version == 1


def test_a_change_that_does_not_fit_changes_nothing_and_keeps_what_was_typed(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    lab.book("ben", "SEM", at(11), at(12))
    answer = lab.send("ada", f"/bookings/{booking}/change", **change(at(9), at(12)) | {"purpose": "kept"})
    assert answer.status_code == 409
    assert "already taken" in answer.text
    assert "kept" in answer.text
    assert value_of(answer.text, "end_time") == "12:00"
    choice = re.search(r'name="instead" value="(SEM2 [^"]+)"', answer.text)[1]
    taken = lab.send("ada", f"/bookings/{booking}/change", **change(at(9), at(12)), instead=choice)
    assert "On another instrument: Second microscope" in text_of(taken.text)
    moved = lab.send("ada", f"/bookings/{booking}/change", **change(at(9), at(12)) | {"instrument": "SEM2"})
    assert moved.status_code == 303
    assert lab.booking(booking).items[0].instrument.code == "SEM2"


def test_a_stale_change_shows_what_it_is_now_and_keeps_what_was_typed(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    assert lab.send("tam", f"/bookings/{booking}/change", **change(at(14), at(16))).status_code == 303
    answer = lab.send("ada", f"/bookings/{booking}/change", **change(at(10), at(12)) | {"purpose": "mine"})
    assert answer.status_code == 412
    said = text_of(answer.text)
    assert "This has changed meanwhile" in said
    assert "14:00 – 16:00" in said
    assert value_of(answer.text, "start_time") == "10:00"
    assert "mine" in answer.text
    again = change(at(10), at(12)) | {"version": value_of(answer.text, "version")}
    assert lab.send("ada", f"/bookings/{booking}/change", **again).status_code == 303
    assert lab.booking(booking).starts_at == at(10)


@pytest.mark.parametrize("name", BAD)
def test_a_change_that_makes_no_sense_is_told_at_its_field(lab, name):
    changed, field = BAD[name]
    if field == "project":
        changed, field = {"version": "x"}, ""
    booking = lab.book("ada", "BATH", at(9), at(11))
    sent = change(at(9), at(11)) | {"instrument": "BATH"} | changed
    answer = lab.send("ada", f"/bookings/{booking}/change", **sent)
    assert answer.status_code == 422
    assert not field or f'<a href="#{field}">' in answer.text
    assert lab.booking(booking).version == 1


def test_more_time_than_was_approved_has_to_be_approved_again(lab):
    booking = lab.book("ada", "PECVD", at(9), at(11))
    assert lab.send("tam", f"/bookings/{booking}/approval", version="1").status_code == 303
    sent = change(at(9), at(12)) | {"instrument": "PECVD", "version": "2"}
    assert "has to be approved again" in lab.get("ada", f"/bookings/{booking}/change").text
    assert lab.send("ada", f"/bookings/{booking}/change", **sent).status_code == 303
    assert lab.booking(booking).state is State.REQUESTED
    assert "has to approve it" in lab.get("ada", f"/bookings/{booking}").text


def test_nothing_changed_is_said(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    lab.send("ada", f"/bookings/{booking}/change", **change(at(9), at(11)))
    assert "Nothing was changed." in lab.get("ada", f"/bookings/{booking}").text
    assert lab.booking(booking).version == 1


def test_several_instruments_are_changed_in_one_form(lab):
    with db.transaction() as session:
        who = cast.actor_of(session, session.get_one(Person, lab.people["ada"]))
        items = [
            Item(lab.places["SEM"], Span(at(9), at(10))),
            Item(lab.places["BATH"], Span(at(10), at(11)), 2),
        ]
        booking = bookings.place(session, actor=who, items=items, now=datetime.now(UTC)).id
    page = lab.get("ada", f"/bookings/{booking}/change").text
    assert value_of(page, "start_time-2") == "10:00"
    second = {f"{name}-2": value for name, value in typed(at(12), at(13)).items()}
    sent = change(at(9), at(10)) | second | {"instrument-2": "BATH", "quantity-2": "3"}
    assert lab.send("ada", f"/bookings/{booking}/change", **sent).status_code == 303
    after = lab.booking(booking)
    assert [(item.starts_at, item.quantity) for item in after.items] == [(at(9), 1), (at(12), 3)]
    assert "12:00 – 13:00" in text_of(lab.get("ada", f"/bookings/{booking}").text)


def test_what_is_over_is_not_changed(lab):
    long_ago = datetime(2026, 1, 10, tzinfo=UTC)
    booking = lab.book("ada", "SEM", long_ago + timedelta(days=2), now=long_ago)
    assert lab.get("ada", f"/bookings/{booking}/change").status_code == 303


# --- giving up, coming, going, saying how it was --------------------------------------------------


def test_a_booking_is_cancelled_and_can_be_booked_again_at_once(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    answer = lab.send("ada", f"/bookings/{booking}/cancellation", reason="No sample <i>", version="1")
    assert answer.status_code == 303
    assert lab.booking(booking).state is State.CANCELLED
    page = lab.get("ada", f"/bookings/{booking}").text
    assert "Cancelled: No sample &lt;i&gt;" in page
    link = re.search(r'<a href="([^"]+)">Book it again</a>', page)[1].replace("&amp;", "&")
    again = lab.client("ada").get(link).text
    assert "Free: you can book it now." in again
    assert value_of(again, "start_time") == "09:00"


def test_a_stale_cancellation_shows_what_it_is_now(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    lab.send("tam", f"/bookings/{booking}/change", **change(at(14), at(16)))
    answer = lab.send("ada", f"/bookings/{booking}/cancellation", version="1")
    assert answer.status_code == 412
    assert "14:00 – 16:00" in text_of(answer.text)
    assert lab.booking(booking).state is State.CONFIRMED


def test_it_is_not_cancelled_twice(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    lab.send("ada", f"/bookings/{booking}/cancellation")
    answer = lab.send("ada", f"/bookings/{booking}/cancellation")
    assert answer.status_code == 409
    assert "does not allow" in answer.text


def test_a_reason_without_end_is_told_at_its_field(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    answer = lab.send("ada", f"/bookings/{booking}/cancellation", reason="x" * 501)
    assert answer.status_code == 422
    assert '<a href="#reason">' in answer.text
    assert lab.booking(booking).state is State.CONFIRMED


def running(lab: Lab) -> str:
    """A booking of Ada's that began in the last quarter of an hour."""
    start = quarter()
    return str(lab.book("ada", "SEM", start, start + timedelta(hours=3), now=start - timedelta(days=1)))


def test_what_has_begun_is_cancelled_by_the_manager_alone(lab):
    booking = running(lab)
    assert "Cancel the booking" not in text_of(lab.get("ada", f"/bookings/{booking}").text)
    refused = lab.send("ada", f"/bookings/{booking}/cancellation")
    assert refused.status_code == 409
    assert "already begun" in refused.text
    assert lab.send("tam", f"/bookings/{booking}/cancellation").status_code == 303


def test_coming_and_going(lab):
    booking = running(lab)
    assert "Check in" in text_of(lab.get("ada", f"/bookings/{booking}").text)
    assert lab.send("ada", f"/bookings/{booking}/check-in").status_code == 303
    assert lab.booking(booking).state is State.CHECKED_IN
    assert lab.send("ada", f"/bookings/{booking}/check-in").status_code == 409
    assert lab.send("tam", f"/bookings/{booking}/check-out", back="/desk").headers["Location"] == "/desk"
    assert lab.booking(booking).state is State.ENDED
    page = text_of(lab.get("ada", f"/bookings/{booking}").text)
    assert "How did it go?" in page
    assert "Used" in page


def test_nobody_is_led_elsewhere(lab):
    answer = lab.send("ada", f"/bookings/{running(lab)}/check-in", back="//example.com/")
    assert answer.headers["Location"].startswith("/bookings/")


def test_coming_too_early_is_told(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    answer = lab.send("ada", f"/bookings/{booking}/check-in")
    assert answer.status_code == 409
    assert "check-in opens at" in answer.text
    assert "09:00" in text_of(answer.text)


def test_feedback_is_kept_and_may_be_given_anew(lab):
    booking = running(lab)
    early = lab.send("ada", f"/bookings/{booking}/feedback", rating="5", condition="normal", comment="")
    assert early.status_code == 409
    lab.send("ada", f"/bookings/{booking}/check-in")
    lab.send("ada", f"/bookings/{booking}/check-out")
    sent = {"rating": "4", "condition": "faulty", "comment": "stage sticks"}
    assert lab.send("ada", f"/bookings/{booking}/feedback", **sent).status_code == 303
    usage = lab.booking(booking).usage
    assert (usage.rating, usage.condition, usage.comment) == (4, "faulty", "stage sticks")
    page = lab.get("ada", f"/bookings/{booking}").text
    assert "stage sticks" in page
    assert re.search(r'name="rating"[^>]*value="4" checked', page)
    assert 'name="instrument_id"' not in page


def test_feedback_on_several_instruments_asks_which_is_faulty(lab):
    start = quarter()
    span = Span(start, start + timedelta(hours=3))
    with db.transaction() as session:
        ada = cast.actor_of(session, session.get_one(Person, lab.people["ada"]))
        items = [Item(lab.places[code], span) for code in ("SEM", "BATH")]
        made = bookings.place(session, actor=ada, items=items, now=start - timedelta(days=1))
        booking = made.id
    for deed in ("check-in", "check-out"):
        lab.send("ada", f"/bookings/{booking}/{deed}")
    sent = {"rating": "", "condition": "faulty", "comment": "leaks"}
    unsaid = lab.send("ada", f"/bookings/{booking}/feedback", **sent)
    assert unsaid.status_code == 422
    assert "Which instrument: This is needed." in text_of(unsaid.text)
    assert unsaid.text.count('name="instrument_id"') == 2
    said = lab.send("ada", f"/bookings/{booking}/feedback", **sent, instrument_id="BATH")
    assert said.status_code == 303
    page = lab.get("ada", f"/bookings/{booking}").text
    assert re.search(r'name="instrument_id" value="BATH" checked', page)
    assert "leaks" in lab.get("tam", "/faults?instrument=BATH").text
    assert "leaks" not in lab.get("tam", "/faults?instrument=SEM").text


@pytest.mark.parametrize(
    "sent",
    [
        {"rating": "6"},
        {"rating": "none"},
        {"rating": "1" * 40},
        {"condition": "exploded"},
        {"comment": "x" * 4001},
        {},
    ],
)
def test_feedback_that_makes_no_sense_is_told(lab, sent):
    booking = running(lab)
    lab.send("ada", f"/bookings/{booking}/check-in")
    lab.send("ada", f"/bookings/{booking}/check-out")
    answer = lab.send("ada", f"/bookings/{booking}/feedback", **sent)
    assert answer.status_code == 422
    assert "error-summary" in answer.text
    assert lab.booking(booking).usage.feedback_at is None


def test_a_closure_in_the_time_of_a_booking_is_told_on_its_page(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    sent = typed(at(8), at(12), facility="LAB", instrument="SEM", kind="breakdown", way="at_once", reason="")
    assert lab.send("tam", "/closures/new", **sent).status_code == 303
    page = text_of(lab.get("ada", f"/bookings/{booking}").text)
    assert "The facility has closed this time" in page
    assert "Move the booking" in page


# --- for one's calendar ---------------------------------------------------------------------------


def events(answer) -> list[icalendar.Event]:
    assert answer.status_code == 200
    assert answer.mimetype == "text/calendar"
    calendar = icalendar.Calendar.from_ical(answer.data)
    assert "METHOD" not in calendar
    return list(calendar.walk("VEVENT"))


def test_a_booking_is_added_to_a_calendar(lab):
    booking = lab.book("ada", "SEM", at(9), at(11), purpose="Grain size")
    answer = lab.get("ada", f"/bookings/{booking}.ics")
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    [event] = events(answer)
    assert str(event["UID"]) == f"{booking}@yiqi.local"
    assert event["DTSTART"].dt == at(9)
    assert str(event["STATUS"]) == "CONFIRMED"
    assert "Microscope" in str(event["SUMMARY"])
    assert "1 Lake Road" in str(event["LOCATION"])
    assert str(event["URL"]).endswith(f"/bookings/{booking}")


def test_a_request_is_tentative_and_what_was_given_up_is_cancelled(lab):
    booking = lab.book("ada", "PECVD", at(9), at(11))
    assert str(events(lab.get("ada", f"/bookings/{booking}.ics"))[0]["STATUS"]) == "TENTATIVE"
    lab.send("ada", f"/bookings/{booking}/cancellation")
    assert str(events(lab.get("ada", f"/bookings/{booking}.ics"))[0]["STATUS"]) == "CANCELLED"


def test_instruments_at_different_times_are_events_of_their_own(lab):
    with db.transaction() as session:
        who = cast.actor_of(session, session.get_one(Person, lab.people["ada"]))
        items = [Item(lab.places["SEM"], Span(at(9), at(10))), Item(lab.places["BATH"], Span(at(10), at(11)))]
        booking = bookings.place(session, actor=who, items=items, now=datetime.now(UTC)).id
    found = events(lab.get("ada", f"/bookings/{booking}.ics"))
    assert {str(event["UID"]) for event in found} == {f"{booking}-0@yiqi.local", f"{booking}-1@yiqi.local"}


def test_the_leader_of_an_organisation_is_a_role_not_a_name(lab):
    with db.transaction() as session:
        organisation = cast.company(session).id
        session.add(Membership(person_id=lab.people["ben"], role=Role.LEADER, organisation_id=organisation))
    booking = lab.book("cleo", "SEM", at(9), at(11))
    assert lab.get("ben", f"/bookings/{booking}").status_code == 200


def test_what_can_be_had_instead_says_how_it_differs(lab):
    lab.book("ben", "SEM", at(9), at(11))
    answer = lab.send("ada", "/bookings/new", **form("SEM", at(9), at(11)))
    said = text_of(answer.text)
    assert "Equal instrument, same time at the same facility" in said
    assert "2 h later · ¥700.00" in said
    assert "2 h earlier · ¥700.00" in said


def test_a_use_in_parts_is_taken_with_one_click_and_becomes_one_booking(lab):
    lab.book("ben", "SEM", at(9), at(10))
    sent = form("SEM", at(8), at(11)) | {"purpose": "kept"}
    answer = lab.send("ada", "/bookings/new", **sent)
    choices = re.findall(r'name="instead" value="([^"]+)"', answer.text)
    (split,) = [choice for choice in choices if len(choice.split()) == 5]
    assert split.split()[1:] == [local(at(8)), local(at(9)), local(at(10)), local(at(12))]
    taken = lab.send("ada", "/bookings/new", **sent, instead=split)
    assert taken.status_code == 200
    assert "Used in parts; the others are:" in taken.text
    assert "kept" in taken.text
    parts = form("SEM", at(8), at(9)) | {"more": value_of(taken.text, "more"), "purpose": "kept"}
    alone = lab.send("ada", "/bookings/new", **parts, check="alone")
    assert 'name="more"' not in alone.text
    wrong = lab.send("ada", "/bookings/new", **parts | {"more": "tomorrow"})
    assert wrong.status_code == 422
    booking = lab.booking(placed(lab.send("ada", "/bookings/new", **parts)))
    assert [(row.starts_at, row.ends_at) for row in booking.items] == [(at(8), at(9)), (at(10), at(12))]


# --- taking back ----------------------------------------------------------------------------------


def undo_form(page: str) -> dict[str, str]:
    """The first form of the page that takes something back: where it goes and what it sends."""
    found = re.search(r'<form[^>]*action="([^"]+/undo)"[^>]*>(.*?)</form>', page, re.DOTALL)
    assert found, "nothing to take back"
    sent = dict(re.findall(r'name="(version|back)" value="([^"]*)"', found[2]))
    return {"action": found[1], **sent}


def take_back(lab, who: str, page: str):
    sent = undo_form(page)
    return lab.send(who, sent.pop("action"), **sent)


def test_a_change_and_a_cancellation_are_taken_back_from_where_they_were_said(lab):
    booking = lab.book("ada", "SEM", at(9), at(11), purpose="films")
    where = f"/bookings/{booking}"
    lab.send("ada", f"{where}/change", **typed(at(13), at(14)), instrument="SEM", version="1", purpose="x")
    answer = take_back(lab, "ada", lab.get("ada", where).text)
    assert answer.headers["Location"] == where
    assert "Changed back:" in text_of(lab.get("ada", where).text)
    assert (lab.booking(booking).starts_at, lab.booking(booking).purpose) == (at(9), "films")
    lab.send("ada", f"{where}/cancellation", reason="", version="3")
    answer = take_back(lab, "ada", lab.get("ada", where).text)
    again = placed(answer)
    assert again != str(booking)
    assert lab.booking(again).purpose == "films"
    assert "Booked again, as it was." in text_of(lab.get("ada", f"/bookings/{again}").text)


def test_time_that_is_gone_is_not_had_back_and_the_page_says_why(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    lab.send("ada", f"/bookings/{booking}/cancellation", reason="", version="1")
    said = lab.get("ada", f"/bookings/{booking}").text
    lab.book("ben", "SEM", at(9), at(11))
    answer = take_back(lab, "ada", said)
    assert answer.status_code == 409
    assert "This cannot be taken back any more" in text_of(answer.text)
    assert "already taken" in text_of(answer.text)


def test_an_undo_of_an_older_page_takes_nothing_back(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    answer = lab.send("ada", f"/bookings/{booking}/undo", version="7")
    assert answer.status_code == 412
    assert lab.booking(booking).state is State.CONFIRMED
