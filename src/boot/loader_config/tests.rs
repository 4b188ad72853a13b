use super::*;
use crate::boot::fixture::{self, INITRD, KERNEL, PARAMS};
use crate::boot::tree::{Content, Kind, open};
use crate::config::NoBootEntry;

fn world() -> World {
    let mut first = fixture::node(1);
    first.uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().ok();
    let own = BootEntry {
        kernel: BootFile::Asset("amd64/linux".into()),
        initrd: Some(BootFile::Asset("amd64/initrd.gz".into())),
        params: "ro initrd=old console=ttyS0 a='b;c'\n".into(),
        ..fixture::entry("installer", &[1])
    };
    let off = Node { netboot: false, ..fixture::node(3) };
    let disk = BootEntry { kernel: BootFile::Local, ..fixture::entry("disk", &[4]) };
    let nodes = vec![first, fixture::node(2), off, fixture::node(4), fixture::node(5)];
    fixture::world(nodes, vec![own, fixture::entry("debug", &[2, 3]), disk])
}

fn look(world: &World, path: &str, n: u8, door: Door) -> Result<String, Miss> {
    let peer = fixture::peer(world, n);
    let found = open(world, &Ask { path, peer: &peer, local: IpAddr::from([172, 16, 0, 254]), door })?;
    match (found.kind, found.content) {
        (Kind::Generated, Content::Memory(bytes)) => Ok(String::from_utf8(bytes.to_vec()).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_name_of_the_chain_gives_the_asking_node_the_same_extlinux_file() {
    let world = world();
    let expected = "# bootlace: compute1 boots entry installer (matched by mac)\nDEFAULT bootlace\nPROMPT 0\n\
        LABEL bootlace\n  LINUX amd64/linux\n  INITRD amd64/initrd.gz\n  \
        APPEND ro console=ttyS0 a='b;c' xname=x1000c0s0b0n0 nid=1 BOOTIF=01-52-54-00-be-ef-01\n";
    for name in [
        "00112233-4455-6677-8899-aabbccddeeff",
        "33221100-5544-7766-8899-aabbccddeeff",
        "01-52-54-00-be-ef-01",
        "AC100001",
        "AC10",
        "A",
        "default",
        "default-arm-rk3399",
    ] {
        let text = look(&world, &format!("pxelinux.cfg/{name}"), 1, Door::Tftp);
        assert_eq!(text.as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn a_name_that_means_another_machine_is_refused_and_one_that_means_nobody_is_not_found() {
    let world = world();
    for name in ["pxelinux.cfg/01-52-54-00-be-ef-02", "boot/grub.cfg-01-52-54-00-be-ef-02"] {
        let miss = look(&world, name, 1, Door::Tftp);
        assert_eq!(miss, Err(Miss::Refused(Reason::NotYourFile)), "{name}");
    }
    for name in [
        "pxelinux.cfg/01-52-54-00-00-00-99",
        "pxelinux.cfg/10112233-4455-6677-8899-aabbccddeeff",
        "pxelinux.cfg/AC100002",
        "pxelinux.cfg/B",
        "pxelinux.cfg/a",
        "pxelinux.cfg/other",
        "pxelinux.cfg/",
        "default",
        "grub.cfg-B",
        "grub.cfg.bak",
        "grub.cfg-",
    ] {
        assert_eq!(look(&world, name, 1, Door::Tftp), Err(Miss::NotFound), "{name}");
    }
}

/// One decision for all stages.
#[test]
fn who_is_not_booted_gets_no_configuration_either() {
    let mut world = world();
    for name in ["pxelinux.cfg/default", "grub/grub.cfg"] {
        let look = |world: &World, n| look(world, name, n, Door::Tftp);
        assert_eq!(look(&world, 3), Err(Miss::Refused(Reason::NetbootOff)), "{name}");
        assert_eq!(look(&world, 99), Err(Miss::NotFound), "{name}: unknown");
        assert_eq!(look(&world, 5), Err(Miss::NotFound), "{name}: no boot entry");
        world.settings.no_boot_entry = NoBootEntry::Wait;
        assert_eq!(look(&world, 5), Err(Miss::NotFound), "{name}: nothing to wait with");
        world.settings.no_boot_entry = NoBootEntry::Auto;
    }
}

#[test]
fn a_file_of_the_asset_folder_serves_those_who_get_no_written_one() {
    let assets = tempfile::tempdir().unwrap();
    std::fs::create_dir(assets.path().join("grub")).unwrap();
    std::fs::write(assets.path().join("grub/grub.cfg"), "menu").unwrap();
    let mut world = world();
    world.settings.assets = Some(assets.path().into());
    let peer = fixture::peer(&world, 99);
    let ask = Ask { path: "grub/grub.cfg", peer: &peer, local: [172, 16, 0, 254].into(), door: Door::Tftp };
    assert_eq!(open(&world, &ask).unwrap().kind, Kind::Asset);
    assert!(look(&world, "grub/grub.cfg", 1, Door::Tftp).is_ok());
}

#[test]
fn paths_lead_to_the_door_that_was_asked_and_from_a_folder_to_the_root() {
    let world = world();
    let http = look(&world, "pxelinux.cfg/default", 1, Door::Http).unwrap();
    assert!(http.contains("\n  LINUX http://172.16.0.254:8081/amd64/linux\n"), "{http}");
    let folder = look(&world, "pxe/bios/pxelinux.cfg/default", 1, Door::Tftp).unwrap();
    assert!(folder.contains("\n  LINUX /amd64/linux\n  INITRD /amd64/initrd.gz\n"), "{folder}");
    let elsewhere = look(&world, "pxelinux.cfg/default", 2, Door::Tftp).unwrap();
    assert!(elsewhere.contains(&format!("  LINUX {KERNEL}\n  INITRD {INITRD}\n  APPEND {PARAMS} xname=")));
}

#[test]
fn a_url_of_our_own_becomes_a_path_for_a_loader_without_http() {
    let own = BootEntry {
        kernel: BootFile::Url("http://172.16.0.254:8081/amd64/linux".into()),
        ..fixture::entry("own", &[1])
    };
    let mut world = fixture::world(vec![fixture::node(1)], vec![own]);
    let text = look(&world, "pxelinux.cfg/default", 1, Door::Tftp).unwrap();
    assert!(text.contains("\n  LINUX amd64/linux\n"), "{text}");
    world.settings.http.clear();
    let text = look(&world, "grub.cfg", 1, Door::Tftp).unwrap();
    assert!(text.contains("linux (http,172.16.0.254:8081)/amd64/linux "), "{text}");
}

/// GRUB behind a proxy takes the DHCP server for its file server (quirk 56).
#[test]
fn grub_gets_absolute_paths_to_us_in_any_folder_under_any_name() {
    let world = world();
    for path in [
        "grub.cfg",
        "grub/grub.cfg",
        "EFI/redhat/grub.cfg-01-52-54-00-be-ef-01",
        "debian-installer/amd64/grub/x86_64-efi/grub.cfg",
        "grub/grub.cfg-AC100001",
        "grub.cfg-00112233-4455-6677-8899-aabbccddeeff",
    ] {
        let text = look(&world, path, 1, Door::Tftp).unwrap();
        let line = "\nif linux (tftp,172.16.0.254)/amd64/linux ro console=ttyS0 'a='\\''b;c'\\''' \
            xname=x1000c0s0b0n0 nid=1 BOOTIF=01-52-54-00-be-ef-01 ; then\n  \
            if initrd (tftp,172.16.0.254)/amd64/initrd.gz ; then\n    boot\n";
        assert!(text.contains(line), "{path}: {text}");
    }
    let http = look(&world, "grub/grub.cfg", 1, Door::Http).unwrap();
    assert!(http.contains("if linux (http,172.16.0.254:8081)/amd64/linux ro"), "{http}");
    let elsewhere = look(&world, "grub.cfg", 2, Door::Tftp).unwrap();
    let kernel = "linux (http,172.16.0.254:9000)/boot-images/vmlinuz-5.14.0 nomodeset";
    assert!(elsewhere.contains(kernel), "{elsewhere}");
}

#[test]
fn the_own_disk_is_booted_in_each_language() {
    let world = world();
    let text = look(&world, "pxelinux.cfg/default", 4, Door::Tftp).unwrap();
    assert!(text.contains("LOCALBOOT 0") && !text.contains("LINUX"), "{text}");
    let text = look(&world, "grub.cfg", 4, Door::Tftp).unwrap();
    assert!(
        text.contains("  exit\n") && text.contains("chainloader +1") && !text.contains("linux"),
        "{text}"
    );
}

#[test]
fn a_word_that_grub_could_interpret_is_quoted() {
    for (word, expected) in [
        ("console=ttyS0,115200n8", "console=ttyS0,115200n8"),
        ("(tftp,10.0.0.1)/a/linux", "(tftp,10.0.0.1)/a/linux"),
        ("(tftp,10.0.0.1)/a b", "'(tftp,10.0.0.1)/a b'"),
        ("ds=nocloud-net;s=x", "'ds=nocloud-net;s=x'"),
        ("${net}", "'${net}'"),
        ("it's", "'it'\\''s'"),
    ] {
        assert_eq!(quoted(word), expected);
    }
}

#[test]
fn a_hostile_name_stays_in_its_comment() {
    let named = Node { name: Some("x'; reboot\n#é".into()), ..fixture::node(1) };
    let world = fixture::world(vec![named], vec![fixture::entry("e", &[1])]);
    let text = look(&world, "grub.cfg", 1, Door::Tftp).unwrap();
    assert!(text.contains("\necho 'bootlace: x?? reboot?#? boots entry e (matched by mac)'\n"), "{text}");
}

/// A loader's own menu file would boot it past the script that waits.
#[test]
fn a_disabled_node_gets_no_file_that_boots_it_and_keeps_its_loaders() {
    let disabled = Node { disabled: true, ..fixture::node(1) };
    let world = fixture::world(vec![disabled], vec![fixture::entry("debug", &[1])]);
    for name in ["pxelinux.cfg/default", "grub.cfg", "pxelinux.cfg/01-52-54-00-be-ef-01"] {
        let miss = look(&world, name, 1, Door::Tftp);
        assert_eq!(miss, Err(Miss::Refused(Reason::NodeDisabled)), "{name}");
    }
    assert!(look(&world, "autoexec.ipxe", 1, Door::Tftp).is_ok(), "it leads to the script that waits");
    let (peer, local) = (fixture::peer(&world, 1), IpAddr::from([172, 16, 0, 254]));
    let loader = Ask { path: "snponly-x86_64.efi", peer: &peer, local, door: Door::Tftp };
    assert!(open(&world, &loader).is_ok());
}

/// Two nodes of the store have no line that tells them apart.
#[test]
fn a_node_of_the_store_is_refused_the_file_of_another_one() {
    use crate::records::{NodeKey, Origin};
    let mut world = fixture::world(vec![], vec![fixture::entry("debug", &[1, 2])]);
    for n in [1, 2] {
        let node = Node { origin: Origin::default(), ..fixture::node(n) };
        world.records.put_node(NodeKey::Stored(node.xname.clone().unwrap()), node);
    }
    assert!(look(&world, "pxelinux.cfg/01-52-54-00-be-ef-01", 1, Door::Tftp).is_ok());
    for name in ["pxelinux.cfg/01-52-54-00-be-ef-02", "52:54:00:be:ef:02/grub.cfg"] {
        let miss = look(&world, name, 1, Door::Tftp);
        assert_eq!(miss, Err(Miss::Refused(Reason::NotYourFile)), "{name}");
    }
}
