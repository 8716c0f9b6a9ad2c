//! The figures of a call, in the shape of `query` and `delete`.

use std::net::{IpAddr, SocketAddr};

use crate::value::{Dictionary, Value};

/// What is known of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallReport {
    /// When it began, in seconds of Unix time.
    pub created_s: u64,
    /// And in the microseconds since, as rtpengine has it.
    pub created_us: u32,
    /// When a request last changed it, in seconds of Unix time.
    pub last_signal_s: u64,
    /// Its participants.
    pub tags: Vec<TagReport>,
    /// All RTP of the call.
    pub rtp: Counts,
    /// All RTCP of the call.
    pub rtcp: Counts,
    /// Quality by source; empty where none was measured.
    pub ssrcs: Vec<Ssrc>,
}

/// Packets that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Packets that could not be passed on.
    pub errors: u64,
}

/// A participant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagReport {
    /// Its tag; empty if it has not signalled one.
    pub tag: String,
    /// Its label.
    pub label: Option<String>,
    /// When it appeared, in seconds of Unix time.
    pub created_s: u64,
    /// The branch it belongs to.
    pub via_branch: Option<String>,
    /// Whom it talks with.
    pub in_dialogue_with: Option<String>,
    /// Of a subscriber: whom it hears.
    pub subscriptions: Vec<String>,
    /// Who hears copies of what it sends.
    pub subscribers: Vec<String>,
    /// Its media, in the order of its description.
    pub media: Vec<MediumReport>,
}

/// One medium of a participant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediumReport {
    /// From 1.
    pub index: u64,
    /// `audio`, `video`...
    pub kind: String,
    /// As in `m=`.
    pub protocol: String,
    /// The codec that came most.
    pub codec: Option<String>,
    /// `initialized`, `rtcp-mux`, `DTLS-SRTP`, `SDES`, `ICE`...
    pub flags: Vec<String>,
    /// RTP, then RTCP.
    pub streams: Vec<StreamReport>,
    /// What a server of ours measured.
    pub quality: Option<Quality>,
}

/// One port of a medium.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamReport {
    /// Ours.
    pub local_port: Option<u16>,
    /// Ours; `None` where it is not known.
    pub local_address: Option<IpAddr>,
    /// Where packets go and come from.
    pub endpoint: Option<Endpoint>,
    /// What the description said.
    pub advertised: Option<Endpoint>,
    /// The suite in use.
    pub crypto_suite: Option<String>,
    /// When the last packet came, in seconds of Unix time; 0: never.
    pub last_packet_s: u64,
    /// The source that sends now.
    pub ssrc: Option<u32>,
    /// `RTP`, `RTCP`, `filled`, `confirmed`, `kernelized`...
    pub flags: Vec<String>,
    /// What came.
    pub counts: Counts,
}

/// An address and port.
pub type Endpoint = SocketAddr;

/// How well a medium arrives, as a server of ours measures it without RTCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Packets lost on the way to the server.
    pub lost: u64,
    /// Interarrival jitter in microseconds.
    pub jitter_us: u32,
    /// The estimated MOS in hundredths; 0: unknown.
    pub mos_centi: u16,
    /// Round-trip time in microseconds; 0: unknown.
    pub rtt_us: u32,
    /// RFC 4733 packets.
    pub telephone_events: u64,
}

/// Quality of one source, averaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssrc {
    /// The source.
    pub ssrc: u32,
    /// MOS in tenths.
    pub mos_deci: u16,
    /// Round-trip time in microseconds.
    pub rtt_us: u32,
    /// Jitter in milliseconds.
    pub jitter_ms: u32,
    /// Loss in percent.
    pub loss_percent: u8,
    /// How many samples were averaged.
    pub samples: u64,
    /// The worst of them.
    pub lowest: Option<MosSample>,
    /// The best of them.
    pub highest: Option<MosSample>,
    /// From its beginning on, one for each interval.
    pub progression: Vec<MosSample>,
    /// How long an interval of the progression is, in seconds.
    pub interval_s: u64,
}

