//! In what the other side of a call is offered media, when nobody has said.
//!
//! A phone in a browser is offered what it needs. Who offers encryption is answered in kind, and
//! the other side is offered what most phones there take: plain RTP for media that came from a
//! browser, and RTP with keys to take up (RFC 8643) for media that came with keys. All else
//! passes as it is.

use media::{CodecChanges, Engine, Feedback, Ice, Options, RtcpMux, Spoken, Transport};
use sdp::{Description, Media, Profile};
use switch::MediaRequest;

use crate::host::side;

/// The options of a request to the embedded relay.
pub(crate) fn of(engine: &Engine, request: &MediaRequest) -> Options {
    if request.op != call::MediaOp::Offer {
        return Options::default();
    }
    let mut options = transport(engine, request);
    // A browser may offer Opus alone, and a phone know nothing but G.711.
    if media::lacks_g711(&request.sdp) {
        options.codecs = CodecChanges::with_g711();
    }
    options
}

/// In what media travels towards the other side.
fn transport(engine: &Engine, request: &MediaRequest) -> Options {
    let spoken = engine.spoken(request.session, side(request.from).other());
    match (request.toward.phone, spoken) {
        // What was agreed on stays.
        (call::Phone::Browser, Some(Spoken::WebRtc)) | (call::Phone::Sip, Some(Spoken::Rtp)) => {
            Options::default()
        }
        (call::Phone::Browser, _) => browser(),
        (call::Phone::Sip, spoken) => match Description::parse(&request.sdp) {
            Ok(offer) => phone(&offer, spoken),
            Err(_) => Options::default(),
        },
    }
}

/// For a phone in a browser (RFC 8834 §4.2, RFC 8829 §5.1.2).
fn browser() -> Options {
    Options {
        transport: Transport::Dtls(Feedback::With),
        ice: Ice::Lite,
        rtcp_mux: RtcpMux::Require,
        ..Options::default()
    }
}

/// For any other phone, by what the offerer speaks. `spoken` is what the last one there spoke.
fn phone(offer: &Description<'_>, spoken: Option<Spoken>) -> Options {
    let is_web = |media: Media<'_>| media.profile() == Profile::DtlsSrtp || media.has_fingerprint();
    let transport = if offer.media().any(is_web) || spoken == Some(Spoken::WebRtc) {
        Transport::Rtp(Feedback::Without)
    } else if offer.media().any(|media| media.has_crypto()) {
        Transport::Opportunistic
    } else {
        return Options::default();
    };
    Options {
        transport,
        rtcp_mux: RtcpMux::Demux,
        ..Options::default()
    }
}
