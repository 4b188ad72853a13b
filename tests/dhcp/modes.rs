//! Modes and state rules on the wire: who is answered, who is told why not, and what is bound for it.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use bootlace::lab::appliance::Journal;
use bootlace::lab::sandbox::Place;
use serde_json::Value;

use crate::client::{ACK, Client, DISCOVER, OFFER, REQUEST};
use crate::vlan::{KNOWN, LIMIT, SERVER, STRANGER, Vlan, in_host};

const DECLINE: u8 = 4;
const RELEASE: u8 = 7;
const INFORM: u8 = 8;
const US: [u8; 4] = [10, 77, 0, 1];
const LEASED: [u8; 4] = [10, 77, 0, 11];
/// Long enough for an answer that must not come to be seen.
const QUIET: Duration = Duration::from_millis(300);

/// Two nodes: one with an address, one without.
const TWO_NODES: &str = "
nodes:
- name: compute1
  xname: x1000c0s0b0n0
  interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{ip_addr: 10.77.0.11}]}]
- name: compute2
  xname: x1000c0s0b1n0
  interfaces: [{mac_addr: '52:54:00:be:ef:02', ip_addrs: []}]
";

/// Listening sockets of the server, one a line.
fn sockets(vlan: &Vlan) -> String {
    let all = vlan.sandbox.run(Place::Host("srv"), &["ss", "-H", "-l", "-n", "-t", "-u"]).unwrap();
    // The API is for programs on the same machine; nothing of it is on the VLAN.
    all.lines().filter(|line| !line.contains("127.0.0.1:8082")).map(|line| format!("{line}\n")).collect()
}

/// With a bootlace.yaml beside the flags.
fn with_settings(vlan: Vlan, mode: &str, settings: &str) -> Vlan {
    let path = vlan.sandbox.write("bootlace.yaml", settings).unwrap();
    vlan.serve(mode, &["--config", path.to_str().unwrap()], &[])
}

fn reason(entry: &Value) -> &str {
    entry["reason"].as_str().unwrap_or_default()
}

/// Nothing is bound, nothing leaves, and the log says what would have.
#[test]
fn observe_binds_nothing_sends_nothing_and_says_what_it_would_send() {
    let vlan = Vlan::start("observe", &[]);
    assert_eq!(sockets(&vlan), "", "no port is open: neither DHCP nor TFTP nor HTTP");
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send(&client.message(DISCOVER).uefi());
    let seen = vlan.entry("what would be sent", |entry| entry["verdict"] == "would-answer");
    assert_eq!(seen["reply"]["file"], "snponly-x86_64.efi");
    assert_eq!((seen["reply"]["type"].as_str(), seen["node"].as_str()), (Some("OFFER"), Some("compute1")));
    assert!(client.receive(QUIET).is_none());
}

/// The command is `serve --mode observe`, and judges by the mode of the settings.
#[test]
fn the_command_observe_tells_the_answers_of_the_settings_own_mode() {
    let vlan = Vlan::lay();
    let work = vlan.sandbox.work().to_owned();
    let settings =
        "mode: reservation\ninterfaces: [eth0]\nnodes: nodes.yaml\nboot: boot.yaml\nfirmware: firmware\n";
    let path = vlan.sandbox.write("bootlace.yaml", settings).unwrap();
    let mut command = vlan.sandbox.command(Place::Host("srv"), env!("CARGO_BIN_EXE_bootlace"));
    command.args(["observe", "--log-format", "json", "--config", path.to_str().unwrap()]).current_dir(work);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = vlan.sandbox.start("bootlace observe", &mut command).unwrap();
    let journal = Journal::follow(process.child().stderr.take().unwrap(), None).unwrap();
    let ready = journal.wait_for("ready", LIMIT, |entry| entry["event"] == "ready").unwrap();
    assert_eq!(ready["mode"], "observe");
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send(&client.message(DISCOVER));
    let seen = journal.wait_for("the DISCOVER", LIMIT, |entry| entry["verdict"] == "would-answer").unwrap();
    assert_eq!(seen["reply"]["yiaddr"], "10.77.0.11");
    assert!(client.receive(QUIET).is_none());
    process.stop();
}

