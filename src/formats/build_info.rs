//! What Go writes into each program about its own build (`runtime/debug.BuildInfo`).
//!
//! A blob of 32 bytes that begins with `\xff Go buildinf:` at an address divisible by 16, followed
//! by two texts, each with its length as a varint: the Go version, and the lines that `go version
//! -m` prints, between two marks of 16 bytes.
//!
//! It lies in the writable data. In ELF that is found through the program headers; sections, which
//! `go version -m` prefers, can be stripped. In PE and Mach-O, whose sections keep the alignment in
//! the file, the file is searched as it is.
//!
//! Left out: the form before Go 1.18, where the blob holds pointers. linkwright needs a newer Go.
//!
//! **Invariant:** nothing here is proof. Whoever makes a file can write what he likes into it, and
//! `CGO_ENABLED=1` is there also where no line of C was linked.

use crate::formats::bytes::{self, Bytes, SEARCH_LIMIT};
use crate::formats::elf::{self, DataSegment};
use crate::formats::linkage::BuildInfo;
use crate::formats::magic;

const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGN: u64 = 16;
const HEADER: u64 = 32;
/// In byte 15 of the header: the texts follow it.
const INLINE: u8 = 2;
/// The marks around the lines, each of this length.
const FRAME: usize = 16;

/// Reads the build info of a program; `None` if there is none that can be read.
#[must_use]
pub fn build_info(bytes: &dyn Bytes) -> Option<BuildInfo> {
    let blob = places(bytes).into_iter().find_map(|it| find(bytes, &it))?;
    let header = bytes.read(blob, HEADER).ok()?;
    if header.get(15)? & INLINE == 0 {
        return None;
    }
    let (version, next) = text(bytes, blob + HEADER)?;
    let (lines, _) = text(bytes, next)?;
    if version.is_empty() {
        return None;
    }
    let lines = match lines.len().checked_sub(FRAME) {
        Some(end) if end > FRAME && lines[end - 1] == b'\n' => &lines[FRAME..end],
        _ => &[],
    };
    let go_version = String::from_utf8_lossy(&version).into_owned();
    Some(BuildInfo { go_version, ..parse(&String::from_utf8_lossy(lines)) })
}

/// Reads the lines that `go version -m` prints, without the first.
///
/// # Source
///
/// `ParseBuildInfo` in Go's `runtime/debug/mod.go`. A line of a kind that is not known is passed
/// over, as a newer Go may add one.
#[must_use]
pub fn parse(lines: &str) -> BuildInfo {
    let mut info = BuildInfo::default();
    for line in lines.lines() {
        let (kind, rest) = line.split_once('\t').unwrap_or((line, ""));
        match kind {
            "path" => info.path = Some(rest.to_owned()),
            "mod" => info.main_module = Some(module(rest)),
            "dep" => info.modules.push(module(rest)),
            "=>" => {
                let replaced = info.modules.last_mut().or(info.main_module.as_mut());
                if let Some(replaced) = replaced {
                    *replaced = format!("{replaced} => {}", module(rest));
                }
            }
            "build" => info.settings.extend(setting(rest)),
            _ => {}
        }
    }
    info
}

/// Returns the parts of the file to search, none twice, together at most [`SEARCH_LIMIT`].
fn places(bytes: &dyn Bytes) -> Vec<DataSegment> {
    let mut places = match magic::format(bytes) {
        Ok("elf32" | "elf64") => elf::data_segments(bytes).unwrap_or_default(),
        Ok("pe" | "mach_o") => vec![DataSegment { range: 0..bytes.size(), address_shift: 0 }],
        _ => Vec::new(),
    };
    places.sort_by_key(|it| it.range.start);
    let (mut end, mut left) = (0, SEARCH_LIMIT);
    for place in &mut places {
        let start = place.range.start.max(end);
        let stop = place.range.end.min(bytes.size()).max(start);
        place.range = start..stop.min(start.saturating_add(left));
        left -= place.range.end - place.range.start;
        end = place.range.end;
    }
    places
}

fn find(bytes: &dyn Bytes, place: &DataSegment) -> Option<u64> {
    let aligned = |at: u64| at.wrapping_add(place.address_shift).is_multiple_of(ALIGN);
    bytes::find(bytes, place.range.clone(), MAGIC, aligned).ok().flatten()
}

/// Reads a length and as many bytes, and says where they end.
fn text(bytes: &dyn Bytes, at: u64) -> Option<(Vec<u8>, u64)> {
    let head = bytes.read(at, bytes.size().checked_sub(at)?.min(10)).ok()?;
    let (mut length, mut size) = (0_u64, 0_u64);
    for byte in head.iter() {
        length |= u64::from(byte & 0x7f).checked_shl(u32::try_from(7 * size).ok()?)?;
        size += 1;
        if byte & 0x80 == 0 {
            let start = at + size;
            let text = bytes.read(start, length).ok()?.into_owned();
            return Some((text, start + length));
        }
    }
    None
}

