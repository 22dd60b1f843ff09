//! Settings of Go targets: what a target says, else the nearest `defaults`, else the fixed default.

use crate::formats::build_file::SettingsSpec;
use crate::formats::ron_fields::Entry;
use crate::model::flags::{Tool, check as check_flags, split_quoted};
use crate::model::go_sdk::{GoSdk, ON_PATH, Sdks};
use crate::model::platform::{
    self, PlatformError, check_goarch, check_goos, check_level, check_pair,
};
use crate::model::policy::Policy;
use crate::model::rules::{check_tags, values};
use crate::model::strategy::{Ladder, RuleSet};
use crate::model::target::{GoSettings, Platform};
use crate::words::near::suggestion;
use crate::words::problem::Problem;
use crate::words::span::{Span, Spanned};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The variables that `env` of a Go target may set: those that say what is built, none that names
/// a program to run or turns a check off. The second half says whose words a value holds.
pub const GO_ENV: [(&str, Option<Tool>); 13] = [
    ("CGO_CFLAGS", Some(Tool::CCompiler)),
    ("CGO_CPPFLAGS", Some(Tool::CCompiler)),
    ("CGO_CXXFLAGS", Some(Tool::CCompiler)),
    ("CGO_FFLAGS", Some(Tool::CCompiler)),
    ("CGO_LDFLAGS", Some(Tool::CLinker)),
    ("GOEXPERIMENT", None),
    ("GOFIPS140", None),
    ("GONOPROXY", None),
    ("GONOSUMDB", None),
    ("GOPRIVATE", None),
    ("PKG_CONFIG_LIBDIR", None),
    ("PKG_CONFIG_PATH", None),
    ("PKG_CONFIG_SYSROOT_DIR", None),
];

/// Variables that something else says.
const SAID_ELSEWHERE: [(&str, &str); 13] = [
    ("CC", "say `cc` in a strategy"),
    ("CXX", "say `cxx` in a strategy"),
    ("CGO_ENABLED", "say `cgo` in a strategy"),
    ("GOARCH", "write `goarch`"),
    ("GOOS", "write `goos`"),
    ("GOAMD64", "write `level`"),
    ("GOARM", "write `level`"),
    ("GOARM64", "write `level`"),
    ("GO386", "write `level`"),
    ("GOFLAGS", "write `tags`, `ldflags`, `gcflags`; `-a` belongs to `go_flags` of a strategy"),
    ("GODEBUG", "write `//go:debug` lines in the program, or `godebug` in go.mod"),
    ("GOTOOLCHAIN", "pin a Go by `go_sdks` and write `go: \"name\"`"),
    ("GOWORK", "linkwright finds go.work by itself"),
];

/// How many settings are remembered, for targets that say the same.
const REMEMBERED: usize = 16;

/// Looks up names, each ladder once, so that a million targets share it.
#[derive(Debug)]
pub struct Settler<'r> {
    rules: &'r RuleSet,
    sdks: Sdks,
    ladders: BTreeMap<String, Arc<Ladder>>,
    /// The last ones that were shared.
    settled: VecDeque<Arc<[GoSettings]>>,
}

impl<'r> Settler<'r> {
    /// Begins with the names of `rules`.
    #[must_use]
    pub fn new(rules: &'r RuleSet, sdks: Sdks) -> Self {
        Self { rules, sdks, ladders: BTreeMap::new(), settled: VecDeque::new() }
    }

    /// Checks settings as written, apart from what only a whole target shows.
    #[must_use]
    pub fn check(&mut self, spec: &SettingsSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(go) = &spec.go
            && self.go(&go.value).is_err()
        {
            problems.push(self.sdks.unknown(go));
        }
        if let Some(link) = &spec.link
            && self.ladder(&link.value).is_none()
        {
            problems.push(self.unknown_link(link));
        }
        if let Some(policy) = &spec.policy
            && !self.rules.policies.contains_key(&policy.value)
        {
            let names: Vec<_> = self.rules.policies.keys().map(String::as_str).collect();
            let problem = Problem::new(format!("no policy `{}`", policy.value));
            let problem = problem.at(policy.span.clone(), "");
            problems.push(problem.hint(suggestion(&policy.value, &names)));
        }
        problems.extend(check_tags(spec.tags.as_deref().unwrap_or_default()));
        for (tool, field, words) in [
            (Tool::GoLinker, "ldflags", &spec.ldflags),
            (Tool::GoCompiler, "gcflags", &spec.gcflags),
            (Tool::CLinker, "extldflags", &spec.extldflags),
        ] {
            problems.extend(check_flags(tool, field, words.as_deref().unwrap_or_default()));
        }
        problems.extend(check_env(spec.env.as_deref().unwrap_or_default()));
        problems.extend(check_x_defs(spec.x_defs.as_deref().unwrap_or_default()));
        problems.extend(spec.goos.as_ref().and_then(|it| told(check_goos(&it.value), &it.span)));
        let goarch = spec.goarch.as_ref();
        problems.extend(goarch.and_then(|it| told(check_goarch(&it.value), &it.span)));
        problems
    }

