//! A router that answers IPv6 solicitations, so that nobody waits for one.
//!
//! iPXE solicits a router and waits 13 s for it before it uses the DHCPv4 result. This host answers at once: a
//! prefix, on-link only, router lifetime 0 (RFC 4861, 4.2 and 4.6.2). So the guest is nobody's client by IPv6:
//! no default route, no address made from the prefix, no DHCPv6 (neither M nor O flag).

use std::io::{self, Read};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::LabError;
use super::sandbox::Sandbox;

/// Router solicitation and advertisement (RFC 4861, 4.1 and 4.2).
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// Neighbour discovery counts only with the hop limit that no router can have forged (RFC 4861, 6.1.2).
const HOP_LIMIT: u32 = 255;
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// A unique local prefix (RFC 4193) of the lab's own.
const PREFIX: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0);
/// How often the thread looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);

/// The answering thread; ends with this value.
#[derive(Debug)]
pub struct Router {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Router {
    /// Makes the host `name` on the VLAN and answers there.
    pub fn start(sandbox: &Sandbox, name: &str) -> Result<Self, LabError> {
        sandbox.host(name, None)?;
        let namespace = format!("/run/netns/{name}");
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let (tell, opened) = std::sync::mpsc::channel();
        // A thread of its own: a socket stays in the namespace of the thread that made it.
        let thread = std::thread::Builder::new()
            .name("lab-router".into())
            .spawn(move || match open(&namespace) {
                Ok((socket, interface)) => {
                    // The receiver waits for this very message.
                    let _ = tell.send(Ok(()));
                    answer(&socket, interface, &ended);
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            })
            .map_err(|cause| LabError::Start { program: "the router's thread".into(), cause })?;
        let failed = |cause| LabError::Start { program: "the router that answers IPv6".into(), cause };
        opened
            .recv()
            .map_err(|_| failed(io::Error::other("its thread ended")))
            .and_then(|r| r.map_err(failed))?;
        Ok(Self { end, thread: Some(thread) })
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; there is nothing to add.
            let _ = thread.join();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the lab is a shell")]
fn open(namespace: &str) -> io::Result<(Socket, u32)> {
    setns(std::fs::File::open(namespace)?, CloneFlags::CLONE_NEWNET)?;
    let interface = nix::net::if_::if_nametoindex("eth0")?;
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.join_multicast_v6(&ALL_ROUTERS, interface)?;
    socket.set_multicast_if_v6(interface)?;
    socket.set_multicast_hops_v6(HOP_LIMIT)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok((socket, interface))
}

fn answer(mut socket: &Socket, interface: u32, end: &AtomicBool) {
    let to = SockAddr::from(SocketAddrV6::new(ALL_NODES, 0, 0, interface));
    let mut buffer = [0; 1500];
    while !end.load(Ordering::Relaxed) {
        // A time-out or an interrupted call: look at `end` again. ICMPv6 arrives without the IPv6 header.
        let Ok(length) = socket.read(&mut buffer) else { continue };
        if buffer[..length].first() == Some(&SOLICITATION) {
            // A lost answer costs time only: the guest asks again.
            let _ = socket.send_to(&advertisement(), &to);
        }
    }
}

/// The advertisement. The kernel fills in the checksum of ICMPv6 (RFC 3542, 3.1).
fn advertisement() -> Vec<u8> {
    // Type, code, checksum, current hop limit (unspecified), no flags, lifetime 0: not a default router;
    // reachable time and retransmission timer unspecified.
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // Prefix information: length in units of eight bytes, 64 bits, on-link only.
    message.extend([3, 4, 64, 0x80]);
    message.extend(3600u32.to_be_bytes()); // valid, seconds
    message.extend(3600u32.to_be_bytes()); // preferred, seconds
    message.extend([0; 4]);
    message.extend(PREFIX.octets());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advertisement_makes_nobody_a_client() {
        let message = advertisement();
        assert_eq!(message.len(), 16 + 32);
        assert_eq!(message[0], 134);
        assert_eq!(message[5], 0, "neither M nor O: no DHCPv6");
        assert_eq!(message[6..8], [0, 0], "lifetime 0: no default router");
        assert_eq!(message[16..20], [3, 4, 64, 0x80], "on-link without A: no address from the prefix");
    }
}
