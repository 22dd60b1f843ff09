//! The server that the `go` command starts as its GOCACHEPROG.
//!
//! ```text
//!   reader ──Arrived──▶ coordinator ──lines──▶ stdout
//!     │ jobs, pieces of bodies   ▲
//!     └──▶ workers ───Answer─────┘
//! ```
//!
//! `go` waits for each answer without a bound, and dies of an answer that it did not ask for, of a
//! word on stdout that is none, and of a server that ends early. So: the coordinator alone writes,
//! and it alone knows which requests are open; each gets one answer, at the latest after the
//! deadline, and what a worker says after that is dropped. The reader never touches the disk, so no
//! disk can keep it from reading. A worker that panics has no answer to give, which is a miss. A
//! disk that misses [`PATIENCE`] deadlines is not asked again.
//!
//! A put that cannot be kept is answered as if it had been, with a path at which there is nothing:
//! for an object `go` needs no more, while an error would end a `go list` that stores an index.

use crate::effects::compile_cache::{Body, Found, PutError, Report, Shelf};
use crate::formats::cacheprog::{
    BodyEnd, Command, Received, Request, Requests, Response, encode, rfc3339,
};
use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// How long a request may take, counted from its last byte.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// After so many missed deadlines the store is not asked any more.
const PATIENCE: u64 = 8;

/// How much is read at once; bodies go by in pieces of three quarters of it.
const BUFFER: usize = 256 << 10;

/// How many pieces of a body wait for the disk before the reader does.
const PIECES: usize = 16;

/// At most so many troubles are told, and of the rest their number.
const TROUBLES: usize = 8;

/// What there is for a worker to do.
enum Job {
    Get { id: i64, action: Vec<u8> },
    Put { id: i64, action: Vec<u8>, output: Vec<u8>, size: u64, pieces: Receiver<Piece> },
}

/// A part of a body. Without an end it broke off, and is forgotten.
enum Piece {
    Bytes(Vec<u8>),
    End,
}

/// What the coordinator is told.
enum Message {
    /// A request was read to its end.
    Arrived { id: i64, is_get: bool },
    /// A request has its answer.
    Answer { id: i64, answer: Answer },
    /// Nothing more will arrive; the request to be answered last, if there is one.
    Over(Option<i64>),
}

/// What becomes of a request.
enum Answer {
    Hit(Found),
    Miss,
    Kept { path: String, size: u64 },
    NotKept(String),
    NotInTime,
    Wrong(String),
}

/// Answers `input` on `output` until it ends or asks to close; returns what there is to tell.
///
/// Threads that a disk holds up are left behind; they end with the process.
///
/// # Errors
///
/// Returns the error of writing to `output`: nobody is there any more.
pub fn serve(
    input: impl Read + Send + 'static,
    output: &mut dyn Write,
    shelf: &Arc<Shelf>,
    (deadline, workers): (Duration, usize),
) -> io::Result<Report> {
    let (tell, told) = mpsc::channel();
    let (give, jobs) = mpsc::channel();
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..workers.max(1) {
        let (jobs, tell, shelf) = (Arc::clone(&jobs), tell.clone(), Arc::clone(shelf));
        spawn(move || work(&jobs, &tell, &shelf));
    }
    for _ in 0..(workers / 2).max(1) {
        let shelf = Arc::clone(shelf);
        spawn(move || shelf.look_ahead());
    }
    let given_up = Arc::new(AtomicBool::new(false));
    let reader = Reader { tell, give, deadline, given_up: Arc::clone(&given_up) };
    spawn(move || reader.run(input));
    let nowhere = shelf.nowhere().to_string_lossy().into_owned();
    let mut coordinator = Coordinator {
        output,
        deadline,
        given_up,
        nowhere,
        open: HashMap::new(),
        due: VecDeque::new(),
        report: Report::default(),
        failures: 0,
    };
    coordinator.say(&Response::greeting())?;
    coordinator.run(&told)?;
    Ok(coordinator.end(shelf))
}

/// Reads requests and hands them out; knows neither answers nor the disk.
struct Reader {
    tell: Sender<Message>,
    give: Sender<Job>,
    deadline: Duration,
    given_up: Arc<AtomicBool>,
}

