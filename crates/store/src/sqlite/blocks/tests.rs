use std::time::Duration;

use model::{AccountId, CarrierId, Cdr, CdrOutcome, CustomerId, UserId};
use rand::{Rng, RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Part, marks_of, walk};
use crate::conformance::samples;
use crate::sqlite::Sqlite;
use crate::{CdrCursor, CdrFilter, CdrStore as _};

/// Whatever comes, late or not, and whatever is looked for: blocks hide nothing.
#[test]
fn what_is_found_by_blocks_is_what_there_is() {
    for seed in 0..60 {
        World::new(seed).run();
    }
}

#[test]
fn who_looks_for_one_of_many_looks_into_few_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open_with(&dir.path().join("db"), 64).unwrap();
    let cdrs: Vec<Cdr> = (1..=6_400)
        .map(|n| Cdr {
            caller: format!("caller {n}"),
            ..samples::cdr(n)
        })
        .collect();
    for batch in cdrs.chunks(100) {
        store.insert_batch(batch).unwrap();
    }
    assert!(looks(&store, "caller 17") <= 5);
    let found = store.list(&by_caller("caller 17"), None, 10).unwrap();
    assert_eq!(found, [cdrs[16].clone()]);
    // A record that comes late makes its block unknown; a later batch makes it known again.
    let late = Cdr {
        end_us: cdrs[99].end_us,
        ..samples::cdr(7_000)
    };
    store.insert_batch(&[late]).unwrap();
    let newest = (7_001..7_200).map(samples::cdr).collect::<Vec<_>>();
    store.insert_batch(&newest).unwrap();
    assert!(looks(&store, "caller 17") <= 5);
    assert_eq!(unknown(&store), 0);
}

/// An installation of before has millions of records in no block: each batch makes some blocks.
#[test]
fn what_was_there_before_gets_its_blocks_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let many: Vec<Cdr> = (1..=1_000).map(samples::cdr).collect();
    let store = Sqlite::open_with(&path, usize::MAX / 64).unwrap();
    store.insert_batch(&many).unwrap();
    drop(store);
    let store = Sqlite::open_with(&path, 10).unwrap();
    assert_eq!(blocks(&store), 0);
    for n in 0..30 {
        store.insert_batch(&[samples::cdr(2_000 + n)]).unwrap();
    }
    assert!(blocks(&store) >= 98, "{}", blocks(&store));
}

#[test]
fn blocks_go_with_their_records() {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open_with(&dir.path().join("db"), 10).unwrap();
    for n in 1..=200 {
        store.insert_batch(&[samples::cdr(n)]).unwrap();
    }
    assert!(blocks(&store) >= 15);
    while store.remove_before(u64::MAX, 7).unwrap() > 0 {}
    store.insert_batch(&[samples::cdr(300)]).unwrap();
    store.remove_before(samples::cdr(300).end_us, 7).unwrap();
    assert_eq!(blocks(&store), 0);
}

