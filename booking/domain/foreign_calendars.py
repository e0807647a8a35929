"""Other people's iCalendar: bytes become plain occurrences within limits; the one reader of what others wrote.

Nothing in it is trusted. The text is looked over before `icalendar` sees it, zones are worked out apart, since the
library keeps a foreign zone for ever and runs its rules unbounded, and repetition is walked here period by period:
each walk ends at the window, whatever the rule says.
"""

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from icalendar import Calendar as Parser
from icalendar import Event
from icalendar import Timezone as ParsedZone
from icalendar.timezone import tzp

from booking.domain.recurrence import WEEKDAYS
from booking.domain.spans import Span

DAY = timedelta(days=1)

Part = Any
"""A component as `icalendar` gives it: what its properties are depends on what somebody wrote."""


class BadCalendar(Exception):
    """What cannot be read as a calendar, or is too much of one; `code` says which."""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a foreign calendar is taken: octets, lines and events of it, dates of one event and of all.

    `steps` are the days that rules may look at altogether.
    """

    octets: int = 1_000_000
    lines: int = 50_000
    events: int = 2_000
    dates: int = 400
    total: int = 5_000
    steps: int = 400_000


@dataclass(frozen=True, slots=True)
class Guest:
    """Who was invited, or invites: the address in lower case, as it stood, and what was said of them."""

    address: str
    raw: str
    name: str = ""
    answer: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One event on one date, in UTC; `recurrence` is when its rule would have it, empty where it has no rule."""

    uid: str
    recurrence: str
    span: Span
    all_day: bool
    floating: bool
    summary: str
    description: str
    location: str
    status: str
    transparent: bool
    sequence: int
    stamp: datetime | None
    organizer: Guest | None
    guests: tuple[Guest, ...]
    comment: str = ""

    @property
    def busy(self) -> bool:
        """Tell whether it takes its owner's time."""
        return not self.transparent and self.status != "CANCELLED"


@dataclass(frozen=True, slots=True)
class Problem:
    """An event that could not be read, and why."""

    uid: str
    code: str


@dataclass(frozen=True, slots=True)
class ForeignCalendar:
    """What was read; `cut` tells that there was more than the limits allow, `beyond` that a rule outlasts the window.

    `masters` are the UIDs of which the whole was given, not only changes to single dates.
    """

    method: str
    name: str
    occurrences: tuple[Occurrence, ...]
    problems: tuple[Problem, ...] = ()
    cut: bool = False
    beyond: bool = False
    masters: frozenset[str] = frozenset()


def read(
    data: bytes,
    *,
    zone: tzinfo,
    within: Span,
    limits: Limits | None = None,
    floating: tzinfo | None = None,
) -> ForeignCalendar:
    """Read all that happens within a span; floating times and whole days are those of `zone`.

    Floating times are those of `floating` where it is said; otherwise a calendar that names its own zone
    (X-WR-TIMEZONE) means that. Events without a rule are given wherever they lie.

    :raises BadCalendar: if it is no calendar, or more than the limits allow to look at
    """
    limits = limits or Limits()
    text, zones = _looked_over(data, limits)
    parsed = _parsed(text)
    own = floating or _zone_named(str(parsed.get("X-WR-TIMEZONE", "")), {}) or zone
    walk = _Walk(zone, own, zones, within, limits)
    by_uid: dict[str, list[Part]] = {}
    events = [part for part in parsed.subcomponents if isinstance(part, Event)]
    for event in events[: limits.events]:
        by_uid.setdefault(_line(event.get("UID"))[:MOST_UID], []).append(event)
    for uid, parts in by_uid.items():
        walk.take(uid, parts)
    found = sorted(walk.found, key=lambda one: (one.span, one.uid, one.recurrence))
    return ForeignCalendar(
        method=_line(parsed.get("METHOD")).upper(),
        name=_line(parsed.get("X-WR-CALNAME") or parsed.get("NAME"))[:200],
        occurrences=tuple(found),
        problems=tuple(walk.problems),
        cut=walk.cut or len(events) > limits.events,
        beyond=walk.beyond,
        masters=frozenset(walk.masters),
    )


