"""Series: looked at, placed, changed, cancelled and put back on both engines."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from booking import db, wording
from booking.domain import one_time
from booking.domain.access import Actor, Forbidden, NotFound, Role
from booking.domain.chemicals import Hazard, Substance
from booking.domain.lifecycle import State, WrongMove
from booking.domain.occupation import Item
from booking.domain.recurrence import Clock, Pattern, parse
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import (
    approval_steps,
    approvals,
    bookings,
    decision_links,
    papers,
    series,
    series_approvals,
    series_lists,
    series_papers,
)
from booking.services.bookings import KeyReused, Stale
from booking.services.series import Edit, Otherwise, Plan, Scope
from booking.services.series_dates import Choice, Way
from models import (
    Booking,
    BookingPaper,
    Category,
    Certificate,
    CertificateState,
    Event,
    Instrument,
    Membership,
    Occupation,
    OneTimeLink,
    PaperKind,
    Person,
    Qualification,
    RuleKind,
    Series,
    WaitlistEntry,
)
from tests import cast
from tests.factories import make_facility, make_instrument
from tests.services.test_policies import make_rule
from tests.services.test_quotas import make_quota

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
"""A Monday, 16:00 in Guangdong."""

FIRST = date(2026, 11, 9)
NINE = 9 * 60
WEEK = timedelta(weeks=1)


@pytest.fixture
def sem(session) -> Instrument:
    return make_instrument(session, code="SEM")


@pytest.fixture
def ada(session) -> Actor:
    return cast.actor_of(session, cast.ada(session))


@pytest.fixture
def ben(session) -> Actor:
    return cast.actor_of(session, cast.ben(session))


@pytest.fixture
def cleo(session) -> Actor:
    return cast.actor_of(session, cast.cleo(session))


@pytest.fixture
def tam(session, sem) -> Actor:
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=sem.facility_id))
    return cast.actor_of(session, person)


def pattern(rule="FREQ=WEEKLY;COUNT=4", start=NINE, minutes=120, first=FIRST, excluded=()) -> Pattern:
    return Pattern(parse(rule, first), first, start, minutes, frozenset(excluded))


def weekly(
    instrument, rule="FREQ=WEEKLY;COUNT=4", *, choices=None, otherwise=Otherwise.REFUSE, **more
) -> Plan:
    of_plan = {name: more.pop(name) for name in ("quantity", "project_id", "booked_for") if name in more}
    return Plan(instrument.id, pattern(rule, **more), choices=choices or {}, otherwise=otherwise, **of_plan)


def at(day: date, hour: float = 9, hours: float = 2) -> Span:
    """On the clock of Guangdong."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour - 8)
    return Span(start, start + timedelta(hours=hours))


def day(week: int) -> date:
    return FIRST + week * WEEK


def take(session, actor, instrument, span) -> Booking:
    return bookings.place(session, actor=actor, items=[Item(instrument.id, span)], now=NOW)


def place(session, actor, plan, **more) -> Series:
    return series.place(session, actor=actor, plan=plan, now=NOW, **more)


def standing(session, actor, row, now=NOW) -> dict[date, tuple[str, Span | None]]:
    """What there is on each date: the state of its booking with its span, or why there is none."""
    whole = series.get(session, actor=actor, series_id=row.id, now=now)
    return {
        one.day: (one.booking.state.value, Span(one.booking.starts_at, one.booking.ends_at))
        if one.booking
        else (one.why, None)
        for one in whole.dates
    }


def reasons(refused) -> list[tuple[str, str]]:
    return [(one.params["series_day"], one.code) for one in refused.value.reasons]


def kinds(session) -> list[str]:
    return list(session.scalars(select(Event.kind).order_by(Event.id)))


def count(session, table) -> int:
    return session.scalar(select(func.count()).select_from(table))


# --- looking --------------------------------------------------------------------------------------


def test_every_date_is_looked_at_before_anything_is_written(session, ada, ben):
    session.add(Category(code="0101", name_zh="电镜", name_en="Electron microscopes"))
    session.flush()
    sem = make_instrument(session, code="SEM", category_code="0101")
    twin = make_instrument(session, sem.facility, code="TWIN", category_code="0101")
    take(session, ben, sem, at(day(1), 10))
    before = count(session, Booking)
    found = series.preview(session, actor=ada, plan=weekly(sem, excluded=[day(2)]), now=NOW)
    assert [one.way.value for one in found.dates] == ["asked", "asked", "excluded", "asked"]
    assert [[reason.code for reason in one.reasons] for one in found.dates] == [[], ["taken"], [], []]
    assert not found.allowed
    instead = [(one.code, one.start, one.why) for one in found.dates[1].alternatives]
    assert ("SEM", at(day(1), 8).start, "nearest") in instead
    assert ("SEM", at(day(1), 12).start, "nearest") in instead
    assert (twin.code, at(day(1), 9).start, "equal") in instead
    assert found.zone == "Asia/Shanghai"
    assert count(session, Booking) == before


def test_what_is_offered_instead_can_be_had(session, ada, ben, sem):
    for hour in (8, 9.5, 12):
        take(session, ben, sem, at(day(0), hour, 1))
    found = series.preview(session, actor=ada, plan=weekly(sem, "FREQ=WEEKLY;COUNT=1"), now=NOW)
    offered = found.dates[0].alternatives
    assert offered
    for one in offered:
        choices = {day(0): Choice(Way.OTHER, one.instrument_id, Span(one.start, one.end))}
        plan = weekly(sem, "FREQ=WEEKLY;COUNT=1", choices=choices)
        assert series.preview(session, actor=ada, plan=plan, now=NOW).allowed


def statements(session, actor, plan) -> int:
    """How many statements it takes to look at it, after somebody looked before."""
    told: list[str] = []

    def note(_conn, _cursor, statement, *_rest) -> None:
        told.append(statement)

    series.preview(session, actor=actor, plan=plan, now=NOW)
    event.listen(session.connection(), "before_cursor_execute", note)
    series.preview(session, actor=actor, plan=plan, now=NOW)
    event.remove(session.connection(), "before_cursor_execute", note)
    return len(told)


