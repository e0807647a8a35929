"""Codes into sentences for the reader: refusals, errors, states, events."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from booking import i18n, plan_words
from booking.domain import vocabulary
from booking.domain.access import Role
from booking.domain.approvals import DAY_BEGINS, DAY_ENDS, StepState, When, Who
from booking.domain.chemicals import Hazard, Substance
from booking.domain.lifecycle import Action, State
from booking.domain.notices import Channel, Pace, Topic
from booking.domain.occupation import Kind
from booking.i18n import gettext as _
from booking.i18n import mark, ngettext, pgettext

Params = Mapping[str, Any]


def duration(minutes: float) -> str:
    """Say a length of time in days, hours and minutes."""
    return i18n.format_duration(int(minutes))


def sentence(code: str, params: Params) -> str:
    """Say one reason of a refusal, with its figures.

    Times among the figures stand in the zone `params["zone"]` where the caller gave one. The reason of one date of
    a series begins with it.
    """
    say = REASONS.get(code)
    said = say(params) if say else _("This is not possible (%(code)s).", code=code)
    for more in _whose_rule(params):
        said = _("%(said)s %(more)s", said=said, more=more)
    if "series_day" not in params:
        return said
    day = i18n.format_date(date.fromisoformat(params["series_day"]))
    return _("%(day)s: %(reason)s", day=day, reason=said)


def _time(params: Params, name: str) -> str:
    return i18n.format_datetime(_instant(params[name]), zone=params.get("zone") or "UTC")


def _deadline(params: Params, name: str) -> str:
    return i18n.format_deadline(_instant(params[name]), zone=params.get("zone") or "UTC")


def _instant(at: datetime | str) -> datetime:
    return datetime.fromisoformat(at) if isinstance(at, str) else at


def _taken(params: Params) -> str:
    if "free" not in params:
        return _("%(instrument)s is already taken at this time.", instrument=params["instrument"])
    if params["units"] == 1:
        return _(
            "%(instrument)s is already taken at this time, its set-up and clean-up included.",
            instrument=params["instrument"],
        )
    return i18n.ngettext(
        "Only %(num)d of %(units)s units of %(instrument)s is free at this time; you asked for %(asked)s.",
        "Only %(num)d of %(units)s units of %(instrument)s are free at this time; you asked for %(asked)s.",
        params["free"],
        **_only(params, "units", "instrument", "asked"),
    )


def _only(params: Params, *names: str) -> dict[str, Any]:
    return {name: params[name] for name in names}


def _past(params: Params) -> str:
    del params
    return _("This time has already passed.")


def _closed(params: Params) -> str:
    instrument, day = params["instrument"], _day(params, "day")
    if not params["hours"]:
        return _(
            "%(instrument)s is not open for the whole of this time: on %(day)s it is closed.",
            instrument=instrument,
            day=day,
        )
    return _(
        "%(instrument)s is not open for the whole of this time: on %(day)s it is open %(hours)s.",
        instrument=instrument,
        day=day,
        hours=joined(f"{_wall(opens)}–{_wall(closes)}" for opens, closes in params["hours"]),
    )


def _notice(params: Params) -> str:
    return _(
        "%(instrument)s wants %(notice)s of notice; the earliest start now is %(earliest)s.",
        instrument=params["instrument"],
        notice=duration(params["notice"]),
        earliest=_time(params, "earliest"),
    )


def _horizon(params: Params) -> str:
    return _(
        "%(instrument)s can be booked at most %(horizon)s ahead, until %(latest)s.",
        instrument=params["instrument"],
        horizon=duration(params["horizon"]),
        latest=_time(params, "latest"),
    )


def _too_short(params: Params) -> str:
    return _(
        "%(minutes)s is too short: the shortest use of %(instrument)s is %(shortest)s.",
        minutes=duration(params["minutes"]),
        instrument=params["instrument"],
        shortest=duration(params["shortest"]),
    )


def _too_long(params: Params) -> str:
    return _(
        "%(minutes)s is too long: the longest use of %(instrument)s is %(longest)s.",
        minutes=duration(params["minutes"]),
        instrument=params["instrument"],
        longest=duration(params["longest"]),
    )


def _off_step(params: Params) -> str:
    return _(
        "Start and length of a use of %(instrument)s go in steps of %(step)s.",
        instrument=params["instrument"],
        step=duration(params["step"]),
    )


def _too_many_units(params: Params) -> str:
    return i18n.ngettext(
        "%(instrument)s has %(num)d unit; you asked for %(asked)s.",
        "%(instrument)s has %(num)d units; you asked for %(asked)s.",
        params["units"],
        **_only(params, "instrument", "asked"),
    )


def _not_bookable(params: Params) -> str:
    return _("%(instrument)s cannot be booked at present. Ask the facility.", instrument=params["instrument"])


def _wrong_state(params: Params) -> str:
    return _(
        "The booking is “%(state)s”, which does not allow “%(action)s”.",
        state=state_name(State(params["state"])),
        action=action_name(Action(params["action"])),
    )


def _not_open_yet(params: Params) -> str:
    return _("It is too early: check-in opens at %(opens)s.", opens=_time(params, "opens"))


def _not_missed_yet(params: Params) -> str:
    return _("They may still come: it counts as missed from %(since)s on.", since=_time(params, "since"))


def _nothing_to_undo(params: Params) -> str:
    return i18n.ngettext(
        "There is nothing of yours to take back: more than %(num)d minute has passed, or it was changed since.",
        "There is nothing of yours to take back: more than %(num)d minutes have passed, or it was changed since.",
        params["minutes"],
        num=params["minutes"],
    )


def _already_started(params: Params) -> str:
    del params
    return _("The booking has already begun; ask the facility to end it.")


def _hold_over(params: Params) -> str:
    del params
    return _("The time is no longer held for you. Check it again.")


def _hold_renewed(params: Params) -> str:
    return _(
        "The time can be held for another %(minutes)s only once.",
        minutes=duration(params["minutes"]),
    )


def _hold_elsewhere(params: Params) -> str:
    del params
    return _("You are holding another time at this very moment, in another window.")


def _in_line_too_often(params: Params) -> str:
    return _("You are in %(most)s lines already; leave one of them first.", most=params["most"])


def _offer_over(params: Params) -> str:
    return {
        "taken": _("This offer was taken already."),
        "declined": _("This offer was declined already."),
        "silent": _("The time to answer is over; it was offered to the next in line."),
        "withdrawn": _("This offer was taken back."),
    }.get(params["state"], _("The time to answer is over."))


def _not_in_line(params: Params) -> str:
    del params
    return _("This place in the line has come to its end.")


def _no_standby(params: Params) -> str:
    return _("%(instrument)s has no standby list.", instrument=params["instrument"])


def _standby_not_yet(params: Params) -> str:
    del params
    return _("Your day on standby has not begun; say that you are there when you are.")


def _too_late(params: Params) -> str:
    return _(
        "It is too late to check in: that closed at %(closed)s. The time is free for others.",
        closed=_time(params, "closed"),
    )


def _banned(params: Params) -> str:
    return _(
        "You may not book at %(facility)s until %(until)s. A manager of the facility may lift this.",
        facility=_called(params, "facility"),
        until=_deadline(params, "until"),
    )


def _fault_settled(params: Params) -> str:
    return {
        "confirmed": _("This report was confirmed meanwhile."),
        "mended": _("This report is closed: it was mended."),
        "dismissed": _("This report is closed: it was dismissed."),
    }.get(params["state"], _("This report is still open."))


def _appeal_settled(params: Params) -> str:
    return {
        "open": _("An appeal against these points is waiting for an answer."),
        "granted": _("These points were given back."),
        "denied": _("The appeal against these points was decided."),
    }.get(params["appeal"], _("There is no appeal against these points."))


def _called(params: Params, what: str = "name") -> str:
    """Name what the figures name in both languages; what they do not name is its code."""
    return i18n.either(params.get(f"{what}_zh"), params.get(f"{what}_en")) or str(params.get(what, ""))


def _day(params: Params, name: str) -> str:
    at = params.get(name)
    return i18n.format_date(date.fromisoformat(at) if isinstance(at, str) else at) if at else ""


def _qualification_missing(params: Params) -> str:
    name, instrument, day = _called(params), params["instrument"], _day(params, "until")
    match params.get("standing"):
        case "requested":
            return _(
                "%(instrument)s needs the qualification “%(name)s”: it is asked for, and not granted yet.",
                instrument=instrument,
                name=name,
            )
        case "scheduled":
            return _(
                "%(instrument)s needs the qualification “%(name)s”: the training is still to come.",
                instrument=instrument,
                name=name,
            )
        case "expired":
            return _(
                "%(instrument)s needs the qualification “%(name)s”: it ran out on %(day)s. "
                "Ask for it anew under “My qualifications”.",
                instrument=instrument,
                name=name,
                day=day,
            )
        case "ends_before":
            return _(
                "%(instrument)s needs the qualification “%(name)s”: it runs out on %(day)s, before the day of "
                "use. Ask for it anew under “My qualifications”.",
                instrument=instrument,
                name=name,
                day=day,
            )
        case "revoked":
            return _(
                "%(instrument)s needs the qualification “%(name)s”: it was taken away. Ask the facility.",
                instrument=instrument,
                name=name,
            )
        case _:
            return _(
                "%(instrument)s needs the qualification “%(name)s”, which is not held. "
                "Ask for it under “My qualifications”.",
                instrument=instrument,
                name=name,
            )


def _training_before_start(params: Params) -> str:
    return _(
        "On condition of the qualification “%(name)s” for %(instrument)s: without it nobody can check in. "
        "Ask for it under “My qualifications” before the start.",
        name=_called(params),
        instrument=params["instrument"],
    )


def _already_asked(params: Params) -> str:
    return _("“%(name)s” is asked for already.", name=_called(params))


def _already_qualified(params: Params) -> str:
    return _("“%(name)s” is held already, and for long enough.", name=_called(params))


def _session_full(params: Params) -> str:
    return i18n.ngettext(
        "The only seat of this training session is taken.",
        "All %(num)d seats of this training session are taken.",
        params["seats"],
        num=params["seats"],
    )


def step_name(step: str) -> str:
    """Name how far somebody has come to a qualification."""
    return {
        "requested": _("Asked for"),
        "scheduled": _("Training to come"),
        "granted": _("Granted"),
        "refused": _("Refused"),
        "revoked": _("Taken away"),
        "withdrawn": _("Withdrawn"),
        "expired": pgettext("of a qualification", "Expired"),
    }.get(step, step)


def _certificate_decided(params: Params) -> str:
    return _("This was decided meanwhile: “%(step)s”.", step=step_name(params["step"]))


def _permit_missing(params: Params) -> str:
    return _(
        "%(chemical)s (%(hazards)s) needs a permit here: give the permit's number.",
        chemical=params["chemical"],
        hazards=joined(hazard_name(Hazard(hazard)) for hazard in params["hazards"]),
    )


def _already_decided(_params: Params) -> str:
    return _("You have decided this already.")


def _no_papers_any_more(_params: Params) -> str:
    return _("The booking came to nothing; it takes no more papers.")


def _too_many_papers(params: Params) -> str:
    return _("A booking takes at most %(most)s papers.", most=params["most"])


def _too_many_files(params: Params) -> str:
    return _("An instrument takes at most %(most)s photos and documents.", most=params["most"])


def _bookings_ahead(params: Params) -> str:
    return ngettext(
        "%(num)d booking lies ahead. Move or cancel it first.",
        "%(num)d bookings lie ahead. Move or cancel them first.",
        params["count"],
        num=params["count"],
    )


def _changed_meanwhile(_params: Params) -> str:
    return _(
        "Somebody has changed this since you opened the page. Look at what it says now, then change it again."
    )


def _facility_withdrawn(params: Params) -> str:
    return _("The facility %(facility)s is withdrawn. Open it again first.", facility=params["facility"])


def _transfer_open(_params: Params) -> str:
    return _("It is offered to somebody already. Take that offer back first.")


def transfer_state_name(state: str) -> str:
    """Name what became of an offer."""
    return {
        "open": _("Waits for an answer"),
        "accepted": _("Accepted"),
        "declined": _("Declined"),
        "withdrawn": _("Withdrawn"),
        "lapsed": _("Lapsed"),
    }.get(state, state)


def _transfer_over(params: Params) -> str:
    return _("This offer is over: “%(state)s”.", state=transfer_state_name(params["state"]))


def _transfer_moved(_params: Params) -> str:
    return _("The booking was moved after it was offered. It has to be offered anew.")


def _swap_gone(_params: Params) -> str:
    return _("Nobody has this time any more; look at the list anew.")


def _swap_several(_params: Params) -> str:
    return _("A booking of several instruments cannot be swapped for another time.")


def _swap_needs_approval(_params: Params) -> str:
    return _(
        "At the other time the facility would have to approve this booking anew; change the booking instead."
    )


def _other_person_refused(params: Params) -> str:
    if params.get("blind"):
        return _("The rules do not let the other person have your time.")
    return _("The rules do not let the other person have your booking. Ask them.")


def _own_account(_params: Params) -> str:
    return _("You cannot take this away from yourself. Ask another administrator.")


def _meets_bookings(params: Params) -> str:
    return i18n.ngettext(
        "%(num)d booking stands in this time. Move it first, or close at once and displace it.",
        "%(num)d bookings stand in this time. Move them first, or close at once and displace them.",
        params["bookings"],
        num=params["bookings"],
    )


def _whose_rule(params: Params) -> Iterator[str]:
    """Say where a rule stands, and who may override it."""
    if "rule" in params and params.get("at"):
        yield _("(A rule of %(place)s.)", place=place_name(params))
    if params.get("override"):
        yield exception(params["override"])


def exception(over: Params) -> str:
    """Say who may override a rule."""
    names = [i18n.either(name["zh"], name["en"]) for name in over["names"]]
    if len(names) == 1:
        return _("A manager of %(facility)s may make an exception.", facility=names[0])
    return _("Only who manages all of these may make an exception: %(facilities)s.", facilities=joined(names))


def place_name(params: Params) -> str:
    """Name the place at which a rule stands."""
    name = _called(params, "at")
    if params["place"] == "category":
        name = " ".join([name, *(i18n.either(*term) for term in vocabulary.class_names(params["at"])[-1:])])
    return {
        "instrument": _("the instrument %(name)s", name=name),
        "category": _("the class %(name)s", name=name),
        "facility": _("the facility %(name)s", name=name),
        "network": _("the network %(name)s", name=name),
    }[params["place"]]


def _notice_to_change(params: Params) -> str:
    return _(
        "%(instrument)s can be changed until %(notice)s before the start, which was %(latest)s.",
        instrument=params["instrument"],
        notice=duration(params["notice"]),
        latest=_time(params, "latest"),
    )


def _notice_to_cancel(params: Params) -> str:
    return _(
        "%(instrument)s can be given up until %(notice)s before the start, which was %(latest)s.",
        instrument=params["instrument"],
        notice=duration(params["notice"]),
        latest=_time(params, "latest"),
    )


def _quota_hours(params: Params) -> str:
    return _(
        "%(used)s h of %(limit)s h used %(period)s; this asks for %(asked)s h. It is the limit %(party)s.",
        used=hours(params["used"]),
        limit=hours(params["limit"]),
        asked=hours(params["asked"]),
        period=_period(params),
        party=party_name(params["party"]),
    )


def _quota_bookings(params: Params) -> str:
    return i18n.ngettext(
        "%(used)s of %(num)d booking used %(period)s. It is the limit %(party)s.",
        "%(used)s of %(num)d bookings used %(period)s. It is the limit %(party)s.",
        params["limit"],
        used=params["used"],
        period=_period(params),
        party=party_name(params["party"]),
    )


def hours(minutes: float) -> str:
    """Say hours as a number with at most two decimals, such as 14.5."""
    return f"{minutes / 60:.2f}".rstrip("0").rstrip(".")


def _period(params: Params) -> str:
    since = params["from"]
    if isinstance(since, str):
        since = datetime.fromisoformat(since)
    day = i18n.format_date(since.astimezone(ZoneInfo(params.get("zone") or "UTC")).date())
    return {
        "day": _("on %(day)s", day=day),
        "week": _("in the week from %(day)s", day=day),
        "month": _("in the month from %(day)s", day=day),
    }.get(params["period"], _("within %(days)s days, from %(day)s", days=params["days"], day=day))


def party_name(party: str) -> str:
    """Say for whom a limit is."""
    return {
        "person": _("for each person"),
        "project": _("for each project"),
        "organisation": _("for each organisation"),
    }[party]


def _too_many_ahead(params: Params) -> str:
    return i18n.ngettext(
        "%(num)d booking lies ahead already; the limit for each person is %(limit)s.",
        "%(num)d bookings lie ahead already; the limit for each person is %(limit)s.",
        params["used"],
        limit=params["limit"],
    )


def _too_close(params: Params) -> str:
    return _(
        "Between two bookings of one person on %(instrument)s lie at least %(gap)s; there is one at %(start)s.",
        instrument=params["instrument"],
        gap=duration(params["gap"]),
        start=_time(params, "start"),
    )


def _nothing_ahead(_params: Params) -> str:
    return _("No date of this series is still ahead.")


def _nobody_met(_params: Params) -> str:
    return _("No booking lies in busy time of this calendar.")


def _date_stands(_params: Params) -> str:
    return _("This date has its booking.")


def _changeover(p: Params) -> str:
    return _(
        "%(instrument)s: from %(before)s to %(after)s there must be %(needed)s between two uses; there are %(gap)s.",
        instrument=p["instrument"],
        before=p["before"],
        after=p["after"],
        needed=duration(p["needed"]),
        gap=duration(p["minutes"]),
    )


def _lag(p: Params) -> str:
    figures = {
        "instrument": p["instrument"],
        "gap": duration(abs(p["minutes"])),
        "least": duration(p["least"]),
        "most": duration(p["most"]),
    }
    if p["minutes"] < 0:
        return _(
            "%(instrument)s: this step starts %(gap)s before the one before it ends; "
            "it must start %(least)s to %(most)s after.",
            **figures,
        )
    return _(
        "%(instrument)s: this step starts %(gap)s after the one before; it must be %(least)s to %(most)s.",
        **figures,
    )


def _utility_full(p: Params) -> str:
    name = i18n.name_of(SimpleNamespace(**{**p, "name": p["utility"]})) or p["utility"]
    return _(
        "%(name)s: %(asked)s %(unit)s asked for, %(free)s of %(capacity)s left.",
        name=name,
        **{part: p[part] for part in ("asked", "unit", "free", "capacity")},
    )


def _no_route(p: Params) -> str:
    return _(
        "No route is free from %(start)s to %(end)s. Step %(step)d is the first that cannot be reached.",
        start=_time(p, "start"),
        end=_time(p, "end"),
        step=p["step"],
    )


def _question_over(_p: Params) -> str:
    return _("This has been answered, or the booking was changed since. See the booking as it is now.")


def _meeting_unreadable(_p: Params) -> str:
    return _(
        "The meeting could not be understood. Invite the instrument to a plain meeting, or book on the page."
    )


def _meeting_too_many(p: Params) -> str:
    return _(
        "A meeting that repeats needs an end within 400 days, and at most %(most)d dates. Nothing was booked.",
        most=p["most"],
    )


def _network_asked(_params: Params) -> str:
    return _("This is asked already; the other side has not answered yet.")


def _network_request_over(_params: Params) -> str:
    return _("This request was answered or taken back meanwhile.")


def _permit_over(p: Params) -> str:
    words = {"instrument": p["instrument"], "permit": p["permit"], "facility": _called(p, "at")}
    if p.get("until"):
        return _(
            "%(instrument)s may only run with a valid permit “%(permit)s”; it is valid until %(day)s. "
            "The managers of %(facility)s can enter its renewal.",
            day=_day(p, "until"),
            **words,
        )
    return _(
        "%(instrument)s may only run with a valid permit “%(permit)s”; it is valid from %(day)s on. "
        "The managers of %(facility)s can enter an earlier one.",
        day=_day(p, "since"),
        **words,
    )


REASONS: dict[str, Callable[[Params], str]] = {
    "taken": _taken,
    "past": _past,
    "closed": _closed,
    "notice": _notice,
    "horizon": _horizon,
    "too_short": _too_short,
    "too_long": _too_long,
    "off_step": _off_step,
    "question_over": _question_over,
    "meeting_unreadable": _meeting_unreadable,
    "meeting_too_many": _meeting_too_many,
    "too_many_units": _too_many_units,
    "not_bookable": _not_bookable,
    "wrong_state": _wrong_state,
    "not_open_yet": _not_open_yet,
    "not_missed_yet": _not_missed_yet,
    "already_started": _already_started,
    "nothing_to_undo": _nothing_to_undo,
    "own_account": _own_account,
    "permit_missing": _permit_missing,
    "already_decided": _already_decided,
    "no_papers_any_more": _no_papers_any_more,
    "too_many_papers": _too_many_papers,
    "too_many_files": _too_many_files,
    "bookings_ahead": _bookings_ahead,
    "changed_meanwhile": _changed_meanwhile,
    "facility_withdrawn": _facility_withdrawn,
    "network_asked": _network_asked,
    "network_request_over": _network_request_over,
    "permit_over": _permit_over,
    "qualification_missing": _qualification_missing,
    "training_before_start": _training_before_start,
    "already_asked": _already_asked,
    "already_qualified": _already_qualified,
    "certificate_decided": _certificate_decided,
    "session_full": _session_full,
    "transfer_open": _transfer_open,
    "transfer_over": _transfer_over,
    "transfer_moved": _transfer_moved,
    "other_person_refused": _other_person_refused,
    "swap_gone": _swap_gone,
    "swap_several": _swap_several,
    "swap_needs_approval": _swap_needs_approval,
    "too_late": _too_late,
    "banned": _banned,
    "fault_settled": _fault_settled,
    "appeal_settled": _appeal_settled,
    "hold_over": _hold_over,
    "hold_renewed": _hold_renewed,
    "hold_elsewhere": _hold_elsewhere,
    "in_line_too_often": _in_line_too_often,
    "offer_over": _offer_over,
    "not_in_line": _not_in_line,
    "no_standby": _no_standby,
    "standby_not_yet": _standby_not_yet,
    "meets_bookings": _meets_bookings,
    "nothing_ahead": _nothing_ahead,
    "nobody_met": _nobody_met,
    "source_unreadable": lambda p: source_failure(str(p["failure"]), p.get("figure", "")),
    "notice_to_change": _notice_to_change,
    "notice_to_cancel": _notice_to_cancel,
    "quota_hours": _quota_hours,
    "quota_bookings": _quota_bookings,
    "too_many_ahead": _too_many_ahead,
    "too_close": _too_close,
    "date_stands": _date_stands,
    "changeover": _changeover,
    "lag": _lag,
    "utility_full": _utility_full,
    "no_route": _no_route,
    **plan_words.REFUSALS,
}
"""Every code of a refusal and how it is said."""


ERRORS: dict[str, str] = {
    "required": mark("This is needed."),
    "nobody": mark("This is the address of nobody whom you may choose."),
    "nothing_named": mark("Say what you wait for: words, a class, an ability or a facility."),
    "inverted": mark("The end must come after the start."),
    "naive": mark("A time needs its zone, such as 2026-11-02T09:00:00+08:00."),
    "out_of_range": mark("This is out of range."),
    "too_small": mark("This is too small."),
    "too_large": mark("This is too much."),
    "too_long_text": mark("This text is too long."),
    "not_tried": mark("This setting refuses no booking that is made; there is nothing to try."),
    "too_short_text": mark("Say it in a few words."),
    "too_many": mark("There are too many of them already."),
    "unknown": mark("This is not known."),
    "control_characters": mark("This text holds characters that cannot be shown."),
    "duplicate": mark("This stands here twice."),
    "malformed": mark("This cannot be understood."),
    "reused": mark("This key was used before for another request."),
    "missing_version": mark("Say which version you change: send If-Match."),
    "not_a_pin": mark("A PIN has 6 to 12 digits."),
    "easy_pin": mark("This PIN is too easy to guess: its digits are all the same or follow each other."),
    "short_password": mark("Use at least 8 characters."),
    "why_not": mark("Say why: those who asked read it."),
    "wrong_cas": mark("This is no CAS number: its form or its check digit is wrong."),
    "too_large_file": mark("The file is too large; 10 MB are allowed."),
    "unknown_file": mark("Only PDF, PNG, JPEG and plain text are kept; this file is none of them."),
    "unknown_place": mark("There is nothing of this code, or not there."),
    "unknown_picture": mark("Only PNG, JPEG and WebP pictures are kept; this file is none of them."),
    "too_large_picture": mark("The picture is too large; 500 kB are allowed."),
    "not_a_colour": mark("Write the colour as # and six digits, such as #0b5a7d."),
    "common": mark("This password is too common."),
    "wrong": mark("This is not right."),
    "taken": mark("This is already in use."),
    "oneself": mark("This is the same person."),
    "endless": mark("A series needs an end: a last day, or how many times."),
    "no_dates": mark("No date is left."),
    "not_https": mark("The address must begin with https://."),
    "not_a_calendar_address": mark("The address must begin with https://, http:// or webcal://."),
    "not_public": mark("This address does not lead into the public internet."),
    "past": mark("These days have passed."),
    "booked": mark("Bookings lie ahead; move or cancel them first."),
    "line_in_line": mark("A line cannot be a station of a line."),
    "other_facility": mark("This stands at another facility."),
    "not_a_photo": mark("A photo must be a JPEG, PNG or WebP picture."),
    "too_large_photo": mark("The photo is too large; 5 MB and 8,000 pixels on a side are allowed."),
    **plan_words.ERRORS,
}
"""Every code of what may be wrong with a field, and its sentence before it is translated."""


def error_sentence(code: str) -> str:
    """Say what is wrong with one field of the input."""
    return _(ERRORS[code]) if code in ERRORS else _("This is not valid.")


def problem_title(code: str) -> str:
    """Say in a few words what sort of problem it is."""
    return {
        "refused": _("The rules refuse this"),
        "invalid": _("Some of it cannot be understood"),
        "forbidden": _("You may not do this"),
        "unauthorised": _("Please sign in"),
        "not_found": _("There is nothing here"),
        "stale": _("It has changed meanwhile"),
        "too_many": _("Too many requests"),
        "unavailable": _("Not available at the moment"),
        "in_line": _("Many are asking at once"),
        "bad_request": _("This request could not be understood"),
        "csrf": _("This form has expired"),
        "method_not_allowed": _("This cannot be done here"),
        "not_acceptable": _("Not available in this form"),
        "timeout": _("The request took too long"),
        "conflict": _("Something else is in the way"),
        "gone": _("This is no longer here"),
        "too_large": _("This is too large"),
        "unsupported_media_type": _("The server does not read this format"),
        "precondition_required": _("Say which version you change"),
    }.get(code, _("Something went wrong"))


def problem_detail(code: str) -> str:
    """Say what to do about it."""
    return {
        "refused": _("See the reasons, and the alternatives that are offered."),
        "invalid": _("Mend the fields that are named and send it again."),
        "forbidden": _("Your account has no right to this. Ask the facility or your administrator."),
        "unauthorised": _("Sign in, or send a valid token."),
        "not_found": _("It does not exist, or you may not see it."),
        "stale": _("It changed after you read it. Read it again and repeat your change."),
        "too_many": _("Wait a little and try again."),
        "unavailable": _("Try again in a few seconds."),
        "in_line": _(
            "Nothing was done yet. Send it again when your turn has come; the ticket keeps your place."
        ),
        "bad_request": _("Go back and try it another way."),
        "csrf": _("Go back, reload the page and send the form again. Nothing was changed."),
        "method_not_allowed": _("The address is right, but it does not take this kind of request."),
        "not_acceptable": _("Ask for another format."),
        "timeout": _("Please send it again."),
        "conflict": _("Read it again and repeat your change."),
        "gone": _("It was withdrawn by its owner."),
        "too_large": _("Send less at once."),
        "unsupported_media_type": _("Send the body as application/json."),
        "precondition_required": _("Send If-Match with the version that you read."),
    }.get(code, _("The fault was noted. Try again later."))


def state_name(state: State) -> str:
    """Name the state of a booking."""
    return {
        State.REQUESTED: _("Awaiting approval"),
        State.CONFIRMED: _("Confirmed"),
        State.CHECKED_IN: _("In use"),
        State.ENDED: _("Ended"),
        State.REJECTED: _("Rejected"),
        State.WITHDRAWN: _("Withdrawn"),
        State.CANCELLED: _("Cancelled"),
        State.EXPIRED: _("Expired"),
        State.NO_SHOW: _("No-show"),
    }[state]


def action_name(action: Action) -> str:
    """Name what can be done to a booking."""
    return {
        Action.APPROVE: _("Approve"),
        Action.REJECT: _("Reject"),
        Action.CHANGE: _("Change"),
        Action.RESUBMIT: _("Ask again"),
        Action.CANCEL: _("Cancel booking"),
        Action.EXPIRE: _("Let expire"),
        Action.CHECK_IN: _("Check in"),
        Action.CHECK_OUT: _("Check out"),
        Action.MISS: _("Note as no-show"),
        Action.COME: _("Note that they came"),
    }[action]


def kind_name(kind: Kind) -> str:
    """Name why time is taken."""
    return {
        Kind.BOOKING: _("Booked"),
        Kind.HOLD: _("Held"),
        Kind.MAINTENANCE: _("Maintenance"),
        Kind.CLOSURE: pgettext("a closure", "Closed"),
        Kind.EXTERNAL: _("Busy elsewhere"),
    }[kind]


def topic_name(topic: Topic) -> str:
    """Name a topic of notices."""
    return {
        Topic.ACCOUNT: _("My account"),
        Topic.BOOKINGS: _("My bookings"),
        Topic.REMINDERS: _("Reminders before a booking starts"),
        Topic.REQUESTS: _("Requests that I decide"),
        Topic.WAITLIST: _("The waitlist and its offers"),
        Topic.ROUNDS: _("Rounds and what you wish of them"),
        Topic.TRANSFERS: _("Bookings handed over or swapped"),
        Topic.TRAINING: _("My training and certificates"),
        Topic.CREDIT: _("My credit score"),
        Topic.FAULTS: _("Faults that I reported"),
        Topic.FACILITY: _("What happens at my facility"),
        Topic.MEMBERS: _("Who belongs to my organisation"),
    }[topic]


def channel_name(channel: Channel) -> str:
    """Name a way by which notices go."""
    return {
        Channel.MAIL: _("Mail"),
        Channel.INBOX: _("Inbox on this site"),
        Channel.WEBHOOK: _("Webhook"),
        Channel.WECOM: _("WeCom"),
        Channel.DINGTALK: _("DingTalk"),
        Channel.FEISHU: _("Feishu"),
        Channel.INVITATION: _("Invitation in the calendar"),
    }[channel]


def hook_failure(code: str, figure: object) -> str:
    """Say why an address took nothing."""
    return {
        "unknown_name": _("there is no server of this name."),
        "not_public": error_sentence("not_public"),
        "no_encryption": _("the server's certificate cannot be trusted."),
        "no_answer": _("the server did not answer in time."),
        "status": _("the server answered with %(status)s.", status=figure),
        "robot": _("the robot refused it with code %(number)s.", number=figure),
        "no_json": _("a robot answers otherwise."),
    }.get(code, error_sentence("malformed"))


def source_failure(code: str, figure: object = "") -> str:
    """Say why a calendar elsewhere could not be taken over."""
    said = {
        "unknown_name": _("There is no server of this name."),
        "not_public": error_sentence("not_public"),
        "not_https": _("It is led from an encrypted address to an open one."),
        "no_encryption": _("The server's certificate cannot be trusted."),
        "no_answer": _("The server did not answer in time."),
        "status": _("The server answered with %(status)s.", status=figure),
        "redirects": _("It is led from one address to another without end."),
        "encoding": _("The server packs it in a way that is not understood."),
        "too_large": _("It is too large."),
        "too_slow": _("Reading it takes too long."),
        "too_much": _("It takes more spans of time than can be kept."),
        "no_calendars": _("There is no calendar in this archive."),
        "fewer": ngettext(
            "Only %(num)d event is left of many, which looks like a mistake.",
            "Only %(num)d events are left of many, which looks like a mistake.",
            left := int(str(figure)) if str(figure).isdecimal() else 0,
            num=left,
        ),
        "empty_roster": _("Nobody is on this roster, which would close everything."),
    }
    return said.get(code) or _("What is there is no calendar.")


def import_why(code: str) -> str:
    """Say why an event of a file becomes nothing."""
    return {
        "known": _("Taken over before"),
        "cancelled": _("Cancelled"),
        "free": _("Marked as free"),
        "no_time": _("Takes no time"),
        "past": _("Has begun or is over"),
        "far": _("More than a year ahead"),
        "nobody": _("Nobody in it is known here by a confirmed address"),
        "not_ours": _("Is of no form that can be booked"),
        "refused": _("Does not fit"),
    }[code]


def pace_name(pace: Pace) -> str:
    """Say how soon notices go."""
    return {
        Pace.AT_ONCE: _("At once"),
        Pace.DAILY: _("Once a day"),
        Pace.WEEKLY: _("Once a week"),
        Pace.NEVER: pgettext("of notices", "Never"),
    }[pace]


def hazard_name(hazard: Hazard) -> str:
    """Name a hazard of a chemical as the rules on dangerous goods do."""
    return {
        Hazard.HAZARDOUS: _("Hazardous chemical"),
        Hazard.HIGHLY_TOXIC: _("Highly toxic chemical"),
        Hazard.DRUG_PRECURSOR_1: _("Class 1 drug precursor"),
        Hazard.DRUG_PRECURSOR_2: _("Class 2 drug precursor"),
        Hazard.DRUG_PRECURSOR_3: _("Class 3 drug precursor"),
        Hazard.EXPLOSIVE_PRECURSOR: _("Explosive precursor"),
        Hazard.HIGH_OCCUPATIONAL_TOXICITY: _("Highly toxic at the workplace"),
        Hazard.CONTROLLED: _("Controlled (weapons convention)"),
        Hazard.PRESSURE: _("Pressure vessel or special equipment"),
        Hazard.RADIOACTIVE: _("Radiation"),
        Hazard.BIOLOGICAL: _("Biological agent"),
    }[hazard]


def substance_sentence(one: Substance) -> str:
    """Say what is brought: its name, how much of it, its hazards and the permit for it."""
    told = [hazard_name(hazard) for hazard in sorted(one.hazards)]
    if one.permit_number:
        told.append(_("Permit %(number)s", number=one.permit_number))
    name = " ".join(filter(None, (one.name, amount_of(one))))
    return _("%(name)s (%(code)s)", name=name, code=joined(told)) if told else name


def amount_of(one: Substance) -> str:
    """Say how much is brought, nothing if it was not said."""
    return "" if one.quantity is None else f"{one.quantity.normalize():f} {one.unit}".strip()


def conditions_sentence(conditions: Iterable[Params]) -> str:
    """Say why a step of approval is asked for; of one that is always asked for, nothing."""
    return joined(condition_sentence(one) for one in conditions if one.get("condition") != When.ALWAYS)


def paper_name(kind: str) -> str:
    """Name what a paper of a booking is."""
    return {
        "sds": _("Safety data sheet"),
        "protocol": _("Protocol"),
        "permit": _("Permit"),
        "other": _("Other paper"),
    }[kind]


def approval_name(step: str) -> str:
    """Name a step of approval; one that no rule names is the facility's own."""
    return step or _("Approval by the facility")


