use std::collections::BTreeSet;

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::openchami::api::Routed;
use crate::openchami::testing::Harness;

/// Method, path and description of every operation.
fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, item) in paths {
        for (name, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            all.push((name.to_uppercase().parse().unwrap(), path.clone(), operation.clone()));
        }
    }
    all
}

#[test]
fn every_route_is_described_and_every_described_path_is_a_route() {
    let document = describe(None);
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(method, path, _)| (method.to_string(), path)).collect();
    let served: BTreeSet<(String, String)> = route::all()
        .filter(|route| route.access != Access::Local)
        .map(|route| (route.method.to_string(), format!("{}{}", route.service.prefixes()[0], route.path)))
        .collect();
    assert_eq!(described, served);
    assert!(served.len() > 30, "only {} routes", served.len());
    for service in Service::ALL {
        for prefix in service.prefixes() {
            let document = describe(Some((service, prefix)));
            assert_eq!(document["servers"][0]["url"], *prefix);
            for (method, path, _) in operations(&document) {
                let path = route::normalise(&format!("{prefix}{}", path.replace(['{', '}'], "")));
                match route::route(&method, &path) {
                    Routed::Found(found) => assert_eq!(found.route.service, service, "{method} {path}"),
                    _ => panic!("{method} {path} is described and leads nowhere"),
                }
            }
        }
    }
}

#[test]
fn operations_have_names_of_their_own_and_state_their_variables_and_who_may() {
    let document = describe(None);
    let mut names = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap().to_owned();
        assert!(names.insert(name.clone()), "{name} twice");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        let stated: Vec<&str> = document["paths"][&path]["parameters"]
            .as_array()
            .map(|list| list.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect())
            .unwrap_or_default();
        assert_eq!(stated, variables(&path).collect::<Vec<_>>(), "{path}");
        assert!(operation["security"].is_array());
        let writes = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
        assert_eq!(operation["requestBody"].is_object(), writes, "{method} {path}");
    }
    let ready = &document["paths"]["/hsm/v2/service/ready"]["get"];
    assert_eq!(ready["security"], json!([]), "open to everybody");
    let list = &document["paths"]["/hsm/v2/State/Components"]["get"];
    assert_eq!(list["security"], json!([{"token": []}, {}]), "may be open");
    let one = &document["paths"]["/hsm/v2/State/Components/{xname}"]["get"];
    assert_eq!(one["security"], json!([{"token": []}]));
}

const NODES: &str = "
bmcs:
- {name: bmc1, xname: x1000c0s0b0, mac: 'de:ca:fc:0f:fe:e1', ip: 172.16.0.101}
nodes:
- {name: compute1, nid: 1, xname: x1000c0s0b0n0, bmc: bmc1, groups: [compute], interfaces: [{mac_addr: '52:54:00:be:ef:01', ip_addrs: [{name: management, ip_addr: 172.16.0.1}]}]}
";
const BOOT: &str = "{kernel: 'http://172.16.0.254/k', initrd: 'http://172.16.0.254/i', params: quiet, macs: ['52:54:00:be:ef:01']}";

/// Words that mean something somewhere, and words that have hurt somebody.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec![
            "x1000c0s0b0n0", "x1000c0s0b0", "x1000c0s9b0n0", "x1000c0s0b0n0e0", "compute1", "compute", "Node",
            "NodeBMC", "On", "Ready", "Compute", "1", "0", "-1", "99999999999999999999", "true", "52:54:00:be:ef:01",
            "525400beef01", "172.16.0.1", "fd00::1", "default", "Default", "2026-01-01T00:00:00Z", "a/b", "..", "*",
            "{xname}", "null", "é", "%00", "${ip}", "\" or 1=1",
        ])
        .prop_map(str::to_owned),
        2 => any::<String>(),
        1 => (any::<char>(), 1..4000_usize).prop_map(|(c, times)| c.to_string().repeat(times)),
        1 => select(vec!["", " ", "\n", "a\nb: c", "\0", "\u{1b}[2J", "#!ipxe\nshell"]).prop_map(str::to_owned),
    ]
}

