//! Defence: how much one source may ask, and who is not heard any more.
//!
//! Three measures, all bounded in memory: a token bucket per source address for messages outside
//! dialogs; a count of failed authentications per source, too many of which ban it; and the
//! names of known scanners in User-Agent, whose messages are dropped, and which ban at once where the
//! source cannot be forged. A banned source gets no answer at all, so that it learns nothing and
//! costs nothing.

use std::net::IpAddr;
use std::time::Duration;

use ahash::RandomState;
use clock::Time;
use hashbrown::HashMap;

/// Requests outside dialogs one unknown source may send per second; more are dropped.
pub const REQUESTS_PER_S_MAX: u32 = 200;
/// How many such requests may come at once.
pub const REQUESTS_BURST_MAX: u32 = 1_000;
/// Failed authentications of one source in [`FAILURES_WINDOW`] that ban it.
pub const FAILURES_MAX: u32 = 20;
/// See [`FAILURES_MAX`].
pub const FAILURES_WINDOW: Duration = Duration::from_secs(60);
/// How long a ban lasts.
pub const BAN: Duration = Duration::from_secs(600);
/// Sources remembered; beyond, the table is cleared of those that are quiet, and if all are
/// loud the newcomer is not counted.
pub const SOURCES_MAX: usize = 65_536;
/// Bans remembered; beyond, the one that ends first is lifted.
pub const BANS_MAX: usize = 16_384;

/// Parts of the User-Agent of tools that scan for open switches.
const SCANNERS: [&[u8]; 8] = [
    b"friendly-scanner",
    b"sipvicious",
    b"sipcli",
    b"sip-scan",
    b"sipsak",
    b"sundayddr",
    b"iWar",
    b"VaxSIPUserAgent",
];

/// The first letters of [`SCANNERS`] in either case: most of a User-Agent is passed over by these.
const BEGINS_SCANNER: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < SCANNERS.len() {
        let first = SCANNERS[at][0];
        table[first.to_ascii_lowercase() as usize] = true;
        table[first.to_ascii_uppercase() as usize] = true;
        at += 1;
    }
    table
};

/// A ban in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Why.
    pub reason: &'static str,
    /// Since when.
    pub since: Time,
    /// Until when.
    pub until: Time,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Go on.
    Pass,
    /// The source is banned.
    Banned,
    /// The source asks too much.
    TooMany,
}

/// The memory of who did what.
#[derive(Debug)]
pub struct Defence {
    sources: HashMap<IpAddr, Source, RandomState>,
    /// How many of them have failures to their name.
    failing: usize,
    bans: HashMap<IpAddr, Ban, RandomState>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    /// Requests it may still send, and when that was true.
    tokens: u32,
    refilled: Time,
    failures: u32,
    first_failure: Time,
}

