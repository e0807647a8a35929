"""Qualifications: my own, one to ask for, and for the staff what waits, who holds what, and what is taught."""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import Session, reading, transaction
from booking.domain import hours
from booking.domain.access import NotFound, Subject, may
from booking.domain.qualifications import Mode, Step
from booking.domain.rules import Invalid, Reason, Refused
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, identity, utc_now
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import acting, facilities, instruments, qualifications
from booking.services.qualifications import LONGEST_NOTE, MOST_MONTHS, MOST_SEATS, OPEN
from booking.web import blueprint
from booking.web.closures import chosen_facility
from booking.web.forms import LONGEST_ADDRESS, LONGEST_TEXT, Intake, as_code, as_date
from booking.web.judgement import sentences
from models import Certificate, Facility, Qualification

Answer = str | Redirect | tuple[str, int]

SPAN_FIELDS = ("start_date", "start_time", "end_date", "end_time")
ABOUT_FIELDS = ("name_zh", "name_en", "about_zh", "about_en", "months")

LOOKS = {"granted": "good", "requested": "warn", "scheduled": "warn", "refused": "bad", "revoked": "bad"}

MEET = timedelta(days=60)
"""So long after a training session its people can still be granted from its list."""


def mode_words() -> dict[str, tuple[str, str]]:
    """Name when a qualification must be held, and say what that means."""
    return {
        Mode.BEFORE_BOOKING.value: (
            _("Before booking"),
            _("Without it a booking is refused."),
        ),
        Mode.BEFORE_START.value: (
            _("Before the start"),
            _("A booking is accepted on condition; without it nobody can check in."),
        ),
        Mode.WAIVED.value: (
            _("Not needed here"),
            _("Lifts what is wanted of the whole facility or of a category."),
        ),
    }


def _step(row: Certificate, today: date) -> str:
    over = row.state is Step.GRANTED and row.expires_on is not None and row.expires_on <= today
    return "expired" if over else row.state.value


def _shown(rows: Sequence[Certificate], now: datetime) -> dict[UUID, tuple[str, str]]:
    """Give the words and the look of how far each of them has come."""
    steps = {row.id: _step(row, now.date()) for row in rows}
    return {key: (wording.step_name(step), LOOKS.get(step, "")) for key, step in steps.items()}


def _label() -> dict[str, str]:
    return {
        "code": _("Code"),
        "name_zh": _("Chinese name"),
        "name_en": _("English name"),
        "about_zh": _("About it, in Chinese"),
        "about_en": _("About it, in English"),
        "months": _("Months"),
        "note": _("Note"),
        "reason": _("Reason"),
        "seats": _("Seats"),
        "place": _("Place"),
        "person": _("Address of the person"),
        "granted_on": _("Granted on"),
        "expires_on": _("Ends on"),
        "instrument": _("Instrument"),
        "category": _("Category"),
        "start_date": _("Start date"),
        "start_time": _("Start time"),
        "end_date": _("End date"),
        "end_time": _("End time"),
    }


def _told(errors: Mapping[str, str]) -> dict[str, Any]:
    """Give the errors of a form to its template: for the summary, and beside the fields."""
    words = {name: wording.error_sentence(code) for name, code in errors.items()}
    named = {
        name: _("%(field)s: %(problem)s", field=label, problem=word)
        if (label := _label().get(name))
        else word
        for name, word in words.items()
    }
    return {"errors": named, "problems": words}


def _try(do: Callable[[Session], Any], again: Callable[..., Answer], words: str, href: str) -> Answer:
    """Do one thing, say so and go on; what is refused or makes no sense is told on the page it came from."""
    try:
        with transaction() as session:
            do(session)
    except Refused as refusal:
        return again(status=409, problem=refusal.reasons)
    except Invalid as error:
        return again(status=422, wrong=error.errors)
    flash(words, "success")
    return redirect(href, 303)


# --- one's own ------------------------------------------------------------------------------------


@blueprint.get("/qualifications", endpoint="my_qualifications")
@needs("qualification.own")
def show_my_qualifications() -> Answer:
    """Show what I hold and what I asked for, and what can be had."""
    return _mine_page()


def _mine_page(
    *, status: int = 200, problem: Sequence[Reason] = (), wrong: Mapping[str, str] | None = None
) -> Answer:
    now = utc_now()
    with reading() as session:
        rows = qualifications.own(session, actor=actor())
        offered = qualifications.listing(session)
        places = {place.id: place for place in facilities.listing(session)}
    page = render_template(
        "qualifications/mine.html",
        rows=rows,
        shown=_shown(rows, now),
        open_steps=[step.value for step in OPEN],
        offered=_grouped(offered, places),
        places=places,
        zone=_zone(),
        reasons=sentences(problem, "UTC"),
        **_told(wrong or {}),
    )
    return page, status


