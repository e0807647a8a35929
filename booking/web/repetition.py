"""What people type to repeat a use, and how rules and dates of series are said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from booking import i18n, wording
from booking.domain import hours, recurrence
from booking.domain.occupation import Item
from booking.domain.recurrence import LAST, MOST_DATES, MOST_INTERVAL, Clock, Frequency, Rule
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.i18n import gettext as _
from booking.i18n import name_of, ngettext, pgettext
from booking.services.series import HANDED_OVER
from booking.services.series_dates import Choice, Judged, Way
from booking.web.forms import Intake, as_date, local_time
from booking.web.judgement import Said, sentences
from booking.web.words import weekday_name
from models import Instrument

USUAL_COUNT = 8
"""A series that nobody has said anything of is weekly, so many times."""

RULE_FIELDS = (
    "repeats",
    "interval",
    "ends",
    "count",
    "until",
    "excluded",
    *(f"weekday-{weekday}" for weekday in range(7)),
)


class Repeats(StrEnum):
    """How a form asks for a rule."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY_DAY = "monthly_day"
    MONTHLY_LAST = "monthly_last"
    MONTHLY_WEEKDAY = "monthly_weekday"
    MONTHLY_LAST_WEEKDAY = "monthly_last_weekday"
    KEPT = "kept"
    """As the series has it now; of rules that the others do not say."""


class Ends(StrEnum):
    """What ends a series."""

    COUNT = "count"
    UNTIL = "until"


def defaults(typed: Mapping[str, str], first_day: date | None) -> dict[str, str]:
    """Give what stands in the form about repetition before anybody has said anything: weekly, a few times."""
    if typed.get("repeats"):
        return dict(typed)
    given = {
        "repeats": Repeats.WEEKLY.value,
        "interval": "1",
        "ends": Ends.COUNT.value,
        "count": str(USUAL_COUNT),
        "until": "",
        "excluded": "",
    }
    if first_day is not None:
        given[f"weekday-{first_day.weekday()}"] = "1"
        given["until"] = (first_day + timedelta(weeks=USUAL_COUNT - 1)).isoformat()
    return {**typed, **given}


def typed_now(rule: Rule, first_day: date, excluded: Iterable[date]) -> dict[str, str]:
    """Give what one would type to have a rule as it is; it ends on its last day."""
    days = recurrence.days(rule, first_day)
    return {
        "repeats": _repeats_of(rule, first_day).value,
        "interval": str(rule.interval),
        "ends": Ends.UNTIL.value,
        "count": str(len(days)),
        "until": days[-1].isoformat(),
        "excluded": ", ".join(day.isoformat() for day in sorted(excluded)),
        **{
            f"weekday-{weekday}": "1"
            if rule.frequency is Frequency.WEEKLY and weekday in rule.weekdays
            else ""
            for weekday in range(7)
        },
    }


def _repeats_of(rule: Rule, first_day: date) -> Repeats:
    if rule.frequency is Frequency.WEEKLY:
        return Repeats.WEEKLY
    # The last weekday comes first: on a fifth one both say the same, though not of later months.
    ways = (
        *(Repeats.DAILY, Repeats.MONTHLY_DAY, Repeats.MONTHLY_LAST),
        *(Repeats.MONTHLY_LAST_WEEKDAY, Repeats.MONTHLY_WEEKDAY),
    )
    return next((way for way in ways if _shape(way, Intake({}), first_day) == shape(rule)), Repeats.KEPT)


def shape(rule: Rule) -> Rule:
    """Give which days a rule means, whatever its interval and its end."""
    return replace(rule, interval=1, count=None, until=None)


def typed_rule(intake: Intake, first_day: date, *, now: Rule | None = None) -> Rule | None:
    """Read the rule that was typed; None where something of it makes no sense, which the intake then knows.

    `now` is what a series repeats by until it is changed.
    """
    repeats = intake.choice("repeats", Repeats)
    interval = intake.whole("interval", least=1, most=MOST_INTERVAL, default=1)
    ends = intake.choice("ends", Ends, Ends.COUNT)
    count, until = None, None
    if ends is Ends.COUNT:
        count = intake.whole("count", least=1, most=MOST_DATES)
    else:
        until = intake.day("until")
    if intake.errors or repeats is None or interval is None:
        return None
    if repeats is Repeats.KEPT and now is None:
        intake.errors["repeats"] = "unknown"
        return None
    which = shape(now) if repeats is Repeats.KEPT and now else _shape(repeats, intake, first_day)
    rule = replace(which, interval=interval, count=count, until=until)
    try:
        recurrence.days(rule, first_day)
    except Invalid as error:
        field = {Ends.COUNT: "count", Ends.UNTIL: "until"}[ends or Ends.COUNT]
        intake.errors |= {
            field if name == "rule" else "start_date": code for name, code in error.errors.items()
        }
        return None
    return rule


