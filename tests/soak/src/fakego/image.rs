//! The file that the stand-in links: an ELF header, one segment, code that prints a text, the text.
//!
//! The model computes the same bytes from what it knows; the way from the sources to [`Facts`] is
//! the stand-in's alone.

use std::fmt::Write as _;

/// What a program of the stand-in depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What the program says of itself.
    pub state: String,
    /// Names of its source files, `package/file`, sorted.
    pub files: Vec<String>,
    /// The toolchain's VERSION.
    pub toolchain: String,
    /// The `go` line of `go.mod`.
    pub go_line: String,
    /// GOAMD64.
    pub level: String,
    /// Build tags, sorted.
    pub tags: Vec<String>,
    /// Whether the linker was told `-s`.
    pub is_stripped: bool,
}

impl Facts {
    /// Returns them as one text; the state comes first, on a line of its own.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { state, files, toolchain, go_line, level, tags, is_stripped } = self;
        let mut text = format!("{state}\n");
        let _ = writeln!(text, "files {}", files.join(" "));
        let _ = writeln!(text, "toolchain {} {go_line} level {level}", toolchain.trim());
        let _ = writeln!(text, "tags {} stripped {is_stripped}", tags.join(","));
        text
    }
}

/// Where the segment is loaded.
const BASE: u64 = 0x40_0000;

/// Bytes before the code: the ELF header and one program header.
const HEADERS: u64 = 64 + 56;

/// Returns a static program for Linux on x86-64 that prints `text`.
#[must_use]
pub fn program(text: &str) -> Vec<u8> {
    let length = text.len() as u64;
    let code = code(u32::try_from(length).unwrap_or(u32::MAX));
    let size = HEADERS + code.len() as u64 + length;
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let halves = |bytes: &mut Vec<u8>, it: &[u16]| {
        bytes.extend(it.iter().flat_map(|it| it.to_le_bytes()));
    };
    let words = |bytes: &mut Vec<u8>, it: &[u64]| {
        bytes.extend(it.iter().flat_map(|it| it.to_le_bytes()));
    };
    // ET_EXEC, EM_X86_64, version 1.
    halves(&mut bytes, &[2, 62, 1, 0]);
    words(&mut bytes, &[BASE + HEADERS, 64, 0]);
    // No flags; sizes of the headers; one program header, no section header.
    halves(&mut bytes, &[0, 0, 64, 56, 1, 64, 0, 0]);
    // PT_LOAD, readable and executable.
    bytes.extend_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    words(&mut bytes, &[0, BASE, BASE, size, size, 0x1000]);
    bytes.extend_from_slice(&code);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// `write(1, text, length); exit(0)`; the text follows the code.
fn code(length: u32) -> Vec<u8> {
    let mut code = vec![0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x48, 0x8d, 0x35];
    // From behind this instruction to the end: mov 5, syscall 2, mov 5, xor 2, syscall 2.
    code.extend_from_slice(&16_u32.to_le_bytes());
    code.push(0xba);
    code.extend_from_slice(&length.to_le_bytes());
    code.extend_from_slice(&[0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]);
    code
}
