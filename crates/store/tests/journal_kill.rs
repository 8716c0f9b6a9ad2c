//! kill -9 at any moment loses no CDR and doubles none.
//!
//! A child process runs a journal and its shipper as a node does, and says which entries are
//! written after [`Journal::write`] has returned: what a node would have told its peers. The
//! parent kills it after a random number of such words, again and again on one directory, and
//! at last compares what it was told with what the store has.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clock::Time;
use model::{CallId, Cdr, CdrOutcome, EndedBy};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use store::journal::{Journal, JournalConfig, JournalEntry, OpenCdr, Shipper};
use store::{CdrFilter, CdrStore, Sqlite};

#[test]
fn a_killed_node_loses_no_call_and_doubles_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut told = Told::default();
    for round in 0..ROUNDS {
        run_and_kill(dir.path(), round, rng.random_range(0..WORDS_MAX), &mut told);
    }
    assert!(
        told.opened.len() > 1_000 && told.closed.len() > 500,
        "the children did their work"
    );

    let store = Sqlite::open(&dir.path().join(DATABASE)).unwrap();
    let (journal, _) = open_journal(dir.path());
    let mut shipper = Shipper::open(&dir.path().join(JOURNAL)).unwrap();
    while shipper.ship(&store).unwrap().read > 0 {}
    drop(journal);

    let stored = store.list(&CdrFilter::default(), None, usize::MAX).unwrap();
    let records: BTreeMap<_, _> = stored.iter().map(|cdr| (cdr.call, cdr)).collect();
    assert_eq!(records.len(), stored.len(), "no call has two records");
    let sequences: BTreeSet<_> = stored.iter().map(|cdr| cdr.sequence).collect();
    assert_eq!(sequences.len(), stored.len(), "no sequence is used twice");
    for call in &told.opened {
        let record = records
            .get(call)
            .unwrap_or_else(|| panic!("{call} is lost"));
        if told.closed.contains(call) {
            assert_eq!(
                record.reason, CLOSED_REASON,
                "{call} was closed before the crash"
            );
        }
    }
}

/// The node that is killed; not a test of its own.
#[test]
#[ignore = "started by the test above"]
fn child() {
    let dir = std::env::var(DIR_VARIABLE).expect("the parent names a directory");
    let round: u64 = std::env::var(ROUND_VARIABLE).unwrap().parse().unwrap();
    let dir = Path::new(&dir);
    let store: Arc<dyn CdrStore> = Arc::new(Sqlite::open(&dir.join(DATABASE)).unwrap());
    let (mut journal, mut sequence) = open_journal(dir);
    let shipper = Shipper::open(&dir.join(JOURNAL)).unwrap();
    let _shipping = shipper.spawn(store, Duration::from_millis(1)).unwrap();

    let mut rng = ChaCha8Rng::seed_from_u64(round);
    let mut open = Vec::new();
    for batch in 0.. {
        let mut words = String::new();
        for n in 0..rng.random_range(1..10) {
            let call = CallId::from_parts(round * 1_000_000 + batch, n);
            journal.append(&JournalEntry::Opened(opened(call))).unwrap();
            words += &format!("\n{OPENED}{call}\n");
            open.push(call);
        }
        while open.len() > 20 {
            let call = open.swap_remove(rng.random_range(0..open.len()));
            let at = Time::from_micros(2);
            journal
                .append(&JournalEntry::Answered { call, at })
                .unwrap();
            journal
                .append(&JournalEntry::Closed(closed(call, sequence)))
                .unwrap();
            sequence += 1;
            words += &format!("\n{CLOSED}{call}\n");
        }
        journal.write().unwrap();
        std::io::stdout().write_all(words.as_bytes()).unwrap();
    }
}

/// What a node would have told its peers, so that it must not be forgotten.
#[derive(Default)]
struct Told {
    opened: BTreeSet<CallId>,
    closed: BTreeSet<CallId>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        // A line without an end was cut off by the kill.
        let Some(line) = line.strip_suffix('\n') else {
            return;
        };
        if let Some(call) = line.strip_prefix(OPENED) {
            self.opened.insert(call.parse().unwrap());
        } else if let Some(call) = line.strip_prefix(CLOSED) {
            self.closed.insert(call.parse().unwrap());
        }
    }
}

fn run_and_kill(dir: &Path, round: u64, words: usize, told: &mut Told) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DIR_VARIABLE, dir)
        .env(ROUND_VARIABLE, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..words {
        let mut line = String::new();
        assert!(
            output.read_line(&mut line).unwrap() > 0,
            "the child died by itself"
        );
        told.hear(&line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it died counts as well.
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    rest.split_inclusive('\n').for_each(|line| told.hear(line));
}

fn open_journal(dir: &Path) -> (Journal, u64) {
    let config = JournalConfig {
        segment_bytes: 20_000,
        ..JournalConfig::new("node-1")
    };
    let (journal, recovery) =
        Journal::open(&dir.join(JOURNAL), config, Time::from_micros(1)).unwrap();
    (journal, recovery.next_sequence)
}

fn opened(call: CallId) -> OpenCdr {
    OpenCdr {
        call,
        account: None,
        from_user: None,
        customer: None,
        carrier: None,
        start_us: 1,
        caller: "alice".into(),
        called: "bob".into(),
        source: "udp:192.0.2.1:5060".into(),
        sip_call_id: "a@192.0.2.1".into(),
    }
}

fn closed(call: CallId, sequence: u64) -> Cdr {
    Cdr {
        call,
        node: "node-1".into(),
        sequence,
        account: None,
        from_user: None,
        to_user: None,
        customer: None,
        number: None,
        carrier: None,
        gateway: None,
        caller: "alice".into(),
        called: "bob".into(),
        destination: "bob".into(),
        source: "udp:192.0.2.1:5060".into(),
        sip_call_id: "a@192.0.2.1".into(),
        sip_call_id_b: "b".into(),
        start_us: 1,
        ring_us: None,
        answer_us: Some(2),
        end_us: 3,
        outcome: CdrOutcome::Answered,
        status: 200,
        reason: CLOSED_REASON.into(),
        ended_by: EndedBy::Caller,
        attempts: 1,
        media_a: None,
        media_b: None,
        recordings: Vec::new(),
    }
}

const SEED: u64 = 1;
const ROUNDS: u64 = 40;
const WORDS_MAX: usize = 600;
const CLOSED_REASON: &str = "closed by the child";
const DATABASE: &str = "db";
const JOURNAL: &str = "journal";
const DIR_VARIABLE: &str = "JOURNAL_KILL_DIR";
const ROUND_VARIABLE: &str = "JOURNAL_KILL_ROUND";
const OPENED: &str = "@opened ";
const CLOSED: &str = "@closed ";
