//! Every write of the API, made twice: awaited in one shop, and in another prepared and applied in a transaction of the host's.
//! Both shops keep the same rows, tell their sinks of the same events and send the same mails; both answer a repeated write
//! with the same key as they did, and refuse the same. The writes are found in the source, so that none is forgotten.

mod journey;
mod world;

use std::{collections::BTreeSet, path::Path};

use self::{
    journey::travel,
    world::{Backend, Pair},
};

/// Writes of the worker's own, which no caller can reach.
const INTERNAL: &[&str] = &["accounts.join_orders"];
/// What succeeds whatever is asked for.
const NEVER_REFUSED: &[&str] = &["accounts.forgot_password", "accounts.resend_confirmation"];

const SERVICES: &[&str] = &["accounts", "carts", "catalog", "checkout", "inventory", "orders", "payments", "reviews"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_is_the_same_awaited_and_prepared_on_sqlite() {
    check(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_is_the_same_awaited_and_prepared_on_postgres() {
    check(Backend::Postgres).await;
}

async fn check(backend: Backend) {
    let mut pair = Pair::open(backend).await;
    Box::pin(travel(&mut pair)).await;
    let all: BTreeSet<String> = writes().into_iter().filter(|name| !INTERNAL.contains(&name.as_str())).collect();
    assert!(all.len() > 40, "writes are found in the source: {all:?}");
    let missing = |seen: &BTreeSet<String>| all.difference(seen).cloned().collect::<Vec<_>>();
    assert_eq!(missing(&pair.made), [""; 0], "writes that weren't made");
    let mut refused = pair.refused.clone();
    refused.extend(NEVER_REFUSED.iter().map(|name| (*name).to_owned()));
    assert_eq!(missing(&refused), [""; 0], "writes that weren't refused");
}

/// The names of all writes, as core's source has them: `"orders.cancel"`.
fn writes() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../commerce-core/src"), &mut names);
    names
}

fn read(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("core's source") {
        let path = entry.expect("core's source").path();
        if path.is_dir() {
            read(&path, names);
        } else if path.file_name().is_some_and(|name| name != "fail_point.rs") {
            let text = std::fs::read_to_string(&path).expect("core's source");
            names.extend(text.split('"').filter(|text| is_write(text)).map(str::to_owned));
        }
    }
}

fn is_write(text: &str) -> bool {
    text.split_once('.').is_some_and(|(service, name)| {
        SERVICES.contains(&service)
            && !name.is_empty()
            && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
    })
}
