//! Boot scripts and per-node files.

use bootlace::policy::Reason;
use bootlace::records::Node;

use crate::support::{Server, curl, entry, get, node};

const MAC_2: &str = "52:54:00:be:00:02";

fn server() -> Server {
    let off = Node { netboot: false, ..node(3) };
    Server::start(vec![node(2), off, node(4)], vec![entry("debian", 2), entry("debian", 3)])
}

#[test]
fn a_node_gets_its_script_with_urls_at_the_host_it_used() {
    let server = server();
    let base = format!("http://{}", server.address);
    for prefix in [
        "/boot/v1/bootscript",
        "/apis/bss/boot/v1/bootscript",
        "/boot/v1/bootscript/",
        "//boot/./v1//bootscript",
    ] {
        let got = get(&format!("{base}{prefix}?mac={MAC_2}&retry=4"));
        assert_eq!(
            (got.status, got.header("content-type")),
            (200, Some("text/plain; charset=UTF-8")),
            "{prefix}"
        );
        // The way in that worked once: a gateway in between may know no other.
        let again = if prefix.starts_with("/apis") { prefix } else { "/boot/v1/bootscript" };
        let lines: Vec<&str> = got.text().lines().filter(|line| !line.starts_with("echo")).collect();
        assert_eq!(
            lines,
            [
                "#!ipxe".to_owned(),
                format!(
                    "kernel --name kernel {base}/linux initrd=initrd ro xname=x1000c0s0b2n0 nid=2 BOOTIF=01-52-54-00-be-00-02 || goto boot_retry"
                ),
                format!("initrd --name initrd {base}/initrd.gz || goto boot_retry"),
                "boot || goto boot_retry".to_owned(),
                ":boot_retry".to_owned(),
                "sleep 30".to_owned(),
                format!("chain {base}{again}?mac={MAC_2}&retry=5"),
                String::new(),
            ]
        );
    }
    let event = server.event("/boot/v1/bootscript");
    assert_eq!((event.status, event.what, event.node.as_deref()), (200, "script", Some("compute2")));
    assert_eq!(event.detail.as_deref(), Some("entry debian by nid"));
    assert_eq!(event.bytes, event.size);
    assert!(event.agent.unwrap().starts_with("curl/"));
}

/// A `Host` that is none goes into no script.
#[test]
fn only_a_plain_host_header_goes_into_the_script() {
    let server = server();
    let url = server.url(&format!("/boot/v1/bootscript?mac={MAC_2}"));
    let own = format!("chain http://{}/boot/v1/", server.address);
    for (host, expected) in [
        ("boot.example.org:80", "chain http://boot.example.org:80/boot/v1/"),
        ("evil/x?", own.as_str()),
        ("${net0/mac}", own.as_str()),
        ("a b", own.as_str()),
        ("a:99999", own.as_str()),
    ] {
        let got = curl(&["--header", &format!("Host: {host}")], &url);
        assert!(got.text().contains(expected), "{host}: {}", got.text());
    }
    let old = server.raw(format!("GET /boot/v1/bootscript?mac={MAC_2} HTTP/1.0\r\n\r\n").as_bytes());
    assert!(String::from_utf8_lossy(&old).contains(&own), "HTTP/1.0 without Host");
}

#[test]
fn a_request_without_identity_is_told_what_it_needs() {
    let server = server();
    for query in ["", "?mac=", "?nid=two", "?arch=x86_64"] {
        let got = get(&server.url(&format!("/boot/v1/bootscript{query}")));
        assert_eq!(
            (got.status, got.header("content-type")),
            (400, Some("application/problem+json")),
            "{query}"
        );
        let problem: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(problem["detail"], "Need a mac=, name=, or nid= parameter");
        assert_eq!(problem["status"], 400);
    }
    assert_eq!(
        get(&server.url("/boot/v1/bootscript?name=a%0Ab")).status,
        400,
        "a newline never enters a script"
    );
}

#[test]
fn nodes_that_are_not_booted_get_a_script_that_says_why() {
    let server = server();
    for (query, reason, said, ends) in [
        (
            "mac=52:54:00:00:00:99",
            Reason::UnknownMac,
            "MAC 52:54:00:00:00:99 is in no node record",
            " || goto again\n",
        ),
        (
            "mac=garbage",
            Reason::UnknownMac,
            "'garbage' is no MAC address",
            "?mac=garbage&retry=1 || goto again\n",
        ),
        (
            "name=nobody",
            Reason::UnknownMac,
            "no node is named 'nobody'",
            "?name=nobody&retry=1 || goto again\n",
        ),
        ("nid=77", Reason::UnknownMac, "no node has the number 77", "?nid=77&retry=1 || goto again\n"),
        ("nid=4", Reason::NoBootEntry, "compute4 has nothing to boot", " || goto again\n"),
        (
            "name=compute3",
            Reason::NetbootOff,
            "compute3 is not booted: its record says netboot: false",
            "exit 1\n",
        ),
    ] {
        let path = format!("/boot/v1/bootscript?{query}");
        let got = get(&server.url(&path));
        assert_eq!(got.status, 200, "{query}");
        assert!(got.text().starts_with("#!ipxe\n") && got.text().contains(said), "{}", got.text());
        assert!(got.text().ends_with(ends), "{}", got.text());
        assert_eq!(server.event(&path).reason, Some(reason));
    }
}

