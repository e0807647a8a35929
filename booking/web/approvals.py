"""Approvals: the inbox of requests, and the yes or no of those who are asked, to one or several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import Forbidden, NotFound, could
from booking.domain.lifecycle import State, WrongMove
from booking.domain.occupation import Kind
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span, intersect
from booking.http.forms import choices, fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.i18n import name_of, ngettext
from booking.services import approval_steps, approvals, availability, papers, series_approvals
from booking.services.approvals import Asked
from booking.services.availability import Bar
from booking.services.bookings import Estimate, Stale
from booking.web import blueprint, timeline
from booking.web.bookings import (
    Answer,
    booking_page,
    carry_out,
    items_of,
    payer_of,
    version_of,
)
from booking.web.forms import LONGEST_NOTE, Intake, as_uuid, days_from
from booking.web.judgement import Strip
from booking.web.papers import Declared, Step, declared_in_words, steps_in_words
from models import Booking

PAGE_SIZE = 20
MOST_DATES = 366
DRAWN_DAYS = 3
"""A long request is drawn with its first days only."""

DUE_SOON = timedelta(days=1)

DRAWN_WITHIN = timedelta(days=92)
"""What is around requests is read in one piece; those much later than the first of the page go without."""


class Decision(StrEnum):
    """What a manager says."""

    APPROVE = "approve"
    REJECT = "reject"


@dataclass(frozen=True)
class Request:
    """A request as the inbox shows it: with its price, what is declared, and what else is on its days.

    `dates` are those of a series that wait as one, the first of them the booking; none where it stands alone.
    """

    booking: Booking
    steps: Sequence[Step]
    absent: Sequence[str]
    due_at: datetime | None
    late: bool
    chemicals: Sequence[Declared]
    papers: int
    zone: str
    estimate: Estimate
    waits: timedelta
    over: bool
    strip: Strip | None
    dates: Sequence[Booking] = ()


class Order(StrEnum):
    """What comes first."""

    START = "start"
    DUE = "due"
    OLDEST = "oldest"


@blueprint.get("/approvals", endpoint="approvals")
@needs("approval.decide")
def show_approvals() -> Answer:
    """Show the requests that wait for my decision, those that begin soonest first unless asked otherwise."""
    _let_in()
    return _inbox_page()


def _let_in() -> None:
    """Keep those out whose word nobody ever asked for.

    :raises Forbidden: if the actor decides nothing
    """
    who = actor()
    if could(who, "booking.approve"):
        return
    with reading() as session:
        if not approvals.takes_part(session, actor=who, now=utc_now()):
            raise Forbidden(approvals.ACTION)


@blueprint.post("/approvals")
@needs("approval.decide")
def decide_several() -> Answer | Redirect:
    """Approve or reject all that were ticked, each for itself."""
    _let_in()
    ids = choices("chosen")[:PAGE_SIZE]
    form = fields("decision", "comment", "back", *_of_each(request.form), many=("chosen",))
    intake = Intake(form)
    decision = intake.choice("decision", Decision)
    comment = intake.text("comment", longest=LONGEST_NOTE, lines=True)
    if not ids:
        intake.errors["chosen"] = "required"
    if decision is Decision.REJECT and not comment and "comment" not in intake.errors:
        intake.errors["comment"] = "why_not"
    if intake.errors or decision is None:
        return _inbox_page(errors=intake.errors, typed=form, chosen=ids, status=422)
    done = [_decide_one(raw, decision, comment, form) for raw in ids]
    _tell(decision, [said for said in done if said is None], [said for said in done if said is not None])
    return redirect(url_for("web.approvals"), 303)


def _of_each(names: Mapping[str, str]) -> list[str]:
    """Give the fields of single requests: the version that was seen, and a comment of its own."""
    return [
        name
        for name in names
        if name.partition("-")[0] in {"version", "comment", "dates"} and as_uuid(name.partition("-")[2])
    ]


def dates_sent(found: Sequence[Booking]) -> str:
    """Write the dates of a series that are decided together into one field, each with the version that is seen."""
    return " ".join(f"{booking.id}:{booking.version}" for booking in found)


def dates_of(raw: str) -> dict[UUID, int]:
    """Read what `dates_sent` wrote; what makes no sense names no date."""
    pairs = (part.partition(":") for part in raw.split()[:MOST_DATES])
    return {
        booking_id: version
        for one, _colon, seen in pairs
        if (booking_id := as_uuid(one)) and (version := version_of(seen))
    }


def _decide_one(raw: str, decision: Decision, comment: str, form: Mapping[str, str]) -> str | None:
    """Decide one request in a transaction of its own; give why it did not work, None if it did.

    The dates of a series that wait as one are one request, named by the series.
    """
    booking_id = as_uuid(raw)
    if booking_id is None:
        return wording.error_sentence("unknown")
    dates = dates_of(form.get(f"dates-{booking_id}", ""))
    try:
        with transaction() as session:
            if dates:
                said = dict.fromkeys(dates, decision is Decision.APPROVE)
                series_approvals.decide(
                    session,
                    actor=actor(),
                    series_id=booking_id,
                    said=said,
                    comment=comment,
                    versions=dates,
                    now=utc_now(),
                )
            else:
                version = version_of(form.get(f"version-{booking_id}", ""))
                _decide(session, booking_id, decision, comment, version)
    except (Refused, WrongMove, Stale, NotFound, Forbidden, Invalid) as error:
        return why_not(error)
    return None


def _decide(
    session: Session, booking_id: UUID, decision: Decision, comment: str, version: int | None
) -> Booking:
    command = approvals.approve if decision is Decision.APPROVE else approvals.reject
    return command(
        session, actor=actor(), booking_id=booking_id, comment=comment, version=version, now=utc_now()
    )


def why_not(error: Exception) -> str:
    """Say why a request was not decided."""
    if isinstance(error, WrongMove):
        return _(
            "It has been decided already: the booking is “%(state)s”.",
            state=wording.state_name(error.state),
        )
    if isinstance(error, Stale):
        return _("The request was changed after you saw it. Look at it again.")
    if isinstance(error, Refused):
        return " ".join(wording.sentence(reason.code, reason.params) for reason in error.reasons)
    return _("The request is not there for you any more.")


def _tell(decision: Decision, good: Sequence[None], bad: Sequence[str]) -> None:
    if good and decision is Decision.APPROVE:
        flash(
            ngettext("%(num)d request approved.", "%(num)d requests approved.", len(good), num=len(good)),
            "success",
        )
    elif good:
        flash(
            ngettext("%(num)d request rejected.", "%(num)d requests rejected.", len(good), num=len(good)),
            "success",
        )
    for sentence in dict.fromkeys(bad):
        count = bad.count(sentence)
        flash(
            ngettext(
                "%(num)d request was not decided. %(why)s",
                "%(num)d requests were not decided. %(why)s",
                count,
                num=count,
                why=sentence,
            ),
            "warning",
        )


@blueprint.post("/bookings/<uuid:booking_id>/approval")
@needs("approval.decide")
def approve_booking(booking_id: UUID) -> Answer:
    """Approve one request."""
    return _one(booking_id, Decision.APPROVE)


@blueprint.post("/bookings/<uuid:booking_id>/rejection")
@needs("approval.decide")
def reject_booking(booking_id: UUID) -> Answer:
    """Reject one request and free its time."""
    return _one(booking_id, Decision.REJECT)


def _one(booking_id: UUID, decision: Decision) -> Answer:
    """Decide from the booking's own page, or from its card in the inbox, whose form is that of all cards."""
    form = fields("comment", "version", "decision", "back", *_of_each(request.form), many=("chosen",))
    own = {name: form.get(f"{name}-{booking_id}", form[name]) for name in ("comment", "version")}
    intake = Intake(own)
    comment = intake.text("comment", longest=LONGEST_NOTE, lines=True)
    if decision is Decision.REJECT and not comment and not intake.errors:
        intake.errors["comment"] = "why_not"
    if intake.errors:
        return _or_forbidden(lambda: booking_page(booking_id, status=422, errors=intake.errors, typed=own))

    def done(booking: Booking) -> str:
        if booking.state is State.REQUESTED:
            return _("Your word is noted; others have to decide besides.")
        if decision is Decision.APPROVE:
            return _("Approved: %(name)s, %(place)s.", name=booking.person.name, place=_places(booking))
        return _("Rejected: %(name)s, %(place)s.", name=booking.person.name, place=_places(booking))

    return _or_forbidden(
        lambda: carry_out(
            booking_id,
            lambda session: _decide(session, booking_id, decision, comment, version_of(own["version"])),
            done,
            form["back"] or url_for("web.approvals"),
            late=_("It has been decided already"),
        )
    )


