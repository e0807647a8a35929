"""What rounds, runs of the solver, repairs and proposals say: refusals, states and answers in the reader's words."""

from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from booking import i18n
from booking.domain import vocabulary
from booking.domain.replanning import Answer, Cause, IfSilent, ProposalKind, ProposalState, ReplanState
from booking.domain.rounds import RoundState, WishState
from booking.i18n import gettext as _
from booking.i18n import mark, ngettext, pgettext

Params = Mapping[str, Any]


def _time(params: Params, name: str) -> str:
    at = params[name]
    if isinstance(at, str):
        at = datetime.fromisoformat(at)
    return i18n.format_datetime(at, zone=params.get("zone") or "UTC")


# --- refusals -------------------------------------------------------------------------------------


def _round_not_open(params: Params) -> str:
    return _("This round takes wishes from %(opens)s.", opens=_time(params, "opens_at"))


def _round_closed(params: Params) -> str:
    return _("This round took wishes until %(closes)s.", closes=_time(params, "closes_at"))


def _round_over(params: Params) -> str:
    return _(
        "The last day for wishes was %(closes)s; set a later one first.", closes=_time(params, "closes_at")
    )


def _round_settled(params: Params) -> str:
    return {
        "open": _("This round still takes wishes; close it first."),
        "closed": _("No draft of this round is published."),
        "published": _("The draft of this round is published; take it back first."),
        "confirmed": _("This round is confirmed: its wishes are bookings now."),
        "cancelled": _("This round was cancelled."),
    }[params["state"]]


def _no_wishes(_params: Params) -> str:
    return _("Nobody wishes anything of this round yet.")


def _wish_settled(params: Params) -> str:
    return {
        "served": _("This wish is a booking already; change or cancel the booking."),
        "unserved": _("This wish was not served; its round is over."),
    }.get(params["state"], _("This wish was taken back."))


def _too_many_wishes(params: Params) -> str:
    return _(
        "You have %(most)s wishes in this round already; take one of them back first.", most=params["most"]
    )


def _no_plan(_params: Params) -> str:
    return _("This run has no plan that could be used; start it again.")


def _draft_outdated(params: Params) -> str:
    return _(
        "The wish of %(person)s no longer fits: the calendar or the rules have changed. Run the round again.",
        person=params["person"],
    )


def _replan_sent(_params: Params) -> str:
    return _("The people concerned have been asked already.")


def _nothing_displaced(params: Params) -> str:
    if not params["by_hand"]:
        return _("This closure meets no booking.")
    return ngettext(
        "%(num)d booking is met that only a person can move: it has begun, or is too far ahead.",
        "%(num)d bookings are met that only a person can move: they have begun, or are too far ahead.",
        params["by_hand"],
        num=params["by_hand"],
    )


def _repair_outdated(params: Params) -> str:
    return ngettext(
        "%(num)d booking has changed since these repairs were looked for. Look for them again.",
        "%(num)d bookings have changed since these repairs were looked for. Look for them again.",
        params["bookings"],
        num=params["bookings"],
    )


def _proposal_over(params: Params) -> str:
    return {
        "accepted": _("You have taken the proposed time already."),
        "cancelled": _("You have given the booking up already."),
        "waiting": _("You have given the booking up already and wait in line."),
        "overtaken": _("The booking was changed meanwhile; this proposal no longer fits."),
        "withdrawn": _("The facility took this proposal back."),
    }.get(params["state"], _("The time to answer is over."))


def _no_place(_params: Params) -> str:
    return _("No other time was found for this booking.")


REFUSALS: dict[str, Callable[[Params], str]] = {
    "round_not_open": _round_not_open,
    "round_closed": _round_closed,
    "round_over": _round_over,
    "round_settled": _round_settled,
    "no_wishes": _no_wishes,
    "wish_settled": _wish_settled,
    "too_many_wishes": _too_many_wishes,
    "no_plan": _no_plan,
    "draft_outdated": _draft_outdated,
    "replan_sent": _replan_sent,
    "nothing_displaced": _nothing_displaced,
    "repair_outdated": _repair_outdated,
    "proposal_over": _proposal_over,
    "no_place": _no_place,
}
"""Every code of a refusal that plans bring, and how it is said."""