    /// Makes the settings of one target of what it and its `defaults` say together, each part of
    /// which was checked; `None` if a part was wrong.
    ///
    /// # Errors
    ///
    /// Returns what only the whole shows: a platform that is none, a level of another architecture.
    pub fn settle(&mut self, spec: SettingsSpec) -> Result<Option<GoSettings>, Problem> {
        check_platform(&spec)?;
        let go = spec.go.as_ref().map_or(ON_PATH, |it| &it.value);
        let Ok(go) = self.go(go) else { return Ok(None) };
        let link = spec.link.as_ref().map_or("default", |it| &it.value);
        let Some(ladder) = self.ladder(link) else { return Ok(None) };
        let policy = match spec.policy {
            None => None,
            Some(name) => match self.rules.policies.get(&name.value) {
                Some(policy) => Some(Arc::<Policy>::clone(policy)),
                None => return Ok(None),
            },
        };
        Ok(Some(GoSettings {
            go,
            ladder,
            policy,
            tags: values(spec.tags.unwrap_or_default()),
            ldflags: values(spec.ldflags.unwrap_or_default()),
            gcflags: values(spec.gcflags.unwrap_or_default()),
            extldflags: values(spec.extldflags.unwrap_or_default()),
            env: plain(spec.env.unwrap_or_default()),
            x_defs: plain(spec.x_defs.unwrap_or_default()),
            platform: Platform {
                goos: spec.goos.map(|it| it.value),
                goarch: spec.goarch.map(|it| it.value),
                level: spec.level.map(|it| it.value),
                is_listed: false,
            },
            trimpath: spec.trimpath.unwrap_or(true),
            buildvcs: spec.buildvcs.unwrap_or(false),
        }))
    }

    /// Returns settings in one place with those of other targets that are the same.
    #[must_use]
    pub fn shared(&mut self, settings: Vec<GoSettings>) -> Arc<[GoSettings]> {
        if let Some(known) = self.settled.iter().find(|it| ***it == *settings) {
            return Arc::clone(known);
        }
        let settings: Arc<[GoSettings]> = settings.into();
        if self.settled.len() == REMEMBERED {
            self.settled.pop_front();
        }
        self.settled.push_back(Arc::clone(&settings));
        settings
    }

    /// Returns the toolchain that `name` means, none for the one on PATH; the error says that it
    /// means nothing.
    fn go(&self, name: &str) -> Result<Option<Arc<GoSdk>>, ()> {
        if name == ON_PATH { Ok(None) } else { self.sdks.get(name).map(Some).ok_or(()) }
    }

    fn ladder(&mut self, name: &str) -> Option<Arc<Ladder>> {
        if let Some(known) = self.ladders.get(name) {
            return Some(Arc::clone(known));
        }
        let ladder = self.rules.ladder(name)?;
        self.ladders.insert(name.to_owned(), Arc::clone(&ladder));
        Some(ladder)
    }

    fn unknown_link(&self, link: &Spanned<String>) -> Problem {
        let names = self.rules.strategies.keys().chain(self.rules.ladders.keys());
        let names: Vec<_> = names.map(String::as_str).collect();
        let problem = Problem::new(format!("no strategy or ladder `{}`", link.value));
        let problem = problem.at(link.span.clone(), "");
        if self.rules.policies.contains_key(&link.value) {
            return problem.hint(format!("it is a policy; write `policy: \"{}\"`", link.value));
        }
        problem.hint(suggestion(&link.value, &names))
    }
}

/// Reads the `platforms` of a target; `own` is what the target itself says besides.
///
/// # Errors
///
/// Returns what is wrong with them.
pub fn listed_platforms(
    texts: &[Spanned<String>],
    own: &SettingsSpec,
) -> Result<Vec<Platform>, Vec<Problem>> {
    let (mut platforms, mut problems) = (Vec::<Platform>::new(), Vec::new());
    let words = [("goos", &own.goos), ("goarch", &own.goarch), ("level", &own.level)];
    for (name, word) in words {
        let (Some(word), Some(first)) = (word, texts.first()) else { continue };
        let problem = Problem::new(format!("`{name}` and `platforms` say the same twice"));
        let problem = problem.at(word.span.clone(), "here").at(first.span.clone(), "and here");
        problems.push(
            problem.hint(format!("leave `{name}` out; `platforms` takes `linux/arm64/v9.0`")),
        );
    }
    for text in texts {
        let (goos, goarch, level) = match platform::parse(&text.value) {
            Ok(parts) => parts,
            Err(error) => {
                let problem = Problem::new(error.message).at(text.span.clone(), "");
                problems.push(problem.hint(error.hint));
                continue;
            }
        };
        let platform = Platform {
            goos: Some(goos.to_owned()),
            goarch: Some(goarch.to_owned()),
            level: level.map(str::to_owned),
            is_listed: true,
        };
        if platforms.contains(&platform) {
            let problem = Problem::new(format!("`{}` is listed twice", text.value));
            problems.push(problem.at(text.span.clone(), "").hint("list each platform once"));
        }
        platforms.push(platform);
    }
    if problems.is_empty() { Ok(platforms) } else { Err(problems) }
}

