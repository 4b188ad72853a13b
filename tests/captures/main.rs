//! The text of real clients' packets: reviewed goldens, and agreement with tshark and tcpdump.
//!
//! The captures and what happens in them: `tests/captures/README.md`. Each has its text beside it (`.txt`);
//! `BLESS=1 cargo test --test captures` writes the texts anew, to be read before they are committed.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test reads its files and stops at a fault"
)]

mod decisions;
mod decisions_v6;
#[path = "../support/pcap.rs"]
mod pcap;
mod tftp;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use bootlace::dhcp::catalogue::print::{colons, hex};
use bootlace::dhcp::catalogue::v6 as options_v6;
use bootlace::dhcp::catalogue::{OPTIONS, name};
use bootlace::dhcp::{Packet, v6};
use pcap::Datagram;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

fn captures() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "pcap"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 10, "captures in {}", folder().display());
    files
}

fn is_dhcp(datagram: &Datagram) -> bool {
    [datagram.source.port(), datagram.destination.port()].iter().any(|port| matches!(port, 67 | 68 | 4011))
}

fn is_dhcpv6(datagram: &Datagram) -> bool {
    matches!((datagram.source.port(), datagram.destination.port()), (546, 547) | (547, 546))
}

/// The text of a capture: per packet its frame number, time and addresses, then its lines.
fn text_of(file: &Path) -> String {
    let mut text = String::new();
    // A transfer leaves port 69 at once: a client's socket that sent a request is a TFTP socket from then on.
    let mut tftp_clients: HashSet<SocketAddr> = HashSet::new();
    for datagram in pcap::datagrams(file) {
        if datagram.destination.port() == 69 {
            tftp_clients.insert(datagram.source);
        }
        let lines = if is_dhcp(&datagram) {
            dhcp_lines(&datagram)
        } else if is_dhcpv6(&datagram) {
            let message = v6::Message::parse(&datagram.payload).unwrap();
            let details = message.details().into_iter().map(|line| format!("  {line}"));
            [message.summary()].into_iter().chain(details).collect()
        } else if tftp_clients.contains(&datagram.source) || tftp_clients.contains(&datagram.destination) {
            vec![tftp::describe(&datagram.payload, datagram.length)]
        } else {
            continue;
        };
        let seconds = datagram.time.as_secs_f64();
        let way = format!("{} > {}", datagram.source, datagram.destination);
        let frame = format!("{} > {}", colons(&datagram.source_mac), colons(&datagram.destination_mac));
        writeln!(text, "#{} {seconds:.6} {way} ({frame})", datagram.number).unwrap();
        for line in lines {
            writeln!(text, "    {line}").unwrap();
        }
    }
    text
}

fn dhcp_lines(datagram: &Datagram) -> Vec<String> {
    let packet = Packet::parse(&datagram.payload).unwrap();
    assert_eq!(packet.options.warnings, [], "#{}", datagram.number);
    packet.shown(|packet| {
        let details = packet.details().into_iter().map(|line| format!("  {line}"));
        [packet.summary(), packet.brief()].into_iter().chain(details).collect()
    })
}

/// Compares with the golden file beside a capture, or writes it (`BLESS=1`); the first difference.
fn compare(golden: &Path, text: &str) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(golden, text).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(golden)
        .unwrap_or_else(|error| panic!("{}: {error} (BLESS=1 writes it)", golden.display()));
    first_difference(&expected, text).map(|difference| format!("{}: {difference}", golden.display()))
}

#[test]
fn the_packets_of_real_clients_read_as_reviewed() {
    let mut wrong = Vec::new();
    for file in captures() {
        let text = text_of(&file);
        assert!(!text.contains("malformed"), "{}: real clients send nothing malformed", file.display());
        wrong.extend(compare(&file.with_extension("txt"), &text));
    }
    assert!(
        wrong.is_empty(),
        "\n{}\nBLESS=1 cargo test --test captures writes the new text",
        wrong.join("\n")
    );
}

/// The first line that differs, with the packet it belongs to.
fn first_difference(expected: &str, found: &str) -> Option<String> {
    let mut packet = "";
    let (mut left, mut right) = (expected.lines(), found.lines());
    for line in 1.. {
        let (want, have) = (left.next(), right.next());
        if want != have {
            let end = "(end of text)";
            return Some(format!(
                "line {line}, packet {packet}\n  - {}\n  + {}",
                want.unwrap_or(end),
                have.unwrap_or(end)
            ));
        }
        let Some(text) = want else { break };
        if text.starts_with('#') {
            packet = text;
        }
    }
    None
}

