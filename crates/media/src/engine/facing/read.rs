//! What a side has said about the transport of one medium, and what we make of it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rtp::srtp::{MasterKey, Suite};
use sdp::{Description, Media, Setup};

use super::{Carried, Facing, Mux, OFFERED_SUITES, Place, Towards, carried_as};
use crate::error::MediaError;
use crate::full::security::{
    AgentKind, Credentials, DtlsTerms, Hash, IceTerms, Offerer, PeerFingerprint, Protection, Role,
    Security,
};
use crate::options::{Feedback, IceRestart};

/// What we have chosen of an offer.
#[derive(Debug)]
pub(in crate::engine) struct Choice {
    pub(in crate::engine) security: Security,
    pub(super) towards: Towards,
    /// Ours, with the tag of the offered one that it answers.
    pub(super) key: Option<(u32, MasterKey)>,
    /// Our part in the handshake.
    pub(super) role: Option<Role>,
    pub(super) ice: Option<Credentials>,
}

/// Chooses how an offerer is answered: in kind.
///
/// # Errors
/// [`MediaError::NoKeys`] if it demands protection and gives no keys that we can use.
pub(in crate::engine) fn chosen(
    description: &Description<'_>,
    offered: &Media<'_>,
    facing: &mut Facing,
    restart: IceRestart,
    place: Place<'_>,
) -> Result<Choice, MediaError> {
    let carried = carried_as(offered);
    let mut choice = Choice {
        security: Security::default(),
        towards: Towards {
            carried,
            feedback: match offered.proto().to_ascii_uppercase().ends_with(b"AVPF") {
                true => Feedback::With,
                false => Feedback::Without,
            },
            ice: None,
            mux: match offered.has_rtcp_mux() {
                true => Mux::Only,
                false => Mux::No,
            },
        },
        key: None,
        role: None,
        ice: None,
    };
    match carried {
        Carried::Rtp => {}
        Carried::Sdes | Carried::Opportunistic => match first_usable(offered) {
            Some((tag, inbound)) => {
                let outbound = facing.key(inbound.suite())?;
                choice.key = Some((tag, outbound));
                choice.security.protection = Protection::Sdes { inbound, outbound };
            }
            None if carried == Carried::Sdes => return Err(MediaError::NoKeys),
            None => {}
        },
        // Nobody's offer is read as one of both kinds.
        Carried::Dtls | Carried::Keyed => {
            let role = match (offered.setup(), facing.role) {
                (Some(Setup::Passive), _) => Role::Client,
                // Whoever has begun an association is the one who does (RFC 8842 §5.3).
                (Some(Setup::ActPass), Some(known)) => known,
                _ => Role::Server,
            };
            choice.role = Some(role);
            choice.security.protection = dtls(offered, role, place)?;
        }
    }
    if let Some(remote) = credentials(offered) {
        let local = facing.credentials(Some(&remote.ufrag), restart)?;
        let agent = facing.agent_or(place.agent);
        choice.towards.ice = Some(agent);
        choice.ice = Some(local.clone());
        choice.security.ice = Some(IceTerms {
            local,
            remote,
            agent,
            remote_agent: agent_kind(description),
            offerer: Offerer::Peer,
            candidates: candidates(offered, choice.towards.mux),
        });
    }
    facing.forget_unused(&choice.security);
    facing.note(&choice.security);
    facing.mid = offered.attribute("mid").map(|mid| mid.trim_ascii().into());
    facing.role = choice.role;
    facing.mux = choice.towards.mux;
    facing.agreed = Some(choice.towards);
    Ok(choice)
}

