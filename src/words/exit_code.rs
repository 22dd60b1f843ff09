//! The exit codes, one cause each; Bazel's numbers where Bazel has one.

/// Why the program ends; the number is what the shell sees. `docs/cli.md` promises them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything asked for was done.
    Done = 0,
    /// A build step failed.
    BuildFailed = 1,
    /// The command line or a rule file is wrong.
    BadInput = 2,
    /// A test failed or ran out of time.
    TestFailed = 3,
    /// No tests were found.
    NoTests = 4,
    /// A linkage promise or a policy is not kept.
    PromiseBroken = 6,
    /// Two builds of the same inputs differ.
    NotReproducible = 7,
    /// A signal or the user ended it.
    Interrupted = 8,
    /// It gave up waiting for another linkwright.
    GaveUpWaiting = 9,
    /// Inputs changed during the build and did not settle.
    InputsChanged = 10,
    /// Refused for safety.
    Refused = 11,
    /// The disk or the store.
    Disk = 12,
    /// The machine lacks something: no `go`, no C compiler, no static libc.
    MachineLacks = 36,
    /// A bug in linkwright.
    Bug = 37,
}

impl ExitCode {
    /// Every code, in order, for documentation and its test.
    pub const ALL: [Self; 14] = [
        Self::Done,
        Self::BuildFailed,
        Self::BadInput,
        Self::TestFailed,
        Self::NoTests,
        Self::PromiseBroken,
        Self::NotReproducible,
        Self::Interrupted,
        Self::GaveUpWaiting,
        Self::InputsChanged,
        Self::Refused,
        Self::Disk,
        Self::MachineLacks,
        Self::Bug,
    ];

    /// Returns the number that the shell sees.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}
