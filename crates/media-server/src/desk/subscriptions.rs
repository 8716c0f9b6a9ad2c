//! Media for others than the two who talk: published, and subscribed to.

use std::time::Instant;

use media::{MediumLeg, Participant, Side, Way};
use ng::{Flag, LabelledMedium, Negotiation, Reply, Selection, Success};

use super::negotiate::signalling;
use super::{Desk, since_epoch, unix_s};
use crate::lines::{self, Mids, rewrite};
use crate::wishes::{Of, Wishes};

impl Desk {
    /// Takes media that nobody is sent unless they subscribe to it.
    pub(super) fn publish(&mut self, asked: &Negotiation, now: Instant) -> Reply {
        let mut selection = asked.selection.clone();
        if selection.call_id.is_empty() {
            selection.call_id = random_tag();
        }
        let tag = selection.from_tag.get_or_insert_with(random_tag).clone();
        let known = self.calls.call(&selection.call_id);
        let known = known.and_then(|call| call.place_of_offer(&selection));
        let place = match known {
            Some(place) => place,
            None => match self.refusal() {
                Some(reason) => return self.refuse(asked, reason),
                None => self.calls.open(&selection, now, since_epoch()),
            },
        };
        let call_id = selection.call_id.clone();
        let Some(call) = self.calls.call_mut(&call_id) else {
            return Reply::error("the call is gone");
        };
        call.last_signal_s = unix_s();
        call.delete_at = None;
        let branch = &mut call.branches[place.branch];
        branch.heard = now;
        // Only subscribers hear it, whatever is asked of other branches later.
        branch.ways = [Way::Nowhere; 2];
        if let Some(label) = &asked.options.set_label {
            branch.party_mut(place.side).label = Some(label.as_str().into());
        }
        let session = branch.session;
        let wishes = Wishes::new(&asked.options, Of::Offer);
        let negotiation = media::Negotiation {
            from: place.side,
            sdp: &asked.sdp,
            signalling: signalling(asked),
            options: &wishes.options,
        };
        match self.engine.publish(session, negotiation) {
            Ok(sdp) => {
                let success = Success {
                    call_id: Some(call_id),
                    from_tag: Some(tag),
                    ..Success::sdp(sdp)
                };
                self.warned(success, &wishes.undone)
            }
            Err(error) => {
                if known.is_none() {
                    self.end(&call_id, &[session]);
                }
                self.failed(asked, &error)
            }
        }
    }

    /// Offers copies of what participants send.
    pub(super) fn subscribe(&mut self, asked: &Negotiation) -> Reply {
        let mut selection = asked.selection.clone();
        if selection.all.is_some() {
            // All are meant, though one be named, too.
            selection.label = None;
        }
        let selection = &selection;
        let Some(call) = self.calls.call(&selection.call_id) else {
            return Reply::error(UNKNOWN_CALL);
        };
        if !is_anybody(selection) {
            return Reply::error("No call participant specified");
        }
        let participants =
            call.participants(selection, |branch, side| branch.party(side).tag.is_some());
        if participants.is_empty() {
            return Reply::error("From-tag not found");
        }
        let tags: Vec<String> = call.tags(&participants);
        let to_tag = selection.to_tag.clone().unwrap_or_else(random_tag);
        let known = call.subscription(&to_tag).map(|known| known.session);
        let session = match known {
            Some(session) => Some(session),
            None => match self.refusal() {
                Some(reason) => return self.refuse(asked, reason),
                None => self.calls.open_subscription(
                    &selection.call_id,
                    &to_tag,
                    participants.clone(),
                    unix_s(),
                ),
            },
        };
        let Some(session) = session else {
            return Reply::error(UNKNOWN_CALL);
        };
        let source = |&(session, side)| Participant { session, side };
        let sources: Vec<Participant> = participants.iter().map(source).collect();
        let mut wishes = wishes_of_subscriber(asked);
        let family = self.family_towards(asked, signalling(asked));
        let engine = &mut self.engine;
        match engine.subscribe(session, &sources, &wishes.options, family) {
            Ok(sdp) => {
                self.calls
                    .change_subscription(&selection.call_id, &to_tag, &participants);
                let mut sdp = rewrite(sdp, &asked.options, Of::Offer, Mids::Theirs);
                let mut labelled = Vec::new();
                if records(asked) {
                    sdp = lines::labelled(&sdp);
                    labelled = self.labelled(&selection.call_id, session);
                    wishes.undone.retain(|name| name != Flag::Siprec.name());
                }
                let success = Success {
                    labelled,
                    from_tag: tags.first().filter(|_| tags.len() == 1).cloned(),
                    from_tags: tags,
                    to_tag: Some(to_tag),
                    ..Success::sdp(sdp)
                };
                self.warned(success, &wishes.undone)
            }
            Err(error) => {
                if known.is_none() {
                    self.end(&selection.call_id, &[session]);
                }
                self.failed(asked, &error)
            }
        }
    }

