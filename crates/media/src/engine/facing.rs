//! What each side and we speak about one medium: the transport that each was offered, or asked
//! for itself, and the keys that go with it.
//!
//! A medium that both sides see as it came is none of this module's business: then keys,
//! fingerprints and profiles pass through. All else is **terminated**: we are the peer of either
//! side, with keys of our own for each.

mod read;
mod write;

use std::sync::Arc;

use rtp::srtp::{MasterKey, Suite};
use sdp::{Fragment, Media, Trickled};

use crate::error::MediaError;
use crate::full::security::{AgentKind, Credentials, Identity, Protection, Role, Security};
use crate::options::{Feedback, Ice, IceRestart, OfferedBundle, Options, RtcpMux, Transport};
use crate::report::ProtectionReport;

pub(super) use read::{Choice, answered, chosen};
pub(super) use write::{write_answer, write_offer};

/// What we and one side have agreed on, or are about to. It is kept as long as the session, so
/// that a later negotiation changes nothing that need not change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facing {
    /// Our keys, one for each suite that was ever named to this side.
    keys: Vec<MasterKey>,
    /// What our ICE agent is named by.
    ice: Option<Credentials>,
    /// What the peer's was named by when last negotiated.
    remote_ufrag: Option<String>,
    /// What the medium is named by in bundles and fragments.
    mid: Option<Box<[u8]>>,
    /// Who began the handshake.
    role: Option<Role>,
    /// What was agreed on; `None` as long as the medium passes through.
    agreed: Option<Towards>,
    /// Whether the peer has taken up the one port that was agreed on.
    mux: Mux,
    /// The suite of the keys in use; `None` where there are none in descriptions.
    suite: Option<Suite>,
}

/// What one side is offered, or has been answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Towards {
    pub(super) carried: Carried,
    pub(super) feedback: Feedback,
    pub(super) ice: Option<AgentKind>,
    pub(super) mux: Mux,
}

/// What media travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    Rtp,
    Sdes,
    /// RTP, or SRTP with keys in the description if both know it (RFC 8643).
    Opportunistic,
    Dtls,
    /// SRTP with keys in the description or by DTLS. Only ever offered.
    Keyed,
}

/// Whether RTP and RTCP share a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mux {
    #[default]
    No,
    Offered,
    /// There is no other port.
    Only,
}

/// What our words for one side need beside what is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) identity: &'a Arc<Identity>,
    /// Where the side reaches our RTP; RTCP is one port above.
    pub(super) rtp: std::net::SocketAddr,
    /// What an offerer that speaks ICE finds in us.
    pub(super) agent: AgentKind,
}

impl Towards {
    /// What the other side of `media` is to be offered; `None` if the medium passes through.
    /// `facings` are of the offerer and of the side that is offered to.
    pub(super) fn wanted(
        media: &Media<'_>,
        options: &Options,
        facings: [&Facing; 2],
    ) -> Option<Self> {
        let is_asked = options.transport != Transport::AsOffered
            || options.ice != Ice::Remove
            || matches!(options.rtcp_mux, RtcpMux::Require | RtcpMux::Demux);
        if !media.profile().is_rtp() {
            return None;
        }
        let [offerer, offered] = facings;
        if is_asked {
            let mut asked = Self::asked(media, options);
            asked.ice = asked.ice.map(|agent| offered.agent_or(agent));
            return Some(asked);
        }
        // A medium that was terminated stays so.
        match (offerer.agreed, offered.agreed) {
            (_, Some(agreed)) => Some(agreed),
            (Some(_), None) => Some(Self::plain()),
            (None, None) => None,
        }
    }

    /// What a medium is to be offered as that could pass through, but must not.
    pub(super) fn as_it_came(media: &Media<'_>) -> Self {
        Self::asked(media, Options::relay())
    }

    /// Plain RTP with RTCP on a port of its own.
    fn plain() -> Self {
        Self {
            carried: Carried::Rtp,
            feedback: Feedback::Without,
            ice: None,
            mux: Mux::No,
        }
    }

