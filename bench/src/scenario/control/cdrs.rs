//! CDRs of a carrier's day: many callers and called numbers, few customers and carriers, and some of
//! each that are rare.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use model::{AccountId, CallId, CarrierId, Cdr, CdrOutcome, CustomerId, EndedBy, UserId};
use store::{CdrStore as _, Sqlite};

/// What there is, and what is asked.
pub(crate) struct Kinds {
    now_us: u64,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            now_us: since.map_or(0, |since| since.as_micros() as u64),
        }
    }

    pub(crate) fn fill(&self, store: &Sqlite, count: u64) -> Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        for number in 0..count {
            batch.push(self.cdr(number, count));
            if batch.len() == BATCH || number + 1 == count {
                store.insert_batch(&batch).context("storing CDRs")?;
                batch.clear();
            }
            if number % 1_000_000 == 999_999 {
                eprintln!("control: {} CDRs are stored", number + 1);
            }
        }
        Ok(())
    }

    /// What is asked of the API, in words and as a path.
    pub(crate) fn questions(&self) -> Vec<(String, String)> {
        let (account, customer) = (
            AccountId::from_bits(ACCOUNTS),
            CustomerId::from_bits(CUSTOMERS),
        );
        let (carrier, user) = (CarrierId::from_bits(CARRIERS), UserId::from_bits(RARE_USER));
        let often = AccountId::from_bits(1);
        let hour = self.now_us - 3_600_000_000;
        let of_cdrs = [
            ("CDRs, newest page", String::new()),
            ("CDRs before an hour ago", format!("&to_us={hour}")),
            ("CDRs of one account of 50", format!("&account={often}")),
            (
                "CDRs of a caller with one call in all",
                format!("&caller={RARE_CALLER}"),
            ),
            ("CDRs of a caller without any", "&caller=nobody".to_owned()),
            (
                "CDRs to a number with some calls",
                format!("&called={}", called(7)),
            ),
            ("CDRs of a rare account", format!("&account={account}")),
            ("CDRs of a rare customer", format!("&customer={customer}")),
            ("CDRs of a rare carrier", format!("&carrier={carrier}")),
            ("CDRs of a rare user", format!("&user={user}")),
            (
                "CDRs of an account that are busy, one in 500",
                format!("&account={often}&outcome=busy"),
            ),
            (
                "CDRs of an account and an outcome that it never has",
                format!("&account={}&outcome=failed", AccountId::from_bits(2)),
            ),
        ];
        let path = |more: String| format!("/v1/cdrs?limit=50{}", more.replace('+', "%2B"));
        let of_cdrs = of_cdrs
            .into_iter()
            .map(|(work, more)| (work.to_owned(), path(more)));
        let others = [
            ("server health, all", "/v1/server-health"),
            ("calls in progress, first page", "/v1/calls?limit=50"),
            (
                "calls in progress of nobody",
                "/v1/calls?limit=50&caller=nobody",
            ),
        ];
        let others = others.map(|(work, path)| (work.to_owned(), path.to_owned()));
        of_cdrs.chain(others).collect()
    }

    /// The record of one call; the last of `count` ended just now.
    fn cdr(&self, number: u64, count: u64) -> Cdr {
        let dice = mixed(number);
        let is_rare = number % (count / RARE_CALLS).max(1) == 17;
        let of = |kinds: u128, shift: u32| {
            let usual = u128::from(dice >> shift) % (kinds - 1);
            if is_rare { kinds } else { usual }
        };
        let account = of(ACCOUNTS, 3);
        let outcome = match dice % 10 {
            0 => CdrOutcome::Busy,
            1 => CdrOutcome::NoAnswer,
            2 if account != 2 => CdrOutcome::Failed,
            _ => CdrOutcome::Answered,
        };
        let end_us = self.now_us - (count - number) * US_BETWEEN;
        let is_answered = outcome == CdrOutcome::Answered;
        let user = if is_rare {
            RARE_USER
        } else {
            u128::from(dice >> 20) % USERS
        };
        Cdr {
            call: CallId::from_parts(end_us / 1_000, u128::from(dice)),
            node: format!("node-{:03}", dice % 200),
            sequence: number,
            account: Some(AccountId::from_bits(account)),
            from_user: (is_rare || dice.is_multiple_of(3)).then(|| UserId::from_bits(user)),
            to_user: None,
            customer: Some(CustomerId::from_bits(of(CUSTOMERS, 7))),
            number: None,
            carrier: Some(CarrierId::from_bits(of(CARRIERS, 11))),
            gateway: None,
            caller: caller(number, count, dice),
            called: called(dice >> 13),
            destination: called(dice >> 13),
            source: "udp:192.0.2.1:5060".to_owned(),
            sip_call_id: format!("{dice:016x}@192.0.2.1"),
            sip_call_id_b: format!("{:016x}@198.51.100.1", dice.rotate_left(9)),
            start_us: end_us - 60_000_000,
            ring_us: Some(end_us - 58_000_000),
            answer_us: is_answered.then_some(end_us - 50_000_000),
            end_us,
            outcome,
            status: if is_answered { 200 } else { 486 },
            reason: String::new(),
            ended_by: EndedBy::Caller,
            attempts: 1,
            media_a: None,
            media_b: None,
            recordings: Vec::new(),
        }
    }
}

fn caller(number: u64, count: u64, dice: u64) -> String {
    if number == count / 10 {
        RARE_CALLER.to_owned()
    } else {
        format!("+4930{:07}", (dice >> 5) % 1_000_000)
    }
}

fn called(dice: u64) -> String {
    format!("+4940{:07}", dice % 3_000_000)
}

/// SplitMix64: another number for each, always the same.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const BATCH: usize = 5_000;
/// A hundred calls end in each second.
const US_BETWEEN: u64 = 10_000;
/// How many there are; the last of each has [`RARE_CALLS`] calls.
const ACCOUNTS: u128 = 50;
const CUSTOMERS: u128 = 200;
const CARRIERS: u128 = 20;
const USERS: u128 = 50_000;
const RARE_USER: u128 = USERS + 1;
const RARE_CALLS: u64 = 20;
const RARE_CALLER: &str = "+4930rare";