impl Reader {
    fn run(self, input: impl Read) {
        let mut requests = Requests::new(BufReader::with_capacity(BUFFER, input));
        let mut last = None;
        while let Ok(Some(received)) = requests.next_request() {
            let Received::Request(Request { id, command }) = received else { continue };
            match command {
                Command::Get { action } => self.get(id, action),
                Command::Put { action, output, size } => {
                    if !self.put(&mut requests, id, (action, output, size)) {
                        break;
                    }
                }
                Command::Close => {
                    last = Some(id);
                    break;
                }
                Command::Wrong(why) => {
                    self.tell(Message::Arrived { id, is_get: false });
                    self.tell(Message::Answer { id, answer: Answer::Wrong(why) });
                }
            }
        }
        self.tell(Message::Over(last));
    }

    fn tell(&self, message: Message) {
        // The coordinator goes first only when nobody reads its answers.
        let _ = self.tell.send(message);
    }

    fn get(&self, id: i64, action: Vec<u8>) {
        self.tell(Message::Arrived { id, is_get: true });
        if self.given_up.load(Ordering::Relaxed) {
            self.tell(Message::Answer { id, answer: Answer::Miss });
        } else {
            let _ = self.give.send(Job::Get { id, action });
        }
    }

    /// Passes a body on; tells whether the stream goes on.
    fn put<R: io::BufRead>(
        &self,
        requests: &mut Requests<R>,
        id: i64,
        (action, output, size): (Vec<u8>, Vec<u8>, u64),
    ) -> bool {
        let (pieces, taken) = mpsc::sync_channel(PIECES);
        let mut pieces = (!self.given_up.load(Ordering::Relaxed)).then_some(pieces);
        if pieces.is_some() {
            let _ = self.give.send(Job::Put { id, action, output, size, pieces: taken });
        }
        if size > 0 {
            let mut take = |bytes| {
                if pieces.as_ref().is_some_and(|it| !self.push(it, Piece::Bytes(bytes))) {
                    pieces = None;
                }
            };
            match requests.body(&mut take) {
                Ok(BodyEnd::Whole) => {}
                // Whoever sent it has given the request up.
                Ok(BodyEnd::Broken) => return true,
                Err(_) => return false,
            }
        }
        self.tell(Message::Arrived { id, is_get: false });
        if pieces.is_none_or(|it| !self.push(&it, Piece::End)) {
            self.tell(Message::Answer { id, answer: Answer::NotInTime });
        }
        true
    }

    /// Hands a piece to the worker, unless it takes none before the deadline.
    fn push(&self, pieces: &SyncSender<Piece>, mut piece: Piece) -> bool {
        let began = Instant::now();
        loop {
            match pieces.try_send(piece) {
                // Whoever takes no more has answered already.
                Ok(()) | Err(TrySendError::Disconnected(_)) => return true,
                Err(TrySendError::Full(_)) if began.elapsed() > self.deadline => return false,
                Err(TrySendError::Full(back)) => piece = back,
            }
            sleep(Duration::from_micros(200));
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, tell: &Sender<Message>, shelf: &Shelf) {
    loop {
        let job = jobs.lock().map(|it| it.recv());
        let Ok(Ok(job)) = job else { return };
        let (id, is_get) = match &job {
            Job::Get { id, .. } => (*id, true),
            Job::Put { id, .. } => (*id, false),
        };
        let done = catch_unwind(AssertUnwindSafe(|| job.run(shelf)));
        let answer = done.unwrap_or_else(|_| {
            let bug = "a bug in linkwright".to_owned();
            Some(if is_get { Answer::Miss } else { Answer::NotKept(bug) })
        });
        if let Some(answer) = answer
            && tell.send(Message::Answer { id, answer }).is_err()
        {
            return;
        }
    }
}

impl Job {
    /// Does it; `None` if the request was given up.
    fn run(self, shelf: &Shelf) -> Option<Answer> {
        match self {
            Self::Get { id: _, action } => {
                let found = shelf.get(&action).filter(|it| it.path.to_str().is_some());
                Some(found.map_or(Answer::Miss, Answer::Hit))
            }
            Self::Put { id: _, action, output, size, pieces } => {
                let mut body = shelf.begin();
                while let Piece::Bytes(bytes) = pieces.recv().ok()? {
                    let written = body.as_mut().ok().map(|it| it.write(&bytes));
                    if let Some(Err(error)) = written {
                        body = Err(error);
                    }
                }
                let kept = body.and_then(|it: Body| shelf.finish(&action, (&output, size), it));
                Some(match kept.as_deref().map(Path::to_str) {
                    Ok(Some(path)) => Answer::Kept { path: path.to_owned(), size },
                    Ok(None) => Answer::NotKept("its path is not UTF-8".to_owned()),
                    Err(error @ PutError::Other(_)) => Answer::Wrong(error.to_string()),
                    Err(PutError::Kept(error)) => Answer::NotKept(error.to_string()),
                })
            }
        }
    }
}

/// Owns stdout and the list of open requests.
struct Coordinator<'a> {
    output: &'a mut dyn Write,
    deadline: Duration,
    given_up: Arc<AtomicBool>,
    nowhere: String,
    /// Whether it is a get, by id.
    open: HashMap<i64, bool>,
    /// In the order in which they arrived, which is that of their deadlines.
    due: VecDeque<(Instant, i64)>,
    report: Report,
    failures: u64,
}

impl Coordinator<'_> {
    fn run(&mut self, told: &Receiver<Message>) -> io::Result<()> {
        let mut last = None;
        let mut is_over = false;
        while !is_over || !self.open.is_empty() {
            let message = if let Ok(message) = told.try_recv() {
                Some(message)
            } else {
                self.output.flush()?;
                self.wait(told)
            };
            match message {
                Some(Message::Arrived { id, is_get }) => self.arrived(id, is_get),
                Some(Message::Answer { id, answer }) => self.answer(id, answer)?,
                Some(Message::Over(close)) => (is_over, last) = (true, close),
                None => {}
            }
            self.expire()?;
        }
        if let Some(id) = last {
            self.say(&Response { id, ..Response::default() })?;
        }
        self.output.flush()
    }

