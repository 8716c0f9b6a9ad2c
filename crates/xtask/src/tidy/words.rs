//! Words that say a thing is not finished do not stand in finished code.

use super::Findings;
use super::files::File;

/// Looks for them in code, scripts and documents.
pub(crate) fn check(file: &File, findings: &mut Findings) {
    if file.path == OURSELVES || LEFT_OUT.iter().any(|end| file.path.ends_with(end)) {
        return;
    }
    for (number, line) in file.text.lines().enumerate() {
        for word in WORDS.iter().filter(|word| holds_word(line, word)) {
            findings.problem_at(file, number + 1, &format!("\"{word}\" must not stay"));
        }
    }
}

/// Whether the word stands in the line, not as part of a longer one or of a name with hyphens.
fn holds_word(line: &str, word: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || c == '-';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(goes_on) && !after.is_some_and(goes_on)
    })
}

const WORDS: &[&str] = &[
    "TODO",
    "FIXME",
    "XXX",
    "HACK",
    "placeholder",
    "for now",
    "todo!",
    "unimplemented!",
];

/// This file has to name them.
const OURSELVES: &str = "crates/xtask/src/tidy/words.rs";

/// Other people's text.
const LEFT_OUT: &[&str] = &["Cargo.lock", "LICENSE"];

#[cfg(test)]
mod checks {
    use super::holds_word;

    #[test]
    fn parts_of_longer_words_do_not_count() {
        assert!(holds_word("// TODO: later", "TODO"));
        assert!(!holds_word("sip:+1-XXXX@host", "XXX"));
        assert!(!holds_word("wait for nowhere", "for now"));
        assert!(!holds_word("'--color-placeholder': 'grey'", "placeholder"));
    }
}
