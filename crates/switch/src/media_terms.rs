//! In what media travels towards a side of a call, when nobody has said.
//!
//! Whoever has described itself before is spoken to as it spoke. Of others, a phone in a browser
//! is offered what it needs. Who offers encryption is answered in kind, and the other side is
//! offered what most phones there take: plain RTP for media that came from a browser, and RTP with
//! keys to take up (RFC 8643) for media that came with keys. All else passes as it is.
//!
//! The terms are the same for the relay in this process and for media servers, so that a call is
//! the same whoever relays it, and goes on as it was when it moves from one to another.

use call::{Given, MediaOp, Phone};
use sdp::{Description, Kind, Media, Profile};

use crate::output::MediaRequest;

/// What a relay is asked for beyond relaying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTerms {
    /// What media travels in towards the side that the relay's answer is for.
    pub carriage: Carriage,
    /// Whether that side finds out our address by ICE.
    pub ice: Ice,
    /// Where it sends its RTCP.
    pub rtcp: Rtcp,
    /// Codecs that it is offered as well, and that are transcoded if it takes them.
    pub transcode: Vec<&'static str>,
    /// How the description was given that goes there.
    pub given: Given,
}

/// What media travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// As it came.
    AsOffered,
    /// RTP.
    Rtp(Feedback),
    /// RTP, or SRTP with keys in the description if the side takes them up (RFC 8643).
    Opportunistic,
    /// SRTP with keys in the description (RFC 4568).
    Sdes(Feedback),
    /// SRTP with keys by DTLS (RFC 5764).
    Dtls(Feedback),
}

/// Whether the profile says feedback (RFC 4585).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// `AVP`, `SAVP`.
    Without,
    /// `AVPF`, `SAVPF`.
    With,
}

/// Whether a side finds out our address by ICE (RFC 8445).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ice {
    /// It believes the description.
    None,
    /// We are a lite agent to it.
    Lite,
}

/// What an ICE agent of ours does of itself (RFC 8445 §2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IceAgent {
    /// It answers checks.
    #[default]
    Lite,
    /// It checks the side's candidates, too, those that come later (RFC 8840) included.
    Full,
}

/// Where a side sends its RTCP (RFC 5761).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtcp {
    /// As the description came.
    AsOffered,
    /// To a port of its own.
    Own,
    /// To that of RTP, if it will.
    Shared,
    /// To that of RTP; there is no other.
    SharedOnly,
}

impl MediaTerms {
    /// What comes with a question of a call.
    #[must_use]
    pub fn of(request: &MediaRequest) -> Self {
        let known = Description::parse(&request.ends.known).ok();
        let known = known.as_ref().and_then(voice);
        let told = Description::parse(&request.sdp).ok();
        let told = told.as_ref().and_then(voice);
        let mut terms = match (request.op, known, told) {
            // The offerer is answered in the terms of its offer; only ICE is said again.
            (MediaOp::Answer, known, _) => Self {
                ice: known.map_or(Ice::None, |known| ice_of(&known)),
                ..Self::as_offered()
            },
            (MediaOp::Echo, _, told) => Self {
                ice: told.map_or(Ice::None, |told| ice_of(&told)),
                ..Self::as_offered()
            },
            (MediaOp::Offer, Some(known), told) => Self::as_spoken(&known, told),
            (MediaOp::Offer, None, told) => match (request.ends.toward.phone, told) {
                (Phone::Browser, _) => Self::for_browser(),
                (Phone::Sip, Some(told)) => Self::for_phone(&told),
                (Phone::Sip, None) => Self::as_offered(),
            },
        };
        if let (MediaOp::Offer, Some(told)) = (request.op, told) {
            terms.transcode = missing(&told, known);
        }
        terms.given = request.ends.given;
        terms
    }

    const fn as_offered() -> Self {
        Self {
            carriage: Carriage::AsOffered,
            ice: Ice::None,
            rtcp: Rtcp::AsOffered,
            transcode: Vec::new(),
            given: Given::InTurn,
        }
    }

