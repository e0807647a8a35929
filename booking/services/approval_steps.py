"""Steps of approval: which ones a wish needs, when each has its turn, who is asked; bookings ask for them here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, selectinload

from booking.domain import approvals
from booking.domain.access import Actor, Role, Subject, may
from booking.domain.approvals import (
    MANAGERS,
    PLAIN,
    Approvers,
    Facts,
    Standing,
    StepRule,
    StepState,
    When,
    Who,
)
from booking.domain.chemicals import Hazard, Substance, hazards_of, unpermitted
from booking.domain.hours import zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.policy import RuleKind
from booking.domain.rules import Invalid, Reason
from booking.domain.working_days import WorkingDays
from booking.services import availability, events, policies
from models import (
    ApprovalStep,
    Approver,
    Booking,
    BookingItem,
    Chemical,
    Delegation,
    Facility,
    Instrument,
    Membership,
    Person,
    PersonState,
    Project,
)

if TYPE_CHECKING:
    from booking.services.gates import Wish


@dataclass(frozen=True, slots=True)
class Planned:
    """A step that a wish needs at a facility; its rule's conditions are those that hold."""

    facility_id: int
    rule: StepRule


@dataclass(frozen=True, slots=True)
class Foretold:
    """A step that would be asked for: where, by which rule, and the people whom the rule names."""

    facility: Facility
    rule: StepRule
    people: tuple[Person, ...]


# --- what a wish needs ----------------------------------------------------------------------------


def planned(session: Session, *, actor: Actor, wish: "Wish") -> list[Planned]:
    """Give the steps that a wish must pass, in the order of their stages; none: it is confirmed at once.

    A step whose only approver is the person that the time is for falls away. A manager who books what no rule
    says more of approves by booking.
    """
    found: dict[int, list[StepRule]] = {}
    for item, rules in zip(wish.items, _rules(session, wish), strict=True):
        row = wish.instruments[item.instrument_id]
        steps = [rule for rule in rules if rule.approvers is not None]
        facts = _facts(session, wish, item, steps) if steps else None
        holding = [
            replace(rule, when=conditions)
            for rule in steps
            if facts is not None and (conditions := approvals.holding(rule, facts))
        ]
        if not holding and row.approval_required and not _manages(actor, row.facility_id):
            holding = [PLAIN]
        found.setdefault(row.facility_id, []).extend(holding)
    needed = [
        Planned(facility_id, rule) for facility_id, rules in found.items() for rule in approvals.merged(rules)
    ]
    return sorted(
        (step for step in needed if not _asks_oneself(session, step, wish)),
        key=lambda step: (step.rule.stage, step.facility_id, step.rule.name),
    )


def foretold(session: Session, *, steps: Iterable[Planned]) -> list[Foretold]:
    """Give with each step that would be asked for where it is, and the people that its rule names."""
    found = list(steps)
    places = policies.facilities_of(session, {step.facility_id for step in found})
    named = {person for step in found for person in (step.rule.approvers or MANAGERS).people}
    query = select(Person).where(Person.id.in_(named), Person.state == PersonState.ACTIVE)
    people = {row.id: row for row in session.scalars(query.order_by(Person.name))} if named else {}
    return [
        Foretold(
            places[step.facility_id],
            step.rule,
            tuple(row for key, row in people.items() if key in (step.rule.approvers or MANAGERS).people),
        )
        for step in found
    ]


def permits_missing(session: Session, wish: "Wish") -> list[Reason]:
    """Give a reason for each chemical that a rule wants a permit for and that came without its number; a gate."""
    wanting = {hazard for rules in _rules(session, wish) for rule in rules for hazard in rule.permit_for}
    if not wanting:
        return []
    return [
        Reason("permit_missing", {"chemical": one.name, "hazards": sorted(one.hazards & wanting)})
        for one in unpermitted(chemicals_of(session, wish), wanting)
    ]


