//! What firmware does with a set of offers: which it takes, and what it asks next.
//!
//! Pure, and beside the decision: several servers answer one DISCOVER, and the client alone chooses. The
//! choice follows from the packets, so it can be said before the client makes it. Rules: EDK2's table of
//! classes and its order of preference, its HTTP Boot order [H5], iPXE's priorities, PXE 2.1 for BIOS ROMs.

use std::net::{IpAddr, Ipv4Addr};

use crate::client::{Arch, Class, Client};
use crate::dhcp::catalogue::print::{escaped, until_nul};
use crate::dhcp::catalogue::suboptions;
use crate::dhcp::{Packet, code};

/// EDK2 collects this many offers in its first time-out.
const EDK2_PXE_OFFERS: usize = 16;
/// EDK2's HTTP Boot keeps this many [H6].
const EDK2_HTTP_OFFERS: usize = 10;
/// Its HTTP Boot ignores longer messages, bytes [H6].
const EDK2_HTTP_LENGTH: usize = 1472;

/// Whose rules of choice hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Firmware {
    /// UEFI PXE of EDK2's lineage: nearly every UEFI machine.
    UefiPxe,
    /// UEFI HTTP Boot of the same lineage.
    UefiHttp,
    /// iPXE, as NIC ROM or chain-loaded.
    Ipxe,
    /// A BIOS PXE ROM, by PXE 2.1; from the specification, not seen in each ROM.
    BiosRom,
}

impl Firmware {
    /// The rules this client follows; `None` for one that does not netboot.
    pub fn of(client: &Client) -> Option<Self> {
        if client.ipxe.is_some() {
            return Some(Self::Ipxe);
        }
        match client.class {
            Class::Http => Some(Self::UefiHttp),
            Class::Pxe if client.arch.is_some_and(Arch::is_uefi) => Some(Self::UefiPxe),
            Class::Pxe => Some(Self::BiosRom),
            Class::Other => None,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::UefiPxe => "UEFI PXE",
            Self::UefiHttp => "UEFI HTTP Boot",
            Self::Ipxe => "iPXE",
            Self::BiosRom => "a BIOS ROM",
        }
    }
}

/// One server's OFFER, ACK or BOOTP reply, as far as the choice depends on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Option 54, else siaddr, else the IP source: who it is from, as clients read it.
    pub server: Ipv4Addr,
    /// It is one of ours.
    pub ours: bool,
    /// Without option 53.
    pub bootp: bool,
    /// The address given; 0.0.0.0 in a proxy offer.
    pub yiaddr: Ipv4Addr,
    /// Next server; 0.0.0.0 when not said.
    pub siaddr: Ipv4Addr,
    /// Option 60.
    pub class: Class,
    /// Option 43, read as PXE's, holds any of the discovery sub-options 6 to 10.
    pub discovery: bool,
    /// 43.6 bit 3: use the file name, skip menu and discovery.
    pub direct: bool,
    /// 43.9: a boot menu.
    pub menu: bool,
    /// Option 67, else `file`.
    pub file: Option<String>,
    /// 175.1, iPXE's priority; 0 when not said.
    pub priority: i8,
    /// 175.176: iPXE shall listen to no proxy.
    pub no_pxedhcp: bool,
    /// It names DNS servers (6).
    pub dns: bool,
    /// UDP payload, bytes.
    pub length: usize,
}

