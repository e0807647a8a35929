"""The rules that a booking must keep, and every reason why it does not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from booking.domain.hours import WeeklyHours, open_spans, zone
from booking.domain.occupation import Claim, Item
from booking.domain.spans import Load, Span, peak, subtract

LONGEST = timedelta(days=400)
"""No use may be longer, whatever the instrument's own limit."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal: a code, its figures, and whether the facility's manager may override it."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)
    overridable: bool = False


class Refused(Exception):
    """A command that the rules refuse, with every reason at once."""

    def __init__(self, reasons: Sequence[Reason], items: Sequence[Item] = (), wish: Any = None) -> None:
        """Keep the reasons, and what was wished (its items at least) so that alternatives can be looked for."""
        super().__init__(", ".join(reason.code for reason in reasons))
        self.reasons = tuple(reasons)
        self.items = tuple(items)
        self.wish = wish
        self.needs = ""
        """The abilities that an instrument must have to be as good, as `volume_l>=50`; an edge may know them."""
        self.instead: tuple[Any, ...] = ()
        """What an edge has found already that could be had."""


class Invalid(Exception):
    """Input that makes no sense whatever the rules are: the field and the code of what is wrong with it."""

    def __init__(self, errors: Mapping[str, str], **params: Any) -> None:
        """Keep a code per field."""
        super().__init__(", ".join(f"{name}: {code}" for name, code in errors.items()))
        self.errors = dict(errors)
        self.params = params


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of one instrument in force; times in minutes, None is no limit.

    `gap` keeps two bookings of one person apart, `concurrent` is how many of theirs may lie ahead.
    """

    step: int = 15
    shortest: int = 15
    longest: int | None = None
    notice: int = 0
    horizon: int | None = None
    setup: int = 0
    cleanup: int = 0
    notice_to_change: int = 0
    notice_to_cancel: int = 0
    horizon_to_change: int | None = None
    gap: int = 0
    concurrent: int | None = None
    grace: int | None = 30
    late_allowed: int = 1
    tolerance: int = 5
    overtime_limit: int = 120
    late_cancellation: int = 60
    offer_minutes: int = 60
    standby: int = 0


class PolicyOverTime(Protocol):
    """Settings that depend on when a use starts."""

    def at(self, start: datetime, /) -> Policy:
        """Give the settings for a use that starts at the instant."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the rules must know about one instrument: its units, policy, hours, and what is taken around.

    `loads` are the occupations that touch the claims, the booking's own left out. With a timetable the settings
    depend on when the use starts.
    """

    code: str
    units: int
    zone: str
    policy: Policy = Policy()
    hours: tuple[WeeklyHours, ...] = ()
    loads: tuple[Load, ...] = ()
    bookable: bool = True
    timetable: PolicyOverTime | None = None

    def policy_at(self, start: datetime) -> Policy:
        """Give the settings for a use that starts at the instant."""
        return self.timetable.at(start) if self.timetable else self.policy


def refusals(
    items: Iterable[Item],
    claims: Sequence[Claim],
    facts: Mapping[int, Facts],
    now: datetime,
    *,
    before: Mapping[int, Span] | None = None,
) -> list[Reason]:
    """Give every reason that stands against the items and all that they would take.

    `before` holds the spans which a booking that is being changed has now, by instrument: a start that was legal
    when it was chosen is not judged again.
    """
    reasons: list[Reason] = []
    for place, span in (before or {}).items():
        if place in facts:
            reasons += _of_change(span, facts[place], now)
    for item in items:
        known = facts[item.instrument_id]
        if item.span.duration > LONGEST:
            minutes = int(LONGEST.total_seconds() // 60)
            reasons.append(
                Reason(
                    "too_long", {"instrument": known.code, "minutes": item.span.minutes, "longest": minutes}
                )
            )
            continue  # the open hours of years are not worth their arithmetic
        old = (before or {}).get(item.instrument_id)
        reasons += _of_instrument(item, known)
        reasons += _of_length(item, known)
        reasons += _of_start(item, known, now, old)
        reasons += _of_hours(item, known)
    return reasons + taken(claims, facts)


def too_late_to_cancel(spans: Mapping[int, Span], facts: Mapping[int, Facts], now: datetime) -> list[Reason]:
    """Give a reason for each instrument whose booking may no longer be given up, though it has not begun."""
    return [
        _too_late("notice_to_cancel", facts[place], span, facts[place].policy_at(span.start).notice_to_cancel)
        for place, span in spans.items()
        if now < span.start < now + timedelta(minutes=facts[place].policy_at(span.start).notice_to_cancel)
    ]


def _of_change(old: Span, known: Facts, now: datetime) -> list[Reason]:
    notice = known.policy_at(old.start).notice_to_change
    if now < old.start < now + timedelta(minutes=notice):
        return [_too_late("notice_to_change", known, old, notice)]
    return []


def _too_late(code: str, known: Facts, span: Span, notice: int) -> Reason:
    latest = span.start - timedelta(minutes=notice)
    return Reason(
        code, {"instrument": known.code, "notice": notice, "latest": latest, "zone": known.zone}, True
    )


def _of_instrument(item: Item, known: Facts) -> list[Reason]:
    reasons = []
    if not known.bookable:
        reasons.append(Reason("not_bookable", {"instrument": known.code}))
    if item.quantity > known.units:
        reasons.append(
            Reason("too_many_units", {"instrument": known.code, "asked": item.quantity, "units": known.units})
        )
    return reasons


def _of_length(item: Item, known: Facts) -> list[Reason]:
    policy, minutes = known.policy_at(item.span.start), item.span.minutes
    reasons = []
    if minutes < policy.shortest:
        reasons.append(
            Reason(
                "too_short", {"instrument": known.code, "minutes": minutes, "shortest": policy.shortest}, True
            )
        )
    if policy.longest is not None and minutes > policy.longest:
        reasons.append(
            Reason(
                "too_long", {"instrument": known.code, "minutes": minutes, "longest": policy.longest}, True
            )
        )
    if not _on_step(item.span, policy.step, known.zone):
        reasons.append(Reason("off_step", {"instrument": known.code, "step": policy.step}, True))
    return reasons


def _on_step(span: Span, step: int, zone_name: str) -> bool:
    """Tell whether both ends stand on the facility's clock on a step; steps over an hour count whole hours."""
    tz = zone(zone_name)
    for at in span:
        wall = at.astimezone(tz)
        if wall.second or wall.microsecond or (wall.hour * 60 + wall.minute) % min(step, 60):
            return False
    return span.minutes % step == 0