ERRORS: dict[str, str] = {
    "outside_round": mark("It must lie within the days of the round."),
    "outside_window": mark("It must lie within the window of the wish."),
    "after_first_day": mark("Wishes must be closed before the first day of the round."),
    "nested_region": mark(
        "Of two promises to one kind of organisation neither region may lie in the other's."
    ),
    "nested": mark("Of two promises neither category may lie in the other's."),
    "one_promise": mark("Give hours of this round or hours of the year, not both."),
}
"""What may be wrong with a field of a round."""


# --- states ---------------------------------------------------------------------------------------


def round_state(state: RoundState) -> str:
    """Name where a round stands."""
    return {
        RoundState.OPEN: pgettext("a round", "Takes wishes"),
        RoundState.CLOSED: pgettext("a round", "Being allotted"),
        RoundState.PUBLISHED: pgettext("a round", "Draft published"),
        RoundState.CONFIRMED: pgettext("a round", "Confirmed"),
        RoundState.CANCELLED: pgettext("a round", "Cancelled"),
    }[state]


def wish_state(state: WishState) -> str:
    """Name what became of a wish."""
    return {
        WishState.WAITING: pgettext("a wish", "Waiting"),
        WishState.SERVED: pgettext("a wish", "Booked"),
        WishState.UNSERVED: pgettext("a wish", "Not served"),
        WishState.WITHDRAWN: pgettext("a wish", "Taken back"),
    }[state]


def window(start: datetime, end: datetime, zone: str) -> str:
    """Say within which time a wish may be served: days, where it is whole days."""
    tz = ZoneInfo(zone)
    if start.astimezone(tz).time() == end.astimezone(tz).time() == time():
        days = (i18n.format_date(start, zone), i18n.format_date(end - timedelta(minutes=1), zone))
        return " – ".join(dict.fromkeys(days))
    return i18n.format_span(start, end, zone)


def replan_state(state: ReplanState) -> str:
    """Name where a replan stands."""
    return {
        ReplanState.OPEN: _("To be chosen"),
        ReplanState.SENT: _("People are asked"),
        ReplanState.OVER: _("Over"),
    }[state]


def cause_name(cause: Cause) -> str:
    """Name what displaces bookings."""
    return {
        Cause.CLOSURE: _("Closure"),
        Cause.CLOSURES: _("Several instruments closed together"),
        Cause.HOURS: _("Other opening hours"),
        Cause.WORKING_DAYS: _("Other working days"),
        Cause.WITHDRAWN: _("Instrument withdrawn"),
        Cause.ELSEWHERE: _("Busy in another calendar"),
        Cause.PERMIT: _("Permit over"),
    }[cause]


def displaced_by(cause: str) -> str:
    """Say to the owner of a booking what displaces it."""
    return {
        Cause.HOURS.value: _("Your booking lies outside the new opening hours."),
        Cause.WORKING_DAYS.value: _("The day of your booking has become a day off."),
        Cause.WITHDRAWN.value: _("What you booked is withdrawn, and can be booked no more."),
        Cause.PERMIT.value: _("A permit of what you booked is not valid then."),
    }.get(cause, _("An outage meets your booking."))


def proposal_state(state: ProposalState) -> str:
    """Name what became of a proposal."""
    return {
        ProposalState.OPEN: _("Waits for an answer"),
        ProposalState.ACCEPTED: _("Moved"),
        ProposalState.CANCELLED: _("Given up"),
        ProposalState.WAITING: _("Given up, waits in line"),
        ProposalState.SILENT: _("No answer"),
        ProposalState.OVERTAKEN: _("No longer fits"),
        ProposalState.WITHDRAWN: _("Taken back"),
    }[state]


def proposal_kind(kind: ProposalKind) -> str:
    """Name what is proposed."""
    return {
        ProposalKind.LATER: _("Another time"),
        ProposalKind.ELSEWHERE: _("An equal instrument"),
        ProposalKind.SPLIT: _("In several parts"),
        ProposalKind.NO_PLACE: _("No place"),
    }[kind]


