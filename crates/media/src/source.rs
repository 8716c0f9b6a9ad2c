//! Whose packets are relayed, and where packets for that peer go.
//!
//! An address is **pinned** once the peer has proved to send from it. Only packets of the pinned
//! address are relayed, and packets for the peer go there; before, they go to the address that
//! its description names. A stranger's packets are never relayed and never move the destination.
//!
//! How an address is pinned depends on what the description and the signalling say:
//!
//! 1. The described address itself is pinned by its first valid packet, at any time, and replaces
//!    an address learned by the rules below.
//! 2. If the described address is private and the signalling did not come from it, the peer is
//!    behind a NAT and cannot be seen at the described address. The first valid packet from the
//!    address that the signalling came from is pinned.
//! 3. If the described address is public, a NAT may still have changed the port: a source at the
//!    described or the signalling address is pinned after it has sent a steady stream for
//!    [`PROOF_US`] while the described address was silent.
//! 4. If nothing is known of the signalling and the described address is private, any source can
//!    prove itself as in 3.
//!
//! Rules 2 to 4 hold only during the learning window after each negotiation. A negotiation that
//! moves the peer (another described address, or other signalling if the address was learned)
//! takes the pin away; any other keeps it, so that nobody can use a session refresh to steal a
//! stream. Within the window a learned address that has been silent for [`SILENT_US`] gives way
//! to another of the same rule: a NAT may have changed the port.
//!
//! Of a peer that is said to be strict ([`SourcePolicy::Described`]), rule 1 alone holds. A peer
//! that is said to be asymmetric ([`SourcePolicy::Asymmetric`]) sends from another port than it
//! receives at: its first valid packet from the described or the signalling address is pinned, and
//! packets for it go where its description says all the same.
//!
//! "Valid" means, for RTP, a whole header of version 2 with a negotiated payload type; for RTCP,
//! well-framed packets; UDPTL has no frame that could be told from noise.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::options::SourcePolicy;

/// The source of one peer on one port of ours.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// What the peer's description names; `None` if that is no address.
    described: Option<SocketAddr>,
    /// Where its signalling came from.
    signalling: Option<IpAddr>,
    policy: SourcePolicy,
    pinned: Option<Pinned>,
    candidate: Option<Candidate>,
    /// Until when rules 2 to 4 hold.
    learn_until_us: u64,
    steering: Steering,
}

/// How the address of a peer is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Steering {
    /// By the rules above.
    #[default]
    Learned,
    /// By ICE, which lets in what comes from proved addresses and has chosen this one for what
    /// leaves.
    Checked(Option<SocketAddr>),
}

#[derive(Debug)]
struct Pinned {
    address: SocketAddr,
    trust: Trust,
    heard_us: u64,
}

/// A source that has yet to prove itself.
#[derive(Debug)]
struct Candidate {
    address: SocketAddr,
    /// The SSRC of its stream, 0 where there is none.
    ssrc: u32,
    first_us: u64,
    last_us: u64,
    packets: u32,
}

/// How sure it is that a source is the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    /// Rules 3 and 4.
    AfterProof,
    /// Rule 2.
    Signalling,
    /// Rule 1.
    Described,
}

impl Source {
    /// Takes the outcome of a negotiation.
    pub(crate) fn negotiate(
        &mut self,
        described: Option<SocketAddr>,
        signalling: Option<IpAddr>,
        policy: SourcePolicy,
        learn_until_us: u64,
    ) {
        let moved = described != self.described || policy != self.policy;
        let elsewhere = signalling != self.signalling;
        let stays = |p: &Pinned| !moved && (!elsewhere || p.trust == Trust::Described);
        self.pinned = self.pinned.take().filter(stays);
        self.candidate = None;
        self.described = described;
        self.signalling = signalling;
        self.policy = policy;
        self.learn_until_us = learn_until_us;
    }

    /// Whether a valid packet comes from the peer. `ssrc` is 0 where there is none.
    #[inline]
    pub(crate) fn admit(&mut self, from: SocketAddr, ssrc: u32, now_us: u64) -> bool {
        self.hear(from, now_us) || self.learn(from, ssrc, now_us)
    }

    /// Whether a valid packet comes from where the peer has proved to be: nothing is learned then.
    #[inline]
    pub(crate) fn hear(&mut self, from: SocketAddr, now_us: u64) -> bool {
        let pinned = self.pinned.as_mut();
        let Some(pinned) = pinned.filter(|pinned| same(pinned.address, from)) else {
            return false;
        };
        pinned.heard_us = now_us;
        true
    }

    /// Says how the address is found out; whether the destination may have changed.
    pub(crate) fn steer(&mut self, steering: Steering) -> bool {
        let changed = self.steering != steering;
        self.steering = steering;
        changed
    }

    /// Whether a valid packet from an address might be let in, now or after it has proved itself.
    pub(crate) fn may_admit(&self, from: SocketAddr) -> bool {
        self.knows(from) || self.trust(from).is_some()
    }

