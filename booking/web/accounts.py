"""One's own account, its sessions and API tokens; and everybody's, for the administrator."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from booking import i18n, wording
from booking.db import reading, transaction
from booking.domain.access import Role, Scope
from booking.domain.rules import Invalid
from booking.domain.text import clean_line
from booking.http import identity, limits
from booking.http.context import public_url_for, settings
from booking.http.forms import choices, fields, sentences
from booking.http.guard import needs
from booking.http.identity import actor, utc_now
from booking.http.logs import security
from booking.http.paging import page_url, page_wanted
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import accounts, facilities, networks, organisations, sign_in, tokens
from booking.services.rate_limits import Limit
from booking.web import blueprint
from booking.web.calendars import client_name

Answer = str | Response | tuple[str, int]

PASSWORD_ASKED = Limit("password-asked", 10, 15 * 60)

ZONES = (
    "Asia/Shanghai",
    "Asia/Urumqi",
    "Asia/Hong_Kong",
    "Asia/Macau",
    "Asia/Taipei",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Asia/Seoul",
    "Asia/Bangkok",
    "Asia/Kolkata",
    "Asia/Dubai",
    "Europe/Moscow",
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/London",
    "America/Sao_Paulo",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Australia/Sydney",
    "Pacific/Auckland",
    "UTC",
)
"""The zones that are offered; any other of the IANA database is kept where somebody has it."""

# The first that is found counts: most call themselves by the names of others too.
_BROWSERS = (
    ("MicroMessenger", "WeChat"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)

DAYS = (7, 30, 90, 365)
"""After how many days a token may end."""


# --- one's own ------------------------------------------------------------------------------------


@blueprint.get("/account", endpoint="account")
@needs("account.keep")
def show_account() -> str:
    """Show who I am here."""
    return _account_page({}, {})


@blueprint.post("/account")
@needs("account.keep")
def submit_account() -> Answer:
    """Change my name, language and time zone."""
    form = fields("name", "locale", "zone")
    try:
        _offered("locale", form["locale"], {"", *i18n.LOCALES})
        with transaction() as session:
            accounts.change_profile(session, actor=actor(), **form, now=utc_now())
    except Invalid as error:
        return _account_page(form, sentences(error)), 422
    i18n.choose(form["locale"] or i18n.current_locale())
    flash(_("Your account was changed."), "success")
    return redirect(url_for("web.account"), 303)


@blueprint.post("/account/organisation")
@needs("account.keep")
def ask_to_join() -> Answer:
    """Ask an organisation to be its member."""
    form = fields("organisation")
    try:
        with transaction() as session:
            accounts.ask_membership(session, actor=actor(), organisation=form["organisation"], now=utc_now())
    except Invalid as error:
        return _account_page({}, sentences(error)), 422
    flash(_("You have asked. You are a member once one of its leaders agrees."), "success")
    return redirect(url_for("web.account"), 303)


def _account_page(form: dict[str, str], errors: dict[str, str]) -> str:
    with reading() as session:
        person = accounts.own(session, actor=actor())
        known = [
            (place.code, name_of(place))
            for place in organisations.listing(session)
            if place.id not in actor().organisations
        ]
        places = accounts.places_of(session, memberships=person.memberships)
        asked = accounts.asked_organisation(session, actor=actor())
    zones = sorted({*ZONES, *([person.zone] if person.zone else [])})
    return render_template(
        "accounts/account.html",
        person=person,
        form=form or {"name": person.name, "locale": person.locale or "", "zone": person.zone or ""},
        errors=errors,
        zones=[(zone, zone.replace("_", " ")) for zone in zones],
        places=places,
        asked=asked,
        organisations=known,
        role_name=wording.role_name,
    )


@blueprint.get("/account/password", endpoint="password")
@needs("account.keep")
def show_password() -> str:
    """Ask for the old password and a new one."""
    return render_template("accounts/password.html", errors={})


@blueprint.post("/account/password")
@needs("account.keep")
def submit_password() -> Answer:
    """Change my password; I stay signed in here, and nowhere else."""
    form = fields("password", "new_password")
    who = actor()
    try:
        _ask_password(form["password"])
        password_hash = accounts.hash_password(
            form["new_password"], email=who.email, name=who.name, field="new_password"
        )
    except Invalid as error:
        return render_template("accounts/password.html", errors=sentences(error)), 422
    now = utc_now()
    with transaction() as session:
        accounts.change_password(session, actor=who, password_hash=password_hash, now=now)
        assert who.person_id is not None  # noqa: S101 - the guard has let nobody else in
        secret = sign_in.start(
            session,
            person_id=who.person_id,
            agent=request.user_agent.string,
            address=request.remote_addr or "",
            lifetime=timedelta(days=settings().session_days),
            now=now,
        )
    identity.begin(secret)
    security("password_changed", person=str(who.person_id))
    flash(_("Your password was changed. You were signed out everywhere else."), "success")
    return redirect(url_for("web.account"), 303)


def _ask_password(password: str) -> None:
    """Make sure that it is still the owner who sits there.

    :raises Invalid: if the password is not right
    """
    who = actor()
    limits.count((PASSWORD_ASKED, str(who.person_id)))
    with reading() as session:
        found = accounts.candidate(session, email=who.email)
    if not accounts.matches(found.password_hash if found else None, password):
        security("password_refused", person=str(who.person_id))
        raise Invalid({"password": "wrong"})


@blueprint.get("/account/sessions", endpoint="sessions")
@needs("account.keep")
def show_sessions() -> str:
    """Show where I am signed in."""
    idle = timedelta(hours=settings().session_hours)
    with reading() as session:
        found = sign_in.listing(session, actor=actor(), idle=idle, now=utc_now())
    here = identity.identity()
    return render_template(
        "accounts/sessions.html",
        sessions=found,
        here=here.sign_in_id,
        zone=_zone(),
        browser_name=browser_name,
    )


@blueprint.post("/account/sessions/<uuid:sign_in_id>/end")
@needs("account.keep")
def end_session(sign_in_id: UUID) -> Response:
    """End one of my sessions."""
    fields()
    with transaction() as session:
        sign_in.end(session, actor=actor(), sign_in_id=sign_in_id, now=utc_now())
    if sign_in_id == identity.identity().sign_in_id:
        identity.forget()
        return redirect("/", 303)
    flash(_("That session is over."), "success")
    return redirect(url_for("web.sessions"), 303)


@blueprint.post("/account/sessions/end")
@needs("account.keep")
def end_other_sessions() -> Response:
    """End all of my sessions but this one."""
    fields()
    keep = identity.identity().sign_in_id
    with transaction() as session:
        sign_in.end_others(session, actor=actor(), keep=keep, now=utc_now())
    flash(_("You are now signed in here only."), "success")
    return redirect(url_for("web.sessions"), 303)


@blueprint.get("/account/tokens", endpoint="tokens")
@needs("account.keep")
def show_tokens() -> str:
    """Show my API tokens."""
    return _tokens_page({}, {})


@blueprint.post("/account/tokens")
@needs("account.keep")
def make_token() -> Answer:
    """Make an API token and show its secret, this once."""
    form = fields("name", "days", "password", many=("scopes",))
    now = utc_now()
    try:
        _offered("days", form["days"], {str(days) for days in DAYS})
        clean_line("name", form["name"], longest=100, required=True)
        _ask_password(form["password"])
        with transaction() as session:
            _made, secret = tokens.make(
                session,
                actor=actor(),
                name=form["name"],
                scopes=choices("scopes"),
                expires_at=now + timedelta(days=int(form["days"])),
                now=now,
            )
    except Invalid as error:
        return _tokens_page({**form, "scopes": choices("scopes")}, sentences(error)), 422
    security("token_made", person=str(actor().person_id))
    # Shown in this answer and never again: a redirect would have to keep it somewhere.
    return _tokens_page({}, {}, secret=secret), 201


def _offered(field: str, value: str, choices: Collection[str]) -> None:
    """Make sure that the value is one that the page offered.

    :raises Invalid: for the field, if it is not
    """
    if value not in choices:
        raise Invalid({field: "unknown"})


def _tokens_page(form: dict[str, object], errors: dict[str, str], secret: str | None = None) -> str:
    with reading() as session:
        found = tokens.listing(session, actor=actor(), now=utc_now())
    return render_template(
        "accounts/tokens.html",
        tokens=found,
        form=form,
        errors=errors,
        secret=secret,
        scopes=[(scope.value, scope_name(scope)) for scope in Scope],
        scope_name=scope_name,
        days=DAYS,
        zone=_zone(),
        public_url=settings().public_url,
        caldav=public_url_for("caldav.entrance"),
        client_name=client_name,
    )


@blueprint.post("/account/tokens/<uuid:token_id>/revocation")
@needs("account.keep")
def revoke_token(token_id: UUID) -> Response:
    """Make one of my API tokens useless."""
    fields()
    with transaction() as session:
        tokens.revoke(session, actor=actor(), token_id=token_id, now=utc_now())
    flash(_("The token no longer works."), "success")
    return redirect(url_for("web.tokens"), 303)


# --- who belongs to an organisation ---------------------------------------------------------------


@blueprint.get("/memberships", endpoint="memberships")
@needs("membership.grant")
def show_memberships() -> str:
    """Show who asks to be a member of my organisation."""
    with reading() as session:
        asking = accounts.membership_requests(session, actor=actor())
    return render_template("accounts/memberships.html", asking=asking, zone=_zone())


@blueprint.post("/memberships/<uuid:person_id>/approval")
@needs("membership.grant")
def grant_membership(person_id: UUID) -> Response:
    """Make somebody who asked a member."""
    fields()
    with transaction() as session:
        accounts.grant_membership(session, actor=actor(), person_id=person_id, now=utc_now())
    security("membership_granted", person=str(person_id), by=str(actor().person_id))
    flash(_("The membership was granted."), "success")
    return redirect(url_for("web.memberships"), 303)


@blueprint.post("/memberships/<uuid:person_id>/rejection")
@needs("membership.grant")
def refuse_membership(person_id: UUID) -> Response:
    """Refuse somebody who asked to be a member."""
    fields()
    with transaction() as session:
        accounts.refuse_membership(session, actor=actor(), person_id=person_id, now=utc_now())
    security("membership_refused", person=str(person_id), by=str(actor().person_id))
    flash(_("The membership was refused."), "success")
    return redirect(url_for("web.memberships"), 303)


# --- everybody ------------------------------------------------------------------------------------


@blueprint.get("/people", endpoint="people")
@needs("person.administer")
def show_people() -> str:
    """Show who has an account."""
    words = request.args.get("q", "")[:200]
    page, page_size = page_wanted()
    with reading() as session:
        found, total = accounts.people(session, actor=actor(), words=words, page=page, page_size=page_size)
        memberships = [held for someone in found for held in someone.memberships]
        places = accounts.places_of(session, memberships=memberships)
        asking = accounts.membership_requests(session, actor=actor())
    return render_template(
        "accounts/people.html",
        people=found,
        asking=asking,
        zone=_zone(),
        places=places,
        total=total,
        page=page,
        page_size=page_size,
        page_url=page_url,
        words=words,
        role_name=wording.role_name,
    )


@blueprint.get("/people/<uuid:person_id>", endpoint="person")
@needs("person.administer")
def show_person(person_id: UUID) -> str:
    """Show somebody's account and roles."""
    return _person_page(person_id, {}, {})


