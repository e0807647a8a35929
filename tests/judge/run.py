"""Put the checks of caldav-server-tester to a calendar that takes bookings, and print what each found.

Run by the Python of its own environment: run.py URL USER PASSWORD CALENDAR. A calendar of bookings takes no tasks
and no repetition, and the tester gives up where it cannot prepare them: here it notes that, and goes on.
"""

import json
import logging
import sys

from caldav.davclient import get_davclient
from caldav.lib.error import AuthorizationError
from caldav_server_tester import checks
from caldav_server_tester.caldav_server_tester import _list_check_classes
from caldav_server_tester.checker import ServerQuirkChecker


def no_tasks(preparation, *_told):
    """Note that there are none."""
    preparation.set_feature("save-load.todo", False)
    return False


def no_journals(preparation, *_told):
    """Note that there are none."""
    preparation.set_feature("save-load.journal", False)


def events_without_rules(prepare):
    """Prepare the events up to the first that repeats, which comes last."""

    def prepare_some(preparation, *told):
        try:
            prepare(preparation, *told)
        except AuthorizationError:
            preparation.set_feature("save-load.event.recurrences", False)

    return prepare_some


def main(url: str, user: str, password: str, calendar: str) -> None:
    """Run every check, each for itself."""
    logging.disable(logging.CRITICAL)
    preparation = checks.PrepareCalendar
    preparation._prepare_task_calendar = no_tasks
    preparation._prepare_journal_calendar = no_journals
    preparation._create_test_events = events_without_rules(preparation._create_test_events)
    with get_davclient(url=url, username=user, password=password) as client:
        checker = ServerQuirkChecker(client)
        checker.expected_features.set_feature("test-calendar.compatibility-tests", {"name": calendar})
        failed = {}
        for name in _list_check_classes():
            try:
                checker.check_one(name)
            except AssertionError as error:  # a check that found nothing to look at
                failed[name] = str(error)
        checker.cleanup(force=True)
        found = checker.features_checked.dotted_feature_set_list(compact=False)
    print(json.dumps({"features": found, "failed": failed}, indent=1, sort_keys=True, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
