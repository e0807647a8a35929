"""What managers write: facilities, instruments, prices, photos and documents, and the history of all that."""

from typing import Any

from marshmallow import fields, validate

from booking.api.schemas.fields import Choice, Day, Flag, In, Instant, Money, Out, Text, Whole
from booking.api.schemas.instruments import ListPriceOut
from booking.domain import inventory
from booking.domain.pricing import CustomerClass, Unit
from booking.services.instrument_files import LONGEST_TITLE
from models import FileSort, InstrumentKind, OperatorNeed, Readership

_NUMBER = {"description": "A decimal number as text.", "example": "50"}
_MINUTES = {"description": "Minutes; null: as the rules say."}


def _words(longest: int = 300, **said: Any) -> Text:
    return Text(longest=longest, metadata=said)


def _lines() -> Text:
    return Text(longest=inventory.LONG_TEXT, lines=True)


def _codes(**said: Any) -> fields.List:
    return fields.List(Text(longest=200), validate=validate.Length(max=200, error="too_many"), metadata=said)


def _length() -> Whole:
    return Whole(least=0, most=10 * inventory.MOST_MINUTES, allow_none=True, metadata=_MINUTES)


SHEET: dict[str, fields.Field] = {
    **{name: _words() for name in ("name_zh", "name_en", "model", "manufacturer", "location")},
    "kind": Choice(InstrumentKind),
    "category": Text(longest=6, allow_none=True, metadata={"example": "0101"}),
    "units": Whole(least=1, most=100_000),
    "unit_name": _words(60),
    **{name: Flag() for name in ("published", "bookable", "approval_required", "confidential")},
    "training_required": Flag(),
    **{
        f"{name}_minutes": _length()
        for name in ("step", "shortest", "longest", "notice", "horizon", "setup", "cleanup")
    },
    "capacity": Text(longest=20, allow_none=True, metadata=_NUMBER),
    "capacity_unit": _words(60),
    "original_value_wan": Text(longest=20, allow_none=True, metadata=_NUMBER),
    "operator_need": Choice(OperatorNeed),
    "modes": _codes(example=["machine_time", "sample"]),
    "hazards": _codes(example=["vacuum"]),
    "capabilities": _codes(example=["electron_microscopy", "volume_l=50 L"]),
    "stations": _codes(description="Names of the stations of a line."),
    "parts": _codes(description="Ids of the instruments that a line takes whole, in its order."),
    **{
        f"{name}_{language}": _lines()
        for name in ("about", "specifications", "rules")
        for language in ("zh", "en")
    },
}
"""Columns of a sheet of instruments as they are sent one by one; hours and prices have calls of their own."""

_Sheet: Any = In.from_dict(SHEET)


class InstrumentChangeIn(_Sheet):  # type: ignore[misc]
    """What an instrument says of itself; what is left out stays."""


class InstrumentNewIn(InstrumentChangeIn):
    """A new instrument, from blank or like another; it is a draft until it is published."""

    id = Text(longest=40, required=True, attribute="code", metadata={"example": "LAB-01"})
    facility_id = Text(longest=40, required=True)
    like = Text(longest=40, load_default="", metadata={"description": "The id of an instrument to copy."})


class FacilityChangeIn(In):
    """What a facility says of itself; what is left out stays."""

    name_zh = _words()
    name_en = _words()
    organisation_id = Text(longest=40, attribute="organisation")
    region_code = Text(longest=6, metadata={"description": "GB/T 2260.", "example": "441900"})
    town = _words(100)
    address = _words()
    latitude = fields.Float(allow_none=True, error_messages={"invalid": "malformed", "special": "malformed"})
    longitude = fields.Float(allow_none=True, error_messages={"invalid": "malformed", "special": "malformed"})
    zone = Text(longest=64, metadata={"example": "Asia/Shanghai"})
    contact = _words()
    about_zh = _lines()
    about_en = _lines()


class FacilityNewIn(FacilityChangeIn):
    """A new facility."""

    id = Text(longest=40, required=True, attribute="code", metadata={"example": "DG-LAB"})
    organisation_id = Text(longest=40, required=True, attribute="organisation")
    network_id = Text(longest=40, load_default="", attribute="network")


class WithdrawalIn(In):
    """Nothing: the address says it all."""


class WithdrawnOut(Out):
    """Since when a facility is withdrawn; null: it is there."""

    withdrawn_at = Instant(required=True, allow_none=True)


