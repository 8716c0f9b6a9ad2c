//! The few descriptions a platform says by itself: the echo application's, a refusal, a hold.

mod copy;

pub use copy::{Copied, Keys, copy_offer, receiving};

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use crate::{AnswerError, Codec, Description, Direction, Edit, Kind, Media};

/// What `o=` says of a session of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Names the session; unique among those of one address.
    pub id: u64,
    /// Grows by one with each description of it that differs (RFC 3264 §8).
    pub version: u64,
    /// Our address.
    pub address: IpAddr,
}

/// Where we receive the media of a session of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// RTP; RTCP is one port above.
    pub rtp: SocketAddr,
}

/// The echo application's answer: the first audio medium with a codec we know is taken with the
/// payload types, parameters and packet time of the offer, since what comes goes back as it is;
/// all other media are refused. How media is protected is not this function's affair: whoever
/// takes a medium of a secure profile adds what that takes.
///
/// # Errors
/// [`AnswerError::NoCommonFormat`] if there is no such medium (488 Not Acceptable Here).
pub fn echo_answer(
    offer: &Description<'_>,
    session: Session,
    local: LocalMedia,
) -> Result<Vec<u8>, AnswerError> {
    let chosen = offer
        .media()
        .find_map(|media| Some((media.index(), echo_codec(&media)?)))
        .ok_or(AnswerError::NoCommonFormat { index: 0 })?;
    let mut out = header(session, local.rtp.ip());
    for media in offer.media() {
        if media.index() == chosen.0 {
            write_echo_media(&mut out, &media, chosen.1, local);
        } else {
            write_rejected(&mut out, &media);
        }
    }
    Ok(out)
}

/// An offer of plain audio: what the echo application says when asked without an offer
/// (RFC 3261 §13.2.1).
#[must_use]
pub fn echo_offer(session: Session, local: LocalMedia) -> Vec<u8> {
    let mut out = header(session, local.rtp.ip());
    let port = local.rtp.port();
    line(&mut out, format_args!("m=audio {port} RTP/AVP 8 0 9 101"));
    line(&mut out, format_args!("a=rtpmap:8 PCMA/8000"));
    line(&mut out, format_args!("a=rtpmap:0 PCMU/8000"));
    line(&mut out, format_args!("a=rtpmap:9 G722/8000"));
    line(&mut out, format_args!("a=rtpmap:101 telephone-event/8000"));
    line(&mut out, format_args!("a=fmtp:101 0-16"));
    line(&mut out, format_args!("a=sendrecv"));
    out
}

/// An answer that refuses every medium (RFC 3264 §6).
#[must_use]
pub fn rejecting_answer(offer: &Description<'_>, session: Session) -> Vec<u8> {
    let mut out = header(session, session.address);
    for media in offer.media() {
        write_rejected(&mut out, &media);
    }
    out
}

/// Our last description again, as an offer that holds the other side (RFC 3264 §8.4).
#[must_use]
pub fn hold_offer(current: &Description<'_>, version: u64) -> Vec<u8> {
    let mut edit = Edit::new(current);
    edit.origin_version(version);
    for media in current.media().filter(|media| !media.is_rejected()) {
        edit.direction(media.index(), media.direction().held());
    }
    edit.finish()
}

/// The first codec of an RTP audio medium that the echo application knows.
fn echo_codec<'d>(media: &Media<'d>) -> Option<Codec<'d>> {
    let usable = media.kind() == Kind::Audio && media.profile().is_rtp() && !media.is_rejected();
    media
        .codecs()
        .filter(|_| usable)
        .find(|codec| ECHOED.iter().any(|name| codec.is(name)))
}

fn write_echo_media(out: &mut Vec<u8>, media: &Media<'_>, codec: Codec<'_>, local: LocalMedia) {
    let event = media
        .codecs()
        .find(|c| c.is("telephone-event") && c.clock_rate_hz == codec.clock_rate_hz);
    let formats = [Some(codec), event];
    let formats = formats.iter().flatten();
    text(out, b"m=audio ");
    print(out, format_args!("{} ", local.rtp.port()));
    text(out, media.proto());
    for format in formats.clone() {
        print(out, format_args!(" {}", format.payload_type));
    }
    text(out, b"\r\n");
    for format in formats {
        write_format(out, format);
    }
    if let Some(ptime_ms) = media.ptime_ms() {
        line(out, format_args!("a=ptime:{ptime_ms}"));
    }
    let direction = match media.is_held() {
        // An old hold (`c=0.0.0.0`) cannot be sent to, whatever its direction says.
        true if media.direction().receives() => Direction::RecvOnly,
        _ => media.direction().reversed(),
    };
    line(out, format_args!("a={}", direction.name()));
}

fn write_format(out: &mut Vec<u8>, codec: &Codec<'_>) {
    print(out, format_args!("a=rtpmap:{} ", codec.payload_type));
    text(out, codec.name);
    print(out, format_args!("/{}", codec.clock_rate_hz));
    if codec.channels > 1 {
        print(out, format_args!("/{}", codec.channels));
    }
    text(out, b"\r\n");
    if let Some(fmtp) = codec.fmtp {
        print(out, format_args!("a=fmtp:{} ", codec.payload_type));
        text(out, fmtp);
        text(out, b"\r\n");
    }
}

/// The offered `m=` line with port 0; its formats are repeated, as there must be one at least.
fn write_rejected(out: &mut Vec<u8>, media: &Media<'_>) {
    text(out, b"m=");
    text(out, media.kind_name());
    text(out, b" 0 ");
    text(out, media.proto());
    for format in media.formats() {
        text(out, b" ");
        text(out, format);
    }
    text(out, b"\r\n");
}

/// The session part. `t=0 0` answers whatever was offered: calls have no schedule
/// (RFC 3264 §5).
fn header(session: Session, media: IpAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    let Session {
        id,
        version,
        address,
    } = session;
    let family = |ip: IpAddr| if ip.is_ipv4() { "IP4" } else { "IP6" };
    line(&mut out, format_args!("v=0"));
    let origin = family(address);
    line(
        &mut out,
        format_args!("o=- {id} {version} IN {origin} {address}"),
    );
    line(&mut out, format_args!("s=-"));
    line(&mut out, format_args!("c=IN {} {media}", family(media)));
    line(&mut out, format_args!("t=0 0"));
    out
}

fn line(out: &mut Vec<u8>, value: core::fmt::Arguments<'_>) {
    print(out, value);
    text(out, b"\r\n");
}

fn print(out: &mut Vec<u8>, value: core::fmt::Arguments<'_>) {
    out.write_fmt(value)
        .expect("a vector takes all that is written");
}

fn text(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(value);
}

/// What goes back as it comes; any codec could, but a peer should not be answered with one that
/// nobody here has heard.
const ECHOED: [&str; 4] = ["PCMU", "PCMA", "G722", "opus"];

const USUAL_BYTES: usize = 256;

#[cfg(test)]
mod tests;
