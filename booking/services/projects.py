"""Projects: the work that people book for."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor
from models import Booking, BookingItem, Project, ProjectMember


def of_actor(session: Session, *, actor: Actor) -> list[Project]:
    """Give the projects for which the actor may book, by code."""
    query = select(Project).join(ProjectMember, ProjectMember.project_id == Project.id)
    query = query.where(ProjectMember.person_id == actor.person_id)
    return list(session.scalars(query.order_by(Project.code)))


def usual(session: Session, *, actor: Actor, own: Sequence[Project], instrument_id: int) -> Project | None:
    """Give the project that the actor probably books for: their only one, or the last they used the instrument for."""
    if len(own) < 2:
        return own[0] if own else None
    last = session.scalar(
        select(Booking.project_id)
        .join(BookingItem, BookingItem.booking_id == Booking.id)
        .where(
            BookingItem.instrument_id == instrument_id,
            Booking.person_id == actor.person_id,
            Booking.project_id.in_([project.id for project in own]),
        )
        .order_by(Booking.created_at.desc(), Booking.id.desc())
        .limit(1)
    )
    return next((project for project in own if project.id == last), None)


def by_ids(session: Session, *, ids: Iterable[UUID | None]) -> dict[UUID, Project]:
    """Give projects by their ids, for readers who may see something that names them."""
    wanted = {project_id for project_id in ids if project_id is not None}
    if not wanted:
        return {}
    return {project.id: project for project in session.scalars(select(Project).where(Project.id.in_(wanted)))}
