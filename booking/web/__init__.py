"""Pages: every module here adds its routes to the one blueprint, and stands in the list below."""

from flask import Blueprint, Flask

blueprint = Blueprint("web", __name__)


def register(app: Flask) -> None:
    """Put the pages into the application."""
    # The modules need the blueprint above. One a line: a new file of pages is a new line here.
    from booking.web import (  # noqa: PLC0415
        navigation,
    )

    navigation.register(blueprint)
    app.register_blueprint(blueprint)
