"""Kiosks: where managers make them, what the tablet shows and does, and one's own badge and PIN.

A tablet belongs to nobody: whoever acts there is known for that one act by badge or PIN, never by a session.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from booking import i18n, wording
from booking.db import Session, reading, transaction
from booking.domain import badges
from booking.domain.access import Actor, Forbidden, NotFound
from booking.domain.lifecycle import WrongMove
from booking.domain.occupation import Item
from booking.domain.rules import Invalid, Reason, Refused
from booking.gateways import labels as drawing
from booking.gateways.labels import Label
from booking.http import limits
from booking.http.context import public_url_for, settings
from booking.http.forms import choices, fields, sentences
from booking.http.guard import needs, open_to_all
from booking.http.identity import actor, identity, utc_now
from booking.http.logs import security
from booking.i18n import gettext as _
from booking.i18n import name_of, pgettext
from booking.services import (
    accounts,
    bookings,
    catalogue,
    facilities,
    faults,
    instruments,
    kiosks,
    labels,
    offers,
    rate_limits,
    standby,
)
from booking.services.catalogue import Filters
from booking.services.kiosks import Claim, Place
from booking.services.labels import Status
from booking.services.rate_limits import Limit
from booking.web import blueprint
from booking.web.closures import chosen_facility
from booking.web.forms import LONGEST_TEXT, Intake, as_code, as_uuid
from booking.web.judgement import sentences as reason_sentences
from models import KioskKind, Look

Answer = str | Response | tuple[str, int]

QUARTER = 15 * 60
BY_KIOSK = Limit("kiosk", 30, QUARTER)
BY_BOOKING = Limit("kiosk-booking", 5, QUARTER)
PASSWORD_ASKED = Limit("password-asked", 10, QUARTER)


# --- where they are made --------------------------------------------------------------------------


@blueprint.get("/kiosks", endpoint="kiosks")
@needs("kiosk.keep")
def show_kiosks() -> Answer:
    """Show the kiosks of a facility."""
    return _kiosks_page(request.args.get("facility"))


def _kiosks_page(
    code: str | None,
    *,
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    address: str = "",
    made: str = "",
) -> str:
    with reading() as session:
        facility = chosen_facility(facilities.managed(session, actor=actor()), code)
        rows = kiosks.listing(session, actor=actor(), facility_id=facility.id)
        names = instruments.codes_of(
            session, instrument_ids=[row.instrument_id for row in rows if row.instrument_id is not None]
        )
        found = catalogue.search(
            session,
            actor=actor(),
            filters=Filters(facility=facility.code),
            page_size=catalogue.MOST_PER_PAGE,
            locale=i18n.current_locale(),
            facets=False,
        )
    return render_template(
        "kiosks/listing.html",
        facility=facility,
        rows=rows,
        names=names,
        offered=[("", _("All instruments of the facility"))]
        + [(row.code, f"{name_of(row)} · {row.code}") for row in found.items],
        kinds=[
            (KioskKind.TABLET.value, _("A tablet at which people act")),
            (KioskKind.SCREEN.value, _("A screen on a wall")),
        ],
        looks=[
            (Look.AUTO.value, _("As the screen's system")),
            (Look.DARK.value, pgettext("a screen", "Dark")),
            (Look.LIGHT.value, pgettext("a screen", "Bright")),
        ],
        form=dict(form or {}),
        errors=dict(errors or {}),
        address=address,
        drawn=Markup(drawing.svg(Label(address, made)).decode()) if address else "",  # noqa: S704 - all escaped
    )


@blueprint.post("/kiosks")
@needs("kiosk.keep")
def make_kiosk() -> Answer:
    """Make a kiosk and show its address, this once."""
    form = fields("facility", "instrument", "name", "kind", "look")
    code = as_code(form["facility"])
    intake = Intake({**form, "kind": form["kind"] or KioskKind.TABLET, "look": form["look"] or Look.AUTO})
    kind, look = intake.choice("kind", KioskKind), intake.choice("look", Look)
    if kind is None or look is None:
        return _kiosks_page(code, form=form, errors=sentences(Invalid(intake.errors))), 422
    try:
        with transaction() as session:
            facility = chosen_facility(facilities.managed(session, actor=actor()), code)
            place = as_code(form["instrument"])
            where = instruments.by_codes(session, actor=actor(), codes=[place])[place] if place else None
            kiosk, secret = kiosks.make(
                session,
                actor=actor(),
                facility_id=facility.id,
                instrument_id=where,
                name=form["name"],
                kind=kind,
                look=look,
                now=utc_now(),
            )
    except Invalid as error:
        return _kiosks_page(code, form=form, errors=sentences(error)), 422
    security("kiosk_made", person=str(actor().person_id), kiosk=str(kiosk.id))
    opens = "web.kiosk" if kind is KioskKind.TABLET else "web.screen"
    return _kiosks_page(code, address=public_url_for(opens, secret=secret), made=kiosk.name), 201


@blueprint.post("/kiosks/<uuid:kiosk_id>/revocation", endpoint="revoke_kiosk")
@needs("kiosk.keep")
def revoke_kiosk(kiosk_id: UUID) -> Answer:
    """Make the address of a kiosk useless."""
    form = fields("facility")
    with transaction() as session:
        kiosks.revoke(session, actor=actor(), kiosk_id=kiosk_id, now=utc_now())
    security("kiosk_revoked", person=str(actor().person_id), kiosk=str(kiosk_id))
    flash(_("The kiosk's address no longer works."), "success")
    return redirect(url_for("web.kiosks", facility=as_code(form["facility"]) or None), 303)


@blueprint.post("/kiosks/badges", endpoint="enrol_badge")
@needs("kiosk.keep")
def enrol_badge() -> Answer:
    """Give somebody a badge."""
    form = fields("facility", "email", "number")
    code = as_code(form["facility"])
    try:
        number = _number(form["number"])
        with transaction() as session:
            facility = chosen_facility(facilities.managed(session, actor=actor()), code)
            badge = kiosks.enrol(
                session,
                actor=actor(),
                facility_id=facility.id,
                email=form["email"],
                number_hash=badges.hashed(settings().key(), number),
                now=utc_now(),
            )
    except Invalid as error:
        return _kiosks_page(code, form=form, errors=sentences(error)), 422
    security("badge_enrolled", person=str(badge.person_id), by=str(actor().person_id))
    flash(_("The badge can be used at kiosks."), "success")
    return redirect(url_for("web.kiosks", facility=code), 303)


def _number(typed: str) -> str:
    """Read a badge's number.

    :raises Invalid: if it is none
    """
    number = badges.number(typed)
    if number is None:
        raise Invalid({"number": "malformed" if typed.strip() else "required"})
    return number


# --- one's own badge and PIN ----------------------------------------------------------------------


@blueprint.get("/account/badge", endpoint="badge")
@needs("account.keep")
def show_badge() -> str:
    """Show whether I have a badge and a PIN for kiosks."""
    return _badge_page({})


def _badge_page(errors: Mapping[str, str]) -> str:
    with reading() as session:
        badge = kiosks.badge_of(session, actor=actor())
    return render_template(
        "kiosks/badge.html", badge=badge, errors=errors, zone=identity().zone or "Asia/Shanghai"
    )


@blueprint.post("/account/badge")
@needs("account.keep")
def set_badge() -> Answer:
    """Set or forget my badge's number and my PIN."""
    form = fields("password", "number", "pin", many=("forget",))
    forget = [word for word in choices("forget") if word in {"number", "pin"}]
    try:
        number, pin = _typed_badge(form, forget)
        _ask_password(form["password"])
        number_hash = badges.hashed(settings().key(), number) if number else None
        pin_hash = accounts.hash_pin(pin) if pin else None
        with transaction() as session:
            kiosks.set_own(
                session,
                actor=actor(),
                number_hash=number_hash,
                pin_hash=pin_hash,
                forget=forget,
                now=utc_now(),
            )
    except Invalid as error:
        return _badge_page(sentences(error)), 422
    security("badge_changed", person=str(actor().person_id))
    flash(_("Your badge and PIN were changed."), "success")
    return redirect(url_for("web.badge"), 303)


