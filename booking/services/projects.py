"""Projects: what people book for."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor
from models import Project, ProjectMember


def own(session: Session, *, actor: Actor) -> list[Project]:
    """Give the projects for which the actor may book, by code."""
    query = select(Project).join(ProjectMember, ProjectMember.project_id == Project.id)
    query = query.where(ProjectMember.person_id == actor.person_id)
    return list(session.scalars(query.order_by(Project.code)))
