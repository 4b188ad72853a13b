//! WireGuard peers: kept for those who read them back. There is no WireGuard server here.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::diagnostic::quoted;
use crate::openchami::api::json::{self, Keys};
use crate::openchami::boot_service::envelope::{Refusal, Resource, clean};
use crate::openchami::inventory::{Draft, Index, Inventory, Meta, WireGuardPeer};

const KEYS: Keys = Keys { loose: true, free: &[] };

/// What a client says of a peer.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the record")]
pub struct Spec {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub public_key: String,
    pub allowed_ip: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent {
    description: String,
    publickey: String,
    allowedip: String,
}

impl Resource for WireGuardPeer {
    type Spec = Spec;

    const KIND: &'static str = "WireGuardPeer";

    fn read(spec: Value, _: Option<&Self>) -> Result<Spec, Refusal> {
        let sent: Sent = json::form(spec, KEYS)?;
        for (field, text) in [("public_key", &sent.publickey), ("allowed_ip", &sent.allowedip)] {
            if text.is_empty() {
                return Err(Refusal::Invalid(format!("{field} field is required")));
            }
            clean(field, text)?;
        }
        if sent.allowedip.parse::<IpNet>().is_err() {
            let text =
                format!("allowed_ip {} is no address range such as 10.0.0.2/32", quoted(&sent.allowedip));
            return Err(Refusal::Invalid(text));
        }
        Ok(Spec { description: sent.description, public_key: sent.publickey, allowed_ip: sent.allowedip })
    }

    fn all(inventory: &Inventory) -> Vec<Self> {
        inventory.wireguard_peers.iter().map(|record| (*record).clone()).collect()
    }

    fn by_uid(inventory: &Inventory, uid: &str) -> Vec<Self> {
        inventory.wireguard_peers.get(uid).map(|record| (*record).clone()).into_iter().collect()
    }

    fn by_name(inventory: &Inventory, name: &str) -> Vec<Self> {
        inventory.find::<Self>(Index::PeerName, name).map(|record| (*record).clone()).collect()
    }

    fn meta(&self) -> Meta {
        self.metadata.clone()
    }

    fn spec(&self) -> Spec {
        Spec {
            description: self.description.clone(),
            public_key: self.public_key.clone(),
            allowed_ip: self.allowed_ip.clone(),
        }
    }

    fn put(draft: &mut Draft<'_>, _: Option<&Self>, metadata: Meta, spec: Spec) -> Result<Self, Refusal> {
        let Spec { description, public_key, allowed_ip } = spec;
        let record = Self { metadata, description, public_key, allowed_ip };
        draft.put(record.clone())?;
        Ok(record)
    }

    fn remove(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        draft.remove::<Self>(&self.metadata.uid)?;
        Ok(())
    }
}
