//! Swagger UI in a real browser.

use std::{path::Path, process::Command};

use commerce_tests::http::{Backend, PASSWORD, Server, at};
use serde_json::json;

#[tokio::test]
async fn swagger_ui_authorises_and_runs_requests_signed_in() {
    let browser = concat!(env!("CARGO_MANIFEST_DIR"), "/browser");
    assert!(Path::new(browser).join("node_modules").exists(), "run `npm ci` in tests/browser first, or ./tests/run");
    let server = Server::start(Backend::Sqlite).await;
    let product = server.product(&server.admin().await, "MUG", "19.90", 5).await;
    server.customer("mia").await;
    let login = json!({ "email": "mia@example.com", "password": PASSWORD });
    let session = server.anyone().post("/v1/auth/login", login).await.expect(200);
    let target = std::env::current_exe().expect("the test's own path");
    let screenshot = target.ancestors().nth(2).expect("target/<profile>/deps/<test>").join("swagger.png");
    let mut node = Command::new("node");
    node.current_dir(browser).args(["swagger.mjs", &server.base, at(&session, "/access_token")]);
    node.arg(at(&product, "/variants/0/id")).arg(screenshot);
    let output = node.output().expect("node is missing: apt-get install nodejs npm");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