/// Port 67 stays free for the daemon that owns it, 4011 is answered. [X2]
#[test]
fn mode_4011_only_leaves_port_67_alone_and_answers_on_4011() {
    let vlan = Vlan::start("4011-only", &[]);
    let _daemon = vlan.hold_port("srv", 67);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send(&client.message(DISCOVER).uefi());
    let seen = vlan.entry("the DISCOVER", |entry| entry["type"] == "DISCOVER");
    assert_eq!(reason(&seen), "only-4011");
    assert!(client.receive(QUIET).is_none());
    vlan.sandbox.run(Place::Host("lc0"), &["ip", "addr", "add", "10.77.0.150/24", "dev", "eth0"]).unwrap();
    let ack = client.ask_4011(&client.message(REQUEST).uefi().ciaddr([10, 77, 0, 150]), US).expect("an ACK");
    assert_eq!((ack.kind(), ack.file()), (ACK, "snponly-x86_64.efi".to_owned()));
}

/// DHCP and HTTP agree: in auto-proxy a client in no record gets the `Default` entry.
#[test]
fn auto_proxy_boots_a_stranger_by_every_door() {
    let vlan = Vlan::start("auto-proxy", &[]);
    vlan.set_mac("lc0", STRANGER);
    let client = Client::open(&vlan.sandbox, "lc0", STRANGER);
    let offer = client.ask(&client.message(DISCOVER).uefi(), SERVER).expect("an offer");
    assert_eq!(
        (offer.kind(), offer.yiaddr(), offer.file()),
        (OFFER, [0; 4], "snponly-x86_64.efi".to_owned())
    );
    let script = in_host("srv", || {
        let mut stream = std::net::TcpStream::connect((SERVER, 8081)).unwrap();
        let path = format!("/boot/v1/bootscript?mac={STRANGER}&arch=x86_64");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {SERVER}:8081\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(script.contains("kernel --name kernel http://10.77.0.1/linux"), "{script}");
}

#[test]
fn reservation_and_proxy_live_on_one_interface_node_by_node() {
    let vlan = Vlan::lay();
    vlan.sandbox.write("nodes.yaml", TWO_NODES).unwrap();
    let vlan = vlan.serve("reservation+proxy", &[], &[]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    let lease = client.ask(&client.message(DISCOVER).uefi(), SERVER).expect("an offer");
    assert_eq!((lease.yiaddr(), lease.option(60)), (LEASED, None));
    vlan.sandbox.host("lc1", None).unwrap();
    vlan.set_mac("lc1", "52:54:00:be:ef:02");
    let other = Client::open(&vlan.sandbox, "lc1", "52:54:00:be:ef:02");
    let offer = other.ask(&other.message(DISCOVER).uefi(), SERVER).expect("a proxy offer");
    assert_eq!((offer.yiaddr(), offer.option(60)), ([0; 4], Some(&b"PXEClient"[..])));
}

/// DECLINE is an error for people to settle, and the address is withheld.
#[test]
fn after_a_decline_the_node_is_left_without_offer_and_the_log_says_why_as_an_error() {
    let vlan = Vlan::start("reservation", &[]);
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    let decline = client.message(DECLINE).option(54, &US).option(50, &LEASED);
    client.send(&decline.option(56, b"in use by 02:00:00:00:00:09"));
    let noted = vlan.entry("the DECLINE", |entry| entry["type"] == "DECLINE");
    assert_eq!((reason(&noted), noted["level"].as_str()), ("declined", Some("error")));
    assert!(noted["because"].to_string().contains("in use by 02:00:00:00:00:09"), "{noted}");
    client.send(&client.message(DISCOVER));
    let silent = vlan.entry("the DISCOVER", |entry| entry["type"] == "DISCOVER");
    assert_eq!(reason(&silent), "address-withheld");
    assert!(client.receive(QUIET).is_none());
}

#[test]
fn with_on_decline_insist_the_address_is_offered_again() {
    let vlan = with_settings(Vlan::lay(), "reservation", "on_decline: insist\n");
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send(&client.message(DECLINE).option(54, &US).option(50, &LEASED));
    vlan.entry("the DECLINE", |entry| entry["reason"] == "declined");
    let offer = client.ask(&client.message(DISCOVER), SERVER).expect("an offer");
    assert_eq!(offer.yiaddr(), LEASED);
}

/// RFC 2131 sections 4.3.4 and 4.3.5.
#[test]
fn a_release_is_noted_and_an_inform_gets_options_but_no_address() {
    let vlan = Vlan::start("reservation", &[]);
    vlan.sandbox.run(Place::Host("lc0"), &["ip", "addr", "add", "10.77.0.11/24", "dev", "eth0"]).unwrap();
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    let inform = client.message(INFORM).ciaddr(LEASED).option(55, &[1, 12, 51]);
    let ack = client.ask(&inform, SERVER).expect("an ACK");
    assert_eq!((ack.kind(), ack.yiaddr()), (ACK, [0; 4]));
    assert_eq!((ack.option(12), ack.option(51)), (Some(&b"compute1"[..]), None));
    client.send(&client.message(RELEASE).ciaddr(LEASED).option(54, &US));
    let released = vlan.entry("the RELEASE", |entry| entry["type"] == "RELEASE");
    assert_eq!(reason(&released), "released");
}

/// Quirk 30: the slow client waits, nobody else does.
#[test]
fn a_delayed_answer_does_not_hold_up_the_next_client() {
    let vlan = Vlan::lay();
    vlan.sandbox.write("nodes.yaml", TWO_NODES).unwrap();
    let settings = "classes: [{match: {vendor_class: PXEClient}, reply_delay: 2s}]\n";
    let vlan = with_settings(vlan, "reservation+proxy", settings);
    vlan.sandbox.host("lc1", None).unwrap();
    vlan.set_mac("lc1", "52:54:00:be:ef:02");
    let slow = Client::open(&vlan.sandbox, "lc1", "52:54:00:be:ef:02");
    let quick = Client::open(&vlan.sandbox, "lc0", KNOWN);
    slow.send(&slow.message(DISCOVER).uefi());
    assert_eq!(quick.ask(&quick.message(DISCOVER), SERVER).expect("an offer").yiaddr(), LEASED);
    assert_eq!(slow.receive(LIMIT).expect("a late offer").kind(), OFFER);
    vlan.entry("the late answer", |entry| entry["verdict"] == "answer" && entry["node"] == "compute2");
    let answered: Vec<Value> =
        vlan.entries().into_iter().filter(|entry| entry["verdict"] == "answer").collect();
    let order: Vec<&str> = answered.iter().filter_map(|entry| entry["node"].as_str()).collect();
    assert_eq!(order, ["compute1", "compute2"], "asked in the other order");
}

/// [X6]: a menu reads in tshark as what it is, and its item is served on 4011.
#[test]
fn a_pxe_menu_is_offered_and_its_item_is_served() {
    let settings = "
option_43: menu
menu:
  prompt: Press F8
  timeout: 5
  items:
  - {text: iPXE, loader: undionly.kpxe, type: 32768}
  - {text: Disk, local: true}
";
    let vlan = with_settings(Vlan::lay(), "proxy", settings);
    let capture = vlan.capture();
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    let offer = client.ask(&client.message(DISCOVER).bios(), SERVER).expect("an offer");
    assert_eq!(&offer.option(43).expect("a menu")[..3], &[6, 1, 7]);
    vlan.sandbox.run(Place::Host("lc0"), &["ip", "addr", "add", "10.77.0.150/24", "dev", "eth0"]).unwrap();
    let item = [71, 4, 0x80, 0, 0, 0, 255];
    let request = client.message(REQUEST).bios().option(43, &item).ciaddr([10, 77, 0, 150]);
    let ack = client.ask_4011(&request, US).expect("an ACK");
    assert_eq!((ack.file(), ack.option(43)), ("undionly.kpxe".to_owned(), Some(&item[..])));
    let file = capture.finish(LIMIT, 2);
    let read = |fields: &[&str]| {
        let usual = ["tshark", "-r", file.to_str().unwrap(), "-Y"];
        vlan.sandbox.run(Place::Net, &[&usual[..], fields].concat()).unwrap()
    };
    let complaints = "dhcp.type == 2 && (_ws.malformed || _ws.expert.severity >= 0x600000)";
    assert_eq!(read(&[complaints]), "");
}

/// RFC 951 and RFC 1534: a client that knows neither DHCP nor the cookie gets its address by the header alone.
#[test]
fn a_bootp_client_without_the_cookie_gets_its_address_and_no_options() {
    let vlan = with_settings(Vlan::lay(), "reservation", "bootp: true\n");
    let client = Client::open(&vlan.sandbox, "lc0", KNOWN);
    client.send_bytes(&client.old_bootp());
    let answer = client.receive(LIMIT).expect("a BOOTREPLY");
    assert_eq!((answer.yiaddr(), answer.bytes().len()), (LEASED, 300));
    assert!(answer.bytes()[236..].iter().all(|byte| *byte == 0), "{answer:?}");
    let noted = vlan.entry("the request", |entry| entry["type"] == "BOOTP");
    assert_eq!((noted["node"].as_str(), noted["reply"]["type"].as_str()), (Some("compute1"), Some("BOOTP")));
}
