"""A screen on a wall: what is free and taken, for everybody who passes, and never who or why."""

import json
import logging
import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from booking import db
from models import Kiosk
from tests.web.lab import Lab, at, quarter, text_of, value_of
from tests.web.test_day import visitor

HOUR = timedelta(hours=1)


@pytest.fixture
def lab(app: Flask) -> Lab:
    return Lab(app)


def wall(lab: Lab, **more: str) -> str:
    """Make a screen as a manager does, and give its address."""
    made = lab.send("tam", "/kiosks", facility="LAB", name="Corridor", kind="screen", **more)
    assert made.status_code == 201
    return "/wall/" + re.search(r"/wall/([\w-]+)", made.text)[1]


def test_a_screen_says_what_is_free_and_taken_and_names_nobody(lab):
    start = quarter()
    lab.book("cleo", "SEM", start, start + 2 * HOUR, now=start - HOUR, purpose="Recipe 7", confidential=True)
    lab.book("ada", "BATH", start, start + 2 * HOUR, now=start - HOUR, quantity=3, purpose="Fracture")
    page = visitor(lab).get(wall(lab))
    words = text_of(page.text)
    assert re.search(r"Microscope .{0,40}Taken until", words)
    assert re.search(r"Water bath .{0,40}1 of 4 free", words)
    assert "Unpublished" not in words
    for secret in ("Cleo", "Ada", "Recipe", "Fracture", "Company", "University"):
        assert secret not in page.text
    assert "Set-Cookie" not in page.headers


def test_neighbours_are_one_stretch_on_a_screen(lab):
    start = quarter() + 3 * HOUR
    for n in range(3):
        lab.book("ada" if n % 2 else "cleo", "SEM", start + n * HOUR, start + (n + 1) * HOUR)
    words = text_of(visitor(lab).get(wall(lab, instrument="SEM")).text)
    assert len(re.findall(r"\d\d:\d\d–\d\d:\d\d", words)) == 1
    assert "Second microscope" not in words


def test_nothing_is_sent_again_until_something_happens(lab):
    where, screen = wall(lab), visitor(lab)
    first = screen.get(where)
    assert first.headers["Cache-Control"] == "private, no-cache"
    tag = {"If-None-Match": first.headers["ETag"]}
    again = screen.get(where, headers=tag)
    assert (again.status_code, again.data) == (304, b"")
    start = quarter()
    lab.book("ada", "SEM2", start, start + 4 * HOUR, now=start - HOUR)
    changed = screen.get(where, headers=tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_a_screen_opens_no_tablet_and_a_tablet_no_screen(lab):
    where, screen = wall(lab), visitor(lab)
    secret = where.removeprefix("/wall/")
    assert screen.get(f"/kiosk/{secret}").status_code == 404
    made = lab.send("tam", "/kiosks", facility="LAB", name="Bench")
    tablet = re.search(r"/kiosk/([\w-]+)", made.text)[1]
    assert screen.get(f"/wall/{tablet}").status_code == 404
    with db.reading() as session:
        [kiosk] = [row for row in session.query(Kiosk) if row.name == "Corridor"]
    assert lab.send("tam", f"/kiosks/{kiosk.id}/revocation").status_code == 303
    assert screen.get(where).status_code == 404


def test_what_makes_no_sense_is_told_and_what_was_typed_is_kept(lab):
    said = lab.send("tam", "/kiosks", facility="LAB", name="Corridor", kind="poster")
    assert said.status_code == 422
    assert value_of(said.text, "name") == "Corridor"
    assert lab.send("ada", "/kiosks", facility="LAB", name="x", kind="screen").status_code == 403


def test_the_number_of_statements_is_that_of_one_instrument(lab):
    alone, all_of_them = wall(lab, instrument="SEM"), wall(lab)
    screen = visitor(lab)
    counts = []
    for where in (alone, all_of_them):
        screen.get(where)  # notes that it was seen
        said: list[str] = []
        engine = db.engine()
        event.listen(engine, "before_cursor_execute", lambda *a, said=said: said.append(a[2]))
        screen.get(where)
        counts.append(len(said))
    assert counts[0] == counts[1]


def test_no_log_holds_the_secret_of_an_address(lab, caplog):
    where = wall(lab)
    caplog.set_level(logging.INFO)
    caplog.clear()
    visitor(lab).get(where)
    told = json.dumps([record.__dict__ for record in caplog.records], default=str)
    assert "/wall/***" in told
    assert where.removeprefix("/wall/") not in told


def test_what_lies_beyond_the_hours_that_it_looks_at_moves_nothing(lab):
    where, screen = wall(lab, instrument="SEM"), visitor(lab)
    words = text_of(screen.get(where).text)
    assert "Free" in words
    assert "until" not in words


def test_the_week_beyond_is_not_a_screens_matter(lab):
    lab.book("ada", "SEM", at(9), at(11))
    assert "09:00–11:00" not in visitor(lab).get(wall(lab)).text
