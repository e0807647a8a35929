"""Calendar feeds: what makes an address and how one is told."""

from enum import StrEnum
from typing import Any

from marshmallow import fields, validate

from booking.api.schemas.fields import Choice, Flag, In, Instant, Out, Text, Whole
from booking.i18n import LOCALES
from booking.services.calendars import FARTHEST, LONGEST_NAME, MOST_TOGETHER
from models import CalendarScope, Privacy

Locale = StrEnum("Locale", {name: name for name in LOCALES})  # type: ignore[misc]

_ID = (
    "The instrument's, facility's or network's id, or the project's; null for one's own bookings and approvals, and"
    " where `ids` names several instruments."
)
_IDS = "Of `free`: several instruments whose free time is shown together, at most 50."
_PAST = "How many days back it reaches; null for as far as the server allows."
_FUTURE = "How many days ahead it reaches; null for as far as the server allows."
_NAME = "What its owner calls it; calendars show it."
_PENDING = "Whether it shows what still awaits approval."
_CANCELLED = "Whether it shows what was called off, marked as such."
_PRIVACY = (
    "`busy`: times alone. `summary`: also which instrument, where, and by whom where one may know it. `full`: also the"
    " purpose and the project."
)
_URL = "Shown in this answer and never again. Whoever knows it can read the feed."


def _ids(**more: Any) -> fields.List:
    return fields.List(
        Text(longest=40),
        validate=validate.Length(max=MOST_TOGETHER, error="too_many"),
        metadata={"description": _IDS, "example": ["DG-SLAB-05", "DG-SLAB-06"]},
        **more,
    )


def _days(least: int, **more: Any) -> Whole:
    return Whole(least=least, most=FARTHEST, allow_none=True, **more)


def _name(**more: Any) -> Text:
    return Text(longest=LONGEST_NAME, metadata={"description": _NAME}, **more)


class CalendarIn(In):
    """A wish for a feed."""

    scope = Choice(
        CalendarScope,
        required=True,
        metadata={
            "description": "`me`: one's own bookings. `free`: the free time of one instrument or several."
            " `network`: when its instruments are taken. `approvals`: what awaits one's decision."
        },
    )
    id = Text(
        longest=40, load_default=None, allow_none=True, metadata={"description": _ID, "example": "DG-SLAB-05"}
    )
    ids = _ids(load_default=list)
    privacy = Choice(Privacy, load_default=Privacy.SUMMARY, metadata={"description": _PRIVACY})
    locale = Choice(
        Locale,
        load_default=None,
        allow_none=True,
        metadata={"description": "The language of the feed; the person's if none is given."},
    )
    name = _name(load_default="")
    past_days = _days(0, load_default=None, metadata={"description": _PAST})
    future_days = _days(1, load_default=None, metadata={"description": _FUTURE})
    pending = Flag(load_default=True, metadata={"description": _PENDING})
    cancelled = Flag(load_default=False, metadata={"description": _CANCELLED})


class CalendarChangeIn(In):
    """What to change of a feed; whatever is left out stays as it is."""

    ids = _ids()
    privacy = Choice(Privacy, metadata={"description": _PRIVACY})
    locale = Choice(Locale, metadata={"description": "The language of the feed."})
    name = _name()
    past_days = _days(0, metadata={"description": _PAST})
    future_days = _days(1, metadata={"description": _FUTURE})
    pending = Flag(metadata={"description": _PENDING})
    cancelled = Flag(metadata={"description": _CANCELLED})


class CalendarOut(Out):
    """A living feed."""

    id = fields.UUID(required=True)
    scope = Choice(CalendarScope, required=True)
    subject_id = fields.String(required=True, allow_none=True, metadata={"description": _ID})
    ids = fields.List(fields.String(), required=True, metadata={"description": _IDS})
    privacy = Choice(Privacy, required=True)
    locale = fields.String(required=True, metadata={"example": "zh_Hans_CN"})
    name = fields.String(required=True, metadata={"description": _NAME})
    past_days = fields.Integer(required=True, allow_none=True, metadata={"description": _PAST})
    future_days = fields.Integer(required=True, allow_none=True, metadata={"description": _FUTURE})
    pending = fields.Boolean(required=True, metadata={"description": _PENDING})
    cancelled = fields.Boolean(required=True, metadata={"description": _CANCELLED})
    created_at = Instant(required=True)
    fetched_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "When a calendar last read it, to about 5 minutes."},
    )
    agent = fields.String(required=True, metadata={"description": "What program read it last."})
    network = fields.String(
        required=True, metadata={"description": "From which network.", "example": "192.0.2.0/24"}
    )


def _news(form: str) -> fields.String:
    said = f"News of time that came free on these instruments, as {form}; null where it is about none."
    return fields.String(required=True, allow_none=True, metadata={"description": said})


class CalendarMadeOut(CalendarOut):
    """A feed that was just made, with its secret address."""

    url = fields.String(
        required=True,
        metadata={"description": _URL, "example": "https://yiqi.example.org/calendars/mX3…Qk.ics"},
    )
    webcal_url = fields.String(
        required=True, metadata={"description": "The same for the calendar program of the machine."}
    )
    busy_url = fields.String(
        required=True, allow_none=True, metadata={"description": "Busy time alone, as one VFREEBUSY."}
    )
    atom_url = _news("Atom")
    rss_url = _news("RSS")
    json_url = _news("JSON Feed")


class CalendarsOut(Out):
    """One's living feeds, the newest first; the secret part of their addresses is not kept."""

    items = fields.List(fields.Nested(CalendarOut), required=True)
    total = fields.Integer(required=True)
