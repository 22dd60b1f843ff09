//! Finds the Go modules of a repository that has no `BUILD.ron` yet, and their packages.

use crate::effects::go_tool::{GoModuleFolder, GoTool, GoToolError, Trust};
use crate::effects::machine::Machine;
use crate::effects::workspace::SKIPPED;
use crate::formats::go_list::GoPackage as Listed;
use crate::plan::configuration::{GoPlatform, Selection};
use crate::plan::starter::{GoModule, GoPackage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Finds every module at and below `root`, with its packages as the default settings see them.
///
/// # Errors
///
/// Returns [`GoToolError`] if there is no `go`, or a module cannot be listed at all.
pub fn modules(root: &Path, machine: &Machine) -> Result<Vec<GoModule>, GoToolError> {
    let folders = module_folders(root);
    if folders.is_empty() {
        return Ok(Vec::new());
    }
    let go = GoTool::find(machine, Trust::Look)?;
    folders.iter().map(|it| module(root, it, &go, machine)).collect()
}

fn module_folders(root: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(root).sort_by_file_name().into_iter();
    let entered = walk.filter_entry(|it| {
        let name = it.file_name().to_string_lossy();
        // The `go` command passes over names that begin with `_` or `.` too.
        it.depth() == 0 || !(name.starts_with(['.', '_']) || SKIPPED.contains(&&*name))
    });
    let files = entered.filter_map(Result::ok).filter(|it| it.file_type().is_file());
    let modules = files.filter(|it| it.file_name() == "go.mod");
    modules.filter_map(|it| it.path().parent().map(Path::to_owned)).collect()
}

fn module(
    root: &Path,
    folder: &Path,
    go: &GoTool,
    machine: &Machine,
) -> Result<GoModule, GoToolError> {
    let place = GoModuleFolder::of(folder)
        .unwrap_or_else(|| GoModuleFolder { folder: folder.to_owned(), work: None });
    let selection = Selection {
        platform: GoPlatform { goos: go.host.0.clone(), goarch: go.host.1.clone(), level: None },
        cgo: machine.program("gcc").is_some() || machine.program("clang").is_some(),
        tags: Vec::new(),
        race: false,
        env: BTreeMap::new(),
    };
    let listed = go.list(machine, &place, &selection, &["./...".to_owned()], false)?;
    let own = listed.values().filter(|it| !it.dep_only);
    let path = own.clone().find_map(|it| it.module.as_ref()).map(|it| it.path.clone());
    let below = |path: &Path, of: &Path| {
        path.strip_prefix(of).map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let package = |it: &Listed| GoPackage {
        import_path: it.import_path.clone(),
        folder: below(Path::new(&it.dir), folder),
        // A package of tests alone is no program, whatever its name.
        name: if it.files.compiled().next().is_some() { it.name.clone() } else { String::new() },
        has_tests: it.files.have_tests(),
        uses_cgo: it.files.use_cgo(),
        excluded: excluded(it),
    };
    Ok(GoModule {
        folder: below(folder, root),
        path: path.unwrap_or_default(),
        packages: own.filter(|it| !it.dir.is_empty()).map(package).collect(),
    })
}

/// Returns why a package is not for this platform. Other errors are no reason to leave it out: the
/// build tells them.
fn excluded(package: &Listed) -> Option<String> {
    let text = &package.error.as_ref()?.err;
    text.contains("build constraints exclude all Go files").then(|| text.trim().to_owned())
}