def chemicals_of(session: Session, wish: "Wish") -> Sequence[Substance]:
    """Give what is brought: as the wish says, else as the booking that is being changed declared it."""
    if wish.chemicals is not None:
        return wish.chemicals
    return declared(session, booking_id=wish.booking_id) if wish.booking_id is not None else ()


def declared(session: Session, *, booking_id: UUID) -> list[Substance]:
    """Give the chemicals that were declared for a booking."""
    return declared_for(session, booking_ids=[booking_id]).get(booking_id, [])


def declared_for(session: Session, *, booking_ids: Iterable[UUID]) -> dict[UUID, list[Substance]]:
    """Give the chemicals of several bookings; one statement."""
    rows = session.scalars(
        select(Chemical)
        .where(Chemical.booking_id.in_(list(booking_ids)))
        .order_by(Chemical.booking_id, Chemical.position)
    )
    found: dict[UUID, list[Substance]] = {}
    for row in rows:
        found.setdefault(row.booking_id, []).append(_substance(row))
    return found


def _substance(row: Chemical) -> Substance:
    return Substance(
        name=row.name,
        cas=row.cas,
        quantity=None if row.quantity is None else Decimal(row.quantity).normalize(),
        unit=row.unit,
        hazards=frozenset(Hazard(hazard) for hazard in row.hazards),
        permit_number=row.permit_number,
    )


def declare(session: Session, *, booking_id: UUID, chemicals: Sequence[Substance]) -> None:
    """Write what is brought to a booking in place of what was declared before."""
    session.execute(delete(Chemical).where(Chemical.booking_id == booking_id))
    session.add_all(
        Chemical(
            booking_id=booking_id,
            position=position,
            name=one.name,
            cas=one.cas,
            quantity=one.quantity,
            unit=one.unit,
            hazards=sorted(one.hazards),
            permit_number=one.permit_number,
        )
        for position, one in enumerate(chemicals)
    )
    session.flush()


def may_ask(
    session: Session, *, actor: Actor, items: Sequence[Item], instruments: Mapping[int, Instrument]
) -> set[int]:
    """Give the instruments at which such a use needs approval, or may need it: rules have conditions of their own."""
    won = policies.winning(
        session,
        kind=RuleKind.APPROVAL,
        items=items,
        instruments=instruments,
        person_id=actor.person_id,
    )
    asking = set()
    for item, rules in zip(items, won, strict=True):
        row = instruments[item.instrument_id]
        by_rule = any(
            rule.value != 0 and _read(rule.name, rule.data).approvers is not None for rule in rules.values()
        )
        if by_rule or (row.approval_required and not _manages(actor, row.facility_id)):
            asking.add(row.id)
    return asking


def _rules(session: Session, wish: "Wish") -> list[list[StepRule]]:
    return rules_of(session, items=wish.items, instruments=wish.instruments, person_id=wish.person_id)


def rules_of(
    session: Session, *, items: Sequence[Item], instruments: Mapping[int, Instrument], person_id: UUID | None
) -> list[list[StepRule]]:
    """Give, for each item, the rules of approval and permits that count there and then for a person."""
    won = policies.winning(
        session, kind=RuleKind.APPROVAL, items=items, instruments=instruments, person_id=person_id
    )
    return [
        [_read(rule.name, rule.data) for rule in rules.values() if rule.value != 0]  # 0: switched off here
        for rules in won
    ]


def _read(name: str, data: object) -> StepRule:
    """Read a rule; one that makes no sense, written past the editor, asks the managers rather than nobody."""
    try:
        return approvals.read(name, data if isinstance(data, dict) else {"": data})
    except Invalid:
        return StepRule(name)


