"""Points, rules with dates, appeals and bans: what each does, and who may."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select

from booking.domain.access import Forbidden, NotFound
from booking.domain.credit import Deed, Frame
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span
from booking.services import bookings, credit
from models import Appeal, Ban, Booking, CreditEntry, Event
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
TODAY = date(2026, 11, 2)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Scene:
    def __init__(self, session) -> None:
        self.session = session
        self.sem = make_instrument(session)
        self.facility_id = self.sem.facility_id
        self.ada, self.cleo, self.root = (
            cast.actor_of(session, who(session)) for who in (cast.ada, cast.cleo, cast.root)
        )
        self.tam = cast.actor_of(session, cast.tam(session, self.sem.facility))
        self.other = cast.actor_of(session, cast.nora(session))
        self.booked = 0

    def book(self) -> Booking:
        self.booked += 1
        start = NOW + self.booked * 2 * DAY
        return bookings.place(
            self.session, actor=self.ada, items=[Item(self.sem.id, Span(start, start + HOUR))], now=NOW
        )

    def note(
        self, deed: Deed, booking: Booking | None = None, at: datetime = NOW, now: datetime = NOW
    ) -> int:
        return credit.note(
            self.session,
            actor=self.tam,
            person_id=self.ada.person_id,
            facility_id=self.facility_id,
            deed=deed,
            booking_id=(booking or self.book()).id,
            at=at,
            now=now,
        )

    def standing(self, now: datetime = NOW) -> credit.Standing:
        (found,) = credit.own(self.session, actor=self.ada, now=now)
        return found

    def entry(self) -> CreditEntry:
        return self.session.scalars(select(CreditEntry).order_by(CreditEntry.at.desc())).first()

    def set_rule(self, name: str, points: int = 0, actor=None, **more) -> None:
        credit.set_rule(
            self.session,
            actor=actor or self.tam,
            name=name,
            points=points,
            **{"facility_id": self.facility_id, "valid_from": TODAY, "now": NOW} | more,
        )

    def kinds(self) -> list[str]:
        found = self.session.scalars(select(Event.kind).order_by(Event.id))
        return [kind for kind in found if not kind.startswith("booking.")]


@pytest.fixture
def scene(session) -> Scene:
    return Scene(session)


def test_a_deed_counts_once_for_each_booking(scene):
    booking = scene.book()
    assert [scene.note(Deed.LATE, booking), scene.note(Deed.LATE, booking)] == [-2, 0]
    assert scene.note(Deed.NORMAL_USE, booking) == 1
    assert scene.standing().score == 99
    assert scene.kinds() == ["credit.changed"]


def test_the_rule_of_the_day_of_the_deed_counts(scene):
    scene.set_rule(Deed.LATE, -20, valid_from=TODAY + DAY)
    scene.set_rule(Deed.LATE, -30, valid_from=TODAY + 5 * DAY)
    assert scene.note(Deed.LATE, at=NOW) == -2
    assert scene.note(Deed.LATE, at=NOW + DAY, now=NOW + 9 * DAY) == -20
    assert scene.note(Deed.LATE, at=NOW + 9 * DAY, now=NOW + 9 * DAY) == -30
    rows = credit.own_rules(scene.session, actor=scene.tam, facility_id=scene.facility_id)
    assert [(row.valid_from, row.valid_to) for row in rows] == [
        (TODAY + 5 * DAY, None),
        (TODAY + DAY, TODAY + 5 * DAY),
    ]


def test_what_is_set_for_all_counts_where_a_facility_has_set_nothing(scene):
    def of(day: date, facility_id: int | None = scene.facility_id) -> tuple[int, str]:
        found = credit.rules_of(scene.session, facility_id=facility_id, day=day)
        sources = credit.sources_of(scene.session, facility_id=facility_id, day=day)
        return found[Deed.LATE].points, sources["late"].value

    assert of(TODAY) == (-2, "default")
    everywhere = {"facility_id": None, "actor": scene.root}
    credit.set_rule(scene.session, name=Deed.LATE, points=-4, valid_from=TODAY + DAY, now=NOW, **everywhere)
    assert [of(TODAY), of(TODAY + DAY)] == [(-2, "default"), (-4, "all")]
    scene.set_rule(Deed.LATE, -7, valid_from=TODAY + 2 * DAY)
    assert [of(TODAY + DAY), of(TODAY + 2 * DAY)] == [(-4, "all"), (-7, "facility")]
    assert of(TODAY + 2 * DAY, None) == (-4, "all")
    assert scene.note(Deed.LATE, at=NOW + DAY, now=NOW + 9 * DAY) == -4
    assert scene.note(Deed.LATE, at=NOW + 2 * DAY, now=NOW + 9 * DAY) == -7

    def end(now: datetime, **given) -> None:
        credit.end_rule(scene.session, name=Deed.LATE, now=now, **given)

    for _ in range(2):
        end(NOW + 4 * DAY, facility_id=scene.facility_id, actor=scene.tam)
    assert [of(TODAY + 3 * DAY), of(TODAY + 4 * DAY)] == [(-7, "facility"), (-4, "all")]
    credit.set_rule(
        scene.session, name=Deed.LATE, points=-9, valid_from=TODAY + 8 * DAY, now=NOW, **everywhere
    )
    end(NOW + 4 * DAY, **everywhere)  # what has not begun is gone, too
    assert [of(TODAY + day * DAY) for day in (3, 4, 8)] == [
        (-7, "facility"),
        (-2, "default"),
        (-2, "default"),
    ]
    assert scene.kinds().count("credit.rule_ended") == 2
    for actor in (scene.tam, scene.ada, scene.other):
        for attempt in (
            lambda actor=actor: end(NOW, facility_id=None, actor=actor),
            lambda actor=actor: credit.own_rules(scene.session, actor=actor, facility_id=None),
            lambda actor=actor: scene.set_rule(Deed.LATE, 0, actor=actor, facility_id=None),
        ):
            with pytest.raises(Forbidden):
                attempt()
    with pytest.raises(NotFound):
        credit.end_rule(scene.session, name="smiling", now=NOW, **everywhere)


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({"name": "smiling"}, {"deed"}),
        ({"name": Deed.LATE, "points": -5000}, {"points"}),
        ({"name": Frame.START, "points": -1}, {"points"}),
        ({"name": Deed.LATE, "ban_below": 5, "ban_days": 5}, {"ban_below"}),
        ({"name": Frame.THRESHOLD, "ban_below": 50}, {"ban_days"}),
        ({"name": Frame.THRESHOLD, "ban_below": 50, "ban_days": 0}, {"ban_days"}),
        ({"name": Deed.LATE, "valid_from": TODAY - DAY}, {"valid_from"}),
    ],
)
def test_rules_that_make_no_sense_are_refused(scene, given, errors):
    with pytest.raises(Invalid) as invalid:
        scene.set_rule(**given)
    assert set(invalid.value.errors) == errors


def test_points_come_back_on_appeal_and_the_ban_that_they_caused_ends(scene):
    scene.set_rule(Frame.THRESHOLD, ban_below=95, ban_days=10)
    scene.note(Deed.NO_SHOW)
    assert scene.standing().ban.ends_at == NOW + 10 * DAY
    entry = credit.appeal(
        scene.session, actor=scene.ada, entry_id=scene.entry().id, text="The door was shut", now=NOW
    )
    with pytest.raises(Refused):
        credit.appeal(scene.session, actor=scene.ada, entry_id=entry.id, text="Again", now=NOW)
    (disputed,) = credit.appeals(scene.session, actor=scene.tam, facility_id=scene.facility_id)
    assert (disputed.person.name, disputed.entry.appeal_text) == ("Ada", "The door was shut")
    credit.decide(scene.session, actor=scene.tam, entry_id=entry.id, grant=True, now=NOW + HOUR)
    standing = scene.standing(NOW + HOUR)
    assert (standing.score, standing.ban, entry.appeal) == (100, None, Appeal.GRANTED)
    assert scene.kinds()[1:] == [
        "credit.changed",
        "ban.made",
        "appeal.opened",
        "appeal.decided",
        "ban.lifted",
    ]
    with pytest.raises(Refused):
        credit.decide(scene.session, actor=scene.tam, entry_id=entry.id, grant=False, answer="x", now=NOW)


def test_an_appeal_is_denied_with_a_word(scene):
    scene.note(Deed.NO_SHOW)
    entry = credit.appeal(scene.session, actor=scene.ada, entry_id=scene.entry().id, text="No!", now=NOW)
    with pytest.raises(Invalid):
        credit.decide(scene.session, actor=scene.tam, entry_id=entry.id, grant=False, now=NOW)
    credit.decide(scene.session, actor=scene.tam, entry_id=entry.id, grant=False, answer="You slept", now=NOW)
    assert (scene.standing().score, entry.answer) == (90, "You slept")


def test_nobody_appeals_for_another_or_against_a_gain(scene):
    scene.note(Deed.NORMAL_USE)
    with pytest.raises(Refused):
        credit.appeal(scene.session, actor=scene.ada, entry_id=scene.entry().id, text="More!", now=NOW)
    for actor in (scene.cleo, scene.tam):
        with pytest.raises(NotFound):
            credit.appeal(scene.session, actor=actor, entry_id=scene.entry().id, text="x", now=NOW)


def test_a_manager_bans_and_lifts_with_a_reason(scene):
    scene.book()
    given = {
        "facility_id": scene.facility_id,
        "email": "Ada@example.org ",
        "until": NOW + 3 * DAY,
        "now": NOW,
    }
    with pytest.raises(Invalid) as invalid:
        credit.ban(scene.session, actor=scene.tam, **given, reason=" ")
    assert invalid.value.errors == {"reason": "required"}
    row = credit.ban(scene.session, actor=scene.tam, **given, reason="Broke the stage")
    with pytest.raises(Refused):
        scene.book()
    assert [
        one.person.name
        for one in credit.bans(scene.session, actor=scene.tam, facility_id=scene.facility_id, now=NOW)
    ] == ["Ada"]
    credit.lift(scene.session, actor=scene.tam, ban_id=row.id, reason="Paid", now=NOW)
    credit.lift(scene.session, actor=scene.tam, ban_id=row.id, now=NOW)
    scene.book()
    assert scene.kinds() == ["ban.made", "ban.lifted"]


def test_who_is_banned_may_still_move_what_is_booked(scene):
    booking = scene.book()
    credit.ban(
        scene.session,
        actor=scene.tam,
        facility_id=scene.facility_id,
        email="ada@example.org",
        until=NOW + 90 * DAY,
        reason="x",
        now=NOW,
    )
    items = [Item(scene.sem.id, Span(booking.starts_at + HOUR, booking.ends_at + HOUR))]
    bookings.change(scene.session, actor=scene.ada, booking_id=booking.id, version=None, items=items, now=NOW)


def test_a_manager_learns_nothing_of_people_who_never_booked_there(scene):
    for email in ("cleo@example.org", "nobody@example.org"):
        with pytest.raises(Invalid) as invalid:
            credit.ban(
                scene.session,
                actor=scene.tam,
                facility_id=scene.facility_id,
                email=email,
                until=NOW + DAY,
                reason="x",
                now=NOW,
            )
        assert invalid.value.errors == {"email": "unknown"}


def test_only_managers_of_the_facility_keep_its_credit(scene):
    scene.note(Deed.NO_SHOW)
    entry = credit.appeal(scene.session, actor=scene.ada, entry_id=scene.entry().id, text="No!", now=NOW)
    elsewhere = make_facility(scene.session)
    row = Ban(
        person_id=scene.ada.person_id, facility_id=elsewhere.id, reason="", starts_at=NOW, ends_at=NOW + DAY
    )
    scene.session.add(row)
    scene.session.flush()
    with pytest.raises(Forbidden):
        credit.lift(scene.session, actor=scene.tam, ban_id=row.id, now=NOW)
    for actor in (scene.ada, scene.cleo, scene.other):
        for attempt in (
            lambda actor=actor: scene.set_rule(Deed.LATE, 0, actor=actor),
            lambda actor=actor: credit.bans(
                scene.session, actor=actor, facility_id=scene.facility_id, now=NOW
            ),
            lambda actor=actor: credit.appeals(scene.session, actor=actor, facility_id=scene.facility_id),
            lambda actor=actor: credit.decide(
                scene.session, actor=actor, entry_id=entry.id, grant=True, now=NOW
            ),
            lambda actor=actor: credit.of_person(
                scene.session,
                actor=actor,
                facility_id=scene.facility_id,
                person_id=scene.ada.person_id,
                now=NOW,
            ),
        ):
            with pytest.raises(Forbidden):
                attempt()
    with pytest.raises(NotFound):
        credit.lift(scene.session, actor=scene.tam, ban_id=uuid4(), now=NOW)
