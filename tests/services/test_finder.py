"""Find a time with facets: counts of what is free, sorts, terms, parts of the day, and why others are not."""

import contextlib
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from booking.domain.access import VISITOR
from booking.domain.hours import WeeklyHours
from booking.domain.occupation import Item, Kind
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, catalogue, distances, finder, occupation, policies
from booking.services.catalogue import Filters
from booking.services.finder import Question
from models import Closure, ClosureKind, InstrumentKind, OperatorNeed
from tests import cast
from tests.factories import make_facility, make_instrument, make_network
from tests.services.test_availability import Statements
from tests.services.test_policies import make_rule

NOW = datetime(2026, 11, 2, 0, tzinfo=UTC)  # Monday, 08:00 in Guangdong
SHORT = tuple(WeeklyHours(weekday, 9 * 60, 17 * 60 + weekday) for weekday in range(7))
DAY = Span(NOW, NOW + timedelta(days=1))


def hours(start: float, end: float) -> Span:
    return Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))


@pytest.fixture
def ada(session):
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def fleet(session, ada):
    """Two facilities; of six instruments one is taken all day, and one wants longer uses."""
    catalogue.ensure_categories(session)
    lab = make_facility(session, code="LAB", region_code="441900", latitude=22.9, longitude=113.9)
    base = make_facility(session, code="BASE", region_code="450200", latitude=24.3, longitude=109.4)
    make_network(session, lab, code="CITY")
    make = lambda place, code, **more: make_instrument(session, place, code=code, **more)  # noqa: E731
    found = {
        "SEM": make(lab, "SEM", price=100, category_code="0101", capabilities=["electron_microscopy"]),
        "XRD": make(lab, "XRD", price=500, category_code="0102", approval_required=True),
        "LINE": make(lab, "LINE", kind=InstrumentKind.LINE, operator_need=OperatorNeed.ALWAYS),
        "OVEN": make(base, "OVEN", price=40, training_required=True),
        "BUSY": make(base, "BUSY", price=30),
        "LONG": make(base, "LONG", price=30, shortest_minutes=600),
    }
    bookings.place(
        session, actor=ada, items=[Item(found["BUSY"].id, Span(NOW, NOW + timedelta(hours=30)))], now=NOW
    )
    return found


def ask(session, actor=VISITOR, *, length=2, within=DAY, now=NOW, limit=50, offset=0, **more):
    filters = {name: more.pop(name) for name in Filters.__slots__ if name in more}
    question = Question(timedelta(hours=length), within, Filters(**filters), **more)
    return finder.find(
        session, actor=actor, question=question, limit=limit, offset=offset, whole=True, now=now
    )


def codes(answer):
    return [offer.code for offer in answer.offers]


def counts(answer, name):
    return {facet.key: facet.count for facet in answer.facets[name]}


def test_the_answer_tells_what_is_free_of_what_suits_and_what_needs_approval(session, fleet):
    answer = ask(session)
    assert (answer.free, answer.matching, answer.asking, answer.beyond) == (4, 6, 1, 0)
    assert set(codes(answer)) == {"SEM", "XRD", "LINE", "OVEN"}
    assert {offer.code for offer in answer.offers if offer.asks} == {"XRD"}
    assert codes(ask(session, limit=2)) + codes(ask(session, limit=2, offset=2)) == codes(answer)


def test_facets_count_what_would_be_free_without_their_own_choice(session, fleet):
    answer = ask(session)
    assert counts(answer, "facility") == {"LAB": 3, "BASE": 1}
    assert counts(answer, "region") == {"441900": 3, "450200": 1}
    assert counts(answer, "network") == {"CITY": 3}
    assert counts(answer, "kind") == {"device": 3, "line": 1}
    assert counts(answer, "category") == {"01": 2, "0101": 1, "0102": 1}
    assert counts(answer, "price") == {"100": 1, "200": 2, "1000": 3}
    assert counts(answer, "terms") == {"instant": 3, "trained": 3, "operated": 1}
    narrow = ask(session, facility="LAB", kind="device")
    assert codes(narrow) == ["SEM", "XRD"]
    assert counts(narrow, "facility") == {"LAB": 2, "BASE": 1}  # the kind counts, the facility does not
    assert counts(narrow, "kind") == {"device": 2, "line": 1}
    assert counts(narrow, "price") == {"200": 1, "1000": 2}
    assert narrow.without == {"facility": 1, "kind": 1}


