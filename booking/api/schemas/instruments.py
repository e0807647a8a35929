"""Instruments: what finds them, and how one is told."""

from typing import Any

from marshmallow import fields

from booking.api.schemas.fields import Choice, Figure, In, Instant, Money, Out, Text
from booking.api.schemas.paging import PageIn, PageOut
from booking.domain.pricing import CustomerClass, Unit
from models import InstrumentKind, OperatorNeed

LONGEST_QUERY = 200


class FiltersIn(In):
    """Which instruments; an empty word is no wish."""

    q = Text(
        longest=LONGEST_QUERY,
        load_default="",
        metadata={
            "description": "Words in Chinese, English or pinyin; all of them must fit.",
            "example": "sem",
        },
    )
    facility = Text(
        longest=LONGEST_QUERY,
        load_default="",
        metadata={"description": "At the facility of this id; several with commas between."},
    )
    network = Text(
        longest=LONGEST_QUERY,
        load_default="",
        metadata={"description": "In the network of this id; several with commas between."},
    )
    kind = Choice(InstrumentKind)
    region = Text(
        longest=LONGEST_QUERY,
        load_default="",
        metadata={
            "description": "In the region of this code of GB/T 2260, or one below it; several with commas between.",
            "example": "441900",
        },
    )
    category = Text(
        longest=LONGEST_QUERY,
        load_default="",
        metadata={
            "description": "In the category of this code, or one below it; several with commas between."
        },
    )
    capability = Text(
        longest=LONGEST_QUERY,
        load_default="",
        metadata={
            "description": "A tag, or one with a limit; several with commas between.",
            "example": "volume_l>=50",
        },
    )


class NearIn(In):
    """From where distances count, and how far is near enough."""

    near = Text(
        longest=100,
        load_default="",
        metadata={
            "description": "The id of a facility, a town, the code of a region, or `latitude,longitude` (WGS 84); the "
            "nearest come first."
        },
    )
    within_km = Text(
        longest=5,
        load_default="",
        metadata={"description": "At most so many kilometres away, as the crow flies.", "example": "30"},
    )


class SearchIn(FiltersIn, NearIn, PageIn):
    """Which instruments, and which page of them."""


class NamedOut(Out):
    """A thing with its names."""

    id = fields.String(required=True, attribute="code")
    name_zh = fields.String(required=True)
    name_en = fields.String(required=True)


class CategoryOut(Out):
    """A class of instruments."""

    code = fields.String(required=True, metadata={"example": "0101"})
    scheme = fields.String(required=True, metadata={"example": "GB/T 32847-2016"})
    name_zh = fields.String(required=True)
    name_en = fields.String(required=True)


class PlaceOut(NamedOut):
    """A facility, as an instrument tells where it is."""

    zone = fields.String(required=True, metadata={"example": "Asia/Shanghai"})
    town = fields.String(required=True)


class CapabilityOut(Out):
    """What an instrument can do."""

    tag = fields.String(required=True)
    value = Figure(required=True, allow_none=True)
    unit = fields.String(required=True)


class ListPriceOut(Out):
    """A dated row of the price list, tax included; the last day is not part."""

    customer_class = Choice(CustomerClass, required=True)
    unit = Choice(Unit, required=True)
    amount = Money(required=True, metadata={"example": "600.00"})
    currency = fields.Constant("CNY", required=True, metadata={"type": "string", "example": "CNY"})
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(required=True, allow_none=True)


class InstrumentOut(NamedOut):
    """Anything that can be booked."""

    facility = fields.Nested(PlaceOut, required=True)
    kind = Choice(InstrumentKind, required=True)
    category = fields.Nested(CategoryOut, required=True, allow_none=True)
    model = fields.String(required=True)
    manufacturer = fields.String(required=True)
    location = fields.String(required=True)
    units = fields.Integer(required=True, metadata={"description": "How many can be used at once."})
    unit_name = fields.String(required=True)
    capabilities = fields.List(fields.Nested(CapabilityOut), required=True)
    bookable = fields.Boolean(required=True)
    approval_required = fields.Boolean(required=True)
    training_required = fields.Boolean(required=True)
    operator_need = Choice(OperatorNeed, required=True)
    prices = fields.List(fields.Nested(ListPriceOut), required=True)


class FacetOut(Out):
    """A value that could be filtered by, and how many would be found."""

    key = fields.String(required=True)
    label_zh = fields.String(required=True)
    label_en = fields.String(required=True)
    count = fields.Integer(required=True)


class InstrumentsOut(PageOut):
    """A page of instruments."""

    items = fields.List(fields.Nested(InstrumentOut), required=True)
    facets = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.Nested(FacetOut)),
        required=True,
        metadata={"description": "By the name of the filter."},
    )
    km = fields.Dict(
        keys=fields.String(),
        values=fields.Float(),
        metadata={
            "description": "Where `near` was asked: how far each facility of the page is, where that is known."
        },
    )


class RulesOut(Out):
    """The settings of an instrument that count for the reader now; times in minutes, null is no limit."""

    step_minutes = fields.Integer(required=True, attribute="step")
    shortest_minutes = fields.Integer(required=True, attribute="shortest")
    longest_minutes = fields.Integer(required=True, attribute="longest", allow_none=True)
    notice_minutes = fields.Integer(required=True, attribute="notice")
    horizon_minutes = fields.Integer(required=True, attribute="horizon", allow_none=True)
    setup_minutes = fields.Integer(required=True, attribute="setup")
    cleanup_minutes = fields.Integer(required=True, attribute="cleanup")


class DocumentOut(Out):
    """A paper of an instrument, elsewhere."""

    title = fields.String(required=True)
    url = fields.String(required=True)


class InstrumentDetailOut(InstrumentOut):
    """One instrument with its rules, prices and words."""

    rules = fields.Nested(RulesOut, required=True)
    networks = fields.List(
        fields.Nested(NamedOut),
        required=True,
        attribute="facility.networks",
        metadata={"description": "Of its facility."},
    )
    documents = fields.List(fields.Nested(DocumentOut), required=True)
    about_zh = fields.String(required=True, attribute="text.about_zh")
    about_en = fields.String(required=True, attribute="text.about_en")
    specifications_zh = fields.String(required=True, attribute="text.specifications_zh")
    specifications_en = fields.String(required=True, attribute="text.specifications_en")
    rules_zh = fields.String(
        required=True, attribute="text.rules_zh", metadata={"description": "House rules."}
    )
    rules_en = fields.String(
        required=True, attribute="text.rules_en", metadata={"description": "House rules."}
    )
    stations = fields.List(fields.String(), required=True, attribute="text.stations")
    modes = fields.List(fields.String(), required=True)
    hazards = fields.List(fields.String(), required=True)
    capacity = Figure(required=True, allow_none=True)
    capacity_unit = fields.String(required=True)
    confidential = fields.Boolean(
        required=True, metadata={"description": "Whether its bookings are confidential by default."}
    )
    revision = fields.Integer(required=True, metadata={"description": "Rises whenever its calendar changes."})
    updated_at = Instant(required=True)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Give what a field tells; the rules stand beside the instrument."""
        if attr == "rules":
            return obj["policy"]
        return super().get_attribute(obj["instrument"], attr, default)