def answer_done(answer: Answer) -> str:
    """Say what an answer has done."""
    return {
        Answer.ACCEPT: _("Moved. The new time is yours."),
        Answer.CANCEL: _("The booking is given up; nothing is counted against you."),
        Answer.WAIT: _("The booking is given up; you wait in line for another time."),
    }[answer]


def repair_name(kind: str) -> str:
    """Name what a repair looks to."""
    return {
        "least": _("Least disturbance"),
        "others_stay": _("Nobody else is moved"),
        "keep_time": _("Times are kept"),
        "keep_instrument": _("Instruments are kept"),
        "next_best": _("Next best"),
        "nearest": _("Each to the nearest time"),
    }.get(kind, kind)


def if_silent_name(agreed: IfSilent) -> str:
    """Name what shall become of a displaced booking of which its owner says nothing."""
    return {
        IfSilent.STAY: _("Ask me; without my word nothing happens"),
        IfSilent.MOVE: _("Move it to the proposed time"),
        IfSilent.CANCEL: _("Cancel it"),
        IfSilent.WAIT: _("Cancel it and put me in line"),
    }[agreed]


def silence_sentence(agreed: str, kind: str) -> str:
    """Say what happens if somebody does not answer a proposal."""
    if agreed == IfSilent.MOVE.value and kind != ProposalKind.NO_PLACE.value:
        return _("If you say nothing, the booking is moved, as you agreed.")
    if agreed == IfSilent.CANCEL.value:
        return _("If you say nothing, the booking is cancelled free of charge, as you agreed.")
    if agreed == IfSilent.WAIT.value:
        return _("If you say nothing, the booking is cancelled and you wait in line, as you agreed.")
    return _("If you say nothing, the booking stays as it is, and the facility gets in touch with you.")


def giving_up(estimate: str | Decimal | None) -> str:
    """Say what giving a displaced booking up costs: nothing, and what it was to cost is not charged."""
    if not estimate or not Decimal(estimate):
        return _("Giving it up costs nothing and counts for nothing against you.")
    return _(
        "Giving it up costs nothing and counts for nothing against you: the estimated %(amount)s are not charged.",
        amount=i18n.format_money(Decimal(estimate)),
    )


def phase(name: str) -> str:
    """Say what a run of the solver does at the moment."""
    return {
        "": _("Starting"),
        "greedy": _("A first plan"),
        "bound": _("How good a plan can be"),
        "prices": _("A plan by the prices of scarce hours"),
        "search": _("Looking for better plans"),
        "exact": _("Proving the best plan"),
        "nearest": _("A first repair"),
        "least": _("The least disturbing repair"),
        "others_stay": _("A repair that moves nobody else"),
        "keep_time": _("A repair that keeps times"),
        "keep_instrument": _("A repair that keeps instruments"),
    }.get(name, _("Working"))


def because(code: str) -> str:
    """Say why a booking came about or was moved, where the plan of others is the reason; empty for other codes."""
    return {
        "wish_found": _("Your wish found a place, and you asked to have it booked at once."),
        "made_room": _(
            "It makes room for somebody who waited, as you agreed. It is not moved for anybody again."
        ),
    }.get(code, "")


# --- reasons of a draft ---------------------------------------------------------------------------


def why(reason: Params) -> str:
    """Say one reason why a plan serves a wish as it does."""
    say = WHY.get(str(reason["code"]))
    return say(reason) if say else _("The plan found no better place.")


def _pinned(_params: Params) -> str:
    return _("The facility has settled this place.")


def _left_out(_params: Params) -> str:
    return _("The facility has left this wish out of the round.")


def _never_free(_params: Params) -> str:
    return _("Closures and earlier bookings leave no start in your window.")


def _full(params: Params) -> str:
    classes = [
        ngettext(
            "%(num)d booking of priority %(priority)s",
            "%(num)d bookings of priority %(priority)s",
            bookings,
            num=bookings,
            priority=priority,
        )
        for priority, bookings in params["classes"].items()
    ]
    return _("Every start in your window is taken: %(bookings)s.", bookings=_(", ").join(classes))


def _cap(params: Params) -> str:
    return _(
        "Your organisation may have %(cap)s in this round; this wish would be %(over)s over it.",
        cap=i18n.format_duration(timedelta(hours=params["cap"])),
        over=i18n.format_duration(timedelta(hours=params["over"])),
    )


