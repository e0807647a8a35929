"""Projects: the work that people book for."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor
from models import Project, ProjectMember


def of_actor(session: Session, *, actor: Actor) -> list[Project]:
    """Give the projects for which the actor may book, by code."""
    query = select(Project).join(ProjectMember, ProjectMember.project_id == Project.id)
    query = query.where(ProjectMember.person_id == actor.person_id)
    return list(session.scalars(query.order_by(Project.code)))


def by_ids(session: Session, *, ids: Iterable[UUID | None]) -> dict[UUID, Project]:
    """Give projects by their ids, for readers who may see something that names them."""
    wanted = {project_id for project_id in ids if project_id is not None}
    if not wanted:
        return {}
    return {project.id: project for project in session.scalars(select(Project).where(Project.id.in_(wanted)))}
