"""Qualifications from the rule to the grant: the gates, the way to a certificate, and what runs out."""

from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from uuid import UUID

import pytest
from sqlalchemy import event, select

from booking import wording
from booking.domain.access import SYSTEM, Forbidden, NotFound, Role
from booking.domain.notices import Channel
from booking.domain.occupation import Item
from booking.domain.qualifications import Mode, Standing, Step
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, notifications, policies, qualification_needs, qualifications
from booking.services.gates import Wish
from models import Category, Certificate, Delivery, Event, Membership, Person, Rule, RuleKind
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
TODAY = date(2026, 11, 2)


@pytest.fixture
def lab(session):
    """A facility with a microscope, managed by Tam, who gives LASER for a year; Ada and Ben come to use it."""
    facility = make_facility(session)
    session.add(Category(code="0101", name_zh="电镜", name_en="Electron microscopes"))
    session.flush()
    found = SimpleNamespace(
        facility=facility,
        sem=make_instrument(session, facility, category_code="0101"),
        tam=cast.actor_of(session, cast.tam(session, facility)),
        ada=cast.actor_of(session, cast.ada(session)),
        ben=cast.actor_of(session, cast.ben(session)),
        cleo=cast.actor_of(session, cast.cleo(session)),
    )
    qualifications.define(
        session,
        actor=found.tam,
        facility_id=facility.id,
        code="LASER",
        name_zh="激光安全",
        name_en="Laser safety",
        months=12,
        now=NOW,
    )
    return found


def need(session, lab, **more):
    return qualifications.need(session, actor=lab.tam, code="LASER", now=NOW, **more)


def award(session, lab, actor, **more):
    return qualifications.award(
        session, actor=lab.tam, code="LASER", person_id=actor.person_id, now=NOW, **more
    )


def ask(session, actor, **more):
    return qualifications.ask(session, actor=actor, code="LASER", now=NOW, **more)


def item(row, days=1.0):
    start = NOW + timedelta(days=days)
    return Item(row.id, Span(start, start + timedelta(hours=1)))


def place(session, actor, row, days=1.0, **more):
    return bookings.place(session, actor=actor, items=[item(row, days)], now=NOW, **more)


def refusal(session, actor, row, days=1.0, **more):
    with pytest.raises(Refused) as refused:
        place(session, actor, row, days, **more)
    (reason,) = refused.value.reasons
    return reason


def plan(session, lab, seats=1, days=1):
    start = NOW + timedelta(days=days)
    return qualifications.plan(
        session,
        actor=lab.tam,
        code="LASER",
        starts_at=start,
        ends_at=start + timedelta(hours=2),
        seats=seats,
        now=NOW,
    )


def told(session):
    """The events of certificates, as kind and person."""
    rows = session.scalars(select(Event).where(Event.kind.like("qualification.%")).order_by(Event.id))
    return [(row.kind.partition(".")[2], row.data["person_id"]) for row in rows if "person_id" in row.data]


# --- gates ----------------------------------------------------------------------------------------


def test_who_lacks_it_is_refused_and_told_the_way(session, lab):
    need(session, lab, instrument_id=lab.sem.id)
    reason = refusal(session, lab.ada, lab.sem)
    assert (reason.code, reason.overridable) == ("qualification_missing", False)
    assert wording.sentence(reason.code, reason.params) == (
        f"{lab.sem.code} needs the qualification “Laser safety”, which is not held. "
        "Ask for it under “My qualifications”."
    )
    award(session, lab, lab.ada)
    place(session, lab.ada, lab.sem)


def test_on_the_day_of_use_it_must_still_count(session, lab):
    need(session, lab)
    award(session, lab, lab.ada, expires_on=TODAY + timedelta(days=3))
    place(session, lab.ada, lab.sem, days=2)
    reason = refusal(session, lab.ada, lab.sem, days=3)
    assert reason.params["standing"] == Standing.ENDS_BEFORE.value
    assert "runs out on Thu 5 Nov 2026" in wording.sentence(reason.code, reason.params)