/// Quality of one source for some seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MosSample {
    /// When they ended, in seconds of Unix time.
    pub reported_s: u64,
    /// As in [`Ssrc`].
    pub mos_deci: u16,
    /// As in [`Ssrc`].
    pub rtt_us: u32,
    /// As in [`Ssrc`].
    pub jitter_ms: u32,
    /// As in [`Ssrc`].
    pub loss_percent: u8,
}

impl CallReport {
    /// Reads the figures out of a reply; `None` if it has none.
    #[must_use]
    pub fn read(from: &Dictionary<'_>) -> Option<Self> {
        let tags = from.value("tags")?.dictionary()?;
        let tags = tags.entries().filter_map(|(key, value)| {
            let key = String::from_utf8_lossy(key);
            TagReport::read(&key, value.dictionary()?)
        });
        let totals = from.value("totals").and_then(Value::dictionary);
        let total = |key: &str| totals.and_then(|totals| counts(totals, key));
        let ssrcs = from.value("SSRC").and_then(Value::dictionary);
        let ssrcs = ssrcs.map(|ssrcs| ssrcs.entries().filter_map(Ssrc::read).collect());
        Some(Self {
            created_s: from.number("created").unwrap_or(0),
            created_us: from.number("created_us").unwrap_or(0),
            last_signal_s: from.number("last signal").unwrap_or(0),
            tags: tags.collect(),
            rtp: total("RTP").unwrap_or_default(),
            rtcp: total("RTCP").unwrap_or_default(),
            ssrcs: ssrcs.unwrap_or_default(),
        })
    }

    /// The participant of a tag.
    #[must_use]
    pub fn tag(&self, tag: &str) -> Option<&TagReport> {
        self.tags.iter().find(|known| known.tag == tag)
    }

    pub(super) fn write(&self, to: &mut Dictionary<'static>) {
        to.push("created", self.created_s);
        to.push("created_us", i64::from(self.created_us));
        to.push("last signal", self.last_signal_s);
        let mut ssrcs = Dictionary::new();
        for ssrc in &self.ssrcs {
            ssrcs.push(ssrc.ssrc.to_string(), ssrc.dictionary());
        }
        to.push("SSRC", ssrcs);
        let mut tags = Dictionary::new();
        for tag in &self.tags {
            tags.push(tag.tag.clone(), tag.dictionary());
        }
        to.push("tags", tags);
        let mut totals = Dictionary::new();
        totals.push("RTP", self.rtp.dictionary());
        totals.push("RTCP", self.rtcp.dictionary());
        to.push("totals", totals);
    }
}

impl TagReport {
    fn read(key: &str, from: &Dictionary<'_>) -> Option<Self> {
        let text = |key: &str| from.text(key).map(str::to_owned);
        let media = from.value("medias").and_then(Value::list).unwrap_or(&[]);
        // Newer servers list subscriptions instead of the one dialogue.
        let listed = |key: &str, wanted: Hearing| {
            let list = from.value(key).and_then(Value::list).unwrap_or(&[]);
            let own = list.iter().filter_map(Value::dictionary);
            let own = own.filter(|own| Hearing::read(own) == wanted);
            let tags = own.filter_map(|own| own.text("tag"));
            tags.map(str::to_owned).collect::<Vec<_>>()
        };
        // Newer servers list subscriptions instead of the one dialogue.
        let other = || {
            listed("subscriptions", Hearing::Dialogue)
                .into_iter()
                .next()
        };
        Some(Self {
            tag: text("tag").unwrap_or_else(|| key.to_owned()),
            label: text("label"),
            created_s: from.number("created").unwrap_or(0),
            via_branch: text("via-branch"),
            in_dialogue_with: text("in dialogue with").or_else(other),
            subscriptions: listed("subscriptions", Hearing::Copies),
            subscribers: listed("subscribers", Hearing::Copies),
            media: media
                .iter()
                .filter_map(|medium| medium.dictionary().map(MediumReport::read))
                .collect(),
        })
    }

