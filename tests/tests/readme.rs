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

/// The first block of a language's code in a text.
fn code<'a>(text: &'a str, language: &str) -> &'a str {
    let (_, after) = text.split_once(&format!("```{language}\n")).expect("a block of code");
    after.split_once("```").expect("the block's end").0
}

#[test]
fn the_ten_lines_are_those_of_the_front_page_which_are_run() {
    let read = |path: &str| std::fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).expect(path);
    let front: Vec<String> = read("commerce-core/src/lib.rs")
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n")
        .collect();
    let shown: String =
        code(&front.concat(), "").split_inclusive('\n').filter(|line| !line.starts_with("# ")).collect();
    assert_eq!(code(&read("README.md"), "rust"), shown.replace("sqlite::memory:", "sqlite://shop.db"));
}