def _facts(session: Session, wish: "Wish", item: Item, rules: Sequence[StepRule]) -> Facts:
    """Give what the rules' conditions ask about an item; what none of them asks is not read."""
    row = wish.instruments[item.instrument_id]
    facility = session.get_one(Facility, row.facility_id)
    tz = zone(facility.zone)

    def asked(*when: When) -> bool:
        return any(approvals.asks_for(rules, one) for one in when)

    chemicals = chemicals_of(session, wish) if asked(When.HAZARDOUS, When.PERMIT) else ()
    external = first_use = False
    cost: Decimal | None = Decimal(0)
    if asked(When.EXTERNAL):
        external = facility.organisation_id not in policies.organisations_of(session, wish.person_id)
    if asked(When.FIRST_USE):
        key = "first use", wish.person_id, item.instrument_id
        first_use = wish.once(key, lambda: _first_use(session, wish, item.instrument_id))
    if asked(When.OVER_COST):
        cost = _cost(session, wish)
    return Facts(
        spans=(item.span,),
        zone=tz,
        days=policies.working_days_of(session, item.span.start.astimezone(tz).date())
        if asked(When.OUTSIDE_HOURS)
        else WorkingDays(),
        hazards=hazards_of(chemicals),
        external=external,
        first_use=first_use,
        cost=cost,
        permits=any(one.permit_number for one in chemicals),
    )


def _first_use(session: Session, wish: "Wish", instrument_id: int) -> bool:
    """Tell whether the person never used the instrument before."""
    used = (
        select(BookingItem.booking_id)
        .join(Booking, Booking.id == BookingItem.booking_id)
        .where(
            BookingItem.instrument_id == instrument_id,
            Booking.person_id == wish.person_id,
            or_(
                Booking.state.in_((State.CHECKED_IN, State.ENDED)),
                and_(Booking.state == State.CONFIRMED, Booking.ends_at <= wish.now),
            ),
        )
    )
    return not session.scalar(select(exists(used)))


def _cost(session: Session, wish: "Wish") -> Decimal | None:
    """Give what all of the wish costs the person, None where some of it is by agreement."""
    payer = Actor(organisations=policies.organisations_of(session, wish.person_id))
    lines = availability.estimates(session, actor=payer, items=wish.items)
    if any(line is None for line in lines):
        return None
    return sum((line.amount for line in lines if line is not None), Decimal(0))


def _manages(actor: Actor, facility_id: int) -> bool:
    return may(actor, "booking.approve", Subject(facility_id=facility_id))


def _asks_oneself(session: Session, step: Planned, wish: "Wish") -> bool:
    if not step.rule.name or step.rule.approvers is None:
        return False
    approvers, where = step.rule.approvers, (step.facility_id, wish.organisation_id, wish.project_id)
    asked = wish.once(("approvers", approvers, where), lambda: _people(session, approvers, *where))
    return set(asked) == {wish.person_id}


# --- the steps of a booking -----------------------------------------------------------------------


def begin(
    session: Session, *, actor: Actor, booking: Booking, steps: Sequence[Planned], now: datetime
) -> None:
    """Write the steps of a request and open the first stage; older rounds are over."""
    drop(session, booking_id=booking.id, now=now)
    last = session.scalar(select(func.max(ApprovalStep.round)).where(ApprovalStep.booking_id == booking.id))
    rows = [
        ApprovalStep(
            booking_id=booking.id,
            facility_id=step.facility_id,
            round=(last or 0) + 1,
            stage=step.rule.stage,
            name=step.rule.name,
            need=step.rule.need,
            conditions=[condition.told() for condition in step.rule.when],
            plan=step.rule.plan,
            on_silence=step.rule.on_silence,
            state=StepState.WAITING,
            approvers=[],
        )
        for step in steps
    ]
    session.add_all(rows)
    session.flush()
    advance(session, actor=actor, booking=booking, steps=rows, now=now)


def advance(
    session: Session, *, actor: Actor, booking: Booking, steps: Sequence[ApprovalStep], now: datetime
) -> bool:
    """Open the stage whose turn it is; True says that nothing is left to be approved."""
    while (stage := approvals.next_stage(_standing(steps))) is not None:
        for step in steps:
            if step.stage == stage and step.state is StepState.WAITING:
                _open(session, actor, booking, step, now)
    session.flush()
    return approvals.all_approved(_standing(steps))


