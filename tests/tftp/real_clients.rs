//! What firmware engineers have at hand: `tftp`, `atftp`, `curl`, busybox `tftp`.

use bootlace::config::Knobs;
use bootlace::journal::{TftpEvent, TftpOutcome};
use bootlace::policy::Reason;

use crate::lan::{Known, Lan, on_lan};

/// Bytes in which every misplaced block shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 8 + index % 8 * 31 + index / 65_536) as u8).collect()
}

fn assert_sent(event: &TftpEvent, size: usize) {
    assert_eq!(event.outcome, TftpOutcome::Sent, "{event:?}");
    assert_eq!((event.bytes, event.size), (size as u64, Some(size as u64)), "{event:?}");
}

#[test]
fn every_client_fetches_a_loader_byte_for_byte() {
    every_client_fetches_a_loader(Knobs::default());
}

/// [T1]
#[test]
fn every_client_fetches_a_loader_from_port_69_alone() {
    every_client_fetches_a_loader(Knobs { single_port: Some(true), ..Knobs::default() });
}

fn every_client_fetches_a_loader(knobs: Knobs) {
    let loader = pattern(300_000);
    let known = Known { loaders: vec![("snponly-x86_64.efi", loader.clone())], knobs, ..Known::default() };
    on_lan(known, move |lan| {
        lan.asset("sub folder/exact.bin", &pattern(1432 * 40));
        lan.asset("one", b"1");
        lan.asset("empty", b"");
        let url = "tftp://10.9.0.1/snponly-x86_64.efi";
        let options = |options: &[&'static str]| {
            let mut command = vec!["atftp"];
            options.iter().for_each(|option| command.extend(["--option", option]));
            command.extend(["--get", "-r", "snponly-x86_64.efi", "-l", "got", "10.9.0.1"]);
            command
        };
        let commands: Vec<(Vec<&str>, u16, u16)> = vec![
            (vec!["tftp", "-m", "binary", "10.9.0.1", "-c", "get", "snponly-x86_64.efi", "got"], 512, 1),
            (vec!["curl", "-sS", "-o", "got", url], 512, 1),
            (vec!["curl", "-sS", "--tftp-no-options", "-o", "got", url], 512, 1),
            (vec!["curl", "-sS", "--tftp-blksize", "1432", "-o", "got", url], 1432, 1),
            (vec!["curl", "-sS", "--tftp-blksize", "60000", "-o", "got", url], 1468, 1),
            (vec!["busybox", "tftp", "-g", "-r", "snponly-x86_64.efi", "-l", "got", "10.9.0.1"], 512, 1),
            (
                vec![
                    "busybox",
                    "tftp",
                    "-g",
                    "-b",
                    "1468",
                    "-r",
                    "snponly-x86_64.efi",
                    "-l",
                    "got",
                    "10.9.0.1",
                ],
                1468,
                1,
            ),
            (options(&[]), 512, 1),
            (options(&["tsize", "timeout 2"]), 512, 1),
            (options(&["blksize 1432", "windowsize 8", "tsize"]), 1432, 8),
            (options(&["windowsize 64", "blksize 60000"]), 1468, 16),
        ];
        for (command, blksize, windowsize) in commands {
            let (done, said) = lan.run(&command);
            assert!(done, "{command:?}: {said}");
            assert!(lan.fetched("got").as_ref() == Some(&loader), "{command:?}: bytes differ");
            let event = lan.event();
            assert_sent(&event, loader.len());
            assert_eq!((event.blksize, event.windowsize), (blksize, windowsize), "{command:?}");
            std::fs::remove_file(lan.folder().join("got")).unwrap();
        }
        // curl takes no OACK that tells size 0, and names no file that it got nothing for.
        let sizes = [
            ("sub%20folder/exact.bin", 1432 * 40, "--tftp-blksize=1432"),
            ("one", 1, "--tftp-blksize=1432"),
            ("empty", 0, "--tftp-no-options"),
        ];
        for (name, size, option) in sizes {
            let url = format!("tftp://10.9.0.1/{name}");
            let command = match option.split_once('=') {
                Some((option, value)) => vec!["curl", "-sS", option, value, "-o", "got", &url],
                None => vec!["curl", "-sS", option, "-o", "got", &url],
            };
            let (done, said) = lan.run(&command);
            assert!(done, "{name}: {said}");
            assert_eq!(lan.fetched("got").map_or(0, |bytes| bytes.len()), size, "{name}");
            assert_sent(&lan.event(), size);
            let _ = std::fs::remove_file(lan.folder().join("got"));
        }
    });
}