fn value(members: Vec<String>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => (-3_i64..70_000).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        6 => word().prop_map(Value::from),
    ];
    let key = if members.is_empty() {
        word().boxed()
    } else {
        prop_oneof![
            8 => select(members.clone()),
            1 => select(members).prop_map(|name| name.to_uppercase()),
            1 => word(),
        ]
        .boxed()
    };
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => proptest::collection::vec((key.clone(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

#[derive(Clone, Debug)]
struct Generated {
    operation: Index,
    variables: Vec<String>,
    queries: Vec<(Index, String)>,
    strange: Option<(String, String)>,
    body: Index,
    text: Option<String>,
    kind: Option<&'static str>,
}

fn generated() -> impl Strategy<Value = Generated> {
    (
        any::<Index>(),
        proptest::collection::vec(word(), 4),
        proptest::collection::vec((any::<Index>(), word()), 0..4),
        proptest::option::weighted(0.2, (word(), word())),
        any::<Index>(),
        proptest::option::weighted(
            0.15,
            prop_oneof![any::<String>(), Just("{".repeat(500)), Just("[".repeat(90_000))],
        ),
        select(vec![None, Some("application/json"), Some("application/json-patch+json"), Some("text/plain")]),
    )
        .prop_map(|(operation, variables, queries, strange, body, text, kind)| Generated {
            operation,
            variables,
            queries,
            strange,
            body,
            text,
            kind,
        })
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Generated {
    /// Path with query, as a client writes it.
    fn target(&self, path: &str, operation: &Value) -> String {
        let mut target = path.to_owned();
        for (name, value) in variables(path).zip(&self.variables) {
            target = target.replace(&format!("{{{name}}}"), &encoded(value));
        }
        let none = Vec::new();
        let known = operation["parameters"].as_array().unwrap_or(&none);
        let mut pairs: Vec<String> = Vec::new();
        for (index, value) in self.queries.iter().filter(|_| !known.is_empty()) {
            let name = index.get(known)["name"].as_str().unwrap();
            pairs.push(format!("{name}={}", encoded(value)));
        }
        pairs
            .extend(self.strange.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))));
        if pairs.is_empty() { target } else { format!("{target}?{}", pairs.join("&")) }
    }
}

/// Whatever a client makes of the description, it gets an answer that is no failure of ours.
#[test]
fn no_generated_request_fails_or_panics() {
    let document = describe(None);
    let operations = operations(&document);
    let members: BTreeSet<String> = operations
        .iter()
        .filter_map(|(_, _, operation)| {
            operation["requestBody"]["content"]["application/json"]["schema"]["properties"].as_object()
        })
        .flat_map(|properties| properties.keys().cloned())
        .collect();
    let bodies = proptest::collection::vec(value(members.into_iter().collect()), 8);
    let requests = proptest::collection::vec(generated(), 1..24);
    proptest!(ProptestConfig::with_cases(64), |(requests in requests, bodies in bodies)| {
        let mut on = Harness::new().files(NODES, BOOT);
        for (place, request) in requests.iter().enumerate() {
            let (method, path, operation) = request.operation.get(&operations);
            let target = request.target(path, operation);
            let json = operation["requestBody"].is_object().then(|| request.body.get(&bodies).to_string());
            let body = request.text.clone().or(json).unwrap_or_default();
            match place % 3 {
                0 => on.from("x1000c0s0b0n0"),
                _ => on.from_stranger(),
            };
            let reply = on.send_as(method.as_str(), &target, &body, request.kind);
            let status = reply.status.as_u16();
            prop_assert!(
                status < 500 || status == 503 || status == 507,
                "{method} {target}: {status} {}\n{body}", String::from_utf8_lossy(&reply.body)
            );
            for (name, value) in &reply.headers {
                prop_assert!(!value.chars().any(char::is_control), "{method} {target}: {name}: {value:?}");
            }
            if reply.kind.contains("json") && !reply.body.is_empty() {
                prop_assert!(serde_json::from_slice::<Value>(&reply.body).is_ok(), "{method} {target}");
            }
        }
        on.restart();
    });
}
