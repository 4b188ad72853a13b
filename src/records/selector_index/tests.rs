//! The index against the rules as they are written.

use proptest::prelude::*;

use super::super::{BootFile, Key, Nic, Origin, Snapshot};
use super::*;

/// The rules as they are written, entry by entry: what the index must agree with.
fn resolve_in_a_line(
    records: &Snapshot,
    node: &Node,
    cpu: Option<Cpu>,
) -> Option<(SelectorKind, Arc<BootEntry>)> {
    let cpu = node.cpu().or(cpu);
    let entries = records.entries().filter(|entry| match cpu {
        Some(cpu) => entry.arch.is_empty() || entry.arch.contains(&cpu),
        None => true,
    });
    let found = entries.filter_map(|entry| Some((best_selector(entry, node)?, entry)));
    let best = found.min_by(|(a_by, a), (b_by, b)| {
        a_by.cmp(b_by).then(b.priority.cmp(&a.priority)).then_with(|| a.name.cmp(&b.name))
    });
    best.map(|(by, entry)| (by, Arc::clone(entry)))
}

/// The best kind of selector by which `entry` names `node`.
fn best_selector(entry: &BootEntry, node: &Node) -> Option<SelectorKind> {
    let s = &entry.selectors;
    if node.nics.iter().any(|nic| s.macs.contains(&nic.mac)) {
        return Some(SelectorKind::Mac);
    }
    if node.nid.is_some_and(|nid| s.nids.contains(&nid)) {
        return Some(SelectorKind::Nid);
    }
    let matches = |xname: &Xname| {
        let begins = |prefix: &String| xname.as_str().starts_with(prefix.as_str());
        s.xnames.contains(xname) || s.patterns.iter().any(begins)
    };
    if node.xname.as_ref().is_some_and(matches)
        || node.name.as_ref().is_some_and(|name| s.names.contains(name))
    {
        return Some(SelectorKind::Host);
    }
    if node.groups.iter().any(|group| s.groups.contains(group)) {
        return Some(SelectorKind::Group);
    }
    if node.profile.is_some() && node.profile == s.profile {
        return Some(SelectorKind::Profile);
    }
    if s.roles.iter().any(|role| role.eq_ignore_ascii_case(node.role_or_default())) {
        return Some(SelectorKind::Role);
    }
    s.default.then_some(SelectorKind::Default)
}

fn mac(last: u8) -> Mac {
    Mac::new([2, 0, 0, 0, 0, last]).unwrap()
}

fn xname(n: u8) -> Xname {
    format!("x1000c0s{}b0n{}", n / 2, n % 2).parse().unwrap()
}

const PATTERNS: [&str; 4] = ["x", "x1000c0s", "x1000c0s0b0n", "x1000c0s1b0n"];

fn entry() -> impl Strategy<Value = BootEntry> {
    // One selector may be stated twice.
    let few = || proptest::collection::vec(0u8..4, 0..3);
    (few(), few(), few(), few(), few(), few(), few(), 0u8..8, -1i64..2, 0u8..3).prop_map(
        |(macs, nids, names, xnames, patterns, groups, roles, bits, priority, name)| BootEntry {
            name: format!("e{name}"),
            selectors: Selectors {
                macs: macs.into_iter().map(mac).collect(),
                nids: nids.into_iter().map(u32::from).collect(),
                names: names.into_iter().map(|n| format!("n{n}")).collect(),
                xnames: xnames.into_iter().map(xname).collect(),
                patterns: patterns.into_iter().map(|n| PATTERNS[usize::from(n)].to_owned()).collect(),
                groups: groups.into_iter().map(|n| format!("g{n}")).collect(),
                roles: roles
                    .into_iter()
                    .map(|n| if n == 0 { "Compute".into() } else { format!("R{n}") })
                    .collect(),
                profile: (bits & 1 > 0).then(|| "p".to_owned()),
                default: bits & 2 > 0,
            },
            arch: if bits & 4 > 0 { vec![Cpu::X86_64] } else { vec![] },
            kernel: BootFile::Local,
            initrd: None,
            params: String::new(),
            loader: None,
            script: None,
            priority,
            cloud_init: serde_json::Value::Null,
            origin: Origin::default(),
        },
    )
}

