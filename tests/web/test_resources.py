"""The resource timeline's pages: what the script is given, the agenda that says the same, rows, news and cards."""

import json
import re
from datetime import date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from booking import db
from booking.services import timeline
from booking.web import resources
from booking.web.resources import View
from models import Instrument
from tests.factories import make_facility
from tests.web.lab import Lab, at, local, quarter, text_of, typed


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def day_of(moment: datetime) -> str:
    return local(moment)[:10]


def data_of(page: str) -> dict:
    """What the page gives the script."""
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


def bars_of(lab: Lab, data: dict, code: str) -> list[dict]:
    return data["times"][str(lab.places[code])][3]


# --- the page -------------------------------------------------------------------------------------


def test_who_is_no_staff_has_no_timeline(lab):
    for name in ("ada", "cleo"):
        for path in ("/timeline", "/timeline/rows", "/timeline/news"):
            assert lab.get(name, path).status_code == 403
    assert lab.app.test_client().get("/timeline").status_code == 303


def test_staff_see_their_own_facilities_and_no_other(lab):
    mine = data_of(lab.get("tam", "/timeline").text)
    assert [one["code"] for one in mine["facilities"]] == ["LAB"]
    assert [row[1] for row in mine["rows"]] == ["BATH", "HIDDEN", "PECVD", "SEM", "SEM2"]
    assert lab.get("tam", "/timeline", facility="FAR").status_code == 404
    both = lab.get("root", "/timeline").text
    assert [one["zone"] for one in data_of(both)["facilities"]] == ["Europe/Berlin", "Asia/Shanghai"]
    assert "All my facilities" in both
    assert len(data_of(lab.get("root", "/timeline", facility="FAR").text)["rows"]) == 1


def test_a_bar_tells_who_and_what_and_whether_it_may_move(lab):
    booking = lab.book("ada", "SEM", at(9), at(11), purpose="Grain size")
    lab.book("cleo", "PECVD", at(13), at(14), purpose="canary", confidential=True)
    data = data_of(lab.get("tam", "/timeline", day=day_of(at(9))).text)
    bar = bars_of(lab, data, "SEM")[0]
    minute = int(at(9).timestamp()) // 60
    assert bar == {
        "s": minute,
        "e": minute + 120,
        "us": minute,
        "ue": minute + 120,
        "l": "booked",
        "b": str(booking),
        "v": 1,
        "t": "Grain size",
        "p": "Ada",
        "m": 1,
        "a": 1,
    }
    asked = bars_of(lab, data, "PECVD")[0]
    assert (asked["l"], asked["p"], asked["c"], asked["us"] - asked["s"]) == ("pending", "Cleo", 1, 30)
    assert "a" not in asked
    lab.add_operator()
    data = data_of(lab.get("ben", "/timeline", day=day_of(at(9))).text)
    assert "m" not in bars_of(lab, data, "SEM")[0]
    assert data["facilities"][0]["closes"] is False


def test_what_may_stand_for_another_has_the_same_number(lab):
    rows = {row[1]: row[4] for row in data_of(lab.get("tam", "/timeline").text)["rows"]}
    assert rows["SEM"] == rows["SEM2"] != 0
    assert rows["BATH"] == 0


def test_day_week_and_month_lead_to_their_neighbours(lab):
    week = lab.get("tam", "/timeline", day="2026-11-25").text
    assert "Mon 23 Nov 2026" in text_of(week)
    assert "day=2026-11-16" in week
    assert "day=2026-11-30" in week
    month = lab.get("tam", "/timeline", day="2026-12-25", view="month").text
    assert (data_of(month)["first"], data_of(month)["days"]) == ("2026-12-01", 31)
    assert "day=2026-11-30" in month
    assert "day=2027-01-01" in month
    assert data_of(lab.get("tam", "/timeline", day="2026-11-25", view="day").text)["days"] == 1


@pytest.mark.parametrize(
    ("day", "view", "expected"),
    [
        (date(2028, 2, 29), View.MONTH, (date(2028, 2, 1), 29)),
        (date(2026, 12, 31), View.MONTH, (date(2026, 12, 1), 31)),
        (date(2027, 1, 3), View.WEEK, (date(2026, 12, 28), 7)),
        (date(2027, 1, 3), View.DAY, (date(2027, 1, 3), 1)),
    ],
)
def test_the_days_of_a_view(day, view, expected):
    assert resources._days(day, view) == expected


