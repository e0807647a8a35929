"""Calendars kept elsewhere: those to which a facility subscribes, looking into one before, and what each brings."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain.access import Forbidden, Subject, may
from booking.domain.calendar_sources import Means, Reading, SourceState, masked, window
from booking.domain.rules import Invalid, Refused
from booking.gateways import calendar_reader
from booking.gateways.way_out import Failed
from booking.http.context import settings
from booking.http.forms import choices, fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import calendar_sources, facilities, instruments
from booking.services.calendar_sources import Draft, Preview, state_of
from booking.web import blueprint
from booking.web.closures import chosen_facility
from booking.web.forms import Intake, as_code
from booking.web.judgement import sentences
from models import CalendarSource, Facility

Answer = str | Redirect | tuple[str, int]

NEW_FIELDS = ("facility", "name", "url", "means", "transparent", "floating_zone", "check")


@blueprint.get("/calendar-sources", endpoint="calendar_sources")
@needs("calendar_source.keep")
def show_sources() -> Answer:
    """Show the calendars to which a facility subscribes, how they do, and whom they meet."""
    now = utc_now()
    with reading() as session:
        kept = managed(session)
        facility = chosen_facility(kept, request.args.get("facility"))
        rows = calendar_sources.listing(session, actor=actor(), facility_id=facility.id)
        ids = [row.id for row in rows]
        counts = calendar_sources.ahead(session, source_ids=ids, now=now)
        met = calendar_sources.clashes(session, source_ids=ids, now=now)
        codes = _codes(session, [place.instrument_id for row in rows for place in row.instruments])
    return render_template(
        "calendar_sources/listing.html",
        facility=facility,
        managed=kept,
        rows=rows,
        counts=counts,
        met=met,
        codes=codes,
        states={row.id: state_of(row) for row in rows},
        state_words=state_words(),
        means_words=means_words(),
        failure=wording.source_failure,
        masked=masked,
        now=now,
    )


def managed(session: Session) -> list[Facility]:
    """Give the facilities whose calendars the reader keeps.

    :raises Forbidden: if they work at a desk, and keep none
    """
    staffed = facilities.managed(session, actor=actor())
    found = [one for one in staffed if may(actor(), "calendar_source.keep", Subject(facility_id=one.id))]
    if staffed and not found:
        raise Forbidden("calendar_source.keep")
    return found


def _codes(session: Session, places: Sequence[int]) -> dict[int, str]:
    return instruments.codes_of(session, instrument_ids=places) if places else {}


def means_words() -> dict[str, str]:
    """Name what the events of a calendar say."""
    return {
        Means.MAINTENANCE.value: _("Maintenance"),
        Means.ROSTER.value: _("Roster of operators"),
        Means.BOOKINGS.value: _("Another booking system"),
    }


def state_words() -> dict[str, str]:
    """Name how a calendar does."""
    return {
        SourceState.NEW.value: _("Not fetched yet"),
        SourceState.WORKING.value: _("Works"),
        SourceState.FAILING.value: _("Cannot be read"),
        SourceState.PAUSED.value: _("Paused"),
    }


@blueprint.get("/calendar-sources/<uuid:source_id>", endpoint="calendar_source")
@needs("calendar_source.keep")
def show_source(source_id: UUID) -> Answer:
    """Show what a calendar elsewhere says, whom it meets, and what can be done about it."""
    return _page_of(source_id)


def _page_of(source_id: UUID, reasons: Sequence[object] = (), status: int = 200) -> Answer:
    now = utc_now()
    with reading() as session:
        row = calendar_sources.one(session, actor=actor(), source_id=source_id)
        facility = facilities.by_id(session, facility_id=row.facility_id)
        coming = calendar_sources.coming(session, actor=actor(), source_id=source_id, now=now)
        count = calendar_sources.ahead(session, source_ids=[source_id], now=now).get(source_id, 0)
        met = calendar_sources.clashes(session, source_ids=[source_id], now=now).get(source_id, [])
        codes = _codes(session, [place.instrument_id for place in row.instruments])
        replan = calendar_sources.replan_of(session, row=row)
    page = render_template(
        "calendar_sources/source.html",
        row=row,
        state=state_of(row),
        facility=facility,
        coming=coming,
        count=count,
        met=met,
        replan=replan,
        codes=codes,
        state_words=state_words(),
        means_words=means_words(),
        failure=wording.source_failure(row.failure, row.figure) if row.failing_since else "",
        address=masked(row.url),
        reasons=reasons,
        now=now,
    )
    return page, status


# --- subscribing ------------------------------------------------------------------------------------------


@blueprint.get("/calendar-sources/new", endpoint="new_calendar_source")
@needs("calendar_source.keep")
def show_new_source() -> Answer:
    """Show the form of a subscription."""
    with reading() as session:
        facility = chosen_facility(managed(session), request.args.get("facility"))
    typed = dict.fromkeys(NEW_FIELDS, "") | {"means": Means.MAINTENANCE.value, "facility": facility.code}
    return _form(facility, typed, (), {})


@blueprint.post("/calendar-sources/new")
@needs("calendar_source.keep")
def add_source() -> Answer:
    """Fetch a calendar and show what it would do; or subscribe to it."""
    typed, ticked = fields(*NEW_FIELDS, many=("instrument",)), choices("instrument")
    now = utc_now()
    with reading() as session:
        facility = chosen_facility(managed(session), as_code(typed["facility"]) or None)
        try:
            draft = _draft(session, facility, typed, ticked, typed["url"])
        except Invalid as error:
            return _form(facility, typed, ticked, _worded(error), status=422)
    try:
        preview = _preview(draft, _look(draft, now), now)
    except Failed as failure:
        problem = {"url": wording.source_failure(failure.code, failure.figure)}
        return _form(facility, typed, ticked, problem, status=422)
    if typed["check"]:
        return _form(facility, typed, ticked, {}, preview=preview)
    try:
        with transaction() as session:
            made = calendar_sources.add(session, actor=actor(), draft=draft, now=now).id
    except Invalid as error:
        return _form(facility, typed, ticked, _worded(error), preview=preview, status=422)
    flash(_("Subscribed. Its busy time is taken over within a minute."), "success")
    return redirect(url_for("web.calendar_source", source_id=made), 303)


@blueprint.get("/calendar-sources/<uuid:source_id>/change", endpoint="change_calendar_source")
@needs("calendar_source.keep")
def show_change_source(source_id: UUID) -> Answer:
    """Show the form of a subscription as it is; its address is not shown again."""
    row, facility, ticked = _kept(source_id)
    typed = dict.fromkeys(NEW_FIELDS, "") | {
        "facility": facility.code,
        "name": row.name,
        "means": row.means.value,
        "transparent": "1" if row.transparent else "",
        "floating_zone": row.floating_zone,
    }
    return _form(facility, typed, ticked, {}, row=row)


@blueprint.post("/calendar-sources/<uuid:source_id>/change")
@needs("calendar_source.keep")
def change_source(source_id: UUID) -> Answer:
    """Fetch a calendar as it would be understood and show what it would do; or change the subscription."""
    typed, ticked = fields(*NEW_FIELDS, many=("instrument",)), choices("instrument")
    now = utc_now()
    row, facility, _before = _kept(source_id)
    try:
        with reading() as session:
            draft = _draft(session, facility, typed, ticked, typed["url"].strip() or row.url)
    except Invalid as error:
        return _form(facility, typed, ticked, _worded(error), row=row, status=422)
    differs = calendar_sources.differs(row, draft)
    try:
        found = _look(draft, now) if differs or typed["check"] else None
    except Failed as failure:
        problem = {"url": wording.source_failure(failure.code, failure.figure)}
        return _form(facility, typed, ticked, problem, row=row, status=422)
    if typed["check"] and found is not None:
        return _form(facility, typed, ticked, {}, preview=_preview(draft, found, now), row=row)
    try:
        with transaction() as session:
            calendar_sources.amend(
                session, actor=actor(), source_id=source_id, draft=draft, reading=found, now=now
            )
    except Invalid as error:
        return _form(facility, typed, ticked, _worded(error), row=row, status=422)
    flash(_("Kept."), "success")
    return _back(source_id)


def _kept(source_id: UUID) -> tuple[CalendarSource, Facility, list[str]]:
    """Give a subscription of the reader's with its facility and the codes of its instruments."""
    with reading() as session:
        row = calendar_sources.one(session, actor=actor(), source_id=source_id)
        facility = facilities.by_id(session, facility_id=row.facility_id)
        codes = _codes(session, [place.instrument_id for place in row.instruments])
    return row, facility, list(codes.values())


