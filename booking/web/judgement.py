"""What the rules say of a wish before it is sent: shown by every form that asks for time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from flask import url_for

from booking import i18n, wording
from booking.db import Session
from booking.domain import hours
from booking.domain.access import Subject, may
from booking.domain.approvals import When
from booking.domain.chemicals import Substance
from booking.domain.occupation import Item, Kind
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.http import crowds
from booking.http.identity import actor
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import (
    alternatives,
    approval_steps,
    availability,
    bookings,
    instruments,
    policies,
    waitlist,
)
from booking.services.approval_steps import Planned
from booking.services.availability import Alternative
from booking.services.bookings import Estimate
from booking.web import nudges, timeline
from booking.web.forms import Intake, days_from, local_time
from booking.web.nudges import Glance
from models import Instrument

STRIP_DAYS = 7
"""The drawing under a form shows no more days of a long use."""


DECLARED = frozenset({"permit_missing"})
"""Reasons that are mended where chemicals are declared."""

OF_RULES = frozenset(
    {"notice", "horizon", "too_short", "too_long", "off_step", "quota_hours", "quota_bookings", "too_close"}
)
OF_FACILITY = frozenset({"closed", "not_bookable", "permit_over"})

WAYS_TO_LEARN = frozenset({"qualification_missing", "training_before_start"})
"""Reasons whose qualification has a page that leads to it."""


@dataclass(frozen=True)
class Said:
    """A reason in the reader's words."""

    message: str
    overridable: bool
    qualification: str = ""
    """The code of what could be asked for instead."""
    code: str = ""
    remedy: tuple[str, str] | None = None
    """Where it is mended or explained: an address and its words."""


@dataclass(frozen=True)
class Ahead:
    """A step of approval that would be asked for: its name, why, who decides, and until when."""

    name: str
    why: str
    who: str
    until: str


@dataclass(frozen=True)
class Instead:
    """What can be had instead; `value` is what its button sends, the rest is what it says."""

    value: str
    name: str
    span: str
    why: str
    start: datetime
    end: datetime
    here: bool
    other: bool
    reason: str = ""
    price: str = ""


@dataclass(frozen=True)
class Strip:
    """The day, or the days, of a wish on its instrument's row."""

    paper: timeline.Paper
    row: timeline.Row
    wish: tuple[int, int] | None


@dataclass(frozen=True)
class Judgement:
    """What the rules say of a wish before it is sent; `allowed` is None while there is no whole wish.

    `waiting` tells that waiting in line for the time is a way out, `standby` is the address of the day's standby list
    where there is one, `exceptional` that the reader may set all of the
    rules aside that stand against it; `exception` says once for all reasons who may, where that is the same for each
    and no reason says it; `unannounced` names years by whose weekdays alone they were asked.
    """

    allowed: bool | None = None
    needs_approval: bool = False
    steps: Sequence[Ahead] = ()
    reasons: Sequence[Said] = ()
    conditions: Sequence[Said] = ()
    alternatives: Sequence[Instead] = ()
    waiting: bool = False
    standby: str = ""
    estimate: Estimate | None = None
    spans: Sequence[Span] = ()
    strip: Strip | None = None
    zone: str = "UTC"
    exceptional: bool = False
    exception: str = ""
    override: str = ""
    unannounced: Sequence[int] = ()
    week: Sequence[Glance] = ()

    @property
    def times(self) -> tuple[str, str] | None:
        """Give the first use on the facility's clock, as addresses write it; None while there is no whole wish."""
        if not self.spans:
            return None
        start, end = (local_time(at, hours.zone(self.zone)) for at in self.spans[0])
        return start, end

    @property
    def lacks_papers(self) -> bool:
        """Tell whether something stands against it that is declared among the rest of the form."""
        return any(reason.code in DECLARED for reason in self.reasons)


@dataclass(frozen=True)
class Wish:
    """What a form asks for, understood; `items` is None where something of it was not."""

    items: list[Item] | None
    purpose: str
    project_id: UUID | None
    confidential: bool | None
    errors: Mapping[str, str] = field(default_factory=dict)
    booked_for: UUID | None = None
    chemicals: Sequence[Substance] | None = None
    needs: str = ""
    """What an instrument must be able to do to be as good."""
    needed_by: date | None = None


