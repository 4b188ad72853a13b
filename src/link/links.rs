//! The served interfaces as they are now. The DHCP shell of each interface keeps its entry true; TFTP, HTTP
//! and reloads follow.

use tokio::sync::watch;

use super::Interface;

/// One served interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// As it is, or as it was when it was last seen.
    pub interface: Interface,
    /// It is there, up, and has the address it is served with.
    pub present: bool,
    /// Something is sent there: it is not only observed.
    pub answers: bool,
}

/// All of them, in the order of the settings. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Links(watch::Sender<Vec<Link>>);

impl Default for Links {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Links {
    /// Starts with interfaces that are all there.
    pub fn new(interfaces: Vec<Interface>) -> Self {
        let links = interfaces
            .into_iter()
            .map(|interface| Link { interface, present: true, answers: true })
            .collect();
        Self(watch::Sender::new(links))
    }

    /// Marks the interfaces for which `answers` is false: they are only observed, and no TFTP or HTTP follows
    /// them.
    pub fn answering_on(self, answers: impl Fn(&Interface) -> bool) -> Self {
        self.0.send_modify(|links| {
            links.iter_mut().for_each(|link| link.answers = answers(&link.interface));
        });
        self
    }

    /// Hears of every change from now on.
    pub fn subscribe(&self) -> watch::Receiver<Vec<Link>> {
        self.0.subscribe()
    }

    /// Every served interface as it was last seen.
    pub fn interfaces(&self) -> Vec<Interface> {
        self.0.borrow().iter().map(|link| link.interface.clone()).collect()
    }

    /// Kernel indexes of those that are there.
    pub(super) fn indexes(&self) -> Vec<u32> {
        self.0.borrow().iter().filter(|link| link.present).map(|link| link.interface.index).collect()
    }

    /// The interface of this name is there, and like this.
    pub(super) fn set(&self, now: &Interface) {
        self.change(&now.name, |link| {
            let link_now = Link { interface: now.clone(), present: true, answers: link.answers };
            std::mem::replace(link, link_now.clone()) != link_now
        });
    }

    /// The interface of this name is gone.
    pub(super) fn lose(&self, name: &str) {
        self.change(name, |link| std::mem::replace(&mut link.present, false));
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Link) -> bool) {
        self.0.send_if_modified(|links| {
            links.iter_mut().find(|link| &*link.interface.name == name).is_some_and(change)
        });
    }
}

/// Those of `links` that are there and answer.
pub fn present(links: &[Link]) -> impl Iterator<Item = &Interface> + Clone {
    links.iter().filter(|link| link.present && link.answers).map(|link| &link.interface)
}
