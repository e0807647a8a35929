"""Rules: which are found for an instrument, and which of them counts."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from booking.domain.occupation import Item
from booking.domain.policy import PlaceKind, RuleKind
from booking.domain.pricing import CustomerClass
from booking.domain.spans import Span
from booking.domain.working_days import DayKind
from booking.services import policies
from models import Category, Rule
from tests import cast
from tests.factories import LONG_AGO, make_facility, make_instrument, make_network

HOUR = timedelta(hours=1)


def make_rule(session: Session, name: str, value: int | None, **given: Any) -> Rule:
    defaults = {"kind": RuleKind.SETTING, "data": {}, "valid_from": LONG_AGO.date(), "created_at": LONG_AGO}
    row = Rule(**defaults | {"name": name, "value": value} | given)
    session.add(row)
    session.flush()
    return row


def test_every_place_of_an_instrument_is_read_in_one_statement(session: Session) -> None:
    session.add_all([Category(code=code, name_zh=code) for code in ("03", "0301", "030105", "04")])
    facility = make_facility(session)
    network = make_network(session, facility)
    make_network(session)
    instrument = make_instrument(session, facility=facility, category_code="030105")
    other = make_instrument(session, category_code="04")
    for n, place in enumerate(
        (
            {"network_id": network.id},
            {"facility_id": facility.id},
            {"category_code": "03"},
            {"category_code": "030105"},
            {"instrument_id": instrument.id},
        )
    ):
        make_rule(session, "longest", n, **place)
    make_rule(session, "longest", 9, category_code="04")

    seen: list[str] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *a: seen.append(a[2]))
    found = policies.rules_for(session, [instrument])
    again = policies.rules_for(session, [instrument], kinds=[RuleKind.APPROVAL])

    assert [rule.value for rule in found[instrument.id]] == [4, 3, 2, 1, 0]
    assert [rule.place.kind for rule in found[instrument.id]] == [
        PlaceKind.INSTRUMENT,
        PlaceKind.CATEGORY,
        PlaceKind.CATEGORY,
        PlaceKind.FACILITY,
        PlaceKind.NETWORK,
    ]
    assert again == {instrument.id: ()}
    assert len([said for said in seen if "FROM rule" in said]) == 1
    assert [rule.value for rule in policies.rules_for(session, [instrument, other])[other.id]] == [9]


def test_a_rule_that_comes_within_the_transaction_counts_at_once(session: Session) -> None:
    instrument = make_instrument(session)
    assert policies.rules_for(session, [instrument]) == {instrument.id: ()}
    rule = make_rule(session, "longest", 60, instrument_id=instrument.id)
    assert [r.value for r in policies.rules_for(session, [instrument])[instrument.id]] == [60]
    rule.value = 90
    session.flush()
    assert [r.value for r in policies.rules_for(session, [instrument])[instrument.id]] == [90]


def test_the_particular_and_newest_counts_for_whom_and_when_it_is_meant(session: Session, now) -> None:
    ben, cleo = cast.ben(session), cast.cleo(session)
    facility = make_facility(session, cast.university(session))
    instrument = make_instrument(session, facility=facility)
    make_rule(session, "longest", 60, facility_id=facility.id)
    make_rule(session, "longest", 70, facility_id=facility.id, valid_from=date(2026, 10, 1))
    make_rule(session, "longest", 80, facility_id=facility.id, customer_class=CustomerClass.INTERNAL)
    make_rule(session, "shortest", 30, facility_id=facility.id)
    make_rule(session, "shortest", 40, facility_id=facility.id, day_kind=DayKind.HOLIDAY)
    make_rule(session, "notice", 50, facility_id=facility.id, valid_to=now.date())

    def said(person, start) -> dict[str, int | None]:
        (rules,) = policies.winning(
            session,
            kind=RuleKind.SETTING,
            items=[Item(instrument.id, Span(start, start + HOUR))],
            instruments={instrument.id: instrument},
            person_id=person.id,
        )
        return {name: rule.value for name, rule in rules.items()}

    assert said(ben, now) == {"longest": 80, "shortest": 30}
    assert said(cleo, now) == {"longest": 70, "shortest": 30}
    # The afternoon of 1 October in Guangdong is a public holiday, and begins on 30 September in Greenwich.
    holiday = now.replace(month=9, day=30, hour=16)
    assert said(cleo, holiday) == {"longest": 70, "shortest": 40, "notice": 50}
