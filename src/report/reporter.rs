//! One build, told: the engine's events become progress, a table or JSON lines.
//!
//! | stream | stdout | stderr |
//! |---|---|---|
//! | [`Stream::Table`] | the table, the summary | progress; failures with their attempts |
//! | [`Stream::JsonLines`] | each event as it comes | warnings are events, so nothing |
//! | [`Stream::Commands`] | each command that would run | what it would do |
//! | [`Stream::Nothing`] | what follows (a program that is run) has it | progress, failures |
//!
//! **Invariant:** the last line of a JSON stream is `"event": "done"`, whatever happened.
//!
//! **Invariant:** a JSON stream has bounds: of what a test binary prints in one run no more than
//! [`MOST_OUTPUT`] is passed on, and how much is left out is the last that is told of its output.

use crate::engine::event::{Event, Finished};
use crate::report::command_line::CommandLine;
use crate::report::escape;
use crate::report::failure::Failure;
use crate::report::outcome::Outcome;
use crate::report::paint::{Paint, Tone};
use crate::report::table::{count, summary, write_failures, write_outputs};
use crate::report::terminal::{Progress, ProgressKind, Verbosity};
use crate::words::label::Label;
use crate::words::pattern::PatternSet;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// How many bytes of what one test binary prints in one run a JSON stream passes on.
pub const MOST_OUTPUT: usize = 4 << 20;

/// What stdout gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The table of outputs, at the end.
    Table,
    /// Each event, as it comes.
    JsonLines,
    /// Each command that would run.
    Commands,
    /// Nothing.
    Nothing,
}

/// How a build is told.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// What stdout gets.
    pub stream: Stream,
    /// What stderr gets while it runs.
    pub progress: ProgressKind,
    /// How much is told.
    pub verbosity: Verbosity,
    /// Whether what tests print is told as it comes.
    pub streams: bool,
    /// Colour on stdout.
    pub out_paint: Paint,
    /// Colour on stderr.
    pub err_paint: Paint,
}

/// Takes the events of one build from any thread.
pub struct Reporter<'a> {
    telling: Mutex<Telling<'a>>,
}

struct Telling<'a> {
    look: Look,
    out: &'a mut (dyn Write + Send),
    err: &'a mut (dyn Write + Send),
    progress: Progress,
    outcome: Outcome,
    commands: usize,
    /// By label, Go package and platform: what a test binary that runs has printed so far.
    printed: BTreeMap<(Label, String, Option<String>), Printed>,
    /// The first error of a writer; nothing is written after it, and the build goes on.
    fault: Option<io::Error>,
}

/// How many bytes a test binary has printed.
#[derive(Debug, Clone, Copy, Default)]
struct Printed {
    told: usize,
    left_out: usize,
}

impl<'a> Reporter<'a> {
    /// Makes the reporter of a build that has not begun.
    pub fn new(
        look: Look,
        out: &'a mut (dyn Write + Send),
        err: &'a mut (dyn Write + Send),
    ) -> Self {
        let progress = Progress::new(look.progress, look.verbosity, look.err_paint);
        let progress = progress.streaming(look.streams);
        let outcome = Outcome::default();
        let (commands, printed, fault) = (0, BTreeMap::new(), None);
        let telling = Telling { look, out, err, progress, outcome, commands, printed, fault };
        Self { telling: Mutex::new(telling) }
    }

    /// Takes one event; this is the engine's sink.
    pub fn event(&self, event: Event) {
        let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        telling.outcome.record(&event);
        telling.attempt(|it| it.tell(&event));
    }

    /// Tells the end: with `failure` if the run could not begin or go on.
    ///
    /// The failure itself is rendered by the caller; a JSON stream gets it as an event.
    ///
    /// # Errors
    ///
    /// Returns the first error of a writer.
    pub fn finish(self, failure: Option<&Failure>) -> io::Result<()> {
        let mut telling = self.telling.into_inner().unwrap_or_else(PoisonError::into_inner);
        telling.progress.clear();
        telling.attempt(|it| it.end(failure));
        telling.fault.map_or(Ok(()), Err)
    }

    /// Returns how the outputs of the targets that `patterns` match have ended so far, sorted.
    pub fn finished(&self, patterns: &PatternSet) -> Vec<Finished> {
        let telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = telling.outcome.finished().into_iter();
        finished.filter(|it| patterns.matches(&it.label)).cloned().collect()
    }
}