impl Defence {
    /// Nobody known. The seed keeps strangers from choosing colliding addresses.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = RandomState::with_seeds(seed, !seed, seed.rotate_left(17), 3);
        Self {
            sources: HashMap::with_hasher(state.clone()),
            failing: 0,
            bans: HashMap::with_hasher(state),
        }
    }

    /// Whether a source is banned.
    pub fn is_banned(&mut self, now: Time, source: IpAddr) -> bool {
        if self.bans.is_empty() {
            return false;
        }
        match self.bans.get(&source) {
            Some(ban) if ban.until > now => true,
            Some(_) => {
                self.bans.remove(&source);
                false
            }
            None => false,
        }
    }

    /// Counts a request outside a dialog of a source that no configuration knows.
    pub fn judge_request(&mut self, now: Time, source: IpAddr) -> Judgement {
        if self.is_banned(now, source) {
            return Judgement::Banned;
        }
        let Some(entry) = self.source(now, source) else {
            return Judgement::Pass;
        };
        let passed = now.since(entry.refilled);
        let fresh = passed.as_micros() as u64 * u64::from(REQUESTS_PER_S_MAX) / 1_000_000;
        if fresh > 0 {
            let tokens = u64::from(entry.tokens).saturating_add(fresh);
            entry.tokens = tokens.min(u64::from(REQUESTS_BURST_MAX)) as u32;
            entry.refilled = now;
        }
        if entry.tokens == 0 {
            return Judgement::TooMany;
        }
        entry.tokens -= 1;
        Judgement::Pass
    }

    /// Counts a failed authentication; the ban, if this was one too many.
    pub fn note_failure(&mut self, now: Time, source: IpAddr) -> Option<Ban> {
        let entry = self.source(now, source)?;
        let is_first = entry.failures == 0;
        if now.since(entry.first_failure) > FAILURES_WINDOW {
            entry.failures = 0;
            entry.first_failure = now;
        }
        entry.failures += 1;
        let is_banned = entry.failures >= FAILURES_MAX;
        if is_banned {
            entry.failures = 0;
        }
        self.failing += usize::from(is_first);
        self.failing -= usize::from(is_banned);
        is_banned.then(|| self.ban(now, source, "repeated authentication failures"))
    }

    /// A success wipes out the failures before it: people mistype.
    pub fn note_success(&mut self, source: IpAddr) {
        if self.failing == 0 {
            return;
        }
        if let Some(entry) = self.sources.get_mut(&source) {
            self.failing -= usize::from(entry.failures > 0);
            entry.failures = 0;
        }
    }

    /// Bans a source that calls itself a scanner.
    pub fn ban_scanner(&mut self, now: Time, source: IpAddr) -> Ban {
        self.ban(now, source, "known scanner")
    }

    /// Whether a User-Agent is that of a known scanner.
    #[must_use]
    pub fn is_scanner(agent: &[u8]) -> bool {
        (0..agent.len()).any(|at| {
            BEGINS_SCANNER[usize::from(agent[at])]
                && SCANNERS.iter().any(|name| {
                    let part = agent.get(at..at + name.len());
                    part.is_some_and(|part| part.eq_ignore_ascii_case(name))
                })
        })
    }

    /// The bans in force, by address.
    #[must_use]
    pub fn bans(&self, now: Time) -> Vec<(IpAddr, Ban)> {
        let mut all: Vec<_> = self
            .bans
            .iter()
            .filter(|(_, b)| b.until > now)
            .map(|(a, b)| (*a, *b))
            .collect();
        all.sort_by_key(|(address, _)| *address);
        all
    }

    /// Lifts a ban; false if there is none.
    pub fn lift(&mut self, address: IpAddr) -> bool {
        self.bans.remove(&address).is_some()
    }

    fn ban(&mut self, now: Time, source: IpAddr, reason: &'static str) -> Ban {
        if self.bans.len() >= BANS_MAX {
            let first = self
                .bans
                .iter()
                .min_by_key(|(a, b)| (b.until, **a))
                .map(|(a, _)| *a);
            if let Some(first) = first {
                self.bans.remove(&first);
            }
        }
        let ban = Ban {
            reason,
            since: now,
            until: now + BAN,
        };
        self.bans.insert(source, ban);
        ban
    }

    fn source(&mut self, now: Time, address: IpAddr) -> Option<&mut Source> {
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&address) {
            self.sources
                .retain(|_, s| now.since(s.refilled) < FAILURES_WINDOW);
            self.failing = self.sources.values().filter(|s| s.failures > 0).count();
            if self.sources.len() >= SOURCES_MAX {
                return None;
            }
        }
        Some(self.sources.entry(address).or_insert(Source {
            tokens: REQUESTS_BURST_MAX,
            refilled: now,
            failures: 0,
            first_failure: now,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_recovers() {
        let mut d = Defence::new(1);
        let now = Time::from_secs(10);
        let passed = (0..5_000).filter(|_| d.judge_request(now, source(1)) == Judgement::Pass);
        assert_eq!(passed.count(), REQUESTS_BURST_MAX as usize);
        assert_eq!(
            d.judge_request(now, source(2)),
            Judgement::Pass,
            "others are not concerned"
        );
        let later = now + Duration::from_secs(1);
        let passed = (0..5_000).filter(|_| d.judge_request(later, source(1)) == Judgement::Pass);
        assert_eq!(passed.count(), REQUESTS_PER_S_MAX as usize);
    }

    #[test]
    fn guessing_passwords_ends_in_a_ban_that_ends() {
        let mut d = Defence::new(1);
        let now = Time::from_secs(10);
        for _ in 1..FAILURES_MAX {
            assert_eq!(d.note_failure(now, source(1)), None);
        }
        assert!(d.note_failure(now, source(1)).is_some());
        assert_eq!(d.judge_request(now, source(1)), Judgement::Banned);
        assert_eq!(d.bans(now).len(), 1);
        assert!(!d.is_banned(now + BAN, source(1)));
    }

    #[test]
    fn a_success_forgives() {
        let mut d = Defence::new(1);
        let now = Time::from_secs(10);
        for _ in 1..FAILURES_MAX {
            let _ = d.note_failure(now, source(1));
        }
        d.note_success(source(1));
        assert_eq!(d.note_failure(now, source(1)), None);
    }

    #[test]
    fn those_who_failed_are_counted_through_bans_successes_and_clearing() {
        let mut d = Defence::new(1);
        let now = Time::from_secs(10);
        for who in 1..=3 {
            let _ = d.note_failure(now, source(who));
        }
        d.note_success(source(1));
        d.note_success(source(1));
        assert_eq!(d.failing, 2);
        for _ in 1..FAILURES_MAX {
            let _ = d.note_failure(now, source(2));
        }
        assert_eq!(d.failing, 1, "the banned one begins anew");
        let later = now + FAILURES_WINDOW;
        for n in 0..SOURCES_MAX as u32 {
            let _ = d.judge_request(later, IpAddr::from(n.to_be_bytes()));
        }
        let _ = d.judge_request(later + FAILURES_WINDOW, IpAddr::from([203, 0, 113, 1]));
        assert_eq!(d.failing, 0, "the quiet are forgotten");
    }

    #[test]
    fn scanners_are_known_by_name_and_bans_can_be_lifted() {
        let mut d = Defence::new(1);
        let now = Time::from_secs(10);
        assert!(!Defence::is_scanner(b"Zoiper rv2"));
        assert!(Defence::is_scanner(b"Friendly-Scanner"));
        let _ = d.ban_scanner(now, source(1));
        assert!(d.is_banned(now, source(1)));
        assert!(d.lift(source(1)));
        assert!(!d.is_banned(now, source(1)));
    }

    #[test]
    fn memory_is_bounded_by_dropping_the_quiet() {
        let mut d = Defence::new(1);
        for n in 0..SOURCES_MAX as u32 + 10 {
            let _ = d.judge_request(Time::from_secs(10), IpAddr::from(n.to_be_bytes()));
        }
        assert!(d.sources.len() <= SOURCES_MAX);
    }
}
