//! What was read from one BMC, and what is worth reading next.
//!
//! Links lead from the ServiceRoot to everything else. A link is a path on the same BMC: one that names
//! another host is not followed, because name and password would go along.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where every Redfish service begins (DSP0266, 8.2).
pub const ROOT: &str = "/redfish/v1/";
/// Documents of one BMC that are read; a chassis with eight nodes of four cards has about a hundred.
pub const DOCUMENTS_MAX: usize = 1000;

/// Why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// An answer that is no 200.
    #[error("{0}")]
    Status(u16),
    /// No answer, or none that can be read.
    #[error("{0}")]
    Broken(String),
}

/// Documents by path.
#[derive(Debug, Default)]
pub struct Documents {
    read: BTreeMap<String, Result<Value, Problem>>,
}

/// A link's path on the BMC itself: absolute, without the fragment. `None` for a link to another host.
fn path_of(link: &str) -> Option<&str> {
    let path = link.split('#').next().unwrap_or_default();
    let plain = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', ' ']);
    (plain && !path.chars().any(char::is_control)).then_some(path)
}

/// The path behind `key` of a document: `{"@odata.id": "/redfish/v1/Systems"}`.
pub fn link<'v>(document: &'v Value, key: &str) -> Option<&'v str> {
    path_of(document.get(key)?.get("@odata.id")?.as_str()?)
}

/// The paths of a list of links.
pub fn links(list: Option<&Value>) -> impl Iterator<Item = &str> {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| path_of(item.get("@odata.id")?.as_str()?))
}

impl Documents {
    /// Notes what came of reading `path`.
    pub fn take(&mut self, path: String, result: Result<Value, Problem>) {
        self.read.insert(path, result);
    }

    /// Number of documents asked for.
    pub fn len(&self) -> usize {
        self.read.len()
    }

