"""What a WSGI server loads."""

import gc

gc.disable()  # what is loaded here stays: to look for garbage among it took a fifth of the start

from booking.app import create_app  # noqa: E402

app = create_app()
gc.freeze()
gc.enable()
