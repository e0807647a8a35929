"""Rules at a place: who may set them, what makes no sense, and what a trial on last month says."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Forbidden, NotFound
from booking.domain.occupation import Item
from booking.domain.policy import PlaceKind, RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.quotas import Measure, Party, Period
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.domain.working_days import Announced, DayKind
from booking.services import bookings, policies, rules, working_days
from booking.services.rules import Draft
from models import Category, Event, Instrument, Rule
from tests import cast
from tests.factories import make_facility, make_instrument, make_network
from tests.services.test_policies import make_rule

HOUR = timedelta(hours=1)
SETTING = RuleKind.SETTING


def at(session, who, kind, code):
    return rules.where(session, actor=who, kind=PlaceKind(kind), code=code)


def add(session, who, kind, code, now, **draft):
    place = at(session, who, kind, code)
    return rules.add(session, actor=who, at=place, draft=Draft(**{"kind": SETTING} | draft), now=now)


def test_each_place_has_its_keeper(session: Session, now):
    session.add(Category(code="03", name_zh="类"))
    facility, other = make_facility(session, code="LAB"), make_facility(session, code="AWAY")
    network = make_network(session, facility, code="NET")
    make_instrument(session, facility=facility, code="SEM")
    who = {
        "tam": cast.actor_of(session, cast.tam(session, facility)),
        "nora": cast.actor_of(session, cast.nora(session, network)),
        "root": cast.actor_of(session, cast.root(session)),
        "ada": cast.actor_of(session, cast.ada(session)),
    }
    places = [
        ("instrument", "SEM"),
        ("facility", "LAB"),
        ("facility", other.code),
        ("network", "NET"),
        ("category", "03"),
    ]
    allowed = {
        name: [code for kind, code in places if rules.editable(actor, at(session, actor, kind, code))]
        for name, actor in who.items()
    }
    assert allowed == {
        "tam": ["SEM", "LAB"],
        "nora": ["NET"],
        "root": ["SEM", "LAB", "AWAY", "NET", "03"],
        "ada": [],
    }
    with pytest.raises(Forbidden):
        add(session, who["ada"], "facility", "LAB", now, name="longest", value=60)
    with pytest.raises(NotFound):
        at(session, who["ada"], "network", "NONE")


def test_a_rule_in_force_is_followed_by_another_and_stays_in_the_records(session, now):
    facility = make_facility(session, code="LAB")
    instrument = make_instrument(session, facility=facility)
    tam = cast.actor_of(session, cast.tam(session, facility))
    old = make_rule(session, "longest", 60, facility_id=facility.id)

    new = rules.change(session, actor=tam, rule_id=old.id, changes={"value": 90}, now=now)
    assert (old.value, old.valid_to) == (60, date(2026, 11, 2))
    assert (new.value, new.valid_from) == (90, date(2026, 11, 2))
    again = rules.change(session, actor=tam, rule_id=new.id, changes={"value": 120, "note": "More"}, now=now)
    assert again is new
    assert policies.in_force(session, instrument, person_id=None, start=now).longest == 120
    assert policies.in_force(session, instrument, person_id=None, start=now - 48 * HOUR).longest == 60

    rules.end(session, actor=tam, rule_id=new.id, now=now)
    assert policies.in_force(session, instrument, person_id=None, start=now).longest is None
    with pytest.raises(Invalid):
        rules.change(session, actor=tam, rule_id=old.id, changes={"value": 30}, now=now)
    kinds = session.scalars(select(Event.kind).order_by(Event.id)).all()
    assert kinds == ["rule.changed", "rule.changed", "rule.ended"]


def test_whatever_a_setting_concerns_has_a_new_calendar_and_nothing_else(session, now):
    session.add_all([Category(code=code, name_zh="类") for code in ("03", "0301")])
    facility = make_facility(session, code="LAB")
    make_network(session, facility, code="NET")
    make_instrument(session, facility=facility, code="SEM", category_code="0301")
    make_instrument(session, facility=facility, code="XRD")
    make_instrument(session, code="AWAY", category_code="03")
    root = cast.actor_of(session, cast.root(session))
    places = [("instrument", "SEM"), ("facility", "LAB"), ("network", "NET"), ("category", "03")]
    concerned = [{"SEM"}, {"SEM", "XRD"}, {"SEM", "XRD"}, {"SEM", "AWAY"}]

    def turned(command):
        before = dict(session.execute(select(Instrument.code, Instrument.revision)).all())
        made = command()
        after = dict(session.execute(select(Instrument.code, Instrument.revision)).all())
        return made, {code for code in after if after[code] > before[code]}

    for (kind, code), codes in zip(places, concerned, strict=True):
        row, seen = turned(
            lambda kind=kind, code=code: add(session, root, kind, code, now, name="setup", value=30)
        )
        assert seen == codes
        change = {"actor": root, "rule_id": row.id, "now": now}
        assert turned(lambda c=change: rules.change(session, **c, changes={"value": 60}))[1] == codes
        assert turned(lambda c=change: rules.end(session, **c))[1] == codes
    quota = {"party": Party.PERSON, "measure": Measure.HOURS, "period": Period.DAY}
    limit = Draft(RuleKind.QUOTA, value=60, **quota)
    lab = at(session, root, "facility", "LAB")
    assert turned(lambda: rules.add(session, actor=root, at=lab, draft=limit, now=now))[1] == set()

    day = Announced(date(2027, 3, 1), DayKind.HOLIDAY)

    def announce(kind):
        days = [replace(day, kind=kind)]
        return working_days.announce(session, actor=root, days=days, source="", now=now)

    assert turned(lambda: announce(DayKind.HOLIDAY))[1] == set()  # no rule asks for sorts of day yet
    for (kind, code), codes in zip(places, concerned, strict=True):
        made = add(session, root, kind, code, now, name="setup", value=30, day_kind=DayKind.HOLIDAY)
        assert turned(lambda: announce(DayKind.REST))[1] == codes
        assert turned(lambda: announce(DayKind.REST))[1] == set()  # it was one already
        announce(DayKind.HOLIDAY)
        rules.end(session, actor=root, rule_id=made.id, now=now)


@pytest.mark.parametrize(
    ("draft", "errors"),
    [
        ({"name": "longest", "value": 0}, {"value": "too_small"}),
        ({"name": "step", "value": None}, {"value": "required"}),
        ({"name": "setup", "value": 99_999}, {"value": "too_large"}),
        ({"name": "magic", "value": 1}, {"name": "unknown"}),
        ({"name": "gap", "value": 1, "opens": 60}, {"closes": "required"}),
        ({"name": "gap", "value": 1, "opens": 60, "closes": 60}, {"closes": "inverted"}),
        ({"name": "gap", "value": 1, "weekdays": 128}, {"weekdays": "out_of_range"}),
        ({"name": "gap", "value": 1, "valid_to": date(2026, 11, 2)}, {"valid_to": "inverted"}),
        ({"kind": RuleKind.QUOTA, "value": 1}, dict.fromkeys(("party", "measure", "period"), "required")),
        (
            {
                "kind": RuleKind.QUOTA,
                "value": 1,
                "party": Party.PERSON,
                "measure": Measure.HOURS,
                "period": Period.ROLLING,
                "days": 999,
            },
            {"days": "out_of_range"},
        ),
        ({"kind": RuleKind.APPROVAL, "name": "x"}, {"kind": "unknown"}),
    ],
)
def test_what_makes_no_sense(draft, errors):
    with pytest.raises(Invalid) as error:
        rules.check(Draft(**{"kind": SETTING} | draft), today=date(2026, 11, 2))
    assert error.value.errors == errors


def test_where_every_setting_comes_from(session, now):
    facility = make_facility(session, code="LAB")
    network = make_network(session, facility, code="NET")
    instrument = make_instrument(
        session, facility=facility, code="SEM", step_minutes=None, shortest_minutes=45, longest_minutes=300
    )
    make_rule(session, "shortest", 90, facility_id=facility.id)
    make_rule(session, "notice", 60, network_id=network.id)
    make_rule(session, "longest", 240, instrument_id=instrument.id)
    lines, known = rules.explain(session, instrument=instrument, person_id=None, start=now)
    said = {line.name: (line.value, line.rule and line.rule.place.kind.value) for line in lines}
    assert said["step"] == (30, None)
    assert said["shortest"] == (45, "sheet")
    assert said["longest"] == (240, "instrument")
    assert said["notice"] == (60, "network")
    assert {line.where.code for line in lines if line.where} == {"SEM", "NET"}
    assert len(known) == 3


# --- trying a rule on last month -----------------------------------------------------------------


class World:
    def __init__(self, session, now):
        self.session, self.now = session, now
        self.facility = make_facility(session, cast.university(session), code="LAB")
        self.one, self.two = (
            make_instrument(session, facility=self.facility, code=code, shortest_minutes=None)
            for code in "AB"
        )
        self.tam = cast.actor_of(session, cast.tam(session, self.facility))
        self.ben, self.cleo = cast.ben(session), cast.cleo(session)

    def book(self, person, instrument, days_ago, hour, hours=1.0, ahead=24.0):
        start = self.now.replace(hour=0) - timedelta(days=days_ago) + hour * HOUR
        item = Item(instrument.id, Span(start, start + hours * HOUR))
        actor = cast.actor_of(self.session, person)
        return bookings.place(self.session, actor=actor, items=[item], now=start - ahead * HOUR)

    def tried(self, sort="facility", code="LAB", **draft):
        place = at(self.session, self.tam, sort, code)
        made = Draft(**{"kind": SETTING} | draft)
        before = self.session.query(Rule).count()
        found = rules.trial(self.session, actor=self.tam, at=place, draft=made, now=self.now)
        assert self.session.query(Rule).count() == before
        return len(found.refused), found.tried


@pytest.fixture
def world(session, now):
    return World(session, now)


def test_settings_are_tried_as_of_the_moment_of_each_booking(world):
    world.book(world.ben, world.one, 3, 1, hours=4)
    world.book(world.ben, world.two, 5, 3, hours=2, ahead=1)
    world.book(world.cleo, world.one, 7, 1, hours=4, ahead=70)
    world.book(world.cleo, world.one, 45, 1, hours=9)  # long ago
    assert world.tried(name="longest", value=180) == (2, 3)
    assert world.tried(name="longest", value=180, customer_class=CustomerClass.INTERNAL) == (1, 3)
    assert world.tried(name="longest", value=180, day_kind=DayKind.REST) == (0, 3)
    assert world.tried(name="shortest", value=180) == (1, 3)
    assert world.tried(name="notice", value=120) == (1, 3)
    assert world.tried(name="horizon", value=48 * 60) == (1, 3)
    # Where the instrument itself has a rule, that of the facility does not count.
    make_rule(world.session, "longest", 600, instrument_id=world.one.id)
    assert world.tried(name="longest", value=60) == (1, 3)
    assert world.tried("instrument", "A", name="longest", value=60) == (2, 2)
    place, draft = at(world.session, world.tam, "facility", "LAB"), Draft(SETTING, name="longest", value=60)
    found = rules.trial(world.session, actor=world.tam, at=place, draft=draft, now=world.now)
    assert found.outranked == 2
    with pytest.raises(Invalid):
        world.tried(name="grace", value=10)


def test_of_too_many_the_latest_are_tried_and_it_says_of_how_many(world, monkeypatch):
    long = [world.book(world.ben, world.one, days, 1, hours=4) for days in (3, 5, 7, 9)]
    world.book(world.ben, world.one, 35, 1, hours=4)
    place = at(world.session, world.tam, "facility", "LAB")
    draft = Draft(SETTING, name="longest", value=60)

    def tried():
        found = rules.trial(world.session, actor=world.tam, at=place, draft=draft, now=world.now)
        return found.tried, found.total, [one.booking.id for one in found.refused]

    assert tried() == (4, 4, [one.id for one in reversed(long)])
    monkeypatch.setattr(rules, "MOST_TRIED", 3)
    assert tried() == (3, 4, [one.id for one in reversed(long[:3])])


def test_limits_are_tried_in_the_order_of_the_bookings(world):
    for day in (3, 4, 5):
        world.book(world.ben, world.one, day, 1, hours=4)
    world.book(world.cleo, world.two, 3, 1, hours=4)
    hours = {"kind": RuleKind.QUOTA, "measure": Measure.HOURS, "period": Period.WEEK}
    # The three days are of one week in Guangdong; the third is refused, and then there is room again.
    assert world.tried(party=Party.PERSON, value=8 * 60, **hours) == (1, 4)
    assert world.tried(party=Party.PERSON, value=3 * 60, **hours) == (4, 4)
    assert world.tried(party=Party.PROJECT, value=0, **hours) == (0, 4)
    assert world.tried(name="concurrent", value=1) == (1, 4)  # at the start of the first the second was made


def test_gaps_buffers_and_notices_are_tried(world):
    first = world.book(world.ben, world.one, 3, 1)
    world.book(world.ben, world.one, 3, 3)
    world.book(world.cleo, world.one, 3, 4)
    assert world.tried(name="gap", value=90) == (1, 3)
    assert world.tried(name="cleanup", value=30) == (1, 3)
    assert world.tried(name="setup", value=15) == (1, 3)
    actor = cast.actor_of(world.session, world.ben)
    at_last = first.starts_at - HOUR / 2
    bookings.cancel(world.session, actor=actor, booking_id=first.id, now=at_last)
    assert world.tried(name="notice_to_cancel", value=60) == (1, 3)
    assert world.tried(name="notice_to_cancel", value=15) == (0, 3)
