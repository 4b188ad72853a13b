//! Writes to `State/Components`. A POST or PUT never changes node number, role or whether a component is
//! enabled: for each of those there is a PATCH, alone or for several.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::values::{self, ARCHS, CLASSES, NET_TYPES, ROLES, STATES, SUB_ROLES};
use super::{Answer, Refusal, Remarks, body, deleted, location, plain, remove_all};
use crate::openchami::api::{Ask, Reply};
use crate::openchami::inventory::{Component, Draft, Index, Member, Owned, PartitionMember};
use crate::openchami::xname::Location;

/// States that a component reports itself; the others are only set by force.
const LIVE: [&str; 5] = ["On", "Off", "Ready", "Standby", "Halt"];

/// A component as a client sends it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Given {
    id: String,
    state: String,
    flag: String,
    enabled: Option<bool>,
    softwarestatus: String,
    role: String,
    subrole: String,
    /// A number, or a text that is one; negative: none.
    nid: Option<Value>,
    subtype: String,
    nettype: String,
    arch: String,
    class: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Several {
    components: Vec<Given>,
    force: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct One {
    component: Option<Given>,
    force: bool,
}

/// A node number as clients write it.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

impl Given {
    /// The component that this makes where there is none yet, or what is wrong with it.
    fn component(&self) -> Result<Component, String> {
        let id: Location = self.id.parse().map_err(|_| format!("xname ID '{}' is invalid", self.id))?;
        let word = |what: &str, words: &[&'static str], text: &str| match text {
            "" => Ok(String::new()),
            _ => values::word(words, text).map(str::to_owned).ok_or(format!("{what} '{text}' is invalid")),
        };
        let state = values::word(STATES, &self.state);
        let state = state.ok_or_else(|| format!("state '{}' is invalid", self.state))?.to_owned();
        let flag = match self.flag.as_str() {
            "" => "OK",
            text => values::flag(text).ok_or_else(|| format!("flag '{text}' is invalid"))?,
        };
        let mut nid = None;
        if let Some(given) = &self.nid {
            let given = number(given).ok_or_else(|| format!("NID '{given}' is not an integer"))?;
            nid = (given >= 0).then_some(given);
        }
        let mut role = word("role", ROLES, &self.role)?;
        if id.is_node() {
            if role.is_empty() {
                role = "Compute".to_owned();
            }
            if self.nid.is_none() {
                nid = id.default_nid();
            }
        }
        for (what, text) in [("softwareStatus", &self.softwarestatus), ("subtype", &self.subtype)] {
            plain(what, text).map_err(|refusal| refusal.detail)?;
        }
        Ok(Component {
            state,
            flag: flag.to_owned(),
            enabled: self.enabled.unwrap_or(true),
            software_status: self.softwarestatus.clone(),
            role,
            sub_role: word("subRole", SUB_ROLES, &self.subrole)?,
            nid,
            subtype: self.subtype.clone(),
            net_type: word("netType", NET_TYPES, &self.nettype)?,
            arch: word("arch", ARCHS, &self.arch)?,
            class: word("class", CLASSES, &self.class)?,
            ..Component::at(id)
        })
    }

    /// What is there with everything that was given: a file that states a record must agree to this, although
    /// only a part of it would be written.
    fn claimed(&self, there: &Component, new: &Component) -> Component {
        let mut claimed = there.clone();
        if self.nid.is_some() {
            claimed.nid = new.nid;
        }
        if !self.role.is_empty() {
            claimed.role.clone_from(&new.role);
        }
        if !self.subrole.is_empty() {
            claimed.sub_role.clone_from(&new.sub_role);
        }
        claimed
    }
}

/// Says whose number a number is already: that is allowed, and seldom meant.
fn remark_nid(draft: &Draft<'_>, id: &str, nid: Option<i64>, remarks: &mut Remarks) {
    let Some(nid) = nid else { return };
    let text = nid.to_string();
    let other = draft.inventory().keys(Index::Nid, &text).find(|key| *key != id);
    if let Some(other) = other {
        remarks.add(format!("NID {nid} of {id} is also {other}'s"));
    }
}

/// Adds a component, or changes the one that is there as far as POST and PUT may.
fn store(
    draft: &mut Draft<'_>,
    given: &Given,
    new: Component,
    force: bool,
    remarks: &mut Remarks,
) -> Result<(), Owned> {
    let Some(there) = draft.inventory().components.get(new.id.as_str()) else {
        remark_nid(draft, new.id.as_str(), new.nid, remarks);
        return draft.put(new);
    };
    if draft.inventory().components.filed(new.id.as_str()).is_some() {
        draft.check(&given.claimed(&there, &new))?;
    }
    if !force {
        return Ok(());
    }
    let mut changed = Component::clone(&there);
    changed.state = new.state;
    changed.flag = new.flag;
    let optional = [
        (&mut changed.subtype, new.subtype),
        (&mut changed.net_type, new.net_type),
        (&mut changed.arch, new.arch),
        (&mut changed.class, new.class),
    ];
    for (field, value) in optional {
        if !value.is_empty() {
            *field = value;
        }
    }
    if changed != *there { draft.put(changed) } else { Ok(()) }
}

pub(super) fn add(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let body: Several = body(ask)?;
    if body.components.is_empty() {
        return Err(Refusal::bad("Missing Components"));
    }
    let wrong = |what: String| Refusal::bad(format!("couldn't validate components: {what}"));
    let (mut owned, mut remarks) = (Vec::new(), Remarks::default());
    for given in &body.components {
        let new = given.component().map_err(wrong)?;
        owned.extend(store(draft, given, new, body.force, &mut remarks).err());
    }
    if owned.is_empty() { Ok(remarks.on(Reply::no_content())) } else { Err(Refusal::owned(&owned)) }
}

pub(super) fn put(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let body: One = body(ask)?;
    let wrong = |what: String| Refusal::bad(format!("couldn't validate component: {what}"));
    let mut given = body.component.ok_or_else(|| Refusal::bad("Missing Component"))?;
    if given.id.is_empty() {
        given.id = ask.variable("xname").to_owned();
    }
    let new = given.component().map_err(wrong)?;
    if ask.variable("xname").parse() != Ok(new.id.clone()) {
        return Err(Refusal::bad("ID in URL and POST body do not match"));
    }
    let mut remarks = Remarks::default();
    store(draft, &given, new, body.force, &mut remarks)?;
    Ok(remarks.on(Reply::no_content()))
}

pub(super) fn delete(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let id = location(ask, "invalid xname")?;
    if !draft.remove::<Component>(id.as_str())? {
        return Err(Refusal::not_found("no such xname."));
    }
    remove_memberships(draft, id.as_str())?;
    Ok(deleted(1))
}

/// What is no component is in no group and no partition.
fn remove_memberships(draft: &mut Draft<'_>, id: &str) -> Result<(), Owned> {
    for group in draft.inventory().groups_of(id) {
        draft.remove::<Member>(&Member::key_of(&group, id))?;
    }
    draft.remove::<PartitionMember>(id)?;
    Ok(())
}

pub(super) fn delete_all(draft: &mut Draft<'_>) -> Answer {
    let ids: Vec<String> = draft.inventory().components.iter().map(|one| one.id.to_string()).collect();
    let count = remove_all::<Component>(draft)?;
    for id in &ids {
        remove_memberships(draft, id)?;
    }
    Ok(deleted(count))
}

/// The body of a PATCH, of one component or of several.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Patch {
    id: String,
    componentids: Vec<String>,
    state: String,
    flag: String,
    force: bool,
    enabled: Option<bool>,
    softwarestatus: Option<String>,
    role: String,
    subrole: String,
    nid: Option<Value>,
}

