//! CDRs on their way to control. What control has not acknowledged stays in the journal and is sent
//! again; control passes over what it has, by call: so nothing is lost and nothing is there twice,
//! whoever dies at what moment.

use model::{CallId, Cdr};
use std::time::Duration;
use store::{CdrCursor, CdrFilter, CdrSearch, CdrStore, StoreError};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Line;

/// Hands CDRs to control.
pub(crate) struct ShippedCdrs {
    line: Line,
    runtime: Handle,
}

impl ShippedCdrs {
    pub(crate) fn new(line: Line, runtime: Handle) -> Self {
        Self { line, runtime }
    }
}

impl CdrStore for ShippedCdrs {
    fn insert_batch(&self, cdrs: &[Cdr]) -> Result<usize, StoreError> {
        let away = |why: String| StoreError::Unavailable(format!("control: {why}"));
        let line = self.line.borrow().clone();
        let mut line = line.ok_or_else(|| away("it is not reached".into()))?;
        let cdrs: Result<Vec<_>, _> = cdrs.iter().map(serde_json::to_vec).collect();
        let batch = link::proto::CdrBatch { cdrs: cdrs? };
        let shipped = async { timeout(PATIENCE, line.ship_cdrs(batch)).await };
        let shipped = self.runtime.block_on(shipped);
        let receipt = shipped.map_err(|_| away("it does not answer".into()))?;
        let receipt = receipt.map_err(|status| away(status.message().to_owned()))?;
        Ok(receipt.into_inner().added as usize)
    }

    fn search(
        &self,
        _filter: &CdrFilter,
        _after: Option<CdrCursor>,
        _limit: usize,
        _patience: Duration,
    ) -> Result<CdrSearch, StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn get(&self, _call: CallId) -> Result<Option<Cdr>, StoreError> {
        Err(StoreError::Elsewhere)
    }

    fn remove_before(&self, _end_us: u64, _limit: usize) -> Result<usize, StoreError> {
        // Control does, by its own settings.
        Ok(0)
    }
}

/// How long an acknowledgement may take before the CDRs are sent again.
const PATIENCE: Duration = Duration::from_secs(10);
