"""Notices: of what people hear, by which ways, how soon, and what may not wait.

A new kind of event that somebody should hear of is one line of `TOLD`.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.hours import instant


class Channel(enum.StrEnum):
    """How it goes."""

    MAIL = "mail"
    INBOX = "inbox"
    WEBHOOK = "webhook"
    WECOM = "wecom"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    INVITATION = "invitation"
    """A meeting in one's calendar, by mail; of one's own bookings alone."""


HOOKS = (Channel.WEBHOOK, Channel.WECOM, Channel.DINGTALK, Channel.FEISHU)
"""Channels that are an address of the person's own making."""


class Pace(enum.StrEnum):
    """When a message leaves: at once, with all others of the day or the week, or never."""

    AT_ONCE = "at_once"
    DAILY = "daily"
    WEEKLY = "weekly"
    NEVER = "never"


class Topic(enum.StrEnum):
    """What people choose by."""

    ACCOUNT = "account"
    BOOKINGS = "bookings"
    REMINDERS = "reminders"
    REQUESTS = "requests"
    WAITLIST = "waitlist"
    ROUNDS = "rounds"
    TRANSFERS = "transfers"
    TRAINING = "training"
    CREDIT = "credit"
    FAULTS = "faults"
    FACILITY = "facility"
    MEMBERS = "members"


CHOICES = tuple(topic for topic in Topic if topic is not Topic.ACCOUNT)
"""Topics of which one may choose; of one's own account one hears by mail, whatever one likes."""


class Hearer(enum.StrEnum):
    """Who hears of an event."""

    OWNER = "owner"
    """The person of the booking, and who booked for them."""
    MANAGERS = "managers"
    """The managers of the event's facility, or of all that the booking takes."""
    UNLESS_STEPS = "unless_steps"
    """The managers of a request that waits for them without any step of approval."""
    APPROVERS = "approvers"
    """Who may decide the open step of `data["step_id"]`, and who does so in their place."""
    PERSON = "person"
    """`data["person_id"]`."""
    TAKER = "taker"
    """The person to whom the booking of `data["transfer_id"]` was offered."""
    LINK = "link"
    """The owner of the one-time link `data["link_id"]`."""
    OFFICERS = "officers"
    """The officers of the network `data["network_id"]`."""
    LEADERS = "leaders"
    """The leaders of the organisation to which the event's actor asks to belong."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told, under which topic, and in which form; the form is named as the kind where it has no other name."""

    to: Hearer
    topic: Topic
    form: str = ""


_T = Topic
_OWNER, _PERSON = Hearer.OWNER, Hearer.PERSON
_WAITING = Telling(Hearer.UNLESS_STEPS, _T.REQUESTS, "booking.waiting")

