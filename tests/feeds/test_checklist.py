"""What a calendar must be, check by check, and the tests that hold us to it; a test that vanishes is missed here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CHECKS: dict[str, tuple[str, ...]] = {
    "1 CRLF everywhere, no BOM, no blank line": ("domain/calendars the_checks_notice", "feeds/torture *"),
    "2 75 octets, no fold inside a character, UTF-8 alone": (
        "domain/calendars any_unicode_makes_one_event_and_no_new_property",
        "domain/calendars no_text_breaks_a_feed",
    ),
    "3 no control characters": ("domain/calendars control_characters_go_and_marks_of_direction_stay",),
    "4 what is escaped is read as it was written": (
        "domain/calendars ical_reads_each_occurrence_and_text_as_given",
        "domain/calendars ical_js_reads_each_occurrence_and_text_as_given",
        "domain/calendars the_calendars_own_texts_are_escaped_too",
        "feeds/torture ones_own_feed_is_the_database_occurrence_by_occurrence",
    ),
    "5 parameters are quoted and encoded": (
        "jobs/calendar_letters no_text_adds_a_property_or_breaks_a_line",
    ),
    "6 one VCALENDAR with VERSION and PRODID": (
        "domain/calendars a_calendar_reads_like_this",
        "domain/calendars the_checks_notice",
    ),
    "7 UID, DTSTAMP, DTSTART; no UID twice": (
        "domain/calendars the_checks_notice_twins_and_disorder",
        "domain/calendars an_event_reads_like_this",
    ),
    "8 a UID for ever, in every kind of feed and in mail": (
        "services/calendars uids_outlive_edits_and_sequences_only_rise",
        "services/calendars one_uid_in_every_kind_of_feed",
        "feeds/ics bytes_are_the_same_until_something_changes",
        "jobs/invitations request_update_and_end_bear_one_uid_and_a_rising_sequence",
    ),
    "9 the same bytes when nothing changed": (
        "feeds/torture a_day_later_the_bytes_are_the_same",
        "feeds/ics bytes_are_the_same_until_something_changes",
    ),
    "10 LAST-MODIFIED and SEQUENCE move with what is seen, and never back": (
        "feeds/torture over_any_edits_the_figures_move_with_what_is_seen",
        "services/calendars a_new_name_of_an_instrument_is_a_change_of_its_events",
    ),
    "11 an end after its start; whole days are those of the facility": (
        "domain/calendars an_event_without_length_is_refused",
        "feeds/torture whole_days_closed_are_days_of_the_facilitys_clock",
    ),
    "12 no zone but UTC, which every reader understands alike": (
        "domain/calendars no_recurrence_no_zone_no_alarm_no_person_no_method",
        "feeds/torture over_the_change_of_the_clocks_an_hour_is_an_hour",
    ),
    "13 no floating times": (
        "domain/calendars times_of_any_zone_are_written_in_utc",
        "domain/calendars a_time_without_a_zone_is_refused",
    ),
    "14 no recurrence in a feed": ("domain/calendars no_recurrence_no_zone_no_alarm_no_person_no_method",),
    "15 STATUS, TRANSP and Outlook's word agree": (
        "domain/calendars status_transparency_and_outlooks_word_agree",
        "feeds/ics what_was_called_off_shows_only_when_asked_for",
        "feeds/ics a_request_is_tentative_and_says_so",
    ),
    "16 no METHOD in a feed": ("domain/calendars no_recurrence_no_zone_no_alarm_no_person_no_method",),
    "17 both names, both hints, a colour": ("domain/calendars a_calendar_reads_like_this",),
    "18 the booking's page as an ASCII URI": (
        "domain/calendars a_strange_address_stays_an_ascii_uri",
        "feeds/ics two_readers_see_what_was_booked",
    ),
    "19 the place as plain text": ("feeds/ics two_readers_see_what_was_booked",),
    "20 no alarm": ("domain/calendars no_recurrence_no_zone_no_alarm_no_person_no_method",),
    "21 what is confidential is busy and no more": (
        "feeds/ics nobody_reads_what_is_confidential",
        "feeds/ics a_busy_feed_has_times_and_nothing_else",
        "feeds/torture no_feed_of_another_tells_what_is_confidential",
        "feeds/scopes a_network_shows_what_is_taken_and_neither_who_nor_why",
        "feeds/scopes of_a_confidential_request_the_decider_reads_what_and_when",
    ),
    "22 strong tags, 304, If-Modified-Since, HEAD, gzip with Vary": (
        "feeds/ics the_headers_of_a_feed",
        "feeds/ics a_known_version_is_304_without_a_body",
        "feeds/ics another_version_is_the_whole_feed",
        "feeds/ics the_time_of_the_last_change_is_honoured",
        "feeds/ics head_is_a_get_without_the_body",
        "feeds/ics gzip_is_another_representation_with_its_own_tag",
        "feeds/forms every_form_is_answered_alike",
    ),
    "23 private, not indexed, no referrer": (
        "feeds/ics the_headers_of_a_feed",
        "feeds/forms every_form_is_answered_alike",
    ),
    "24 nothing else that a client sends matters": (
        "feeds/ics nothing_else_that_a_client_sends_matters",
        "feeds/ics a_session_is_neither_used_nor_touched",
    ),
    "25 a short address that ends in .ics": ("feeds/ics an_address_is_short_and_long_enough",),
    "26 below a megabyte, a window and a cap that are told": (
        "domain/calendars a_thousand_events_stay_under_a_megabyte",
        "feeds/ics of_1001_events_the_past_goes_first_and_the_calendar_says_so",
        "feeds/ics what_is_31_days_back_or_366_ahead_is_cut",
        "feeds/ics ten_thousand_events_with_a_raised_cap",
        "feeds/torture two_readers_agree_on_ten_thousand_events",
        "feeds/scopes an_operator_sets_other_bounds_for_a_sort_of_feed",
    ),
    "27 410, 404, the last good bytes, and never what ends a subscription": (
        "feeds/ics a_revoked_address_is_410_and_its_copy_is_gone",
        "feeds/ics the_address_of_a_closed_account_is_410",
        "feeds/ics an_unknown_address_is_404_in_plain_words",
        "feeds/ics without_the_database_the_last_good_answer_is_given",
        "feeds/ics a_fault_of_ours_gives_the_last_good_answer_too",
        "feeds/ics a_feed_is_never_limited",
        "feeds/forms every_form_of_a_revoked_address_is_gone",
    ),
    "28 REQUEST and CANCEL": (
        "jobs/invitations request_update_and_end_bear_one_uid_and_a_rising_sequence",
        "jobs/invitations only_the_last_of_several_changes_leaves",
    ),
    "29 an invitation as mail programs want it": (
        "jobs/invitations an_invitation_is_put_together_as_mail_programs_want_it",
    ),
    "30 answers of calendars": (
        "services/mail_intake answers_out_of_order_and_of_an_older_invitation_are_stale",
        "services/mail_intake another_cannot_answer_for_her_not_even_by_the_address_that_she_got",
    ),
    "31 the instrument as a resource": (
        "jobs/invitations an_invitation_is_put_together_as_mail_programs_want_it",
    ),
    "32 what outside calendars mean": (
        "domain/foreign_calendars a_time_is_that_of_its_zone_and_a_floating_one_that_of_the_facility",
        "domain/foreign_calendars whole_days_are_those_of_the_facility_where_the_clock_changes_too",
        "domain/foreign_calendars what_is_free_or_cancelled_takes_no_time",
        "domain/foreign_calendars dates_left_out_moved_cancelled_and_added",
        "domain/calendar_files google_zones_overrides_and_whole_days_over_the_change_of_clocks",
        "domain/calendar_files outlook_windows_zones_without_a_description_and_dates_named_by_their_midnight",
        "domain/calendar_files apple_zones_with_old_summer_times_numbered_weekdays_and_alarms",
        "domain/calendar_files proton_durations_a_cancelled_date_and_what_takes_no_time",
    ),
    "33 no address leads into our own network, no body is endless": (
        "jobs/fetch neither_an_address_nor_a_redirect_leads_into_our_own_network",
        "jobs/fetch a_body_that_unpacks_to_too_much_is_left_alone",
        "jobs/fetch a_server_that_dribbles_is_cut_off",
        "jobs/pull_calendars the_last_good_copy_counts_while_it_cannot_be_fetched_or_read",
        "services/calendar_sources failures_are_tried_again_the_later_the_more_and_told_once",
    ),
    "34 no rule expands without end": (
        "domain/foreign_calendars it_ends_soon_whatever_it_is_given",
        "domain/foreign_calendars a_rule_that_repeats_within_a_day_or_makes_no_sense_is_refused",
        "jobs/calendar_reader whatever_it_is_given_it_ends_within_its_limits",
    ),
}


def named_in(module: str) -> set[str]:
    floor, name = module.split("/")
    tree = ast.parse((ROOT / floor / f"test_{name}.py").read_text(encoding="utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return {name.removeprefix("test_") for name in found if name.startswith("test_")}


def test_every_check_has_its_number_once():
    assert [int(check.split()[0]) for check in CHECKS] == list(range(1, 35))


@pytest.mark.parametrize("check", CHECKS)
def test_the_tests_of_a_check_are_there(check):
    for named in CHECKS[check]:
        module, test = named.split()
        assert test == "*" or test in named_in(module), named
