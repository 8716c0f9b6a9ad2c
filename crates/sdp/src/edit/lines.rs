//! Attributes added and taken off, and transports changed.

use super::writer::Writer;
use crate::line::Line;

/// Such changes to one description.
#[derive(Clone, Debug, Default)]
pub(super) struct LineEdits {
    /// The new transport of a medium.
    protos: Vec<(usize, String)>,
    /// Names of attributes that go from a medium.
    stripped: Vec<(usize, &'static [&'static str])>,
    /// Attributes added to a medium, or to the session part.
    added: Vec<(Option<usize>, String)>,
}

impl LineEdits {
    pub(super) fn set_proto(&mut self, index: usize, proto: &str) {
        self.protos.retain(|(known, _)| *known != index);
        self.protos.push((index, proto.into()));
    }

    pub(super) fn strip(&mut self, index: usize, names: &'static [&'static str]) {
        self.stripped.push((index, names));
    }

    pub(super) fn add(&mut self, index: Option<usize>, attribute: String) {
        self.added.push((index, attribute));
    }

    pub(super) fn add_once(&mut self, attribute: String) {
        let line = (None, attribute);
        if !self.added.contains(&line) {
            self.added.push(line);
        }
    }

    pub(super) fn proto(&self, index: usize) -> Option<&str> {
        let mut protos = self.protos.iter();
        let found = protos.find(|(known, _)| *known == index)?;
        Some(&found.1)
    }

    /// Whether a line of a medium goes.
    pub(super) fn strips(&self, index: usize, bytes: &[u8], line: Line) -> bool {
        let mut stripped = self.stripped.iter();
        stripped.any(|(known, names)| *known == index && is_one_of(names, bytes, line))
    }

    /// Whether a line of the session part goes.
    pub(super) fn strips_from_session(&self, bytes: &[u8], line: Line) -> bool {
        let mut stripped = self.stripped.iter();
        stripped.any(|(_, names)| is_one_of(names, bytes, line))
    }

    pub(super) fn write_added(&self, writer: &mut Writer<'_>, index: Option<usize>) {
        for (known, attribute) in &self.added {
            if *known == index {
                writer.line(format_args!("a={attribute}"));
            }
        }
    }
}

fn is_one_of(names: &[&str], bytes: &[u8], line: Line) -> bool {
    let mut names = names.iter();
    names.any(|name| line.attribute(bytes, name.as_bytes()).is_some())
}
