//! What every backend of the store must do, as cases that anybody can run on theirs.
//!
//! Each case is a sentence about behaviour that holds, or panics where it does
//! not. [`store_conformance!`](crate::store_conformance) makes one test of each.

#![expect(
    clippy::needless_pass_by_value,
    reason = "every case takes its store, whether it hands it on to tasks or not"
)]

pub mod accounts;
pub mod announcing;
pub mod conversations;
pub mod creation;
mod fixture;
pub mod identities;
pub mod key_packages;
pub mod maintenance;
pub mod messages;
pub mod pages;
pub mod positions;
pub mod races;
mod reads;
pub mod rosters;
pub mod sessions;
pub mod write_counters;

/// Makes one `#[tokio::test]` of every case of the store's conformance suite.
///
/// Takes the name of an `async fn()` that makes an empty store and gives it as
/// an `Arc<dyn Store>`, together with whatever must live as long as the store
/// does. The crate that calls it needs tokio with `macros` and `rt-multi-thread`.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use ruggine_server::store::Store;
/// use ruggine_server::store::sqlite::SqliteStore;
///
/// async fn empty_store() -> (Arc<dyn Store>, tempfile::TempDir) {
///     let folder = tempfile::tempdir().expect("a temporary folder");
///     let store = SqliteStore::open(folder.path().join("ruggine.db"))
///         .await
///         .expect("a new database opens");
///     (Arc::new(store), folder)
/// }
///
/// ruggine_server::store_conformance!(empty_store);
/// ```
#[macro_export]
macro_rules! store_conformance {
    ($make:expr) => {
        $crate::store_conformance! {
            @cases $make;
            accounts:
                a_created_user_is_found_by_name_and_by_id,
                a_user_without_a_password_stays_without_one,
                a_username_that_nobody_has_finds_nobody,
                a_taken_username_stays_with_its_owner,
                of_many_who_claim_a_username_at_once_exactly_one_gets_it,
                a_user_that_cannot_be_created_leaves_the_username_free,
                users_who_do_not_exist_are_left_out,
                acquaintances_share_a_conversation,
                somebody_who_left_is_no_acquaintance;
            sessions:
                a_session_on_a_new_device_is_found_by_its_access_token,
                a_device_that_proves_itself_opens_another_session,
                a_device_with_a_wrong_secret_opens_nothing,
                an_unknown_device_opens_nothing,
                a_device_of_another_user_opens_nothing,
                an_access_token_ends_when_it_expires,
                an_access_token_counts_for_its_user_only,
                a_token_of_one_kind_is_refused_as_the_other,
                a_refresh_token_is_exchanged_for_the_next_pair,
                a_refresh_token_stays_good_until_its_successor_is_used,
                a_refresh_token_can_be_exchanged_by_many_at_once,
                a_refresh_token_used_after_its_successor_ends_the_session,
                an_expired_refresh_token_is_unknown,
                an_unknown_refresh_token_stores_nothing,
                sessions_without_a_usable_token_are_not_listed,
                a_revoked_session_is_over_at_once,
                there_is_nothing_to_revoke_but_a_live_session_of_ones_own,
                sessions_that_are_over_are_told_from_the_live_ones,
                a_session_was_last_seen_at_the_latest_time_reported,
                touching_an_unknown_session_does_nothing,
                a_write_counter_never_goes_back,
                a_write_counter_belongs_to_its_device,
                a_write_counter_moved_by_many_at_once_ends_at_the_greatest,
                purging_deletes_expired_tokens_only;
            creation:
                a_created_group_has_its_members_and_its_notice,
                a_group_created_again_by_its_creator_is_the_same_one,
                an_id_that_belongs_to_another_conversation_is_taken,
                a_direct_conversation_names_the_other_user,
                a_pair_has_one_direct_conversation_in_a_mode,
                a_pair_has_another_direct_conversation_in_another_mode,
                a_pair_that_creates_at_once_gets_one_direct_conversation;
            conversations:
                a_former_member_sees_the_conversation_as_they_left_it,
                a_stranger_sees_no_conversation,
                conversations_with_neighbouring_ids_are_told_apart,
                conversations_are_listed_by_id_page_by_page,
                memberships_are_the_conversations_a_user_is_in_now,
                members_are_listed_by_id_with_their_positions,
                conversations_are_counted_for_each_user;
            rosters:
                a_roster_view_counts_what_a_change_is_judged_by,
                a_conversation_that_does_not_exist_has_no_roster,
                a_roster_holds_everybody_who_is_in_it_now,
                every_change_of_a_roster_writes_its_notice,
                a_member_added_begins_at_the_notice,
                a_member_who_comes_back_begins_a_second_stay,
                a_change_concerns_the_stay_that_lasts,
                a_change_judged_at_an_older_roster_is_a_conflict,
                of_changes_judged_at_the_same_roster_one_is_made,
                a_change_that_cannot_be_made_whole_writes_nothing,
                changes_and_messages_at_once_share_one_gap_free_order;
            messages:
                a_row_is_stored_as_it_was_given,
                rows_keep_the_order_of_their_batch,
                a_row_comes_with_the_version_of_its_roster,
                a_row_sent_again_gets_the_original,
                a_row_twice_in_a_batch_is_written_once,
                an_id_of_another_device_or_conversation_is_no_duplicate,
                a_removed_member_still_gets_the_original_of_a_row,
                only_members_append,
                who_wrote_before_writes_no_more_once_removed,
                an_unknown_role_appends_nothing,
                a_row_of_another_epoch_is_stale,
                a_refused_row_among_good_ones_takes_no_number;
            write_counters:
                a_write_counter_is_checked_row_by_row,
                a_write_counter_that_falls_back_within_a_batch_is_behind,
                a_write_counter_moved_by_a_batch_stays_moved,
                an_old_copy_is_found_out_by_a_row_sent_again,
                an_old_copy_is_found_out_after_rows_that_were_good;
            races:
                racing_clients_burn_no_number,
                writers_of_overlapping_batches_leave_no_gap,
                a_reader_beside_writers_misses_nothing;
            announcing:
                a_batch_waits_until_it_is_settled,
                a_batch_settles_earlier_ones,
                a_batch_with_nothing_new_does_not_wait,
                waiting_batches_are_given_by_age,
                rows_for_fan_out_are_unclipped_and_limited,
                heads_of_many_conversations_are_given_at_once;
            pages:
                a_page_after_a_number_goes_towards_newer_rows,
                a_page_before_a_number_goes_towards_older_rows,
                a_page_beyond_the_head_is_empty,
                a_page_holds_no_more_bytes_than_asked_for,
                pages_of_few_bytes_cover_the_log_without_a_gap,
                what_came_before_a_member_is_a_hole,
                what_was_said_between_two_stays_is_a_hole,
                a_former_member_reads_up_to_their_leaving,
                a_stranger_reads_no_page;
            positions:
                a_head_says_where_a_conversation_stands_for_a_device,
                a_conversation_without_news_is_told_on_request_only,
                every_device_has_a_cursor_of_its_own,
                heads_are_told_by_id_page_by_page,
                a_read_position_of_one_device_is_news_to_the_others,
                the_head_of_a_removed_member_is_frozen,
                a_stranger_is_told_of_no_head,
                positions_move_forward_only,
                a_position_moved_to_zero_has_not_moved,
                the_two_positions_do_not_move_each_other,
                a_position_beyond_the_head_is_cut_to_it,
                the_furthest_device_counts_for_the_user,
                moves_are_answered_in_their_order,
                positions_moved_by_many_at_once_end_at_the_furthest;
            identities:
                a_device_list_is_stored_as_it_was_given,
                device_lists_are_read_in_their_order_from_where_they_are_known,
                the_newest_device_list_appended_again_existed,
                a_device_list_that_does_not_follow_is_a_conflict,
                a_device_list_with_a_foreign_device_is_not_stored,
                of_device_lists_that_follow_the_same_one_exactly_one_stays,
                a_device_list_appended_by_many_at_once_is_stored_once;
            key_packages:
                key_packages_are_counted_by_suite,
                a_key_package_is_handed_out_once,
                a_key_package_of_last_resort_is_handed_out_last_and_again,
                key_packages_of_several_devices_are_claimed_together,
                of_claims_at_once_no_two_are_given_one_key_package,
                a_claim_concerns_one_suite_and_one_certificate,
                a_key_package_that_has_expired_is_neither_counted_nor_given,
                a_key_package_stored_before_is_known,
                a_key_package_of_last_resort_replaces_the_earlier_one,
                a_device_has_no_more_key_packages_of_a_suite_than_it_may,
                key_packages_stored_at_once_are_no_more_than_may_be,
                key_packages_under_an_earlier_certificate_are_withdrawn,
                key_packages_under_an_earlier_list_are_not_stored,
                purging_forgets_expired_key_packages_only;
            maintenance:
                a_store_has_at_least_one_lane,
                the_facts_stay_the_same,
                a_log_that_begins_anew_keeps_its_rows,
                a_store_that_works_answers_a_ping,
                registered_keys_are_all_remembered,
                a_key_registered_again_keeps_its_record,
                a_key_is_registered_beside_known_ones_only,
                of_unknown_keys_registered_at_once_exactly_one_stays,
                every_step_fails_once_the_store_is_closed;
        }
    };
    (@cases $make:expr; $( $module:ident: $( $case:ident ),+; )+) => {
        $( $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let make = $make;
                let (store, _kept) = make().await;
                $crate::store::conformance::$module::$case(store).await;
            }
        )+ )+
    };
}