TOLD: Mapping[str, tuple[Telling, ...]] = {
    # --- bookings ---
    "booking.placed": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.requested": (Telling(_OWNER, _T.BOOKINGS), _WAITING),
    "booking.changed": (Telling(_OWNER, _T.BOOKINGS), _WAITING),
    "booking.cancelled": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.withdrawn": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.approved": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.rejected": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.expired": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.displaced": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.stands": (Telling(_OWNER, _T.BOOKINGS),),
    "proposal.made": (Telling(_PERSON, _T.BOOKINGS),),
    "proposal.withdrawn": (Telling(_PERSON, _T.BOOKINGS),),
    "invitation.declined": (Telling(_PERSON, _T.BOOKINGS),),
    "invitation.countered": (Telling(_PERSON, _T.BOOKINGS),),
    "booking.move_asked": (Telling(_PERSON, _T.BOOKINGS),),
    "booking.move_answered": (Telling(_PERSON, _T.FACILITY),),
    "booking.move_unanswered": (Telling(_PERSON, _T.FACILITY),),
    "booking.move_unasked": (Telling(_PERSON, _T.BOOKINGS),),
    "booking.reminded": (Telling(_OWNER, _T.REMINDERS),),
    "booking.no_show": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.came": (Telling(_OWNER, _T.BOOKINGS),),
    "booking.overtime": (Telling(_OWNER, _T.REMINDERS),),
    # --- approvals ---
    "approval.opened": (Telling(Hearer.APPROVERS, _T.REQUESTS, "booking.waiting"),),
    "approval.reminded": (Telling(Hearer.APPROVERS, _T.REQUESTS),),
    "approval.escalated": (Telling(Hearer.APPROVERS, _T.REQUESTS),),
    "approval.expired": (Telling(Hearer.APPROVERS, _T.REQUESTS),),
    "approval.unanswered": (Telling(Hearer.APPROVERS, _T.REQUESTS),),
    "delegation.made": (Telling(_PERSON, _T.REQUESTS),),
    "delegation.ended": (Telling(_PERSON, _T.REQUESTS),),
    # --- series ---
    "series.placed": (Telling(_PERSON, _T.BOOKINGS),),
    "series.changed": (Telling(_PERSON, _T.BOOKINGS),),
    "series.cancelled": (Telling(_PERSON, _T.BOOKINGS),),
    "series.decided": (Telling(_PERSON, _T.BOOKINGS),),
    "series.expired": (Telling(_PERSON, _T.BOOKINGS),),
    # --- the waitlist ---
    "waitlist.offered": (Telling(_PERSON, _T.WAITLIST),),
    "waitlist.silent": (Telling(_PERSON, _T.WAITLIST),),
    "waitlist.lapsed": (Telling(_PERSON, _T.WAITLIST),),
    # --- rounds ---
    "wish.drafted": (Telling(_PERSON, _T.ROUNDS),),
    "wish.served": (Telling(_PERSON, _T.ROUNDS),),
    "wish.unserved": (Telling(_PERSON, _T.ROUNDS),),
    "wish.round_cancelled": (Telling(_PERSON, _T.ROUNDS),),
    # --- handing over ---
    "transfer.asked": (Telling(_PERSON, _T.TRANSFERS),),
    "transfer.accepted": (Telling(_PERSON, _T.TRANSFERS),),
    "transfer.declined": (Telling(_PERSON, _T.TRANSFERS),),
    "transfer.withdrawn": (Telling(_PERSON, _T.TRANSFERS),),
    "transfer.lapsed": (
        Telling(_PERSON, _T.TRANSFERS),
        Telling(Hearer.TAKER, _T.TRANSFERS, "transfer.missed"),
    ),
    "booking.handed_over": (
        Telling(_PERSON, _T.BOOKINGS),
        Telling(Hearer.MANAGERS, _T.FACILITY, "booking.changed_hands"),
    ),
    # --- qualifications ---
    "qualification.requested": (Telling(Hearer.MANAGERS, _T.FACILITY),),
    "qualification.scheduled": (Telling(_PERSON, _T.TRAINING),),
    "qualification.session_cancelled": (Telling(_PERSON, _T.TRAINING),),
    "qualification.granted": (Telling(_PERSON, _T.TRAINING),),
    "qualification.refused": (Telling(_PERSON, _T.TRAINING),),
    "qualification.revoked": (Telling(_PERSON, _T.TRAINING),),
    "qualification.expiring": (Telling(_PERSON, _T.TRAINING),),
    "qualification.flagged": (Telling(Hearer.MANAGERS, _T.FACILITY),),
    # --- faults ---
    "fault.reported": (Telling(Hearer.MANAGERS, _T.FACILITY),),
    "fault.confirmed": (Telling(_PERSON, _T.FAULTS),),
    "fault.mended": (Telling(_PERSON, _T.FAULTS),),
    "fault.dismissed": (Telling(_PERSON, _T.FAULTS),),
    # --- calendars elsewhere ---
    "calendar_source.clashes": (Telling(Hearer.MANAGERS, _T.FACILITY),),
    "calendar_source.failing": (Telling(Hearer.MANAGERS, _T.FACILITY),),
    "bookings.taken_over": (Telling(_PERSON, _T.BOOKINGS),),
    # --- permits ---
    "permit.expiring": (Telling(Hearer.MANAGERS, _T.FACILITY),),
    "permit.over": (Telling(Hearer.MANAGERS, _T.FACILITY),),
    # --- credit ---
    "credit.changed": (Telling(_PERSON, _T.CREDIT),),
    "ban.made": (Telling(_PERSON, _T.CREDIT),),
    "ban.lifted": (Telling(_PERSON, _T.CREDIT),),
    "appeal.opened": (Telling(Hearer.MANAGERS, _T.FACILITY),),
    "appeal.decided": (Telling(_PERSON, _T.CREDIT),),
    # --- accounts ---
    "person.membership_granted": (Telling(_PERSON, _T.MEMBERS, "membership.granted"),),
    "person.membership_refused": (Telling(_PERSON, _T.MEMBERS, "membership.refused"),),
    "person.confirmed": (Telling(Hearer.LEADERS, _T.MEMBERS, "membership.requested"),),
    "person.asked_to_join": (Telling(Hearer.LEADERS, _T.MEMBERS, "membership.requested"),),
    # --- networks ---
    "network.applied": (Telling(Hearer.OFFICERS, _T.MEMBERS, "network.asked"),),
    "network.invited": (Telling(Hearer.MANAGERS, _T.FACILITY, "network.asked"),),
    "network.answered": (Telling(_PERSON, _T.MEMBERS),),
    "person.signed_up": (Telling(Hearer.LINK, _T.ACCOUNT),),
    "person.invited": (Telling(Hearer.LINK, _T.ACCOUNT),),
    "person.password_reset_asked": (Telling(Hearer.LINK, _T.ACCOUNT),),
    "person.password_changed": (Telling(_PERSON, _T.ACCOUNT),),
    "person.enabled": (Telling(_PERSON, _T.ACCOUNT),),
    "person.role_given": (Telling(_PERSON, _T.MEMBERS, "role.given"),),
    "person.role_taken": (Telling(_PERSON, _T.MEMBERS, "role.taken"),),
    "badge.changed": (Telling(_PERSON, _T.ACCOUNT),),
    "webhook.switched_off": (Telling(_PERSON, _T.ACCOUNT),),
}
"""Every kind of event of which somebody hears. Whoever is meant twice is told in the first form."""

