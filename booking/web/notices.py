"""Notices: the inbox, of what one wants to hear and when, and the addresses to which it is posted."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from booking import messages, wording
from booking.db import reading, transaction
from booking.domain import notices
from booking.domain.notices import Channel, Pace, Quiet, Topic
from booking.domain.rules import Invalid
from booking.gateways import hooks
from booking.http import limits
from booking.http.context import settings
from booking.http.forms import fields, sentences
from booking.http.guard import needs
from booking.http.identity import actor, identity, utc_now
from booking.http.logs import security
from booking.http.paging import page_url, page_wanted
from booking.i18n import format_duration
from booking.i18n import gettext as _
from booking.services import notice_wishes, notifications
from booking.services.notice_wishes import CHANNELS
from booking.services.notifications import InboxEntry
from booking.services.rate_limits import Limit
from booking.web import blueprint
from booking.web.forms import Intake
from booking.web.invitations import invited_at
from models import HookKind, Webhook

Answer = str | Response | tuple[str, int]

TRIED = Limit("webhook-tried", 10, 15 * 60)
ROWS = 25


@dataclass(frozen=True)
class Row:
    """One message as the inbox shows it; one that no longer concerns the reader has no words of its own."""

    id: UUID
    at: datetime
    unread: bool
    topic: str
    subject: str
    lead: str
    over: bool


# --- the inbox ------------------------------------------------------------------------------------


@blueprint.get("/notices", endpoint="notices")
@needs("notice.read")
def show_notices() -> str:
    """Show what I was told."""
    unread = request.args.get("show") == "unread"
    page, page_size = page_wanted(ROWS, 100)
    now = utc_now()
    with reading() as session:
        found, total = notifications.inbox(
            session, actor=actor(), unread=unread, page=page, page_size=page_size, now=now
        )
        waiting = notifications.unread(session, actor=actor())
        rows = [_row(entry) for entry in found]
    return render_template(
        "notices/inbox.html",
        rows=rows,
        total=total,
        page=page,
        page_size=page_size,
        page_url=page_url,
        unread=unread,
        waiting=waiting,
        now=now,
        zone=_zone(),
    )


def _row(entry: InboxEntry) -> Row:
    notice = entry.notice
    if notice.foreign:
        subject, lead = _("This no longer concerns you."), ""
    else:
        said = messages.brief(notice)
        subject, lead = said.subject, said.lead
    return Row(
        notice.delivery_id,
        entry.at,
        entry.read_at is None,
        "" if notice.foreign else wording.topic_name(notice.topic),
        subject,
        lead,
        notice.over or notice.foreign,
    )


@blueprint.post("/notices/<uuid:notice_id>/reading")
@needs("notice.keep")
def read_notice(notice_id: UUID) -> Response:
    """Note that I have read it, and go to what it is about."""
    fields()
    with transaction() as session:
        entry = notifications.read(session, actor=actor(), delivery_id=notice_id, now=utc_now())
        path = "/notices" if entry.notice.foreign else messages.path_of(entry.notice)
    return redirect(path, 303)


@blueprint.post("/notices/reading")
@needs("notice.keep")
def read_all_notices() -> Response:
    """Note that I have read all that had come when the page was made."""
    form = fields("until")
    now = utc_now()
    with transaction() as session:
        notifications.read_all(session, actor=actor(), until=min(_instant(form["until"]), now), now=now)
    flash(_("All notices are marked as read."), "success")
    return redirect(url_for("web.notices"), 303)


def _instant(raw: str) -> datetime:
    """Give the time that the page wrote into its form.

    :raises Invalid: if it is none
    """
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid({"until": "malformed"})
    return at


# --- of what, how and when ------------------------------------------------------------------------


@blueprint.get("/account/notices", endpoint="notice_wishes")
@needs("notice.read")
def show_wishes() -> str:
    """Show of what I hear, how and when."""
    return _wishes_page({}, {})


@blueprint.post("/account/notices")
@needs("notice.keep")
def choose_notices() -> Answer:
    """Choose of what I hear, how and when."""
    names = [f"{topic}-{channel}" for topic in notices.CHOICES for channel in Channel]
    form = fields("quiet_begins", "quiet_ends", *names)
    intake = Intake(form)
    wishes, quiet = _chosen(intake), _quiet(intake)
    if intake.errors:
        return _wishes_page(form, sentences(Invalid(intake.errors))), 422
    try:
        with transaction() as session:
            notice_wishes.choose(session, actor=actor(), wishes=wishes, quiet=quiet, now=utc_now())
    except Invalid as error:
        return _wishes_page(form, sentences(error)), 422
    flash(_("Your choice was kept."), "success")
    return redirect(url_for("web.notice_wishes"), 303)


def _chosen(intake: Intake) -> dict[tuple[Topic, Channel], Pace]:
    """Read what the table said; a cell that it had not is left as it is."""
    found: dict[tuple[Topic, Channel], Pace] = {}
    for topic in notices.CHOICES:
        for channel in Channel:
            name = f"{topic}-{channel}"
            pace = intake.choice(name, Pace) if intake.raw(name) else None
            if pace is not None:
                found[topic, channel] = pace
    return found


def _quiet(intake: Intake) -> Quiet | None:
    """Read the quiet hours; none where both fields are empty."""
    if not intake.raw("quiet_begins") and not intake.raw("quiet_ends"):
        return None
    begins, ends = intake.minute("quiet_begins"), intake.minute("quiet_ends")
    return None if begins is None or ends is None else Quiet(begins % 1440, ends % 1440)


def _wishes_page(form: dict[str, str], errors: dict[str, str]) -> str:
    with reading() as session:
        manner = notice_wishes.own(session, actor=actor())
    quiet = manner.quiet
    typed = {f"{t}-{c}": manner.pace(t, c).value for t in notices.CHOICES for c in manner.channels}
    typed["bookings-invitation"] = manner.pace(Topic.BOOKINGS, Channel.INVITATION).value
    known = settings()
    typed |= {
        "quiet_begins": _clock(quiet.begins) if quiet else "",
        "quiet_ends": _clock(quiet.ends) if quiet else "",
    }
    return render_template(
        "notices/wishes.html",
        topics=[(topic.value, wording.topic_name(topic)) for topic in notices.CHOICES if _concerns(topic)],
        channels=[
            (
                channel.value,
                wording.channel_name(channel),
                [(pace.value, wording.pace_name(pace)) for pace in notices.paces(channel)],
            )
            for channel in manner.channels
        ],
        form=typed | {name: value for name, value in form.items() if value},
        errors=errors,
        invites=bool(known.reply_mailbox),
        secret_sample="" if known.mail_trusted else invited_at("instrument"),
        zone=str(manner.zone),
        digest_at=_clock(notices.DIGEST_MINUTE),
        soon=int(notices.SOON.total_seconds() // 60),
    )


def _concerns(topic: Topic) -> bool:
    """Tell whether the reader could ever hear of a topic."""
    who = actor()
    if topic is Topic.FACILITY:
        return bool(who.manages)
    return topic is not Topic.MEMBERS or bool(who.leads) or not who.organisations


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


# --- addresses ------------------------------------------------------------------------------------


@blueprint.get("/account/webhooks", endpoint="webhooks")
@needs("webhook.keep")
def show_webhooks() -> str:
    """Show the addresses to which my notices are posted."""
    return _webhooks_page({}, {})


@blueprint.post("/account/webhooks")
@needs("webhook.keep")
def add_webhook() -> Answer:
    """Add an address."""
    form = fields("kind", "name", "url", "secret")
    intake = Intake(form)
    kind = intake.choice("kind", HookKind)
    if kind is None:
        return _webhooks_page({**form, "secret": ""}, sentences(Invalid(intake.errors))), 422
    try:
        with transaction() as session:
            made = notice_wishes.add_hook(
                session,
                actor=actor(),
                kind=kind,
                name=form["name"],
                url=form["url"],
                secret=form["secret"],
                inside=settings().hooks_inside,
                now=utc_now(),
            )
    except Invalid as error:
        return _webhooks_page({**form, "secret": ""}, sentences(error)), 422
    security("webhook_added", person=str(actor().person_id), webhook=str(made.id))
    flash(_("The address was added. Send a test to see whether it works."), "success")
    return redirect(url_for("web.webhooks"), 303)


@blueprint.post("/account/webhooks/<uuid:hook_id>/test")
@needs("webhook.keep")
def try_webhook(hook_id: UUID) -> Response:
    """Post a test to one of my addresses; one that takes it is on again."""
    fields()
    who = actor()
    with reading() as session:
        found = notice_wishes.hook(session, actor=who, hook_id=hook_id)
    limits.count((TRIED, str(who.person_id)))
    now = utc_now()
    said = hooks.Post(
        str(uuid4()),
        _("A test from Yiqi"),
        [_("%(name)s can be told here what happens to their bookings.", name=who.name)],
        f"{settings().public_url.rstrip('/')}/account/webhooks",
        {"notices": []},
    )
    # No transaction stands open while we wait for somebody else's server.
    try:
        hooks.send(found.kind.value, found.url, found.secret, said, at=now, also=settings().hooks_inside)
    except hooks.Failed as error:
        flash(
            _("The test was not taken: %(why)s", why=wording.hook_failure(error.code, error.figure)), "error"
        )
        return redirect(url_for("web.webhooks"), 303)
    with transaction() as session:
        notice_wishes.hook_worked(session, hook_id=hook_id)
    flash(_("The test was taken. Look whether it arrived."), "success")
    return redirect(url_for("web.webhooks"), 303)


@blueprint.post("/account/webhooks/<uuid:hook_id>/removal")
@needs("webhook.keep")
def remove_webhook(hook_id: UUID) -> Response:
    """Forget one of my addresses."""
    fields()
    with transaction() as session:
        notice_wishes.remove_hook(session, actor=actor(), hook_id=hook_id, now=utc_now())
    security("webhook_removed", person=str(actor().person_id), webhook=str(hook_id))
    flash(_("The address was forgotten."), "success")
    return redirect(url_for("web.webhooks"), 303)


def _webhooks_page(form: dict[str, str], errors: dict[str, str]) -> str:
    with reading() as session:
        found = notice_wishes.hooks(session, actor=actor())
    taken = {hook.kind for hook in found}
    return render_template(
        "notices/webhooks.html",
        found=found,
        form=form,
        errors=errors,
        kinds=[(kind.value, _kind_name(kind)) for kind in HookKind if kind not in taken],
        kind_name=_kind_name,
        host_of=_host_of,
        off_after=format_duration(notice_wishes.OFF_AFTER),
        zone=_zone(),
    )


def _kind_name(kind: HookKind) -> str:
    return wording.channel_name(CHANNELS[kind])


def _host_of(hook: Webhook) -> str:
    """Give as much of an address as may be shown: the rest of it is as good as a password."""
    return hook.url.split("/", 3)[2]


def _zone() -> str:
    return identity().zone or notice_wishes.ZONE
