"""Chemicals and papers of a booking: declared in the form and on its page, kept, given out, refused."""

import re
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.domain.lifecycle import State
from booking.domain.policy import RuleKind
from models import BookingPaper, Chemical, Rule
from tests.factories import LONG_AGO
from tests.web import browsing
from tests.web.lab import SHANGHAI, Lab, at, text_of, typed

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def add_rule(lab: Lab, name: str, **data) -> None:
    with db.transaction() as session:
        session.add(
            Rule(
                facility_id=lab.facilities["LAB"],
                kind=RuleKind.APPROVAL,
                name=name,
                data=data,
                valid_from=LONG_AGO.date(),
                created_at=LONG_AGO,
            )
        )


def chemicals_of(booking_id) -> list[Chemical]:
    with db.reading() as session:
        query = select(Chemical).where(Chemical.booking_id == UUID(str(booking_id)))
        return list(session.scalars(query.order_by(Chemical.position)))


def send_paper(lab: Lab, name: str, booking, content=PDF, *, file="sds.pdf", **fields):
    """Send the form as a browser does; written by hand, since the test client leaves large ones open."""
    sent = {"kind": "sds", "title": "SDS <acetone>", "number": "", **fields}
    sent["csrf_token"] = browsing.csrf_token(lab.client(name))
    parts = [
        f'--mark\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in sent.items()
    ]
    if content is not None:
        head = f'--mark\r\nContent-Disposition: form-data; name="file"; filename="{file}"\r\n\r\n'
        parts += [head.encode(), content, b"\r\n"]
    return lab.client(name).post(
        f"/bookings/{booking}/papers",
        data=b"".join([*parts, b"--mark--\r\n"]),
        content_type="multipart/form-data; boundary=mark",
    )


def form(**more: str) -> dict[str, str]:
    return {
        "instrument": "SEM",
        "quantity": "1",
        **typed(at(9), at(11), SHANGHAI),
        "chemical-1": "Acetone",
        "cas-1": "67-64-1",
        "amount-1": "2.5",
        "unit-1": "L",
        **more,
    }


def test_chemicals_are_declared_with_the_booking_and_shown_with_their_hazards(lab):
    answer = lab.send("ada", "/bookings/new", **form(), **{"hazard-1": ["hazardous", "drug_precursor_3"]})
    assert answer.status_code == 303
    (kept,) = chemicals_of(answer.location.rsplit("/", 1)[-1])
    assert (kept.name, kept.cas, str(kept.quantity.normalize()), kept.unit) == (
        "Acetone",
        "67-64-1",
        "2.5",
        "L",
    )
    assert kept.hazards == ["drug_precursor_3", "hazardous"]
    page = text_of(lab.get("ada", answer.location).text)
    assert "Acetone 67-64-1 · 2.5 L" in page
    assert "Class 3 drug precursor" in page


def test_a_wrong_cas_number_is_told_at_its_field_and_what_was_typed_stays(lab):
    answer = lab.send("ada", "/bookings/new", **form(**{"cas-1": "67-64-2"}), **{"hazard-1": "hazardous"})
    assert answer.status_code == 422
    assert '<a href="#cas-1">' in answer.text
    assert "check digit is wrong" in answer.text
    assert re.search(r'id="hazard-1-hazardous"[^>]*checked', answer.text)
    assert lab.count() == 0


def test_a_missing_permit_is_refused_with_the_reason_and_a_declared_hazard_asks_for_approval(lab):
    add_rule(lab, "permits", permit_for=["drug_precursor_3"])
    add_rule(lab, "Safety", approvers={"role": "manager"}, when=[{"condition": "hazardous"}])
    boxes = {"hazard-1": "drug_precursor_3"}
    refused = lab.send("ada", "/bookings/new", **form(), **boxes)
    assert refused.status_code == 409
    assert (
        "Acetone (Class 3 drug precursor) needs a permit here: give the permit&#39;s number." in refused.text
    )
    made = lab.send("ada", "/bookings/new", **form(**{"permit-1": "YZD-2026-7"}), **boxes)
    assert made.status_code == 303
    page = text_of(lab.get("tam", made.location).text)
    assert "Safety" in page
    assert "since: dangerous chemicals are declared" in page
    assert "Permit YZD-2026-7" in page
    assert "This request waits for you" in page


def test_a_later_declaration_asks_for_approval_and_taking_it_back_does_not(lab):
    add_rule(lab, "Safety", approvers={"role": "manager"}, when=[{"condition": "hazardous"}])
    booking = lab.book("ada", "SEM", at(9), at(11))
    path = f"/bookings/{booking}/chemicals"
    assert lab.get("ada", path).status_code == 200
    for name in ("ben", "cleo"):
        assert lab.get(name, path).status_code == 404
        assert lab.send(name, path, version="1").status_code == 404
    fields = {"chemical-1": "Acetone", "version": "1", "hazard-1": "hazardous"}
    assert lab.send("ada", path, **fields).status_code == 303
    assert lab.booking(booking).state is State.REQUESTED
    assert lab.send("ada", path, **fields).status_code == 412
    lab.send("tam", f"/bookings/{booking}/approval", version="2", comment="")
    assert lab.booking(booking).state is State.CONFIRMED
    version = str(lab.booking(booking).version)
    assert lab.send("ada", path, version=version).status_code == 303
    assert chemicals_of(booking) == []
    assert lab.booking(booking).state is State.CONFIRMED
    assert "Acetone" in text_of(
        lab.get("ada", f"/bookings/{booking}").text
    )  # the history tells what there was


