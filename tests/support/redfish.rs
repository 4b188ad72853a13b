//! BMCs that answer Redfish on loopback addresses: TLS with a certificate made at each start, HTTP Basic on
//! everything but the ServiceRoot, documents from a map.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// User of every BMC.
pub const USER: &str = "root";
/// Its password.
pub const PASSWORD: &str = "initial0";

/// How a BMC behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// As it should.
    Plain,
    /// The ServiceRoot wants name and password too.
    ClosedRoot,
    /// Takes the connection and never says a word.
    Silent,
    /// Redirects everything to this address.
    Redirects(Ipv4Addr),
    /// Speaks plain http.
    Http,
}

/// One BMC.
#[derive(Clone)]
pub struct Bmc {
    /// Where.
    pub address: Ipv4Addr,
    /// Documents by path, with the query.
    pub documents: BTreeMap<String, Value>,
    /// How.
    pub manner: Manner,
    /// What it takes.
    pub password: &'static str,
}

impl Bmc {
    /// A BMC with one machine: the recorded one, with addresses and identities of its own.
    pub fn one_node(address: Ipv4Addr) -> Self {
        Self::recorded("redfish-one-node.json", address, "127.0.1.11")
    }

    /// A BMC with two machines.
    pub fn two_nodes(address: Ipv4Addr) -> Self {
        Self::recorded("redfish-two-nodes.json", address, "127.0.1.13")
    }

    fn recorded(file: &str, address: Ipv4Addr, recorded: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openchami").join(file);
        let mut text = std::fs::read_to_string(path).unwrap();
        if address.to_string() != recorded {
            let [.., third, fourth] = address.octets();
            text = text.replace(recorded, &address.to_string());
            for (kind, byte) in [("02:aa:00:00", "11"), ("02:cc:00:00", "13")] {
                let own = format!("{}:{third:02x}:{fourth:02x}:", &kind[..8]);
                text = text.replace(&format!("{kind}:{byte}:"), &own);
            }
            text = text.replace("4c4c4544-0000", &format!("4c4c4544-{third:02x}{fourth:02x}"));
            text = text.replace("ACM1", &format!("ACM{third}-{fourth}-"));
        }
        let documents = serde_json::from_str(&text).unwrap();
        Self { address, documents, manner: Manner::Plain, password: PASSWORD }
    }

    /// The same with another manner.
    pub fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }

    /// A document, to be changed.
    pub fn document(&mut self, path: &str) -> &mut serde_json::Map<String, Value> {
        self.documents.get_mut(path).unwrap().as_object_mut().unwrap()
    }

    /// Answers 404 for a document.
    pub fn without(mut self, path: &str) -> Self {
        self.documents.remove(path).unwrap();
        self
    }
}

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// At which BMC.
    pub address: Ipv4Addr,
    /// Path and query.
    pub path: String,
    /// With name and password.
    pub authorized: bool,
}

/// BMCs that run until this value ends, all on one port.
pub struct Fleet {
    /// Their port.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Fleet {
    /// Starts them on a free port.
    pub fn start(bmcs: Vec<Bmc>) -> Self {
        Self::start_at(0, bmcs)
    }

    /// Starts them on this port, with new certificates.
    pub fn start_at(mut port: u16, bmcs: Vec<Bmc>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        for bmc in bmcs {
            let listener = runtime.block_on(TcpListener::bind((bmc.address, port))).unwrap();
            port = listener.local_addr().unwrap().port();
            runtime.spawn(serve(Arc::new(bmc), listener, Arc::clone(&asked)));
        }
        Self { port, asked, _runtime: runtime }
    }

    /// What arrived so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["bmc".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(bmc: Arc<Bmc>, listener: TcpListener, asked: Arc<Mutex<Vec<Asked>>>) {
    let acceptor = acceptor();
    let mut silent = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        if bmc.manner == Manner::Silent {
            silent.push(stream);
            continue;
        }
        let (bmc, acceptor, asked) = (Arc::clone(&bmc), acceptor.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            if bmc.manner == Manner::Http {
                talk(bmc, stream, asked).await;
            } else if let Ok(stream) = acceptor.accept(stream).await {
                talk(bmc, stream, asked).await;
            }
        });
    }
}

async fn talk<S>(bmc: Arc<Bmc>, stream: S, asked: Arc<Mutex<Vec<Asked>>>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&bmc, &request, &asked);
        async move { Ok::<_, Infallible>(answer) }
    });
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

fn answer(bmc: &Bmc, request: &Request<Incoming>, asked: &Mutex<Vec<Asked>>) -> Response<Full<Bytes>> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let header = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    asked.lock().unwrap().push(Asked {
        address: bmc.address,
        path: path.clone(),
        authorized: header.is_some(),
    });
    let give = |status: u16, body: Value| {
        Response::builder().status(status).body(Full::new(Bytes::from(body.to_string()))).unwrap()
    };
    if let Manner::Redirects(to) = bmc.manner {
        let to = format!("https://{to}{path}");
        return Response::builder().status(302).header("location", to).body(Full::default()).unwrap();
    }
    let expected = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{}", bmc.password));
    let open = path == "/redfish/v1/" && bmc.manner != Manner::ClosedRoot;
    if !open && header != Some(format!("Basic {expected}")) {
        return give(401, json!({"error": {"message": "denied"}}));
    }
    match bmc.documents.get(&path) {
        Some(document) => give(200, document.clone()),
        None => give(404, json!({"error": {"message": "no such resource"}})),
    }
}