/// Runs a tool of the machine; its absence is a failure, not a skip.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error} (Debian package '{program}')"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// tshark reads the same options, in the same order, and the same fields.
#[test]
fn tshark_agrees_on_options_type_xid_addresses_and_file() {
    const FIELDS: [&str; 7] = [
        "frame.number",
        "dhcp.option.type",
        "dhcp.option.dhcp",
        "dhcp.id",
        "dhcp.ip.your",
        "dhcp.ip.server",
        "dhcp.file",
    ];
    for file in captures() {
        let path = file.to_str().unwrap();
        let mut arguments = vec!["-r", path, "-Y", "dhcp", "-T", "fields"];
        arguments.extend(FIELDS.iter().flat_map(|field| ["-e", field]));
        let theirs: Vec<Vec<String>> = run("tshark", &arguments)
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect();
        let ours: Vec<Vec<String>> =
            pcap::datagrams(&file).iter().filter(|datagram| is_dhcp(datagram)).map(tshark_fields).collect();
        assert_eq!(ours.len(), theirs.len(), "{path}: DHCP packets");
        for (our, their) in ours.iter().zip(&theirs) {
            for (field, (our, their)) in FIELDS.iter().zip(our.iter().zip(their)) {
                // End and padding are no options of ours.
                let their: Vec<&str> = their
                    .split(',')
                    .filter(|code| *field != "dhcp.option.type" || !matches!(*code, "0" | "255"))
                    .collect();
                assert_eq!(our, &their.join(","), "{path} frame {}: {field}", their[0]);
            }
        }
    }
}

fn tshark_fields(datagram: &Datagram) -> Vec<String> {
    let packet = Packet::parse(&datagram.payload).unwrap();
    let json = packet.shown(|packet| packet.json());
    let text = |key: &str, without: &str| json[key].as_str().unwrap_or(without).to_owned();
    let codes: Vec<String> = packet.options.iter().map(|(code, _)| code.to_string()).collect();
    vec![
        datagram.number.to_string(),
        codes.join(","),
        packet.options.get(53).map(|value| value[0].to_string()).unwrap_or_default(),
        text("xid", ""),
        text("yiaddr", "0.0.0.0"),
        text("siaddr", "0.0.0.0"),
        text("file", ""),
    ]
}

/// tshark reads the same DHCPv6 message types, transaction ids, DUIDs and addresses, and the same options in the same
/// order with the same lengths, options inside options included.
#[test]
fn tshark_agrees_on_dhcpv6() {
    const FIELDS: [&str; 7] = [
        "frame.number",
        "dhcpv6.msgtype",
        "dhcpv6.xid",
        "dhcpv6.duid.bytes",
        "dhcpv6.iaaddr.ip",
        "dhcpv6.option.type",
        "dhcpv6.option.length",
    ];
    let file = folder().join("uefi-pxe-ipv6.pcap");
    let mut arguments = vec!["-r", file.to_str().unwrap(), "-Y", "dhcpv6", "-T", "fields"];
    arguments.extend(FIELDS.iter().flat_map(|field| ["-e", field]));
    let theirs = run("tshark", &arguments);
    let mut ours = String::new();
    for datagram in pcap::datagrams(&file).iter().filter(|datagram| is_dhcpv6(datagram)) {
        let message = v6::Message::parse(&datagram.payload).unwrap();
        let duids: Vec<String> =
            [message.client_duid, message.server_duid].into_iter().flatten().map(hex).collect();
        let addresses: Vec<String> = message.addresses.iter().map(ToString::to_string).collect();
        let options = options_v6::read_message(&datagram.payload);
        let fields = [
            datagram.number.to_string(),
            message.kind.to_string(),
            format!("0x{:06x}", message.xid),
            duids.join(","),
            addresses.join(","),
            of_each(&options, &|item| item.code.to_string()).join(","),
            of_each(&options, &|item| item.value.len().to_string()).join(","),
        ];
        writeln!(ours, "{}", fields.join("\t")).unwrap();
    }
    assert_eq!(ours, theirs);
}

/// One text of each option, of one that holds others before them.
fn of_each(list: &options_v6::List<'_>, text: &dyn Fn(&options_v6::Item<'_>) -> String) -> Vec<String> {
    let inside = |item: &options_v6::Item<'_>| {
        item.inside.as_ref().map(|inside| of_each(&inside.options, text)).unwrap_or_default()
    };
    list.items.iter().flat_map(|item| [vec![text(item)], inside(item)].concat()).collect()
}

/// The labels of DHCPv6 options are tshark's, and it knows none that the catalogue lacks.
#[test]
fn tshark_calls_the_dhcpv6_options_the_same() {
    // Codes of drafts about Mobile IPv6 that IANA never assigned.
    const DRAFTS: [u16; 3] = [165, 166, 167];
    let mut compared = 0;
    for line in run("tshark", &["-G", "values"]).lines() {
        let ["V", "dhcpv6.option.type", code, label] = line.split('\t').collect::<Vec<_>>()[..] else {
            continue;
        };
        let code: u16 = code.parse().unwrap();
        if !DRAFTS.contains(&code) {
            assert_eq!(options_v6::label(code), label, "option {code}");
            compared += 1;
        }
    }
    assert!(compared >= 130, "{compared} options compared");
}

