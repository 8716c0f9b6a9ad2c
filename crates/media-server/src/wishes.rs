//! What a request asks, in the terms of the engine, and what of it cannot be done here.

use std::net::IpAddr;

use media::{
    Bundling, CodecChanges, Feedback, IceRestart, OfferedBundle, RtcpMux, SourcePolicy,
    SubscriberReports,
};
use ng::options::{Bundle, CodecRule, Dtls, EndpointLearning, Ice, Osrtp, SdesFlag, Transport};
use ng::{Flag, KeyForm, Options, Replace};

/// The engine's options, and names of what was asked but is not done.
pub(crate) struct Wishes {
    pub(crate) options: media::Options,
    pub(crate) undone: Vec<String>,
}

/// Which description the options came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Offer,
    Answer,
}

impl Wishes {
    /// Of an offer: who says nothing of ICE has it offered if it came with the description.
    pub(crate) fn of_offer(asked: &Options, sdp: &[u8]) -> Self {
        if matches!(asked.ice, None | Some(Ice::Default)) && offers_ice(sdp) {
            let asked = Options {
                ice: Some(Ice::Force),
                ..asked.clone()
            };
            return Self::new(&asked, Of::Offer);
        }
        Self::new(asked, Of::Offer)
    }

    pub(crate) fn new(asked: &Options, of: Of) -> Self {
        let options = media::Options {
            transport: transport(asked, of),
            ice: ice(asked),
            restart: match asked.flags.contains(Flag::KeepIce) {
                true => IceRestart::Answered,
                false => IceRestart::Wanted,
            },
            own_ice: own_ice(asked),
            rtcp_mux: rtcp_mux(asked),
            bundling: match asked.bundle.contains(Bundle::Reject) {
                true => Bundling::IfNeeded,
                false => Bundling::Accept,
            },
            offered_bundle: offered_bundle(asked, of),
            source: source(asked),
            peer_address: peer_address(asked),
            own_interface: asked.from_interface.clone(),
            interface: asked.to_interface.clone(),
            media_address: asked.media_address,
            codecs: codecs(asked),
            ptime_ms: asked.ptime_ms.filter(|_| of == Of::Offer),
            ptime_reverse_ms: asked.ptime_reverse_ms.filter(|_| of == Of::Offer),
            subscriber_reports: match asked.flags.contains(Flag::RtcpMirror) {
                true => SubscriberReports::GoBack,
                false => SubscriberReports::EndHere,
            },
            own_keys: key_forms(asked)[0],
            keys: key_forms(asked)[1],
        };
        let undone = undone(asked);
        Self { options, undone }
    }
}

/// What is asked by options of any request but is not done here, by name.
pub(crate) fn undone(asked: &Options) -> Vec<String> {
    let mut undone: Vec<String> = undone_flags(asked).collect();
    undone.extend(undone_values(asked));
    undone
}

/// The description's addresses are believed unless the proxy says otherwise.
fn peer_address(asked: &Options) -> Option<IpAddr> {
    let flags = &asked.flags;
    let source = flags.contains(Flag::SipSourceAddress) && !flags.contains(Flag::TrustAddress);
    asked.received_from.filter(|_| source)
}

fn transport(asked: &Options, of: Of) -> media::Transport {
    // An answer goes back in the terms that the offerer asked in.
    let wanted = asked.transport.filter(|_| of == Of::Offer);
    let opportunistic = asked.osrtp.contains(Osrtp::Offer);
    // These profiles say that there are keys, not whence: as rtpengine does, both kinds are offered
    // but for one that is switched off.
    let keys = |feedback| match asked.dtls {
        _ if asked.sdes.flags.contains(SdesFlag::Off) => media::Transport::Dtls(feedback),
        Some(Dtls::Off) => media::Transport::Sdes(feedback),
        _ => media::Transport::Keyed(feedback),
    };
    match wanted {
        Some(Transport::RtpAvp) if opportunistic => media::Transport::Opportunistic,
        Some(Transport::RtpAvp) => media::Transport::Rtp(Feedback::Without),
        Some(Transport::RtpAvpf) => media::Transport::Rtp(Feedback::With),
        Some(Transport::RtpSavp) => keys(Feedback::Without),
        Some(Transport::RtpSavpf) => keys(Feedback::With),
        Some(Transport::UdpTlsRtpSavp) if asked.dtls == Some(Dtls::Off) => {
            media::Transport::Sdes(Feedback::Without)
        }
        Some(Transport::UdpTlsRtpSavp) => media::Transport::Dtls(Feedback::Without),
        Some(Transport::UdpTlsRtpSavpf) => media::Transport::Dtls(Feedback::With),
        Some(Transport::Accept) | None if opportunistic => media::Transport::Opportunistic,
        Some(Transport::Accept) | None => media::Transport::AsOffered,
    }
}