def test_the_form_of_a_change_declares_chemicals_and_only_more_asks_anew(lab):
    rule = {"approvers": {"role": "manager"}, "when": [{"condition": "hazardous"}], "deadline_days": 2}
    add_rule(lab, "Safety", **rule)
    booking = lab.book("ada", "SEM", at(9), at(11))
    path = f"/bookings/{booking}/change"
    page = lab.get("ada", path).text
    assert 'name="declares" value="1"' in page
    same = {"version": "1", "instrument": "SEM", "quantity": "1", "shown": "1", "declares": "1"}
    span, acetone = typed(at(9), at(11)), {"chemical-1": "Acetone", "hazard-1": "hazardous"}
    shorter = typed(at(9), at(10))
    asks = "Free, but the facility has to approve it."
    live = {"part": "verdict", "declares": "1", "instrument": "SEM", "quantity": "1"}
    assert "Possible as you typed it." in lab.get("ada", path, **live, **shorter).text
    told = text_of(lab.get("ada", path, **live, **shorter, **acetone).text)
    assert asks in told
    assert "Safety (since: dangerous chemicals are declared)" in told
    assert "Managers of the facility · an answer within 2 working days" in told
    wrong = lab.send("ada", path, **same, **span, **acetone, **{"cas-1": "67-64-2"})
    assert (wrong.status_code, "Acetone" in wrong.text) == (422, True)
    lab.send("ada", path, **same, **shorter, **acetone)
    found = lab.booking(booking)
    assert (found.state, found.ends_at) == (State.REQUESTED, at(10))
    assert [one.name for one in chemicals_of(booking)] == ["Acetone"]
    lab.send("tam", f"/bookings/{booking}/approval", version=str(found.version))
    now = {**same, "version": str(lab.booking(booking).version)}
    assert 'value="Acetone"' in lab.get("ada", path).text
    lab.send("ada", path, **now, **typed(at(9), at(9, 30)), **acetone)
    assert lab.booking(booking).state is State.CONFIRMED, "what only shortens asks for nothing"
    kept = {**now, "version": str(lab.booking(booking).version)}
    del kept["declares"]
    lab.send("ada", path, **kept, **typed(at(9), at(9, 15)))
    assert chemicals_of(booking), "a form without chemicals leaves them as they are"
    lab.send("ada", path, **{**now, "version": str(lab.booking(booking).version)}, **typed(at(9), at(9, 15)))
    assert chemicals_of(booking) == []
    assert lab.booking(booking).state is State.CONFIRMED


def test_papers_are_added_from_the_page_of_a_change_which_comes_back(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    path = f"/bookings/{booking}/change"
    assert f'name="back" value="{path}"' in lab.get("ada", path).text
    sent = send_paper(lab, "ada", booking, back=path)
    assert sent.headers["Location"] == path
    assert "SDS &lt;acetone&gt;" in lab.get("ada", path).text
    away = send_paper(lab, "ada", booking, back="https://elsewhere.example.org/")
    assert away.headers["Location"] == f"/bookings/{booking}"


def test_a_paper_is_kept_and_given_out_as_a_file_that_nothing_runs(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    assert send_paper(lab, "ada", booking).status_code == 303
    page = lab.get("tam", f"/bookings/{booking}").text
    assert "SDS &lt;acetone&gt;" in page
    (path,) = re.findall(rf'href="(/bookings/{booking}/papers/[0-9a-f-]+)"', page)
    found = lab.get("tam", path)
    assert found.data == PDF
    assert found.headers["Content-Type"] == "application/pdf"
    assert found.headers["Content-Disposition"].startswith('attachment; filename="SDS -acetone-.pdf"')
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in found.headers["Content-Security-Policy"]
    for name in ("ben", "cleo"):
        assert lab.get(name, path).status_code == 404
        assert lab.send(name, f"{path}/removal").status_code == 404
        assert send_paper(lab, name, booking).status_code == 404
    lab.add_operator()
    assert lab.get("ben", path).status_code == 200
    assert lab.send("ben", f"{path}/removal").status_code == 403
    assert lab.send("tam", f"{path}/removal").status_code == 303
    assert lab.get("ada", path).status_code == 404
    assert "Paper removed: SDS" in text_of(lab.get("ada", f"/bookings/{booking}").text)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html><script>alert(1)</script>", "Only PDF, PNG, JPEG and plain text"),
        (b'<?xml version="1.0"?><svg onload="alert(1)"/>', "Only PDF, PNG, JPEG and plain text"),
        (b"\x00\x01\x02\x03", "Only PDF, PNG, JPEG and plain text"),
        (b"%PDF-" + b"x" * (10 * 1024 * 1024), "10 MB are allowed"),
        (b"", "This is needed"),
    ],
)
def test_what_is_no_paper_is_refused_whatever_its_name_says(lab, content, why):
    booking = lab.book("ada", "SEM", at(9), at(11))
    answer = send_paper(lab, "ada", booking, content, file="sds.pdf")
    assert answer.status_code == 422
    assert why in answer.text
    with db.reading() as session:
        assert session.scalars(select(BookingPaper)).all() == []


def test_a_permit_is_a_number_alone_and_papers_are_no_more_than_twenty(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    assert send_paper(lab, "ada", booking, None, kind="permit", number="").status_code == 422
    for _ in range(20):
        assert send_paper(lab, "ada", booking, None, kind="permit", number="YZD-1").status_code == 303
    refused = send_paper(lab, "ada", booking, None, kind="permit", number="YZD-1")
    assert refused.status_code == 409
    assert "A booking takes at most 20 papers." in refused.text


def test_only_the_address_of_papers_takes_so_much(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    large = "x" * (2 * 1024 * 1024)
    assert lab.send("ada", f"/bookings/{booking}/cancellation", reason=large).status_code == 413
    assert send_paper(lab, "ada", booking, b"%PDF-" + b"x" * (12 * 1024 * 1024)).status_code == 413
