//! In what media is to travel, in the words of `ng`.
//!
//! rtpengine forgets what was asked before: each offer says everything.

use call::Given;
use ng::options::{CodecRule, Dtls, Ice, IceLite, MediaEcho, Osrtp, RtcpMux, SdesFlag, Transport};
use ng::{Flag, Options};

use super::Ask;
use crate::media_terms::{self as wanted, Carriage, Feedback, IceAgent, MediaTerms, Rtcp};
use crate::output::MediaRequest;

/// The options of a request, as far as they concern transport and codecs.
pub(super) fn options(request: &MediaRequest, ask: &Ask, agent: IceAgent) -> Options {
    let terms = MediaTerms::of(request);
    let mut asked = Options {
        ice: Some(ice(terms.ice)),
        ice_lite: (terms.ice == wanted::Ice::Lite && agent == IceAgent::Lite)
            .then_some(IceLite::Forward),
        ..Options::default()
    };
    if agent == IceAgent::Full {
        // Also towards an author who speaks ICE to a side that does not.
        asked.flags.insert(Flag::TrickleIce);
    }
    if terms.given == Given::ToOurOffer {
        asked.flags.insert(Flag::KeepIce);
    }
    match ask {
        Ask::Offer => {
            carry(&mut asked, terms.carriage);
            if let Some(mux) = rtcp_mux(terms.rtcp) {
                asked.rtcp_mux.insert(mux);
            }
            for codec in terms.transcode {
                asked.codecs.add(CodecRule::Transcode, codec);
            }
        }
        Ask::Answer(_) => {}
        Ask::Echo => {
            // The other side is ourselves, and answers in plain RTP.
            (asked.ice, asked.ice_lite) = (Some(Ice::Remove), None);
            carry(&mut asked, Carriage::Rtp(Feedback::Without));
            asked.rtcp_mux.insert(RtcpMux::Demux);
            asked.media_echo = Some(MediaEcho::Backwards);
        }
    }
    let without_dtls = matches!(terms.carriage, Carriage::Sdes(_) | Carriage::Opportunistic);
    if terms.given == Given::Elsewhere && !without_dtls {
        // A server that began a handshake would begin it before the side knows of it, and try again
        // no sooner than a second later (RFC 6347 §4.2.4.1).
        asked.dtls = Some(Dtls::Passive);
    }
    asked
}

const fn ice(wish: wanted::Ice) -> Ice {
    match wish {
        wanted::Ice::None => Ice::Remove,
        wanted::Ice::Lite => Ice::Force,
    }
}

const fn rtcp_mux(wish: Rtcp) -> Option<RtcpMux> {
    match wish {
        Rtcp::AsOffered => None,
        Rtcp::Own => Some(RtcpMux::Demux),
        Rtcp::Shared => Some(RtcpMux::Offer),
        Rtcp::SharedOnly => Some(RtcpMux::Require),
    }
}

/// A profile does not say whence keys come: the way that is not wanted is switched off.
fn carry(asked: &mut Options, carriage: Carriage) {
    asked.transport = Some(match carriage {
        Carriage::AsOffered => return,
        Carriage::Rtp(Feedback::Without) | Carriage::Opportunistic => Transport::RtpAvp,
        Carriage::Rtp(Feedback::With) => Transport::RtpAvpf,
        Carriage::Sdes(Feedback::Without) => Transport::RtpSavp,
        Carriage::Sdes(Feedback::With) => Transport::RtpSavpf,
        Carriage::Dtls(Feedback::Without) => Transport::UdpTlsRtpSavp,
        Carriage::Dtls(Feedback::With) => Transport::UdpTlsRtpSavpf,
    });
    match carriage {
        Carriage::Dtls(_) => {
            asked.sdes.flags.insert(SdesFlag::Off);
        }
        _ => asked.dtls = Some(Dtls::Off),
    }
    if carriage == Carriage::Opportunistic {
        asked.osrtp.insert(Osrtp::Offer);
    }
}
