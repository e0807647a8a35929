"""A week of one instrument as it is drawn: what each stretch of each day is, and where one may begin.

Places on the paper are quarters of an hour on the facility's clock, from the first hour that is shown.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from booking.domain.availability import on_step
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.rules import Policy
from booking.domain.spans import Span, intersect, merge, subtract
from booking.services.availability import Bar, FreeSpan

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
DAYTIME = (8, 18)
"""The hours that are shown of a week in which it never opens."""

LONG_DAY = 14
"""With more hours than this, the drawing is smaller and begins are offered by the hour."""


class Sort(enum.StrEnum):
    """What a stretch of time is to the reader."""

    FREE = "free"
    TAKEN = "taken"
    MINE = "mine"
    PENDING = "pending"
    MAINTENANCE = "maintenance"
    CLOSED = "closed"
    BUFFER = "buffer"
    BARRED = "barred"
    PAST = "past"


class Why(enum.StrEnum):
    """Why free time cannot be booked."""

    NOTICE = "notice"
    HORIZON = "horizon"
    SHORT = "short"


@dataclass(frozen=True)
class Block:
    """A stretch of one day: `row` is its first quarter of an hour and `rows` how many it covers.

    `use` is the earliest use that begins in a free block; `bar` is the ledger's entry of it.
    """

    sort: Sort
    start: datetime
    end: datetime
    row: int
    rows: int
    units: int | None = None
    why: Why | None = None
    bar: Bar | None = None
    use: Span | None = None


@dataclass(frozen=True)
class Begin:
    """A time at which a use may begin, and the stretch of paper that leads there."""

    start: datetime
    end: datetime
    row: int
    rows: int
    units: int | None


@dataclass(frozen=True)
class Day:
    """One day: its blocks in the order of time, what is the reader's own on top, and the begins offered."""

    date: date
    today: bool
    blocks: list[Block]
    own: list[Block]
    begins: list[Begin]

    @property
    def free(self) -> list[Block]:
        """Give the free stretches in which a use can begin."""
        return [block for block in self.blocks if block.use is not None]


@dataclass(frozen=True)
class Week:
    """Seven days, from Monday, and the hours of the day that are shown."""

    days: list[Day]
    zone: str
    first_hour: int
    last_hour: int
    grain: int

    @property
    def monday(self) -> date:
        """Give its first day."""
        return self.days[0].date

    @property
    def before(self) -> date:
        """Give the Monday of the week before."""
        return self.monday - timedelta(days=7)

    @property
    def after(self) -> date:
        """Give the Monday of the week after."""
        return self.monday + timedelta(days=7)

    @property
    def sorts(self) -> list[Sort]:
        """Give what the legend must explain, in its order."""
        there = {block.sort for day in self.days for block in [*day.blocks, *day.own]}
        return [sort for sort in Sort if sort in there]

    @property
    def hours(self) -> range:
        """Give the hours at which a line is drawn."""
        return range(self.first_hour, self.last_hour)

    @property
    def long(self) -> bool:
        """Tell whether the day has too many hours to draw them large."""
        return self.last_hour - self.first_hour > LONG_DAY


def monday_of(day: date) -> date:
    """Give the Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def span_of(monday: date, zone: str) -> Span:
    """Give the seven days from a Monday, on the facility's clock, as a span in UTC."""
    return Span(_midnight(monday, zone), _midnight(monday + timedelta(days=7), zone))


def draw(
    monday: date,
    zone: str,
    *,
    policy: Policy,
    units: int,
    opened: Sequence[Span],
    free: Sequence[FreeSpan],
    bars: Sequence[Bar],
    now: datetime,
) -> Week:
    """Lay out the week. `free` reaches as far beyond the week as the shortest use is long."""
    first_hour, last_hour = _hours(span_of(monday, zone), zone, opened, bars)
    grain = 30 if 30 % policy.step == 0 and last_hour - first_hour <= LONG_DAY else 60
    paper = _Paper(zone, first_hour, last_hour, grain, policy, units, now)
    return Week(
        [paper.day(monday + timedelta(days=number), opened, free, bars) for number in range(7)],
        zone,
        first_hour,
        last_hour,
        grain,
    )


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _hours(week: Span, zone: str, opened: Sequence[Span], bars: Sequence[Bar]) -> tuple[int, int]:
    """Give the first hour shown and the one after the last, so that all open and booked time is there."""
    spans = intersect(opened, [week])
    spans += intersect([Span(bar.start, bar.end) for bar in bars if bar.kind is Kind.BOOKING], [week])
    if not spans:
        return DAYTIME
    tz = ZoneInfo(zone)
    first, last = 24, 0
    for span in spans:
        start, end = span.start.astimezone(tz), span.end.astimezone(tz)
        if start.date() != (end - timedelta(microseconds=1)).date():
            return 0, 24
        first = min(first, start.hour)
        last = max(last, 24 if end.date() != start.date() else end.hour + bool(end.minute))
    return first, last


