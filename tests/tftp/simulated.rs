//! The transfer machine on a simulated network with a clock of its own: nothing sleeps, nothing is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bootlace::boot::tree::Content;
use bootlace::journal::TftpOutcome;
use bootlace::tftp::options::Agreed;
use bootlace::tftp::payload::Payload;
use bootlace::tftp::transfer::{Again, BURST_PAUSE, LAST_PATIENCE, PATIENCE, STALLED, Step, Transfer};
use proptest::prelude::*;

use crate::client::Receiver;

/// The client of the simulation asks again after this much silence.
const CLIENT_PATIENCE: Duration = Duration::from_secs(1);

/// What the network does to packets, each in per mille.
#[derive(Clone, Copy, Debug, Default)]
struct Network {
    lost: u64,
    doubled: u64,
    /// Arrive up to three delays late, so behind later ones.
    late: u64,
    /// One way.
    delay: Duration,
    /// Packets of one burst that a small buffer takes; the rest is lost.
    buffer: Option<u64>,
    seed: u64,
}

/// A small generator (xorshift): the same seed, the same accidents.
struct Dice(u64);

impl Dice {
    fn per_mille(&mut self, chance: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % 1000 < chance
    }
}

enum InFlight {
    OptionAck,
    Data(u16, Vec<u8>),
    Ack(u16),
}

/// How a simulated transfer went.
struct Outcome {
    bytes: Vec<u8>,
    complete: bool,
    ended: TftpOutcome,
    /// Until the client had everything.
    took: Duration,
    /// DATA packets sent.
    sent: u64,
    resent: u64,
}

fn agreed(blksize: u16, windowsize: u16, offered: bool) -> Agreed {
    let option_ack = offered.then(Vec::new);
    Agreed { blksize, windowsize, timeout: None, tells_size: false, option_ack }
}

/// Runs one transfer until the server's side has ended.
fn simulate(mut payload: Payload, agreed: &Agreed, network: Network) -> Outcome {
    let start = Instant::now();
    let mut now = start;
    let mut dice = Dice(network.seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15));
    let mut transfer = Transfer::new(agreed, payload.total(), now);
    let mut receiver = Receiver::new(agreed.blksize, agreed.windowsize);
    let mut wire: BTreeMap<(Instant, u64), InFlight> = BTreeMap::new();
    let mut serial = 0;
    let mut sent = 0;
    let mut took = Duration::ZERO;
    let mut heard_of_server = false;
    let mut client_speaks = now + CLIENT_PATIENCE;
    let mut scratch = Vec::new();

    let mut post = |wire: &mut BTreeMap<_, _>, now: Instant, copies: &dyn Fn() -> InFlight| {
        let copies_sent = 1 + u64::from(dice.per_mille(network.doubled));
        for _ in 0..copies_sent {
            if !dice.per_mille(network.lost) {
                let late = if dice.per_mille(network.late) { 3 } else { 0 };
                serial += 1;
                wire.insert((now + network.delay * (1 + late), serial), copies());
            }
        }
    };

    let ended = loop {
        let step = transfer.poll(now);
        match step {
            Step::Ended(outcome) => break outcome,
            Step::OptionAck => post(&mut wire, now, &|| InFlight::OptionAck),
            Step::Blocks { first, count } => {
                let blocks = payload.load(first, count, agreed.blksize, &mut scratch).unwrap();
                if let Some(total) = blocks.total {
                    transfer.ends_at(total);
                }
                let mut pieces = blocks.bytes.chunks(usize::from(agreed.blksize));
                for number in first..first + u64::from(count) {
                    let piece = pieces.next().unwrap_or(&[]).to_vec();
                    sent += 1;
                    if network.buffer.is_none_or(|room| number - first < room) {
                        post(&mut wire, now, &|| InFlight::Data(number as u16, piece.clone()));
                    }
                }
            }
            Step::Wait => {
                // Time passes to whatever comes first.
                let next_packet = wire.keys().next().map(|(at, _)| *at);
                now = [next_packet, Some(transfer.wake_at()), (!receiver.complete).then_some(client_speaks)]
                    .into_iter()
                    .flatten()
                    .min()
                    .unwrap()
                    .max(now);
                assert!(now - start < Duration::from_secs(3600), "the transfer never ends");
                if now >= client_speaks && !receiver.complete && heard_of_server {
                    let number = receiver.acknowledge();
                    post(&mut wire, now, &|| InFlight::Ack(number));
                    client_speaks = now + CLIENT_PATIENCE;
                } else if now >= client_speaks {
                    client_speaks = now + CLIENT_PATIENCE;
                }
                while let Some(entry) = wire.first_entry() {
                    if entry.key().0 > now {
                        break;
                    }
                    let answer = match entry.remove() {
                        InFlight::Ack(number) => {
                            transfer.on_ack(number, now);
                            continue;
                        }
                        InFlight::OptionAck => (receiver.bytes.is_empty()).then_some(0),
                        InFlight::Data(number, piece) => {
                            let missing = !receiver.complete;
                            let answer = receiver.on_data(number, &piece);
                            if missing && receiver.complete {
                                took = now - start;
                            }
                            answer
                        }
                    };
                    heard_of_server = true;
                    client_speaks = now + CLIENT_PATIENCE;
                    if let Some(number) = answer {
                        post(&mut wire, now, &|| InFlight::Ack(number));
                    }
                }
            }
        }
    };
    let Receiver { bytes, complete, .. } = receiver;
    Outcome { bytes, complete, ended, took, sent, resent: transfer.resent() }
}