def test_looking_costs_as_much_for_a_year_as_for_a_month(session, ada, ben):
    session.add(Category(code="0101", name_zh="电镜", name_en="Electron microscopes"))
    session.flush()
    sem = make_instrument(session, category_code="0101", approval_required=True)
    make_instrument(session, sem.facility, category_code="0101")
    for week in (1, 2, 30):
        take(session, ben, sem, at(day(week)))
    year, month = weekly(sem, "FREQ=WEEKLY;COUNT=52"), weekly(sem)
    assert statements(session, ada, year) == statements(session, ada, month) <= 14


def test_rules_of_every_kind_are_read_once_for_all_dates(session, ada, sem):
    paper = Qualification(facility_id=sem.facility_id, code="LASER", name_zh="激光", name_en="Laser")
    session.add(paper)
    session.flush()
    session.add(
        Certificate(
            person_id=ada.person_id,
            qualification_id=paper.id,
            state=CertificateState.GRANTED,
            requested_at=NOW,
        )
    )
    place_it = {"instrument_id": sem.id}
    make_quota(session, 100 * 60, **place_it)
    make_quota(session, 5, measure="bookings", period="month", **place_it)
    make_rule(session, "gap", 60, **place_it)
    make_rule(session, "concurrent", 100, **place_it)
    make_rule(session, "LASER", 1, kind=RuleKind.QUALIFICATION, data={"mode": "before_booking"}, **place_it)
    when = [{"condition": "first_use"}]
    steps = {"stage": 1, "need": "any", "approvers": {"role": "manager"}, "when": when}
    make_rule(session, "safety", 1, kind=RuleKind.APPROVAL, data=steps, **place_it)
    year, month = weekly(sem, "FREQ=WEEKLY;COUNT=52"), weekly(sem)
    assert statements(session, ada, year) == statements(session, ada, month) <= 20


def test_limits_count_the_earlier_dates_of_the_same_series(session, ada, sem):
    make_quota(session, 3, measure="bookings", period="month", instrument_id=sem.id)
    found = series.preview(session, actor=ada, plan=weekly(sem, "FREQ=WEEKLY;COUNT=5"), now=NOW)
    codes = [[reason.code for reason in one.reasons] for one in found.dates]
    assert codes == [[], [], [], ["quota_bookings"], []]  # the fifth is in December
    with pytest.raises(Refused) as refused:
        place(session, ada, weekly(sem, "FREQ=WEEKLY;COUNT=5"))
    assert reasons(refused) == [(day(3).isoformat(), "quota_bookings")]
    row = place(session, ada, weekly(sem, "FREQ=WEEKLY;COUNT=5", otherwise=Otherwise.SKIP))
    assert [found[0] for found in standing(session, ada, row).values()].count("confirmed") == 4


def test_dates_that_meet_each_other_are_refused(session, ada, sem):
    plan = weekly(sem, "FREQ=DAILY;COUNT=3", minutes=26 * 60)
    found = series.preview(session, actor=ada, plan=plan, now=NOW)
    assert [bool(one.reasons) for one in found.dates] == [False, True, False]


def test_the_change_of_the_clock_is_told(session, ada):
    facility = make_facility(session, zone="America/New_York", always_open=True)
    sem = make_instrument(session, facility)
    first = date(2027, 3, 13)
    plan = weekly(sem, "FREQ=DAILY;COUNT=3", first=first, start=150, minutes=60)
    dates = series.preview(session, actor=ada, plan=plan, now=NOW).dates
    assert [one.clock for one in dates] == [Clock.PLAIN, Clock.MISSING, Clock.PLAIN]
    assert [one.item.span.start.hour for one in dates] == [7, 7, 6]


# --- placing --------------------------------------------------------------------------------------


def test_a_series_is_booked_at_once(session, ada, sem):
    row = place(session, ada, weekly(sem, excluded=[day(1)]), purpose="Weekly scan")
    assert standing(session, ada, row) == {
        day(0): ("confirmed", at(day(0))),
        day(1): ("excluded", None),
        day(2): ("confirmed", at(day(2))),
        day(3): ("confirmed", at(day(3))),
    }
    made = bookings.of_series(session, series_id=row.id)
    assert {one.purpose for one in made} == {"Weekly scan"}
    assert [one.series_day for one in made] == [day(0), day(2), day(3)]
    told = session.scalars(select(Event).order_by(Event.id)).all()
    assert [one.kind for one in told] == ["booking.placed"] * 3 + ["series.placed"]
    assert all(one.data["series"] == str(row.id) for one in told)
    assert told[-1].data | {"dates": 3, "person_id": str(ada.person_id)} == told[-1].data


def test_one_date_that_cannot_be_had_refuses_them_all(session, ada, ben, sem):
    take(session, ben, sem, at(day(1)))
    take(session, ben, sem, at(day(3), 10))
    with pytest.raises(Refused) as refused:
        place(session, ada, weekly(sem))
    assert reasons(refused) == [(day(1).isoformat(), "taken"), (day(3).isoformat(), "taken")]
    first = refused.value.reasons[0]
    said = wording.sentence(first.code, first.params)
    assert said == "Mon 16 Nov 2026: SEM is already taken at this time, its set-up and clean-up included."
    assert count(session, Booking) == 2
    assert count(session, Series) == 0


def test_the_free_ones_are_booked_when_that_is_said(session, ada, ben, sem):
    take(session, ben, sem, at(day(1)))
    row = place(session, ada, weekly(sem, otherwise=Otherwise.SKIP))
    assert [found[0] for found in standing(session, ada, row).values()] == [
        "confirmed",
        "skip",
        "confirmed",
        "confirmed",
    ]


def test_nothing_is_booked_where_nothing_is_free(session, ada, ben, sem):
    take(session, ben, sem, at(day(0)))
    with pytest.raises(Refused):
        place(session, ada, weekly(sem, "FREQ=WEEKLY;COUNT=1", otherwise=Otherwise.SKIP))
    with pytest.raises(Invalid):
        place(session, ada, weekly(sem, choices={day(week): Choice(Way.SKIP) for week in range(4)}))
    assert count(session, Series) == 0


