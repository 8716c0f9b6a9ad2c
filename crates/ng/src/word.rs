//! Names as the field writes them: with spaces, hyphens or underscores, in either case.

use std::marker::PhantomData;

/// Whether two names are the same but for case and the separator of their words.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| normal(*a) == normal(*b))
}

/// The rest of a name behind a prefix of whole words: `codec-strip` of `codec strip-PCMA`.
pub(crate) fn after<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = name.as_bytes().split_at_checked(prefix.len())?;
    let (separator, rest) = tail.split_first()?;
    let fits = same(head, prefix.as_bytes()) && normal(*separator) == b'-' && !rest.is_empty();
    // The prefix is ASCII, and so is the separator: a character begins behind it.
    fits.then(|| &name[prefix.len() + 1..])
}

fn normal(byte: u8) -> u8 {
    match byte {
        b' ' | b'_' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

/// An enumeration of words. The first spelling is the one that is written; all are read in either
/// case and with any separator.
macro_rules! words {
    (
        $(#[$doc:meta])* $name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that is written for it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// What a word stands for, in any of its spellings.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                let name = name.as_bytes();
                let same = |word: &str| $crate::word::same(name, word.as_bytes());
                $(
                    if same($word) $(|| same($alias))* {
                        return Some(Self::$variant);
                    }
                )+
                None
            }
        }

        impl $crate::word::Word for $name {
            const ALL: &'static [Self] = Self::ALL;

            fn place(self) -> u32 {
                self as u32
            }
        }
    };
}
pub(crate) use words;

/// An enumeration of at most 128 words.
pub trait Word: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// Which of them it is, from 0.
    fn place(self) -> u32;
}

/// Words of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Set<W> {
    bits: u128,
    word: PhantomData<W>,
}

impl<W: Word> Set<W> {
    /// Adds one.
    pub fn insert(&mut self, word: W) -> &mut Self {
        self.bits |= 1 << word.place();
        self
    }

    /// Takes one off.
    pub fn remove(&mut self, word: W) -> &mut Self {
        self.bits &= !(1 << word.place());
        self
    }

    /// Whether it is in.
    #[must_use]
    pub fn contains(&self, word: W) -> bool {
        self.bits & (1 << word.place()) != 0
    }

    /// Whether nothing is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bits == 0
    }

    /// Those in it, in the order of the enumeration.
    pub fn iter(&self) -> impl Iterator<Item = W> {
        let bits = self.bits;
        let words = W::ALL.iter().copied();
        words.filter(move |word| bits & (1 << word.place()) != 0)
    }
}

impl<W> Default for Set<W> {
    fn default() -> Self {
        Self {
            bits: 0,
            word: PhantomData,
        }
    }
}

impl<W: Word> FromIterator<W> for Set<W> {
    fn from_iter<I: IntoIterator<Item = W>>(words: I) -> Self {
        let mut set = Self::default();
        for word in words {
            set.insert(word);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_one_word() {
        assert!(same(b"transport protocol", b"transport-protocol"));
        assert!(same(b"Transport_Protocol", b"transport-protocol"));
        assert!(!same(b"transportprotocol", b"transport-protocol"));
    }

    #[test]
    fn a_prefix_ends_at_a_separator() {
        assert_eq!(after("codec-strip-PCMA", "codec strip"), Some("PCMA"));
        assert_eq!(after("codec strip PCMA", "codec-strip"), Some("PCMA"));
        assert_eq!(after("codec-stripPCMA", "codec-strip"), None);
        assert_eq!(after("codec-strip-", "codec-strip"), None);
        assert_eq!(after("codec-strip", "codec-strip"), None);
        assert_eq!(after("SDES-no-é", "SDES-no"), Some("é"));
    }
}
