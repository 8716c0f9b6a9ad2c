//! The end of a dispatcher that is told to stop.

use std::time::Duration;

use super::state::State;

/// Until the calls that are known have ended, or `patience` is at an end. Calls go on without us
/// if another dispatcher with the same key takes over the address; this gives those time that
/// nobody would take over.
pub(super) async fn wait(state: &State, patience: Duration) {
    if patience.is_zero() {
        return;
    }
    let empty = async {
        while let Ok(calls) = state
            .desk
            .ask(|_, dispatcher| dispatcher.call_count())
            .await
        {
            if calls == 0 {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(patience, empty).await.is_err() {
        tracing::warn!("calls were still up");
    }
}

/// Between two looks at whether the last call has ended.
const LOOK: Duration = Duration::from_millis(200);
