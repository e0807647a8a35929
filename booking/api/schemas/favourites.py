"""Favourites."""

from marshmallow import fields

from booking.api.schemas.fields import Out
from booking.api.schemas.instruments import InstrumentOut


class FavouritesOut(Out):
    """The instruments that somebody keeps at hand, the one kept last first."""

    items = fields.List(fields.Nested(InstrumentOut), required=True)
    total = fields.Integer(required=True)