def _draft(
    session: Session, facility: Facility, typed: Mapping[str, str], ticked: Sequence[str], url: str
) -> Draft:
    intake = Intake(typed)
    means = intake.choice("means", Means) or Means.MAINTENANCE
    intake.demand()
    return calendar_sources.draft(
        session,
        actor=actor(),
        facility_id=facility.id,
        name=typed["name"],
        url=url,
        means=means,
        instruments=ticked,
        transparent=bool(typed["transparent"]),
        floating_zone=typed["floating_zone"].strip(),
        inside=settings().calendars_inside,
    )


def _worded(error: Invalid) -> dict[str, str]:
    return {
        "instrument" if name == "instruments" else name: wording.error_sentence(code)
        for name, code in error.errors.items()
    }


def _look(draft: Draft, now: datetime) -> Reading:
    return calendar_reader.look(
        draft.url,
        zone=draft.facility.zone,
        floating=draft.floating_zone,
        within=window(now),
        also=settings().calendars_inside,
    )


def _preview(draft: Draft, understood: Reading, now: datetime) -> Preview:
    with reading() as session:
        return calendar_sources.preview(session, draft=draft, reading=understood, now=now)


def _form(
    facility: Facility,
    typed: Mapping[str, str],
    ticked: Sequence[str],
    problems: Mapping[str, str],
    *,
    preview: Preview | None = None,
    row: CalendarSource | None = None,
    status: int = 200,
) -> Answer:
    with reading() as session:
        places = instruments.of_facility(session, actor=actor(), code=facility.code)
        every = instruments.by_ids(session, instrument_ids=places)
    page = render_template(
        "calendar_sources/new.html",
        facility=facility,
        row=row,
        address=masked(row.url) if row else "",
        zone=facility.zone,
        offered=[(one.code, f"{name_of(one)} · {one.code}") for one in sorted(every.values(), key=_by_code)],
        ticked=set(ticked),
        typed=typed,
        problems=problems,
        errors=problems,
        preview=preview,
        means=[
            (
                Means.MAINTENANCE.value,
                means_words()["maintenance"],
                _("While an event lasts, nothing can be booked."),
            ),
            (
                Means.BOOKINGS.value,
                means_words()["bookings"],
                _("While an event lasts, the instruments are taken by others."),
            ),
            (
                Means.ROSTER.value,
                means_words()["roster"],
                _("While an event lasts, somebody is there. Outside of it nothing can be booked."),
            ),
        ],
    )
    return page, status