    /// For a side that has described itself.
    fn as_spoken(known: &Media<'_>, told: Option<Media<'_>>) -> Self {
        let carriage = carriage_of(known);
        let ice = ice_of(known);
        let is_plain = |media: &Media<'_>| matches!(carriage_of(media), Carriage::Rtp(_));
        if is_plain(known) && told.is_none_or(|told| is_plain(&told)) {
            return Self::as_offered();
        }
        Self {
            carriage,
            ice,
            rtcp: match (carriage, ice) {
                (Carriage::Dtls(_), Ice::Lite) => Rtcp::SharedOnly,
                _ if known.has_rtcp_mux() => Rtcp::Shared,
                _ => Rtcp::Own,
            },
            ..Self::as_offered()
        }
    }

    /// For a phone in a browser (RFC 8834 §4.2, RFC 8829 §5.1.2).
    fn for_browser() -> Self {
        Self {
            carriage: Carriage::Dtls(Feedback::With),
            ice: Ice::Lite,
            rtcp: Rtcp::SharedOnly,
            ..Self::as_offered()
        }
    }

    /// For any other phone that has said nothing yet, by what the offerer speaks.
    fn for_phone(told: &Media<'_>) -> Self {
        let carriage = if told.profile() == Profile::DtlsSrtp || told.has_fingerprint() {
            Carriage::Rtp(Feedback::Without)
        } else if told.has_crypto() {
            Carriage::Opportunistic
        } else {
            return Self::as_offered();
        };
        Self {
            carriage,
            rtcp: Rtcp::Own,
            ..Self::as_offered()
        }
    }
}

/// The medium that tells how its author speaks: that of the voice, if there is one.
fn voice<'d>(description: &'d Description<'d>) -> Option<Media<'d>> {
    let mut all = description.media().filter(|media| media.profile().is_rtp());
    let first = all.next()?;
    let rest = all.find(|media| media.kind() == Kind::Audio);
    Some(match first.kind() {
        Kind::Audio => first,
        _ => rest.unwrap_or(first),
    })
}

/// What the author of a medium speaks.
fn carriage_of(media: &Media<'_>) -> Carriage {
    let feedback = match media.proto().to_ascii_uppercase().ends_with(b"AVPF") {
        true => Feedback::With,
        false => Feedback::Without,
    };
    match media.profile() {
        Profile::DtlsSrtp => Carriage::Dtls(feedback),
        Profile::Srtp if media.has_fingerprint() && !media.has_crypto() => Carriage::Dtls(feedback),
        Profile::Srtp => Carriage::Sdes(feedback),
        _ if media.has_crypto() => Carriage::Opportunistic,
        _ => Carriage::Rtp(feedback),
    }
}

/// ICE comes with encryption only: plain RTP is answered by what the description says.
fn ice_of(media: &Media<'_>) -> Ice {
    match carriage_of(media) {
        Carriage::AsOffered | Carriage::Rtp(_) => Ice::None,
        _ if media.has_ice() => Ice::Lite,
        _ => Ice::None,
    }
}

/// Codecs to be added to what a side is offered. If it has described itself with others only, its
/// own; else G.711, which every phone has, where a browser may offer Opus alone.
fn missing(told: &Media<'_>, known: Option<Media<'_>>) -> Vec<&'static str> {
    let is_refused = told.is_rejected();
    let told = coded(told);
    if is_refused || told.is_empty() {
        return Vec::new();
    }
    let known = known.map(|known| coded(&known)).unwrap_or_default();
    let wanted = match known.is_empty() {
        true => G711.as_slice(),
        false => known.as_slice(),
    };
    match wanted.iter().any(|codec| told.contains(codec)) {
        true => Vec::new(),
        false => wanted.to_vec(),
    }
}

/// The codecs of a medium that a relay can transcode.
fn coded(media: &Media<'_>) -> Vec<&'static str> {
    let of = |codec: sdp::Codec<'_>| CODED.into_iter().find(|name| codec.is(name));
    media.codecs().filter_map(of).collect()
}

const G711: [&str; 2] = ["PCMA", "PCMU"];
const CODED: [&str; 4] = ["opus", "G722", "PCMA", "PCMU"];

#[cfg(test)]
mod tests;