def _standing(steps: Iterable[ApprovalStep]) -> list[Standing]:
    return [Standing(step.stage, step.state) for step in steps]


def _open(session: Session, actor: Actor, booking: Booking, step: ApprovalStep, now: datetime) -> None:
    asked = asked_of(session, booking=booking, step=step, plan=step.plan["approvers"])
    own = asked.pop(booking.person_id, None) if step.name and booking.person_id in asked else None
    step.opened_at = now
    if not asked and own is not None:
        step.state, step.decided_at = StepState.DROPPED, now
        return
    step.state = StepState.OPEN
    step.due_at = due_of(session, booking=booking, step=step, now=now)
    step.approvers.extend(Approver(person_id=person, role=role) for person, role in sorted(asked.items()))
    tell(session, actor=actor, kind="approval.opened", booking=booking, step=step, now=now)


def asked_of(
    session: Session, *, booking: Booking, step: ApprovalStep, plan: dict[str, object]
) -> dict[UUID, Who | None]:
    """Give whose word a step asks for by its plan, and what each is asked as."""
    role, people = plan.get("role"), plan.get("people")
    whom = Approvers(
        Who(str(role)) if role else None,
        tuple(UUID(str(person)) for person in people) if isinstance(people, list) else (),
    )
    return _people(session, whom, step.facility_id, booking.organisation_id, booking.project_id)


def due_of(session: Session, *, booking: Booking, step: ApprovalStep, now: datetime) -> datetime | None:
    """Give when a step that opens now comes due."""
    tz = zone(session.get_one(Facility, step.facility_id).zone)
    count = step.plan.get("deadline_days")
    if count is None:
        return None
    days = policies.working_days_of(session, now.astimezone(tz).date())
    return approvals.due_at(now, int(count), days=days, zone=tz, starts_at=booking.starts_at)


def _people(
    session: Session,
    whom: Approvers,
    facility_id: int,
    organisation_id: int | None,
    project_id: UUID | None,
) -> dict[UUID, Who | None]:
    query = select(Person.id).where(Person.state == PersonState.ACTIVE)
    match whom.role:
        case None:
            query = query.where(Person.id.in_(whom.people))
        case Who.PROJECT_LEADER:
            query = query.join(Project, Project.leader_id == Person.id).where(Project.id == project_id)
        case Who.MANAGER:
            query = query.join(Membership, Membership.person_id == Person.id).where(
                Membership.role == Role.MANAGER, Membership.facility_id == facility_id
            )
        case Who.LEADER:
            query = query.join(Membership, Membership.person_id == Person.id).where(
                Membership.role == Role.LEADER, Membership.organisation_id == organisation_id
            )
    return dict.fromkeys(session.scalars(query), whom.role)


def drop(session: Session, *, booking_id: UUID, now: datetime) -> None:
    """Let go of every step of a booking that nobody has decided yet."""
    session.execute(
        update(ApprovalStep)
        .where(
            ApprovalStep.booking_id == booking_id,
            ApprovalStep.state.in_((StepState.WAITING, StepState.OPEN)),
        )
        .values(state=StepState.DROPPED, decided_at=now)
    )


def current(session: Session, *, booking_ids: Iterable[UUID]) -> dict[UUID, list[ApprovalStep]]:
    """Give the steps of the last round of each booking, with their approvers; three statements for all."""
    query = (
        select(ApprovalStep)
        .options(selectinload(ApprovalStep.approvers).joinedload(Approver.person))
        .where(ApprovalStep.booking_id.in_(set(booking_ids)))
        .order_by(ApprovalStep.round, ApprovalStep.stage, ApprovalStep.facility_id, ApprovalStep.name)
        .execution_options(populate_existing=True)
    )
    found: dict[UUID, list[ApprovalStep]] = {}
    for step in session.scalars(query):
        known = found.setdefault(step.booking_id, [])
        if known and known[0].round < step.round:
            known.clear()
        known.append(step)
    return found


