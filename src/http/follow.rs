//! Listeners that follow the served interfaces: `:PORT` means each interface's own address, whichever that is.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::HttpListen;
use crate::journal::{Journal, Level};
use crate::link::{Interface, Links, Peers, links};
use crate::openchami::api::Api;

use super::listener::{self, Hall, Limits, Listener, Sink};

/// How soon an address that could not be listened on is tried again, when nothing changes before.
const RETRY: Duration = Duration::from_secs(5);

/// Where to listen, as the interfaces are. One without an address can be served with another machine's
/// [D6]: HTTP is that machine's, then.
pub fn addresses<'a>(
    listen: &[HttpListen],
    interfaces: impl Iterator<Item = &'a Interface> + Clone,
) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for listen in listen {
        match listen.address {
            Some(address) => addresses.push(SocketAddr::new(address, listen.port)),
            None => {
                let own = interfaces.clone().filter(|interface| interface.has_its_address());
                for own in own {
                    addresses.push(SocketAddr::new(IpAddr::V4(own.address), listen.port));
                    addresses.extend(own.v6.iter().map(|v6| SocketAddr::new(IpAddr::V6(*v6), listen.port)));
                }
            }
        }
    }
    addresses
}

/// Serves `listeners`, and what `listen` means whenever the interfaces change, until `stop` says true or its
/// sender is gone; then lets running responses end, for a limited time.
pub async fn serve(
    listeners: Vec<Listener>,
    listen: Vec<HttpListen>,
    links: Links,
    api: Api,
    peers: Peers,
    journal: Journal,
    mut stop: watch::Receiver<bool>,
) {
    let sink: Sink = {
        let journal = journal.clone();
        Arc::new(move |event| journal.note(event))
    };
    let hall = Hall::new(api, peers, sink, Limits::of_this_process());
    let mut changes = links.subscribe();
    let mut accepting = JoinSet::new();
    // Dropping a sender ends its listener.
    let mut open: HashMap<SocketAddr, watch::Sender<bool>> = HashMap::new();
    let mut failures = Vec::new();
    let admit = |listener: Listener, accepting: &mut JoinSet<()>| {
        let (end, ended) = watch::channel(false);
        hall.accept(listener, ended).map(|accept| {
            accepting.spawn(accept);
            end
        })
    };
    for listener in listeners {
        let address = listener.address();
        match admit(listener, &mut accepting) {
            Ok(end) => drop(open.insert(address, end)),
            Err(error) => failures.push(error.to_string()),
        }
    }
    loop {
        let before = std::mem::take(&mut failures);
        let wanted = addresses(&listen, links::present(&changes.borrow_and_update()));
        // An address that is stated stays, also while this machine does not have it.
        open.retain(|address, _| wanted.contains(address));
        for address in wanted {
            if open.contains_key(&address) {
                continue;
            }
            match listener::bind_one(address).and_then(|listener| admit(listener, &mut accepting)) {
                Ok(end) => drop(open.insert(address, end)),
                Err(error) => failures.push(error.to_string()),
            }
        }
        for failure in failures.iter().filter(|failure| !before.contains(failure)) {
            let text = format!("{failure}; trying again every {} s", RETRY.as_secs());
            journal.say(Level::Error, "link-failed", text);
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            // `links` lives in here, so this ends by a change only.
            _ = changes.changed() => {}
            () = tokio::time::sleep(RETRY), if !failures.is_empty() => {}
            Some(_) = accepting.join_next() => {}
        }
    }
    open.clear();
    while accepting.join_next().await.is_some() {}
}
