"""Waiting in line: one's own places, joining for any of several instruments, answering offers, the facility's line."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import plan_words, wording
from booking.db import Session, reading, transaction
from booking.domain import needs as ability_needs
from booking.domain import waitlist as line
from booking.domain.access import Actor, NotFound, Subject, may
from booking.domain.lifecycle import State
from booking.domain.rounds import WishState
from booking.domain.rules import Invalid, Refused
from booking.domain.spans import Span, merge
from booking.http.forms import fields
from booking.http.guard import needs, open_to_all
from booking.http.identity import actor, utc_now
from booking.http.locale import speak_as_the_letter
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.i18n import name_of, pgettext
from booking.services import (
    catalogue,
    facilities,
    instruments,
    offers,
    projects,
    round_wishes,
    waitlist,
    wish_reasons,
)
from booking.services.bookings import Stale
from booking.services.catalogue import Filters
from booking.services.waitlist import InLine
from booking.web import abilities, blueprint
from booking.web.availability import HOME_ZONE, lengths
from booking.web.cards import local_date, midnight
from booking.web.closures import chosen_facility
from booking.web.forms import LONGEST_NOTE, MOST_UNITS, Intake, as_code, as_date, said
from booking.web.judgement import sentences
from models import EntryState, Facility, OfferState

Answer = str | Redirect | tuple[str, int]

PAGE_SIZE = 50
USUAL_LENGTH = 120
NEXT_DAYS = 7
IN_ROUNDS = 20
"""So many of one's wishes of rounds are looked at for the page of all wishes."""

FILTERS = ("q", "category", "facility", "capability")
MORE_WINDOWS = (2, 3)
"""A wish may lie in so many other stretches of days besides the first."""

FIELDS = (
    *("instrument", *FILTERS, "first", "last", "minutes", "quantity", "project", "purpose"),
    *(f"{name}{number}" for number in MORE_WINDOWS for name in ("first", "last")),
    *("found", "may_move"),
    *abilities.FIELDS,
)


class Found(StrEnum):
    """What is done with a time that is found."""

    OFFER = "offer"
    BOOK = "book"


class Reply(StrEnum):
    """What is said to an offer."""

    ACCEPT = "accept"
    DECLINE = "decline"


@blueprint.get("/waitlist", endpoint="waitlist")
@needs("waitlist.list")
def show_waitlist() -> Answer:
    """Show all that one wishes for and waits for, with what is offered first."""
    return _own_page()


def _own_page(*, problem: Sequence[object] = (), status: int = 200) -> Answer:
    with reading() as session:
        places = waitlist.mine(session, actor=actor())
        of_rounds = round_wishes.mine(session, actor=actor(), limit=IN_ROUNDS)
        asked, why = _why(session, places, utc_now())
    page = render_template(
        "waitlist/mine.html",
        places=[place for place in places if place.entry.state in waitlist.OPEN],
        over=[place for place in places if place.entry.state not in waitlist.OPEN],
        of_rounds=[(wish, row) for wish, row in of_rounds if wish.state is WishState.WAITING],
        words_of=plan_words,
        asked=asked,
        why=why,
        state_words=state_words(),
        problem=problem,
        local_date=local_date,
        now=utc_now(),
    )
    return page, status


def _why(session: Session, places: Sequence[InLine], now: datetime) -> tuple[UUID | None, list[str]]:
    """Give the wish of which somebody asks why nothing is found yet, and what there is to say."""
    asked = next((one for one in places if str(one.entry.id) == request.args.get("why")), None)
    if asked is None or asked.entry.state is not EntryState.WAITING:
        return None, []
    reasons = wish_reasons.so_far(session, entry=asked.entry, now=now)
    return asked.entry.id, [plan_words.why(one) for one in reasons]


def state_words() -> dict[str, str]:
    """Name where places in the line stand."""
    return {
        EntryState.WAITING.value: _("Waiting"),
        EntryState.OFFERED.value: _("Offered to you"),
        EntryState.SERVED.value: _("Booked"),
        EntryState.LEFT.value: pgettext("a place in the line", "Given up"),
        EntryState.LAPSED.value: _("Over"),
    }


# --- joining --------------------------------------------------------------------------------------


@blueprint.get("/waitlist/new", endpoint="new_place")
@needs("waitlist.join")
def show_new_place() -> Answer:
    """Show the form: so long, within some days, on any instrument that suits."""
    typed = {name: request.args.get(name, "") for name in FIELDS}
    return _form_page(typed, {})