/// Drops the places.
#[must_use]
pub fn plain(table: impl IntoIterator<Item = Entry>) -> BTreeMap<String, String> {
    table.into_iter().map(|(key, value)| (key.value, value.value)).collect()
}

fn told(result: Result<(), PlatformError>, span: &Span) -> Option<Problem> {
    let error = result.err()?;
    Some(Problem::new(error.message).at(span.clone(), "").hint(error.hint))
}

fn check_platform(spec: &SettingsSpec) -> Result<(), Problem> {
    // A word that is wrong by itself has been told already.
    let goos = spec.goos.as_ref().filter(|it| check_goos(&it.value).is_ok());
    let goarch = spec.goarch.as_ref().filter(|it| check_goarch(&it.value).is_ok());
    if let (Some(goos), Some(goarch)) = (goos, goarch)
        && let Some(problem) = told(check_pair(&goos.value, &goarch.value), &goarch.span)
    {
        return Err(problem.at(goos.span.clone(), ""));
    }
    match (&spec.level, goarch) {
        (Some(level), Some(goarch)) => {
            let problem = told(check_level(&level.value, &goarch.value), &level.span);
            problem.map_or(Ok(()), Err)
        }
        (Some(level), None) if spec.goarch.is_none() => {
            let problem = Problem::new(format!("the level `{}` needs a `goarch`", level.value));
            let hint = "a level belongs to one architecture; write `goarch` too";
            Err(problem.at(level.span.clone(), "").hint(hint))
        }
        _ => Ok(()),
    }
}

fn check_env(table: &[(Spanned<String>, Spanned<String>)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in table {
        let Some((_, tool)) = GO_ENV.iter().find(|it| it.0 == name.value) else {
            problems.push(unknown_variable(name));
            continue;
        };
        if value.value.contains(['\n', '\r', '\0']) {
            let message = format!("the value of `{}` holds a line break or a NUL", name.value);
            problems.push(Problem::new(message).at(value.span.clone(), "").refused());
            continue;
        }
        let Some(tool) = tool else { continue };
        if let Some(words) = split_quoted(&value.value) {
            let at = |it| Spanned { value: it, span: value.span.clone() };
            let words: Vec<_> = words.into_iter().map(at).collect();
            problems.extend(check_flags(*tool, &name.value, &words));
        } else {
            let message = format!("a quote in `{}` is never closed", name.value);
            problems.push(Problem::new(message).at(value.span.clone(), ""));
        }
    }
    problems
}

fn unknown_variable(name: &Spanned<String>) -> Problem {
    let message = format!("`{}` is refused in `env` of a Go target", name.value);
    let problem = Problem::new(message).at(name.span.clone(), "").refused();
    if let Some((_, hint)) = SAID_ELSEWHERE.iter().find(|it| it.0 == name.value) {
        return problem.hint(*hint);
    }
    let names: Vec<_> = GO_ENV.iter().map(|it| it.0).collect();
    problem.hint(suggestion(&name.value, &names))
}

fn check_x_defs(table: &[(Spanned<String>, Spanned<String>)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in table {
        if !is_variable(&name.value) {
            let message = format!("`{}` names no variable of a Go package", name.value);
            let problem = Problem::new(message).at(name.span.clone(), "");
            problems.push(problem.hint(
                "write `main.version`, or the whole import path: `example.com/app/build.version`",
            ));
        }
        let text = &value.value;
        let why = if text.contains(['\n', '\r', '\0']) {
            "a line break or a NUL"
        } else if text.contains('\'') && text.contains('"') {
            "both kinds of quotes, and Go can hand on only one"
        } else {
            continue;
        };
        let message = format!("the value of `{}` holds {why}", name.value);
        problems.push(Problem::new(message).at(value.span.clone(), ""));
    }
    problems
}

/// Tells whether `text` is an import path, a dot and a Go identifier.
fn is_variable(text: &str) -> bool {
    let Some((path, name)) = text.rsplit_once('.') else { return false };
    let segment = |it: &str| {
        !matches!(it, "" | "." | ".." | "...")
            && it.chars().all(|it| it.is_alphanumeric() || "_-.~+!%".contains(it))
    };
    let first = |it: char| it.is_alphabetic() || it == '_';
    !path.starts_with('-')
        && path.split('/').all(segment)
        && name.starts_with(first)
        && name.chars().all(|it| first(it) || it.is_numeric())
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
