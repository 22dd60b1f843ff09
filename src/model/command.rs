//! What a `command(…)` says, checked: arguments in pieces, inputs, outputs, variables.

use crate::formats::build_file::CommandSpec;
use crate::model::settings::plain;
use crate::model::target::{ArgPiece, Command, Glob};
use crate::words::label::{Label, PackagePath};
use crate::words::path::{OUTPUT_FOLDER, RelPath};
use crate::words::problem::Problem;
use crate::words::span::{Span, Spanned};

/// A checked command, the labels it names, and everything that is wrong with it.
#[derive(Debug)]
pub struct CheckedCommand {
    /// The command.
    pub command: Command,
    /// Labels in its arguments, whose targets must have exactly one output.
    pub in_arguments: Vec<Spanned<Label>>,
    /// Labels among its inputs, whose targets must have outputs.
    pub in_inputs: Vec<Spanned<Label>>,
    /// Its inputs without wildcards, from the root.
    pub literal_inputs: Vec<Spanned<RelPath>>,
    /// Its outputs, from the root.
    pub outputs: Vec<Spanned<RelPath>>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Checks a command of `package`; labels are not looked up.
#[must_use]
pub fn check(spec: CommandSpec, name: &Span, package: &PackagePath) -> CheckedCommand {
    let mut check = Check { package, problems: Vec::new(), in_arguments: Vec::new() };
    check.program(&spec, name);
    let argv = spec.argv.iter().map(|it| check.pieces(it)).collect();
    let (mut inputs, mut inputs_at) = (Vec::new(), Vec::new());
    let (mut in_inputs, mut literal_inputs) = (Vec::new(), Vec::new());
    for input in &spec.inputs {
        if input.value.starts_with(':') || input.value.starts_with("//") {
            in_inputs.extend(check.label(&input.value, &input.span));
        } else if let Some(glob) = glob(input, &mut check.problems) {
            if glob.is_literal()
                && let Ok(path) = RelPath::parse(&package.join(glob.as_str()))
            {
                literal_inputs.push(Spanned { value: path, span: input.span.clone() });
            }
            inputs.push(glob);
            inputs_at.push(input.span.clone());
        }
    }
    let mut outputs = Vec::with_capacity(spec.outputs.len());
    outputs.extend(spec.outputs.iter().filter_map(|it| check.output(it)));
    if spec.outputs.is_empty() {
        let problem = Problem::new("a command without outputs makes nothing");
        check.problems.push(problem.at(name.clone(), "").hint("name the files that it writes"));
    }
    check.not_its_own_inputs(&outputs, &inputs, &inputs_at);
    check.names(spec.pass_env.iter());
    check.names(spec.env.iter().map(|it| &it.0));
    check.no_nul(spec.env.iter().map(|it| &it.1));
    let mut input_labels: Vec<_> = in_inputs.iter().map(|it| it.value.clone()).collect();
    input_labels.sort();
    input_labels.dedup();
    let mut pass_env: Vec<_> = spec.pass_env.into_iter().map(|it| it.value).collect();
    pass_env.sort();
    pass_env.dedup();
    CheckedCommand {
        command: Command {
            argv,
            inputs,
            inputs_at,
            input_labels,
            outputs: outputs.iter().map(|it| it.value.clone()).collect(),
            pass_env,
            env: plain(spec.env),
        },
        in_arguments: check.in_arguments,
        in_inputs,
        literal_inputs,
        outputs,
        problems: check.problems,
    }
}

/// Checks one glob.
pub(in crate::model) fn glob(text: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<Glob> {
    if text.value.contains(|it: char| it.is_control()) {
        let message = format!("`{}` holds a control character", text.value.escape_debug());
        problems.push(Problem::new(message).at(text.span.clone(), ""));
        return None;
    }
    match Glob::parse(&text.value) {
        Ok(glob) => Some(glob),
        Err(error) => {
            let problem = Problem::new(error.to_string()).at(text.span.clone(), "");
            problems.push(problem.hint("a glob is relative to the folder of this BUILD.ron"));
            None
        }
    }
}

struct Check<'a> {
    package: &'a PackagePath,
    problems: Vec<Problem>,
    in_arguments: Vec<Spanned<Label>>,
}

impl Check<'_> {
    fn report(&mut self, span: &Span, message: impl Into<String>, hint: &str) {
        self.problems.push(Problem::new(message).at(span.clone(), "").hint(hint));
    }

    fn program(&mut self, spec: &CommandSpec, name: &Span) {
        let Some(program) = spec.argv.first() else {
            let hint = "the first string of `argv` is the program";
            return self.report(name, "`argv` is empty", hint);
        };
        let text = program.value.as_str();
        if text.is_empty() || text.starts_with('-') {
            let hint = "write the name of a program, or `{:target}` for one that is built here";
            return self.report(&program.span, format!("`{text}` is no program"), hint);
        }
        if text.contains('{') || !text.contains('/') || text.starts_with('/') {
            return;
        }
        // A script of the workspace decides the result, so it must be an input like any other.
        let path = text.strip_prefix("./").unwrap_or(text);
        let listed = |it: &Spanned<String>| {
            // A label among the inputs may bring it.
            it.value.starts_with(':')
                || it.value.starts_with("//")
                || Glob::parse(&it.value).is_ok_and(|it| it.matches(path))
        };
        if !spec.inputs.iter().any(listed) {
            let message = format!("the program `{text}` is not among the inputs");
            self.report(&program.span, message, &format!("add `\"{path}\"` to `inputs`"));
        }
    }

