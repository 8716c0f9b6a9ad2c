//! Which codecs each side is shown, and what that asks of a transcoder.
//!
//! The words are rtpengine's. An offer loses what is stripped or masked and gains what is to be
//! transcoded. When the answer comes, its first codec decides: if the offerer knows it, too, media
//! passes as it is; else the offerer is answered with the best codec of its own that we know.

use audio::{Codec, Fec, Incoming, OpusOptions};
use sdp::{Description, Format, Kind, Media, Recode};

use crate::options::{CodecChanges, KeyForm, Options};
use crate::transcode::{DirectionPlan, EventFormat, KeysIn, KeysOut, Plan};

/// The offer as the other side is shown it; `None`: with the codecs that it came with.
pub(super) fn offer(description: &Description<'_>, options: &Options) -> Option<Vec<u8>> {
    if !asks(options) {
        return None;
    }
    let changes: Vec<Recode> = audio_media(description)
        .filter_map(|media| show(&media, options))
        .collect();
    (!changes.is_empty()).then(|| sdp::recode(description, &changes))
}

/// What follows from an answer.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// The answer as the offerer is shown it; `None`: with the codecs that it came with.
    pub(super) recoded: Option<Vec<u8>>,
    /// What is transcoded, by medium; sides are offerer and answerer. Shorter if nothing is.
    pub(super) plans: Vec<Option<[DirectionPlan; 2]>>,
}

/// Compares an answer with what was offered, and with what was shown of it (`shown`, `None` if
/// the same).
pub(super) fn answer(
    offered: &Description<'_>,
    shown: Option<&Description<'_>>,
    answer: &Description<'_>,
    asked: &Options,
) -> Answered {
    let mut out = Answered::default();
    if !asks(asked) {
        return out;
    }
    let mut changes = Vec::new();
    for media in answer.media() {
        let index = media.index();
        let offer = offered.medium(index).filter(is_audio);
        let shown = shown.map_or(offer, |shown| shown.medium(index));
        let (Some(offer), Some(shown)) = (offer, shown) else {
            out.plans.push(None);
            continue;
        };
        let pairing = is_audio(&media).then(|| Pairing::new(&offer, &shown, &media, asked));
        let pairing = pairing.flatten();
        changes.extend(pairing.as_ref().map(|pairing| pairing.recode(index)));
        out.plans.push(pairing.map(|pairing| pairing.plan));
    }
    if !changes.is_empty() {
        out.recoded = Some(sdp::recode(answer, &changes));
    }
    out
}

/// Whether all speech codecs of an answer are of an offer.
pub(super) fn are_of(answer: &Description<'_>, offer: &Description<'_>) -> bool {
    audio_media(answer).all(|answered| {
        let offered = offer.medium(answered.index());
        answered
            .codecs()
            .filter(|codec| !is_supplement(codec))
            .all(|codec| {
                let mut known = offered.iter().flat_map(Media::codecs);
                known.any(|known| known.same_encoding(&codec))
            })
    })
}

/// Sides A and B of a plan whose sides are offerer and answerer.
pub(super) fn by_side(plan: [DirectionPlan; 2], offerer: super::Side) -> Plan {
    let [offerers, answerers] = plan;
    Plan {
        directions: match offerer {
            super::Side::A => [offerers, answerers],
            super::Side::B => [answerers, offerers],
        },
    }
}

/// How one medium is transcoded.
struct Pairing {
    plan: [DirectionPlan; 2],
    /// What the offerer is answered.
    formats: Vec<Format>,
}

