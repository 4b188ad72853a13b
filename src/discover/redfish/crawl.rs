//! Asks many BMCs at a time, and makes of each answer what is stored and shown.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::inventory::{Inventory, inventory};
use super::pins::{PinError, Pins};
use super::place::{self, Known, Placed, place};
use super::session::{self, Limits, Question, Refusal, Talk};
use super::targets::Target;
use crate::records::{BmcXname, Xname};

/// What a crawl does.
#[derive(Debug)]
pub struct Plan {
    /// Whom it asks.
    pub targets: Vec<Target>,
    /// Port where a target states none.
    pub port: u16,
    /// As whom.
    pub credentials: Credentials,
    /// Plain http is taken.
    pub insecure: bool,
    /// Limits of each BMC.
    pub limits: Limits,
    /// How many at a time.
    pub jobs: usize,
    /// What is known already.
    pub known: Known,
}

/// What came of one BMC.
#[derive(Debug)]
pub struct Outcome {
    /// Where it was asked.
    pub target: Target,
    /// Its xname, as far as it is known.
    pub xname: Option<BmcXname>,
    /// What it is, or why that is not known.
    pub result: Result<Machines, Fault>,
}

/// A BMC that was read and named.
#[derive(Debug)]
pub struct Machines {
    /// What it said.
    pub inventory: Inventory,
    /// Its machines' xnames.
    pub placed: Vec<Placed>,
    /// What an SMD is told.
    pub endpoint: Endpoint,
}

/// Why a BMC has no place in the result.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody said which xname it has.
    #[error("read, and nothing says which xname it has: add '{key}: x…b…' to id_map: of the map file")]
    Unnamed {
        /// What a map would know it by.
        key: String,
    },
    /// Another BMC has the xname.
    #[error("{xname} is the BMC at {other} already: the map or the records give one xname to two addresses")]
    SameXname {
        /// The xname.
        xname: BmcXname,
        /// Where the other one is.
        other: String,
    },
    /// The SMD did not take it.
    #[error("read, and not stored: {0}")]
    NotStored(String),
}

impl Fault {
    /// True for an address of a range at which there is no BMC: that is no failure.
    pub fn is_nothing(&self, target: &Target) -> bool {
        target.from_range && matches!(self, Self::Refused(Refusal::Absent | Refusal::NoRedfish(_)))
    }
}

/// The result of one BMC as `--json` prints it.
#[derive(Serialize)]
pub struct OutcomeJson<'a> {
    host: String,
    xname: Option<&'a str>,
    ok: bool,
    reason: Option<String>,
    nodes: Vec<&'a str>,
    notes: &'a [String],
    endpoint: Option<&'a Endpoint>,
}

impl Outcome {
    /// For `--json`.
    pub fn json(&self) -> OutcomeJson<'_> {
        let machines = self.result.as_ref().ok();
        OutcomeJson {
            host: self.target.to_string(),
            xname: self.xname.as_ref().map(BmcXname::as_str),
            ok: machines.is_some(),
            reason: self.result.as_ref().err().map(ToString::to_string),
            nodes: machines
                .map(|all| all.placed.iter().map(|one| one.xname.as_str()).collect())
                .unwrap_or_default(),
            notes: machines.map(|all| all.inventory.notes.as_slice()).unwrap_or_default(),
            endpoint: machines.map(|all| &all.endpoint),
        }
    }
}

/// Where a crawl stands.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// BMCs done.
    pub done: usize,
    /// BMCs in all.
    pub all: usize,
    /// The one that is done now.
    pub target: &'a Target,
}

