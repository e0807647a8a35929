"""Steps of approval are asked for on a page, and decided from a letter; a colleague decides meanwhile."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.domain import one_time
from booking.domain.lifecycle import State
from booking.gateways import logs
from booking.services import approval_steps, decision_links
from models import OneTimeLink, Person, Rule
from tests.web.lab import Lab, at, text_of, value_of

KEY = "a key for tests, and for tests alone"
RULES = "/approvals/rules/facility/LAB"


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def link_of(lab: Lab, name: str) -> str:
    """Make the links as the jobs do, and give the address in somebody's letter."""
    with db.transaction() as session:
        decision_links.write(session, key=KEY, now=datetime.now(UTC))
    with db.reading() as session:
        query = select(OneTimeLink.id).where(OneTimeLink.person_id == lab.people[name])
        link_id = session.scalars(query).one()
    return one_time.address("", "decide_step", KEY, link_id)


def reader(lab: Lab):
    """Give a browser in which nobody is signed in and that wants English."""
    client = lab.app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "en"
    return client


def send(lab: Lab, path: str, **fields: str):
    """Send the form of a page as somebody who is not signed in."""
    client = reader(lab)
    page = client.get(path).text
    return client.post(path, data={"csrf_token": value_of(page, "csrf_token"), **fields}), client


def test_a_manager_asks_for_a_step_in_words_and_ends_it(lab):
    for name in ("ada", "cleo"):
        assert lab.get(name, RULES).status_code == 403
        assert lab.send(name, RULES, name="Safety").status_code == 403
    sent = {
        "name": "Safety",
        "who": "people",
        "people": "cleo@example.org",
        "need": "all",
        "when": ["hazardous", "over_minutes"],
        "minutes": "8",
        "deadline_days": "3",
        "on_silence": "escalate",
        "escalate_who": "manager",
        "permit_for": "highly_toxic",
    }
    assert lab.send("tam", RULES, **sent).status_code == 303
    page = text_of(lab.get("tam", RULES).text)
    assert (
        "Safety all of: Cleo · asked for: dangerous chemicals are declared, longer than 8 h · "
        "a permit's number is wanted for: Highly toxic chemical · due after 3 working days · "
        "silence is taken to others · then: Managers of the facility"
    ) in page
    booking = lab.book("ada", "SEM", at(9), at(19))
    assert lab.booking(booking).state is State.REQUESTED
    with db.reading() as session:
        rule = session.scalars(select(Rule.id)).one()
    assert lab.send("tam", f"/approvals/rules/{rule}/end").status_code == 303
    assert lab.booking(lab.book("ada", "SEM2", at(9), at(19))).state is State.CONFIRMED
    assert lab.booking(booking).state is State.REQUESTED


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": ""}, "name"),
        ({"who": "people", "people": ""}, "people"),
        ({"who": "people", "people": "nobody@example.org"}, "people"),
        ({"when": "over_minutes", "minutes": ""}, "minutes"),
        ({"when": "outside_hours", "opens": "18:00", "closes": "8:00"}, "when"),
        ({"on_silence": "approve"}, "deadline_days"),
        ({"who": "nobody"}, "who"),
        ({"valid_from": "2020-01-01"}, "valid_from"),
    ],
)
def test_a_rule_that_makes_no_sense_is_told_at_its_field(lab, sent, field):
    answer = lab.send("tam", RULES, **{"name": "Safety", "who": "manager", **sent})
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    with db.reading() as session:
        assert session.scalars(select(Rule)).all() == []


def test_the_letter_leads_to_a_page_that_decides_only_when_asked(lab):
    lab.send("tam", RULES, name="Safety", who="manager", need="all")
    booking = lab.book("ada", "SEM", at(9), at(11), purpose="Nitride <film>")
    path = link_of(lab, "tam")
    visitor = reader(lab)
    page = visitor.get(path)
    assert page.status_code == 200
    assert "Nitride &lt;film&gt;" in page.text
    assert "ada@example.org" not in page.text
    assert visitor.get(f"{path}?decision=approve").status_code == 200
    assert lab.booking(booking).state is State.REQUESTED
    assert visitor.get("/bookings").status_code == 303  # the link signs nobody in
    answer, client = send(lab, path, decision="reject", comment="", version="1")
    assert answer.status_code == 422
    assert "Say why" in answer.text
    answer, client = send(lab, path, decision="approve", comment="fine", version="1")
    assert answer.status_code == 303
    assert lab.booking(booking).state is State.CONFIRMED
    said = text_of(client.get(path).text)
    assert "You have answered by this link, which works once. The booking is “Confirmed”." in said
    assert "Nitride" not in said
    replay = client.post(
        path, data={"csrf_token": _token(client), "decision": "reject", "comment": "x", "version": "2"}
    )
    assert replay.status_code == 410
    assert lab.booking(booking).state is State.CONFIRMED
    assert visitor.get(path[:-1]).status_code == 404


