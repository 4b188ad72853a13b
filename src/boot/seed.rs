//! Where a node finds its cloud-init data, for the `ds=` word of its kernel line. Only nodes for which there is
//! any get the word: on others cloud-init would wait for a server that has nothing for them.

use crate::openchami::cloud_init::{defaults, instance_info};
use crate::openchami::inventory::Inventory;
use crate::records::Node;

use super::script::one_word;

/// The URL, with a slash at its end: the node's own, else the cluster's, else ours as the node reaches it.
/// `None`: neither cluster defaults nor a group with content apply to the node.
pub fn seed(inventory: &Inventory, node: &Node, base: &str) -> Option<String> {
    let defaults = defaults::in_force(inventory);
    let content =
        |group: &String| inventory.cloud_groups.get(group).is_some_and(|group| !group.content.is_empty());
    if defaults.is_none() && !node.groups.iter().any(content) {
        return None;
    }
    let own = node.xname.as_ref().and_then(|xname| {
        let told = instance_info::of(inventory, xname.as_str())?;
        given(&told.cloud_init_base_url)
    });
    let url = own
        .or_else(|| defaults.and_then(|defaults| given(&defaults.base_url)))
        .unwrap_or_else(|| format!("{base}/cloud-init"));
    Some(format!("{}/", one_word(url.trim_end_matches('/'))))
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::fixture;
    use crate::openchami::inventory::{CloudGroup, ClusterDefaults, Draft, InstanceInfo, Live, Meta};

    const BASE: &str = "http://10.0.0.1:8081";

    fn seed_with(change: impl FnOnce(&mut Draft<'_>)) -> Option<String> {
        let mut live = Live::default();
        change(&mut Draft::new(&mut live, &mut Vec::new()));
        let node = Node { groups: vec!["compute".to_owned()], ..fixture::node(1) };
        seed(&live.inventory, &node, BASE)
    }

    fn group(name: &str, content: &str) -> CloudGroup {
        let metadata = Meta { name: name.to_owned(), ..Meta::default() };
        CloudGroup { metadata, content: content.to_owned(), ..CloudGroup::default() }
    }

    fn defaults(uid: &str, updated_at: &str, base_url: &str) -> ClusterDefaults {
        let metadata = Meta { uid: uid.to_owned(), updated_at: updated_at.to_owned(), ..Meta::default() };
        ClusterDefaults { metadata, base_url: base_url.to_owned(), ..ClusterDefaults::default() }
    }

    #[test]
    fn only_a_node_that_cloud_init_has_something_for_gets_a_seed() {
        assert_eq!(seed_with(|_| {}), None);
        assert_eq!(seed_with(|draft| draft.put(group("login", "#cloud-config\n")).unwrap()), None);
        assert_eq!(seed_with(|draft| draft.put(group("compute", "")).unwrap()), None);
        let ours = Some("http://10.0.0.1:8081/cloud-init/".to_owned());
        assert_eq!(seed_with(|draft| draft.put(group("compute", "#cloud-config\n")).unwrap()), ours);
        assert_eq!(seed_with(|draft| draft.put(defaults("a", "1", "")).unwrap()), ours);
    }

    #[test]
    fn the_nodes_own_url_comes_before_that_of_the_defaults_changed_last() {
        let both = |draft: &mut Draft<'_>| {
            draft.put(defaults("a", "2", "http://new/cloud-init/")).unwrap();
            draft.put(defaults("b", "1", "http://old/cloud-init")).unwrap();
        };
        assert_eq!(seed_with(both).as_deref(), Some("http://new/cloud-init/"));
        let own = |draft: &mut Draft<'_>| {
            both(draft);
            let metadata = Meta { name: "x1000c0s0b0n0".to_owned(), uid: "i".to_owned(), ..Meta::default() };
            let cloud_init_base_url = "http://own/x".to_owned();
            draft.put(InstanceInfo { metadata, cloud_init_base_url, ..InstanceInfo::default() }).unwrap();
        };
        assert_eq!(seed_with(own).as_deref(), Some("http://own/x/"));
    }
}
