"""Feeds: what programs fetch at secret addresses."""

from flask import Flask


def register(app: Flask) -> None:
    """Put the feeds into the application."""
    from booking.feeds import ics, news  # noqa: PLC0415 - edges load when an application is built
    from booking.feeds.caldav import routes  # noqa: PLC0415

    assert news.blueprint is ics.blueprint  # noqa: S101 - news register their routes there
    app.register_blueprint(ics.blueprint)
    app.register_blueprint(routes.blueprint)
