//! What the thread of the calls has the switch do, as `node::calls` has it.

use cluster::{Answer, Visit, Whereabouts};
use model::CallId;
use switch::{CallKey, NotTaken};

use super::journal::{Line, What};
use super::world::World;

impl World {
    /// Does it; visits are not held back in a pause.
    pub(super) fn visit(&mut self, at: usize, visit: Visit) -> Answer {
        let node = &mut self.nodes[at];
        let now = node.clock(self.now);
        let switch = &mut node.switch;
        let answer = match visit {
            Visit::GiveUp(call) => Answer::Record(switch.hand_over(now, CallKey(call))),
            Visit::KeptCalls => {
                let kept = switch.kept_calls();
                Answer::Calls(kept.into_iter().map(|call| call.0).collect())
            }
            Visit::KeepAgain(calls) => {
                for call in calls {
                    switch.keep_again(CallKey(call));
                }
                Answer::Done(true)
            }
            Visit::TakeUp(calls) => {
                let mut unreadable = Vec::new();
                for (call, record) in calls {
                    if switch.take_call(now, &record) == Err(NotTaken::Unreadable) {
                        unreadable.push(call);
                    }
                }
                Answer::Calls(unreadable)
            }
            Visit::Lose(calls) => {
                let lost: Vec<CallKey> = calls.into_iter().map(CallKey).collect();
                switch.lose_calls(now, &lost);
                Answer::Done(true)
            }
            Visit::GoOn => {
                self.go_on(at);
                Answer::Nothing
            }
            Visit::Sought(call, whereabouts) => {
                let whereabouts = match whereabouts {
                    Whereabouts::Nowhere => switch::Whereabouts::Nowhere,
                    Whereabouts::Elsewhere => switch::Whereabouts::Elsewhere,
                };
                switch.handle_sought(now, CallKey(call), whereabouts);
                Answer::Nothing
            }
            Visit::Unsettled => {
                let open = node.unsettled.iter();
                Answer::Identities(open.map(|call| call.bits()).collect())
            }
            Visit::Settle { left, close_rest } => {
                for call in left.into_iter().map(CallId::from_bits) {
                    if self.nodes[at].unsettled.remove(&call) {
                        self.note(at, What::Left { call });
                    }
                }
                if close_rest {
                    for call in std::mem::take(&mut self.nodes[at].unsettled) {
                        self.note(at, What::Guessed { call });
                    }
                }
                Answer::Done(true)
            }
        };
        self.drain_switch(at);
        answer
    }

    fn note(&mut self, node: usize, what: What) {
        self.tell(|w| format!("{} journal  {what:?}", w.nodes[node].name));
        self.journal.lines.push(Line { node, what });
    }
}