def test_each_zone_has_its_own_clock(lab):
    data = data_of(lab.get("root", "/timeline", day="2026-10-25").text)  # in Berlin the clock is put back
    berlin, shanghai = data["zones"]["Europe/Berlin"], data["zones"]["Asia/Shanghai"]
    assert berlin[7][0] - berlin[6][0] == 25 * 60
    assert shanghai[7][0] - shanghai[6][0] == 24 * 60
    assert berlin[0][0] - shanghai[0][0] == 6 * 60


def test_the_hours_are_those_of_the_facility_or_all(lab):
    with db.transaction() as session:
        make_facility(session, code="NIGHT", always_open=False)
    data = data_of(lab.get("tam", "/timeline").text)
    assert data["hours"] == [0, 24]
    assert data_of(lab.get("tam", "/timeline", hours="all").text)["hours"] == [0, 24]


def test_rows_are_chosen_by_words_and_entries(lab):
    lab.book("ada", "SEM", at(9), at(11))
    day = day_of(at(9))

    def codes(**query):
        return [row[1] for row in data_of(lab.get("tam", "/timeline", day=day, **query).text)["rows"]]

    assert codes(q="second") == ["SEM2"]
    assert codes(only="booked") == ["SEM"]
    assert "SEM" not in codes(only="free")
    assert "No instrument has these words" in lab.get("tam", "/timeline", q="zeppelin").text
    looks = data_of(lab.get("tam", "/timeline", look=["booked", "ended"]).text)["looks"]
    assert looks == ["booked", "ended"]
    assert data_of(lab.get("tam", "/timeline", look="none").text)["looks"] == []


@pytest.mark.parametrize("form", ["timeline", "list"])
@pytest.mark.parametrize(
    "query",
    [
        {"day": "nonsense"},
        {"day": "0001-01-01"},
        {"day": "2099-12-31", "view": "month"},
        {"day": "2000-01-01", "view": "week"},
        {"view": "<b>", "only": "'", "look": "x"},
        {"q": "%_\\' OR 1=1"},
        {"q": "x" * 5000},
        {"q": "a\x07b"},
        {"page": "99"},
    ],
)
def test_no_address_breaks_the_timeline(lab, query, form):
    assert lab.get("tam", "/timeline", form=form, **query).status_code == 200


# --- the agenda -----------------------------------------------------------------------------------


def test_the_agenda_says_the_same(lab):
    booking = lab.book("ada", "SEM", at(9), at(11), purpose="Grain size")
    lab.book("ben", "BATH", at(9), at(11), quantity=3)
    page = lab.get("tam", "/timeline", day=day_of(at(9)), form="list").text
    said = text_of(page)
    for words in ("09:00 – 11:00", "Ada", "Grain size", "Microscope", "Water bath × 3", "Confirmed"):
        assert words in said
    assert f"/bookings/{booking}/change" in page
    only = text_of(lab.get("tam", "/timeline", day=day_of(at(9)), form="list", look="ended").text)
    assert "Nothing is booked" in only


def test_people_are_checked_in_from_the_agenda(lab):
    start = quarter()
    booking = lab.book("ada", "SEM", start, start + timedelta(hours=3), now=start - timedelta(days=1))
    page = lab.get("tam", "/timeline", form="list").text
    assert "Check in Ada" in page
    answer = lab.send("tam", f"/bookings/{booking}/check-in", back="/timeline?form=list")
    assert answer.headers["Location"] == "/timeline?form=list"
    assert "Check out Ada" in lab.get("tam", "/timeline", form="list").text


def test_what_is_closed_is_drawn_and_listed(lab):
    sent = typed(
        at(9), at(11), facility="LAB", instrument="SEM", kind="breakdown", way="at_once", reason="Smoke"
    )
    assert lab.send("tam", "/closures/new", **sent).status_code == 303
    data = data_of(lab.get("tam", "/timeline", day=day_of(at(9))).text)
    assert [(bar["l"], bar["k"]) for bar in bars_of(lab, data, "SEM")] == [("closed", "maintenance")]


# --- what the script asks for -----------------------------------------------------------------------


