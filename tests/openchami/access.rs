//! Who may use the API, by the program itself over TLS (fixture FT): tokens, open routes, the listeners apart.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bootlace::lab::sandbox::Place;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use super::support::{Answer, HTTP, LIMIT, Site, assert_holds, endpoint, in_host, parse};

/// The admin listener, off loopback.
const API: &str = "172.16.0.254:8443";
const NODE: &str = "/hsm/v2/State/Components/x1000c0s0b0n0";
const PROGRAM: &str = env!("CARGO_BIN_EXE_bootlace");

/// Fixture FT: the API with TLS and tokens, audience `demo`; asked by a machine of the VLAN.
struct Ft {
    site: Site,
    state: PathBuf,
    token: String,
}

impl Ft {
    fn new(more: &[&str]) -> Self {
        Self::with_settings("api_tokens: {audience: demo}\n", more)
    }

    fn with_settings(settings: &str, more: &[&str]) -> Self {
        let site = Site::prepared(|sandbox| {
            let path = |name: &str| sandbox.work().join(name).display().to_string();
            sandbox.write("bootlace.yaml", settings).unwrap();
            sandbox.run(Place::Host("srv"), &[PROGRAM, "token", "new", "--state", &path("state")]).unwrap();
            let mut flags =
                vec!["--api".to_owned(), API.to_owned(), "--config".to_owned(), path("bootlace.yaml")];
            flags.extend(more.iter().map(|flag| (*flag).to_owned()));
            flags
        });
        let state = site.sandbox.work().join("state");
        let config = site.sandbox.work().join("bootlace.yaml").display().to_string();
        let words = [PROGRAM, "token", "new", "--config", &config, "--state", state.to_str().unwrap()];
        let token = site.sandbox.run(Place::Host("srv"), &words).unwrap().trim().to_owned();
        Self { site, state, token }
    }

    /// FT has the records of F1.
    fn with_records(more: &[&str]) -> Self {
        let on = Self::new(more);
        let nodes = json!({"Components": [
            {"ID": "x1000c0s0b0n0", "Type": "Node", "State": "On", "Enabled": true, "NID": 1},
            {"ID": "x1000c0s0b1n0", "Type": "Node", "State": "On", "Enabled": true, "NID": 2},
        ]});
        on.with_token("POST", "/hsm/v2/State/Components", &nodes).is(204);
        for n in 1..=2 {
            on.with_token("POST", "/hsm/v2/Inventory/RedfishEndpoints", &endpoint(n)).is(201);
        }
        let group = json!({"label": "compute", "description": "The compute group",
            "members": {"ids": ["x1000c0s0b0n0", "x1000c0s0b1n0"]}});
        on.with_token("POST", "/hsm/v2/groups", &group).is(201);
        on
    }

    fn ask(&self, method: &str, path: &str, authorization: Option<&str>, body: &[u8]) -> Answer {
        let headers: Vec<_> = authorization.into_iter().map(|value| ("Authorization", value)).collect();
        let ca = std::fs::read(self.state.join("ca.pem")).unwrap();
        over_tls("n77", &ca, method, path, &headers, body).unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None, b"")
    }

    fn with_token(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(method, path, Some(&format!("Bearer {}", self.token)), body.as_bytes())
    }

    /// A GET of the node with this token.
    fn by(&self, token: &str) -> Answer {
        self.ask("GET", NODE, Some(&format!("Bearer {token}")), b"")
    }

    /// A token of the appliance's own key that says whatever it is told to.
    fn signed(&self, claims: &Value) -> String {
        let pem = std::fs::read(self.state.join("token-key.pem")).unwrap();
        let key = EncodingKey::from_ec_pem(&pem).unwrap();
        jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &key).unwrap()
    }
}

/// One request over TLS on a connection of its own, from a host of the VLAN.
fn over_tls(
    host: &str,
    ca: &[u8],
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("Content-Length: {}\r\n\r\n", body.len());
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body);
    let to: SocketAddr = API.parse().unwrap();
    in_host(host, move || {
        let stream = TcpStream::connect_timeout(&to, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let name = ServerName::from(to.ip());
        let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream);
        stream.write_all(&bytes)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(parse(&answer))
    })
}

