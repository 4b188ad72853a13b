//! DHCP and TFTP: the conformance cases R140 to R149. What `discover static` wrote through the API is what
//! leaves on the wire.

use std::cell::RefCell;
use std::net::Ipv4Addr;

use bootlace::lab::sandbox::Place;
use serde_json::{Value, json};

use super::support::{HTTP, LIMIT, Site};
use crate::dhcp::{ACK, Answer, Client, DISCOVER, Message, OFFER, REQUEST};
use crate::net::{Overheard, in_host, loader_like};
use crate::tftp::{Port, ack, read_request};

const SERVER: &str = "172.16.0.254";
const US: [u8; 4] = [172, 16, 0, 254];
const NODE: &str = "52:54:00:be:ef:01";
const LEASED: [u8; 4] = [172, 16, 0, 1];
const BMC: &str = "de:ca:fc:0f:fe:e1";
const STRANGER: &str = "52:54:00:99:99:99";

/// The tutorial's machines.
const NODES: &str = "
bmcs:
- {name: bmc1, xname: x1000c0s0b0, mac: 'de:ca:fc:0f:fe:e1', ip: 172.16.0.101}
- {name: bmc2, xname: x1000c0s0b1, mac: 'de:ca:fc:0f:fe:e2', ip: 172.16.0.102}
nodes:
- name: compute1
  nid: 1
  xname: x1000c0s0b0n0
  bmc: x1000c0s0b0
  groups: [compute]
  interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{name: management, ip_addr: 172.16.0.1}]}]
- name: compute2
  nid: 2
  xname: x1000c0s0b1n0
  bmc: bmc2
  groups: [compute]
  interfaces: [{mac_addr: '52:54:00:be:ef:02', ip_addrs: [{name: management, ip_addr: 172.16.0.2}]}]
";

/// The default first files of the architectures that OpenCHAMI has names for.
const LOADERS: [&str; 5] =
    ["undionly.kpxe", "snponly-i386.efi", "snponly-x86_64.efi", "snponly-arm32.efi", "snponly-arm64.efi"];

/// Fixture F1, made by our own `discover static`, in a mode.
struct Wire {
    heard: RefCell<Overheard>,
    site: Site,
}

impl Wire {
    fn f1() -> Self {
        Self::in_mode("reservation", "{}")
    }

    /// In another mode, with a bootlace.yaml.
    fn in_mode(mode: &str, settings: &str) -> Self {
        let site = Site::prepared(|sandbox| {
            for loader in LOADERS {
                sandbox.write(&format!("firmware/{loader}"), loader_like(loader)).unwrap();
            }
            let settings = sandbox.write("bootlace.yaml", settings).unwrap().display().to_string();
            ["--mode", mode, "--config", &settings].map(str::to_owned).to_vec()
        });
        let mut heard = Overheard::default();
        heard.listen(&site.sandbox, Place::Net, "br0");
        let nodes = site.sandbox.write("nodes.yaml", NODES).unwrap();
        let mut discover = site.sandbox.command(Place::Host("srv"), env!("CARGO_BIN_EXE_bootlace"));
        let output = discover.args(["discover", "static"]).arg(nodes).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self { heard: RefCell::new(heard), site }
    }

    fn node(&self) -> Client {
        Client::open(&self.site.sandbox, "n1", NODE)
    }

    /// A machine beside the node, on `host`, with this card.
    fn beside(&self, host: &str, mac: &str) -> Client {
        let set = ["ip", "link", "set", "eth0", "address", mac];
        self.site.sandbox.run(Place::Host(host), &set).unwrap();
        Client::open(&self.site.sandbox, host, mac)
    }

    fn bmc(&self) -> Client {
        self.site.sandbox.host("bmc", None).unwrap();
        self.beside("bmc", BMC)
    }

    /// Asks as `client` and then as the node, by broadcast: what `client` hears first is the node's offer.
    fn hears_nothing(&self, client: &Client, message: &Message) {
        client.send(message);
        let node = self.node();
        let offer = node.ask(&firmwares(&node, DISCOVER, 7), SERVER).expect("an offer");
        let first = client.receive(LIMIT).expect("the node's offer");
        assert_eq!(first.bytes(), offer.bytes());
    }

