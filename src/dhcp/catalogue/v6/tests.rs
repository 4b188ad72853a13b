use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::dhcp::catalogue::print::hex;

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

fn text(code: u16, value: &[u8]) -> String {
    let bytes = option(code, value);
    let list = read(&bytes);
    describe(&list.items[0])
}

/// Writes what was read; equal to the bytes read when none was lost.
fn encode(list: &List<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in &list.items {
        let value = match &item.inside {
            Some(inside) => [inside.head, &encode(&inside.options)].concat(),
            None => item.value.to_vec(),
        };
        bytes.extend(option(item.code, &value));
    }
    bytes.extend(list.rest);
    bytes
}

#[test]
fn every_option_stands_once_in_order_with_a_name_of_its_own() {
    for pair in OPTIONS.windows(2) {
        assert!(pair[0].code < pair[1].code, "{} and {}", pair[0].name, pair[1].name);
    }
    let names: std::collections::HashSet<_> = OPTIONS.iter().flat_map(|row| [row.name, row.iana]).collect();
    assert_eq!(names.len(), 2 * OPTIONS.len());
    for option in OPTIONS {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(option.name.chars().all(plain), "{}", option.name);
        assert_eq!(name(option.code), option.name);
        assert!(!option.label.is_empty() && option.source.starts_with("RFC "));
    }
    let missing: Vec<u16> = (1..=148).filter(|code| row(*code).is_none()).collect();
    assert_eq!(missing, [10, 35], "codes that IANA does not assign");
    assert_eq!((name(35), label(35)), ("option-35".to_owned(), "Unknown"));
}

