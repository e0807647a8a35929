"""What a WSGI server loads."""

from booking.app import create_app

app = create_app()