impl Offer {
    /// Reads a server's message. `source` is its IP source.
    pub fn of(packet: &Packet<'_>, source: Ipv4Addr, ours: bool) -> Self {
        let options = &packet.options;
        let class = match options.get(code::VENDOR_CLASS) {
            Some(class) if class.starts_with(b"PXEClient") => Class::Pxe,
            Some(class) if class.starts_with(b"HTTPClient") => Class::Http,
            _ => Class::Other,
        };
        // Option 43 is PXE's only beside 60 = PXEClient (PXE 2.1 section 2.2).
        let pxe =
            if class == Class::Pxe { options.get(code::VENDOR_SPECIFIC).unwrap_or_default() } else { &[] };
        let pxe = suboptions::encapsulated(pxe).items;
        let ipxe = suboptions::encapsulated(options.get(code::IPXE).unwrap_or_default()).items;
        let byte = |items: &[(u8, &[u8])], wanted: u8| {
            items.iter().find(|(code, _)| *code == wanted).and_then(|(_, value)| value.first().copied())
        };
        let overloaded =
            options.get(code::OVERLOAD).and_then(|value| value.first()).is_some_and(|bits| bits & 1 != 0);
        let header = if overloaded { &[] } else { until_nul(packet.file()) };
        let option = options.get(code::BOOT_FILE).map(until_nul).filter(|file| !file.is_empty());
        let said = |address: Ipv4Addr| Some(address).filter(|address| !address.is_unspecified());
        Self {
            server: options.address(code::SERVER_ID).or_else(|| said(packet.siaddr())).unwrap_or(source),
            ours,
            bootp: packet.message_type().is_none(),
            yiaddr: packet.yiaddr(),
            siaddr: packet.siaddr(),
            class,
            discovery: pxe.iter().any(|(code, _)| (6..=10).contains(code)),
            direct: byte(&pxe, 6).is_some_and(|control| control & 8 != 0),
            menu: pxe.iter().any(|(code, _)| *code == 9),
            file: option.or(Some(header)).filter(|file| !file.is_empty()).map(escaped),
            priority: byte(&ipxe, 1).map_or(0, |value| value as i8),
            no_pxedhcp: byte(&ipxe, 176).is_some_and(|value| value != 0),
            dns: options.get(code::DNS).is_some_and(|value| value.len() >= 4),
            length: packet.bytes().len(),
        }
    }

    /// It gives an address.
    pub fn gives_address(&self) -> bool {
        !self.yiaddr.is_unspecified()
    }

    /// It says something about booting: a class of firmware, or a file to fetch.
    pub fn boots(&self) -> bool {
        self.class != Class::Other || self.file.is_some()
    }

    /// Who serves the file, and who is asked on 4011: siaddr, else the server.
    pub fn next_server(&self) -> Ipv4Addr {
        if self.siaddr.is_unspecified() { self.server } else { self.siaddr }
    }

    /// `ours (10.0.0.1)` or `10.0.0.2's`.
    fn whose(&self) -> String {
        if self.ours { format!("ours ({})", self.server) } else { format!("{}'s", self.server) }
    }
}

/// How EDK2 files an offer away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edk2Class {
    /// An address, with or without a file.
    DhcpOnly,
    /// An address and complete PXE data.
    DhcpPxe10,
    /// An address and 60 alone: ask on 4011.
    DhcpBinl,
    /// PXE data beside another server's address.
    ProxyPxe10,
    /// 60 beside another server's address: ask on 4011.
    ProxyBinl,
    /// A BOOTP reply.
    Bootp,
    /// Thrown away.
    Dropped,
}

impl Edk2Class {
    /// The class of one offer: address given, 60 = PXEClient, discovery sub-options in 43.
    pub fn of(offer: &Offer) -> Self {
        match (offer.gives_address(), offer.class == Class::Pxe, offer.discovery) {
            _ if offer.bootp => Self::Bootp,
            (true, false, _) => Self::DhcpOnly,
            (true, true, true) => Self::DhcpPxe10,
            (true, true, false) => Self::DhcpBinl,
            (false, true, true) => Self::ProxyPxe10,
            (false, true, false) => Self::ProxyBinl,
            (false, false, _) => Self::Dropped,
        }
    }
}

/// What the firmware does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Fetches this file: by TFTP from `server` unless the file is a URL.
    Fetch {
        /// Next server.
        server: Ipv4Addr,
        /// Name or URL.
        file: String,
    },
    /// Shows the menu, or discovers servers, as option 43 says.
    Menu,
    /// Asks this address on port 4011; with nobody there the boot stops.
    Ask4011(Ipv4Addr),
    /// It has an address and nothing to boot.
    NothingToBoot,
    /// It has no address and sends DISCOVER again.
    NoAddress,
}

/// Which offers the firmware takes, as indexes into what was given, and what follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The offer that the address comes from.
    pub address: Option<usize>,
    /// The offer that the boot data come from.
    pub boot: Option<usize>,
    /// What the firmware does next.
    pub next: Next,
    /// The same as a sentence without its subject: `takes 10.0.0.2's offer …`.
    pub why: String,
}