    /// The lines of the log that say why this card was left alone.
    fn silences(&self, mac: &str) -> Vec<Value> {
        let silent = |entry: &Value| entry["mac"] == mac && entry["verdict"] == "silence";
        self.site.entries().into_iter().filter(silent).collect()
    }

    /// Stores an entry for whoever has none of its own.
    fn store_default(&self) {
        let default = json!({"hosts": ["Default"], "kernel": "http://172.16.0.254/k"});
        self.site.put("/boot/v1/bootparameters", &default).is(200);
    }

    /// The options as the TFTP server confirms them to `n1`, and the whole file in blocks of `blksize`.
    fn read(&self, name: &str, blksize: u16) -> (String, Vec<u8>) {
        let size = blksize.to_string();
        let request = read_request(name, "octet", &[("tsize", "0"), ("blksize", &size)]);
        in_host("n1", move || {
            let port = Port::open(LEASED.into());
            port.ask(US.into(), &request);
            let (options, transfer) = port.option_ack();
            port.send(transfer, &ack(0));
            (options, port.fetch(blksize, 1))
        })
    }
}

/// Every answer reads in tshark as in our own decoder.
impl Drop for Wire {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.heard.borrow_mut().judge();
        }
    }
}

/// Asserts what every offer to the node has, and the file.
#[track_caller]
fn is_for_the_node(offer: &Answer, file: &str) {
    assert_eq!((offer.kind(), offer.yiaddr(), offer.siaddr()), (OFFER, LEASED, US));
    assert_eq!(offer.option(54), Some(&US[..]));
    let lease = offer.option(51).map(|value| u32::from_be_bytes(value.try_into().unwrap()));
    assert!(lease.is_some_and(|lease| lease > 0), "{lease:?}");
    assert_eq!(offer.option(67), Some(file.as_bytes()));
    assert_eq!(offer.file(), file, "where U-Boot and shim look");
}

/// A message as PXE firmware of this architecture sends it.
fn firmwares(client: &Client, kind: u8, arch: u8) -> Message {
    let class = format!("PXEClient:Arch:{arch:05}:UNDI:003016");
    client.message(kind).option(60, class.as_bytes()).option(93, &[0, arch]).option(94, &[1, 3, 16])
}

fn script(mac: &str) -> String {
    format!("http://{HTTP}/boot/v1/bootscript?mac={mac}")
}

#[test]
fn r140_a_uefi_node_is_offered_its_address_the_loader_and_its_name_if_it_wants_that() {
    let wire = Wire::f1();
    let client = wire.node();
    let name = Some(&b"nid0001"[..]);
    for (list, expected) in [(None, name), (Some(&[1, 12, 67][..]), name), (Some(&[1, 3, 67]), None)] {
        let discover = firmwares(&client, DISCOVER, 7);
        let discover = list.map_or(discover.clone(), |list| discover.option(55, list));
        let offer = client.ask(&discover, SERVER).expect("an offer");
        is_for_the_node(&offer, "snponly-x86_64.efi");
        assert_eq!(offer.option(12), expected, "asked for {list:?}");
    }
}

#[test]
fn r141_bios_is_offered_the_loader_for_bios() {
    let wire = Wire::f1();
    let client = wire.node();
    let offer = client.ask(&firmwares(&client, DISCOVER, 0), SERVER).expect("an offer");
    is_for_the_node(&offer, "undionly.kpxe");
}

#[test]
fn r142_arm64_is_offered_the_loader_for_arm64() {
    let wire = Wire::f1();
    let client = wire.node();
    let offer = client.ask(&firmwares(&client, DISCOVER, 11), SERVER).expect("an offer");
    is_for_the_node(&offer, "snponly-arm64.efi");
}

#[test]
fn r143_ipxe_is_offered_the_url_of_its_script() {
    let wire = Wire::f1();
    let client = wire.node();
    for arch in [0, 7, 11] {
        // As iPXE sends its name, and as RFC 3004 has it.
        for class in [&b"iPXE"[..], b"\x04iPXE"] {
            let discover = firmwares(&client, DISCOVER, arch).option(77, class);
            is_for_the_node(&client.ask(&discover, SERVER).expect("an offer"), &script(NODE));
        }
    }
}