    fn dictionary(&self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("tag", self.tag.clone())
            .push_some("label", self.label.clone())
            .push("created", self.created_s)
            .push_some("via-branch", self.via_branch.clone())
            .push_some("in dialogue with", self.in_dialogue_with.clone());
        let list = |copies: &[String]| {
            let dialogue = self.in_dialogue_with.iter();
            let dialogue = dialogue.map(|tag| (tag, Hearing::Dialogue));
            let copies = copies.iter().map(|tag| (tag, Hearing::Copies));
            let entries = dialogue.chain(copies).map(|(tag, hearing)| {
                let mut entry = Dictionary::new();
                entry.push("tag", tag.clone()).push("type", hearing.name());
                Value::Dictionary(entry)
            });
            Value::List(entries.collect())
        };
        to.push("subscriptions", list(&self.subscriptions))
            .push("subscribers", list(&self.subscribers));
        let media = self.media.iter().map(|medium| medium.dictionary().into());
        to.push("medias", Value::List(media.collect()));
        to
    }
}

impl MediumReport {
    fn read(from: &Dictionary<'_>) -> Self {
        let text = |key: &str| from.text(key).map(str::to_owned);
        let streams = from.value("streams").and_then(Value::list).unwrap_or(&[]);
        let quality = from.value("tandem").and_then(Value::dictionary);
        Self {
            index: from.number("index").unwrap_or(0),
            kind: text("type").unwrap_or_default(),
            protocol: text("protocol").unwrap_or_default(),
            codec: text("codec"),
            flags: flags(from),
            streams: streams
                .iter()
                .filter_map(|stream| stream.dictionary().map(StreamReport::read))
                .collect(),
            quality: quality.map(Quality::read),
        }
    }

    fn dictionary(&self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("index", self.index)
            .push("type", self.kind.clone())
            .push("protocol", self.protocol.clone())
            .push_some("codec", self.codec.clone())
            .push("flags", Value::texts(self.flags.iter().cloned()));
        let streams = self.streams.iter().map(|stream| stream.dictionary().into());
        to.push("streams", Value::List(streams.collect()));
        to.push_some("tandem", self.quality.map(|quality| quality.dictionary()));
        to
    }
}

impl StreamReport {
    fn read(from: &Dictionary<'_>) -> Self {
        let endpoint = |key: &str| {
            from.value(key)
                .and_then(Value::dictionary)
                .and_then(endpoint)
        };
        Self {
            local_port: from.number("local port"),
            local_address: from.value("local address").and_then(Value::address),
            endpoint: endpoint("endpoint"),
            advertised: endpoint("advertised endpoint"),
            crypto_suite: from.text("crypto suite").map(str::to_owned),
            last_packet_s: from.number("last packet").unwrap_or(0),
            ssrc: from.number("SSRC"),
            flags: flags(from),
            counts: counts(from, "stats").unwrap_or_default(),
        }
    }

    fn dictionary(&self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        let family = |address: IpAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
        to.push_some("local port", self.local_port.map(i64::from))
            .push_some("local address", self.local_address.map(|a| a.to_string()))
            .push_some("family", self.local_address.map(family))
            .push_some("endpoint", self.endpoint.map(write_endpoint))
            .push_some("advertised endpoint", self.advertised.map(write_endpoint))
            .push_some("crypto suite", self.crypto_suite.clone())
            .push("last packet", self.last_packet_s)
            .push_some("SSRC", self.ssrc.map(i64::from))
            .push("flags", Value::texts(self.flags.iter().cloned()))
            .push("stats", self.counts.dictionary());
        to
    }
}

impl Quality {
    fn read(from: &Dictionary<'_>) -> Self {
        Self {
            lost: from.number("lost").unwrap_or(0),
            jitter_us: from.number("jitter us").unwrap_or(0),
            mos_centi: from.number("mos centi").unwrap_or(0),
            rtt_us: from.number("rtt us").unwrap_or(0),
            telephone_events: from.number("telephone events").unwrap_or(0),
        }
    }

    fn dictionary(self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("lost", self.lost)
            .push("jitter us", i64::from(self.jitter_us))
            .push("mos centi", i64::from(self.mos_centi))
            .push("rtt us", i64::from(self.rtt_us))
            .push("telephone events", self.telephone_events);
        to
    }
}

