"""Facilities join networks: both sides ask here, and answer here."""

from collections.abc import Mapping
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import reading, transaction
from booking.domain.rules import Invalid, Reason, Refused
from booking.http import site
from booking.http.forms import fields
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import facilities, network_requests, networks
from booking.services.network_requests import LONGEST_NOTE
from booking.web import blueprint
from booking.web.availability import HOME_ZONE
from booking.web.forms import as_code, said
from booking.web.judgement import sentences

Answer = str | Redirect | tuple[str, int]

ASKED = ("network", "facility", "note")


@blueprint.get("/network-requests", endpoint="network_requests")
@needs("network.answer")
def show() -> Answer:
    """Show what waits for my side's answer and the other's, and the form by which I ask."""
    return _page({name: request.args.get(name, "") for name in ASKED})


@blueprint.post("/network-requests", endpoint="ask_network")
@needs("network.answer")
def ask() -> Answer:
    """Ask the other side."""
    typed = fields(*ASKED)
    try:
        with transaction() as session:
            made = network_requests.ask(
                session,
                actor=actor(),
                network=as_code(typed["network"]),
                facility=as_code(typed["facility"]),
                note=typed["note"],
                now=utc_now(),
            )
    except Invalid as error:
        return _page(typed, errors=error.errors, status=422)
    except Refused as refusal:
        return _page(typed, problem=refusal.reasons, status=409)
    site.forget()
    flash(
        _("Asked: the other side is told.") if made else _("The facility is in the network now."), "success"
    )
    return redirect(url_for("web.network_requests"), 303)


@blueprint.post("/network-requests/<uuid:request_id>/answer", endpoint="answer_network")
@needs("network.answer")
def answer(request_id: UUID) -> Answer:
    """Accept what the other side asks, or refuse it with a reason."""
    typed = fields("verdict", "reason")
    accept = {"accept": True, "refuse": False}.get(typed["verdict"])
    try:
        if accept is None:
            raise Invalid({"verdict": "required"})  # noqa: TRY301 - told with what the service finds
        with transaction() as session:
            network_requests.answer(
                session,
                actor=actor(),
                request_id=request_id,
                accept=accept,
                reason=typed["reason"],
                now=utc_now(),
            )
    except Invalid as error:
        return _page({}, errors=error.errors, wrong=request_id, status=422)
    except Refused as refusal:
        return _page({}, problem=refusal.reasons, status=409)
    site.forget()
    flash(
        _("The facility is in the network now.") if accept else _("Refused: the other side is told why."),
        "success",
    )
    return redirect(url_for("web.network_requests"), 303)


@blueprint.post("/network-requests/<uuid:request_id>/withdrawal", endpoint="unask_network")
@needs("network.answer")
def withdraw(request_id: UUID) -> Answer:
    """Take back what my side asked."""
    fields()
    try:
        with transaction() as session:
            network_requests.withdraw(session, actor=actor(), request_id=request_id, now=utc_now())
    except Refused as refusal:
        return _page({}, problem=refusal.reasons, status=409)
    flash(_("Taken back."), "success")
    return redirect(url_for("web.network_requests"), 303)


def _page(
    typed: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    problem: list[Reason] | tuple[Reason, ...] = (),
    wrong: UUID | None = None,
    status: int = 200,
) -> Answer:
    with reading() as session:
        waiting = network_requests.waiting(session, actor=actor())
        nets, places = network_requests.sides(session, actor=actor())
        every_net, every_place = networks.listing(session), facilities.listing(session)
    # Who speaks for one side alone chooses among all of the other.
    chosen_nets, chosen_places = (every_net if places else nets), (every_place if nets else places)
    chosen = {name: text for name, text in typed.items() if text}
    if len(chosen_nets) == 1:  # what leaves no choice is chosen
        chosen.setdefault("network", chosen_nets[0].code)
    if len(chosen_places) == 1:
        chosen.setdefault("facility", chosen_places[0].code)
    labels = {
        "network": _("Network"),
        "facility": _("Facility"),
        "reason": _("Reason"),
        "verdict": _("Answer"),
    }
    if wrong is not None:  # the error's link leads to the field of the request that was answered
        errors = {f"{name}-{wrong}": code for name, code in (errors or {}).items()}
        labels = {f"{name}-{wrong}": word for name, word in labels.items()}
    page = render_template(
        "networks/requests.html",
        waiting=waiting,
        networks=[(one.code, name_of(one)) for one in chosen_nets],
        facilities=[(one.code, name_of(one)) for one in chosen_places],
        typed=chosen,
        longest=LONGEST_NOTE,
        reasons=sentences(problem, HOME_ZONE),
        errors=said(errors or {}, labels),
        problems={name: wording.error_sentence(code) for name, code in (errors or {}).items()},
        zone=HOME_ZONE,
    )
    return page, status
