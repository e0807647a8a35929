"""Signing in and out, signing up, a forgotten password, the language."""

from datetime import timedelta
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from booking import i18n
from booking.db import reading, transaction
from booking.domain.access import NotFound
from booking.domain.rules import Invalid
from booking.http import identity, limits
from booking.http.context import local_path, settings
from booking.http.forms import fields, sentences
from booking.http.guard import open_to_all
from booking.http.identity import actor, utc_now
from booking.http.locale import COOKIE
from booking.http.logs import security
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import accounts, organisations, rate_limits, sign_in
from booking.services.accounts import CONFIRM_EMAIL, RESET_PASSWORD, Candidate
from booking.services.rate_limits import Limit
from booking.web import blueprint

Answer = str | Response | tuple[str, int]

QUARTER, HOUR = 15 * 60, 60 * 60
BY_ACCOUNT = Limit("sign-in-account", 10, QUARTER)
BY_NETWORK = Limit("sign-in-network", 100, QUARTER)
SIGN_UPS = Limit("sign-up-network", 30, HOUR)
LETTERS_TO = Limit("letters-account", 5, HOUR)
RESETS = Limit("reset-network", 30, HOUR)

YEAR = 365 * 24 * 3600


# --- in and out -----------------------------------------------------------------------------------


@blueprint.get("/sign-in", endpoint="sign_in")
@open_to_all
def show_sign_in() -> Answer:
    """Ask who it is."""
    back = local_path(request.args.get("next"))
    if actor().signed_in:
        return redirect(back, 303)
    return _sign_in_form(back=back)


def _sign_in_form(*, back: str, email: str = "", errors: dict[str, str] | None = None) -> str:
    return render_template("sign_in/sign_in.html", back=back, email=email, errors=errors or {})


@blueprint.post("/sign-in")
@open_to_all
def submit_sign_in() -> Answer:
    """Begin a session."""
    form = fields("email", "password", "next")
    back = local_path(form["next"])
    limits.count((BY_ACCOUNT, limits.account(form["email"])), (BY_NETWORK, limits.network()))
    with reading() as session:
        found = accounts.candidate(session, email=form["email"])
    # Between two transactions: it takes long, for an address that nobody has too.
    right = accounts.matches(found.password_hash if found else None, form["password"])
    if found is None or not right:
        security("sign_in_failed", account=limits.account(form["email"]), network=limits.network())
        wrong = {"": _("The e-mail address or the password is not right.")}
        return _sign_in_form(back=back, email=form["email"], errors=wrong), 422
    if not found.confirmed:
        limits.count((LETTERS_TO, limits.account(form["email"])))
        with transaction() as session:
            accounts.send_confirmation(
                session, person_id=found.person_id, key=settings().key(), now=utc_now()
            )
        return redirect(url_for("web.mail_sent"), 303)
    if not _begin(found, form["email"]):
        return redirect(url_for("web.sign_in", next=back), 303)
    return redirect(back, 303)


def _begin(found: Candidate, email: str, *, link: tuple[UUID, str] | None = None) -> bool:
    """Start a session for somebody whose password was right; a link's secret confirms the address besides."""
    now = utc_now()
    with transaction() as session:
        if not accounts.still(session, found=found):
            return False
        if link is not None:
            accounts.confirm(session, link_id=link[0], secret=link[1], now=now)
        secret = sign_in.start(
            session,
            person_id=found.person_id,
            agent=request.user_agent.string,
            address=request.remote_addr or "",
            lifetime=timedelta(days=settings().session_days),
            now=now,
        )
        if settings().rate_limits:
            rate_limits.clear(session, limit=BY_ACCOUNT, key=limits.account(email))
            rate_limits.give_back(session, limit=BY_NETWORK, key=limits.network())
    identity.begin(secret)
    security("signed_in", person=str(found.person_id), network=limits.network())
    return True


@blueprint.post("/sign-out")
@open_to_all
def sign_out() -> Response:
    """End this session."""
    fields()
    found = identity.identity()
    if found.sign_in_id is not None:
        with transaction() as session:
            sign_in.end(session, actor=found.actor, sign_in_id=found.sign_in_id, now=utc_now())
        security("signed_out", person=str(found.actor.person_id))
    identity.forget()
    response = redirect("/", 303)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


# --- signing up -----------------------------------------------------------------------------------


@blueprint.get("/sign-up", endpoint="sign_up")
@open_to_all
def show_sign_up() -> Answer:
    """Ask for what an account needs."""
    _sign_up_is_open()
    if actor().signed_in:
        return redirect("/", 303)
    return _sign_up_form({}, {})


@blueprint.post("/sign-up")
@open_to_all
def submit_sign_up() -> Answer:
    """Make an account and mail the link that confirms it."""
    _sign_up_is_open()
    form = fields("name", "email", "password", "organisation")
    limits.count((SIGN_UPS, limits.network()), (LETTERS_TO, limits.account(form["email"])))
    try:
        password_hash = accounts.hash_password(form["password"], email=form["email"], name=form["name"])
        with transaction() as session:
            accounts.sign_up(
                session,
                email=form["email"],
                name=form["name"],
                password_hash=password_hash,
                organisation=form["organisation"],
                key=settings().key(),
                now=utc_now(),
            )
    except Invalid as error:
        return _sign_up_form(form, sentences(error)), 422
    return redirect(url_for("web.mail_sent"), 303)