/// What firmware of this kind does with these offers, which stand in order of arrival.
pub fn outcome(firmware: Firmware, offers: &[Offer]) -> Outcome {
    match firmware {
        Firmware::UefiPxe => pxe(&offers[..offers.len().min(EDK2_PXE_OFFERS)], false),
        Firmware::BiosRom => pxe(offers, true),
        Firmware::UefiHttp => http(&offers[..offers.len().min(EDK2_HTTP_OFFERS)]),
        Firmware::Ipxe => ipxe(offers),
    }
}

/// EDK2's order; a BIOS ROM differs in what makes a proxy offer complete: siaddr and file do, without 43 [X3].
fn pxe(offers: &[Offer], bios: bool) -> Outcome {
    let find = |wanted: Edk2Class| {
        offers.iter().position(|offer| {
            let complete = bios && offer.file.is_some() && !offer.siaddr.is_unspecified();
            match Edk2Class::of(offer) {
                Edk2Class::ProxyBinl if complete => wanted == Edk2Class::ProxyPxe10,
                class => class == wanted,
            }
        })
    };
    let plain = find(Edk2Class::DhcpOnly);
    if let Some(full) = find(Edk2Class::DhcpPxe10) {
        let offer = &offers[full];
        let why = format!("takes {} offer, address and PXE data in one, before any other", offer.whose());
        return taken(Some(full), Some(full), pxe_data(offer), why);
    }
    if let (Some(address), Some(proxy)) = (plain, find(Edk2Class::ProxyPxe10)) {
        let offer = &offers[proxy];
        let lost = if bios { "" } else { "; much UEFI firmware loses a first proxy offer with 43 [X1]" };
        let why = format!(
            "takes {} address and boots by {} proxy offer{lost}",
            offers[address].whose(),
            offer.whose()
        );
        return taken(Some(address), Some(proxy), pxe_data(offer), why);
    }
    if let Some(full) = find(Edk2Class::DhcpBinl) {
        let offer = &offers[full];
        let asked = offer.next_server();
        let why = format!(
            "takes {} offer, which says PXEClient (60) without 43, and asks {asked} on port 4011: with nobody \
             there the boot stops [X4]",
            offer.whose()
        );
        return taken(Some(full), Some(full), Next::Ask4011(asked), why);
    }
    if let (Some(address), Some(proxy)) = (plain, find(Edk2Class::ProxyBinl)) {
        let asked = offers[proxy].next_server();
        let why = format!(
            "takes {} address and, by {} proxy offer, asks {asked} on port 4011 [X1]",
            offers[address].whose(),
            offers[proxy].whose()
        );
        return taken(Some(address), Some(proxy), Next::Ask4011(asked), why);
    }
    let with_file = |wanted: Edk2Class| {
        offers.iter().position(|offer| Edk2Class::of(offer) == wanted && offer.file.is_some())
    };
    if let Some(full) = with_file(Edk2Class::DhcpOnly).or_else(|| with_file(Edk2Class::Bootp)) {
        let offer = &offers[full];
        let why = format!("takes address and file from {} offer", offer.whose());
        return taken(Some(full), Some(full), fetch(offer), why);
    }
    leftover(plain, offers)
}

/// The end of every order: an address without boot data, or boot data without an address.
fn leftover(address: Option<usize>, offers: &[Offer]) -> Outcome {
    match address {
        Some(address) => {
            let why = format!("takes {} address and has nothing to boot", offers[address].whose());
            taken(Some(address), None, Next::NothingToBoot, why)
        }
        None if offers.is_empty() => {
            taken(None, None, Next::NoAddress, "gets no offer and asks again".to_owned())
        }
        None => {
            let why = "gets no address that it can use and asks again: a proxy alone cannot boot".to_owned();
            taken(None, None, Next::NoAddress, why)
        }
    }
}

