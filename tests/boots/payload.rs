//! What the machines boot: the Debian installer's kernel with a tiny initial RAM disk, or the installer itself.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bootlace::firmware::Progress;
use bootlace::lab::Firmware;
use bootlace::lab::sandbox::Sandbox;
use bootlace::lab::supplies::{self, Supplies};

/// Printed by the tiny initial RAM disk, before the kernel's command line.
pub const MARKER: &str = "bootlace-test: started by";

/// Loaders and installer, fetched when they are missing.
pub fn supplies() -> Supplies {
    supplies_for(Firmware::Uefi)
}

/// The same for a machine with `firmware`.
pub fn supplies_for(firmware: Firmware) -> Supplies {
    let say = |text: &str| eprintln!("{text}");
    supplies::fetch(&cache(), firmware, None, Progress::new(&say, &AtomicBool::new(false))).unwrap()
}

/// Where `make test` has put them.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab-cache")
}

/// An asset folder with the installer's `linux` and a `tiny.cpio` that prints [`MARKER`] and the kernel's command
/// line, and switches the machine off.
pub fn tiny(sandbox: &Sandbox, supplies: &Supplies) -> PathBuf {
    let kernel = std::fs::read(supplies.assets.join("linux")).unwrap();
    let folder = sandbox.write("assets/linux", kernel).unwrap().parent().unwrap().to_owned();
    for file in std::fs::read_dir(&supplies.assets).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        if [".efi", ".0", ".c32"].iter().any(|end| name.ends_with(end)) {
            sandbox.write(&format!("assets/{name}"), std::fs::read(file.path()).unwrap()).unwrap();
        }
    }
    let busybox = ["/usr/bin/busybox", "/bin/busybox"]
        .iter()
        .find_map(|path| std::fs::read(path).ok())
        .expect("package busybox-static is needed");
    let init = format!(
        "#!/busybox sh\n/busybox mount -t proc proc /proc\n\
         echo \"{MARKER} $(/busybox cat /proc/cmdline)\"\n/busybox poweroff -f\n"
    );
    let mut archive = Archive::default();
    archive.add("dev", 0o040_755, (0, 0), b"");
    archive.add("dev/console", 0o020_600, (5, 1), b"");
    archive.add("proc", 0o040_755, (0, 0), b"");
    archive.add("busybox", 0o100_755, (0, 0), &busybox);
    archive.add("init", 0o100_755, (0, 0), init.as_bytes());
    archive.add("TRAILER!!!", 0, (0, 0), b"");
    sandbox.write("assets/tiny.cpio", archive.bytes).unwrap();
    folder
}

/// A cpio archive in the "newc" form, which the kernel unpacks.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        let fields = [
            self.inode,
            mode,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
