"""Rules of approval at a place: which steps are asked for, by whom, under what conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.domain import approvals
from booking.domain.access import Actor, NotFound, require
from booking.domain.approvals import Approvers, StepRule
from booking.domain.policy import PlaceKind, RuleKind
from booking.domain.rules import Invalid
from booking.services import acting, events, policies, rules
from booking.services.rules import Where
from models import Person, Rule

LONGEST_NAME = 60
LONGEST_NOTE = 500
_COLUMNS = {
    PlaceKind.INSTRUMENT: "instrument_id",
    PlaceKind.FACILITY: "facility_id",
    PlaceKind.NETWORK: "network_id",
    PlaceKind.CATEGORY: "category_code",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A rule of approval as it stands; `step` is None where it switches the step off here."""

    rule: Rule
    step: StepRule | None
    people: Mapping[UUID, str]


def add(
    session: Session,
    *,
    actor: Actor,
    at: Where,
    name: str,
    data: Mapping[str, Any],
    off: bool = False,
    valid_from: date | None = None,
    note: str = "",
    now: datetime,
) -> Rule:
    """Ask for a step of approval at a place and below it; or, `off`, ask for it here no more.

    A rule of the same name at the same place ends as this one begins.

    :raises Forbidden: if the actor may not change the rules of this place
    :raises Invalid: with a code for each part that makes no sense
    """
    require(actor, "rule.edit", at.subject)
    today = rules.day_at(at, now)
    begins = valid_from or today
    errors: dict[str, str] = {}
    if not name.strip() or len(name) > LONGEST_NAME:
        errors["name"] = "too_long_text" if name.strip() else "required"
    elif not name.isprintable():
        errors["name"] = "control_characters"
    if len(note) > LONGEST_NOTE:
        errors["note"] = "too_long_text"
    if begins < today:
        errors["valid_from"] = "out_of_range"
    kept: dict[str, Any] = {}
    if not off:
        try:
            step = approvals.read(name, data)
            _know(session, step)
            kept = dict(data)
        except Invalid as error:
            errors |= error.errors
    if errors:
        raise Invalid(errors)
    _succeed(session, at, name.strip(), begins)
    row = Rule(
        **{_COLUMNS[at.kind]: at.place.key},
        kind=RuleKind.APPROVAL,
        name=name.strip(),
        value=0 if off else None,
        data=kept,
        valid_from=begins,
        note=note,
        created_by=actor.person_id,
        created_at=now,
    )
    session.add(row)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="rule.added",
        now=now,
        facility_id=at.subject.facility_id,
        subject=f"{at.kind.value} {at.code}",
        rule=row.id,
        name=row.name,
        value=row.value,
    )
    return row


def _succeed(session: Session, at: Where, name: str, begins: date) -> None:
    """End what stood under the name at the place, on the day on which the next rule begins."""
    for row in rules.listing(session, place=at.place, kinds=[RuleKind.APPROVAL]):
        if row.name != name or (row.valid_to is not None and row.valid_to <= begins):
            continue
        if row.valid_from >= begins:
            session.delete(row)
        else:
            row.valid_to = begins
    session.flush()


def _know(session: Session, step: StepRule) -> None:
    """Refuse people of whom there is none.

    :raises Invalid: if there is one
    """
    for field, whom in (("approvers", step.approvers), ("escalate_to", step.escalate_to)):
        people = set(whom.people) if whom else set()
        if people:
            found = session.scalar(select(func.count()).where(Person.id.in_(people)))
            if found != len(people):
                raise Invalid({field: "unknown"})


def people_called(session: Session, words: Sequence[str], *, field: str) -> Approvers:
    """Give the people of these addresses.

    :raises Invalid: for the field, if there is none of an address
    """
    return Approvers(None, tuple(acting.person_called(session, word, field=field) for word in words))


def listing(session: Session, *, at: Where, today: date) -> list[Line]:
    """Give the rules of approval that stand at a place, now and later."""
    rows = [
        row
        for row in rules.listing(session, place=at.place, kinds=[RuleKind.APPROVAL])
        if row.valid_to is None or row.valid_to > today
    ]
    read = [(row, None if row.value == 0 else _read(row)) for row in rows]
    ids = {
        person
        for _row, step in read
        if step
        for whom in (step.approvers, step.escalate_to)
        if whom
        for person in whom.people
    }
    query = select(Person.id, Person.name).where(Person.id.in_(ids))
    names = {row[0]: row[1] for row in session.execute(query)} if ids else {}
    return [Line(row, step, names) for row, step in read]


def _read(row: Rule) -> StepRule:
    try:
        return approvals.read(row.name, row.data)
    except Invalid:
        return StepRule(row.name)


def end(session: Session, *, actor: Actor, rule_id: int, now: datetime) -> Where:
    """End a rule of approval today; what was asked for by it goes on.

    :raises NotFound: if there is no such rule of approval
    :raises Forbidden: if the actor may not change the rules of its place
    """
    row = rules.get(session, rule_id=rule_id)
    if row.kind is not RuleKind.APPROVAL:
        raise NotFound("rule", rule_id)
    at = rules.where_of(session, policies.place_of(row))
    rules.end(session, actor=actor, rule_id=rule_id, now=now)
    return at
