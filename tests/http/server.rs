//! The server as such: connections, methods, bounds, start and stop.

use std::io::{Read, Write};
use std::process::Command;

use bootlace::http::{self, HttpError, Limits};
use bootlace::policy::Reason;

use crate::support::{Server, curl, entry, get, node, until};

fn server() -> Server {
    Server::start(vec![node(2)], vec![entry("debian", 2)])
}

/// [W1] quirk 38
#[test]
fn a_connection_is_kept_for_the_next_request() {
    let server = server();
    std::fs::write(server.asset("linux"), "kernel").unwrap();
    let output = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null"])
        .args(["-w", "%{http_code} %{num_connects};"])
        .args(["/boot/v1/bootscript?nid=2", "/absent", "/linux"].map(|path| server.url(path)))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "200 1;404 0;200 0;");
}

/// [W1]
#[test]
fn http_1_0_and_pipelined_requests_are_answered() {
    let server = server();
    assert_eq!(curl(&["--http1.0"], &server.url("/health")).text(), "ok\n");
    let both = server.raw(
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nHEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(String::from_utf8(both).unwrap().matches("HTTP/1.1 200 OK").count(), 2);
}

#[test]
fn a_client_that_has_closed_its_sending_half_still_gets_the_answer() {
    let server = server();
    std::fs::write(server.asset("big"), vec![7; 16 << 20]).unwrap();
    let mut stream = server.connect();
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    // Answered whole, then the server sees the end and closes.
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.len() + 1000 > 16 << 20, "{}", rest.len());
}

/// [W3]
#[test]
fn methods_that_write_are_told_what_is_allowed() {
    let server = server();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        for path in ["/linux", "/boot/v1/bootscript?nid=2"] {
            let got = curl(&["--request", method, "--data", "x"], &server.url(path));
            assert_eq!((got.status, got.header("allow")), (405, Some("GET, HEAD")), "{method}");
        }
    }
}

#[test]
fn requests_that_are_none_end_with_a_number_and_an_event() {
    let server = server();
    let huge = format!("GET /health HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    let many = format!("GET /health HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(500));
    for (request, status) in [
        (&b"\x00\x01\x02\r\n\r\n"[..], "HTTP/1.1 400"),
        (b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400"),
        (b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", "HTTP/1.1 400"),
        (b"GET /a%0ab HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 400"),
        (huge.as_bytes(), "HTTP/1.1 431"),
        (many.as_bytes(), "HTTP/1.1 431"),
    ] {
        let answer = server.raw(request);
        assert!(answer.starts_with(status.as_bytes()), "{status}: {}", String::from_utf8_lossy(&answer));
    }
    let event = server.event("-");
    assert_eq!((event.status, event.reason), (400, Some(Reason::Malformed)));
    assert_eq!(get(&server.url("/health")).status, 200, "and nothing else is harmed");
}

/// [W8]
#[test]
fn too_many_connections_are_told_to_come_again() {
    let server = Server::start_with(vec![], vec![], Limits { served: 2, turned_away: 4 });
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            stream.read_exact(&mut [0; 1]).unwrap();
            stream
        })
        .collect();
    let got = get(&server.url("/health"));
    assert_eq!((got.status, got.header("connection")), (503, Some("close")));
    let seconds: u32 = got.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=8).contains(&seconds), "{seconds}");
    drop(held);
    until("room again", || get(&server.url("/health")).status == 200);
}

#[test]
fn an_address_that_cannot_be_had_is_named_with_the_reason() {
    let server = server();
    let taken = http::bind(&[server.address]).unwrap_err();
    assert!(matches!(&taken, HttpError::InUse { address } if *address == server.address));
    assert!(taken.to_string().contains(&server.address.to_string()), "{taken}");
    let foreign = http::bind(&["192.0.2.1:0".parse().unwrap()]).unwrap_err();
    assert!(matches!(foreign, HttpError::NoSuchAddress { .. }), "{foreign}");
}

#[test]
fn stopping_lets_a_running_answer_end_and_closes_idle_connections() {
    let server = server();
    std::fs::write(server.asset("big"), vec![7; 32 << 20]).unwrap();
    let mut idle = server.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 1]).unwrap();
    let mut running = server.connect();
    running.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    running.read_exact(&mut [0; 1000]).unwrap();
    server.stop();
    let mut rest = Vec::new();
    running.read_to_end(&mut rest).unwrap();
    assert!(rest.len() + 1000 > 32 << 20, "{}", rest.len());
    idle.read_to_end(&mut rest).unwrap();
    until("the server's end", || server.ended());
}
