//! Replies kept for requests that come again: a client that heard nothing asks again with the same
//! cookie, and must get the same answer, not a second session.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Replies of the last seconds, by who asked and by what cookie.
#[derive(Debug)]
pub(crate) struct Cookies {
    /// Those since `since`, and those of the time before.
    kept: [HashMap<Key, Arc<[u8]>>; 2],
    bytes: usize,
    since: Instant,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    source: SocketAddr,
    cookie: Box<[u8]>,
}

impl Cookies {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            kept: Default::default(),
            bytes: 0,
            since: now,
        }
    }

    /// The reply that was given.
    pub(crate) fn reply(&self, source: SocketAddr, cookie: &[u8]) -> Option<Arc<[u8]>> {
        let key = Key {
            source,
            cookie: cookie.into(),
        };
        self.kept.iter().find_map(|kept| kept.get(&key)).cloned()
    }

    /// Keeps a reply for [`KEEP`] at least, unless there are too many: then for less.
    pub(crate) fn keep(
        &mut self,
        source: SocketAddr,
        cookie: &[u8],
        reply: Arc<[u8]>,
        now: Instant,
    ) {
        let full = self.kept[0].len() >= REPLIES_MAX || self.bytes >= REPLY_BYTES_MAX;
        if full || now.saturating_duration_since(self.since) >= KEEP {
            self.turn(now);
        }
        self.bytes += reply.len();
        let key = Key {
            source,
            cookie: cookie.into(),
        };
        self.kept[0].insert(key, reply);
    }

    /// Forgets what is old; to be called from time to time.
    pub(crate) fn expire(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= KEEP {
            self.turn(now);
        }
    }

    fn turn(&mut self, now: Instant) {
        self.kept.swap(0, 1);
        self.kept[0] = HashMap::new();
        self.bytes = 0;
        self.since = now;
    }
}

/// How long a reply is kept at least; twice that at most. Kamailio gives up after some seconds.
const KEEP: Duration = Duration::from_secs(5);
/// Replies kept of one such time.
const REPLIES_MAX: usize = 32_768;
/// And their bytes.
const REPLY_BYTES_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_reply_is_kept_for_who_asked_and_then_forgotten() {
        let start = Instant::now();
        let mut cookies = Cookies::new(start);
        cookies.keep(source(1), b"a", Arc::from(&b"ra"[..]), start);
        assert_eq!(cookies.reply(source(1), b"a").as_deref(), Some(&b"ra"[..]));
        assert_eq!(cookies.reply(source(2), b"a"), None);
        assert_eq!(cookies.reply(source(1), b"b"), None);
        cookies.expire(start + KEEP);
        assert!(cookies.reply(source(1), b"a").is_some());
        cookies.expire(start + 2 * KEEP);
        assert_eq!(cookies.reply(source(1), b"a"), None);
    }

    #[test]
    fn their_number_is_bounded() {
        let now = Instant::now();
        let mut cookies = Cookies::new(now);
        for cookie in 0..3 * REPLIES_MAX as u32 {
            cookies.keep(source(1), &cookie.to_be_bytes(), Arc::from(&b""[..]), now);
        }
        let kept: usize = cookies.kept.iter().map(HashMap::len).sum();
        assert!(kept <= 2 * REPLIES_MAX);
        assert!(
            cookies
                .reply(source(1), &(3 * REPLIES_MAX as u32 - 1).to_be_bytes())
                .is_some()
        );
    }
}