fn offers_ice(sdp: &[u8]) -> bool {
    let said = sdp::Description::parse(sdp);
    said.is_ok_and(|said| said.media().any(|m| !m.is_rejected() && m.has_ice()))
}

fn ice(asked: &Options) -> media::Ice {
    use ng::options::IceLite;
    match (asked.ice, asked.ice_lite) {
        (
            Some(Ice::Force | Ice::Optional | Ice::ForceRelay),
            Some(IceLite::Forward | IceLite::Both),
        ) => media::Ice::Lite,
        (Some(Ice::Force | Ice::Optional | Ice::ForceRelay), _) => media::Ice::Full,
        (Some(Ice::Remove | Ice::Default) | None, _) => media::Ice::Remove,
    }
}

/// Towards the author of the description. Who names candidates later needs somebody who checks
/// them, whatever the other side is offered.
fn own_ice(asked: &Options) -> Option<media::IceAgent> {
    use ng::options::IceLite;
    let trickles = asked.flags.contains(Flag::TrickleIce);
    match (ice(asked), asked.ice_lite) {
        (media::Ice::Remove, _) if !trickles => None,
        (_, Some(IceLite::Backward | IceLite::Both)) => Some(media::IceAgent::Lite),
        _ => Some(media::IceAgent::Full),
    }
}

fn rtcp_mux(asked: &Options) -> RtcpMux {
    use ng::options::RtcpMux as Asked;
    let mux = asked.rtcp_mux;
    if mux.contains(Asked::Require) {
        RtcpMux::Require
    } else if mux.contains(Asked::Offer) {
        RtcpMux::Offer
    } else if mux.contains(Asked::Demux) || mux.contains(Asked::Reject) {
        RtcpMux::Demux
    } else {
        RtcpMux::AsOffered
    }
}

fn offered_bundle(asked: &Options, of: Of) -> OfferedBundle {
    let asks = |word| of == Of::Offer && asked.bundle.contains(word);
    if asks(Bundle::Require) {
        OfferedBundle::Require
    } else if asks(Bundle::Offer) {
        OfferedBundle::Offer
    } else {
        OfferedBundle::AsOffered
    }
}

fn source(asked: &Options) -> SourcePolicy {
    if asked.flags.contains(Flag::Asymmetric) {
        SourcePolicy::Asymmetric
    } else if asked.endpoint_learning == Some(EndpointLearning::Off) {
        SourcePolicy::Described
    } else {
        // Learned sources are always pinned: `strict source` asks for nothing more.
        SourcePolicy::Learn
    }
}

/// How keys are given by the author of the description, and by the other side.
fn key_forms(asked: &Options) -> [media::KeyForm; 2] {
    let form = |form| match form {
        KeyForm::Events => media::KeyForm::Events,
        KeyForm::Tones => media::KeyForm::Tones,
        KeyForm::Messages => media::KeyForm::Messages,
    };
    asked.key_forms.unwrap_or([KeyForm::Events; 2]).map(form)
}

fn codecs(asked: &Options) -> CodecChanges {
    let list = |rules: &[CodecRule]| {
        let lists = rules.iter().flat_map(|rule| asked.codecs.list(*rule));
        lists.cloned().collect::<Vec<String>>()
    };
    CodecChanges {
        strip: list(&[CodecRule::Strip, CodecRule::Ignore]),
        except: list(&[CodecRule::Except, CodecRule::Accept]),
        mask: list(&[CodecRule::Mask, CodecRule::Consume]),
        transcode: list(&[CodecRule::Transcode]),
        offer: list(&[CodecRule::Offer]),
        set: list(&[CodecRule::Set]),
    }
}

fn undone_flags(asked: &Options) -> impl Iterator<Item = String> {
    let flags = asked.flags.iter().filter(|flag| !DONE.contains(flag));
    let replace = asked.replace.iter().filter(|word| !REPLACED.contains(word));
    let flags = flags.map(|flag| flag.name().to_owned());
    flags.chain(replace.map(|word| format!("replace={}", word.name())))
}

