//! Measures linkwright and its peers side by side; `scripts/bench` prepares what it needs.
//!
//! ```text
//! bench [--rounds N] [--most TARGETS] [--docs FOLDER] [LANE…]
//! ```

use linkwright_soak::bench::Programs;
use linkwright_soak::pace::{self, LOOK, lanes, page};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|it| it == "one-run") {
        return ExitCode::from(u8::try_from(pace::one_run(&words[1..])).unwrap_or(3));
    }
    let ended = match words.as_slice() {
        [word, list] if word == LOOK => pace::look_at_each(Path::new(list)),
        _ => run(words),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: Vec<String>) -> Result<(), String> {
    let mut ground = lanes::Ground { programs: Programs::find()?, most: 10_000, rounds: 5 };
    let (mut docs, mut chosen) = (None, Vec::new());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("`{word}` needs a value"));
        let number = |it: String| it.parse().map_err(|_| format!("`{it}` is no number"));
        match word.as_str() {
            "--rounds" => ground.rounds = number(value()?)?,
            "--most" => ground.most = number(value()?)?,
            "--docs" => docs = Some(PathBuf::from(value()?)),
            it if it.starts_with('-') => return Err(format!("`{it}`?")),
            _ => chosen.push(word),
        }
    }
    if chosen.is_empty() {
        chosen = lanes::LANES.map(str::to_owned).to_vec();
    }
    for lane in &chosen {
        let before = load();
        let measured = lanes::run(lane, &ground)?;
        let state = format!("Load of the machine: {before} before, {} after.", load());
        println!("{}\n{state}", page::markdown(&measured));
        if let Some(docs) = &docs {
            page::write(docs, lane, &state, &measured)?;
        }
    }
    Ok(())
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}
