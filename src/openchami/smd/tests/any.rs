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
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_request_is_answered_and_a_refused_one_changes_nothing(
        route in 0..ROUTES.len(),
        variables in proptest::collection::vec(proptest::sample::select(&TEXTS[..6]), 2),
        query in proptest::collection::vec((proptest::sample::select(&NAMES[..]), proptest::sample::select(&TEXTS[..])), 0..3),
        body in document(),
    ) {
        STORE.with_borrow_mut(|on| {
            let route = &ROUTES[route];
            let mut variables = variables.iter();
            let path = route.path.split('/').map(|part| if part.starts_with('{') { *variables.next().unwrap() } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", value.replace('\n', "%0a"))).collect();
            let before = stored(on);
            let reply = on.send(route.method.as_str(), &format!("/hsm/v2{path}?{}", query.join("&")), &body.to_string());
            prop_assert!(!reply.status.is_server_error(), "{} {path}: {}", route.method, reply.status);
            if reply.refuses() {
                prop_assert_eq!(stored(on), before, "{} {}", &route.method, path);
            } else {
                let after = stored(on);
                on.restart();
                prop_assert_eq!(stored(on), after, "{} {} is not what the next start reads", &route.method, path);
                // An empty store is left soon, or nothing is tried on what is there.
                if on.get("/hsm/v2/State/Components").value() == json!({"Components": []}) {
                    *on = discovered();
                }
            }
            Ok(())
        })?;
    }
}