def tell(
    session: Session,
    *,
    actor: Actor,
    kind: str,
    booking: Booking,
    step: ApprovalStep,
    together: bool = False,
    now: datetime,
) -> None:
    """Record what happened to a step; `together` says that a letter on another date of its series tells of it."""
    data: dict[str, str] = {"step_id": str(step.id), "step": step.name}
    if step.due_at is not None:
        data["due"] = step.due_at.isoformat()
    if together or (kind == "approval.opened" and _told_with_series(session, booking, step, now)):
        data["series"] = str(booking.series_id)
    events.record(
        session, actor=actor, kind=kind, now=now, booking=booking, facility_id=step.facility_id, **data
    )


def _told_with_series(session: Session, booking: Booking, step: ApprovalStep, now: datetime) -> bool:
    """Tell whether the same was opened a moment ago for another date of the series: one letter is enough."""
    if booking.series_id is None:
        return False
    others = (
        select(ApprovalStep.id)
        .join(Booking, Booking.id == ApprovalStep.booking_id)
        .where(
            Booking.series_id == booking.series_id,
            Booking.id != booking.id,
            ApprovalStep.opened_at == now,
            ApprovalStep.facility_id == step.facility_id,
            ApprovalStep.name == step.name,
        )
    )
    return bool(session.scalar(select(exists(others))))


# --- who may speak, and see -----------------------------------------------------------------------


def away_for(delegate_id: UUID | None, now: datetime) -> ColumnElement[bool]:
    """Say in SQL that a delegation to this person is in force."""
    return and_(Delegation.delegate_id == delegate_id, in_force(now))


def in_force(now: datetime) -> ColumnElement[bool]:
    """Say in SQL that a delegation is in force."""
    return and_(
        Delegation.starts_at <= now,
        Delegation.ends_at > now,
        Delegation.ended_at.is_(None),
    )


def still_asked() -> ColumnElement[bool]:
    """Say in SQL that an approver is still what they were asked as; joins approver, step and booking."""

    def holds(role: Role, *place: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(Membership.person_id == Approver.person_id, Membership.role == role, *place)

    led = exists().where(Project.id == Booking.project_id, Project.leader_id == Approver.person_id)
    return or_(
        Approver.role.is_(None),
        and_(
            Approver.role == Who.MANAGER,
            holds(Role.MANAGER, Membership.facility_id == ApprovalStep.facility_id),
        ),
        and_(
            Approver.role == Who.LEADER,
            holds(Role.LEADER, Membership.organisation_id == Booking.organisation_id),
        ),
        and_(Approver.role == Who.PROJECT_LEADER, led),
    )


def spoken_for(actor: Actor, now: datetime | None) -> ColumnElement[bool]:
    """Say in SQL that the actor may speak for an approver: for themselves, or for who is away."""
    own = Approver.person_id == actor.person_id
    if now is None:
        return own
    return or_(
        own, Approver.person_id.in_(select(Delegation.person_id).where(away_for(actor.person_id, now)))
    )


def concerns(session: Session, *, actor: Actor, booking_id: UUID, now: datetime | None = None) -> bool:
    """Tell whether the actor sees a booking since its approval is, or was, theirs to speak on.

    Of one that expired without their word they hear, and may see what it was.
    """
    if actor.person_id is None:
        return False
    expired = and_(Booking.state == State.EXPIRED, ApprovalStep.decided_at == Booking.updated_at)
    query = (
        select(Approver.step_id)
        .join(ApprovalStep, ApprovalStep.id == Approver.step_id)
        .join(Booking, Booking.id == ApprovalStep.booking_id)
        .where(
            ApprovalStep.booking_id == booking_id,
            or_(ApprovalStep.state == StepState.OPEN, Approver.approves.is_not(None), expired),
            spoken_for(actor, now),
            still_asked(),
        )
    )
    return bool(session.scalar(select(exists(query))))
