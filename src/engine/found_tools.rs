//! The C tools of a strategy, as far as this machine has them.

use crate::effects::c_tools::CTools;
use crate::effects::go_sdk::own_platform;
use crate::engine::session::Session;
use crate::model::strategy::Strategy;
use crate::model::toolchain::{Compilers, Linker, LinkerChoice, Toolchain};
use crate::plan::configuration::GoPlatform;
use std::sync::Arc;

/// The C tools of a strategy, as far as this machine has them.
#[derive(Debug, Default)]
pub struct FoundTools {
    /// What serves the platform, else the first that is here.
    pub tools: Option<Arc<CTools>>,
    /// What `tools` belong to.
    pub toolchain: Option<Arc<Toolchain>>,
    /// What was looked for and is `tools`, else the first that was looked for.
    pub wanted: Option<Compilers>,
    /// A compiler that would serve and is not here, and what to install for it.
    pub absent: Option<(String, String)>,
}

impl FoundTools {
    /// Looks for the tools of `strategy` that make programs for `platform`.
    #[must_use]
    pub fn of(session: &Session<'_>, strategy: &Strategy, platform: &GoPlatform) -> Self {
        let GoPlatform { goos, goarch, .. } = platform;
        let mut this = Self::default();
        for toolchain in strategy.toolchains.iter().filter(|it| it.may_serve(goos, goarch)) {
            let wanted = toolchain.compilers(goarch, strategy.glibc_max.as_deref());
            match session.c_tools(&wanted) {
                Some(tools) => {
                    let serves = tools.serves(goos, goarch);
                    if serves || this.tools.is_none() {
                        (this.tools, this.wanted) = (Some(tools), Some(wanted));
                        this.toolchain = Some(Arc::clone(toolchain));
                    }
                    if serves {
                        break;
                    }
                }
                // One that serves whatever it is called for is no better than the one that is here.
                None if this.tools.is_some() && toolchain.platforms.is_empty() => {}
                None => {
                    let absent = || (wanted.cc.clone(), toolchain.install(goarch));
                    this.absent = this.absent.or_else(|| Some(absent()));
                    this.wanted = this.wanted.or(Some(wanted));
                }
            }
        }
        this
    }

    /// Tells whether what was found makes programs for a platform.
    #[must_use]
    pub fn serves(&self, platform: &GoPlatform) -> bool {
        self.tools.as_ref().is_some_and(|it| it.serves(&platform.goos, &platform.goarch))
    }
}

/// Finds the linker that a strategy wants.
///
/// # Errors
///
/// Returns why there is none, and what would help.
pub fn chosen_linker(
    session: &Session<'_>,
    strategy: &Strategy,
    choice: LinkerChoice,
    (tools, can_start): (&CTools, bool),
) -> Result<Linker, (String, String)> {
    let is_wanted = |it: &&String| it.starts_with("-static") || *it == "--static";
    let mut flags: Vec<String> = strategy.extldflags.iter().filter(is_wanted).cloned().collect();
    if flags.iter().any(|it| it == "-static-pie") {
        flags.push("-fPIE".to_owned());
    }
    if tools.linkers.is_empty() {
        let reason = format!("`{}` brings a linker of its own and takes no other", tools.name);
        return Err((reason, "leave `linker` out of the strategy".to_owned()));
    }
    let candidates = match choice {
        LinkerChoice::Named(linker) => vec![linker],
        LinkerChoice::Fastest => tools.linkers.clone(),
    };
    let mut failed = Vec::new();
    for linker in candidates {
        match session.try_linker(tools, linker, (&flags, can_start)) {
            Ok(()) => return Ok(linker),
            Err(reason) => failed.push((reason, linker)),
        }
    }
    let reasons: Vec<_> = failed.iter().map(|it| it.0.as_str()).collect();
    // The fastest is enough.
    let tool = failed.first().map(|it| format!("ld.{}", it.1.as_str()));
    let install = tool.map(|it| session.rules.install(&it, &own_platform()));
    Err((reasons.join("; "), install.unwrap_or_default()))
}
