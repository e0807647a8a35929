"""Sheets that come in at the page: tried, mended, written whole or not at all, and once."""

import io
import re

import pytest
from flask import Flask
from sqlalchemy import func, select

from booking import db
from booking.web import imports
from models import Closure, Event, Facility, Instrument, InstrumentPrice, Membership, Person
from tests.web import browsing
from tests.web.lab import Lab, at, text_of

HEAD = {
    "instruments": "code,facility,name_zh,kind",
    "prices": "code,price_external,price_from",
    "closures": "facility,instrument,first_day,from,last_day,until,kind,reason,at_once",
    "facilities": "id,name_zh,name_en,operator_zh,org_type",
    "people": "email,name,role,place",
}


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def send(lab, who, sort, *rows, name="sheet.csv", tries=False, content=None):
    client = lab.client(who)
    data = {
        "csrf_token": browsing.csrf_token(client),
        "file": (io.BytesIO(content or "\n".join([HEAD[sort], *rows]).encode()), name),
    }
    return client.post(f"/imports/{sort}", data=data | ({"try": "1"} if tries else {}))


def count(model) -> int:
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def hidden(page: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', page)[1]


def test_a_trial_writes_nothing_and_its_page_carries_the_file_on(lab):
    before = count(Instrument), count(Event)
    tried = send(lab, "tam", "instruments", "NEW-1,LAB,新仪器,device", "SEM,LAB,显微镜,device", tries=True)
    assert tried.status_code == 200
    words = text_of(tried.text)
    assert "Only tried" in words
    assert "1 created, 1 changed" in words
    assert "显微镜" in words
    assert (count(Instrument), count(Event)) == before
    fields = {name: hidden(tried.text, name) for name in ("name", "content")}
    assert lab.send("tam", "/imports/instruments", **fields).status_code == 303
    assert count(Instrument) == before[0] + 1
    again = lab.send("tam", "/imports/instruments", **fields, **{"try": "1"})
    assert "All of it is there already." in text_of(again.text)


def test_every_wrong_cell_is_named_and_nothing_is_written(lab):
    before = count(Instrument)
    answer = send(lab, "tam", "instruments", "NEW-1,LAB,新,device", "NEW-2,FAR,新,device", "NEW-3,LAB,新,toy")
    assert answer.status_code == 422
    words = text_of(answer.text)
    assert "Nothing was written" in words
    assert "3 NEW-2 facility You do not manage the facility FAR." in words or "toy" in words
    assert count(Instrument) == before
    answer = send(lab, "tam", "instruments", "NEW-2,FAR,新,device")
    assert "3" in words
    assert "You do not manage the facility FAR." in text_of(answer.text)
    broken = send(lab, "tam", "instruments", name="a.xlsx", content=b"no workbook")
    assert broken.status_code == 422
    assert send(lab, "tam", "instruments", name="").status_code == 422
    assert lab.get("tam", "/imports/nothing").status_code == 404


def test_prices_come_alone(lab):
    assert send(lab, "tam", "prices", "SEM,420,2030-01-01").status_code == 303
    with db.reading() as session:
        amounts = session.scalars(
            select(InstrumentPrice.amount)
            .where(InstrumentPrice.instrument_id == lab.places["SEM"])
            .order_by(InstrumentPrice.valid_from)
        ).all()
    assert [int(one) for one in amounts] == [350, 420]
    assert "There is no instrument NEW-1." in text_of(send(lab, "tam", "prices", "NEW-1,1,").text)
    sheet = b"code,name_zh\nSEM,x\n"
    wrong = send(lab, "tam", "prices", content=sheet)
    assert "There is no column or key of this name." in text_of(wrong.text)


def test_closures_come_all_or_none_and_once(lab):
    lab.book("ada", "SEM", at(9))
    day = at(9).date().isoformat()
    good = f"LAB,BATH,{day},08:00,{day},24:00,maintenance,Inspection,no"
    met = f"LAB,SEM,{day},00:00,{day},24:00,,,no"
    refused = send(lab, "tam", "closures", good, met)
    assert refused.status_code == 422
    assert "1 booking" in text_of(refused.text)
    assert count(Closure) == 0
    tried = send(lab, "tam", "closures", good, met[:-2] + "yes", tries=True)
    assert "1 booking is displaced." in text_of(tried.text)
    assert count(Closure) == 0
    for _ in range(2):
        assert send(lab, "tam", "closures", good, met[:-2] + "yes").status_code == 303
        assert count(Closure) == 2
    for row, said in (
        (f"FAR,,{day},,{day},,,,", "You may not do this there."),
        (f"LAB,FAR-1,{day},,{day},,,,", "not there"),
        (f"LAB,,{day},09:00,{day},08:00,,,", "The end must come after the start."),
        (f"LAB,,{day},9 am,{day},,,,", "“9 am” is not of the right form."),
    ):
        assert said in text_of(send(lab, "tam", "closures", row).text), row


def test_an_administrator_brings_facilities_and_people_in(lab):
    rows = ("NEW,新平台,New platform,大学,university",)
    refused = send(lab, "tam", "facilities", *rows)
    assert "Only an administrator" in text_of(refused.text)
    assert send(lab, "root", "facilities", *rows).status_code == 303
    assert count(Facility) == 3
    wrong = send(lab, "root", "facilities", "A,,,大学,university", "B,乙,,大学,school")
    words = text_of(wrong.text)
    assert "2 " in words
    assert "school" in words
    people = ("dora@example.org,Dora,operator,LAB", "ben@example.org,,manager,NEW")
    assert send(lab, "tam", "people", *people).status_code == 403
    assert send(lab, "root", "people", *people).status_code == 303
    with db.reading() as session:
        dora = session.scalars(select(Person).where(Person.email == "dora@example.org")).one()
        kinds = session.scalars(select(Event.kind).where(Event.kind == "person.invited")).all()
    assert (dora.name, dora.password_hash, len(kinds)) == ("Dora", None, 1)
    before = count(Membership)
    assert send(lab, "root", "people", *people).status_code == 303
    assert count(Membership) == before
    wrong = send(lab, "root", "people", "x@example.org,,operator,NOWHERE", "no address,,operator,LAB")
    assert wrong.status_code == 422
    assert count(Membership) == before
    words = text_of(wrong.text)
    assert "2 – place There is nothing of this code, or not there." in words
    assert "3 – email “no address” is not of the right form." in words


@pytest.mark.parametrize("sort", sorted(imports.SORTS))
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_empty_sheet_is_one_that_can_be_read(lab, sort, kind):
    sheet = lab.get("root", f"/imports/{sort}/template.{kind}").data
    answer = send(lab, "root", sort, name=f"a.{kind}", content=sheet, tries=True)
    assert answer.status_code in {200, 422}
    words = text_of(answer.text)
    assert "not of the right form" not in words
    assert "A value is needed here." not in words
