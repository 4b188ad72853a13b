use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;
use crate::boot::fixture;
use crate::config::{InterfaceSettings, Mode, NoBootEntry};

fn look(world: &World, path: &str, n: u8) -> Result<Found, Miss> {
    let peer = fixture::peer(world, n);
    open(world, &Ask { path, peer: &peer, local: IpAddr::from([172, 16, 0, 254]), door: Door::Tftp })
}

fn text(found: Found) -> String {
    match found.content {
        Content::Memory(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Content::File(file) => std::io::read_to_string(&*file).unwrap(),
    }
}

fn world() -> World {
    let off = Node { netboot: false, ..fixture::node(3) };
    let nodes = vec![fixture::node(1), fixture::node(2), off];
    fixture::world(nodes, vec![fixture::entry("debug", &[1, 3])])
}

/// [T12]
#[test]
fn names_of_every_firmware_become_one_relative_path() {
    for (name, path) in [
        (&b"/x"[..], "x"),
        (b"//x", "x"),
        (b"\\EFI\\boot\\x.efi", "EFI/boot/x.efi"),
        (b"a//b/./c", "a/b/c"),
        (b"./x", "x"),
        (b"tftp://10.0.0.1/a/x", "a/x"),
        (b"/TFTP://10.0.0.1/x", "x"),
        (b"tftp://10.0.0.1", ""),
        (b"snponly.efi\xff", "snponly.efi"),
        (b"snponly.efi  ", "snponly.efi"),
        (b"a..b/...", "a..b/..."),
        (b"%2e%2e/x", "%2e%2e/x"),
        (b"", ""),
    ] {
        assert_eq!(normalise(name), Ok(path.to_owned()), "{name:?}");
    }
    for name in
        [&b"../etc/passwd"[..], b"a/../../x", b"..\\x", b"x/..", b"..", b"a\0b", b"a\xffb", &[b'a'; 256]]
    {
        assert_eq!(normalise(name), Err(Reason::BadName), "{name:?}");
    }
}

proptest! {
    /// [T12] [W10]
    #[test]
    fn a_normalised_name_never_leaves_its_folder(name in "[a./\\\\%:0-9tfp \\x00]{0,24}|\\PC{0,30}") {
        if let Ok(path) = normalise(name.as_bytes()) {
            prop_assert!(!path.starts_with('/') && !path.contains('\0') && !path.contains('\\'));
            prop_assert!(path.is_empty() || path.split('/').all(|part| !matches!(part, "" | "." | "..")));
            prop_assert_eq!(normalise(path.as_bytes()).map(|again| normalise(again.as_bytes())), Ok(normalise(path.as_bytes())));
        }
    }

    #[test]
    fn any_bytes_are_a_name_or_refused(name in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(path) = normalise(&name) {
            prop_assert!(path.len() <= NAME_MAX && !path.starts_with('/'));
        }
    }
}

#[test]
fn a_loader_is_found_under_its_name_and_behind_an_identity() {
    let world = world();
    for path in [
        "snponly-x86_64.efi",
        "52:54:00:be:ef:01/snponly-x86_64.efi",
        "52-54-00-be-ef-99/snponly-x86_64.efi",
        "00112233-4455-6677-8899-aabbccddeeff/snponly-x86_64.efi",
    ] {
        let found = look(&world, path, 99).unwrap();
        assert_eq!((found.kind, found.size, text(found).as_str()), (Kind::Loader, 3, "MZ!"), "{path}");
    }
    assert_eq!(look(&world, "folder/snponly-x86_64.efi", 99).unwrap_err(), Miss::NotFound);
    assert_eq!(look(&world, "", 99).unwrap_err(), Miss::NotFound);
}

/// [A1] [A4]
#[test]
fn autoexec_is_written_for_the_asking_node_in_any_folder_with_an_absolute_url() {
    let world = world();
    for path in ["autoexec.ipxe", "boot/efi/autoexec.ipxe", "52:54:00:be:ef:01/autoexec.ipxe"] {
        let found = look(&world, path, 1).unwrap();
        assert_eq!(found.kind, Kind::Generated);
        let size = found.size;
        let text = text(found);
        assert_eq!(size, text.len() as u64);
        assert!(text.starts_with("#!ipxe\necho bootlace: this is compute1 (52:54:00:be:ef:01)"), "{text}");
        let url = "http://172.16.0.254:8081/boot/v1/bootscript?mac=52:54:00:be:ef:01&arch=${buildarch}";
        assert!(text.contains(&format!("\nchain --autofree --replace {url} ||")), "{text}");
        assert!(text.ends_with("sleep 5\ngoto again\n"), "{text}");
    }
    let config = text(look(&world, "config.ipxe", 1).unwrap());
    assert!(
        config.contains("echo Booting from http://172.16.0.254:8081/boot/v1/bootscript?mac="),
        "{config}"
    );
    assert_eq!(
        look(&world, "52:54:00:be:ef:02/autoexec.ipxe", 1).unwrap_err(),
        Miss::Refused(Reason::NotYourFile)
    );
}

/// [A2]
#[test]
fn an_unknown_peer_and_a_node_for_its_own_disk_get_no_autoexec() {
    let mut world = world();
    assert_eq!(look(&world, "autoexec.ipxe", 99).unwrap_err(), Miss::NotFound);
    assert_eq!(look(&world, "autoexec.ipxe", 2).unwrap_err(), Miss::NotFound, "no boot entry, proxy");
    world.settings.no_boot_entry = NoBootEntry::Wait;
    assert!(look(&world, "autoexec.ipxe", 2).is_ok());
    world.settings.no_boot_entry = NoBootEntry::Auto;
    world.settings.interfaces = vec![
        InterfaceSettings { name: "a".into(), ..InterfaceSettings::default() },
        InterfaceSettings {
            name: "b".into(),
            mode: Some(Mode::Reservation),
            address: Some([172, 16, 0, 254].into()),
            ..InterfaceSettings::default()
        },
    ];
    assert!(look(&world, "autoexec.ipxe", 2).is_ok(), "the interface's own mode counts");
    world.settings.http.clear();
    assert_eq!(look(&world, "autoexec.ipxe", 1).unwrap_err(), Miss::NotFound, "no HTTP, no script");
}

#[test]
fn a_node_that_shall_not_netboot_gets_no_loader_no_asset_and_no_file_of_its_own() {
    let assets = tempfile::tempdir().unwrap();
    std::fs::write(assets.path().join("linux"), "k").unwrap();
    let mut world = world();
    world.settings.assets = Some(assets.path().into());
    for path in ["snponly-x86_64.efi", "linux", "autoexec.ipxe", "absent"] {
        assert_eq!(look(&world, path, 3).unwrap_err(), Miss::Refused(Reason::NetbootOff), "{path}");
    }
    assert!(look(&world, "linux", 99).is_ok(), "an engineer's curl gets it");
}

/// [W10]
#[test]
fn links_are_followed_inside_the_served_folders_and_refused_outside() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    let (assets, firmware, outside) = (home.join("assets"), home.join("firmware"), home.join("outside"));
    for folder in [&assets, &firmware, &outside] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("file"), folder.file_name().unwrap().to_str().unwrap()).unwrap();
    }
    let mut world = world();
    // The folder itself may be reached by a link.
    symlink(&assets, home.join("served")).unwrap();
    world.settings.assets = Some(home.join("served"));
    world.settings.firmware = FirmwareSource::Folder(firmware.clone());
    symlink("file", assets.join("inside")).unwrap();
    symlink(firmware.join("file"), assets.join("to-firmware")).unwrap();
    symlink("../outside/file", assets.join("escape")).unwrap();
    symlink(&outside, assets.join("escape-folder")).unwrap();
    symlink("/nowhere/at/all", assets.join("dangling")).unwrap();
    symlink("absent", assets.join("dangling-inside")).unwrap();
    symlink("loop", assets.join("loop")).unwrap();

    assert_eq!(text(look(&world, "inside", 99).unwrap()), "assets");
    assert_eq!(text(look(&world, "to-firmware", 99).unwrap()), "firmware");
    assert_eq!(text(look(&world, "52:54:00:be:ef:01/file", 99).unwrap()), "assets");
    assert_eq!(look(&world, "escape", 99).unwrap_err(), Miss::Outside(outside.join("file")));
    assert_eq!(look(&world, "escape-folder/file", 99).unwrap_err(), Miss::Outside(outside.join("file")));
    assert_eq!(look(&world, "dangling", 99).unwrap_err(), Miss::Outside("/nowhere/at/all".into()));
    assert_eq!(look(&world, "dangling-inside", 99).unwrap_err(), Miss::NotFound);
    assert!(matches!(look(&world, "loop", 99), Err(Miss::Unreadable(_))));
    assert_eq!(look(&world, "file/below", 99).unwrap_err(), Miss::NotFound);
    assert_eq!(look(&world, &"d/".repeat(2000), 99).unwrap_err(), Miss::NotFound);
}

