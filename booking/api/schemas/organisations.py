"""Organisations: where they are registered."""

from marshmallow import fields

from booking.api.schemas.fields import Choice, In, Out, Text
from booking.api.schemas.instruments import NamedOut
from models import OrganisationKind


class OrganisationOut(NamedOut):
    """A legal unit."""

    kind = Choice(OrganisationKind, required=True)
    region = fields.String(
        required=True,
        metadata={
            "description": "GB/T 2260: what was entered, else what its unified social credit code says; may be empty.",
            "example": "450100",
        },
    )


class OrganisationsOut(Out):
    """Organisations by code."""

    items = fields.List(fields.Nested(OrganisationOut), required=True)
    total = fields.Integer(required=True)


class RegionIn(In):
    """Where an organisation is registered."""

    region = Text(
        longest=6,
        required=True,
        metadata={"description": "GB/T 2260: of a province, city or county; empty: by its credit code."},
    )
