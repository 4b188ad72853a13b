//! Which paths there are, for whom, and who answers them: one table that the doors, the API description and the
//! tests read.

use std::collections::HashMap;
use std::sync::OnceLock;

use hyper::{Method, StatusCode};

use super::Ask;
use super::message::Reply;
use crate::openchami::inventory::{Draft, Inventory, Runtime};

/// The services whose interfaces are served.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Service {
    /// State management database.
    Smd,
    /// Boot script service.
    Bss,
    /// cloud-init server.
    CloudInit,
    /// boot-service.
    Boot,
    /// metadata-service.
    Metadata,
    /// What none of them has: bootlace's own.
    Own,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Smd, Self::Bss, Self::CloudInit, Self::Boot, Self::Metadata, Self::Own];

    /// Paths that its routes are found under: its own, and the one that a gateway would add.
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Smd => &["/hsm/v2", "/apis/smd/hsm/v2"],
            Self::Bss => &["/boot/v1", "/apis/bss/boot/v1"],
            Self::CloudInit => &["/cloud-init", "/apis/cloud-init"],
            Self::Boot => &["/boot-service", "/apis/boot-service"],
            Self::Metadata => &["/metadata-service", "/apis/metadata-service"],
            Self::Own => &["/bootlace/v1"],
        }
    }

    /// Name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Smd => "SMD",
            Self::Bss => "BSS",
            Self::CloudInit => "cloud-init",
            Self::Boot => "boot-service",
            Self::Metadata => "metadata-service",
            Self::Own => "bootlace",
        }
    }

    /// A refusal in the form of this service.
    pub fn refuse(self, status: StatusCode, detail: &str) -> Reply {
        match self {
            Self::Smd | Self::Bss | Self::Own => Reply::problem(status, detail),
            Self::CloudInit => {
                Reply { detail: Some(detail.to_owned()), ..Reply::text(status, &format!("{detail}\n")) }
            }
            Self::Boot | Self::Metadata => Reply::error(status, detail),
        }
    }
}

/// Who may use a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Whoever reaches the admin listener and, where tokens are on, has one.
    Admin,
    /// The same, but the setting `public_inventory` opens it to all who reach the admin listener.
    Inventory,
    /// Everybody who reaches the admin listener, also where tokens are on; not found on the boot-facing one.
    Public,
    /// Everybody on both listeners: says nothing of any node.
    Open,
    /// The node that asks, on both listeners: it gets its own data and nobody else's.
    Node,
    /// Whoever may open the control socket on this machine. Not found anywhere else.
    Local,
}

/// What answers.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Reads.
    Read(fn(&Ask<'_>) -> Reply),
    /// Writes; a reply that refuses undoes everything that the handler wrote.
    Write(fn(&Ask<'_>, &mut Draft<'_>) -> Reply),
    /// Reads, after what is told for the first time was stored. Where nothing can be stored the reply is the
    /// same: a machine that boots does not wait for our disk.
    Keep(fn(&Ask<'_>, &Inventory) -> Option<Runtime>, fn(&Ask<'_>) -> Reply),
}

/// Size of a body that holds one record, bytes.
pub const SMALL: usize = 1 << 20;
/// Size of a body that may hold a whole system, bytes.
pub const BULK: usize = 256 << 20;

/// One method of one path.
pub struct Route {
    /// Whose it is.
    pub service: Service,
    /// GET also answers HEAD.
    pub method: Method,
    /// Path below the service's prefix; `{name}` is one element.
    pub path: &'static str,
    /// For whom.
    pub access: Access,
    /// Longest body, bytes.
    pub limit: usize,
    /// One line for the API description.
    pub summary: &'static str,
    /// What answers.
    pub handler: Handler,
}

/// The routes of every service.
pub fn all() -> impl Iterator<Item = &'static Route> {
    crate::openchami::ROUTES.iter().copied().flatten()
}

/// Names below a service's prefix that are also found without the slash: clients only concatenate the URL that
/// they were given, and the one in the tutorial has no slash at its end.
const GLUED: [&str; 4] = ["/meta-data", "/user-data", "/vendor-data", "/network-config"];