def role_of_approvers(who: Who) -> str:
    """Name whose word a step of approval asks for by role."""
    return {
        Who.MANAGER: _("Managers of the facility"),
        Who.LEADER: _("Leaders of the organisation that books"),
        Who.PROJECT_LEADER: _("Leader of the project"),
    }[who]


def step_state_name(state: StepState) -> str:
    """Name where a step of approval stands."""
    return {
        StepState.WAITING: _("Not its turn yet"),
        StepState.OPEN: _("Open"),
        StepState.APPROVED: _("Approved"),
        StepState.REJECTED: _("Rejected"),
        StepState.DROPPED: _("No longer needed"),
    }[state]


def condition_sentence(condition: Params) -> str:
    """Say why a step of approval is asked for."""
    value = condition.get("value") or 0
    match When(condition["condition"]):
        case When.ALWAYS:
            return _("always")
        case When.OUTSIDE_HOURS:
            opens, closes = condition.get("opens", DAY_BEGINS), condition.get("closes", DAY_ENDS)
            return _("outside %(opens)s–%(closes)s of working days", opens=_wall(opens), closes=_wall(closes))
        case When.OVER_MINUTES:
            return _("longer than %(length)s", length=duration(value))
        case When.HAZARDOUS:
            return _("dangerous chemicals are declared")
        case When.EXTERNAL:
            return _("a customer from outside")
        case When.FIRST_USE:
            return _("the first use of the instrument")
        case When.OVER_COST:
            return _("costs more than %(amount)s", amount=i18n.format_money(Decimal(value)))
        case When.PERMIT:
            return _("there is a permit to be checked")


