//! Names the format of a file from its first bytes.
//!
//! | word | shown by | because |
//! |---|---|---|
//! | `elf64`, `elf32` | `7f 45 4c 46`, then the class byte | System V ABI |
//! | `pe` | `MZ`, and `PE\0\0` where the word at `0x3c` points | what Go makes for Windows |
//! | `mach_o` | the four thin magics; `cafebabe` with fewer than 43 architectures | what Go makes for macOS; a Java class has the same magic and a version of 43 and more there |
//! | `wasm` | `\0asm` | what Go makes for js and wasip1 |
//! | `script` | `#!` | the kernel starts another program for it |
//! | `archive` | `!<arch>\n`, `!<thin>\n` | an object archive, what `go build` of a library gives |
//! | `gzip`, `zip` | `1f 8b`, `PK\3\4` | a release archive given by mistake |
//! | `empty` | no byte | a build that wrote nothing |
//! | `unknown` | none of these | |

use crate::formats::bytes::{Bytes, ReadError};

/// Formats that a Go toolchain makes programs in and of which no linkage is read.
pub const UNJUDGED_PROGRAM_FORMATS: [&str; 1] = ["wasm"];

/// Names the format of `bytes`.
///
/// # Errors
///
/// Returns [`ReadError::Io`] if the system could not read; never for short files.
pub fn format(bytes: &dyn Bytes) -> Result<&'static str, ReadError> {
    let head = bytes.read(0, bytes.size().min(64))?;
    Ok(match &*head {
        [] => "empty",
        [0x7f, b'E', b'L', b'F', 1, ..] => "elf32",
        [0x7f, b'E', b'L', b'F', ..] => "elf64",
        [b'M', b'Z', ..] if is_pe(bytes, &head)? => "pe",
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => "mach_o",
        [0xca, 0xfe, 0xba, 0xbe | 0xbf, 0, 0, 0, count, ..] if *count < 43 => "mach_o",
        [0, b'a', b's', b'm', ..] => "wasm",
        [b'#', b'!', ..] => "script",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', b'\n', ..]
        | [b'!', b'<', b't', b'h', b'i', b'n', b'>', b'\n', ..] => "archive",
        [0x1f, 0x8b, ..] => "gzip",
        [b'P', b'K', 3, 4, ..] => "zip",
        _ => "unknown",
    })
}

fn is_pe(bytes: &dyn Bytes, head: &[u8]) -> Result<bool, ReadError> {
    let Some([a, b, c, d]) = head.get(0x3c..0x40) else { return Ok(false) };
    match bytes.read(u64::from(u32::from_le_bytes([*a, *b, *c, *d])), 4) {
        Ok(mark) => Ok(&*mark == b"PE\0\0"),
        Err(ReadError::Outside) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], word: &str) {
        assert_eq!(format(&bytes), Ok(word));
    }

    #[test]
    fn a_format_is_known_by_its_first_bytes() {
        check(b"", "empty");
        check(b"\x7fEL", "unknown");
        check(b"\x7fELF", "elf64");
        check(b"\x7fELF\x01", "elf32");
        check(b"#!/bin/sh\n", "script");
        check(b"!<arch>\n", "archive");
        check(b"\x1f\x8b\x08\0", "gzip");
        check(b"PK\x03\x04", "zip");
        check(b"\0asm\x01\0\0\0", "wasm");
        check(b"\xcf\xfa\xed\xfe\x07\0\0\x01", "mach_o");
        check(b"\xca\xfe\xba\xbe\0\0\0\x02", "mach_o");
        check(b"\xca\xfe\xba\xbe\0\0\0\x41", "unknown");
        check(b"hello, world", "unknown");
    }

    #[test]
    fn a_dos_header_is_a_windows_program_only_where_it_points_to_one() {
        let mut image = vec![0; 0x84];
        image[..2].copy_from_slice(b"MZ");
        image[0x3c] = 0x80;
        check(&image, "unknown");
        image[0x80..].copy_from_slice(b"PE\0\0");
        check(&image, "pe");
        image[0x3f] = 0xff;
        check(&image, "unknown");
    }
}
