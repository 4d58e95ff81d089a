//! The one list of cases, and the macros that make tests of it.
//!
//! Modules of cases are private: a case that isn't listed here isn't reachable, and the compiler says that it is never used.

#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ($then:ident $(, $fixture:path)?) => {
        $crate::$then! { $(($fixture))?
            account {
                users_load_as_committed users_can_be_changed users_are_found_by_email users_are_listed_newest_first
                users_are_filtered users_are_filtered_in_any_script sessions_load_with_their_user sessions_rotate_and_end
                mail_tokens_load_as_committed addresses_load_as_committed unknown_ids_are_not_found
            }
            catalog {
                products_load_as_committed products_can_be_changed products_are_viewed slugs_and_skus_are_used_again
                offers_are_loaded categories_load_as_committed the_first_category_is_guarded products_are_counted_by_category
            }
            listing {
                listed_products_are_complete products_are_filtered_by_status products_are_filtered_by_category
                products_are_filtered_by_price products_are_filtered_by_stock products_are_filtered_by_rating
                product_filters_narrow_each_other products_are_sorted sort_keys_follow_changes
            }
            search {
                words_match_by_their_beginning all_words_must_match the_best_match_comes_first whole_words_beat_beginnings searches_agree_with_the_model scores_are_plain
                letters_are_folded words_are_no_syntax search_follows_changes typos_are_forgiven
            }
            inventory {
                stock_opens_with_its_variant stock_deltas_add_up the_ledger_keeps_every_movement a_new_variant_is_not_alerted
                crossings_count_the_ways_down thresholds_decide_what_is_low crossings_are_alerted_once stock_is_filtered
                alerts_load_as_committed
            }
            cart {
                carts_load_as_committed cart_lines_change_with_the_cart open_carts_are_found_by_their_claim carts_can_be_removed
                carts_change_hands a_decline_after_a_new_cart
            }
            order {
                orders_load_as_committed orders_keep_extreme_values every_status_is_kept orders_can_be_changed
                orders_are_found_by_their_children orders_are_filtered payments_are_listed returns_are_listed purchases_are_found
            }
            review {
                reviews_load_as_committed reviews_are_filtered one_review_per_customer_and_product ratings_add_up
            }
            outbox {
                events_are_listed_in_order events_of_every_root_are_kept tasks_come_back_as_written tasks_are_leased_when_due
                leases_run_out failed_tasks_come_again dead_tasks_are_kept a_task_has_one_holder a_good_shop_has_no_drift
                drift_is_named lost_writes_are_named the_store_answers_a_ping
            }
            guards {
                a_claim_has_one_holder every_kind_of_claim_is_kept only_the_holder_frees_a_claim versions_are_guarded
                versions_of_lasting_things_are_guarded all_stale_aggregates_are_named stock_has_a_floor all_shortages_are_named
                stock_nonsense_is_refused attempts_are_limited_in_a_window a_count_expects_what_was_on_hand guards_speak_in_order stronger_guards_drown_weaker_ones
                the_set_id_speaks_first
            }
            commit {
                a_set_applies_as_a_whole a_taken_key_leaves_nothing a_taken_claim_leaves_nothing a_stale_version_leaves_nothing
                a_failed_assertion_leaves_nothing a_refused_removal_leaves_nothing a_stale_alert_leaves_nothing
                a_shortage_leaves_nothing an_outdated_count_leaves_nothing nonsense_leaves_nothing
                a_refused_set_can_be_committed_later a_set_applies_once a_set_applies_once_at_the_same_time an_empty_set_is_fine
                a_set_may_be_large idempotency_keys_are_answered idempotency_keys_are_forgotten idempotency_keys_are_taken_once old_set_ids_and_keys_are_purged
                ended_sessions_and_used_tokens_are_purged old_attempts_are_purged
            }
            concurrency {
                two_hundred_buyers_for_fifty_units a_store_that_reads_then_writes_is_caught a_double_checkout_hears_of_its_key
                a_cart_is_checked_out_once attempts_at_once_are_counted_exactly refunds_never_exceed_the_payment a_refresh_token_rotates_once
                category_moves_make_no_cycle an_email_address_is_claimed_once one_open_cart_per_owner
                no_addition_to_a_cart_is_lost crossing_writes_add_up assertions_hold_against_writers loads_are_never_torn
            }
            pagination {
                products_newest_first products_cheapest_first products_dearest_first products_by_title products_best_rated_first
                products_best_match_first found_products_cheapest_first users orders payments returns stock movements alerts
                reviews dead_tasks deep_pages filters_hold_on_every_page
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __gateway_cases {
    ($then:ident $(, $fixture:path)?) => {
        $crate::$then! { $(($fixture))?
            gateway {
                it_names_itself_and_its_methods it_takes_money_at_once it_captures_in_full it_captures_a_part_once
                it_captures_no_more_than_promised it_voids_a_promise it_does_not_void_what_was_taken it_refunds_in_full
                it_refunds_no_more_than_taken it_refunds_once it_tells_of_all_refunds it_keeps_to_the_amounts_it_names it_charges_once it_answers_with_the_present_state it_finds_payments
                a_decline_is_an_answer a_customer_may_have_to_act an_unsigned_webhook_is_not_believed
            }
        }
    };
}

// Makes the listed cases public, and only them.
macro_rules! publish {
    ($($module:ident { $($case:ident)* })*) => { $(
        pub mod $module {
            #![doc = concat!("Cases of `", stringify!($module), "`.")]
            pub use crate::conformance::$module::{$($case),*};
        }
    )* };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_publish {
    ($($cases:tt)*) => { publish! { $($cases)* } };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($fixture:path) $($module:ident { $($case:ident)* })*) => { $(
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let fixture = $fixture().await;
                    $crate::conformance::cases::$module::$case(&fixture).await;
                }
            )*
        }
    )* };
}

/// Makes a test of each case of the contract of storage backends.
///
/// Takes the path of a function `async fn() -> impl StoreFixture` that makes a fresh, empty store for every test. Wants
/// `tokio` with `macros` and `rt-multi-thread` among the caller's dependencies, and a module of its own.
///
/// ```ignore
/// struct Fixture { store: Arc<dyn Store>, _dir: tempfile::TempDir }
/// impl StoreFixture for Fixture {
///     fn store(&self) -> Arc<dyn Store> { self.store.clone() }
/// }
/// async fn fixture() -> Fixture { /* an empty store in a fresh directory */ }
/// commerce_core::store_conformance_tests!(fixture);
/// ```
#[macro_export]
macro_rules! store_conformance_tests {
    ($fixture:path) => {
        $crate::__store_cases! { __conformance_tests, $fixture }
    };
}

/// Makes a test of each case of the contract of payment gateways.
///
/// Takes the path of a function `async fn() -> impl GatewayFixture`; see [`store_conformance_tests!`](crate::store_conformance_tests).
#[macro_export]
macro_rules! gateway_conformance_tests {
    ($fixture:path) => {
        $crate::__gateway_cases! { __conformance_tests, $fixture }
    };
}

crate::__store_cases! { __conformance_publish }
crate::__gateway_cases! { __conformance_publish }
