//! Files: kernel, initrd, loaders, and what must not be served.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;

use bootlace::policy::Reason;

use crate::support::{Server, curl, entry, get, node, until};

/// Bytes that differ at every offset and over every chunk border.
fn bytes(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect()
}

fn server() -> Server {
    let server = Server::start(vec![node(2)], vec![entry("debian", 2)]);
    std::fs::write(server.asset("linux"), bytes(1_000_000)).unwrap();
    server
}

/// [W2] [W3]
#[test]
fn head_answers_with_the_headers_of_get_and_without_a_body() {
    let server = server();
    std::fs::write(server.asset("empty"), "").unwrap();
    for (path, status) in [
        ("/linux", 200),
        ("/empty", 200),
        ("/snponly-x86_64.efi", 200),
        ("/boot/v1/bootscript?nid=2", 200),
        ("/boot/v1/bootscript", 400),
        ("/health", 200),
        ("/absent", 404),
        ("/../x", 403),
    ] {
        let (get, head) = (get(&server.url(path)), curl(&["--head"], &server.url(path)));
        assert_eq!((get.status, head.status), (status, status), "{path}");
        let without_date = |headers: &[(String, String)]| -> Vec<(String, String)> {
            headers.iter().filter(|(name, _)| name != "date").cloned().collect()
        };
        assert_eq!(without_date(&get.headers), without_date(&head.headers), "{path}");
        assert_eq!(get.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
        // curl writes the head as the output of --head.
        assert!(!String::from_utf8_lossy(&head.body).contains("there is no such file"));
    }
}

/// [W2] [W5] [W6] quirks 37, 39, 40
#[test]
fn no_answer_is_chunked_encoded_redirected_or_has_an_empty_header() {
    let server = server();
    for path in [
        "/linux",
        "//linux",
        "/./linux",
        "/a/../linux",
        "/boot/v1/bootscript?nid=2",
        "/",
        "/boot/v1",
        "/health",
        "/linux/",
    ] {
        let got = curl(
            &["--header", "Accept-Encoding: gzip, deflate", "--header", "TE: chunked"],
            &server.url(path),
        );
        assert!(got.status / 100 != 3, "{path}");
        assert!(got.header("content-length").is_some(), "{path}");
        for name in ["transfer-encoding", "content-encoding", "location", "server"] {
            assert_eq!(got.header(name), None, "{path}");
        }
        assert!(got.headers.iter().all(|(_, value)| !value.is_empty()), "{path}");
        assert!(got.headers.len() <= 7, "{path}: {:?}", got.headers);
    }
    assert_eq!(get(&server.url("//./linux")).body, bytes(1_000_000));
}

#[test]
fn files_and_loaders_arrive_byte_for_byte() {
    let server = server();
    std::fs::create_dir(server.asset("amd64")).unwrap();
    std::fs::write(server.asset("amd64/my initrd#1.img"), bytes(5_000_001)).unwrap();
    let got = get(&server.url("/amd64/my%20initrd%231.img"));
    assert!(got.body == bytes(5_000_001));
    assert_eq!(got.header("content-type"), Some("application/vnd.efi-img"));
    let loader = get(&server.url("/52:54:00:be:00:02/snponly-x86_64.efi"));
    assert_eq!((loader.body.len(), loader.header("content-type")), (300_000, Some("application/efi")));
    let event = server.event("/amd64");
    assert_eq!((event.what, event.status, event.bytes, event.size), ("asset", 200, 5_000_001, 5_000_001));
}

/// [W4]
#[test]
fn ranges_give_exactly_their_bytes() {
    let server = server();
    let (url, all) = (server.url("/linux"), bytes(1_000_000));
    for (range, first, last) in
        [("0-0", 0, 0), ("600000-", 600_000, 999_999), ("-7", 999_993, 999_999), ("5-99999999", 5, 999_999)]
    {
        let got = curl(&["--range", range], &url);
        assert_eq!(got.status, 206, "{range}");
        assert!(got.body == all[first..=last], "{range}");
        assert_eq!(got.header("content-range"), Some(format!("bytes {first}-{last}/1000000").as_str()));
    }
    let outside = curl(&["--range", "1000000-"], &url);
    assert_eq!((outside.status, outside.header("content-range")), (416, Some("bytes */1000000")));

    let multi = curl(&["--range", "0-1,500-502"], &url);
    assert_eq!(multi.status, 206);
    let boundary =
        multi.header("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mut expected = Vec::new();
    for (first, last) in [(0, 1), (500, 502)] {
        let part = format!(
            "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/1000000\r\n\r\n"
        );
        expected.extend_from_slice(part.as_bytes());
        expected.extend_from_slice(&all[first..=last]);
        expected.extend_from_slice(b"\r\n");
    }
    expected.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    assert_eq!(multi.body, expected);
    assert_eq!(multi.header("content-length"), Some(expected.len().to_string().as_str()));
}

/// [W4]
#[test]
fn a_changed_file_is_never_mixed_with_the_old_one() {
    let server = server();
    let url = server.url("/linux");
    let first = get(&url);
    let (tag, date) =
        (first.header("etag").unwrap().to_owned(), first.header("last-modified").unwrap().to_owned());
    let with = |name: &str, value: &str| {
        curl(&["--header", &format!("{name}: {value}"), "--range", "0-9"], &url).status
    };
    assert_eq!((with("If-Range", &tag), with("If-Range", &date)), (206, 206));
    assert_eq!((with("If-None-Match", &tag), with("If-Modified-Since", &date)), (304, 304));
    std::fs::write(server.asset("new"), bytes(1_000_000)).unwrap();
    std::fs::rename(server.asset("new"), server.asset("linux")).unwrap();
    assert_eq!((with("If-Range", &tag), with("If-None-Match", &tag)), (200, 206));
}

/// [W10]
#[test]
fn no_spelling_of_a_path_leaves_the_asset_folder() {
    let server = server();
    std::fs::write(server.outside("secret"), "secret").unwrap();
    for path in [
        "/../secret",
        "/x/../../secret",
        "/%2e%2e/secret",
        "/%2e%2e%2fsecret",
        "/..%2fsecret",
        "/..%5csecret",
        "/..\\secret",
        "/%252e%252e/secret",
        "/..%c0%afsecret",
        "/..%00/secret",
        "/linux%00.efi",
        "/tftp://x/../secret",
        "//../secret",
        "/./../secret",
        "/../../../../../../etc/passwd",
        "//etc/passwd",
        "/etc/passwd",
    ] {
        let got = get(&server.url(path));
        assert!(matches!(got.status, 403 | 404), "{path}: {}", got.status);
        assert!(!got.text().contains("secret") && !got.text().contains("root:"), "{path}");
    }
    let absolute = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        server.outside("secret").display()
    );
    assert!(server.raw(absolute.as_bytes()).starts_with(b"HTTP/1.1 404"));
    let scheme = b"GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(!String::from_utf8_lossy(&server.raw(scheme)).contains("root:"));
    assert_eq!(server.event("/../secret").reason, Some(Reason::BadName));
}

/// [W10]
#[test]
fn a_link_outside_a_fifo_and_a_folder_are_refused_in_words_and_at_once() {
    let server = server();
    std::fs::write(server.outside("secret"), "secret").unwrap();
    symlink(server.outside("secret"), server.asset("escape")).unwrap();
    symlink("linux", server.asset("vmlinuz")).unwrap();
    std::fs::create_dir(server.asset("folder")).unwrap();
    nix::unistd::mkfifo(&server.asset("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(get(&server.url("/vmlinuz")).body.len(), 1_000_000);
    for (path, reason) in [
        ("/escape", Reason::OutsideFolder),
        ("/fifo", Reason::NotAFile),
        ("/folder", Reason::NotAFile),
        ("/folder/", Reason::NotAFile),
    ] {
        let got = get(&server.url(path));
        assert_eq!(got.status, 403, "{path}");
        assert!(got.text().contains(reason.text()), "{path}: {}", got.text());
        assert_eq!(server.event(path).reason, Some(reason));
    }
    let detail = server.event("/escape").detail.unwrap();
    assert!(
        detail.contains(&server.outside("secret").canonicalize().unwrap().display().to_string()),
        "{detail}"
    );
    assert_eq!(get(&server.url("/")).status, 404, "no listing");
}

#[test]
fn what_is_not_on_the_list_is_404_even_if_an_asset_has_the_name() {
    let server = server();
    for path in ["boot/v1/bootparameters", "hsm/v2/x", "cloud-init/x", "apis/x", "page/x"] {
        std::fs::create_dir_all(server.asset(path).parent().unwrap()).unwrap();
        std::fs::write(server.asset(path), "asset").unwrap();
        assert_eq!(get(&server.url(&format!("/{path}"))).status, 404, "{path}");
    }
    std::fs::create_dir_all(server.asset("boot")).unwrap();
    std::fs::write(server.asset("boot/linux"), "asset").unwrap();
    assert_eq!(get(&server.url("/boot/linux")).text(), "asset", "only the names in use are taken");
}

/// [W12]
#[test]
fn a_client_that_goes_away_is_noted_with_the_bytes_it_was_sent() {
    let server = server();
    std::fs::write(server.asset("big"), bytes(64 << 20)).unwrap();
    let mut stream = server.connect();
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 100_000]).unwrap();
    drop(stream);
    let event = server.event("/big");
    assert_eq!((event.status, event.size), (200, 64 << 20));
    assert!((99_000..64 << 20).contains(&event.bytes), "{}", event.bytes);
    let detail = event.detail.unwrap();
    assert_eq!(detail, format!("the client went away after {} of {} bytes", event.bytes, event.size));
}

/// A wrong file that looks whole is worse than none.
#[test]
fn a_file_that_shrinks_while_it_is_sent_breaks_the_transfer_and_is_noted() {
    let server = server();
    std::fs::write(server.asset("big"), bytes(64 << 20)).unwrap();
    let mut stream = server.connect();
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    std::fs::File::options().write(true).open(server.asset("big")).unwrap().set_len(1_000_000).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20);
    let event = server.event("/big");
    assert!(
        event.detail.as_ref().is_some_and(|detail| detail.contains("the file became shorter")),
        "{event:?}"
    );
}

/// Many machines load the same big file at the same time, one of them hardly reads.
#[test]
fn a_slow_reader_delays_nobody() {
    let server = server();
    std::fs::write(server.asset("big"), bytes(16 << 20)).unwrap();
    let mut slow = server.connect();
    slow.write_all(b"GET /big?slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    slow.read_exact(&mut [0; 10]).unwrap();
    let url = server.url("/big");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(get(&url).body == bytes(16 << 20)));
        }
    });
    drop(slow);
    until("the slow reader's end", || server.event("/big?slow").detail.is_some());
}