def _by_code(one: object) -> str:
    return str(getattr(one, "code", ""))


# --- keeping ----------------------------------------------------------------------------------------------


@blueprint.post("/calendar-sources/<uuid:source_id>/refresh")
@needs("calendar_source.keep")
def refresh_source(source_id: UUID) -> Answer:
    """Have a calendar fetched at once; what has fewer events than before is taken over if that is meant so."""
    accept = bool(fields("accept")["accept"])
    with transaction() as session:
        calendar_sources.refresh(
            session, actor=actor(), source_id=source_id, accept_fewer=accept, now=utc_now()
        )
    flash(_("It is fetched within a minute."), "success")
    return _back(source_id)


@blueprint.post("/calendar-sources/<uuid:source_id>/pause")
@needs("calendar_source.keep")
def pause_source(source_id: UUID) -> Answer:
    """Ask a calendar no more for now."""
    fields()
    with transaction() as session:
        calendar_sources.pause(session, actor=actor(), source_id=source_id, now=utc_now())
    flash(_("Paused. The time that it took can be booked."), "success")
    return _back(source_id)


@blueprint.post("/calendar-sources/<uuid:source_id>/resumption")
@needs("calendar_source.keep")
def resume_source(source_id: UUID) -> Answer:
    """Ask a calendar again."""
    fields()
    with transaction() as session:
        calendar_sources.resume(session, actor=actor(), source_id=source_id, now=utc_now())
    flash(_("It is fetched within a minute."), "success")
    return _back(source_id)


@blueprint.post("/calendar-sources/<uuid:source_id>/removal")
@needs("calendar_source.keep")
def remove_source(source_id: UUID) -> Answer:
    """Subscribe no longer."""
    fields()
    with transaction() as session:
        row = calendar_sources.one(session, actor=actor(), source_id=source_id)
        facility = facilities.by_id(session, facility_id=row.facility_id)
        calendar_sources.remove(session, actor=actor(), source_id=source_id, now=utc_now())
    flash(_("Removed. The time that it took can be booked."), "success")
    return redirect(url_for("web.calendar_sources", facility=facility.code), 303)


@blueprint.post("/calendar-sources/<uuid:source_id>/replan")
@needs("calendar_source.keep")
def replan_source(source_id: UUID) -> Answer:
    """Have other places looked for, for the bookings that a calendar meets."""
    fields()
    try:
        with transaction() as session:
            found = calendar_sources.find_places(
                session, actor=actor(), source_id=source_id, now=utc_now()
            ).id
    except Refused as refusal:
        return _page_of(source_id, sentences(refusal.reasons, "UTC"), 409)
    return redirect(url_for("web.replan", replan_id=found), 303)


def _back(source_id: UUID) -> Redirect:
    return redirect(url_for("web.calendar_source", source_id=source_id), 303)