MOST_UID = 255
_LONGEST_TEXT = 2000

# --- before it is parsed ----------------------------------------------------------------------------------

_FOLD = re.compile("\r?\n[ \t]")
_DEEPEST = 4


def _looked_over(data: bytes, limits: Limits) -> tuple[str, dict[str, tzinfo]]:
    """Give the text without its zones, and these apart, by the names that it gives them."""
    if len(data) > limits.octets:
        raise BadCalendar("too_large")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030", "replace")  # what Chinese programs write that know no UTF-8
    text = _FOLD.sub("", text.replace("\x00", "")).replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > limits.lines:
        raise BadCalendar("too_large")
    if not lines or lines[0].strip().upper() != "BEGIN:VCALENDAR":
        raise BadCalendar("malformed")
    kept: list[str] = []
    zones: dict[str, tzinfo] = {}
    block: list[str] | None = None
    depth = 0
    for line in lines:
        word = line.strip().upper()
        depth += word.startswith("BEGIN:") - word.startswith("END:")
        if depth > _DEEPEST:
            raise BadCalendar("malformed")
        if word == "BEGIN:VTIMEZONE":
            block = []
        if block is None:
            kept.append(line)
        else:
            block.append(line)
        if word == "END:VTIMEZONE" and block is not None:
            zones |= _own_zone(block)
            block = None
        if word == "END:VCALENDAR":
            break  # one calendar is enough
    return "\r\n".join(kept) + "\r\n", zones


_MOST_OBSERVANCES = 40
_MOST_ZONE_LINES = 400
_YEARLY = re.compile(
    r"RRULE:(?=.*FREQ=YEARLY)(?!.*BY(HOUR|MINUTE|SECOND|YEARDAY|WEEKNO|SETPOS))", re.IGNORECASE
)


def _own_zone(lines: Sequence[str]) -> dict[str, tzinfo]:
    """Give a zone that the calendar itself describes; one that we know by its name, or that is odd, is left out."""
    block = [line.strip() for line in lines]
    name = next((line.partition(":")[2] for line in block if line.upper().startswith("TZID")), "")
    known = next((line.partition(":")[2] for line in block if line.upper().startswith("X-LIC-LOCATION:")), "")
    if found := (_zone_named(name, {}) or _zone_named(known, {})):
        return {name: found}
    rules = [line for line in block if line.upper().startswith("RRULE")]
    begun = sum(line.upper().startswith("BEGIN:") for line in block)
    odd = begun > _MOST_OBSERVANCES or len(block) > _MOST_ZONE_LINES
    if odd or not name or not all(map(_YEARLY.match, rules)):
        return {}
    try:
        # Under no name that a time could bear: the library keeps what it has read for whoever asks next.
        nameless = "\r\n".join(line for line in block if not line.upper().startswith("TZID"))
        unlike = f"TZID:yiqi-{hashlib.sha256(nameless.encode()).hexdigest()}"
        parsed: Any = ParsedZone.from_ical(nameless.replace("\r\n", f"\r\n{unlike}\r\n", 1) + "\r\n")
        made = parsed.to_tz(lookup_tzid=False)
    except Exception:  # noqa: BLE001 - whatever is wrong with a foreign zone, it is not used
        return {}
    finally:
        tzp.use_zoneinfo()  # which forgets
    return {name: made}


def _parsed(text: str) -> Parser:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it guesses at zones aloud
            found = Parser.from_ical(text)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OverflowError):
        raise BadCalendar("malformed") from None
    if not isinstance(found, Parser):
        raise BadCalendar("malformed")
    return found


