"""Who may do what at every address: the rules as somebody outside the code would write them down.

A line of figures gives the answer to each role, in the order of ROLES. `in` is a redirect to the page for
signing in, `non` is a redirect after which nothing has changed.

 visitor        nobody signed in
 outsider       Cleo, of a company; the thing is Ben's
 stranger       Ben; the thing is Ada's, of his own university
 owner          Ben; the thing is his
 leader         Ada, who leads the bookings of Ben's university
 elsewhere      Tam; the thing is Ben's at a facility where Tam is nobody
 manager        Tam; the thing is Ben's at the facility that Tam manages
 operator       Tam; the thing is Ben's at a facility where Tam is an operator
 officer        Nora, of a network in which the facility is
 administrator  Root
"""

from typing import NamedTuple

ROLES = (
    "visitor",
    "outsider",
    "stranger",
    "owner",
    "leader",
    "elsewhere",
    "manager",
    "operator",
    "officer",
    "administrator",
)


class Case(NamedTuple):
    """What is asked: an endpoint by a method, and which of its things where there are several."""

    endpoint: str
    method: str
    thing: str = ""


_ANYBODY = "200 200 200 200 200 200 200 200 200 200"
_MEMBERS = "401 200 200 200 200 200 200 200 200 200"
_PEOPLE = " in 200 200 200 200 200 200 200 200 200"
_GONE = "404 404 404 404 404 404 404 404 404 404"