def test_each_date_has_a_choice_of_its_own(session, ada, ben, sem):
    twin = make_instrument(session, sem.facility)
    for week in (0, 1, 2):
        take(session, ben, sem, at(day(week)))
    choices = {
        day(0): Choice(Way.OTHER, span=at(day(0), 13)),
        day(1): Choice(Way.OTHER, instrument_id=twin.id),
        day(2): Choice(Way.WAITLIST),
        day(3): Choice(Way.SKIP),
    }
    row = place(session, ada, weekly(sem, choices=choices))
    assert standing(session, ada, row) == {
        day(0): ("confirmed", at(day(0), 13)),
        day(1): ("confirmed", at(day(1))),
        day(2): ("waitlist", None),
        day(3): ("skip", None),
    }
    entry = session.scalars(select(WaitlistEntry)).one()
    assert (entry.person_id, Span(entry.window_starts_at, entry.window_ends_at)) == (
        ada.person_id,
        at(day(2)),
    )


def test_a_choice_for_a_day_that_is_none_of_them_is_no_choice(session, ada, sem):
    with pytest.raises(Invalid) as error:
        place(session, ada, weekly(sem, choices={day(9): Choice(Way.SKIP)}))
    assert error.value.errors == {"choices": "unknown"}


def test_dates_that_need_approval_are_asked_for_together(session, ada):
    place(session, ada, weekly(make_instrument(session, approval_required=True)))
    assert {one.state for one in session.scalars(select(Booking))} == {State.REQUESTED}
    assert kinds(session).count("series.placed") == 1


def test_the_same_key_gives_the_same_series(session, ada, sem):
    plan = weekly(sem)
    row = place(session, ada, plan, key="k", fingerprint="f")
    assert place(session, ada, plan, key="k", fingerprint="f").id == row.id
    assert count(session, Booking) == 4
    with pytest.raises(KeyReused):
        place(session, ada, plan, key="k", fingerprint="other")


def test_a_leader_books_a_series_for_a_member(session, ada, ben, sem):
    row = place(session, ada, weekly(sem, booked_for=ben.person_id))
    assert row.person_id == ben.person_id
    assert {one.booked_by_id for one in session.scalars(select(Booking))} == {ada.person_id}


def test_a_manager_sets_a_rule_aside_for_single_dates(session, ada, tam, sem):
    make_rule(session, "longest", 60, weekdays=1, instrument_id=sem.id)
    daily = weekly(sem, "FREQ=DAILY;COUNT=2")
    found = series.preview(session, actor=tam, plan=daily, now=NOW)
    assert [one.exceptional for one in found.dates] == [True, False]
    with pytest.raises(Refused):
        place(session, tam, daily)
    with pytest.raises(Forbidden):
        place(session, ada, replace(daily, override="Because of the audit"))
    place(session, tam, replace(daily, override="Because of the audit"))
    told = [one.data.get("override_reason") for one in session.scalars(select(Event).order_by(Event.id))]
    assert told == ["Because of the audit", None, None]


def test_a_hidden_instrument_is_not_there(session, ada):
    with pytest.raises(NotFound):
        place(session, ada, weekly(make_instrument(session, published=False)))
    with pytest.raises(NotFound):
        series.preview(session, actor=ada, plan=weekly(make_instrument(session, published=False)), now=NOW)


# --- seeing ---------------------------------------------------------------------------------------


def test_a_series_is_seen_by_its_people_and_the_staff(session, ada, ben, cleo, tam, sem):
    row = place(session, ben, weekly(sem))
    for who in (ben, ada, tam):
        assert len(series.get(session, actor=who, series_id=row.id, now=NOW).dates) == 4
    with pytest.raises(NotFound):
        series.get(session, actor=cleo, series_id=row.id, now=NOW)
    with pytest.raises(NotFound):
        series.cancel(session, actor=cleo, series_id=row.id, scope=Scope.ALL, now=NOW)
    with pytest.raises(NotFound):
        change(session, cleo, row, Scope.ALL, start_minute=600)


def test_an_operator_sees_and_does_not_change(session, ada, cleo, sem):
    row = place(session, ada, weekly(sem))
    session.add(Membership(person_id=cleo.person_id, role=Role.OPERATOR, facility_id=sem.facility_id))
    operator = cast.actor_of(session, session.get_one(Person, cleo.person_id))
    assert standing(session, operator, row)
    with pytest.raises(Forbidden):
        series.cancel(session, actor=operator, series_id=row.id, scope=Scope.ALL, now=NOW)


# --- changing -------------------------------------------------------------------------------------


def change(session, actor, row, scope, on=None, *, version=None, now=NOW, **edit) -> Series:
    return series.change(
        session,
        actor=actor,
        series_id=row.id,
        version=version,
        scope=scope,
        day=on,
        edit=Edit(**edit),
        now=now,
    )


def test_one_date_is_moved_and_keeps_its_day(session, ada, sem):
    row = place(session, ada, weekly(sem))
    change(session, ada, row, Scope.THIS, day(1), start_minute=14 * 60)
    found = standing(session, ada, row)
    assert found[day(1)] == ("confirmed", at(day(1), 14))
    assert found[day(2)] == ("confirmed", at(day(2)))
    assert kinds(session)[-1] == "booking.changed"


def test_all_that_are_ahead_are_changed_together(session, ada, sem):
    row = place(session, ada, weekly(sem))
    later = at(day(1), 8).start
    change(session, ada, row, Scope.ALL, start_minute=600, minutes=60, purpose="Shorter", now=later)
    found = standing(session, ada, row, later)
    assert found[day(0)] == ("confirmed", at(day(0)))  # it has begun
    assert [found[day(week)] for week in (1, 2, 3)] == [
        ("confirmed", at(day(week), 10, 1)) for week in (1, 2, 3)
    ]
    told = session.scalars(select(Event).order_by(Event.id)).all()[-4:]
    assert [one.kind for one in told] == ["booking.changed"] * 3 + ["series.changed"]
    assert all(one.data["series"] == str(row.id) for one in told)
    assert row.version == 2