fn octet(bytes: &[u8]) -> Payload {
    Payload::octet(Content::Memory(Arc::from(bytes)), bytes.len() as u64)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8).collect()
}

/// [T7]
#[test]
fn block_number_wraps_without_losing_a_byte() {
    let file = pattern(70_000 * 8 + 3);
    for (windowsize, lost) in [(1, 0), (1, 10), (16, 0), (16, 10), (7, 50)] {
        let network =
            Network { lost, doubled: lost, delay: Duration::from_micros(100), seed: 7, ..Network::default() };
        let outcome = simulate(octet(&file), &agreed(8, windowsize, true), network);
        assert!(outcome.bytes == file, "window {windowsize}, {lost} per mille lost: bytes differ");
        assert_eq!(outcome.ended, TftpOutcome::Sent);
    }
}

/// [T8]
#[test]
fn an_exact_multiple_of_the_block_size_ends_with_an_empty_block() {
    for length in [0, 1, 511, 512, 513, 1024, 8 * 512] {
        let file = pattern(length);
        for (windowsize, offered) in [(1, false), (4, true)] {
            let outcome = simulate(octet(&file), &agreed(512, windowsize, offered), Network::default());
            assert!(outcome.complete && outcome.bytes == file, "{length} bytes, window {windowsize}");
            assert_eq!(outcome.sent, length as u64 / 512 + 1, "{length} bytes, window {windowsize}");
        }
    }
}

/// [T6] A doubled packet must not double the rest of the transfer (Sorcerer's Apprentice).
#[test]
fn doubled_packets_cause_no_second_stream() {
    let file = pattern(2000 * 512);
    for windowsize in [1, 4, 16] {
        let network =
            Network { doubled: 200, delay: Duration::from_micros(200), seed: 3, ..Network::default() };
        let outcome = simulate(octet(&file), &agreed(512, windowsize, true), network);
        assert!(outcome.bytes == file);
        // With a window, a doubled block looks like a gap to the client now and then.
        let allowed = if windowsize == 1 { 0 } else { outcome.sent / 2 };
        assert!(
            outcome.resent <= allowed,
            "window {windowsize}: {} of {} again",
            outcome.resent,
            outcome.sent
        );
    }
}