def test_every_standing_has_its_sentence(session, lab):
    need(session, lab)
    certificate = ask(session, lab.ada)
    assert "not granted yet" in wording.sentence(*_said(refusal(session, lab.ada, lab.sem)))
    training = plan(session, lab)
    qualifications.schedule(
        session, actor=lab.ada, certificate_id=certificate.id, session_id=training.id, now=NOW
    )
    assert "still to come" in wording.sentence(*_said(refusal(session, lab.ada, lab.sem)))
    granted = qualifications.grant(session, actor=lab.tam, certificate_id=certificate.id, now=NOW)
    granted.expires_on = TODAY
    assert "it ran out on Mon 2 Nov 2026" in wording.sentence(*_said(refusal(session, lab.ada, lab.sem)))
    qualifications.revoke(
        session, actor=lab.tam, certificate_id=certificate.id, reason="left the laser on", now=NOW
    )
    assert "taken away" in wording.sentence(*_said(refusal(session, lab.ada, lab.sem)))


def _said(reason):
    return reason.code, reason.params


def test_subject_to_training_before_the_start_it_is_accepted_and_asked_for_at_check_in(session, lab):
    need(session, lab, instrument_id=lab.sem.id, mode=Mode.BEFORE_START)
    verdict = bookings.dry_run(session, actor=lab.ada, items=[item(lab.sem)], now=NOW)
    assert verdict.allowed
    assert [reason.code for reason in verdict.conditions] == ["training_before_start"]
    assert wording.sentence(*_said(verdict.conditions[0])) == (
        f"On condition of the qualification “Laser safety” for {lab.sem.code}: without it nobody can check in. "
        "Ask for it under “My qualifications” before the start."
    )
    booking = place(session, lab.ada, lab.sem)
    for somebody in (lab.ada, lab.tam):
        with pytest.raises(Refused) as refused:
            bookings.check_in(session, actor=somebody, booking_id=booking.id, now=booking.starts_at)
        assert [reason.code for reason in refused.value.reasons] == ["qualification_missing"]
    award(session, lab, lab.ada)
    assert not bookings.dry_run(session, actor=lab.ada, items=[item(lab.sem, 5)], now=NOW).conditions
    bookings.check_in(session, actor=lab.ada, booking_id=booking.id, now=booking.starts_at)


def test_what_was_taken_away_after_booking_turns_away_at_check_in(session, lab):
    need(session, lab)
    certificate = award(session, lab, lab.ada)
    booking = place(session, lab.ada, lab.sem)
    qualifications.revoke(session, actor=lab.tam, certificate_id=certificate.id, reason="fire", now=NOW)
    with pytest.raises(Refused) as refused:
        bookings.check_in(session, actor=lab.ada, booking_id=booking.id, now=booking.starts_at)
    assert refused.value.reasons[0].params["standing"] == "revoked"


def test_it_is_the_person_who_needs_it_not_who_books_for_them(session, lab):
    need(session, lab)
    award(session, lab, lab.ada)
    refusal(session, lab.ada, lab.sem, booked_for=lab.ben.person_id)
    award(session, lab, lab.ben)
    place(session, lab.tam, lab.sem, booked_for=lab.ben.person_id)


def test_the_nearest_rule_counts_and_a_category_of_the_facility_has_its_own(session, lab):
    bench = make_instrument(session, lab.facility)
    need(session, lab, category="0101")
    place(session, lab.ada, bench)
    refusal(session, lab.ada, lab.sem)
    need(session, lab, instrument_id=lab.sem.id, mode=Mode.WAIVED)
    place(session, lab.ada, lab.sem)
    elsewhere = make_instrument(session, make_facility(session), category_code="0101")
    place(session, lab.ada, elsewhere, days=2)


def test_a_rule_of_a_whole_category_is_kept_too(session, lab):
    session.add(
        Rule(
            category_code="0101",
            kind=RuleKind.QUALIFICATION,
            name="LASER",
            data={"mode": "before_booking"},
            valid_from=TODAY,
            created_at=NOW,
        )
    )
    session.flush()
    refusal(session, lab.ada, lab.sem)


def test_what_nobody_gives_any_more_is_not_needed(session, lab):
    need(session, lab)
    certificate = ask(session, lab.ada)
    qualifications.retire(session, actor=lab.tam, code="LASER", now=NOW)
    place(session, lab.ada, lab.sem)
    assert certificate.state is Step.REFUSED
    with pytest.raises(NotFound):
        ask(session, lab.ben)


def test_without_needs_the_gate_asks_nothing_of_its_own(session, lab):
    """The rules of a wish are read once for all gates; certificates only where one is needed."""
    statements = _statements(session, lambda: place(session, lab.ada, lab.sem))
    assert not [text for text in statements if "certificate" in text or "FROM qualification" in text]
    award(session, lab, lab.ada)
    need(session, lab)
    statements = _statements(session, lambda: place(session, lab.ada, lab.sem, days=2))
    assert len([text for text in statements if "certificate" in text or "FROM qualification" in text]) == 2


