//! Whatever is sent, somebody answers, and who is refused has changed nothing.

use std::cell::RefCell;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Harness, discovered};
use crate::openchami::smd::ROUTES;

/// Members that some body has, and one that none has.
const NAMES: [&str; 30] = [
    "ID",
    "Components",
    "Component",
    "ComponentIDs",
    "NIDRanges",
    "State",
    "Flag",
    "Enabled",
    "Role",
    "NID",
    "Force",
    "label",
    "name",
    "members",
    "ids",
    "id",
    "tags",
    "MACAddress",
    "ComponentID",
    "IPAddresses",
    "IPAddress",
    "RedfishEndpoints",
    "Systems",
    "Managers",
    "ethernet_interfaces",
    "mac",
    "uri",
    "PDUInventory",
    "SchemaVersion",
    "colour",
];

const TEXTS: [&str; 16] = [
    "x1000c0s0b0n0",
    "x1000c0s0b1n0",
    "x1000c0s0b0",
    "x1000c0s2b0",
    "x3000m0",
    "bogus",
    "",
    "On",
    "Ready",
    "7",
    "1-3",
    "compute",
    "p1",
    "52:54:00:be:ef:01",
    "172.16.0.1",
    "a\nb\u{e9}",
];

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..20).prop_map(Value::from),
        proptest::sample::select(&TEXTS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = proptest::sample::select(&NAMES[..]).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// What stands in paths.
const PLACES: [&str; 11] = [
    "x1000c0s0b0n0",
    "x1000c0s0b1n0",
    "x1000c0s0b0",
    "x1000c0s2b0",
    "bogus",
    "7",
    "compute",
    "p1",
    "525400beef01",
    "172.16.0.1",
    "role",
];

fn path(template: &str, variables: &[&str]) -> String {
    let mut variables = variables.iter();
    let part = |part| match str::starts_with(part, '{') {
        true => variables.next().copied().unwrap_or(part),
        false => part,
    };
    template.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn parameter() -> impl Strategy<Value = String> {
    let (names, values) = (proptest::sample::select(&NAMES[..]), proptest::sample::select(&TEXTS[..]));
    (names, values).prop_map(|(name, value)| format!("{name}={}", value.replace('\n', "%0a")))
}

/// Everything that is stored.
fn stored(on: &mut Harness) -> Value {
    on.from_stranger();
    let lists = [
        "State/Components",
        "Inventory/RedfishEndpoints",
        "Inventory/ComponentEndpoints",
        "Inventory/EthernetInterfaces",
        "groups",
        "partitions",
        "memberships",
    ];
    json!(lists.map(|list| on.get(&format!("/hsm/v2/{list}")).value()))
}

thread_local! {
    /// One store for all cases: what earlier ones did to it makes later ones harder.
    static STORE: RefCell<Harness> = RefCell::new(discovered());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn any_request_is_answered_and_a_refused_one_changes_nothing(
        route in 0..ROUTES.len(),
        variables in proptest::collection::vec(proptest::sample::select(&PLACES[..]), 2),
        query in proptest::collection::vec(parameter(), 0..3),
        body in document(),
    ) {
        let route = &ROUTES[route];
        let path = path(route.path, &variables);
        let target = format!("/hsm/v2{path}?{}", query.join("&"));
        STORE.with_borrow_mut(|on| {
            let before = stored(on);
            let reply = on.send(route.method.as_str(), &target, &body.to_string());
            prop_assert!(!reply.status.is_server_error(), "{} {path}: {}", route.method, reply.status);
            if reply.refuses() {
                prop_assert_eq!(stored(on), before, "{} {}", &route.method, path);
            } else {
                let after = stored(on);
                on.restart();
                let read = stored(on);
                prop_assert_eq!(read, after, "{} {} is not what the next start reads", &route.method, path);
                // An empty store is left soon, or nothing is tried on what is there.
                if on.get("/hsm/v2/State/Components").value() == json!({"Components": []}) {
                    *on = discovered();
                }
            }
            Ok(())
        })?;
    }
}