fn node() -> impl Strategy<Value = Node> {
    let few = || proptest::collection::vec(0u8..4, 0..3);
    (few(), 0u32..6, 0u8..6, 0u8..6, few(), 0u8..3, any::<bool>()).prop_map(
        |(macs, nid, name, location, groups, role, profile)| Node {
            name: Some(format!("n{name}")),
            xname: (location < 5).then(|| xname(location)),
            nid: Some(nid),
            nics: macs.into_iter().map(|m| Nic { mac: mac(m), addresses: vec![] }).collect(),
            groups: groups.into_iter().map(|n| format!("g{n}")).collect(),
            role: (role > 0).then(|| format!("r{role}")),
            profile: profile.then(|| "p".to_owned()),
            ..Node::default()
        },
    )
}

/// One change of the entries.
#[derive(Clone, Debug)]
enum Change {
    Put(EntryKey, Box<BootEntry>),
    /// The same entry with one selector more, and one less.
    Grow(EntryKey, u8),
    Remove(EntryKey),
}

fn change() -> impl Strategy<Value = Change> {
    let key =
        || prop_oneof![(0u32..4).prop_map(Key::File), (0u8..4).prop_map(|n| Key::Stored(n.to_string()))];
    prop_oneof![
        3 => (key(), entry()).prop_map(|(key, entry)| Change::Put(key, Box::new(entry))),
        1 => (key(), 0u8..4).prop_map(|(key, n)| Change::Grow(key, n)),
        1 => key().prop_map(Change::Remove),
    ]
}

fn check(records: &Snapshot, node: &Node, cpu: Option<Cpu>) -> Result<(), TestCaseError> {
    let found = records.best_entry(node, cpu);
    let expected = resolve_in_a_line(records, node, cpu);
    prop_assert_eq!(found.is_some(), expected.is_some());
    let (Some(found), Some((by, expected))) = (found, expected) else { return Ok(()) };
    prop_assert!(Arc::ptr_eq(&found.entry, &expected));
    prop_assert!(Arc::ptr_eq(records.entry(&found.key).unwrap(), &expected));
    prop_assert_eq!(found.by, by);
    for rival in found.rivals {
        prop_assert_ne!(&rival.key, &found.key);
        let rival = records.entry(&rival.key).unwrap();
        prop_assert_eq!(rival.priority, expected.priority);
        prop_assert_eq!(best_selector(rival, node), Some(by));
    }
    Ok(())
}

fn cpu() -> impl Strategy<Value = Option<Cpu>> {
    proptest::option::of(prop_oneof![Just(Cpu::X86_64), Just(Cpu::Arm64)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn the_index_finds_what_the_rules_find(
        entries in proptest::collection::vec(entry(), 0..8), node in node(), cpu in cpu(),
    ) {
        check(&Snapshot::new(vec![], entries), &node, cpu)?;
    }

    #[test]
    fn after_any_changes_the_index_finds_what_the_rules_find(
        changes in proptest::collection::vec(change(), 0..16),
        nodes in proptest::collection::vec(node(), 1..4),
        cpu in cpu(),
    ) {
        let mut records = Snapshot::default();
        for change in changes {
            let before = records.clone();
            match change {
                Change::Put(key, entry) => records.put_entry(key, *entry),
                Change::Grow(key, n) => {
                    let Some(mut entry) = records.entry(&key).map(|entry| BootEntry::clone(entry)) else {
                        continue;
                    };
                    entry.selectors.nids.pop();
                    entry.selectors.macs.push(mac(n));
                    records.put_entry(key, entry);
                }
                Change::Remove(key) => {
                    let was = records.entry(&key).is_some();
                    prop_assert_eq!(records.remove_entry(&key), was);
                }
            }
            for node in &nodes {
                check(&records, node, cpu)?;
                check(&before, node, cpu)?;
            }
        }
    }

    #[test]
    fn removing_all_entries_leaves_nothing_behind(
        entries in proptest::collection::vec(entry(), 0..8), node in node(),
    ) {
        let mut index = SelectorIndex::default();
        let count = entries.len() as u32;
        for (place, entry) in (0..).zip(entries) {
            index.put(Key::File(place), entry);
        }
        for place in 0..count {
            prop_assert!(index.remove(&Key::File(place)));
        }
        prop_assert!(index.best(&node, None).is_none() && index.is_empty());
        let buckets = [index.macs.is_empty(), index.nids.is_empty(), index.xnames.is_empty(),
            index.patterns.is_empty(), index.names.is_empty(), index.groups.is_empty(),
            index.profiles.is_empty(), index.roles.is_empty(), index.default.is_empty()];
        prop_assert_eq!(buckets, [true; 9]);
    }
}