#[track_caller]
fn refused(answer: Answer, text: &str) {
    let answer = answer.is(401);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{answer:?}");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(answer.text().trim_end(), text);
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({"sub": "me", "iss": "bootlace", "aud": "demo", "exp": now() + 3600})
}

fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[test]
fn r150_a_request_without_a_bearer_token_is_refused_and_with_a_good_one_answered() {
    let on = Ft::with_records(&[]);
    refused(on.get(NODE), "no token found");
    refused(on.ask("GET", NODE, Some("Basic YWRtaW46YWRtaW4="), b""), "no token found");
    refused(on.ask("GET", NODE, Some("Bearer "), b""), "no token found");
    let node = on.by(&on.token).is(200).json();
    assert_holds(&node, &json!({"ID": "x1000c0s0b0n0", "Type": "Node", "NID": 1}));
    assert!(on.site.log().contains("no token found"), "a refusal is in the log: {}", on.site.log());
}

#[test]
fn r151_r154_claims_are_required_and_compared() {
    let on = Ft::with_records(&[]);
    on.by(&on.signed(&claims())).is(200);
    refused(on.by(&on.signed(&claims_with("exp", json!(now() - 60)))), "token is expired");
    refused(on.by(&on.signed(&claims_without("exp"))), "missing required claim");
    refused(on.by(&on.signed(&claims_with("aud", json!("other")))), "token is for another audience");
    refused(on.by(&on.signed(&claims_without("aud"))), "missing required claim");
    let early = claims_with("nbf", json!(now() + 3600));
    refused(on.by(&on.signed(&early)), "token nbf validation failed");
}