def _statements(session, work):
    found = []
    connection = session.connection()

    def note(_conn, _cursor, statement, *_):
        found.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    work()
    event.remove(connection, "before_cursor_execute", note)
    return found


# --- lines and their stations ---------------------------------------------------------------------


@pytest.fixture
def line(session, lab):
    """A line of a mixer and a furnace."""
    stations = [make_instrument(session, lab.facility, code=code) for code in ("MIXER", "FURNACE")]
    return make_instrument(session, lab.facility, code="LINE", stations=stations), *stations


def test_who_books_a_line_must_hold_what_its_stations_need(session, lab, line):
    whole, mixer, furnace = line
    place(session, lab.ada, whole, days=1)
    need(session, lab, instrument_id=furnace.id)
    place(session, lab.ada, mixer, days=2)
    reason = refusal(session, lab.ada, whole, days=3)
    assert (reason.code, reason.params["instrument"]) == ("qualification_missing", "FURNACE")
    need(session, lab, instrument_id=whole.id)
    assert refusal(session, lab.ada, whole, days=3).params["instrument"] == "LINE"  # once, not for each part
    award(session, lab, lab.ada)
    place(session, lab.ada, whole, days=3)


def test_a_line_tells_beforehand_and_at_check_in_what_its_stations_need(session, lab, line):
    whole, mixer, furnace = line
    need(session, lab, instrument_id=mixer.id, mode=Mode.BEFORE_START)
    booking = place(session, lab.ada, whole)
    verdict = bookings.dry_run(session, actor=lab.ada, items=[item(whole, 2)], now=NOW)
    assert [one.code for one in verdict.conditions] == ["training_before_start"]
    (wanted,) = qualification_needs.of_instrument(session, actor=lab.ada, instrument=whole, now=NOW)
    assert (wanted.qualification.code, wanted.mode) == ("LASER", Mode.BEFORE_START)
    with pytest.raises(Refused) as refused:
        bookings.check_in(session, actor=lab.ada, booking_id=booking.id, now=booking.starts_at)
    assert [one.code for one in refused.value.reasons] == ["qualification_missing"]
    need(session, lab, instrument_id=furnace.id)
    (wanted,) = qualification_needs.of_instrument(session, actor=lab.ada, instrument=whole, now=NOW)
    assert wanted.mode is Mode.BEFORE_BOOKING


def test_the_stations_cost_the_gate_one_statement_and_other_instruments_none(session, lab, line):
    whole = line[0]
    award(session, lab, lab.ada)
    need(session, lab)
    held = {row.id: row for row in (*line, lab.sem)}
    counts = []
    for row in (lab.sem, whole):
        wish = Wish(lab.ada.person_id, None, None, [item(row)], held, NOW)
        qualification_needs.to_book(session, wish)  # what any gate reads first: rules, the facility
        counts.append(len(_statements(session, lambda: qualification_needs.to_book(session, wish))))  # noqa: B023
    assert counts == [2, 3]


# --- what is taken away from those who have booked ------------------------------------------------


def lacks(session, *found):
    told = qualification_needs.wanting(session, found=found, now=NOW)
    return [[(one.code, one.params["standing"]) for one in told.get(booking.id, ())] for booking in found]


def flagged(session, kind="qualification.flagged"):
    """Who finds in their inbox how many bookings that need what was taken away."""
    session.flush()
    notifications.dispatch(session, remind=(), now=NOW)
    rows = session.execute(
        select(Person.name, Event.data)
        .join(Delivery, Delivery.person_id == Person.id)
        .join(Event, Event.id == Delivery.event_id)
        .where(Event.kind == kind, Delivery.channel == Channel.INBOX)
    )
    return {(name, data["count"]) for name, data in rows}