/// Paths that are also found without any prefix: what a node is told to call is short.
const AT_ROOT: [&str; 1] = [PHONE_HOME];

/// Where a node says that it is done.
pub const PHONE_HOME: &str = "/phone-home/{id}";

/// What a path leads to.
#[derive(Clone)]
pub enum Routed {
    /// Nowhere.
    NotFound,
    /// Somewhere, by other methods.
    WrongMethod {
        /// The service.
        service: Service,
        /// Its methods, as the `Allow` header lists them.
        allow: String,
    },
    /// To a route.
    Found(Found),
}

/// What the client is told of a path that leads nowhere.
pub fn not_found() -> Reply {
    Reply::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// What the client is told of a path that has other methods.
pub fn wrong_method(service: Service, allow: &str) -> Reply {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let reply = match service {
        Service::Smd | Service::Bss | Service::Own => Reply::problem(status, &format!("allow {allow}")),
        Service::CloudInit | Service::Boot | Service::Metadata => Reply::empty(status),
    };
    reply.with("allow", allow)
}

/// A route with the variables of its path, and the prefix that was used.
#[derive(Clone)]
pub struct Found {
    /// The route.
    pub route: &'static Route,
    /// Variables by name.
    pub variables: HashMap<String, String>,
    /// Prefix of the service that the client used.
    pub prefix: &'static str,
}

struct Place {
    prefix: &'static str,
    routes: Vec<&'static Route>,
}

fn router() -> &'static matchit::Router<Place> {
    static ROUTER: OnceLock<matchit::Router<Place>> = OnceLock::new();
    ROUTER.get_or_init(|| {
        let mut places: Vec<(String, Place)> = Vec::new();
        for route in all() {
            for prefix in route.service.prefixes() {
                let glued = GLUED.contains(&route.path)
                    && matches!(route.service, Service::CloudInit | Service::Metadata);
                let root = AT_ROOT.contains(&route.path) && route.service == Service::CloudInit;
                let bare = (root && *prefix == route.service.prefixes()[0]).then(|| route.path.to_owned());
                let plain = glued.then(|| format!("{prefix}{}", &route.path[1..]));
                for path in std::iter::once(format!("{prefix}{}", route.path)).chain(plain).chain(bare) {
                    match places.iter_mut().find(|(known, _)| *known == path) {
                        Some((_, place)) => place.routes.push(route),
                        None => places.push((path, Place { prefix, routes: vec![route] })),
                    }
                }
            }
        }
        let mut router = matchit::Router::new();
        for (path, place) in places {
            let inserted = router.insert(path, place);
            // The table is fixed; `every_route_can_be_reached` finds two that exclude each other.
            debug_assert!(inserted.is_ok(), "{inserted:?}");
        }
        router
    })
}

/// Where a method and a path lead; the path as in [`super::Request::path`].
pub fn route(method: &Method, path: &str) -> Routed {
    let Ok(matched) = router().at(path) else { return Routed::NotFound };
    let Place { prefix, routes } = matched.value;
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    match routes.iter().find(|route| route.method == *wanted) {
        Some(route) => {
            let variables = matched.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
            Routed::Found(Found { route, variables: variables.collect(), prefix })
        }
        None => {
            let methods: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
            let service = routes[0].service;
            Routed::WrongMethod { service, allow: methods.join(",") }
        }
    }
}

/// A path as routes are looked up: doubled and trailing slashes count once and not at all.
pub fn normalise(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_can_be_reached() {
        for wanted in all() {
            for prefix in wanted.service.prefixes() {
                let path = format!("{prefix}{}", wanted.path).replace('{', "").replace('}', "");
                match route(&wanted.method, &path) {
                    Routed::Found(found) => {
                        let same = std::ptr::eq(found.route, wanted);
                        assert!(same, "{} {path} leads to {}", wanted.method, found.route.path);
                    }
                    _ => panic!("{} {path} leads nowhere", wanted.method),
                }
            }
        }
    }

    #[test]
    fn slashes_more_or_less_make_no_difference() {
        assert_eq!(normalise("//hsm/v2//groups/"), "/hsm/v2/groups");
        assert_eq!(normalise("/"), "/");
    }
}
