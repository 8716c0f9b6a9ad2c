//! Questions on their way down the lines of nodes, and the answers that are waited for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use link::proto::Question as Told;
use model::ServerId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::{Answer, Question};

/// All lines, and who waits for what.
#[derive(Default)]
pub(crate) struct Asking(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    /// The newest line of each node, by when it began.
    open: BTreeMap<ServerId, (u64, mpsc::Sender<Told>)>,
    /// Questions that are not answered yet.
    waiting: BTreeMap<u64, Waiting>,
    /// The question that was asked last.
    last: u64,
}

/// Somebody who waits for an answer.
struct Waiting {
    server: ServerId,
    line_began_us: u64,
    answer: oneshot::Sender<Vec<u8>>,
}

/// Why there is no answer of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Silence {
    #[error("it has no line to control")]
    NoLine,
    #[error("it has not taken the questions before this one")]
    Busy,
    #[error("it does not answer in time")]
    Late,
    #[error("its line broke")]
    Broken,
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

impl Asking {
    /// A node has a line: questions go to the receiver, until another line of it comes.
    pub(super) fn open(&self, server: ServerId, began_us: u64) -> mpsc::Receiver<Told> {
        let (sender, questions) = mpsc::channel(QUESTIONS_MAX);
        self.lines().open.insert(server, (began_us, sender));
        questions
    }

    /// The line that began then is over, and nothing comes by it any more.
    pub(super) fn close(&self, server: ServerId, began_us: u64) {
        let mut lines = self.lines();
        let newest = lines.open.get(&server);
        if newest.is_some_and(|(began, _)| *began == began_us) {
            lines.open.remove(&server);
        }
        let other = |w: &Waiting| w.server != server || w.line_began_us != began_us;
        lines.waiting.retain(|_, waiting| other(waiting));
    }

    /// A node answers. What nobody waits for any more, or was asked of another, is passed over.
    pub(super) fn hear(&self, server: ServerId, id: u64, answer: Vec<u8>) {
        let mut lines = self.lines();
        let asked = lines.waiting.get(&id);
        if asked.is_some_and(|waiting| waiting.server == server)
            && let Some(waiting) = lines.waiting.remove(&id)
        {
            // Who has gone misses nothing.
            let _ = waiting.answer.send(answer);
        }
    }

    /// Whether questions reach a node.
    pub(crate) fn has_line(&self, server: ServerId) -> bool {
        self.lines().open.contains_key(&server)
    }

    /// Asks a node, and waits for its answer until then.
    pub(crate) async fn ask(
        &self,
        server: ServerId,
        question: &Question,
        until: Instant,
    ) -> Result<Answer, Silence> {
        let question = serde_json::to_vec(question);
        let question = question.map_err(|error| Silence::Unreadable(error.to_string()))?;
        let (turn, answer) = self.put(server, question)?;
        let answer = timeout_at(until, answer).await;
        drop(turn);
        let answer = answer.map_err(|_| Silence::Late)?;
        let answer = answer.map_err(|_| Silence::Broken)?;
        serde_json::from_slice(&answer).map_err(|error| Silence::Unreadable(error.to_string()))
    }

    fn put(
        &self,
        server: ServerId,
        question: Vec<u8>,
    ) -> Result<(Turn<'_>, oneshot::Receiver<Vec<u8>>), Silence> {
        let mut lines = self.lines();
        lines.last += 1;
        let id = lines.last;
        let (line_began_us, sender) = lines.open.get(&server).ok_or(Silence::NoLine)?;
        let line_began_us = *line_began_us;
        let sent = sender.try_send(Told { id, question });
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Silence::Busy,
            mpsc::error::TrySendError::Closed(_) => Silence::NoLine,
        })?;
        let (answer, coming) = oneshot::channel();
        let waiting = Waiting {
            server,
            line_began_us,
            answer,
        };
        lines.waiting.insert(id, waiting);
        Ok((Turn { asking: self, id }, coming))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits, until this is dropped.
struct Turn<'a> {
    asking: &'a Asking,
    id: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.asking.lines().waiting.remove(&self.id);
    }
}

/// Questions that wait for a node to take them; one more is not asked.
const QUESTIONS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::CallId;

    use super::*;

    const BERLIN: ServerId = ServerId::from_bits(1);
    const PARIS: ServerId = ServerId::from_bits(2);

    fn question() -> Question {
        let id = CallId::from_parts(1, 1);
        Question::Call { id }
    }

    fn one_day() -> Instant {
        Instant::now() + Duration::from_secs(86_400)
    }

    fn answer(hung_up: bool) -> Vec<u8> {
        serde_json::to_vec(&Answer::HungUp(hung_up)).unwrap()
    }

    #[tokio::test]
    async fn an_answer_comes_to_who_asked_and_from_nobody_else() {
        let asking = Asking::default();
        let mut berlin = asking.open(BERLIN, 5);
        let question = question();
        let asked = asking.ask(BERLIN, &question, one_day());
        let answered = async {
            let told = berlin.recv().await.unwrap();
            let heard: Question = serde_json::from_slice(&told.question).unwrap();
            assert_eq!(heard, self::question());
            asking.hear(PARIS, told.id, answer(false));
            asking.hear(BERLIN, told.id + 1, answer(false));
            asking.hear(BERLIN, told.id, answer(true));
            asking.hear(BERLIN, told.id, answer(false));
        };
        let (heard, ()) = tokio::join!(asked, answered);
        assert_eq!(heard, Ok(Answer::HungUp(true)));
        assert!(asking.lines().waiting.is_empty());
    }

    #[tokio::test]
    async fn a_node_that_is_silent_is_given_up_in_time_and_leaves_nothing() {
        let asking = Asking::default();
        let nobody = asking.ask(BERLIN, &question(), one_day()).await;
        assert_eq!(nobody, Err(Silence::NoLine));
        let line = asking.open(BERLIN, 5);
        for _ in 0..QUESTIONS_MAX {
            let given_up = asking.ask(BERLIN, &question(), Instant::now()).await;
            assert_eq!(given_up, Err(Silence::Late));
            assert!(asking.lines().waiting.is_empty());
        }
        let full = asking.ask(BERLIN, &question(), one_day()).await;
        assert_eq!(full, Err(Silence::Busy));
        drop(line);
    }

    #[tokio::test]
    async fn who_waits_is_told_when_the_line_breaks_and_the_next_line_serves() {
        let asking = Asking::default();
        let first = asking.open(BERLIN, 5);
        let question = question();
        let asked = asking.ask(BERLIN, &question, one_day());
        let (heard, ()) = tokio::join!(asked, async { asking.close(BERLIN, 5) });
        assert_eq!(heard, Err(Silence::Broken));
        drop(first);
        let mut second = asking.open(BERLIN, 6);
        // The first one's end comes late.
        asking.close(BERLIN, 5);
        let asked = asking.ask(BERLIN, &question, one_day());
        let answered = async {
            let told = second.recv().await.unwrap();
            asking.hear(BERLIN, told.id, b"no JSON".to_vec());
        };
        let (heard, ()) = tokio::join!(asked, answered);
        assert!(matches!(heard, Err(Silence::Unreadable(_))), "{heard:?}");
    }
}