def _shape(repeats: Repeats, intake: Intake, first_day: date) -> Rule:
    """Give which days a choice means, on a first day that says the rest."""
    position = (first_day.day - 1) // 7 + 1
    match repeats:
        case Repeats.DAILY:
            return Rule(Frequency.DAILY)
        case Repeats.WEEKLY:
            ticked = tuple(weekday for weekday in range(7) if intake.raw(f"weekday-{weekday}"))
            return Rule(Frequency.WEEKLY, weekdays=ticked or (first_day.weekday(),))
        case Repeats.MONTHLY_DAY:
            return Rule(Frequency.MONTHLY, month_day=first_day.day)
        case Repeats.MONTHLY_LAST:
            return Rule(Frequency.MONTHLY, month_day=LAST)
        case Repeats.MONTHLY_WEEKDAY:
            where = position if position < 5 else LAST
            return Rule(Frequency.MONTHLY, weekdays=(first_day.weekday(),), position=where)
        case _:
            return Rule(Frequency.MONTHLY, weekdays=(first_day.weekday(),), position=LAST)


def typed_days(intake: Intake, name: str) -> frozenset[date]:
    """Read days with commas, blanks or lines between them."""
    words = intake.raw(name).replace(",", " ").replace("，", " ").replace("、", " ").split()
    found = [as_date(word) for word in words[: MOST_DATES + 1]]
    if None in found:
        intake.errors[name] = "malformed"
    return frozenset(day for day in found if day is not None)


# --- choices --------------------------------------------------------------------------------------


def typed_choices(typed: Mapping[str, str], zone: ZoneInfo, codes: Mapping[str, int]) -> dict[date, Choice]:
    """Read what was chosen for single dates; what makes no sense is no choice."""
    found: dict[date, Choice] = {}
    for name, value in typed.items():
        day = as_date(name.removeprefix("choice-")) if name.startswith("choice-") else None
        if day is None or not value:
            continue
        if value in {Way.SKIP.value, Way.WAITLIST.value}:
            found[day] = Choice(Way(value))
        elif (other := _other(value, zone, codes)) is not None:
            found[day] = other
    return found


def codes_in(typed: Mapping[str, str]) -> set[str]:
    """Give the codes of the instruments that choices name."""
    return {
        value.split(" ")[0]
        for name, value in typed.items()
        if name.startswith("choice-") and value.count(" ") == 2
    }


def _other(value: str, zone: ZoneInfo, codes: Mapping[str, int]) -> Choice | None:
    code, _blank, times = value.partition(" ")
    start, _blank, end = times.partition(" ")
    intake = Intake({})
    intake.typed = {
        f"{name}_{part}": text
        for name, raw in (("start", start), ("end", end))
        for part, text in zip(
            ("date", "time"), raw.split("T") if raw.count("T") == 1 else ("", ""), strict=True
        )
    }
    span = intake.span(zone)
    if code not in codes or span is None:
        return None
    return Choice(Way.OTHER, codes[code], span)


# --- dates as a table -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A date of the table: when, what the rules and the clock say, and what may be chosen for it."""

    day: date
    name: str
    when: str
    where: str
    way: Way
    notes: Sequence[str]
    reasons: Sequence[Said]
    needs_approval: bool
    options: Sequence[tuple[str, str]]
    chosen: str
    booking_id: UUID | None


def lines(
    dates: Sequence[Judged],
    zone: str,
    asked: Instrument,
    places: Mapping[int, Instrument],
    *,
    waitlist: bool = True,
) -> list[Line]:
    """Give the lines of the table; `places` are the instruments that choices and alternatives name."""
    return [_line(one, zone, asked, places, waitlist=waitlist) for one in dates]


def _line(
    one: Judged, zone: str, asked: Instrument, places: Mapping[int, Instrument], *, waitlist: bool
) -> Line:
    place = places.get(one.item.instrument_id, asked)
    chosen = one.way.value if one.way in {Way.SKIP, Way.WAITLIST} else ""
    options = [("", _("Choose …") if one.reasons and one.way is not Way.OTHER else _("As planned"))]
    if one.way is Way.OTHER:
        chosen = _value(place.code, one.item.span, zone)
        options.append((chosen, _told(place, one.item.span, zone, asked)))
    options += [
        (_value(other.code, span, zone), _told(places[other.instrument_id], span, zone, asked))
        for other in one.alternatives
        if other.instrument_id in places and (span := Span(other.start, other.end))
    ]
    if waitlist and (one.way is Way.WAITLIST or any(reason.code == "taken" for reason in one.reasons)):
        options.append((Way.WAITLIST.value, _("Join the waitlist")))
    options.append((Way.SKIP.value, _("Leave it out")))
    return Line(
        day=one.day,
        name=f"choice-{one.day.isoformat()}",
        when=i18n.format_span(*one.item.span, zone),
        where=name_of(place) if place.id != asked.id else "",
        way=one.way,
        notes=clock_notes(one.clock, one.item, zone),
        reasons=sentences([*{reason.code: reason for reason in one.reasons}.values()], zone),
        needs_approval=one.needs_approval,
        options=list(dict(options).items()),
        chosen=chosen,
        booking_id=one.booking.id if one.booking else None,
    )