#[test]
fn the_json_form_is_that_of_the_reference() {
    let server = server();
    let got = get(&server.url("/boot/v1/bootscript?nid=2&json=1"));
    assert_eq!(got.header("content-type"), Some("application/json; charset=UTF-8"));
    let base = format!("http://{}", server.address);
    let expected = serde_json::json!({
        "params": "kernel initrd=initrd ro xname=x1000c0s0b2n0 nid=2",
        "kernel": {"path": format!("{base}/linux")},
        "initrd": {"path": format!("{base}/initrd.gz")},
    });
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&got.body).unwrap(), expected);
    assert_eq!(get(&server.url("/boot/v1/bootscript?nid=4&json=1")).status, 404);
}

/// [A1] [A2]
#[test]
fn autoexec_goes_to_its_node_only_and_nobody_waits_for_a_no() {
    let server = server();
    for path in ["/autoexec.ipxe", "/efi/boot/autoexec.ipxe", "/config.ipxe"] {
        let got = curl(&["--interface", "127.0.0.2"], &server.url(path));
        assert_eq!(
            (got.status, got.header("content-type")),
            (200, Some("text/plain; charset=utf-8")),
            "{path}"
        );
        let url =
            format!("chain --autofree --replace {}?mac={MAC_2}&arch=", server.url("/boot/v1/bootscript"));
        assert!(got.text().contains(&url), "{}", got.text());
        assert_eq!(get(&server.url(path)).status, 404, "127.0.0.1 is nobody");
        assert_eq!(
            curl(&["--interface", "127.0.0.4"], &server.url(path)).status,
            404,
            "no boot entry in proxy"
        );
    }
    let other = curl(&["--interface", "127.0.0.2"], &server.url("/52:54:00:be:00:04/autoexec.ipxe"));
    assert_eq!(other.status, 403);
    assert!(other.text().contains("not-your-file"), "{}", other.text());
    let event = server.event("/autoexec.ipxe");
    assert_eq!((event.what, event.node.as_deref()), ("generated", Some("compute2")));
}

#[test]
fn a_node_that_shall_not_netboot_is_refused_files_in_words() {
    let server = server();
    std::fs::write(server.asset("linux"), "k").unwrap();
    for path in ["/linux", "/snponly-x86_64.efi", "/autoexec.ipxe"] {
        let got = curl(&["--interface", "127.0.0.3"], &server.url(path));
        assert_eq!(got.status, 403, "{path}");
        assert!(got.text().contains("the record says netboot: false"), "{}", got.text());
    }
    assert_eq!(server.event("/linux").reason, Some(Reason::NetbootOff));
    assert_eq!(get(&server.url("/linux")).status, 200, "an engineer gets it");
}

/// [W9]
#[test]
fn a_claim_that_contradicts_the_wire_is_served_and_flagged() {
    let server = server();
    server.peers.learn([127, 0, 0, 9].into(), "52:54:00:be:00:04".parse().unwrap());
    let path = format!("/boot/v1/bootscript?mac={MAC_2}&flag");
    let got = curl(&["--interface", "127.0.0.9"], &server.url(&path));
    assert!(got.status == 200 && got.text().contains("kernel --name kernel"));
    let detail = server.event(&path).detail.unwrap();
    assert!(
        detail.ends_with(&format!("asked for {MAC_2} from the address of compute4 (52:54:00:be:00:04)")),
        "{detail}"
    );
    let own = "/boot/v1/bootscript?mac=52-54-00-be-00-04&own";
    curl(&["--interface", "127.0.0.9"], &server.url(own));
    assert_eq!(server.event(own).detail, None);
}

#[test]
fn a_template_of_the_users_is_used_and_its_failure_is_no_500() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("default.ipxe");
    std::fs::write(&template, "#!ipxe\necho {{ node.extra.rack }} {{ kernel }}\n").unwrap();
    server.change(|world| {
        world.settings.templates = Some(folder.path().to_owned());
        world.templates = bootlace::boot::template::Templates::load(Some(folder.path())).unwrap().into();
        let mut node = node(2);
        node.extra = serde_json::json!({"rack": "r7"});
        world.records = bootlace::records::Snapshot::new(
            vec![node, crate::support::node(4)],
            vec![entry("debian", 2), entry("debian", 4)],
        );
    });
    let url = server.url("/boot/v1/bootscript");
    let base = format!("http://{}", server.address);
    assert_eq!(get(&format!("{url}?nid=2")).text(), format!("#!ipxe\necho r7 {base}/linux\n"));
    let failed = get(&format!("{url}?nid=4"));
    assert_eq!(failed.status, 200);
    assert!(
        failed.text().contains("echo bootlace: script template default.ipxe, line 2: "),
        "{}",
        failed.text()
    );
    assert!(failed.text().ends_with("goto again\n"), "it asks again: {}", failed.text());
    let notice = server.notice("template-failed");
    assert!(notice.text.contains("compute4") && notice.text.contains("line 2"), "{}", notice.text);
}

#[test]
fn every_one_of_ten_thousand_nodes_gets_its_own_script() {
    let nodes = (0..10_000).map(node).collect();
    let mut all = entry("all", 0);
    all.selectors.default = true;
    let server = Server::start(nodes, vec![all]);
    for n in [0_u16, 1, 4_711, 9_999] {
        let got = get(&server.url(&format!("/boot/v1/bootscript?name=compute{n}")));
        assert!(got.text().contains(&format!(" nid={n} ")), "{}", got.text());
    }
}
