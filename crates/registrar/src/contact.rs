//! A contact as a call needs it.

use sip::Destination;

use crate::binding::{Binding, BindingId};
use crate::reach::Reach;

/// Where a call, or an OPTIONS, goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Which binding it is.
    pub binding: BindingId,
    /// The contact URI as registered: the request URI.
    pub uri: Box<[u8]>,
    /// How it is reached.
    pub reach: Reach,
    /// The value of Route; empty unless `reach` is [`Reach::Path`].
    pub path: Box<[u8]>,
    /// `+sip.instance` without quotes and angle brackets; empty if it has none.
    pub instance: Box<[u8]>,
    /// `reg-id`; 0 if it is no flow of RFC 5626.
    pub reg_id: u32,
    /// q in thousandths.
    pub q_milli: u16,
}

impl Contact {
    /// Where messages to it go; `None` behind a Path, whose first hop has to be resolved, and where
    /// another node has to send them.
    #[must_use]
    pub const fn destination(&self) -> Option<Destination> {
        match self.reach {
            Reach::Flow(flow) => Some(Destination::Flow(flow)),
            Reach::Path(_) | Reach::Peer(..) => None,
        }
    }
}

impl From<&Binding> for Contact {
    fn from(binding: &Binding) -> Self {
        let texts = binding.texts();
        Self {
            binding: binding.id,
            uri: texts.uri().into(),
            reach: binding.reach(),
            path: texts.path().into(),
            instance: texts.instance().into(),
            reg_id: binding.reg_id,
            q_milli: binding.q_milli,
        }
    }
}