/// What an answer to an offer of ours has settled.
///
/// # Errors
/// [`MediaError::NoKeys`] if it lacks what it would take.
pub(in crate::engine) fn answered(
    description: &Description<'_>,
    answer: &Media<'_>,
    offered: Towards,
    facing: &mut Facing,
    place: Place<'_>,
) -> Result<Security, MediaError> {
    let mut security = Security::default();
    let mut agreed = offered;
    if offered.carried == Carried::Keyed {
        agreed.carried = match answer.has_fingerprint() {
            true => Carried::Dtls,
            false => Carried::Sdes,
        };
    }
    match agreed.carried {
        Carried::Rtp => {}
        Carried::Sdes | Carried::Opportunistic => match first_usable(answer) {
            Some((tag, inbound)) => {
                let named = OFFERED_SUITES.get((tag as usize).wrapping_sub(1));
                if named != Some(&inbound.suite()) {
                    return Err(MediaError::NoKeys);
                }
                let outbound = facing.key(inbound.suite())?;
                security.protection = Protection::Sdes { inbound, outbound };
            }
            None if agreed.carried == Carried::Sdes => return Err(MediaError::NoKeys),
            None => {}
        },
        Carried::Dtls | Carried::Keyed => {
            let role = match answer.setup() {
                Some(Setup::Passive) => Role::Client,
                _ => Role::Server,
            };
            facing.role = Some(role);
            security.protection = dtls(answer, role, place)?;
        }
    }
    facing.mux = match (offered.mux, answer.has_rtcp_mux()) {
        (Mux::Offered, false) => Mux::No,
        (offered, _) => offered,
    };
    match (offered.ice, credentials(answer)) {
        (Some(agent), Some(remote)) => {
            facing.remote_ufrag = Some(remote.ufrag.clone());
            security.ice = Some(IceTerms {
                local: facing.credentials(None, IceRestart::Wanted)?,
                remote,
                agent,
                remote_agent: agent_kind(description),
                offerer: Offerer::We,
                candidates: candidates(answer, facing.mux),
            });
        }
        // A peer that knows no ICE is reached as described.
        _ => agreed.ice = None,
    }
    facing.mid = answer.attribute("mid").map(|mid| mid.trim_ascii().into());
    if !matches!(offered.carried, Carried::Opportunistic | Carried::Keyed) {
        // Of several phones that were offered keys to take up, another may yet do so.
        facing.forget_unused(&security);
    }
    facing.note(&security);
    facing.agreed = Some(agreed);
    Ok(security)
}

/// The first key of a suite that we know, with its tag.
fn first_usable(media: &Media<'_>) -> Option<(u32, MasterKey)> {
    let usable = media.cryptos().filter(|crypto| !crypto.is_special);
    usable
        .filter_map(|crypto| {
            let suite = Suite::from_name(crypto.suite)?;
            let material = BASE64.decode(crypto.key).ok()?;
            Some((crypto.tag, MasterKey::new(suite, &material)?))
        })
        .next()
}

fn dtls(media: &Media<'_>, role: Role, place: Place<'_>) -> Result<Protection, MediaError> {
    let fingerprint = media.fingerprint().and_then(|fingerprint| {
        Some(PeerFingerprint {
            hash: Hash::from_name(fingerprint.hash)?,
            bytes: fingerprint.bytes()?,
        })
    });
    let tls_id: Option<Box<[u8]>> = media.attribute("tls-id").map(|id| id.trim_ascii().into());
    let is_only_sign = tls_id.is_none() && media.ice_credentials().is_none();
    let address = media.rtp_address().ok().filter(|_| is_only_sign);
    Ok(Protection::Dtls(DtlsTerms {
        identity: place.identity.clone(),
        role,
        fingerprint: fingerprint.ok_or(MediaError::NoKeys)?,
        tls_id,
        // Who is on hold in the old way is nowhere.
        address: address.filter(|address| !address.ip().is_unspecified()),
    }))
}

/// What the peer's agent is named by; `None` if it has none, or writes nonsense.
fn credentials(media: &Media<'_>) -> Option<Credentials> {
    let written = media.ice_credentials()?;
    let text = |bytes: &[u8]| {
        let text = str::from_utf8(bytes).ok()?;
        (1..=NAME_CHARACTERS_MAX)
            .contains(&text.len())
            .then(|| text.to_owned())
    };
    Some(Credentials {
        ufrag: text(written.ufrag)?,
        password: text(written.password)?,
    })
}

fn agent_kind(description: &Description<'_>) -> AgentKind {
    match description.attribute("ice-lite") {
        Some(_) => AgentKind::Lite,
        None => AgentKind::Full,
    }
}

/// By component. RTCP that shares the port of RTP has none of its own, whatever is named for the case
/// that it did not (RFC 5761 §5.1.3).
fn candidates(media: &Media<'_>, mux: Mux) -> [Vec<std::net::SocketAddr>; 2] {
    [1, 2].map(|component| {
        if component == 2 && mux != Mux::No {
            return Vec::new();
        }
        let own = media.candidates().filter(|c| c.component == component);
        let mut own: Vec<_> = own.take(CANDIDATES_MAX).collect();
        own.sort_by_key(|candidate| std::cmp::Reverse(candidate.priority));
        own.into_iter().map(|candidate| candidate.address).collect()
    })
}

/// RFC 4568 §6.1 wants padding; the field forgets it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// RFC 8839 §5.4.
const NAME_CHARACTERS_MAX: usize = 256;
/// Candidates kept of one component.
const CANDIDATES_MAX: usize = 16;