def _outbid(params: Params) -> str:
    return _(
        "The cheapest place for it costs %(price)s points by what others would use it for; "
        "your wish has %(value)s.",
        price=params["price"],
        value=params["value"],
    )


def _budget(params: Params) -> str:
    return _(
        "The budget for subsidies is used up; this wish is %(over)s over it.",
        over=i18n.format_money(Decimal(int(params["over"])) / 100),
    )


def _floor(params: Params) -> str:
    return _(
        "%(hours)s h are promised to %(kind)s, which come first.",
        hours=i18n.format_number(params["hours"]),
        kind=organisation_kind(str(params["quota_class"])),
    )


def _not_open(_params: Params) -> str:
    return _("Nothing that would do was open so long within your window.")


def _no_match(_params: Params) -> str:
    return _("No instrument that can be booked matches what you asked for.")


def _no_route(params: Params) -> str:
    if params.get("step"):
        return _(
            "No way through all steps is free in your window: step %(step)s is not reached.",
            step=params["step"],
        )
    return _("No way through all steps was free in your window.")


def _ruled_out(_params: Params) -> str:
    return _("There was free time, but the rules did not let you have it, or you let it pass.")


def _taken_by(params: Params) -> str:
    found = [
        _("%(kind)s: %(bookings)s", kind=organisation_kind(kind), bookings=i18n.format_number(bookings))
        for kind, bookings in sorted(params["kinds"].items())
    ]
    if params["closures"]:
        found.append(_("closures: %(closures)s", closures=i18n.format_number(params["closures"])))
    if not found:
        return _("Every start in your window is taken.")
    return _("Every start in your window is taken (%(bookings)s).", bookings=_(", ").join(found))


def _next_best(params: Params) -> str:
    return _(
        "The next time that you could have: %(instrument)s, %(start)s.",
        instrument=params["instrument"],
        start=_time(params, "start"),
    )


def _elsewhere(_params: Params) -> str:
    return _("Not on the instrument that you like best: its hours went to wishes with more points.")


def _help(words: str) -> Callable[[Params], str]:
    def say(params: Params) -> str:
        place = {"instrument": params["instrument"], "start": _time(params, "start")}
        return _(words, hours=i18n.format_number(params.get("hours", 0)), **place)

    return say


def organisation_kind(kind: str) -> str:
    """Name a kind of organisation, of which there are many; after an @ stands the region where they are."""
    kind, _at, region = kind.partition("@")
    if region:
        return _("%(kind)s in %(region)s", kind=organisation_kind(kind), region=region_name(region))
    return {
        "university": _("universities"),
        "research_institute": _("research institutes"),
        "enterprise": _("enterprises"),
        "public_institution": _("public institutions"),
        "major_infrastructure": _("major infrastructures"),
        "none": _("people of no organisation"),
    }.get(kind, kind)


def region_name(code: str) -> str:
    """Name a region; one that the vocabulary lacks by its code."""
    known = vocabulary.REGIONS.get(code)
    if known is None:
        return code
    return i18n.either(known.zh, known.en)


WHY: dict[str, Callable[[Params], str]] = {
    "pinned": _pinned,
    "left_out": _left_out,
    "never_free": _never_free,
    "full": _full,
    "cap": _cap,
    "budget": _budget,
    "floor": _floor,
    "outbid": _outbid,
    "elsewhere": _elsewhere,
    "not_open": _not_open,
    "no_match": _no_match,
    "no_route": _no_route,
    "ruled_out": _ruled_out,
    "taken_by": _taken_by,
    "next_best": _next_best,
    "help_later": _help(mark("A window of one day more would have helped: %(instrument)s, %(start)s.")),
    "help_earlier": _help(mark("A window of one day earlier would have helped: %(instrument)s, %(start)s.")),
    "help_instrument": _help(mark("%(instrument)s would have had room: %(start)s.")),
    "help_shorter": _help(mark("%(hours)s h would have found a place: %(instrument)s, %(start)s.")),
}
"""Every code of a reason that a draft gives, and how it is said."""
