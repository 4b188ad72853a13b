//! The services without doors, threads and a disk: requests in, replies out, for the unit tests of handlers.
//!
//! ```text
//! let mut on = Harness::new();
//! assert_eq!(on.send("POST", "/hsm/v2/State/Components", body).status, 204);
//! let list = on.get("/hsm/v2/State/Components").value();
//! ```

#![allow(clippy::unwrap_used, clippy::new_without_default, reason = "a test may fail so")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::boot::template::Templates;
use crate::config::Settings;
use crate::config::source::Source;
use crate::firmware::Loaders;
use crate::records::{self, BmcKey, Snapshot};
use crate::world::World;

use super::api::{Ask, Asker, Handler, Reply, Request, Routed, route};
use super::cloud_init::files::CloudFiles;
use super::history::History;
use super::inventory::{Draft, Live};

/// What the services of a test answer from. It stands for the writer and the store as well: a reply that refuses
/// changes nothing, and [`Self::restart`] reads back what was stored.
pub struct Harness {
    /// Settings, loaders, templates and records; a test may change the settings.
    pub world: World,
    /// Time of the next request; each takes a second.
    pub now: jiff::Timestamp,
    history: History,
    asker: Asker,
    files: Live,
    stored: BTreeMap<(&'static str, String), Vec<u8>>,
}

impl Harness {
    /// Nothing recorded, settings of an empty bootlace.yaml.
    pub fn new() -> Self {
        let settings: Settings =
            crate::config::file::Written::default().with(&crate::config::file::Flags::default());
        Self {
            world: World::new(settings, Snapshot::default(), Loaders::default(), Templates::default()),
            now: jiff::Timestamp::from_second(1_770_000_000).unwrap(),
            history: History::default(),
            asker: Asker::unknown(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            files: Live::default(),
            stored: BTreeMap::new(),
        }
    }

    /// The same with records of files; an empty text is no file.
    pub fn files(mut self, nodes_yaml: &str, boot_yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            if text.is_empty() { Vec::new() } else { vec![path] }
        };
        let (nodes, boot) = (place("nodes.yaml", nodes_yaml), place("boot.yaml", boot_yaml));
        let loaded = records::load::load(&nodes, &boot, None, None);
        let mut snapshot = loaded.snapshot.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        for (place, bmc) in (0..).zip(loaded.bmcs) {
            snapshot.put_bmc(BmcKey::File(place), bmc);
        }
        self.files = Live::of_files(snapshot);
        self.restart();
        self
    }

    /// The same with files of `--cloud-init`, by name.
    pub fn cloud_files(mut self, files: &[(&str, &str)]) -> Self {
        let (mut cloud, mut findings) = (CloudFiles::default(), crate::config::Findings::default());
        for (name, text) in files {
            cloud.add(&Arc::new(Source::new(*name, (*text).to_owned())), &mut findings);
        }
        assert_eq!(findings.into_list(), []);
        self.files.inventory.lay_cloud_files(&cloud);
        self.restart();
        self
    }

    /// Asks as a node from now on, from the first recorded address of its cards.
    pub fn from(&mut self, xname: &str) -> &mut Self {
        let cards = self.world.inventory.cards_of(xname);
        let address = cards.iter().flat_map(|card| &card.addresses).next();
        self.asker = Asker {
            address: address.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ip| ip.address),
            mac: cards.first().map(|card| card.mac.parse().unwrap()),
            node: Some(xname.to_owned()),
        };
        self
    }

    /// Asks as nobody known from now on.
    pub fn from_stranger(&mut self) -> &mut Self {
        self.asker = Asker::unknown(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)));
        self
    }

    /// GET; the path may have a query.
    pub fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, "")
    }

    /// A request with a body as text.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> Reply {
        self.send_as(method, path, body, None)
    }

    /// The same with a Content-Type.
    pub fn send_as(&mut self, method: &str, path: &str, body: &str, kind: Option<&str>) -> Reply {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        });
        let request = Request {
            method: method.parse::<Method>().unwrap(),
            path: route::normalise(&decode(path)),
            query: pairs.collect(),
            content_type: kind.map(str::to_owned),
            body: Bytes::copy_from_slice(body.as_bytes()),
            asker: self.asker.clone(),
            base: "http://172.16.0.254:8081".to_owned(),
            now: self.now,
        };
        self.now += jiff::SignedDuration::from_secs(1);
        let found = match route::route(&request.method, &request.path) {
            Routed::Found(found) => found,
            Routed::NotFound => return route::not_found(),
            Routed::WrongMethod { service, allow } => return route::wrong_method(service, &allow),
        };
        let ask = Ask { request: &request, found: &found, world: &self.world, history: &self.history };
        match found.route.handler {
            Handler::Read(handler) => handler(&ask),
            Handler::Keep(due, read) => {
                if let Some(runtime) = due(&ask, &self.world.inventory) {
                    let (mut live, mut changes) = (self.world.live(), Vec::new());
                    let mut draft = Draft::new(&mut live, &mut changes);
                    draft.put(runtime).unwrap();
                    draft.finish();
                    self.world = self.world.with(&live);
                    self.keep(changes);
                }
                read(&Ask { request: &request, found: &found, world: &self.world, history: &self.history })
            }
            Handler::Write(handler) => {
                let (mut live, mut changes) = (self.world.live(), Vec::new());
                let mut draft = Draft::new(&mut live, &mut changes);
                let reply = handler(&ask, &mut draft);
                if !reply.refuses() {
                    draft.finish();
                    self.world = self.world.with(&live);
                    self.keep(changes);
                }
                reply
            }
        }
    }

    /// Does what the store does with changes.
    fn keep(&mut self, changes: Vec<crate::store::Change>) {
        for change in changes {
            let key = (change.table, change.key);
            match change.value {
                Some(value) => drop(self.stored.insert(key, value)),
                None => drop(self.stored.remove(&key)),
            }
        }
    }

    /// Reads the files and what was stored again, as the next start would.
    pub fn restart(&mut self) {
        let mut live = self.files.clone();
        for ((table, key), value) in &self.stored {
            assert!(live.restore(table, value), "cannot be read back: {table} {key}");
        }
        live.restored([7; 16]);
        self.world = self.world.with(&live);
    }
}

impl Reply {
    /// The body as JSON; null where there is none.
    pub fn value(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).unwrap() }
    }

    /// The body as text.
    pub fn body_text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
