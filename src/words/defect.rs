//! Defects that are planted on purpose, one at a time, to see the tests catch them.
//!
//! Each is a small `if` at the place where the real thing would be. They are there only with the
//! feature `planted-defects`, which no release has: without it [`planted`] is `false` at compile
//! time. `scripts/planted` plants them one by one and names the test that catches each.

/// A defect, by what it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the sentences; where they are used shows the rest")]
pub enum Defect {
    KeyWithoutPackage,
    KeyWithoutKind,
    KeyWithoutEnvironment,
    KeyWithoutFlags,
    KeyWithoutTags,
    KeyWithoutLinkerFlags,
    KeyWithoutToolchain,
    KeyWithoutCTools,
    KeyWithoutLibraries,
    KeyWithoutModules,
    KeyWithoutModuleFiles,
    KeyWithoutFiles,
    KeyWithoutCFiles,
    KeyWithoutHeaders,
    KeyWithoutCLibraries,
    KeyWithoutEmbeds,
    KeyWithoutTests,
    CommandKeyWithoutWords,
    NoSalt,
    StampWithoutChangeTime,
    NoRacyRule,
    MemoryWithoutSeal,
    NoVerifyOnRead,
    AcceptAnyRecord,
    NoHealing,
    CacheFailedAction,
    TrustCutFiles,
    OverwriteOutputs,
    HardLinkOutputs,
    SwallowOutputErrors,
    NoLookAfter,
    StaleListing,
    OldListingAfterCommand,
    OldFilesAfterCommand,
    ListingWithoutNames,
    ListingWithoutHeads,
    ListingWithoutStandardTests,
    NoBuildLock,
    BelieveOutputs,
    KeepLostOutputs,
    NeededOnlyVerdict,
    UnsortedLedger,
    AlwaysBuild,
    FailureExitsWithZero,
    SceneWithoutFolders,
    SceneWithoutAbsent,
    SceneOfYoungFiles,
    SceneBelievesOutputs,
    LastRunOfOtherVariables,
    LastRunWithoutSeal,
    BelieveToolchain,
}

/// Tells whether `defect` is planted: named by the variable `LINKWRIGHT_DEFECT`, read once.
#[cfg(feature = "planted-defects")]
#[must_use]
#[expect(clippy::disallowed_methods, reason = "in no release; unit tests have no edge to read it")]
pub fn planted(defect: Defect) -> bool {
    use std::sync::OnceLock;
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let name = NAME.get_or_init(|| std::env::var("LINKWRIGHT_DEFECT").ok());
    name.as_ref().is_some_and(|it| *it == format!("{defect:?}"))
}

/// Tells that nothing is planted.
#[cfg(not(feature = "planted-defects"))]
#[must_use]
pub const fn planted(_: Defect) -> bool {
    false
}