def _or_forbidden(do: Callable[[], Answer]) -> Answer:
    """Tell those who decide nothing anywhere that they may not, whether or not there is such a booking."""
    try:
        return do()
    except NotFound:
        if not could(actor(), "booking.approve"):
            raise Forbidden(approvals.ACTION) from None
        raise


def _places(booking: Booking) -> str:
    return wording.joined(name_of(item.instrument) for item in booking.items)


def _inbox_page(
    *,
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
    chosen: Sequence[str] = (),
    status: int = 200,
) -> Answer:
    now = utc_now()
    page, page_size = page_wanted(default=PAGE_SIZE, most=PAGE_SIZE)
    order = {one.value: one for one in Order}.get(request.args.get("order", ""), Order.START)
    place = request.args.get("facility", "")
    with reading() as session:
        found = approvals.inbox(session, actor=actor(), now=now)
        asked = approvals.asked(session, actor=actor(), found=found, now=now)
        places = {row.instrument.facility.code: row.instrument.facility for b in found for row in b.items}
        waiting = [
            one
            for one in sorted((asked[booking.id] for booking in found), key=_key_of(order))
            if place not in places or any(row.instrument.facility.code == place for row in one.booking.items)
        ]
        groups = series_approvals.grouped(waiting)
        shown = groups[(page - 1) * page_size : page * page_size]
        requests = _requests(session, shown, now)
    sentences = {name: wording.error_sentence(code) for name, code in (errors or {}).items()}
    if "chosen" in sentences:
        sentences["chosen"] = _("Tick the requests that you decide.")
    content = render_template(
        "approvals/inbox.html",
        requests=requests,
        total=len(groups),
        order=order.value,
        orders=[(one.value, _order_name(one)) for one in Order],
        place=place if place in places else "",
        places=[("", _("All facilities")), *sorted((code, name_of(one)) for code, one in places.items())],
        page=page,
        page_size=page_size,
        page_url=page_url,
        errors=sentences,
        typed={"comment": "", **(typed or {})},
        chosen=set(chosen),
        dates_sent=dates_sent,
        day_long=timedelta(days=1),
        now=now,
    )
    return content, status


