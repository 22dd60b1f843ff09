//! What the words for a C compiler and linker say of files and folders.
//!
//! Words are not judged: each that may name a file is a *mention*, and one that names none does no
//! harm. Only the words that say where folders are must be known.

use std::collections::BTreeSet;

/// Folders, libraries and files of some words, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CWords {
    /// Folders in which headers are looked for.
    pub header_folders: Vec<String>,
    /// Folders in which libraries are looked for.
    pub library_folders: Vec<String>,
    /// Libraries: `m` of `-lm`, `:libm.a` of `-l:libm.a`.
    pub libraries: BTreeSet<String>,
    /// Whatever may name a file, also by the value of a macro.
    pub mentions: BTreeSet<String>,
    /// Words that move the compiler's own folders, in their order.
    pub switches: Vec<String>,
    /// A word says in which language a file is, whatever it is called.
    pub says_language: bool,
}

/// Words before, or joined to, a folder of headers. A longer one stands before its own beginning.
const HEADERS: [&str; 9] = [
    "--include-directory=",
    "--embed-dir=",
    "-cxx-isystem",
    "-idirafter",
    "-isystem",
    "-iquote",
    "-I-",
    "-I",
    "-F",
];

/// The same of libraries.
const LIBRARIES: [&str; 11] = [
    "--library-path=",
    "--rpath-link=",
    "--rpath-link",
    "-rpath-link=",
    "-rpath-link",
    "--rpath=",
    "--rpath",
    "-rpath=",
    "-rpath",
    "-B",
    "-L",
];

/// Words before, or joined to, a file.
const FILES: [&str; 5] = ["-include", "-imacros", "-T", "-R", "-specs"];

/// Words, whole or in the beginning, after which the compiler looks elsewhere.
const SWITCHES: [&str; 7] =
    ["--sysroot", "-isysroot", "-stdlib=", "--stdlib=", "--target", "-target", "-nostdinc"];

/// Switches whose value may be the next word.
const SWITCHES_BEFORE: [&str; 4] = ["--sysroot", "-isysroot", "--target", "-target"];

impl CWords {
    /// Reads words in their order.
    #[must_use]
    pub fn read<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut this = Self::default();
        let words = words.into_iter().flat_map(apart);
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            this.mention(word);
            this.says_language |= word.starts_with("-x") || word.starts_with("--language");
            if word.starts_with("-m") || SWITCHES.iter().any(|it| word.starts_with(it)) {
                this.switches.push(word.to_owned());
                if SWITCHES_BEFORE.contains(&word) {
                    this.switches.extend(words.next().map(str::to_owned));
                }
            } else if let Some(value) = value_of(word, &HEADERS, &mut words) {
                this.header_folders.push(value.to_owned());
            } else if let Some(value) = value_of(word, &LIBRARIES, &mut words) {
                this.library_folders.push(value.to_owned());
            } else if let Some(value) = value_of(word, &["--library=", "-l"], &mut words) {
                this.libraries.insert(value.to_owned());
            } else if let Some(value) = value_of(word, &FILES, &mut words) {
                this.mention(value);
            }
        }
        this
    }

    /// Notes what may be a file in a word: the word, and what stands behind its first `=`.
    fn mention(&mut self, word: &str) {
        let values = [Some(word), word.split_once('=').map(|it| it.1)];
        for value in values.into_iter().flatten() {
            let bare = value.trim_matches(['"', '\'', '\\', '<', '>', '@']);
            if !bare.is_empty() && !bare.starts_with('-') {
                self.mentions.insert(bare.to_owned());
            }
        }
    }
}

/// Takes apart words that hold words for another tool.
fn apart(word: &str) -> Vec<&str> {
    let inside = ["-Wl,", "-Wp,", "-Wa,"].iter().find_map(|it| word.strip_prefix(it));
    match (inside, word) {
        (Some(inside), _) => inside.split(',').collect(),
        (None, "-Xlinker" | "-Xpreprocessor" | "-Xassembler") => Vec::new(),
        (None, _) => vec![word],
    }
}

/// Returns what is joined to a prefix, or the next word where nothing is.
fn value_of<'a>(
    word: &'a str,
    prefixes: &[&str],
    next: &mut impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let value = prefixes.iter().find_map(|it| word.strip_prefix(it))?;
    if value.is_empty() { next.next() } else { Some(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(words: &str, expected: &Expect) {
        let read = CWords::read(words.split(' '));
        let CWords { header_folders, library_folders, libraries, mentions, switches, .. } = read;
        let sets = [libraries, mentions].map(|it| it.into_iter().collect::<Vec<_>>());
        let [libraries, mentions] = sets;
        let lists = [header_folders, library_folders, libraries, mentions, switches];
        expected.assert_eq(&lists.map(|it| it.join(" ")).join("\n"));
    }

    #[test]
    fn a_word_for_the_language_is_noticed() {
        for (words, says) in
            [("-x c++", true), ("-xc", true), ("--language=c++", true), ("-O2 c++", false)]
        {
            assert_eq!(CWords::read(words.split(' ')).says_language, says, "{words}");
        }
    }

    #[test]
    fn folders_files_and_libraries_are_told_apart() {
        check(
            "-I/a -I b -isystem c -iquoted -idirafter/e -O2 -DH=\"x.h\" -D K=<y.h> -include z.h",
            &expect![[r#"
                /a b c d /e


                K=<y.h x.h y.h z.h
                "#]],
        );
        check(
            "-L/a -L b -lm -l z -l:libq.a x.o -Wl,-T,s.ld -Wl,--version-script=v.map,-rpath-link,/r",
            &expect![[r#"

                /a b /r
                :libq.a m z
                s.ld v.map x.o
                "#]],
        );
        check(
            "-m32 --sysroot=/s -isysroot /t --target=x -Xlinker -L -Xlinker /u -fuse-ld=gold",
            &expect![[r#"

                /u

                /s gold x
                -m32 --sysroot=/s -isysroot /t --target=x"#]],
        );
    }
}
