//! Longest-prefix match over digits.

/// Maps prefixes to values. Nodes are 12 bytes and the children of one stand side by side, so
/// that 100,000 prefixes take a few megabytes and a look-up touches one node per digit.
#[derive(Clone, Debug)]
pub struct Trie<T> {
    nodes: Vec<Node>,
    values: Vec<T>,
}

impl<T> Trie<T> {
    /// Builds from prefixes of the digits 0 to 9, the empty one included, in any order. Of
    /// equal prefixes the last counts; those with other characters are left out.
    #[must_use]
    pub fn build(prefixes: impl IntoIterator<Item = (String, T)>) -> Self {
        let digits_only = |(prefix, _): &(String, T)| prefix.bytes().all(|b| b.is_ascii_digit());
        let mut sorted: Vec<(String, T)> = prefixes.into_iter().filter(digits_only).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut keys: Vec<String> = Vec::with_capacity(sorted.len());
        let mut values: Vec<T> = Vec::with_capacity(sorted.len());
        for (key, value) in sorted {
            if keys.last() == Some(&key) {
                values.pop();
            } else {
                keys.push(key);
            }
            values.push(value);
        }
        Self {
            nodes: link(&keys),
            values,
        }
    }

    /// The value of the longest prefix of `digits`, and the prefix's length. Stops at the first
    /// character that is no digit.
    #[must_use]
    pub fn longest(&self, digits: &str) -> Option<(usize, &T)> {
        let mut node = self.nodes.first()?;
        let mut best = node.value;
        let mut length = 0;
        for (depth, byte) in digits.bytes().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            let Some(child) = node.child(digit) else {
                break;
            };
            node = &self.nodes[child];
            if node.value != NONE {
                best = node.value;
                length = depth + 1;
            }
        }
        self.values.get(best as usize).map(|value| (length, value))
    }

    /// How many prefixes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where its children begin.
    children: u32,
    /// Index of its value, or [`NONE`].
    value: u32,
    /// Which digits have a child, one bit each.
    digits: u16,
}

impl Node {
    const EMPTY: Self = Self {
        children: 0,
        value: NONE,
        digits: 0,
    };

    fn child(&self, digit: u8) -> Option<usize> {
        if digit > 9 || self.digits & (1 << digit) == 0 {
            return None;
        }
        let before = self.digits & ((1 << digit) - 1);
        Some(self.children as usize + before.count_ones() as usize)
    }
}

/// Builds the nodes over sorted keys without repetitions; key `i` gets value `i`.
fn link(keys: &[String]) -> Vec<Node> {
    let mut nodes = vec![Node::EMPTY];
    // A node, the keys below it, and how many digits they share.
    let mut open = vec![(0_usize, 0..keys.len(), 0_usize)];
    while let Some((node, mut range, depth)) = open.pop() {
        if range.start < range.end && keys[range.start].len() == depth {
            nodes[node].value = range.start as u32;
            range.start += 1;
        }
        nodes[node].children = nodes.len() as u32;
        while range.start < range.end {
            let digit = keys[range.start].as_bytes()[depth];
            let same = |key: &String| key.as_bytes()[depth] == digit;
            let count = keys[range.clone()].partition_point(same);
            let split = range.start + count;
            nodes[node].digits |= 1 << (digit - b'0');
            open.push((nodes.len(), range.start..split, depth + 1));
            nodes.push(Node::EMPTY);
            range.start = split;
        }
    }
    nodes
}

const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_linear_scan_finds(
            prefixes in proptest::collection::btree_map("[0-3]{0,6}", 0_u32..1_000, 0..60),
            digits in "[0-4]{0,9}[#a]?[0-3]{0,2}",
        ) {
            let trie = Trie::build(prefixes.clone());
            let expected = prefixes
                .iter()
                .filter(|(prefix, _)| digits.starts_with(prefix.as_str()))
                .max_by_key(|(prefix, _)| prefix.len())
                .map(|(prefix, value)| (prefix.len(), value));
            prop_assert_eq!(trie.longest(&digits), expected);
        }
    }

    #[test]
    fn of_equal_prefixes_the_last_counts_and_foreign_characters_are_left_out() {
        let list = [("49", 1), ("4x", 2), ("49", 3)];
        let trie = Trie::build(list.map(|(prefix, value)| (prefix.to_owned(), value)));
        assert_eq!(trie.longest("4930"), Some((2, &3)));
        assert_eq!(trie.len(), 1);
    }

    #[test]
    fn a_hundred_thousand_prefixes_stay_small() {
        let prefixes = (0..100_000_u32).map(|n| (format!("{}", 49_000_000 + n * 7), n));
        let trie = Trie::build(prefixes);
        assert_eq!(trie.len(), 100_000);
        assert!(trie.nodes.len() * size_of::<Node>() < 4_000_000);
        assert_eq!(trie.longest("4900000712345"), Some((8, &1)));
    }
}