def _of_start(item: Item, known: Facts, now: datetime, old: Span | None) -> list[Reason]:
    policy, start = known.policy_at(item.span.start), item.span.start
    if old is not None and old.start == start:
        past = item.span.end <= now
        return [Reason("past", {"instrument": known.code, "now": now.astimezone(UTC)})] if past else []
    if start < now:
        return [Reason("past", {"instrument": known.code, "now": now.astimezone(UTC)})]
    reasons = []
    if start < now + timedelta(minutes=policy.notice):
        earliest = now + timedelta(minutes=policy.notice)
        figures = {"notice": policy.notice, "earliest": earliest, "zone": known.zone}
        reasons.append(Reason("notice", {"instrument": known.code, **figures}, True))
    horizon = policy.horizon if old is None else policy.horizon_to_change
    if horizon is not None and item.span.end > now + timedelta(minutes=horizon):
        latest = now + timedelta(minutes=horizon)
        figures = {"horizon": horizon, "latest": latest, "zone": known.zone}
        reasons.append(Reason("horizon", {"instrument": known.code, **figures}, True))
    return reasons


def _of_hours(item: Item, known: Facts) -> list[Reason]:
    tz = zone(known.zone)
    shut = subtract([item.span], open_spans(known.hours, item.span, tz))
    if not shut:
        return []
    day = shut[0].start.astimezone(tz).date()
    hours = sorted((rule.opens, rule.closes) for rule in known.hours if rule.applies(day))
    figures = {"start": item.span.start, "end": item.span.end, "day": day.isoformat(), "hours": hours}
    return [Reason("closed", {"instrument": known.code, **figures}, True)]


def taken(claims: Sequence[Claim], facts: Mapping[int, Facts]) -> list[Reason]:
    """Give a reason for each instrument that has too few free units, the claims' own sum counted."""
    reasons = []
    told = set()
    for claim in claims:
        known = facts[claim.instrument_id]
        own = [Load(*c.span, c.quantity) for c in claims if c.instrument_id == claim.instrument_id]
        if known.code in told or peak([*known.loads, *own], claim.span) <= known.units:
            continue
        told.add(known.code)
        free = max(0, known.units - peak(known.loads, claim.span))
        figures = {"instrument": known.code, "asked": claim.quantity, "free": free, "units": known.units}
        reasons.append(Reason("taken", figures))
    return reasons
