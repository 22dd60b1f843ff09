//! The stand-in for `go`, as a program; `linkwright_soak::fakego` tells what it is.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    // By the name that it was called by: its root is where the link to it stands.
    let own = words.first().map_or(Path::new("go"), Path::new);
    ExitCode::from(linkwright_soak::fakego::run(own, &words[1..]))
}