/// [T6] [T9] The adaptive time-out and gap ACKs keep a lossy path fast: 1 MiB at 1 % loss and 1 ms.
#[test]
fn one_percent_loss_costs_no_full_second_time_outs() {
    let file = pattern(1 << 20);
    for (windowsize, limit) in [(1, Duration::from_secs(4)), (16, Duration::from_secs(2))] {
        for seed in 0..8 {
            let network = Network { lost: 10, delay: Duration::from_micros(500), seed, ..Network::default() };
            let outcome = simulate(octet(&file), &agreed(1456, windowsize, true), network);
            assert!(outcome.bytes == file);
            assert!(outcome.took < limit, "window {windowsize}, seed {seed}: {:?}", outcome.took);
        }
    }
}

/// [T9] A buffer that takes ten packets loses the tail of every window of 16 sent at once.
#[test]
fn a_small_buffer_on_the_way_is_met_with_smaller_bursts() {
    let file = pattern(4 << 20);
    let network = Network { buffer: Some(10), delay: Duration::from_micros(100), ..Network::default() };
    let outcome = simulate(octet(&file), &agreed(1456, 16, true), network);
    assert!(outcome.bytes == file);
    let tail_lost_every_time = outcome.sent / 4;
    assert!(outcome.resent < tail_lost_every_time, "{} of {} again", outcome.resent, outcome.sent);
}

