use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parse(name: &str, value: Value) -> Result<Vec<u8>, String> {
    parse_option(name, &value).map(|option| option.value)
}

#[test]
fn every_option_stands_once_in_order_with_names_of_its_own() {
    for pair in OPTIONS.windows(2) {
        assert!(pair[0].code < pair[1].code, "{} and {}", pair[0].name, pair[1].name);
    }
    for option in OPTIONS {
        assert!((1..=254).contains(&option.code));
        assert_eq!(option.name, normal(option.name), "names are lower case with hyphens");
        assert_eq!(by_name(option.name).unwrap().code, option.code, "{}", option.name);
        assert_eq!(by_name(option.iana).unwrap().code, option.code, "{}", option.iana);
        assert_eq!(row(option.code).unwrap().name, option.name);
        assert!(!option.label.contains(' ') && !option.source.is_empty());
    }
    for code in [0, 84, 96, 102, 254, 255] {
        assert!(row(code).is_none(), "{code}");
    }
}

/// Settings, wire and text of one value per kind: what a user writes is what the log shows.
#[test]
fn a_value_reads_the_same_in_settings_and_in_the_log() {
    let cases: [(&str, Value, &[u8], &str); 24] = [
        ("swap-server", json!("10.0.0.1"), &[10, 0, 0, 1], "10.0.0.1"),
        ("routers", json!("10.0.0.1"), &[10, 0, 0, 1], "10.0.0.1"),
        ("ntp-servers", json!(["10.0.0.1", "10.0.0.2"]), &[10, 0, 0, 1, 10, 0, 0, 2], "10.0.0.1,10.0.0.2"),
        ("static-routes", json!("10.1.0.0:10.0.0.1"), &[10, 1, 0, 0, 10, 0, 0, 1], "10.1.0.0:10.0.0.1"),
        ("default-ip-ttl", json!(64), &[64], "64"),
        ("interface-mtu", json!(9000), &[0x23, 0x28], "9000"),
        ("interface-mtu", json!("9000"), &[0x23, 0x28], "9000"),
        ("path-mtu-plateau-table", json!([68, 1500]), &[0, 68, 5, 220], "68,1500"),
        ("arp-cache-timeout", json!(4_294_967_295_u32), &[255; 4], "4294967295"),
        ("time-offset", json!(-3600), &[255, 255, 241, 240], "-3600"),
        ("ip-forwarding", json!(true), &[1], "Y"),
        ("ip-forwarding", json!(false), &[0], "N"),
        ("host-name", json!("compute1"), b"compute1", "\"compute1\""),
        ("vendor-class-identifier", json!("HTTPClient"), b"HTTPClient", "\"HTTPClient\""),
        ("domain-search", json!(["a.example", "b"]), b"\x01a\x07example\0\x01b\0", "a.example,b"),
        (
            "classless-static-routes",
            json!(["10.17.0.0/16 via 10.0.0.1", "default via 10.0.0.2"]),
            &[16, 10, 17, 10, 0, 0, 1, 0, 10, 0, 0, 2],
            "10.17.0.0/16 via 10.0.0.1,default via 10.0.0.2",
        ),
        (
            "249",
            json!("10.0.0.0/25 via 10.0.0.1"),
            &[25, 10, 0, 0, 0, 10, 0, 0, 1],
            "10.0.0.0/25 via 10.0.0.1",
        ),
        ("sztp-redirect", json!("https://a/b"), b"\x00\x0bhttps://a/b", "https://a/b"),
        ("sip-servers", json!(["10.0.0.1"]), &[1, 10, 0, 0, 1], "10.0.0.1"),
        ("sip-servers", json!("sip.example"), b"\x00\x03sip\x07example\0", "sip.example"),
        ("vendor-encapsulated-options", json!("5A1N;K4"), b"5A1N;K4", "\"5A1N;K4\""),
        ("43", json!({ "hex": "f1:04:0a:00:00:01" }), &[241, 4, 10, 0, 0, 1], "241=10.0.0.1"),
        ("224", json!({ "u16": 258 }), &[1, 2], "0102"),
        ("pxe-128", json!({ "ip": "10.0.0.1" }), &[10, 0, 0, 1], "0a000001"),
    ];
    for (name, value, wire, text) in cases {
        let option = parse_option(name, &value).unwrap();
        assert_eq!(option.value, wire, "{name} {value}");
        assert_eq!(describe(option.code, &option.value), text, "{name} {value}");
    }
}

