//! What all resources of the newer services have in common: one form (`apiVersion`, `kind`, `metadata`, `spec`,
//! `status`), one set of verbs, one way to name them.
//!
//! A service says by [`Resource`] what its kind is made of; [`routes`] gives the verbs. Three rules make them
//! kinder than the reference: a name is good wherever a uid is, sending the same resource again gives the one
//! that is there, and a patch may remove what is not there.

use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::openchami::api::json::{self, BadJson, Keys};
use crate::openchami::api::route::SMALL;
use crate::openchami::api::{Access, Ask, Handler, Reply, Route, Service};
use crate::openchami::inventory::{Draft, Inventory, Meta, Owned};

use super::patch::{self, Form};

/// A kind of resource.
pub trait Resource: Sized {
    /// What a client says of it. Equal ones mean the same resource.
    type Spec: Serialize + PartialEq;

    /// Its kind: `BootConfiguration`.
    const KIND: &'static str;

    /// Members of the spec that PUT leaves as they are when it does not say them: facts that other services tell,
    /// too.
    const SHARED: &'static [&'static str] = &[];

    /// Reads a spec and checks it; `old` is what it shall replace.
    fn read(spec: Value, old: Option<&Self>) -> Result<Self::Spec, Refusal>;

    /// All there are.
    fn all(inventory: &Inventory) -> Vec<Self>;

    /// Those with this uid: one at most, unless the uid is made from something longer.
    fn by_uid(inventory: &Inventory, uid: &str) -> Vec<Self>;

    /// Those with this name, or another text that names one of them.
    fn by_name(inventory: &Inventory, name: &str) -> Vec<Self>;

    /// Name, uid, labels, times.
    fn meta(&self) -> Meta;

    /// What is stored of it.
    fn spec(&self) -> Self::Spec;

    /// Whether adding this spec under the same name once more would change nothing.
    fn says(&self, spec: &Self::Spec) -> bool {
        self.spec() == *spec
    }

    /// What is known of it.
    fn status(&self) -> Value {
        json!({})
    }

    /// Stores it, new or in place of `old`. The uid in `meta` is the old one's, or a fresh one.
    fn put(draft: &mut Draft<'_>, old: Option<&Self>, meta: Meta, spec: Self::Spec) -> Result<Self, Refusal>;

    /// Removes it.
    fn remove(&self, draft: &mut Draft<'_>) -> Result<(), Refusal>;

    /// Takes what a client says of its status; most kinds have none.
    fn set_status(self, _draft: &mut Draft<'_>, _status: Value) -> Result<Self, Refusal> {
        Ok(self)
    }
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The body is not of the right form.
    #[error("invalid request body: {0}")]
    Body(String),
    /// A value that cannot be.
    #[error("validation failed: {0}")]
    Invalid(String),
    /// There is none.
    #[error("{0}")]
    NotFound(String),
    /// It would contradict another record.
    #[error("{0}")]
    Conflict(String),
    /// A file says otherwise.
    #[error(transparent)]
    Owned(#[from] Owned),
    /// The patch does not fit.
    #[error("failed to apply patch to spec: {0}")]
    Patch(#[from] patch::PatchError),
}

impl From<BadJson> for Refusal {
    fn from(bad: BadJson) -> Self {
        Self::Body(bad.to_string().trim_start_matches("error decoding JSON ").to_owned())
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Body(_) | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) | Self::Owned(_) => StatusCode::CONFLICT,
            Self::Patch(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    /// The answer, in the form of the route's service.
    pub fn reply(&self, ask: &Ask<'_>) -> Reply {
        ask.refuse(self.status(), &self.to_string())
    }
}

/// Refuses a text with control characters: it could end up in a script or a log.
pub fn clean(what: &str, text: &str) -> Result<(), Refusal> {
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(c) => Err(Refusal::Invalid(format!(
            "{what} holds the control character {}; it needs to be one line of text",
            c.escape_unicode()
        ))),
    }
}

/// A uid of this kind that is not in use: the kind in lower case, a hyphen, eight hexadecimal digits.
pub fn fresh_uid(inventory: &Inventory, kind: &str, seed: &str, taken: impl Fn(&str) -> bool) -> String {
    let space = uuid::Uuid::from_bytes(*inventory.salt());
    let mut uid = String::new();
    for attempt in 0_u32.. {
        let hash = uuid::Uuid::new_v5(&space, format!("{kind} {attempt} {seed}").as_bytes());
        uid = format!("{}-{}", kind.to_lowercase(), &hash.simple().to_string()[..8]);
        if !taken(&uid) {
            break;
        }
    }
    uid
}

/// The verbs of a collection. The paths are `/things`, `/things/{uid}` and `/things/{uid}/status`.
pub const fn routes<R: Resource>(service: Service, paths: [&'static str; 3]) -> [Route; 8] {
    let [list, one, status] = paths;
    const fn read(
        service: Service,
        path: &'static str,
        summary: &'static str,
        h: fn(&Ask<'_>) -> Reply,
    ) -> Route {
        let handler = Handler::Read(h);
        Route { service, method: Method::GET, path, access: Access::Admin, limit: SMALL, summary, handler }
    }
    const fn write(
        service: Service,
        method: Method,
        path: &'static str,
        summary: &'static str,
        h: fn(&Ask<'_>, &mut Draft<'_>) -> Reply,
    ) -> Route {
        let handler = Handler::Write(h);
        Route { service, method, path, access: Access::Admin, limit: SMALL, summary, handler }
    }
    [
        read(service, list, "All resources of this kind", all::<R>),
        write(
            service,
            Method::POST,
            list,
            "Add a resource; the same once more gives the one that is there",
            create::<R>,
        ),
        read(service, one, "A resource by uid or name", get::<R>),
        write(service, Method::PUT, one, "Replace a resource's spec", replace::<R>),
        write(
            service,
            Method::PATCH,
            one,
            "Change a resource's spec: merge patch, JSON patch or shorthand",
            change::<R>,
        ),
        write(service, Method::DELETE, one, "Remove a resource", delete::<R>),
        write(service, Method::PUT, status, "Say what is known of a resource", set_status::<R>),
        write(service, Method::PATCH, status, "Say what is known of a resource", set_status::<R>),
    ]
}

fn all<R: Resource>(ask: &Ask<'_>) -> Reply {
    let list: Vec<Value> = R::all(ask.inventory()).iter().map(object).collect();
    Reply::json(StatusCode::OK, &list)
}

fn get<R: Resource>(ask: &Ask<'_>) -> Reply {
    answer(ask, StatusCode::OK, named::<R>(ask, ask.inventory()))
}

fn create<R: Resource>(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut made = || {
        let body = Body::read(&ask.request.body)?;
        let spec = R::read(body.spec, None)?;
        let twin = R::by_name(draft.inventory(), &body.name)
            .into_iter()
            .find(|known| known.meta().name == body.name && known.says(&spec));
        if let Some(twin) = twin {
            return Ok((StatusCode::OK, twin));
        }
        let now = ask.time();
        let inventory = draft.inventory();
        let uid = fresh_uid(inventory, R::KIND, &format!("{now} {}", body.name), |uid| {
            !R::by_uid(inventory, uid).is_empty()
        });
        let meta = Meta {
            name: body.name,
            uid,
            labels: body.labels.unwrap_or_default(),
            annotations: body.annotations.unwrap_or_default(),
            created_at: now.clone(),
            updated_at: now,
        };
        Ok((StatusCode::CREATED, R::put(draft, None, meta, spec)?))
    };
    match made() {
        Ok((status, resource)) => Reply::json(status, &object(&resource)),
        Err(refusal) => Refusal::reply(&refusal, ask),
    }
}

fn replace<R: Resource>(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut replaced = || {
        let old = named::<R>(ask, draft.inventory())?;
        let body = Body::read(&ask.request.body)?;
        let spec = R::read(with_shared::<R>(body.spec, &old)?, Some(&old))?;
        let mut meta = old.meta();
        if !body.name.is_empty() {
            meta.name = body.name;
        }
        meta.labels = body.labels.unwrap_or(meta.labels);
        meta.annotations = body.annotations.unwrap_or(meta.annotations);
        update(ask, draft, old, meta, spec)
    };
    answer(ask, StatusCode::OK, replaced())
}

fn change<R: Resource>(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut changed = || {
        let old = named::<R>(ask, draft.inventory())?;
        let patch =
            serde_json::from_slice(&ask.request.body).map_err(|error| Refusal::Body(error.to_string()))?;
        let mut spec = serde_json::to_value(old.spec()).map_err(|error| Refusal::Body(error.to_string()))?;
        patch::apply(Form::of(ask.request.content_type.as_deref()), &mut spec, patch)?;
        let spec = R::read(spec, Some(&old))?;
        let meta = old.meta();
        update(ask, draft, old, meta, spec)
    };
    answer(ask, StatusCode::OK, changed())
}

/// What PUT says, and of what is shared with other services what it does not say.
fn with_shared<R: Resource>(spec: Value, old: &R) -> Result<Value, Refusal> {
    let (Value::Object(mut said), false) = (spec.clone(), R::SHARED.is_empty()) else { return Ok(spec) };
    let known = serde_json::to_value(old.spec()).map_err(|error| Refusal::Body(error.to_string()))?;
    for key in R::SHARED {
        if let Some(value) = known.get(key)
            && !said.iter().any(|(said, value)| said.eq_ignore_ascii_case(key) && !value.is_null())
        {
            said.insert((*key).to_owned(), value.clone());
        }
    }
    Ok(Value::Object(said))
}

/// Stores what differs from before; a resource that stays as it is keeps its time.
fn update<R: Resource>(
    ask: &Ask<'_>,
    draft: &mut Draft<'_>,
    old: R,
    mut meta: Meta,
    spec: R::Spec,
) -> Result<R, Refusal> {
    if meta == old.meta() && spec == old.spec() {
        return Ok(old);
    }
    meta.updated_at = ask.time();
    R::put(draft, Some(&old), meta, spec)
}

fn delete<R: Resource>(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut deleted = || {
        let old = named::<R>(ask, draft.inventory())?;
        old.remove(draft)?;
        Ok(old.meta().uid)
    };
    match deleted() {
        Ok(uid) => {
            let message = format!("{} deleted successfully", R::KIND);
            Reply::json(StatusCode::OK, &json!({"message": message, "uid": uid}))
        }
        Err(refusal) => Refusal::reply(&refusal, ask),
    }
}

fn set_status<R: Resource>(ask: &Ask<'_>, draft: &mut Draft<'_>) -> Reply {
    let mut set = || {
        let old = named::<R>(ask, draft.inventory())?;
        let status = json::read::<Value>(&ask.request.body, Keys::default())?;
        old.set_status(draft, status)
    };
    answer(ask, StatusCode::OK, set())
}

fn answer<R: Resource>(ask: &Ask<'_>, status: StatusCode, outcome: Result<R, Refusal>) -> Reply {
    match outcome {
        Ok(resource) => Reply::json(status, &object(&resource)),
        Err(refusal) => refusal.reply(ask),
    }
}

/// The resource as clients see it.
fn object<R: Resource>(resource: &R) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": R::KIND,
        "metadata": resource.meta(),
        "spec": resource.spec(),
        "status": resource.status(),
    })
}

/// The one that the path names, by uid or name.
fn named<R: Resource>(ask: &Ask<'_>, inventory: &Inventory) -> Result<R, Refusal> {
    let id = ask.variable("uid");
    let mut found = R::by_uid(inventory, id);
    if found.is_empty() {
        found = R::by_name(inventory, id);
    }
    match found.len() {
        0 => Err(Refusal::NotFound(format!("{} not found: none has the uid or the name {id}", R::KIND))),
        1 => Ok(found.remove(0)),
        _ => {
            let those: Vec<String> = found.iter().map(|one| one.meta().uid).take(8).collect();
            Err(Refusal::Conflict(format!("{id} names several: use the uid, {}", those.join(" or "))))
        }
    }
}

/// What POST and PUT carry; uid and times are ours.
struct Body {
    name: String,
    labels: Option<Map<String, Value>>,
    annotations: Option<Map<String, Value>>,
    spec: Value,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    name: String,
    labels: Option<Map<String, Value>>,
    annotations: Option<Map<String, Value>>,
}

impl Body {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Written {
            #[serde(default)]
            metadata: Said,
            #[serde(default)]
            labels: Option<Map<String, Value>>,
            #[serde(default)]
            annotations: Option<Map<String, Value>>,
            #[serde(default)]
            spec: Option<Map<String, Value>>,
        }
        let keys = Keys { loose: false, free: &["labels", "annotations", "spec"] };
        let Written { metadata, labels, annotations, spec } = json::read(body, keys)?;
        clean("the name", &metadata.name)?;
        Ok(Self {
            name: metadata.name,
            labels: metadata.labels.or(labels),
            annotations: metadata.annotations.or(annotations),
            spec: Value::Object(spec.unwrap_or_default()),
        })
    }
}
