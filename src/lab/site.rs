//! The site's ordinary DHCP server: gives addresses, knows nothing of booting, and may not be touched.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use super::appliance::Journal;
use super::sandbox::{Place, Process, Sandbox};
use super::{LabError, programs};

/// How long dnsmasq may take to be ready.
const START: Duration = Duration::from_secs(20);

/// A running site DHCP server. Dropping it ends it.
#[derive(Debug)]
pub struct SiteDhcp {
    /// What it logs: every DHCP packet and what it answered.
    pub journal: Journal,
    // Held for its end.
    _process: Process,
}

impl SiteDhcp {
    /// Starts dnsmasq on `eth0` of `host`, giving out `first` to `last` with a /24 mask, and waits until it listens.
    pub fn start(sandbox: &Sandbox, host: &str, first: Ipv4Addr, last: Ipv4Addr) -> Result<Self, LabError> {
        programs::require(&["dnsmasq"])?;
        let mut command = sandbox.command(Place::Host(host), "dnsmasq");
        command
            .args(["-k", "--port=0", "-C", "/dev/null", "--user=root", "--pid-file=", "-i", "eth0"])
            .args(["--bind-interfaces", "--no-ping", "--dhcp-authoritative"])
            .arg(format!("--dhcp-range={first},{last},255.255.255.0,1h"))
            .args(["--dhcp-leasefile=/dev/null", "--log-dhcp", "--log-facility=-"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = sandbox.start("dnsmasq", &mut command)?;
        let failed = |cause| LabError::Start { program: "dnsmasq".into(), cause };
        let journal = match process.child().stderr.take() {
            Some(pipe) => Journal::follow(pipe, None).map_err(failed)?,
            None => return Err(failed(std::io::Error::other("it has no stderr"))),
        };
        // Its sockets are bound before it says so.
        let ready = |entry: &serde_json::Value| {
            entry["text"].as_str().is_some_and(|text| text.contains("DHCP, IP range"))
        };
        journal.wait_for("DHCP, IP range", START, ready)?;
        Ok(Self { journal, _process: process })
    }
}
