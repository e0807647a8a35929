"""Who works at a facility, and the page on which one comes in by an invitation."""

from uuid import UUID

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as Redirect

from booking import wording
from booking.db import reading, transaction
from booking.domain.access import NotFound, Role
from booking.domain.rules import Invalid
from booking.http import identity, limits
from booking.http.context import settings
from booking.http.forms import fields, sentences
from booking.http.guard import needs, open_to_all
from booking.http.identity import actor, utc_now
from booking.http.logs import security
from booking.i18n import gettext as _
from booking.services import accounts, staff
from booking.services.accounts import JOIN
from booking.services.rate_limits import Limit
from booking.web import blueprint
from booking.web.forms import Intake, said

Answer = str | Redirect | tuple[str, int]

HOUR = 60 * 60
INVITATIONS = Limit("invitations", 30, HOUR)
JOININGS = Limit("joinings-network", 30, HOUR)


@blueprint.get("/facilities/<code>/people", endpoint="staff")
@needs("role.list")
def show_staff(code: str) -> Answer:
    """Show who works at a facility."""
    return _page(code)


@blueprint.post("/facilities/<code>/people", endpoint="give_staff_role")
@needs("role.give_operator")
def give(code: str) -> Answer:
    """Give somebody a role at a facility; who has no account yet is invited."""
    typed = fields("email", "role")
    intake = Intake(typed)
    role = intake.choice("role", Role)
    limits.count((INVITATIONS, str(actor().person_id)))
    try:
        intake.demand()
        with transaction() as session:
            fresh = staff.give(
                session,
                actor=actor(),
                code=code,
                email=typed["email"],
                role=role or Role.OPERATOR,
                invites=settings().sign_up,
                key=settings().key(),
                now=utc_now(),
            )
    except Invalid as error:
        return _page(code, typed=typed, error=error), 422
    security("role_given", facility=code, role=typed["role"], by=str(actor().person_id))
    words = _("Invited: a letter tells how to come in.") if fresh else _("The role was given.")
    flash(words, "success")
    return redirect(url_for("web.staff", code=code), 303)


@blueprint.post("/facilities/<code>/people/<int:membership_id>/removal", endpoint="take_staff_role")
@needs("role.give_operator")
def take(code: str, membership_id: int) -> Answer:
    """Take a role at a facility away."""
    fields()
    with transaction() as session:
        staff.take(session, actor=actor(), code=code, membership_id=membership_id, now=utc_now())
    security("role_taken", facility=code, by=str(actor().person_id))
    flash(_("The role was taken away."), "success")
    return redirect(url_for("web.staff", code=code), 303)


def _page(code: str, *, typed: dict[str, str] | None = None, error: Invalid | None = None) -> str:
    with reading() as session:
        facility, held = staff.listing(session, actor=actor(), code=code)
        roles = staff.roles(session, actor=actor(), facility=facility)
    return render_template(
        "accounts/staff.html",
        facility=facility,
        held=held,
        roles=[(role.value, wording.role_name(role)) for role in roles],
        role_name=wording.role_name,
        typed=typed or {"email": "", "role": ""},
        errors=said(error.errors, {"email": _("E-mail address"), "role": _("Role")}) if error else {},
        problems=sentences(error) if error else {},
        invites=settings().sign_up,
    )


# --- coming in ------------------------------------------------------------------------------------


@blueprint.get("/joinings/<uuid:link_id>/<secret>", endpoint="joining")
@open_to_all
def show_joining(link_id: UUID, secret: str) -> Answer:
    """Ask an invited person for their name and a password."""
    if not _open(link_id, secret):
        return render_template("sign_in/link_is_over.html"), 404
    return render_template("sign_in/joining.html", name="", errors={}, problems={})


@blueprint.post("/joinings/<uuid:link_id>/<secret>", endpoint="join")
@open_to_all
def join(link_id: UUID, secret: str) -> Answer:
    """Take up an invitation."""
    typed = fields("name", "password")
    limits.count((JOININGS, limits.network()))
    if not _open(link_id, secret):
        return render_template("sign_in/link_is_over.html"), 404
    try:
        password_hash = accounts.hash_password(typed["password"], name=typed["name"])
        with transaction() as session:
            accounts.join(
                session,
                link_id=link_id,
                secret=secret,
                name=typed["name"],
                password_hash=password_hash,
                now=utc_now(),
            )
    except Invalid as error:
        problems = sentences(error)
        page = render_template("sign_in/joining.html", name=typed["name"], errors=problems, problems=problems)
        return page, 422
    except NotFound:
        return render_template("sign_in/link_is_over.html"), 404
    security("joined", network=limits.network())
    identity.forget()
    flash(_("Welcome. Please sign in with your new password."), "success")
    return redirect(url_for("web.sign_in"), 303)


def _open(link_id: UUID, secret: str) -> bool:
    try:
        with reading() as session:
            accounts.link_owner(session, link_id=link_id, secret=secret, purpose=JOIN, now=utc_now())
    except NotFound:
        return False
    return True
