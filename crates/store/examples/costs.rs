//! What the store costs the call path: `cargo run --release -p store --example costs`.
//!
//! Prints nanoseconds per unit on this machine; figures to look at, not a test.

use std::path::Path;
use std::time::Instant;

use clock::Time;
use store::conformance::samples;
use store::journal::{Journal, JournalConfig, JournalEntry, OpenCdr};
use store::{BindingRecord, CdrStore, LiveLog, LiveStore, Sqlite, StoreError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("store-costs-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    journal(&dir.join("journal"))?;
    live(&dir.join("live"))?;
    cdrs(&dir.join("db"))?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Calls in batches of ten, three entries each, one write per batch.
fn journal(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (mut journal, _) = Journal::open(dir, JournalConfig::new("node-1"), Time::ZERO)?;
    let cdr = samples::cdr(1);
    let open = OpenCdr {
        call: cdr.call,
        account: None,
        from_user: None,
        customer: None,
        carrier: None,
        start_us: cdr.start_us,
        caller: cdr.caller.clone(),
        called: cdr.called.clone(),
        source: cdr.source.clone(),
        sip_call_id: cdr.sip_call_id.clone(),
    };
    let entries = [
        JournalEntry::Opened(open),
        JournalEntry::Answered {
            call: cdr.call,
            at: Time::ZERO,
        },
        JournalEntry::Closed(cdr),
    ];
    let (mut appending, mut writing) = (0, 0);
    for _ in 0..BATCHES {
        let start = Instant::now();
        for _ in 0..10 {
            for entry in &entries {
                journal.append(entry)?;
            }
        }
        let appended = Instant::now();
        journal.write()?;
        appending += appended.duration_since(start).as_nanos();
        writing += appended.elapsed().as_nanos();
    }
    let calls = u128::from(BATCHES) * 10;
    println!(
        "journal, three entries of a call: {} ns to append",
        appending / calls
    );
    println!(
        "journal, its share of a write(2) for ten calls: {} ns",
        writing / calls
    );
    Ok(())
}

/// Refreshes of 100,000 bindings, a flush for each 3,000 (ten a second at 30,000 a second).
fn live(path: &Path) -> Result<(), StoreError> {
    let mut log = LiveLog::open(path)?;
    let bindings: Vec<_> = (0..100_000)
        .map(|n| samples::binding(n, 10, &[7; 250]))
        .collect();
    let mut spent = 0;
    for round in 0..3 {
        let fresh: Vec<_> = bindings
            .iter()
            .map(|b| BindingRecord {
                expires_us: round,
                ..b.clone()
            })
            .collect();
        let start = Instant::now();
        for (n, record) in fresh.into_iter().enumerate() {
            log.save((&record).into());
            if n % 3_000 == 0 {
                log.flush()?;
            }
        }
        spent += start.elapsed().as_nanos();
    }
    println!(
        "bindings, a save with its share of the flush: {} ns",
        spent / 300_000
    );
    let start = Instant::now();
    log.sync()?;
    println!("bindings, the rest in {} ms", start.elapsed().as_millis());
    Ok(())
}

/// Batches of 500 as the shipper stores them.
fn cdrs(path: &Path) -> Result<(), StoreError> {
    let store = Sqlite::open(path)?;
    let cdrs: Vec<_> = (1..=50_000).map(samples::cdr).collect();
    let start = Instant::now();
    for batch in cdrs.chunks(500) {
        store.insert_batch(batch)?;
    }
    println!(
        "CDRs in SQLite: {} ns each",
        start.elapsed().as_nanos() / 50_000
    );
    Ok(())
}

const BATCHES: u32 = 20_000;
