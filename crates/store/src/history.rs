//! The port for what servers have done, minute by minute.

use model::{Sample, ServerId};

use crate::StoreError;

/// Keeps a sample for each minute and server. All calls can be repeated.
pub trait HistoryStore: Send + Sync + 'static {
    /// Keeps samples of a server, each in place of what was kept of the same minute. Errors:
    /// `Unavailable`.
    fn keep_samples(&self, server: ServerId, samples: &[Sample]) -> Result<(), StoreError>;

    /// At most `limit` samples of a span of time, in ascending order of their minute and then of their
    /// server. Errors: `Corrupt`, `Unavailable`.
    fn samples(
        &self,
        span: &Span,
        after: Option<(u64, ServerId)>,
        limit: usize,
    ) -> Result<Vec<(ServerId, Sample)>, StoreError>;

    /// The newest minute that is kept of a server. Errors: `Unavailable`.
    fn newest_sample(&self, server: ServerId) -> Result<Option<u64>, StoreError>;

    /// Removes the samples of minutes before one; how many there were. Errors: `Unavailable`.
    fn forget_samples(&self, before_us: u64) -> Result<usize, StoreError>;
}

/// Which samples are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Of this minute or later; microseconds since the Unix epoch.
    pub from_us: u64,
    /// Of minutes before this.
    pub to_us: u64,
    /// Of this server only.
    pub server: Option<ServerId>,
}

/// A server as it stands in a column.
pub(crate) fn server_of(text: &str) -> Result<ServerId, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Corrupt(format!("a sample is of {text}, which is no server")))
}
