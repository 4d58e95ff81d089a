//! SQLite, whose files may grow no further.

use std::{process::Command, sync::Arc};

use commerce_tests::http::{Backend, Home, Server};

use crate::{all_is_there, attempts, fill_up, go_on, limit_files};

/// How much the files may still grow by.
const QUOTA: u64 = 1_000_000;

/// A server that takes the end of its quota for an error, as it would a full disk, instead of dying by SIGXFSZ.
async fn start(home: &Arc<Home>) -> Server {
    let plain = home.command();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]).arg(plain.get_program());
    command.current_dir(home.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let home = home.clone();
    tokio::task::spawn_blocking(move || Server::start_by(home, command, &[], &[])).await.expect("the server starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_loses_nothing_and_passes() {
    let home = Home::new(Backend::Sqlite).await;
    let mut server = start(&home).await;
    let (mut attempts, variant) = attempts(&server, 60).await;
    let admin = server.admin().await;
    let grown = |name: &str| std::fs::metadata(home.path().join(name)).map_or(0, |file| file.len());
    let largest = grown("shop.db").max(grown("shop.db-wal"));
    limit_files(Command::new("prlimit"), server.pid(), &(largest + QUOTA).to_string());

    server.ready().await;
    let acknowledged = fill_up(&mut attempts, 10).await;
    server.not_ready("writes").await;
    admin.get("/v1/admin/orders").await.done(200);

    limit_files(Command::new("prlimit"), server.pid(), "unlimited");
    go_on(&server, &mut attempts).await;
    server.ready().await;
    all_is_there(&server, &attempts, &variant).await;
    server.kill();
    let server = start(&home).await;
    all_is_there(&server, &attempts, &variant).await;
    println!("{acknowledged} orders before the disk was full, {} in the end", attempts.len());
}
