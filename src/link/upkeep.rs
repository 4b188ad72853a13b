//! What keeps an interface served through everything that happens to it while bootlace runs: it goes down, is
//! deleted and made anew, gets another address, MTU or MAC. Its sockets are opened anew each time, and no
//! answer leaves that was made for the interface as it was before.

use std::io;
use std::time::Duration;

use nix::libc::ENETDOWN;

use crate::config::InterfaceSettings;
use crate::journal::{Event, Journal, Level, Notice};

use super::dhcp::{Listener, Shell};
use super::netlink::Changes;
use super::{Interface, LinkError, Links};

/// How soon sockets that could not be opened are tried again, when nothing changes before.
const RETRY: Duration = Duration::from_secs(5);

/// An eye on one interface.
#[derive(Debug)]
pub(super) struct Watch {
    settings: InterfaceSettings,
    changes: Changes,
}

impl Watch {
    /// Whether the interface is not any longer what `interface` says. One system call while nothing changes on
    /// this machine, so it can be asked before each answer.
    pub fn moved(&self, interface: &Interface) -> bool {
        self.changes.pending() && self.differs(interface)
    }

    /// Waits until it has changed.
    pub async fn until_moved(&self, interface: &Interface) -> io::Result<()> {
        loop {
            self.changes.wait().await?;
            if self.differs(interface) {
                return Ok(());
            }
        }
    }

    fn differs(&self, interface: &Interface) -> bool {
        Interface::find(&self.settings).ok().as_ref() != Some(interface)
    }
}

/// Keeps one interface served. `shell` takes the sockets of the interface as it is; returns only when nothing
/// can be done any more. Must run within a tokio runtime.
pub(super) async fn keep(
    mut listener: Listener,
    settings: InterfaceSettings,
    links: Links,
    journal: Journal,
    shell: impl Fn(Listener) -> Shell,
) -> LinkError {
    let name = settings.name.clone();
    let gone = |cause| LinkError::Gone { interface: name.clone(), cause };
    let watch = match Changes::open() {
        Ok(changes) => Watch { settings, changes },
        Err(cause) => return LinkError::Watch { cause },
    };
    let mut costs = listener.costs.clone();
    loop {
        let last = listener.interface.clone();
        // It may have changed since it was looked at and before the watch stood.
        let ended = if watch.differs(&last) {
            // Closed before the next ones are opened: a port has one owner.
            drop(listener);
            Ok(())
        } else {
            shell(listener).run(&watch).await
        };
        match ended {
            Err(cause) if cause.raw_os_error() != Some(ENETDOWN) && !watch.differs(&last) => {
                return gone(cause);
            }
            _ => {}
        }
        listener = match reopened(&watch, &last, &links, &journal).await {
            Ok(listener) => listener,
            Err(cause) => return LinkError::Watch { cause },
        };
        if listener.costs != costs {
            costs.clone_from(&listener.costs);
            for cost in &costs {
                journal.say(Level::Warn, "transport", cost.clone());
            }
        }
    }
}

/// Waits until the interface can be served again, and opens its sockets.
async fn reopened(watch: &Watch, last: &Interface, links: &Links, journal: &Journal) -> io::Result<Listener> {
    let mut away = false;
    let mut failure = String::new();
    loop {
        let now = match Interface::find(&watch.settings) {
            Ok(now) => now,
            Err(error) => {
                if !away {
                    away = true;
                    links.lose(&last.name);
                    let text = format!("{error}; until it is back, {} is not served", last.label());
                    say(journal, Level::Warn, "link-gone", last, text);
                }
                watch.changes.wait().await?;
                continue;
            }
        };
        links.set(&now);
        match Listener::open(&watch.settings, now.clone()) {
            Ok(listener) => {
                let difference = last.difference(&now);
                let (name, mut text) = match away {
                    true => ("link-back", format!("{} is back and served at {}", now.label(), now.address)),
                    false => ("link-changed", format!("{} changed", now.label())),
                };
                if !difference.is_empty() {
                    text = format!("{text}: {difference}");
                } else if !away {
                    text = format!("{} was down for a moment", now.label());
                }
                say(journal, Level::Info, name, &now, text);
                return Ok(listener);
            }
            Err(error) => {
                let text = format!("{error}; trying again every {} s", RETRY.as_secs());
                if text != failure {
                    say(journal, Level::Error, "link-failed", &now, text.clone());
                    failure = text;
                }
                // Either way it is looked at again.
                let _ = tokio::time::timeout(RETRY, watch.changes.wait()).await;
            }
        }
    }
}

fn say(journal: &Journal, level: Level, name: &'static str, interface: &Interface, text: String) {
    let fields = vec![("interface", interface.name.to_string().into())];
    journal.note(Event::Notice(Notice { level, name, text, fields }));
}