def _wall(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def joined(words: Iterable[str]) -> str:
    """Put words into a row."""
    return _(", ").join(words)


def strung(phrases: Iterable[str]) -> str:
    """Put phrases into a row that have commas of their own."""
    return _("; ").join(phrases)


def role_name(role: str) -> str:
    """Name what somebody is somewhere."""
    return {
        Role.MEMBER: _("Member of the organisation"),
        Role.LEADER: _("Leads the organisation's bookings"),
        Role.OPERATOR: _("Operates the facility's instruments"),
        Role.MANAGER: _("Manages the facility"),
        Role.OFFICER: _("Officer of the network"),
        Role.ADMINISTRATOR: _("Administers Yiqi"),
    }[Role(role)]


def deed_name(deed: str) -> str:
    """Name what gives or costs points of credit."""
    return {
        "normal_use": _("Use without fault"),
        "late": _("Late"),
        "early": _("Left early"),
        "overtime": _("Overtime"),
        "no_show": _("No-show"),
        "late_cancellation": _("Late cancellation"),
        "no_feedback": _("No feedback"),
    }.get(deed, deed)


def why_name(why: str) -> str:
    """Say why an alternative is offered."""
    return {
        "nearest": _("Nearest free time"),
        "equal": _("Equal instrument, same time"),
        "cheaper": _("Equal instrument, other time"),
        "shorter": _("Shorter use"),
        "split": _("In parts"),
        "route": _("The earliest route"),
        "waitlist": _("Wait in line for it"),
    }.get(why, why)


def alternative_sentence(found: Any) -> str:
    """Say in a few words how an alternative differs from what was asked: when, where, and for how much."""
    minutes, difference = found.minutes, found.difference
    words = []
    if minutes:
        length = duration(abs(minutes))
        words.append(
            _("%(length)s later", length=length) if minutes > 0 else _("%(length)s earlier", length=length)
        )
    if found.lost:
        words.append(_("%(length)s shorter", length=duration(found.lost)))
    if found.parts:
        words.append(ngettext("one part", "%(num)d parts", len(found.parts), num=len(found.parts)))
    if found.why in {"equal", "cheaper"}:
        words.append(_distance(found.km))
    if difference:
        amount = i18n.format_money(abs(difference))
        words.append(
            _("%(amount)s more", amount=amount) if difference > 0 else _("%(amount)s less", amount=amount)
        )
    if found.needs_approval:
        words.append(_("needs approval"))
    return joined(words)


def away(km: float | None) -> str:
    """Say how far a facility is from the one that was named."""
    if km is None:
        return _("distance unknown")
    return _("%(distance)s km away", distance=i18n.format_number(km)) if km else _("right there")


def _distance(km: float | None) -> str:
    if km is None:
        return _("at another facility")
    if km == 0:
        return _("at the same facility")
    return _("%(distance)s km away", distance=i18n.format_number(km))


def override_name(code: str) -> str:
    """Name in a few words the rule that a manager set aside."""
    return {
        "too_short": _("shortest use"),
        "too_long": _("longest use"),
        "off_step": _("step"),
        "notice": _("notice"),
        "notice_to_change": _("notice of changes"),
        "notice_to_cancel": _("notice of giving up"),
        "horizon": _("how far ahead"),
        "closed": _("opening hours"),
        "quota_hours": _("limit of hours"),
        "quota_bookings": _("limit of bookings"),
        "too_many_ahead": _("bookings ahead"),
        "too_close": _("gap between bookings"),
        "changeover": _("changeover"),
        "lag": _("time between steps"),
        "utility_full": _("shared utility"),
        "banned": _("ban"),
    }.get(code, code)


def event_sentence(kind: str, data: Params) -> str:
    """Say what happened to a booking."""
    said = {
        "series.placed": _("Series booked"),
        "series.changed": _("Series changed"),
        "series.cancelled": _("Dates of a series cancelled"),
        "series.decided": _("Dates of a series decided"),
        "series.expired": _("Dates of a series expired"),
        "booking.placed": _("Booked again after it was given up") if data.get("undo") else _("Booked"),
        "booking.requested": _("Asked for; awaiting approval"),
        "booking.changed": _("Changed back") if data.get("undo") else _("Changed"),
        "booking.made_room": _("Made room for somebody who waited"),
        "booking.approved": _("Approved"),
        "booking.rejected": _("Rejected"),
        "booking.cancelled": _("Taken back") if data.get("undo") else _("Cancelled"),
        "booking.withdrawn": _("Taken back") if data.get("undo") else _("Withdrawn"),
        "booking.expired": _("Expired without approval"),
        "booking.checked_in": _("Checked in"),
        "booking.ended": _("Checked out"),
        "booking.no_show": _("Noted as no-show"),
        "booking.came": _("Noted that they came after all"),
        "booking.feedback": _("Feedback given"),
        "booking.overtime": _("Still there after the end"),
        "credit.changed": _("Credit points taken"),
        "fault.reported": _("Fault reported"),
        "fault.confirmed": _("Fault confirmed"),
        "fault.mended": _("Fault mended"),
        "fault.dismissed": _("Fault report dismissed"),
        "ban.made": _("Booking forbidden"),
        "ban.lifted": _("Booking allowed again"),
        "appeal.opened": _("Appeal made"),
        "appeal.decided": _("Appeal decided"),
        "booking.displaced": _("Displaced by a closure"),
        "booking.agreed": _("What may be done after an outage was settled"),
        "proposal.made": _("Another time proposed"),
        "proposal.withdrawn": _("Proposal taken back"),
        "proposal.answered": _("Proposal answered"),
        "booking.stands": _("Stands again: the closure was lifted"),
        "invitation.accepted": _("Accepted in the calendar"),
        "invitation.declined": _("Declined in the calendar"),
        "invitation.countered": _("Another time proposed in the calendar"),
        "booking.move_asked": _("Asked whether it may be moved"),
        "booking.move_answered": _("Answered whether it may be moved"),
        "booking.move_unanswered": _("Not answered in time whether it may be moved"),
        "booking.move_unasked": _("Asked no more whether it may be moved"),
        "booking.reminded": _("Reminder sent"),
        "approval.opened": _("Waits for: %(step)s", step=approval_name(str(data.get("step", "")))),
        "approval.reminded": _("Reminded of: %(step)s", step=approval_name(str(data.get("step", "")))),
        "approval.escalated": _(
            "Not answered in time, others are asked: %(step)s", step=approval_name(str(data.get("step", "")))
        ),
        "approval.expired": _(
            "Not answered in time: %(step)s", step=approval_name(str(data.get("step", "")))
        ),
        "approval.unanswered": _(
            "Not answered in time, which counts as a yes: %(step)s",
            step=approval_name(str(data.get("step", ""))),
        ),
        "approval.given": _said_of_step(_("Yes to: %(step)s"), _("Yes to: %(step)s, for %(absent)s"), data),
        "approval.refused": _said_of_step(_("No to: %(step)s"), _("No to: %(step)s, for %(absent)s"), data),
        "paper.added": _("Paper added: %(title)s", title=data.get("title", "")),
        "paper.removed": _("Paper removed: %(title)s", title=data.get("title", "")),
        "booking.handed_over": _("Handed over"),
        "qualification.defined": _("Qualification defined"),
        "qualification.redefined": _("Qualification changed"),
        "qualification.retired": _("Qualification given no more"),
        "qualification.needed": _("Qualification wanted of users"),
        "qualification.needed_no_more": _("Qualification wanted no more"),
        "qualification.session_planned": _("Training session planned"),
        "qualification.session_called_off": _("Training session called off"),
        "qualification.session_cancelled": _("Seat in a training lost: the session is called off"),
        "qualification.requested": _("Qualification asked for"),
        "qualification.scheduled": _("Seat in a training taken"),
        "qualification.granted": _("Qualification granted"),
        "qualification.refused": _("Qualification refused"),
        "qualification.revoked": _("Qualification taken away"),
        "qualification.withdrawn": _("Request for a qualification withdrawn"),
        "qualification.expiring": _("Qualification runs out"),
        "qualification.flagged": _("Bookings whose qualification was taken away"),
        "transfer.asked": _("Swap of times asked for") if data.get("blind") else _("Offered to a colleague"),
        "transfer.accepted": _("Offer accepted"),
        "transfer.declined": _("Offer declined"),
        "transfer.withdrawn": _("Offer withdrawn"),
        "transfer.countered": _("Offer answered with an exchange"),
        "transfer.lapsed": _("Offer lapsed"),
    }.get(kind, kind)
    note = data.get("reason") or data.get("comment")
    said = _("%(what)s: %(note)s", what=said, note=note) if note else said
    if "overrode" not in data:
        return said
    rules = joined(override_name(code) for code in data["overrode"])
    return _(
        "%(what)s. Exception made (%(rules)s): %(note)s", what=said, rules=rules, note=data["override_reason"]
    )


def _said_of_step(plain: str, instead: str, data: Params) -> str:
    absent = data.get("instead_of") or []
    words = instead if absent else plain
    return words % {
        "step": approval_name(str(data.get("step", ""))),
        "absent": joined(str(name) for name in absent),
    }


def cell_sentence(code: str, params: Params) -> str:
    """Say what is wrong with a cell of an imported file, or with the whole file."""
    if code in REASONS and code not in CELLS:
        return sentence(code, params)
    say = CELLS.get(code)
    return say(params) if say else error_sentence(code)


CELLS: dict[str, Callable[[Params], str]] = {
    "required": lambda _p: _("A value is needed here."),
    "formula": lambda _p: _("Formulas are not read; write the value itself."),
    "not_text": lambda _p: _("Text is expected here; put it in quotes."),
    "control_characters": lambda _p: _("The text holds control characters or marks that turn its direction."),
    "too_long_text": lambda p: _("The text has %(length)s characters; %(longest)s are allowed.", **p),
    "malformed": lambda p: _("“%(value)s” is not of the right form.", **p),
    "not_a_number": lambda p: _("“%(value)s” is not a number.", **p),
    "not_whole": lambda p: _("“%(value)s” is not a whole number.", **p),
    "too_small": lambda p: _("It must be at least %(least)s.", **p),
    "too_large": lambda p: _("It must be at most %(most)s.", **p),
    "out_of_range": lambda _p: _("It must be whole minutes, from 1 minute to 400 days."),
    "too_many_places": lambda p: _("At most %(places)s decimal places are kept.", **p),
    "not_yes_or_no": lambda p: _("“%(value)s” is neither yes nor no.", **p),
    "not_a_date": lambda p: _("“%(value)s” is not a date such as 2026-01-31.", **p),
    "unknown": lambda p: _("“%(value)s” is not known here. Known: %(known)s.", **p),
    "not_hours": lambda p: _("“%(value)s” is not like “Mon-Fri 08:30-17:30”.", **p),
    "not_a_capability": lambda p: _("“%(value)s” is not like “drying” or “volume_l=50 L”.", **p),
    "too_many_in_list": lambda p: _("The list holds more than %(most)s entries.", **p),
    "duplicate": lambda _p: _("This stands in the file or list already."),
    "too_many_cells": lambda p: _("The row has more cells than the %(columns)s of the heading.", **p),
    "no_heading": lambda _p: _("The column has no heading."),
    "duplicate_column": lambda _p: _("There are two columns of this name."),
    "unknown_column": lambda _p: _("There is no column or key of this name."),
    "missing_column": lambda _p: _("The file lacks this column."),
    "not_a_list": lambda _p: _("A list is expected here."),
    "not_a_mapping": lambda _p: _("Keys with values are expected here."),
    "not_a_line": lambda _p: _("Only a line has parts."),
    "unknown_facility": lambda p: _("There is no facility %(value)s.", **p),
    "unknown_category": lambda p: _("There is no class %(value)s.", **p),
    "other_facility": lambda p: _("The instrument belongs to %(value)s and cannot move to another.", **p),
    "not_yours": lambda p: _("You do not manage the facility %(value)s.", **p),
    "not_allowed_here": lambda _p: _("You may not do this there."),
    "administrators_only": lambda _p: _("Only an administrator may create or change this."),
    "booked": lambda p: _("More than %(units)s units are booked ahead; move or cancel bookings first.", **p),
    "booked_line": lambda _p: _(
        "The line is booked ahead; its parts cannot change until those bookings are over."
    ),
    "part_unknown": lambda p: _("There is no instrument %(value)s.", **p),
    "part_line_in_line": lambda p: _("%(value)s is a line itself and cannot be a part.", **p),
    "part_other_facility": lambda p: _("%(value)s belongs to another facility.", **p),
    "file_too_large": lambda p: _("The file is larger than %(most)s MB.", **p),
    "file_empty": lambda _p: _("The file holds nothing."),
    "wrong_encoding": lambda _p: _("The file is neither UTF-8 nor GB 18030 text."),
    "too_many_rows": lambda p: _("The file holds more than %(most)s rows.", **p),
    "too_many_columns": lambda p: _("The file holds more than %(most)s columns.", **p),
    "broken_csv": lambda p: _("Line %(line)s is broken: a quote is open or stands in the wrong place.", **p),
    "not_a_workbook": lambda _p: _("The file is not an XLSX workbook that can be read."),
    "archive_entries": lambda p: _("The workbook holds more than %(most)s parts.", **p),
    "archive_unpacked": lambda p: _("The workbook unpacks to more than %(most)s MB.", **p),
    "archive_ratio": lambda p: _("A part of the workbook is packed more than %(most)s times.", **p),
    "duplicate_key": lambda p: _("The key “%(key)s” comes twice, the second time on line %(line)s.", **p),
    "broken_yaml": lambda p: _("The YAML is broken near line %(line)s.", **p),
    "yaml_reference": lambda p: _("References are not read; one stands on line %(line)s.", **p),
    "yaml_values": lambda p: _("The YAML holds more than %(most)s values.", **p),
    "yaml_depth": lambda p: _("Lists and keys are nested too deeply on line %(line)s.", **p),
    "not_an_inventory": lambda _p: _("The file does not hold facilities and items."),
    "unknown_format": lambda _p: _("The name must end in .xlsx or .csv."),
}
"""Every code of an import and how it is said."""


def note_sentence(code: str, params: Params) -> str:
    """Say what the reader of an import should know."""
    notes: dict[str, Callable[[Params], str]] = {
        "quota_pools_ignored": lambda _p: _("Quota pools are not imported."),
        "fewer_units": lambda p: _(
            "A line has no more units than its scarcest station: %(units)s as %(station)s, not %(asked)s.",
            **p,
        ),
        "displaces": lambda p: i18n.ngettext(
            "%(num)d booking is displaced.",
            "%(num)d bookings are displaced.",
            p["bookings"],
            num=p["bookings"],
        ),
    }
    return notes[code](params)


def sort_name(sort: str) -> str:
    """Name the sort of a record in an import."""
    return {
        "facility": _("facility"),
        "network": _("network"),
        "instrument": _("instrument"),
        "person": _("person"),
        "closure": _("closure"),
    }[sort]