    /// True before the first one.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// A document that was read.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.read.get(path)?.as_ref().ok()
    }

    /// Why a document was not read.
    pub fn problem(&self, path: &str) -> Option<&Problem> {
        self.read.get(path)?.as_ref().err()
    }

    /// Paths and reasons of everything that could not be read.
    pub fn problems(&self) -> impl Iterator<Item = (&str, &Problem)> {
        self.read.iter().filter_map(|(path, result)| Some((path.as_str(), result.as_ref().err()?)))
    }

    /// The members of a collection, over all its pages (DSP0266, 7.5: `Members@odata.nextLink`).
    pub fn members(&self, collection: &str) -> Vec<&str> {
        let mut members = Vec::new();
        let mut pages = vec![collection];
        let mut at = 0;
        while let Some(page) = pages.get(at).and_then(|page| self.get(page)) {
            members.extend(links(page.get("Members")));
            let next = page.get("Members@odata.nextLink").and_then(|next| path_of(next.as_str()?));
            // A page that leads back to an earlier one would never end.
            pages.extend(next.filter(|next| !pages.contains(next)));
            at += 1;
        }
        members
    }

    /// Every page of a collection that is known so far.
    fn pages<'v>(&'v self, collection: &'v str) -> Vec<&'v str> {
        let mut pages = vec![collection];
        let mut at = 0;
        while let Some(page) = pages.get(at).and_then(|page| self.get(page)) {
            let next = page.get("Members@odata.nextLink").and_then(|next| path_of(next.as_str()?));
            pages.extend(next.filter(|next| !pages.contains(next)));
            at += 1;
        }
        pages
    }

    /// The Systems: of the collection; where that cannot be read, those that the Chassis name.
    pub fn systems(&self) -> Vec<&str> {
        self.collection_or_chassis("Systems", "ComputerSystems")
    }

    /// The Managers, likewise.
    pub fn managers(&self) -> Vec<&str> {
        self.collection_or_chassis("Managers", "ManagedBy")
    }

    fn collection_or_chassis(&self, collection: &str, links_of_chassis: &str) -> Vec<&str> {
        let Some(root) = self.get(ROOT) else { return Vec::new() };
        let path = link(root, collection);
        let mut found = path.map(|path| self.members(path)).unwrap_or_default();
        if path.is_none_or(|path| self.problem(path).is_some()) {
            let chassis = link(root, "Chassis").map(|path| self.members(path)).unwrap_or_default();
            let of_chassis = |path: &&'_ str| {
                self.get(path).and_then(|document| document.get("Links")?.get(links_of_chassis))
            };
            found.extend(chassis.iter().filter_map(of_chassis).flat_map(|list| links(Some(list))));
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|path| seen.insert(*path));
        found
    }

    /// What to read next, in a fixed order; nothing when all is read.
    pub fn wanted(&self) -> Vec<String> {
        let Some(root) = self.get(ROOT) else {
            return if self.read.is_empty() { vec![ROOT.to_owned()] } else { Vec::new() };
        };
        let mut paths: Vec<&str> = Vec::new();
        for key in ["Systems", "Managers"] {
            match link(root, key) {
                Some(path) => paths.extend(self.pages(path)),
                None => paths.extend(link(root, "Chassis")),
            }
            if link(root, key).is_some_and(|path| self.problem(path).is_some()) {
                paths.extend(link(root, "Chassis"));
            }
        }
        if let Some(chassis) = link(root, "Chassis").filter(|path| self.get(path).is_some()) {
            paths.extend(self.pages(chassis));
            paths.extend(self.members(chassis));
        }
        for machine in self.systems().into_iter().chain(self.managers()) {
            paths.push(machine);
            let Some(document) = self.get(machine) else { continue };
            for key in ["EthernetInterfaces", "NetworkInterfaces"] {
                let Some(collection) = link(document, key) else { continue };
                paths.extend(self.pages(collection));
                for member in self.members(collection) {
                    paths.push(member);
                    let links = self.get(member).and_then(|member| member.get("Links"));
                    paths.extend(links.and_then(|links| link(links, "NetworkAdapter")));
                }
            }
        }
        let mut seen = std::collections::HashSet::new();
        paths.retain(|path| !self.read.contains_key(*path) && seen.insert(*path));
        paths.truncate(DOCUMENTS_MAX.saturating_sub(self.read.len()));
        paths.into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read_all(service: &[(&str, Value)]) -> Documents {
        let mut documents = Documents::default();
        loop {
            let wanted = documents.wanted();
            if wanted.is_empty() {
                return documents;
            }
            for path in wanted {
                let found =
                    service.iter().find(|(known, _)| *known == path).map(|(_, document)| document.clone());
                documents.take(path, found.ok_or(Problem::Status(404)));
            }
        }
    }

    #[test]
    fn pages_are_followed_once_and_links_to_another_host_never() {
        let service = [
            (ROOT, json!({"Systems": {"@odata.id": "/s"}, "Managers": {"@odata.id": "//evil/m"}})),
            ("/s", json!({"Members": [{"@odata.id": "/s/1"}], "Members@odata.nextLink": "/s?page=2"})),
            (
                "/s?page=2",
                json!({"Members": [{"@odata.id": "/s/2"}, {"@odata.id": "https://evil/s/3"}],
                                 "Members@odata.nextLink": "/s"}),
            ),
            ("/s/1", json!({"EthernetInterfaces": {"@odata.id": "https://evil/e"}})),
            ("/s/2", json!({})),
        ];
        let documents = read_all(&service);
        assert_eq!(documents.systems(), ["/s/1", "/s/2"]);
        assert_eq!(documents.len(), 5, "nothing of another host: {documents:?}");
        assert_eq!(documents.problems().count(), 0);
    }

    #[test]
    fn without_a_collection_of_systems_the_chassis_lead_to_them() {
        let service = [
            (ROOT, json!({"Systems": {"@odata.id": "/s"}, "Chassis": {"@odata.id": "/c"}})),
            ("/c", json!({"Members": [{"@odata.id": "/c/1"}]})),
            (
                "/c/1",
                json!({"Links": {"ComputerSystems": [{"@odata.id": "/s/1"}], "ManagedBy": [{"@odata.id": "/m/1"}]}}),
            ),
            ("/s/1", json!({})),
            ("/m/1", json!({})),
        ];
        let documents = read_all(&service);
        assert_eq!((documents.systems(), documents.managers()), (vec!["/s/1"], vec!["/m/1"]));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let path = prop_oneof![Just("/redfish/v1/"), Just("/a"), Just("/b"), Just("//x"), Just("")];
        let leaf =
            prop_oneof![Just(Value::Null), path.prop_map(Value::from), any::<i64>().prop_map(Value::from)];
        let key = prop_oneof![
            Just("Systems"),
            Just("Managers"),
            Just("Chassis"),
            Just("Members"),
            Just("@odata.id"),
            Just("Links"),
            Just("Members@odata.nextLink"),
            Just("EthernetInterfaces"),
            Just("NetworkInterfaces"),
            Just("ComputerSystems"),
            Just("NetworkAdapter"),
        ];
        leaf.prop_recursive(4, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..4).prop_map(|pairs| {
                    Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn reading_ends_whatever_a_bmc_answers(root in any_json(), a in any_json(), b in any_json()) {
            let documents = read_all(&[(ROOT, root), ("/a", a), ("/b", b)]);
            prop_assert!(documents.len() <= 4);
            crate::discover::redfish::inventory::inventory(&documents, "https://h:443", None);
        }
    }
}
