//! Results: medians, ranges, and a table of them.

use std::fmt;

/// The figures of several runs of one thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    values: Vec<f64>,
}

impl Series {
    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
        self.values.sort_by(f64::total_cmp);
    }

    /// The middle one; 0 without any.
    pub(crate) fn median(&self) -> f64 {
        let count = self.values.len();
        match (self.values.get(count / 2), count % 2) {
            (None, _) => 0.0,
            (Some(middle), 1) => *middle,
            (Some(above), _) => (self.values[count / 2 - 1] + above) / 2.0,
        }
    }
}

/// Median and range: `178.2 [164.0-181.3]`; a dash without any.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.values.first(), self.values.last()) {
            (Some(least), Some(most)) if self.values.len() > 1 => {
                write!(f, "{:.1} [{least:.1}-{most:.1}]", self.median())
            }
            (None, _) => f.write_str("-"),
            _ => write!(f, "{:.1}", self.median()),
        }
    }
}

/// A comparison on one line.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The work, and the unit of the figures.
    pub(crate) work: String,
    pub(crate) peer: Series,
    pub(crate) ours: Series,
    /// What else was seen: losses, repetitions.
    pub(crate) remarks: String,
}

impl Row {
    /// Of one figure of each side.
    pub(crate) fn of(work: &str, peer: f64, ours: f64) -> Self {
        let mut row = Self {
            work: work.to_owned(),
            peer: Series::default(),
            ours: Series::default(),
            remarks: String::new(),
        };
        row.peer.push(peer);
        row.ours.push(ours);
        row
    }
}

/// A titled table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What the peer is and how it is configured.
    pub(crate) peer: String,
    pub(crate) rows: Vec<Row>,
}

/// As Markdown, which reads well on a terminal too.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\nPeer: {}\n", self.title, self.peer)?;
        writeln!(f, "| Work | Peer | Tandem | Ratio | Remarks |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for Row {
            work,
            peer,
            ours,
            remarks,
        } in &self.rows
        {
            let ratio = match (peer.median(), ours.median()) {
                (peer, ours) if peer > 0.0 && ours > 0.0 => format!("{:.2}", ours / peer),
                _ => "-".to_owned(),
            };
            writeln!(f, "| {work} | {peer} | {ours} | {ratio} | {remarks} |")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_shows_median_and_range() {
        let mut series = Series::default();
        for value in [3.0, 1.0, 2.0, 10.0] {
            series.push(value);
        }
        assert_eq!(series.to_string(), "2.5 [1.0-10.0]");
    }
}