def _typed_badge(form: Mapping[str, str], forget: Sequence[str]) -> tuple[str, str]:
    """Read a badge's number and a PIN, either of which may be empty.

    :raises Invalid: if one makes no sense, or nothing would be changed
    """
    number = _number(form["number"]) if form["number"].strip() else ""
    pin = form["pin"].strip()
    fault = badges.fault_of_pin(pin) if pin else None
    if fault is not None:
        raise Invalid({"pin": fault})
    if not (number or pin or forget):
        raise Invalid({"number": "required"})
    return number, pin


def _ask_password(password: str) -> None:
    limits.count((PASSWORD_ASKED, str(actor().person_id)))
    with reading() as session:
        person = accounts.own(session, actor=actor())
    if not accounts.matches(person.password_hash, password):
        raise Invalid({"password": "wrong"})


# --- the tablet -----------------------------------------------------------------------------------


@blueprint.get("/kiosk/<secret>", endpoint="kiosk")
@open_to_all
def show_kiosk(secret: str) -> Answer:
    """Show the instruments of a kiosk, and who comes and goes; the address is the key."""
    with transaction() as session:
        kiosks.note_seen(session, kiosk_id=kiosks.by_secret(session, secret=secret).id, now=utc_now())
    return _tablet(secret)


def _tablet(
    secret: str, *, status: int = 200, problems: Sequence[str] = (), at: str = "", text: str = ""
) -> Answer:
    now = utc_now()
    with reading() as session:
        kiosk = kiosks.by_secret(session, secret=secret)
        zone = kiosks.zone_of(session, kiosk=kiosk)
        found = kiosks.places(session, kiosk=kiosk, now=now)
        facility = kiosks.facility_of(session, kiosk=kiosk)
    page = render_template(
        "kiosks/tablet.html",
        kiosk=kiosk,
        facility=facility,
        secret=secret,
        places=found,
        zone=zone,
        says=lambda place: _says(place, zone),
        initials=badges.initials,
        problems=problems,
        at=at,
        text=text,
        now=now,
    )
    return page, status