#[test]
fn an_error_says_what_is_wrong_and_what_would_be_right() {
    let cases = [
        ("rooters", json!("10.0.0.1"), "option 'rooters' does not exist; did you mean 'routers' (3)?"),
        (
            "Bootfile Nam",
            json!("x"),
            "option 'Bootfile Nam' does not exist; did you mean 'boot-file-name' (67)?",
        ),
        (
            "zzz",
            json!(1),
            "option 'zzz' does not exist; needs a name such as domain-name-servers or a code from 1 to 254",
        ),
        ("256", json!(1), "option 256 does not exist; needs a code from 1 to 254"),
        ("0", json!(1), "option 0 cannot be set: it is padding; needs a code from 1 to 254"),
        (
            "interface-mtu",
            json!(70000),
            "option interface-mtu (26): 70000 is out of range; needs a whole number from 0 to 65535",
        ),
        (
            "NTP Servers",
            json!(["10.0.0.1", "time.example"]),
            "option ntp-servers (42): [\"10.0.0.1\",\"time.example\"] has \"time.example\", which is no IPv4 address; \
             needs an IPv4 address or a list of them such as [10.0.0.1, 10.0.0.2]",
        ),
        ("host-name", json!(12), "option host-name (12): 12 is no text; needs text in quotes"),
        (
            "121",
            json!("10.0.0.1/8 via 10.0.0.1"),
            "option classless-static-routes (121): \"10.0.0.1/8 via 10.0.0.1\" has bits behind the prefix (the network \
             is 10.0.0.0/8); needs routes such as \"10.1.0.0/16 via 10.0.0.1\" or \"default via 10.0.0.1\", or a list",
        ),
        (
            "224",
            json!("10.0.0.1"),
            "option 224: \"10.0.0.1\" does not say its type; needs a value with its type, such as {hex: \"01ff\"}, \
             {text: \"abc\"}, {ip: 10.0.0.1}, {u8: 1}, {u16: 1} or {u32: 1}",
        ),
        (
            "boot-file-name",
            json!({ "hex": "abc" }),
            "option boot-file-name (67): the hex value has an odd number of hexadecimal digits; needs text in quotes",
        ),
        (
            "server-identifier",
            json!("10.0.0.1"),
            "option server-identifier (54) cannot be set: it is the address of the interface that the request came in on",
        ),
    ];
    for (name, value, expected) in cases {
        assert_eq!(parse(name, value).unwrap_err(), expected);
    }
}

#[test]
fn options_that_bootlace_sets_itself_are_refused() {
    for code in [0, 13, 50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 77, 82, 93, 97, 255] {
        let error = parse(&code.to_string(), json!({ "hex": "01" })).unwrap_err();
        assert!(error.contains("cannot be set: "), "{error}");
    }
}

/// [P4]: most PXE ROMs cannot join an option that was split.
#[test]
fn a_value_of_more_than_255_bytes_is_refused() {
    assert_eq!(parse("boot-file-name", json!("x".repeat(255))).unwrap().len(), 255);
    let error = parse("boot-file-name", json!("x".repeat(256))).unwrap_err();
    assert!(error.contains("256 bytes long; needs at most 255 bytes"), "{error}");
}

/// [P7]: a ROM that wants the NUL gets it through the exact form, and the log shows it.
#[test]
fn exact_bytes_override_every_type_and_stay_visible() {
    assert_eq!(parse("boot-file-name", json!({ "hex": "61 00" })).unwrap(), b"a\0");
    assert_eq!(describe(67, b"a\0"), "\"a\\x00\"");
    assert!(parse("host-name", json!("a\0")).unwrap_err().contains("control characters"));
}