impl Pairing {
    /// `None` if media passes as it is, or cannot be transcoded.
    fn new(
        offer: &Media<'_>,
        shown: &Media<'_>,
        answer: &Media<'_>,
        asked: &Options,
    ) -> Option<Self> {
        let theirs = answer.codecs().find(|codec| !is_supplement(codec))?;
        let known = known(&theirs)?;
        let offered_ms = packet_ms(offer);
        let offerer_ms = asked.ptime_reverse_ms.map_or(offered_ms, clamped_ms);
        let retimed = [asked.ptime_ms, asked.ptime_reverse_ms]
            .into_iter()
            .flatten()
            .any(|ptime_ms| u32::from(ptime_ms) != offered_ms);
        let mut common = offer.codecs().filter(|codec| codec.same_encoding(&theirs));
        let converted = asked.converts_keys();
        if !masks(&asked.codecs, &theirs) && !retimed && !converted && common.next().is_some() {
            return None;
        }
        let first = offerers_codec(offer, &theirs, &asked.codecs)?;
        let first_known = self::known(&first)?;
        let first_event =
            event_for(offer, first_known).filter(|_| asked.own_keys == KeyForm::Events);
        let event = event_for(answer, known).filter(|_| asked.keys == KeyForm::Events);

        let answerer_ms = answer.ptime_ms().map(u32::from);
        let answerer_ms = answerer_ms
            .or(asked.ptime_ms.map(u32::from))
            .unwrap_or(USUAL_MS);
        let to_answerer = DirectionPlan {
            incoming: incoming(offer, offer),
            keys_in: keys_in(offer, asked.own_keys),
            codec: known,
            payload_type: theirs.payload_type,
            packet_ms: known.packet_ms(answerer_ms),
            keys_out: keys_out(event, asked.keys),
            opus: opus_options(&theirs, first_known, &asked.codecs),
        };
        let to_offerer = DirectionPlan {
            incoming: incoming(answer, shown),
            keys_in: keys_in(answer, asked.keys),
            codec: first_known,
            payload_type: first.payload_type,
            packet_ms: first_known.packet_ms(offerer_ms),
            keys_out: keys_out(first_event, asked.own_keys),
            opus: opus_options(&first, known, &asked.codecs),
        };
        let mut formats = vec![new_format(&first)];
        let event = first_event.and_then(|event| offer.codec(event.payload_type));
        formats.extend(event.as_ref().map(new_format));
        Some(Self {
            plan: [to_answerer, to_offerer],
            formats,
        })
    }

    fn recode(&self, index: usize) -> Recode {
        Recode {
            index,
            formats: self.formats.clone(),
            ptime_ms: Some(self.plan[1].packet_ms),
        }
    }
}

/// What the offerer is answered: the codec of the answerer if it may be, else the first that it
/// offered and that we code. A stripped one is taken if there is no other.
fn offerers_codec<'d>(
    offer: &Media<'d>,
    theirs: &sdp::Codec<'_>,
    changes: &CodecChanges,
) -> Option<sdp::Codec<'d>> {
    let own = || offer.codecs().filter(|codec| known(codec).is_some());
    let usable = |codec: &sdp::Codec<'_>| !strips(&changes.strip, &changes.except, codec);
    let same = own().find(|codec| usable(codec) && codec.same_encoding(theirs));
    same.or_else(|| own().find(usable)).or_else(|| own().next())
}

/// The formats of an offered medium for the other side; `None` if they are those it has.
fn show(media: &Media<'_>, options: &Options) -> Option<Recode> {
    let changes = &with_keys(options);
    // From what is only passed through nothing can be made: it is neither hidden nor added to.
    let coded = media.codecs().any(|codec| known(&codec).is_some());
    let hides = |codec: &sdp::Codec<'_>| masks(changes, codec) && (coded || is_supplement(codec));
    let mut kept: Vec<u8> = Vec::new();
    let mut before = 0;
    for payload_type in payload_types(media) {
        before += 1;
        let codec = media.codec(payload_type);
        let gone = codec
            .is_some_and(|codec| strips(&changes.strip, &changes.except, &codec) || hides(&codec));
        if !gone {
            kept.push(payload_type);
        }
    }
    let name_of = |payload_type: u8| media.codec(payload_type).map(|codec| codec.name);
    let rank = |payload_type: &u8| {
        let mut wanted = changes.offer.iter();
        let name = name_of(*payload_type).unwrap_or_default();
        wanted
            .position(|wanted| is_named(wanted, name))
            .unwrap_or(usize::MAX)
    };
    kept.sort_by_key(rank);
    let mut formats: Vec<Format> = kept.iter().copied().map(Format::Kept).collect();
    let speech = |pt: &u8| media.codec(*pt).is_none_or(|codec| !is_supplement(&codec));
    let supplements = kept.iter().rev().take_while(|pt| !speech(pt)).count();
    for name in changes.transcode.iter().filter(|_| coded) {
        if kept
            .iter()
            .any(|pt| name_of(*pt).is_some_and(|known| is_named(name, known)))
        {
            continue;
        }
        let Some(new) = added(media, name, &formats) else {
            continue;
        };
        // Speech stands before events and noise.
        let place = formats.len() - supplements.min(formats.len());
        formats.insert(place, new);
    }
    let order = payload_types(media);
    let same = formats.len() == before
        && formats
            .iter()
            .zip(order)
            .all(|(format, pt)| *format == Format::Kept(pt));
    let ptime_ms = options.ptime_ms.map(clamped_ms);
    if same && ptime_ms.is_none() {
        return None;
    }
    Some(Recode {
        index: media.index(),
        formats,
        ptime_ms,
    })
}

