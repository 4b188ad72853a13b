//! What look-ups and changes of the records cost among a thousand, a hundred thousand and a million nodes:
//! `cargo bench --bench records [NODES...]`. Promised is that a change does not grow with the number.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark reads files and may fail loudly"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use bootlace::records::{
    BootEntry, BootFile, EntryKey, Mac, Nic, Node, NodeKey, Origin, Selectors, Snapshot, Xname,
};

/// Measured operations of each kind.
const ROUNDS: u32 = 20_000;

fn xname(n: u32) -> Xname {
    format!("x{}c{}s{}b0n{}", 1000 + n / 2048, n / 256 % 8, n / 4 % 64, n % 4).parse().unwrap()
}

fn mac(n: u32) -> Mac {
    let [a, b, c, d] = n.to_be_bytes();
    Mac::new([2, 0, a, b, c, d]).unwrap()
}

fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + n)
}

fn node(n: u32) -> Node {
    Node {
        name: Some(format!("compute{n}")),
        xname: Some(xname(n)),
        nid: Some(n + 1),
        nics: vec![Nic { mac: mac(n), addresses: vec![IpAddr::V4(address(n))] }],
        netboot: true,
        ..Node::default()
    }
}

fn entry(n: u32) -> BootEntry {
    BootEntry {
        name: format!("entry{n}"),
        selectors: Selectors { macs: vec![mac(n)], ..Selectors::default() },
        arch: Vec::new(),
        kernel: BootFile::Asset("linux".to_owned()),
        initrd: None,
        params: "quiet".to_owned(),
        loader: None,
        script: None,
        priority: 0,
        cloud_init: serde_json::Value::Null,
        origin: Origin::default(),
    }
}

/// Processor time of this thread so far, nanoseconds: other work on the machine does not count.
fn busy() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    [usage.user_time(), usage.system_time()].iter().map(|time| time.num_microseconds() as f64 * 1000.0).sum()
}

/// Nanoseconds of one of [`ROUNDS`] calls, spread over all nodes.
fn time(nodes: u32, mut call: impl FnMut(u32)) -> f64 {
    let step = |round: u32| ((u64::from(round) * 2_654_435_761) % u64::from(nodes)) as u32;
    let start = busy();
    for round in 0..ROUNDS {
        call(step(round));
    }
    (busy() - start) / f64::from(ROUNDS)
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096 / 1024 / 1024
}

fn measure(nodes: u32) -> Vec<(&'static str, f64)> {
    let stored = |n| NodeKey::Stored(xname(n));
    let uid = |n: u32| EntryKey::Stored(format!("uid{n}"));
    let (before, start) = (resident_mib(), busy());
    let mut records = Snapshot::default();
    for n in 0..nodes {
        records.put_node(stored(n), node(n));
        records.put_entry(uid(n), entry(n));
    }
    println!(
        "{nodes} nodes and as many boot entries: built in {:.2} s, {} MiB",
        (busy() - start) / 1e9,
        resident_mib() - before
    );
    vec![
        (
            "by_mac",
            time(nodes, |n| {
                black_box(records.by_mac(mac(n)));
            }),
        ),
        (
            "by_ip",
            time(nodes, |n| {
                black_box(records.by_ip(address(n)));
            }),
        ),
        ("best_entry", {
            let asking = |n| records.by_mac(mac(n)).unwrap();
            time(nodes, |n| {
                black_box(records.best_entry(asking(n), None));
            })
        }),
        (
            "clone",
            time(nodes, |_| {
                black_box(records.clone());
            }),
        ),
        // As the API does it: readers hold the snapshot before, so every path to a change is copied.
        ("put_node", {
            let mut records = records.clone();
            time(nodes, |n| {
                let before = records.clone();
                records.put_node(stored(n), node(n));
                black_box(before);
            })
        }),
        // Several changes of one commit: what the first one copied is changed in place.
        ("put_node, in a batch", {
            let mut records = records.clone();
            time(nodes, |n| records.put_node(stored(n), node(n)))
        }),
        ("put_entry", {
            let mut records = records.clone();
            time(nodes, |n| {
                let before = records.clone();
                records.put_entry(uid(n), entry(n));
                black_box(before);
            })
        }),
        ("remove_node", {
            time(nodes, |n| {
                let mut records = records.clone();
                black_box(records.remove_node(&stored(n)));
            })
        }),
    ]
}

fn main() {
    let given: Vec<u32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if given.is_empty() { vec![1_000, 100_000, 1_000_000] } else { given };
    let measured: Vec<_> = sizes.iter().map(|nodes| measure(*nodes)).collect();
    println!(
        "\n{:<22}{}",
        "ns each, at nodes:",
        sizes.iter().map(|n| format!("{n:>12}")).collect::<String>()
    );
    for (at, (what, first)) in measured[0].iter().enumerate() {
        let row: Vec<f64> = measured.iter().map(|column| column[at].1).collect();
        let cells: String = row.iter().map(|nanos| format!("{nanos:>12.0}")).collect();
        println!("{what:<22}{cells}   x{:.1}", row[row.len() - 1] / first);
    }
}
