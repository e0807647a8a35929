"""Feeds of networks, of what awaits one's decision and of several instruments; what their owners chose."""

from datetime import timedelta

import pytest
from sqlalchemy import event, select, update

from booking import db
from booking.domain.rules import Invalid
from booking.services import approvals, bookings, calendars, facilities, feeds
from booking.services.sign_in import hashed
from models import CalendarLink, Facility, Instrument, Membership, Person
from tests import cast
from tests.factories import make_facility, make_instrument, make_network
from tests.feeds import conformance, judges
from tests.feeds.world import (
    APPROVALS,
    BUSY,
    FACILITY,
    FREE,
    FULL,
    INSTRUMENT,
    ME,
    NETWORK,
    SUMMARY,
    World,
    build,
    secret_of,
)


def unfolded(feed: bytes) -> str:
    return feed.decode().replace("\r\n ", "")


def good(world: World, path: str) -> str:
    """Read a feed, in which nothing may be wrong, and give its text unfolded."""
    feed = world.get(path).data
    assert conformance.faults(feed) == []
    assert judges.by_ical(feed) == judges.by_ical_js(feed)[0]["events"]
    return unfolded(feed)


def link_of(path: str) -> CalendarLink:
    with db.reading() as session:
        query = select(CalendarLink).where(CalendarLink.secret_hash == hashed(secret_of(path)))
        return session.scalars(query).one()


def change(world: World, path: str, owner: str = "ada", **choices) -> None:
    with db.transaction() as session:
        who = world.actor(session, owner)
        calendars.change(session, actor=who, link_id=link_of(path).id, now=world.now, **choices)


# --- networks --------------------------------------------------------------------------------------


@pytest.fixture
def network(world_on_both: World) -> World:
    """The facility is in a network; another is not."""
    with db.transaction() as session:
        lab = session.scalars(select(Facility)).one()
        net = make_network(session, lab, code="NET", name_en="Pilot network")
        make_instrument(session, facility=make_facility(session), code="FAR", name_en="Elsewhere")
        session.flush()
        cast.nora(session, net)
    return world_on_both


def test_a_network_shows_what_is_taken_and_neither_who_nor_why(network):
    world = network
    world.book("cleo", 1, 2, purpose="CanaryPurpose")
    world.book("ben", 3, 4, purpose="CanaryPurpose")
    world.book("ben", 5, 6, code="FAR")
    path = world.make("cleo", NETWORK, "NET", SUMMARY)
    feed = good(world, path)
    assert "NAME:Pilot network" in feed
    assert feed.count("BEGIN:VEVENT") == 2
    assert feed.count("SUMMARY:Taken: Microscope") == 1  # Ben's; the other is her own
    assert feed.count("SUMMARY:Microscope (Cleo)") == 1
    assert "LOCATION:B 204\\, Platform" in feed
    for told in ("Canary", "Ben", "FAR", "Elsewhere"):
        assert told not in feed
    (busy,) = {
        line
        for line in good(world, world.make("ada", NETWORK, "NET", BUSY)).split("\r\n")
        if "SUMMARY" in line
    }
    assert busy == "SUMMARY:Busy"
    # The officer of the network is told no more; who works there is.
    with db.transaction() as session:
        world.people["nora"] = session.scalars(select(Person).where(Person.name == "Nora")).one().id
    assert "Canary" not in good(world, world.make("nora", NETWORK, "NET"))
    assert "SUMMARY:Microscope (Ben)" in good(world, world.make("tam", NETWORK, "NET"))