/// A format that the offerer has not, or that is masked for it.
fn added(media: &Media<'_>, name: &str, formats: &[Format]) -> Option<Format> {
    let plain = plain_name(name);
    let (rtpmap, fixed, fmtp) = if plain.eq_ignore_ascii_case("telephone-event") {
        (
            "telephone-event/8000".to_owned(),
            None,
            Some("0-16".to_owned()),
        )
    } else {
        let codec = Codec::from_name(plain.as_bytes())?;
        let fmtp = (codec == Codec::Opus).then(|| OPUS_FMTP.to_owned());
        (rtpmap(codec), codec.payload_type(), fmtp)
    };
    let taken = |pt: &u8| {
        payload_types(media).any(|used| used == *pt)
            || formats.iter().any(|format| format.payload_type() == *pt)
    };
    let payload_type = match fixed {
        Some(fixed) => fixed,
        None => (96..128).find(|pt| !taken(pt))?,
    };
    Some(Format::New {
        payload_type,
        rtpmap,
        fmtp,
    })
}

/// A format of the offer in our answer to it.
fn new_format(codec: &sdp::Codec<'_>) -> Format {
    let name = String::from_utf8_lossy(codec.name);
    let channels = match codec.channels {
        1 => String::new(),
        channels => format!("/{channels}"),
    };
    let fmtp = match known(codec) {
        Some(Codec::Opus) => Some(OPUS_FMTP.to_owned()),
        Some(_) => None,
        None => codec
            .fmtp
            .map(|fmtp| String::from_utf8_lossy(fmtp).into_owned()),
    };
    Format::New {
        payload_type: codec.payload_type,
        rtpmap: format!("{name}/{}{channels}", codec.clock_rate_hz),
        fmtp,
    }
}

fn rtpmap(codec: Codec) -> String {
    let channels = match codec.rtpmap_channels() {
        1 => String::new(),
        channels => format!("/{channels}"),
    };
    format!("{}/{}{channels}", codec.name(), codec.clock_rate_hz())
}

/// What the author of `media` may send, with its numbers and, as a peer may use those, with the
/// numbers it was offered (RFC 3264 §6.1).
fn incoming(media: &Media<'_>, offered: &Media<'_>) -> Vec<(u8, Incoming)> {
    let mut out: Vec<(u8, Incoming)> = Vec::new();
    for codec in media.codecs().chain(offered.codecs()).take(FORMATS_MAX) {
        let format = match known(&codec) {
            Some(codec) => Incoming::Codec(codec),
            None if codec.is("CN") => Incoming::Noise,
            None => continue,
        };
        if out
            .iter()
            .all(|(payload_type, _)| *payload_type != codec.payload_type)
        {
            out.push((codec.payload_type, format));
        }
    }
    out
}

/// The codec, if it is one that we code.
fn known(codec: &sdp::Codec<'_>) -> Option<Codec> {
    Codec::from_rtpmap(codec.name, codec.clock_rate_hz)
}

fn events(media: &Media<'_>) -> Vec<EventFormat> {
    let codecs = media.codecs().filter(|codec| codec.is("telephone-event"));
    let format = |codec: sdp::Codec<'_>| EventFormat {
        payload_type: codec.payload_type,
        clock_rate_hz: codec.clock_rate_hz,
    };
    codecs.map(format).take(FORMATS_MAX).collect()
}

/// How the author of a description gives keys.
fn keys_in(media: &Media<'_>, form: KeyForm) -> KeysIn {
    let events = events(media);
    match form {
        KeyForm::Events if !events.is_empty() => KeysIn::Events(events),
        KeyForm::Events | KeyForm::Tones => KeysIn::Tones,
        KeyForm::Messages => KeysIn::Elsewhere,
    }
}

/// How a side takes keys that may take `event`.
fn keys_out(event: Option<EventFormat>, form: KeyForm) -> KeysOut {
    match (form, event) {
        (KeyForm::Events, Some(event)) => KeysOut::Events(event),
        (KeyForm::Events | KeyForm::Tones, _) => KeysOut::Tones,
        (KeyForm::Messages, _) => KeysOut::Told,
    }
}

/// The changes that are asked for, and those that the forms of keys bring: who takes none is
/// offered no telephone events, and who takes them is although the offerer has none.
fn with_keys(options: &Options) -> CodecChanges {
    let mut changes = options.codecs.clone();
    if options.converts_keys() {
        match options.keys {
            KeyForm::Events => changes.transcode.push(EVENT.to_owned()),
            KeyForm::Tones | KeyForm::Messages => changes.mask.push(EVENT.to_owned()),
        }
    }
    changes
}

/// The events that go with a codec: those of its clock, else any.
fn event_for(media: &Media<'_>, codec: Codec) -> Option<EventFormat> {
    let events = events(media);
    let clock_rate_hz = codec.clock_rate_hz();
    let same = events
        .iter()
        .find(|event| event.clock_rate_hz == clock_rate_hz);
    same.or(events.first()).copied()
}

