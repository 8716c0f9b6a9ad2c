//! The last lines of this process' log, for whoever looks at its server from afar.
//!
//! They are what the log on standard error has, in memory: the oldest go when there is no room. What
//! looks like a secret is not in them, whoever wrote it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Grows with each line of the process.
    pub number: u64,
    /// When; microseconds since the Unix epoch.
    pub at_us: u64,
    /// How grave it is.
    pub level: LogLevel,
    /// The part of the program that says so.
    pub part: String,
    /// What it says, with its fields behind it as `name=value`.
    pub text: String,
}

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something may not work soon, or was refused.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// Which lines are wanted; an empty query matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// As grave as this, or graver.
    pub level: Option<LogLevel>,
    /// With this in part or text, whatever its case.
    pub text: Option<String>,
    /// Before the line of this number.
    pub before: Option<u64>,
    /// So many at most.
    pub limit: usize,
}

/// The last lines.
#[derive(Debug, Default)]
pub struct LogRing(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    last: u64,
    bytes: usize,
    lines: VecDeque<LogLine>,
}

impl LogRing {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> &'static Self {
        static RING: OnceLock<LogRing> = OnceLock::new();
        RING.get_or_init(Self::default)
    }

    /// Keeps a line, without what looks like a secret.
    pub fn keep(&self, at_us: u64, level: LogLevel, part: &str, text: &str) {
        let mut text = redacted(text);
        if text.len() > TEXT_MAX_BYTES {
            text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
            text.push_str(" ...");
        }
        let mut kept = self.lines();
        kept.last += 1;
        kept.bytes += text.len();
        let line = LogLine {
            number: kept.last,
            at_us,
            level,
            part: part.to_owned(),
            text,
        };
        kept.lines.push_back(line);
        while kept.lines.len() > LINES_MAX || kept.bytes > RING_MAX_BYTES {
            let Some(oldest) = kept.lines.pop_front() else {
                return;
            };
            kept.bytes -= oldest.text.len();
        }
    }

    /// The last lines that are wanted, the newest first.
    #[must_use]
    pub fn latest(&self, query: &LogQuery) -> Vec<LogLine> {
        let text = query.text.as_ref().map(|text| text.to_lowercase());
        let wanted = |line: &&LogLine| {
            query.level.is_none_or(|level| line.level <= level)
                && query.before.is_none_or(|before| line.number < before)
                && text.as_ref().is_none_or(|text| {
                    line.part.to_lowercase().contains(text)
                        || line.text.to_lowercase().contains(text)
                })
        };
        let kept = self.lines();
        let newest = kept.lines.iter().rev().filter(wanted);
        newest.take(query.limit.min(LOOK_MAX)).cloned().collect()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A text without what looks like a secret: values of fields that are called so, tokens, passwords in
/// addresses, credentials of digest.
fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut next = Next::Shown;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if !bare.is_empty() {
            next = match next {
                Next::Shown => show(bare, &mut clean),
                Next::Hidden => {
                    clean.push_str(HIDDEN);
                    Next::Shown
                }
                Next::HiddenToQuote => {
                    clean.push_str(HIDDEN);
                    if bare.contains('"') {
                        Next::Shown
                    } else {
                        Next::HiddenToQuote
                    }
                }
            };
        }
        clean.push_str(&word[bare.len()..]);
    }
    clean
}

/// What becomes of the word after one.
enum Next {
    Shown,
    Hidden,
    /// And so with those behind it, to the end of a quoted value.
    HiddenToQuote,
}

/// Writes a word, less what is secret in it.
fn show(word: &str, clean: &mut String) -> Next {
    if let Some((name, value)) = secret_value(word) {
        clean.push_str(name);
        if value.is_empty() {
            return Next::Hidden;
        }
        clean.push_str(HIDDEN);
        // Within a quoted field, quotes have a backslash before them.
        let quoted = value.trim_start_matches('\\').strip_prefix('"');
        return match quoted {
            Some(rest) if !rest.contains('"') => Next::HiddenToQuote,
            _ => Next::Shown,
        };
    }
    if TOKENS.iter().any(|prefix| word.contains(prefix)) {
        clean.push_str(HIDDEN);
        return Next::Shown;
    }
    clean.push_str(&without_password(word));
    let lower = word.to_ascii_lowercase();
    let last = lower.rsplit(['=', ':', '"']).next().unwrap_or_default();
    match SCHEMES.contains(&last) {
        true => Next::Hidden,
        false => Next::Shown,
    }
}

/// A word up to the first value in it that is to be hidden, and that value.
fn secret_value(word: &str) -> Option<(&str, &str)> {
    let separators = word.match_indices(['=', ':']);
    let mut values = separators.map(|(at, _)| word.split_at(at + 1));
    values.find(|(name, value)| is_secret(name, value))
}

