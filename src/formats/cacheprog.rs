//! The protocol between the `go` command and the program that GOCACHEPROG names.
//!
//! ```text
//! us  {"ID":0,"KnownCommands":["get","put","close"]}
//! go  {"ID":1,"Command":"get","ActionID":"<base64>"}
//! us  {"ID":1,"Miss":true}
//! go  {"ID":2,"Command":"put","ActionID":"<base64>","OutputID":"<base64>","BodySize":3}
//! go  "<base64 of the body, a JSON string on a line of its own; none where BodySize is 0>"
//! us  {"ID":2,"DiskPath":"/…"}
//! go  {"ID":3,"Command":"close"}
//! us  {"ID":3}
//! ```
//!
//! A body goes by in pieces, so a large one is never held. What is no request is passed over to the
//! end of its line. A body that breaks off ends where the next request begins: `go` does that when
//! it cannot read on, and has by then given up the request, so that an answer to it would be one
//! to nobody, of which `go` dies.
//!
//! # Source
//! `cmd/go/internal/cacheprog` and `cmd/go/internal/cache/prog.go` of Go 1.24 to 1.26.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead};

/// The longest line of a request; Go's are shorter than 300 bytes.
const LINE_LIMIT: usize = 64 << 10;

/// What the `go` command asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Echoed in the answer.
    pub id: i64,
    /// What is asked.
    pub command: Command,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// What did this action make?
    Get {
        /// The action.
        action: Vec<u8>,
    },
    /// Keep what this action made. If `size` is not 0 the body follows.
    Put {
        /// The action.
        action: Vec<u8>,
        /// SHA-256 of the body.
        output: Vec<u8>,
        /// Its length.
        size: u64,
    },
    /// Answer, and go.
    Close,
    /// Something that was never offered, or lacks what it needs: why it cannot be answered.
    Wrong(String),
}

/// What came in place of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A request.
    Request(Request),
    /// A line that is none.
    Garbage,
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// With its closing quote.
    Whole,
    /// Before it, or it held what is not base64. The request is given up.
    Broken,
}

/// An answer; the fields that do not belong to its kind are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Response {
    /// The request's.
    #[serde(rename = "ID")]
    pub id: i64,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub err: String,
    /// In the first message: what can be asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_commands: Vec<String>,
    /// Nothing is known of the action.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub miss: bool,
    /// The output's name, in base64.
    #[serde(rename = "OutputID", skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Its length.
    #[serde(skip_serializing_if = "is_zero")]
    pub size: u64,
    /// When it was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The file that holds it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub disk_path: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Response {
    /// Returns the message that comes first, unasked.
    #[must_use]
    pub fn greeting() -> Self {
        let known_commands = ["get", "put", "close"].map(str::to_owned).to_vec();
        Self { known_commands, ..Self::default() }
    }

    /// Returns the answer as its line.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// Returns bytes as the protocol writes them.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns a moment, in nanoseconds since 1970, as RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(nanoseconds: u64) -> String {
    let (seconds, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since the first of March of the year 0, in eras of 400 years (Howard Hinnant).
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    #[serde(rename = "ID")]
    id: i64,
    command: String,
    #[serde(rename = "ActionID", default)]
    action: Option<String>,
    #[serde(rename = "OutputID", default)]
    output: Option<String>,
    #[serde(default)]
    body_size: i64,
}

impl Raw {
    fn read(self) -> Request {
        let id = self.id;
        let bytes = |it: Option<String>| it.and_then(|it| STANDARD.decode(it).ok());
        let (action, output) = (bytes(self.action), bytes(self.output));
        let command = match (self.command.as_str(), action, output, self.body_size.try_into()) {
            ("get", Some(action), ..) => Command::Get { action },
            ("put", Some(action), Some(output), Ok(size)) => Command::Put { action, output, size },
            ("close", ..) => Command::Close,
            ("get" | "put", ..) => Command::Wrong(format!("`{}` is incomplete", self.command)),
            (other, ..) => Command::Wrong(format!("unknown command `{}`", other.escape_debug())),
        };
        Request { id, command }
    }
}

/// Reads requests from a stream.
#[derive(Debug)]
pub struct Requests<R>(R);

impl<R: BufRead> Requests<R> {
    /// Reads from `input`, whose buffer is the size of the pieces in which bodies go by.
    pub const fn new(input: R) -> Self {
        Self(input)
    }

