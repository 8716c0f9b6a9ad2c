//! What is asked for one description beyond relaying it.
//!
//! An offer's options say what the *other* side is offered; an answer goes back in the terms that
//! the offerer asked in. The defaults are what a plain relay does.

use std::net::IpAddr;

use crate::engine::Side;

/// Options of one [`crate::Negotiation`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What media travels in towards the other side.
    pub transport: Transport,
    /// Whether the other side is offered ICE.
    pub ice: Ice,
    /// What new ICE credentials in this description mean.
    pub restart: IceRestart,
    /// What the author of this description finds in us if it speaks ICE; `None`: what
    /// [`crate::EngineConfig::ice_agent`] says.
    pub own_ice: Option<IceAgent>,
    /// Whether RTP and RTCP share a port towards the other side (RFC 5761).
    pub rtcp_mux: RtcpMux,
    /// Whether the offerer's media go on sharing a transport (RFC 9143).
    pub bundling: Bundling,
    /// Of an offer: how it is bundled for the other side.
    pub offered_bundle: OfferedBundle,
    /// Whose packets are believed of the side that made this description.
    pub source: SourcePolicy,
    /// Believed instead of the addresses that the description names.
    pub peer_address: Option<IpAddr>,
    /// Which of [`crate::EngineConfig::named`] faces the author of the description. Kept for the
    /// life of the session; `None`: as before, at first the unnamed.
    pub own_interface: Option<String>,
    /// Which faces the other side.
    pub interface: Option<String>,
    /// Said to the other side instead of our own address.
    pub media_address: Option<IpAddr>,
    /// Which codecs the other side is offered, and what is transcoded.
    pub codecs: CodecChanges,
    /// The packet time offered to the other side in milliseconds; `None`: as it came.
    pub ptime_ms: Option<u8>,
    /// The packet time that the offerer is answered with in milliseconds; `None`: its own.
    pub ptime_reverse_ms: Option<u8>,
    /// Of a subscription: what becomes of the RTCP of the subscriber.
    pub subscriber_reports: SubscriberReports,
    /// In what form the author of the description gives and takes keys.
    pub own_keys: KeyForm,
    /// In what form the other side does. Where the two differ, keys are converted.
    pub keys: KeyForm,
}

impl Options {
    /// Plain relaying.
    #[must_use]
    pub fn relay() -> &'static Self {
        static RELAY: Options = Options {
            transport: Transport::AsOffered,
            ice: Ice::Remove,
            restart: IceRestart::Wanted,
            own_ice: None,
            rtcp_mux: RtcpMux::AsOffered,
            bundling: Bundling::Accept,
            offered_bundle: OfferedBundle::AsOffered,
            source: SourcePolicy::Learn,
            peer_address: None,
            own_interface: None,
            interface: None,
            media_address: None,
            codecs: CodecChanges {
                strip: Vec::new(),
                except: Vec::new(),
                mask: Vec::new(),
                transcode: Vec::new(),
                offer: Vec::new(),
                set: Vec::new(),
            },
            ptime_ms: None,
            ptime_reverse_ms: None,
            subscriber_reports: SubscriberReports::EndHere,
            own_keys: KeyForm::Events,
            keys: KeyForm::Events,
        };
        &RELAY
    }

    /// Whether keys have to be made into another form.
    pub(crate) fn converts_keys(&self) -> bool {
        self.own_keys != self.keys
    }
}

/// What becomes of the RTCP of a subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriberReports {
    /// Nobody is told.
    #[default]
    EndHere,
    /// It goes to whom it subscribed to, as it came: requests for a picture, reports of loss.
    GoBack,
}

/// In what form a side gives and takes the keys of a telephone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyForm {
    /// As telephone events (RFC 4733), or as tones where they were not negotiated.
    #[default]
    Events,
    /// As tones among the speech.
    Tones,
    /// By messages of the signalling: the media has none. What the other side presses is told by
    /// [`crate::MediaEvent::Key`].
    Messages,
}