def test_neighbours_may_change_places(session, ada):
    sem = make_instrument(session, facility=make_facility(session, always_open=True))
    row = place(session, ada, weekly(sem, "FREQ=DAILY;COUNT=5", minutes=24 * 60))
    change(session, ada, row, Scope.ALL, start_minute=NINE + 60)
    spans = [span for _, span in standing(session, ada, row).values()]
    assert [span.start for span in spans] == [at(FIRST + timedelta(days=n), 10).start for n in range(5)]


def test_this_and_what_follows_become_a_series_of_their_own(session, ada, sem):
    row = place(session, ada, weekly(sem, excluded=[day(3)]))
    new = change(session, ada, row, Scope.FOLLOWING, day(2), start_minute=13 * 60)
    assert new.split_from == row.id
    assert (new.first_day, new.start_minute, new.rule) == (day(2), 13 * 60, "FREQ=WEEKLY;BYDAY=MO;COUNT=2")
    assert row.rule == "FREQ=WEEKLY;BYDAY=MO;COUNT=2"
    assert list(standing(session, ada, row)) == [day(0), day(1)]
    assert standing(session, ada, new) == {
        day(2): ("confirmed", at(day(2), 13)),
        day(3): ("excluded", None),
    }


def test_from_the_first_date_on_is_all_of_it(session, ada, sem):
    row = place(session, ada, weekly(sem))
    assert change(session, ada, row, Scope.FOLLOWING, day(0), start_minute=600).id == row.id
    assert count(session, Series) == 1


def test_what_was_moved_alone_stays_where_it_is(session, ada, sem):
    row = place(session, ada, weekly(sem))
    change(session, ada, row, Scope.THIS, day(1), start_minute=15 * 60)
    change(session, ada, row, Scope.ALL, start_minute=600, purpose="All")
    found = standing(session, ada, row)
    assert found[day(1)] == ("confirmed", at(day(1), 15))
    assert found[day(2)] == ("confirmed", at(day(2), 10))
    assert {one.purpose for one in bookings.of_series(session, series_id=row.id)} == {"All"}


def test_a_date_that_got_another_instrument_besides_keeps_both(session, ada, sem):
    twin = make_instrument(session, sem.facility)
    row = place(session, ada, weekly(sem))
    one = bookings.of_series(session, series_id=row.id)[1]
    both = [Item(one_of.id, at(day(1))) for one_of in (sem, twin)]
    bookings.change(session, actor=ada, booking_id=one.id, version=None, items=both, now=NOW)
    change(session, ada, row, Scope.ALL, start_minute=600)
    found = bookings.get(session, actor=ada, booking_id=one.id)
    assert [Span(item.starts_at, item.ends_at) for item in found.items] == [at(day(1))] * 2
    change(session, ada, row, Scope.THIS, day(1), purpose="Both")
    with pytest.raises(Invalid):
        change(session, ada, row, Scope.THIS, day(1), start_minute=660)


def test_another_rule_cancels_adds_and_keeps(session, ada, sem):
    row = place(session, ada, weekly(sem))
    rule = parse("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4", FIRST)
    change(session, ada, row, Scope.ALL, rule=rule)
    found = {on.isoformat(): state for on, (state, _) in standing(session, ada, row).items()}
    assert found == {
        "2026-11-09": "confirmed",
        "2026-11-11": "confirmed",
        "2026-11-16": "confirmed",
        "2026-11-18": "confirmed",
        "2026-11-23": "cancelled",
        "2026-11-30": "cancelled",
    }


def test_a_change_is_all_or_nothing(session, ada, ben, sem):
    row = place(session, ada, weekly(sem))
    take(session, ben, sem, at(day(2), 11))
    with pytest.raises(Refused) as refused:
        change(session, ada, row, Scope.ALL, start_minute=600)
    assert reasons(refused) == [(day(2).isoformat(), "taken")]
    found = series.preview_change(
        session, actor=ada, series_id=row.id, scope=Scope.ALL, edit=Edit(start_minute=600), now=NOW
    )
    assert [bool(one.reasons) for one in found.dates] == [False, False, True, False]
    assert found.dates[2].alternatives


def test_a_choice_may_go_with_a_change(session, ada, ben, sem):
    row = place(session, ada, weekly(sem))
    take(session, ben, sem, at(day(2), 11))
    change(session, ada, row, Scope.ALL, start_minute=600, choices={day(2): Choice(Way.SKIP)})
    assert [found[0] for found in standing(session, ada, row).values()] == [
        "confirmed",
        "confirmed",
        "cancelled",
        "confirmed",
    ]


def test_a_change_of_what_somebody_changed_meanwhile_is_stale(session, ada, sem):
    row = place(session, ada, weekly(sem))
    change(session, ada, row, Scope.ALL, version=1, start_minute=600)
    with pytest.raises(Stale):
        change(session, ada, row, Scope.ALL, version=1, start_minute=660)