def _person_page(person_id: UUID, form: dict[str, str], errors: dict[str, str]) -> str:
    with reading() as session:
        someone = accounts.some_person(session, actor=actor(), person_id=person_id)
        places = accounts.places_of(session, memberships=someone.memberships)
        offered: list[tuple[str, Sequence[accounts.Place]]] = [
            (_("Facilities"), facilities.listing(session)),
            (_("Organisations"), organisations.listing(session)),
            (_("Networks"), networks.listing(session)),
        ]
    return render_template(
        "accounts/person.html",
        person=someone,
        places=places,
        roles=[(role.value, wording.role_name(role)) for role in Role],
        role_name=wording.role_name,
        offered=[
            (title, [(place.code, name_of(place)) for place in rows]) for title, rows in offered if rows
        ],
        form=form,
        errors=errors,
        zone=_zone(),
    )


@blueprint.post("/people/<uuid:person_id>/memberships")
@needs("person.administer")
def give_role(person_id: UUID) -> Answer:
    """Give somebody a role."""
    form = fields("role", "place")
    try:
        with transaction() as session:
            accounts.grant_at(
                session,
                actor=actor(),
                person_id=person_id,
                role=form["role"],
                # An administrator's role has no place; whatever the list showed does not count.
                place=form["place"],
                now=utc_now(),
            )
    except Invalid as error:
        return _person_page(person_id, form, sentences(error)), 422
    security("role_given", person=str(person_id), role=form["role"], by=str(actor().person_id))
    flash(_("The role was given."), "success")
    return redirect(url_for("web.person", person_id=person_id), 303)


