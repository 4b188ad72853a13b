//! kill -9 at any moment under a stream of writes.
//!
//! The child is this very test, called again with a folder in its environment. Each of its tasks counts up: one
//! job moves the task's own counter, its copy in another table, and the total. Whatever moment the file shows, the
//! copies agree and the total is the sum, or a request or a batch was applied by half.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bootlace::store::writer::Writer;
use bootlace::store::{Change, Store};
use imbl::OrdMap;

use super::{Content, content, put};

const ROUNDS: u32 = 200;
/// Tasks that write at the same time.
const TASKS: usize = 6;
const FOLDER: &str = "BOOTLACE_TEST_KILLED_IN";

fn number(content: &Content, table: &str, key: &str) -> u64 {
    let value = content.get(&(table.to_owned(), key.to_owned()));
    value.map_or(0, |value| String::from_utf8(value.clone()).unwrap().parse().unwrap())
}

/// Writes until it is killed; one line on stdout for every acknowledged write.
fn write_for_ever(folder: &Path) -> ! {
    let store = Store::open(folder).unwrap();
    let mut state = OrdMap::new();
    for ((table, key), value) in content(&store) {
        if table != "copies" {
            state.insert(key, String::from_utf8(value).unwrap().parse::<u64>().unwrap());
        }
    }
    let writer = Arc::new(Writer::start(Some(store), state, |_| ()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let writer = Arc::clone(&writer);
        tasks.spawn_on(
            async move {
                loop {
                    let reached = writer.submit(move |state, changes| count(state, changes, task)).await;
                    let line = format!("\nacknowledged {task} {}\n", reached.unwrap().unwrap());
                    // Straight to the pipe: what was read there had been acknowledged.
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            },
            runtime.handle(),
        );
    }
    runtime.block_on(tasks.join_next());
    panic!("a task ended by itself")
}

fn count(state: &mut OrdMap<String, u64>, changes: &mut Vec<Change>, task: usize) -> Result<u64, ()> {
    let mut up = |key: &str| {
        let counter = state.entry(key.to_owned()).or_insert(0);
        *counter += 1;
        *counter
    };
    let (key, total) = (format!("task{task}"), up("total"));
    let own = up(&key);
    changes.push(put("counters", &key, own.to_string()));
    // Different sizes, so that pages split and the file grows.
    let padding = "0".repeat((own as usize * 37) % 1500);
    changes.push(put("copies", &key, format!("{padding}{own}")));
    changes.push(put("total", "total", total.to_string()));
    Ok(own)
}

/// A cheap pseudo-random sequence: the same moments in every run, as far as the machine allows.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *seed >> 33
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_in_200_rounds() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_for_ever(Path::new(&folder));
    }
    let name = "kill::nothing_acknowledged_is_lost_by_kill_9_in_200_rounds";
    let (mut seed, mut acknowledged_at_all) = (7, 0);
    let mut folder = tempfile::tempdir().unwrap();
    let mut reached = BTreeMap::<usize, u64>::new();
    for round in 0..ROUNDS {
        // A new folder now and then: making the file is a moment, too.
        let fresh = round % 8 == 0;
        if fresh {
            folder = tempfile::tempdir().unwrap();
            reached.clear();
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(FOLDER, folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut note = |line: &str| {
            let mut words = line.strip_prefix("acknowledged ").into_iter().flat_map(str::split_whitespace);
            if let (Some(task), Some(count)) = (words.next(), words.next()) {
                reached.insert(task.parse().unwrap(), count.parse().unwrap());
                acknowledged_at_all += 1;
                return 1;
            }
            0
        };
        if round % 4 == 0 {
            // At start: while the file is made, checked, repaired.
            std::thread::sleep(Duration::from_micros(next(&mut seed) % 60_000));
        } else {
            let wanted = next(&mut seed) % 60;
            let mut seen = 0;
            while seen < wanted {
                let line =
                    lines.next().unwrap_or_else(|| panic!("the child ended by itself in round {round}"));
                seen += note(&line);
            }
            std::thread::sleep(Duration::from_micros(next(&mut seed) % 2_000));
        }
        child.kill().unwrap();
        // What was in the pipe had been acknowledged as well. A line that the kill cut short is shorter than
        // its number: it says too little, never too much.
        lines.for_each(|line| {
            note(&line);
        });
        child.wait().unwrap();

        let found =
            content(&Store::open(folder.path()).unwrap_or_else(|problem| panic!("round {round}: {problem}")));
        let mut sum = 0;
        for task in 0..TASKS {
            let key = format!("task{task}");
            let own = number(&found, "counters", &key);
            assert_eq!(own, number(&found, "copies", &key), "round {round}: half a request of {key}");
            let acknowledged = reached.get(&task).copied().unwrap_or(0);
            assert!(own >= acknowledged, "round {round}: {key} lost: {own} of {acknowledged} acknowledged");
            sum += own;
        }
        assert_eq!(sum, number(&found, "total", "total"), "round {round}: half a batch");
    }
    assert!(acknowledged_at_all > 1000, "the stream of writes was a trickle: {acknowledged_at_all}");
}
