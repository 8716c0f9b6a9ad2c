//! Passing messages on between another node of the cluster and a phone whose flow this one holds.
//!
//! A phone on a connection, or behind a NAT, is reached from where it registered only. So another
//! node sends a call for it here, with a Route that names the registration, sealed with the
//! cluster's key; and here it goes on over the phone's flow, without any state: Record-Route and
//! Via carry, sealed too, where both sides are (RFC 3261 §16.11, RFC 5626 §5.3). Requests between
//! nodes travel over UDP to phones on UDP, and over TCP to all others, so that who repeats a
//! request that is lost is the sender in each case.

use std::net::{IpAddr, SocketAddr};

use clock::Time;
use forward::rewrite::{self, Changes, Framing};
use forward::{Branch, Dialog, End, Hops, NextHop, Origin, OwnRoutes, Pass, Seal, Token};
use registrar::{BindingId, Contact, PeerId, Reach, is_local, is_open};
use sip::transaction::response_address;
use sip::{Destination, Flow, HeaderName, ListenerId, Message, Method, Transmit, Transport, Via};

use crate::Switch;
use crate::output::Output;

/// What sending on takes.
#[derive(Debug)]
pub(crate) struct Passage {
    seal: Seal,
    pub(crate) hops: Hops,
    /// Tells this start from others: connections do not outlive it.
    instance: u32,
}

impl Passage {
    pub(crate) fn new(cluster_key: &[u8; 32], seed: u64) -> Self {
        Self {
            seal: Seal::new(cluster_key, "switch"),
            hops: Hops::default(),
            instance: (seed >> 32) as u32,
        }
    }
}

/// How a contact is reached.
pub(crate) struct Way {
    /// Where to send; `None` if the first of the routes has to be resolved.
    pub(crate) destination: Option<Destination>,
    /// The value of Route; empty for none.
    pub(crate) routes: Box<[u8]>,
    /// The address of the phone, if another node stands before it.
    pub(crate) beyond: Option<IpAddr>,
}

/// Where a request goes on, and what it is given for the way back.
struct Onward {
    destination: Destination,
    /// What Record-Route says, and the listeners towards the two sides.
    dialog: Option<(Dialog, [ListenerId; 2])>,
}

impl Switch {
    /// How a contact is reached from here; `None` if its node is not known, or out of reach.
    pub(crate) fn way_to(&self, contact: &Contact) -> Option<Way> {
        match contact.reach {
            Reach::Flow(flow) => Some(Way {
                destination: Some(Destination::Flow(self.listeners.speaking(flow))),
                routes: Box::default(),
                beyond: None,
            }),
            Reach::Path(_) => Some(Way {
                destination: None,
                routes: contact.path.clone(),
                beyond: None,
            }),
            Reach::Peer(peer, flow) if self.is_reached_directly(contact, peer, &flow) => {
                let listener = self.listeners.in_place_of(&flow);
                let ours = self.listeners.speaking(Flow { listener, ..flow });
                Some(Way {
                    destination: Some(Destination::Address {
                        transport: Transport::Udp,
                        listener: ours.listener,
                        remote: ours.remote,
                        name: "".into(),
                    }),
                    routes: Box::default(),
                    beyond: None,
                })
            }
            Reach::Peer(peer, flow) => self.way_through(peer, contact.binding, &flow),
        }
    }

    /// By the node that holds the flow.
    fn way_through(&self, peer: PeerId, binding: BindingId, flow: &Flow) -> Option<Way> {
        let peers = self.peers.as_ref().filter(|peers| !peers.is_away(peer))?;
        let peer = peers.get(peer)?;
        let seal = &self.passage.as_ref()?.seal;
        let (transport, remote) = match flow.transport.is_reliable() {
            true => (Transport::Tcp, peer.tcp?),
            false => (Transport::Udp, peer.udp?),
        };
        let mut routes = b"<sip:".to_vec();
        seal.write_binding(&mut routes, binding.bits());
        let name = transport.param_name();
        routes.extend_from_slice(format!("@{remote};transport={name};lr>").as_bytes());
        Some(Way {
            destination: Some(self.address(transport, remote)),
            routes: routes.into(),
            beyond: Some(flow.remote.ip()),
        })
    }