#[test]
fn what_clients_send_is_decoded() {
    let cases: [(u8, &[u8], &str); 27] = [
        (53, &[1], "Discover"),
        (53, &[99], "type 99"),
        (52, &[3], "file,sname"),
        (55, &[1, 3, 175, 254], "Subnet-Mask (1), Default-Gateway (3), iPXE (175), Unknown (254)"),
        (93, &[0, 0, 0, 7], "0 (x86-bios),7 (x64-uefi)"),
        (93, &[255, 255], "65535 (arch-65535)"),
        (94, &[1, 3, 16], "1.3.16"),
        (61, &[1, 0x52, 0x54, 0, 0, 0, 1], "ether 52:54:00:00:00:01"),
        (61, b"\x00node1", "\"node1\""),
        (
            61,
            b"\xff\x01\x02\x03\x04\x00\x03\x00\x01\x52\x54\x00\x00\x00\x01",
            "iaid 0x01020304 DUID-LL 52:54:00:00:00:01",
        ),
        (61, &[32, 1, 2], "hardware-type 32, 01:02"),
        (77, b"iPXE", "\"iPXE\""),
        (77, b"\x04iPXE", "\"iPXE\""),
        (81, b"\x00\x00\x00host1", "\"host1\""),
        (81, b"\x05\xff\xff\x05host1\x07example\x00", "[ES] 255/255 \"host1.example\""),
        (81, b"\x04\x00\x00\x05host1", "[E] \"host1\""),
        (97, &[0; 17], "00000000-0000-0000-0000-000000000000 (identifies nothing)"),
        (119, b"\x07example\x00\x01a\xc0\x00", "example,a.example"),
        (120, b"\x01\x0a\x00\x00\x01", "10.0.0.1"),
        (124, b"\x00\x00\xa6\x7f\x05\x04onie", "enterprise 42623 [\"onie\"]"),
        (125, b"\x00\x00\xa6\x7f\x05\x01\x03a:b", "enterprise 42623 [1=613a62 (\"a:b\")]"),
        (78, &[1, 10, 0, 0, 1], "mandatory 10.0.0.1"),
        (79, b"\x00lab", "\"lab\""),
        (80, &[], ""),
        (150, &[10, 0, 0, 1, 10, 0, 0, 2], "10.0.0.1,10.0.0.2"),
        (208, &[0xf1, 0, 0x74, 0x7e], "f100747e"),
        (254, b"hello", "68656c6c6f (\"hello\")"),
    ];
    for (code, value, text) in cases {
        assert_eq!(describe(code, value), text, "option {code}");
    }
}

/// [P6]: what cannot be read is shown, with the reason.
#[test]
fn a_malformed_value_is_shown_with_its_reason() {
    let cases: [(u8, &[u8], &str); 13] = [
        (1, &[1, 2, 3], "[malformed: needs 4 bytes] 010203"),
        (3, &[], "[malformed: needs a multiple of 4 bytes]"),
        (6, &[1, 2, 3, 4, 5], "[malformed: needs a multiple of 4 bytes] 0102030405"),
        (12, &[], "[malformed: needs 1 byte or more]"),
        (19, &[2], "[malformed: needs 0 or 1] 02"),
        (53, &[], "[malformed: needs 1 byte]"),
        (93, &[0], "[malformed: needs a multiple of 2 bytes] 00"),
        (94, &[1, 2], "[malformed: needs 3 bytes] 0102"),
        (97, &[1, 2], "[malformed: needs type 0 and 16 bytes] 0102"),
        (119, &[5, b'a'], "[malformed: label longer than the option] 0561"),
        (119, &[0xc0, 0], "[malformed: pointer that does not point backwards] c000"),
        (121, &[33, 1, 2, 3, 4, 5], "[malformed: prefix longer than 32 bits] 210102030405"),
        (121, &[8, 10, 10, 0, 0], "[malformed: route cut off] 080a0a0000"),
    ];
    for (code, value, text) in cases {
        assert_eq!(describe(code, value), text, "option {code}");
    }
}