def test_what_is_taken_away_flags_the_bookings_ahead_until_it_is_given_again(session, lab, line):
    whole, _mixer, furnace = line
    need(session, lab, instrument_id=furnace.id)
    certificate = award(session, lab, lab.ada)
    award(session, lab, lab.ben)
    first, second = place(session, lab.ada, whole, days=1), place(session, lab.ada, furnace, days=3)
    free, bens = place(session, lab.ada, lab.sem, days=2), place(session, lab.ben, whole, days=5)
    over = place(session, lab.ada, furnace, days=6)
    bookings.cancel(session, actor=lab.ada, booking_id=over.id, now=NOW)
    revoke = partial(qualifications.revoke, session, actor=lab.tam, certificate_id=certificate.id, now=NOW)
    revoke(reason="The door stood open")
    lost = [("qualification_missing", "revoked")]
    assert lacks(session, first, second, free, bens, over) == [lost, lost, [], [], []]
    assert flagged(session) == {("Tam", 2)}
    assert flagged(session, "qualification.revoked") == {("Ada", 2)}
    event = session.scalars(select(Event).where(Event.kind == "qualification.flagged")).one()
    assert [one["what"] for one in event.data["bookings"]] == ["LINE", "FURNACE"]
    award(session, lab, lab.ada)
    assert lacks(session, first, second) == [[], []]
    (line_of_tam, *_others), _total = notifications.inbox(session, actor=lab.tam, now=NOW)
    assert line_of_tam.notice.template == "qualification.flagged"
    assert line_of_tam.notice.over, "what was given again flags nothing"


def test_an_earlier_end_flags_only_what_lies_after_it(session, lab):
    need(session, lab)
    certificate = award(session, lab, lab.ada)
    soon, later = place(session, lab.ada, lab.sem, days=1), place(session, lab.ada, lab.sem, days=9)
    revoke = partial(
        qualifications.revoke, session, actor=lab.tam, certificate_id=certificate.id, reason="x", now=NOW
    )
    for day in (TODAY, certificate.expires_on):
        with pytest.raises(Invalid) as wrong:
            revoke(expires_on=day)
        assert wrong.value.errors == {"expires_on": "out_of_range"}
    revoke(expires_on=TODAY + timedelta(days=5))
    assert certificate.state is Step.GRANTED
    assert lacks(session, soon, later) == [[], [("qualification_missing", "ends_before")]]
    assert flagged(session) == {("Tam", 1)}
    bookings.check_in(session, actor=lab.ada, booking_id=soon.id, now=soon.starts_at)


def test_bookings_elsewhere_are_told_to_the_managers_there(session, lab):
    far = make_facility(session)
    nora = cast.nora(session)
    session.add(Membership(person_id=nora.id, role=Role.MANAGER, facility_id=far.id))
    away = make_instrument(session, far, code="AWAY", category_code="0101")
    rule = Rule(
        category_code="0101",
        kind=RuleKind.QUALIFICATION,
        name="LASER",
        data={},
        valid_from=TODAY,
        created_at=NOW,
    )
    session.add(rule)
    session.flush()
    certificate = award(session, lab, lab.ada)
    span = item(lab.sem).span
    items = [Item(lab.sem.id, span), Item(away.id, span)]
    bookings.place(session, actor=lab.ada, items=items, now=NOW)
    qualifications.revoke(session, actor=lab.tam, certificate_id=certificate.id, reason="x", now=NOW)
    assert flagged(session) == {("Tam", 1), ("Nora", 1)}
    rows = session.scalars(select(Event).where(Event.kind == "qualification.flagged"))
    told = {row.facility_id: row.data["bookings"][0]["what"] for row in rows}
    assert told == {lab.facility.id: lab.sem.code, far.id: "AWAY"}


def test_what_bookings_lack_is_read_in_as_many_statements_for_ten_as_for_one(session, lab, line):
    whole = line[0]
    need(session, lab, mode=Mode.BEFORE_START)
    found = [place(session, lab.ada, whole, days=days) for days in range(1, 6)]
    found += [place(session, lab.ben, lab.sem, days=days) for days in range(1, 6)]

    def count(some):
        policies.forget(session)
        read = partial(qualification_needs.wanting, session, found=some, now=NOW)
        return len(_statements(session, read))

    session.flush()
    assert count(found) == count(found[:1]) == 5
    assert lacks(session, *found) == [[("training_before_start", "none")]] * 10


# --- where it is needed ---------------------------------------------------------------------------


def test_a_need_is_said_anew_and_ended(session, lab):
    need(session, lab, instrument_id=lab.sem.id)
    second = need(session, lab, instrument_id=lab.sem.id, mode=Mode.BEFORE_START)
    (only,) = qualifications.needed_at(session, code="LASER", now=NOW)
    assert (only.rule_id, only.mode, only.instrument.id) == (second, Mode.BEFORE_START, lab.sem.id)
    assert session.query(Rule).count() == 1, "the first was never in force for a day"
    tomorrow = NOW + timedelta(days=1)
    qualifications.need_no_more(session, actor=lab.tam, code="LASER", rule_id=second, now=tomorrow)
    assert session.get(Rule, second).valid_to == TODAY + timedelta(days=1)
    assert qualifications.needed_at(session, code="LASER", now=tomorrow) == []