/// [M1]: all values, in every stage.
#[test]
fn r144_the_ack_has_the_same_values_as_the_offer() {
    let wire = Wire::f1();
    let client = wire.node();
    for arch in [7, 0, 11] {
        for class in [None, Some(b"iPXE")] {
            let asks = |kind| {
                let message = firmwares(&client, kind, arch);
                class.map_or(message.clone(), |class| message.option(77, class))
            };
            let offer = client.ask(&asks(DISCOVER), SERVER).expect("an offer");
            let request = asks(REQUEST).option(54, &US).option(50, &offer.yiaddr());
            let answer = client.ask(&request, SERVER).expect("an ACK");
            let mut expected = offer.bytes().to_vec();
            assert_eq!(expected[240..243], [53, 1, OFFER]);
            expected[242] = ACK;
            assert_eq!(answer.bytes(), expected, "architecture {arch}");
        }
    }
}

#[test]
fn r145_a_bmc_is_offered_its_address_and_nothing_to_boot_where_addresses_are_given() {
    for mode in ["reservation", "reservation+proxy"] {
        let wire = Wire::in_mode(mode, "{}");
        let bmc = wire.bmc();
        let offer = bmc.ask(&bmc.message(DISCOVER), SERVER).expect("an offer");
        assert_eq!((offer.kind(), offer.yiaddr()), (OFFER, [172, 16, 0, 101]), "{mode}");
        assert!(offer.option(51).is_some(), "{mode}");
        assert_eq!((offer.option(67), offer.file()), (None, String::new()), "{mode}");
    }
    for mode in ["proxy", "auto-proxy"] {
        let wire = Wire::in_mode(mode, "{}");
        wire.store_default();
        let bmc = wire.bmc();
        wire.hears_nothing(&bmc, &bmc.message(DISCOVER));
        assert_eq!(wire.silences(BMC)[0]["reason"], "bmc-boots-nothing", "{mode}");
    }
}

#[test]
fn r146_a_stranger_gets_no_answer_and_is_logged_once() {
    let wire = Wire::f1();
    wire.store_default();
    let stranger = wire.beside("n77", STRANGER);
    for _ in 0..5 {
        stranger.send(&firmwares(&stranger, DISCOVER, 7));
    }
    wire.hears_nothing(&stranger, &firmwares(&stranger, DISCOVER, 7));
    let silences = wire.silences(STRANGER);
    assert_eq!(silences.len(), 1, "{silences:?}");
    assert_eq!((&silences[0]["reason"], &silences[0]["type"]), (&json!("unknown-mac"), &json!("DISCOVER")));
}

/// Asserts an offer to the stranger: no address, and this file.
#[track_caller]
fn is_a_proxys(offer: &Answer, file: &str) {
    assert_eq!((offer.kind(), offer.yiaddr(), offer.siaddr()), (OFFER, [0; 4], US));
    assert_eq!((offer.option(51), offer.option(67)), (None, Some(file.as_bytes())));
}

#[test]
fn r146_in_auto_proxy_a_stranger_gets_no_address_and_the_script_of_default() {
    let wire = Wire::in_mode("auto-proxy", "{}");
    wire.store_default();
    let stranger = wire.beside("n77", STRANGER);
    let discover = firmwares(&stranger, DISCOVER, 7);
    is_a_proxys(&stranger.ask(&discover, SERVER).expect("an offer"), "snponly-x86_64.efi");
    let offer = stranger.ask(&discover.option(77, b"iPXE"), SERVER).expect("an offer");
    is_a_proxys(&offer, &script(STRANGER));
    let path = script(STRANGER).replace(&format!("http://{HTTP}"), "");
    let script = wire.site.node_get("n77", &path).is(200).text();
    assert!(script.contains("\nkernel --name kernel http://172.16.0.254/k "), "{script}");
}

