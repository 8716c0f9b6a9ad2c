//! Runs a target without libFuzzer: over its corpus, then over seeded mutations of it. The same
//! seed gives the same inputs everywhere.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Runs a target over every file of the given folders, seen from the root of the repository, and
/// over `executions` mutations.
///
/// # Panics
/// If the target does; the input is printed first, as a Rust byte string.
pub(crate) fn replay(folders: &[&str], executions: u64, target: impl Fn(&[u8])) {
    let corpus = load(folders);
    for (path, input) in &corpus {
        run(&target, input, &path.display().to_string());
    }
    let mut mutator = Mutator {
        state: SEED,
        corpus: corpus.into_iter().map(|(_, input)| input).collect(),
    };
    for execution in 0..executions {
        let input = mutator.input();
        run(&target, &input, &format!("mutation {execution}"));
    }
}

fn load(folders: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut corpus = Vec::new();
    for folder in folders {
        let before = corpus.len();
        let listed = std::fs::read_dir(root.join(folder)).expect("the corpus is there");
        for entry in listed {
            let path = entry.expect("the corpus can be listed").path();
            let input = std::fs::read(&path).expect("the corpus can be read");
            corpus.push((path, input));
        }
        assert!(corpus.len() > before, "{folder} is empty");
    }
    corpus.sort();
    corpus
}

fn run(target: &impl Fn(&[u8]), input: &[u8], name: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        eprintln!("{name}: b\"{}\"", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
}

impl Mutator {
    /// One to eight changes to an input of the corpus.
    fn input(&mut self) -> Vec<u8> {
        let pick = self.below(self.corpus.len());
        let mut input = self.corpus[pick].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut input);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(64) + 1);
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = BYTES[self.below(BYTES.len())],
            2 => drop(input.drain(at..end)),
            3 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            4 | 5 => {
                let word = WORDS[self.below(WORDS.len())];
                let end = if self.below(2) == 0 { at } else { end };
                input.splice(at..end, word.iter().copied());
            }
            6 => {
                let other = &self.corpus[self.state as usize % self.corpus.len()];
                let from = self.state as usize / 7 % (other.len() + 1);
                let tail = other[from..].to_vec();
                input.splice(at.., tail);
            }
            _ => input.truncate(at),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % bound
    }
}

/// Bytes that mean something to some parser.
const BYTES: &[u8] = b"\r\n\0\t \":;,=<>@[]()\\%?/*+-.0129azAZ\x7f\x80\xff";

/// Words that mean something to some parser.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\"",
    b"\\\"",
    b"<",
    b">;tag=",
    b"sip:",
    b"tel:",
    b"@[::1]:",
    b"SIP/2.0 ",
    b" SIP/2.0\r\n",
    b"Via: SIP/2.0/UDP ",
    b";branch=z9hG4bK",
    b";rport",
    b";received=",
    b"Content-Length: ",
    b"l:",
    b"0",
    b"-1",
    b"4294967296",
    b"18446744073709551616",
    b"99999999999999999999999",
    b"%00",
    b"Digest ",
    b"nonce=\"",
    b"m=audio ",
    b"c=IN IP6 ",
    b"a=rtpmap:",
    b"\xff\xff",
    b"\x80\xc8\x00\x06",
];

const SEED: u64 = 4475;
/// Longer mutations are cut: they cost time and find nothing that shorter ones do not.
const BYTES_MAX: usize = 4_096;