fn undone_values(asked: &Options) -> Vec<String> {
    let mut undone = Vec::new();
    let mut check = |there: bool, name: &str| {
        if there {
            undone.push(name.to_owned());
        }
    };
    check(!asked.t38.is_empty(), "T.38");
    check(!asked.remove_media.is_empty(), "sdp-media-remove");
    check(asked.metadata.is_some(), "metadata");
    check(
        asked.delay_buffer_ms.is_some_and(|ms| ms > 0),
        "delay-buffer",
    );
    check(
        matches!(asked.ice, Some(Ice::ForceRelay | Ice::Optional)),
        "ICE beside the peer's own candidates",
    );
    // As the server of handshakes we are passive wherever the peer lets us.
    check(asked.dtls == Some(Dtls::Active), "DTLS=active");
    let fingerprint = asked.dtls_fingerprint.as_deref();
    check(
        fingerprint.is_some_and(|hash| !hash.eq_ignore_ascii_case(OUR_HASH)),
        "DTLS-fingerprint",
    );
    let sdes = &asked.sdes;
    let lists = [&sdes.no, &sdes.only, &sdes.order, &sdes.offerer_preference];
    check(
        lists.into_iter().any(|list| !list.is_empty()),
        "SDES with a choice of suites",
    );
    for flag in sdes.flags.iter().filter(|flag| !SDES_DONE.contains(flag)) {
        check(true, &format!("SDES-{}", flag.name()));
    }
    for word in [Osrtp::OfferLegacy, Osrtp::AcceptLegacy] {
        check(
            asked.osrtp.contains(word),
            &format!("OSRTP-{}", word.name()),
        );
    }
    // One port for all is what is offered instead of media without any.
    check(asked.bundle.contains(Bundle::Strict), "bundle-strict");
    undone.extend(undone_codecs(asked));
    undone
}

/// What is asked of codecs that only pass through here.
fn undone_codecs(asked: &Options) -> impl Iterator<Item = String> {
    let rules = [
        CodecRule::Transcode,
        CodecRule::Mask,
        CodecRule::Consume,
        CodecRule::Set,
    ];
    rules.into_iter().flat_map(|rule| {
        let list = asked.codecs.list(rule).iter();
        let foreign = list.filter(move |codec| match rule {
            CodecRule::Set => !is_opus(codec),
            _ => !media::is_coded(codec) && !is_no_speech(codec),
        });
        foreign.map(move |codec| format!("codec-{}-{codec}", rule.name()))
    })
}

/// Opus is the only codec that anything can be set of.
fn is_opus(codec: &str) -> bool {
    codec
        .split('/')
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case("opus"))
}

/// Whether it is a word for many codecs, or goes with speech.
fn is_no_speech(codec: &str) -> bool {
    let name = codec.split('/').next().unwrap_or_default();
    NO_SPEECH
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Flags that are honoured, or ask for what is always so.
const DONE: &[Flag] = &[
    Flag::TrickleIce,
    Flag::Fragment,
    Flag::TrustAddress,
    Flag::SipSourceAddress,
    Flag::Symmetric,
    Flag::Asymmetric,
    Flag::StrictSource,
    Flag::PortLatching,
    Flag::OriginalSendrecv,
    Flag::All,
    Flag::Fatal,
    Flag::Fast,
    Flag::ToTag,
    Flag::Directional,
    Flag::Pause,
    Flag::Unidirectional,
    Flag::Provisional,
    Flag::Debug,
    Flag::NoRedisUpdate,
    Flag::SkipRecordingDb,
    Flag::AsymmetricCodecs,
    Flag::Recrypt,
    Flag::NoTlsId,
    Flag::PadCrypto,
    Flag::RecordCall,
    Flag::InjectDtmf,
    Flag::BlockDtmf,
    Flag::SingleCodec,
    Flag::AllowTranscoding,
    Flag::Inactive,
    Flag::GenerateMid,
    Flag::NoRtcpAttribute,
    Flag::FullRtcpAttribute,
    Flag::KeepIce,
    Flag::OverSilence,
    Flag::RtcpMirror,
];

/// What is said of keys that is honoured, or always so here.
const SDES_DONE: &[SdesFlag] = &[
    SdesFlag::Off,
    SdesFlag::EncryptedSrtp,
    SdesFlag::EncryptedSrtcp,
    SdesFlag::AuthenticatedSrtp,
    SdesFlag::Pad,
];
/// Names in lists of codecs that stand for no codec of speech.
const NO_SPEECH: &[&str] = &["all", "full", "telephone-event", "CN"];
/// Of our certificate.
const OUR_HASH: &str = "SHA-256";

/// Fields of a description that are always replaced, or left alone where nobody can tell.
const REPLACED: &[Replace] = &[Replace::Origin, Replace::SessionConnection];
