"""CalDAV: calendars that programs read and, where an instrument is booked by them, write."""