def test_a_network_leaves_out_what_is_not_published_and_turns_when_that_changes(network):
    world = network
    world.book("ben", 1, 2)
    path = world.make("cleo", NETWORK, "NET")
    before = world.get(path)
    assert b"BEGIN:VEVENT" in before.data
    with db.transaction() as session:
        session.execute(update(Instrument).where(Instrument.code == "SEM").values(published=False))
    after = world.get(path, {"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert b"BEGIN:VEVENT" not in after.data


def test_of_a_strangers_booking_a_network_tells_each_instrument_by_itself(network):
    world = network
    with db.transaction() as session:
        lab = facilities.by_code(session, code=world.facility)
        make_instrument(session, facility=lab, code="XRD", name_en="Diffractometer")
    keys = {world.book("ben", 1, 2), world.book("ben", 1, 2, code="XRD")}
    feed = good(world, world.make("cleo", NETWORK, "NET"))
    assert sorted(line for line in feed.split("\r\n") if line.startswith("SUMMARY")) == [
        "SUMMARY:Taken: Diffractometer",
        "SUMMARY:Taken: Microscope",
    ]
    assert not any(str(key) in feed for key in keys)


# --- what awaits one's decision --------------------------------------------------------------------


def test_what_awaits_my_decision_is_tentative_and_leads_there(world_on_both):
    world = world_on_both
    with db.transaction() as session:
        session.execute(update(Instrument).values(approval_required=True))
    path = world.make("tam", APPROVALS)
    empty = world.get(path)
    assert "NAME:Yiqi: waiting for my decision" in good(world, path)
    key = world.book("ben", 30, 31, purpose="Fibres")
    feed = good(world, path)
    assert "STATUS:TENTATIVE" in feed
    assert "SUMMARY:Awaits your decision: Microscope (Ben)" in feed
    assert f"URL:http://127.0.0.1:8000/bookings/{key}" in feed
    assert "DESCRIPTION:Fibres" in feed
    assert "BEGIN:VEVENT" not in good(world, world.make("ben", APPROVALS))
    assert "SUMMARY:Awaits your decision\r\n" in good(world, world.make("tam", APPROVALS, privacy=BUSY))
    seen = world.get(path)
    assert seen.headers["ETag"] != empty.headers["ETag"]
    with db.transaction() as session:
        tam = world.actor(session, "tam")
        approvals.approve(session, actor=tam, booking_id=key, now=world.now)
    assert world.get(path, {"If-None-Match": seen.headers["ETag"]}).data == empty.data


def test_of_a_confidential_request_the_decider_reads_what_and_when(world):
    with db.transaction() as session:
        session.execute(update(Instrument).values(approval_required=True))
    world.book("cleo", 30, 31, purpose="CanaryPurpose")  # a company's is confidential
    feed = good(world, world.make("tam", APPROVALS))
    assert "SUMMARY:Awaits your decision: Microscope\r\n" in feed
    assert "Canary" not in feed
    assert "Cleo" not in feed


# --- free time of several --------------------------------------------------------------------------


@pytest.fixture
def pair(world: World) -> World:
    with db.transaction() as session:
        lab = facilities.by_code(session, code=world.facility)
        make_instrument(session, facility=lab, code="XRD", name_en="Diffractometer")
    return world


def test_free_time_of_several_instruments_stands_in_one_feed(pair):
    world = pair
    path = world.make("ada", FREE, several=["SEM", "XRD"], name="For the polymers")
    feed = good(world, path)
    assert "NAME:For the polymers" in feed
    assert {line for line in feed.split("\r\n") if line.startswith("SUMMARY")} == {
        "SUMMARY:Free: Microscope",
        "SUMMARY:Free: Diffractometer",
    }
    tag = world.get(path).headers["ETag"]
    world.book("ben", 40, 41, code="XRD")
    turned = world.get(path, {"If-None-Match": tag})
    assert turned.status_code == 200
    assert unfolded(turned.data) != feed
    # One of them is hidden: the other stays; both: the feed says that there is nothing to see.
    with db.transaction() as session:
        session.execute(update(Instrument).where(Instrument.code == "XRD").values(published=False))
    assert "Diffractometer" not in good(world, path)
    with db.transaction() as session:
        session.execute(update(Instrument).values(published=False))
    assert "You may no longer see" in good(world, path)


def test_several_instruments_are_chosen_anew_and_outlive_a_new_address(pair):
    world = pair
    path = world.make("ada", FREE, "SEM")
    assert "Diffractometer" not in good(world, path)
    change(world, path, several=["XRD", "SEM"])
    assert "Diffractometer" in good(world, path)
    with db.transaction() as session:
        ada = world.actor(session, "ada")
        link, secret, _ = calendars.rotate(session, actor=ada, link_id=link_of(path).id, now=world.now)
        assert link.instrument_id is None
    path = f"/calendars/{secret}.ics"
    assert "NAME:Free time of 2 instruments" in good(world, path)
    change(world, path, several=["XRD"])
    assert link_of(path).instrument_id is not None
    assert "Microscope" not in good(world, path)


# --- what its owner chose --------------------------------------------------------------------------


def test_what_is_pending_shows_unless_its_reader_wants_it_not(world_on_both):
    world = world_on_both
    with db.transaction() as session:
        session.execute(update(Instrument).values(approval_required=True))
    world.book("ben", 30, 31)
    paths = [
        world.make("ben", ME),
        world.make("ben", INSTRUMENT, "SEM"),
        world.make("tam", FACILITY, world.facility),
    ]
    for path, owner in zip(paths, ("ben", "ben", "tam"), strict=True):
        assert "STATUS:TENTATIVE" in good(world, path)
        change(world, path, owner, pending=False)
        assert "BEGIN:VEVENT" not in good(world, path)
    # To a stranger it is time that is taken: whether it is approved is not theirs to know.
    stranger = world.make("cleo", INSTRUMENT, "SEM", pending=False)
    assert "SUMMARY:Busy" in good(world, stranger)


def test_what_was_cancelled_shows_by_choice_as_by_the_address(world):
    key = world.book("ada", 30, 31)
    path = world.make()
    with db.transaction() as session:
        bookings.cancel(session, actor=world.actor(session, "ada"), booking_id=key, now=world.now)
    assert "BEGIN:VEVENT" not in good(world, path)
    asked = good(world, f"{path}?cancelled=1")
    change(world, path, cancelled=True)
    assert good(world, path) == asked
    assert "STATUS:CANCELLED" in asked


def test_a_feed_reaches_as_far_as_its_owner_likes_and_the_operator_lets(world):
    for day in (-20, -5, 5, 40):
        world.book("ada", 24 * day, 24 * day + 1)
    path = world.make(past_days=7, future_days=30)
    feed = good(world, path)
    assert feed.count("BEGIN:VEVENT") == 2
    assert "From 7 days back to 30 days ahead" in feed
    change(world, path, past_days=999, future_days=None)
    feed = good(world, path)
    assert feed.count("BEGIN:VEVENT") == 4
    assert "From 30 days back to 365 days ahead" in feed


def test_an_operator_sets_other_bounds_for_a_sort_of_feed(make_app, sqlite_url, now, monkeypatch):
    world = build(make_app(sqlite_url, feed_scopes="instrument=2/9/3, free=0/5/10"), now, monkeypatch)
    for day in (-3, -1, 1, 2, 3, 8, 10):
        world.book("ada", 24 * day, 24 * day + 1)
    feed = good(world, world.make("ada", INSTRUMENT, "SEM"))
    assert feed.count("BEGIN:VEVENT") == 3
    assert "From 2 days back to 9 days ahead\\, in whole days (UTC)\\, and at most 3 events" in feed
    assert good(world, world.make()).count("BEGIN:VEVENT") == 7


def test_a_name_a_language_and_a_privacy_change_at_the_next_fetch(world):
    world.book("ada", 1, 2, purpose="Fibres")
    path = world.make(name="Meine Zeit; 我的, time", privacy=FULL)
    first = world.get(path)
    assert "NAME:Meine Zeit\\; 我的\\, time" in good(world, path)
    change(world, path, privacy=BUSY, locale="zh_Hans_CN", name="")
    second = world.get(path, {"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200
    assert "Fibres" not in unfolded(second.data)
    assert conformance.faults(second.data) == []


@pytest.mark.parametrize(
    ("choices", "errors"),
    [
        ({"past_days": -1}, {"past_days": "out_of_range"}),
        ({"future_days": 0}, {"future_days": "out_of_range"}),
        ({"future_days": 4000}, {"future_days": "out_of_range"}),
        ({"name": "x" * 101}, {"name": "too_long_text"}),
        ({"name": "a\nb"}, {"name": "control_characters"}),
        ({"person_id": "x"}, {"person_id": "unknown"}),
        ({"several": ["SEM"]}, {"ids": "unknown"}),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(world, choices, errors):
    path = world.make()
    with pytest.raises(Invalid) as refused:
        change(world, path, **choices)
    assert refused.value.errors == errors


def test_who_leaves_a_facility_reads_no_more_of_its_requests(world):
    with db.transaction() as session:
        session.execute(update(Instrument).values(approval_required=True))
    world.book("ben", 30, 31, purpose="Fibres")
    path = world.make("tam", APPROVALS)
    assert "Fibres" in good(world, path)
    with db.transaction() as session:
        tam = world.people["tam"]
        session.query(Membership).where(Membership.person_id == tam).delete()
    assert "BEGIN:VEVENT" not in good(world, path)


@pytest.mark.parametrize("scope", [ME, INSTRUMENT, FACILITY])
def test_an_unchanged_feed_asks_two_statements(world_on_both, scope):
    world = world_on_both
    world.book("tam", 1, 2)
    link = link_of(world.make("tam", scope, {ME: "", INSTRUMENT: "SEM", FACILITY: world.facility}[scope]))
    asked: list[str] = []

    def note(_connection, _cursor, statement, *_rest) -> None:
        asked.append(statement)

    with db.reading() as session:
        bind = session.get_bind()
        event.listen(bind, "before_cursor_execute", note)
        try:
            feeds.feed(session, secret_hash=link.secret_hash, now=world.now)
        finally:
            event.remove(bind, "before_cursor_execute", note)
    assert len([statement for statement in asked if statement.startswith("SELECT")]) == 2


def test_it_is_noted_which_form_was_read_last(world):
    path = world.make("ada", INSTRUMENT, "SEM").replace(".ics", ".atom")
    world.now += timedelta(minutes=6)
    world.get(path, {"User-Agent": "Feedly/1.0"}).close()
    assert link_of(path.replace(".atom", ".ics")).agent == "Feedly/1.0"