def _grouped(
    rows: Sequence[Qualification], places: Mapping[int, Facility]
) -> list[tuple[Facility, list[Qualification]]]:
    found: dict[int, list[Qualification]] = {}
    for row in rows:
        found.setdefault(row.facility_id, []).append(row)
    return sorted(((places[key], some) for key, some in found.items()), key=lambda pair: pair[0].code)


def _zone() -> str:
    return identity().zone or "Asia/Shanghai"


@blueprint.get("/qualifications/<code>", endpoint="qualification")
@needs("qualification.read")
def show_qualification(code: str) -> Answer:
    """Show what a qualification is for, where it is needed, when it is taught, and how to get it."""
    return _one_page(code)


def _one_page(
    code: str,
    *,
    status: int = 200,
    problem: Sequence[Reason] = (),
    wrong: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Answer:
    now = utc_now()
    with reading() as session:
        row = qualifications.by_code(session, code=as_code(code))
        place = _facility(session, row)
        needed = qualifications.needed_at(session, code=row.code, now=now)
        teaching = qualifications.sessions(session, qualification_ids=[row.id], now=now)
        own = qualifications.own(session, actor=actor()) if actor().signed_in else []
        own = [one for one in own if one.qualification_id == row.id]
    latest = own[0] if own else None
    page = render_template(
        "qualifications/one.html",
        row=row,
        facility=place,
        zone=place.zone,
        needed=[one for one in needed if one.mode is not Mode.WAIVED],
        modes=mode_words(),
        teaching=teaching,
        latest=latest,
        shown=_shown(own, now),
        waits=latest is not None and latest.state in OPEN,
        now=now,
        keeps=may(actor(), "qualification.train", Subject(facility_id=place.id)),
        longest=LONGEST_NOTE,
        typed={"note": "", "session": ""} | dict(typed or {}),
        reasons=sentences(problem, place.zone),
        **_told(wrong or {}),
    )
    return page, status


def _facility(session: Session, row: Qualification) -> Facility:
    return next(place for place in facilities.listing(session) if place.id == row.facility_id)


@blueprint.post("/qualifications/<code>/requests")
@needs("qualification.ask")
def ask_qualification(code: str) -> Answer:
    """Ask for a qualification, with or without a seat in a training session."""
    typed = fields("note", "session")
    intake = Intake(typed)
    note = intake.text("note", longest=LONGEST_NOTE, lines=True)
    session_id = intake.key("session")

    def again(**more: Any) -> Answer:
        return _one_page(code, typed=typed, **more)

    if intake.errors:
        return again(status=422, wrong=intake.errors)
    return _try(
        lambda session: qualifications.ask(
            session, actor=actor(), code=as_code(code), session_id=session_id, note=note, now=utc_now()
        ),
        again,
        _("Asked for. The facility decides, and you hear of it."),
        url_for("web.my_qualifications"),
    )


@blueprint.post("/certificates/<uuid:certificate_id>/seat")
@needs("qualification.ask")
def choose_seat(certificate_id: UUID) -> Answer:
    """Take a seat in a training session, or give somebody one."""
    intake = Intake(fields("session"))
    session_id = intake.key("session")
    if session_id is None:
        raise Invalid({"session": "required"})
    certificate, again, href = _place_of(certificate_id)
    own = certificate.person_id == actor().person_id
    return _try(
        lambda session: qualifications.schedule(
            session, actor=actor(), certificate_id=certificate_id, session_id=session_id, now=utc_now()
        ),
        again,
        _("The seat is yours.")
        if own
        else _("%(name)s has a seat in this session.", name=certificate.person.name),
        href,
    )


@blueprint.post("/certificates/<uuid:certificate_id>/withdrawal")
@needs("qualification.ask")
def withdraw_request(certificate_id: UUID) -> Answer:
    """Take a request back."""
    fields()
    return _try(
        lambda session: qualifications.withdraw(
            session, actor=actor(), certificate_id=certificate_id, now=utc_now()
        ),
        _mine_page,
        _("The request is withdrawn."),
        url_for("web.my_qualifications"),
    )


def _place_of(certificate_id: UUID) -> tuple[Certificate, Callable[..., Answer], str]:
    """Give a certificate with the page it is kept on: its person's, or the facility's for the staff."""
    with reading() as session:
        found = qualifications.get(session, actor=actor(), certificate_id=certificate_id)
        place = _facility(session, found.qualification)
    if found.person_id == actor().person_id:
        return found, _mine_page, url_for("web.my_qualifications")

    def again(**more: Any) -> Answer:
        return _staff_page(place.code, **more)

    return found, again, url_for("web.facility_qualifications", facility=place.code)


# --- the facility's -------------------------------------------------------------------------------


@blueprint.get("/facilities/<facility>/qualifications", endpoint="facility_qualifications")
@needs("qualification.train")
def show_facility_qualifications(facility: str) -> Answer:
    """Show what waits, what is taught, and who holds what until when."""
    return _staff_page(facility)


def _staff_page(
    code: str,
    *,
    status: int = 200,
    problem: Sequence[Reason] = (),
    wrong: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Answer:
    now, (number, page_size) = utc_now(), page_wanted(default=50, most=100)
    with reading() as session:
        staffed = facilities.managed(session, actor=actor())
        facility = chosen_facility(staffed, as_code(code))
        defined = qualifications.listing(session, facility_id=facility.id)
        waiting, waits = qualifications.of_facility(
            session, actor=actor(), facility_id=facility.id, steps=OPEN, page_size=100
        )
        people, total = qualifications.of_facility(
            session,
            actor=actor(),
            facility_id=facility.id,
            steps=[Step.GRANTED],
            page=number,
            page_size=page_size,
        )
        teaching = qualifications.sessions(session, qualification_ids=[row.id for row in defined], now=now)
    page = render_template(
        "qualifications/facility.html",
        facility=facility,
        staffed=staffed,
        zone=facility.zone,
        defined=defined,
        waiting=waiting,
        waits=waits,
        people=people,
        total=total,
        page=number,
        page_size=page_size,
        page_url=page_url,
        shown=_shown([*waiting, *people], now),
        teaching=teaching,
        now=now,
        defines=may(actor(), "qualification.define", Subject(facility_id=facility.id)),
        typed={**dict.fromkeys(("code", *ABOUT_FIELDS), ""), **(typed or {})},
        longest=LONGEST_NOTE,
        reasons=sentences(problem, facility.zone),
        **_told(wrong or {}),
    )
    return page, status


@blueprint.post("/facilities/<facility>/qualifications")
@needs("qualification.define")
def define_qualification(facility: str) -> Answer:
    """Define a qualification that the facility gives."""
    typed = fields("code", *ABOUT_FIELDS)
    intake = Intake(typed)
    about, months = _about(intake)
    with reading() as session:
        place = chosen_facility(facilities.managed(session, actor=actor()), as_code(facility))

    def again(**more: Any) -> Answer:
        return _staff_page(facility, typed=typed, **more)

    if intake.errors:
        return again(status=422, wrong=intake.errors)
    code = typed["code"].strip()
    return _try(
        lambda session: qualifications.define(
            session,
            actor=actor(),
            facility_id=place.id,
            code=code,
            months=months,
            **about,
            now=utc_now(),
        ),
        again,
        _("Defined. Say now of whom it is wanted."),
        url_for("web.keep_qualification", code=code),
    )


def _about(intake: Intake) -> tuple[dict[str, str], int | None]:
    months = intake.whole("months", least=1, most=MOST_MONTHS) if intake.raw("months") else None
    about = {name: intake.text(name, longest=300) for name in ("name_zh", "name_en")}
    about |= {name: intake.text(name, longest=LONGEST_TEXT, lines=True) for name in ("about_zh", "about_en")}
    return about, months


@blueprint.post("/certificates/<uuid:certificate_id>/grant")
@needs("qualification.train")
def grant_certificate(certificate_id: UUID) -> Answer:
    """Grant what somebody asked for."""
    fields()
    found, again, href = _place_of(certificate_id)
    return _try(
        lambda session: qualifications.grant(
            session, actor=actor(), certificate_id=certificate_id, now=utc_now()
        ),
        again,
        _("Granted: %(name)s, %(what)s.", name=found.person.name, what=name_of(found.qualification)),
        href,
    )


@blueprint.post("/certificates/<uuid:certificate_id>/refusal")
@needs("qualification.train")
def refuse_certificate(certificate_id: UUID) -> Answer:
    """Refuse a request, with a reason."""
    words = _("Refused; the person reads the reason.")
    return _with_reason(certificate_id, qualifications.refuse, words, Intake(fields("reason")))


@blueprint.post("/certificates/<uuid:certificate_id>/revocation")
@needs("qualification.define")
def revoke_certificate(certificate_id: UUID) -> Answer:
    """Take a qualification away, with a reason."""
    intake = Intake(fields("reason", "expires_on"))
    until = intake.day("expires_on") if intake.raw("expires_on") else None
    command = functools.partial(qualifications.revoke, expires_on=until)
    words = (
        _("Taken away; the person reads the reason.")
        if until is None
        else _("It ends earlier now; the person reads the reason.")
    )
    return _with_reason(certificate_id, command, words, intake)


def _with_reason(
    certificate_id: UUID, command: Callable[..., Certificate], words: str, intake: Intake
) -> Answer:
    reason = intake.text("reason", longest=LONGEST_NOTE, lines=True)
    _found, again, href = _place_of(certificate_id)
    if intake.errors:
        return again(status=422, wrong=intake.errors)
    return _try(
        lambda session: command(
            session, actor=actor(), certificate_id=certificate_id, reason=reason, now=utc_now()
        ),
        again,
        words,
        href,
    )


# --- one qualification, for those who keep it -----------------------------------------------------


@blueprint.get("/qualifications/<code>/keeping", endpoint="keep_qualification")
@needs("qualification.train")
def show_keeping(code: str) -> Answer:
    """Show where a qualification is needed, when it is taught to whom, and what it is called."""
    return _keeping_page(code)


def _keeping_page(
    code: str,
    *,
    status: int = 200,
    problem: Sequence[Reason] = (),
    wrong: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Answer:
    now = utc_now()
    with reading() as session:
        row, place = _kept(session, code)
        needed = qualifications.needed_at(session, code=row.code, now=now)
        teaching = qualifications.sessions(session, qualification_ids=[row.id], now=now, since=MEET)
        asked, _total = qualifications.of_facility(
            session, actor=actor(), facility_id=place.id, steps=OPEN, code=row.code, page_size=200
        )
        all_of, categories = qualifications.places_to_want_it(session, actor=actor(), facility_id=place.id)
    came: dict[UUID, list[Certificate]] = {}
    for one in asked:
        if one.session_id is not None:
            came.setdefault(one.session_id, []).append(one)
    now_typed = {
        **dict.fromkeys((*SPAN_FIELDS, "place", "person", "granted_on", "expires_on", "instrument"), ""),
        "seats": "8",
        "category": "",
        "mode": Mode.BEFORE_BOOKING.value,
        **{name: str(getattr(row, name) or "") for name in ABOUT_FIELDS},
        **(typed or {}),
    }
    page = render_template(
        "qualifications/keeping.html",
        row=row,
        facility=place,
        zone=place.zone,
        needed=needed,
        modes=mode_words(),
        teaching=teaching,
        came=came,
        all_of=[
            ("", _("Every instrument of the facility")),
            *((i.code, f"{name_of(i)} · {i.code}") for i in all_of),
        ],
        categories=[("", _("No category")), *((c.code, f"{c.code} {name_of(c)}") for c in categories)],
        defines=may(actor(), "qualification.define", Subject(facility_id=place.id)),
        now=now,
        typed=now_typed,
        reasons=sentences(problem, place.zone),
        **_told(wrong or {}),
    )
    return page, status


def _kept(session: Session, code: str) -> tuple[Qualification, Facility]:
    """Give a qualification of a facility where the reader works.

    :raises NotFound: if there is none
    """
    row = qualifications.by_code(session, code=as_code(code))
    for place in facilities.managed(session, actor=actor()):
        if place.id == row.facility_id:
            return row, place
    raise NotFound("qualification", code)


def _again(code: str, typed: Mapping[str, str]) -> Callable[..., Answer]:
    with reading() as session:
        _kept(session, code)

    def again(**more: Any) -> Answer:
        return _keeping_page(code, typed=typed, **more)

    return again


def _keeping(code: str) -> str:
    return url_for("web.keep_qualification", code=code)


@blueprint.post("/qualifications/<code>/keeping")
@needs("qualification.define")
def redefine_qualification(code: str) -> Answer:
    """Change what it is called and how long it lasts."""
    typed = fields(*ABOUT_FIELDS)
    intake = Intake(typed)
    about, months = _about(intake)
    again = _again(code, typed)
    if intake.errors:
        return again(status=422, wrong=intake.errors)
    return _try(
        lambda session: qualifications.redefine(
            session, actor=actor(), code=code, months=months, **about, now=utc_now()
        ),
        again,
        _("Saved."),
        _keeping(code),
    )


@blueprint.post("/qualifications/<code>/retirement")
@needs("qualification.define")
def retire_qualification(code: str) -> Answer:
    """Give it no more."""
    fields()
    with reading() as session:
        _row, place = _kept(session, code)
    with transaction() as session:
        qualifications.retire(session, actor=actor(), code=code, now=utc_now())
    flash(_("It is given no more, and nothing needs it."), "success")
    return redirect(url_for("web.facility_qualifications", facility=place.code), 303)


@blueprint.post("/qualifications/<code>/needs")
@needs("qualification.define")
def need_qualification(code: str) -> Answer:
    """Want it of those who use an instrument, a category, or any of the facility's."""
    typed = fields("instrument", "category", "mode")
    intake = Intake(typed)
    mode = intake.choice("mode", Mode, Mode.BEFORE_BOOKING)
    again = _again(code, typed)
    if intake.errors or mode is None:
        return again(status=422, wrong=intake.errors)

    def do(session: Session) -> None:
        wanted = as_code(typed["instrument"])
        place = instruments.by_code(session, actor=actor(), code=wanted).id if wanted else None
        qualifications.need(
            session,
            actor=actor(),
            code=code,
            instrument_id=place,
            category=as_code(typed["category"]) or None,
            mode=mode,
            now=utc_now(),
        )

    return _try(do, again, _("It counts from today on."), _keeping(code))


@blueprint.post("/qualifications/<code>/needs/<int(max=9223372036854775807):rule_id>/end")
@needs("qualification.define")
def end_need(code: str, rule_id: int) -> Answer:
    """Want it there no more."""
    fields()
    again = _again(code, {})
    return _try(
        lambda session: qualifications.need_no_more(
            session, actor=actor(), code=code, rule_id=rule_id, now=utc_now()
        ),
        again,
        _("It is no longer required there."),
        _keeping(code),
    )


@blueprint.post("/qualifications/<code>/sessions")
@needs("qualification.train")
def plan_training(code: str) -> Answer:
    """Plan a training session."""
    typed = fields(*SPAN_FIELDS, "seats", "place")
    intake = Intake(typed)
    with reading() as session:
        _row, place = _kept(session, code)
    span = intake.span(hours.zone(place.zone))
    seats = intake.whole("seats", least=1, most=MOST_SEATS)
    room = intake.text("place", longest=300)
    again = _again(code, typed)
    if intake.errors or span is None or seats is None:
        return again(status=422, wrong=intake.errors)

    def do(session: Session) -> None:
        try:
            qualifications.plan(
                session,
                actor=actor(),
                code=code,
                starts_at=span.start,
                ends_at=span.end,
                seats=seats,
                place=room,
                now=utc_now(),
            )
        except Invalid as error:
            wrong = {"end_date" if name == "end" else name: said for name, said in error.errors.items()}
            raise Invalid(wrong) from None

    return _try(do, again, _("Planned. People can take its seats."), _keeping(code))


@blueprint.post("/training-sessions/<uuid:session_id>/cancellation")
@needs("qualification.train")
def call_training_off(session_id: UUID) -> Answer:
    """Call a training session off."""
    code = as_code(fields("code")["code"])
    again = _again(code, {})
    return _try(
        lambda session: qualifications.call_off(session, actor=actor(), session_id=session_id, now=utc_now()),
        again,
        _("Called off; its people are told and wait for another."),
        _keeping(code),
    )


@blueprint.post("/qualifications/<code>/awards")
@needs("qualification.train")
def award_qualification(code: str) -> Answer:
    """Grant it to somebody who did not ask here."""
    typed = fields("person", "granted_on", "expires_on")
    intake = Intake(typed)
    named = intake.text("person", longest=LONGEST_ADDRESS)
    if not named and not intake.errors:
        intake.errors["person"] = "required"
    days = {name: as_date(intake.raw(name)) for name in ("granted_on", "expires_on")}
    intake.errors |= {name: "malformed" for name, day in days.items() if day is None and intake.raw(name)}
    again = _again(code, typed)
    if intake.errors:
        return again(status=422, wrong=intake.errors)
    return _try(
        lambda session: qualifications.award(
            session,
            actor=actor(),
            code=code,
            person_id=acting.person_called(session, named, field="person"),
            **days,
            now=utc_now(),
        ),
        again,
        _("Granted."),
        _keeping(code),
    )