    /// Lets the copies flow to whoever has answered.
    pub(super) fn subscribed(&mut self, asked: &Negotiation) -> Reply {
        let session = match self.subscription(&asked.selection) {
            Ok(session) => session,
            Err(reply) => return reply,
        };
        let mut wishes = Wishes::new(&asked.options, Of::Answer);
        if records(asked) {
            // What there is to do for it was done with the offer.
            wishes.undone.retain(|name| name != Flag::Siprec.name());
        }
        let negotiation = media::Negotiation {
            from: Side::B,
            sdp: &asked.sdp,
            signalling: signalling(asked),
            options: &wishes.options,
        };
        match self.engine.answer(session, negotiation) {
            Ok(_) => self.warned(Success::default(), &wishes.undone),
            Err(error) => self.failed(asked, &error),
        }
    }

    pub(super) fn unsubscribe(&mut self, selection: &Selection) -> Reply {
        match self.subscription(selection) {
            Ok(session) => {
                self.end(&selection.call_id, &[session]);
                Reply::ok()
            }
            // It is not subscribed, as was wanted.
            Err(_) if self.calls.call(&selection.call_id).is_some() => {
                let mut success = Success::default();
                success.warn(NO_TAG);
                success.into()
            }
            Err(reply) => reply,
        }
    }

    /// The session of the subscription that a to-tag names.
    /// Whose media these are that a subscription offers, in the order of its offer.
    fn labelled(&self, call_id: &str, subscription: u64) -> Vec<LabelledMedium> {
        let Some(call) = self.calls.call(call_id) else {
            return Vec::new();
        };
        let copied = self.engine.copied_media(subscription).into_iter();
        let labelled = copied.enumerate().filter_map(|(place, (whose, stream))| {
            let mut branches = call.branches.iter();
            let branch = branches.find(|branch| branch.session == whose.session)?;
            let party = branch.party(whose.side);
            let media = self.engine.media(whose.session)?;
            let leg = &media.get(stream)?.legs[whose.side as usize];
            Some(LabelledMedium {
                label: lines::label_of(place),
                tag: party.tag.as_deref()?.to_owned(),
                participant: party.label.as_deref().map(str::to_owned),
                index: stream as u64 + 1,
                kind: leg.kind.clone(),
                mode: mode(leg).to_owned(),
            })
        });
        labelled.collect()
    }

    fn subscription(&self, selection: &Selection) -> Result<u64, Reply> {
        let call = self.calls.call(&selection.call_id);
        let call = call.ok_or_else(|| Reply::error(UNKNOWN_CALL))?;
        let tag = selection.to_tag.as_deref().unwrap_or_default();
        call.subscription(tag)
            .map(|subscription| subscription.session)
            .ok_or_else(|| Reply::error(NO_TAG))
    }
}

/// What is wished of the copies.
fn wishes_of_subscriber(asked: &Negotiation) -> Wishes {
    let mut wishes = Wishes::new(&asked.options, Of::Offer);
    // There is but one side to face, whatever it is called.
    let facing = wishes.options.own_interface.take();
    wishes.options.interface = wishes.options.interface.or(facing);
    wishes
}

/// Whether the subscriber is a recorder (RFC 7866), which is to know whose media it hears.
fn records(asked: &Negotiation) -> bool {
    asked.options.flags.contains(Flag::Siprec)
}

/// Which way media flows that is sent to a participant, and comes from it, if it is.
fn mode(leg: &MediumLeg) -> &'static str {
    match (leg.receives, leg.sends) {
        (true, true) => "sendrecv",
        (true, false) => "sendonly",
        (false, true) => "recvonly",
        (false, false) => "inactive",
    }
}

/// Whether a selection names anybody, rather than everybody by saying nothing.
fn is_anybody(selection: &Selection) -> bool {
    selection.from_tag.is_some()
        || !selection.from_tags.is_empty()
        || selection.label.is_some()
        || selection.all.is_some()
}

/// A tag that nobody else has.
fn random_tag() -> String {
    let mut random = [0; 8];
    // Without randomness tags collide, and the later one is taken for the earlier.
    let _ = getrandom::fill(&mut random);
    format!("{:016x}", u64::from_ne_bytes(random))
}

const NO_TAG: &str = "To-tag not found";
const UNKNOWN_CALL: &str = "Unknown call-ID";