impl Telling<'_> {
    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.fault.is_none() {
            self.fault = write(self).err();
        }
    }

    fn tell(&mut self, event: &Event) -> io::Result<()> {
        match self.look.stream {
            Stream::JsonLines => return self.tell_json(event),
            Stream::Commands => {
                if let Event::StepStarted { what, argv, env, folder, .. } = event {
                    self.commands += 1;
                    let command = CommandLine { argv, env, folder }.render();
                    let what = format!("# {}", escape::line(what));
                    writeln!(self.out, "{}", self.look.out_paint.say(Tone::Faint, &what))?;
                    writeln!(self.out, "{command}")?;
                    return self.out.flush();
                }
            }
            Stream::Table | Stream::Nothing => {}
        }
        self.progress.show(event, &self.outcome, self.err)
    }

    fn tell_json(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::TestOutput { label, go_package, platform, output, .. } => {
                let key = (label.clone(), go_package.clone(), platform.clone());
                let printed = self.printed.entry(key).or_default();
                if printed.left_out > 0 || printed.told + output.len() > MOST_OUTPUT {
                    printed.left_out += output.len();
                    return Ok(());
                }
                printed.told += output.len();
            }
            Event::TestStarted { label, go_package, platform, .. } => {
                self.end_output((label, go_package, platform.as_ref()))?;
            }
            Event::TestFinished(it) => {
                self.end_output((&it.label, &it.go_package, it.platform.as_ref()))?;
            }
            _ => {}
        }
        write_json_line(event, self.out)
    }

    /// Tells how much of a run's output was left out, once the run has ended.
    fn end_output(&mut self, of: (&Label, &String, Option<&String>)) -> io::Result<()> {
        let (label, go_package, platform) = (of.0.clone(), of.1.clone(), of.2.cloned());
        let key = (label.clone(), go_package.clone(), platform.clone());
        let left_out = self.printed.remove(&key).map_or(0, |it| it.left_out);
        if left_out == 0 {
            return Ok(());
        }
        let output = format!("… {left_out} bytes are left out …\n");
        let event = Event::TestOutput { label, go_package, platform, test: None, output };
        write_json_line(&event, self.out)
    }

    fn end(&mut self, failure: Option<&Failure>) -> io::Result<()> {
        let Look { stream, verbosity, out_paint, err_paint, .. } = self.look;
        if stream == Stream::JsonLines {
            return self.end_json(failure);
        }
        if stream == Stream::Table && verbosity > Verbosity::Quiet {
            write_outputs(&self.outcome, out_paint, self.out)?;
            self.out.flush()?;
        }
        // A dry run tries nothing; that its targets are skipped is no news.
        if stream != Stream::Commands || self.outcome.any_failed() {
            write_failures(&self.outcome, err_paint, self.err)?;
        }
        self.err.flush()?;
        if failure.is_some() || verbosity == Verbosity::Quiet {
            return Ok(());
        }
        match stream {
            Stream::Table => writeln!(self.out, "{}", summary(&self.outcome.counts(0)))?,
            Stream::Commands => {
                writeln!(self.err, "{}; nothing was run", count(self.commands, "command"))?;
            }
            Stream::JsonLines | Stream::Nothing => {}
        }
        self.out.flush()
    }

    fn end_json(&mut self, failure: Option<&Failure>) -> io::Result<()> {
        if let Some(failure) = failure {
            write_json_line(&Event::Error(failure.event()), self.out)?;
        }
        if self.outcome.counts.is_none() {
            let code = failure.map_or(0, |it| it.code.number());
            write_json_line(&Event::Done(self.outcome.counts(code)), self.out)?;
        }
        Ok(())
    }
}