    /// Waits for a message, at the longest until the next deadline.
    fn wait(&self, told: &Receiver<Message>) -> Option<Message> {
        let next = self.due.iter().find(|(_, id)| self.open.contains_key(id));
        let received = match next {
            Some((at, _)) => told.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            // Every thread is gone; that is the end as well.
            Err(RecvTimeoutError::Disconnected) => Some(Message::Over(None)),
        }
    }

    fn arrived(&mut self, id: i64, is_get: bool) {
        // A second request of an open id is one too many: there can be one answer only.
        if self.open.insert(id, is_get).is_none() {
            self.due.push_back((Instant::now() + self.deadline, id));
        }
    }

    /// Answers what is past its deadline.
    fn expire(&mut self) -> io::Result<()> {
        while let Some((at, id)) = self.due.front().copied() {
            match self.open.get(&id) {
                None => {}
                Some(_) if at > Instant::now() => return Ok(()),
                Some(is_get) => {
                    self.report.statistics.late += 1;
                    if self.report.statistics.late >= PATIENCE {
                        self.given_up.store(true, Ordering::Relaxed);
                    }
                    let answer = if *is_get { Answer::Miss } else { Answer::NotInTime };
                    self.answer(id, answer)?;
                }
            }
            self.due.pop_front();
        }
        Ok(())
    }

    fn answer(&mut self, id: i64, answer: Answer) -> io::Result<()> {
        if self.open.remove(&id).is_none() {
            return Ok(());
        }
        let statistics = &mut self.report.statistics;
        let mut response = Response { id, ..Response::default() };
        match answer {
            Answer::Hit(Found { output, size, time, path }) => {
                statistics.hits += 1;
                statistics.bytes_read += size;
                response.output = encode(&output);
                response.size = size;
                response.time = Some(rfc3339(time));
                response.disk_path = path.to_string_lossy().into_owned();
            }
            Answer::Miss => {
                statistics.misses += 1;
                response.miss = true;
            }
            Answer::Kept { path, size } => {
                statistics.puts += 1;
                statistics.bytes_written += size;
                response.disk_path = path;
            }
            Answer::NotKept(why) => {
                self.fail(format!("an object could not be kept: {why}"));
                response.disk_path.clone_from(&self.nowhere);
            }
            Answer::NotInTime => response.disk_path.clone_from(&self.nowhere),
            Answer::Wrong(why) => {
                response.err.clone_from(&why);
                self.fail(format!("a request could not be answered: {why}"));
            }
        }
        self.say(&response)
    }