def _zone_named(name: str, zones: Mapping[str, tzinfo]) -> tzinfo | None:
    """Give the zone of an IANA or Windows name, with or without a vendor's prefix, or of the calendar itself."""
    if name in zones:
        return zones[name]
    if not name or len(name) > 200:
        return None
    probe = f'BEGIN:VEVENT\r\nDTSTART;TZID="{name.replace(chr(34), "")}":20260101T000000\r\nEND:VEVENT\r\n'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            probed: Any = Event.from_ical(probe)["DTSTART"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    return getattr(probed.dt, "tzinfo", None)


# --- events -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Walk:
    """One reading: what it may use up, and what it has found."""

    zone: tzinfo
    own: tzinfo
    zones: Mapping[str, tzinfo]
    within: Span
    limits: Limits
    found: list[Occurrence] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    masters: set[str] = field(default_factory=set)
    cut: bool = False
    beyond: bool = False
    steps: int = 0

    def take(self, uid: str, parts: Sequence[Part]) -> None:
        """Take all parts of one event: the whole with its rule, and changes to single dates."""
        if not uid:
            self.problems.append(Problem(uid, "no_uid"))
            return
        try:
            changed = {self.recurrence(part): part for part in parts if "RECURRENCE-ID" in part}
            whole = [part for part in parts if "RECURRENCE-ID" not in part]
            made = [self.occurrence(uid, part, key, self.start(part)) for key, part in changed.items()]
            if whole:
                master = max(whole, key=_sequence)
                made += self.dates(
                    uid, master, {key: self.moment(part, "RECURRENCE-ID") for key, part in changed.items()}
                )
                self.masters.add(uid)
        except BadCalendar as error:
            self.problems.append(Problem(uid, error.code))
            return
        except Exception:  # noqa: BLE001 - whatever is wrong with one event, the others are read
            self.problems.append(Problem(uid, "malformed"))
            return
        room = self.limits.total - len(self.found)
        self.cut |= len(made) > room
        self.found += made[:room]

    def dates(self, uid: str, master: Part, changed: dict[str, date | datetime]) -> list[Occurrence]:
        """Give every date of an event that no other part of it changes.

        Exchange names a date that was changed or left out by its day, or the midnight of it.
        """
        start = self.start(master)
        rule = master.get("RRULE")
        if rule is None and "RDATE" not in master:
            return [self.occurrence(uid, master, "", start)]
        if isinstance(rule, list) or "EXRULE" in master:
            raise BadCalendar("rule")
        gone = {self.key(at): at for at in self.listed(master, "EXDATE")}
        starts = {self.key(at): at for at in self.starts(master, start, rule)}
        starts |= {self.key(at): at for at in self.listed(master, "RDATE")[: self.limits.dates]}
        named = changed | gone
        days = {_day(at) for key, at in named.items() if key not in starts and _names_a_day(at)}
        kept = sorted(key for key, at in starts.items() if key not in named and _day(at) not in days)
        self.cut |= len(kept) > self.limits.dates
        return [self.occurrence(uid, master, key, starts[key]) for key in kept[: self.limits.dates]]

    def starts(self, event: Part, start: date | datetime, rule: Any) -> Iterator[date | datetime]:
        """Give when a repeated event starts within the window, in order."""
        if rule is None:
            yield start
            return
        length, whole = self.length(event)
        timed = isinstance(start, datetime)
        wall, zone = (start.time(), start.tzinfo) if isinstance(start, datetime) else (time(), None)
        first = start.date() if isinstance(start, datetime) else start
        reading = _rule(rule, first)
        last = self.within.end.astimezone(zone or self.zone).date()
        until = rule.get("UNTIL", [None])[0]
        # Nobody asks for what was before; only a rule that counts must be followed from its beginning.
        since = first if reading.count else (self.within.start - length).astimezone(zone or self.zone).date()
        given = 0
        for number, day in enumerate(reading.days(first, since - DAY, last, self.step), 1):
            at = datetime.combine(day, wall, tzinfo=zone) if timed else day
            if until is not None and self.after(at, until):
                return
            begins = self.instant(at)
            if (
                begins < self.within.end
                and (self.instant(at + length) if whole else begins + length) > self.within.start
            ):
                given += 1
                if given > self.limits.dates:
                    self.cut = True
                    return
                yield at
            if number == reading.count:
                return
        self.beyond |= until is None or self.instant(until) >= self.within.end

    def step(self, many: int) -> None:
        self.steps += many
        if self.steps > self.limits.steps:
            raise BadCalendar("too_large")

    def after(self, at: date | datetime, until: date | datetime) -> bool:
        if not isinstance(until, datetime):
            return (at.date() if isinstance(at, datetime) else at) > until
        return self.instant(at) > self.instant(until)

    def listed(self, event: Part, name: str) -> list[date | datetime]:
        """Give the dates of EXDATE or RDATE; of periods their start."""
        found = event.get(name, [])
        lists = found if isinstance(found, list) else [found]
        dates = [one.dt for some in lists for one in getattr(some, "dts", [])]
        starts = [one[0] if isinstance(one, tuple) else one for one in dates]
        zone = next((self.of_params(some) for some in lists if self.of_params(some)), None)
        self.step(len(starts))
        return [self.placed(at, zone) for at in starts]

    def start(self, event: Part) -> date | datetime:
        """Give when an event starts, in its zone; a floating time is put into the calendar's."""
        return self.moment(event, "DTSTART")

    def moment(self, event: Part, name: str) -> date | datetime:
        found = event.get(name)
        if found is None or isinstance(found, list) or not isinstance(found.dt, date):
            raise BadCalendar("malformed")
        if isinstance(found.dt, datetime) and found.dt.tzinfo is None and "TZID" in found.params:
            zone = self.of_params(found)
            if zone is None:
                raise BadCalendar("zone")
            return self.placed(found.dt, zone)
        return self.placed(found.dt, None)

    def of_params(self, found: Any) -> tzinfo | None:
        return _zone_named(str(found.params.get("TZID", "")), self.zones)

    def placed(self, at: Any, zone: tzinfo | None) -> date | datetime:
        if not isinstance(at, date) or not 1970 <= at.year < 2200:
            raise BadCalendar("malformed")
        if isinstance(at, datetime) and at.tzinfo is None:
            return at.replace(tzinfo=zone or self.own)
        return at

    def recurrence(self, event: Part) -> str:
        params = getattr(event["RECURRENCE-ID"], "params", {})
        if _line(params.get("RANGE")).upper() == "THISANDFUTURE":
            raise BadCalendar("rule")
        return self.key(self.moment(event, "RECURRENCE-ID"))

    def key(self, at: date | datetime) -> str:
        """Give what a date of an event is called: a day, or an instant in UTC."""
        return f"{self.instant(at):%Y%m%dT%H%M%SZ}" if isinstance(at, datetime) else f"{at:%Y%m%d}"

    def instant(self, at: date | datetime) -> datetime:
        if not isinstance(at, datetime):
            at = datetime.combine(at, time(), tzinfo=self.zone)
        return (at if at.tzinfo else at.replace(tzinfo=self.own)).astimezone(UTC)

    def length(self, event: Part) -> tuple[timedelta, bool]:
        """Give how long an event takes, and whether that is so many whole days."""
        start = self.start(event)
        if "DTEND" in event:
            end = self.moment(event, "DTEND")
            if isinstance(end, datetime) is not isinstance(start, datetime):
                raise BadCalendar("malformed")
            if not isinstance(end, datetime):
                return end - start, True
            return self.instant(end) - self.instant(start), False
        length = getattr(event.get("DURATION"), "dt", None)
        if isinstance(length, timedelta):
            return length, not isinstance(start, datetime)
        return (timedelta(0), False) if isinstance(start, datetime) else (DAY, True)

    def occurrence(self, uid: str, event: Part, key: str, start: date | datetime) -> Occurrence:
        length, whole = self.length(event)
        begins = self.instant(start)
        ends = self.instant(start + length) if whole else begins + length
        if ends < begins or ends.year > 2200:
            raise BadCalendar("inverted")
        floating = isinstance(event["DTSTART"].dt, datetime) and not (
            event["DTSTART"].dt.tzinfo or event["DTSTART"].params.get("TZID")
        )
        stamp = getattr(event.get("DTSTAMP"), "dt", None)
        return Occurrence(
            uid=uid,
            recurrence=key,
            span=Span(begins, ends),
            all_day=not isinstance(start, datetime),
            floating=floating,
            summary=_line(event.get("SUMMARY"))[:300],
            description=_text(event.get("DESCRIPTION")),
            location=_line(event.get("LOCATION"))[:300],
            status=_line(event.get("STATUS")).upper(),
            transparent=_line(event.get("TRANSP")).upper() == "TRANSPARENT",
            sequence=_sequence(event),
            stamp=self.instant(stamp) if isinstance(stamp, datetime) else None,
            organizer=_guest(event.get("ORGANIZER")),
            guests=tuple(_guests(event.get("ATTENDEE"))),
            comment=_text(event.get("COMMENT")),
        )


def _day(at: date | datetime) -> date:
    return at.date() if isinstance(at, datetime) else at


def _names_a_day(at: date | datetime) -> bool:
    return not isinstance(at, datetime) or at.time() == time()


_MOST_GUESTS = 200


def _guests(found: Any) -> Iterable[Guest]:
    many = found if isinstance(found, list) else [found]
    return [guest for one in many[:_MOST_GUESTS] if (guest := _guest(one)) is not None]


def _guest(found: Any) -> Guest | None:
    raw = _line(found[0] if isinstance(found, list) and found else found)
    address = raw.partition(":")[2] if raw.lower().startswith("mailto:") else raw
    if not address:
        return None
    params = getattr(found, "params", {})
    return Guest(
        address=address.strip().lower()[:254],
        raw=raw[:300],
        name=_line(params.get("CN"))[:150],
        answer=_line(params.get("PARTSTAT")).upper()[:20],
        kind=_line(params.get("CUTYPE")).upper()[:20],
    )


def _sequence(event: Part) -> int:
    try:
        return max(0, min(int(event.get("SEQUENCE", 0)), 2**31 - 1))
    except (TypeError, ValueError):
        return 0


def _line(value: Any) -> str:
    if value is None or isinstance(value, list):
        value = value[0] if value else ""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)[:_LONGEST_TEXT]).split())