@pytest.mark.parametrize(
    ("scope", "on", "edit", "field"),
    [
        (Scope.FOLLOWING, None, {}, "day"),
        (Scope.FOLLOWING, FIRST + timedelta(days=1), {}, "day"),
        (Scope.THIS, None, {}, "day"),
        (Scope.THIS, FIRST, {"choices": {FIRST: Choice(Way.SKIP)}}, "scope"),
        (Scope.ALL, None, {"choices": {FIRST + timedelta(days=1): Choice(Way.SKIP)}}, "choices"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(session, ada, sem, scope, on, edit, field):
    row = place(session, ada, weekly(sem))
    with pytest.raises(Invalid) as error:
        change(session, ada, row, scope, on, **edit)
    assert list(error.value.errors) == [field]


# --- giving up and putting back -------------------------------------------------------------------


def cancel(session, actor, row, scope, on=None, **more) -> Series:
    return series.cancel(session, actor=actor, series_id=row.id, scope=scope, day=on, **{"now": NOW, **more})


def test_dates_are_given_up_alone_from_one_on_or_all(session, ada, sem):
    row = place(session, ada, weekly(sem))
    cancel(session, ada, row, Scope.THIS, day(1))
    assert kinds(session)[-1] == "booking.cancelled"
    assert [found[0] for found in standing(session, ada, row).values()].count("cancelled") == 1
    cancel(session, ada, row, Scope.FOLLOWING, day(2), reason="Sample is gone")
    told = session.scalars(select(Event).order_by(Event.id)).all()[-1]
    assert (told.kind, told.data["dates"], told.data["reason"]) == ("series.cancelled", 2, "Sample is gone")
    cancel(session, ada, row, Scope.ALL)
    assert {found[0] for found in standing(session, ada, row).values()} == {"cancelled"}
    assert count(session, Occupation) == 0
    with pytest.raises(Refused) as refused:
        cancel(session, ada, row, Scope.ALL)
    (reason,) = refused.value.reasons
    assert wording.sentence(reason.code, reason.params) == "No date of this series is still ahead."


def test_what_has_begun_is_not_given_up_with_the_rest(session, ada, sem):
    row = place(session, ada, weekly(sem))
    cancel(session, ada, row, Scope.ALL, now=at(day(1)).start)
    assert [found[0] for found in standing(session, ada, row).values()] == [
        "confirmed",
        "confirmed",
        "cancelled",
        "cancelled",
    ]


def test_a_date_is_put_back_and_judged_anew(session, ada, ben, sem):
    row = place(session, ada, weekly(sem, choices={day(1): Choice(Way.SKIP)}))
    cancel(session, ada, row, Scope.THIS, day(2))

    def put_back(on: date, **more) -> Series:
        return series.put_back(session, actor=ada, series_id=row.id, day=on, **{"now": NOW, **more})

    put_back(day(1))
    assert standing(session, ada, row)[day(1)] == ("confirmed", at(day(1)))
    take(session, ben, sem, at(day(2)))
    with pytest.raises(Refused) as refused:
        put_back(day(2))
    assert reasons(refused) == [(day(2).isoformat(), "taken")]
    put_back(day(2), choice=Choice(Way.OTHER, span=at(day(2), 13)))
    assert standing(session, ada, row)[day(2)] == ("confirmed", at(day(2), 13))
    with pytest.raises(Refused) as stands:
        put_back(day(0))
    assert reasons(stands) == [(day(0).isoformat(), "date_stands")]
    with pytest.raises(Invalid):
        put_back(day(0) + timedelta(days=1))


def test_what_has_passed_is_not_put_back(session, ada, sem):
    row = place(session, ada, weekly(sem, choices={day(0): Choice(Way.SKIP)}))
    with pytest.raises(Refused) as refused:
        series.put_back(session, actor=ada, series_id=row.id, day=day(0), now=at(day(0), 10).start)
    assert reasons(refused) == [(day(0).isoformat(), "past")]


def test_a_manager_changes_and_puts_back_for_the_owner(session, ada, tam, sem):
    row = place(session, ada, weekly(sem))
    change(session, tam, row, Scope.ALL, start_minute=600)
    cancel(session, tam, row, Scope.THIS, day(1))
    series.put_back(session, actor=tam, series_id=row.id, day=day(1), now=NOW)
    assert standing(session, ada, row)[day(1)] == ("confirmed", at(day(1), 10))
    assert {one.person_id for one in bookings.of_series(session, series_id=row.id)} == {ada.person_id}


def test_a_date_that_was_handed_over_goes_its_own_way(session, ben, cleo, sem):
    row = place(session, ben, weekly(sem))
    given = bookings.of_series(session, series_id=row.id)[1]
    given.person_id, given.organisation_id = cleo.person_id, None
    session.flush()
    change(session, ben, row, Scope.ALL, start_minute=600)
    cancel(session, ben, row, Scope.ALL)
    found = standing(session, ben, row)
    assert [one[0] for one in found.values()] == ["cancelled", "handed_over", "cancelled", "cancelled"]
    assert given.starts_at == at(day(1)).start
    assert given.state is State.CONFIRMED
    with pytest.raises(Refused):
        series.put_back(session, actor=ben, series_id=row.id, day=day(1), now=NOW)


# --- at once --------------------------------------------------------------------------------------


def test_of_two_series_at_once_one_wins_whole(database_url):
    db.init(database_url)
    try:
        with db.transaction() as session:
            place_id = make_instrument(session).id
            people = [cast.ada(session), cast.ben(session)]
            actors = [cast.actor_of(session, person) for person in people]
        told: list[UUID | Refused] = []
        start = threading.Barrier(2)

        def run(actor: Actor, offset: int) -> None:
            first = FIRST + timedelta(days=offset)
            rule = parse("FREQ=DAILY;COUNT=20", first)
            plan = Plan(place_id, Pattern(rule, first, NINE, 120))
            start.wait()
            try:
                with db.transaction() as session:
                    told.append(series.place(session, actor=actor, plan=plan, now=NOW).id)
            except Refused as refusal:
                told.append(refusal)

        for _ in range(3):
            told.clear()
            threads = [
                threading.Thread(target=run, args=(actor, offset))
                for actor, offset in zip(actors, (0, 5), strict=True)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            won = [one for one in told if isinstance(one, UUID)]
            assert len(told) == 2
            assert len(won) == 1
            with db.transaction() as session:
                assert count(session, Series) == 1
                states = session.scalars(select(Booking.series_id)).all()
                assert states == [won[0]] * 20
                _empty(session)
    finally:
        db.dispose()


def _empty(session: Session) -> None:
    for table in (Occupation, Event):
        session.execute(table.__table__.delete())
    for one in session.scalars(select(Booking)):
        bookings_items = bookings.of_series(session, series_id=one.series_id) if one.series_id else []
        for booking in bookings_items:
            session.delete(booking)
    session.flush()
    session.execute(Series.__table__.delete())


# --- what holds for all dates ---------------------------------------------------------------------

ACETONE = Substance("Acetone", cas="67-64-1", hazards=frozenset({Hazard.HAZARDOUS}))
PRECURSOR = Substance("Toluene", hazards=frozenset({Hazard.DRUG_PRECURSOR_3}))


def brought(session, row) -> dict[date, list[str]]:
    """What is declared for each date, by its names."""
    made = bookings.of_series(session, series_id=row.id)
    found = approval_steps.declared_for(session, booking_ids=[one.id for one in made])
    return {one.series_day: [substance.name for substance in found.get(one.id, ())] for one in made}


def test_chemicals_are_declared_once_for_all_dates_and_judged(session, ada, tam, sem):
    data = {"stage": 1, "approvers": {"role": "manager"}, "when": [{"condition": "hazardous"}]}
    make_rule(session, "Safety", 1, kind=RuleKind.APPROVAL, data=data, instrument_id=sem.id)
    plan = replace(weekly(sem), chemicals=(ACETONE,))
    found = series.preview(session, actor=ada, plan=plan, now=NOW)
    assert [one.needs_approval for one in found.dates] == [True] * 4
    assert not any(
        one.needs_approval for one in series.preview(session, actor=ada, plan=weekly(sem), now=NOW).dates
    )
    row = place(session, ada, plan)
    assert brought(session, row) == {day(week): ["Acetone"] for week in range(4)}
    assert {one.state for one in bookings.of_series(session, series_id=row.id)} == {State.REQUESTED}
    assert approvals.waiting(session, actor=tam, now=NOW) == 1
    assert len(approvals.inbox(session, actor=tam, now=NOW)) == 4


def test_a_permit_that_is_missing_refuses_every_date(session, ada, sem):
    data = {"approvers": None, "permit_for": ["drug_precursor_3"]}
    make_rule(session, "Permit", 1, kind=RuleKind.APPROVAL, data=data, instrument_id=sem.id)
    plan = replace(weekly(sem), chemicals=(PRECURSOR,))
    with pytest.raises(Refused) as refused:
        place(session, ada, plan)
    assert reasons(refused) == [(day(week).isoformat(), "permit_missing") for week in range(4)]
    row = place(session, ada, replace(plan, chemicals=(replace(PRECURSOR, permit_number="7"),)))
    with pytest.raises(Refused):
        change(session, ada, row, Scope.ALL, chemicals=[PRECURSOR])
    assert brought(session, row) == {day(week): ["Toluene"] for week in range(4)}


def test_what_is_declared_later_holds_for_all_that_are_ahead_and_for_dates_to_come(session, ada, sem):
    row = place(session, ada, weekly(sem, choices={day(3): Choice(Way.SKIP)}))
    change(session, ada, row, Scope.ALL, chemicals=[ACETONE], now=at(day(1), 8).start)
    assert brought(session, row) == {day(0): [], day(1): ["Acetone"], day(2): ["Acetone"]}
    series.put_back(session, actor=ada, series_id=row.id, day=day(3), now=NOW)
    change(session, ada, row, Scope.ALL, rule=parse("FREQ=WEEKLY;COUNT=5", FIRST))
    assert brought(session, row)[day(3)] == brought(session, row)[day(4)] == ["Acetone"]
    cancel(session, ada, row, Scope.THIS, day(0))
    change(session, ada, row, Scope.ALL, chemicals=[])
    assert brought(session, row)[day(4)] == []


def put_paper(session, actor, row, title="SDS", content=b"%PDF-1.7 acetone", now=NOW):
    paper = papers.Paper(PaperKind.SDS, title, content=content)
    return series_papers.add(session, actor=actor, series_id=row.id, paper=paper, now=now)


def kept(session) -> int:
    """How often content is kept."""
    return session.scalar(select(func.count()).where(BookingPaper.content.is_not(None)))


def contents(session, actor, row) -> dict[date, list[bytes]]:
    return {
        one.series_day: [
            papers.read(session, actor=actor, booking_id=one.id, paper_id=paper.id, now=NOW)[1]
            for paper in papers.of_booking(session, booking_id=one.id)
        ]
        for one in bookings.of_series(session, series_id=row.id)
    }


def test_a_paper_stands_beside_every_date_and_its_content_is_kept_once(session, ada, ben, cleo, sem):
    row = place(session, ada, weekly(sem, choices={day(3): Choice(Way.SKIP)}))
    shared = put_paper(session, ada, row)
    assert shared.dates == 3
    series.put_back(session, actor=ada, series_id=row.id, day=day(3), now=NOW)
    new = change(session, ada, row, Scope.FOLLOWING, day(2), start_minute=600)
    every = {**contents(session, ada, row), **contents(session, ada, new)}
    assert every == {day(week): [b"%PDF-1.7 acetone"] for week in range(4)}
    assert kept(session) == 1
    with pytest.raises(NotFound):
        put_paper(session, cleo, row)
    with pytest.raises(NotFound):
        series_papers.listing(session, actor=cleo, series_id=row.id, now=NOW)


def test_the_content_of_a_paper_outlives_the_date_that_kept_it(session, ada, sem):
    row = place(session, ada, weekly(sem))
    first = put_paper(session, ada, row).paper
    assert first.same_as is None
    papers.remove(session, actor=ada, booking_id=first.booking_id, paper_id=first.id, now=NOW)
    session.expire_all()
    assert contents(session, ada, row) == {
        day(0): [],
        **{day(week): [b"%PDF-1.7 acetone"] for week in (1, 2, 3)},
    }
    assert kept(session) == 1
    (left,) = series_papers.listing(session, actor=ada, series_id=row.id, now=NOW)
    assert left.dates == 3
    later = at(day(1), 10).start
    series_papers.remove(session, actor=ada, series_id=row.id, paper_id=left.paper.id, now=later)
    session.expire_all()
    assert {on for on, found in contents(session, ada, row).items() if found} == {day(1)}  # it was there
    assert kept(session) == 1


def test_papers_are_no_more_than_a_booking_may_have_and_only_their_people_take_them_away(
    session, ada, ben, tam, sem
):
    row = place(session, ben, weekly(sem))
    for number in range(20):
        put_paper(session, ben, row, f"Paper {number}")
    with pytest.raises(Refused) as refused:
        put_paper(session, ben, row)
    assert [reason.code for reason in refused.value.reasons] == ["too_many_papers"]
    first = series_papers.listing(session, actor=ben, series_id=row.id, now=NOW)[0]
    with pytest.raises(Forbidden):  # she leads his group, and did not add it
        series_papers.remove(session, actor=ada, series_id=row.id, paper_id=first.paper.id, now=NOW)
    series_papers.remove(session, actor=tam, series_id=row.id, paper_id=first.paper.id, now=NOW)
    assert len(series_papers.listing(session, actor=ben, series_id=row.id, now=NOW)) == 19
    cancel(session, ben, row, Scope.ALL)
    with pytest.raises(Refused) as refused:
        put_paper(session, ben, row)
    assert [reason.code for reason in refused.value.reasons] == ["nothing_ahead"]


# --- another pattern ------------------------------------------------------------------------------


def states_of(session, actor, row) -> dict[str, str]:
    return {on.isoformat(): found[0] for on, found in standing(session, actor, row).items()}


def test_what_follows_may_go_by_another_pattern(session, ada, sem):
    row = place(session, ada, weekly(sem))
    rule = parse("FREQ=DAILY;INTERVAL=2;COUNT=3", day(2))
    new = change(session, ada, row, Scope.FOLLOWING, day(2), rule=rule, start_minute=780)
    assert list(states_of(session, ada, row).values()) == ["confirmed", "confirmed"]
    assert states_of(session, ada, new) == {
        "2026-11-23": "confirmed",
        "2026-11-25": "confirmed",
        "2026-11-27": "confirmed",
        "2026-11-30": "cancelled",
    }


def test_dates_are_left_out_and_let_in_by_a_change(session, ada, sem):
    row = place(session, ada, weekly(sem, excluded=[day(1)]))
    change(session, ada, row, Scope.ALL, excluded=frozenset({day(2)}))
    assert list(states_of(session, ada, row).values()) == ["confirmed", "confirmed", "cancelled", "confirmed"]
    monthly = parse("FREQ=MONTHLY;BYDAY=2MO;COUNT=3", FIRST)
    change(session, ada, row, Scope.ALL, rule=monthly, excluded=frozenset({date(2026, 12, 14)}))
    found = states_of(session, ada, row)
    assert {on: found[on] for on in ("2026-11-09", "2026-12-14", "2027-01-11")} == {
        "2026-11-09": "confirmed",
        "2026-12-14": "excluded",
        "2027-01-11": "confirmed",
    }
    with pytest.raises(Invalid) as error:
        change(session, ada, row, Scope.ALL, excluded=frozenset({date(2026, 12, 15)}))
    assert error.value.errors == {"excluded": "unknown"}


def test_a_new_date_of_another_pattern_has_a_choice_of_its_own(session, ada, ben, sem):
    row = place(session, ada, weekly(sem, "FREQ=WEEKLY;COUNT=2"))
    wednesday = day(0) + timedelta(days=2)
    take(session, ben, sem, at(wednesday))
    edit = {"rule": parse("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4", FIRST)}
    with pytest.raises(Refused) as refused:
        change(session, ada, row, Scope.ALL, **edit)
    assert reasons(refused) == [(wednesday.isoformat(), "taken")]
    choice = {wednesday: Choice(Way.OTHER, span=at(wednesday, 13))}
    change(session, ada, row, Scope.ALL, **edit, choices=choice)
    assert standing(session, ada, row)[wednesday] == ("confirmed", at(wednesday, 13))


def test_the_seventeenth_date_is_taken_between_the_look_and_the_command(session, ada, ben, sem):
    plan = weekly(sem, "FREQ=WEEKLY;COUNT=26", choices={day(3): Choice(Way.OTHER, span=at(day(3), 14))})
    assert series.preview(session, actor=ada, plan=plan, now=NOW).allowed
    take(session, ben, sem, at(day(16), 10))
    before = count(session, Booking), count(session, Event), count(session, Occupation)
    with pytest.raises(Refused) as refused:
        place(session, ada, plan)
    assert reasons(refused) == [(day(16).isoformat(), "taken")]
    session.expire_all()
    assert (count(session, Booking), count(session, Event), count(session, Occupation)) == before
    fresh = series.preview(session, actor=ada, plan=plan, now=NOW)
    assert [one.day for one in fresh.dates if one.reasons] == [day(16)]
    assert fresh.dates[3].item.span == at(day(3), 14)


# --- lists ----------------------------------------------------------------------------------------


def listed(session, actor, now=NOW, **more):
    found, total = series_lists.own(session, actor=actor, now=now, **more)
    assert total == len(found)
    return [(one.series.id, one.next_at, one.done, one.ahead, one.waiting, one.skipped) for one in found]


def test_my_series_come_by_their_next_date_with_their_figures(session, ada, ben, sem):
    furnace = make_instrument(session, sem.facility, approval_required=True)
    row = place(session, ada, weekly(sem, choices={day(3): Choice(Way.SKIP)}))
    asked = place(session, ada, weekly(furnace, "FREQ=WEEKLY;COUNT=2", start=NINE - 60))
    theirs = place(session, ada, weekly(sem, start=13 * 60, booked_for=ben.person_id))
    cancel(session, ada, row, Scope.THIS, day(1))
    assert listed(session, ada) == [
        (asked.id, at(day(0), 8).start, 0, 2, 2, 0),
        (row.id, at(day(0)).start, 0, 2, 0, 2),
        (theirs.id, at(day(0), 13).start, 0, 4, 0, 0),
    ]
    assert [one[0] for one in listed(session, ben)] == [theirs.id]
    later = at(day(2), 8).start
    assert (row.id, at(day(2)).start, 1, 1, 0, 2) in listed(session, ada, later)
    assert [one[0] for one in listed(session, ada, at(day(9)).start, over=True)] != []
    assert listed(session, ada, at(day(9)).start) == []
    assert series_lists.any_going_on(session, actor=ada, now=NOW) == 2


def test_staff_see_the_series_of_their_facility(session, ada, ben, tam, cleo, sem):
    place(session, ada, weekly(sem))
    place(session, ada, weekly(make_instrument(session)))
    found, total = series_lists.of_facility(session, actor=tam, facility_id=sem.facility_id, now=NOW)
    assert (total, [one.person.name for one in found]) == (1, ["Ada"])
    for who in (ada, ben, cleo):
        with pytest.raises(Forbidden):
            series_lists.of_facility(session, actor=who, facility_id=sem.facility_id, now=NOW)


def test_a_list_costs_as_much_for_many_series_as_for_one(session, ada, sem):
    def statements_of_list() -> int:
        told: list[str] = []

        def note(_conn, _cursor, statement, *_rest) -> None:
            told.append(statement)

        event.listen(session.connection(), "before_cursor_execute", note)
        series_lists.own(session, actor=ada, now=NOW)
        event.remove(session.connection(), "before_cursor_execute", note)
        return len(told)

    place(session, ada, weekly(sem))
    session.expunge_all()
    one = statements_of_list()
    for number in range(3):
        place(session, ada, weekly(sem, start=NINE + 120 * (number + 1)))
    session.expunge_all()
    assert statements_of_list() == one <= 6


# --- decided together -----------------------------------------------------------------------------


@pytest.fixture
def asked(session, ada, tam, sem) -> Series:
    """Four requests of Ada's that wait for Tam."""
    furnace = make_instrument(session, sem.facility, approval_required=True)
    return place(session, ada, weekly(furnace))


def of_dates(session, row) -> list[UUID]:
    return [one.id for one in bookings.of_series(session, series_id=row.id)]


def decide(session, actor, row, said, **more):
    return series_approvals.decide(session, actor=actor, series_id=row.id, said=said, **{"now": NOW, **more})


def test_dates_are_approved_and_rejected_in_one_go(session, ada, tam, asked):
    waiting = series_approvals.asked(session, actor=tam, series_id=asked.id, now=NOW)
    assert [len(group) for group in series_approvals.grouped(waiting)] == [4]
    first, second, third, fourth = of_dates(session, asked)
    done = decide(session, tam, asked, {first: True, second: False, third: True}, comment="Audit")
    assert [one.id for one in done.approved] == [first, third]
    assert [one.id for one in done.rejected] == [second]
    states = [found[0] for found in standing(session, ada, asked).values()]
    assert states == ["confirmed", "rejected", "confirmed", "requested"]
    left = series_approvals.asked(session, actor=tam, series_id=asked.id, now=NOW)
    assert [one.booking.id for one in left] == [fourth]
    told = session.scalars(select(Event).order_by(Event.id)).all()[-1]
    assert (told.kind, told.data["approved"], told.data["rejected"]) == ("series.decided", 2, 1)


def test_a_decision_on_several_dates_is_all_or_nothing(session, ada, tam, asked):
    first, second, *_rest = of_dates(session, asked)
    seen = dict.fromkeys((first, second), 1)
    bookings.cancel(session, actor=ada, booking_id=second, now=NOW)
    before = count(session, Event)
    for error, versions in ((Stale, seen), (WrongMove, None)):
        with pytest.raises(error), session.begin_nested():
            decide(session, tam, asked, {first: True, second: True}, versions=versions)
    assert count(session, Event) == before
    assert standing(session, ada, asked)[day(0)][0] == "requested"


def test_nobody_else_decides_on_a_series(session, ada, ben, cleo, tam, sem, asked):
    said = dict.fromkeys(of_dates(session, asked), True)
    for who in (cleo, ben):
        with pytest.raises(NotFound):
            series_approvals.asked(session, actor=who, series_id=asked.id, now=NOW)
        with pytest.raises((NotFound, Forbidden)), session.begin_nested():
            decide(session, who, asked, said)
    other = place(session, ada, weekly(sem))
    with pytest.raises(NotFound):
        decide(session, tam, other, said)
    with pytest.raises(Invalid):
        decide(session, tam, asked, {})


def test_of_two_decisions_at_once_one_counts(session, tam, asked):
    said = dict.fromkeys(of_dates(session, asked), True)
    decide(session, tam, asked, said)
    with pytest.raises(WrongMove):
        decide(session, tam, asked, said)


def link_of(session, person_id) -> dict:
    decision_links.write(session, key="k", now=NOW)
    row = session.scalars(select(OneTimeLink).where(OneTimeLink.person_id == person_id)).one()
    return {"link_id": row.id, "secret": one_time.secret("k", row.id)}


def test_one_letters_link_decides_the_dates_that_are_ticked(session, ada, tam, asked):
    link = link_of(session, tam.person_id)
    assert count(session, OneTimeLink) == 1
    found = decision_links.opened(session, **link, now=NOW)
    first, second, third, fourth = of_dates(session, asked)
    assert [one.id for one, _step in found.others] == [second, third, fourth]
    said = {"approves": True, "comment": "", "version": None}
    with pytest.raises(Stale), session.begin_nested():
        decision_links.decide(session, **link, **said, dates={first: 1, UUID(int=7): 1}, now=NOW)
    with pytest.raises(Stale), session.begin_nested():
        decision_links.decide(session, **link, **said, dates={first: 1, second: 9}, now=NOW)
    decision_links.decide(session, **link, **said, dates={first: 1, second: 1, fourth: 1}, now=NOW)
    assert [one[0] for one in standing(session, ada, asked).values()] == [
        "confirmed",
        "confirmed",
        "requested",
        "confirmed",
    ]
    assert kinds(session)[-1] == "series.decided"
    with pytest.raises(NotFound):
        decision_links.decide(session, **link, **said, dates={third: 1}, now=NOW)


def test_a_link_reaches_no_date_of_another_step_or_person(session, ben, cleo, tam, asked):
    link = link_of(session, tam.person_id)
    first, second, third, _fourth = bookings.of_series(session, series_id=asked.id)
    second.person_id = ben.person_id  # handed over
    steps = approval_steps.current(session, booking_ids=[third.id])[third.id]
    steps[0].name = "Another"
    session.flush()
    found = decision_links.opened(session, **link, now=NOW)
    assert [one.series_day for one, _step in found.others] == [day(3)]
    assert found.booking.id == first.id
