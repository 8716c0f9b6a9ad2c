//! Our registrations at carriers, of which one node of a cluster has each.
//!
//! Who has which is agreed elsewhere ([`Switch::take_duties`]); until it is known this node registers
//! nowhere. All nodes know all registrations: a carrier's call may come to any of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use clock::Time;
use model::{Gateway, GatewayId, GatewayRegistrationState, GatewayRegistrationView};

use crate::Switch;

/// A registration that this node would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// Where.
    pub gateway: GatewayId,
    /// What the others are told of it, if this node has it; see [`Held::Elsewhere`].
    pub note: String,
}

/// Who has a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// This node, which is called so among the others.
    Here {
        /// Its name.
        node: String,
        /// The note of a node that had it before and has not given it up; empty if there is none.
        before: String,
    },
    /// Another node.
    Elsewhere {
        /// Its name.
        node: String,
        /// How it goes there.
        note: String,
    },
}

/// Who has which; those that are not there are nobody's yet.
pub(crate) type Duties = BTreeMap<GatewayId, Held>;

impl Switch {
    /// From now on this node registers at carriers only where it is told to.
    pub fn share_duties(&mut self) {
        self.duties = Some(Duties::new());
    }

    /// The registrations that this node would have, and those that it has not ended yet.
    #[must_use]
    pub fn duties(&self, now: Time) -> (Vec<Duty>, Vec<GatewayId>) {
        let present = self.upstream.present().collect();
        if !self.accepting || self.snapshot.stopped {
            return (Vec::new(), present);
        }
        let gateways = self.snapshot.gateways.iter();
        let wanted = gateways.filter(|gateway| registrar::Upstream::is_wanted(gateway));
        let wanted = wanted.map(|gateway| Duty {
            gateway: gateway.id,
            note: self.note_of(now, gateway.id),
        });
        (wanted.collect(), present)
    }

    /// State and Contact: `registered sip:4930@192.0.2.1:5060`.
    fn note_of(&self, now: Time, gateway: GatewayId) -> String {
        let Some(view) = self.upstream.view(now, gateway) else {
            return String::new();
        };
        let contact = self.upstream.contact(gateway).unwrap_or_default();
        format!("{} {contact}", view.state.as_str())
    }

    /// Who has which registration. What is new here begins, in the place of whoever had it before. What
    /// is here no more has been taken by others, because they took this node for dead, and is
    /// forgotten without a word; a node that takes no calls any more ends it.
    pub fn take_duties(&mut self, now: Time, duties: BTreeMap<GatewayId, Held>) {
        let Some(known) = &self.duties else { return };
        let is_here = |held: Option<&Held>| matches!(held, Some(Held::Here { .. }));
        let lost = known.iter().filter(|(_, held)| is_here(Some(held)));
        let lost = lost.filter(|(id, _)| !is_here(duties.get(id)));
        let lost: Vec<GatewayId> = lost.map(|(id, _)| *id).collect();
        let fresh = duties.iter().filter_map(|(id, held)| match held {
            Held::Here { before, .. } if !is_here(known.get(id)) => Some((*id, before.clone())),
            _ => None,
        });
        let fresh: Vec<(GatewayId, String)> = fresh.collect();
        self.duties = Some(duties);
        // One that is stopped tells its carriers itself.
        if self.accepting && !self.snapshot.stopped {
            for gateway in &lost {
                self.upstream.forget(*gateway);
            }
        }
        if lost.is_empty() && fresh.is_empty() {
            return;
        }
        self.apply_duties(now);
        for (gateway, before) in fresh {
            if let Some((_, contact)) = before.split_once(' ') {
                self.upstream.succeed(gateway, contact);
            }
        }
        self.pump(now);
    }

    /// Registers where this node is to, and nowhere else.
    pub(crate) fn apply_duties(&mut self, now: Time) {
        let gateways = self.snapshot.gateways.clone();
        let (ours, others): (Vec<&Arc<Gateway>>, Vec<_>) = gateways
            .iter()
            .partition(|gateway| self.has_duty(gateway.id));
        self.upstream
            .configure_shared(now, ours.into_iter(), others.into_iter());
    }

    fn has_duty(&self, gateway: GatewayId) -> bool {
        if self.snapshot.stopped {
            return false;
        }
        self.duties
            .as_ref()
            .is_none_or(|duties| matches!(duties.get(&gateway), Some(Held::Here { .. })))
    }

    /// How a registration is, wherever it is.
    pub(crate) fn registration_of(
        &self,
        now: Time,
        gateway: &Gateway,
    ) -> Option<GatewayRegistrationView> {
        let held = self
            .duties
            .as_ref()
            .and_then(|duties| duties.get(&gateway.id));
        match held {
            Some(Held::Elsewhere { node, note }) => {
                let (state, _) = note.split_once(' ').unwrap_or((note, ""));
                let state = GatewayRegistrationState::named(state);
                Some(GatewayRegistrationView {
                    state: state.unwrap_or(GatewayRegistrationState::Trying),
                    aor: registrar::Upstream::aor_of(&Arc::new(gateway.clone()))?,
                    expires_us: None,
                    next_us: None,
                    last_failure: String::new(),
                    node: Some(node.clone()),
                })
            }
            Some(Held::Here { node, .. }) => {
                let mut view = self.upstream.view(now, gateway.id)?;
                view.node = Some(node.clone());
                Some(view)
            }
            None => self.upstream.view(now, gateway.id),
        }
    }
}
