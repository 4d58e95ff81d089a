//! Dependencies point one way: the files of commerce-core stand on floors, and use only what stands on theirs or below; and no
//! files of one floor, and no modules of the other crates, use each other in a circle.

mod graph;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use self::graph::Crate;

/// The floors from the ground up, and the files on each. A `mod.rs` that only hands on what others define stands nowhere. A new
/// file belongs in here; the model, for one, knows nothing of stores, services and what is asynchronous.
const FLOORS: [(&str, &str); 7] = [
    // Ids, money, time, pages, validation, errors.
    (
        "base",
        "aggregate.rs clock/timestamp.rs error.rs fail_point.rs id.rs language.rs money.rs page.rs role.rs \
         settings.rs state.rs text.rs text/card.rs text/characters.rs",
    ),
    // Entities, states with their transitions, pure rules.
    (
        "model",
        "account/email.rs account/error.rs account/model.rs account/phone.rs account/rules.rs account/session.rs \
         address.rs alert/model.rs cart/error.rs cart/model.rs cart/rules.rs catalog/category.rs catalog/collation.rs \
         catalog/error.rs catalog/input.rs catalog/product.rs catalog/query.rs catalog/rules.rs catalog/search.rs \
         catalog/search/words.rs catalog/slug.rs catalog/view.rs checkout/error.rs checkout/input.rs context.rs \
         event/model.rs event/task.rs inventory/error.rs inventory/stock.rs notification/message.rs \
         notification/text.rs order/effects.rs order/error.rs order/model.rs order/number.rs order/owed.rs \
         order/quantity.rs order/rules.rs order/selection.rs order/state.rs order/tracking.rs order/withdraw.rs \
         payment/amounts.rs payment/model.rs payment/report.rs payment/rules.rs payment/rules/foreign.rs \
         payment/rules/refund.rs payment/state.rs pricing/model.rs review/error.rs review/model.rs review/rules.rs \
         token.rs",
    ),
    // Change-sets, claims, rows, reads.
    (
        "store",
        "account/queries.rs cart/queries.rs catalog/queries.rs inventory/queries.rs order/queries.rs \
         review/queries.rs store/backend.rs store/change.rs store/claim.rs store/error.rs store/outbox.rs \
         store/references.rs store/relations.rs store/schema.rs store/set.rs store/table.rs store/write.rs",
    ),
    // Traits of what the shop calls: gateways, mailers, tax, shipping, event sinks, clocks.
    ("ports", "clock/source.rs event/sink.rs notification/mailer.rs payment/gateway.rs pricing/port.rs"),
    // The write command, the payment processor, what processes remember.
    (
        "engine",
        "account/access.rs account/password.rs account/session_cache.rs alert/raise.rs engine.rs order/record.rs \
         payment/processor/consequences.rs payment/processor/foreign.rs payment/processor/mod.rs \
         payment/processor/pay.rs payment/processor/recover.rs payment/processor/refund.rs \
         payment/processor/settle.rs worker/status.rs write.rs write_watch.rs",
    ),
    // What an application calls, by domain.
    (
        "services",
        "account/addresses.rs account/attempts.rs account/devices.rs account/email_change.rs account/erase.rs \
         account/export.rs account/guest_orders.rs account/login.rs account/profile.rs account/recovery.rs \
         account/refresh.rs account/register.rs account/service.rs account/users.rs cart/merge.rs cart/service.rs \
         cart/shared.rs cart/view.rs catalog/categories.rs catalog/listing.rs catalog/products.rs catalog/service.rs \
         catalog/shared.rs catalog/variants.rs checkout/again.rs checkout/place.rs checkout/placement.rs \
         checkout/quote.rs checkout/reserve.rs checkout/service.rs health.rs inventory/service.rs \
         notification/compose.rs order/cancel.rs order/edit.rs order/fulfil.rs order/returns.rs order/service.rs \
         payment/capture.rs payment/reconcile.rs payment/resolve.rs payment/service.rs payment/webhook.rs \
         review/service.rs",
    ),
    // The facade, the worker, copying, conformance, adapters.
    (
        "surface",
        "caller.rs commerce.rs conformance/account.rs conformance/broken.rs conformance/cart.rs conformance/cases.rs \
         conformance/catalog.rs conformance/commit.rs conformance/concurrency.rs conformance/concurrency/edits.rs \
         conformance/fixture.rs conformance/gateway.rs conformance/guards.rs conformance/inventory.rs \
         conformance/listing.rs conformance/load/catalog.rs conformance/load/checkout.rs conformance/load/figures.rs \
         conformance/order.rs conformance/outbox.rs conformance/pagination.rs conformance/review.rs \
         conformance/sample.rs conformance/sample/order.rs conformance/search.rs conformance/shop.rs lib.rs \
         notification/file.rs notification/log.rs notification/memory.rs notification/smtp.rs payment/manual.rs \
         payment/stripe/amount.rs payment/stripe/client.rs payment/stripe/config.rs payment/stripe/mod.rs \
         payment/stripe/object.rs payment/stripe/transport.rs payment/stripe/webhook.rs payment/test_gateway.rs \
         pricing/shipping.rs pricing/tax.rs store/copy.rs worker.rs",
    ),
];