def test_every_count_is_what_choosing_it_gives(session, fleet):
    asked = {"region": "441900", "ceiling": 1000}
    answer = ask(session, **asked)
    for name in ("kind", "category", "facility", "network", "region"):
        for key, count in counts(answer, name).items():
            assert ask(session, **asked | {name: key}).free == count, (name, key)
    for key, count in counts(answer, "price").items():
        assert ask(session, **asked | {"ceiling": int(key)}).free == count
    for key, count in counts(answer, "terms").items():
        assert ask(session, **asked, terms=frozenset({key})).free == count


def test_several_choices_of_a_facet_are_alternatives_and_terms_count_together(session, fleet):
    assert set(codes(ask(session, facility="LAB,BASE", kind="device,line"))) == {"SEM", "XRD", "LINE", "OVEN"}
    assert codes(ask(session, terms=frozenset({"instant", "operated"}))) == ["LINE"]
    assert codes(ask(session, region="450000")) == ["OVEN"]
    assert codes(ask(session, facility="NONE")) == []


def test_offers_are_sorted_by_price_with_negotiated_ones_last_and_by_distance(session, fleet):
    assert codes(ask(session, sort="price")) == ["OVEN", "SEM", "XRD", "LINE"]
    near = ask(session, near="BASE", sort="nearest")
    assert codes(near)[0] == "OVEN"
    assert near.offers[0].km == 0
    assert [offer.estimate for offer in ask(session, sort="price", ceiling=200).offers] == [Decimal(80), 200]
    with pytest.raises(Invalid) as refused:
        ask(session, sort="nearest")
    assert refused.value.errors == {"near": "required"}


def test_distances_count_from_a_town_a_region_or_coordinates(session, fleet):
    for near in ("450200", "24.3,109.4", "24.30, 109.40"):
        found = distances.reach(session, near=near)
        assert min(found.km.values()) == distances.distances.SAME_PLACE
    assert codes(ask(session, near="22.9,113.9", within_km="10")) == ["LINE", "SEM", "XRD"]
    for near in ("91,0", "0,181", "nowhere", "1,2,3"):
        with pytest.raises(Invalid):
            distances.reach(session, near=near)


def test_parts_of_the_day_and_weekdays_move_the_first_start(session, fleet):
    week = Span(NOW, NOW + timedelta(days=7))
    (offer,) = ask(session, q="", facility="LAB", kind="line", part="night", within=week).offers
    assert offer.start == hours(10, 12).start  # 18:00 in Guangdong
    (offer,) = ask(session, facility="LAB", kind="line", days="weekends", part="morning", within=week).offers
    assert offer.start == datetime(2026, 11, 6, 22, tzinfo=UTC)  # Saturday at 6
    for wrong in ({"part": "noon"}, {"days": "mondays"}, {"terms": frozenset({"x"})}, {"sort": "x"}):
        with pytest.raises(Invalid):
            ask(session, **wrong)


def test_more_times_follow_the_first_and_can_be_booked(session, ada, fleet):
    place = Item(fleet["SEM"].id, hours(3, 5))
    bookings.place(session, actor=ada, items=[place], now=NOW)
    (offer,) = ask(session, ada, q="", category="0101").offers
    assert [offer.start, *(span.start for span in offer.more)] == [
        hours(at, at + 1).start for at in (0, 5, 7, 9, 11)
    ]
    for span in offer.more:
        bookings.place(session, actor=ada, items=[Item(offer.instrument_id, span)], now=NOW)


def test_it_is_told_why_something_that_suits_is_not_free(session, fleet):
    missed = {one.instrument.code: one for one in ask(session).missed}
    assert missed["BUSY"].next == hours(30, 32)
    assert missed["BUSY"].lengths is None
    assert missed["LONG"].next is None
    assert missed["LONG"].lengths == (600, None, 15)
    assert [one.instrument.code for one in ask(session).missed] == ["BUSY", "LONG"]


def test_training_that_the_reader_holds_or_that_nobody_asks_for_is_no_bar(session, ada, fleet):
    assert "OVEN" not in codes(ask(session, ada, terms=frozenset({"trained"})))
    fleet["OVEN"].training_required = False
    session.flush()
    assert "OVEN" in codes(ask(session, ada, terms=frozenset({"trained"})))


def test_facets_cost_the_same_for_few_and_many(session, fleet):
    def cost() -> int:
        policies.forget(session)
        with Statements(session) as sent:
            ask(session, kind="device")
        return sent.count

    few = cost()
    for n in range(12):
        make_instrument(session, fleet["SEM"].facility, code=f"MORE-{n}", price=n + 1)
    assert cost() == few <= 30


