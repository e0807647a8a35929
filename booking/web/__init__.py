"""Pages: every module here adds its routes to the one blueprint, and stands in the list below."""

from flask import Blueprint, Flask

blueprint = Blueprint("web", __name__)

# They need the blueprint above. One a line: a new file of pages is a new line here.
from booking.web import absences as absences  # noqa: E402
from booking.web import accounts as accounts  # noqa: E402
from booking.web import announcements as announcements  # noqa: E402
from booking.web import approval_rules as approval_rules  # noqa: E402
from booking.web import approvals as approvals  # noqa: E402
from booking.web import availability as availability  # noqa: E402
from booking.web import booking_form as booking_form  # noqa: E402
from booking.web import bookings as bookings  # noqa: E402
from booking.web import calendar_imports as calendar_imports  # noqa: E402
from booking.web import calendar_sources as calendar_sources  # noqa: E402
from booking.web import calendars as calendars  # noqa: E402
from booking.web import cards as cards  # noqa: E402
from booking.web import catalogue as catalogue  # noqa: E402
from booking.web import charts as charts  # noqa: E402
from booking.web import closures as closures  # noqa: E402
from booking.web import credit as credit  # noqa: E402
from booking.web import day as day  # noqa: E402
from booking.web import decisions as decisions  # noqa: E402
from booking.web import desk as desk  # noqa: E402
from booking.web import exports as exports  # noqa: E402
from booking.web import facility_edit as facility_edit  # noqa: E402
from booking.web import faults as faults  # noqa: E402
from booking.web import favourites as favourites  # noqa: E402
from booking.web import health as health  # noqa: E402
from booking.web import holds as holds  # noqa: E402
from booking.web import home as home  # noqa: E402
from booking.web import imports as imports  # noqa: E402
from booking.web import instrument_edit as instrument_edit  # noqa: E402
from booking.web import instrument_files as instrument_files  # noqa: E402
from booking.web import invitations as invitations  # noqa: E402
from booking.web import kiosks as kiosks  # noqa: E402
from booking.web import mine as mine  # noqa: E402
from booking.web import move_questions as move_questions  # noqa: E402
from booking.web import navigation as navigation  # noqa: E402
from booking.web import network_requests as network_requests  # noqa: E402
from booking.web import networks as networks  # noqa: E402
from booking.web import notices as notices  # noqa: E402
from booking.web import officer as officer  # noqa: E402
from booking.web import offline as offline  # noqa: E402
from booking.web import opening as opening  # noqa: E402
from booking.web import organisations as organisations  # noqa: E402
from booking.web import overview as overview  # noqa: E402
from booking.web import papers as papers  # noqa: E402
from booking.web import permits as permits  # noqa: E402
from booking.web import prices as prices  # noqa: E402
from booking.web import process_settings as process_settings  # noqa: E402
from booking.web import processes as processes  # noqa: E402
from booking.web import programs as programs  # noqa: E402
from booking.web import proposals as proposals  # noqa: E402
from booking.web import qualifications as qualifications  # noqa: E402
from booking.web import quiet_times as quiet_times  # noqa: E402
from booking.web import replans as replans  # noqa: E402
from booking.web import resources as resources  # noqa: E402
from booking.web import round_forms as round_forms  # noqa: E402
from booking.web import rounds as rounds  # noqa: E402
from booking.web import rules as rules  # noqa: E402
from booking.web import screens as screens  # noqa: E402
from booking.web import series as series  # noqa: E402
from booking.web import series_approvals as series_approvals  # noqa: E402
from booking.web import series_beside as series_beside  # noqa: E402
from booking.web import series_lists as series_lists  # noqa: E402
from booking.web import sign_in as sign_in  # noqa: E402
from booking.web import staff as staff  # noqa: E402
from booking.web import standby as standby  # noqa: E402
from booking.web import targets as targets  # noqa: E402
from booking.web import tours as tours  # noqa: E402
from booking.web import transfers as transfers  # noqa: E402
from booking.web import undo as undo  # noqa: E402
from booking.web import waitlist as waitlist  # noqa: E402
from booking.web import week_sheets as week_sheets  # noqa: E402
from booking.web import words as words  # noqa: E402
from booking.web import working_days as working_days  # noqa: E402

navigation.register(blueprint)
words.register(blueprint)
cards.register(blueprint)
exports.register(blueprint)
charts.register(blueprint)


def register(app: Flask) -> None:
    """Put the pages into the application."""
    app.register_blueprint(blueprint)