def _value(code: str, span: Span, zone: str) -> str:
    tz = hours.zone(zone)
    return f"{code} {local_time(span.start, tz)} {local_time(span.end, tz)}"


def _told(place: Instrument, span: Span, zone: str, asked: Instrument) -> str:
    start, end = (i18n.format_time(at, zone) for at in span)
    if place.id == asked.id:
        return _("%(start)s to %(end)s", start=start, end=end)
    return _("%(name)s, %(start)s to %(end)s", name=name_of(place), start=start, end=end)


def clock_notes(clock: Clock, item: Item, zone: str) -> list[str]:
    """Say what the facility's clock does to a date, nothing on most."""
    start, end = (i18n.format_time(at, zone) for at in item.span)
    said = {
        Clock.MISSING: _("The clock skips this time that day; the use begins at %(at)s.", at=start),
        Clock.TWICE: _("This time comes twice that day; the first one is meant."),
        Clock.SHIFTED: _("The clock changes during the use; it ends at %(at)s.", at=end),
    }
    return [said[clock]] if clock in said else []


# --- rules in words -------------------------------------------------------------------------------


def rule_words(rule: Rule) -> str:
    """Say a rule in a line."""
    return _("%(how_often)s, %(until)s", how_often=_how_often(rule), until=_until(rule))


def _how_often(rule: Rule) -> str:
    # The first of each is no plural form, of which some languages have one only.
    n = rule.interval
    if rule.frequency is Frequency.DAILY:
        return pgettext("of a series", "every day") if n == 1 else _("every %(num)d days", num=n)
    if rule.frequency is Frequency.WEEKLY:
        names = _(", ").join(weekday_name(weekday) for weekday in rule.weekdays)
        if n == 1:
            return pgettext("of a series", "every week on %(days)s", days=names)
        return _("every %(num)d weeks on %(days)s", num=n, days=names)
    months = pgettext("of a series", "every month") if n == 1 else _("every %(num)d months", num=n)
    if rule.month_day == LAST:
        return _("%(months)s on the last day", months=months)
    if rule.month_day is not None:
        return _("%(months)s on day %(day)s", months=months, day=rule.month_day)
    return _("%(months)s on the %(weekday)s", months=months, weekday=_which(rule))


def _which(rule: Rule) -> str:
    name = weekday_name(rule.weekdays[0])
    return {
        1: _("first %(weekday)s", weekday=name),
        2: _("second %(weekday)s", weekday=name),
        3: _("third %(weekday)s", weekday=name),
        4: _("fourth %(weekday)s", weekday=name),
        LAST: _("last %(weekday)s", weekday=name),
    }[rule.position or 1]


def _until(rule: Rule) -> str:
    if rule.until is not None:
        return _("until %(day)s", day=i18n.format_date(rule.until))
    return ngettext("once", "%(num)d times", rule.count or 1, num=rule.count or 1)


def repeats_words(kept: Rule | None = None) -> list[tuple[str, str]]:
    """Name the ways to repeat; `kept` is a rule that none of the others says."""
    as_now = [(Repeats.KEPT.value, _how_often(shape(kept)))] if kept else []
    return [
        *as_now,
        (Repeats.DAILY.value, pgettext("a unit of time", "Days")),
        (Repeats.WEEKLY.value, _("Weeks, on the days ticked below")),
        (Repeats.MONTHLY_DAY.value, _("Months, on the same day of the month")),
        (Repeats.MONTHLY_LAST.value, _("Months, on the last day of the month")),
        (Repeats.MONTHLY_WEEKDAY.value, _("Months, on the same weekday of the month")),
        (Repeats.MONTHLY_LAST_WEEKDAY.value, _("Months, on the last such weekday")),
    ]


def why_words(why: str) -> str:
    """Say why a date of a series has no booking."""
    return {
        Way.EXCLUDED.value: _("Left out"),
        Way.SKIP.value: _("Left out"),
        Way.WAITLIST.value: _("On the waitlist"),
        HANDED_OVER: _("Handed over"),
    }.get(why, "")


def day_words(day: date) -> str:
    """Say a day."""
    return i18n.format_date(day)


def shown_dates(found: Sequence[Judged]) -> tuple[int, int]:
    """Count the dates that would be booked, and those that stand in the way."""
    free = sum(1 for one in found if one.booked and not one.reasons)
    return free, sum(1 for one in found if one.stands_in_the_way)


def said_errors(errors: Mapping[str, str]) -> dict[str, str]:
    """Word the errors of single fields."""
    return {name: wording.error_sentence(code) for name, code in errors.items()}


def at_minute(at: datetime, zone: ZoneInfo) -> int:
    """Give the minute of the day on the zone's clock."""
    local = at.astimezone(zone)
    return local.hour * 60 + local.minute
