"""Networks as those keep them who run them: what they look like."""

from marshmallow import fields

from booking.api.schemas.fields import In, Out, Text
from booking.services.networks import LONGEST


class LookIn(In):
    """What is to be changed; what is left out stays."""

    name_zh = Text(longest=LONGEST["name_zh"])
    name_en = Text(longest=LONGEST["name_en"])
    short_zh = Text(longest=LONGEST["short_zh"], metadata={"description": "It stands beside the logo."})
    short_en = Text(longest=LONGEST["short_en"])
    footer_zh = Text(longest=LONGEST["footer_zh"])
    footer_en = Text(longest=LONGEST["footer_en"])
    contact = Text(longest=LONGEST["contact"])
    accent = Text(
        longest=7,
        metadata={
            "description": "`#` and six hexadecimal digits, or empty. Where it cannot be read it is darkened.",
            "example": "#0b5a7d",
        },
    )
    host = Text(
        longest=253,
        metadata={"description": "The name under which every page carries this look; administrators only."},
    )


class LookOut(Out):
    """What a network looks like."""

    code = fields.String(required=True)
    name_zh = fields.String(required=True)
    name_en = fields.String(required=True)
    short_zh = fields.String(required=True)
    short_en = fields.String(required=True)
    footer_zh = fields.String(required=True)
    footer_en = fields.String(required=True)
    contact = fields.String(required=True)
    accent = fields.String(required=True)
    host = fields.String(required=True, allow_none=True)
    logo = fields.String(
        required=True, metadata={"description": "SHA-256 of its picture, empty without one."}
    )
