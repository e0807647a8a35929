"""What stands beside a series and holds for all its dates: the chemicals that are declared, its papers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import flash, redirect, render_template, url_for

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain.access import Forbidden
from booking.domain.rules import Invalid, Reason, Refused
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.services import bookings, series, series_papers
from booking.services.bookings import Stale
from booking.services.series import Edit, Scope, Whole
from booking.web import blueprint, chemicals
from booking.web.bookings import Answer, version_of
from booking.web.judgement import sentences
from booking.web.papers import Declared, declared_in_words, sent
from models import PaperKind


@dataclass(frozen=True)
class Shared:
    """A paper of a series in words; `booking_id` is a date by which it is read."""

    id: UUID
    booking_id: UUID
    title: str
    kind: str
    number: str
    media_type: str
    added_at: datetime
    dates: int
    may_remove: bool


@dataclass(frozen=True)
class Beside:
    """All that holds for the dates of a series, and whether the reader may change it."""

    chemicals: Sequence[Declared]
    papers: Sequence[Shared]
    kinds: Sequence[tuple[str, str]]


def beside(session: Session, whole: Whole) -> Beside:
    """Read what stands beside a series that the reader may see."""
    manages = any(
        bookings.may_on(actor(), "booking.approve", one.booking) for one in whole.dates if one.booking
    )
    return Beside(
        chemicals=declared_in_words(series.declared(session, whole=whole)),
        papers=[
            Shared(
                id=one.paper.id,
                booking_id=one.paper.booking_id,
                title=one.paper.title,
                kind=wording.paper_name(one.paper.kind.value),
                number=one.paper.number,
                media_type=one.paper.media_type,
                added_at=one.paper.added_at,
                dates=one.dates,
                may_remove=manages or one.paper.added_by == actor().person_id,
            )
            for one in series_papers.of(session, whole)
        ],
        kinds=[(kind.value, wording.paper_name(kind.value)) for kind in PaperKind],
    )


# --- chemicals ------------------------------------------------------------------------------------


@blueprint.get("/series/<uuid:series_id>/chemicals", endpoint="series_chemicals")
@needs("booking.change")
def show_series_chemicals(series_id: UUID) -> Answer:
    """Show the form in which the chemicals of all dates are declared."""
    with reading() as session:
        whole = _changeable(session, series_id)
        found = series.declared(session, whole=whole)
    return _chemicals_page(whole, chemicals.typed(found))


@blueprint.post("/series/<uuid:series_id>/chemicals")
@needs("booking.change")
def declare_series_chemicals(series_id: UUID) -> Answer:
    """Declare what is brought to every date that is still ahead."""
    form = fields("version", *chemicals.field_names(), many=chemicals.box_names())
    found, errors = chemicals.read(form)
    with reading() as session:
        whole = _changeable(session, series_id)
    if errors:
        return _chemicals_page(whole, chemicals.retyped(), errors=errors, status=422)
    try:
        with transaction() as session:
            series.change(
                session,
                actor=actor(),
                series_id=series_id,
                version=version_of(form["version"]),
                scope=Scope.ALL,
                edit=Edit(chemicals=found),
                now=utc_now(),
            )
    except Refused as refusal:
        return _chemicals_page(whole, chemicals.retyped(), reasons=refusal.reasons, status=409)
    except Stale:
        with reading() as session:
            whole = _changeable(session, series_id)
        return _chemicals_page(whole, chemicals.retyped(), stale=True, status=412)
    flash(_("Declared for every date that is still ahead."), "success")
    return redirect(url_for("web.series", series_id=series_id), 303)


def _changeable(session: Session, series_id: UUID) -> Whole:
    whole = series.get(session, actor=actor(), series_id=series_id, now=utc_now())
    if not series.may_on(actor(), "booking.change", whole):
        raise Forbidden("booking.change")
    return whole


def _chemicals_page(
    whole: Whole,
    rows: Sequence[Mapping[str, object]],
    *,
    errors: Mapping[str, str] | None = None,
    reasons: Sequence[Reason] = (),
    stale: bool = False,
    status: int = 200,
) -> Answer:
    page = render_template(
        "series/chemicals.html",
        series=whole.series,
        instrument=whole.instrument,
        reasons=sentences(reasons, whole.zone),
        stale=stale,
        **chemicals.shown(rows, errors or {}),
    )
    return page, status


# --- papers ---------------------------------------------------------------------------------------


@blueprint.post("/series/<uuid:series_id>/papers")
@needs("paper.add")
def add_series_paper(series_id: UUID) -> Answer:
    """Put a paper to every date that is still ahead."""
    from booking.web.series import series_page  # noqa: PLC0415 - that page shows what is made here

    form = fields("kind", "title", "number")
    try:
        found = sent(form)
        with transaction() as session:
            series_papers.add(session, actor=actor(), series_id=series_id, paper=found, now=utc_now())
    except Invalid as error:
        return series_page(series_id, status=422, errors=error.errors, typed=form)
    except Refused as refusal:
        return series_page(series_id, status=409, problem=refusal.reasons)
    flash(_("The paper is with every date that is still ahead."), "success")
    return redirect(url_for("web.series", series_id=series_id), 303)


@blueprint.post("/series/<uuid:series_id>/papers/<uuid:paper_id>/removal")
@needs("paper.add")
def remove_series_paper(series_id: UUID, paper_id: UUID) -> Answer:
    """Take a paper away from every date that is still ahead."""
    from booking.web.series import series_page  # noqa: PLC0415 - that page shows what is made here

    fields()
    try:
        with transaction() as session:
            series_papers.remove(
                session, actor=actor(), series_id=series_id, paper_id=paper_id, now=utc_now()
            )
    except Refused as refusal:
        return series_page(series_id, status=409, problem=refusal.reasons)
    flash(_("The paper is removed."), "success")
    return redirect(url_for("web.series", series_id=series_id), 303)
