"""Standby as people meet it, on the page and at the tablet; on whatever clock it is noon for the facility."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from booking import db
from booking.domain.lifecycle import State
from booking.jobs import attendance, waitlist_windows
from booking.jobs import waitlist as job
from models import Booking, EntryState, Facility, Freed, OfferState, WaitlistEntry, WaitlistOffer
from tests.services.test_policies import make_rule
from tests.web.lab import Lab, text_of
from tests.web.test_day import BADGE, act, address, set_badge, visitor


def hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def lab(app: Flask) -> Lab:
    made = Lab(app)
    ahead = 12 - hour().hour
    with db.transaction() as session:
        noon = f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"
        session.execute(update(Facility).where(Facility.code == "LAB").values(zone=noon))
        make_rule(session, "standby", 1, facility_id=made.facilities["LAB"])
        make_rule(session, "grace", 5, facility_id=made.facilities["LAB"])
    return made


def full(lab: Lab) -> None:
    """Let Ada book all of the day; the booking of this time began an hour ago and nobody has come."""
    early = hour() - timedelta(days=2)
    for start, end in ((-12, -1), (-1, 4), (4, 13)):
        lab.book("ada", "SEM", hour() + timedelta(hours=start), hour() + timedelta(hours=end), now=early)


def stand_by(lab: Lab, name: str, **more: str):
    day = (hour() + timedelta(hours=12 - hour().hour)).date()
    wish = {"day": day.isoformat(), "least": "30", "most": "120", "lead": "0"} | more
    return lab.send(name, "/instruments/SEM/standby", **wish)


def entry() -> WaitlistEntry:
    with db.reading() as session:
        return session.scalars(select(WaitlistEntry)).one()


def turn(lab: Lab) -> None:
    del lab
    now = datetime.now(UTC)
    attendance.keep(now)
    job.turn("the key", lambda: False, now=now)


def test_from_the_odds_to_the_booking_and_the_figures(lab):
    full(lab)
    page = text_of(lab.get("ben", "/instruments/SEM/standby").text)
    assert "Too little history to say" in page
    assert "0 bookings: 0 missed, 0 cancelled on the day, 0 ended early enough" in page
    assert "we never book more than there is" in page
    assert "Stand by for a day" in text_of(lab.get("ben", "/instruments/SEM").text)
    answer = stand_by(lab, "ben", least="90", most="30")
    assert answer.status_code == 422
    assert "Error:" in answer.text
    assert stand_by(lab, "ben").headers["Location"] == "/waitlist"
    page = lab.get("ben", "/waitlist").text
    assert "Not there yet" in text_of(page)
    assert "Ben 30" not in text_of(page)
    desk = text_of(lab.get("tam", "/standby/facility", facility="LAB").text)
    assert "Ben" in desk
    assert "Hours that nobody came for 0" in desk
    here = re.search(r'action="(/waitlist/[^"]+/presence)"', page)[1]
    assert lab.send("cleo", here, here="yes").status_code == 404
    assert lab.send("ben", here, here="yes").status_code == 303
    assert "There since" in text_of(lab.get("ben", "/waitlist").text)
    turn(lab)
    page = lab.get("ben", "/waitlist").text
    assert "Offered to you: Microscope" in text_of(page)
    offer = re.search(r'action="(/offers/[^"]+/answer)"', page)[1]
    assert lab.send("ben", offer, answer="accept").status_code == 303
    with db.reading() as session:
        ben = session.scalars(select(Booking).where(Booking.person_id == lab.people["ben"])).one()
        assert (ben.state, ben.ends_at - ben.starts_at) == (State.CONFIRMED, timedelta(hours=2))
    assert "Hours that nobody came for 16" in text_of(
        lab.get("tam", "/standby/facility", facility="LAB").text
    )
    assert lab.get("ben", "/standby/facility", facility="LAB").status_code == 403


def test_free_time_is_booked_and_needs_no_standing_by(lab):
    assert "There is free time on this day" in text_of(lab.get("ben", "/instruments/SEM/standby").text)
    with db.transaction() as session:
        make_rule(session, "standby", 0, instrument_id=lab.places["SEM"])
    page = text_of(lab.get("ben", "/instruments/SEM/standby").text)
    assert "There is no standby list for this instrument on that day." in page
    assert "Stand by for a day" not in text_of(lab.get("ben", "/instruments/SEM").text)
    assert stand_by(lab, "ben").status_code == 409


def test_a_visitor_reads_the_odds_and_signs_in_to_stand_by(lab):
    full(lab)
    page = visitor(lab).get("/instruments/SEM/standby")
    assert "Sign in to stand by" in text_of(page.text)
    assert 'name="purpose"' not in page.text
    assert visitor(lab).get("/instruments/SEM/standby?day=9999-99-99&least=x").status_code == 200


def test_staff_says_who_is_there_and_calls_the_next(lab):
    full(lab)
    stand_by(lab, "ben")
    stand_by(lab, "cleo")
    page = lab.get("tam", "/standby/facility", facility="LAB").text
    for where in re.findall(r'action="(/waitlist/[^"]+/presence)"', page):
        answer = lab.send("tam", where, here="yes", facility="LAB")
        assert answer.headers["Location"] == "/standby/facility?facility=LAB"
    turn(lab)
    page = lab.get("tam", "/standby/facility", facility="LAB").text
    (call,) = set(re.findall(r'action="(/offers/[^"]+/next)"', page))
    assert lab.send("tam", call, facility="LAB").status_code == 303
    turn(lab)
    with db.reading() as session:
        offers = session.scalars(select(WaitlistOffer).order_by(WaitlistOffer.offered_at)).all()
        assert [one.state for one in offers] == [OfferState.SILENT, OfferState.OPEN]
    page = lab.send("tam", call, facility="LAB")
    assert "the next in line" in text_of(lab.get("tam", "/standby/facility", facility="LAB").text)


def test_at_the_tablet_one_stands_by_is_called_and_takes_it(lab):
    full(lab)
    set_badge(lab, "ben", number=BADGE)
    set_badge(lab, "cleo", number="77AA-1111")
    where, tablet = address(lab), visitor(lab)
    assert act(tablet, where, "take", BADGE, instrument="SEM").status_code == 422
    assert act(tablet, where, "here", BADGE, instrument="SEM").status_code == 303
    assert act(tablet, where, "here", BADGE, instrument="SEM").status_code == 303
    found = entry()
    assert (found.state, found.minutes, found.most_minutes) == (EntryState.WAITING, 15, 240)
    assert found.here_at is not None
    turn(lab)
    page = tablet.get(where).text
    assert "Called from standby: B." in text_of(page)
    assert act(tablet, where, "take", "77AA-1111", instrument="SEM").status_code == 422
    assert act(tablet, where, "take", BADGE, instrument="SEM").status_code == 303
    assert entry().state is EntryState.SERVED


def test_what_comes_near_is_looked_at_each_minute_for_who_is_there(lab):
    def noted() -> int:
        waitlist_windows.run(None, lambda: False)
        with db.reading() as session:
            return len(session.scalars(select(Freed)).all())

    full(lab)
    stand_by(lab, "ben")
    turn(lab)
    assert noted() == 0
    stand_by(lab, "ben", lead="10", least="480", most="480")
    turn(lab)
    assert noted() == 1
