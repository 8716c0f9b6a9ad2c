//! User-Agent texts, each kept once: a hundred thousand phones come in a few dozen models.

use core::hash::{BuildHasher, BuildHasherDefault};

use ahash::AHasher;
use hashbrown::HashTable;
use slab::Slab;

use crate::policy::{AGENT_MAX, AGENTS_MAX};

/// Names a text; [`AgentKey::NONE`] names the empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AgentKey(u16);

impl AgentKey {
    pub(crate) const NONE: Self = Self(u16::MAX);
}

/// The texts, with the number of their users.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    texts: Slab<Agent>,
    index: HashTable<u16>,
}

#[derive(Debug)]
struct Agent {
    text: Box<[u8]>,
    users: u32,
}

impl Agents {
    /// Keeps a text for one more user; what is too much is not kept.
    pub(crate) fn acquire(&mut self, text: &[u8]) -> AgentKey {
        let text = &text[..text.len().min(AGENT_MAX)];
        if text.is_empty() {
            return AgentKey::NONE;
        }
        let texts = &mut self.texts;
        let hash = hash(text);
        let known = self
            .index
            .find(hash, |key| *texts[usize::from(*key)].text == *text);
        if let Some(key) = known {
            texts[usize::from(*key)].users += 1;
            return AgentKey(*key);
        }
        if texts.len() >= AGENTS_MAX {
            return AgentKey::NONE;
        }
        let slot = texts.insert(Agent {
            text: text.into(),
            users: 1,
        });
        let key = u16::try_from(slot).expect("AGENTS_MAX fits into 16 bits");
        self.index
            .insert_unique(hash, key, |key| hash_of(texts, *key));
        AgentKey(key)
    }

    /// One user less.
    pub(crate) fn release(&mut self, key: AgentKey) {
        let slot = usize::from(key.0);
        let Some(agent) = self.texts.get_mut(slot) else {
            return;
        };
        agent.users -= 1;
        if agent.users > 0 {
            return;
        }
        if let Ok(entry) = self.index.find_entry(hash(&agent.text), |k| *k == key.0) {
            entry.remove();
        }
        self.texts.remove(slot);
    }

    /// Whether this is the key of a text.
    pub(crate) fn is(&self, key: AgentKey, text: &[u8]) -> bool {
        self.text(key) == &text[..text.len().min(AGENT_MAX)]
    }

    /// The text; empty for [`AgentKey::NONE`].
    pub(crate) fn text(&self, key: AgentKey) -> &[u8] {
        self.texts
            .get(usize::from(key.0))
            .map_or(b"", |agent| &agent.text)
    }
}

fn hash_of(texts: &Slab<Agent>, key: u16) -> u64 {
    hash(&texts[usize::from(key)].text)
}

fn hash(text: &[u8]) -> u64 {
    BuildHasherDefault::<AHasher>::default().hash_one(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_as_long_as_it_is_used() {
        let mut agents = Agents::default();
        let a = agents.acquire(b"Phone/1");
        assert_eq!(agents.acquire(b"Phone/1"), a);
        let b = agents.acquire(b"Phone/2");
        assert_ne!(a, b);
        agents.release(a);
        assert_eq!(agents.text(a), b"Phone/1");
        agents.release(a);
        assert_eq!(agents.text(a), b"");
        assert_eq!(agents.text(b), b"Phone/2");
        assert_eq!(agents.acquire(b""), AgentKey::NONE);
        agents.release(AgentKey::NONE);
        assert_eq!(agents.texts.len(), 1);
        assert_eq!(agents.index.len(), 1);
    }

    #[test]
    fn long_texts_are_cut() {
        let mut agents = Agents::default();
        let key = agents.acquire(&[b'x'; 1_000]);
        assert_eq!(agents.text(key).len(), AGENT_MAX);
    }
}