def _key_of(order: Order) -> Callable[[Asked], tuple[Any, ...]]:
    """Give by what requests are put in order; those without a deadline come after those with one."""
    never = datetime.max.replace(tzinfo=UTC)
    return {
        Order.START: lambda one: (one.booking.starts_at, one.booking.id),
        Order.DUE: lambda one: (one.due_at or never, one.booking.starts_at, one.booking.id),
        Order.OLDEST: lambda one: (one.asked_at, one.booking.id),
    }[order]


def _order_name(order: Order) -> str:
    return {
        Order.START: _("Those that begin soonest"),
        Order.DUE: _("Those due soonest"),
        Order.OLDEST: _("Those asked longest ago"),
    }[order]


def _requests(session: Session, groups: Sequence[Sequence[Asked]], now: datetime) -> list[Request]:
    """Put to each request its price and its days; the statements do not grow in number with the requests."""
    if not groups:
        return []
    shown = [group[0].booking for group in groups]
    of = {group[0].booking.id: group[0] for group in groups}
    dates = {group[0].booking.id: [one.booking for one in group] for group in groups}
    estimates = _estimates(session, [booking for found in dates.values() for booking in found])
    strips = _strips(session, shown, now)
    declared = approval_steps.declared_for(session, booking_ids=of)
    attached = papers.counts(session, booking_ids=of)
    return [
        Request(
            booking=booking,
            steps=steps_in_words(of[booking.id].steps),
            absent=[one.name for voice in of[booking.id].voices for one in voice.instead_of],
            due_at=of[booking.id].due_at,
            late=(due := of[booking.id].due_at) is not None and due - now < DUE_SOON,
            chemicals=declared_in_words(declared.get(booking.id, ())),
            papers=attached.get(booking.id, 0),
            zone=booking.items[0].instrument.facility.zone,
            estimate=Estimate(tuple(line for one in dates[booking.id] for line in estimates[one.id].lines)),
            waits=roughly(max(timedelta(0), now - of[booking.id].asked_at)),
            over=booking.ends_at <= now,
            strip=strips.get(booking.id),
            dates=dates[booking.id] if len(dates[booking.id]) > 1 else (),
        )
        for booking in shown
    ]