@blueprint.post("/waitlist/new")
@needs("waitlist.join")
def join_waitlist() -> Answer:
    """Wish for any time within the days, on any instrument that suits; what comes free is offered, or booked."""
    typed = fields(*FIELDS)
    wanted, wrong = abilities.added(typed["capability"], typed)
    if not wrong:
        typed |= {"capability": wanted, **dict.fromkeys(abilities.FIELDS, "")}
    intake = Intake(typed)
    intake.errors |= wrong
    minutes = intake.whole("minutes", least=1, most=line_minutes())
    quantity = intake.whole("quantity", least=1, most=MOST_UNITS, default=1)
    purpose = intake.text("purpose", longest=waitlist.LONGEST_PURPOSE, lines=True)
    project_id = intake.key("project")
    found = intake.choice("found", Found) if typed["found"] else Found.OFFER
    days = _stretches(intake)
    if intake.errors or minutes is None or quantity is None:
        return _form_page(typed, intake.errors, status=422)
    now = utc_now()
    try:
        with transaction() as session:
            places, filters, zone, words = _wanted(session, typed)
            windows = _windows(days, zone, now)
            waitlist.join(
                session,
                actor=actor(),
                instrument_ids=places,
                window=Span(windows[0].start, windows[-1].end),
                windows=windows if len(windows) > 1 else (),
                at_once=found is Found.BOOK,
                may_move=bool(typed["may_move"]),
                minutes=minutes,
                quantity=quantity,
                project_id=project_id,
                purpose=purpose,
                wish=words,
                filters=filters,
                now=now,
            )
    except Refused as refusal:
        reasons = sentences(refusal.reasons[:5], HOME_ZONE)
        return _form_page(typed, {}, problem=reasons, status=409)
    except Invalid as error:
        wrong = {_FIELD_OF.get(name, name): code for name, code in error.errors.items()}
        return _form_page(typed, wrong, status=422)
    if found is Found.BOOK:
        flash(
            _("You are in line. When a time comes free it is booked for you, and you hear of it."), "success"
        )
    else:
        flash(_("You are in line. When a time comes free you are asked, by mail and here."), "success")
    return redirect(url_for("web.waitlist"), 303)


_FIELD_OF = {
    "windows": "last",
    "end": "last",
    "duration": "minutes",
    "instruments": "q",
    "wish": "q",
    "project_id": "project",
}


def found_options() -> list[tuple[str, str]]:
    """Give what may be done with a time that is found."""
    return [
        (Found.OFFER.value, _("Ask me: it is kept for me while I answer")),
        (Found.BOOK.value, _("Book it at once: nobody can take it, and I can still cancel")),
    ]


