//! Messages of several nodes: who has seen which, and which of them were one and the same on its way.

use std::collections::HashMap;

use crate::{Direction, Seen};

/// A message, and the node that keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Identifies it in the API.
    pub id: String,
    /// The node that has it; empty where there is only one.
    pub node: String,
    /// The message.
    pub seen: Seen,
}

/// What a message is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// Nobody else of ours has seen it.
    Alone,
    /// It was sent, and this one is how another node has received it.
    ArrivedAs(usize),
    /// It is how a node has received what another one sent.
    Arrival,
}

/// What one node has sent and another received: the same bytes, as each hop leaves a Via of its own. A
/// repetition is as the first one was: what arrived is the one that was sent next to it in time.
pub(crate) fn passings(messages: &[Witnessed]) -> Vec<Passing> {
    let mut passings = vec![Passing::Alone; messages.len()];
    let mut sent: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, message) in messages.iter().enumerate() {
        if message.seen.direction == Direction::Sent {
            sent.entry(&message.seen.payload).or_default().push(at);
        }
    }
    for (at, message) in messages.iter().enumerate() {
        if message.seen.direction != Direction::Received {
            continue;
        }
        let apart_us = |other: usize| messages[other].seen.at_us.abs_diff(message.seen.at_us);
        let same = sent.get(&*message.seen.payload).into_iter().flatten();
        let free = same.copied().filter(|other| {
            messages[*other].node != message.node
                && passings[*other] == Passing::Alone
                && apart_us(*other) <= APART_MAX_US
        });
        if let Some(sent) = free.min_by_key(|other| apart_us(*other)) {
            passings[sent] = Passing::ArrivedAs(at);
            passings[at] = Passing::Arrival;
        }
    }
    passings
}

/// The messages without those that another node has sent: each stands there once.
#[must_use]
pub fn each_once(messages: Vec<Witnessed>) -> Vec<Seen> {
    let passings = passings(&messages);
    let shown = messages.into_iter().zip(passings);
    shown
        .filter(|(_, passing)| *passing != Passing::Arrival)
        .map(|(message, _)| message.seen)
        .collect()
}

/// How far the clocks of two nodes may be from each other, and a message on its way.
const APART_MAX_US: u64 = 5_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::seen;

    const ENDS: (&str, &str) = ("192.0.2.1:5060", "192.0.2.2:5060");

    fn message(node: &str, direction: Direction, at_us: u64, text: &str) -> Witnessed {
        let seen = seen(direction, ENDS, text);
        Witnessed {
            id: format!("{node}-{at_us}"),
            node: node.into(),
            seen: Seen {
                at_us: seen.at_us + at_us,
                ..seen
            },
        }
    }

    #[test]
    fn what_one_sends_and_another_receives_is_one_message() {
        use Direction::{Received, Sent};
        let messages = vec![
            message("edge", Sent, 0, "INVITE"),
            message("berlin", Received, 300, "INVITE"),
            // The first repetition was lost.
            message("edge", Sent, 500_000, "INVITE"),
            message("edge", Sent, 1_500_000, "INVITE"),
            // Its clock is behind.
            message("berlin", Received, 1_499_900, "INVITE"),
            message("berlin", Sent, 1_600_000, "100"),
        ];
        let found = passings(&messages);
        let wanted = [
            Passing::ArrivedAs(1),
            Passing::Arrival,
            Passing::Alone,
            Passing::ArrivedAs(4),
            Passing::Arrival,
            Passing::Alone,
        ];
        assert_eq!(found, wanted);
        assert_eq!(each_once(messages).len(), 4);
    }

    #[test]
    fn what_a_node_sends_itself_or_another_day_is_another_message() {
        use Direction::{Received, Sent};
        let messages = [
            message("berlin", Sent, 0, "OPTIONS"),
            message("berlin", Received, 10, "OPTIONS"),
            message("edge", Received, APART_MAX_US + 1, "OPTIONS"),
        ];
        assert_eq!(passings(&messages), [Passing::Alone; 3]);
    }
}