def test_only_its_manager_defines_and_wants_it(session, lab):
    operator = cast.ben(session)
    session.add(Membership(person_id=operator.id, role=Role.OPERATOR, facility_id=lab.facility.id))
    for somebody in (lab.ada, lab.cleo, cast.actor_of(session, operator)):
        for deed in (
            lambda who: qualifications.define(
                session, actor=who, facility_id=lab.facility.id, code="X", name_en="X", now=NOW
            ),
            lambda who: qualifications.need(session, actor=who, code="LASER", now=NOW),
            lambda who: qualifications.retire(session, actor=who, code="LASER", now=NOW),
        ):
            with pytest.raises(Forbidden):
                deed(somebody)
    other = make_instrument(session)
    with pytest.raises(NotFound):
        need(session, lab, instrument_id=other.id)
    for wrong, errors in (
        ({"code": "LASER", "name_en": "Again"}, {"code": "taken"}),
        ({"code": "a b", "name_en": "Blank"}, {"code": "malformed"}),
        ({"code": "NEW"}, {"name_zh": "required"}),
        ({"code": "NEW", "name_en": "New", "months": 0}, {"months": "out_of_range"}),
    ):
        with pytest.raises(Invalid) as invalid:
            qualifications.define(session, actor=lab.tam, facility_id=lab.facility.id, now=NOW, **wrong)
        assert invalid.value.errors == errors


# --- from the request to the grant ----------------------------------------------------------------


def test_from_the_request_over_the_training_to_the_grant(session, lab):
    training = plan(session, lab)
    certificate = ask(session, lab.ada, session_id=training.id, note="for my thesis")
    assert (certificate.state, certificate.session_id) == (Step.SCHEDULED, training.id)
    after = NOW + timedelta(days=2)
    granted = qualifications.grant(session, actor=lab.tam, certificate_id=certificate.id, now=after)
    assert (granted.granted_on, granted.expires_on) == (date(2026, 11, 4), date(2027, 11, 4))
    ada = str(lab.ada.person_id)
    assert told(session) == [("requested", ada), ("granted", ada)]
    with pytest.raises(Refused) as refused:
        qualifications.refuse(session, actor=lab.tam, certificate_id=certificate.id, reason="late", now=after)
    assert wording.sentence(*_said(refused.value.reasons[0])) == "This was decided meanwhile: “Granted”."


def test_the_last_seat_is_taken_once_and_given_free_again(session, lab):
    training = plan(session, lab, seats=1)
    first = ask(session, lab.ada, session_id=training.id)
    with pytest.raises(Refused) as refused:
        ask(session, lab.ben, session_id=training.id)
    assert wording.sentence(*_said(refused.value.reasons[0])) == (
        "The only seat of this training session is taken."
    )
    session.expire_all()
    qualifications.withdraw(session, actor=lab.ada, certificate_id=first.id, now=NOW)
    waiting = session.scalars(
        select(Certificate).where(Certificate.person_id == lab.ben.person_id)
    ).one_or_none() or ask(session, lab.ben)
    qualifications.schedule(
        session, actor=lab.tam, certificate_id=waiting.id, session_id=training.id, now=NOW
    )
    (seats,) = qualifications.sessions(session, qualification_ids=[waiting.qualification_id], now=NOW)
    assert (seats.taken, seats.free) == (1, 0)


def test_a_session_that_is_called_off_sends_its_people_back_to_the_list(session, lab):
    training = plan(session, lab, seats=2)
    certificate = ask(session, lab.ada, session_id=training.id)
    qualifications.call_off(session, actor=lab.tam, session_id=training.id, now=NOW)
    assert (certificate.state, certificate.session_id) == (Step.REQUESTED, None)
    assert told(session)[-1] == ("session_cancelled", str(lab.ada.person_id))
    with pytest.raises(NotFound):
        ask(session, lab.ben, session_id=training.id)


