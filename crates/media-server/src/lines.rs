//! Changes to a description's own words that no media depends on: attributes by name, `a=rtcp`,
//! `a=mid`, the number of codecs in an answer.

use ng::options::{AttributeChange, AttributePlace};
use ng::{Flag, Options};
use sdp::{Description, Format, Kind, Recode};

use crate::wishes::Of;

/// Whether the other side was given names for media that their author has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mids {
    Ours,
    Theirs,
}

/// The description as the request wants it; `mids` says whose names the media of the offer had.
pub(crate) fn rewrite(sdp: Vec<u8>, asked: &Options, of: Of, mids: Mids) -> Vec<u8> {
    let flags = &asked.flags;
    let single = of == Of::Answer && flags.contains(Flag::SingleCodec);
    let sdp = if single { with_one_codec(sdp) } else { sdp };
    let takes_mids = of == Of::Answer && mids == Mids::Ours;
    let plain = asked.attributes.is_empty()
        && !takes_mids
        && !WORDED.iter().any(|flag| flags.contains(*flag));
    if plain {
        return sdp;
    }
    let mut text = Text::read(&sdp);
    if flags.contains(Flag::Inactive) {
        let change = AttributeChange::Substitute("sendonly".into(), "inactive".into());
        text.each_medium(|part| part.change(&change));
    }
    if flags.contains(Flag::GenerateMid) && of == Of::Offer {
        text.name_media();
    }
    if takes_mids {
        text.session
            .change(&AttributeChange::Remove("group:".into()));
        text.each_medium(|part| part.change(&AttributeChange::Remove("mid:".into())));
    }
    if flags.contains(Flag::NoRtcpAttribute) {
        text.each_medium(|part| part.change(&AttributeChange::Remove("rtcp:".into())));
    } else if flags.contains(Flag::FullRtcpAttribute) {
        text.write_rtcp();
    }
    for (place, change) in asked.attributes.changes() {
        text.change(place, change);
    }
    text.write()
}

/// A description whose media have their numbers as labels (RFC 4574), as [`label_of`] says them.
pub(crate) fn labelled(sdp: &[u8]) -> Vec<u8> {
    let mut text = Text::read(sdp);
    for (index, part) in text.media.iter_mut().enumerate() {
        part.change(&AttributeChange::Remove("label:".into()));
        part.lines.push(format!("a=label:{}", label_of(index)));
    }
    text.write()
}

/// The label of a medium, from 0.
pub(crate) fn label_of(index: usize) -> String {
    (index + 1).to_string()
}

/// Whether an offer has names for its media.
pub(crate) fn has_mids(sdp: &[u8]) -> bool {
    Description::parse(sdp)
        .is_ok_and(|description| description.media().any(|m| m.attribute("mid").is_some()))
}

/// Each audio medium with its first codec alone, and the events and noise that go with it.
fn with_one_codec(sdp: Vec<u8>) -> Vec<u8> {
    let Ok(description) = Description::parse(&sdp) else {
        return sdp;
    };
    let mut changes = Vec::new();
    for media in description.media().filter(|m| m.kind() == Kind::Audio) {
        let is_supplement =
            |codec: &sdp::Codec<'_>| ["telephone-event", "CN"].iter().any(|name| codec.is(name));
        let mut speech = 0;
        let kept = media.codecs().filter(|codec| {
            speech += usize::from(!is_supplement(codec));
            is_supplement(codec) || speech == 1
        });
        changes.push(Recode {
            index: media.index(),
            formats: kept.map(|codec| Format::Kept(codec.payload_type)).collect(),
            ptime_ms: None,
        });
    }
    sdp::recode(&description, &changes)
}

/// A description, line by line, without line ends.
struct Text {
    session: Part,
    media: Vec<Part>,
}

#[derive(Default)]
struct Part {
    lines: Vec<String>,
}

impl Text {
    fn read(sdp: &[u8]) -> Self {
        let mut text = Self {
            session: Part::default(),
            media: Vec::new(),
        };
        for line in String::from_utf8_lossy(sdp).lines() {
            if line.starts_with("m=") {
                text.media.push(Part::default());
            }
            let part = text.media.last_mut().unwrap_or(&mut text.session);
            part.lines.push(line.to_owned());
        }
        text
    }