@blueprint.post("/people/<uuid:person_id>/memberships/<int(max=9223372036854775807):membership_id>/removal")
@needs("person.administer")
def take_role(person_id: UUID, membership_id: int) -> Response:
    """Take a role away from somebody."""
    fields()
    with transaction() as session:
        accounts.take_role(
            session, actor=actor(), person_id=person_id, membership_id=membership_id, now=utc_now()
        )
    security("role_taken", person=str(person_id), by=str(actor().person_id))
    flash(_("The role was taken away."), "success")
    return redirect(url_for("web.person", person_id=person_id), 303)


@blueprint.post("/people/<uuid:person_id>/disabling")
@needs("person.administer")
def disable_person(person_id: UUID) -> Response:
    """Let somebody in no more."""
    fields()
    with transaction() as session:
        accounts.disable(session, actor=actor(), person_id=person_id, now=utc_now())
    security("person_disabled", person=str(person_id), by=str(actor().person_id))
    flash(_("The account is disabled. All its sessions and tokens are over."), "success")
    return redirect(url_for("web.person", person_id=person_id), 303)


@blueprint.post("/people/<uuid:person_id>/enabling")
@needs("person.administer")
def enable_person(person_id: UUID) -> Response:
    """Let somebody in again."""
    fields()
    with transaction() as session:
        accounts.enable(session, actor=actor(), person_id=person_id, now=utc_now())
    security("person_enabled", person=str(person_id), by=str(actor().person_id))
    flash(_("The account works again."), "success")
    return redirect(url_for("web.person", person_id=person_id), 303)


@blueprint.post("/people/<uuid:person_id>/sign-out")
@needs("person.administer")
def end_persons_sessions(person_id: UUID) -> Response:
    """Sign somebody out everywhere."""
    fields()
    with transaction() as session:
        accounts.end_sessions(session, actor=actor(), person_id=person_id, now=utc_now())
    flash(_("All sessions of this person are over."), "success")
    return redirect(url_for("web.person", person_id=person_id), 303)


# --- words ----------------------------------------------------------------------------------------


def scope_name(scope: Scope | str) -> str:
    """Name what a token may do."""
    return {
        Scope.READ: _("Read the catalogue and bookings"),
        Scope.BOOK: _("Book, change and cancel"),
        Scope.MANAGE: _("Manage facilities"),
    }[Scope(scope)]


def browser_name(agent: str) -> str:
    """Name the browser and the machine that a session is on, as far as they tell."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    return " · ".join(name for name in (browser, system) if name) or agent[:60] or _("Unknown")


def _zone() -> str:
    return identity.identity().zone or "Asia/Shanghai"
