"""Every form of message has its three files, and leads where there is something."""

from uuid import uuid4

import pytest
from werkzeug.exceptions import NotFound

from booking import messages
from booking.domain import one_time
from booking.jobs.timetable import TIMETABLE
from booking.services import notifications
from tests.house.sources import ROOT

FOLDER = ROOT / "templates" / "mail"
PARTS = {"subject.txt", "body.txt", "body.html"}


def test_every_form_has_its_three_files_and_no_folder_is_left_over():
    found = {path.name: {part.name for part in path.iterdir()} for path in FOLDER.iterdir() if path.is_dir()}
    assert found == dict.fromkeys(notifications.TEMPLATES, PARTS)
    assert FOLDER == messages.TEMPLATES / "mail"


def test_subjects_are_one_line():
    for path in FOLDER.glob("*/subject.txt"):
        assert path.read_text(encoding="utf-8").count("\n") == 1, path


LEADS = {path.partition("?")[0] for path in messages.PATHS.values()}


@pytest.mark.parametrize(
    "path",
    [
        "/bookings/{}",
        *("/notices", "/account/notices"),
        *(f"{path}/{{}}/secret" for path in one_time.PATHS.values()),
        *(
            path.format(series="{}", instrument="X", facility="X", proposal="{}", question="{}", round="{}")
            for path in sorted(LEADS)
        ),
    ],
)
def test_what_messages_link_to_exists(app, path):
    adapter = app.url_map.bind("localhost")
    try:
        endpoint, _ = adapter.match(path.format(uuid4()).partition("#")[0], method="GET")
    except NotFound:
        endpoint = None
    assert endpoint is not None


def test_each_job_stands_once_in_the_timetable():
    names = [job.name for job in TIMETABLE]
    assert len(set(names)) == len(names)
    kept = {path.stem for path in (ROOT / "booking" / "jobs").glob("[a-z]*.py")} - {
        *("timetable", "leader"),  # who keeps the time
        "letters",  # what the letters say
        "calendar_letters",  # what those around meetings say
        "solver",  # the process that solves
        "calendar_reader",  # the process that reads other people's calendars
    }
    assert {job.work.__module__ for job in TIMETABLE} == {f"booking.jobs.{name}" for name in kept}
