"""Open spans minus what is taken: free levels and the starts at which a use fits."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from heapq import heappop, heappush
from itertools import pairwise

from booking.domain.hours import zone
from booking.domain.rules import Policy
from booking.domain.spans import Load, Span, intersect, levels, merge, subtract

SOON = timedelta(microseconds=1)

PARTS = {"morning": (6, 12), "afternoon": (12, 18), "night": (18, 30)}
"""Parts of the day as hours of the clock from which to which a use may begin; the night ends on the next day."""

DAYS = {"weekdays": range(5), "weekends": range(5, 7)}
"""Kinds of days by their weekdays, Monday is 0; a night belongs to the day on which it begins."""


def free_levels(
    opened: Iterable[Span], loads: Iterable[Load], units: int, policy: Policy, *, blocked: Iterable[Span] = ()
) -> list[tuple[Span, int]]:
    """Give stretches of open time with the units free all through each, none left out but those with 0.

    A use needs its set-up and clean-up free as well, so every level reaches further: by the clean-up before its start
    and by the set-up after its end. Where two levels reach, the higher counts, not their sum: they are not at one time.
    `blocked` is time in which nothing is free, such as that of a line whose station is taken; it reaches as far.
    """
    before, after = timedelta(minutes=policy.cleanup), timedelta(minutes=policy.setup)
    together = [*loads, *(Load(span.start, span.end, units) for span in blocked)]
    room = merge(opened)
    taken = list(_reaching(levels(together), before, after))
    free = [(span, units) for span in subtract(room, (span for span, _ in taken))]
    for span, level in taken:
        if level < units:
            free += [(part, units - level) for part in intersect(room, [span])]
    return sorted(free)


def _reaching(
    known: Iterable[tuple[Span, int]], before: timedelta, after: timedelta
) -> Iterator[tuple[Span, int]]:
    """Walk through time and give the highest level that reaches each stretch; the levels come in order."""
    wide = [(Span(span.start - before, span.end + after), level) for span, level in known]
    edges = sorted({edge for span, _ in wide for edge in (span.start, span.end)})
    here: list[tuple[int, datetime]] = []  # highest first, with the end of its reach
    coming = 0
    stretch: tuple[Span, int] | None = None
    for at, until in pairwise(edges):
        while coming < len(wide) and wide[coming][0].start <= at:
            span, level = wide[coming]
            heappush(here, (-level, span.end))
            coming += 1
        while here and here[0][1] <= at:
            heappop(here)
        level = -here[0][0] if here else 0
        if stretch and stretch[1] == level and stretch[0].end == at:
            stretch = Span(stretch[0].start, until), level
            continue
        if stretch:
            yield stretch
        stretch = (Span(at, until), level) if level else None
    if stretch:
        yield stretch


def starts(
    spans: Iterable[Span],
    length: timedelta,
    policy: Policy,
    now: datetime,
    zone_name: str,
    *,
    starting: Iterable[Span],
) -> Iterator[datetime]:
    """Walk through the starts within some stretches at which a use of this length fits, none before the last has ended.

    The stretches come in order; a use may outlast the one in which it begins.
    """
    if not length_allowed(policy, length):
        return
    wholes = merge(allowed(spans, policy, now))
    free = [(span.start, span.end - length) for span in wholes if span.start + length <= span.end]
    place, after = 0, now
    for stretch in starting:
        while place < len(free) and free[place][1] < stretch.start:
            place += 1
        for first, last in free[place:]:
            if first >= stretch.end:
                break
            at = on_step(max(first, stretch.start, after), policy.step, zone_name)
            while at <= last and at < stretch.end:
                yield at
                after = at + length
                at = on_step(after, policy.step, zone_name)


def begins(within: Span, zone_name: str, *, part: str = "", days: str = "") -> list[Span]:
    """Give the stretches in which a use may begin, by the clock of a zone: in a part of the day, on some weekdays."""
    tz = zone(zone_name)
    first, last = PARTS[part] if part else (0, 24)
    weekdays = DAYS[days] if days else range(7)
    day = within.start.astimezone(tz).date() - timedelta(days=1)
    end = within.end.astimezone(tz).date()
    found = []
    while day <= end:
        if day.weekday() in weekdays:
            found.append(Span(_hour(day, first, zone_name), _hour(day, last, zone_name)))
        day += timedelta(days=1)
    return intersect(merge(found), [within])


def _hour(day: date, hour: int, zone_name: str) -> datetime:
    """Give the instant of an hour of the clock; those from 24 on are of the next day."""
    at = datetime.combine(day + timedelta(days=hour // 24), datetime.min.time(), tzinfo=zone(zone_name))
    return at.replace(hour=hour % 24).astimezone(UTC)


def nearest_starts(
    spans: Iterable[Span],
    wish: Span,
    policy: Policy,
    now: datetime,
    zone_name: str,
    *,
    count: int,
    starting: Span | None = None,
) -> list[datetime]:
    """Give the starts nearest to a wish at which a use of its length fits, nearest first, a step apart at least.

    A use may be asked to start within a stretch, which it may outlast.
    """
    length = wish.duration
    if not length_allowed(policy, length):
        return []
    step = timedelta(minutes=policy.step)
    found: list[datetime] = []
    for span in merge(allowed(spans, policy, now)):
        first = on_step(max(span.start, starting.start) if starting else span.start, policy.step, zone_name)
        last = min(span.end - length, starting.end - SOON) if starting else span.end - length
        if first > last:
            continue
        last = first + (last - first) // step * step
        close = min(max(wish.start, first), last)
        close = first + (close - first) // step * step
        earlier = min(count, (close - first) // step)
        later = min(count, (last - close) // step)
        found += [close + step * n for n in range(-earlier, later + 1)]
    distance = sorted(set(found), key=lambda start: (abs(start - wish.start), start))
    return distance[:count]


def longest_uses(
    spans: Iterable[Span], within: Span, policy: Policy, now: datetime, zone_name: str, *, starting: Span
) -> list[Span]:
    """Give the longest use on the instrument's step in each stretch of free time that lies in a span.

    Each starts within `starting`, which it may outlast, and is as long as the policy allows.
    """
    step = timedelta(minutes=policy.step)
    longest = timedelta(minutes=policy.longest) if policy.longest else within.duration
    found = []
    for span in merge(allowed(intersect(spans, [within]), policy, now)):
        start = on_step(max(span.start, starting.start), policy.step, zone_name)
        length = min(span.end - start, longest) // step * step
        if start < starting.end and length >= timedelta(minutes=policy.shortest):
            found.append(Span(start, start + length))
    return found


def nearest_length(wish: timedelta, policy: Policy) -> timedelta:
    """Give the length that the policy allows and that is closest to a wish, longer rather than shorter."""
    step = timedelta(minutes=policy.step)
    least = -(-timedelta(minutes=policy.shortest) // step)
    steps = max(-(-wish // step), least)
    if policy.longest is not None:
        steps = min(steps, timedelta(minutes=policy.longest) // step)
    return steps * step


def on_step(at: datetime, step: int, zone_name: str) -> datetime:
    """Give the first instant from `at` on that stands on the facility's clock at a multiple of the step.

    Steps over an hour count whole hours.
    """
    size = min(step, 60)
    wall = at.astimezone(zone(zone_name))
    passed = timedelta(minutes=wall.minute % size, seconds=wall.second, microseconds=wall.microsecond)
    if size == 60:
        passed = timedelta(minutes=wall.minute, seconds=wall.second, microseconds=wall.microsecond)
    return at if not passed else at - passed + timedelta(minutes=size)


def length_allowed(policy: Policy, length: timedelta) -> bool:
    """Tell whether the policy lets a use be so long: neither too short nor too long, and on its step."""
    minutes = length.total_seconds() / 60
    longest = policy.longest or minutes
    return policy.shortest <= minutes <= longest and minutes % policy.step == 0


def allowed(spans: Iterable[Span], policy: Policy, now: datetime) -> Sequence[Span]:
    """Give what of the spans is neither too soon nor too far ahead."""
    earliest = now + timedelta(minutes=policy.notice)
    latest = None if policy.horizon is None else now + timedelta(minutes=policy.horizon)
    return [
        span
        if span.start >= earliest and (latest is None or span.end <= latest)
        else Span(max(span.start, earliest), span.end if latest is None else min(span.end, latest))
        for span in spans
    ]