/// What a PATCH changes.
enum Change {
    State { state: &'static str, flag: &'static str, force: bool },
    Flag(&'static str),
    Enabled(bool),
    SoftwareStatus(String),
    Role { role: &'static str, sub_role: &'static str },
    Nid(Option<i64>),
}

impl Patch {
    fn valid_flag(&self) -> Result<&'static str, Refusal> {
        values::flag(&self.flag).ok_or_else(|| Refusal::bad("Argument was not a valid HMS Flag"))
    }

    fn state(&self) -> Result<Change, Refusal> {
        if self.state.is_empty() {
            return Err(Refusal::bad("Missing State"));
        }
        let state = values::word(STATES, &self.state)
            .ok_or_else(|| Refusal::bad("Argument was not a valid HMS State"))?;
        let flag = if self.flag.is_empty() { "OK" } else { self.valid_flag()? };
        if !self.force && !LIVE.contains(&state) {
            return Err(Refusal::bad("operation not allowed and not forced."));
        }
        Ok(Change::State { state, flag, force: self.force })
    }

    fn flag(&self) -> Result<Change, Refusal> {
        if self.flag.is_empty() {
            return Err(Refusal::bad("Missing Flag"));
        }
        self.valid_flag().map(Change::Flag)
    }

    fn enabled(&self) -> Result<Change, Refusal> {
        self.enabled.map(Change::Enabled).ok_or_else(|| Refusal::bad("Missing Enabled field"))
    }

    fn software_status(&self) -> Result<Change, Refusal> {
        let text = self.softwarestatus.clone().ok_or_else(|| Refusal::bad("Missing SoftwareStatus"))?;
        plain("SoftwareStatus", &text)?;
        Ok(Change::SoftwareStatus(text))
    }

    fn role(&self) -> Result<Change, Refusal> {
        let wrong = || Refusal::bad("a required argument did not match any valid input");
        if self.role.is_empty() {
            return Err(Refusal::bad("Missing Role"));
        }
        let role = values::word(ROLES, &self.role).ok_or_else(wrong)?;
        let sub_role = match self.subrole.as_str() {
            "" => "",
            text => values::word(SUB_ROLES, text).ok_or_else(wrong)?,
        };
        Ok(Change::Role { role, sub_role })
    }