    fn asked(media: &Media<'_>, options: &Options) -> Self {
        let came_with_feedback = match media.proto().to_ascii_uppercase().ends_with(b"AVPF") {
            true => Feedback::With,
            false => Feedback::Without,
        };
        let (carried, feedback) = match options.transport {
            Transport::Rtp(feedback) => (Carried::Rtp, feedback),
            Transport::Sdes(feedback) => (Carried::Sdes, feedback),
            Transport::Dtls(feedback) => (Carried::Dtls, feedback),
            Transport::Keyed(feedback) => (Carried::Keyed, feedback),
            Transport::Opportunistic => (Carried::Opportunistic, Feedback::Without),
            Transport::AsOffered => (carried_as(media), came_with_feedback),
        };
        Self {
            carried,
            feedback,
            ice: match options.ice {
                Ice::Remove => None,
                Ice::Lite => Some(AgentKind::Lite),
                Ice::Full => Some(AgentKind::Full),
            },
            mux: match options.rtcp_mux {
                RtcpMux::AsOffered if media.has_rtcp_mux() => Mux::Offered,
                RtcpMux::AsOffered | RtcpMux::Demux => Mux::No,
                RtcpMux::Offer => Mux::Offered,
                RtcpMux::Require => Mux::Only,
            },
        }
    }

    /// Whether both travel in the same, or in what may come of the same.
    pub(super) fn is_carried_as(self, agreed: Self) -> bool {
        let chosen = matches!(agreed.carried, Carried::Sdes | Carried::Dtls);
        self.carried == agreed.carried || self.carried == Carried::Keyed && chosen
    }

    /// The same with RTCP by the port that was agreed on.
    pub(super) fn with_ports_of(self, agreed: Self) -> Self {
        Self {
            mux: agreed.mux,
            ..self
        }
    }

    /// The same for media that may share a transport, or do.
    pub(super) fn on_one_port(self, bundle: OfferedBundle) -> Self {
        let mux = match (bundle, self.mux) {
            (OfferedBundle::AsOffered, mux) => mux,
            (OfferedBundle::Require, _) => Mux::Only,
            (OfferedBundle::Offer, Mux::No) => Mux::Offered,
            (OfferedBundle::Offer, mux) => mux,
        };
        Self { mux, ..self }
    }

    /// Whether ICE is offered with it.
    pub(super) fn speaks_ice(self) -> bool {
        self.ice.is_some()
    }

    /// Whether a medium of an answer answers this.
    pub(super) fn is_answered_by(self, media: &Media<'_>) -> bool {
        media.is_rejected() || media.proto().eq_ignore_ascii_case(self.proto().as_bytes())
    }

    /// The words of the `m=` line.
    fn proto(self) -> &'static str {
        match (self.carried, self.feedback) {
            (Carried::Rtp | Carried::Opportunistic, Feedback::Without) => "RTP/AVP",
            (Carried::Rtp | Carried::Opportunistic, Feedback::With) => "RTP/AVPF",
            (Carried::Sdes | Carried::Keyed, Feedback::Without) => "RTP/SAVP",
            (Carried::Sdes | Carried::Keyed, Feedback::With) => "RTP/SAVPF",
            (Carried::Dtls, Feedback::Without) => "UDP/TLS/RTP/SAVP",
            (Carried::Dtls, Feedback::With) => "UDP/TLS/RTP/SAVPF",
        }
    }
}

impl Facing {
    /// Whether anything was agreed on: the medium does not pass through.
    pub(crate) fn is_agreed(&self) -> bool {
        self.agreed.is_some()
    }

    /// What was agreed on.
    pub(super) fn agreed(&self) -> Option<Towards> {
        self.agreed
    }

    /// Whether RTP and RTCP share our port: it was agreed on.
    pub(crate) fn shares_port(&self) -> bool {
        self.agreed.is_some_and(|agreed| agreed.mux != Mux::No)
    }

    /// Takes note that the side is spoken with by the transport of another medium, and what this
    /// one is called beside it.
    pub(super) fn share(&mut self, carrier: &Self, name: &str) {
        self.agreed = carrier.agreed;
        self.suite = carrier.suite;
        self.mux = carrier.mux;
        self.mid = Some(name.as_bytes().into());
    }

    /// Whether RTP and RTCP share the peer's port.
    pub(super) fn is_muxed(&self) -> bool {
        self.mux != Mux::No
    }