/// [T11]
#[test]
fn netascii_arrives_translated_under_loss() {
    let text = b"one\ntwo\r\nthree\rend\n".repeat(400);
    let expected: Vec<u8> = text
        .iter()
        .flat_map(|byte| match byte {
            b'\n' => b"\r\n".to_vec(),
            b'\r' => b"\r\0".to_vec(),
            other => vec![*other],
        })
        .collect();
    let network =
        Network { lost: 50, doubled: 20, delay: Duration::from_millis(1), seed: 5, ..Network::default() };
    let payload = Payload::netascii(Content::Memory(Arc::from(&text[..])), text.len() as u64);
    let outcome = simulate(payload, &agreed(512, 1, false), network);
    assert_eq!(outcome.ended, TftpOutcome::Sent);
    assert!(outcome.bytes == expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_byte_arrives_whatever_the_network_does(
        length in 0_usize..60_000, blksize in 8_u16..1500, windowsize in 1_u16..17, offered: bool,
        lost in 0_u64..50, doubled in 0_u64..100, late in 0_u64..100, delay in 0_u64..3000, seed: u64,
    ) {
        let file = pattern(length.min(usize::from(blksize) * 400));
        let windowsize = if offered { windowsize } else { 1 };
        let delay = Duration::from_micros(delay);
        let network = Network { lost, doubled, late, delay, buffer: None, seed };
        let outcome = simulate(octet(&file), &agreed(blksize, windowsize, offered), network);
        // At these rates even the first packet gets through in its few tries.
        prop_assert!(outcome.complete, "{:?}", outcome.ended);
        prop_assert!(outcome.bytes == file);
        prop_assert_eq!(outcome.ended, TftpOutcome::Sent);
    }

    #[test]
    fn no_acknowledgement_whatsoever_upsets_a_transfer(
        acks in proptest::collection::vec((any::<u16>(), 0_u64..2000), 0..200), windowsize in 1_u16..40,
    ) {
        let mut now = Instant::now();
        let mut transfer = Transfer::new(&agreed(512, windowsize, true), Some(100_000), now);
        for (number, wait) in acks {
            now += Duration::from_millis(wait);
            transfer.on_ack(number % 220, now);
            while let Step::Blocks { first, count } = transfer.poll(now) {
                prop_assert!(first >= 1 && first + u64::from(count) - 1 <= 196 && count <= windowsize);
            }
            prop_assert!(transfer.bytes() <= 100_000);
        }
    }
}

/// Steps at one moment until there is nothing more to do.
fn steps(transfer: &mut Transfer, now: Instant) -> Vec<Step> {
    std::iter::from_fn(|| Some(transfer.poll(now)).filter(|step| *step != Step::Wait)).take(20).collect()
}

fn blocks(first: u64, count: u16) -> Vec<Step> {
    vec![Step::Blocks { first, count }]
}

/// A transfer past its OACK, with the first window out.
fn under_way(windowsize: u16, total: u64, now: Instant) -> Transfer {
    let mut transfer = Transfer::new(&agreed(512, windowsize, true), Some(total), now);
    assert_eq!(steps(&mut transfer, now), [Step::OptionAck]);
    transfer.on_ack(0, now + Duration::from_millis(1));
    assert_eq!(steps(&mut transfer, now + Duration::from_millis(1)), blocks(1, windowsize));
    transfer
}

/// [T2]
#[test]
fn without_options_block_one_is_the_first_answer() {
    let now = Instant::now();
    let mut transfer = Transfer::new(&agreed(512, 1, false), Some(5000), now);
    assert_eq!(steps(&mut transfer, now), blocks(1, 1));
}

/// [T6] A table of ACKs while blocks 5 to 8 of a window of four are out.
#[test]
fn acknowledgements_move_the_window_only_where_they_should() {
    let start = Instant::now();
    let later = |millis| start + Duration::from_millis(millis);
    let cases = [
        ("whole window", 8, 2, blocks(9, 4)),
        ("inside: block 7 was lost", 6, 2, blocks(7, 4)),
        ("before the window, at once: may be an echo", 4, 2, vec![]),
        ("before the window, after two round trips: loss", 4, 9, blocks(5, 4)),
        ("long past", 3, 9, vec![]),
        ("never sent", 9, 2, vec![]),
        ("never sent, far ahead", 40_000, 2, vec![]),
    ];
    for (what, number, at, expected) in cases {
        let mut transfer = under_way(4, 100_000, start);
        transfer.on_ack(4, later(2));
        assert_eq!(steps(&mut transfer, later(2)), blocks(5, 4));
        transfer.on_ack(number, later(2 + at));
        assert_eq!(steps(&mut transfer, later(2 + at)), expected, "{what}");
    }
}

/// [T6]
#[test]
fn in_lockstep_a_repeated_ack_never_resends() {
    let start = Instant::now();
    let mut transfer = under_way(1, 100_000, start);
    for millis in 2..25 {
        transfer.on_ack(0, start + Duration::from_millis(millis));
        assert_eq!(steps(&mut transfer, start + Duration::from_millis(millis)), []);
    }
}

/// [T6] The echo of a resent window must not start another resend.
#[test]
fn a_late_ack_after_a_resend_is_no_sample_and_no_second_stream() {
    let start = Instant::now();
    let mut transfer = under_way(1, 100_000, start);
    let timed_out = start + Duration::from_millis(40);
    assert_eq!(steps(&mut transfer, timed_out), blocks(1, 1));
    transfer.on_ack(1, timed_out);
    assert_eq!(steps(&mut transfer, timed_out), blocks(2, 1));
    transfer.on_ack(1, timed_out);
    assert_eq!(steps(&mut transfer, timed_out), []);
}

/// [T5] [T14]
#[test]
fn the_same_request_again_restarts_the_first_answer_or_nothing() {
    let start = Instant::now();
    let mut waiting = Transfer::new(&agreed(512, 1, true), Some(5000), start);
    assert_eq!(steps(&mut waiting, start), [Step::OptionAck]);
    assert_eq!(waiting.on_same_request(start), Again::Resend);
    assert_eq!(steps(&mut waiting, start), [Step::OptionAck]);

    let mut plain = Transfer::new(&agreed(512, 1, false), Some(5000), start);
    assert_eq!(steps(&mut plain, start), blocks(1, 1));
    assert_eq!(plain.on_same_request(start), Again::Resend);
    assert_eq!(steps(&mut plain, start), blocks(1, 1));

    let mut running = under_way(1, 100_000, start);
    let soon = start + Duration::from_millis(10);
    assert_eq!(running.on_same_request(soon), Again::LateCopy);
    assert_eq!(steps(&mut running, soon), []);
    assert_eq!(running.on_same_request(start + STALLED * 2), Again::Replace);
}

/// [T5]
#[test]
fn an_error_ends_the_transfer_and_a_size_probe_is_told_from_an_abort() {
    let now = Instant::now();
    let ended = |tells_size, acks: &[u16], code| {
        let mut transfer = Transfer::new(&Agreed { tells_size, ..agreed(512, 1, true) }, Some(5000), now);
        steps(&mut transfer, now);
        for number in acks {
            transfer.on_ack(*number, now);
            steps(&mut transfer, now);
        }
        transfer.on_error(code, "User aborted the transfer".to_owned());
        steps(&mut transfer, now).pop()
    };
    let abort = |code| TftpOutcome::Aborted { code, text: "User aborted the transfer".to_owned() };
    assert_eq!(ended(true, &[], 8), Some(Step::Ended(TftpOutcome::SizeProbe)));
    assert_eq!(ended(true, &[0], 0), Some(Step::Ended(TftpOutcome::SizeProbe)));
    assert_eq!(ended(true, &[0, 1], 0), Some(Step::Ended(abort(0))));
    assert_eq!(ended(false, &[], 8), Some(Step::Ended(abort(8))));
}

/// Lets time pass without a word from the client; when it ends, how, and what was sent.
fn silence(transfer: &mut Transfer, start: Instant) -> (Duration, TftpOutcome, usize) {
    let mut sent = 0;
    let mut now = start;
    loop {
        match transfer.poll(now) {
            Step::Ended(outcome) => return (now - start, outcome, sent),
            Step::Wait => now = transfer.wake_at(),
            _ => sent += 1,
        }
    }
}

/// [T8]
#[test]
fn a_last_block_that_is_never_confirmed_is_no_failure() {
    let start = Instant::now();
    let mut transfer = under_way(1, 100, start);
    let (after, outcome, sent) = silence(&mut transfer, start);
    assert_eq!(outcome, TftpOutcome::Sent);
    assert!(after >= LAST_PATIENCE && after < LAST_PATIENCE * 2, "{after:?}");
    assert!((2..12).contains(&sent), "{sent}");
}

/// [T6] [T18]
#[test]
fn a_client_that_falls_silent_is_given_up_with_the_likely_cause() {
    let start = Instant::now();
    let agreed = agreed(1468, 1, true);
    let mut transfer = Transfer::new(&agreed, Some(100_000), start);
    steps(&mut transfer, start);
    transfer.on_ack(0, start);
    let (after, outcome, _) = silence(&mut transfer, start);
    assert!(matches!(outcome, TftpOutcome::TimedOut { hint: Some(hint) } if hint.contains("blksize_max")));
    assert!(after >= PATIENCE && after < PATIENCE * 2, "{after:?}");

    // Never a word: fewer tries, since the request may be forged.
    let mut unheard = Transfer::new(&agreed, Some(100_000), start);
    let (after, outcome, sent) = silence(&mut unheard, start);
    assert_eq!(outcome, TftpOutcome::TimedOut { hint: None });
    assert!(after < PATIENCE && sent == 7, "{sent} packets in {after:?}");
}

/// [T7]
#[test]
fn a_client_that_cannot_wrap_is_named() {
    let start = Instant::now();
    let mut transfer = Transfer::new(&agreed(8, 1, false), Some(8 * 70_000), start);
    steps(&mut transfer, start);
    for number in 1..=65_535 {
        transfer.on_ack(number, start);
        steps(&mut transfer, start);
    }
    let (_, outcome, _) = silence(&mut transfer, start);
    assert!(matches!(outcome, TftpOutcome::TimedOut { hint: Some(hint) } if hint.contains("65535")));
}

#[test]
fn what_the_socket_did_not_take_is_sent_after_a_pause() {
    let start = Instant::now();
    let mut transfer = Transfer::new(&agreed(512, 8, true), Some(100_000), start);
    steps(&mut transfer, start);
    transfer.on_ack(0, start);
    assert_eq!(transfer.poll(start), Step::Blocks { first: 1, count: 8 });
    transfer.cut_short(4);
    assert_eq!(transfer.poll(start), Step::Wait);
    assert_eq!(transfer.wake_at(), start + BURST_PAUSE);
    assert_eq!(transfer.poll(start + BURST_PAUSE), Step::Blocks { first: 4, count: 5 });
    assert_eq!(transfer.resent(), 0);
}
