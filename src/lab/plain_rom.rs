//! A card whose boot ROM is not known as iPXE.
//!
//! QEMU's BIOS ROMs all are iPXE, and Debian has no other. This stands between such a guest and the VLAN and takes out
//! of its DHCP requests what says iPXE: the user class (option 77) and the feature list (175). What is left is what
//! any vendor's ROM sends, and the ROM's behaviour towards answers is PXE's. With its first TFTP request the ROM has
//! made its choice; from then on everything passes as it is, so that a loader shows itself for what it is.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pnet::datalink::{self, Channel, Config, DataLinkReceiver, DataLinkSender};

use crate::dhcp::Packet;
use crate::dhcp::code;
use crate::link::frame::{self, Datagram};

use super::LabError;
use super::sandbox::{Place, Sandbox};

/// How often the threads look whether they shall end.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of a DHCP message before the options: the fixed fields and the magic cookie (RFC 2131, 2).
const FIXED: usize = 240;

/// The two threads that pass frames on; end with this value.
#[derive(Debug)]
pub struct PlainRom {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl PlainRom {
    /// Connects `tap` to the bridge through itself.
    pub fn start(sandbox: &Sandbox, tap: &str) -> Result<Self, LabError> {
        let (port, inner) = (format!("{tap}-port"), format!("{tap}-rom"));
        let words = |command: &str| {
            sandbox.run(Place::Net, &command.split_whitespace().collect::<Vec<_>>()).map(drop)
        };
        words(&format!("ip link add {port} type veth peer name {inner}"))?;
        for end in [&port, &inner] {
            words(&format!("sysctl -qw net.ipv6.conf.{end}.disable_ipv6=1"))?;
            words(&format!("ethtool -K {end} tx off tso off gso off gro off"))?;
        }
        words(&format!("ip link set {port} master br0 up"))?;
        words(&format!("ip link set {inner} up"))?;

        let failed = |cause| LabError::Start { program: "the card's ROM".into(), cause };
        let (to_guest, from_guest) = open(tap).map_err(failed)?;
        let (to_vlan, from_vlan) = open(&inner).map_err(failed)?;
        let end = Arc::new(AtomicBool::new(false));
        let mut hidden = true;
        let out = move |frame: &[u8]| hide(frame, &mut hidden);
        let threads = vec![
            pass("rom-out", from_guest, to_vlan, Arc::clone(&end), out).map_err(failed)?,
            pass("rom-in", from_vlan, to_guest, Arc::clone(&end), |_| None).map_err(failed)?,
        ];
        Ok(Self { end, threads })
    }
}

impl Drop for PlainRom {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic in there has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

type Ends = (Box<dyn DataLinkSender>, Box<dyn DataLinkReceiver>);

/// Frames of an interface. Its own are not among those received.
fn open(name: &str) -> std::io::Result<Ends> {
    let found = datalink::interfaces().into_iter().find(|interface| interface.name == name);
    let interface = found.ok_or_else(|| std::io::Error::from(ErrorKind::NotFound))?;
    let config = Config { read_timeout: Some(LOOK), ..Config::default() };
    match datalink::channel(&interface, config)? {
        Channel::Ethernet(sender, receiver) => Ok((sender, receiver)),
        _ => Err(std::io::Error::from(ErrorKind::Unsupported)),
    }
}

/// Passes frames on until the end; where `changed` makes another one, that.
fn pass(
    name: &str,
    mut from: Box<dyn DataLinkReceiver>,
    mut to: Box<dyn DataLinkSender>,
    end: Arc<AtomicBool>,
    mut changed: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(move || {
        while !end.load(Ordering::Relaxed) {
            // A time-out: look at `end` again. An interface that is gone ends with the lab.
            let Ok(frame) = from.next() else { continue };
            // A lost frame is sent again by whoever waits for its answer.
            let _ = match changed(frame) {
                Some(frame) => to.send_to(&frame, None),
                None => to.send_to(frame, None),
            };
        }
    })
}

/// The frame to send in place of a DHCP request that says iPXE. `hidden` ends with the first TFTP request.
fn hide(frame: &[u8], hidden: &mut bool) -> Option<Vec<u8>> {
    let Some(Datagram::V4 { source_mac, source, destination, payload }) = frame::strip(frame) else {
        return None;
    };
    match destination.port() {
        69 => *hidden = false,
        67 | 4011 if *hidden => {
            let to = frame.first_chunk::<6>()?;
            return frame::build(source_mac, *to, source, destination, &without_ipxe(payload)?);
        }
        _ => {}
    }
    None
}

/// A DHCP message without options 77 and 175, as long as before.
fn without_ipxe(message: &[u8]) -> Option<Vec<u8>> {
    let packet = Packet::parse(message).ok()?;
    let mut plain = message.get(..FIXED)?.to_vec();
    for (option, value) in packet.options.iter() {
        if !matches!(option, code::USER_CLASS | code::IPXE) {
            plain.extend([option, u8::try_from(value.len()).ok()?]);
            plain.extend_from_slice(value);
        }
    }
    plain.push(code::END);
    plain.resize(message.len().max(plain.len()), 0);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR: &[u8] = b"PXEClient:Arch:00000:UNDI:002001";

    fn request(port: u16, payload: &[u8]) -> Vec<u8> {
        let from = "0.0.0.0:68".parse().unwrap();
        let to = format!("255.255.255.255:{port}").parse().unwrap();
        frame::build([2, 0, 0, 0, 0, 1], [0xff; 6], from, to, payload).unwrap()
    }

    fn ipxe() -> Vec<u8> {
        let mut message = vec![0; 236];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message.extend([99, 130, 83, 99, 53, 1, 1, 77, 4]);
        message.extend(b"iPXE");
        message.extend([60, 32]);
        message.extend(VENDOR);
        message.extend([175, 3, 19, 1, 1, 93, 2, 0, 0, 255]);
        message
    }

    #[test]
    fn nothing_says_ipxe_until_the_first_tftp_request() {
        let mut hidden = true;
        let changed = hide(&request(67, &ipxe()), &mut hidden).unwrap();
        let Some(Datagram::V4 { payload, .. }) = frame::strip(&changed) else { panic!("no datagram") };
        let packet = Packet::parse(payload).unwrap();
        let codes: Vec<u8> = packet.options.iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [53, 60, 93]);
        assert_eq!(packet.options.get(60), Some(VENDOR));
        assert_eq!(payload.len(), ipxe().len());

        assert_eq!(hide(&request(69, b"\0\x01undionly.kpxe\0octet\0"), &mut hidden), None);
        assert_eq!(hide(&request(67, &ipxe()), &mut hidden), None, "a loader says what it is");
    }
}