/// [T11]
#[test]
fn netascii_gives_a_text_back_as_it_was() {
    on_lan(Known::default(), |lan| {
        let text = b"a line\nanother, with a lone \r in it\n\n".repeat(500);
        lan.asset("motd", &text);
        let (_, said) = lan.run(&["tftp", "-m", "ascii", "10.9.0.1", "-c", "get", "motd", "got"]);
        assert!(lan.fetched("got").as_ref() == Some(&text), "{said}");
        let event = lan.event();
        let pairs = text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
        assert_eq!(event.outcome, TftpOutcome::Sent);
        assert_eq!(event.bytes, (text.len() + pairs) as u64, "payload bytes on the wire");
    });
}

/// [T7] 40 MB in blocks of 512 bytes: 78 126 of them.
#[test]
fn a_file_of_more_blocks_than_numbers_arrives_whole() {
    on_lan(Known::default(), |lan| {
        let image = pattern(40_000_000);
        lan.asset("installer.img", &image);
        let (done, said) =
            lan.run(&["curl", "-sS", "--tftp-no-options", "-o", "got", "tftp://10.9.0.1/installer.img"]);
        assert!(done, "{said}");
        assert!(lan.fetched("got").as_ref() == Some(&image), "bytes differ");
        assert_sent(&lan.event(), image.len());

        let fast = ["--option", "windowsize 16", "--option", "blksize 1468"];
        let fetch = ["--get", "-r", "installer.img", "-l", "again", "10.9.0.1"];
        let (done, said) = lan.run(&[&["atftp"], &fast[..], &fetch[..]].concat());
        assert!(done, "{said}");
        assert!(lan.fetched("again").as_ref() == Some(&image), "bytes differ");
        let event = lan.event();
        assert_sent(&event, image.len());
        assert!(
            event.resent * 20 < 27_000,
            "{} of 27 000 blocks sent again on a path without loss",
            event.resent
        );
    });
}

/// [T16]
#[test]
fn clients_at_the_same_time_do_not_disturb_each_other() {
    on_lan(Known::default(), |lan| {
        let image = pattern(3_000_000);
        lan.asset("image", &image);
        let outputs = ["1", "2", "3", "4", "5", "6"];
        let clients: Vec<_> = outputs
            .iter()
            .map(|output| lan.start(&["curl", "-sS", "-o", output, "tftp://10.9.0.1/image"]))
            .collect();
        for (client, output) in clients.into_iter().zip(outputs) {
            let (done, said) = client.finish();
            assert!(done, "{said}");
            assert!(lan.fetched(output).as_ref() == Some(&image), "bytes of client {output} differ");
        }
        lan.events(outputs.len()).iter().for_each(|event| assert_sent(event, image.len()));
    });
}

/// [T1] `crafted.rs` looks at the sender; this at what clients make of it.
#[test]
fn every_address_of_the_interface_serves() {
    on_lan(Known::default(), |lan| {
        lan.asset("file", &pattern(5000));
        for address in ["10.9.0.1", "10.9.0.2"] {
            let (done, said) = lan.run(&["curl", "-sS", "-o", "got", &format!("tftp://{address}/file")]);
            assert!(done, "{said}");
            assert_eq!(lan.event().local.to_string(), address);
        }
    });
}

