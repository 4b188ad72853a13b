//! What was acknowledged is kept, whatever ends the process and however full the disk is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use bootlace::lab::sandbox::Place;
use serde_json::{Value, json};

use crate::support::{API, LIMIT, Site, request};

/// Components of one request: all of them are kept, or none.
const TOGETHER: usize = 5;
/// Clients that write at once, so that requests share a commit.
const CLIENTS: usize = 4;

fn xname(request: usize, part: usize) -> String {
    format!("x{}c0s{}b0n{part}", 1000 + request / 500, request % 500)
}

/// The body of request number `request`.
fn body(request: usize) -> Vec<u8> {
    let components: Vec<Value> = (0..TOGETHER)
        .map(|part| json!({"ID": xname(request, part), "State": "On", "NID": request * TOGETHER + part + 1}))
        .collect();
    json!({"Components": components}).to_string().into_bytes()
}

fn stored(site: &Site) -> Vec<String> {
    let list = site.get("/hsm/v2/State/Components").is(200).json();
    let ids = list["Components"].as_array().unwrap().iter();
    ids.map(|component| component["ID"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_under_a_stream_of_writes() {
    let site = Site::f0();
    let next = AtomicUsize::new(0);
    let acknowledged = Mutex::new(Vec::new());
    for round in 0..40 {
        let killed = AtomicBool::new(false);
        // Another number of acknowledgements each time, so that the kill falls into every part of the work.
        let goal = acknowledged.lock().unwrap().len() + 1 + round * 7 % 23;
        std::thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while !killed.load(Ordering::Relaxed) {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        let sent = request("srv", API, "POST", "/hsm/v2/State/Components", &[], &body(n));
                        match sent {
                            Ok(answer) if answer.status == 204 => acknowledged.lock().unwrap().push(n),
                            // Cut off by the kill.
                            _ => {}
                        }
                    }
                });
            }
            let start = Instant::now();
            while acknowledged.lock().unwrap().len() < goal {
                assert!(start.elapsed() < LIMIT, "writes are not answered: {}", site.log());
                std::thread::yield_now();
            }
            site.kill();
            killed.store(true, Ordering::Relaxed);
        });
        site.start();
        let stored: std::collections::HashSet<String> = stored(&site).into_iter().collect();
        for n in acknowledged.lock().unwrap().iter() {
            assert!(
                stored.contains(&xname(*n, 0)),
                "request {n} was acknowledged and is gone (round {round})"
            );
        }
        for n in 0..next.load(Ordering::Relaxed) {
            let kept = (0..TOGETHER).filter(|part| stored.contains(&xname(n, *part))).count();
            assert!(kept == 0 || kept == TOGETHER, "request {n} was kept by half (round {round})");
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_with_507_and_nothing_else() {
    let site = Site::f0();
    site.discover();
    site.stop();
    // The same state on a disk of its own, which has little room.
    let state = site.sandbox.work().join("state").display().to_string();
    let copy = site.sandbox.work().join("copy").display().to_string();
    let run = |words: &[&str]| site.sandbox.run(Place::Net, words).unwrap();
    run(&["mv", &state, &copy]);
    run(&["mkdir", &state]);
    run(&["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", &state]);
    run(&["sh", "-c", &format!("cp -a {copy}/. {state}/")]);
    site.start();
    let large = |n: usize| {
        let text = "x".repeat(200_000);
        let group = json!({"label": format!("g{n}"), "description": text});
        site.post("/hsm/v2/groups", &group)
    };
    let mut written = 0;
    let refused = loop {
        let answer = large(written);
        match answer.status {
            201 => written += 1,
            _ => break answer,
        }
        assert!(written < 1000, "the disk does not fill");
    };
    refused.problem(507, "");
    // Reading and booting go on.
    site.get("/hsm/v2/State/Components/x1000c0s0b0n0").is(200);
    site.node_get("n1", "/boot/v1/bootscript?mac=52:54:00:be:ef:01").is(200);
    assert_eq!(site.get(&format!("/hsm/v2/groups/g{written}")).status, 404);
    // With room, writing goes on without a restart.
    run(&["mount", "-o", "remount,size=64m", &state]);
    large(written).is(201);
    site.stop();
    site.start();
    for n in 0..=written {
        site.get(&format!("/hsm/v2/groups/g{n}")).is(200);
    }
}