def roughly(length: timedelta) -> timedelta:
    """Give a length in whole days, hours or minutes: nobody needs the age of a request more exactly."""
    for unit in (timedelta(days=1), timedelta(hours=1)):
        if length >= unit:
            return length // unit * unit
    return length


def _estimates(session: Session, shown: Sequence[Booking]) -> dict[UUID, Estimate]:
    """Ask for the prices of all bookings of one organisation at once."""
    payers: dict[object, list[Booking]] = {}
    for booking in shown:
        payers.setdefault((booking.organisation_id, payer_of(booking).person_id), []).append(booking)
    found: dict[UUID, Estimate] = {}
    for group in payers.values():
        items = [item for booking in group for item in items_of(booking)]
        charges = iter(availability.estimates(session, actor=payer_of(group[0]), items=items))
        for booking in group:
            found[booking.id] = Estimate(tuple(next(charges) for _item in booking.items))
    return found


def _strips(session: Session, shown: Sequence[Booking], now: datetime) -> dict[UUID, Strip]:
    """Draw each request among what else takes its first instrument on its days."""
    days = {booking.id: _days(booking) for booking in shown}
    begin = min(span.start for _first, _count, span in days.values())
    near = [booking for booking in shown if days[booking.id][2].end <= begin + DRAWN_WITHIN]
    if not near:
        return {}
    whole = Span(begin, max(days[booking.id][2].end for booking in near))
    places = sorted({booking.items[0].instrument_id for booking in near})
    bars = availability.occupations(session, actor=actor(), instrument_ids=places, within=whole, now=now)
    opened = availability.opening(session, instrument_ids=places, within=whole)
    return {booking.id: _strip(booking, days[booking.id], bars, opened) for booking in near}


def _days(booking: Booking) -> tuple[date, int, Span]:
    """Give the first day of a request, how many are drawn, and their whole span."""
    item = booking.items[0]
    zone = hours.zone(item.instrument.facility.zone)
    first = item.starts_at.astimezone(zone).date()
    last = (item.ends_at - timedelta(microseconds=1)).astimezone(zone).date()
    count = min((last - first).days + 1, DRAWN_DAYS)
    return first, count, days_from(first, count, zone)


def _strip(
    booking: Booking,
    days: tuple[date, int, Span],
    bars: Sequence[Bar],
    opened: Mapping[int, Sequence[Span]],
) -> Strip:
    first, count, span = days
    item = booking.items[0]
    zone = hours.zone(item.instrument.facility.zone)
    wish = Span(item.starts_at, item.ends_at)
    around = [
        bar
        for bar in bars
        if bar.instrument_id == item.instrument_id
        and bar.booking_id != booking.id
        and bar.start < span.end
        and bar.end > span.start
    ]
    open_then = intersect(opened[item.instrument_id], [span])
    taken = [Span(bar.start, bar.end) for bar in around if bar.kind is Kind.BOOKING]
    paper = timeline.paper(first, count, zone, opened=open_then, spans=[wish, *taken])
    return Strip(
        paper, timeline.row(paper, open_then, around, staff=True, width=timeline.STRIP), paper.place(wish)
    )