/// tcpdump prints the same summary, fields and options; what it does not decode, or not right, is compared by
/// label and length alone.
#[test]
fn tcpdump_agrees_line_by_line() {
    // tcpdump shows 43 and 97 as dotted numbers, breaks 55 over lines, and takes iPXE's raw 77 for an error [I7].
    const OURS_SAYS_MORE: [&str; 5] =
        ["Vendor-Option (43)", "Parameter-Request (55)", "User-Class (77)", "ARCH (93)", "GUID (97)"];
    let mut compared = 0;
    for file in captures() {
        let path = file.to_str().unwrap();
        // It knows port 4011 not at all.
        let output = run("tcpdump", &["-vvv", "-n", "-r", path, "udp port 67 or udp port 68"]);
        // A terminating NUL is `^@` there and `\x00` here [P7].
        let output = output.replace("^@", "\\x00");
        let mut theirs = output.lines().map(str::trim).filter(|line| {
            line.contains("BOOTP/DHCP")
                || line.starts_with(|first: char| first.is_ascii_alphabetic())
                    && !line.starts_with("Vendor-rfc1048")
                    && !line.starts_with("Magic Cookie")
                    && !line.starts_with("END (")
                    && !line.starts_with("PAD (")
                    && !is_continuation(line)
        });
        let datagrams = pcap::datagrams(&file);
        let bootp = datagrams.iter().filter(|datagram| {
            [datagram.source.port(), datagram.destination.port()].iter().any(|port| matches!(port, 67 | 68))
        });
        for datagram in bootp {
            let ours = dhcp_lines(datagram);
            let first = theirs.next().unwrap_or_default();
            let (_, first) = first.split_once("] ").unwrap_or_default();
            assert!(ours[0].starts_with(first) && !first.is_empty(), "\n{}\n{first}", ours[0]);
            for our in ours[2..].iter().map(|line| line.trim()) {
                let their = theirs.next().unwrap_or_default();
                let until_value =
                    |line: &str| line.split(": ").next().unwrap_or_default().trim_end_matches(':').to_owned();
                if their.starts_with("Unknown (") {
                    let number =
                        |line: &str| until_value(line).split_once(' ').map(|(_, tail)| tail.to_owned());
                    assert_eq!(number(our), number(their), "{path} #{}", datagram.number);
                } else if OURS_SAYS_MORE.iter().any(|label| our.starts_with(label)) {
                    assert_eq!(until_value(our), until_value(their), "{path} #{}", datagram.number);
                } else {
                    assert_eq!(our, their, "{path} #{}", datagram.number);
                    compared += 1;
                }
            }
        }
        assert_eq!(theirs.next(), None, "{path}: tcpdump prints more");
    }
    assert!(compared > 300, "only {compared} lines compared in full");
}

/// Lines that tcpdump puts under an option: the list of 55, the items of 77.
fn is_continuation(line: &str) -> bool {
    line.starts_with("instance#") || line.contains("), ") && !line.contains("), length") || is_lone_code(line)
}

/// The last line of a parameter list may hold a single name: `RP (17)`.
fn is_lone_code(line: &str) -> bool {
    line.ends_with(')') && !line.contains("length") && line.split(' ').count() == 2
}

/// Labels of options are tcpdump's words wherever it has one that is still right.
#[test]
fn labels_are_the_words_of_tcpdump() {
    // Its words for these are of drafts that never became RFCs.
    const OUTDATED: [u8; 4] = [80, 83, 88, 89];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.pcap");
    std::fs::write(&file, parameter_list_of_everything()).unwrap();
    let output = run("tcpdump", &["-vvv", "-n", "-r", file.to_str().unwrap()]);
    let mut known = 0;
    for option in OPTIONS.iter().filter(|option| !OUTDATED.contains(&option.code)) {
        let end = format!(" ({})", option.code);
        let mut labels = output.split([',', '\n']).filter_map(|word| word.trim().strip_suffix(&end));
        let label =
            labels.next_back().unwrap_or_else(|| panic!("tcpdump does not print {}", name(option.code)));
        if label != "Unknown" {
            assert_eq!(option.label, label, "option {}", option.code);
            known += 1;
        }
    }
    assert!(known > 90, "tcpdump names only {known} options");
}

/// A capture of one DISCOVER whose option 55 asks for every option.
fn parameter_list_of_everything() -> Vec<u8> {
    let codes: Vec<u8> = OPTIONS.iter().map(|option| option.code).collect();
    let mut dhcp = vec![0; 236];
    dhcp[..3].copy_from_slice(&[1, 1, 6]);
    dhcp.extend([99, 130, 83, 99, 53, 1, 1, 55, u8::try_from(codes.len()).unwrap()]);
    dhcp.extend(codes);
    dhcp.push(255);
    let udp_length = u16::try_from(dhcp.len() + 8).unwrap();
    let mut frame = vec![0xff; 6];
    frame.extend([0x52, 0x54, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0]);
    frame.extend((udp_length + 20).to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
    frame.extend([0, 68, 0, 67]);
    frame.extend(udp_length.to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(dhcp);
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1];
    let mut file: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    file.extend([0; 8]);
    file.extend(length);
    file.extend(length);
    file.extend(frame);
    file
}