    /// Returns the next request; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// Returns the stream's error.
    pub fn next_request(&mut self) -> io::Result<Option<Received>> {
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let request = serde_json::from_slice(&line).ok().map(Raw::read);
            return Ok(Some(request.map_or(Received::Garbage, Received::Request)));
        }
    }

    /// Passes the body that follows a `put` to `take`, decoded, piece by piece.
    ///
    /// # Errors
    ///
    /// Returns the stream's error; its end is none, but a broken body.
    pub fn body(&mut self, take: &mut dyn FnMut(Vec<u8>)) -> io::Result<BodyEnd> {
        if !self.opening_quote()? {
            return Ok(BodyEnd::Broken);
        }
        let (mut rest, mut sound) = (Vec::with_capacity(4), true);
        loop {
            let buffer = retry(&mut self.0)?;
            if buffer.is_empty() {
                return Ok(BodyEnd::Broken);
            }
            let end = memchr::memchr3(b'"', b'{', b'\n', buffer);
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            sound = sound && decode(piece, &mut rest, take);
            let (length, last) = (piece.len(), end.map(|it| buffer[it]));
            match last {
                None => self.0.consume(length),
                // The next request has begun.
                Some(b'{') => {
                    self.0.consume(length);
                    return Ok(BodyEnd::Broken);
                }
                Some(last) => {
                    self.0.consume(length + 1);
                    let whole = sound && rest.is_empty() && last == b'"';
                    return Ok(if whole { BodyEnd::Whole } else { BodyEnd::Broken });
                }
            }
        }
    }

    fn opening_quote(&mut self) -> io::Result<bool> {
        loop {
            let buffer = retry(&mut self.0)?;
            match buffer.first() {
                Some(b'"') => {
                    self.0.consume(1);
                    return Ok(true);
                }
                Some(it) if it.is_ascii_whitespace() => self.0.consume(1),
                _ => return Ok(false),
            }
        }
    }

    /// Returns the next line, or as much of it as a request can have; passes over the rest.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let buffer = retry(&mut self.0)?;
            if buffer.is_empty() {
                return Ok((!line.is_empty()).then_some(line));
            }
            let end = memchr::memchr(b'\n', buffer);
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            let room = LINE_LIMIT.saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            let length = piece.len() + usize::from(end.is_some());
            self.0.consume(length);
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

fn retry<R: BufRead>(input: &mut R) -> io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    // What was read stays in the buffer.
    input.fill_buf()
}