    /// Splits an argument at `{label}`; `{{` and `}}` are braces.
    fn pieces(&mut self, argument: &Spanned<String>) -> Vec<ArgPiece> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = argument.value.as_str();
        self.no_nul([argument]);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                text.push_str(brace.get(..1).unwrap_or(""));
                rest = after;
                continue;
            }
            let inner = brace.strip_prefix('{').and_then(|it| it.split_once('}'));
            let Some((inner, after)) = inner.filter(|it| is_reference(it.0)) else {
                let hint =
                    "a brace itself is written `{{` or `}}`; `{:name}` is the output of a target";
                let message = format!("a single brace in `{}`", argument.value);
                self.report(&argument.span, message, hint);
                return pieces;
            };
            let span = within(&argument.span, &format!("{{{inner}}}"));
            if let Some(label) = self.label(inner, &span) {
                pieces
                    .extend((!text.is_empty()).then(|| ArgPiece::Text(std::mem::take(&mut text))));
                pieces.push(ArgPiece::OutputOf(label.value.clone()));
                self.in_arguments.push(label);
            }
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() || pieces.is_empty() {
            pieces.push(ArgPiece::Text(text));
        }
        pieces.shrink_to_fit();
        pieces
    }

    fn label(&mut self, text: &str, span: &Span) -> Option<Spanned<Label>> {
        match Label::parse(text, self.package) {
            Ok(value) => Some(Spanned { value, span: span.clone() }),
            Err(error) => {
                self.problems.push(Problem::new(error.to_string()).at(span.clone(), ""));
                None
            }
        }
    }

    fn output(&mut self, text: &Spanned<String>) -> Option<Spanned<RelPath>> {
        let value = text.value.as_str();
        if value.contains(['*', '?', '[', ']', '{', '}']) {
            let message = format!("the output `{value}` holds a wildcard");
            self.report(&text.span, message, "outputs are named one by one");
            return None;
        }
        let Ok(path) =
            RelPath::parse(value).and_then(|_| RelPath::parse(&self.package.join(value)))
        else {
            let message = format!("the output `{value}` is no path below this folder");
            let hint = "outputs are relative to the folder of this BUILD.ron, without `..`";
            self.report(&text.span, message, hint);
            return None;
        };
        let mut segments = path.as_str().split('/');
        if segments.any(|it| it == OUTPUT_FOLDER || it == ".git") {
            let message = format!("the output `{value}` lies in a folder that is not a command's");
            self.report(&text.span, message, "`linkwright-out` and `.git` are kept by others");
            return None;
        }
        if path.as_str().rsplit('/').next() == Some("BUILD.ron") {
            let hint = "rule files are written by people, not by what they declare";
            self.report(&text.span, format!("the output `{value}` is a rule file"), hint);
            return None;
        }
        Some(Spanned { value: path, span: text.span.clone() })
    }

    fn not_its_own_inputs(&mut self, outputs: &[Spanned<RelPath>], inputs: &[Glob], at: &[Span]) {
        for output in outputs {
            let path = output.value.as_str();
            let here = path.strip_prefix(self.package.as_str()).unwrap_or(path);
            let here = here.trim_start_matches('/');
            for (glob, span) in inputs.iter().zip(at).filter(|it| it.0.matches(here)) {
                let message = format!("`{here}` is both an output and an input of this command");
                let word = format!("`{}` matches it", glob.as_str());
                let problem = Problem::new(message).at(output.span.clone(), "made here");
                self.problems.push(problem.at(span.clone(), word));
            }
        }
    }

    fn names<'n>(&mut self, names: impl IntoIterator<Item = &'n Spanned<String>>) {
        for name in names {
            let plain = |it: char| it.is_ascii_alphanumeric() || it == '_';
            let text = name.value.as_str();
            let digit = text.starts_with(|it: char| it.is_ascii_digit());
            if text.is_empty() || digit || !text.chars().all(plain) {
                let message = format!("`{text}` is no name of a variable");
                self.report(&name.span, message, "use letters, digits and `_`");
            }
        }
    }

    fn no_nul<'n>(&mut self, texts: impl IntoIterator<Item = &'n Spanned<String>>) {
        for text in texts.into_iter().filter(|it| it.value.contains('\0')) {
            let hint = "no program can be given one";
            self.report(&text.span, "this string holds a NUL", hint);
        }
    }
}

fn is_reference(text: &str) -> bool {
    text.starts_with(':') || text.starts_with("//")
}

/// Returns the place of `part` in a string that was written without escapes, else of all of it.
fn within(span: &Span, part: &str) -> Span {
    let text = span.source.text.get(span.range()).unwrap_or("");
    let Some(at) = text.find(part) else { return span.clone() };
    let start = span.range().start + at;
    Span::new(span.source.clone(), start..start + part.len())
}