/// Writes `value` as one line of JSON and flushes, so that a reader sees it at once.
///
/// # Errors
///
/// Returns the writer's error.
pub fn write_json_line(value: &impl serde::Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    out.write_all(line.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{Counts, State};
    use crate::report::outcome::samples::finished;
    use crate::words::exit_code::ExitCode;
    use crate::words::label::PackagePath;
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    fn events() -> Vec<Event> {
        vec![
            Event::Started { targets: 1, jobs: 2 },
            Event::StepStarted {
                step: 0,
                what: "link 1 program by netgo".to_owned(),
                argv: ["go", "build", "-o", "a b"].map(str::to_owned).to_vec(),
                env: vec!["CGO_ENABLED=1".to_owned()],
                folder: ".".to_owned(),
            },
            Event::StepFinished { step: 0, ok: true },
            Event::Finished(Arc::new(finished("//:server", "m/server", State::Built))),
            Event::Done(Counts { built: 1, go_processes: 2, ..Counts::default() }),
        ]
    }

    /// Reports events; returns what stands on stdout and on stderr.
    fn told(stream: Stream, events: Vec<Event>, failure: Option<&Failure>) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let look = Look {
            stream,
            progress: ProgressKind::Lines,
            verbosity: Verbosity::Normal,
            streams: false,
            out_paint: Paint::Plain,
            err_paint: Paint::Plain,
        };
        let reporter = Reporter::new(look, &mut out, &mut err);
        for event in events {
            reporter.event(event);
        }
        reporter.finish(failure).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[track_caller]
    fn check(stream: Stream, events: Vec<Event>, failure: Option<&Failure>, expect: Expect) {
        let (out, err) = told(stream, events, failure);
        expect.assert_eq(&format!("{out}--- stderr\n{err}"));
    }

    #[test]
    fn a_table_is_data_and_progress_is_not() {
        check(
            Stream::Table,
            events(),
            None,
            expect![[r"
            TARGET     CLASS   STRATEGY     SIZE  STATE
            //:server  static  netgo     5.1 MiB  built
            1 output: 1 built; 2 go processes
            --- stderr
            link 1 program by netgo
            [1/1] built //:server (m/server)
        "]],
        );
    }

    #[test]
    fn a_dry_run_prints_commands_that_can_be_pasted() {
        check(
            Stream::Commands,
            events().drain(..3).collect(),
            None,
            expect![[r"
            # link 1 program by netgo
            CGO_ENABLED=1 go build -o 'a b'
            --- stderr
            1 command; nothing was run
        "]],
        );
    }

    #[test]
    fn a_json_stream_is_every_event() {
        check(
            Stream::JsonLines,
            events(),
            None,
            expect![[r#"
                {"event":"started","targets":1,"jobs":2}
                {"event":"step_started","step":0,"what":"link 1 program by netgo","argv":["go","build","-o","a b"],"env":["CGO_ENABLED=1"],"folder":"."}
                {"event":"step_finished","step":0,"ok":true}
                {"event":"finished","label":"//:server","rule":"go_binary","go_package":"m/server","output":"bin/server","source_folder":null,"state":"built","class":"static","strategy":"netgo","size":5367336,"smoke":null,"warnings":[],"error":null,"hints":[],"exit_code":0}
                {"event":"done","built":1,"restored":0,"up_to_date":0,"failed":0,"skipped":0,"go_processes":2,"recalled":false,"exit_code":0}
                --- stderr
            "#]],
        );
    }

    #[test]
    fn a_json_stream_has_bounds() {
        let label = finished("//:t", "m/a", State::Built).label;
        let started = |run| Event::TestStarted {
            label: label.clone(),
            go_package: "m/a".to_owned(),
            platform: None,
            run,
        };
        let output = |bytes: usize| Event::TestOutput {
            label: label.clone(),
            go_package: "m/a".to_owned(),
            platform: None,
            test: Some("TestA".to_owned()),
            output: "x".repeat(bytes),
        };
        let mut events = vec![started(1), output(MOST_OUTPUT), output(7), output(8), started(2)];
        events.push(output(MOST_OUTPUT - 1));
        events.push(output(1));
        let (out, _) = told(Stream::JsonLines, events, None);
        let lines: Vec<serde_json::Value> =
            out.lines().filter_map(|it| serde_json::from_str(it).ok()).collect();
        let told = lines.iter().map(|it| match it["output"].as_str() {
            Some(output) if output.starts_with('x') => output.len().to_string(),
            Some(output) => output.trim().to_owned(),
            None => it["event"].as_str().unwrap().to_owned(),
        });
        let most = MOST_OUTPUT.to_string();
        let almost = (MOST_OUTPUT - 1).to_string();
        let expected = [
            "test_started",
            &most,
            "… 15 bytes are left out …",
            "test_started",
            &almost,
            "1",
            "done",
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_json_stream_ends_with_done_whatever_happened() {
        let failure = Failure::new(ExitCode::MachineLacks, "there is no `go`").hint("install it");
        check(
            Stream::JsonLines,
            vec![],
            Some(&failure),
            expect![[r#"
            {"event":"error","message":"there is no `go`","because":[],"hints":["install it"],"problems":[],"exit_code":36}
            {"event":"done","built":0,"restored":0,"up_to_date":0,"failed":0,"skipped":0,"go_processes":0,"recalled":false,"exit_code":36}
            --- stderr
        "#]],
        );
    }

    #[test]
    fn a_closed_pipe_ends_the_telling_and_not_the_build() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let look = Look {
            stream: Stream::JsonLines,
            progress: ProgressKind::Lines,
            verbosity: Verbosity::Normal,
            streams: false,
            out_paint: Paint::Plain,
            err_paint: Paint::Plain,
        };
        let (mut out, mut err) = (Closed, Vec::new());
        let reporter = Reporter::new(look, &mut out, &mut err);
        for event in events() {
            reporter.event(event);
        }
        let server = PatternSet::parse(&["//:server"], &PackagePath::root()).unwrap();
        assert_eq!(reporter.finished(&server).len(), 1);
        assert_eq!(reporter.finish(None).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
