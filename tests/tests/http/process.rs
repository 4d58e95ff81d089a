//! The server as a process: what starts it, watches it and ends it gets the answers it expects.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::{fs::MetadataExt as _, net::UnixDatagram},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use commerce_tests::http::{Home, Server, at, card};
use serde_json::{Value, json};

use crate::BACKEND;

const LONG: Duration = Duration::from_secs(30);

/// Waits for the end of a program; its exit code.
fn end_of(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + LONG;
    loop {
        if let Some(status) = child.try_wait().expect("its status") {
            return status.code();
        }
        assert!(Instant::now() < end, "it doesn't end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A connection that says what it is told to, byte by byte.
struct Raw(TcpStream);

impl Raw {
    fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).expect("a connection");
        stream.set_read_timeout(Some(LONG)).expect("a time-out");
        Self(stream)
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("it is sent");
    }

    /// The next answer's head and body.
    fn answer(&mut self) -> (String, String) {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(b"\r\n\r\n") {
            assert_eq!(self.0.read(&mut byte).expect("a byte"), 1, "{}", String::from_utf8_lossy(&read));
            read.push(byte[0]);
        }
        let head = String::from_utf8(read).expect("a head").to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
        self.0.read_exact(&mut body).expect("a body");
        (head, String::from_utf8(body).expect("text"))
    }

    /// Waits until the server closes it; what came before that.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server keeps it open: {error}"),
        }
        rest
    }
}