    fn write(&self) -> Vec<u8> {
        let parts = std::iter::once(&self.session).chain(&self.media);
        let lines = parts.flat_map(|part| &part.lines);
        let mut out = Vec::new();
        for line in lines {
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    fn each_medium(&mut self, change: impl Fn(&mut Part)) {
        self.media.iter_mut().for_each(change);
    }

    fn change(&mut self, place: AttributePlace, change: &AttributeChange) {
        let kind = match place {
            AttributePlace::Session => return self.session.change(change),
            AttributePlace::Audio => "m=audio ",
            AttributePlace::Video => "m=video ",
        };
        let media = self.media.iter_mut();
        let of_kind = media.filter(|part| part.lines[0].starts_with(kind));
        of_kind.for_each(|part| part.change(change));
    }

    /// Gives each medium without a name its number.
    fn name_media(&mut self) {
        for (index, part) in self.media.iter_mut().enumerate() {
            if part.value("mid:").is_none() {
                part.lines.push(format!("a=mid:{}", index + 1));
            }
        }
    }

    /// Writes `a=rtcp` with the address (RFC 3605), also where the port goes without saying.
    fn write_rtcp(&mut self) {
        let session = self.session.connection();
        for part in &mut self.media {
            let address = part.connection().or_else(|| session.clone());
            let port = part.value("rtcp:").map(str::to_owned);
            let port = port.or_else(|| part.next_port());
            let (Some(address), Some(port)) = (address, port) else {
                continue;
            };
            let port = port.split(' ').next().unwrap_or_default();
            let full = format!("rtcp:{port} {address}");
            part.change(&AttributeChange::Remove("rtcp:".into()));
            part.lines.push(format!("a={full}"));
        }
    }
}

impl Part {
    fn change(&mut self, change: &AttributeChange) {
        match change {
            AttributeChange::Add(attribute) => {
                let line = format!("a={attribute}");
                if !self.lines.contains(&line) {
                    self.lines.push(line);
                }
            }
            AttributeChange::Remove(attribute) => {
                self.lines.retain(|line| !means(attribute, line));
            }
            AttributeChange::Substitute(from, to) => {
                for line in &mut self.lines {
                    if means(from, line) {
                        *line = format!("a={to}");
                    }
                }
            }
        }
    }

    /// The value of an attribute, named with its colon.
    fn value(&self, name: &str) -> Option<&str> {
        let mut attributes = self.lines.iter().filter_map(|line| line.strip_prefix("a="));
        attributes.find_map(|attribute| attribute.strip_prefix(name))
    }

    fn connection(&self) -> Option<String> {
        let mut lines = self.lines.iter();
        lines.find_map(|line| line.strip_prefix("c=").map(str::to_owned))
    }

    /// One above the port of the medium; `None` if it is refused.
    fn next_port(&self) -> Option<String> {
        let port: u16 = self.lines.first()?.split(' ').nth(1)?.parse().ok()?;
        (port != 0).then(|| (port + 1).to_string())
    }
}

/// Whether an attribute is named by a line: as it is, by its beginning up to a word's end, or with a
/// colon at its end whatever its value.
fn means(attribute: &str, line: &str) -> bool {
    let rest = line
        .strip_prefix("a=")
        .and_then(|line| line.strip_prefix(attribute));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ') || attribute.ends_with(':'))
}

/// Flags that change words alone.
const WORDED: [Flag; 4] = [
    Flag::Inactive,
    Flag::GenerateMid,
    Flag::NoRtcpAttribute,
    Flag::FullRtcpAttribute,
];

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        a=sendrecv\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=ssrc:1 cname:a\r\na=ssrc:12 cname:b\r\na=rtcp:4001\r\nm=video 4002 RTP/AVP 96\r\n\
        a=rtpmap:96 VP8/90000\r\n";

    fn rewritten(asked: &Options, of: Of, mids: Mids) -> String {
        String::from_utf8(rewrite(SDP.into(), asked, of, mids)).expect("text")
    }

    fn flag(flag: Flag) -> Options {
        let mut options = Options::default();
        options.flags.insert(flag);
        options
    }

    #[test]
    fn attributes_are_added_taken_off_and_replaced_where_they_are_meant() {
        use AttributeChange::{Add, Remove, Substitute};
        let mut asked = Options::default();
        asked
            .attributes
            .push(AttributePlace::Audio, Remove("ssrc:1".into()))
            .push(AttributePlace::Audio, Add("ptime:30".into()))
            .push(AttributePlace::Audio, Add("ptime:30".into()))
            .push(AttributePlace::Video, Remove("rtpmap:".into()))
            .push(
                AttributePlace::Session,
                Substitute("sendrecv".into(), "sendonly".into()),
            );
        let out = rewritten(&asked, Of::Offer, Mids::Theirs);
        assert!(out.contains("t=0 0\r\na=sendonly\r\nm=audio"), "{out}");
        assert!(!out.contains("ssrc:1 "), "{out}");
        assert!(out.contains("ssrc:12 "), "{out}");
        assert_eq!(out.matches("a=ptime:30\r\n").count(), 1, "{out}");
        assert!(out.ends_with("m=video 4002 RTP/AVP 96\r\n"), "{out}");
        assert_eq!(rewritten(&Options::default(), Of::Offer, Mids::Theirs), SDP);
    }

    #[test]
    fn rtcp_is_written_in_full_or_not_at_all() {
        let none = rewritten(&flag(Flag::NoRtcpAttribute), Of::Offer, Mids::Theirs);
        assert!(!none.contains("a=rtcp:"), "{none}");
        let full = rewritten(&flag(Flag::FullRtcpAttribute), Of::Offer, Mids::Theirs);
        assert!(full.contains("a=rtcp:4001 IN IP4 192.0.2.1\r\n"), "{full}");
        assert!(full.contains("a=rtcp:4003 IN IP4 192.0.2.1\r\n"), "{full}");
    }

    #[test]
    fn media_get_names_that_the_answer_does_not_give_back() {
        let offer = rewritten(&flag(Flag::GenerateMid), Of::Offer, Mids::Theirs);
        assert!(offer.contains("a=mid:1\r\nm=video"), "{offer}");
        assert!(offer.ends_with("a=mid:2\r\n"), "{offer}");
        assert!(has_mids(offer.as_bytes()) && !has_mids(SDP.as_bytes()));
        let answer = rewrite(
            offer.into_bytes(),
            &Options::default(),
            Of::Answer,
            Mids::Ours,
        );
        assert_eq!(String::from_utf8(answer).expect("text"), SDP);
    }

    #[test]
    fn an_answer_may_have_one_codec_and_its_events() {
        let answer = rewritten(&flag(Flag::SingleCodec), Of::Answer, Mids::Theirs);
        assert!(
            answer.contains("m=audio 4000 RTP/AVP 8 101\r\n"),
            "{answer}"
        );
        assert_eq!(
            rewritten(&flag(Flag::SingleCodec), Of::Offer, Mids::Theirs),
            SDP
        );
    }
}
