//! From plans to transcoders on the worker's thread.

use std::hash::{BuildHasher, RandomState};

use sdp::Description;

use super::session::Transcoding;
use super::{Engine, Side, codecs, terms};
use crate::error::MediaError;
use crate::full::{Place, Stage};
use crate::options::Options;
use crate::transcode::{DirectionPlan, Origin, Transcoder};

impl Engine {
    /// Options of an offer towards a side. What is transcoded for it already is offered again: it
    /// may know nothing else.
    pub(super) fn with_codec_of(&self, session: u64, to: Side, options: &Options) -> Options {
        let mut options = options.clone();
        let streams = self.sessions.get(&session).map(|session| &session.streams);
        let mut transcoded = streams.into_iter().flatten();
        let plan = transcoded.find_map(|stream| stream.transcoding.as_ref());
        if let Some(transcoding) = plan {
            let direction = &transcoding.plan.directions[to.other() as usize];
            options
                .codecs
                .transcode
                .push(direction.codec.name().to_owned());
        }
        options
    }

    /// Has media transcoded as planned from now on, by medium, and no other. A plan that is the
    /// same as before keeps its streams. `descriptions` are what the offerer offered and was
    /// answered, and what the answerer was offered and answered.
    ///
    /// # Errors
    /// [`MediaError::Codec`] if a codec cannot be had.
    pub(super) fn transcode(
        &mut self,
        session: u64,
        offerer: Side,
        plans: Vec<Option<[DirectionPlan; 2]>>,
        descriptions: [&Description<'_>; 4],
    ) -> Result<(), MediaError> {
        let mut stages: Vec<(usize, Option<Box<dyn Stage>>)> = Vec::new();
        let Some(known) = self.sessions.get_mut(&session) else {
            return Ok(());
        };
        let mut plans = plans.into_iter();
        let mut settled = Vec::with_capacity(known.streams.len());
        for (index, stream) in known.streams.iter().enumerate() {
            let plan = plans
                .next()
                .flatten()
                .map(|plan| codecs::by_side(plan, offerer));
            let before = stream.transcoding.as_ref();
            let Some(plan) = plan else {
                if before.is_some() {
                    stages.push((index, None));
                }
                settled.push(None);
                continue;
            };
            if before.is_none_or(|before| before.plan != plan) {
                let transcoder = Transcoder::new(session, plan.clone(), [origin(), origin()])?;
                stages.push((index, Some(Box::new(transcoder))));
            }
            let [offered, ours, shown, answered] =
                descriptions.map(|description| description.medium(index));
            let offerers = terms::formats(offered.as_ref(), ours.as_ref());
            let answerers = terms::formats(shown.as_ref(), answered.as_ref());
            settled.push(Some(Transcoding {
                plan,
                formats: match offerer {
                    Side::A => [offerers, answerers],
                    Side::B => [answerers, offerers],
                },
            }));
        }
        // Only now can nothing fail any more.
        for (stream, transcoding) in known.streams.iter_mut().zip(settled) {
            stream.transcoding = transcoding;
        }
        for (index, stage) in stages {
            self.set_stage(session, index, Place::Transcode, stage);
        }
        Ok(())
    }
}

/// Random, by the keys that the standard library makes for its hash tables.
pub(super) fn origin() -> Origin {
    let number = RandomState::new().hash_one(());
    Origin {
        ssrc: number as u32,
        // RFC 3550 §5.1: anywhere. The lower half leaves time before it wraps around.
        sequence: (number >> 32) as u16 & 0x7fff,
        timestamp: (number >> 17) as u32,
    }
}
