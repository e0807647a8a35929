"""Processes in line: who finds no route waits for one, as for any other time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, require
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import bookings, line_routes, routes, waitlist
from booking.services.routes import Step
from models import WaitlistEntry


def join(
    session: Session,
    *,
    actor: Actor,
    steps: Sequence[Step],
    window: Span,
    project_id: UUID | None = None,
    purpose: str = "",
    wish: str = "",
    at_once: bool = False,
    may_move: bool = False,
    now: datetime,
) -> WaitlistEntry:
    """Wait for a route of all steps within the window; the same process twice is one place in the line.

    With `at_once` what is found is booked, else it is offered, all steps held as one.

    :raises NotFound: if there is no such instrument or project for this actor
    :raises Refused: if the actor waits in too many lines
    :raises Invalid: naming what makes no sense
    """
    require(actor, "waitlist.join")
    if actor.person_id is None:
        raise Forbidden("waitlist.join", sign_in=True)
    routes.check(steps, window)
    options = routes.options_of(session, actor, steps)
    none = {f"steps.{number}.instrument_id": "unknown" for number, some in enumerate(options) if not some}
    if none:
        raise Invalid(none)
    routes.utilities_of(session, steps, options)
    wanted = sorted({row.id for some in options for row in some})
    minutes = line_routes.least(steps)
    waitlist.check(wanted, window, minutes, 1, purpose, wish, now)
    rows = waitlist.lock_shared(session, wanted)
    bookings.require_visible(actor, rows)
    organisation_id = bookings.wish_for(session, actor, None, (), {}, project_id, now).organisation_id
    known = _same(session, actor.person_id, window, steps)
    if known is not None:
        known.at_once, known.may_move = at_once, may_move
        waitlist.look_again(session, known, wanted, now)
        return known
    waitlist.check_number(session, actor.person_id)
    return waitlist.enter(
        session,
        actor,
        rows,
        wanted,
        window,
        now,
        organisation_id=organisation_id,
        project_id=project_id,
        minutes=minutes,
        quantity=1,
        purpose=purpose,
        wish=wish,
        at_once=at_once,
        may_move=may_move,
        steps=line_routes.kept(steps),
    )


def _same(session: Session, person_id: UUID, window: Span, steps: Sequence[Step]) -> WaitlistEntry | None:
    query = waitlist.loaded().where(
        WaitlistEntry.person_id == person_id,
        WaitlistEntry.state.in_(waitlist.OPEN),
        WaitlistEntry.window_starts_at == window.start,
        WaitlistEntry.window_ends_at == window.end,
        WaitlistEntry.lead_minutes.is_(None),
    )
    return next((one for one in session.scalars(query) if one.steps == line_routes.kept(steps)), None)
