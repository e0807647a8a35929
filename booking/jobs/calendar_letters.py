"""Letters around meetings: an invitation to one's own booking, and what an instrument answers when it is invited."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from booking import i18n, messages, wording
from booking.config import Settings
from booking.domain import invitations as itip
from booking.domain.calendars import Status
from booking.domain.incoming_mail import is_plain
from booking.domain.invitations import Answer, Invite, Method, Party, Reply, Verdict
from booking.domain.spans import Span
from booking.gateways.mail import Letter
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services.calendar_replies import reply_tag
from booking.services.invitations import Answered, Parcel
from booking.services.notifications import ANSWER, INVITATION


def write(parcel: Parcel | Answered, delivery_id: UUID, settings: Settings, *, now: datetime) -> Letter:
    """Write what is mailed, in its receiver's language."""
    with i18n.use_locale(parcel.person.locale or settings.default_locale):
        if isinstance(parcel, Answered):
            return _answer(parcel, delivery_id, settings, now)
        return _invitation(parcel, delivery_id, settings, now)


# --- an invitation --------------------------------------------------------------------------------


def _invitation(parcel: Parcel, delivery_id: UUID, settings: Settings, now: datetime) -> Letter:
    booking, base = parcel.booking, settings.public_url.rstrip("/")
    zone = parcel.items[0].instrument.facility.zone
    what = " + ".join(
        name_of(item.instrument) + (f" × {item.quantity}" if item.quantity > 1 else "")
        for item in parcel.items
    )
    title = _("Awaiting approval: %(title)s", title=what) if parcel.status is Status.TENTATIVE else what
    page = f"{base}/bookings/{booking.id}"
    mailbox = itip.plus(settings.reply_mailbox, reply_tag(settings.key(), booking.id, parcel.person.id))
    calendar = itip.invite(
        Invite(
            method=parcel.method,
            uid=parcel.uid,
            sequence=parcel.sequence,
            span=parcel.span,
            status=parcel.status,
            created_at=booking.created_at,
            updated_at=booking.updated_at,
            organizer=Party(mailbox, _("Yiqi")),
            person=Party(parcel.person.email, parcel.person.name),
            instruments=[
                Party(_address(item.instrument.code, settings), name_of(item.instrument))
                for item in parcel.items
            ],
            summary=title,
            description="\n".join(line for line in (booking.purpose, page) if line),
            location="; ".join(dict.fromkeys(_spot(item.instrument) for item in parcel.items)),
            url=page,
        ),
        stamp=now,
    )
    said = messages.of_calendar(
        INVITATION,
        _words(parcel.person, base)
        | {
            "method": parcel.method.value,
            "first": parcel.first,
            "what": title,
            "when": i18n.format_datetime(parcel.span.start, zone),
            "items": parcel.items if parcel.method is Method.REQUEST else (),
            "booking": booking,
            "booking_url": page,
        },
    )
    return Letter(
        id=f"{delivery_id}.{parcel.position + 1}",
        to_name=parcel.person.name,
        to_address=parcel.person.email,
        subject=said.subject,
        text=said.text,
        html=said.html,
        language=i18n.language_tag(),
        calendar=calendar,
        method=parcel.method.value,
        reply_to=mailbox,
    )


def _address(code: str, settings: Settings) -> str:
    """Give the instrument's own address, or where none takes mail one of ours that nobody listens to."""
    return itip.instrument_address(code, settings.mail_domain) or itip.plus(
        settings.reply_mailbox, code.lower()
    )


def _spot(instrument: Any) -> str:
    facility = instrument.facility
    return ", ".join(part for part in (instrument.location, name_of(facility), facility.address) if part)


# --- an answer ------------------------------------------------------------------------------------


