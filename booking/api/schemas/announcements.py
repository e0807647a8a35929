"""Announcements: lines at the head of pages."""

from typing import Any

from marshmallow import fields, post_load

from booking.api.schemas.fields import Choice, Flag, In, Instant, Key, Out, Text
from booking.domain.announcements import LONGEST, Audience, Level, Shown
from booking.services.announcements import Draft


class AnnouncementIn(In):
    """What is announced, where, for whom and how long."""

    text_zh = Text(longest=LONGEST, load_default="")
    text_en = Text(longest=LONGEST, load_default="", metadata={"example": "No power on Saturday morning."})
    level = Choice(Level, load_default=Level.INFO)
    shown = Choice(
        Shown,
        load_default=Shown.EVERYWHERE,
        metadata={
            "description": "`place`: pages of the facility, or of the network's facilities, and their instruments."
        },
    )
    audience = Choice(Audience, load_default=Audience.EVERYONE)
    begins_at = Instant(required=True)
    ends_at = Instant(
        load_default=None,
        allow_none=True,
        metadata={"description": "Without one it stands until it is ended."},
    )

    @post_load
    def _draft(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        place = {name: data.pop(name) for name in ("facility_id", "network_id") if name in data}
        return {"draft": Draft(**data), **place}


class NewAnnouncementIn(AnnouncementIn):
    """An announcement and of whom it is: of neither, it is of the whole installation."""

    facility_id = Text(longest=40, load_default="")
    network_id = Text(longest=40, load_default="")


class WantedIn(In):
    """Which are listed."""

    kept = Flag(
        in_query=True,
        load_default=False,
        metadata={"description": "Those that you may keep, what is over too, instead of those that stand."},
    )


class AnnouncementOut(Out):
    """An announcement."""

    id = Key(required=True)
    version = fields.Integer(required=True)
    facility_id = fields.String(required=True, allow_none=True)
    network_id = fields.String(required=True, allow_none=True)
    text_zh = fields.String(required=True)
    text_en = fields.String(required=True)
    level = Choice(Level, required=True)
    shown = Choice(Shown, required=True)
    audience = Choice(Audience, required=True)
    begins_at = Instant(required=True)
    ends_at = Instant(required=True, allow_none=True)


class AnnouncementsOut(Out):
    """Announcements, warnings first, or the newest first of those that you keep."""

    items = fields.List(fields.Nested(AnnouncementOut), required=True)
    total = fields.Integer(required=True)
