//! Media that somebody publishes: it comes to us, and goes on to those that subscribe to it.

use sdp::{Description, Format, Kind, Recode};

use super::negotiate::{Spot, parse};
use super::terms;
use super::{Engine, Negotiation};
use crate::channel::Role;
use crate::error::MediaError;
use crate::options::Options;

impl Engine {
    /// Takes what `negotiation.from`, side A, offers to send, and returns the answer to it:
    /// everything is received, in one codec for each medium, and nothing sent. Repeated calls keep the ports.
    ///
    /// # Errors
    /// See [`MediaError`]; the session is as it was before.
    pub fn publish(
        &mut self,
        session: u64,
        negotiation: Negotiation<'_>,
    ) -> Result<Vec<u8>, MediaError> {
        let offer = parse(negotiation.sdp)?;
        let side = negotiation.from;
        let fallback = self.any_family();
        let family = self.family_towards(&offer, negotiation.signalling, fallback);
        let interfaces = self.interfaces_of_offer(session, &negotiation)?;
        let spot = Spot {
            side,
            family,
            interface: interfaces[side as usize],
        };
        let address = self.address_at(spot, negotiation.options)?;
        let relayed = terms::relayed(&offer);
        let ports = self.ensure(session, Role::Sink, &relayed, spot)?;
        let mut edit = self.relay_edit(&offer, &ports, address)?;
        for medium in offer.media() {
            edit.direction(medium.index(), sdp::receiving(medium.direction()));
        }
        let ours = edit.finish();
        let ours = with_one_codec(&parse(&ours)?, negotiation.options);
        let answer = parse(&ours)?;
        let (out, secured) = self.secure_sink(
            session,
            &offer,
            &answer,
            (side, address),
            &ports,
            negotiation.options,
        )?;
        let answer = parse(&out)?;
        self.settle_alone(session, &negotiation, [&offer, &answer], secured);
        if let Some(known) = self.sessions.get_mut(&session) {
            known.interfaces = interfaces;
            known.said[side as usize] = Some(negotiation.sdp.into());
            known.said[side.other() as usize] = Some(out.as_slice().into());
        }
        Ok(out)
    }
}

/// Each audio medium with one codec: the first that is asked for, else the first that we code.
fn with_one_codec(ours: &Description<'_>, asked: &Options) -> Vec<u8> {
    let wanted = &asked.codecs.except;
    let any = || wanted.iter().any(|name| name.eq_ignore_ascii_case("any"));
    let audio = ours.media().filter(|media| media.kind() == Kind::Audio);
    let changes = audio.filter_map(|media| {
        let named = |name: &String| {
            let plain = name.split('/').next().unwrap_or_default();
            media.codecs().find(|codec| codec.is(plain))
        };
        let known = |codec: &sdp::Codec<'_>| {
            audio::Codec::from_rtpmap(codec.name, codec.clock_rate_hz).is_some()
        };
        let asked = wanted.iter().find_map(named);
        let first = || media.codecs().next().filter(|_| any());
        let coded = || media.codecs().find(known);
        let codec = asked.or_else(first).or_else(coded)?;
        Some(Recode {
            index: media.index(),
            formats: vec![Format::Kept(codec.payload_type)],
            ptime_ms: None,
        })
    });
    let changes: Vec<Recode> = changes.collect();
    sdp::recode(ours, &changes)
}
