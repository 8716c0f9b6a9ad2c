//! Which calls are up, learned from what passes.

use balancer::TargetId;
use clock::Time;
use forward::Origin;
use sip::{Message, Method};

use crate::Dispatcher;

impl Dispatcher {
    /// A call of a target was answered, or is seen to go on.
    pub(crate) fn note_call(&mut self, now: Time, message: &Message, target: TargetId) {
        let key = self.seal.call(message.call_id().unwrap_or_default());
        self.balancer.handle_call(now, key, target);
    }

    /// A request inside a dialog passes: BYE ends the call, another INVITE shows that it lives.
    /// This is how the calls of a dispatcher that was restarted are learned.
    pub(crate) fn note_in_dialog(
        &mut self,
        now: Time,
        message: &Message,
        target: Option<TargetId>,
        origin: Origin,
    ) {
        // Calls that targets make are not of our choice, and do not count.
        let target = target.filter(|_| origin == Origin::Client);
        match (message.method(), target) {
            (Method::Bye, _) => {
                let key = self.seal.call(message.call_id().unwrap_or_default());
                self.balancer.handle_call_end(key);
            }
            (Method::Invite, Some(target)) => self.note_call(now, message, target),
            _ => {}
        }
    }
}