/// What the receiver of Opus asks for (RFC 7587 §6.1), and what the other codec makes use of.
fn opus_options(receiver: &sdp::Codec<'_>, source: Codec, changes: &CodecChanges) -> OpusOptions {
    let usual_bps = match source.sample_rate_hz() {
        8_000 => NARROW_BPS,
        16_000 => WIDE_BPS,
        _ => FULL_BPS,
    };
    let bitrate_bps = asked_bps(changes, receiver).unwrap_or(usual_bps);
    let most_bps = fmtp_number(receiver, b"maxaveragebitrate").unwrap_or(bitrate_bps);
    OpusOptions {
        bitrate_bps: bitrate_bps.min(most_bps),
        fec: match fmtp_number(receiver, b"useinbandfec") {
            Some(1) => Fec::On,
            _ => Fec::Off,
        },
        ..OpusOptions::default()
    }
}

/// The bit rate that is asked for a codec: `opus/48000/2/32000`.
fn asked_bps(changes: &CodecChanges, codec: &sdp::Codec<'_>) -> Option<u32> {
    let mut named = changes.set.iter().chain(&changes.transcode);
    named.find_map(|name| {
        let bps = name.split('/').nth(3)?.parse().ok()?;
        is_named(name, codec.name).then_some(bps)
    })
}

fn clamped_ms(ptime_ms: u8) -> u32 {
    u32::from(ptime_ms).clamp(PTIME_MIN_MS, PTIME_MAX_MS)
}

fn fmtp_number(codec: &sdp::Codec<'_>, name: &[u8]) -> Option<u32> {
    let mut parameters = codec.fmtp?.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let value = parameters.find_map(|p| p.strip_prefix(name)?.strip_prefix(b"="))?;
    str::from_utf8(value).ok()?.parse().ok()
}

fn packet_ms(media: &Media<'_>) -> u32 {
    media.ptime_ms().map_or(USUAL_MS, u32::from)
}

fn payload_types<'d>(media: &Media<'d>) -> impl Iterator<Item = u8> + use<'d> {
    let parse = |format: &[u8]| str::from_utf8(format).ok()?.parse().ok();
    media.formats().filter_map(parse).filter(|pt| *pt < 128)
}

fn audio_media<'d>(description: &'d Description<'d>) -> impl Iterator<Item = Media<'d>> {
    description.media().filter(is_audio)
}

fn is_audio(media: &Media<'_>) -> bool {
    media.kind() == Kind::Audio && media.profile().is_rtp() && !media.is_rejected()
}

/// Events and noise, which go with any speech.
fn is_supplement(codec: &sdp::Codec<'_>) -> bool {
    codec.is("telephone-event") || codec.is("CN") || codec.is("red")
}

fn masks(changes: &CodecChanges, codec: &sdp::Codec<'_>) -> bool {
    strips(&changes.mask, &changes.except, codec)
}

/// Whether a list names a codec: itself, or by `all` (all speech) or `full` (everything).
fn strips(list: &[String], except: &[String], codec: &sdp::Codec<'_>) -> bool {
    let named = |list: &[String]| list.iter().any(|name| is_named(name, codec.name));
    let all = |word: &str| list.iter().any(|name| name.eq_ignore_ascii_case(word));
    if named(list) {
        return true;
    }
    let every = all("full") || all("all") && !is_supplement(codec);
    every && !named(except)
}

/// Whether a name in rtpengine's notation (`opus/48000/2`) means this codec.
fn is_named(name: &str, codec: &[u8]) -> bool {
    plain_name(name).as_bytes().eq_ignore_ascii_case(codec)
}

/// Whether a codec in rtpengine's notation (`opus/48000/2`) is one that is coded here, and not only
/// passed through.
#[must_use]
pub fn is_coded(name: &str) -> bool {
    Codec::from_name(plain_name(name).as_bytes()).is_some()
}

fn plain_name(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

fn asks(options: &Options) -> bool {
    options.ptime_ms.is_some()
        || options.ptime_reverse_ms.is_some()
        || options.codecs != CodecChanges::default()
        || options.converts_keys()
}

/// The name of RFC 4733 in SDP.
const EVENT: &str = "telephone-event";
/// What is said of Opus that we send or receive.
const OPUS_FMTP: &str = "minptime=10;useinbandfec=1";
/// Packet time where nothing is said of it.
const USUAL_MS: u32 = 20;
/// Packet times that are asked for.
const PTIME_MIN_MS: u32 = 10;
const PTIME_MAX_MS: u32 = 60;
/// Bit rates of Opus by what it is made of.
const NARROW_BPS: u32 = 16_000;
const WIDE_BPS: u32 = 24_000;
const FULL_BPS: u32 = 32_000;
/// Formats of one medium that are looked at.
const FORMATS_MAX: usize = 32;

#[cfg(test)]
mod tests;
