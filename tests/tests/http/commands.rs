//! The program's other commands, which need no more of the configuration than they use.

use std::process::{Command, Output};

use commerce_tests::http::{Home, Server};

use crate::BACKEND;

/// The program with arguments, and with settings that are all wrong but for these.
fn run(home: &Home, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(home.command().get_program());
    command.current_dir(home.path()).env_clear().args(arguments);
    for variable in [
        "COMMERCE_DATABASE_URL",
        "COMMERCE_DATABASE_REPLICAS",
        "COMMERCE_LISTEN",
        "COMMERCE_PUBLIC_URL",
        "COMMERCE_JWT_SECRET",
        "COMMERCE_ACCESS_TTL",
        "COMMERCE_CURRENCY",
        "COMMERCE_PRICES_INCLUDE_TAX",
        "COMMERCE_TAX_RATES",
        "COMMERCE_SHIPPING_METHODS",
        "COMMERCE_SMTP_URL",
        "STRIPE_SECRET_KEY",
        "COMMERCE_CAPTURE_AT_CHECKOUT",
        "COMMERCE_TEST_GATEWAY",
        "COMMERCE_RATE_LIMIT",
        "COMMERCE_CORS_ORIGINS",
        "COMMERCE_LOG_FORMAT",
    ] {
        command.env(variable, "nonsense");
    }
    command.envs(settings.iter().copied()).output().expect("it runs")
}

#[track_caller]
fn done(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!output.stdout.is_empty(), "{said}");
}

#[track_caller]
fn refused(output: &Output, sentence: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with(sentence) && said.lines().count() == 1, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_needs_only_the_settings_that_it_uses() {
    let home = Home::new(BACKEND).await;
    let database = ("COMMERCE_DATABASE_URL", home.url());
    let books = [database, ("COMMERCE_CURRENCY", "EUR"), ("STRIPE_SECRET_KEY", ""), ("COMMERCE_TEST_GATEWAY", "")];
    done(&run(&home, &["migrate"], &[database]));
    done(&run(&home, &["verify"], &books));
    let shop = Server::start(BACKEND).await;
    let copy = ["copy", "--from", shop.home.url(), "--to", home.url()];
    done(&run(&home, &copy, &[]));
    done(&run(&home, &["verify"], &books));
    done(&run(&home, &["openapi"], &books[1..]));

    // What they do use they check.
    refused(&run(&home, &["migrate"], &[]), "COMMERCE_DATABASE_URL must begin with");
    refused(&run(&home, &["verify"], &[database]), "COMMERCE_CURRENCY is wrong");
    refused(&run(&home, &["verify"], &books[..2]), "STRIPE_SECRET_KEY is wrong");
    refused(&run(&home, &["copy", "--from", "shop.db", "--to", home.url()], &[]), "--from must begin with");
    refused(&run(&home, &["serve"], &[database]), "COMMERCE_LISTEN must be");
}
