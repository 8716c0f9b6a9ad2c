//! What differs between two descriptions, line by line.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of one of two descriptions, or of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SdpLine {
    /// What became of it.
    pub change: LineChange,
    /// The line.
    pub text: String,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineChange {
    /// It is in both.
    Same,
    /// It is in the first alone.
    Gone,
    /// It is in the second alone.
    New,
}

/// What became of the lines of `before` in `after`, by their longest common subsequence; lines beyond
/// 400 are passed over.
#[must_use]
pub fn changes(before: &str, after: &str) -> Vec<SdpLine> {
    let lines = |text| -> Vec<&str> { str::lines(text).take(LINES_MAX).collect() };
    let (before, after) = (lines(before), lines(after));
    let width = after.len() + 1;
    // common[a * width + b]: how many lines before[a..] and after[b..] have in common.
    let mut common = vec![0_u16; (before.len() + 1) * width];
    for a in (0..before.len()).rev() {
        for b in (0..after.len()).rev() {
            common[a * width + b] = match before[a] == after[b] {
                true => common[(a + 1) * width + b + 1] + 1,
                false => common[(a + 1) * width + b].max(common[a * width + b + 1]),
            };
        }
    }
    let mut found = Vec::with_capacity(before.len() + after.len());
    let (mut a, mut b) = (0, 0);
    while a < before.len() || b < after.len() {
        let both = a < before.len() && b < after.len();
        let (change, text) = if both && before[a] == after[b] {
            (a, b) = (a + 1, b + 1);
            (LineChange::Same, before[a - 1])
        } else if b == after.len()
            || both && common[(a + 1) * width + b] >= common[a * width + b + 1]
        {
            a += 1;
            (LineChange::Gone, before[a - 1])
        } else {
            b += 1;
            (LineChange::New, after[b - 1])
        };
        found.push(SdpLine {
            change,
            text: text.to_owned(),
        });
    }
    found
}

/// Lines of one description that are compared.
const LINES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_go_stand_before_those_that_come() {
        let found = changes(
            "v=0\r\nc=IN IP4 1.1.1.1\r\nm=audio 1\r\n",
            "v=0\nc=IN IP4 2.2.2.2\nm=audio 1\na=x",
        );
        let signs: String = found
            .iter()
            .map(|line| match line.change {
                LineChange::Same => format!(" {}", line.text),
                LineChange::Gone => format!("-{}", line.text),
                LineChange::New => format!("+{}", line.text),
            })
            .collect::<Vec<_>>()
            .join("|");
        assert_eq!(
            signs,
            " v=0|-c=IN IP4 1.1.1.1|+c=IN IP4 2.2.2.2| m=audio 1|+a=x"
        );
        assert!(changes("", "").is_empty());
    }
}
