//! What the README shows works as written.

use std::process::Command;

use commerce_tests::http::{Backend, PASSWORD, Server};

/// The block of shell after a mark.
fn block<'a>(readme: &'a str, mark: &str) -> &'a str {
    let (_, after) = readme.split_once(mark).expect("the mark");
    let (before, block) = after.split_once("```sh\n").expect("a block of shell");
    assert!(before.trim().is_empty(), "the block follows the mark at once");
    block.split_once("\n```").expect("the block's end").0
}

#[tokio::test]
async fn the_curl_journey_runs_from_register_to_refund() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
    let server = Server::start_with(Backend::Sqlite, &[], &["--demo"]).await;
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", block(&readme, "<!-- journey -->")]);
    bash.env("SHOP", &server.base).env("no_proxy", "127.0.0.1").current_dir(server.home.path());
    bash.env("ADMIN_EMAIL", "admin@example.com").env("ADMIN_PASSWORD", PASSWORD);
    let output = bash.output().expect("bash runs");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the journey needs bash, curl and jq (apt-get install curl jq)\n{said}\n{errors}");
    assert_eq!(said.lines().last(), Some("partially_refunded"), "{said}\n{errors}");
}

#[tokio::test]
async fn the_backup_can_be_made_checked_and_put_back() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).expect("the README");
    let server = Server::start_with(Backend::Sqlite, &[], &["--demo"]).await;
    let program = server.home.command();
    let folder = std::path::Path::new(program.get_program()).parent().expect("its folder").to_owned();
    let mut sh = Command::new("sh");
    sh.args(["-eu", "-c", block(&readme, "<!-- backup -->")]).current_dir(server.home.path());
    sh.env("COMMERCE_DATABASE_URL", server.home.url()).env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    let output = sh.output().expect("sh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    assert!(server.home.path().join("restored.db").exists());
}
