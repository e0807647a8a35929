"""Who one is."""

from marshmallow import fields

from booking.api.schemas.fields import Choice, Out
from booking.api.schemas.instruments import NamedOut
from booking.domain.access import Scope


class DeskOut(NamedOut):
    """A facility at which somebody works."""

    manages = fields.Boolean(
        required=True, metadata={"description": "As its manager, not only as an operator."}
    )


class ProjectOut(Out):
    """A piece of work for which somebody may book."""

    id = fields.UUID(required=True)
    code = fields.String(required=True)
    name = fields.String(required=True)


class MeOut(Out):
    """The person who asks."""

    id = fields.UUID(required=True)
    name = fields.String(required=True, metadata={"example": "Ada"})
    email = fields.String(required=True, metadata={"example": "ada@example.org"})
    locale = fields.String(required=True, allow_none=True, metadata={"example": "zh_Hans_CN"})
    administrator = fields.Boolean(required=True)
    organisations = fields.List(fields.Nested(NamedOut), required=True)
    projects = fields.List(fields.Nested(ProjectOut), required=True)
    facilities = fields.List(fields.Nested(DeskOut), required=True)
    scopes = fields.List(
        Choice(Scope),
        required=True,
        allow_none=True,
        metadata={"description": "Of the token; null for a person at the page, who needs none."},
    )