    fn fail(&mut self, why: String) {
        let troubles = &mut self.report.troubles;
        if !troubles.contains(&why) {
            if troubles.len() < TROUBLES {
                troubles.push(why);
            } else {
                self.failures += 1;
            }
        }
    }

    fn say(&mut self, response: &Response) -> io::Result<()> {
        self.output.write_all(&response.line())
    }

    fn end(mut self, shelf: &Shelf) -> Report {
        let (troubles, damaged) = shelf.troubles();
        for trouble in troubles {
            self.fail(trouble);
        }
        if self.failures > 0 {
            self.report.troubles.push(format!("and {} more", self.failures));
        }
        if self.report.statistics.late >= PATIENCE {
            let late = "the disk did not answer in time, and was not asked any more";
            self.report.troubles.push(late.to_owned());
        }
        self.report.statistics.sessions = 1;
        self.report.statistics.damaged = damaged;
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};
    use std::collections::BTreeMap;
    use std::io::Cursor;

    struct Said {
        answers: Vec<Response>,
        report: Report,
    }

    fn ask(shelf: &Arc<Shelf>, input: &str, deadline: Duration) -> Said {
        let mut output = Vec::new();
        let input = Cursor::new(input.as_bytes().to_vec());
        let report = serve(input, &mut output, shelf, (deadline, 3)).unwrap();
        let lines = output.split(|it| *it == b'\n').filter(|it| !it.is_empty());
        let mut answers: Vec<Response> =
            lines.map(|it| serde_json::from_slice(it).unwrap()).collect();
        assert_eq!(answers.remove(0), Response::greeting());
        Said { answers, report }
    }

    fn get(id: i64, action: &str) -> String {
        let action = encode(action.as_bytes());
        format!("{{\"ID\":{id},\"Command\":\"get\",\"ActionID\":\"{action}\"}}\n\n")
    }

    fn put(id: i64, action: &str, body: &str) -> String {
        let (action, output) = (encode(action.as_bytes()), encode(&Sha256::digest(body)));
        let size = body.len();
        let line = if body.is_empty() {
            String::new()
        } else {
            format!("{:?}\n", encode(body.as_bytes()))
        };
        format!(
            "{{\"ID\":{id},\"Command\":\"put\",\"ActionID\":\"{action}\",\"OutputID\":\"{output}\",\
             \"BodySize\":{size}}}\n\n{line}"
        )
    }

    fn close(id: i64) -> String {
        format!("{{\"ID\":{id},\"Command\":\"close\"}}\n\n")
    }