FORMS = frozenset(telling.form or kind for kind, told in TOLD.items() for telling in told)
"""Every form of message that there is."""

NOT_OF_ONES_OWN = frozenset(
    {
        "qualification.scheduled",
        "qualification.requested",
        "fault.reported",
        "fault.confirmed",
        "fault.mended",
    }
)
"""Of these the one who did it needs no message; of a booking everybody gets word, as a receipt."""

CANNOT_WAIT = frozenset(
    {"waitlist.offered", "proposal.made", *(k for k, told in TOLD.items() if told[0].topic is _T.ACCOUNT)}
)
"""Of these the answer has a deadline, or somebody sits and waits for the letter."""

ASKING = frozenset({"approval.opened", "approval.reminded", "approval.escalated"})
"""These ask for a word; of a series the letter on one date asks for all."""

CAN_WAIT = frozenset({"approval.expired", "approval.unanswered", "transfer.lapsed"})
"""Of these nothing is left to be done, however soon the time that they are about begins."""

SOON = timedelta(hours=2)
"""What concerns time that starts within this cannot wait either, whatever kind of message it is."""

DIGEST_MINUTE = 8 * 60
"""When digests leave, on the reader's own clock; those of the week on Monday."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Wall-clock minutes between which nothing is sent; over midnight where the end is not after the beginning."""

    begins: int
    ends: int

    def covers(self, minute: int) -> bool:
        """Tell whether a minute of the day is quiet."""
        if self.begins < self.ends:
            return self.begins <= minute < self.ends
        return minute >= self.begins or minute < self.ends


def worth_a_word(kind: str, data: Mapping[str, Any]) -> bool:
    """Tell whether an event is told at all: nobody wants a letter of points that one earns, nor two of one thing."""
    if kind == "person.role_given":
        return not data.get("invited")
    return kind != "credit.changed" or int(data.get("points", 0)) < 0


def paces(channel: Channel) -> tuple[Pace, ...]:
    """Give what may be chosen for a channel; the web inbox is no message that could come later."""
    return (Pace.AT_ONCE, Pace.NEVER) if channel in {Channel.INBOX, Channel.INVITATION} else tuple(Pace)


def is_offered(topic: Topic, channel: Channel) -> bool:
    """Tell whether one may choose how to hear of a topic by a channel."""
    return topic in CHOICES and (channel is not Channel.INVITATION or topic is Topic.BOOKINGS)


def default(topic: Topic, channel: Channel) -> Pace:
    """Give the pace of one who chose nothing: all at once; who made a webhook wants to hear by it.

    Nobody is sent invitations who did not ask for them: the feed is enough, and both would show everything twice.
    """
    if channel is Channel.INVITATION or (topic is Topic.ACCOUNT and channel is not Channel.MAIL):
        return Pace.NEVER
    return Pace.AT_ONCE


def pace(topic: Topic, channel: Channel, chosen: Mapping[tuple[str, Channel], Pace]) -> Pace:
    """Give the pace that counts."""
    if topic is Topic.ACCOUNT:
        return default(topic, channel)
    return chosen.get((topic.value, channel), default(topic, channel))


def cannot_wait(kind: str, starts_at: datetime | None, now: datetime) -> bool:
    """Tell whether a message would be worth nothing after the quiet hours, or in a digest."""
    soon = starts_at is not None and now <= starts_at <= now + SOON
    return kind in CANNOT_WAIT or (soon and kind not in CAN_WAIT)


def leaves_at(at: datetime, wanted: Pace, tz: ZoneInfo, quiet: Quiet | None, *, urgent: bool) -> datetime:
    """Give when a message that came up at `at` leaves. What is urgent heeds neither digest nor quiet hours."""
    if urgent:
        return at
    if wanted in {Pace.DAILY, Pace.WEEKLY}:
        at = next_digest(at, wanted, tz)
    return (quiet_until(at, quiet, tz) if quiet else None) or at


def quiet_until(at: datetime, quiet: Quiet, tz: ZoneInfo) -> datetime | None:
    """Give when the quiet hours that hold `at` end, None if none do."""
    local = at.astimezone(tz)
    minute = local.hour * 60 + local.minute
    if not quiet.covers(minute):
        return None
    day = local.date() + timedelta(days=minute >= quiet.ends)
    return _after(at, day, quiet.ends, tz)


def next_digest(at: datetime, wanted: Pace, tz: ZoneInfo) -> datetime:
    """Give when the next digest after `at` leaves."""
    day = at.astimezone(tz).date()
    if wanted is Pace.WEEKLY:
        day -= timedelta(days=day.weekday())
    step = timedelta(days=7 if wanted is Pace.WEEKLY else 1)
    found = instant(day, DIGEST_MINUTE, tz)
    return found if found > at else instant(day + step, DIGEST_MINUTE, tz)


def _after(at: datetime, day: date, minute: int, tz: ZoneInfo) -> datetime:
    """Give the first coming of a wall-clock minute that is after `at`; in autumn it may be the second of the day."""
    found = instant(day, minute, tz)
    if found <= at:
        found = found.astimezone(tz).replace(fold=1).astimezone(UTC)
    return found