def _sign_up_is_open() -> None:
    if not settings().sign_up:
        raise NotFound("page", "sign-up")


def _sign_up_form(form: dict[str, str], errors: dict[str, str]) -> str:
    with reading() as session:
        known = [(place.code, name_of(place)) for place in organisations.listing(session)]
    return render_template("sign_in/sign_up.html", form=form, errors=errors, organisations=known)


@blueprint.get("/mail-sent")
@open_to_all
def mail_sent() -> str:
    """Say that a mail is on its way, to whom it may concern."""
    to_files = not settings().smtp_url and not settings().production
    return render_template("sign_in/mail_sent.html", to_files=to_files)


@blueprint.get("/confirmations/<uuid:link_id>/<secret>")
@open_to_all
def confirmation(link_id: UUID, secret: str) -> Answer:
    """Ask for the password of the account that is to be confirmed."""
    if _owner(link_id, secret, CONFIRM_EMAIL) is None:
        return _link_is_over()
    return render_template("sign_in/confirmation.html", errors={})


@blueprint.post("/confirmations/<uuid:link_id>/<secret>")
@open_to_all
def confirm(link_id: UUID, secret: str) -> Answer:
    """Confirm the address and begin a session."""
    form = fields("password")
    limits.count((BY_ACCOUNT, str(link_id)), (BY_NETWORK, limits.network()))
    found = _owner(link_id, secret, CONFIRM_EMAIL)
    if found is None:
        return _link_is_over()
    if not accounts.matches(found.password_hash, form["password"]):
        wrong = {"password": _("This is not the password that was chosen at sign-up.")}
        return render_template("sign_in/confirmation.html", errors=wrong), 422
    try:
        begun = _begin(found, "", link=(link_id, secret))
    except NotFound:
        begun = False
    if not begun:
        return _link_is_over()
    flash(_("Welcome to Yiqi. Your address is confirmed."), "success")
    return redirect("/", 303)


def _owner(link_id: UUID, secret: str, purpose: str) -> Candidate | None:
    try:
        with reading() as session:
            return accounts.link_owner(
                session, link_id=link_id, secret=secret, purpose=purpose, now=utc_now()
            )
    except NotFound:
        return None


def _link_is_over() -> Answer:
    return render_template("sign_in/link_is_over.html"), 404


# --- a forgotten password -------------------------------------------------------------------------


@blueprint.get("/password-resets", endpoint="ask_reset")
@open_to_all
def show_ask_reset() -> str:
    """Ask whose password is forgotten."""
    return render_template("sign_in/ask_reset.html", email="", errors={})


@blueprint.post("/password-resets")
@open_to_all
def submit_ask_reset() -> Answer:
    """Mail a link to set a new password, and answer the same whether or not the address is known."""
    form = fields("email")
    try:
        email = accounts.clean_email(form["email"])
    except Invalid as error:
        return render_template("sign_in/ask_reset.html", email=form["email"], errors=sentences(error)), 422
    limits.count((RESETS, limits.network()), (LETTERS_TO, limits.account(email)))
    with transaction() as session:
        accounts.ask_reset(session, email=email, key=settings().key(), now=utc_now())
    return redirect(url_for("web.mail_sent"), 303)


@blueprint.get("/password-resets/<uuid:link_id>/<secret>")
@open_to_all
def reset(link_id: UUID, secret: str) -> Answer:
    """Ask for the new password."""
    if _owner(link_id, secret, RESET_PASSWORD) is None:
        return _link_is_over()
    return render_template("sign_in/reset.html", errors={})


@blueprint.post("/password-resets/<uuid:link_id>/<secret>")
@open_to_all
def submit_reset(link_id: UUID, secret: str) -> Answer:
    """Set the new password; every session of the person ends."""
    form = fields("password")
    limits.count((RESETS, limits.network()))
    found = _owner(link_id, secret, RESET_PASSWORD)
    if found is None:
        return _link_is_over()
    try:
        password_hash = accounts.hash_password(form["password"])
        with transaction() as session:
            accounts.reset_password(
                session, link_id=link_id, secret=secret, password_hash=password_hash, now=utc_now()
            )
    except Invalid as error:
        return render_template("sign_in/reset.html", errors=sentences(error)), 422
    except NotFound:
        return _link_is_over()
    security("password_reset", person=str(found.person_id), network=limits.network())
    identity.forget()
    flash(_("Your new password is set. Please sign in with it."), "success")
    return redirect(url_for("web.sign_in"), 303)


# --- the language ---------------------------------------------------------------------------------


@blueprint.post("/locale")
@open_to_all
def language() -> Response:
    """Speak another language from now on."""
    form = fields("locale", "next")
    if form["locale"] not in i18n.LOCALES:
        raise Invalid({"locale": "unknown"})
    who = actor()
    if who.signed_in and who.scopes is None:
        with transaction() as session:
            accounts.change_locale(session, actor=who, locale=form["locale"])
    response = redirect(local_path(form["next"]), 303)
    response.set_cookie(
        COOKIE,
        form["locale"],
        max_age=YEAR,
        secure=settings().production,
        httponly=True,
        samesite="Lax",
    )
    return response