/// A store and what must be in it.
struct World {
    random: ChaCha8Rng,
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    store: Sqlite,
    known: Vec<Cdr>,
    made: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            store: Sqlite::open_with(&path, 4).unwrap(),
            path,
            _dir: dir,
            known: Vec::new(),
            made: 0,
        }
    }

    fn run(&mut self) {
        for _ in 0..40 {
            match self.random.random_range(0..10) {
                0 => self.store = Sqlite::open_with(&self.path, 4).unwrap(),
                1 => self.remove(),
                2..6 => self.insert(),
                _ => self.look(),
            }
        }
        self.look();
    }

    fn insert(&mut self) {
        let count = self.random.random_range(1..20);
        let cdrs: Vec<Cdr> = (0..count).map(|_| self.cdr()).collect();
        self.store.insert_batch(&cdrs).unwrap();
        self.known.extend(cdrs);
        self.known
            .sort_by_key(|cdr| std::cmp::Reverse(CdrCursor::of(cdr)));
    }

    fn remove(&mut self) {
        let before = self.random.random_range(0..=self.made) * 1_000;
        let limit = self.random.random_range(1..10);
        let removed = self.store.remove_before(before, limit).unwrap();
        let old = self.known.iter().filter(|cdr| cdr.end_us < before).count();
        assert_eq!(removed, old.min(limit));
        self.known.truncate(self.known.len() - removed);
    }

    fn cdr(&mut self) -> Cdr {
        self.made += 1;
        let random = &mut self.random;
        let late = if random.random_bool(0.1) {
            self.made
        } else {
            3
        };
        let end = self.made - random.random_range(0..=late.min(self.made));
        Cdr {
            end_us: end * 1_000,
            account: some(random).map(AccountId::from_bits),
            customer: some(random).map(CustomerId::from_bits),
            carrier: some(random).map(CarrierId::from_bits),
            from_user: some(random).map(UserId::from_bits),
            to_user: some(random).map(UserId::from_bits),
            caller: format!("caller {}", random.random_range(0..30)),
            called: format!("called {}", random.random_range(0..30)),
            outcome: outcome(random),
            ..samples::cdr(self.made)
        }
    }

    fn look(&mut self) {
        for _ in 0..5 {
            let filter = self.filter();
            let expected: Vec<&Cdr> = self.known.iter().filter(|c| fits(c, &filter)).collect();
            let limit = self.random.random_range(1..8);
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = self.store.list(&filter, after, limit).unwrap();
                let Some(last) = page.last() else { break };
                after = Some(CdrCursor::of(last));
                found.extend(page);
            }
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
            let hurried = self.in_a_hurry(&filter);
            assert_eq!(hurried.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        }
    }

    /// What searches find that have no time, each going on where the one before was.
    fn in_a_hurry(&self, filter: &CdrFilter) -> Vec<Cdr> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let search = self.store.search(filter, after, 1_000, Duration::ZERO);
            let part = search.unwrap();
            found.extend(part.found);
            let Some(go_on) = part.go_on else {
                return found;
            };
            assert!(after.is_none_or(|after| go_on < after), "it stands still");
            after = Some(go_on);
        }
    }

    fn filter(&mut self) -> CdrFilter {
        let random = &mut self.random;
        let mut filter = CdrFilter::default();
        match random.random_range(0..8) {
            0 => filter.account = some(random).map(AccountId::from_bits),
            1 => filter.customer = some(random).map(CustomerId::from_bits),
            2 => filter.carrier = some(random).map(CarrierId::from_bits),
            3 => filter.user = some(random).map(UserId::from_bits),
            4 => filter.outcome = Some(outcome(random)),
            5 => filter.caller = Some(format!("caller {}", random.random_range(0..30))),
            6 => filter.called = Some(format!("called {}", random.random_range(0..30))),
            _ => {}
        }
        let moment = |random: &mut ChaCha8Rng| random.random_range(0..=self.made) * 1_000;
        filter.from_us = random.random_bool(0.2).then(|| moment(random));
        filter.to_us = random.random_bool(0.2).then(|| moment(random));
        filter
    }
}

fn some(random: &mut ChaCha8Rng) -> Option<u128> {
    random.random_bool(0.7).then(|| random.random_range(0..20))
}

fn outcome(random: &mut impl Rng) -> CdrOutcome {
    if random.random_bool(0.1) {
        CdrOutcome::NoAnswer
    } else {
        CdrOutcome::Answered
    }
}

fn fits(cdr: &Cdr, filter: &CdrFilter) -> bool {
    let users = [cdr.from_user, cdr.to_user];
    filter.account.is_none_or(|id| cdr.account == Some(id))
        && filter.customer.is_none_or(|id| cdr.customer == Some(id))
        && filter.carrier.is_none_or(|id| cdr.carrier == Some(id))
        && filter.user.is_none_or(|id| users.contains(&Some(id)))
        && filter
            .caller
            .as_ref()
            .is_none_or(|name| cdr.caller == *name)
        && filter
            .called
            .as_ref()
            .is_none_or(|name| cdr.called == *name)
        && filter.outcome.is_none_or(|outcome| cdr.outcome == outcome)
        && filter.from_us.is_none_or(|from| cdr.end_us >= from)
        && filter.to_us.is_none_or(|to| cdr.end_us < to)
}

fn by_caller(caller: &str) -> CdrFilter {
    CdrFilter {
        caller: Some(caller.to_owned()),
        ..CdrFilter::default()
    }
}

/// Into how many parts of the table somebody looks who wants all calls of a caller.
fn looks(store: &Sqlite, caller: &str) -> usize {
    let marks = marks_of(&by_caller(caller)).unwrap();
    let count = store.query(|tx| {
        let mut count = 0;
        let everything = Part {
            from_us: i64::MIN,
            until: None,
            rows: usize::MAX / 2,
        };
        let reached = walk(
            tx,
            &marks,
            &everything,
            || false,
            |_| {
                count += 1;
                Ok(true)
            },
        )?;
        assert_eq!(reached, None);
        Ok(count)
    });
    count.unwrap()
}

fn blocks(store: &Sqlite) -> usize {
    count(store, "SELECT count(*) FROM cdr_block")
}

fn unknown(store: &Sqlite) -> usize {
    count(
        store,
        "SELECT count(*) FROM cdr_block WHERE summary IS NULL",
    )
}

fn count(store: &Sqlite, sql: &str) -> usize {
    let count = store.query(|tx| {
        let count: i64 = tx.query_row(sql, [], |row| row.get(0))?;
        Ok(count as usize)
    });
    count.unwrap()
}