/// `path`, version and perhaps a sum, separated by tabs, to `path@version`.
fn module(rest: &str) -> String {
    let mut parts = rest.split('\t');
    let path = parts.next().unwrap_or("");
    match parts.next() {
        Some(version) if !version.is_empty() => format!("{path}@{version}"),
        _ => path.to_owned(),
    }
}

/// `key=value`, each quoted where it holds a space or a quote.
fn setting(rest: &str) -> Option<(String, String)> {
    let (key, value) = match rest.chars().next()? {
        '"' | '`' => {
            let end = quoted_end(rest)?;
            (unquote(&rest[..end])?, rest[end..].strip_prefix('=')?)
        }
        _ => {
            let (key, value) = rest.split_once('=')?;
            (key.to_owned(), value)
        }
    };
    let value = if value.starts_with(['"', '`']) { unquote(value)? } else { value.to_owned() };
    Some((key, value))
}

/// Returns where the quoted text at the start of `text` ends.
fn quoted_end(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if it == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Undoes Go's `strconv.Quote`; what cannot be undone is `None`.
fn unquote(text: &str) -> Option<String> {
    if quoted_end(text)? != text.len() {
        return None;
    }
    let inner = &text[1..text.len() - 1];
    if text.starts_with('`') {
        return Some(inner.to_owned());
    }
    let mut bytes = Vec::new();
    let mut rest = inner.chars();
    while let Some(it) = rest.next() {
        if it != '\\' {
            bytes.extend(it.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let plain = match rest.next()? {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            it @ ('\\' | '"' | '\'') => u8::try_from(it).ok()?,
            'x' => u8::try_from(hexadecimal(&mut rest, 2)?).ok()?,
            kind @ ('u' | 'U') => {
                let digits = if kind == 'u' { 4 } else { 8 };
                let it = char::from_u32(hexadecimal(&mut rest, digits)?)?;
                bytes.extend(it.encode_utf8(&mut [0; 4]).bytes());
                continue;
            }
            _ => return None,
        };
        bytes.push(plain);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn hexadecimal(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    (0..digits)
        .try_fold(0_u32, |sum, _| sum.checked_mul(16)?.checked_add(rest.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_go_version_become_fields() {
        let info = parse(concat!(
            "path\texample.com/m/cmd\nmod\texample.com/m\t(devel)\t\n",
            "dep\tgolang.org/x/a\tv1.2.3\th1:abc=\n=>\t../a\t\t\n",
            "dep\tgolang.org/x/b\tv0.1.0\th1:def=\nnews\tx\n",
            "build\t-tags=netgo,osusergo\nbuild\t-ldflags=\"-X \\\"a.b=c d\\\"\"\nbuild\tCGO_CFLAGS=\n",
        ));
        assert_eq!(info.path.as_deref(), Some("example.com/m/cmd"));
        assert_eq!(info.main_module.as_deref(), Some("example.com/m@(devel)"));
        assert_eq!(info.modules, ["golang.org/x/a@v1.2.3 => ../a", "golang.org/x/b@v0.1.0"]);
        let settings: Vec<_> =
            info.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            settings,
            [("-tags", "netgo,osusergo"), ("-ldflags", "-X \"a.b=c d\""), ("CGO_CFLAGS", "")]
        );
    }

    #[test]
    fn a_quoted_text_is_undone_or_refused_and_never_panics() {
        assert_eq!(unquote(r#""a\tb\x41\u00e9\U0001F600""#).as_deref(), Some("a\tbAé😀"));
        assert_eq!(unquote("`a\\b`").as_deref(), Some("a\\b"));
        for bad in
            [r#"""#, r#""a"#, r#""\"#, r#""\x4""#, r#""\uD800""#, r#""a"b"#, "``x", r#""\q""#]
        {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_blob_that_lies_about_its_lengths_is_no_build_info() {
        let mut image = vec![0_u8; 256];
        image[..2].copy_from_slice(b"MZ");
        image[0x3c] = 0x40;
        image[0x40..0x44].copy_from_slice(b"PE\0\0");
        image[0x60..0x60 + MAGIC.len()].copy_from_slice(MAGIC);
        image[0x6f] = INLINE;
        for lengths in [[0xff; 10], [0x80; 10], [0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            image[0x80..0x8a].copy_from_slice(&lengths);
            assert_eq!(build_info(&&image[..]), None);
        }
        image[0x80..0x8a].copy_from_slice(b"\x06go1.26\0\0\0");
        let info = build_info(&&image[..]).unwrap();
        assert_eq!(info.go_version, "go1.26");
    }
}
