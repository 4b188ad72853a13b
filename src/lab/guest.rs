//! A machine that boots from the VLAN: real firmware in QEMU, made from a node record.

#![allow(clippy::disallowed_methods, reason = "the lab is a shell: real processes and files")]

use std::fmt;
use std::io::{PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::records::{Mac, Node, Uuid};

use super::appliance::Journal;
use super::console::Console;
use super::firmware::Firmware;
use super::plain_rom::PlainRom;
use super::run::Heard;
use super::sandbox::{Place, Process, Sandbox};
use super::{LabError, programs};

/// How long a trial with hardware acceleration may take. OVMF needs 6 s even in emulation, SeaBIOS less than one.
const TRIAL: Duration = Duration::from_secs(10);
/// What QEMU says when hardware acceleration fails after all; the guest stands still from then on.
const FAILURES: [&str; 2] = ["KVM internal error", "qemu-system-x86_64:"];

/// How a guest's processor is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accel {
    /// Hardware virtualisation.
    Kvm,
    /// Emulation.
    Tcg,
}

/// What the user wants of [`Accel`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AccelChoice {
    /// KVM when a trial with the guest's own command line survives, else emulation.
    #[default]
    Auto,
    /// This one, untried.
    Fixed(Accel),
}

/// A machine to start.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Name for messages and of its working files.
    pub name: String,
    /// The network card's address.
    pub mac: Mac,
    /// System UUID, when the record has one.
    pub uuid: Option<Uuid>,
    /// System serial number, when the record has one.
    pub serial: Option<String>,
    /// Firmware.
    pub firmware: Firmware,
    /// Memory, MiB.
    pub memory: u32,
}

impl Machine {
    /// The machine that a node record describes. It boots from the record's first card.
    pub fn of(node: &Node, firmware: Firmware) -> Result<Self, LabError> {
        let name = node.label();
        let nic = node.nics.first().ok_or_else(|| {
            LabError::Records(format!(
                "{name} has no MAC on record, and a machine needs a network card to boot from"
            ))
        })?;
        Ok(Self {
            mac: nic.mac,
            uuid: node.uuid,
            serial: node.serial.clone(),
            firmware,
            memory: firmware.memory(),
            name,
        })
    }

    /// QEMU's arguments, without the program.
    fn arguments(&self, accel: Accel, tap: &str, image: &Image) -> Vec<String> {
        let firmware = self.firmware;
        let mut arguments: Vec<String> =
            ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"]
                .map(String::from)
                .to_vec();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
        add(&["-accel", accel.argument(), "-smp", "1", "-m", &self.memory.to_string()]);
        // Without five-level paging: OVMF of 2022 stops early with it.
        add(&["-M", firmware.board(), "-cpu", if firmware.is_arm64() { "cortex-a57" } else { "max,-la57" }]);
        add(&["-chardev", "stdio,id=c0,signal=off", "-serial", "chardev:c0"]);
        add(&["-netdev", &format!("tap,id=n0,ifname={tap},script=no,downscript=no")]);
        let mut card = format!("virtio-net-pci,netdev=n0,mac={},bootindex=1", self.mac);
        if !firmware.keeps_card_rom() {
            // The firmware's own client asks, as on most real machines.
            card.push_str(",romfile=");
        }
        if firmware == Firmware::Arm64UBoot {
            // U-Boot 2023 misreads the address of a card that can be asked in the old way: its first byte six times.
            card.push_str(",disable-legacy=on");
        }
        match image {
            Image::OfQemu => {}
            Image::Rom(file) => add(&["-bios", &file.display().to_string()]),
            Image::Flash { code, vars } => {
                if firmware.uses_smm() {
                    add(&["-global", "driver=cfi.pflash01,property=secure,value=on"]);
                }
                let drive = |unit, more, file: &Path| {
                    format!("if=pflash,unit={unit},format=raw{more},file={}", comma_safe(file))
                };
                add(&["-drive", &drive(0, ",readonly=on", code), "-drive", &drive(1, "", vars)]);
                // Newer EDK2 has no network without a source of randomness.
                add(&["-device", "virtio-rng-pci"]);
                // PXE by IPv4 only, or by none for HTTP Boot: each failing attempt takes a minute.
                add(&["-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"]);
                if firmware == Firmware::UefiHttp {
                    add(&["-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n"]);
                }
            }
        }
        add(&["-device", &card]);
        if let Some(uuid) = self.uuid {
            add(&["-uuid", &uuid.to_string()]);
        }
        if let Some(serial) = &self.serial {
            add(&["-smbios", &format!("type=1,serial={}", serial.replace(',', ",,"))]);
        }
        arguments
    }
}