/// Without an entry for strangers a proxy leaves them to their own disks, unless it shall make them wait.
#[test]
fn r146_in_auto_proxy_without_default_a_stranger_waits_if_that_is_wished() {
    let waits = |wire: &Wire| {
        let path = script(STRANGER).replace(&format!("http://{HTTP}"), "");
        let script = wire.site.node_get("n77", &path).is(200).text();
        assert!(script.contains(STRANGER) && script.contains("nothing to boot"), "{script}");
        assert!(
            script.contains("\nchain --autofree --replace ") && !script.contains("\nkernel "),
            "{script}"
        );
    };
    let wire = Wire::in_mode("auto-proxy", "no_boot_entry: wait\n");
    let stranger = wire.beside("n77", STRANGER);
    let discover = firmwares(&stranger, DISCOVER, 7);
    is_a_proxys(&stranger.ask(&discover, SERVER).expect("an offer"), "snponly-x86_64.efi");
    let offer = stranger.ask(&discover.option(77, b"iPXE"), SERVER).expect("an offer");
    is_a_proxys(&offer, &script(STRANGER));
    waits(&wire);
    drop((wire, stranger));

    let wire = Wire::in_mode("auto-proxy", "{}");
    let of_the_node = json!({"macs": [NODE], "kernel": "http://172.16.0.254/k"});
    wire.site.put("/boot/v1/bootparameters", &of_the_node).is(200);
    let stranger = wire.beside("n77", STRANGER);
    wire.hears_nothing(&stranger, &firmwares(&stranger, DISCOVER, 7));
    assert_eq!(wire.silences(STRANGER)[0]["reason"], "no-boot-entry");
    waits(&wire);
}

#[test]
fn r147_openchamis_names_are_the_loaders_and_tsize_and_blksize_are_confirmed() {
    let wire = Wire::f1();
    let names = ["undionly.kpxe", "ipxe-i386.efi", "ipxe-x86_64.efi", "ipxe-arm32.efi", "ipxe-arm64.efi"];
    for (name, loader) in names.into_iter().zip(LOADERS) {
        let content = std::fs::read(wire.site.sandbox.work().join("firmware").join(loader)).unwrap();
        // 1024 divides the file, 1468 leaves a rest.
        for blksize in [1468, 1024] {
            let (options, read) = wire.read(name, blksize);
            assert_eq!(options, format!("tsize={} blksize={blksize}", content.len()), "{name}");
            assert!(
                read == content,
                "{name} is not {loader}: {:?}",
                String::from_utf8_lossy(&read[0x100..0x120])
            );
        }
    }
}

#[test]
fn r148_config_ipxe_chains_to_the_url_that_dhcp_names() {
    let wire = Wire::f1();
    let client = wire.node();
    let discover = firmwares(&client, DISCOVER, 7).option(77, b"iPXE");
    let offer = client.ask(&discover, SERVER).expect("an offer");
    let url = String::from_utf8(offer.option(67).expect("a URL").to_vec()).unwrap();
    for name in ["config.ipxe", "/config.ipxe"] {
        let (options, read) = wire.read(name, 512);
        assert_eq!(options, format!("tsize={} blksize=512", read.len()));
        let script = String::from_utf8(read).unwrap();
        assert!(script.starts_with(&format!("#!ipxe\necho Booting from {url}")), "{script}");
        // The URL goes on with what only iPXE knows.
        assert!(
            script.contains(&format!("\nchain --autofree --replace {url}&arch=${{buildarch}} ||")),
            "{script}"
        );
    }
}

#[test]
fn r149_a_missing_file_is_error_1() {
    let wire = Wire::f1();
    let asked = ["no-such-file", "ipxe-x86_64.efi/x", "sub/folder/kernel"];
    let answers = in_host("n1", move || {
        asked.map(|name| {
            let port = Port::open(Ipv4Addr::from(LEASED));
            port.ask(US.into(), &read_request(name, "octet", &[("tsize", "0")]));
            port.error()
        })
    });
    for (name, (code, text)) in asked.iter().zip(answers) {
        assert_eq!((code, text.as_str()), (1, "file not found"), "{name}");
    }
    drop(wire);
}