class PriceIn(In):
    """What a unit costs from a day on."""

    customer_classes = fields.List(
        Choice(CustomerClass), required=True, validate=validate.Length(min=1, max=2, error="required")
    )
    unit = Choice(Unit, required=True)
    amount = Text(
        longest=20,
        required=True,
        allow_none=True,
        metadata={"description": "Yuan; null is negotiated.", "example": "350.00"},
    )
    since = Day(required=True)


class DatedPriceOut(ListPriceOut):
    """A dated price with its id."""

    id = fields.Integer(required=True)


class PricesOut(Out):
    """The price list of an instrument, what is over and what comes included."""

    items = fields.List(fields.Nested(DatedPriceOut), required=True)
    total = fields.Integer(required=True)


class PriceRaiseIn(In):
    """A change of all prices of a facility by a percentage."""

    percent = Text(longest=10, required=True, metadata={"example": "5"})
    step = fields.String(
        load_default="0.01",
        validate=validate.OneOf(["0.01", "1", "5", "10"], error="unknown"),
        error_messages={"invalid": "malformed", "null": "required"},
        metadata={"description": "Yuan to which is rounded: 0.01, 1, 5 or 10."},
    )
    customer_classes = fields.List(
        Choice(CustomerClass),
        load_default=list(CustomerClass),
        validate=validate.Length(min=1, max=2, error="required"),
    )
    since = Day(required=True)
    dry_run = Flag(load_default=False, metadata={"description": "Only tell what would change."})


class RaisedOut(Out):
    """A price before and after."""

    instrument_id = fields.String(required=True)
    customer_class = Choice(CustomerClass, required=True)
    unit = Choice(Unit, required=True)
    before = Money(required=True)
    after = Money(required=True)


class PriceRaiseOut(Out):
    """What a change by a percentage makes of the prices."""

    dry_run = fields.Boolean(required=True)
    items = fields.List(fields.Nested(RaisedOut), required=True)
    total = fields.Integer(required=True)


class FileIn(In):
    """What a file of an instrument is; the file itself is the body."""

    sort = Choice(FileSort, required=True)
    title_zh = Text(longest=LONGEST_TITLE, load_default="")
    title_en = Text(longest=LONGEST_TITLE, load_default="")
    audience = Choice(
        Readership,
        load_default=Readership.EVERYONE,
        metadata={"description": "Of a document; a photo is for everyone."},
    )


class FileChangeIn(In):
    """The words of a file, and who may read it."""

    title_zh = Text(longest=LONGEST_TITLE, required=True)
    title_en = Text(longest=LONGEST_TITLE, required=True)
    audience = Choice(Readership, load_default=Readership.EVERYONE)


class FileOut(Out):
    """A photo or a document of an instrument."""

    id = fields.UUID(required=True)
    sort = Choice(FileSort, required=True)
    title_zh = fields.String(required=True)
    title_en = fields.String(required=True)
    audience = Choice(Readership, required=True)
    media_type = fields.String(required=True, metadata={"description": "Found by the content."})
    size = fields.Integer(required=True, metadata={"description": "Bytes."})
    width = fields.Integer(required=True, allow_none=True, metadata={"description": "Pixels of a photo."})
    height = fields.Integer(required=True, allow_none=True)
    sha256 = fields.Function(lambda file: file.digest.hex(), required=True, metadata={"type": "string"})
    added_at = Instant(required=True)


class FilesOut(Out):
    """The files of an instrument, photos first, in their order."""

    items = fields.List(fields.Nested(FileOut), required=True)
    total = fields.Integer(required=True)


class ChangedFieldOut(Out):
    """A field, with what stood there before and stands there since."""

    field = fields.String(required=True)
    before = fields.Raw(required=True, allow_none=True)
    after = fields.Raw(required=True, allow_none=True)


class DeedOut(Out):
    """What somebody changed."""

    at = Instant(required=True)
    kind = fields.String(required=True, metadata={"example": "instrument.changed"})
    by = fields.String(required=True, metadata={"description": "A name; empty: the system."})
    subject = fields.String(required=True)
    note = fields.String(required=True)
    changes = fields.List(fields.Nested(ChangedFieldOut), required=True)


class DeedsOut(Out):
    """What was changed, the newest first; the last 200 deeds."""

    items = fields.List(fields.Nested(DeedOut), required=True)
    total = fields.Integer(required=True)