/// Decodes what is whole of `rest` and `piece`; leaves up to three digits in `rest`.
fn decode(mut piece: &[u8], rest: &mut Vec<u8>, take: &mut dyn FnMut(Vec<u8>)) -> bool {
    let mut decoded = Vec::with_capacity((piece.len() + 4) / 4 * 3);
    if !rest.is_empty() {
        let (head, tail) = piece.split_at(piece.len().min(4 - rest.len()));
        rest.extend_from_slice(head);
        piece = tail;
        if rest.len() == 4 {
            let sound = STANDARD.decode_vec(&rest[..], &mut decoded).is_ok();
            rest.clear();
            if !sound {
                return false;
            }
        }
    }
    let (whole, tail) = piece.split_at(piece.len() / 4 * 4);
    rest.extend_from_slice(tail);
    if STANDARD.decode_vec(whole, &mut decoded).is_err() {
        return false;
    }
    if !decoded.is_empty() {
        take(decoded);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Everything that comes of `input`, read through a buffer of `size` bytes.
    fn read(input: &[u8], size: usize) -> Vec<String> {
        let mut requests = Requests::new(BufReader::with_capacity(size, input));
        let mut told = Vec::new();
        while let Some(received) = requests.next_request().unwrap() {
            let Received::Request(Request { id, command }) = received else {
                told.push("garbage".to_owned());
                continue;
            };
            told.push(match command {
                Command::Get { action } => format!("{id} get {}", action.len()),
                Command::Put { size: 0, .. } => format!("{id} put nothing"),
                Command::Put { action, output, size } => {
                    let mut body = Vec::new();
                    let end = requests.body(&mut |it| body.extend(it)).unwrap();
                    let body = String::from_utf8_lossy(&body).into_owned();
                    let (action, output) = (action.len(), output.len());
                    match end {
                        BodyEnd::Whole => format!("{id} put {action} {output} {size} {body}"),
                        BodyEnd::Broken => format!("{id} put broken"),
                    }
                }
                Command::Close => format!("{id} close"),
                Command::Wrong(why) => format!("{id} wrong: {why}"),
            });
        }
        told
    }

    #[track_caller]
    fn check(input: &str, expected: &[&str]) {
        // At any place the buffer may end.
        for size in [1, 2, 3, 5, 7, 64, 1 << 16] {
            assert_eq!(read(input.as_bytes(), size), expected, "buffer of {size}: {input}");
        }
    }

    const GET: &str = "{\"ID\":1,\"Command\":\"get\",\"ActionID\":\"AAEC\"}\n\n";
    const PUT: &str = "{\"ID\":2,\"Command\":\"put\",\"ActionID\":\"AAEC\",\"OutputID\":\"AAE=\",\"BodySize\":5}\n\n";

    #[test]
    fn requests_are_read_as_go_writes_them() {
        check(GET, &["1 get 3"]);
        check(&format!("{PUT}\"aGVsbG8=\"\n{GET}"), &["2 put 3 2 5 hello", "1 get 3"]);
        check("{\"ID\":3,\"Command\":\"close\"}\n\n", &["3 close"]);
        let nothing = PUT.replace(",\"BodySize\":5", "");
        check(&format!("{nothing}{GET}"), &["2 put nothing", "1 get 3"]);
        check("", &[]);
    }

    #[test]
    fn what_is_no_request_is_passed_over() {
        check(&format!("not JSON\n{GET}"), &["garbage", "1 get 3"]);
        check(&format!("\"a stray body\"\n{GET}"), &["garbage", "1 get 3"]);
        check(&format!("{{\"ID\":1}}\n[]\n{GET}"), &["garbage", "garbage", "1 get 3"]);
        check(&format!("{}\n{GET}", "x".repeat(200_000)), &["garbage", "1 get 3"]);
        check(GET.trim_end().trim_end_matches('}'), &["garbage"]);
        check(
            "{\"ID\":9,\"Command\":\"get2\",\"Unknown\":[]}\n{\"ID\":8,\"Command\":\"get\"}\n",
            &["9 wrong: unknown command `get2`", "8 wrong: `get` is incomplete"],
        );
        check(&PUT.replace('5', "-5"), &["2 wrong: `put` is incomplete"]);
        check(&PUT.replace("AAE=", "A"), &["2 wrong: `put` is incomplete"]);
    }

    #[test]
    fn a_body_that_breaks_off_ends_where_the_next_request_begins() {
        // As `go` writes it when it cannot read on, and at each place.
        for length in 0..8 {
            let part = &"aGVsbG8="[..length];
            check(&format!("{PUT}\"{part}{GET}"), &["2 put broken", "1 get 3"]);
            check(&format!("{PUT}\"{part}\n{GET}"), &["2 put broken", "1 get 3"]);
            check(&format!("{PUT}\"{part}"), &["2 put broken"]);
        }
        check(&format!("{PUT}{GET}"), &["2 put broken", "1 get 3"]);
        check(PUT, &["2 put broken"]);
        check(&format!("{PUT}\"aGVs*G8=\"\n{GET}"), &["2 put broken", "1 get 3"]);
        check(&format!("{PUT}\"aGVsbG8\"\n{GET}"), &["2 put broken", "1 get 3"]);
    }

    #[test]
    fn a_long_body_goes_by_in_pieces() {
        let body: Vec<u8> = (0..3_000_000_u32).map(|it| (it % 251) as u8).collect();
        let input = format!("{PUT}\"{}\"\n", encode(&body));
        let mut requests = Requests::new(BufReader::with_capacity(4096, input.as_bytes()));
        requests.next_request().unwrap().unwrap();
        let (mut longest, mut seen) = (0, Vec::new());
        let end = requests.body(&mut |it| {
            longest = longest.max(it.len());
            seen.extend(it);
        });
        assert_eq!(end.unwrap(), BodyEnd::Whole);
        assert!(seen == body);
        assert!(longest <= 4096, "{longest}");
    }

    #[test]
    fn answers_are_written_as_go_reads_them() {
        let line = |it: Response| String::from_utf8(it.line()).unwrap();
        assert_eq!(
            line(Response::greeting()),
            "{\"ID\":0,\"KnownCommands\":[\"get\",\"put\",\"close\"]}\n"
        );
        assert_eq!(
            line(Response { id: 7, miss: true, ..Response::default() }),
            "{\"ID\":7,\"Miss\":true}\n"
        );
        let hit = Response {
            id: 8,
            output: encode(&[0, 1, 2]),
            size: 3,
            time: Some(rfc3339(1)),
            disk_path: "/a \"b\"".to_owned(),
            ..Response::default()
        };
        assert_eq!(
            line(hit),
            "{\"ID\":8,\"OutputID\":\"AAEC\",\"Size\":3,\
             \"Time\":\"1970-01-01T00:00:00.000000001Z\",\"DiskPath\":\"/a \\\"b\\\"\"}\n"
        );
    }

    #[test]
    fn times_are_dates() {
        let at = |seconds: u64| rfc3339(seconds * 1_000_000_000);
        assert_eq!(at(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.000000000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(at(951_868_800), "2000-03-01T00:00:00.000000000Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59.000000000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000000000Z");
        assert_eq!(at(1_795_487_532), "2026-11-24T02:32:12.000000000Z");
    }
}