/// What media travels in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// As the description came.
    #[default]
    AsOffered,
    /// Plain RTP: `RTP/AVP`, or `RTP/AVPF` with feedback.
    Rtp(Feedback),
    /// SRTP with keys in the description (RFC 4568).
    Sdes(Feedback),
    /// SRTP with keys by DTLS (RFC 5764).
    Dtls(Feedback),
    /// SRTP under the profiles of keys in the description, with keys of both kinds: the other side
    /// chooses.
    Keyed(Feedback),
    /// `RTP/AVP` with `a=crypto`, taken up if the other side knows it (RFC 8643).
    Opportunistic,
}

/// Whether a profile says feedback (RFC 4585).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feedback {
    /// `AVP`, `SAVP`.
    #[default]
    Without,
    /// `AVPF`, `SAVPF`.
    With,
}

/// Whether the other side is offered ICE (RFC 8445).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ice {
    /// It is not.
    #[default]
    Remove,
    /// As a lite agent.
    Lite,
    /// As a full agent.
    Full,
}

/// What new ICE credentials of an offerer mean (RFC 8445 §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IceRestart {
    /// It restarts ICE, and gets new ones of ours.
    #[default]
    Wanted,
    /// It answers new ones of ours, which hold: its description went another way to it, and is
    /// an offer to us alone.
    Answered,
}

/// What an ICE agent does of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IceAgent {
    /// It answers checks (RFC 8445 §2.5).
    #[default]
    Lite,
    /// It checks the peer's addresses, too, and asks for its consent all the time (RFC 7675).
    Full,
}

impl From<IceAgent> for Ice {
    fn from(agent: IceAgent) -> Self {
        match agent {
            IceAgent::Lite => Self::Lite,
            IceAgent::Full => Self::Full,
        }
    }
}

/// Whether RTP and RTCP share a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtcpMux {
    /// As the description came.
    #[default]
    AsOffered,
    /// Offered.
    Offer,
    /// The only way.
    Require,
    /// Not offered, and taken apart if the offerer multiplexes.
    Demux,
}

/// Whether media that an offerer bundles are answered bundled, where they do not pass through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bundling {
    /// Whenever it offers it.
    #[default]
    Accept,
    /// Only if it offers some in no other way.
    IfNeeded,
}

/// How media of an offer are bundled for the other side (RFC 9143), however they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfferedBundle {
    /// As that side has bundled them before; at first not.
    #[default]
    AsOffered,
    /// Each has a port of its own, and all may go by one.
    Offer,
    /// There is one port for all: for sides that are known to bundle.
    Require,
}

/// Where what a side sends goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// To the other side.
    #[default]
    Across,
    /// Back to itself.
    Back,
    /// Nowhere.
    Nowhere,
}

impl Way {
    /// The side that hears what `from` sends, if anybody does.
    pub(crate) fn destination(self, from: Side) -> Side {
        match self {
            Self::Back => from,
            Self::Across | Self::Nowhere => from.other(),
        }
    }
}

/// Whose packets are believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourcePolicy {
    /// Learned from the first packets, then pinned.
    #[default]
    Learn,
    /// The described address alone.
    Described,
    /// Packets go where the description says, whatever address they come from.
    Asymmetric,
}

/// Changes to the codecs that the other side is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodecChanges {
    /// Taken off; `full` and `all` name every one.
    pub strip: Vec<String>,
    /// Kept although stripped.
    pub except: Vec<String>,
    /// Taken off towards the other side but accepted from the offerer by transcoding.
    pub mask: Vec<String>,
    /// Added for the other side, transcoded if it chooses them.
    pub transcode: Vec<String>,
    /// Put first, in this order.
    pub offer: Vec<String>,
    /// How codecs are encoded where that is not negotiated, as `opus/48000/2/32000`: the last is the
    /// bit rate.
    pub set: Vec<String>,
}