    fn shelf() -> (tempfile::TempDir, Arc<Shelf>) {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::alone(folder.path()));
        (folder, shelf)
    }

    /// By id; that each has one answer is asserted.
    fn by_id(said: &Said) -> BTreeMap<i64, &Response> {
        let answers: BTreeMap<_, _> = said.answers.iter().map(|it| (it.id, it)).collect();
        assert_eq!(answers.len(), said.answers.len(), "{:?}", said.answers);
        answers
    }

    const LONG: Duration = Duration::from_secs(100);

    #[test]
    fn what_was_put_is_found_again() {
        let (_folder, shelf) = shelf();
        let body = "x".repeat(3_000_000);
        let puts = put(1, "a", &body) + &put(2, "b", "") + &get(3, "c") + &close(4);
        let said = ask(&shelf, &puts, LONG);
        let answers = by_id(&said);
        assert_eq!(std::fs::read_to_string(&answers[&1].disk_path).unwrap(), body);
        assert_eq!(std::fs::read_to_string(&answers[&2].disk_path).unwrap(), "");
        assert!(answers[&3].miss);
        assert_eq!(said.answers.last().unwrap().id, 4);
        let said = ask(&shelf, &(get(1, "a") + &get(2, "b")), LONG);
        let answers = by_id(&said);
        assert_eq!(answers[&1].output, encode(&Sha256::digest(&body)));
        assert_eq!((answers[&1].size, answers[&2].size), (3_000_000, 0));
        assert_eq!(std::fs::read_to_string(&answers[&1].disk_path).unwrap(), body);
        assert_eq!(said.report.statistics.hits, 2);
        assert_eq!(said.report.troubles, [""; 0]);
    }

    #[test]
    fn many_requests_at_once_each_have_one_answer() {
        let (_folder, shelf) = shelf();
        let puts: String =
            (0..200).map(|it| put(it, &format!("a{it}"), &format!("b{it}"))).collect();
        let gets: String = (200..600).map(|it| get(it, &format!("a{}", it - 200))).collect();
        let said = ask(&shelf, &puts, LONG);
        assert_eq!(by_id(&said).len(), 200);
        let said = ask(&shelf, &gets, LONG);
        let answers = by_id(&said);
        for id in 200..400 {
            let found = std::fs::read_to_string(&answers[&id].disk_path).unwrap();
            assert_eq!(found, format!("b{}", id - 200));
        }
        assert!((400..600).all(|id| answers[&id].miss));
    }

    #[test]
    fn a_request_that_is_too_late_is_a_miss_and_has_one_answer() {
        let (_folder, shelf) = shelf();
        ask(&shelf, &put(1, "a", "bytes"), LONG);
        let input: String = (1..100).map(|it| get(it, "a") + &put(100 + it, "b", "body")).collect();
        let said = ask(&shelf, &(input + &close(200)), Duration::ZERO);
        let answers = by_id(&said);
        assert_eq!(answers.len(), 199);
        let late = said.report.statistics.late;
        assert!(late >= PATIENCE, "{late}");
        assert!((1..100).any(|id| answers[&id].miss));
        for answer in said.answers.iter().filter(|it| it.err.is_empty()) {
            // Right bytes, or a path at which there is nothing.
            let found = std::fs::read_to_string(&answer.disk_path).unwrap_or_default();
            assert!(["", "bytes", "body"].contains(&found.as_str()), "{answer:?}");
        }
    }

    #[test]
    fn a_second_request_of_an_open_id_gets_no_second_answer() {
        let (_folder, shelf) = shelf();
        let said = ask(&shelf, &(get(1, "a").repeat(50) + &close(2)), LONG);
        let answered = said.answers.iter().filter(|it| it.id == 1).count();
        assert!((1..=50).contains(&answered), "{answered}");
        assert_eq!(said.answers.last().unwrap().id, 2);
    }

    #[test]
    fn requests_that_break_off_or_were_never_offered_leave_the_others_alone() {
        let (_folder, shelf) = shelf();
        let whole = put(1, "z", "some bytes");
        let broken = whole.trim_end().trim_end_matches('"');
        let wrong = "{\"ID\":5,\"Command\":\"get2\"}\n";
        let input = format!("{broken}{}garbage\n{wrong}{}", get(2, "z"), put(3, "a", "whole"));
        let said = ask(&shelf, &input, LONG);
        let answers = by_id(&said);
        assert!(!answers.contains_key(&1), "nobody waits for it: {:?}", said.answers);
        assert!(answers[&2].miss);
        assert_eq!(answers[&5].err, "unknown command `get2`");
        let said = ask(&shelf, &get(1, "a"), LONG);
        let found = std::fs::read_to_string(&by_id(&said)[&1].disk_path).unwrap();
        assert_eq!(found, "whole");
    }

    #[test]
    fn a_put_that_cannot_be_kept_is_answered_with_a_path_at_which_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        std::fs::File::create(&blocked).unwrap();
        let shelf = Arc::new(Shelf::alone(&blocked));
        let puts: String = (0..100).map(|it| put(it, &format!("a{it}"), "body")).collect();
        let said = ask(&shelf, &(puts + &close(200)), LONG);
        let answers = by_id(&said);
        for id in 0..100 {
            assert_eq!((answers[&id].err.as_str(), answers[&id].miss), ("", false));
            assert!(!Path::new(&answers[&id].disk_path).exists());
            assert!(Path::new(&answers[&id].disk_path).is_absolute());
        }
        assert_eq!(said.report.statistics.puts, 0);
        assert!((1..=TROUBLES + 2).contains(&said.report.troubles.len()), "{:?}", said.report);
    }

    #[test]
    fn an_answer_that_nobody_reads_ends_the_server() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let (_folder, shelf) = shelf();
        let input = Cursor::new(get(1, "a").into_bytes());
        let ended = serve(input, &mut Closed, &shelf, (LONG, 1));
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
