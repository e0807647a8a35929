"""Repairs after an outage by the pages: looked for, chosen, proposed, answered by page and by link; and agreed to."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select, update

from booking import db
from booking.domain.lifecycle import State
from booking.domain.one_time import address
from booking.domain.replanning import IfSilent, ProposalState, ReplanState
from booking.domain.resolution.problem import SLOT
from booking.services import bookings, solver_runs
from models import OneTimeLink, Person, PersonState, Proposal, Replan, RunState, SolverRun, WaitlistEntry
from tests import cast
from tests.web import browsing
from tests.web.lab import Lab, at, text_of, typed


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def begun(lab: Lab, start: datetime | None = None, end: datetime | None = None) -> str:
    """Close SEM at once and have other places looked for; give the address of the page."""
    span = typed(start or at(8), end or at(12))
    more = {
        "facility": "LAB",
        "instrument": "SEM",
        "kind": "breakdown",
        "way": "at_once",
        "reason": "Vacuum pump",
    }
    lab.send("tam", "/closures/new", **span, **more)
    page = lab.get("tam", "/closures").text
    answer = lab.send("tam", re.search(r'action="(/closures/[^"]+/replan)"', page)[1])
    assert answer.status_code == 303
    return answer.headers["Location"]


def repaired(lab: Lab, *repairs: dict[UUID, datetime | None]) -> None:
    """End the run that waits with these repairs: each booking at another time, or, by None, nowhere."""
    with db.transaction() as session:
        run = solver_runs.take_up(session, now=datetime.now(UTC))
        start = datetime.fromisoformat(run.names["start"])
        found = [
            {
                "kind": "least" if number == 0 else "next_best",
                "cost": 100 + number,
                "bound": 100,
                "changes": [
                    {
                        "wish": run.names["bookings"].index(str(booking_id)),
                        "hit": True,
                        "after": None
                        if to is None
                        else [[run.names["lanes"].index(lab.places["SEM"]), (to - start) // SLOT]],
                        "cost": 100,
                        "slots": 4,
                    }
                    for booking_id, to in repair.items()
                ],
            }
            for number, repair in enumerate(repairs)
        ]
        result = {"repairs": found, "objective": 100, "bound": 100}
        solver_runs.end(session, run_id=run.id, result=result, now=datetime.now(UTC))


def send(lab: Lab, where: str, repair: int = 0, version: str = "1", name: str = "tam"):
    return lab.send(name, f"{where}/proposals", repair=str(repair), version=version)


def proposed(lab: Lab, to: datetime | None, name: str = "ada") -> tuple[str, UUID]:
    """Have another time for a booking of Ada's proposed to her; give the address of the answer, and the booking."""
    booking = lab.book(name, "SEM", at(9), at(11))
    where = begun(lab)
    repaired(lab, {booking: to})
    assert send(lab, where).status_code == 303
    return f"/proposals/{proposal().id}", booking


def proposal() -> Proposal:
    with db.reading() as session:
        return session.scalars(select(Proposal)).one()


def replan() -> Replan:
    with db.reading() as session:
        return session.scalars(select(Replan)).one()


# --- looking for repairs --------------------------------------------------------------------------


def test_from_the_outage_to_the_people(lab):
    ada, cleo = lab.book("ada", "SEM", at(8), at(9)), lab.book("cleo", "SEM", at(9), at(11))
    where = begun(lab)
    assert "Find other places for them" not in lab.get("tam", "/closures").text
    assert f'href="{where}"' in lab.get("tam", "/closures").text
    page = lab.get("tam", where).text
    assert f'data-progress="{where}?part=progress"' in page
    assert "Starting" in lab.get("tam", where, part="progress").text
    assert "To be chosen" in text_of(lab.get("tam", "/desk").text)
    repaired(lab, {ada: at(13), cleo: at(14)}, {ada: at(15), cleo: None})
    assert "data-running" not in lab.get("tam", where, part="progress").text
    said = text_of(lab.get("tam", where).text)
    for words in (
        "Microscope",
        "Vacuum pump",
        "1. Least disturbance Get another place 2 Without a place 0 Neighbours make room 0 Disturbance 100 points",
        "2. Next best Get another place 1 Without a place 1",
        "13:00 – 14:00",
        "No place",
        "no repair can cost less than 100",
    ):
        assert words in said
    assert send(lab, where, 1).status_code == 303
    said = text_of(lab.get("tam", where).text)
    for words in ("2 people are asked.", "0 of 2 answered", "15:00 – 16:00", "Waits for an answer"):
        assert words in said
    assert "0 of 2 answered" in text_of(lab.get("tam", "/desk").text)
    again = send(lab, where, 0, "2")
    assert again.status_code == 409
    assert "The people concerned have been asked already." in again.text
    with db.reading() as session:
        mine = session.scalars(select(Proposal.id).where(Proposal.booking_id == ada)).one()
    assert lab.send("ada", f"/proposals/{mine}", answer="accept").status_code == 303
    said = text_of(lab.get("tam", "/desk").text)
    assert "Other places for what is displaced" in said
    assert "1 of 2 answered" in said
    withdrawn = lab.send("tam", f"{where}/withdrawal")
    assert withdrawn.status_code == 303
    assert (
        "Taken back. Those who had not answered keep their bookings as they are."
        in lab.get("tam", where).text
    )
    # Settled, it is no longer under way; the closure still leads to it.
    page = lab.get("tam", "/desk").text
    assert "Other places for what is displaced" not in text_of(page)
    assert page.count(f'href="{where}"') == 1
    assert [lab.booking(ada).starts_at, lab.booking(cleo).starts_at] == [at(15), at(9)]


