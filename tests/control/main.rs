//! The control socket: commands reach a running bootlace, and are told when there is none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and is a shell"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bootlace::control::server::{Handler, bind, serve};
use bootlace::control::{ControlError, client};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Response, StatusCode};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};

/// Generous: the machine may be busy.
const LIMIT: Duration = Duration::from_secs(30);

/// A socket that answers with method, target and body of the question.
struct Served {
    folder: tempfile::TempDir,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<Result<(), ControlError>>,
    runtime: Runtime,
    /// Requests to `/wait` are answered after this.
    go_on: Arc<Notify>,
    /// Said when such a request has come.
    waiting: Arc<Notify>,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = bind(folder.path()).unwrap();
        let (go_on, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (release, came) = (Arc::clone(&go_on), Arc::clone(&waiting));
        let handler: Handler = Arc::new(move |request| {
            let (release, came) = (Arc::clone(&release), Arc::clone(&came));
            Box::pin(async move {
                if request.uri().path() == "/wait" {
                    came.notify_one();
                    release.notified().await;
                }
                assert_ne!(request.uri().path(), "/panic", "a bug of a handler (this message is the test's)");
                let text = format!("{} {} {}", request.method(), request.uri(), request.body().len());
                let mut response = Response::new(Full::from(text));
                *response.status_mut() = StatusCode::ACCEPTED;
                response
            })
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (stop, stopped) = watch::channel(false);
        let running = runtime.spawn(serve(listener, handler, stopped));
        Self { folder, stop, running, runtime, go_on, waiting }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn ask(&self, method: Method, target: &str, body: &[u8]) -> Result<(StatusCode, Bytes), ControlError> {
        let body = Bytes::copy_from_slice(body);
        self.runtime.block_on(client::request(&[self.socket()], method, target, body))
    }

    fn end(self) {
        // It may have ended already.
        let _ = self.stop.send(true);
        let running = self.running;
        self.runtime
            .block_on(async { tokio::time::timeout(LIMIT, running).await })
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

fn ask_at(sockets: &[PathBuf]) -> Result<(StatusCode, Bytes), ControlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(client::request(sockets, Method::GET, "/", Bytes::new()))
}

fn curl(socket: &Path, more: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "30", "--unix-socket"])
        .arg(socket)
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn curl_and_the_commands_get_the_handlers_answer() {
    let served = Served::start();
    let text = curl(&served.socket(), &["http://localhost/a?b=c", "--write-out", " %{http_code}"]);
    assert_eq!(text, "GET /a?b=c 0 202");
    let twice = curl(&served.socket(), &["http://localhost/1", "http://localhost/2", "--data", "four"]);
    assert_eq!(twice, "POST /1 4POST /2 4", "a connection takes several requests");
    let answer = served.ask(Method::PUT, "/x?y", &vec![7; 3 << 20]).unwrap();
    assert_eq!(answer, (StatusCode::ACCEPTED, Bytes::from("PUT /x?y 3145728")));
    served.end();
}

#[test]
fn the_socket_is_for_owner_and_group_and_goes_with_the_server() {
    let served = Served::start();
    let mode = std::fs::metadata(served.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);
    let socket = served.socket();
    served.stop.send(true).unwrap();
    served.runtime.block_on(served.running).unwrap().unwrap();
    assert!(!socket.exists());
}

#[test]
fn a_folder_that_is_made_for_the_socket_is_for_owner_and_group() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let _listener = bind(&made).unwrap();
    let mode = std::fs::metadata(&made).unwrap().permissions().mode();
    assert_eq!(mode & 0o027, 0, "{mode:o}");
}

#[test]
fn a_live_socket_is_an_error_and_goes_on() {
    let served = Served::start();
    let refused = bind(served.folder.path()).unwrap_err();
    assert!(matches!(refused, ControlError::InUse { .. }), "{refused:?}");
    assert!(refused.to_string().contains("another bootlace already listens on"), "{refused}");
    assert_eq!(served.ask(Method::GET, "/", b"").unwrap().0, StatusCode::ACCEPTED);
    served.end();
}

#[test]
fn the_socket_of_a_dead_process_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    // What a process that was killed leaves: the file, and nobody behind it.
    drop(UnixListener::bind(folder.path().join("control.sock")).unwrap());
    let socket = folder.path().join("control.sock");
    assert_eq!(UnixStream::connect(&socket).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    let listener = bind(folder.path()).unwrap();
    UnixStream::connect(listener.path()).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_left_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("control.sock");
    std::fs::write(&file, "notes").unwrap();
    let problem = bind(folder.path()).unwrap_err().to_string();
    assert!(problem.contains("something else than a socket is there"), "{problem}");
    assert_eq!(std::fs::read(&file).unwrap(), b"notes");
}

#[test]
fn a_path_too_long_for_a_socket_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(120));
    let problem = bind(&deep).unwrap_err().to_string();
    assert!(problem.starts_with("cannot make the control socket") && problem.contains("ddd"), "{problem}");
}

#[test]
fn without_a_listener_the_command_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    let (stale, missing) = (folder.path().join("control.sock"), folder.path().join("run/control.sock"));
    drop(UnixListener::bind(&stale).unwrap());
    let problem = ask_at(&[stale.clone(), missing.clone()]).unwrap_err();
    assert!(matches!(problem, ControlError::NotRunning { .. }), "{problem:?}");
    let text = problem.to_string();
    assert!(
        text.contains(&stale.display().to_string()) && text.contains(&missing.display().to_string()),
        "{text}"
    );
}

#[test]
fn the_second_place_is_asked_when_nobody_listens_on_the_first() {
    let served = Served::start();
    let stale = served.folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    assert_eq!(ask_at(&[stale, served.socket()]).unwrap().0, StatusCode::ACCEPTED);
    served.end();
}

#[test]
fn a_handler_that_panics_costs_its_connection_only() {
    let served = Served::start();
    let problem = served.ask(Method::GET, "/panic", b"").unwrap_err();
    assert!(matches!(problem, ControlError::NoAnswer { .. }), "{problem:?}");
    assert_eq!(served.ask(Method::GET, "/", b"").unwrap().0, StatusCode::ACCEPTED);
    served.end();
}

#[test]
fn what_is_no_http_answer_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"220 mail ready\r\n\r\n").unwrap();
    });
    let problem = ask_at(&[path]).unwrap_err();
    assert!(matches!(problem, ControlError::NoAnswer { .. }), "{problem:?}");
    other.join().unwrap();
}

#[test]
fn a_running_request_is_answered_when_bootlace_stops() {
    let served = Served::start();
    let socket = served.socket();
    let asking = std::thread::spawn(move || curl(&socket, &["http://localhost/wait"]));
    served.runtime.block_on(served.waiting.notified());
    served.stop.send(true).unwrap();
    served.go_on.notify_one();
    assert_eq!(asking.join().unwrap(), "GET /wait 0");
    served.end();
}