impl Ssrc {
    fn read((key, value): (&[u8], &Value<'_>)) -> Option<Self> {
        let own = value.dictionary()?;
        let average = own.value("average MOS")?.dictionary()?;
        let sample = |key: &str| own.value(key)?.dictionary().map(MosSample::read);
        let progression = own.value("MOS progression").and_then(Value::dictionary);
        let entries = progression.and_then(|progression| progression.value("entries")?.list());
        let entries = entries.unwrap_or(&[]).iter();
        let mean = MosSample::read(average);
        Some(Self {
            ssrc: str::from_utf8(key).ok()?.parse().ok()?,
            mos_deci: mean.mos_deci,
            rtt_us: mean.rtt_us,
            jitter_ms: mean.jitter_ms,
            loss_percent: mean.loss_percent,
            samples: average.number("samples").unwrap_or(0),
            lowest: sample("lowest MOS"),
            highest: sample("highest MOS"),
            progression: entries
                .filter_map(|entry| entry.dictionary().map(MosSample::read))
                .collect(),
            interval_s: progression.map_or(0, |p| p.number("interval").unwrap_or(0)),
        })
    }

    fn dictionary(&self) -> Dictionary<'static> {
        let mut average = MosSample {
            reported_s: 0,
            mos_deci: self.mos_deci,
            rtt_us: self.rtt_us,
            jitter_ms: self.jitter_ms,
            loss_percent: self.loss_percent,
        }
        .dictionary();
        average.push("samples", self.samples);
        let mut to = Dictionary::new();
        to.push("average MOS", average)
            .push_some("lowest MOS", self.lowest.map(MosSample::dictionary))
            .push_some("highest MOS", self.highest.map(MosSample::dictionary));
        if !self.progression.is_empty() {
            let entries = self
                .progression
                .iter()
                .map(|entry| entry.dictionary().into());
            let mut progression = Dictionary::new();
            progression
                .push("interval", self.interval_s)
                .push("entries", Value::List(entries.collect()));
            to.push("MOS progression", progression);
        }
        to
    }
}

impl MosSample {
    fn read(from: &Dictionary<'_>) -> Self {
        Self {
            reported_s: from.number("reported at").unwrap_or(0),
            mos_deci: from.number("MOS").unwrap_or(0),
            rtt_us: from.number("round-trip time").unwrap_or(0),
            jitter_ms: from.number("jitter").unwrap_or(0),
            loss_percent: from.number("packet loss").unwrap_or(0),
        }
    }

    fn dictionary(self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("MOS", i64::from(self.mos_deci))
            .push("round-trip time", i64::from(self.rtt_us))
            .push("jitter", i64::from(self.jitter_ms))
            .push("packet loss", i64::from(self.loss_percent));
        if self.reported_s > 0 {
            to.push("reported at", self.reported_s);
        }
        to
    }
}

impl Counts {
    fn dictionary(self) -> Dictionary<'static> {
        let mut to = Dictionary::new();
        to.push("packets", self.packets)
            .push("bytes", self.bytes)
            .push("errors", self.errors);
        to
    }
}

/// Why one participant hears another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// They talk with each other.
    Dialogue,
    /// It has subscribed.
    Copies,
}

impl Hearing {
    fn read(from: &Dictionary<'_>) -> Self {
        match from.text("type") {
            Some("pub/sub") => Self::Copies,
            _ => Self::Dialogue,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Dialogue => "offer/answer",
            Self::Copies => "pub/sub",
        }
    }
}

fn counts(from: &Dictionary<'_>, key: &str) -> Option<Counts> {
    let from = from.value(key)?.dictionary()?;
    Some(Counts {
        packets: from.number("packets").unwrap_or(0),
        bytes: from.number("bytes").unwrap_or(0),
        errors: from.number("errors").unwrap_or(0),
    })
}

fn flags(from: &Dictionary<'_>) -> Vec<String> {
    let list = from.value("flags").map(|list| list.words());
    list.into_iter().flatten().map(str::to_owned).collect()
}

fn endpoint(from: &Dictionary<'_>) -> Option<Endpoint> {
    let address = from.value("address")?.address()?;
    Some(Endpoint::new(address, from.number("port")?))
}

fn write_endpoint(endpoint: Endpoint) -> Dictionary<'static> {
    let mut to = Dictionary::new();
    let family = if endpoint.is_ipv4() { "IPv4" } else { "IPv6" };
    to.push("family", family)
        .push("address", endpoint.ip().to_string())
        .push("port", i64::from(endpoint.port()));
    to
}
