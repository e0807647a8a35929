"""Feeds: what programs fetch at secret addresses."""

from flask import Flask


def register(app: Flask) -> None:
    """Put the feeds into the application."""
    from booking.feeds import ics  # noqa: PLC0415 - edges load when an application is built

    app.register_blueprint(ics.blueprint)
