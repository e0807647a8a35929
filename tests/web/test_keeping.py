"""Administration without code, by the pages: facilities, instruments, prices, photos and documents, their history."""

import io
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.domain.access import SYSTEM
from booking.services import bookings
from models import Event, Facility, Instrument, InstrumentFile, InstrumentPrice, OpeningRule, Part, Person
from tests import cast
from tests.factories import make_network
from tests.house.test_matrix import PHOTO
from tests.web.lab import Lab, at, text_of

SHEET = {"name_zh": "新显微镜", "kind": "device", "operator_need": "self", "units": "1"}


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def instrument(code: str) -> Instrument:
    with db.reading() as session:
        return session.scalars(select(Instrument).where(Instrument.code == code)).one()


def prices(code: str) -> list[tuple[str, str, str, date, date | None]]:
    with db.reading() as session:
        rows = session.scalars(
            select(InstrumentPrice)
            .join(Instrument, Instrument.id == InstrumentPrice.instrument_id)
            .where(Instrument.code == code)
            .order_by(InstrumentPrice.customer_class, InstrumentPrice.valid_from)
        ).all()
    return [
        (row.customer_class.value, row.unit.value, str(row.amount), row.valid_from, row.valid_to)
        for row in rows
    ]


def days(count: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=count)


# --- facilities -----------------------------------------------------------------------------------


def organisation() -> str:
    with db.transaction() as session:
        return cast.university(session).code


def test_an_administrator_makes_a_facility_and_mistakes_lead_to_their_fields(lab):
    form = {"code": "lab", "name_zh": "", "zone": "Moon/Crater", "organisation": "", "latitude": "23"}
    wrong = lab.send("root", "/new-facility", **form)
    assert wrong.status_code == 422
    for name in ("code", "name_zh", "zone", "organisation", "longitude"):
        assert f'href="#{name}"' in wrong.text or name in {"code", "organisation", "longitude"}, name
    assert 'value="23"' in wrong.text
    code = organisation()
    form |= {"code": "lab", "name_zh": "新平台", "zone": "Asia/Shanghai", "organisation": code}
    taken = lab.send("root", "/new-facility", **form)
    assert (taken.status_code, "Code: This is already in use." in text_of(taken.text)) == (422, True)
    assert "Longitude: This is needed." in text_of(taken.text)
    made = lab.send("root", "/new-facility", **form | {"code": "NEW", "longitude": "113.7"})
    assert made.headers["Location"] == "/facilities/NEW"
    assert "新平台" in lab.get("root", "/facilities").text
    with db.reading() as session:
        [row] = session.scalars(select(Facility).where(Facility.code == "NEW"))
        assert (row.latitude, row.longitude) == (23.0, 113.7)
        assert len(session.scalars(select(OpeningRule).where(OpeningRule.facility_id == row.id)).all()) == 5


def test_a_manager_changes_what_the_facility_says_and_the_history_tells_who(lab):
    page = lab.get("tam", "/facilities/LAB/edit").text
    form = {
        "name_zh": "平台",
        "name_en": "Clean room",
        "zone": "Asia/Shanghai",
        "organisation": organisation(),
    }
    form["seen"] = re.search(r'name="seen" value="(\w+)"', page)[1]
    assert lab.send("tam", "/facilities/LAB/edit", **form).headers["Location"] == "/facilities/LAB"
    assert "Clean room" in lab.get("ada", "/facilities/LAB").text
    late = lab.send("tam", "/facilities/LAB/edit", **form | {"name_en": "Another"})
    assert (late.status_code, "Somebody has changed this" in late.text) == (409, True)
    told = text_of(lab.get("tam", "/facilities/LAB/history").text)
    assert "Facility changed" in told
    assert "Tam" in told
    assert re.search(r"English name Laboratory now: Clean room", told)