@dataclass(frozen=True)
class _Paper:
    """What all days of a drawing share."""

    zone: str
    first_hour: int
    last_hour: int
    grain: int
    policy: Policy
    units: int
    now: datetime

    def day(self, day: date, opened: Sequence[Span], free: Sequence[FreeSpan], bars: Sequence[Bar]) -> Day:
        whole = Span(_midnight(day, self.zone), _midnight(day + timedelta(days=1), self.zone))
        shown = self._shown(day, whole)
        open_now = intersect(opened, [shown])
        blocks, kept = self._bars(bars, shown) if self.units == 1 else ([], [])
        own = self._own(bars, shown) if self.units > 1 else []
        blocks += self._free(free, shown)
        covered = [Span(block.start, block.end) for block in blocks] + kept
        past = [Span(shown.start, min(max(self.now, shown.start), shown.end))]
        blocks += self._fill(Sort.PAST, subtract(intersect(open_now, past), covered))
        rest = subtract(subtract(open_now, past), covered)
        kept += [span for span in rest if self._short(span)]
        blocks += self._fill(Sort.TAKEN, subtract(rest, kept))
        blocks += self._fill(Sort.BUFFER, merge(kept))
        blocks += self._fill(Sort.CLOSED, subtract(subtract([shown], open_now), covered))
        blocks.sort(key=lambda block: (block.start, block.end))
        today = self.now.astimezone(ZoneInfo(self.zone)).date() == day
        return Day(day, today, blocks, own, self._begins(free, shown))

    def _shown(self, day: date, whole: Span) -> Span:
        """Cut the day to the hours shown. On days of a clock change the paper follows the clock."""
        tz = ZoneInfo(self.zone)
        start = datetime.combine(day, time(self.first_hour), tzinfo=tz).astimezone(UTC)
        if self.last_hour == 24:
            return Span(max(start, whole.start), whole.end)
        return Span(start, datetime.combine(day, time(self.last_hour), tzinfo=tz).astimezone(UTC))

    def _bars(self, bars: Iterable[Bar], shown: Span) -> tuple[list[Block], list[Span]]:
        """Give the ledger's entries, and the set-up and clean-up around what the reader knows to be a use."""
        found: list[Block] = []
        pads: list[Span] = []
        for bar in bars:
            pads += [Span(bar.start, bar.use_start), Span(bar.use_end, bar.end)]
            use = intersect([Span(bar.use_start, bar.use_end)], [shown])
            found += self._fill(_sort_of(bar), use, bar)
        return found, intersect(pads, [shown])

    def _own(self, bars: Iterable[Bar], shown: Span) -> list[Block]:
        """Give what is the reader's own among many units: it is drawn over the levels."""
        found: list[Block] = []
        for bar in bars:
            if bar.mine:
                found += self._fill(
                    _sort_of(bar), intersect([Span(bar.use_start, bar.use_end)], [shown]), bar
                )
        return found

    def _free(self, free: Iterable[FreeSpan], shown: Span) -> list[Block]:
        spans = list(free)
        joined = merge(Span(span.start, span.end) for span in spans)
        found = []
        for span in spans:
            room = next(whole for whole in joined if whole.start <= span.start < whole.end)
            for part in intersect([Span(span.start, span.end)], [shown]):
                found += self._judged(part, room, span.free if self.units > 1 else None)
        return found

    def _judged(self, part: Span, room: Span, level: int | None) -> list[Block]:
        """Cut free time where notice and horizon end, and say where it is too short for any use."""
        if room.minutes < self.policy.shortest:
            return [self._block(Sort.BARRED, part, units=level, why=Why.SHORT)]
        allowed = self._allowed()
        early = intersect([part], [Span(min(part.start, allowed.start), allowed.start)])
        late = intersect([part], [Span(allowed.end, max(part.end, allowed.end))])
        found = [self._block(Sort.BARRED, span, units=level, why=Why.NOTICE) for span in early]
        found += [self._block(Sort.BARRED, span, units=level, why=Why.HORIZON) for span in late]
        for span in intersect([part], [allowed]):
            first = on_step(span.start, self.policy.step, self.zone)
            use = Span(first, first + timedelta(minutes=self.policy.shortest))
            fits = first < span.end and use.end <= min(room.end, allowed.end)
            found.append(self._block(Sort.FREE, span, units=level, use=use if fits else None))
        return found

    def _allowed(self) -> Span:
        earliest = self.now + timedelta(minutes=self.policy.notice)
        horizon = self.policy.horizon
        latest = (
            datetime.max.replace(tzinfo=UTC) if horizon is None else self.now + timedelta(minutes=horizon)
        )
        return Span(earliest, max(earliest, latest))

    def _begins(self, free: Sequence[FreeSpan], shown: Span) -> list[Begin]:
        """Give begins a grain apart at which the shortest use still fits; the last one leads over the rest.

        What is drawn too small to be hit is left to the list and the form.
        """
        least = timedelta(minutes=self.grain)
        allowed, shortest = self._allowed(), timedelta(minutes=self.policy.shortest)
        found: list[Begin] = []
        for room in intersect(merge(Span(span.start, span.end) for span in free), [allowed]):
            first = on_step(room.start, self.policy.step, self.zone)
            starts = self._grid(first, room.end - shortest, shown)
            area_end = min(room.end, shown.end)
            if len(starts) > 1 and area_end - starts[-1] < least:
                starts.pop()
            for number, start in enumerate(starts):
                until = starts[number + 1] if number + 1 < len(starts) else area_end
                row, rows = self._place(Span(start, until))
                if until - start < least:
                    continue
                found.append(Begin(start, start + shortest, row, rows, self._level(free, start, shortest)))
        return found

    def _grid(self, first: datetime, last: datetime, shown: Span) -> list[datetime]:
        tz = ZoneInfo(self.zone)
        grain = timedelta(minutes=self.grain)
        at = max(first, shown.start)
        wall = at.astimezone(tz)
        passed = timedelta(minutes=wall.hour * 60 + wall.minute) % grain
        starts = []
        on_grid = at if not passed else at - passed + grain
        # A first begin between two lines of the grid is offered only if the grid offers none.
        if passed and on_grid > min(last, shown.end - QUARTER):
            on_grid = at
        while on_grid <= last and on_grid < shown.end:
            starts.append(on_grid)
            on_grid += grain
        return starts

    def _level(self, free: Sequence[FreeSpan], start: datetime, length: timedelta) -> int | None:
        if self.units == 1:
            return None
        wish = Span(start, start + length)
        return min((span.free for span in free if Span(span.start, span.end).overlaps(wish)), default=0)

    def _short(self, span: Span) -> bool:
        """Tell a neighbour's set-up and clean-up from time that something else takes."""
        return span.minutes <= self.policy.setup + self.policy.cleanup

    def _fill(self, sort: Sort, spans: Iterable[Span], bar: Bar | None = None) -> list[Block]:
        return [self._block(sort, span, bar=bar) for span in spans]

    def _block(
        self,
        sort: Sort,
        span: Span,
        *,
        units: int | None = None,
        why: Why | None = None,
        bar: Bar | None = None,
        use: Span | None = None,
    ) -> Block:
        row, rows = self._place(span)
        return Block(sort, span.start, span.end, row, rows, units, why, bar, use)

    def _place(self, span: Span) -> tuple[int, int]:
        tz = ZoneInfo(self.zone)
        start, end = span.start.astimezone(tz), span.end.astimezone(tz)
        origin = self.first_hour * 4
        row = (start.hour * 60 + start.minute) // 15
        minutes = 24 * 60 if end.date() > start.date() else end.hour * 60 + end.minute
        return row - origin, max(1, -(-minutes // 15) - row)


def _sort_of(bar: Bar) -> Sort:
    if bar.kind is Kind.MAINTENANCE:
        return Sort.MAINTENANCE
    if bar.kind is Kind.CLOSURE:
        return Sort.CLOSED
    if bar.state is State.REQUESTED:
        return Sort.PENDING
    return Sort.MINE if bar.mine else Sort.TAKEN
