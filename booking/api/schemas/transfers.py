"""Transfers: bookings that are handed over or swapped."""

from marshmallow import fields

from booking.api.schemas.bookings import BookingItemOut, PersonOut
from booking.api.schemas.fields import Choice, In, Instant, Key, Out, QueryInstant, Text
from booking.api.schemas.paging import PageIn, PageOut
from booking.domain.lifecycle import State
from booking.services.transfers import LONGEST_NOTE
from models import TransferState


class TransfersIn(PageIn):
    """Which offers, of those to and by oneself."""

    state = fields.List(Choice(TransferState), load_default=list)


class TransferIn(In):
    """An offer of a booking to somebody."""

    booking_id = Key(required=True)
    to = Text(
        longest=254,
        required=True,
        metadata={
            "description": "Address or id of a colleague: of the same organisation or project. The facility's "
            "managers offer to anybody.",
            "example": "ben@example.org",
        },
    )
    for_booking_id = Key(
        allow_none=True,
        load_default=None,
        metadata={"description": "A booking of theirs that one may see: a swap."},
    )
    note = Text(longest=LONGEST_NOTE, lines=True, load_default="")


class DeclineIn(In):
    """Why not."""

    note = Text(longest=LONGEST_NOTE, lines=True, load_default="")


class ExchangeIn(In):
    """What is offered in exchange."""

    booking_id = Key(required=True, metadata={"description": "A booking of one's own."})
    note = Text(longest=LONGEST_NOTE, lines=True, load_default="")


class SlotOut(Out):
    """A time that somebody else has."""

    instrument_id = fields.String(required=True)
    start = Instant(required=True)
    end = Instant(required=True)


class SlotsIn(In):
    """From when on."""

    since = QueryInstant(load_default=None)


class SlotsOut(Out):
    """Times that others have, the next first."""

    items = fields.List(fields.Nested(SlotOut), required=True)
    total = fields.Integer(required=True)
    later = Instant(
        required=True, allow_none=True, metadata={"description": "From when on there may be more."}
    )


class SwapIn(In):
    """Which time is wanted, and a word to whoever has it."""

    instrument_id = Text(longest=40, required=True)
    start = Instant(required=True, metadata={"example": "2026-11-23T09:00:00+08:00"})
    end = Instant(required=True, metadata={"example": "2026-11-23T11:00:00+08:00"})
    note = Text(longest=LONGEST_NOTE, lines=True, load_default="")


class HandedOut(Out):
    """A booking that is to change hands; of one that the reader may not see the time alone."""

    id = fields.UUID(required=True, allow_none=True)
    items = fields.List(fields.Nested(BookingItemOut), required=True)
    start = Instant(required=True, attribute="starts_at")
    end = Instant(required=True, attribute="ends_at")
    state = Choice(State, required=True, allow_none=True)
    purpose = fields.String(required=True)


class TransferOut(Out):
    """An offer of a booking to somebody; of two bookings, a swap."""

    id = fields.UUID(required=True)
    booking = fields.Nested(HandedOut, required=True)
    for_booking = fields.Nested(HandedOut, required=True, allow_none=True)
    giver = fields.Nested(PersonOut, required=True, allow_none=True)
    taker = fields.Nested(PersonOut, required=True, allow_none=True)
    blind = fields.Boolean(
        required=True,
        metadata={"description": "A swap of times alone: neither person is told of the other."},
    )
    note = fields.String(required=True)
    state = Choice(TransferState, required=True)
    asked_at = Instant(required=True)
    answered_at = Instant(required=True, allow_none=True)


class TransfersOut(PageOut):
    """A page of offers, open ones first."""

    items = fields.List(fields.Nested(TransferOut), required=True)