_TABLE = {
    # --- the programming interface ----------------------------------------------------------------
    #                                         vis out str own lea els man ope off adm
    Case("api-docs.openapi", "GET"): _ANYBODY,
    Case("api-docs.docs", "GET"): _ANYBODY,
    Case("api-instruments.search", "GET"): _ANYBODY,
    Case("api-instruments.one", "GET"): _ANYBODY,
    Case("api-instruments.one", "GET", "hidden"): "404 404 404 404 404 404 200 200 200 200",
    Case("api-availability.free", "GET"): _ANYBODY,
    Case("api-availability.free", "GET", "hidden"): "404 404 404 404 404 404 200 200 200 200",
    Case("api-availability.of_instrument", "GET"): _ANYBODY,
    Case("api-availability.of_instrument", "GET", "hidden"): "404 404 404 404 404 404 200 200 200 200",
    Case("api-availability.of_facility", "GET"): _ANYBODY,
    Case("api-availability.find", "GET"): _ANYBODY,
    Case("api-facilities.listing", "GET"): _ANYBODY,
    Case("api-facilities.one", "GET"): _ANYBODY,
    Case("api-facilities.all_networks", "GET"): _ANYBODY,
    Case("api-facilities.closed", "GET"): "401 403 403 403 403 403 200 200 403 200",
    Case("api-facilities.close", "POST"): "401 403 403 403 403 403 201 403 403 201",
    Case("api-facilities.lift", "DELETE"): "401 403 403 403 403 403 204 403 403 204",
    Case("api-accounts.me", "GET"): _MEMBERS,
    Case("api-bookings.place", "POST"): "401 201 201 201 201 201 201 201 201 201",
    Case("api-bookings.place", "POST", "hidden"): "401 404 404 404 404 404 409 409 404 409",
    Case("api-bookings.dry_run", "POST"): _MEMBERS,
    Case("api-bookings.dry_run", "POST", "move"): "401 404 404 200 200 404 200 200 404 200",
    Case("api-bookings.listing", "GET"): _MEMBERS,
    Case("api-bookings.one", "GET"): "401 404 404 200 200 404 200 200 404 200",
    Case("api-bookings.change", "PATCH"): "401 404 404 200 200 404 200 403 404 200",
    Case("api-bookings.cancel", "POST"): "401 404 404 200 200 404 200 403 404 200",
    Case("api-bookings.decide", "POST"): "401 403 403 403 403 404 200 403 403 200",
    Case("api-bookings.check_in", "POST"): "401 404 404 200 403 404 200 200 404 200",
    Case("api-bookings.check_out", "POST"): "401 404 404 200 403 404 200 200 404 200",
    Case("api-bookings.feedback", "POST"): "401 404 404 200 403 404 403 403 404 200",
    Case("api-approvals.steps", "GET"): "401 404 404 200 200 404 200 200 404 200",
    Case("api-approvals.chemicals", "GET"): "401 404 404 200 200 404 200 200 404 200",
    Case("api-approvals.listing", "GET"): "401 404 404 200 200 404 200 200 404 200",
    Case("api-approvals.add", "POST"): "401 404 404 201 201 404 201 403 404 201",
    Case("api-approvals.one", "GET"): "401 404 404 200 200 404 200 200 404 200",
    Case("api-approvals.remove", "DELETE"): "401 404 404 204 403 404 204 403 404 204",
    Case("api-approvals.delegated", "GET"): _MEMBERS,
    Case(
        "api-approvals.delegate", "POST"
    ): "401 422 201 201 422 422 422 422 422 422",  # Ada, of Ben's university
    Case("api-approvals.withdraw", "DELETE"): "401 404 404 204 404 404 404 404 404 404",
    Case("api-series.dry_run", "POST"): _MEMBERS,
    Case("api-series.place", "POST"): "401 201 201 201 201 201 201 201 201 201",
    Case("api-series.place", "POST", "hidden"): "401 404 404 404 404 404 409 409 404 409",
    Case("api-series.one", "GET"): "401 404 404 200 200 404 200 200 404 200",
    Case("api-series.change", "PATCH"): "401 404 404 200 200 404 200 403 404 200",
    Case("api-series.cancel", "POST"): "401 404 404 200 200 404 200 403 404 200",
    Case("api-series.put_back", "POST"): "401 404 404 201 201 404 201 403 404 201",
    Case("api-bookings.extend", "POST"): "401 404 404 200 200 404 200 403 404 200",
    Case("api-faults.listing", "GET"): _MEMBERS,
    Case("api-faults.listing", "GET", "facility"): "401 403 403 403 403 403 200 200 403 200",
    Case("api-faults.report", "POST"): "401 201 201 201 201 201 201 201 201 201",
    Case("api-faults.report", "POST", "hidden"): "401 404 404 404 404 404 201 201 201 201",
    Case("api-faults.confirm", "POST"): "401 403 403 403 403 403 200 403 403 200",
    Case("api-faults.mend", "POST"): "401 403 403 403 403 403 200 403 403 200",
    Case("api-faults.dismiss", "POST"): "401 403 403 403 403 403 200 403 403 200",
    Case("api-credit.own", "GET"): _MEMBERS,
    Case("api-credit.appeal", "POST"): "401 404 404 200 404 404 404 404 404 404",
    Case("api-credit.appeals", "GET"): "401 403 403 403 403 403 200 403 403 200",
    Case("api-credit.decide", "POST"): "401 403 403 403 403 403 200 403 403 200",
    Case("api-credit.bans", "GET"): "401 403 403 403 403 403 200 403 403 200",
    Case("api-credit.ban", "POST"): "401 403 403 403 403 403 201 403 403 201",
    Case("api-credit.lift", "DELETE"): "401 403 403 403 403 403 204 403 403 204",
    Case("api-credit.rules", "GET"): "401 403 403 403 403 403 200 403 403 200",
    Case("api-credit.set_rule", "POST"): "401 403 403 403 403 403 201 403 403 201",
    Case("api-holds.take", "POST"): "401 201 201 201 201 201 201 201 201 201",
    Case("api-holds.take", "POST", "hidden"): "401 404 404 404 404 404 409 409 404 409",
    Case("api-holds.renew", "POST"): "401 404 404 200 404 404 404 404 404 404",
    Case("api-holds.release", "DELETE"): "401 404 404 204 404 404 404 404 404 404",
    Case("api-waitlist.join", "POST"): "401 201 201 201 201 201 201 201 201 201",
    Case("api-waitlist.join", "POST", "hidden"): "401 404 404 404 404 404 409 409 404 409",
    Case("api-waitlist.listing", "GET"): _MEMBERS,
    Case("api-waitlist.listing", "GET", "facility"): "401 403 403 403 403 403 200 200 403 200",
    Case("api-waitlist.one", "GET"): "401 404 404 200 404 404 200 200 404 200",
    Case("api-waitlist.rank", "PATCH"): "401 403 403 403 403 404 200 403 403 200",
    Case("api-waitlist.leave", "DELETE"): "401 404 404 204 404 404 403 403 404 204",
    Case("api-waitlist.accept", "POST"): "401 404 404 201 404 404 404 404 404 404",
    Case("api-waitlist.decline", "POST"): "401 404 404 200 404 404 404 404 404 404",
    # The thing is a qualification of the facility for which the owner has asked.
    Case("api-qualifications.listing", "GET"): _ANYBODY,
    Case("api-qualifications.define", "POST"): "401 403 403 403 403 403 201 403 403 201",
    Case("api-qualifications.redefine", "PUT"): "401 403 403 403 403 403 200 403 403 200",
    Case("api-qualifications.retire", "DELETE"): "401 403 403 403 403 403 204 403 403 204",
    Case("api-qualifications.needed", "GET"): _ANYBODY,
    Case("api-qualifications.need", "POST"): "401 403 403 403 403 403 201 403 403 201",
    Case("api-qualifications.need_no_more", "DELETE"): "401 403 403 403 403 403 204 403 403 204",
    Case("api-qualifications.sessions", "GET"): _MEMBERS,
    Case("api-qualifications.plan", "POST"): "401 403 403 403 403 403 201 201 403 201",
    Case("api-qualifications.call_off", "DELETE"): "401 403 403 403 403 403 204 204 403 204",
    Case("api-qualifications.certificates", "GET"): _MEMBERS,
    Case("api-qualifications.certificates", "GET", "facility"): "401 403 403 403 403 403 200 200 403 200",
    Case("api-qualifications.ask", "POST"): "401 201 201 409 201 201 201 201 201 201",
    Case("api-qualifications.ask", "POST", "award"): "401 403 403 403 403 403 201 201 403 201",
    Case("api-qualifications.certificate", "GET"): "401 404 404 200 404 404 200 200 404 200",
    Case("api-qualifications.seat", "POST"): "401 404 404 200 404 404 200 200 404 200",
    Case("api-qualifications.withdraw", "POST"): "401 404 404 200 404 404 403 403 404 403",
    Case("api-qualifications.decide", "POST"): "401 403 403 403 403 404 200 200 403 200",
    # The thing is an offer of one of the owner's bookings to Root.
    Case("api-transfers.listing", "GET"): _MEMBERS,
    Case("api-transfers.offer", "POST"): "401 404 404 201 201 404 201 403 404 201",
    Case("api-transfers.one", "GET"): "401 404 404 200 200 404 200 200 404 200",
    Case("api-transfers.accept", "POST"): "401 404 404 404 404 404 404 404 404 200",
    Case("api-transfers.decline", "POST"): "401 404 404 404 404 404 404 404 404 200",
    Case("api-transfers.exchange", "POST"): "401 404 404 404 404 404 404 404 404 404",  # with another's
    Case("api-transfers.withdraw", "POST"): "401 404 404 200 200 404 200 403 404 200",
    Case("api-calendars.listing", "GET"): _MEMBERS,
    Case("api-calendars.make", "POST"): "401 201 201 201 201 201 201 201 201 201",
    Case("api-calendars.make", "POST", "hidden"): "401 404 404 404 404 404 201 201 201 201",
    Case("api-calendars.make", "POST", "facility"): "401 403 403 403 403 403 201 201 403 201",
    Case("api-calendars.make", "POST", "project"): "401 404 201 201 201 404 404 404 404 404",
    Case("api-calendars.revoke", "DELETE"): "401 404 404 204 404 404 404 404 404 404",
    Case("api-notices.listing", "GET"): _MEMBERS,
    Case("api-notices.read", "POST"): "401 404 404 200 404 404 404 404 404 404",
    Case("api-notices.read_all", "POST"): "401 204 204 204 204 204 204 204 204 204",
    Case("api-notices.wishes", "GET"): _MEMBERS,
    Case("api-notices.choose", "PUT"): _MEMBERS,
    # --- what programs fetch ----------------------------------------------------------------------
    Case("feeds.feed", "GET"): _ANYBODY,  # the address is the key
    Case("feeds.feed", "GET", "guess"): _GONE,
    Case("feeds.robots", "GET"): _ANYBODY,
    Case("static", "GET"): _ANYBODY,
    Case("styles", "GET"): _ANYBODY,
    Case("web.alive", "GET"): _ANYBODY,
    Case("web.fit", "GET"): _ANYBODY,
    Case("web.counts", "GET"): _ANYBODY,  # from this very machine
    Case("web.counts", "GET", "from elsewhere"): "403 403 403 403 403 403 403 403 403 403",
    # --- pages for everybody ----------------------------------------------------------------------
    Case("web.home", "GET"): _ANYBODY,
    Case("web.catalogue", "GET"): _ANYBODY,
    Case("web.instrument", "GET"): _ANYBODY,
    Case("web.instrument", "GET", "hidden"): "404 404 404 404 404 404 200 200 200 200",
    Case("web.all_facilities", "GET"): _ANYBODY,
    Case("web.facility", "GET"): _ANYBODY,
    Case("web.network", "GET"): _ANYBODY,
    Case("web.free", "GET"): _ANYBODY,
    Case("web.language", "POST"): "303 303 303 303 303 303 303 303 303 303",
    Case("web.sign_in", "GET"): "200 303 303 303 303 303 303 303 303 303",
    Case("web.submit_sign_in", "POST"): "422 422 422 422 422 422 422 422 422 422",
    Case("web.sign_out", "POST"): "303 303 303 303 303 303 303 303 303 303",
    Case("web.sign_up", "GET"): "200 303 303 303 303 303 303 303 303 303",
    Case("web.submit_sign_up", "POST"): "303 303 303 303 303 303 303 303 303 303",
    Case("web.mail_sent", "GET"): _ANYBODY,
    Case("web.confirmation", "GET"): _GONE,  # without the letter's secret
    Case("web.confirm", "POST"): _GONE,
    Case("web.ask_reset", "GET"): _ANYBODY,
    Case("web.submit_ask_reset", "POST"): "303 303 303 303 303 303 303 303 303 303",
    Case("web.reset", "GET"): _GONE,
    Case("web.submit_reset", "POST"): _GONE,
    # --- one's own account ------------------------------------------------------------------------
    Case("web.account", "GET"): _PEOPLE,
    Case("web.submit_account", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.password", "GET"): _PEOPLE,
    Case("web.submit_password", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.sessions", "GET"): _PEOPLE,
    Case("web.end_session", "POST"): " in 404 404 303 404 404 404 404 404 404",
    Case("web.end_other_sessions", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.tokens", "GET"): _PEOPLE,
    Case("web.make_token", "POST"): " in 201 201 201 201 201 201 201 201 201",
    Case("web.revoke_token", "POST"): " in 404 404 303 404 404 404 404 404 404",
    Case("web.calendars", "GET"): _PEOPLE,
    Case("web.make_calendar", "POST"): " in 201 201 201 201 201 201 201 201 201",
    Case("web.make_calendar", "POST", "facility"): " in 403 403 403 403 403 201 201 403 201",
    Case("web.renew_calendar", "POST"): " in 404 404 201 404 404 404 404 404 404",
    Case("web.revoke_calendar", "POST"): " in 404 404 303 404 404 404 404 404 404",
    Case("web.notices", "GET"): _PEOPLE,
    Case("web.read_notice", "POST"): " in 404 404 303 404 404 404 404 404 404",
    Case("web.read_all_notices", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.notice_wishes", "GET"): _PEOPLE,
    Case("web.choose_notices", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.webhooks", "GET"): _PEOPLE,
    Case("web.add_webhook", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.try_webhook", "POST"): " in 404 404 303 404 404 404 404 404 404",
    Case("web.remove_webhook", "POST"): " in 404 404 303 404 404 404 404 404 404",
    # --- bookings ---------------------------------------------------------------------------------
    Case("web.my_bookings", "GET"): _PEOPLE,
    Case("web.new_booking", "GET"): _PEOPLE,
    Case("web.place_booking", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.place_booking", "POST", "hidden"): " in 404 404 404 404 404 409 409 404 409",
    Case("web.booking", "GET"): " in 404 404 200 200 404 200 200 404 200",
    Case("web.booking_file", "GET"): " in 404 404 200 200 404 200 200 404 200",
    Case("web.change_booking", "GET"): " in 404 404 200 200 404 200 403 404 200",
    Case("web.submit_change", "POST"): " in 404 404 303 303 404 303 403 404 303",
    Case("web.cancel_booking", "POST"): " in 404 404 303 303 404 303 403 404 303",
    Case("web.check_in", "POST"): " in 404 404 303 403 404 303 303 404 303",
    Case("web.check_out", "POST"): " in 404 404 303 403 404 303 303 404 303",
    Case("web.give_feedback", "POST"): " in 404 404 303 403 404 403 403 404 303",
    Case("web.chemicals", "GET"): " in 404 404 200 200 404 200 403 404 200",
    Case("web.declare_chemicals", "POST"): " in 404 404 303 303 404 303 403 404 303",
    Case("web.add_paper", "POST"): " in 404 404 303 303 404 303 403 404 303",
    Case("web.paper", "GET"): " in 404 404 200 200 404 200 200 404 200",
    Case("web.remove_paper", "POST"): " in 404 404 303 403 404 303 403 404 303",
    Case("web.absences", "GET"): _PEOPLE,
    Case("web.make_absence", "POST"): " in 422 303 303 422 422 422 422 422 422",  # Ada, of Ben's university
    Case("web.end_absence", "POST"): " in 404 404 303 404 404 404 404 404 404",
    Case("web.decision", "GET"): _GONE,  # without the letter's secret
    Case("web.decide_by_link", "POST"): _GONE,
    # --- series; what was not shown yet is shown before it is done --------------------------------
    Case("web.new_series", "GET"): _PEOPLE,
    Case("web.place_series", "POST"): _PEOPLE,
    Case("web.place_series", "POST", "hidden"): " in 404 404 404 404 404 200 200 404 200",
    Case("web.series", "GET"): " in 404 404 200 200 404 200 200 404 200",
    Case("web.change_series", "GET"): " in 404 404 200 200 404 200 403 404 200",
    Case("web.submit_series_change", "POST"): " in 404 404 200 200 404 200 403 404 200",
    Case("web.cancel_series", "POST"): " in 404 404 303 303 404 303 403 404 303",
    Case("web.put_back_date", "POST"): " in 404 404 303 303 404 303 403 404 303",
    # --- at the instrument ------------------------------------------------------------------------
    Case("web.day", "GET"): _ANYBODY,
    Case("web.day", "GET", "hidden"): "404 404 404 404 404 404 200 200 200 200",
    Case("web.book_hour", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.book_hour", "POST", "hidden"): " in 404 404 404 404 404 409 409 404 409",
    Case("web.extend_booking", "POST"): " in 404 404 303 303 404 303 403 404 303",
    Case("web.report_problem", "GET"): _PEOPLE,
    Case("web.submit_problem", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.label_svg", "GET"): _ANYBODY,
    Case("web.label_png", "GET"): _ANYBODY,
    Case("web.label_sheet", "GET"): " in 403 403 403 403 403 200 200 403 200",
    Case("web.kiosk", "GET"): _ANYBODY,  # the address is the key
    Case("web.kiosk", "GET", "guess"): _GONE,
    Case("web.act_at_kiosk", "POST"): "422 422 422 422 422 422 422 422 422 422",  # by an unknown badge
    Case("web.badge", "GET"): _PEOPLE,
    Case("web.set_badge", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.credit", "GET"): _PEOPLE,
    Case("web.appeal", "POST"): " in 404 404 303 404 404 404 404 404 404",
    # --- holds and the line -----------------------------------------------------------------------
    Case("web.hold", "POST"): " in 200 200 200 200 200 200 200 200 200",
    Case("web.waitlist", "GET"): _PEOPLE,
    Case("web.new_place", "GET"): _PEOPLE,
    Case("web.join_waitlist", "POST"): " in 303 303 303 303 303 303 303 303 303",
    Case("web.join_waitlist", "POST", "hidden"): " in 404 404 404 404 404 409 409 404 409",
    Case("web.leave_line", "POST"): " in 404 404 303 404 404 403 403 404 303",
    Case("web.answer_offer", "POST"): " in 404 404 303 404 404 404 404 404 404",
    Case("web.offer_by_link", "GET"): _ANYBODY,  # the address is the key
    Case("web.offer_by_link", "GET", "guess"): _GONE,
    Case("web.answer_by_link", "POST"): _ANYBODY,
    Case("web.answer_by_link", "POST", "guess"): _GONE,
    Case("web.facility_waitlist", "GET"): " in 403 403 403 403 404 200 200 403 200",
    Case("web.rank_place", "POST"): " in 403 403 403 403 404 303 403 403 303",
    # --- the facility's desk ----------------------------------------------------------------------
    Case("web.faults", "GET"): " in 403 403 403 403 404 200 200 403 200",
    Case("web.confirm_fault", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.mend_fault", "POST"): " in 403 403 403 403 403 303 403 403 303",
    Case("web.dismiss_fault", "POST"): " in 403 403 403 403 403 303 403 403 303",
    Case("web.facility_credit", "GET"): " in 403 403 403 403 404 200 404 403 200",
    Case("web.set_credit_rule", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.ban_person", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.lift_ban", "POST"): " in 403 403 403 403 403 303 403 403 303",
    Case("web.decide_appeal", "POST"): " in 403 403 403 403 403 303 403 403 303",
    Case("web.kiosks", "GET"): " in 403 403 403 403 404 200 403 403 200",
    Case("web.make_kiosk", "POST"): " in 403 403 403 403 404 201 403 403 201",
    Case("web.revoke_kiosk", "POST"): " in 403 403 403 403 403 303 403 403 303",
    Case("web.enrol_badge", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.desk", "GET"): " in 403 403 403 403 404 200 200 403 200",
    Case("web.closures", "GET"): " in 403 403 403 403 404 200 200 403 200",
    Case("web.new_closure", "GET"): " in 403 403 403 403 404 200 403 403 200",
    Case("web.make_closure", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.lift_closure", "POST"): " in 403 403 403 403 403 303 403 403 303",
    Case("web.approvals", "GET"): " in 403 403 403 403 200 200 200 403 200",
    Case("web.decide_several", "POST"): " in 403 403 403 403 non 303 non 403 303",
    Case("web.approve_booking", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.reject_booking", "POST"): " in 403 403 403 403 404 303 403 403 303",
    # --- qualifications, and bookings that change hands -------------------------------------------
    Case("web.my_qualifications", "GET"): _PEOPLE,
    Case("web.qualification", "GET"): _ANYBODY,
    Case("web.ask_qualification", "POST"): " in 303 303 409 303 303 303 303 303 303",
    Case("web.choose_seat", "POST"): " in 404 404 303 404 404 303 303 404 303",
    Case("web.withdraw_request", "POST"): " in 404 404 303 404 404 403 403 404 403",
    Case("web.facility_qualifications", "GET"): " in 403 403 403 403 404 200 200 403 200",
    Case("web.define_qualification", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.grant_certificate", "POST"): " in 403 403 403 403 404 303 303 403 303",
    Case("web.refuse_certificate", "POST"): " in 403 403 403 403 404 303 303 403 303",
    Case("web.revoke_certificate", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.keep_qualification", "GET"): " in 403 403 403 403 404 200 200 403 200",
    Case("web.redefine_qualification", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.retire_qualification", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.need_qualification", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.end_need", "POST"): " in 403 403 403 403 404 303 403 403 303",
    Case("web.plan_training", "POST"): " in 403 403 403 403 404 303 303 403 303",
    Case("web.call_training_off", "POST"): " in 403 403 403 403 404 303 303 403 303",
    Case("web.award_qualification", "POST"): " in 403 403 403 403 404 303 303 403 303",
    Case("web.transfers", "GET"): _PEOPLE,
    Case("web.offer_booking", "POST"): " in 404 404 303 303 404 303 403 404 303",
    Case("web.accept_transfer", "POST"): " in 404 404 404 404 404 404 404 404 303",
    Case("web.decline_transfer", "POST"): " in 404 404 404 404 404 404 404 404 303",
    Case("web.offer_exchange", "POST"): " in 404 404 404 404 404 404 404 404 404",
    Case("web.withdraw_transfer", "POST"): " in 404 404 303 303 404 303 403 404 303",
    # --- who belongs to an organisation; the thing is Cleo's wish to belong to Ben's university ---
    Case("web.memberships", "GET"): " in 403 403 403 200 403 403 403 403 200",
    Case("web.grant_membership", "POST"): " in 403 403 403 303 403 403 403 403 303",
    Case("web.refuse_membership", "POST"): " in 403 403 403 303 403 403 403 403 303",
    # --- everybody's accounts ---------------------------------------------------------------------
    Case("web.people", "GET"): " in 403 403 403 403 403 403 403 403 200",
    Case("web.person", "GET"): " in 403 403 403 403 403 403 403 403 200",
    Case("web.give_role", "POST"): " in 403 403 403 403 403 403 403 403 303",
    Case("web.take_role", "POST"): " in 403 403 403 403 403 403 403 403 303",
    Case("web.disable_person", "POST"): " in 403 403 403 403 403 403 403 403 303",
    Case("web.enable_person", "POST"): " in 403 403 403 403 403 403 403 403 303",
    Case("web.end_persons_sessions", "POST"): " in 403 403 403 403 403 403 403 403 303",
}

MATRIX: dict[Case, dict[str, str]] = {
    case: dict(zip(ROLES, line.split(), strict=True)) for case, line in _TABLE.items()
}
"""What each role is answered."""
