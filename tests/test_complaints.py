"""What people complain about in tools like this one, and the tests that keep each complaint from being true here.

A reader who meets one of them finds its tests by this table; a test that is renamed or gone fails it.
"""

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parent

COMPLAINTS: dict[str, tuple[str, ...]] = {
    "Days are off by one for who is elsewhere": (
        "test_days.py::test_a_task_is_due_from_the_readers_own_midnight_on_whatever_the_teams_day_is",
        "test_days.py::test_days_to_a_renewal_are_the_teams_for_every_reader_and_those_the_playbook_counts",
        "test_days.py::test_a_new_task_is_for_the_readers_own_today_before_anything_is_typed",
        "browser/test_days.py::test_a_task_is_proposed_for_the_day_that_the_reader_has_before_and_after_midnight",
        "test_board_rows.py::test_the_day_ends_where_the_team_is",
        "test_scope_kept.py::test_the_day_changes_when_midnight_passes_in_the_teams_zone",
        "test_digest.py::test_across_a_change_of_clocks_there_is_one_mail_on_each_working_day_at_its_hour",
    ),
    "What was typed is gone": (
        "browser/test_daily.py::test_a_half_typed_note_outlives_escape_a_click_outside_and_a_reload",
        "browser/test_daily.py::test_a_note_written_offline_is_kept_and_said_so",
        "browser/test_lost_text.py::test_going_back_and_forth_keeps_half_a_note",
        "browser/test_lost_text.py::test_going_back_from_an_account_keeps_what_was_half_typed_on_it",
        "browser/test_lost_text.py::test_a_server_that_fails_is_told_and_the_note_stays_until_it_is_taken",
        "browser/test_lost_text.py::test_why_an_account_churned_outlives_a_reload_on_the_board_and_is_found_in_the_list",
        "browser/test_lost_text.py::test_the_reason_for_moving_many_outlives_escape_and_a_reload",
        "browser/test_again.py::test_after_signing_in_again_elsewhere_the_old_page_works_on_as_if_nothing_was",
        "browser/test_again.py::test_a_form_that_is_a_page_of_its_own_is_sent_again_by_one_press",
        "browser/test_writing.py::test_half_a_letter_outlives_escape_and_a_reload_and_starting_over_is_one_key_away",
        "browser/test_alerts.py::test_what_was_typed_is_kept_until_it_is_taken",
        "browser/test_two.py::test_half_a_note_on_an_account_stays_and_what_is_true_comes_once_it_is_saved",
    ),
    "What a colleague did is not seen, or takes the field from under the hands": (
        "browser/test_two.py::test_what_one_moves_the_other_sees_wherever_they_stand",
        "browser/test_two.py::test_half_a_note_in_the_list_and_half_a_letter_stay_whatever_a_colleague_does_meanwhile",
        "browser/test_two.py::test_tasks_and_alerts_follow_a_colleague_and_take_nothing_out_of_the_hand",
        "browser/test_two.py::test_two_edits_of_one_fact_are_both_shown_and_chosen_from",
        "browser/test_live.py::test_a_colleagues_move_is_drawn_on_the_board_within_five_seconds",
        "browser/test_live.py::test_who_takes_a_call_is_drawn_on_the_desk_and_a_form_that_is_open_stays_as_it_is",
        "browser/test_live.py::test_what_a_colleague_does_takes_no_focus_that_was_not_on_a_line",
        "test_changes.py::test_what_is_done_about_a_task_or_an_alert_is_told",
    ),
    "Cards and rows that are not there any more": (
        "browser/test_board.py::test_quick_drags_on_a_slow_line_are_answered_in_turn_and_all_stay",
        "browser/test_board.py::test_a_card_in_hand_stays_in_hand_while_its_lane_changes_and_is_drawn_true_once_dropped",
        "browser/test_board.py::test_an_answer_that_was_lost_is_asked_for_again_and_drawn_true",
        "browser/test_board.py::test_cards_asked_for_before_a_move_and_answered_after_it_lose_no_card",
        "browser/test_tasks.py::test_two_that_are_finished_before_an_answer_comes_are_both_gone",
        "browser/test_two.py::test_what_was_drawn_before_a_change_of_ones_own_and_comes_after_it_is_not_shown",
    ),
    "It refuses and does not say so": (
        "browser/test_board.py::test_a_refused_drop_sends_the_card_home_the_lane_says_why_and_nothing_is_asked",
        "browser/test_board.py::test_a_drag_while_offline_puts_the_card_back_and_says_so",
        "browser/test_keys.py::test_the_boards_menu_says_why_to_whoever_takes_what_is_refused",
        "browser/test_keys.py::test_a_stages_number_leads_to_its_move_and_one_that_is_refused_says_why",
        "browser/test_keys.py::test_a_key_for_what_cannot_be_done_to_an_alert_says_so",
        "browser/test_day.py::test_a_day_by_keyboard_ends_with_nobody_left_to_write_to",
        "browser/test_cells.py::test_a_cell_that_somebody_changed_meanwhile_shows_both_and_lets_one_choose",
        "browser/test_two.py::test_of_two_moves_at_once_one_wins_and_the_other_is_told_and_can_go_on",
        "test_many.py::test_a_preview_says_who_would_be_refused_and_why_and_does_nothing",
        "test_move_views.py::test_a_missing_reason_says_so_by_its_code",
        "test_move_views.py::test_undo_needs_the_move_that_was_seen",
    ),
    "It cannot be undone": (
        "test_move_views.py::test_the_toasts_undo_takes_the_move_back",
        "test_many.py::test_undo_of_a_bulk_move_takes_back_those_that_nobody_has_moved_since",
        "test_many.py::test_an_owner_given_to_many_is_told_and_undo_gives_each_back_to_whom_it_had",
        "test_many.py::test_a_task_for_many_is_counted_on_each_told_and_taken_back",
        "test_alerts.py::test_resolving_closes_it_with_its_word_and_undo_reopens_it",
        "test_alerts.py::test_snoozing_takes_it_from_the_open_ones_and_undo_brings_it_back",
        "test_tasks.py::test_a_task_is_done_and_undone_where_it_stands",
        "browser/test_views.py::test_a_view_that_was_deleted_or_saved_over_comes_back_by_one_key",
        "test_views.py::test_what_was_saved_over_a_view_and_its_name_of_before_come_back_with_undo",
        "test_views.py::test_a_deleted_view_comes_back_with_undo_and_its_address_says_it_is_gone",
        "browser/test_cells.py::test_labels_are_ticked_by_the_keyboard_and_undone",
    ),
    "Sums leave out what is not loaded": (
        "test_board.py::test_counts_and_sums_are_those_of_the_filter_beside_the_count_of_all",
        "test_views.py::test_the_head_of_a_lane_counts_and_sums_what_is_past_the_loaded_cards",
        "test_many.py::test_all_that_the_filters_show_is_all_of_it_and_no_more_loaded_or_not",
    ),
    "Filters are forgotten": (
        "browser/test_filters_kept.py::test_a_reload_and_going_back_from_an_account_and_from_elsewhere_keep_them",
        "browser/test_filters_kept.py::test_a_move_its_undo_and_a_change_of_many_keep_them",
        "browser/test_filters_kept.py::test_the_list_and_the_board_show_the_same_and_each_leads_to_the_other",
        "browser/test_filters_kept.py::test_a_view_with_more_laid_over_it_goes_along_to_the_board",
        "browser/test_calls.py::test_a_filter_stays_when_a_call_is_marked",
    ),
    "Somebody changed the view that all use": (
        "test_views.py::test_what_others_lay_over_a_shared_view_leaves_it_as_it_is_and_says_so",
        "test_views.py::test_a_view_is_changed_by_its_owner_or_a_lead_and_a_protected_one_by_a_lead",
        "test_views.py::test_whoever_changes_a_view_second_is_told_and_changes_nothing",
    ),
    "The export is not what was shown": (
        "test_views.py::test_an_export_holds_just_what_the_list_shows_past_its_first_page",
        "test_exports.py::test_a_page_offers_the_file_of_just_what_it_shows",
        "test_exports.py::test_a_filter_narrows_every_file_and_without_it_there_is_more",
        "test_filters_everywhere.py::test_a_question_finds_the_same_accounts_wherever_it_is_asked",
    ),
    "A flood of notifications": (
        "test_digest.py::test_five_hundred_events_make_one_mail_of_bounded_lists",
        "test_digest.py::test_what_was_told_or_seen_is_not_told_again",
        "test_notices.py::test_what_somebody_gives_is_told_and_what_one_takes_oneself_is_not",
        "test_notices.py::test_the_database_refuses_a_notice_of_ones_own_doing_and_one_about_two_things",
    ),
    "Scrolling by touch grabs a card": (
        "browser/test_board.py::test_a_long_press_picks_up_a_card_by_touch_and_a_swipe_does_not",
    ),
    "It cannot be moved by the keyboard": (
        "browser/test_board.py::test_the_menu_moves_by_keyboard_alone_and_says_what_is_refused",
        "browser/test_daily.py::test_the_keys_walk_open_and_move_without_a_mouse",
        "browser/test_day.py::test_a_day_by_keyboard_ends_with_nobody_left_to_write_to",
        "browser/test_keys.py::test_a_stages_number_leads_to_its_move_and_one_that_is_refused_says_why",
        "browser/test_views.py::test_by_keys_alone_some_are_chosen_and_moved_and_those_refused_are_named_and_it_is_undone",
    ),
    "Changes of stage are missing from the history": (
        "test_doors.py::test_each_pair_of_stages_has_one_answer_and_one_sentence_through_every_door",
        "test_doors.py::test_what_is_undone_is_one_row_too_through_every_door",
        "test_pipeline.py::test_moving_a_set_follows_the_same_rule_as_moving_one",
        "test_ledger.py::test_replaying_the_rows_gives_every_stage",
    ),
    "Another door has other rules": (
        "test_doors.py::test_each_pair_of_stages_has_one_answer_and_one_sentence_through_every_door",
        "test_doors.py::test_a_playbook_is_refused_whatever_a_person_is_refused_and_in_the_rules_words",
        "test_move_views.py::test_every_pair_of_stages_is_answered_as_the_pipeline_says",
        "test_admin.py::test_every_pair_is_permitted_or_refused_from_the_admin_as_the_table_says",
        "test_api_moves.py::test_every_pair_is_permitted_or_refused_from_the_api_as_the_table_says",
    ),
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_each_complaint_has_its_tests(complaint):
    missing = []
    for name in COMPLAINTS[complaint]:
        path, _, test = name.partition("::")
        tree = ast.parse((HERE / path).read_text())
        if test not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            missing.append(name)
    assert COMPLAINTS[complaint]
    assert missing == []