def line_minutes() -> int:
    """Give the longest use that a window can hold."""
    return int(waitlist.LONGEST_WINDOW.total_seconds() // 60)


def _stretches(intake: Intake) -> list[tuple[date, date]]:
    """Give the stretches of days that were typed, the first of which must be."""
    found = []
    for number in ("", *MORE_WINDOWS):
        names = f"first{number}", f"last{number}"
        if number and not any(intake.raw(name) for name in names):
            continue
        first, last = (_day(intake, name) for name in names)
        if first and last and last < first:
            intake.errors[names[1]] = "inverted"
        elif first and last:
            found.append((first, last))
    return sorted(found)


def _windows(days: Sequence[tuple[date, date]], zone: str, now: datetime) -> list[Span]:
    """Give the stretches of days in time, what is past cut off; at least one, however late."""
    minute = now.replace(second=0, microsecond=0)
    whole = [Span(midnight(first, zone), midnight(last + timedelta(days=1), zone)) for first, last in days]
    ahead = merge(Span(max(one.start, minute), one.end) for one in whole)
    return ahead or [Span(minute, whole[-1].end)]


def _day(intake: Intake, name: str) -> date | None:
    day = as_date(intake.raw(name))
    if day is None:
        intake.errors[name] = "malformed" if intake.raw(name) else "required"
    return day


def _wanted(session: Session, typed: Mapping[str, str]) -> tuple[list[int], Filters | None, str, str]:
    """Give the instruments that would do, by what they were found, the zone whose days are meant, the wish in words."""
    if code := as_code(typed["instrument"]):
        place = instruments.by_code(session, actor=actor(), code=code)
        return [place.id], None, place.facility.zone, ""
    filters = Filters(**{name: typed[name].strip() for name in FILTERS})
    if not any(getattr(filters, name) for name in FILTERS):
        raise Invalid({"q": "nothing_named"})
    found = waitlist.instruments_for(session, actor=actor(), filters=filters)
    zone = HOME_ZONE
    if filters.facility:
        zone = facilities.by_code(session, code=filters.facility).zone
    return found, filters, zone, wish_words(session, filters)


def wish_words(session: Session, filters: Filters) -> str:
    """Keep the wish in the words that were typed, classes and facilities by their names."""
    classes = {row.code: name_of(row) for row in catalogue.categories(session)}
    places = {row.code: name_of(row) for row in facilities.listing(session)}
    said_so = (
        filters.q,
        classes.get(filters.category, filters.category),
        *(abilities.words(part) for part in ability_needs.parts(filters.capability)),
        places.get(filters.facility, filters.facility),
    )
    return " · ".join(word for word in said_so if word)[: waitlist.LONGEST_WISH]


def _form_page(
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    problem: Sequence[object] = (),
    status: int = 200,
) -> Answer:
    now = utc_now()
    with reading() as session:
        code = as_code(typed["instrument"])
        instrument = instruments.by_code(session, actor=actor(), code=code) if code else None
        places = facilities.listing(session)
        classes = [row for row in catalogue.categories(session) if len(row.code) == 2]
        own = projects.of_actor(session, actor=actor())
    today = local_date(now, instrument.facility.zone if instrument else HOME_ZONE)
    usual = {
        "first": today.isoformat(),
        "last": (today + timedelta(days=NEXT_DAYS)).isoformat(),
        "minutes": str(USUAL_LENGTH),
        "quantity": "1",
        "found": Found.OFFER.value,
    }
    filled = {**typed, **{name: value for name, value in usual.items() if not typed.get(name)}}
    length = (
        int(filled["minutes"])
        if filled["minutes"].isdecimal() and len(filled["minutes"]) < 7
        else USUAL_LENGTH
    )
    names = {
        "q": _("Words"),
        "capability": _("Ability"),
        "ability": _("Ability"),
        "limit": _("Limit"),
        "figure": _("Figure"),
        "first": _("First day"),
        "last": _("Last day"),
        **{f"first{number}": _("Or from") for number in MORE_WINDOWS},
        **{f"last{number}": _("To") for number in MORE_WINDOWS},
        "found": _("When a time is found"),
        "minutes": _("For how long"),
        "quantity": _("Units"),
        "project": _("Project"),
        "purpose": _("Purpose"),
    }
    page = render_template(
        "waitlist/new.html",
        typed=filled,
        needed=[abilities.words(part) for part in ability_needs.parts(filled["capability"])],
        instrument=instrument,
        errors=said(errors, names),
        problems={name: wording.error_sentence(code) for name, code in errors.items()},
        problem=problem,
        lengths=lengths(length),
        category_options=[("", _("Any")), *((row.code, name_of(row)) for row in classes)],
        facility_options=[("", _("Any")), *((row.code, name_of(row)) for row in places)],
        projects=[("", _("No project")), *((str(p.id), f"{p.code} · {p.name}") for p in own)],
        longest=waitlist.LONGEST_PURPOSE,
        more_windows=MORE_WINDOWS,
        found_options=found_options(),
    )
    return page, status


# --- leaving and answering ------------------------------------------------------------------------


@blueprint.post("/waitlist/<uuid:entry_id>/leaving")
@needs("waitlist.answer")
def leave_line(entry_id: UUID) -> Answer:
    """Wait no longer."""
    fields()
    try:
        with transaction() as session:
            waitlist.leave(session, actor=actor(), entry_id=entry_id, now=utc_now())
    except Stale:
        flash(_("At this very moment something was offered to you. Look at it first."), "warning")
        return redirect(url_for("web.waitlist"), 303)
    flash(_("You wait no longer."), "success")
    return redirect(url_for("web.waitlist"), 303)


@blueprint.post("/offers/<uuid:offer_id>/answer")
@needs("waitlist.answer")
def answer_offer(offer_id: UUID) -> Answer:
    """Take what was offered, or let it pass to the next in line."""
    reply = _reply()
    try:
        booking_id, words = _answer(actor(), offer_id, reply, utc_now())
    except Refused as refusal:
        return _own_page(problem=sentences(refusal.reasons, HOME_ZONE), status=409)
    flash(words, "success")
    if booking_id is None:
        return redirect(url_for("web.waitlist"), 303)
    return redirect(url_for("web.booking", booking_id=booking_id), 303)


def _reply() -> Reply:
    intake = Intake(fields("answer"))
    reply = intake.choice("answer", Reply)
    if reply is None:
        raise Invalid(intake.errors)
    return reply


def _answer(who: Actor, offer_id: UUID, reply: Reply, now: datetime) -> tuple[UUID | None, str]:
    """Carry the answer out; give the booking that came of it, if any, and what to say."""
    with transaction() as session:
        if reply is Reply.DECLINE:
            entry = offers.decline(session, actor=who, offer_id=offer_id, now=now)
            if entry.state is EntryState.WAITING:
                return None, _("It goes to the next in line. You go on waiting for other times.")
            return None, _("It goes to the next in line.")
        booking = offers.accept(session, actor=who, offer_id=offer_id, now=now)
        if booking.state is State.REQUESTED:
            return booking.id, _("Your request is in. The time is held for you until the facility decides.")
        return booking.id, _("Booked. The time is yours.")


# --- the link of the mail -------------------------------------------------------------------------


@blueprint.get("/offers/<uuid:link_id>/<secret>", endpoint="offer_by_link")
@open_to_all
def show_offer_by_link(link_id: UUID, secret: str) -> Answer:
    """Show what a mailed link offers; looking at it answers nothing."""
    try:
        return _linked_page(link_id, secret)
    except NotFound:
        return _link_is_over()


@blueprint.post("/offers/<uuid:link_id>/<secret>")
@open_to_all
def answer_by_link(link_id: UUID, secret: str) -> Answer:
    """Answer an offer by its link; no signing in is needed."""
    reply, now = _reply(), utc_now()
    try:
        with reading() as session:
            person, offer_id = offers.linked(session, link_id=link_id, secret=secret, now=now)
        speak_as_the_letter(person.locale)
        words = _answer(person, offer_id, reply, now)[1]
        return _linked_page(link_id, secret, done=words)
    except Refused as refusal:
        return _linked_page(link_id, secret, problem=sentences(refusal.reasons, HOME_ZONE), status=409)
    except NotFound:
        return _link_is_over()


def _linked_page(
    link_id: UUID, secret: str, *, done: str = "", problem: Sequence[object] = (), status: int = 200
) -> Answer:
    now = utc_now()
    with reading() as session:
        person, offer_id = offers.linked(session, link_id=link_id, secret=secret, now=now)
        place = waitlist.entry_of(session, offer_id=offer_id)
    speak_as_the_letter(person.locale)
    offer = next(one for one in place.entry.offers if one.id == offer_id)
    page = render_template(
        "waitlist/offer.html",
        place=place,
        offer=offer,
        instrument=place.named[offer.instrument_id],
        open=offer.state is OfferState.OPEN and offer.deadline > now,
        state=wording.sentence("offer_over", {"state": offer.state.value}),
        address=url_for("web.offer_by_link", link_id=link_id, secret=secret),
        done=done,
        problem=problem,
    )
    return page, status


def _link_is_over() -> Answer:
    return render_template("waitlist/link_is_over.html"), 404


# --- the facility's line --------------------------------------------------------------------------


@blueprint.get("/waitlist/facility", endpoint="facility_waitlist")
@needs("facility.desk")
def show_facility_waitlist() -> Answer:
    """Show who waits for the instruments of a facility, in the order of the line."""
    with reading() as session:
        staffed = facilities.managed(session, actor=actor())
        facility = chosen_facility(staffed, request.args.get("facility"))
    return _facility_page(facility)


def _facility_page(
    facility: Facility,
    *,
    errors: Mapping[str, str] | None = None,
    wrong: UUID | None = None,
    status: int = 200,
) -> Answer:
    page, page_size = page_wanted(default=PAGE_SIZE, most=PAGE_SIZE)
    with reading() as session:
        places, total = waitlist.of_facility(
            session, actor=actor(), facility_id=facility.id, page=page, page_size=page_size
        )
    content = render_template(
        "waitlist/facility.html",
        facility=facility,
        places=places,
        total=total,
        page=page,
        page_size=page_size,
        page_url=page_url,
        ranks=may(actor(), "waitlist.rank", Subject(facility_id=facility.id)),
        errors=errors or {},
        wrong=wrong,
        least=line.FIRST,
        most=line.LAST,
        usual=line.USUAL,
        state_words=state_words(),
    )
    return content, status


@blueprint.post("/waitlist/<uuid:entry_id>/rank")
@needs("waitlist.rank")
def rank_place(entry_id: UUID) -> Answer:
    """Put a place in the line into another class of priority."""
    form = fields("priority", "reason", "facility")
    intake = Intake(form)
    priority = intake.whole("priority", least=line.FIRST, most=line.LAST)
    reason = intake.text("reason", longest=LONGEST_NOTE)
    if not intake.errors and len(reason) < 3:
        intake.errors["reason"] = "required"
    with reading() as session:
        waitlist.get(session, actor=actor(), entry_id=entry_id)
        facility = chosen_facility(facilities.managed(session, actor=actor()), as_code(form["facility"]))
    if intake.errors or priority is None:
        problems = {name: wording.error_sentence(code) for name, code in intake.errors.items()}
        return _facility_page(facility, errors=problems, wrong=entry_id, status=422)
    with transaction() as session:
        waitlist.rank(
            session, actor=actor(), entry_id=entry_id, priority=priority, reason=reason, now=utc_now()
        )
    flash(_("The line has another order now."), "success")
    return redirect(url_for("web.facility_waitlist", facility=facility.code), 303)
