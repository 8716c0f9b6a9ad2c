//! How many ask the provider at a time. Anybody can begin a sign-in, and a provider that hangs holds a
//! thread for each who asks: without a bound those would be all threads that the store needs, too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::Refused;

/// Lets some ask, and others wait.
pub(super) struct Asking(Arc<Semaphore>);

impl Default for Asking {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ASKING_MAX)))
    }
}

impl Asking {
    /// Asks something that blocks, off the runtime's threads. Errors: what it answers, and `Away` if
    /// others ask for too long.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce() -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let turn = tokio::time::timeout(PATIENCE, self.0.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let detail = "too many wait for its answer: try again later";
            return Err(Refused::Away(detail.into()));
        };
        let asked = tokio::task::spawn_blocking(move || {
            // Whoever goes away does not end what the thread does: the turn is the thread's.
            let _turn = turn;
            ask()
        });
        let asked = asked.await;
        asked.unwrap_or_else(|error| Err(Refused::Away(error.to_string())))
    }
}

/// Questions to the provider at a time.
const ASKING_MAX: usize = 16;
/// How long somebody waits for their turn.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn who_goes_away_leaves_no_turn_to_others_while_the_provider_hangs() {
        let asking = Arc::new(Asking::default());
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        let mut hung = Vec::new();
        for _ in 0..ASKING_MAX {
            let (go_on, may_go_on) = mpsc::channel::<()>();
            hung.push(go_on);
            let (asking, begun) = (asking.clone(), begun.clone());
            let browser = tokio::spawn(async move {
                let hang = move || {
                    let _ = begun.send(());
                    let _ = may_go_on.recv();
                    Ok(())
                };
                asking.ask(hang).await
            });
            has_begun.recv().await.unwrap();
            browser.abort();
            assert!(browser.await.unwrap_err().is_cancelled());
        }
        assert_eq!(asking.0.available_permits(), 0);
        hung.pop();
        assert_eq!(asking.ask(|| Ok(7)).await.unwrap(), 7);
    }
}