/// Two bytes may stand for 255 characters: a small packet must not make a huge line.
#[test]
fn compressed_names_cannot_blow_up_a_line() {
    let mut value = [[63; 1].as_slice(), &[b'a'; 63]].concat().repeat(3);
    value.push(0);
    value.extend([0xc0, 0].repeat(500));
    assert!(describe(119, &value).len() < 20_000);
    assert!(describe(119, &value).starts_with("[malformed: more than 64 names]"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn describe_is_total_and_prints_nothing_but_printable_characters(
        code: u8, value in prop::collection::vec(any::<u8>(), 0..300), class in prop::option::of(
            prop_oneof![Just(&b"PXEClient"[..]), Just(&b"ciscopnp"[..])]),
    ) {
        let text = describe_in(code, &value, class);
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
        json_value(code, &value, class);
    }

    /// Text that looks almost right finds more paths than noise.
    #[test]
    fn sub_options_of_any_shape_are_described(
        code in prop_oneof![Just(43_u8), Just(82), Just(119), Just(121), Just(124), Just(125), Just(143), Just(175)],
        value in prop::collection::vec(
            prop_oneof![0..16_u8, Just(0xc0), Just(255), Just(71), Just(177), Just(b'a')], 0..60),
    ) {
        let text = describe_in(code, &value, Some(b"PXEClient"));
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
    }

    #[test]
    fn any_setting_is_taken_or_refused_with_a_sentence(
        name in "[a-z0-9 -]{0,12}|[0-9]{1,3}", text in ".{0,300}", number: i64,
    ) {
        for value in [json!(text), json!(number), json!([text, number]), json!({ "hex": text }), json!(null)] {
            match parse_option(&name, &value) {
                Ok(option) => prop_assert!(option.value.len() <= MAX_VALUE),
                Err(error) => prop_assert!(!error.chars().any(char::is_control), "{error}"),
            }
        }
    }

    /// Every number and address that a type can hold comes back out of its text.
    #[test]
    fn numbers_addresses_and_routes_survive_settings_wire_and_text(
        a: u32, b: u32, prefix in 0..=32_u8, small: u8, middle: u16, signed: i32,
    ) {
        use std::net::Ipv4Addr;
        let (a, b) = (Ipv4Addr::from(a), Ipv4Addr::from(b));
        let network = ipnet::Ipv4Net::new(a, prefix).unwrap().trunc();
        let route =
            if prefix == 0 { format!("default via {b}") } else { format!("{network} via {b}") };
        let cases = [
            ("1", json!(a.to_string()), a.to_string()),
            ("21", json!(format!("{a}:{b}")), format!("{a}:{b}")),
            ("23", json!(small), small.to_string()),
            ("26", json!(middle), middle.to_string()),
            ("2", json!(signed), signed.to_string()),
            ("121", json!(route), route.clone()),
        ];
        for (code, value, text) in cases {
            let option = parse_option(code, &value).unwrap();
            prop_assert_eq!(describe(option.code, &option.value), text);
        }
    }
}

/// docs/options.md is the catalogue as a page; `BLESS=1` writes it anew.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test reads the page from disk")]
fn the_page_of_options_is_the_catalogue() {
    use std::fmt::Write as _;
    let mut page = String::from(
        "# DHCP options\n\n\
         What `options:` in nodes.yaml and bootlace.yaml can state, and what the log decodes. An option is named by \
         the name here, by IANA's name or by its code. `{hex: \"01ff\"}` gives the exact bytes of any option, a NUL \
         included. A value has at most 255 bytes, because PXE clients cannot join a longer one. Codes that are not \
         listed take a value with its type: `{hex: …}`, `{text: …}`, `{ip: …}`, `{u8: …}`, `{u16: …}`, `{u32: …}`.\n\n\
         This page is made from the catalogue in `src/dhcp/catalogue/`; `BLESS=1 cargo test options` writes it.\n\n\
         | code | name | IANA name | value | in the log | defined in |\n|---|---|---|---|---|---|\n",
    );
    for option in OPTIONS {
        let value = option
            .refused
            .map_or_else(|| option.kind.wanted().to_owned(), |why| format!("not settable: {why}"));
        writeln!(
            page,
            "| {} | `{}` | {} | {} | {} | {} |",
            option.code, option.name, option.iana, value, option.label, option.source
        )
        .unwrap();
    }
    page.push_str(
        "\n## DHCPv6\n\n\
         What the log decodes: text and JSON list every option of a DHCPv6 message in wire order, options inside options \
         included. bootlace sets what it sends by itself (`dhcpv6:`), so none is settable here.\n\n\
         | code | name | IANA name | in the log | defined in |\n|---|---|---|---|---|\n",
    );
    for option in v6::OPTIONS {
        let v6::OptionRow { code, name, iana, label, source, .. } = option;
        writeln!(page, "| {code} | `{name}` | {iana} | {label} | {source} |").unwrap();
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap();
    for (number, (want, have)) in page.lines().zip(found.lines()).enumerate() {
        assert_eq!(have, want, "docs/options.md line {}; BLESS=1 writes it anew", number + 1);
    }
    assert_eq!(found.lines().count(), page.lines().count(), "docs/options.md; BLESS=1 writes it anew");
}