/// Where a guest's firmware comes from.
#[derive(Debug)]
enum Image {
    /// QEMU's own default.
    OfQemu,
    /// One read-only file.
    Rom(PathBuf),
    /// EDK2's two flash images.
    Flash {
        code: PathBuf,
        /// A copy of the guest's own: the firmware writes to it.
        vars: PathBuf,
    },
}

impl Image {
    fn prepare(sandbox: &Sandbox, machine: &Machine) -> Result<Self, LabError> {
        if let Some(file) = machine.firmware.rom() {
            return Ok(Self::Rom(file?));
        }
        let Some(images) = machine.firmware.images() else { return Ok(Self::OfQemu) };
        let (code, original) = images.find()?;
        let vars = sandbox.work().join(format!("{}.vars.fd", machine.mac.dashed()));
        std::fs::copy(&original, &vars).map_err(|cause| LabError::File {
            what: "copy",
            path: original,
            cause,
        })?;
        Ok(Self::Flash { code, vars })
    }
}

/// A running machine. Dropping it switches it off.
#[derive(Debug)]
pub struct Guest {
    // Ended in this order.
    process: Process,
    _rom: Option<PlainRom>,
    /// Its serial console.
    pub console: Console,
    /// What QEMU itself has to say: nothing, when all is well.
    pub complaints: Journal,
    /// How its processor is run.
    pub accel: Accel,
}

impl Guest {
    /// Starts `machine` on a tap of its own. What it says also goes to `listener`.
    pub fn start(
        sandbox: &Sandbox,
        machine: &Machine,
        choice: AccelChoice,
        listener: Option<Sender<Heard>>,
    ) -> Result<Self, LabError> {
        let program = machine.firmware.program();
        programs::require(&[program])?;
        let tap = sandbox.tap()?;
        let accel = match choice {
            AccelChoice::Fixed(accel) => accel,
            AccelChoice::Auto => Self::tried(sandbox, machine, &tap)?,
        };
        let rom = match machine.firmware.hides_ipxe() {
            true => Some(PlainRom::start(sandbox, &tap)?),
            false => sandbox.connect(&tap).map(|()| None)?,
        };
        let launched = Launched::new(sandbox, machine, accel, &tap, Complaints::Apart)?;
        let failed = |cause| LabError::Start { program: program.into(), cause };
        let console = Console::follow(launched.console, listener).map_err(failed)?;
        let complaints = Journal::follow(launched.complaints, None).map_err(failed)?;
        Ok(Self { process: launched.process, _rom: rom, console, complaints, accel })
    }

    /// Whether KVM works here is found out once per kind of firmware and process, with the guest's own command
    /// line and a tap that leads nowhere. `/dev/kvm` being there says little: nested or restricted KVM may open,
    /// run SeaBIOS to its first line, and then fail or hang where iPXE changes the processor's mode (seen).
    fn tried(sandbox: &Sandbox, machine: &Machine, tap: &str) -> Result<Accel, LabError> {
        static FOUND: Mutex<Vec<(Firmware, Accel)>> = Mutex::new(Vec::new());
        let mut found = FOUND.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, accel)) = found.iter().find(|(firmware, _)| *firmware == machine.firmware) {
            return Ok(*accel);
        }
        // An arm64 guest is always emulated: the lab's machine for it is made for that.
        let possible = Path::new("/dev/kvm").exists() && !machine.firmware.is_arm64();
        let accel = match possible && Self::survives(sandbox, machine, tap)? {
            true => Accel::Kvm,
            false => Accel::Tcg,
        };
        found.push((machine.firmware, accel));
        Ok(accel)
    }

    fn survives(sandbox: &Sandbox, machine: &Machine, tap: &str) -> Result<bool, LabError> {
        let launched = Launched::new(sandbox, machine, Accel::Kvm, tap, Complaints::OnTheConsole)?;
        let program = machine.firmware.program();
        let failed = |cause| LabError::Start { program: program.into(), cause };
        let console = Console::follow(launched.console, None).map_err(failed)?;
        let [internal, other] = FAILURES;
        let heard = console.wait_for(&[internal, other, machine.firmware.sign_of_life()], TRIAL);
        // Its end or its silence is a "no" like any other.
        Ok(heard.is_ok_and(|index| index == FAILURES.len()))
    }

    /// Types on its serial console.
    pub fn keys(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.process.child().stdin {
            Some(stdin) => stdin.write_all(bytes).and_then(|()| stdin.flush()),
            None => Ok(()),
        }
    }

    /// Waits until it switches itself off, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.wait(limit)
    }
}

/// Where QEMU's own messages go.
enum Complaints {
    Apart,
    OnTheConsole,
}

/// A QEMU process and its pipes. Dropping it switches the machine off.
struct Launched {
    process: Process,
    console: PipeReader,
    complaints: PipeReader,
}