def test_what_was_not_looked_at_is_told(session, fleet, monkeypatch):
    monkeypatch.setattr(finder, "CANDIDATES", 2)
    answer = ask(session, kind="device")
    assert answer.matching + answer.beyond == 5


@pytest.mark.parametrize("seed", range(3))
def test_the_earliest_are_found_without_looking_at_all(session, ada, seed):
    """What is looked at in the order of the database's bounds gives what looking at everything gives."""
    dice = random.Random(seed)
    places = [make_facility(session), make_facility(session, zone="Europe/Berlin", hours=SHORT)]
    rows = []
    for n in range(70):
        more = {"units": 3} if n % 9 == 0 else {"setup_minutes": 30 * (n % 2), "notice_minutes": 60 * (n % 4)}
        more |= {} if n % 7 else {"cleanup_minutes": 30, "horizon_minutes": 600 * (1 + n % 5)}
        more |= {} if n % 11 else {"shortest_minutes": 60 * (1 + n % 4), "longest_minutes": 240}
        rows.append(make_instrument(session, dice.choice(places), hours=SHORT if n % 10 == 0 else (), **more))
    for row in dice.sample(rows, 20):  # a rule of the instrument counts before its sheet
        name, value = dice.choice([("notice", 0), ("setup", 0), ("shortest", 30), ("horizon", 60 * 24 * 9)])
        make_rule(session, name, value, instrument_id=row.id)
    for row in rows:
        for _ in range(dice.randrange(6)):
            start = dice.randrange(1, 90) / 2
            span = hours(start, start + dice.randrange(1, 12) / 2)
            item = [Item(row.id, span)]
            with contextlib.suppress(Refused), session.begin_nested():
                bookings.place(session, actor=ada, items=item, now=NOW)
    within = Span(NOW + timedelta(hours=dice.randrange(20)), NOW + timedelta(days=2))
    for row in dice.sample(rows, 5):
        broken = Closure(
            facility_id=row.facility_id,
            instrument_id=row.id,
            kind=ClosureKind.BREAKDOWN,
            starts_at=hours(dice.randrange(24), 0).start,
            ends_at=hours(24 + dice.randrange(12), 40).start,
            imposed=True,
            created_at=NOW,
        )
        session.add(broken)
        session.flush()
        occupation.close(session, closure=broken, instruments={row.id: row}, kind=Kind.CLOSURE)
    for quantity, part in ((1, ""), (1, "afternoon"), (2, "")):
        for offset in (0, 5):
            question = Question(timedelta(hours=2), within, quantity=quantity, part=part)
            asked = {"actor": VISITOR, "question": question, "limit": 10, "offset": offset, "now": NOW}
            everything = finder.find(session, whole=True, **asked)
            soonest = finder.find(session, **asked)
            assert [replace(one, more=()) for one in everything.offers] == soonest.offers
            assert len(soonest.offers) == min(10, max(0, soonest.free - offset))


def test_few_of_many_are_looked_at(session, monkeypatch):
    place = make_facility(session)
    for _ in range(100):
        make_instrument(session, place)
    looked = []
    first = finder._first
    monkeypatch.setattr(finder, "_first", lambda *given: looked.extend(given[4]) or first(*given))
    question = Question(timedelta(hours=2), DAY)
    assert len(finder.find(session, actor=VISITOR, question=question, limit=20, now=NOW).offers) == 20
    assert len(looked) == finder.AT_ONCE


def test_the_earliest_cost_the_same_of_few_and_many_and_one_look_more_where_they_begin_later(session, ada):
    place = make_facility(session)
    rows = [make_instrument(session, place) for _ in range(3)]
    question = Question(timedelta(hours=2), Span(NOW, NOW + timedelta(days=14)))

    def cost() -> int:
        policies.forget(session)
        with Statements(session) as sent:
            found = finder.find(session, actor=VISITOR, question=question, limit=20, now=NOW)
        assert len(found.offers) == len(rows)
        return sent.count

    few = cost()
    assert few <= 12
    rows += [make_instrument(session, place) for _ in range(15)]
    assert cost() == few
    for row in rows:
        bookings.place(session, actor=ada, items=[Item(row.id, Span(NOW, NOW + timedelta(days=4)))], now=NOW)
    assert cost() == few
    make_rule(session, "notice", 5 * 24 * 60, facility_id=place.id)  # of which the database is not asked
    assert cost() <= few + 9
