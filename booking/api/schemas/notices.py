"""Notices: a message of the inbox, and of what one wants to hear."""

from marshmallow import fields, validate

from booking.api.schemas.fields import Choice, Flag, In, Instant, Out, Whole
from booking.api.schemas.paging import PageIn, PageOut
from booking.domain.hours import DAY_MINUTES
from booking.domain.notices import CHOICES, Channel, Pace, Topic

_CHOOSABLE = [validate.OneOf(CHOICES, error="unknown")]
_TOPIC = "What it is about; one chooses by it."


class NoticesIn(PageIn):
    """Which notices."""

    unread = Flag(in_query=True, load_default=False, metadata={"description": "Only those not read yet."})


class NoticeOut(Out):
    """A message of the inbox, in the reader's language and as things are now."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"example": "booking.placed"})
    topic = Choice(Topic, required=True, allow_none=True, metadata={"description": _TOPIC})
    at = Instant(required=True)
    read_at = Instant(required=True, allow_none=True)
    subject = fields.String(required=True)
    text = fields.String(required=True)
    url = fields.String(required=True, metadata={"description": "The page where one sees more."})
    booking_id = fields.UUID(required=True, allow_none=True)
    settled = fields.Boolean(
        required=True, metadata={"description": "What it says is no longer so, or no longer concerns one."}
    )


class NoticesOut(PageOut):
    """A page of the inbox, the newest first."""

    items = fields.List(fields.Nested(NoticeOut), required=True)
    unread = fields.Integer(required=True, metadata={"description": "How many are not read, on all pages."})


class ReadingIn(In):
    """Up to when all is read."""

    until = Instant(load_default=None, allow_none=True, metadata={"description": "Now, if none is given."})


class WishIn(In):
    """How soon one wants to hear of a topic by a channel."""

    topic = Choice(Topic, required=True, validate=_CHOOSABLE, metadata={"description": _TOPIC})
    channel = Choice(Channel, required=True)
    pace = Choice(Pace, required=True, metadata={"description": "The inbox takes `at_once` and `never`."})


class WishOut(Out):
    """How soon one hears of a topic by a channel."""

    topic = Choice(Topic, required=True)
    channel = Choice(Channel, required=True)
    pace = Choice(Pace, required=True)


class QuietIn(In):
    """Minutes after midnight on one's own clock; over midnight where the end is not after the beginning."""

    begins = Whole(least=0, most=DAY_MINUTES - 1, required=True, metadata={"example": 1320})
    ends = Whole(least=0, most=DAY_MINUTES - 1, required=True, metadata={"example": 420})


class QuietOut(Out):
    """Minutes after midnight between which nothing is sent."""

    begins = fields.Integer(required=True)
    ends = fields.Integer(required=True)


class WishesIn(In):
    """What one wants to hear; a topic and channel that is not named stays as it is."""

    wishes = fields.List(
        fields.Nested(WishIn), load_default=list, validate=validate.Length(max=100, error="too_many")
    )
    quiet = fields.Nested(
        QuietIn, required=True, allow_none=True, metadata={"description": "Quiet hours; null for none."}
    )


class WishesOut(Out):
    """Of what one hears, by every way that leads to one."""

    wishes = fields.List(fields.Nested(WishOut), required=True)
    quiet = fields.Nested(QuietOut, required=True, allow_none=True)
    zone = fields.String(required=True, metadata={"description": "The clock of quiet hours and digests."})
