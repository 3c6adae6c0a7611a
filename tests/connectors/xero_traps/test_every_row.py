"""The list of Xero's traps: each one is simulated, tried on the simulation, and our side is driven into it.

A test here says in its docstring which rows of the list it is about; `elsewhere` names those in other folders.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = "tests/connectors/xero_traps"
SANDBOX = "tests/sandbox/test_xero"
XERO = "tests/connectors/xero/test"


@dataclass(frozen=True)
class Row:
    trap: str
    simulated: tuple[str, ...]  # tests of the simulation itself
    elsewhere: tuple[str, ...] = ()  # tests of our side outside this folder


ROWS: dict[int, Row] = {
    1: Row(
        "a person refuses, or the answer belongs to another question",
        (
            f"{SANDBOX}_sign_in.py::test_cancel_sends_the_person_back_with_access_denied",
            f"{SANDBOX}_sign_in.py::test_consent_can_be_answered_without_a_person",
        ),
        (
            f"{XERO}_auth.py::test_who_does_not_allow_access_is_told_so",
            f"{XERO}_auth.py::test_an_answer_to_another_sign_in_is_not_taken",
            "tests/pages/test_connect.py::test_a_refused_consent_says_that_nothing_happened",
            "tests/pages/test_connect.py::test_signing_in_leads_to_tenant_selection_even_for_one_company",
        ),
    ),
    2: Row(
        "a code is good once, with its proof and its address",
        (
            f"{SANDBOX}_sign_in.py::test_a_code_works_once",
            f"{SANDBOX}_sign_in.py::test_a_code_is_bound_to_its_verifier_and_redirect",
            f"{SANDBOX}_sign_in.py::test_an_unregistered_redirect_is_shown_and_never_followed",
        ),
        (
            f"{XERO}_auth.py::test_a_person_goes_to_xero_and_comes_back_connected",
            f"{XERO}_auth.py::test_a_code_is_good_once",
            "tests/pages/test_connect.py::test_the_way_to_xero_carries_state_and_challenge",
        ),
    ),
    3: Row(
        "refresh tokens rotate, overlap for half an hour and die unused",
        (
            f"{SANDBOX}_sign_in.py::test_the_previous_refresh_token_may_be_replayed_for_half_an_hour",
            f"{SANDBOX}_sign_in.py::test_of_two_refreshes_that_raced_the_first_ones_token_dies_with_its_grace",
            f"{SANDBOX}_sign_in.py::test_an_unused_refresh_token_dies_after_sixty_days",
        ),
        (
            f"{XERO}_auth.py::test_parallel_calls_renew_once",
            f"{XERO}_auth.py::test_a_renewal_whose_answer_got_lost_is_asked_for_again",
            f"{XERO}_auth.py::test_the_token_before_the_last_helps_within_its_grace",
            f"{XERO}_auth.py::test_sixty_days_unused_are_the_end_without_asking",
        ),
    ),
    4: Row(
        "an access token ends in the middle of the work",
        (f"{SANDBOX}_sign_in.py::test_an_expired_token_says_so",),
        (
            f"{XERO}_auth.py::test_a_token_that_ends_in_the_middle_of_a_run_is_renewed_and_the_write_repeated_once",
            f"{XERO}_auth.py::test_an_old_token_is_renewed_before_it_is_used",
        ),
    ),
    5: Row(
        "the end of a sign-in comes in several wordings, and trouble looks like it",
        (
            f"{SANDBOX}_sign_in.py::test_invalid_grant_may_carry_a_description",
            f"{SANDBOX}_sign_in.py::test_a_wrong_secret_is_invalid_client",
            f"{SANDBOX}_sign_in.py::test_trouble_at_the_token_address_comes_from_the_wire",
        ),
        (
            f"{XERO}_auth.py::test_a_dead_refresh_token_ends_the_sign_in_for_good",
            f"{XERO}_auth.py::test_a_wrong_app_secret_is_the_operators_matter_and_nobody_is_asked_to_connect",
            f"{XERO}_auth.py::test_trouble_at_the_sign_in_is_waited_out",
        ),
    ),
    6: Row(
        "scopes have other names for older apps, and a missing one is spelt wrong",
        (
            f"{SANDBOX}_sign_in.py::test_the_apps_age_decides_which_scope_names_it_may_ask_for",
            f"{SANDBOX}_sign_in.py::test_each_path_needs_its_scope",
        ),
        (
            f"{XERO}_auth.py::test_a_scope_this_app_may_not_have_is_the_operators_matter",
            f"{XERO}_client.py::test_a_missing_permission_is_named_and_nothing_is_renewed",
        ),
    ),
    7: Row(
        "several tenants, a practice, one without a name, none at all, another one the second time",
        (
            f"{SANDBOX}_sign_in.py::test_a_practice_may_stand_before_the_organisations",
            f"{SANDBOX}_sign_in.py::test_consent_to_nothing_leaves_an_empty_list",
            f"{SANDBOX}_sign_in.py::test_consent_to_a_second_organisation_adds_a_connection_of_its_own_event",
        ),
        (
            f"{XERO}_connector.py::test_a_practice_is_no_company_and_a_nameless_one_has_a_name",
            "tests/pages/test_connect.py::test_signed_in_again_to_another_company_it_is_asked_for",
        ),
    ),
    8: Row(
        "a connection is deleted by its own id, not by the tenant's",
        (f"{SANDBOX}_sign_in.py::test_a_connection_is_deleted_by_its_own_id_not_by_the_tenants",),
        (
            f"{XERO}_auth.py::test_disconnecting_ends_the_access_on_both_sides",
            f"{XERO}_auth.py::test_other_organisations_of_the_same_person_are_not_cut_off",
        ),
    ),
    9: Row(
        "a person disconnects inside Xero and nobody is told",
        (
            f"{SANDBOX}_sign_in.py::test_a_person_who_disconnects_in_xero_is_found_out_by_the_next_call",
            f"{SANDBOX}_control.py::test_a_person_takes_the_app_out",
        ),
        (
            f"{XERO}_client.py::test_an_organisation_disconnected_in_xero_is_the_end",
            f"{XERO}_client.py::test_a_passing_403_is_tried_once_more",
            "tests/syncjobs/test_engine.py::TestRefusals::test_a_disconnected_organisation_becomes_a_session_failure",
        ),
    ),
    10: Row(
        "a missing or foreign tenant is forbidden",
        (
            f"{SANDBOX}_sign_in.py::test_a_missing_or_unknown_tenant_is_forbidden",
            f"{SANDBOX}_sign_in.py::test_another_organisation_is_forbidden_until_it_is_connected",
        ),
        (
            f"{XERO}_client.py::test_every_call_names_its_organisation_and_asks_for_json",
            "tests/syncjobs/test_engine.py::TestPosting::test_two_businesses_never_meet",
        ),
    ),
    11: Row(
        "answers are XML unless JSON is asked for; paths have any case",
        (
            f"{SANDBOX}_door.py::test_an_answer_is_xml_unless_json_is_asked_for",
            f"{SANDBOX}_sign_in.py::test_paths_do_not_mind_their_case_and_unknown_ones_are_text",
        ),
    ),
    12: Row(
        "dates in two forms, in one body",
        (
            f"{SANDBOX}_door.py::test_dates_come_in_both_forms_in_one_body",
            f"{SANDBOX}_bank_transactions.py::test_numbers_may_be_strings_and_dates_microsofts",
        ),
        (f"{XERO}_mapping.py::test_both_forms_of_their_dates_are_read",),
    ),
    13: Row(
        "values nobody has heard of, members left out, cents with their zeros",
        (
            f"{SANDBOX}_door.py::test_an_unheard_of_value_can_be_slipped_in",
            f"{SANDBOX}_door.py::test_money_keeps_its_decimals_and_dates_escape_their_slashes",
            f"{SANDBOX}_sdk.py::test_the_sdk_stumbles_over_a_value_nobody_has_heard_of",
        ),
        (f"{XERO}_mapping.py::test_money_leaves_as_the_very_digits",),
    ),
    14: Row(
        "the id support asks for stands in a header and in the envelope",
        (f"{SANDBOX}_door.py::test_the_correlation_id_is_the_envelopes_id",),
        (f"{XERO}_client.py::test_a_failure_is_logged_with_the_id_xeros_support_asks_for",),
    ),
    15: Row(
        "five at once, sixty a minute by a window of its own, a thousand or five thousand a day, an app in all",
        (
            f"{SANDBOX}_door.py::test_the_61st_call_of_a_window_waits_for_its_end",
            f"{SANDBOX}_door.py::test_organisations_do_not_share_an_allowance_and_begin_at_their_own_moment",
            f"{SANDBOX}_door.py::test_the_day_limit_asks_for_hours_and_the_apps_limit_spans_organisations",
            f"{SANDBOX}_door.py::test_a_small_plan_has_a_thousand_calls_a_day",
            f"{SANDBOX}_door.py::test_limits_are_off_and_the_headers_show_an_untouched_allowance",
        ),
        (
            "tests/connectors/test_pace.py::test_the_minutes_of_xero_are_never_overrun_wherever_they_begin",
            "tests/connectors/test_pace.py::test_a_limit_of_the_whole_app_stops_every_company",
            "tests/connectors/test_pace.py::test_no_more_than_four_are_under_way_at_once_over_all_workers",
            f"{XERO}_export.py::test_the_last_calls_of_the_day_are_kept_for_looks",
        ),
    ),
    16: Row(
        "a 429 is told by its headers alone, spelt in any case, with hours to wait or no time at all",
        (
            f"{SANDBOX}_door.py::test_the_problem_may_be_spelt_in_any_case_with_any_body",
            f"{SANDBOX}_door.py::test_a_refusal_may_name_another_time_than_the_true_one",
            f"{SANDBOX}_door.py::test_a_sixth_call_at_once_is_refused_without_a_time_to_come_back",
        ),
        (
            f"{XERO}_export.py::test_too_many_calls_means_surely_not_sent",
            f"{XERO}_client.py::test_too_many_at_once_is_waited_out_in_place_for_reads",
            f"{XERO}_client.py::test_the_other_limits_end_the_slice_for_as_long_as_xero_says",
        ),
    ),
    17: Row(
        "a key is remembered for minutes only, and over all tenants",
        (
            f"{SANDBOX}_door.py::test_a_key_lives_six_minutes_however_often_it_is_replayed",
            f"{SANDBOX}_door.py::test_a_key_of_129_characters_is_refused",
            f"{SANDBOX}_door.py::test_a_key_collides_across_endpoints_and_organisations",
            f"{SANDBOX}_transfers.py::test_a_repeat_under_the_same_key_makes_one_transfer",
        ),
        (
            f"{XERO}_export.py::test_the_same_batch_sent_again_is_answered_from_memory",
            f"{XERO}_export.py::test_another_batch_has_another_key_of_at_most_128_letters",
        ),
    ),
    18: Row(
        "refusals and server errors are remembered too; another body under the key is refused",
        (
            f"{SANDBOX}_door.py::test_a_refusal_is_kept_under_its_key_too",
            f"{SANDBOX}_door.py::test_another_body_under_the_same_key_is_refused_and_writes_nothing",
            f"{SANDBOX}_door.py::test_a_server_error_may_be_stored_under_the_key",
        ),
        (
            f"{XERO}_export.py::test_xeros_own_500_after_the_work_leaves_all_in_doubt",
            f"{XERO}_export.py::test_what_was_mended_in_xero_goes_at_the_next_try_although_xero_remembers_the_first",
            f"{XERO}_export.py::test_a_refusal_nobody_can_interpret_leaves_all_in_doubt",
        ),
    ),
    19: Row(
        "no answer, although it was done or before it was done",
        (
            f"{SANDBOX}_door.py::test_a_dropped_answer_is_found_again_under_its_key",
            f"{SANDBOX}_door.py::test_a_late_commit_does_not_write_what_the_retry_wrote",
        ),
        (
            f"{XERO}_export.py::test_an_answer_that_got_lost_leaves_all_in_doubt",
            f"{XERO}_export.py::test_a_late_commit_is_in_doubt_and_found_later",
            "tests/syncjobs/test_engine.py::TestNoAnswer::test_an_answer_lost_after_the_commit_never_posts_twice",
        ),
    ),
    20: Row(
        "text or HTML where JSON is expected",
        (
            f"{SANDBOX}_sign_in.py::test_an_offline_organisation_answers_503_in_text",
            f"{SANDBOX}_door.py::test_a_truncated_answer_is_not_json",
        ),
        (f"{XERO}_client.py::test_a_read_without_a_usable_answer_is_made_later",),
    ),
    21: Row(
        "one bad element refuses the whole call",
        (
            f"{SANDBOX}_bank_transactions.py::"
            "test_one_bad_element_refuses_the_whole_call_and_saves_nothing_not_even_contacts",
        ),
        (f"{XERO}_export.py::test_a_whole_batch_refused_by_rule_names_the_culprit_and_sends_the_rest",),
    ),
    22: Row(
        "a refused element may carry a real-looking id, and hide its reason",
        (
            f"{SANDBOX}_bank_transactions.py::test_a_refused_element_may_carry_no_id_or_one_that_looks_real",
            f"{SANDBOX}_bank_transactions.py::test_the_reason_may_stand_only_in_the_line",
            f"{SANDBOX}_bank_transactions.py::test_an_element_may_be_saved_with_a_warning",
            f"{SANDBOX}_contacts.py::test_a_refused_contact_may_carry_no_id_or_one_that_looks_real",
        ),
        (f"{XERO}_export.py::test_one_bad_entry_does_not_stop_the_others",),
    ),
    23: Row(
        "answers in another order, bodies too large, batches that take their time",
        (
            f"{SANDBOX}_bank_transactions.py::test_answers_may_come_in_another_order",
            f"{SANDBOX}_bank_transactions.py::test_a_batch_takes_its_time",
            f"{SANDBOX}_contacts.py::test_new_contacts_may_be_answered_in_another_order",
            f"{SANDBOX}_door.py::test_a_body_over_the_cap_is_413",
        ),
        (
            f"{XERO}_export.py::test_a_shuffled_answer_is_put_in_order",
            f"{XERO}_export.py::test_a_body_that_is_too_large_is_halved",
        ),
    ),
    24: Row(
        "PUT creates, POST changes and deletes",
        (
            f"{SANDBOX}_bank_transactions.py::test_put_only_creates_and_post_updates_or_creates",
            f"{SANDBOX}_bank_transactions.py::test_deleting_is_a_post_and_a_second_time_an_error",
        ),
    ),
    25: Row(
        "what a document must have",
        (f"{SANDBOX}_bank_transactions.py::test_xero_says_why_it_refuses",),
        (
            f"{XERO}_mapping.py::test_a_description_is_never_empty_and_never_too_long",
            f"{XERO}_mapping.py::test_a_split_of_nought_is_left_out_since_xero_takes_none",
        ),
    ),
    26: Row(
        "accounts archived, of the system, of another type",
        (
            f"{SANDBOX}_bank_transactions.py::test_archived_and_system_accounts_are_refused_in_different_words",
            f"{SANDBOX}_bank_transactions.py::test_an_archived_bank_account_is_refused",
        ),
        (f"{XERO}_mapping.py::test_a_known_message_says_what_to_do_and_where",),
    ),
    27: Row(
        "what amounts mean when the document does not say",
        (f"{SANDBOX}_bank_transactions.py::test_the_default_of_line_amount_types_is_a_switch",),
    ),
    28: Row(
        "tax by rate and line, rounded to the cent",
        (
            f"{SANDBOX}_bank_transactions.py::test_tax_is_inside_on_top_or_absent",
            f"{SANDBOX}_bank_transactions.py::test_tax_is_rounded_half_up_on_each_line",
            f"{SANDBOX}_bank_transactions.py::test_four_decimals_need_unitdp",
        ),
        (f"{XERO}_export.py::test_tax_is_carved_out_and_the_total_stays_the_card_amount",),
    ),
    29: Row(
        "a reference too long is refused or cut",
        (
            f"{SANDBOX}_bank_transactions.py::test_a_long_reference_may_be_cut_instead",
            f"{SANDBOX}_transfers.py::test_a_long_reference_is_refused_or_cut",
        ),
    ),
    30: Row(
        "another currency than the account's",
        (f"{SANDBOX}_bank_transactions.py::test_the_document_has_its_accounts_currency",),
        (
            f"{XERO}_export.py::test_a_bank_account_in_another_currency_is_never_written_to",
            f"{XERO}_connector.py::test_an_unfit_bank_account_is_said",
        ),
    ),
    31: Row(
        "lock dates close their own day too",
        (
            f"{SANDBOX}_bank_transactions.py::test_a_lock_date_closes_its_own_day_too",
            f"{SANDBOX}_bank_transactions.py::test_the_end_of_year_lock_has_its_own_words",
            f"{SANDBOX}_bank_transactions.py::test_a_locked_transaction_is_neither_edited_nor_deleted",
            f"{SANDBOX}_control.py::test_locks_plan_and_tax_are_set_and_lifted",
        ),
        ("tests/syncjobs/test_judge.py::test_a_posting_date_in_a_closed_period_waits_inclusively",),
    ),
    32: Row(
        "what is reconciled refuses an edit under a 200",
        (
            f"{SANDBOX}_bank_transactions.py::test_a_reconciled_transaction_refuses_an_edit_under_a_200",
            f"{SANDBOX}_control.py::test_a_reconciled_transaction_is_let_go_again",
        ),
    ),
    33: Row(
        "tracking that does not fit is dropped without a word, or refused",
        (
            f"{SANDBOX}_bank_transactions.py::"
            "test_unknown_and_archived_options_vanish_silently_unless_xero_warns_or_refuses",
            f"{SANDBOX}_bank_transactions.py::test_a_line_carries_at_most_two_categories",
            f"{SANDBOX}_transfers.py::test_tracking_of_a_transfer_is_dropped_or_refused_and_two_at_most",
        ),
    ),
    34: Row(
        "contact names are one without case and accents",
        (
            f"{SANDBOX}_contacts.py::test_a_name_is_unique_among_active_contacts_without_case_and_accents",
            f"{SANDBOX}_contacts.py::test_post_returns_the_contact_that_has_the_name_or_the_number",
        ),
        (
            f"{XERO}_options.py::test_equal_new_names_in_one_batch_become_one_contact",
            f"{XERO}_options.py::test_a_contact_somebody_else_created_meanwhile_is_used",
        ),
    ),
    35: Row(
        "a name inside a document makes a contact, or two of one name",
        (f"{SANDBOX}_bank_transactions.py::test_two_equal_new_names_in_one_batch_are_made_once_or_twice",),
    ),
    36: Row(
        "members beside a contact's id change the contact",
        (f"{SANDBOX}_bank_transactions.py::test_members_beside_a_contact_id_change_the_contact",),
    ),
    37: Row(
        "archived contacts are hidden, and refused on use",
        (
            f"{SANDBOX}_contacts.py::test_archived_contacts_are_hidden_unless_asked_for_and_can_be_restored",
            f"{SANDBOX}_bank_transactions.py::test_archived_contacts_cannot_be_used",
            f"{SANDBOX}_control.py::test_a_merged_contact_is_archived_names_the_other_and_keeps_its_stamp",
        ),
        (
            f"{XERO}_options.py::test_an_archived_contact_is_not_doubled_but_said",
            f"{XERO}_options.py::test_an_active_contact_wins_over_an_archived_one_of_its_name",
            f"{XERO}_options.py::test_a_merged_contact_leads_to_the_one_it_was_merged_into",
        ),
    ),
    38: Row(
        "filters that take no quote, no null and sometimes no `OR`",
        (
            f"{SANDBOX}_lists.py::test_a_filter_xero_cannot_read_is_error_16",
            f"{SANDBOX}_lists.py::test_or_can_be_forbidden",
        ),
        (f"{XERO}_options.py::test_a_name_is_kept_letter_by_letter_and_found_again",),
    ),
    39: Row(
        "an ampersand cuts a question, a plus becomes a blank",
        (
            f"{SANDBOX}_lists.py::test_a_raw_ampersand_cuts_the_query",
            f"{SANDBOX}_lists.py::test_a_plus_is_a_blank_unless_encoded",
        ),
    ),
    40: Row(
        "pages of a hundred, perhaps uncounted, whose rows move",
        (
            f"{SANDBOX}_lists.py::test_pages_hold_a_hundred_and_at_most_a_thousand",
            f"{SANDBOX}_lists.py::test_without_a_page_there_are_no_lines",
            f"{SANDBOX}_lists.py::test_old_servers_have_no_pagination_object",
        ),
        (
            f"{XERO}_export.py::test_a_record_changed_during_the_look_does_not_slip_by",
            f"{XERO}_export.py::test_pages_end_where_xero_does_not_count_them",
        ),
    ),
    41: Row(
        "a list of references is a filter, or ignored; too broad a question is refused",
        (
            f"{SANDBOX}_lists.py::test_references_are_a_filter_or_ignored",
            f"{SANDBOX}_lists.py::test_too_broad_a_filter_is_refused",
        ),
        (f"{XERO}_export.py::test_a_filter_xero_does_not_know_is_replaced_by_one_it_does",),
    ),
    42: Row(
        "changes since a moment, to the second",
        (
            f"{SANDBOX}_lists.py::test_changes_since_a_moment_to_the_second_with_or_without_zone",
            f"{SANDBOX}_transfers.py::test_changes_since_a_moment_show_new_and_deleted_transfers",
        ),
        (f"{XERO}_export.py::test_more_than_a_page_of_one_second_is_read_to_the_end",),
    ),
    43: Row(
        "a transfer has two sides, seen among the transactions or not",
        (
            f"{SANDBOX}_transfers.py::test_a_transfer_has_two_legs_that_move_both_balances",
            f"{SANDBOX}_transfers.py::test_legs_stand_in_the_list_of_bank_transactions_or_not",
            f"{SANDBOX}_transfers.py::test_a_transfer_that_cannot_be_is_refused",
            f"{SANDBOX}_transfers.py::test_currencies_must_agree_and_locked_days_are_closed",
        ),
    ),
    44: Row(
        "several transfers in one call are all made, or one, or none; POST deletes",
        (
            f"{SANDBOX}_transfers.py::test_several_in_one_call_are_all_made_or_one_or_none",
            f"{SANDBOX}_transfers.py::test_a_transfer_is_deleted_by_post_and_then_hidden",
            f"{SANDBOX}_transfers.py::test_anything_but_deleting_is_refused",
        ),
    ),
    45: Row(
        "files: names, types, ten of them, ten megabytes",
        (
            f"{SANDBOX}_attachments.py::test_forbidden_characters_are_refused",
            f"{SANDBOX}_attachments.py::test_raw_brackets_are_refused",
            f"{SANDBOX}_attachments.py::test_the_same_name_overwrites_and_keeps_its_id",
            f"{SANDBOX}_attachments.py::test_ten_files_are_the_most_and_ten_megabytes_the_largest",
        ),
        (
            f"{XERO}_export.py::test_receipts_are_attached_byte_for_byte",
            f"{XERO}_export.py::test_more_than_ten_megabytes_or_ten_files_are_not_even_sent",
        ),
    ),
    46: Row(
        "a slow upload holds one of the five places",
        (
            f"{SANDBOX}_attachments.py::test_a_slow_upload_takes_its_time",
            f"{SANDBOX}_door.py::test_a_sixth_call_at_once_is_refused_without_a_time_to_come_back",
        ),
        (
            f"{XERO}_export.py::test_receipts_go_up_in_parallel",
            "tests/connectors/test_pace.py::test_no_more_than_four_are_under_way_at_once_over_all_workers",
        ),
    ),
    47: Row(
        "accounts, options, rates, plan and locks change between two syncs",
        (
            f"{SANDBOX}_control.py::test_settings_change_between_two_reads",
            f"{SANDBOX}_pages.py::test_contacts_are_merged_tracking_added_and_tax_rates_deleted",
            f"{SANDBOX}_settings.py::test_an_account_changed_between_reads_shows_its_change",
        ),
        ("tests/syncjobs/test_coding.py::test_an_archived_account_says_so",),
    ),
    48: Row(
        "every call is on record, and what was stored",
        (
            f"{SANDBOX}_door.py::test_every_call_is_on_record",
            f"{SANDBOX}_control.py::test_lines_tell_their_account_and_tracking",
            f"{SANDBOX}_control.py::test_a_transfer_is_told_edited_reconciled_and_deleted",
        ),
        (
            f"{XERO}_export.py::test_a_batch_is_posted_in_one_call",
            f"{XERO}_export.py::test_a_thousand_calls_are_not_needed_for_a_thousand_purchases",
        ),
    ),
}


@cache
def found_in(path: str) -> dict[str, str]:
    """The tests of a file, as they are named after its path, each with its docstring."""
    source = ROOT / path
    return dict(_tests(ast.parse(source.read_text()).body)) if source.exists() else {}


def _tests(body: list[ast.stmt], within: str = "") -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _tests(node.body, f"{node.name}::")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield f"{within}{node.name}", ast.get_docstring(node) or ""


def rows_of(docstring: str) -> set[int]:
    """`Rows 19 and 43: ...` is about 19 and 43."""
    head = docstring.partition(":")[0]
    return {int(number) for number in re.findall(r"\d+", head)} if re.match(r"Rows? \d", head) else set()


def found_here() -> dict[str, str]:
    files = sorted((ROOT / HERE).glob("test_*.py"))
    return {
        f"{file.name}::{name}": told
        for file in files
        if file.name != Path(__file__).name
        for name, told in found_in(f"{HERE}/{file.name}").items()
    }


def test_the_list_is_whole():
    assert sorted(ROWS) == list(range(1, 49))


@pytest.mark.parametrize("number", sorted(ROWS))
def test_each_trap_is_simulated_and_our_side_was_driven_into_it(number):
    row = ROWS[number]
    ours = [name for name, told in found_here().items() if number in rows_of(told)]

    assert row.simulated, row.trap
    assert [*ours, *row.elsewhere], row.trap
    for node in (*row.simulated, *row.elsewhere):
        path, _, name = node.partition("::")
        assert name in found_in(path), f"{node} is not there"


def test_each_test_here_says_which_row_it_is_about():
    nameless = [name for name, told in found_here().items() if not rows_of(told) <= set(ROWS) or not rows_of(told)]

    assert nameless == []