def _says(place: Place, zone: str) -> str:
    if place.down_until is not None:
        return _("Out of order until %(at)s", at=i18n.format_datetime(place.down_until, zone))
    used = [slot for slot in place.slots if slot.state.value == "checked_in"]
    return _("In use") if used else _("Nobody has checked in")


@blueprint.post("/kiosk/<secret>", endpoint="act_at_kiosk")
@open_to_all
def act_at_kiosk(secret: str) -> Answer:
    """Do one thing for whoever shows a badge or types a PIN; nobody stays signed in."""
    form = fields("act", "booking", "instrument", "key", "text")
    now = utc_now()
    booking_id = as_uuid(form["booking"])
    with reading() as session:
        kiosk = kiosks.by_secret(session, secret=secret)
        zone = kiosks.zone_of(session, kiosk=kiosk)
    where = form["booking"] or form["instrument"]
    attempts = [(BY_KIOSK, str(kiosk.id)), *([(BY_BOOKING, str(booking_id))] if booking_id else [])]
    limits.count(*attempts)
    who = _who(kiosk_secret=secret, key=form["key"], booking_id=booking_id)
    try:
        done = _act(kiosk.id, secret, who, form, booking_id, zone, now)
    except (Forbidden, NotFound):
        # Whoever it was, and whether there is such a badge at all, is not told.
        security("kiosk_refused", kiosk=str(kiosk.id))
        wrong = [_("This badge or PIN does not open this. Try again, or ask the staff.")]
        return _tablet(secret, status=422, problems=wrong, at=where, text=form["text"])
    except Refused as refusal:
        told = [said.message for said in reason_sentences(refusal.reasons, zone)]
        return _tablet(secret, status=409, problems=told, at=where, text=form["text"])
    except WrongMove as error:
        figures = {"state": error.state.value, "action": error.action.value}
        told = [said.message for said in reason_sentences([Reason("wrong_state", figures)], zone)]
        return _tablet(secret, status=409, problems=told, at=where)
    except Invalid as error:
        told = [wording.error_sentence(code) for code in error.errors.values()]
        return _tablet(secret, status=422, problems=told, at=where, text=form["text"])
    finally:
        _give_back(attempts, right=who is not None)
    flash(done, "success")
    return redirect(url_for("web.kiosk", secret=secret), 303)