/// Whether a value is to be hidden, by what stands before it.
fn is_secret(before: &str, value: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let before = before.trim_end_matches(|c| !is_word(c));
    let called = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
    let called = called.to_ascii_lowercase();
    SECRETS.iter().any(|secret| called.ends_with(secret))
        // What a password is guessed by (RFC 7616 §3.4.1); a response of SIP is a status.
        || (called == "response" && is_digest(value))
}

fn is_digest(value: &str) -> bool {
    let hex = value.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    hex.len() >= DIGEST_LEN_MIN && hex.chars().all(|c| c.is_ascii_hexdigit())
}

/// `redis://user:***@host` for an address with a password.
fn without_password(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    match rest.split_once('@') {
        Some((who, host)) if who.contains(':') => {
            let user = who.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:{HIDDEN}@{host}")
        }
        _ => word.to_owned(),
    }
}

/// What stands in place of a secret.
const HIDDEN: &str = "***";
/// Fields are secret whose names end so.
const SECRETS: [&str; 11] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "nonce",
    "cookie",
    "_key",
    "-key",
    "apikey",
    "pin",
];
/// An MD5 in hexadecimal digits.
const DIGEST_LEN_MIN: usize = 32;
/// What our own tokens begin with: of the API, of joining, of sessions.
const TOKENS: [&str; 2] = ["tdm_", "tdj."];
/// What a credential follows.
const SCHEMES: [&str; 2] = ["bearer", "basic"];
/// Lines that are kept.
const LINES_MAX: usize = 2_000;
/// Of all lines together.
const RING_MAX_BYTES: usize = 512 << 10;
/// Of one line.
const TEXT_MAX_BYTES: usize = 2_048;
/// Lines of one answer: a page, and one that says that there are more.
const LOOK_MAX: usize = 501;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_not_kept() {
        for (said, kept) in [
            ("no route target=a calls=3", "no route target=a calls=3"),
            (
                "failed password=hunter2 user=a",
                "failed password=*** user=a",
            ),
            ("db_password=\"a b c\" x=1", "db_password=*** *** *** x=1"),
            ("header=\"Bearer abc.def\" y", "header=\"Bearer *** y"),
            ("Bearer abc def", "Bearer *** def"),
            ("joins by tdj.jt_01J.x", "joins by ***"),
            ("token tdm_abcdef is refused", "token *** is refused"),
            (
                "store=postgres://tandem:secret@db/tandem is away",
                "store=postgres://tandem:***@db/tandem is away",
            ),
            (
                r#"body={"user":"a","password":"x y"} z"#,
                r#"body={"user":"a","password":*** *** z"#,
            ),
            (
                r#"body="{\"password\":\"x y\"}" z"#,
                r#"body="{\"password\":*** *** z"#,
            ),
            (
                "to=https://a.example/hook?id=7&token=abc x",
                "to=https://a.example/hook?id=7&token=*** x",
            ),
            ("password: hunter2 x", "password: *** x"),
            (
                "X-Api-Key: abc cluster_key=0f",
                "X-Api-Key: *** cluster_key=***",
            ),
            (
                "uri=\"sip:a\", response=\"d41d8cd98f00b204e9800998ecf8427e\"",
                "uri=\"sip:a\", response=***",
            ),
            ("response=200 monkey=1", "response=200 monkey=1"),
            (
                "Digest nonce=\"ab\", cnonce=\"cd\"",
                "Digest nonce=*** cnonce=***",
            ),
        ] {
            assert_eq!(redacted(said), kept, "{said}");
        }
    }

    #[test]
    fn the_oldest_lines_go_and_the_newest_come_first() {
        let ring = LogRing::default();
        for n in 0..LINES_MAX as u64 + 10 {
            let level = if n % 2 == 0 {
                LogLevel::Warn
            } else {
                LogLevel::Info
            };
            ring.keep(n, level, "node::joined", &format!("line {n}"));
        }
        let query = |level, text: Option<&str>, before| LogQuery {
            level,
            text: text.map(str::to_owned),
            before,
            limit: 2,
        };
        let numbers =
            |query| -> Vec<u64> { ring.latest(&query).iter().map(|line| line.number).collect() };
        assert_eq!(numbers(query(None, None, None)), [2_010, 2_009]);
        assert_eq!(
            numbers(query(Some(LogLevel::Warn), None, None)),
            [2_009, 2_007]
        );
        assert_eq!(
            numbers(query(None, Some("LINE 2"), Some(2_001))),
            [300, 299]
        );
        assert_eq!(numbers(query(None, Some("line 9 "), None)), [0; 0]);
        assert_eq!(ring.lines().lines.len(), LINES_MAX);
    }

    #[test]
    fn long_lines_take_no_more_than_the_ring_has() {
        let ring = LogRing::default();
        for n in 0..1_000 {
            ring.keep(n, LogLevel::Error, "net", &"x".repeat(10_000));
        }
        assert!(ring.lines().bytes <= RING_MAX_BYTES);
        assert!(ring.lines().lines.len() > 200);
    }
}