def test_what_nobody_can_put_elsewhere_is_said(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    where = begun(lab)
    closure = replan().closure_id
    with db.transaction() as session:
        ada = cast.actor_of(session, cast.ada(session))
        bookings.cancel(session, actor=ada, booking_id=booking, now=datetime.now(UTC))
    answer = lab.send("tam", f"/closures/{closure}/replan")
    assert answer.headers["Location"] == "/closures"
    assert "This closure meets no booking." in lab.get("tam", "/closures").text
    assert lab.send("tam", f"{where}/stop").status_code == 303
    assert "Nothing needs another place." in lab.get("tam", where).text
    assert lab.send("tam", f"/closures/{uuid4()}/replan").status_code == 404


def test_what_is_open_again_needs_no_repair(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    where = begun(lab)
    repaired(lab, {booking: at(13)})
    assert lab.send("tam", f"/closures/{replan().closure_id}/lifting").status_code == 303
    page = lab.get("tam", where).text
    assert "Nothing needs another place." in page
    assert "Ask these people" not in page
    assert send(lab, where, version="2").status_code == 409
    assert where not in lab.get("tam", "/desk").text


def test_a_repair_that_the_calendar_has_overtaken_is_looked_for_anew(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    where = begun(lab)
    repaired(lab, {booking: at(13)})
    assert send(lab, where, 7).status_code == 409
    assert send(lab, where, version="9").status_code == 412
    with db.transaction() as session:
        ada = cast.actor_of(session, cast.ada(session))
        bookings.cancel(session, actor=ada, booking_id=booking, now=datetime.now(UTC))
    answer = send(lab, where)
    assert answer.status_code == 409
    assert "1 booking has changed since these repairs were looked for. Look for them again." in answer.text
    assert replan().state is ReplanState.OPEN


def test_a_search_that_failed_says_so_and_begins_again(lab):
    lab.book("ada", "SEM", at(9), at(11))
    where = begun(lab)
    with db.transaction() as session:
        run = solver_runs.take_up(session, now=datetime.now(UTC))
        solver_runs.fail(session, run_id=run.id, error="lost", now=datetime.now(UTC))
    page = lab.get("tam", where).text
    assert "the search came to a fault. Look again." in page
    again = re.search(r'action="(/replans/[^"]+/search)"', page)[1]
    assert lab.send("tam", again).headers["Location"] == where
    with db.reading() as session:
        states = set(session.scalars(select(SolverRun.state)))
    assert states == {RunState.FAILED, RunState.QUEUED}
    assert "data-running" in lab.get("tam", where).text


def test_the_staff_look_on_and_only_the_manager_asks(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    where = begun(lab)
    repaired(lab, {booking: at(13)})
    lab.add_operator()
    page = lab.get("ben", where)
    assert page.status_code == 200
    assert "Ask these people" not in page.text
    for name, status in (("ben", {403}), ("ada", {403}), ("cleo", {403})):
        assert send(lab, where, name=name).status_code in status
        assert lab.send(name, f"{where}/withdrawal").status_code in status
        assert lab.send(name, f"{where}/stop").status_code in status
        assert lab.send(name, f"/closures/{replan().closure_id}/replan").status_code in status
    assert lab.get("ada", where).status_code == 403
    assert lab.get("tam", f"/replans/{uuid4()}").status_code == 404


# --- answering ------------------------------------------------------------------------------------


def test_what_is_proposed_is_met_everywhere_and_taken(lab):
    where, booking = proposed(lab, at(13))
    assert "1 booking is displaced, and another place is proposed to you" in lab.get("ada", "/").text
    assert "is proposed to you" not in lab.get("cleo", "/").text
    for path in ("/bookings", f"/bookings/{booking}"):
        assert f'href="{where}"' in lab.get("ada", path).text
    said = text_of(lab.get("ada", where).text)
    for words in ("09:00 – 11:00", "13:00 – 15:00", "The place is held for you until", "stays as it is"):
        assert words in said
    answer = lab.send("ada", where, answer="accept")
    assert answer.headers["Location"] == f"/bookings/{booking}"
    assert "Moved. The new time is yours." in lab.get("ada", f"/bookings/{booking}").text
    assert lab.booking(booking).starts_at == at(13)
    assert "Moved" in text_of(lab.get("ada", where).text)
    assert f'href="{where}"' not in lab.get("ada", "/bookings").text
    late = lab.send("ada", where, answer="cancel")
    assert late.status_code == 409
    assert "You have taken the proposed time already." in late.text


@pytest.mark.parametrize(
    ("said", "words", "waits"),
    [("cancel", "nothing is counted against you", 0), ("wait", "you wait in line for another time", 1)],
)
def test_a_displaced_booking_is_given_up(lab, said, words, waits):
    where, booking = proposed(lab, at(13))
    lab.send("ada", where, answer=said)
    assert words in lab.get("ada", f"/bookings/{booking}").text
    assert lab.booking(booking).state is State.CANCELLED
    with db.reading() as session:
        assert len(session.scalars(select(WaitlistEntry)).all()) == waits


def test_where_there_is_no_place_none_can_be_taken(lab):
    where, booking = proposed(lab, None)
    page = lab.get("ada", where).text
    assert "No other time near it was found." in page
    assert 'value="accept"' not in page
    assert "Your booking is displaced" in lab.get("ada", "/bookings").text
    refused = lab.send("ada", where, answer="accept")
    assert refused.status_code == 409
    assert "No other time was found for this booking." in refused.text
    assert lab.booking(booking).state is State.CONFIRMED


def test_nobody_else_answers_and_nothing_else_is_said(lab):
    where, _booking = proposed(lab, at(13))
    for name in ("ben", "cleo", "tam"):
        assert lab.get(name, where).status_code == 404
        assert lab.send(name, where, answer="accept").status_code == 404
    assert lab.app.test_client().get(where).headers["Location"].startswith("/sign-in")
    assert lab.send("ada", where, answer="perhaps").status_code == 422
    assert lab.send("ada", f"/proposals/{uuid4()}", answer="accept").status_code == 404
    assert proposal().state is ProposalState.OPEN


def test_what_is_taken_back_or_too_late_is_told(lab):
    where, _booking = proposed(lab, at(13))
    lab.send("tam", f"/replans/{replan().id}/withdrawal")
    assert "Taken back" in text_of(lab.get("ada", where).text)
    late = lab.send("ada", where, answer="accept")
    assert (late.status_code, "The facility took this proposal back." in late.text) == (409, True)


def test_the_answer_chosen_in_the_letter_comes_first_and_giving_up_says_what_is_not_charged(lab):
    where, _booking = proposed(lab, at(13))
    for chosen in ("accept", "wait", "cancel"):
        page = lab.get("ada", where, answer=chosen).text
        assert re.findall(r'name="answer" value="(\w+)"', page)[0] == chosen
        assert "the estimated ¥700.00 are not charged" in text_of(page)
    assert proposal().state is ProposalState.OPEN


def test_what_is_moved_keeps_its_old_time_in_sight(lab):
    where, _booking = proposed(lab, at(13))
    lab.send("ada", where, answer="accept")
    page = text_of(lab.get("tam", f"/replans/{replan().id}").text)
    assert "09:00 – 11:00" in page
    assert "13:00 – 15:00" in page
    assert "09:00 – 11:00" in text_of(lab.get("ada", where).text)


# --- by the link of the letter --------------------------------------------------------------------


def link(lab: Lab) -> str:
    with db.reading() as session:
        row = session.scalars(select(OneTimeLink)).one()
    return address("", "answer_proposal", lab.app.config["SECRET_KEY"], row.id)


def open_link(lab: Lab, where: str, **sent: Any):
    client, headers = lab.app.test_client(), {"Accept-Language": "en"}
    if not sent:
        return client.get(where, headers=headers)
    return client.post(where, data={"csrf_token": browsing.csrf_token(client), **sent}, headers=headers)


def test_the_link_of_the_letter_answers_without_signing_in(lab):
    with db.transaction() as session:
        cast.ada(session).locale = "zh_Hans_CN"
    _page, booking = proposed(lab, at(13))
    where = link(lab)
    page = open_link(lab, where)
    assert '<html lang="zh' in page.text
    assert f'action="{where}"' in page.text
    assert lab.booking(booking).starts_at == at(9)
    for _ in range(2):
        done = open_link(lab, where, answer="accept")
        assert (done.status_code, '<html lang="zh' in done.text) == (200, True)
        assert 'class="notice success"' in done.text
    assert lab.booking(booking).starts_at == at(13)
    assert open_link(lab, where, answer="cancel").status_code == 409
    assert 'value="accept"' not in open_link(lab, where).text


def test_a_link_that_is_wrong_or_long_over_leads_nowhere(lab):
    proposed(lab, at(13))
    where = link(lab)
    for wrong in (
        where[:-1] + ("A" if where[-1] != "A" else "B"),
        f"/proposals/{uuid4()}/{where.split('/')[-1]}",
    ):
        assert open_link(lab, wrong).status_code == 404
        assert open_link(lab, wrong, answer="accept").status_code == 404
    assert open_link(lab, where, answer="perhaps").status_code == 422
    with db.transaction() as session:
        session.execute(update(OneTimeLink).values(expires_at=datetime.now(UTC) - timedelta(days=6)))
        session.execute(update(Proposal).values(deadline=datetime.now(UTC) - timedelta(days=6)))
    over = open_link(lab, where, answer="accept")
    assert (over.status_code, "The time to answer is over." in over.text) == (409, True)
    with db.transaction() as session:
        session.execute(update(OneTimeLink).values(expires_at=datetime.now(UTC) - timedelta(days=8)))
    assert "This link no longer works" in open_link(lab, where).text
    assert "This link no longer works" in open_link(lab, where, answer="accept").text
    assert proposal().state is ProposalState.OPEN


def test_the_link_of_somebody_who_may_not_sign_in_is_no_link(lab):
    proposed(lab, at(13))
    with db.transaction() as session:
        session.get_one(Person, lab.people["ada"]).state = PersonState.DISABLED
    assert open_link(lab, link(lab), answer="accept").status_code == 404


# --- what is agreed to beforehand -----------------------------------------------------------------


def test_what_silence_means_is_agreed_on_the_page_of_the_booking(lab):
    booking = lab.book("ada", "SEM", at(9), at(11))
    where = f"/bookings/{booking}"
    page = lab.get("ada", where).text
    assert f'action="{where}/agreement"' in page
    assert re.search(r'value="stay" checked', page)
    assert lab.send("ada", f"{where}/agreement", if_silent="wait", may_move="1").status_code == 303
    assert "Kept." in (page := lab.get("ada", where).text)
    assert re.search(r'value="wait" checked', page)
    row = lab.booking(booking)
    assert (row.if_silent, row.may_move) == (IfSilent.WAIT, True)
    day = at(9).date()
    kept = {"if_silent": "wait", "may_move": "1"}
    assert lab.send("ada", f"{where}/agreement", needed_by=day.isoformat(), **kept).status_code == 303
    assert f'name="needed_by" value="{day}"' in lab.get("ada", where).text
    assert lab.send("ada", f"{where}/agreement", needed_by="soon", **kept).status_code == 422
    assert lab.booking(booking).needed_by == day
    lab.send("ada", f"{where}/agreement", needed_by="", **kept)
    assert lab.booking(booking).needed_by is None
    assert lab.send("ada", f"{where}/agreement", if_silent="shout").status_code == 422
    assert lab.send("cleo", f"{where}/agreement", if_silent="cancel").status_code == 404
    assert f'action="{where}/agreement"' not in lab.get("tam", where).text
    begun(lab)
    repaired(lab, {booking: at(13)})
    send(lab, f"/replans/{replan().id}")
    assert (
        "the booking is cancelled and you wait in line, as you agreed"
        in lab.get("ada", f"/proposals/{proposal().id}").text
    )


def test_the_form_of_a_booking_asks_by_which_day_it_is_needed(lab):
    day = at(9).date()
    wish = {"instrument": "SEM", "quantity": "1", **typed(at(9), at(11))}
    wrong = lab.send("ada", "/bookings/new", needed_by="soon", **wish)
    assert (wrong.status_code, "Needed by" in wrong.text) == (422, True)
    made = lab.send("ada", "/bookings/new", needed_by=day.isoformat(), **wish)
    booking = made.headers["Location"].split("/bookings/")[1].split("?")[0]
    assert lab.booking(booking).needed_by == day


def test_a_place_after_the_day_by_which_it_is_needed_is_marked(lab):
    booking = lab.book("ada", "SEM", at(9), at(11), needed_by=at(9).date())
    where = begun(lab)
    repaired(lab, {booking: at(9, days=9)})
    assert "after the day by which it is needed" in lab.get("tam", where).text
    send(lab, where)
    assert "after the day by which it is needed" in lab.get("tam", where).text