    fn address(&self, transport: Transport, remote: SocketAddr) -> Destination {
        let listener = self.listeners.toward(transport, remote.ip());
        Destination::Address {
            transport,
            listener: listener.unwrap_or_else(|| self.listeners.first()),
            remote,
            name: "".into(),
        }
    }

    /// Passes a message on that is not for this node; whether it was such a one.
    pub(crate) fn pass_on(&mut self, now: Time, flow: Flow, message: &Message) -> bool {
        let Some(passage) = &self.passage else {
            return false;
        };
        if !message.is_request() {
            return self.pass_back(message);
        }
        if message.header(HeaderName::Route).is_none() {
            return false;
        }
        let routes = OwnRoutes::of(message, &passage.hops, &passage.seal);
        let Token::Genuine(pass) = routes.token else {
            return false;
        };
        if message.number(HeaderName::MaxForwards) == Some(0) {
            self.answer_unheard(flow, message, 483, "");
            return true;
        }
        let onward = match pass {
            Pass::Binding(number) => self.to_phone(now, flow, message, number),
            Pass::Dialog(dialog) => self.inside(message, &dialog),
            Pass::Path(_) => None,
        };
        let sent = onward.and_then(|onward| self.send_on(flow, message, routes.count, &onward));
        if sent.is_some() {
            self.counters.passed_on += 1;
        } else {
            // RFC 5626 §11.6.
            self.answer_unheard(flow, message, 430, "Flow Failed");
        }
        true
    }

    /// Whether a phone that another node holds is reached from here as well as from there. In doubt
    /// it is not, unless that node is dead.
    fn is_reached_directly(&self, contact: &Contact, holder: PeerId, flow: &Flow) -> bool {
        let Some(peers) = &self.peers else {
            return false;
        };
        let is_near = || is_local(flow.remote.ip()) || peers.is_dead(holder);
        peers.are_near() && is_open(&contact.uri, flow) && is_near()
    }

    /// A request of another node for a phone that is registered here.
    fn to_phone(&self, now: Time, flow: Flow, message: &Message, number: u64) -> Option<Onward> {
        let passage = self.passage.as_ref()?;
        let binding = BindingId::from_bits(number);
        let view = self.registrar.view(binding)?;
        let Reach::Flow(phone) = view.reach else {
            return None;
        };
        if view.expires <= now {
            return None;
        }
        let is_new = message.to().is_ok_and(|to| to.tag().is_none());
        let begins = matches!(
            message.method(),
            Method::Invite | Method::Subscribe | Method::Refer
        );
        let dialog = (is_new && begins).then(|| {
            let dialog = Dialog {
                origin: Origin::Target,
                next_hop: NextHop::Flow,
                from_tag: passage.seal.tag(from_tag(message)),
                client: End::of(&phone, passage.instance),
                target: sender(flow, message),
            };
            (dialog, [phone.listener, flow.listener])
        });
        Some(Onward {
            destination: Destination::Flow(phone),
            dialog,
        })
    }

    /// A request inside a dialog that began through here: to the side that did not send it. Other
    /// requests are none of ours to pass on: the next node would take them for ours.
    fn inside(&self, message: &Message, dialog: &Dialog) -> Option<Onward> {
        let passage = self.passage.as_ref()?;
        let is_outside = message.to().is_ok_and(|to| to.tag().is_none());
        if is_outside && !matches!(message.method(), Method::Cancel | Method::Ack) {
            return None;
        }
        let is_of_origin = passage.seal.tag(from_tag(message)) == dialog.from_tag;
        let end = match is_of_origin == (dialog.origin == Origin::Target) {
            true => &dialog.client,
            false => &dialog.target,
        };
        Some(Onward {
            destination: end.destination(passage.instance)?,
            dialog: None,
        })
    }

