//! What this node was called in its cluster, with each start: whoever starts in its data directory
//! knows that those are gone, though nobody else may.

use anyhow::Result;

use crate::data::Data;

/// The names since the last time that nothing was left open, the present one included.
#[derive(Debug)]
pub(crate) struct Starts {
    data: Data,
    /// Those before this start.
    earlier: Vec<String>,
    /// That of this start, and those it took after it was taken for dead.
    present: Vec<String>,
}

impl Starts {
    /// As they are noted in the data directory.
    pub(crate) fn read(data: &Data) -> Self {
        Self {
            data: data.clone(),
            earlier: data.read(NAME).unwrap_or_default(),
            present: Vec::new(),
        }
    }

    /// Those before this start.
    pub(crate) fn earlier(&self) -> &[String] {
        &self.earlier
    }

    /// From now on it is called so.
    pub(crate) fn begin(&mut self, id: &str) -> Result<()> {
        self.present.push(id.to_owned());
        self.write()
    }

    /// Nothing is left open of the earlier ones.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.earlier.clear();
        self.write()
    }

    fn write(&mut self) -> Result<()> {
        let surplus = self.earlier.len().saturating_sub(EARLIER_MAX);
        self.earlier.drain(..surplus);
        let all: Vec<&String> = self.earlier.iter().chain(&self.present).collect();
        self.data.write(NAME, &all)
    }
}

/// The file.
const NAME: &str = "starts.json";
/// Starts that are remembered while none of them could settle what the one before had left open.
const EARLIER_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_starts_knows_what_was_before_until_it_is_settled() {
        let directory = tempfile::tempdir().unwrap();
        let data = Data::open(directory.path()).unwrap();
        let start = |id: &str| {
            let mut starts = Starts::read(&data);
            starts.begin(id).unwrap();
            starts
        };
        assert_eq!(start("a-1").earlier(), [""; 0]);
        start("a-2").begin("a-3").unwrap();
        let mut third = start("a-4");
        assert_eq!(third.earlier(), ["a-1", "a-2", "a-3"]);
        third.settle().unwrap();
        assert_eq!(start("a-5").earlier(), ["a-4"]);
    }
}
