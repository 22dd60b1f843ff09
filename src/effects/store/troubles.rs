//! What went wrong with the store in one run, told without repeating itself.
//!
//! A full disk refuses every file that is to be kept; one sentence about the first of them, and
//! how many came after it, says as much as all of them.

/// Sentences, in the order in which things happened.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    notes: Vec<String>,
    /// Where in `notes` the first file stands that could not be kept, and how many came after it.
    unkept: Option<(usize, usize)>,
}

impl Troubles {
    /// Notes something.
    pub(super) fn note(&mut self, what: String) {
        self.notes.push(what);
    }

    /// Notes that a file could not be kept.
    pub(super) fn unkept(&mut self, what: String) {
        if let Some((_, more)) = &mut self.unkept {
            *more += 1;
        } else {
            self.unkept = Some((self.notes.len(), 0));
            self.notes.push(what);
        }
    }

    /// Returns the sentences, and forgets them.
    pub(super) fn take(&mut self) -> Vec<String> {
        if let Some((at, more)) = self.unkept.take()
            && let Some(note) = self.notes.get_mut(at)
        {
            let rest = match more {
                0 => String::new(),
                1 => ", and 1 more file".to_owned(),
                more => format!(", and {more} more files"),
            };
            *note = format!("not all of this is kept in the store: {note}{rest}");
        }
        std::mem::take(&mut self.notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_told_once_and_counted() {
        let mut troubles = Troubles::default();
        troubles.note("odd".to_owned());
        for file in ["a", "b", "c"] {
            troubles.unkept(format!("cannot write `{file}`: full"));
        }
        let told = "not all of this is kept in the store: cannot write `a`: full, and 2 more files";
        assert_eq!(troubles.take(), ["odd", told]);
        assert_eq!(troubles.take(), Vec::<String>::new());
    }
}