def test_a_facility_is_withdrawn_once_nothing_is_booked_and_opened_again(lab):
    booked = lab.book("ada", "SEM", at(9), at(11))
    refused = lab.send("tam", "/facilities/LAB/withdrawal")
    assert (refused.status_code, "1 booking lies ahead." in refused.text) == (409, True)
    with db.transaction() as session:
        bookings.cancel(session, actor=SYSTEM, booking_id=booked, now=datetime.now(UTC))
    assert lab.send("tam", "/facilities/LAB/withdrawal").status_code == 303
    assert "Laboratory" not in text_of(lab.get("ada", "/facilities").text)
    assert "Out of service" in text_of(lab.get("tam", "/facilities").text)
    assert lab.get("ada", "/instruments/SEM").status_code == 404
    again = lab.send("tam", "/instruments/SEM/publication", publish="yes")
    assert (again.status_code, "is withdrawn" in again.text) == (409, True)
    assert lab.send("tam", "/facilities/LAB/withdrawal", again="1").status_code == 303
    assert lab.get("ada", "/instruments/SEM").status_code == 200
    assert lab.get("ada", "/instruments/HIDDEN").status_code == 404  # it was hidden before


# --- instruments ----------------------------------------------------------------------------------


def test_a_new_instrument_is_a_draft_until_it_is_published(lab):
    where = "/facilities/LAB/instruments/new"
    assert "Make a draft" in lab.get("tam", where).text
    wrong = lab.send("tam", where, code="sem", **SHEET | {"units": "0", "longest_minutes": "soon"})
    said = text_of(wrong.text)
    assert wrong.status_code == 422
    assert "Units: It must be at least 1." in said
    assert "Longest use: “soon” is not of the right form." in said
    assert "Code: This is already in use." in text_of(lab.send("tam", where, code="sem", **SHEET).text)
    form = SHEET | {"longest_minutes": "2 h", "setup_minutes": "15", "hazards": ["vacuum", "noise"]}
    form |= {"ability": ["microscopy", "volume_l", ""], "figure": ["", "50", ""], "unit": ["", "", ""]}
    made = lab.send("tam", where, code="NEW", **form)
    assert made.headers["Location"] == "/instruments/NEW/files"
    row = instrument("NEW")
    assert (row.published, row.longest_minutes, row.setup_minutes, row.step_minutes) == (False, 120, 15, None)
    assert row.hazards == ["vacuum", "noise"]
    assert lab.get("ada", "/instruments/NEW").status_code == 404
    page = text_of(lab.get("tam", "/instruments/NEW/edit").text)
    assert "Only the facility's staff see it." in page
    assert lab.send("tam", "/instruments/NEW/publication", publish="yes").status_code == 303
    shown = text_of(lab.get("ada", "/instruments/NEW").text)
    assert "50 L" in shown
    assert "Vacuum" in shown


def test_a_copy_has_all_but_the_code_and_stations_stay_at_home(lab):
    lab.send("tam", "/instruments/SEM/service", bookable="yes", opening="Mon-Fri 09:00-12:00", since="")
    page = lab.get("tam", "/facilities/LAB/instruments/new?like=SEM").text
    assert "Microscope (copy)" in page
    made = lab.send("tam", "/facilities/LAB/instruments/new", code="SEM3", like="SEM", **SHEET)
    assert made.status_code == 303
    assert [one[:3] for one in prices("SEM3")] == [("external", "hour", "350.00")]
    assert prices("SEM3")[0][3] >= days(-1)
    assert "Mon 09:00-12:00" in lab.get("tam", "/instruments/SEM3/service").text
    line = SHEET | {"kind": "line", "part": ["SEM", "SEM2", ""]}
    assert lab.send("tam", "/facilities/LAB/instruments/new", code="LINE", **line).status_code == 303
    with db.reading() as session:
        assert len(session.scalars(select(Part)).all()) == 2
    nested = lab.send("tam", "/instruments/SEM/edit", **SHEET | {"kind": "line"})
    assert "Kind: A line cannot be a station of a line." in text_of(nested.text)


