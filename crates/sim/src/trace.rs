//! The readable log of a run.

use clock::Time;
use sip::Message;
use switch::JournalEvent;

/// Lines of a run; nothing is kept, nor even made, while it is off.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
    start: Time,
}

impl Trace {
    pub(crate) fn new(keep: crate::Keep, start: Time) -> Self {
        let lines = (keep == crate::Keep::Trace).then(Vec::new);
        Self { lines, start }
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    pub(crate) fn line(&mut self, now: Time, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let since = now.since(self.start);
            lines.push(format!("{:9.3}  {}", since.as_secs_f64(), text()));
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// A message in one line: its first words, CSeq, tags and Call-ID.
pub(crate) fn summary(message: &Message) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let first = if message.is_request() {
        format!("{} {}", text(message.method_text()), text(message.uri()))
    } else {
        format!("{} {}", message.status(), text(message.reason()))
    };
    let cseq = message.cseq();
    let tag = |a: Result<sip::NameAddr<'_>, sip::AddressError>| {
        a.ok()
            .and_then(|a| a.tag().map(text))
            .unwrap_or_else(|| "-".into())
    };
    format!(
        "{first}  [{} {} from {} to {} {}]{}",
        cseq.as_ref().map_or(0, |c| c.number),
        cseq.map_or_else(String::new, |c| text(c.method_text)),
        tag(message.from()),
        tag(message.to()),
        text(message.call_id().unwrap_or_default()),
        if message.sdp().is_some() { " sdp" } else { "" },
    )
}

/// A journal entry in one line.
pub(crate) fn entry(event: &JournalEvent) -> String {
    match event {
        JournalEvent::Opened(o) => format!("opened {} {} -> {}", o.call, o.caller, o.called),
        JournalEvent::Answered { call, .. } => format!("answered {call}"),
        JournalEvent::Left { call } => format!("left {call} to another node"),
        JournalEvent::Closed(cdr) => format!(
            "closed {} {:?} {} by {:?}: {}",
            cdr.call, cdr.outcome, cdr.status, cdr.ended_by, cdr.reason
        ),
    }
}
