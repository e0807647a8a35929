"""Calendar feeds: what makes an address and how one is told."""

from enum import StrEnum

from marshmallow import fields

from booking.api.schemas.fields import Choice, In, Instant, Out, Text
from booking.i18n import LOCALES
from models import CalendarScope, Privacy

Locale = StrEnum("Locale", {name: name for name in LOCALES})  # type: ignore[misc]

_ID = "The instrument's or facility's id, or the project's; null for one's own bookings."
_URL = "Shown in this answer and never again. Whoever knows it can read the feed."


class CalendarIn(In):
    """A wish for a feed."""

    scope = Choice(
        CalendarScope,
        required=True,
        metadata={"description": "`me`: one's own bookings. `free`: the free time of an instrument."},
    )
    id = Text(
        longest=40, load_default=None, allow_none=True, metadata={"description": _ID, "example": "DG-SLAB-05"}
    )
    privacy = Choice(
        Privacy,
        load_default=Privacy.SUMMARY,
        metadata={
            "description": "`busy`: times alone. `summary`: also which instrument, where, and by whom where"
            " one may know it. `full`: also the purpose and the project."
        },
    )
    locale = Choice(
        Locale,
        load_default=None,
        allow_none=True,
        metadata={"description": "The language of the feed; the person's if none is given."},
    )


class CalendarOut(Out):
    """A living feed."""

    id = fields.UUID(required=True)
    scope = Choice(CalendarScope, required=True)
    subject_id = fields.String(required=True, allow_none=True, metadata={"description": _ID})
    privacy = Choice(Privacy, required=True)
    locale = fields.String(required=True, metadata={"example": "zh_Hans_CN"})
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


class CalendarMadeOut(CalendarOut):
    """A feed that was just made, with its secret address."""

    url = fields.String(
        required=True,
        metadata={"description": _URL, "example": "https://yiqi.example.org/calendars/mX3…Qk.ics"},
    )
    webcal_url = fields.String(
        required=True, metadata={"description": "The same for the calendar program of the machine."}
    )


class CalendarsOut(Out):
    """One's living feeds, the newest first; the secret part of their addresses is not kept."""

    items = fields.List(fields.Nested(CalendarOut), required=True)
    total = fields.Integer(required=True)