const IP: [u8; 16] = [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

#[test]
fn every_type_has_its_text() {
    let cases: [(u16, &[u8], &str); 50] = [
        (1, b"\0\x01\0\x01\0\0\0\x05\x52\x54\0\0\0\x01", "DUID-LLT 52:54:00:00:00:01 time 5"),
        (1, b"\0\x01\0\x20\0\0\0\x05\x01\x02", "DUID-LLT hardware-type 32 01:02 time 5"),
        (2, b"\0\x02\0\0\x01\x57ab", "DUID-EN 343 6162 (\"ab\")"),
        (2, b"\0\x03\0\x01\x52\x54\0\0\0\x01", "DUID-LL 52:54:00:00:00:01"),
        (2, b"\0\x03\0\x20\x01\x02", "DUID-LL hardware-type 32 01:02"),
        (
            1,
            b"\0\x04\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
            "DUID-UUID 00112233-4455-6677-8899-aabbccddeeff",
        ),
        (6, &[0, 59, 0, 60, 1, 0], "Boot File URL (59), Boot File Parameters (60), Unknown (256)"),
        (7, &[255], "255"),
        (8, &[0, 150], "1.50s"),
        (
            11,
            &[3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0xab],
            "protocol 3 algorithm 1 rdm 0 replay 0x0000000000000001 02ab",
        ),
        (12, &IP, "fd77::1"),
        (13, b"\0\x02no address", "NoAddrsAvail (2) \"no address\""),
        (13, &[0, 0], "Success (0)"),
        (13, &[1, 0], "status (256)"),
        (14, &[], ""),
        (15, b"\0\x04iPXE", "\"iPXE\""),
        (15, b"iPXE", "\"iPXE\""),
        (16, b"\0\0\x01\x57\0\x09PXEClient\0\x01x", "enterprise 343 [\"PXEClient\",\"x\"]"),
        (17, b"\0\0\0\x09\0\x01\0\x02ab\0\x02\0\0", "enterprise 9 [1=6162 (\"ab\"), 2=]"),
        (17, b"\0\0\0\x09\0\x01\0\x02a", "enterprise 9 [[malformed: cut off] 0001000261]"),
        (18, b"eth0", "65746830 (\"eth0\")"),
        (19, &[5], "RENEW"),
        (23, &[IP, IP].concat(), "fd77::1,fd77::1"),
        (24, b"\x07example\0\x01a\x07example\0", "example,a.example"),
        (32, &[0, 1, 0x51, 0x80], "86400"),
        (37, b"\0\0\0\x09port", "enterprise 9 706f7274 (\"port\")"),
        (39, b"\x01\x05node1", "[S] \"node1\""),
        (39, b"\x04\x05node1\x07example\0", "[N] \"node1.example\""),
        (39, b"\0", ""),
        (41, b"EST5", "\"EST5\""),
        (53, b"\0\x03\0\x01\x52\x54\0\0\0\x01", "DUID-LL 52:54:00:00:00:01"),
        (56, &[&[0, 1, 0, 16][..], &IP, &[0, 3, 0, 3, 1, b'a', 0]].concat(), "1=fd77::1, 3=a"),
        (59, b"tftp://[fd77::1]/a", "\"tftp://[fd77::1]/a\""),
        (60, b"\0\x02ab\0\x01c", "\"ab\",\"c\""),
        (61, &[0, 7, 0, 16], "7 (x64-uefi),16 (x64-uefi-http)"),
        (62, &[1, 3, 16], "1.3.16"),
        (64, b"\x04aftr\0", "aftr"),
        (66, &[0, 7, 0, 1, 9], "[Preference (7): 9]"),
        (71, &[&[64][..], &IP].concat(), "fd77::1/64"),
        (74, &[&IP[..], &[1, 1, b'a', 0]].concat(), "fd77::1 preference 1 a"),
        (79, b"\0\x01\x52\x54\0\0\0\x01", "ether 52:54:00:00:00:01"),
        (79, b"\0\x20\x01\x02", "hardware-type 32, 01:02"),
        (88, &[], ""),
        (89, &[0, 8, 24, 10, 0, 0, 0, 16, 0xfd, 0x77], "flags 0x00 ea-bits 8 10.0.0.0/24 fd77::/16"),
        (91, &[16, 0xfd, 0x77], "fd77::/16"),
        (103, b"https://a/", "\"https://a/\""),
        (108, &[1, 2, 3, 4, 5, 6], "01:02:03:04:05:06"),
        (136, b"\0\x09https://a", "https://a"),
        (
            139,
            &[0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 60],
            "ether 02:00:00:00:00:01 and 3 more valid 60",
        ),
        (300, b"\x01\x02", "0102"),
    ];
    for (code, value, expected) in cases {
        assert_eq!(text(code, value), expected, "option {code}");
    }
}

#[test]
fn options_inside_options_are_shown_in_brackets() {
    let address = [&IP[..], &[0, 0, 14, 16, 255, 255, 255, 255], &option(13, b"\0\0ok")].concat();
    let ia = [&[0, 0, 0, 9, 0, 0, 7, 8, 0, 0, 11, 184][..], &option(5, &address)].concat();
    let expected = "iaid 0x00000009 T1 1800 T2 3000 [IA Address (5): fd77::1 preferred 3600 valid infinite \
                    [Status code (13): Success (0) \"ok\"]]";
    assert_eq!(text(3, &ia), expected);
    assert_eq!(text(4, &[0, 0, 0, 9]), "iaid 0x00000009");
    let prefix = [&[0, 0, 0, 1, 0, 0, 0, 2, 56][..], &IP].concat();
    let delegated = [&[0, 0, 0, 9, 0, 0, 7, 8, 0, 0, 11, 184][..], &option(26, &prefix)].concat();
    assert_eq!(
        text(25, &delegated),
        "iaid 0x00000009 T1 1800 T2 3000 [IA Prefix (26): fd77::1/56 preferred 1 valid 2]"
    );
    let solicit = [&[1, 0xab, 0xcd, 0xef][..], &option(14, &[]), &[0, 8, 0]].concat();
    let relay = [&[12, 0][..], &IP, &IP, &option(9, &solicit)].concat();
    assert_eq!(
        text(9, &relay),
        "RELAY-FORW hops 0 link fd77::1 peer fd77::1 [Relay Message (9): SOLICIT xid 0xabcdef [Rapid Commit (14)] \
         [malformed: last option cut off] 000800]"
    );
}

/// A bad length or content is shown with the reason and its bytes.
#[test]
fn a_malformed_value_is_shown_with_its_reason() {
    let cases: [(u16, &[u8], &str); 17] = [
        (1, &[0, 1], "[malformed: needs 3 bytes or more] 0001"),
        (3, &[0, 0, 0, 9], "[malformed: too short for its fields] 00000009"),
        (5, &[1; 23], &format!("[malformed: too short for its fields] {}", hex(&[1; 23]))),
        (6, &[0], "[malformed: needs a multiple of 2 bytes] 00"),
        (8, &[1], "[malformed: needs 2 bytes] 01"),
        (9, &[], "[malformed: too short for its fields]"),
        (9, &[12, 0, 0, 0], "[malformed: too short for its fields] 0c000000"),
        (13, &[0], "[malformed: needs 2 bytes or more] 00"),
        (14, &[1], "[malformed: needs no value] 01"),
        (16, b"\0\0\x01\x57\0\x09PXE", "[malformed: class cut off] 000001570009505845"),
        (23, &[1, 2], "[malformed: needs a multiple of 16 bytes] 0102"),
        (24, &[1, b'a', 0xc0, 0], "[malformed: compressed name, which DHCPv6 forbids] 0161c000"),
        (26, &[&[0; 8][..], &[129], &IP].concat(), "[malformed: prefix longer than 128 bits]"),
        (59, &[], "[malformed: needs 1 byte or more]"),
        (60, &[0, 9, 1], "[malformed: parameter cut off] 000901"),
        (62, &[1, 3], "[malformed: needs 3 bytes] 0103"),
        (91, &[16, 1], "[malformed: needs 2 bytes of prefix] 1001"),
    ];
    for (code, value, expected) in cases {
        let text = text(code, value);
        assert!(text.starts_with(expected), "option {code}: {text}");
        assert!(text.ends_with(&hex(value)), "option {code}: {text}");
    }
}

/// A packet of options inside options ends the walk, not the program; its bytes stay.
#[test]
fn nesting_has_an_end_and_loses_nothing() {
    let mut value = Vec::new();
    for _ in 0..2000 {
        value = option(66, &value);
    }
    let list = read(&value);
    assert_eq!(encode(&list), value);
    assert!(describe(&list.items[0]).contains("[malformed: nested too deep] 0042"));
    assert!(json(&list).to_string().len() < 5 * value.len() + 10_000);
}

/// JSON has the fields of a log entry, and the bytes of whatever it does not take apart.
#[test]
fn json_lists_the_options_with_their_bytes() {
    let ia = [&[0; 12][..], &option(13, b"\0\x02"), &[0, 9]].concat();
    let bytes = [option(61, &[0, 7]), option(3, &ia)].concat();
    assert_eq!(
        json(&read(&bytes)),
        serde_json::json!([
            { "code": 61, "name": "client-architecture", "length": 2, "hex": "0007",
              "value": [{ "code": 7, "name": "x64-uefi" }] },
            { "code": 3, "name": "ia-na", "length": 20, "value": "iaid 0x00000000 T1 0 T2 0",
              "unreadable": "0009",
              "options": [
                { "code": 13, "name": "status-code", "length": 2, "value": "NoAddrsAvail (2)", "hex": "0002" },
              ] },
        ])
    );
}

/// How many bytes of options a JSON list accounts for.
fn accounted(list: &Value) -> usize {
    let size = |item: &Value| {
        let length = usize::try_from(item["length"].as_u64().unwrap()).unwrap();
        match item.get("hex") {
            Some(bytes) => assert_eq!(bytes.as_str().unwrap().len(), 2 * length),
            None => {
                let rest = item["unreadable"].as_str().map_or(0, |rest| rest.len() / 2);
                assert!(accounted(&item["options"]) + rest <= length, "{item}");
            }
        }
        4 + length
    };
    list.as_array().unwrap().iter().map(size).sum()
}

/// Codes and lengths that lead somewhere find more paths than noise.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let leaf = (0..150_u16, prop::collection::vec(prop_oneof![0..20_u8, any::<u8>()], 0..40));
    let options = leaf.prop_map(|(code, value)| option(code, &value)).prop_recursive(4, 24, 4, |inner| {
        let holder = prop_oneof![
            Just((3, 12)),
            Just((4, 4)),
            Just((5, 24)),
            Just((25, 12)),
            Just((26, 25)),
            Just((9, 4)),
            Just((45, 0)),
            Just((66, 0)),
            Just((89, 8)),
            Just((94, 0)),
            Just((139, 12)),
        ];
        (holder, prop::collection::vec(inner, 0..4))
            .prop_map(|((code, head), options)| option(code, &[vec![0; head], options.concat()].concat()))
    });
    (prop::collection::vec(options, 0..6), prop::collection::vec(any::<u8>(), 0..5))
        .prop_map(|(options, rest)| [options.concat(), rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_are_read_without_loss_and_shown_in_printable_characters(
        bytes in prop_oneof![wire(), prop::collection::vec(prop_oneof![Just(0), 0..20_u8, any::<u8>()], 0..300)],
    ) {
        let list = read(&bytes);
        prop_assert_eq!(encode(&list), bytes.clone());
        let text = list.lines().join("\n");
        prop_assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{}", text);
        prop_assert_eq!(accounted(&json(&list)) + list.rest.len(), bytes.len());
    }

    /// Each code with any value: no type of the table panics.
    #[test]
    fn any_value_of_any_option_is_described(
        code in 0..200_u16, value in prop::collection::vec(prop_oneof![0..4_u8, Just(255), any::<u8>()], 0..60),
    ) {
        let text = text(code, &value);
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", text);
    }
}
