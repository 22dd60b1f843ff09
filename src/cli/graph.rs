//! `linkwright graph`: targets with what they need, drawn.

use crate::cli::console::{Console, Stopped};
use crate::cli::flags::unmask;
use crate::cli::query::select;
use crate::cli::rooms::{self, Place};
use crate::plan::query::{Direction, TargetGraph};
use crate::report::graph::{Form, write_dot, write_json, write_tree};
use crate::words::exit_code::ExitCode;

/// Draw targets and what they need
///
/// The targets that the patterns match, and everything they need: as a tree, as JSON with nodes and
/// edges, or as DOT for Graphviz (`linkwright graph --output dot | dot -Tsvg > graph.svg`).
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct GraphArgs {
    /// Which targets: //..., //dir/..., //dir:name, :name; -//dir:name leaves one out
    #[arg(value_name = "PATTERN", value_parser = unmask)]
    pub patterns: Vec<String>,

    /// The form of the drawing
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Form,

    /// Short for --output json
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
}

/// Runs `graph`.
///
/// # Errors
///
/// Blames the input for a bad pattern, or for one that matches nothing.
pub fn run(args: GraphArgs, console: &mut Console<'_>) -> Result<u8, Stopped> {
    let Place { root, here } = rooms::find_workspace(&console.settings.folder)?;
    let declared = rooms::load(&root)?;
    let graph = TargetGraph::new(declared.targets.iter());
    let selected = select(&args.patterns, &graph, &here)?;
    let nodes = graph.closure(&selected, Direction::Dependencies);
    match if args.json { Form::Json } else { args.output } {
        Form::Text => write_tree(&graph, &nodes, console.out)?,
        Form::Json => write_json(&graph, &nodes, console.out)?,
        Form::Dot => write_dot(&graph, &nodes, console.out)?,
    }
    Ok(ExitCode::Done.number())
}
