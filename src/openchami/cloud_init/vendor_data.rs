//! `vendor-data`: the list of group files that the node is to fetch, and `user-data`, which is nobody's.

use hyper::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::boot::urls;
use crate::openchami::api::{Ask, Reply, Service};
use crate::openchami::history::Endpoint;

use super::node::{self, groups_of};
use super::{defaults, group_file, instance_info};

/// Characters of a group's name that stand in a URL as they are.
const IN_A_NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b':');

/// `GET /user-data`: a constant. What nodes get comes by vendor-data, so that a user-data of their own, on the
/// kernel line or in the image, is not in the way.
pub fn user_data(ask: &Ask<'_>) -> Reply {
    if let Some(node) = ask.request.asker.node.as_ref().filter(|_| !ask.found.variables.contains_key("id")) {
        ask.history.note(node, Endpoint::UserData, ask.request.now.as_second());
    }
    let reply = Reply::text(StatusCode::OK, "#cloud-config");
    match ask.found.route.service {
        Service::Metadata => Reply { kind: "text/cloud-config", body: "#cloud-config\n".into(), ..reply },
        _ => reply,
    }
}

/// `GET /vendor-data`
pub fn get(ask: &Ask<'_>) -> Reply {
    let id = match node::subject(ask) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let base = base(ask, &id);
    let mut text = "#include\n".to_owned();
    for (label, group) in groups_of(ask.inventory(), &id) {
        // A listed file that is not there makes the node lose all of them (cloud-init 22.4.2): what is listed is
        // what `group_file` answers with something.
        if group.is_some_and(|group| group_file::can_be_read(&label, &group)) {
            let name = utf8_percent_encode(&label, IN_A_NAME);
            text.push_str(&format!("{base}{}/{name}.yaml\n", ask.found.prefix));
        }
    }
    Reply::text(StatusCode::OK, &text)
}

/// Scheme and authority of the URLs: of the base URL that the node or the cluster has, else those by which the
/// node reaches us.
fn base(ask: &Ask<'_>, id: &str) -> String {
    let inventory = ask.inventory();
    let own = instance_info::of(inventory, id).map(|info| info.cloud_init_base_url.clone());
    let general = || defaults::in_force(inventory).map(|defaults| defaults.base_url.clone());
    let stated = own.filter(|url| !url.is_empty()).or_else(general);
    stated.as_deref().and_then(origin).map_or_else(|| reachable(ask), str::to_owned)
}

/// Where no base URL says it: what the node reaches by asking is what it reaches; for an administrator who asks
/// in its place, the listener that faces nodes.
fn reachable(ask: &Ask<'_>) -> String {
    let impersonated = ask.found.variables.contains_key("id");
    let settings = ask.settings();
    let facing = || {
        let interfaces = settings.interfaces.iter();
        let address = interfaces.filter_map(|interface| interface.address.or(interface.served_at)).next()?;
        urls::base(settings, address)
    };
    impersonated.then(facing).flatten().unwrap_or_else(|| ask.request.base.clone())
}

/// `http://host:port` of a URL.
pub fn origin(url: &str) -> Option<&str> {
    let after = url.find("://")? + 3;
    let end = url[after..].find(['/', '?', '#']).map_or(url.len(), |at| after + at);
    (end > after).then(|| &url[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_of_a_url_ends_before_its_path() {
        assert_eq!(origin("http://10.0.0.1:8081/cloud-init"), Some("http://10.0.0.1:8081"));
        assert_eq!(origin("https://boot.lab"), Some("https://boot.lab"));
        assert_eq!(origin("http:///x"), None);
        assert_eq!(origin("boot.lab"), None);
    }
}
