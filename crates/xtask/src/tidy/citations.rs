//! One form for citations, so that a search for a section finds all of them:
//! the document, a blank, and the section behind a section sign.

use super::Findings;
use super::files::File;

/// Finds sections of documents written in another form.
pub(crate) fn check(file: &File, findings: &mut Findings) {
    if !file.is_rust() {
        return;
    }
    for (number, line) in file.text.lines().enumerate() {
        let Some((_, comment)) = line.split_once("//") else {
            continue;
        };
        for citation in comment.split("RFC").skip(1) {
            if !is_well_formed(citation) {
                findings.problem_at(file, number + 1, "write a citation as `RFC 3261 §17.2.1`");
            }
        }
    }
}

/// Judges what follows the letters "RFC".
fn is_well_formed(after: &str) -> bool {
    let Some(rest) = after.strip_prefix(' ') else {
        // "RFCs", or the letters in a word: not a citation, unless a number follows directly.
        return !after
            .trim_start_matches(['-', '_'])
            .starts_with(|c: char| c.is_ascii_digit());
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return true;
    }
    let rest = rest[digits..]
        .trim_start_matches([',', ' '])
        .to_ascii_lowercase();
    let spelled = ["section", "sect.", "sec.", "chapter", "par.", "s."];
    !spelled.iter().any(|word| rest.starts_with(word)) && !rest.starts_with("§ ")
}

#[cfg(test)]
mod checks {
    use super::is_well_formed;

    #[test]
    fn only_the_section_sign_without_a_blank_is_accepted() {
        for good in [
            " 3261 §17.2.1.",
            " 3261",
            "s on SIP",
            " 4028: session timers",
        ] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in [
            "3261",
            "-3261",
            " 3261, section 17",
            " 3261 Section 17",
            " 3261 § 17",
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
