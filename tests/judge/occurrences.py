"""Read a calendar as the Python package `caldav` does, and say what is in it, occurrence by occurrence.

Run by the Python of its own environment: occurrences.py URL USER PASSWORD CALENDAR.
"""

import json
import sys
from datetime import UTC, datetime, timedelta

import recurring_ical_events
from caldav.davclient import get_davclient
from caldav.lib.error import DAVError


def main(url: str, user: str, password: str, name: str) -> None:
    """Print the calendars, the occurrences of one, and what is told of a change and a cancellation."""
    now = datetime.now(UTC)
    with get_davclient(url=url, username=user, password=password) as client:
        principal = client.principal()
        calendars = {one.get_display_name(): one for one in principal.calendars()}
        calendar = calendars[name]
        events = calendar.search(event=True, start=now, end=now + timedelta(days=30))
        occurrences = [
            (str(one["UID"]), one["DTSTART"].dt.isoformat(), one["DTEND"].dt.isoformat())
            for event in events
            for one in recurring_ical_events.of(event.icalendar_instance).between(
                now, now + timedelta(days=30)
            )
        ]
        known = calendar.get_objects_by_sync_token()
        before = len(list(known))
        start = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=5)
        calendar.add_event(uid="new", summary="New", dtstart=start, dtend=start + timedelta(hours=1))
        changed = calendar.get_objects_by_sync_token(known.sync_token)
        after = list(changed)
        events[0].delete()
        gone = list(calendar.get_objects_by_sync_token(changed.sync_token))
        try:
            calendar.add_event(uid="past", dtstart=now - timedelta(days=2), dtend=now - timedelta(days=1))
            refused = ""
        except DAVError as error:
            refused = "403" if type(error).__name__ == "AuthorizationError" else str(error)
    print(
        json.dumps(
            {
                "calendars": list(calendars),
                "occurrences": occurrences,
                "changed": {"before": before, "after": len(after), "gone": len(gone)},
                "refused": refused,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
