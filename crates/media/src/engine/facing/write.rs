//! Our words about the transport of one medium.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rtp::srtp::MasterKey;
use sdp::{Edit, Media, Setup};

use super::read::Choice;
use super::{Carried, Facing, Mux, OFFERED_SUITES, Place, Towards};
use crate::error::MediaError;
use crate::full::security::{AgentKind, Credentials, Role};
use crate::options::{Feedback, IceRestart};

/// Writes what a side is offered into the description for it.
pub(in crate::engine) fn write_offer(
    edit: &mut Edit<'_>,
    media: &Media<'_>,
    towards: Towards,
    facing: &mut Facing,
    place: Place<'_>,
) -> Result<(), MediaError> {
    let index = media.index();
    strip(edit, index, towards);
    edit.proto(index, towards.proto());
    if towards.mux != Mux::No {
        edit.add(index, "rtcp-mux");
    }
    match towards.carried {
        Carried::Rtp => {}
        Carried::Sdes | Carried::Opportunistic => write_keys(edit, index, facing)?,
        Carried::Dtls => write_handshake(edit, index, place),
        Carried::Keyed => {
            write_keys(edit, index, facing)?;
            write_handshake(edit, index, place);
        }
    }
    if let Some(agent) = towards.ice {
        let credentials = facing.credentials(None, IceRestart::Wanted)?;
        write_ice(edit, index, &credentials, agent, towards.mux, place);
    }
    Ok(())
}

fn write_keys(edit: &mut Edit<'_>, index: usize, facing: &mut Facing) -> Result<(), MediaError> {
    for (tag, suite) in (1..).zip(OFFERED_SUITES) {
        edit.add(index, crypto(tag, &facing.key(suite)?));
    }
    Ok(())
}

fn write_handshake(edit: &mut Edit<'_>, index: usize, place: Place<'_>) {
    write_fingerprint(edit, index, place);
    edit.add(index, setup(Setup::ActPass));
}

/// Writes what an offerer is answered with.
pub(in crate::engine) fn write_answer(
    edit: &mut Edit<'_>,
    offered: &Media<'_>,
    choice: &Choice,
    place: Place<'_>,
) {
    let index = offered.index();
    strip(edit, index, choice.towards);
    edit.proto(index, &String::from_utf8_lossy(offered.proto()));
    if let Some(mid) = offered.attribute("mid") {
        // An answer names a medium as the offer does (RFC 8843 §7.3.1).
        let mid = String::from_utf8_lossy(mid);
        edit.strip(index, &["mid"]).add(index, format!("mid:{mid}"));
    }
    if choice.towards.mux != Mux::No {
        edit.add(index, "rtcp-mux");
    }
    if let Some((tag, key)) = &choice.key {
        edit.add(index, crypto(*tag, key));
    }
    if let Some(role) = choice.role {
        write_fingerprint(edit, index, place);
        edit.add(
            index,
            setup(match role {
                Role::Client => Setup::Active,
                Role::Server => Setup::Passive,
            }),
        );
    }
    if let (Some(agent), Some(credentials)) = (choice.towards.ice, &choice.ice) {
        write_ice(edit, index, credentials, agent, choice.towards.mux, place);
    }
}

/// Takes off what speaks of another transport than ours.
fn strip(edit: &mut Edit<'_>, index: usize, towards: Towards) {
    edit.strip(index, &TRANSPORT);
    if towards.feedback == Feedback::Without {
        edit.strip(index, &FEEDBACK);
    }
    if towards.ice.is_none() {
        edit.strip(index, &BROWSERS);
    }
}

fn write_fingerprint(edit: &mut Edit<'_>, index: usize, place: Place<'_>) {
    edit.add(index, format!("fingerprint:{}", place.identity.fingerprint));
}

fn write_ice(
    edit: &mut Edit<'_>,
    index: usize,
    credentials: &Credentials,
    agent: AgentKind,
    mux: Mux,
    place: Place<'_>,
) {
    if agent == AgentKind::Lite {
        edit.add_to_session("ice-lite");
    }
    let Credentials { ufrag, password } = credentials;
    edit.add(index, format!("ice-ufrag:{ufrag}"));
    edit.add(index, format!("ice-pwd:{password}"));
    // Ours are all in the description; the peer may name its own later (RFC 8838 §4.1).
    edit.add(index, "ice-options:trickle");
    let (ip, port) = (place.rtp.ip(), place.rtp.port());
    edit.add(
        index,
        format!("candidate:1 1 UDP {RTP_PRIORITY} {ip} {port} typ host"),
    );
    if mux != Mux::Only {
        let (port, priority) = (port + 1, RTP_PRIORITY - 1);
        edit.add(
            index,
            format!("candidate:1 2 UDP {priority} {ip} {port} typ host"),
        );
    }
    edit.add(index, "end-of-candidates");
}

fn crypto(tag: u32, key: &MasterKey) -> String {
    let suite = key.suite().name();
    format!(
        "crypto:{tag} {suite} inline:{}",
        STANDARD.encode(key.material())
    )
}

fn setup(setup: Setup) -> String {
    format!("setup:{}", setup.name())
}

/// Attributes that belong to one transport.
const TRANSPORT: [&str; 6] = [
    "crypto",
    "fingerprint",
    "setup",
    "tls-id",
    "rtcp-mux",
    "rtcp-mux-only",
];
/// Those that only a profile with feedback has (RFC 4585 §4.2).
const FEEDBACK: [&str; 1] = ["rtcp-fb"];
/// Those that only browsers write, and that mean nothing without their transport.
const BROWSERS: [&str; 9] = [
    "group",
    "mid",
    "msid",
    "msid-semantic",
    "ssrc",
    "extmap",
    "extmap-allow-mixed",
    "rtcp-rsize",
    "bundle-only",
];
/// Of a host candidate (RFC 8445 §5.1.2.1).
const RTP_PRIORITY: u32 = 126 << 24 | 65_535 << 8 | 255;
