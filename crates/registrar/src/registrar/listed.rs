//! What the 200 to a REGISTER says.

use clock::Time;
use sip::{Transport, Writer};
use smallvec::SmallVec;

use super::Registrar;
use super::update::{is_flow, joined};
use crate::binding::{Binding, Q_MAX};
use crate::request::{Contacts, Hops, Request};
use crate::{gruu, policy};

/// What the 200 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// All bindings of the address of record, in no particular order.
    pub bindings: SmallVec<[Listed; 2]>,
    /// Whether the flow is treated as RFC 5626 has it: the 200 carries `Require: outbound`.
    pub outbound: Option<FlowTimer>,
    /// The value of Path, copied from the request if the client understands it (RFC 3327 §5.3);
    /// empty otherwise.
    pub path: Box<[u8]>,
}

/// One binding as listed in the 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The contact URI as registered.
    pub uri: Box<[u8]>,
    /// Seconds until it expires, rounded up.
    pub expires_s: u32,
    /// q in thousandths.
    pub q_milli: u16,
    /// `+sip.instance` without quotes and angle brackets; empty if it has none.
    pub instance: Box<[u8]>,
    /// `reg-id`; 0 if it has none.
    pub reg_id: u32,
    /// Its GRUUs, if the client understands them and it has an instance (RFC 5627 §5.3).
    pub gruus: Option<Box<Gruus>>,
}

/// The GRUUs of a binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gruus {
    /// `pub-gruu`: the same for as long as the instance is.
    pub public: String,
    /// `temp-gruu`: a new one with each refresh.
    pub temporary: String,
}

/// The Flow-Timer of a confirmed flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowTimer {
    /// The client's flow ends here: its silence is not taken for death before, in seconds.
    Seconds(u32),
    /// The flow ends at an edge proxy, which speaks for itself.
    Edge,
}

impl Registered {
    /// Writes Contact, Path, Require and Flow-Timer.
    pub fn write(&self, writer: &mut Writer) {
        for binding in &self.bindings {
            binding.write(writer);
        }
        if !self.path.is_empty() {
            writer.header("Path", &self.path);
        }
        match self.outbound {
            Some(FlowTimer::Seconds(s)) => {
                writer.header("Require", b"outbound");
                writer.header_fmt("Flow-Timer", format_args!("{s}"));
            }
            Some(FlowTimer::Edge) => {
                writer.header("Require", b"outbound");
            }
            None => {}
        }
    }
}

impl Listed {
    fn write(&self, writer: &mut Writer) {
        writer.raw(b"Contact: <").raw(&self.uri);
        writer.raw(b">;expires=").number(self.expires_s);
        if self.q_milli < Q_MAX {
            writer.raw(format!(";q=0.{:03}", self.q_milli).as_bytes());
        }
        if !self.instance.is_empty() {
            writer.raw(b";+sip.instance=\"<");
            writer.raw(&self.instance).raw(b">\"");
        }
        if self.reg_id != 0 {
            writer.raw(b";reg-id=").number(self.reg_id);
        }
        if let Some(gruus) = &self.gruus {
            writer.raw(b";pub-gruu=\"").raw(gruus.public.as_bytes());
            writer.raw(b"\";temp-gruu=\"");
            writer.raw(gruus.temporary.as_bytes()).raw(b"\"");
        }
        writer.raw(b"\r\n");
    }
}

impl Registrar {
    pub(super) fn listed(&self, now: Time, request: &Request<'_>) -> Registered {
        let bindings = self
            .table
            .slots_of(request.aor)
            .map(|slot| &self.table[slot])
            .map(|binding| self.listing(now, request, binding))
            .collect();
        let outbound = match &request.contacts {
            Contacts::List(contacts) if contacts.iter().any(|c| is_flow(request, c)) => {
                flow_timer(request)
            }
            _ => None,
        };
        let path = if request.supported.path {
            joined(&request.path).as_slice().into()
        } else {
            Box::default()
        };
        Registered {
            bindings,
            outbound,
            path,
        }
    }

    fn listing(&self, now: Time, request: &Request<'_>, binding: &Binding) -> Listed {
        let texts = binding.texts();
        let gruus = (request.supported.gruu && !texts.instance().is_empty()).then(|| {
            Box::new(Gruus {
                public: gruu::public(texts.aor(), texts.instance()),
                temporary: gruu::temporary(&self.gruu, binding),
            })
        });
        let left_us = binding.expires.since(now).as_micros();
        Listed {
            uri: texts.uri().into(),
            expires_s: u32::try_from(left_us.div_ceil(1_000_000)).unwrap_or(u32::MAX),
            q_milli: binding.q_milli,
            instance: texts.instance().into(),
            reg_id: binding.reg_id,
            gruus,
        }
    }
}

fn flow_timer(request: &Request<'_>) -> Option<FlowTimer> {
    match (request.hops, request.flow.transport) {
        (Hops::Proxied, _) => Some(FlowTimer::Edge),
        (Hops::Direct, Transport::Udp) => Some(FlowTimer::Seconds(policy::FLOW_TIMER_UDP_S)),
        (Hops::Direct, _) => Some(FlowTimer::Seconds(policy::FLOW_TIMER_S)),
    }
}
