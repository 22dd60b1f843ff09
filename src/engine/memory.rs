//! Answers by question, each asked for once in a run unless it is forgotten.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

/// Answers by question.
pub struct Memory<K, V>(Mutex<Known<K, V>>);

struct Known<K, V> {
    answers: HashMap<K, V>,
    /// What is being asked, each time with a number of its own.
    asked: Vec<(u64, K)>,
    /// The number of the next one.
    next: u64,
}

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Known { answers: HashMap::new(), asked: Vec::new(), next: 0 }))
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Memory<K, V> {
    /// Returns the remembered answer, or asks; two threads may ask the same, and get the same.
    ///
    /// An answer is not remembered if it was to be forgotten while it was asked for: it may be of
    /// how things were before that.
    ///
    /// # Errors
    ///
    /// Returns what `ask` does; that is not remembered.
    pub fn get_or<E>(&self, key: &K, ask: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let Ok(mut known) = self.0.lock() else { return ask() };
        if let Some(answer) = known.answers.get(key) {
            return Ok(answer.clone());
        }
        let number = known.next;
        known.next += 1;
        known.asked.push((number, key.clone()));
        drop(known);
        let answer = ask();
        if let Ok(mut known) = self.0.lock()
            && let Some(at) = known.asked.iter().position(|it| it.0 == number)
        {
            let (_, key) = known.asked.swap_remove(at);
            if let Ok(answer) = &answer {
                known.answers.insert(key, answer.clone());
            }
        }
        answer
    }

    /// Forgets the answers to some questions, and those that are being asked for.
    pub fn forget(&self, which: impl Fn(&K) -> bool) {
        if let Ok(mut known) = self.0.lock() {
            known.answers.retain(|key, _| !which(key));
            known.asked.retain(|(_, key)| !which(key));
        }
    }

    /// Reads all answers; `None` if a thread that had them has crashed.
    #[must_use]
    pub fn read<T>(&self, read: impl FnOnce(&HashMap<K, V>) -> T) -> Option<T> {
        self.0.lock().ok().map(|it| read(&it.answers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn asked(memory: &Memory<&str, u8>, key: &'static str, answer: u8) -> u8 {
        memory.get_or(&key, || Ok::<_, Infallible>(answer)).unwrap()
    }

    #[test]
    fn what_was_asked_once_is_not_asked_again_until_it_is_forgotten() {
        let memory = Memory::default();
        assert_eq!((asked(&memory, "a", 1), asked(&memory, "a", 2)), (1, 1));
        assert_eq!(memory.get_or(&"b", || Err("none")), Err("none"));
        assert_eq!((asked(&memory, "b", 3), asked(&memory, "b", 4)), (3, 3));
        memory.forget(|it| *it == "a");
        assert_eq!((asked(&memory, "a", 5), asked(&memory, "b", 6)), (5, 3));
        assert_eq!(memory.read(HashMap::len), Some(2));
    }

    #[test]
    fn an_answer_that_is_forgotten_while_it_is_asked_for_is_not_remembered() {
        let memory = Memory::default();
        let ask = |key| {
            let answer = || {
                memory.forget(|it| *it == "stale");
                Ok::<_, Infallible>(1)
            };
            memory.get_or(&key, answer).unwrap()
        };
        assert_eq!((ask("stale"), ask("other")), (1, 1));
        assert_eq!((asked(&memory, "stale", 2), asked(&memory, "other", 2)), (2, 1));
    }
}