def _who(*, kiosk_secret: str, key: str, booking_id: UUID | None) -> Actor | None:
    """Give who shows this badge or PIN; the same work for what is known and what is not."""
    plain = key.strip()[:64]
    number = badges.number(plain) or "-"
    old = (word.strip() for word in settings().secret_key_fallbacks.split(","))
    keys = [settings().key(), *(word for word in old if word)]
    with reading() as session:
        kiosk = kiosks.by_secret(session, secret=kiosk_secret)
        found: Claim = kiosks.claim(
            session,
            kiosk=kiosk,
            number_hashes=[badges.hashed(one, number) for one in keys],
            booking_id=booking_id,
        )
    by_pin = found.by_pin if accounts.matches(found.pin_hash, plain) else None
    person_id = found.by_number or by_pin
    with reading() as session:
        return kiosks.actor_for(session, person_id=person_id) if person_id is not None else None


def _give_back(attempts: Sequence[tuple[Limit, str]], *, right: bool) -> None:
    if right and settings().rate_limits:
        with transaction() as session:
            for limit, key in attempts:
                rate_limits.give_back(session, limit=limit, key=key)


def _act(
    kiosk_id: UUID,
    secret: str,
    who: Actor | None,
    form: Mapping[str, str],
    booking_id: UUID | None,
    zone: str,
    now: datetime,
) -> str:
    """Do what was asked and say so, with no more of a name than its initials.

    :raises NotFound: if nobody is known by the badge or PIN, or the tablet does not serve this
    """
    if who is None:
        raise NotFound("person")
    security("kiosk_act", kiosk=str(kiosk_id), person=str(who.person_id), act=form["act"])
    initials = badges.initials(who.name)
    with transaction() as session:
        kiosk = kiosks.by_secret(session, secret=secret)
        if form["act"] in {"check_in", "check_out", "extend"}:
            if booking_id is None or booking_id not in _served(session, kiosk, now):
                raise NotFound("booking", booking_id)
            commands: dict[str, Callable[..., Any]] = {
                "check_in": bookings.check_in,
                "check_out": bookings.check_out,
                "extend": bookings.extend,
            }
            booking = commands[form["act"]](session, actor=who, booking_id=booking_id, now=now)
            until = i18n.format_time(booking.ends_at, zone)
            return {
                "check_in": _("%(who)s is checked in until %(at)s.", who=initials, at=until),
                "check_out": _("%(who)s is checked out. Thank you!", who=initials),
                "extend": _("%(who)s has it until %(at)s.", who=initials, at=until),
            }[form["act"]]
        row = kiosks.instrument_at(session, kiosk=kiosk, code=as_code(form["instrument"]))
        if form["act"] == "problem":
            text = Intake(form).text("text", longest=LONGEST_TEXT, lines=True)
            faults.report(session, actor=who, code=row.code, text=text, now=now)
            return _("Thank you: the facility was told.")
        if form["act"] == "here":
            standby.be_here(session, actor=who, instrument=row, now=now)
            return _("%(who)s stands by and is called as soon as something is left.", who=initials)
        if form["act"] == "take":
            offer = standby.called(session, instrument_ids=[row.id], now=now).get(row.id)
            if offer is None or offer.person_id != who.person_id:
                raise NotFound("offer")
            booking = offers.accept(session, actor=who, offer_id=offer.offer_id, now=now)
            return _("%(who)s has it until %(at)s.", who=initials, at=i18n.format_time(booking.ends_at, zone))
        if form["act"] != "hour":
            raise NotFound("act", form["act"])
        if labels.moment(session, actor=who, instrument=row, now=now).status is Status.DOWN:
            raise Refused([Reason("not_bookable", {"instrument": row.code})])
        span, reasons = labels.next_hour(session, actor=who, instrument=row, now=now)
        if span is None:
            raise Refused(reasons or [Reason("not_bookable", {"instrument": row.code})])
        bookings.place(session, actor=who, items=[Item(row.id, span)], now=now)
        return _("Booked for %(who)s: %(span)s.", who=initials, span=i18n.format_span(*span, zone))


def _served(session: Session, kiosk: Any, now: datetime) -> set[UUID]:
    return {slot.booking_id for place in kiosks.places(session, kiosk=kiosk, now=now) for slot in place.slots}