def judge(
    session: Session,
    wish: Wish,
    places: Sequence[Instrument],
    typed: Mapping[str, str],
    now: datetime,
    *,
    booking_id: UUID | None = None,
    refusal: Refused | None = None,
) -> Judgement:
    """Ask what the rules say and what it costs, and draw the days around; nothing is written."""
    zone = places[0].facility.zone
    if wish.items is None:
        strip = _strip(session, places[0], None, _day_typed(typed), now) if len(places) == 1 else None
        return Judgement(strip=strip, zone=zone)
    try:
        verdict = bookings.dry_run(
            session,
            actor=actor(),
            items=wish.items,
            project_id=wish.project_id if booking_id is None else None,
            booking_id=booking_id,
            booked_for=wish.booked_for,
            chemicals=wish.chemicals,
            now=now,
        )
    except Invalid:  # the very thing is told when it is sent
        return Judgement(zone=zone)
    reasons = refusal.reasons if refusal is not None else verdict.reasons
    spans = [item.span for item in wish.items]
    found: list[Alternative] = []
    if reasons:
        asked = verdict.wish or alternatives.wish_of(actor(), wish.items, now, booking_id=booking_id)
        found = alternatives.find(session, actor=actor(), wish=asked, needs=wish.needs, crowd=crowds.crowd())
        crowds.note_what_is_gone(session, reasons, wish.items, now)
    said, exception = _together(reasons, zone)
    waiting = booking_id is None and waitlist.helps(reasons, wish.items)
    return Judgement(
        exception=exception,
        exceptional=bool(reasons) and all(reason.overridable for reason in reasons) and _excepts(places),
        override=typed.get("override_reason", ""),
        unannounced=verdict.unannounced,
        allowed=not reasons,
        needs_approval=verdict.needs_approval,
        steps=_ahead(session, verdict.steps),
        reasons=said,
        conditions=sentences(verdict.conditions, zone),
        alternatives=_instead(session, found, places[0]),
        waiting=waiting,
        standby=_standby(session, places[0], spans[0]) if waiting else "",
        estimate=verdict.estimate,
        spans=spans,
        strip=_strip(session, places[0], spans[0], None, now) if len(places) == 1 else None,
        zone=zone,
        week=nudges.week(session, places[0], spans[0], now) if booking_id is None else (),
    )


def _standby(session: Session, row: Instrument, span: Span) -> str:
    """Give the address of the standby list of a wish's day, nothing where the facility keeps none."""
    policy = policies.in_force(session, row, person_id=actor().person_id, start=span.start)
    if not policy.standby:
        return ""
    day = span.start.astimezone(hours.zone(row.facility.zone)).date()
    return url_for("web.standby", code=row.code, day=day.isoformat(), least=int(span.minutes))


def _ahead(session: Session, steps: Sequence[Planned]) -> list[Ahead]:
    """Word the steps that the facility would ask for; that there is one of its own is said already."""
    if not any(step.rule.name for step in steps):
        return []
    return [
        Ahead(
            wording.approval_name(step.rule.name),
            wording.joined(
                wording.condition_sentence(one.told())
                for one in step.rule.when
                if one.when is not When.ALWAYS
            ),
            wording.joined(person.name for person in step.people)
            if step.people or step.rule.approvers is None or step.rule.approvers.role is None
            else wording.role_of_approvers(step.rule.approvers.role),
            i18n.ngettext(
                "an answer within %(num)d working day",
                "an answer within %(num)d working days",
                step.rule.deadline_days,
                num=step.rule.deadline_days,
            )
            if step.rule.deadline_days
            else "",
        )
        for step in approval_steps.foretold(session, steps=steps)
    ]


def _excepts(places: Sequence[Instrument]) -> bool:
    return all(may(actor(), "rule.override", Subject(facility_id=place.facility_id)) for place in places)