/// [W10] and the show of issue 3: whatever the spelling, nothing outside the folder leaves.
#[test]
fn nothing_leaves_the_asset_folder() {
    on_lan(Known::default(), |lan| {
        let assets = lan.assets();
        std::fs::write(lan.folder().join("secret"), b"root:x:0:0").unwrap();
        std::os::unix::fs::symlink("../secret", assets.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc", assets.join("etc")).unwrap();
        nix::unistd::mkfifo(&assets.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::create_dir(assets.join("folder")).unwrap();
        let spellings = [
            "../secret",
            "/../secret",
            "//../secret",
            "folder/../../secret",
            "./../secret",
            "..\\secret",
            "\\..\\secret",
            "folder\\..\\..\\secret",
            "..//secret",
            "....//../secret",
            "../etc/passwd",
            "../../../../../../../../etc/passwd",
            "link",
            "/link",
            "etc/passwd",
            "fifo",
            "folder",
            "folder/",
            ".",
            "/",
        ];
        for name in spellings {
            let (_, said) = lan.run(&["tftp", "-m", "binary", "10.9.0.1", "-c", "get", name, "got"]);
            assert_refused(lan, name, &said);
            // atftp keeps the name as it is, too, and asks with options.
            let (done, said) =
                lan.run(&["atftp", "--option", "tsize", "--get", "-r", name, "-l", "got", "10.9.0.1"]);
            assert!(!done, "atftp {name}: {said}");
            assert_refused(lan, name, &said);
        }
        for path in
            ["../secret", "%2e%2e/secret", "folder/..%2f..%2fsecret", "%5c..%5csecret", "link", "fifo"]
        {
            let url = format!("tftp://10.9.0.1/{path}");
            let (done, said) = lan.run(&["curl", "-sS", "--path-as-is", "-o", "got", &url]);
            assert!(!done, "curl {path}: {said}");
            assert_refused(lan, path, &said);
        }
    });
}

fn assert_refused(lan: &Lan, name: &str, said: &str) {
    assert!(lan.fetched("got").unwrap_or_default().is_empty(), "{name}: bytes left the folder");
    assert!(!said.contains(&*lan.folder().to_string_lossy()), "{name}: the wire tells our path: {said}");
    let event = lan.event();
    // The root has no name, so there is nothing to find.
    let root = name.trim_matches(['/', '.']).is_empty() && event.outcome == TftpOutcome::NotFound;
    let refused = root
        || matches!(
            event.outcome,
            TftpOutcome::Refused { reason: Reason::BadName | Reason::OutsideFolder | Reason::NotAFile, .. }
        );
    assert!(refused, "{name}: {event:?}");
}

/// [T15] [T2]
#[test]
fn what_is_not_there_is_said_at_once_and_writing_is_refused() {
    on_lan(Known::default(), |lan| {
        let (done, said) = lan.run(&["curl", "-sS", "tftp://10.9.0.1/pxelinux.cfg/default"]);
        // Its exit code for the TFTP error; its words differ between versions.
        assert!(!done && said.contains("exit status: 68"), "{said}");
        let event = lan.event();
        assert_eq!(event.outcome, TftpOutcome::NotFound);
        assert_eq!(event.name, "pxelinux.cfg/default");

        std::fs::write(lan.folder().join("mine"), b"mine").unwrap();
        for command in [
            vec!["curl", "-sS", "-T", "mine", "tftp://10.9.0.1/yours"],
            vec!["atftp", "--put", "-l", "mine", "-r", "yours", "10.9.0.1"],
        ] {
            let (done, said) = lan.run(&command);
            assert!(!done, "{command:?}: {said}");
            let event = lan.event();
            assert!(
                matches!(event.outcome, TftpOutcome::Illegal { why } if why.contains("write")),
                "{event:?}"
            );
            assert_eq!(event.name, "yours");
        }
        assert!(!lan.assets().join("yours").exists());
    });
}
