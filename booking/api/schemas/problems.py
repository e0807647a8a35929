"""The one shape of every error, RFC 9457."""

from marshmallow import fields

from booking.api.schemas.fields import Instant, Out


class ReasonOut(Out):
    """One reason of a refusal."""

    code = fields.String(
        required=True, metadata={"description": "What stands in the way.", "example": "taken"}
    )
    params = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={
            "description": "The figures of the reason.",
            "example": {"asked": 1, "free": 0, "units": 1},
        },
    )
    message = fields.String(required=True, metadata={"description": "The reason in the reader's language."})
    overridable = fields.Boolean(
        required=True, metadata={"description": "Whether the facility's manager may override it."}
    )


class AlternativeOut(Out):
    """What could be taken instead."""

    instrument_id = fields.String(required=True, metadata={"example": "DG-SLAB-05"})
    start = Instant(required=True)
    end = Instant(required=True)
    why = fields.String(
        required=True,
        metadata={
            "description": "`nearest`: another time on this instrument; `equal`: an equal instrument then; "
            "`waitlist`: this very time, by waiting in line for it.",
            "example": "nearest",
        },
    )


class ProblemOut(Out):
    """What went wrong."""

    type = fields.String(required=True, metadata={"example": "urn:yiqi:problem:refused"})
    title = fields.String(required=True, metadata={"description": "The kind of problem, in words."})
    status = fields.Integer(required=True, metadata={"example": 409})
    code = fields.String(
        required=True, metadata={"description": "The kind of problem.", "example": "refused"}
    )
    detail = fields.String(required=True, metadata={"description": "What is wrong and what helps, in words."})
    request_id = fields.String(
        required=True, metadata={"description": "Names the request in the server's log."}
    )
    reasons = fields.List(
        fields.Nested(ReasonOut), metadata={"description": "Of a refusal: every reason at once."}
    )
    alternatives = fields.List(
        fields.Nested(AlternativeOut), metadata={"description": "Of a refusal: what could be taken instead."}
    )
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={
            "description": "Of invalid input: a code per field; the third item's start is `items.2.start`.",
            "example": {"start": "naive"},
        },
    )