def _together(reasons: Sequence[Reason], zone: str) -> tuple[list[Said], str]:
    """Word the reasons; where each may be overridden, say by whom once, not with every one of them."""
    over = [reason.params.get("override") for reason in reasons]
    if len(over) < 2 or not all(over) or any(one != over[0] for one in over):
        return sentences(reasons, zone), ""
    short = [replace(reason, params={**reason.params, "override": None}) for reason in reasons]
    return sentences(short, zone), wording.exception(over[0])


def sentences(reasons: Iterable[Reason], zone: str) -> list[Said]:
    """Word the reasons on the facility's clock."""
    return [
        Said(
            wording.sentence(reason.code, {"zone": zone, **reason.params}),
            reason.overridable,
            reason.params.get("qualification", "") if reason.code in WAYS_TO_LEARN else "",
            reason.code,
            _remedy(reason),
        )
        for reason in reasons
    ]


def _remedy(reason: Reason) -> tuple[str, str] | None:
    """Give where the reader does something about a reason."""
    if reason.code in DECLARED:
        return "#chemical-1", _("Declare its permit")
    if reason.code == "banned":
        return url_for("web.credit"), _("See my credit")
    if reason.code == "too_many_ahead":
        return url_for("web.my_bookings"), _("See my bookings")
    code = reason.params.get("instrument")
    if reason.code in OF_RULES and isinstance(code, str):
        return url_for("web.rules_of_instrument", code=code), _("See the rule")
    if reason.code in OF_FACILITY and isinstance(code, str):
        return url_for("web.instrument", code=code), _("See the instrument")
    return None


def _instead(session: Session, found: Sequence[Alternative], asked: Instrument) -> list[Instead]:
    ids = {one.instrument_id for one in found} - {asked.id}
    known = {asked.id: asked} | instruments.listed(session, actor=actor(), instrument_ids=ids)
    result = []
    for one in found:
        place = known[one.instrument_id].facility
        zone = hours.zone(place.zone)
        result.append(
            Instead(
                value=" ".join([one.code, *(local_time(at, zone) for span in one.spans for at in span)]),
                name=f"{name_of(known[one.instrument_id])} · {name_of(place)}",
                span=wording.strung(i18n.format_span(*span, place.zone) for span in one.spans),
                why=wording.why_name(one.why),
                start=one.start,
                end=one.end,
                here=one.code == asked.code and not one.parts,
                other=one.code != asked.code,
                reason=wording.alternative_sentence(one),
                price=i18n.format_money(one.estimate) if one.estimate is not None else "",
            )
        )
    return result


def _day_typed(typed: Mapping[str, str]) -> date | None:
    intake = Intake(typed)
    at = intake.instant("start", hours.zone("UTC")) if intake.raw("start_time") else None
    return at.date() if at is not None else None


def _strip(
    session: Session, instrument: Instrument, wish: Span | None, day: date | None, now: datetime
) -> Strip | None:
    """Draw the instrument's row on the days of a wish, masked for the reader."""
    zone = hours.zone(instrument.facility.zone)
    if wish is not None:
        first = wish.start.astimezone(zone).date()
        last = (wish.end - timedelta(microseconds=1)).astimezone(zone).date()
        days = min((last - first).days + 1, STRIP_DAYS)
    elif day is not None:
        first, days = day, 1
    else:
        return None
    whole = days_from(first, days, zone)
    bars = availability.occupations(
        session, actor=actor(), instrument_ids=[instrument.id], within=whole, now=now
    )
    # What is held for the reader is no hindrance to them.
    bars = [bar for bar in bars if not (bar.mine and bar.kind is Kind.HOLD)]
    opened = availability.opening(session, instrument_ids=[instrument.id], within=whole)[instrument.id]
    spans = [Span(bar.start, bar.end) for bar in bars if bar.kind is Kind.BOOKING]
    paper = timeline.paper(first, days, zone, opened=opened, spans=[*spans, *([wish] if wish else [])])
    return Strip(
        paper, timeline.row(paper, opened, bars, width=timeline.STRIP), paper.place(wish) if wish else None
    )
