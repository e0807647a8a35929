"""How instruments were used."""

from marshmallow import fields

from booking.api.schemas.fields import Day, In, Out


class UtilisationIn(In):
    """Of which days."""

    first = Day(data_key="from", required=True)
    last = Day(data_key="to", required=True, metadata={"description": "The last day, at most 366 in all."})


class HoursOut(Out):
    """Hours of instruments, an hour of one unit counted as its part, and what they come to."""

    open_hours = fields.Float(required=True, metadata={"description": "Opening hours without closed days."})
    booked_hours = fields.Float(
        required=True, metadata={"description": "What confirmed bookings hold or held."}
    )
    used_hours = fields.Float(required=True, metadata={"description": "From check-in to check-out."})
    down_hours = fields.Float(
        required=True, metadata={"description": "Maintenance and breakdowns within opening hours."}
    )
    missed_hours = fields.Float(required=True, metadata={"description": "Booked, but nobody came."})
    no_shows = fields.Integer(required=True)
    utilisation = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Booked ÷ open; null where nothing was open."},
    )
    used_share = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Used ÷ booked; null where nothing was booked."},
    )
    downtime = fields.Float(required=True, allow_none=True, metadata={"description": "Down ÷ open."})
    no_show_share = fields.Float(
        required=True, allow_none=True, metadata={"description": "Missed ÷ booked and missed together."}
    )
    target = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "The share of the open time that is aimed at; null where no target is set."},
    )


class WeekOut(HoursOut):
    """A stretch of seven days, the last one may be shorter."""

    first_day = fields.Date(required=True)


class InstrumentUseOut(HoursOut):
    """An instrument over all the days."""

    instrument_id = fields.String(required=True)


class UtilisationOut(HoursOut):
    """How instruments were used, together, week by week, and each."""

    weeks = fields.List(fields.Nested(WeekOut), required=True)
    instruments = fields.List(fields.Nested(InstrumentUseOut), required=True)
