"""What bookings ahead still lack of papers, and which of one's qualifications run out: told before the day."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from booking.domain import qualifications as domain
from booking.domain.access import Actor
from booking.domain.approvals import StepRule, When
from booking.domain.chemicals import Substance, unpermitted
from booking.domain.occupation import Item
from booking.domain.qualifications import Step
from booking.domain.spans import Span
from booking.services import approval_steps, policies
from booking.services.qualification_needs import AHEAD
from models import Booking, BookingPaper, Certificate, PaperKind


class Lacking(enum.StrEnum):
    """What is missing: a permit's number, a safety data sheet, any word about what is brought."""

    PERMIT = "permit"
    DATA_SHEET = "data_sheet"
    DECLARATION = "declaration"


@dataclass(frozen=True, slots=True)
class Lack:
    """What a booking lacks, and of which chemicals."""

    what: Lacking
    chemicals: tuple[str, ...] = ()


def of_bookings(session: Session, *, found: Iterable[Booking], now: datetime) -> dict[UUID, list[Lack]]:
    """Give what bookings ahead lack of papers by the rules of their instruments; a constant number of statements."""
    ahead = [row for row in found if row.state in AHEAD and row.ends_at > now]
    if not ahead:
        return {}
    policies.rules_for(session, [item.instrument for row in ahead for item in row.items])
    ids = [row.id for row in ahead]
    declared = approval_steps.declared_for(session, booking_ids=ids)
    sheets = set(
        session.scalars(
            select(BookingPaper.booking_id).where(
                BookingPaper.booking_id.in_(ids), BookingPaper.kind == PaperKind.SDS
            )
        )
    )
    lacks = {
        row.id: _lacks(_rules(session, row), declared.get(row.id, ()), sheet=row.id in sheets)
        for row in ahead
    }
    return {key: some for key, some in lacks.items() if some}


def _rules(session: Session, booking: Booking) -> list[StepRule]:
    items = [Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity) for row in booking.items]
    places = {row.instrument_id: row.instrument for row in booking.items}
    found = approval_steps.rules_of(session, items=items, instruments=places, person_id=booking.person_id)
    return [rule for rules in found for rule in rules]


def _lacks(rules: Sequence[StepRule], declared: Sequence[Substance], *, sheet: bool) -> list[Lack]:
    """Say what is missing: nothing is declared where the rules ask about it, or what is declared lacks its papers."""
    wanting = frozenset(hazard for rule in rules for hazard in rule.permit_for)
    if not declared:
        asked = wanting or any(
            one.when in {When.HAZARDOUS, When.PERMIT} for rule in rules for one in rule.when
        )
        return [Lack(Lacking.DECLARATION)] if asked else []
    lacks = []
    if without := unpermitted(declared, wanting):
        lacks.append(Lack(Lacking.PERMIT, tuple(one.name for one in without)))
    if not sheet and (dangerous := tuple(one.name for one in declared if one.hazards)):
        lacks.append(Lack(Lacking.DATA_SHEET, dangerous))
    return lacks


def ending(session: Session, *, actor: Actor, now: datetime) -> list[Certificate]:
    """Give the actor's qualifications that run out so soon that they can be renewed, and are not on their way."""
    today = now.astimezone(UTC).date()
    soon = today + domain.RENEWABLE
    query = (
        select(Certificate)
        .where(Certificate.person_id == actor.person_id)
        .options(joinedload(Certificate.qualification))
        .order_by(Certificate.expires_on)
    )
    rows = session.scalars(query).all()
    kept = {
        row.qualification_id
        for row in rows
        if row.state in {Step.REQUESTED, Step.SCHEDULED}
        or (row.state is Step.GRANTED and (row.expires_on is None or row.expires_on > soon))
    }
    last = {
        row.qualification_id: row
        for row in rows
        if row.state is Step.GRANTED and row.expires_on and today < row.expires_on <= soon
    }
    return [row for key, row in last.items() if key not in kept and row.qualification.retired_at is None]