def test_what_bookings_need_is_not_taken_away(lab):
    lab.book("ada", "BATH", at(9), at(11), quantity=3)
    form = SHEET | {"name_zh": "水浴", "units": "2", "unit_name": "places"}
    fewer = lab.send("tam", "/instruments/BATH/edit", **form)
    assert fewer.status_code == 409
    assert instrument("BATH").units == 4
    line = lab.send("tam", "/instruments/BATH/edit", **form | {"units": "4", "kind": "line"})
    assert "Kind: Bookings lie ahead; move or cancel them first." in text_of(line.text)
    hidden = lab.send("tam", "/instruments/BATH/publication", publish="no")
    assert (hidden.status_code, "1 booking lies ahead." in hidden.text) == (409, True)
    assert lab.send("tam", "/instruments/BATH/edit", **form | {"units": "3"}).status_code == 303
    told = text_of(lab.get("tam", "/instruments/BATH/history").text)
    assert "Units 4 now: 3" in told


def test_what_a_sheet_leaves_open_is_shown_with_its_source(lab):
    rule = {"what": "longest", "value": "3 h", "valid_from": days(-1).isoformat()}
    assert lab.send("root", "/rules/facility/LAB/new", **rule).status_code == 303
    page = text_of(lab.get("tam", "/instruments/SEM/edit").text)
    assert "Empty, it is: 3 h Laboratory" in page


# --- prices ---------------------------------------------------------------------------------------


def test_a_price_from_a_day_ends_the_one_before_and_can_be_taken_back(lab):
    where, since = "/instruments/SEM/prices", days(10)
    form = {"customer_class": "external", "unit": "hour", "amount": "400", "since": since.isoformat()}
    assert lab.send("tam", where, **form).status_code == 303
    assert prices("SEM") == [
        ("external", "hour", "350.00", date(2020, 1, 1), since),
        ("external", "hour", "400.00", since, None),
    ]
    assert "from " + since.isoformat() in text_of(lab.get("ada", "/instruments/SEM").text)
    later = f"start={since + timedelta(days=1)}T09:00&end={since + timedelta(days=1)}T11:00"
    assert "800.00" in lab.get("cleo", f"/bookings/new?instrument=SEM&{later}").text
    [strike] = re.findall(r"/instruments/SEM/prices/\d+/removal", lab.get("tam", where).text)
    assert lab.send("tam", strike).status_code == 303
    assert prices("SEM") == [("external", "hour", "350.00", date(2020, 1, 1), None)]
    assert text_of(lab.get("tam", "/instruments/SEM/history").text).count("Prices changed") == 2
    past = lab.send("tam", where, **form | {"since": days(-3).isoformat()})
    assert (past.status_code, "These days have passed." in past.text) == (422, True)
    odd = lab.send("tam", where, **form | {"amount": "much"})
    assert "Price in yuan: “much” is not a number." in text_of(odd.text)


def test_all_prices_of_a_facility_change_by_a_percentage_after_a_look(lab):
    where, since = "/facilities/LAB/prices", days(5)
    form = {"customer_class": "both", "percent": "3", "step": "5", "since": since.isoformat()}
    tried = text_of(lab.send("tam", where, **form, **{"try": "1"}).text)
    assert "Only tried, nothing is written" in tried
    assert "¥350.00 ¥360.00" in tried
    assert len(prices("SEM")) == 1
    assert lab.send("tam", where, **form).status_code == 303
    assert [one[2:] for one in prices("SEM")] == [
        ("350.00", date(2020, 1, 1), since),
        ("360.00", since, None),
    ]
    assert "1 price is changed from that day on." in text_of(lab.get("tam", where).text)
    assert "All prices changed by a percentage" in text_of(lab.get("tam", "/instruments/SEM/history").text)
    wrong = lab.send("tam", where, **form | {"percent": "-100"})
    assert (wrong.status_code, "By how many percent" in text_of(wrong.text)) == (422, True)


