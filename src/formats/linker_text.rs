//! Which other files a file for the linker names: the members of a thin archive, the words of a
//! linker script (a `libc.so` of text is one).

use std::collections::BTreeSet;

/// What a linker finds in a file that it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkerFile {
    /// An ELF file, or an archive that holds its members: it may need other libraries.
    Whole,
    /// An archive of names only: its members, relative to its folder.
    Thin(Vec<String>),
    /// A script, or a list of symbols: every word that may name a file.
    Text(Vec<String>),
}

/// A longer text is no linker script.
const LONGEST_TEXT: usize = 1 << 20;

/// Says what `bytes`, a whole file, is to a linker.
#[must_use]
pub fn linker_file(bytes: &[u8]) -> LinkerFile {
    if bytes.starts_with(b"!<thin>\n") {
        return LinkerFile::Thin(thin_members(bytes));
    }
    if bytes.starts_with(b"!<arch>\n") || bytes.len() > LONGEST_TEXT || bytes.contains(&0) {
        return LinkerFile::Whole;
    }
    let text = String::from_utf8_lossy(bytes);
    let between = |it: char| it.is_whitespace() || "(){};,\"'".contains(it);
    let words: BTreeSet<_> = text.split(between).filter(|it| !it.is_empty()).collect();
    LinkerFile::Text(words.into_iter().map(str::to_owned).collect())
}

/// Reads the members' names.
///
/// # Source
///
/// ar(5) of binutils: headers of 60 bytes; `/`, `/SYM64/` and `//` have content, the others have
/// none; `/N` is a name that begins at byte `N` of the content of `//` and ends with `/` and a line
/// feed.
fn thin_members(bytes: &[u8]) -> Vec<String> {
    let (mut members, mut long): (Vec<String>, &[u8]) = (Vec::new(), &[]);
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((header, behind)) = rest.split_at_checked(60) {
        let field = |from: usize, to: usize| String::from_utf8_lossy(&header[from..to]);
        let name = field(0, 16).trim_end().to_owned();
        let has_content = matches!(name.as_str(), "/" | "//" | "/SYM64/");
        let size = field(48, 58).trim().parse().unwrap_or(usize::MAX);
        let content = if has_content { behind.get(..size).unwrap_or(behind) } else { &[] };
        if name == "//" {
            long = content;
        } else if !has_content {
            let number = name.strip_prefix('/').map(|it| it.split(':').next().unwrap_or(it));
            let text = match number.and_then(|it| it.parse().ok()) {
                Some(at) => {
                    let from = long.get(at..).unwrap_or_default();
                    from.split(|it| *it == b'\n').next().unwrap_or_default()
                }
                None => name.as_bytes(),
            };
            let text = String::from_utf8_lossy(text);
            members.push(text.strip_suffix('/').unwrap_or(&text).to_owned());
        }
        // Content is padded to an even length.
        let length = content.len() + content.len() % 2;
        rest = behind.get(length..).unwrap_or_default();
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, size: usize) -> String {
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 644)
    }

    #[test]
    fn members_of_a_thin_archive_are_found_by_short_and_long_names() {
        let names = "deep/down/long_name.o/\nother/member.o/\n\n";
        let archive = format!(
            "!<thin>\n{}abc\n{}{names}{}{}{}",
            header("/", 3),
            header("//", names.len()),
            header("/0", 99),
            header("/23", 99),
            header("short.o/", 99),
        );
        let expected = ["deep/down/long_name.o", "other/member.o", "short.o"];
        let expected = LinkerFile::Thin(expected.map(str::to_owned).to_vec());
        assert_eq!(linker_file(archive.as_bytes()), expected);
        for cut in 8..archive.len() {
            let LinkerFile::Thin(_) = linker_file(&archive.as_bytes()[..cut]) else {
                panic!("cut at {cut}")
            };
        }
    }

    #[test]
    fn words_of_a_script_are_found() {
        let script = b"/* GNU ld script */\nGROUP ( /lib/libc.so.6 AS_NEEDED ( -lm \"x y.a\" ) )";
        let LinkerFile::Text(words) = linker_file(script) else { panic!("it is text") };
        for word in ["/lib/libc.so.6", "-lm", "y.a"] {
            assert!(words.iter().any(|it| it == word), "{word}: {words:?}");
        }
        assert_eq!(linker_file(b"\x7fELF\x02\0"), LinkerFile::Whole);
        assert_eq!(linker_file(b"!<arch>\n"), LinkerFile::Whole);
    }
}
