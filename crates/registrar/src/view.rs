//! Bindings as people see them: the list, its filter and its pages.

use std::collections::BinaryHeap;

use clock::Time;
use model::{RegistrationView, UserId};
use sip::Transport;

use crate::binding::{Binding, BindingId, Trust};
use crate::peer::PeerId;
use crate::reach::Reach;
use crate::registrar::Registrar;

/// A binding, over the registrar's own texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindingView<'a> {
    /// Which it is.
    pub id: BindingId,
    /// Whose it is.
    pub aor: &'a str,
    /// The contact URI as registered.
    pub uri: &'a [u8],
    /// How it is reached.
    pub reach: Reach,
    /// Its Path as it stands in Route; empty if it has none.
    pub path: &'a [u8],
    /// `+sip.instance` without quotes and angle brackets; empty if it has none.
    pub instance: &'a [u8],
    /// `reg-id`; 0 if it is no flow of RFC 5626.
    pub reg_id: u32,
    /// The User-Agent; empty if it has none.
    pub user_agent: &'a [u8],
    /// When it expires.
    pub expires: Time,
    /// When it was first registered from where it is.
    pub since: Time,
    /// Smoothed round trip of OPTIONS in microseconds; `None` if not measured.
    pub rtt_us: Option<u32>,
    /// q in thousandths.
    pub q_milli: u16,
    /// Whether calls go to it.
    pub standing: Standing,
    /// The node that holds it; `None` for this one.
    pub holder: Option<PeerId>,
}

/// Whether calls go to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not yet: it is being verified.
    Pending,
    /// Yes.
    Routable,
    /// Yes, though it missed the last keep-alives; so many.
    Missing(u8),
}

/// Which bindings are wanted; the default wants all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Of this address of record.
    pub aor: Option<&'a str>,
    /// Of this transport.
    pub transport: Option<Transport>,
    /// With this in address of record, URI or User-Agent, whatever its case.
    pub text: Option<&'a str>,
}

impl Registrar {
    /// One binding.
    #[must_use]
    pub fn view(&self, id: BindingId) -> Option<BindingView<'_>> {
        let slot = self.table().find(id)?;
        Some(self.view_of(&self.table()[slot]))
    }

    /// Bindings that match, in ascending order of their ids, which is the order in which they
    /// were registered; at most `limit`, those after `after` only. Looks at every binding
    /// unless an address of record is asked for.
    #[must_use]
    pub fn list(
        &self,
        filter: &Filter<'_>,
        after: Option<BindingId>,
        limit: usize,
    ) -> Vec<BindingView<'_>> {
        let wanted = |binding: &&Binding| {
            after.is_none_or(|after| binding.id > after) && self.matches(filter, binding)
        };
        let table = self.table();
        let ids = match filter.aor {
            Some(aor) => {
                let own = table.slots_of(aor).map(|slot| &table[slot]);
                smallest(own.filter(wanted).map(|binding| binding.id), limit)
            }
            None => smallest(table.iter().filter(wanted).map(|binding| binding.id), limit),
        };
        ids.into_iter().filter_map(|id| self.view(id)).collect()
    }

    fn view_of<'a>(&'a self, binding: &'a Binding) -> BindingView<'a> {
        let texts = binding.texts();
        BindingView {
            id: binding.id,
            aor: texts.aor(),
            uri: texts.uri(),
            reach: binding.reach(),
            path: texts.path(),
            instance: texts.instance(),
            reg_id: binding.reg_id,
            user_agent: self.agents().text(binding.agent),
            expires: binding.expires,
            since: binding.since,
            rtt_us: binding.rtt_us.map(core::num::NonZeroU32::get),
            q_milli: binding.q_milli,
            standing: match binding.trust {
                Trust::Pending { .. } => Standing::Pending,
                Trust::Routable { failures: 0 } => Standing::Routable,
                Trust::Routable { failures } => Standing::Missing(failures),
            },
            holder: binding.holder,
        }
    }

    fn matches(&self, filter: &Filter<'_>, binding: &Binding) -> bool {
        let fits_transport = filter
            .transport
            .is_none_or(|transport| binding.flow.transport == transport);
        fits_transport
            && filter.text.is_none_or(|text| {
                let texts = binding.texts();
                [
                    texts.aor_bytes(),
                    texts.uri(),
                    self.agents().text(binding.agent),
                ]
                .into_iter()
                .any(|hay| contains(hay, text.as_bytes()))
            })
    }
}

impl BindingView<'_> {
    /// As the API shows it; `node` is the name of the one that holds it.
    #[must_use]
    pub fn to_model(&self, user: Option<UserId>, node: &str) -> RegistrationView {
        RegistrationView {
            id: self.id.to_string(),
            user,
            aor: self.aor.into(),
            contact: String::from_utf8_lossy(self.uri).into_owned(),
            received: self.reach.flow().to_string(),
            user_agent: String::from_utf8_lossy(self.user_agent).into_owned(),
            expires_us: self.expires.as_micros(),
            rtt_us: self.rtt_us,
            routable: self.standing != Standing::Pending,
            node: node.into(),
        }
    }
}

/// The `limit` smallest, ascending, in memory for so many.
fn smallest(ids: impl Iterator<Item = BindingId>, limit: usize) -> Vec<BindingId> {
    let mut heap = BinaryHeap::new();
    for id in ids {
        if heap.len() < limit {
            heap.push(id);
        } else if let Some(mut largest) = heap.peek_mut()
            && id < *largest
        {
            *largest = id;
        }
    }
    heap.into_sorted_vec()
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    needle.is_empty()
        || hay
            .windows(needle.len())
            .any(|window| window.eq_ignore_ascii_case(needle))
}