fn read(name: &str) -> Crate {
    Crate::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src"))
}

/// The floor of each file of the table.
fn floors() -> BTreeMap<&'static str, usize> {
    let mut floors = BTreeMap::new();
    for (floor, (_, files)) in FLOORS.iter().enumerate() {
        for file in files.split_whitespace() {
            assert_eq!(floors.insert(file, floor), None, "{file} is on two floors");
        }
    }
    floors
}

#[test]
fn every_file_of_core_stands_on_a_floor() {
    let (core, floors) = (read("commerce-core"), floors());
    let (found, listed) = (core.files(), floors.keys().copied().collect::<BTreeSet<_>>());
    assert_eq!(found.difference(&listed).collect::<Vec<_>>(), Vec::<&&str>::new(), "these stand on no floor yet");
    assert_eq!(listed.difference(&found).collect::<Vec<_>>(), Vec::<&&str>::new(), "these are gone, or define nothing");
}

#[test]
fn the_arrows_of_core_point_down() {
    let (core, floors) = (read("commerce-core"), floors());
    let floor = |file: &str| floors.get(file).copied().unwrap_or_default();
    let uses = core.uses();
    assert!(uses.len() > 500, "only {} uses were found", uses.len());
    let upward: Vec<String> = uses
        .iter()
        .filter(|((user, used), _)| floor(used) > floor(user))
        .map(|((user, used), path)| {
            let name = |file| FLOORS[floor(file)].0;
            format!("{user} ({}) uses {path} of {used} ({})", name(user), name(used))
        })
        .collect();
    assert!(upward.is_empty(), "{} arrows point up:\n{}", upward.len(), upward.join("\n"));
}

#[test]
fn files_of_one_floor_of_core_use_each_other_in_no_circle() {
    let (core, floors) = (read("commerce-core"), floors());
    let mut uses = BTreeMap::<String, BTreeSet<String>>::new();
    for (user, used) in core.uses().into_keys().filter(|(user, used)| floors.get(user) == floors.get(used.as_str())) {
        uses.entry(user.to_owned()).or_default().insert(used);
    }
    assert_eq!(circles(&uses), Vec::<Vec<String>>::new());
}

#[test]
fn modules_of_the_other_crates_use_each_other_in_no_circle() {
    for name in ["commerce-sqlite", "commerce-postgres", "commerce-http"] {
        let of = |file: &str| file.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        let mut uses = BTreeMap::<String, BTreeSet<String>>::new();
        for (user, used) in read(name).uses().into_keys().filter(|(user, used)| of(user) != of(used)) {
            uses.entry(of(user)).or_default().insert(of(&used));
        }
        assert!(uses.len() > 10, "{name}: only {} modules were found", uses.len());
        assert_eq!(circles(&uses), Vec::<Vec<String>>::new(), "{name}");
    }
}

/// What uses each other in a circle: all that can be reached from one another.
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut todo: Vec<&String> = uses.get(from).into_iter().flatten().collect();
        while let Some(next) = todo.pop() {
            if reached.insert(next) {
                todo.extend(uses.get(next).into_iter().flatten());
            }
        }
        reached
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> = uses.keys().map(|from| (from, reached(from))).collect();
    let mut circles = BTreeSet::new();
    for (from, to) in reached.iter().filter(|(from, to)| to.contains(*from)) {
        let back = |other: &&&String| reached.get(**other).is_some_and(|theirs| theirs.contains(from));
        circles.insert(to.iter().filter(back).map(|other| (*other).clone()).collect());
    }
    circles.into_iter().collect()
}

#[test]
fn a_circle_is_found() {
    let uses = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "e")];
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    for (user, used) in uses {
        graph.entry(user.to_owned()).or_default().insert(used.to_owned());
    }
    assert_eq!(circles(&graph), [["b", "c"]]);
}