/// Asks all of them, `jobs` at a time, and keeps each certificate as soon as it was trusted; `now` is the time
/// for that, RFC 3339. The outcomes are in the order of the targets.
///
/// # Errors
/// Only when a certificate cannot be kept: without it the next run would trust any other.
pub async fn crawl(
    plan: Arc<Plan>,
    pins: &mut Pins,
    now: &dyn Fn() -> String,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Vec<Outcome>, PinError> {
    let permits = Arc::new(Semaphore::new(plan.jobs.max(1)));
    let mut running = JoinSet::new();
    for index in 0..plan.targets.len() {
        let (plan, permits) = (Arc::clone(&plan), Arc::clone(&permits));
        let pin = pins.get(&plan.targets[index].authority(plan.port)).cloned();
        running.spawn(async move {
            // The semaphore is never closed; without a permit the BMC would only be asked earlier.
            let _permit = permits.acquire().await;
            let target = &plan.targets[index];
            let xname = plan.known.bmc(&target.host, None);
            let question = Question {
                target,
                port: plan.port,
                credential: plan.credentials.of(&target.host, xname.as_ref()),
                pin: pin.as_ref(),
                insecure: plan.insecure,
                limits: plan.limits,
            };
            (index, session::talk(&question).await)
        });
    }
    let mut talks: Vec<Option<Talk>> = plan.targets.iter().map(|_| None).collect();
    let mut done = 0;
    while let Some(ended) = running.join_next().await {
        // A talk that panicked has no index; its BMC is reported as silent below.
        let Ok((index, talk)) = ended else { continue };
        let target = &plan.targets[index];
        if let Some(certificate) = talk.certificate {
            pins.keep(&target.authority(plan.port), certificate, now())?;
        }
        talks[index] = Some(talk);
        done += 1;
        progress(Step { done, all: plan.targets.len(), target });
    }
    Ok(outcomes(&plan, talks))
}

/// What was read of one BMC, before it has its place.
struct Read {
    inventory: Inventory,
    xname: BmcXname,
}

fn outcomes(plan: &Plan, talks: Vec<Option<Talk>>) -> Vec<Outcome> {
    let mut at: HashMap<BmcXname, String> = HashMap::new();
    let mut claimed = HashSet::new();
    let mut all = Vec::with_capacity(talks.len());
    for (target, talk) in plan.targets.iter().zip(talks) {
        let talk = talk.unwrap_or_else(|| Talk::broken("the talk with it broke off"));
        let mut read = read(plan, target, talk);
        if let Ok(found) = &read {
            if let Some(other) = at.get(&found.xname) {
                read = Err(Fault::SameXname { xname: found.xname.clone(), other: other.clone() });
            } else {
                at.insert(found.xname.clone(), target.to_string());
                claimed.extend(place::claims(&found.inventory.systems, &plan.known.nodes));
            }
        }
        all.push((target, read));
    }
    let outcome = |(target, read): (&Target, Result<Read, Fault>)| match read {
        Ok(Read { inventory, xname }) => {
            let machines = machines(plan, target, inventory, &xname, &claimed);
            Outcome { target: target.clone(), xname: Some(xname), result: Ok(machines) }
        }
        Err(fault) => {
            let xname = plan.known.bmc(&target.host, None);
            Outcome { target: target.clone(), xname, result: Err(fault) }
        }
    };
    all.into_iter().map(outcome).collect()
}

fn read(plan: &Plan, target: &Target, talk: Talk) -> Result<Read, Fault> {
    let documents = talk.result?;
    let asked = target.host.parse().ok().or(talk.address);
    let inventory = inventory(&documents, &target.origin(plan.port), asked);
    let xname = plan.known.bmc(&target.host, inventory.mac);
    let xname = xname.ok_or_else(|| Fault::Unnamed { key: target.host.clone() })?;
    Ok(Read { inventory, xname })
}

fn machines(
    plan: &Plan,
    target: &Target,
    mut inventory: Inventory,
    xname: &BmcXname,
    claimed: &HashSet<Xname>,
) -> Machines {
    let placed = place(&inventory.systems, xname, &plan.known.nodes, claimed);
    if placed.len() < inventory.systems.len() {
        let without = inventory.systems.len() - placed.len();
        inventory.notes.push(format!("{without} Systems have no xname below {xname}"));
    }
    let by_address = plan.known.bmc(&target.host, None);
    let user = plan.credentials.of(&target.host, by_address.as_ref()).map_or("", |one| one.user.as_str());
    let endpoint = Endpoint::new(xname, &target.host, user, &inventory, &placed);
    Machines { inventory, placed, endpoint }
}