    fn nid(&self) -> Result<Change, Refusal> {
        let given = self.nid.as_ref().ok_or_else(|| Refusal::bad("Missing NID"))?;
        let nid = number(given).ok_or_else(|| Refusal::bad(format!("NID '{given}' is not an integer")))?;
        Ok(Change::Nid((nid >= 0).then_some(nid)))
    }
}

impl Change {
    fn apply(&self, component: &mut Component) {
        match self {
            // What was never populated does not come alive by a report that nobody forces. A component without any
            // state is not held to have been one of those.
            Self::State { force: false, .. }
                if matches!(component.state.as_str(), "Unknown" | "Empty" | "Populated") => {}
            Self::State { state, flag, .. } => {
                component.state = (*state).to_owned();
                component.flag = (*flag).to_owned();
            }
            Self::Flag(flag) => component.flag = (*flag).to_owned(),
            Self::Enabled(enabled) => component.enabled = *enabled,
            Self::SoftwareStatus(text) => component.software_status.clone_from(text),
            Self::Role { role, sub_role } => {
                component.role = (*role).to_owned();
                component.sub_role = (*sub_role).to_owned();
            }
            Self::Nid(nid) => component.nid = *nid,
        }
    }

    /// Changes a component; one that does not exist is passed over.
    fn put(&self, draft: &mut Draft<'_>, id: &str, remarks: &mut Remarks) -> Result<(), Owned> {
        let Some(there) = draft.inventory().components.get(id) else { return Ok(()) };
        let mut changed = Component::clone(&there);
        self.apply(&mut changed);
        if let Self::Nid(nid) = self {
            remark_nid(draft, id, *nid, remarks);
        }
        if changed != *there { draft.put(changed) } else { Ok(()) }
    }
}

/// The location in a list of a body.
fn member_location(text: &str) -> Result<Location, Refusal> {
    text.parse().map_err(|_| Refusal::bad("invalid xname ID"))
}

fn patch_one(ask: &Ask<'_>, draft: &mut Draft<'_>, change: fn(&Patch) -> Result<Change, Refusal>) -> Answer {
    let id = location(ask, "invalid xname ID")?;
    let patch: Patch = body(ask)?;
    if !patch.id.is_empty() && patch.id.parse() != Ok(id.clone()) {
        return Err(Refusal::bad("ID in URL and PATCH body do not match"));
    }
    let mut remarks = Remarks::default();
    change(&patch)?.put(draft, id.as_str(), &mut remarks)?;
    Ok(remarks.on(Reply::no_content()))
}

fn patch_several(
    ask: &Ask<'_>,
    draft: &mut Draft<'_>,
    change: fn(&Patch) -> Result<Change, Refusal>,
) -> Answer {
    let patch: Patch = body(ask)?;
    if patch.componentids.is_empty() {
        return Err(Refusal::bad("Missing IDs"));
    }
    let ids = patch.componentids.iter().map(|id| member_location(id)).collect::<Result<Vec<_>, _>>()?;
    let change = change(&patch)?;
    let (mut owned, mut remarks) = (Vec::new(), Remarks::default());
    for id in &ids {
        owned.extend(change.put(draft, id.as_str(), &mut remarks).err());
    }
    if owned.is_empty() { Ok(remarks.on(Reply::no_content())) } else { Err(Refusal::owned(&owned)) }
}

pub(super) fn state(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_one(ask, draft, Patch::state)
}

pub(super) fn flag(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_one(ask, draft, Patch::flag)
}

pub(super) fn enabled(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_one(ask, draft, Patch::enabled)
}

pub(super) fn software_status(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_one(ask, draft, Patch::software_status)
}

pub(super) fn role(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_one(ask, draft, Patch::role)
}

pub(super) fn nid(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_one(ask, draft, Patch::nid)
}

pub(super) fn state_of_several(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_several(ask, draft, Patch::state)
}

pub(super) fn flag_of_several(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_several(ask, draft, Patch::flag)
}

pub(super) fn enabled_of_several(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_several(ask, draft, Patch::enabled)
}

pub(super) fn software_status_of_several(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_several(ask, draft, Patch::software_status)
}

pub(super) fn role_of_several(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    patch_several(ask, draft, Patch::role)
}

/// Node numbers, each component its own.
pub(super) fn nids(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Answer {
    let body: Several = body(ask)?;
    if body.components.is_empty() {
        return Err(Refusal::bad("Missing Components"));
    }
    let (mut owned, mut remarks) = (Vec::new(), Remarks::default());
    for given in &body.components {
        let id = member_location(&given.id)?;
        let missing = "operation 'Bulk Update NID' failed: NID value missing.  Use NID < 0 to unset.";
        let value = given.nid.as_ref().ok_or_else(|| Refusal::bad(missing))?;
        let nid = number(value).ok_or_else(|| {
            Refusal::new(StatusCode::BAD_REQUEST, format!("NID '{value}' of {id} is not an integer"))
        })?;
        let change = Change::Nid((nid >= 0).then_some(nid));
        owned.extend(change.put(draft, id.as_str(), &mut remarks).err());
    }
    if owned.is_empty() { Ok(remarks.on(Reply::no_content())) } else { Err(Refusal::owned(&owned)) }
}