# --- photos and documents -------------------------------------------------------------------------


def upload(lab: Lab, content: bytes, name: str, **words: str):
    return lab.send("tam", "/instruments/SEM/files", file=(io.BytesIO(content), name), **words)


def files() -> list[InstrumentFile]:
    with db.reading() as session:
        return list(session.scalars(select(InstrumentFile).order_by(InstrumentFile.position)))


def test_a_photo_is_a_picture_by_its_content_and_shown_as_nothing_else(lab):
    for content, said in (
        (b"<svg xmlns='x' onload='alert(1)'/>", "A photo must be a JPEG, PNG or WebP picture."),
        (PHOTO[:20], "A photo must be a JPEG, PNG or WebP picture."),
        (PHOTO[:16] + b"\0\0\xff\xff" + PHOTO[20:], "The photo is too large"),
        (b"", "This is needed."),
    ):
        wrong = upload(lab, content, "a.png", sort="photo", title_zh="", title_en="", audience="everyone")
        assert (wrong.status_code, said in wrong.text) == (422, True), said
        assert 'href="#file-photo"' in wrong.text
    assert upload(lab, PHOTO, "evil.html", sort="photo", title_en="Front").status_code == 303
    [row] = files()
    where = f"/instruments/SEM/photos/{row.id}"
    assert f'src="{where}"' in lab.get("ada", "/instruments/SEM").text
    assert where in lab.get("ada", "/instruments").text
    shown = lab.app.test_client().get(where)
    assert (shown.mimetype, shown.data) == ("image/png", PHOTO)
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert "immutable" in shown.headers["Cache-Control"]
    again = lab.app.test_client().get(where, headers={"If-None-Match": shown.headers["ETag"]})
    assert again.status_code == 304
    assert lab.get("ada", f"/instruments/SEM2/photos/{row.id}").status_code == 404


def test_documents_are_for_whom_they_are_meant(lab):
    for n, audience in enumerate(("everyone", "signed_in", "staff")):
        sent = upload(
            lab,
            b"%PDF-1.7 x",
            f"Manual {n}.pdf",
            sort="document",
            title_zh="",
            title_en="",
            audience=audience,
        )
        assert sent.status_code == 303
    rows = files()
    assert [row.title_zh for row in rows] == ["Manual 0", "Manual 1", "Manual 2"]
    visitor = lab.app.test_client()
    for name, seen in (("visitor", 1), ("ada", 2), ("tam", 3)):
        ask = visitor.get if name == "visitor" else lambda path, name=name: lab.get(name, path)
        assert [ask(f"/instruments/SEM/files/{row.id}").status_code for row in rows] == [
            *[200] * seen,
            *[404] * (3 - seen),
        ]
        assert text_of(ask("/instruments/SEM").text).count("Manual") == seen
    kept = visitor.get(f"/instruments/SEM/files/{rows[0].id}")
    assert kept.headers["Content-Disposition"].startswith("attachment")
    where = f"/instruments/SEM/files/{rows[2].id}"
    assert lab.send("tam", where, move="earlier").status_code == 303
    assert [row.title_zh for row in files()] == ["Manual 0", "Manual 2", "Manual 1"]
    assert lab.send("tam", where, title_zh="", title_en="", audience="staff").status_code == 422
    assert lab.send("tam", f"{where}/removal").status_code == 303
    assert len(files()) == 2
    with db.reading() as session:
        kinds = session.scalars(select(Event.kind).where(Event.kind.startswith("file"))).all()
    assert kinds == ["file.added"] * 3 + ["files.sorted", "file.removed"]


# --- hours from a day on --------------------------------------------------------------------------