/// HTTP Boot [H5]. A class other than HTTPClient makes an offer with an address a plain one, and one without
/// worth nothing [H1][H4]; HTTPClient without a usable URL loses the whole offer [H2].
fn http(offers: &[Offer]) -> Outcome {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Url {
        Address,
        Name,
    }
    let url = |offer: &Offer| {
        let file = offer.file.as_deref().filter(|_| offer.class == Class::Http)?;
        let rest = file.strip_prefix("http://").or_else(|| file.strip_prefix("https://"))?;
        let authority = rest.split('/').next().filter(|authority| !authority.is_empty())?;
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        Some(if host.parse::<IpAddr>().is_ok() { Url::Address } else { Url::Name })
    };
    let fits = |offer: &Offer| offer.length <= EDK2_HTTP_LENGTH;
    let find = |test: &dyn Fn(&Offer) -> bool| offers.iter().position(|offer| fits(offer) && test(offer));
    let full = |wanted: Url, dns: bool| {
        find(&|offer| offer.gives_address() && url(offer) == Some(wanted) && (!dns || offer.dns))
    };
    let proxy = |wanted: Url| find(&|offer| !offer.gives_address() && url(offer) == Some(wanted));
    let plain = find(&|offer| offer.gives_address() && offer.class != Class::Http && !offer.dns);
    let with_dns = find(&|offer| offer.gives_address() && offer.class != Class::Http && offer.dns);
    if let Some(one) = full(Url::Address, false).or_else(|| full(Url::Name, true)) {
        let why = format!("takes address and URL from {} offer [H5]", offers[one].whose());
        return taken(Some(one), Some(one), fetch(&offers[one]), why);
    }
    let pair = [(plain, proxy(Url::Address)), (with_dns, proxy(Url::Address)), (with_dns, proxy(Url::Name))];
    if let Some((address, proxy)) = pair.into_iter().find_map(|(address, proxy)| address.zip(proxy)) {
        let why = format!(
            "takes {} address and the URL of {} proxy offer [H5]",
            offers[address].whose(),
            offers[proxy].whose()
        );
        return taken(Some(address), Some(proxy), fetch(&offers[proxy]), why);
    }
    leftover(plain.or(with_dns), offers)
}

/// iPXE: of equal priority the last offer wins, for the address and for the proxy alike.
fn ipxe(offers: &[Offer]) -> Outcome {
    let best = |test: &dyn Fn(&Offer) -> bool| {
        let matching = offers.iter().enumerate().filter(|(_, offer)| test(offer));
        // max_by_key takes the last of equals, as iPXE does.
        matching.max_by_key(|(_, offer)| offer.priority).map(|(index, _)| index)
    };
    let Some(address) = best(&Offer::gives_address) else { return leftover(None, offers) };
    let chosen = &offers[address];
    let proxy = best(&|offer| offer.class == Class::Pxe).filter(|_| !chosen.no_pxedhcp);
    let tie =
        offers.iter().filter(|offer| offer.gives_address() && offer.priority == chosen.priority).count();
    let how = if tie > 1 { ", the last of equal priority" } else { "" };
    if let Some(proxy) = proxy {
        let offer = &offers[proxy];
        let complete = offer.file.is_some() && !offer.siaddr.is_unspecified() || offer.menu;
        let next = if complete { pxe_data(offer) } else { Next::Ask4011(offer.server) };
        let why = if proxy == address {
            format!("takes address and PXE data from {} offer{how}", offer.whose())
        } else {
            format!("takes {} address{how} and boots by {} proxy offer", chosen.whose(), offer.whose())
        };
        let why = match &next {
            Next::Ask4011(asked) => format!("{why}: it asks {asked} on port 4011, for 2 s at most"),
            _ => why,
        };
        return taken(Some(address), Some(proxy), next, why);
    }
    if chosen.file.is_some() {
        let why = format!("takes address and file from {} offer{how}", chosen.whose());
        return taken(Some(address), Some(address), fetch(chosen), why);
    }
    leftover(Some(address), offers)
}

/// PXE data of a complete offer: the file when 43.6 says so or nothing else is there, else the menu.
fn pxe_data(offer: &Offer) -> Next {
    match &offer.file {
        Some(_) if offer.direct || !offer.discovery => fetch(offer),
        _ => Next::Menu,
    }
}

fn fetch(offer: &Offer) -> Next {
    Next::Fetch { server: offer.next_server(), file: offer.file.clone().unwrap_or_default() }
}

fn taken(address: Option<usize>, boot: Option<usize>, next: Next, why: String) -> Outcome {
    Outcome { address, boot, next, why }
}

#[cfg(test)]
mod tests;