def test_rows_are_asked_for_by_their_ids(lab):
    lab.book("ada", "SEM", at(9), at(11))
    ids = f"{lab.places['SEM']},{lab.places['FAR-1']},x"
    found = lab.get("tam", "/timeline/rows", day=day_of(at(9)), ids=ids).get_json()
    assert list(found["times"]) == [str(lab.places["SEM"])]
    assert [bar["p"] for bar in bars_of(lab, found, "SEM")] == ["Ada"]
    assert lab.get("tam", "/timeline/rows", ids=str(lab.places["FAR-1"])).status_code == 404
    assert lab.get("tam", "/timeline/rows").get_json()["times"] == {}
    many = ",".join(str(number) for number in range(1, timeline.MOST_AT_ONCE + 2))
    assert lab.get("tam", "/timeline/rows", ids=many).status_code == 413


def test_news_are_told_once(lab):
    data = data_of(lab.get("tam", "/timeline").text)
    asked = {"If-None-Match": f'"{data["mark"]}"'}
    client = lab.client("tam")
    assert client.get("/timeline/news", headers=asked).status_code == 304
    before = data["times"][str(lab.places["SEM"])][0]
    lab.book("ada", "SEM", at(9), at(11))
    answer = client.get("/timeline/news", headers=asked)
    assert answer.status_code == 200
    assert answer.get_json()["revisions"][str(lab.places["SEM"])] > before
    again = {"If-None-Match": answer.headers["ETag"]}
    assert client.get("/timeline/news", headers=again).status_code == 304
    assert client.get("/timeline/news?facility=FAR", headers=again).status_code == 404


def test_a_card_tells_who_and_what_can_be_done(lab):
    booking = lab.book("ada", "SEM", at(9), at(11), purpose="Grain size")
    card = lab.get("tam", f"/timeline/bookings/{booking}").text
    for words in ("Microscope", "Ada", "mailto:ada@example.org", "Grain size", "Move or change"):
        assert words in card
    assert "<html" not in card
    # One does not write to oneself, and strangers see nothing.
    assert "mailto:" not in lab.get("ada", f"/timeline/bookings/{booking}").text
    assert lab.get("cleo", f"/timeline/bookings/{booking}").status_code == 404


# --- what it costs ----------------------------------------------------------------------------------


def statements(lab: Lab, path: str, headers: dict[str, str] | None = None) -> int:
    lab.client("tam").get(path, headers=headers)  # what pages keep for a while is read before
    seen: list[str] = []
    engine = db.engine()
    listener = lambda *arguments: seen.append(arguments[2])  # noqa: E731 - removed again below
    event.listen(engine, "before_cursor_execute", listener)
    try:
        assert lab.client("tam").get(path, headers=headers).status_code in {200, 304}
    finally:
        event.remove(engine, "before_cursor_execute", listener)
    return len([one for one in seen if one.lstrip().upper().startswith(("SELECT", "WITH"))])


def test_more_bookings_cost_no_more_statements(lab):
    paths = [
        "/timeline",
        "/timeline?form=list",
        f"/timeline/rows?ids={lab.places['SEM']},{lab.places['PECVD']}",
    ]
    today = {"days": 0}
    lab.book("ada", "SEM", at(1, **today), at(2, **today), now=at(0, days=-1))
    lab.book("ada", "PECVD", at(1), at(2))
    before = [statements(lab, path) for path in paths]
    for hour in range(3, 13):
        lab.book("ben", "SEM", at(hour, **today), at(hour, 30, **today), now=at(0, days=-1))
        lab.book("ada", "PECVD", at(hour), at(hour, 15))
    assert [statements(lab, path) for path in paths] == before


def test_whether_anything_changed_is_one_statement_beside_who_asks(lab):
    mark = data_of(lab.get("tam", "/timeline").text)["mark"]
    assert statements(lab, "/timeline/news", {"If-None-Match": f'"{mark}"'}) == 2


def test_too_many_rows_begin_with_one_facility(lab, monkeypatch):
    monkeypatch.setattr(timeline, "MOST_ROWS", 4)
    page = lab.get("root", "/timeline").text
    assert [one["code"] for one in data_of(page)["facilities"]] == ["FAR"]
    page = lab.get("tam", "/timeline").text
    assert len(data_of(page)["rows"]) == 4
    assert "1 instrument more has no row here" in text_of(page)
    with db.reading() as session:
        assert session.get(Instrument, lab.places["SEM2"])