def test_hours_begin_on_a_day_to_come(lab):
    where, since = "/facilities/LAB/hours", days(40)
    kept = lab.send("tam", where, opening="Mon-Fri 09:00-17:00", since=since.isoformat())
    assert kept.status_code == 303
    page = lab.get("tam", where).text
    assert ">\nalways</textarea>" in page
    assert "Mon 09:00-17:00; Tue 09:00-17:00" in page
    with db.reading() as session:
        rules = session.scalars(
            select(OpeningRule).where(OpeningRule.facility_id == lab.facilities["LAB"])
        ).all()
        assert {(rule.valid_from, rule.valid_to) for rule in rules} == {(None, since), (since, None)}
    past = lab.send("tam", where, opening="always", since=days(-2).isoformat())
    assert (past.status_code, "Counts from: These days have passed." in text_of(past.text)) == (422, True)
    assert lab.send("tam", where, opening="Mon-Fri 09:00-17:00", since="").status_code == 303
    assert "Other hours are to come" not in lab.get("tam", where).text


def test_outsiders_keep_nothing(lab):
    lab.add_operator()
    for name in ("ada", "ben", "cleo"):
        for where in (
            "/facilities/LAB/edit",
            "/facilities/LAB/prices",
            "/instruments/SEM/edit",
            "/new-facility",
        ):
            assert lab.get(name, where).status_code == 403
        for where in ("/instruments/SEM/files", "/instruments/SEM/prices", "/facilities/LAB/withdrawal"):
            assert lab.send(name, where).status_code in {403, 422}
    assert prices("SEM") == [("external", "hour", "350.00", date(2020, 1, 1), None)]
    assert files() == []
    assert lab.send("tam", "/facilities/FAR/edit", name_zh="x").status_code == 403


def test_an_officer_who_makes_a_facility_names_its_manager_at_once(lab):
    with db.transaction() as session:
        nora = cast.nora(session, make_network(session, code="NET"))
        nora.locale = "en"
        lab.people["nora"] = nora.id
    form = {"name_zh": "新平台", "zone": "Asia/Shanghai", "organisation": organisation(), "network": "NET"}
    wrong = lab.send("nora", "/new-facility", **form | {"code": "NEW", "manager": "nobody"})
    assert (wrong.status_code, 'href="#manager"' in wrong.text) == (422, True)
    own = lab.send("nora", "/new-facility", **form | {"code": "NEW", "manager": "nora@example.org"})
    assert own.status_code == 422
    with db.reading() as session:
        assert session.scalar(select(Facility).where(Facility.code == "NEW")) is None
    made = lab.send("nora", "/new-facility", **form | {"code": "NEW", "manager": "tam@example.org"})
    assert made.headers["Location"] == "/facilities/NEW"
    assert lab.get("tam", "/facilities/NEW/edit").status_code == 200
    assert lab.get("nora", "/facilities/NEW/edit").status_code == 403
    bare = lab.send("nora", "/new-facility", **form | {"code": "NEWER"})
    assert bare.headers["Location"] == "/facilities/NEWER/people"
    assert "Name its manager here" in lab.get("nora", "/facilities/NEWER/people").text


def test_a_photo_says_nothing_of_its_maker_and_titles_are_in_the_readers_characters(lab):
    word = b"\0\0\0\x05tEXtGPS 23" + bytes(3)
    noted = PHOTO[:33] + word + PHOTO[33:]
    sent = {"sort": "photo", "title_zh": "电镜样品室", "file": (io.BytesIO(noted), "a.png")}
    assert lab.send("tam", "/instruments/SEM/files", **sent).status_code == 303
    with db.reading() as session:
        assert session.scalars(select(InstrumentFile.content)).one() == PHOTO
    with db.transaction() as session:
        session.get_one(Person, lab.people["ada"]).locale = "zh_Hant_HK"
    page = lab.get("ada", "/instruments/SEM").text
    assert "電鏡" in page
    assert "电镜样品室" not in page