def _answer(answered: Answered, delivery_id: UUID, settings: Settings, now: datetime) -> Letter:
    data, place, base = answered.data, answered.instrument, settings.public_url.rstrip("/")
    zone, dates = place.facility.zone, data["dates"]
    lines = [_line(line, zone, base) for line in dates]
    verdicts = [_verdict(line, said) for line, said in zip(dates, lines, strict=True)]
    calendar = itip.reply(
        Reply(
            uid=data["uid"],
            sequence=data["sequence"],
            organizer=data["organizer"],
            attendee=data["attendee"],
            name=name_of(place),
            summary=data["summary"],
            zone=zone,
            verdicts=_together(verdicts),
        ),
        stamp=now,
    )
    said = messages.of_calendar(
        ANSWER,
        _words(answered.person, base)
        | {
            "subject": _subject([verdict.answer for verdict in verdicts], data["summary"] or name_of(place)),
            "instrument": place,
            "summary": data["summary"] or name_of(place),
            "lines": lines,
            "url": f"{base}/instruments/{place.code}",
        },
    )
    attendee = str(data["attendee"]).partition(":")[2]
    # As the meeting names it, where that is a plain address; what somebody wrote is not pasted into our mail.
    sender = attendee if is_plain(attendee) else itip.instrument_address(place.code, settings.mail_domain)
    return Letter(
        id=str(delivery_id),
        to_name=answered.person.name,
        to_address=answered.person.email,
        subject=said.subject,
        text=said.text,
        html=said.html,
        language=i18n.language_tag(),
        calendar=calendar,
        method=Method.REPLY.value,
        sender=f"{_plain(name_of(place))} <{sender}>" if sender else "",
    )


def _plain(name: str) -> str:
    return "".join(character for character in name if character not in '<>"@,;:\\')


def _verdict(line: Mapping[str, Any], said: Mapping[str, Any]) -> Verdict:
    instead = [_("Free instead:") + " " + wording.strung(said["instead"])] if said["instead"] else []
    return Verdict(
        recurrence=line["recurrence"],
        span=Span(datetime.fromisoformat(line["start"]), datetime.fromisoformat(line["end"])),
        answer=Answer(line["answer"]),
        comment="\n".join([said["said"], *said["reasons"], *instead]),
        all_day=bool(line.get("all_day")),
    )


def _together(verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """Answer once for a meeting whose dates are all answered alike; some programs read no more than that."""
    first = verdicts[0]
    alike = len(verdicts) > 1 and all(one.answer is first.answer for one in verdicts)
    if not alike or first.answer is Answer.DECLINED:
        return verdicts
    return [Verdict("", first.span, first.answer, first.comment, first.all_day)]


def _line(line: Mapping[str, Any], zone: str, base: str) -> dict[str, Any]:
    start, end = datetime.fromisoformat(line["start"]), datetime.fromisoformat(line["end"])
    booking_id = line.get("booking_id")
    return {
        "when": i18n.format_span(start, end, zone),
        "offset": i18n.utc_offset(zone, start),
        "said": _said(line, zone),
        "reasons": [
            wording.sentence(reason["code"], {"zone": zone, **reason["params"]}) for reason in line["reasons"]
        ],
        "instead": [_other(other, zone) for other in line["instead"]],
        "url": f"{base}/bookings/{booking_id}" if booking_id else "",
    }


def _other(other: Mapping[str, Any], zone: str) -> str:
    spans = [i18n.format_span(*map(datetime.fromisoformat, span), zone) for span in other["spans"]]
    return _("%(what)s, %(when)s", what=other["instrument"], when=wording.strung(spans))


def _said(line: Mapping[str, Any], zone: str) -> str:
    now = line.get("now")
    when = i18n.format_span(*map(datetime.fromisoformat, now), zone) if now else ""
    if line["why"] == "moved":
        return _("The booking was moved to %(when)s. Please move the meeting too.", when=when)
    if line["why"] == "refused" and now:
        return _("Not moved. The booking stays as it was: %(when)s.", when=when)
    return {
        "booked": _("Booked."),
        "waits": _("Waits for approval; the time is held until then."),
        "refused": _("Not booked."),
        "cancelled": _("Cancelled."),
        "gone": _("The booking is no longer; its time was given back."),
        "kept": _("Not cancelled: the booking stands."),
    }[line["why"]]


def _subject(answers: Sequence[Answer], summary: str) -> str:
    if len(set(answers)) > 1:
        return _("Partly accepted: %(what)s", what=summary)
    return {
        Answer.ACCEPTED: _("Accepted: %(what)s", what=summary),
        Answer.TENTATIVE: _("Tentative: %(what)s", what=summary),
        Answer.DECLINED: _("Declined: %(what)s", what=summary),
    }[answers[0]]


def _words(person: Any, base: str) -> dict[str, Any]:
    return {
        "person": person,
        "public_url": base,
        "items": (),
        "booking": None,
        "booking_url": "",
        "behalf": "",
        "data": {},
    }
