//! Properties that hold of every packet and file: the bodies of the fuzz targets (`fuzz/bodies.rs`) over captures of
//! real clients, crafted seeds, and mutations of both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and reads its files"
)]

#[path = "../../fuzz/bodies.rs"]
mod bodies;
mod decision;
#[path = "../support/pcap.rs"]
mod pcap;
mod seeds;

use proptest::prelude::*;
use proptest::sample::Index;

/// One change to a packet.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
    /// An option at the front, where it is read before the packet's own.
    Option(u8, Vec<u8>),
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 0..20_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        any::<Index>().prop_map(Change::Cut),
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..255))
            .prop_map(|(code, value)| Change::Option(code, value)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        match change {
            _ if bytes.is_empty() => {}
            Change::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Remove(at, length) => {
                let at = at.index(bytes.len());
                let end = (at + length).min(bytes.len());
                bytes.drain(at..end);
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Change::Option(code, value) => {
                if bytes.len() >= 240 {
                    let option = [*code, value.len() as u8].into_iter().chain(value.iter().copied());
                    bytes.splice(240..240, option);
                }
            }
        }
    }
    bytes
}

type Body = fn(&[u8]);

/// Each target with its seeds.
fn targets() -> Vec<(&'static str, Body, Vec<Vec<u8>>)> {
    let decide = seeds::dhcp4().into_iter().flat_map(|packet| {
        // Both ports and the first modes.
        [0, 1, 2, 3, 0x80, 0x81].map(|choice| [&[choice][..], &packet].concat())
    });
    vec![
        ("dhcp4", bodies::dhcp4, seeds::dhcp4()),
        ("dhcp6", bodies::dhcp6, seeds::dhcp6()),
        ("tftp", bodies::tftp, seeds::tftp()),
        ("decide", bodies::decide, decide.collect()),
        ("option_text", bodies::option_text, seeds::option_text()),
        ("yaml", bodies::yaml, seeds::yaml()),
    ]
}

#[test]
fn every_target_survives_its_seeds() {
    for (name, body, seeds) in targets() {
        assert!(seeds.len() > 5, "{name}: only {} seeds", seeds.len());
        for seed in seeds {
            body(&seed);
        }
    }
}

/// [P6]: what real clients send, damaged in a few places, for each target.
#[test]
fn every_target_survives_damaged_seeds() {
    for (name, body, seeds) in targets() {
        let config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
        let damage = (any::<Index>(), proptest::collection::vec(change(), 1..6));
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let survived = runner.run(&damage, |(which, changes)| {
            body(&changed(which.get(&seeds).clone(), &changes));
            Ok(())
        });
        survived.unwrap_or_else(|found| panic!("{name}: {found}"));
    }
}

/// Writes the seeds where cargo-fuzz looks for them: `SEEDS=1 cargo test --test properties`.
#[test]
fn seeds_are_written_for_cargo_fuzz_when_asked_for() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let asked = std::env::var_os("SEEDS").is_some();
    for (name, _, seeds) in targets() {
        assert!(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("fuzz/fuzz_targets/{name}.rs"))
                .exists(),
            "a body without its target: {name}"
        );
        if asked {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            for (number, seed) in seeds.iter().enumerate() {
                std::fs::write(folder.join(name).join(format!("seed-{number:04}")), seed).unwrap();
            }
        }
    }
}