def test_the_page_of_a_link_speaks_as_its_letter_does_and_not_as_the_browser(lab):
    with db.transaction() as session:
        session.get_one(Person, lab.people["tam"]).locale = "zh_Hans_CN"
    lab.book("ada", "PECVD", at(9), at(11))
    path = link_of(lab, "tam")
    page = reader(lab).get(path).text
    assert '<html lang="zh-Hans-CN"' in page
    assert "批准" in page
    answer, client = send(lab, path, decision="reject", comment="", version="1")
    assert "Say why" not in answer.text
    assert '<html lang="en"' in lab.get("ada", path).text  # who is signed in reads their own language
    answer, client = send(lab, path, decision="approve", comment="", version="1")
    assert "您的决定已记录" in client.get(path).text
    client.set_cookie("yiqi_locale", "en")  # chosen by hand in this very browser
    assert '<html lang="en"' in client.get(path).text


def _token(client) -> str:
    return value_of(client.get("/sign-in").text, "csrf_token")


def test_what_was_changed_after_the_letter_is_looked_at_again(lab):
    booking = lab.book("ada", "PECVD", at(9), at(11))
    path = link_of(lab, "tam")
    lab.send("root", f"/bookings/{booking}/rejection", version="1", comment="No gas")
    answer, _client = send_blind(lab, path)
    assert answer.status_code == 409
    assert "Your answer is not needed any more. The booking is “Rejected”." in text_of(answer.text)


def send_blind(lab: Lab, path: str):
    client = reader(lab)
    fields = {"csrf_token": _token(client), "decision": "approve", "comment": "", "version": ""}
    return client.post(path, data=fields), client


def test_the_secret_of_a_link_is_not_for_the_log(lab, caplog):
    lab.book("ada", "PECVD", at(9), at(11))
    path = link_of(lab, "tam")
    assert path.rsplit("/", 1)[1] not in logs.masked(f"GET {path}")


def test_a_colleague_decides_while_one_is_away(lab):
    lab.add_operator()
    booking = lab.book("ada", "PECVD", at(9), at(11))
    assert lab.get("ben", "/approvals").status_code == 403
    page = lab.get("tam", "/absences").text
    assert "ben@example.org" in page
    assert "cleo@example.org" not in page
    today = datetime.now(UTC).date()
    days = {"from": str(today - timedelta(days=1)), "until": str(today + timedelta(days=2))}
    refused = lab.send("tam", "/absences", delegate="cleo@example.org", **days)
    assert refused.status_code == 422
    backwards = lab.send(
        "tam", "/absences", delegate="ben@example.org", **{"from": days["until"], "until": days["from"]}
    )
    assert backwards.status_code == 422
    assert lab.send("tam", "/absences", delegate="ben@example.org", **days).status_code == 303
    inbox = text_of(lab.get("ben", "/approvals").text)
    assert "1 request waits for you" in inbox
    assert "for Tam" in inbox
    answer = lab.send("ben", f"/bookings/{booking}/approval", version="1", comment="")
    assert answer.status_code == 303
    assert "Yes to: Approval by the facility, for Tam" in text_of(lab.get("ada", f"/bookings/{booking}").text)
    (end,) = re.findall(r'action="(/absences/[0-9a-f-]+/end)"', lab.get("tam", "/absences").text)
    assert lab.send("ben", end).status_code == 404
    assert lab.send("tam", end).status_code == 303
    assert "Nobody. What waits for you waits" in text_of(lab.get("tam", "/absences").text)


def test_the_inbox_puts_in_order_and_shows_each_step(lab):
    lab.send(
        "tam", RULES, name="Safety", who="manager", deadline_days="2", when=["over_minutes"], minutes="1"
    )
    late = lab.book("ada", "SEM", at(9, days=9), at(11, days=9))
    soon = lab.book("ben", "PECVD", at(9, days=8), at(10, days=8))
    page = lab.get("tam", "/approvals").text
    assert page.index(f"request-{soon}") < page.index(f"request-{late}")
    page = lab.get("tam", "/approvals", order="due", facility="LAB").text
    assert page.index(f"request-{late}") < page.index(f"request-{soon}")
    said = text_of(page)
    assert "since: longer than 1 h" in said
    assert "due " in said
    with db.reading() as session:
        steps = approval_steps.current(session, booking_ids=[late])[late]
    assert [step.name for step in steps] == ["Safety"]
    assert lab.get("tam", "/approvals", order="nonsense", facility="nowhere").status_code == 200
