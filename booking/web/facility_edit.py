"""Facilities without code: a new one, what it says of itself, withdrawing it and opening it again, its history."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import plan_words, wording
from booking.db import Session, reading, transaction
from booking.domain import inventory
from booking.domain.access import Role, Subject, require
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.sheets import Bad
from booking.domain.vocabulary import REGIONS
from booking.http import limits
from booking.http.context import settings
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.logs import security
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import facilities, facility_records, histories, organisations, staff
from booking.services.facility_records import FIELDS
from booking.web import blueprint, prices
from booking.web.forms import as_code
from booking.web.judgement import sentences
from booking.web.staff import INVITATIONS
from models import Facility

Answer = str | Redirect | tuple[str, int]

ZONES = (
    "Asia/Shanghai",
    "Asia/Hong_Kong",
    "Asia/Macau",
    "Asia/Urumqi",
    "Asia/Singapore",
    "Europe/Berlin",
    "UTC",
)
"""Zones that are offered while one types; any other of the world may be typed."""


@blueprint.get("/new-facility", endpoint="new_facility")
@needs("facility.make")
def show_new() -> Answer:
    """Show the form of a new facility."""
    return _page(None, {"zone": "Asia/Shanghai", "network": request.args.get("network", "")})


@blueprint.post("/new-facility", endpoint="make_facility")
@needs("facility.make")
def make() -> Answer:
    """Make a facility."""
    typed = fields("code", "organisation", "network", "manager", *FIELDS)
    problems = _problems(typed)
    if typed["manager"]:
        limits.count((INVITATIONS, str(actor().person_id)))
    try:
        demand(problems)
        with transaction() as session:
            row = facility_records.add(
                session,
                actor=actor(),
                code=typed["code"].strip(),
                values={name: typed[name] for name in FIELDS},
                organisation=as_code(typed["organisation"]),
                network=as_code(typed["network"]),
                now=utc_now(),
            )
            code = row.code
            if typed["manager"]:
                _name_manager(session, code, typed["manager"])
    except Invalid as error:
        return _page(None, typed, problems=_said(error) | problems, status=422)
    if typed["manager"]:
        security("role_given", facility=code, role=Role.MANAGER.value, by=str(actor().person_id))
        flash(_("The facility is made. Its manager is told and adds its instruments."), "success")
    elif not actor().administrator:
        words = _(
            "The facility is made. Name its manager here: they alone can change it and add its instruments."
        )
        flash(words, "success")
        return redirect(url_for("web.staff", code=code), 303)
    else:
        flash(
            _("The facility is made. Add its instruments; each is a draft until you publish it."), "success"
        )
    return redirect(url_for("web.facility", code=code), 303)


def _name_manager(session: Session, code: str, email: str) -> None:
    try:
        staff.give(
            session,
            actor=actor(),
            code=code,
            email=email,
            role=Role.MANAGER,
            invites=settings().sign_up,
            key=settings().key(),
            now=utc_now(),
        )
    except Invalid as error:
        raise Invalid({"manager": next(iter(error.errors.values()))}) from None


@blueprint.get("/facilities/<code>/edit", endpoint="edit_facility")
@needs("facility.edit")
def show_edit(code: str) -> Answer:
    """Show what a facility says of itself as it can be edited."""
    with reading() as session:
        row = _mine(session, code)
        typed = {name: _typed(value) for name, value in facility_records.values_of(row).items()}
        typed["seen"] = facility_records.mark_of(row)
    return _page(row, typed)


@blueprint.post("/facilities/<code>/edit", endpoint="change_facility")
@needs("facility.edit")
def change(code: str) -> Answer:
    """Write what a facility says of itself."""
    typed = fields("seen", "organisation", *FIELDS)
    with reading() as session:
        row = _mine(session, code)
    problems = _problems(typed)
    try:
        demand(problems)
        with transaction() as session:
            facility_records.change(
                session,
                actor=actor(),
                code=code,
                changes={name: typed[name] for name in FIELDS}
                | {"organisation": as_code(typed["organisation"])},
                seen=typed["seen"],
                now=utc_now(),
            )
    except Invalid as error:
        return _page(row, typed, problems=_said(error) | problems, status=422)
    except Refused as refusal:
        return _page(row, typed, reasons=refusal.reasons, status=409)
    flash(_("Kept."), "success")
    return redirect(url_for("web.facility", code=code), 303)


@blueprint.post("/facilities/<code>/withdrawal", endpoint="withdraw_facility")
@needs("facility.edit")
def withdraw(code: str) -> Answer:
    """Take a facility out of the lists, or open it again."""
    again = bool(fields("again")["again"])
    try:
        with transaction() as session:
            act = facility_records.reopen if again else facility_records.withdraw
            act(session, actor=actor(), code=code, now=utc_now())
    except Refused as refusal:
        with reading() as session:
            row = _mine(session, code)
            typed = {name: _typed(value) for name, value in facility_records.values_of(row).items()}
            typed["seen"] = facility_records.mark_of(row)
        return _page(row, typed, reasons=refusal.reasons, status=409)
    if again:
        flash(_("The facility is open again, and its instruments are published as before."), "success")
    else:
        flash(_("The facility is withdrawn. You can open it again on this page."), "success")
    return redirect(url_for("web.edit_facility", code=code), 303)


@blueprint.get("/facilities/<code>/history", endpoint="facility_history")
@needs("facility.desk")
def history(code: str) -> str:
    """Show what was changed at a facility, by whom and when."""
    with reading() as session:
        row = facilities.by_code(session, code=code)
        require(actor(), "facility.desk", Subject(facility_id=row.id))
        deeds = histories.of_facility(session, facility_id=row.id)
    return render_template(
        "facilities/history.html",
        facility=row,
        instrument=None,
        what=name_of(row),
        deeds=deeds,
        back=url_for("web.facility", code=row.code),
        labels=labels() | prices.history_labels(),
    )


def _mine(session: Session, code: str) -> Facility:
    row = facilities.by_code(session, code=code)
    require(actor(), "facility.edit", Subject(facility_id=row.id))
    return row


def demand(problems: Mapping[str, str]) -> None:
    """Go no further where fields are wrong.

    :raises Invalid: if any is; the sentences are with the caller
    """
    if problems:
        raise Invalid({})


def _problems(typed: Mapping[str, str]) -> dict[str, str]:
    """Say what is wrong with each field, with its figures."""
    found = {}
    for name in FIELDS:
        try:
            inventory.check_facility(name, typed[name])
        except Bad as bad:
            found[name] = wording.cell_sentence(bad.code, bad.params)
    return found


def _said(error: Invalid) -> dict[str, str]:
    return {name: wording.error_sentence(code) for name, code in error.errors.items()}


def _typed(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _page(
    row: Facility | None,
    typed: Mapping[str, str],
    *,
    problems: Mapping[str, str] | None = None,
    reasons: Sequence[Reason] = (),
    status: int = 200,
) -> Answer:
    words = labels()
    found = dict(problems or {})
    with reading() as session:
        operators = organisations.listing(session)
        joins = facility_records.may_make_in(session, actor=actor()) if row is None else []
    page = render_template(
        "facilities/edit.html",
        facility=row,
        typed=typed,
        problems=found,
        errors={
            name: _("%(field)s: %(problem)s", field=words.get(name, name), problem=sentence)
            for name, sentence in found.items()
        },
        reasons=sentences(reasons, row.zone if row else "UTC"),
        labels=words,
        regions=_regions(typed.get("region_code", "")),
        organisations=[("", _("Choose")), *((one.code, name_of(one)) for one in operators)],
        networks=_networks([(one.code, name_of(one)) for one in joins]),
        zones=ZONES,
        invites=settings().sign_up,
    )
    return page, status


def _networks(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("", _("None yet")), *found] if actor().administrator else found


def _regions(now: str) -> list[tuple[str, str]]:
    codes = sorted({*REGIONS, *([now] if now else [])})
    return [("", _("Not known")), *((code, plan_words.region_name(code)) for code in codes)]


def labels() -> dict[str, str]:
    """Name what a facility says of itself."""
    return {
        "code": _("Code"),
        "name_zh": _("Chinese name"),
        "name_en": _("English name"),
        "organisation": _("Operator"),
        "network": _("Network"),
        "manager": _("Its manager (e-mail address)"),
        "region_code": _("Region"),
        "town": _("Town or district"),
        "address": _("Address"),
        "latitude": _("Latitude"),
        "longitude": _("Longitude"),
        "zone": _("Time zone"),
        "contact": _("Contact"),
        "about_zh": _("About it, in Chinese"),
        "about_en": _("About it, in English"),
        "hours": _("Opening hours"),
    }