    /// Whether a packet comes from the pinned or the described address. Pins nothing.
    pub(crate) fn knows(&self, from: SocketAddr) -> bool {
        if let Steering::Checked(_) = self.steering {
            return true;
        }
        match &self.pinned {
            Some(pinned) => same(pinned.address, from),
            None => self
                .described
                .is_some_and(|described| same(described, from)),
        }
    }

    /// Where the peer has proved to be.
    pub(crate) fn pinned(&self) -> Option<SocketAddr> {
        self.pinned.as_ref().map(|pinned| pinned.address)
    }

    /// Packets of the pinned address have passed elsewhere.
    pub(crate) fn heard(&mut self, now_us: u64) {
        if let Some(pinned) = &mut self.pinned {
            pinned.heard_us = now_us;
        }
    }

    /// Where packets for the peer go.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        if let Steering::Checked(selected) = self.steering {
            return selected;
        }
        let pinned = self.pinned.as_ref().map(|pinned| pinned.address);
        match self.policy {
            SourcePolicy::Asymmetric => self.described,
            SourcePolicy::Learn | SourcePolicy::Described => pinned.or(self.described),
        }
    }

    #[cold]
    fn learn(&mut self, from: SocketAddr, ssrc: u32, now_us: u64) -> bool {
        if let Steering::Checked(_) = self.steering {
            return true;
        }
        let Some(trust) = self.trust(from) else {
            return false;
        };
        if trust < Trust::Described && now_us > self.learn_until_us {
            return false;
        }
        if let Some(pinned) = &self.pinned {
            let silent = now_us.saturating_sub(pinned.heard_us) >= SILENT_US;
            if trust < pinned.trust || trust == pinned.trust && !silent {
                return false;
            }
        }
        if trust == Trust::AfterProof && !self.prove(from, ssrc, now_us) {
            return false;
        }
        self.candidate = None;
        self.pinned = Some(Pinned {
            address: from,
            trust,
            heard_us: now_us,
        });
        true
    }

    fn trust(&self, from: SocketAddr) -> Option<Trust> {
        let described = self.described;
        if described.is_some_and(|described| same(described, from)) {
            return Some(Trust::Described);
        }
        let described = described.map(|described| described.ip());
        let signalled = self.signalling == Some(from.ip());
        match self.policy {
            SourcePolicy::Learn => {}
            SourcePolicy::Described => return None,
            SourcePolicy::Asymmetric if signalled || described == Some(from.ip()) => {
                return Some(Trust::Signalling);
            }
            SourcePolicy::Asymmetric => {}
        }
        let behind_nat = match described {
            None => true,
            Some(ip) => is_private(ip) && self.signalling != Some(ip),
        };
        if behind_nat {
            return match self.signalling {
                Some(_) => signalled.then_some(Trust::Signalling),
                None => Some(Trust::AfterProof),
            };
        }
        let near = signalled || described == Some(from.ip());
        let public = described.is_some_and(|ip| !is_private(ip) && !ip.is_loopback());
        (near && public).then_some(Trust::AfterProof)
    }

    /// Whether a source has sent steadily for long enough. Of several the first is watched, until
    /// it stops.
    fn prove(&mut self, from: SocketAddr, ssrc: u32, now_us: u64) -> bool {
        let watched = self.candidate.as_mut().filter(|candidate| {
            candidate.address == from && candidate.ssrc == ssrc
                || now_us.saturating_sub(candidate.last_us) < PROOF_GAP_US
        });
        match watched {
            Some(candidate) if candidate.address == from && candidate.ssrc == ssrc => {
                if now_us.saturating_sub(candidate.last_us) >= PROOF_GAP_US {
                    candidate.first_us = now_us;
                    candidate.packets = 0;
                }
                candidate.last_us = now_us;
                candidate.packets += 1;
                candidate.packets >= PROOF_PACKETS
                    && now_us.saturating_sub(candidate.first_us) >= PROOF_US
            }
            Some(_) => false,
            None => {
                self.candidate = Some(Candidate {
                    address: from,
                    ssrc,
                    first_us: now_us,
                    last_us: now_us,
                    packets: 1,
                });
                false
            }
        }
    }
}

/// Equal address and port; flow label and scope of IPv6 are none of the peer's business.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip() == b.ip()
}

/// Whether an address means something only behind the peer's NAT: RFC 1918, RFC 3927, RFC 6598,
/// and for IPv6 RFC 4193 and link-local addresses.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            ip.is_private() || ip.is_link_local() || shared || ip == Ipv4Addr::UNSPECIFIED
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

/// How long a source must have sent before it is believed by rules 3 and 4.
const PROOF_US: u64 = 1_000_000;
/// And how many packets.
const PROOF_PACKETS: u32 = 20;
/// A pause this long begins the proof anew.
const PROOF_GAP_US: u64 = 250_000;
/// A learned address this long silent may be replaced.
const SILENT_US: u64 = 2_000_000;

#[cfg(test)]
mod tests;
