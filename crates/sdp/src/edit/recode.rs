//! Writing a copy in which RTP media have other formats; all lines that do not speak of formats
//! stay as they came.

use super::writer::{Writer, line_end};
use crate::Description;
use crate::line::{Line, number};

/// Other formats for one medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recode {
    /// Which medium, counted from 0.
    pub index: usize,
    /// All its formats, best first.
    pub formats: Vec<Format>,
    /// Milliseconds of media per packet to ask for; `None`: as it came.
    pub ptime_ms: Option<u32>,
}

/// A format of an RTP medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// As it is there, by its payload type.
    Kept(u8),
    /// In the place of whatever this payload type was.
    New {
        /// The payload type.
        payload_type: u8,
        /// The value of `a=rtpmap` without it: `opus/48000/2`.
        rtpmap: String,
        /// The value of `a=fmtp` without it.
        fmtp: Option<String>,
    },
}

impl Format {
    /// Its payload type.
    #[must_use]
    pub const fn payload_type(&self) -> u8 {
        match self {
            Self::Kept(payload_type) | Self::New { payload_type, .. } => *payload_type,
        }
    }
}

/// Writes the copy. Changes of media that are not there are left out, and so are those that would
/// leave a medium without formats.
#[must_use]
pub fn recode(description: &Description<'_>, changes: &[Recode]) -> Vec<u8> {
    let bytes = description.as_bytes();
    let mut out = Vec::with_capacity(bytes.len() + SPARE_BYTES);
    let mut writer = Writer {
        out: &mut out,
        bytes,
        end: line_end(bytes),
    };
    let lines = description.lines();
    for (at, line) in description.session_lines().iter().enumerate() {
        writer.keep(*line, lines.get(at + 1));
    }
    for index in 0..description.media_count() {
        let mut changes = changes.iter();
        let change = changes.find(|change| change.index == index && !change.formats.is_empty());
        write_section(&mut writer, description, index, change);
    }
    out
}

fn write_section(
    writer: &mut Writer<'_>,
    description: &Description<'_>,
    index: usize,
    change: Option<&Recode>,
) {
    let section = description.section(index);
    let first = usize::from(section.lines.start);
    for (offset, line) in description.section_lines(index).iter().enumerate() {
        let next = description.lines().get(first + offset + 1);
        match change {
            Some(change) if offset == 0 => {
                let before = usize::from(line.start)..usize::from(section.formats.start);
                writer.text(&writer.bytes[before]);
                for format in &change.formats {
                    writer.print(format_args!(" {}", format.payload_type()));
                }
                writer.line_end();
            }
            Some(change) if drops(change, writer.bytes, *line) => {}
            _ => writer.keep(*line, next),
        }
    }
    if let Some(change) = change {
        write_new(writer, change);
    }
}

/// Whether a line speaks of a format that is not kept, or of a packet time that is replaced.
fn drops(change: &Recode, bytes: &[u8], line: Line) -> bool {
    let timed = change.ptime_ms.is_some();
    if timed
        && ["ptime", "maxptime"]
            .iter()
            .any(|n| line.attribute(bytes, n.as_bytes()).is_some())
    {
        return true;
    }
    let mut values = OF_FORMATS
        .iter()
        .filter_map(|name| line.attribute(bytes, name.as_bytes()));
    let Some(value) = values.next() else {
        return false;
    };
    let word = value.split(|b| *b == b' ').next().unwrap_or_default();
    // `a=rtcp-fb:*` speaks of all.
    number::<u8>(word).is_some_and(|named| !change.formats.contains(&Format::Kept(named)))
}

fn write_new(writer: &mut Writer<'_>, change: &Recode) {
    for format in &change.formats {
        if let Format::New {
            payload_type,
            rtpmap,
            fmtp,
        } = format
        {
            writer.line(format_args!("a=rtpmap:{payload_type} {rtpmap}"));
            if let Some(fmtp) = fmtp {
                writer.line(format_args!("a=fmtp:{payload_type} {fmtp}"));
            }
        }
    }
    if let Some(ptime_ms) = change.ptime_ms {
        writer.line(format_args!("a=ptime:{ptime_ms}"));
    }
}

/// Attributes that begin with a payload type.
const OF_FORMATS: [&str; 3] = ["rtpmap", "fmtp", "rtcp-fb"];
/// Room for a few added lines.
const SPARE_BYTES: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &[u8] = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 8 96 101\r\na=rtpmap:8 PCMA/8000\r\na=mid:0\r\n\
        a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=ptime:20\r\na=sendrecv\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";

    fn recoded(formats: Vec<Format>, ptime_ms: Option<u32>) -> String {
        let description = Description::parse(OFFER).expect("a description");
        let change = Recode {
            index: 0,
            formats,
            ptime_ms,
        };
        String::from_utf8(recode(&description, &[change])).expect("text")
    }

    #[test]
    fn formats_go_with_their_lines_and_the_rest_stays() {
        let out = recoded(vec![Format::Kept(101), Format::Kept(8)], None);
        let audio = "m=audio 4000 RTP/AVP 101 8\r\na=rtpmap:8 PCMA/8000\r\na=mid:0\r\n\
            a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n";
        assert!(out.contains(audio), "{out}");
        assert!(out.ends_with("m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"));
    }

    #[test]
    fn new_formats_and_times_stand_at_the_end_of_the_section() {
        let new = Format::New {
            payload_type: 96,
            rtpmap: "G722/8000".to_owned(),
            fmtp: Some("x=1".to_owned()),
        };
        let out = recoded(vec![new, Format::Kept(8)], Some(30));
        let audio = "m=audio 4000 RTP/AVP 96 8\r\na=rtpmap:8 PCMA/8000\r\na=mid:0\r\n\
            a=sendrecv\r\na=rtpmap:96 G722/8000\r\na=fmtp:96 x=1\r\na=ptime:30\r\nm=video";
        assert!(out.contains(audio), "{out}");
    }

    #[test]
    fn a_medium_is_never_left_without_formats() {
        assert_eq!(recoded(Vec::new(), None).as_bytes(), OFFER);
    }
}