def test_it_is_asked_for_once_and_anew_only_near_its_end(session, lab):
    ask(session, lab.ada)
    with pytest.raises(Refused) as refused:
        ask(session, lab.ada)
    assert wording.sentence(*_said(refused.value.reasons[0])) == "“Laser safety” is asked for already."
    granted = award(session, lab, lab.ada)
    assert session.query(Certificate).count() == 1, "the request was what was granted"
    with pytest.raises(Refused) as refused:
        ask(session, lab.ada)
    assert wording.sentence(*_said(refused.value.reasons[0])) == (
        "“Laser safety” is held already, and for long enough."
    )
    granted.expires_on = TODAY + timedelta(days=60)
    ask(session, lab.ada)


def test_others_certificates_are_not_there_for_people(session, lab):
    certificate = ask(session, lab.ada)
    for somebody in (lab.ben, lab.cleo, cast.actor_of(session, cast.tam(session))):
        if somebody.manages:
            continue
        for deed in (qualifications.grant, qualifications.withdraw):
            with pytest.raises(NotFound):
                deed(session, actor=somebody, certificate_id=certificate.id, now=NOW)
        with pytest.raises(NotFound):
            qualifications.get(session, actor=somebody, certificate_id=certificate.id)
        with pytest.raises(Forbidden):
            qualifications.of_facility(session, actor=somebody, facility_id=lab.facility.id)
    with pytest.raises(Forbidden):
        qualifications.grant(session, actor=lab.ada, certificate_id=certificate.id, now=NOW)
    with pytest.raises(Invalid):
        qualifications.refuse(session, actor=lab.tam, certificate_id=certificate.id, reason=" ", now=NOW)
    rows, total = qualifications.of_facility(
        session, actor=lab.tam, facility_id=lab.facility.id, steps=qualifications.OPEN
    )
    assert ([row.person.name for row in rows], total) == (["Ada"], 1)
    assert qualifications.waiting(session, facility_id=lab.facility.id) == 1


def test_a_grant_has_sense_in_its_dates(session, lab):
    for wrong in (
        {"granted_on": TODAY + timedelta(days=1)},
        {"expires_on": TODAY},
        {"granted_on": date(2020, 1, 1)},
    ):
        with pytest.raises(Invalid):
            award(session, lab, lab.ada, **wrong)
    with pytest.raises(Invalid):
        qualifications.award(session, actor=lab.tam, code="LASER", person_id=UUID(int=1), now=NOW)


def test_the_instrument_tells_how_the_reader_stands(session, lab):
    assert qualification_needs.of_instrument(session, actor=lab.ada, instrument=lab.sem, now=NOW) == []
    need(session, lab)
    award(session, lab, lab.ada)
    for somebody, said in ((lab.ada, Standing.HELD), (lab.ben, Standing.NONE)):
        (found,) = qualification_needs.of_instrument(session, actor=somebody, instrument=lab.sem, now=NOW)
        assert (found.qualification.code, found.mode, found.standing) == ("LASER", Mode.BEFORE_BOOKING, said)


# --- what runs out --------------------------------------------------------------------------------


def expiring(session):
    rows = session.scalars(select(Event).where(Event.kind == "qualification.expiring").order_by(Event.id))
    return [row.data["days"] for row in rows]


def test_the_end_is_called_to_mind_twice_each_once(session, lab):
    certificate = award(session, lab, lab.ada)
    end = datetime(certificate.expires_on.year, 11, 2, 8, tzinfo=UTC)
    for days in (40, 31, 30, 30, 12, 7, 6, 0, -5):
        now = end - timedelta(days=days)
        qualifications.warn(session, now=now)
        assert not qualifications.anything_runs_out(session, now=now)
    assert expiring(session) == [30, 7]


def test_after_a_pause_only_the_last_word_is_said_and_none_after_the_end(session, lab):
    certificate = award(session, lab, lab.ada)
    other = award(session, lab, lab.ben)
    end = datetime(2027, 11, 2, 8, tzinfo=UTC)
    qualifications.warn(session, now=end - timedelta(days=3))
    assert expiring(session) == [3, 3]
    qualifications.warn(session, now=end - timedelta(days=2))
    assert expiring(session) == [3, 3]
    assert {certificate.warned_days, other.warned_days} == {7}


def test_who_has_renewed_it_is_not_told(session, lab):
    old = award(session, lab, lab.ada)
    old.expires_on = TODAY + timedelta(days=10)
    session.flush()
    ask(session, lab.ada)
    award(session, lab, lab.ada)
    qualifications.warn(session, now=NOW)
    assert expiring(session) == []
    assert not qualifications.anything_runs_out(session, now=NOW)
    assert SYSTEM.person_id is None