    fn send_on(
        &mut self,
        flow: Flow,
        message: &Message,
        own_routes: usize,
        onward: &Onward,
    ) -> Option<()> {
        let passage = self.passage.as_ref()?;
        let via = message.via().ok()?;
        let mut end = End::of(&flow, passage.instance);
        if flow.transport == Transport::Udp {
            end.remote = response_address(&flow, &via);
        }
        let seal = &passage.seal;
        let branch = Branch {
            attempt: 0,
            end,
            key: seal.transaction(message, from_tag(message), &via, &end),
        };
        let hop = passage.hops.of(onward.destination.listener())?;
        let changes = Changes {
            uri: None,
            own_routes,
            source: flow.remote,
            framing: framing(&onward.destination),
        };
        let bytes = rewrite::request(message, &changes, |lines| {
            let write_branch = |out: &mut Vec<u8>| {
                out.extend_from_slice(MARK.as_bytes());
                Seal::write_branch(out, &branch);
            };
            hop.write_via(lines, write_branch, b"");
            if let Some((dialog, sides)) = &onward.dialog {
                let call_id = message.call_id().unwrap_or_default();
                passage.hops.write_record_route(lines, *sides, |out| {
                    seal.write_dialog(out, dialog, call_id);
                });
            }
        });
        self.transmit(onward.destination.clone(), bytes);
        Some(())
    }

    /// A response to something that was passed on goes back where our Via says.
    fn pass_back(&mut self, message: &Message) -> bool {
        let Some(passage) = &self.passage else {
            return false;
        };
        let Ok(via) = message.via() else { return false };
        let text = via.branch().and_then(|branch| branch.strip_prefix(COOKIE));
        let Some(branch) = text.and_then(|text| text.strip_prefix(MARK.as_bytes())) else {
            return false;
        };
        let below = message.values(HeaderName::Via).nth(1);
        let below = below.and_then(|below| Via::parse(below).ok());
        let genuine = Seal::read_branch(branch)
            .zip(below)
            .filter(|(branch, below)| {
                let key =
                    (passage.seal).transaction(message, from_tag(message), below, &branch.end);
                key == branch.key
            });
        let to = genuine.and_then(|(branch, _)| branch.end.destination(passage.instance));
        let Some(to) = to else {
            return false;
        };
        let bytes = rewrite::response(message, b"", framing(&to));
        self.transmit(to, bytes);
        true
    }

    fn transmit(&mut self, to: Destination, bytes: bytes::Bytes) {
        let transmit = Transmit { to, bytes, key: 0 };
        self.outputs.push_back(Output::Transmit(transmit));
    }
}

fn from_tag(message: &Message) -> &[u8] {
    let tag = message.from().ok().and_then(|from| from.tag());
    tag.unwrap_or_default()
}

/// Where the node that sent a request takes others: over a stream it calls from another port.
fn sender(flow: Flow, message: &Message) -> End {
    let said = message.via().ok().and_then(|via| {
        let port = via.port.unwrap_or(flow.transport.default_port());
        Some(SocketAddr::new(sip::uri::parse_ip(via.host)?, port))
    });
    let remote = match said {
        Some(said) if flow.transport.is_reliable() => said,
        _ => flow.remote,
    };
    End {
        transport: flow.transport,
        listener: flow.listener,
        remote,
        conn: None,
    }
}

fn framing(to: &Destination) -> Framing {
    match to.transport().is_reliable() {
        true => Framing::Stream,
        false => Framing::Datagram,
    }
}

/// Begins each branch (RFC 3261 §8.1.1.7).
const COOKIE: &[u8] = b"z9hG4bK";
/// Follows in the branches of what is passed on; no branch of our own transactions has it.
const MARK: &str = "fw.";
