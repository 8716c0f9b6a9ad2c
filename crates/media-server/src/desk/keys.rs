//! Keys of a telephone: told to the switch that wants them, and pressed for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media::{DigitForm, Key, PlayOptions, Press, Prompt, Side};
use ng::{KeyPress, Negotiation, Reply, Tone};

use super::Desk;

impl Desk {
    /// Notes what a switch of ours says of the call: whoever offers media with keys in different
    /// forms is told of those that are pressed.
    pub(super) fn note_terms(&mut self, client: SocketAddr, asked: &Negotiation) {
        let selection = &asked.selection;
        let Some(call) = self.calls.call_mut(&selection.call_id) else {
            return;
        };
        let place = call.place_of_offer(selection);
        if let Some(branch) = place.and_then(|place| call.branches.get_mut(place.branch)) {
            branch.keys_for = asked.options.key_forms.map(|_| client);
            branch.correlation = asked.options.correlation.as_deref().map(Box::from);
        }
    }

    /// A side has pressed a key.
    pub(super) fn handle_key(&mut self, session: u64, side: Side, key: char, duration_ms: u32) {
        let Some((call_id, branch)) = self.calls.branch_of(session) else {
            return;
        };
        let (Some(client), Some(tag)) = (branch.keys_for, branch.party(side).tag.as_deref()) else {
            return;
        };
        let press = KeyPress {
            number: 0,
            call_id: call_id.to_string(),
            tag: tag.to_owned(),
            key,
            duration_ms,
        };
        self.pressed.push(client, press, Instant::now());
    }

    /// The participant that is selected is the one to be heard: the other side gets the key. Where
    /// keys change their form it is one of them, and what is said goes on beside it; elsewhere it
    /// is heard in the place of what is said.
    pub(super) fn play_digit(&mut self, asked: &Tone) -> Reply {
        let Some(key) = Key::from_event(asked.event) else {
            return Reply::error("invalid value for code");
        };
        let done = self.each(&asked.selection, |desk, session, side| {
            let to = side.other();
            let known = desk.calls.branch_of(session);
            let converts = known.is_some_and(|(_, branch)| branch.keys_for.is_some());
            let duration_ms = u32::from(asked.duration_ms);
            let engine = &mut desk.engine;
            if converts && engine.press_key(session, to, key.to_char(), duration_ms) {
                return Ok(());
            }
            let prompt = Prompt::Press(Press {
                key,
                form: DigitForm::Events,
                duration: Duration::from_millis(asked.duration_ms.into()),
                pause: Duration::from_millis(asked.pause_ms.into()),
                volume_dbm0: asked.volume_db,
            });
            engine.play(session, to, prompt, PlayOptions::once())
        });
        done.map_or_else(|reply| reply, |()| Reply::ok())
    }
}
