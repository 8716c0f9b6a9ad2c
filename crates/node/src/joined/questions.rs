//! What control asks of this node's calls, answered beside all else that goes over the line.

use std::sync::Arc;

use control::{Answer, Control};
use link::proto::link_client::LinkClient;
use link::proto::{Answered, Question};
use tokio::sync::Semaphore;
use tonic::transport::Channel;

/// Answers questions, some at a time.
pub(super) struct Questions {
    control: Control,
    turns: Arc<Semaphore>,
}

impl Questions {
    pub(super) fn new(control: Control) -> Self {
        let turns = Arc::new(Semaphore::new(ANSWERS_MAX));
        Self { control, turns }
    }

    /// Answers by the line, when it is known what. A question too many is left unanswered: who asked
    /// waits a few seconds for it, and says that this node was not heard.
    pub(super) fn take(&self, asked: Question, mut line: LinkClient<Channel>) {
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            tracing::debug!("control asks more at a time than is answered");
            return;
        };
        let control = self.control.clone();
        tokio::spawn(async move {
            let Question { id, question } = asked;
            let answer = match serde_json::from_slice(&question) {
                Ok(question) => control.answer(question).await,
                // Of a later version.
                Err(error) => Answer::Failed(format!("it does not know the question: {error}")),
            };
            let answer = written(&answer);
            if let Err(status) = line.answer(Answered { id, answer }).await {
                let why = status.message();
                tracing::debug!(why, "control has not taken an answer");
            }
            drop(turn);
        });
    }
}

pub(super) fn written(answer: &Answer) -> Vec<u8> {
    let failed = |why: String| serde_json::to_vec(&Answer::Failed(why)).unwrap_or_default();
    match serde_json::to_vec(answer) {
        Ok(answer) if answer.len() <= ANSWER_MAX_BYTES => answer,
        Ok(answer) => failed(format!("its answer has {} bytes, too many", answer.len())),
        Err(error) => failed(error.to_string()),
    }
}

/// Questions answered at a time.
pub(super) const ANSWERS_MAX: usize = 8;
/// The longest answer: room is left for what goes around it.
const ANSWER_MAX_BYTES: usize = link::UP_MAX_BYTES / 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_too_long_says_so() {
        let text = "x".repeat(ANSWER_MAX_BYTES);
        let short = written(&Answer::Message(Some("x".into())));
        assert_eq!(short, br#"{"message":"x"}"#);
        let long = written(&Answer::Message(Some(text.into())));
        let said: Answer = serde_json::from_slice(&long).unwrap();
        assert!(
            matches!(&said, Answer::Failed(why) if why.contains("too many")),
            "{} bytes",
            long.len()
        );
    }
}