impl Launched {
    fn new(
        sandbox: &Sandbox,
        machine: &Machine,
        accel: Accel,
        tap: &str,
        complaints_go: Complaints,
    ) -> Result<Self, LabError> {
        let image = Image::prepare(sandbox, machine)?;
        let program = machine.firmware.program();
        let failed = |cause| LabError::Start { program: program.into(), cause };
        let (console, stdout) = std::io::pipe().map_err(failed)?;
        let (complaints, stderr) = std::io::pipe().map_err(failed)?;
        let stderr = match complaints_go {
            Complaints::Apart => stderr,
            Complaints::OnTheConsole => stdout.try_clone().map_err(failed)?,
        };
        // The command holds the pipes' writing ends: it must not outlive this function, or they never end.
        let process = sandbox.start(
            &machine.name,
            sandbox
                .command(Place::Net, program)
                .args(machine.arguments(accel, tap, &image))
                .stdin(Stdio::piped())
                .stdout(stdout)
                .stderr(stderr),
        )?;
        Ok(Self { process, console, complaints })
    }
}

impl Accel {
    /// Name as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi",
        }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "hardware acceleration (KVM)",
            Self::Tcg => "emulation (TCG; KVM is not usable here)",
        })
    }
}

impl FromStr for AccelChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Fixed(Accel::Kvm)),
            "tcg" => Ok(Self::Fixed(Accel::Tcg)),
            other => Err(format!("'{other}' is no acceleration: use auto, kvm or tcg")),
        }
    }
}

/// A comma in a file name would end QEMU's option; doubled it stands for itself.
fn comma_safe(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(firmware: Firmware) -> Machine {
        Machine {
            name: "compute1".into(),
            mac: "52:54:00:be:ef:01".parse().unwrap(),
            uuid: Some("00112233-4455-6677-8899-aabbccddeeff".parse().unwrap()),
            serial: Some("SN,1".into()),
            firmware,
            memory: firmware.memory(),
        }
    }

    fn line(firmware: Firmware, accel: Accel, image: &Image) -> String {
        machine(firmware).arguments(accel, "tap3", image).join(" ")
    }

    fn flash() -> Image {
        Image::Flash { code: "/c,ode".into(), vars: "/vars".into() }
    }

    #[test]
    fn a_bios_guest_writes_its_firmware_to_the_serial_port_and_keeps_its_rom() {
        let line = line(Firmware::Bios, Accel::Tcg, &Image::OfQemu);
        assert!(line.contains("-M pc,graphics=off"), "{line}");
        assert!(line.contains("mac=52:54:00:be:ef:01,bootindex=1 "), "{line}");
        assert!(!line.contains("romfile"), "{line}");
        assert!(line.contains("-uuid 00112233-4455-6677-8899-aabbccddeeff"), "{line}");
        assert!(line.contains("type=1,serial=SN,,1"), "{line}");
    }

    #[test]
    fn a_uefi_guest_asks_with_its_own_pxe_client() {
        let line = line(Firmware::Uefi, Accel::Kvm, &flash());
        assert!(line.contains(",romfile="), "{line}");
        assert!(line.contains("readonly=on,file=/c,,ode"), "{line}");
        assert!(line.contains("ifname=tap3"), "{line}");
        assert!(line.contains("IPv6PXESupport,string=n"), "{line}");
        assert!(!line.contains("IPv4PXESupport") && !line.contains("secure"), "{line}");
    }

    #[test]
    fn http_boot_comes_first_without_pxe_and_the_cards_rom_stays_where_it_is_wanted() {
        let http = line(Firmware::UefiHttp, Accel::Tcg, &flash());
        assert!(http.contains("IPv4PXESupport,string=n") && http.contains(",romfile="), "{http}");
        let rom = line(Firmware::UefiIpxeRom, Accel::Tcg, &flash());
        assert!(!rom.contains("romfile") && !rom.contains("IPv4PXESupport"), "{rom}");
    }

    #[test]
    fn secure_boot_keeps_its_variables_by_smm() {
        let line = line(Firmware::SecureBoot, Accel::Tcg, &flash());
        assert!(line.contains("-M q35,smm=on"), "{line}");
        assert!(line.contains("cfi.pflash01,property=secure,value=on"), "{line}");
    }

    #[test]
    fn an_arm64_guest_has_a_processor_of_its_own() {
        let line = line(Firmware::Arm64UBoot, Accel::Tcg, &Image::Rom("/u-boot.bin".into()));
        assert!(line.contains("-M virt -cpu cortex-a57") && line.contains("-bios /u-boot.bin"), "{line}");
        assert!(line.contains(",romfile=,disable-legacy=on"), "{line}");
        assert_eq!(Firmware::Arm64.program(), "qemu-system-aarch64");
    }
}