def _text(value: Any) -> str:
    if value is None or isinstance(value, list):
        value = value[0] if value else ""
    kept = str(value).replace("\r\n", "\n")[:_LONGEST_TEXT]
    return "".join(c for c in kept if c.isprintable() or c == "\n").strip()


# --- repetition -------------------------------------------------------------------------------------------

_NUMBERED = re.compile(r"([+-]?\d{1,2})?([A-Z]{2})")
_KNOWN = {
    *("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "SKIP"),
    *("BYDAY", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYSETPOS"),
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule whose dates are whole days apart; what it leaves open was filled from the first date."""

    frequency: str
    interval: int
    count: int | None
    week_start: int
    months: frozenset[int]
    month_days: frozenset[int]
    year_days: frozenset[int]
    weekdays: frozenset[tuple[int, int]]
    positions: tuple[int, ...]

    def days(self, first: date, since: date, last: date, step: Any) -> Iterator[date]:
        """Give the days of the rule from its first on, a period at a time; periods before `since` are passed over."""
        begins = self._begin(first)
        while begins <= last:
            ends = self._after(begins, 1)
            step(1)
            if ends > since:
                step((ends - begins).days)
                yield from (day for day in self._chosen(begins, ends) if first <= day <= last)
            begins = self._after(begins, self.interval)

    def _chosen(self, begins: date, ends: date) -> list[date]:
        """Give the days of one period that suit, in order."""
        period = (begins + timedelta(days=n) for n in range((ends - begins).days))
        chosen = [day for day in period if self._suits(day)]
        size = len(chosen)
        wanted = {p - 1 if p > 0 else size + p for p in self.positions}
        return [day for n, day in enumerate(chosen) if n in wanted] if self.positions else chosen

    def _begin(self, day: date) -> date:
        if self.frequency == "WEEKLY":
            return day - timedelta(days=(day.weekday() - self.week_start) % 7)
        if self.frequency == "MONTHLY":
            return day.replace(day=1)
        return day.replace(month=1, day=1) if self.frequency == "YEARLY" else day

    def _after(self, begins: date, many: int) -> date:
        many = min(many, _FAR[self.frequency])
        if self.frequency == "WEEKLY":
            return begins + timedelta(days=7 * many)
        if self.frequency == "MONTHLY":
            months = begins.year * 12 + begins.month - 1 + many
            return date(months // 12, months % 12 + 1, 1)
        if self.frequency == "YEARLY":
            return date(begins.year + many, 1, 1)
        return begins + timedelta(days=many)

    def _suits(self, day: date) -> bool:
        if self.months and day.month not in self.months:
            return False
        if self.month_days:
            length = (_next_month(day) - timedelta(days=1)).day
            if not self.month_days & {day.day, day.day - length - 1}:
                return False
        if self.year_days:
            number, length = day.timetuple().tm_yday, (date(day.year + 1, 1, 1) - date(day.year, 1, 1)).days
            if not self.year_days & {number, number - length - 1}:
                return False
        return not self.weekdays or any(self._is_weekday(day, *one) for one in self.weekdays)

    def _is_weekday(self, day: date, position: int, weekday: int) -> bool:
        if day.weekday() != weekday:
            return False
        if not position:
            return True
        in_year = self.frequency == "YEARLY" and not self.months
        begins = day.replace(month=1, day=1) if in_year else day.replace(day=1)
        ends = date(day.year + 1, 1, 1) if in_year else _next_month(day)
        if position > 0:
            return (day - begins).days // 7 + 1 == position
        return ((ends - day).days - 1) // 7 + 1 == -position


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


_FAR = {"DAILY": 100_000, "WEEKLY": 15_000, "MONTHLY": 3_000, "YEARLY": 250}
"""Farther than this no interval leads out of the years that we read."""


def _rule(raw: Any, first: date) -> _Rule:
    """Read a rule; one that repeats within a day, or that we could not follow to the letter, is refused.

    :raises BadCalendar: if it is such a one
    """
    frequency = str(raw.get("FREQ", [""])[0]).upper()
    if frequency not in _FAR or {str(name).upper() for name in raw} - _KNOWN:
        raise BadCalendar("rule")
    months, month_days = _numbers(raw, "BYMONTH", 1, 12), _numbers(raw, "BYMONTHDAY", -31, 31)
    year_days = _numbers(raw, "BYYEARDAY", -366, 366)
    weekdays = frozenset(map(_weekday, raw.get("BYDAY", [])))
    if any(position for position, _ in weekdays) and frequency not in {"MONTHLY", "YEARLY"}:
        raise BadCalendar("rule")
    if not (month_days or year_days or weekdays):
        if frequency == "YEARLY":
            months = months or frozenset({first.month})
        if frequency in {"MONTHLY", "YEARLY"}:
            month_days = frozenset({first.day})
        elif frequency == "WEEKLY":
            weekdays = frozenset({(0, first.weekday())})
    return _Rule(
        frequency=frequency,
        interval=_one(raw, "INTERVAL", 1),
        count=_one(raw, "COUNT", None),
        week_start=_weekday(raw.get("WKST", ["MO"])[0])[1],
        months=months,
        month_days=month_days,
        year_days=year_days,
        weekdays=weekdays,
        positions=tuple(_numbers(raw, "BYSETPOS", -366, 366)),
    )


def _one(raw: Any, name: str, default: Any) -> Any:
    if name not in raw:
        return default
    (found,) = _numbers(raw, name, 1, 100_000) or (0,)
    if found < 1:
        raise BadCalendar("rule")
    return found


def _numbers(raw: Any, name: str, least: int, most: int) -> frozenset[int]:
    try:
        found = frozenset(int(one) for one in raw.get(name, []))
    except (TypeError, ValueError):
        raise BadCalendar("rule") from None
    if not all(least <= one <= most and one for one in found):
        raise BadCalendar("rule")
    return found


def _weekday(raw: object) -> tuple[int, int]:
    match = _NUMBERED.fullmatch(str(raw).upper())
    if match is None or match[2] not in WEEKDAYS:
        raise BadCalendar("rule")
    return int(match[1] or 0), WEEKDAYS.index(match[2])