/// A server that stands still in the middle of a checkout.
async fn stuck(settings: &[(&str, &str)]) -> Server {
    let server =
        Server::start_with(BACKEND, &[settings, &[("COMMERCE_FAIL_POINT", "checkout.reserve")]].concat(), &[]).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 10).await;
    let mia = server.customer("mia").await;
    let item = json!({ "variant_id": at(&product, "/variants/0/id"), "quantity": 1 });
    mia.post("/v1/cart/items", item).await.done(200);
    tokio::spawn(async move {
        let body = ("application/json", card("pm_card_visa").to_string().into_bytes());
        mia.try_send("POST", "/v1/checkout", Some(body)).await
    });
    server.logged("step=\"checkout.reserve\"").await;
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_signal_that_ends_programs_ends_this_one_in_order() {
    for signal in ["TERM", "HUP", "INT"] {
        let mut server = Server::start(BACKEND).await;
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}: {}", server.log());
        assert!(server.log().contains("nothing was left undone"), "{signal}: {}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_cut_off() {
    let mut server = stuck(&[("COMMERCE_SHUTDOWN_TIMEOUT", "1s")]).await;
    let told = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1), "{}", server.log());
    assert!((1..10).contains(&told.elapsed().as_secs()), "{:?}", told.elapsed());
    assert!(server.log().contains("took longer than COMMERCE_SHUTDOWN_TIMEOUT"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_now() {
    let mut server = stuck(&[("COMMERCE_SHUTDOWN_TIMEOUT", "10m")]).await;
    server.signal("TERM");
    server.logged("finishing what was begun").await;
    // A service manager may send both at once.
    server.signal("HUP");
    std::thread::sleep(Duration::from_millis(200));
    assert!(!server.log().contains("stopped at once"), "{}", server.log());
    let told = Instant::now();
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(1), "{}", server.log());
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    assert!(server.log().contains("by a second signal"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_balancers_are_told_before_the_address_closes() {
    let mut server = Server::start_with(BACKEND, &[("COMMERCE_DRAIN_DELAY", "2s")], &[]).await;
    let anyone = server.anyone();
    let ready = anyone.get("/health/ready").await.expect(200);
    assert_eq!(ready["status"], "ready");
    server.signal("TERM");
    server.logged("finishing what was begun").await;
    let problem = anyone.get("/health/ready").await.refused(503, "not_ready");
    assert_eq!(problem["checks"]["server"], "failed", "{problem}");
    assert_eq!(problem["checks"]["writes"], "ok", "{problem}");
    anyone.get("/health/live").await.done(200);
    server.anyone().get("/v1/products").await.done(200);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_stopped_before_it_is_ready() {
    // A database that takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("postgres://shop@{}/shop?sslmode=disable", silent.local_addr().expect("an address"));
    let home = Home::at(url);
    let mut child = home.command().arg("serve").stderr(Stdio::piped()).spawn().expect("it starts");
    let _database = silent.accept().expect("it connects");
    signal("TERM", child.id());
    assert_eq!(end_of(&mut child), Some(0));
}

fn signal(name: &str, pid: u32) {
    let done = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(done.expect("kill runs").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_process_1() {
    let home = Home::new(BACKEND).await;
    let plain = home.command();
    let mut command = Command::new("unshare");
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--pid", "--fork"]).arg(plain.get_program()).current_dir(home.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let start = {
        let home = Arc::clone(&home);
        move || Server::start_by(home, command, &[], &[])
    };
    let mut server = tokio::task::spawn_blocking(start).await.expect("the server starts");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).expect("its child");
    signal("TERM", children.trim().parse().expect("a process"));
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(server.log().contains("nothing was left undone"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(LONG)).expect("a time-out");
    let settings = [("NOTIFY_SOCKET", path.to_str().expect("a path")), ("WATCHDOG_USEC", "200000")];
    let mut server = Server::start_with(BACKEND, &settings, &[]).await;
    let next = || {
        let mut message = [0; 1024];
        let read = socket.recv(&mut message).expect("a message");
        String::from_utf8_lossy(&message[..read]).into_owned()
    };
    let until = |word: &str| {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(|message: &String| message.lines().any(|line| line == word)) {
            heard.push(next());
        }
        heard
    };
    until("READY=1");
    until("WATCHDOG=1");
    until("WATCHDOG=1");
    server.signal("TERM");
    until("STOPPING=1");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

/// Runs the server until it is ready and told to stop, or ends by itself; all it says, line by line.
fn said(home: &Home, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, Vec<String>) {
    let mut command = home.command();
    command.env_remove("COMMERCE_ADMIN_PASSWORD").args(arguments).envs(settings.iter().copied());
    let log = home.path().join("said");
    let file = fs::File::create(&log).expect("a file");
    command.stdout(file.try_clone().expect("a file")).stderr(file);
    let mut child = command.spawn().expect("it starts");
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let so_far = fs::read_to_string(&log).expect("what it said");
        if so_far.contains("\"ready\"") {
            signal("TERM", child.id());
            break;
        }
        if child.try_wait().expect("its status").is_some() {
            break;
        }
        assert!(Instant::now() < end, "{so_far}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let code = end_of(&mut child);
    let lines = fs::read_to_string(&log).expect("what it said");
    (code, lines.lines().map(ToOwned::to_owned).collect())
}

#[track_caller]
fn objects(lines: &[String]) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let lines: Vec<Value> = lines.iter().map(parse).collect();
    for line in &lines {
        for member in ["timestamp", "level", "message"] {
            assert!(line[member].is_string(), "{member}: {line}");
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_in_json_are_json_from_the_first_line_to_the_last() {
    let home = Home::new(BACKEND).await;
    let json = ("COMMERCE_LOG_FORMAT", "json");
    let (code, lines) = said(&home, &["serve", "--demo"], &[json]);
    assert_eq!(code, Some(0), "{lines:?}");
    let lines = objects(&lines);
    assert!(lines.iter().any(|line| line["password"].is_string() && line["email"] == "admin@example.com"));
    assert!(lines.last().is_some_and(|line| at(line, "/message").starts_with("stopped")), "{lines:?}");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    for (arguments, setting, code, words) in [
        (&["serve"][..], ("COMMERCE_CURRENCY", "EURO"), 2, "COMMERCE_CURRENCY"),
        (&["serve"], ("COMMERCE_LOG", "a=b=c"), 2, "COMMERCE_LOG"),
        (&["serve"], ("COMMERCE_LISTEN", &taken), 1, "COMMERCE_LISTEN"),
        (&["serve"], ("COMMERCE_DATABASE_URL", "sqlite:///nowhere/at/all.db"), 1, "/nowhere/at/all.db"),
        (&["serve", "--demonstration"], json, 2, "--demonstration"),
    ] {
        let (ended, lines) = said(&home, arguments, &[json, setting]);
        assert_eq!(ended, Some(code), "{lines:?}");
        let lines = objects(&lines);
        let last = lines.last().expect("a line");
        assert!(at(last, "/message").contains(words) && last["level"] == "ERROR", "{last}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_before_the_end_of_the_body_ends_the_connection() {
    let server = Server::start(BACKEND).await;
    let mut raw = Raw::to(&server);
    raw.say("POST /nowhere HTTP/1.1\r\nHost: shop\r\nContent-Length: 4000000\r\n\r\n{");
    let (head, body) = raw.answer();
    assert!(head.starts_with("http/1.1 404 ") && head.contains("\r\nconnection: close\r\n"), "{head}");
    assert!(body.contains("not_found"), "{body}");
    // The client may go on sending for a moment without losing the answer to a reset.
    raw.say(&"x".repeat(100_000));
    assert_eq!(raw.rest(), b"");

    // What has come as a whole ends nothing, read or not.
    let mut raw = Raw::to(&server);
    for _ in 0..3 {
        raw.say("POST /nowhere HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\n{}");
        let (head, _) = raw.answer();
        assert!(head.starts_with("http/1.1 404 ") && !head.contains("connection: close"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_dawdle_are_not_waited_for() {
    let settings =
        [("COMMERCE_HEADER_TIMEOUT", "1s"), ("COMMERCE_BODY_TIMEOUT", "1500ms"), ("COMMERCE_IDLE_TIMEOUT", "4s")];
    let server = Server::start_with(BACKEND, &settings, &[]).await;
    let started = Instant::now();
    let mut head = Raw::to(&server);
    head.say("GET /health/live HTTP/1.1\r\nHost: sh");
    let mut body = Raw::to(&server);
    body.say(
        "POST /v1/auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    );
    let mut idle = Raw::to(&server);
    idle.say("GET /health/live HTTP/1.1\r\nHost: shop\r\n\r\n");
    assert!(idle.answer().0.starts_with("http/1.1 200 "));

    assert_eq!(head.rest(), b"");
    let took = started.elapsed().as_millis();
    assert!((900..3_500).contains(&took), "the head was given {took} ms");
    let (answer, problem) = body.answer();
    assert!(answer.starts_with("http/1.1 408 ") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(problem.contains("request_timeout"), "{problem}");
    assert_eq!(idle.rest(), b"");
    let took = started.elapsed().as_millis();
    assert!((3_900..10_000).contains(&took), "an idle connection was kept for {took} ms");
}
