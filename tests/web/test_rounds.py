"""Rounds by the pages: opened, wished for, run, settled by hand, confirmed; and the ways that lead there."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from booking import db
from booking.config import Settings
from booking.domain.resolution.problem import SLOT
from booking.domain.rounds import PinKind, RoundState, WishState
from booking.jobs import resolve
from booking.services import solver_runs
from models import Round, RoundPin, RoundWish, RoundWishStep, RunState, SolverRun
from tests.web.lab import Lab, at, local, text_of, value_of
from tests.web.test_desk import statements

AHEAD = 10
"""The round begins so many days from now."""

FIRST = local(at(0, days=AHEAD))[:10]


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def day(ahead: int) -> str:
    return local(at(0, days=ahead))[:10]


def terms(**more: str) -> dict[str, str]:
    return {
        "facility": "LAB",
        "name": "Spring",
        "first_day": FIRST,
        "last_day": day(AHEAD + 6),
        "opens_date": day(0),
        "opens_time": "00:00",
        "closes_date": day(2),
        "closes_time": "17:00",
        "reserve": "0",
        **more,
    }


def opened(lab: Lab, **more: str) -> str:
    """Open a round; give the address of its page."""
    answer = lab.send("tam", "/rounds/new", **terms(**more))
    assert answer.status_code == 303, text_of(answer.text)
    return answer.headers["Location"]


def wish(lab: Lab, where: str, name: str = "ada", **more: Any):
    asked = {"instrument": "SEM", "length": "2", "unit": "hours", "first": FIRST, "last": FIRST, **more}
    return lab.send(name, f"{where}/wishes/new", keep_waiting="1", **asked)


def row_of(where: str) -> Round:
    with db.reading() as session:
        return session.get_one(Round, UUID(where.rpartition("/")[2]))


def wishes() -> list[RoundWish]:
    with db.reading() as session:
        return list(session.scalars(select(RoundWish).order_by(RoundWish.submitted_at)))


def runs() -> list[SolverRun]:
    with db.reading() as session:
        return list(session.scalars(select(SolverRun).order_by(SolverRun.asked_at)))


def act(lab: Lab, where: str, action: str, name: str = "tam"):
    return lab.send(name, f"{where}/action", action=action)


def solved(*hours: float | None, why: Sequence[dict[str, Any]] = (), days: int = AHEAD) -> SolverRun:
    """End the run that waits with each wish at an hour of the first day, or, by None, nowhere for these reasons."""
    with db.transaction() as session:
        run = solver_runs.take_up(session, now=datetime.now(UTC))
        assert run is not None
        start = datetime.fromisoformat(run.names["start"])
        placed = {
            str(run.names["wishes"].index(str(one.id))): [
                [0, (at(0, days=days) + hour * timedelta(hours=1) - start) // SLOT]
            ]
            for one, hour in zip(wishes(), hours, strict=True)
            if hour is not None
        }
        left = {str(n): list(why) for n in range(len(run.names["wishes"])) if str(n) not in placed}
        result = {"plan": placed, "objective": 900, "bound": 1000, "missing": [0], "reasons": left}
        return solver_runs.end(session, run_id=run.id, result=result, now=datetime.now(UTC))


def published(lab: Lab, where: str, *hours: float | None, **more: Any) -> SolverRun:
    act(lab, where, "close")
    run = solved(*hours, **more)
    assert lab.send("tam", f"{where}/draft", run=str(run.id)).status_code == 303
    return run


FULL = {"code": "full", "classes": {"4": 1}}


# --- opening --------------------------------------------------------------------------------------


def test_a_round_is_opened_and_tells_what_it_promises(lab):
    page = lab.get("tam", "/rounds/new").text
    assert value_of(page, "reserve") == "3"
    assert value_of(page, "first_day") > value_of(page, "closes_date")
    promise = {"kind_2": "enterprise", "floor_2": "8.5", "subsidy_2": "30", "category_2": "0101"}
    where = opened(lab, note="Cold days first", cap="60", budget="5000.50", reserve="5", **promise)
    said = text_of(lab.get("cleo", where).text)
    for words in (
        "Spring",
        "Takes wishes",
        "Cold days first",
        "At least 8.5 h for enterprises 0101 · 30% of the price paid from the budget",
        "No organisation gets more than 2 days 12 h",
        "Subsidies up to ¥5,000.50",
        "5% of each week's open time stays free",
        "You have no wish in this round",
    ):
        assert words in said
    assert "The board" not in said


BAD = {
    "no name": ({"name": " "}, "name"),
    "a novel": ({"note": "x" * 2001}, "note"),
    "backwards": ({"last_day": day(AHEAD - 1)}, "last_day"),
    "half a year": ({"last_day": day(AHEAD + 180)}, "last_day"),
    "no day": ({"first_day": ""}, "first_day"),
    "closes in its days": ({"closes_date": day(AHEAD + 1)}, "closes_date"),
    "closes before it opens": ({"opens_date": day(3)}, "closes_date"),
    "half of it kept": ({"reserve": "51"}, "reserve"),
    "words for hours": ({"cap": "many"}, "cap"),
    "a minute for all": ({"cap": "0.1"}, "cap"),
    "tenths of a fen": ({"budget": "1.001"}, "budget"),
    "more digits than there are": ({"budget": "1e400"}, "budget"),
    "a debt": ({"budget": "-5"}, "budget"),
    "an hour beyond price": ({"floor_points": "100001"}, "floor_points"),
    "second choices for a song": ({"rank_percent": "21"}, "rank_percent"),
    "hours for nobody": ({"floor_3": "8"}, "kind_3"),
    "no such kind": ({"kind_1": "party"}, "kind_1"),
    "two promises in one": ({"kind_1": "company", "floor_1": "8", "annual_1": "80"}, "kind_1"),
    "twice the price": ({"kind_1": "enterprise", "subsidy_1": "200"}, "subsidy_1"),
    "the same twice": ({"kind_1": "enterprise", "kind_2": "enterprise"}, "kind_1"),
}


@pytest.mark.parametrize("name", BAD)
def test_terms_that_make_no_sense_are_told_at_their_field(lab, name):
    changed, field = BAD[name]
    answer = lab.send("tam", "/rounds/new", **terms(**changed))
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert re.search(rf'id="{field}"', answer.text)
    assert value_of(answer.text, "last_day") == changed.get("last_day", day(AHEAD + 6))
    with db.reading() as session:
        assert session.scalars(select(Round)).all() == []


def test_terms_are_changed_until_a_draft_is_published(lab):
    where = opened(lab, cap="60")
    page = lab.get("tam", f"{where}/change").text
    assert (value_of(page, "name"), value_of(page, "cap"), value_of(page, "version")) == ("Spring", "60", "1")
    assert lab.send("tam", f"{where}/change", **terms(name="Summer", version="1")).status_code == 303
    assert (row_of(where).name, row_of(where).cap_minutes) == ("Summer", None)
    late = lab.send("tam", f"{where}/change", **terms(name="Autumn", version="1"))
    assert late.status_code == 412
    assert "This has changed meanwhile" in late.text
    assert (value_of(late.text, "name"), value_of(late.text, "version")) == ("Autumn", "2")
    assert lab.send("tam", f"{where}/change", **terms(name="", version="2")).status_code == 422
    page = lab.get("tam", f"{where}/change").text
    assert (value_of(page, "floor_points"), value_of(page, "fair_percent")) == ("1000", "25")
    weighed = {"floor_points": "2500", "fair_percent": "100", "version": "2"}
    assert lab.send("tam", f"{where}/change", **terms(**weighed)).status_code == 303
    assert value_of(lab.get("tam", f"{where}/change").text, "floor_points") == "2500"
    wish(lab, where)
    published(lab, where, 9)
    board = text_of(lab.get("tam", where).text)
    assert "Each hour that a promise misses costs 2,500 points." in board
    assert "Each priority counts 2 times the one below." in board
    assert "Past use does not count." in board
    settled = lab.send("tam", f"{where}/change", **terms(name="Winter"))
    assert settled.status_code == 409
    assert "The draft of this round is published; take it back first." in settled.text
    assert value_of(settled.text, "name") == "Winter"


def test_only_its_manager_keeps_a_round(lab):
    where = opened(lab)
    wish(lab, where)
    [one] = wishes()
    lab.add_operator()
    for name in ("ada", "ben", "cleo"):
        assert lab.get(name, "/rounds/new").status_code == 403
        assert lab.send(name, "/rounds/new", **terms()).status_code == 403
        assert lab.get(name, f"{where}/change").status_code == 403
        for deed, typed in (
            ("action", {"action": "cancel"}),
            ("runs", {"seconds": "5"}),
            ("draft", {"run": str(uuid4())}),
            ("confirmation", {}),
        ):
            assert lab.send(name, f"{where}/{deed}", **typed).status_code == 403, (name, deed)
        assert lab.send(name, f"/wishes/{one.id}/settlement", deed="unpin").status_code in {403, 404}
        assert "The board" not in lab.get(name, where).text
    assert lab.get("tam", "/rounds/new", facility="FAR").status_code == 404
    assert lab.app.test_client().get(where).headers["Location"].startswith("/sign-in")
    assert lab.get("ada", f"/rounds/{uuid4()}").status_code == 404
    assert row_of(where).state is RoundState.OPEN


# --- wishing --------------------------------------------------------------------------------------


def test_a_wish_is_sent_seen_by_few_and_taken_back(lab):
    where = opened(lab)
    page = lab.get("ada", f"{where}/wishes/new", instrument="SEM").text
    assert re.search(r'value="SEM"[^>]* checked', page)
    assert "Unpublished" not in page
    project = str(lab.project_id)
    more = {"instrument": ["SEM", "SEM2"], "length": "1", "unit": "days", "last": day(AHEAD + 1)}
    assert wish(lab, where, purpose="Grain size", project=project, **more).status_code == 303
    said = text_of(lab.get("ada", where).text)
    for words in ("Your wish is in.", "Microscope, Second microscope", "1 day", "Grain size", "Waiting"):
        assert words in said
    assert "Grain size" in text_of(lab.get("tam", where).text)
    assert "Grain size" not in lab.get("cleo", where).text
    assert wish(lab, where, "cleo", project=project).status_code == 404
    [one] = wishes()
    assert (one.minutes, one.project_id, one.keep_waiting, one.may_move) == (
        1440,
        lab.project_id,
        True,
        False,
    )
    assert lab.send("cleo", f"/wishes/{one.id}/withdrawal").status_code == 404
    for _ in range(2):
        assert lab.send("ada", f"/wishes/{one.id}/withdrawal").status_code == 303
    assert wishes()[0].state is WishState.WITHDRAWN
    assert "You have no wish in this round" in text_of(lab.get("ada", where).text)


def test_a_process_is_wished_for_drawn_settled_and_told_step_by_step(lab):
    where = opened(lab)
    page = lab.get("ada", f"{where}/wishes/new").text
    assert "Process step 2" in text_of(page)
    step = {"what_2": "SEM2", "hours_2": "3", "least_2": "0.5", "most_2": "2"}
    wrong = wish(lab, where, **step | {"hours_2": "0.1"})
    assert wrong.status_code == 422
    assert 'id="hours_2"' in wrong.text
    assert wish(lab, where, **step | {"what_2": ""}).status_code == 422
    assert wish(lab, where, **step, what_3="", hours_3="").status_code == 303
    [one] = wishes()
    with db.reading() as session:
        rows = session.scalars(select(RoundWishStep)).all()
        assert [(row.position, row.minutes, row.lag_least, row.lag_most) for row in rows] == [
            (1, 180, 30, 120)
        ]
    said = text_of(lab.get("ada", where).text)
    assert "then 3 h: Second microscope; 30 min to 2 h after the step before" in said
    lab.send("tam", f"{where}/action", action="close")
    resolve.run(Settings(), lambda: False)
    board = lab.get("tam", where).text
    assert board.count('class="plan-use priority-2"') == 2
    run = re.search(r'name="run" value="([^"]+)"', board)[1]
    settled = lab.send("tam", f"/wishes/{one.id}/settlement", deed="pin", run=run, reason="A visit")
    assert settled.status_code == 303
    with db.reading() as session:
        assert len(session.get_one(RoundPin, one.id).following) == 1
    assert lab.send("tam", f"{where}/draft", run=run).status_code == 303
    told = text_of(lab.get("ada", where).text)
    assert "In the draft" in told
    assert told.count("Second microscope: ") >= 1


WRONG = {
    "no instrument": ({"instrument": []}, "instrument"),
    "one of another facility": ({"instrument": "FAR-1"}, "instrument"),
    "one that is hidden": ({"instrument": "HIDDEN"}, "instrument"),
    "no length": ({"length": ""}, "length"),
    "no number": ({"length": "long"}, "length"),
    "longer than its window": ({"length": "2", "unit": "days"}, "last"),
    "backwards": ({"first": day(AHEAD + 1)}, "last"),
    "outside": ({"last": day(AHEAD + 9)}, "last"),
    "no day": ({"first": ""}, "first"),
    "a novel": ({"purpose": "x" * 2001}, "purpose"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wish_that_makes_no_sense_is_told_at_its_field(lab, name):
    changed, field = WRONG[name]
    answer = wish(lab, opened(lab), **({"purpose": "kept"} | changed))
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert re.search(rf'id="{field}"', answer.text)
    assert changed.get("purpose", "kept") in answer.text
    assert wishes() == []


def test_a_round_that_takes_no_wishes_says_so(lab):
    where = opened(lab, opens_date=day(1))
    early = wish(lab, where, purpose="kept")
    assert early.status_code == 409
    assert "This round takes wishes from" in early.text
    assert "kept" in early.text
    assert "Wish for time" not in text_of(lab.get("ada", where).text)
    act(lab, where, "close")
    assert "This round took wishes until" in wish(lab, where).text


# --- the board ------------------------------------------------------------------------------------


def test_it_is_closed_run_looked_at_and_stopped(lab):
    where = opened(lab)
    nobody = lab.send("tam", f"{where}/runs", seconds="5")
    assert nobody.status_code == 409
    assert "Nobody wishes anything of this round yet." in nobody.text
    wish(lab, where)
    assert lab.send("tam", f"{where}/runs", seconds="x").status_code == 422
    assert act(lab, where, "close").status_code == 303
    page = lab.get("tam", where).text
    assert "Being allotted" in page
    assert f'data-progress="{where}?part=progress"' in page
    with db.transaction() as session:
        run = solver_runs.take_up(session, now=datetime.now(UTC))
        progress = solver_runs.Progress("bound", 40, 900, 1000)
        solver_runs.beat(session, run_id=run.id, progress=progress, now=datetime.now(UTC))
    part = lab.get("tam", where, part="progress").text
    assert "40% of its time · best so far 900 points · no plan beats 1,000" in re.sub(r"\s+", " ", part)
    assert "<html" not in part
    assert "data-running" not in lab.get("ada", where, part="progress").text
    assert lab.send("ada", f"/runs/{run.id}/stop").status_code == 403
    assert lab.send("tam", f"/runs/{run.id}/stop").status_code == 303
    assert runs()[0].stop_asked
    assert lab.send("tam", f"/runs/{uuid4()}/stop").status_code == 404
    unfit = lab.send("tam", f"{where}/draft", run=str(run.id))
    assert unfit.status_code == 409
    assert "This run has no plan that could be used" in unfit.text
    with db.transaction() as session:
        solver_runs.fail(session, run_id=run.id, error="lost", now=datetime.now(UTC))
    assert "The run came to a fault. Run again." in lab.get("tam", where).text


def test_from_the_board_to_the_bookings(lab):
    where = opened(lab, kind_1="enterprise", floor_1="2")
    wish(lab, where, purpose="Films")
    wish(lab, where, "cleo")
    act(lab, where, "close")
    run = solved(9, None, why=[FULL])
    page = lab.get("tam", where).text
    said = text_of(page)
    for words in (
        "Wishes served 1 / 2",
        "Hours 2 / 4",
        "Of the best possible 90%",
        "Promise to enterprises met",
        "09:00 – 11:00",
        "No place",
        "Every start in your window is taken: 1 booking of priority 4.",
        "900 points; no plan can have more than 1,000.",
    ):
        assert words in said
    assert page.count('class="plan-use priority-2"') == 1
    assert "In the draft" not in lab.get("ada", where).text
    assert lab.send("tam", f"{where}/confirmation").status_code == 409
    assert lab.send("tam", f"{where}/draft", run=str(run.id)).status_code == 303
    assert "In the draft Microscope" in text_of(lab.get("ada", where).text)
    theirs = text_of(lab.get("cleo", where).text)
    assert "Not in the draft" in theirs
    assert "Every start in your window is taken" in theirs
    assert "Films" not in theirs
    confirmed = lab.send("tam", f"{where}/confirmation")
    assert confirmed.status_code == 303
    assert "Confirmed: 1 booking." in text_of(lab.get("tam", where).text)
    booking = wishes()[0].booking_id
    assert f'href="/bookings/{booking}"' in lab.get("ada", where).text
    assert lab.booking(booking).starts_at == at(9, days=AHEAD)
    assert "Not served" in text_of(lab.get("cleo", "/rounds").text)
    again = lab.send("ada", f"/wishes/{wishes()[0].id}/withdrawal")
    assert again.status_code == 409
    assert "This wish is a booking already" in again.text


def test_what_the_manager_settles_counts_in_the_next_run(lab):
    where = opened(lab)
    wish(lab, where)
    wish(lab, where, "cleo")
    act(lab, where, "close")
    run = solved(9, 13)
    one, _other = wishes()
    deed = f"/wishes/{one.id}/settlement"
    why = {"reason": "The sample is fresh", "run": str(run.id)}
    for typed, words in (
        ({"deed": "pin", "reason": " ", "run": str(run.id)}, "Why: This is needed."),
        ({"deed": "dance", "reason": "because"}, ""),
        ({"deed": "pin", "reason": "because"}, ""),
        ({"deed": "rank", "priority": "9", "reason": "because"}, ""),
    ):
        answer = lab.send("tam", deed, **typed)
        assert answer.status_code == 422, typed
        assert "Nothing was changed" in answer.text
        assert words in answer.text
    assert lab.send("tam", deed, deed="rank", priority="4", **why).status_code == 303
    assert lab.send("tam", deed, deed="pin", **why).status_code == 303
    assert wishes()[0].priority == 4
    with db.reading() as session:
        pin = session.scalars(select(RoundPin)).one()
    assert (pin.kind, pin.starts_at) == (PinKind.PLACE, at(9, days=AHEAD))
    assert "settled" in text_of(lab.get("tam", where).text)
    assert lab.send("tam", deed, deed="unpin").status_code == 303
    assert lab.send("tam", deed, deed="leave_out", reason="no permit").status_code == 303
    page = text_of(lab.get("tam", where).text)
    assert "left out" in page
    assert "Let the run decide" in page
    lab.send("tam", f"{where}/runs", seconds="5")
    again = solved(None, 13)
    assert again.names["left_out"] == [str(one.id)]
    lab.send("tam", f"{where}/draft", run=str(again.id))
    lab.send("tam", f"{where}/confirmation")
    late = lab.send("tam", deed, deed="rank", priority="1", reason="too late")
    assert late.status_code == 409
    assert "its round is over" in late.text


def test_a_draft_that_the_calendar_has_overtaken_is_run_anew(lab):
    where = opened(lab)
    wish(lab, where, purpose="Films")
    published(lab, where, 9)
    lab.book("cleo", "SEM", at(10, days=AHEAD), at(11, days=AHEAD))
    answer = lab.send("tam", f"{where}/confirmation")
    assert answer.status_code == 409
    assert "Not confirmed; a new run has begun" in answer.text
    assert "The wish of Ada no longer fits" in answer.text
    assert [run.state for run in runs()] == [RunState.DONE, RunState.QUEUED]
    assert row_of(where).state is RoundState.PUBLISHED
    anew = solved(13)
    assert lab.send("tam", f"{where}/draft", run=str(anew.id)).status_code == 303
    assert lab.send("tam", f"{where}/confirmation").status_code == 303
    assert lab.booking(wishes()[0].booking_id).starts_at == at(13, days=AHEAD)


def test_an_earlier_run_is_looked_at_and_published(lab):
    where = opened(lab)
    wish(lab, where)
    act(lab, where, "close")
    first = solved(9)
    lab.send("tam", f"{where}/runs", seconds="5")
    solved(13)
    page = lab.get("tam", where).text
    assert "13:00 – 15:00" in page
    assert f"run={first.id}" in page
    assert "09:00 – 11:00" in lab.get("tam", where, run=str(first.id)).text
    assert lab.get("tam", where, run="'").status_code == 200


def test_a_round_is_reopened_taken_back_and_cancelled(lab):
    where = opened(lab)
    wish(lab, where)
    assert act(lab, where, "dance").status_code == 422
    assert act(lab, where, "confirm").status_code == 422
    published(lab, where, 9)
    assert act(lab, where, "close").status_code == 409
    assert act(lab, where, "withdraw").status_code == 303
    over = act(lab, where, "reopen")
    assert over.status_code == 409
    assert "set a later one first" in over.text
    lab.send("tam", f"{where}/change", **terms())
    assert act(lab, where, "reopen").status_code == 303
    assert row_of(where).state is RoundState.OPEN
    assert "This cannot be undone." in text_of(lab.get("tam", where).text)
    assert act(lab, where, "cancel").status_code == 303
    page = text_of(lab.get("tam", where).text)
    assert "Cancelled" in page
    assert "Cancel the round" not in page
    again = act(lab, where, "reopen")
    assert "This round was cancelled." in again.text


# --- the ways that lead there ---------------------------------------------------------------------


def test_home_facility_and_desk_lead_to_a_round_that_takes_wishes(lab):
    where = opened(lab)
    for name, path in (("ada", "/"), ("cleo", "/facilities/LAB")):
        page = lab.get(name, path).text
        assert f'href="{where}/wishes/new"' in page
        assert "Wishes are taken until" in page
    assert where not in lab.get("cleo", "/facilities/FAR").text
    assert where not in lab.app.test_client().get("/").text
    assert "0 wishes" in text_of(lab.get("tam", "/desk").text)
    wish(lab, where)
    assert "Takes wishes · 1 wish · wishes until" in text_of(lab.get("tam", "/desk").text)
    act(lab, where, "close")
    assert where not in lab.get("ada", "/").text
    assert "Being allotted · 1 wish" in text_of(lab.get("tam", "/desk").text)
    act(lab, where, "cancel")
    desk = lab.get("tam", "/desk").text
    assert where not in desk
    assert 'href="/rounds/new?facility=LAB"' in desk
    assert "Open a round" in lab.get("tam", "/rounds").text
    assert "Open a round" not in lab.get("ada", "/rounds").text


def test_more_rounds_and_wishes_cost_no_more_statements(lab):
    def made(number: int) -> str:
        where = opened(lab, name=f"Round {number}")
        for name in ("ada", "cleo", "ben")[: number + 1]:
            wish(lab, where, name)
        lab.send("tam", f"{where}/runs", seconds="5")
        return where

    where = made(0)
    solved(9)
    paths = ("/", "/desk", "/rounds", "/facilities/LAB")
    for path in (*paths, where):
        lab.get("tam", path)
    before = [statements(lab, path) for path in (*paths, where)]
    busy = made(1)
    made(2)
    wish(lab, where, "ben")
    assert [statements(lab, path) for path in (*paths, where)] == before
    assert busy in lab.get("tam", "/desk").text
