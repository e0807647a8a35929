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


class PartOut(Out):
    """One stretch of a use."""

    instrument_id = fields.String(required=True, metadata={"example": "DG-SLAB-05"})
    start = Instant(required=True)
    end = Instant(required=True)


class AlternativeOut(Out):
    """What could be taken instead; it keeps the rules as the wish would have had to."""

    instrument_id = fields.String(required=True, metadata={"example": "DG-SLAB-05"})
    start = Instant(required=True)
    end = Instant(required=True)
    why = fields.String(
        required=True,
        metadata={
            "description": "`nearest`: another time on this instrument; `equal`: an equal instrument then; "
            "`cheaper`: an equal instrument soon, the cheapest of them; `shorter`: what fits there; `split`: in "
            "`parts`; `route`: the earliest route by now, a part for each step; `waitlist`: this very time, by waiting "
            "in line for it.",
            "example": "nearest",
        },
    )
    reason = fields.String(
        metadata={
            "description": "How it differs, in the reader's language.",
            "example": "1 h later, 12 km away",
        }
    )
    parts = fields.List(fields.Nested(PartOut), metadata={"description": "The uses that it consists of."})
    minutes_later = fields.Integer(metadata={"description": "Negative: earlier.", "example": 60})
    minutes_lost = fields.Integer(metadata={"description": "By so much the use is shorter."})
    estimate = fields.String(
        allow_none=True,
        metadata={"description": "In yuan; null where it is negotiated.", "example": "600.00"},
    )
    price_difference = fields.String(
        allow_none=True,
        metadata={"description": "Yuan more than the wish; negative: less.", "example": "-60.00"},
    )
    facility_id = fields.String(allow_none=True, metadata={"example": "DG-SLAB"})
    km = fields.Float(
        allow_none=True,
        metadata={
            "description": "As the crow flies; 0 at the same facility, null if unknown.",
            "example": 12.5,
        },
    )
    needs_approval = fields.Boolean()


class QueueOut(Out):
    """A place in line, when more ask than can be answered in time."""

    place = fields.Integer(required=True, metadata={"description": "How many turns until yours is over."})
    seconds = fields.Integer(required=True, metadata={"description": "In how many seconds it comes."})
    ticket = fields.String(
        required=True, metadata={"description": "Send it as `Queue-Ticket` then, and you are let in."}
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
    queue = fields.Nested(QueueOut, metadata={"description": "Of 503 in a rush: your place in line."})