#[test]
fn r152_r153_only_our_keys_and_their_algorithm_sign() {
    let on = Ft::with_records(&[]);
    let state = on.site.sandbox.work().join("other");
    let words = [PROGRAM, "token", "new", "--audience", "demo", "--state", state.to_str().unwrap()];
    let other = on.site.sandbox.run(Place::Host("srv"), &words).unwrap();
    refused(on.by(other.trim()), "token is unauthorized");
    refused(on.by("nonsense"), "token is unauthorized");
    let words = [PROGRAM, "token", "key", "--state", on.state.to_str().unwrap()];
    let public = on.site.sandbox.run(Place::Host("srv"), &words).unwrap();
    let unsigned = on.signed(&claims());
    let payload = unsigned.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    refused(on.by(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")), "token is unauthorized");
    let key: Value = serde_json::from_str(&public).unwrap();
    for secret in [public.trim(), &key["keys"][0].to_string(), key["keys"][0]["x"].as_str().unwrap()] {
        let hmac = EncodingKey::from_secret(secret.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &hmac).unwrap();
        refused(on.by(&token), "token is unauthorized");
    }
}

#[test]
fn r155_the_inventory_lists_need_a_token_unless_they_are_public_and_writes_always() {
    let lists = ["/hsm/v2/State/Components", "/hsm/v2/Inventory/EthernetInterfaces"];
    let on = Ft::with_records(&[]);
    for list in lists {
        refused(on.get(list), "no token found");
    }
    drop(on);
    let on = Ft::with_records(&["--public-inventory"]);
    assert_eq!(on.get(lists[0]).is(200).json()["Components"].as_array().unwrap().len(), 4);
    assert_eq!(on.get(lists[1]).is(200).json().as_array().unwrap().len(), 4);
    for list in lists {
        refused(on.ask("POST", list, None, b"{}"), "no token found");
    }
    refused(on.get(NODE), "no token found");
}

#[test]
fn r156_path_and_method_come_before_the_token_and_the_record_after_it() {
    let on = Ft::with_records(&[]);
    let missing = on.get("/hsm/v2/nosuch").is(404);
    assert_eq!(missing.text().trim_end(), "404 page not found");
    let wrong = on.ask("PATCH", "/hsm/v2/State/Components", None, b"").problem(405, "allow ");
    let allow = wrong.header("allow").unwrap();
    assert!(["GET", "POST", "DELETE"].iter().all(|method| allow.contains(method)), "{allow}");
    refused(on.get("/hsm/v2/State/Components/x1000c0s9b0n0"), "no token found");
    on.get("/hsm/v2/service/ready").message("HSM is healthy");
    on.get("/health").is(200);
    assert_eq!(on.get("/openapi.json").is(200).json()["openapi"], "3.1.0");
    assert_eq!(on.get("/apis/smd/hsm/v2/openapi.json").is(200).json()["info"]["title"], "bootlace: SMD");
}

#[test]
fn r157_impersonation_is_for_the_administrator_and_not_on_the_boot_facing_listener() {
    let on = Ft::with_records(&[]);
    let path = "/cloud-init/admin/impersonation/x1000c0s0b0n0/meta-data";
    refused(on.get(path), "no token found");
    assert!(on.with_token("GET", path, &Value::Null).is(200).text().contains("instance-id"));
    let bearer = format!("Bearer {}", on.token);
    for host in ["n1", "n77"] {
        let answer = on.site.ask(host, HTTP, "GET", path, &[("Authorization", &bearer)], b"").is(404);
        assert!(!answer.text().contains("instance-id"), "{answer:?}");
    }
}

#[test]
fn r158_nothing_is_stored_without_a_token_and_the_boot_facing_listener_knows_no_such_path() {
    let on = Ft::with_records(&[]);
    let parameters = json!({"macs": ["52:54:00:be:ef:01"], "kernel": "http://172.16.0.254/k",
        "initrd": "http://172.16.0.254/i", "params": "quiet"});
    let group = json!({"label": "login", "description": "The login group",
        "members": {"ids": ["x1000c0s0b0n0"]}});
    let cloud_group = json!({"name": "compute", "description": "compute group", "meta-data": {"a": "b"}});
    let configuration = json!({"metadata": {"name": "compute"}, "spec": {"macs": ["52:54:00:be:ef:02"],
        "kernel": "http://172.16.0.254/k2", "initrd": "http://172.16.0.254/i2", "params": "quiet"}});
    let bearer = format!("Bearer {}", on.token);
    for (method, path, body, status, list) in [
        ("PUT", "/boot/v1/bootparameters", parameters, 200, "/boot/v1/bootparameters"),
        ("POST", "/hsm/v2/groups", group, 201, "/hsm/v2/groups"),
        ("POST", "/cloud-init/admin/groups", cloud_group, 201, "/cloud-init/admin/groups"),
        ("POST", "/boot-service/bootconfigurations", configuration, 201, "/boot-service/bootconfigurations"),
    ] {
        let stored = || on.with_token("GET", list, &Value::Null).text();
        let before = stored();
        refused(on.ask(method, path, None, body.to_string().as_bytes()), "no token found");
        let headers = [("Authorization", &*bearer)];
        on.site.ask("n1", HTTP, method, path, &headers, body.to_string().as_bytes()).is(404);
        assert_eq!(stored(), before, "{path}");
        on.with_token(method, path, &body).is(status);
        assert_ne!(stored(), before, "{path}");
    }
    assert!(on.site.log().contains("by admin"), "the log says whose token wrote: {}", on.site.log());
}

/// Decision on tokens: an issuer that cannot be reached stops writes, not reads by our own tokens, and no boot; it
/// is tried again.
#[test]
fn an_issuer_that_is_down_at_the_start_is_waited_for() {
    let settings = "api_tokens: {audience: demo, jwks: 'http://172.16.0.77:8000/jwks'}\n";
    let on = Ft::with_settings(settings, &[]);
    let run = |words: &[&str]| on.site.sandbox.run(Place::Host("srv"), words).unwrap();
    let state = on.site.sandbox.work().join("issuer").display().to_string();
    let foreign = run(&[PROGRAM, "token", "new", "--audience", "demo", "--state", &state]);
    let set = run(&[PROGRAM, "token", "key", "--state", &state]);
    let list =
        |token: &str| on.ask("GET", "/hsm/v2/groups", Some(&format!("Bearer {}", token.trim())), b"").status;
    let group = json!({"label": "login", "members": {"ids": []}});
    assert_eq!(list(&on.token), 200);
    assert_eq!(list(&foreign), 503);
    let waits = on.with_token("POST", "/hsm/v2/groups", &group).is(503);
    assert!(waits.header("retry-after").is_some());
    assert_eq!(on.site.node_get("n1", "/health").status, 200, "nodes are served");
    assert!(on.site.log().contains("token-keys-failed"), "{}", on.site.log());

    let listener = in_host("n77", || std::net::TcpListener::bind("172.16.0.77:8000").unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", set.len());
            let _ = stream.write_all(format!("{head}{set}").as_bytes());
        }
    });
    let until = Instant::now() + LIMIT;
    while list(&foreign) != 200 {
        assert!(Instant::now() < until, "the keys never came: {}", on.site.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    on.with_token("POST", "/hsm/v2/groups", &group).is(201);
    refused(on.ask("GET", "/hsm/v2/groups", Some("Bearer a.b.c"), b""), "token is unauthorized");
}

#[test]
fn a_body_beyond_the_routes_limit_is_not_taken() {
    let site = Site::f1();
    let one = vec![b' '; (1 << 20) + 1];
    site.send("PATCH", "/hsm/v2/State/Components/x1000c0s0b0n0/StateData", &one)
        .problem(413, "the body is larger than the 1048576 bytes");
    site.send("PATCH", "/hsm/v2/State/Components/x1000c0s0b0n0/StateData", &one[..1 << 20]).is(400);
    site.get("/hsm/v2/groups/compute").is(200);
}

/// A real client, by the file that the operator is told to trust; TLS 1.2 too, and nothing in the clear.
#[test]
fn curl_trusts_the_ca_of_the_state_folder_and_nothing_else() {
    let on = Ft::new(&["--tls-name", "boot.example.org"]);
    let ca = on.state.join("ca.pem").display().to_string();
    let url = format!("https://{API}/hsm/v2/service/ready");
    let curl = |words: &[&str]| {
        let command = [&["curl", "-sS", "--max-time", "60"], words].concat();
        on.site.sandbox.run(Place::Host("n77"), &command)
    };
    for version in ["1.2", "1.3"] {
        let only = format!("--tlsv{version}");
        let said = curl(&["--cacert", &ca, &only, "--tls-max", version, &url]).unwrap();
        assert!(said.contains("HSM is healthy"), "{said}");
    }
    let named = "https://boot.example.org:8443/hsm/v2/service/ready";
    let at = format!("boot.example.org:8443:{}", "172.16.0.254");
    assert!(curl(&["--cacert", &ca, "--resolve", &at, named]).unwrap().contains("HSM is healthy"));
    assert!(curl(&[&url]).is_err(), "without the CA it is nobody known");
    let other = named.replace("boot.", "other.");
    let at = at.replace("boot.", "other.");
    assert!(curl(&["--cacert", &ca, "--resolve", &at, &other]).is_err(), "no certificate for that name");
    assert!(curl(&[&url.replace("https", "http")]).is_err(), "nothing is said in the clear");
}

#[test]
fn off_loopback_it_does_not_start_without_a_key_and_says_what_to_do() {
    let site = Site::f0();
    let run = |flags: &[&str]| {
        let firmware = site.sandbox.work().join("firmware").display().to_string();
        let words = [
            &[
                PROGRAM,
                "serve",
                "--interface",
                "eth0",
                "--firmware",
                &firmware,
                "--http",
                "172.16.0.254:8099",
            ],
            flags,
        ]
        .concat();
        let mut command = site.sandbox.command(Place::Host("srv"), words[0]);
        let output = site.sandbox.output("bootlace serve", command.args(&words[1..])).unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // The first appliance keeps the DHCP port.
    site.stop();
    let state = site.sandbox.work().join("empty").display().to_string();
    let (code, said) = run(&["--api", API, "--state", &state]);
    assert_eq!(code, Some(1), "{said}");
    let make = format!("bootlace token new --state {state}");
    assert!(said.contains(&make) && said.contains("--api 127.0.0.1:8082"), "{said}");
    assert!(!site.sandbox.work().join("empty/server.pem").exists(), "nothing half-started");
    let (code, said) = run(&["--api", API, "--state", "none"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--state DIR"), "{said}");
    let (code, said) = run(&["--api", "172.16.0.253:8443", "--state", &state]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = run(&["--api", "somewhere"]);
    assert_eq!(code, Some(2), "{said}");
}

/// Decision on the open listener: what a browser on this machine could be talked into.
#[test]
fn on_loopback_foreign_pages_names_and_proxies_are_refused_and_nothing_is_stored() {
    let site = Site::f1();
    let api = super::support::API;
    let body = br#"{"label":"evil","members":{"ids":[]}}"#;
    for header in [
        ("Origin", "http://evil.example.org"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1"),
    ] {
        site.ask("srv", api, "POST", "/hsm/v2/groups", &[header], body).is(403);
        site.ask("srv", api, "GET", NODE, &[header], b"").is(403);
    }
    // `ask` writes a Host of its own; two are no request.
    site.ask("srv", api, "GET", NODE, &[("Host", "evil.example.org:8082")], b"").is(400);
    let groups = site.get("/hsm/v2/groups").json();
    assert!(!groups.to_string().contains("evil"), "{groups}");
    site.ask("srv", api, "GET", NODE, &[("Sec-Fetch-Site", "same-origin")], b"").is(200);
    for path in ["/hsm/v2/%0agroups", "/hsm/v2/groups%00", "/hsm/v2/%ff", "/hsm/v2/groups?tag=%0a"] {
        site.get(path).is(400);
    }
    site.get("/hsm//v2/groups/").is(200);
    let head = site.send("HEAD", "/hsm/v2/groups", b"").is(200);
    assert!(head.body.is_empty() && head.header("content-length").is_some_and(|length| length != "0"));
    site.get("/bootlace/v1/export").is(404);
}

/// What the client's configuration says is what the client needs.
#[test]
fn ochami_config_names_the_url_the_token_and_the_ca() {
    let on = Ft::new(&[]);
    let file = on.site.sandbox.work().join("ochami/config.yaml");
    let config = on.site.sandbox.work().join("bootlace.yaml").display().to_string();
    let words = [
        PROGRAM,
        "ochami-config",
        "--cluster",
        "my-demo",
        "--api",
        API,
        "--config",
        &config,
        "--state",
        on.state.to_str().unwrap(),
        "--output",
        file.to_str().unwrap(),
    ];
    let said = on.site.sandbox.run(Place::Host("srv"), &words).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    for line in [
        "level: warning",
        "default-cluster: \"my-demo\"",
        "uri: \"https://172.16.0.254:8443\"",
        "enable-auth: true",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let export = said.lines().find(|line| line.contains("export MY_DEMO_ACCESS_TOKEN=")).unwrap();
    assert!(said.contains("--cacert") && said.contains("update-ca-certificates"), "{said}");
    assert!(said.contains("--public-inventory"), "{said}");
    // The line works as it stands, and its token is good.
    let path = format!("PATH={}:$PATH", std::path::Path::new(PROGRAM).parent().unwrap().display());
    let script = format!("{path}; {}; printf %s \"$MY_DEMO_ACCESS_TOKEN\"", export.trim());
    let token = on.site.sandbox.run(Place::Host("srv"), &["sh", "-c", &script]).unwrap();
    on.ask("GET", "/hsm/v2/groups", Some(&format!("Bearer {}", token.trim())), b"").is(200);
    assert!(on.site.sandbox.run(Place::Host("srv"), &words).is_err(), "what is there stays");
}