    /// Whether candidates that come after the description are of this medium.
    pub(super) fn is_trickled(&self, fragment: &Fragment<'_>, medium: &Trickled<'_>) -> bool {
        let ufrag = medium.ufrag.or(fragment.ufrag);
        let same_agent = match (ufrag, &self.remote_ufrag) {
            (Some(ufrag), Some(remote)) => ufrag == remote.as_bytes(),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        let same_medium = medium
            .mid
            .is_none_or(|mid| self.mid.as_deref() == Some(mid));
        same_agent && same_medium && self.agreed.is_some_and(|agreed| agreed.ice.is_some())
    }

    /// The medium passes through again; whether anything was agreed on before.
    pub(super) fn forget_agreed(&mut self) -> bool {
        self.agreed.take().is_some()
    }

    /// What was agreed on to carry media; `None` as long as it passes through.
    pub(super) fn transport(&self) -> Option<Transport> {
        let agreed = self.agreed?;
        Some(match agreed.carried {
            Carried::Rtp => Transport::AsOffered,
            Carried::Opportunistic => Transport::Opportunistic,
            Carried::Sdes => Transport::Sdes(agreed.feedback),
            Carried::Dtls => Transport::Dtls(agreed.feedback),
            Carried::Keyed => Transport::Keyed(agreed.feedback),
        })
    }

    /// How media is protected.
    pub(super) fn protection(&self) -> ProtectionReport {
        match (self.agreed.map(|agreed| agreed.carried), self.suite) {
            (Some(Carried::Dtls), _) => ProtectionReport::Dtls,
            (Some(_), Some(suite)) => ProtectionReport::Sdes(suite.name()),
            _ => ProtectionReport::None,
        }
    }

    /// The kind of agent that the peer has found in us; `fresh` if it has found none yet. It stays
    /// what it is: who finds another takes other parts of ICE, and asks no consent of it any more.
    pub(super) fn agent_or(&self, fresh: AgentKind) -> AgentKind {
        let agreed = self.agreed.and_then(|agreed| agreed.ice);
        agreed.unwrap_or(fresh)
    }

    /// Whether ICE was agreed on.
    pub(super) fn speaks_ice(&self) -> bool {
        self.agreed.is_some_and(|agreed| agreed.ice.is_some())
    }

    /// Our key for a suite: the one that was named before, or a new one.
    fn key(&mut self, suite: Suite) -> Result<MasterKey, MediaError> {
        if let Some(known) = self.keys.iter().find(|key| key.suite() == suite) {
            return Ok(*known);
        }
        let mut material = vec![0; suite.material_bytes()];
        getrandom::fill(&mut material).map_err(|_| MediaError::NoRandomness)?;
        let key = MasterKey::new(suite, &material).ok_or(MediaError::NoRandomness)?;
        self.keys.push(key);
        Ok(key)
    }

    /// Forgets our keys when none is used: the worker forgets how far they were used, and no
    /// index may be used twice.
    fn forget_unused(&mut self, security: &Security) {
        if !matches!(security.protection, Protection::Sdes { .. }) {
            self.keys.clear();
        }
    }

    /// Takes note of what protects media from now on.
    fn note(&mut self, security: &Security) {
        self.suite = match &security.protection {
            Protection::Sdes { outbound, .. } => Some(outbound.suite()),
            Protection::Plain | Protection::Dtls(_) => None,
        };
    }

    /// What our agent is named by: new names if the peer has changed its own, which restarts ICE
    /// (RFC 8445 §9).
    fn credentials(
        &mut self,
        remote_ufrag: Option<&str>,
        restart: IceRestart,
    ) -> Result<Credentials, MediaError> {
        let restarted = match (&self.remote_ufrag, remote_ufrag) {
            (Some(known), Some(remote)) => restart == IceRestart::Wanted && known != remote,
            _ => false,
        };
        if let Some(remote) = remote_ufrag {
            self.remote_ufrag = Some(remote.into());
        }
        if let Some(known) = self.ice.as_ref().filter(|_| !restarted) {
            return Ok(known.clone());
        }
        let fresh = Credentials {
            ufrag: random_name(UFRAG_CHARACTERS)?,
            password: random_name(PASSWORD_CHARACTERS)?,
        };
        self.ice = Some(fresh.clone());
        Ok(fresh)
    }
}

/// How a medium came.
fn carried_as(media: &Media<'_>) -> Carried {
    match media.profile() {
        sdp::Profile::DtlsSrtp => Carried::Dtls,
        sdp::Profile::Srtp if media.has_fingerprint() && !media.has_crypto() => Carried::Dtls,
        sdp::Profile::Srtp => Carried::Sdes,
        _ if media.has_crypto() => Carried::Opportunistic,
        _ => Carried::Rtp,
    }
}

/// Characters that ICE takes (RFC 8839 §5.4).
fn random_name(characters: usize) -> Result<String, MediaError> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = vec![0; characters];
    getrandom::fill(&mut random).map_err(|_| MediaError::NoRandomness)?;
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(byte & 63)]);
    Ok(random.iter().map(letter).collect())
}

/// 48 bits; 24 are demanded.
const UFRAG_CHARACTERS: usize = 8;
/// 144 bits; 128 are demanded.
const PASSWORD_CHARACTERS: usize = 24;
/// The suites that are offered, the one that everybody knows first.
const OFFERED_SUITES: [Suite; 4] = Suite::ALL;