/// [W10]
#[test]
fn only_regular_files_are_opened_and_a_fifo_stalls_nobody() {
    let assets = tempfile::tempdir().unwrap();
    std::fs::create_dir(assets.path().join("folder")).unwrap();
    nix::unistd::mkfifo(&assets.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut world = world();
    world.settings.assets = Some(assets.path().into());
    for path in ["folder", "fifo"] {
        assert_eq!(look(&world, path, 99).unwrap_err(), Miss::NotAFile, "{path}");
    }
    world.settings.assets = Some(assets.path().join("gone"));
    assert!(matches!(look(&world, "x", 99), Err(Miss::Unreadable(text)) if text.contains("asset folder")));
}

/// A Raspberry Pi asks below its serial number or MAC and lives with the root.
#[test]
fn a_raspberry_pis_folder_falls_away_where_nothing_lies_below_it() {
    let assets = tempfile::tempdir().unwrap();
    std::fs::create_dir(assets.path().join("0a1b2c3d")).unwrap();
    std::fs::write(assets.path().join("0a1b2c3d/config.txt"), "own").unwrap();
    std::fs::write(assets.path().join("config.txt"), "all").unwrap();
    std::fs::write(assets.path().join("start4.elf"), "elf").unwrap();
    let mut world = world();
    world.settings.assets = Some(assets.path().into());
    for (path, expected) in [
        ("0a1b2c3d/config.txt", "own"),
        ("0a1b2c3d/start4.elf", "elf"),
        ("deadbeef/config.txt", "all"),
        ("dc-a6-32-01-02-03/start4.elf", "elf"),
    ] {
        assert_eq!(text(look(&world, path, 99).unwrap()), expected, "{path}");
    }
    for path in ["deadbeef/start.elf", "DEADBEEF/config.txt", "deadbee/config.txt", "deadbeef/x/config.txt"] {
        assert_eq!(look(&world, path, 99).unwrap_err(), Miss::NotFound, "{path}");
    }
}

/// A shim asks for its siblings where it came from, by names with doubled slashes (quirks 20 to 22).
#[test]
fn the_siblings_of_a_shim_are_found_beside_it_and_at_the_root() {
    let assets = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(assets.path().join("debian-installer/amd64")).unwrap();
    std::fs::write(assets.path().join("debian-installer/amd64/grubx64.efi"), "deep").unwrap();
    std::fs::write(assets.path().join("grubx64.efi"), "root").unwrap();
    let mut world = world();
    world.settings.assets = Some(assets.path().into());
    for (name, expected) in [
        (&b"debian-installer/amd64/grubx64.efi"[..], Ok("deep")),
        (b"debian-installer/amd64//grubx64.efi", Ok("deep")),
        (b"//grubx64.efi", Ok("root")),
        (b"\\grubx64.efi", Ok("root")),
        (b"debian-installer/amd64/revocations.efi", Err(Miss::NotFound)),
        (b"//revocations_sbat.efi", Err(Miss::NotFound)),
        (b"debian-installer/amd64/mmx64.efi", Err(Miss::NotFound)),
    ] {
        let found = look(&world, &normalise(name).unwrap(), 1);
        assert_eq!(found.map(text), expected.map(str::to_owned), "{name:?}");
    }
}

/// [A1] [A2]: the per-node files agree with DHCP, which boots clients in no record in auto-proxy only.
#[test]
fn a_stranger_gets_autoexec_in_auto_proxy_only() {
    let stranger = Peer { mac: "52:54:00:99:99:99".parse().ok(), ..fixture::peer(&world(), 99) };
    for mode in Mode::ALL {
        let mut world =
            fixture::world(Vec::new(), vec![fixture::default_for("rescue", crate::client::Cpu::X86_64)]);
        world.settings.mode = mode;
        let text = generated::render(&world, generated::File::Autoexec, &stranger, [172, 16, 0, 254].into());
        match mode {
            Mode::AutoProxy => assert!(text.unwrap().contains("mac=52:54:00:99:99:99")),
            _ => assert_eq!(text.unwrap_err(), Miss::NotFound, "{}", mode.name()),
        }
    }
}
