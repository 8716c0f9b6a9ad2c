//! Keys of a telephone by INFO (RFC 6086 §4.2.1), with the bodies that phones have sent since
//! before there were packages: `application/dtmf-relay`, of lines `Signal=` and `Duration=`, and
//! `application/dtmf`, of the key alone.
//!
//! Between two sides that both give keys by INFO, or neither, INFO is carried like any other. Where
//! one side does and the other does not, its INFO ends here and the media relay sounds the key;
//! and what the relay hears of the other's keys becomes INFO.

use sip::{Flow, Message, Method};

use crate::call::{Call, Phase};
use crate::config::MediaMode;
use crate::io::{Ctx, Keys, Output, Side, Uas};
use crate::leg::PairId;
use crate::pending::Purpose;

/// A key, and how long it was down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// `0` to `9`, `*`, `#`, `A` to `D`.
    pub key: char,
    /// In milliseconds.
    pub duration_ms: u32,
}

impl Call {
    /// Takes an INFO with a key, if the media relay is to sound it; whether it did.
    pub(crate) fn take_key(
        &mut self,
        ctx: &mut Ctx<'_>,
        (pair, side): (PairId, Side),
        uas: Uas,
        flow: Flow,
        info: &Message,
    ) -> bool {
        let is_apart = self.keys_of(pair, side) == Some(Keys::Messages)
            && self
                .keys_of(pair, side.other())
                .is_some_and(|keys| keys != Keys::Messages);
        if !is_apart || self.media == MediaMode::Bypass {
            return false;
        }
        let Some(press) = read(info) else {
            return false;
        };
        self.respond(ctx, uas, flow, info, 200);
        ctx.emit(Output::Press {
            session: self.session,
            to: side.other(),
            press,
        });
        true
    }

    /// The media relay has heard a key of a side.
    pub(crate) fn handle_key(&mut self, ctx: &mut Ctx<'_>, session: u64, from: Side, press: Press) {
        if session != self.session || self.phase == Phase::Over {
            return;
        }
        let to = from.other();
        let wants = |pair: PairId| self.keys_of(pair, to) == Some(Keys::Messages);
        let Some(pair) = self.pairs.iter().map(|p| p.id).find(|pair| wants(*pair)) else {
            return;
        };
        let Some(leg) = self.leg_mut(pair, to) else {
            return;
        };
        let w = leg.dialog.request("INFO");
        let way = leg.way();
        let bytes = w.finish_with(DTMF_RELAY.as_bytes(), write(press).as_bytes());
        // Whoever refuses it does without.
        self.send(ctx, Method::Info, way, bytes, Purpose::Closing);
    }

    fn keys_of(&self, pair: PairId, side: Side) -> Option<Keys> {
        self.leg(pair, side).map(|leg| leg.keys)
    }
}

/// The key in the body of an INFO; `None` if it has none that a relay can sound.
fn read(info: &Message) -> Option<Press> {
    let body = core::str::from_utf8(info.body()).ok()?;
    if info.has_content_type(DTMF) {
        return Some(Press {
            key: key_of(body.trim())?,
            duration_ms: USUAL_MS,
        });
    }
    if !info.has_content_type(DTMF_RELAY) {
        return None;
    }
    let value = |name: &str| {
        let mut lines = body.lines().filter_map(|line| line.split_once('='));
        let found = lines.find(|(known, _)| known.trim().eq_ignore_ascii_case(name))?;
        Some(found.1.trim())
    };
    let duration_ms = value("Duration").and_then(|ms| ms.parse().ok());
    Some(Press {
        key: key_of(value("Signal")?)?,
        duration_ms: duration_ms.unwrap_or(USUAL_MS).clamp(LEAST_MS, MOST_MS),
    })
}

fn write(press: Press) -> String {
    let Press { key, duration_ms } = press;
    format!("Signal={key}\r\nDuration={duration_ms}\r\n")
}

/// By what is printed on it, or by its number in RFC 4733 §3.2.
fn key_of(text: &str) -> Option<char> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(key), None) => {
            let key = key.to_ascii_uppercase();
            KEYS.contains(key).then_some(key)
        }
        _ => KEYS.chars().nth(text.parse().ok()?),
    }
}

const KEYS: &str = "0123456789*#ABCD";
pub(crate) const DTMF_RELAY: &str = "application/dtmf-relay";
pub(crate) const DTMF: &str = "application/dtmf";
/// Where nothing is said of it.
const USUAL_MS: u32 = 160;
/// What a relay sounds.
const LEAST_MS: u32 = 50;
const MOST_MS: u32 = 5_000;

#[cfg(test)]
mod tests {
    use sip::Framing;

    use super::*;

    fn info(kind: &str, body: &str) -> Message {
        let length = body.len();
        let text = format!(
            "INFO sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 2 INFO\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        Message::parse(text.into_bytes().into(), Framing::Datagram).expect("a message")
    }

    fn pressed(kind: &str, body: &str) -> Option<(char, u32)> {
        read(&info(kind, body)).map(|press| (press.key, press.duration_ms))
    }

    #[test]
    fn keys_are_read_in_the_forms_that_phones_have() {
        for (kind, body, expected) in [
            (DTMF_RELAY, "Signal=5\r\nDuration=100\r\n", Some(('5', 100))),
            (DTMF_RELAY, "Signal= #\nDuration= 250", Some(('#', 250))),
            (DTMF_RELAY, "signal=10\r\n", Some(('*', USUAL_MS))),
            (
                DTMF_RELAY,
                "Signal=d\r\nDuration=7\r\n",
                Some(('D', LEAST_MS)),
            ),
            (DTMF_RELAY, "Signal=hf\r\nDuration=160\r\n", None),
            (DTMF_RELAY, "Signal=16\r\n", None),
            (DTMF_RELAY, "", None),
            (DTMF, "7", Some(('7', USUAL_MS))),
            (DTMF, "11\r\n", Some(('#', USUAL_MS))),
            (DTMF, "77", None),
            ("application/media_control+xml", "7", None),
        ] {
            assert_eq!(pressed(kind, body), expected, "{kind} {body:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for key in KEYS.chars() {
            let press = Press {
                key,
                duration_ms: 120,
            };
            assert_eq!(read(&info(DTMF_RELAY, &write(press))), Some(press));
        }
    }
}
