//! What is known of each verified artefact, and the ledger that holds it all.
//!
//! `linkwright-out/ledger.json` is this module's types as JSON: sorted, without times, hosts or
//! absolute paths, so that equal inputs give equal bytes at any `-j`.

use crate::formats::linkage::{BuildInfo, Linkage};
use crate::model::strategy::Promise;
use crate::words::defect::{Defect, planted};
use crate::words::digest::Digest;
use crate::words::label::Label;
use crate::words::path::RelPath;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of a ledger; raised when a field changes its meaning.
pub const LEDGER_FORMAT: &str = "linkwright-ledger/1";

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// Built, and as promised.
    Verified,
    /// Built, and not as promised.
    NotAsPromised,
    /// The tools could not build it.
    Failed,
    /// Known before building that it cannot hold; not built.
    Impossible,
}

/// One strategy applied to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// The strategy's name.
    pub strategy: String,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why, unless it verified.
    pub reason: Option<String>,
}

/// What is true of one artefact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The target.
    pub label: Label,
    /// The Go package inside.
    pub go_package: String,
    /// The platform that it is for, as `linux/arm/7`, where the target names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Path below `linkwright-out/`.
    pub output: RelPath,
    /// BLAKE3 of the bytes, 64 hexadecimal digits.
    #[schemars(with = "String")]
    pub blake3: Digest,
    /// SHA-256 of the bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Digest of every input.
    #[schemars(with = "String")]
    pub key: Digest,
    /// What the strategy promises.
    pub promise: Promise,
    /// The policy that it also keeps, if it has one.
    pub policy: Option<String>,
    /// The strategy that verified.
    pub strategy: String,
    /// Every attempt, in ladder order.
    pub attempts: Vec<Attempt>,
    /// What the bytes show.
    pub linkage: Linkage,
    /// What Go wrote into the file.
    pub build_info: Option<BuildInfo>,
    /// Go packages that are in it without their cgo files, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// What made it.
    pub toolchain: ToolchainNames,
    /// The command that makes it alone, outputs relative to the workspace root.
    pub commands: Vec<Vec<String>>,
    /// The folder that the command runs in, relative to the workspace root.
    pub folder: String,
    /// The variables that the command is given.
    pub environment: BTreeMap<String, String>,
}

/// A Go package that was linked without its cgo files: other files, a stub perhaps, stand in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// The package.
    pub go_package: String,
    /// The shortest import chain that leads to it, the program first.
    pub imported_by: Vec<String>,
}

impl LeftOut {
    /// Says it as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { go_package, imported_by } = self;
        let through = match imported_by.as_slice() {
            [] => String::new(),
            chain => format!(" (imported by `{}`)", chain.join("` → `")),
        };
        format!(
            "`{go_package}`{through} is in it without its cgo files: what stands in for them, a stub perhaps, may not work; link it by a strategy with `cgo: on`"
        )
    }
}

/// The names of the tools, for people; their digests are in the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolchainNames {
    /// `go1.26.8`.
    pub go: String,
    /// What that Go cannot do, being an old one, and what was done instead, a clause each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub go_lacks: Vec<String>,
    /// `gcc 12.2.0`; `null` where no C compiler took part.
    pub cc: Option<String>,
    /// What the C linker calls itself; `null` where Go's linker may have done without, or where the
    /// compiler is its own linker.
    #[serde(default)]
    pub linker: Option<String>,
}

/// What is true of the outputs of one `command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRecord {
    /// The target.
    pub label: Label,
    /// Digest of every input.
    #[schemars(with = "String")]
    pub key: Digest,
    /// BLAKE3 of each output, by path relative to the workspace root.
    #[schemars(with = "BTreeMap<String, String>")]
    pub outputs: BTreeMap<String, Digest>,
}

/// What is true of one `bundle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRecord {
    /// The target.
    pub label: Label,
    /// Digest of every input.
    #[schemars(with = "String")]
    pub key: Digest,
    /// Path below `linkwright-out/`: of the archive, or of the folder.
    pub output: RelPath,
    /// BLAKE3 of each file, by path below the folder; of an archive, of the archive itself, by no
    /// path.
    #[schemars(with = "BTreeMap<String, String>")]
    pub files: BTreeMap<String, Digest>,
}

/// All records of a workspace, sorted by label, then Go package, then platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// [`LEDGER_FORMAT`].
    pub format: String,
    /// What was linked and verified.
    pub records: Vec<Record>,
    /// What commands made.
    #[serde(default)]
    pub commands: Vec<CommandRecord>,
    /// What was put together to be taken elsewhere.
    #[serde(default)]
    pub bundles: Vec<BundleRecord>,
}

impl Ledger {
    /// Makes a ledger of records of each kind, sorted.
    #[must_use]
    pub fn new(
        mut records: Vec<Record>,
        mut commands: Vec<CommandRecord>,
        mut bundles: Vec<BundleRecord>,
    ) -> Self {
        records.sort_by(|a, b| {
            let packages = a.go_package.cmp(&b.go_package);
            a.label.cmp(&b.label).then(packages).then_with(|| a.platform.cmp(&b.platform))
        });
        commands.sort_by(|a, b| a.label.cmp(&b.label));
        bundles.sort_by(|a, b| a.label.cmp(&b.label));
        if planted(Defect::UnsortedLedger) {
            records.reverse();
        }
        Self { format: LEDGER_FORMAT.to_owned(), records, commands, bundles }
    }

    /// Reads the text of a ledger; `None` if it is none of this format.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().filter(|it: &Self| it.format == LEDGER_FORMAT)
    }

    /// Returns the ledger as text: two spaces of indentation, one newline at the end.
    ///
    /// # Errors
    ///
    /// Returns serde's error, which would be a bug: every field is plain data.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
