//! Writes what was measured into `docs/performance.md`, between markers, and the plots beside it.

use crate::pace::lanes::Measured;
use crate::pace::{Table, plot};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- measured: ";
const END: &str = "<!-- end -->";

/// Returns a lane's tables as Markdown.
#[must_use]
pub fn markdown(measured: &Measured) -> String {
    let mut text = String::new();
    for Table { lane: _, title, rows, rounds } in &measured.tables {
        let _ = writeln!(text, "\n{title} ({rounds} rounds):\n");
        text += "| | seconds | MiB | linkwright takes |\n|---|---|---|---|\n";
        for row in rows {
            let taken = row.median;
            let share = match row.ratio {
                it if (it - 1.0).abs() < 1e-12 => "1".to_owned(),
                it if it < 0.5 => format!("1/{:.0}", 1.0 / it),
                it => format!("{it:.2}"),
            };
            let (name, seconds) = (&row.name, digits(taken.seconds));
            let _ = writeln!(text, "| {name} | {seconds} | {:.0} | {share} |", taken.mebibytes);
        }
    }
    text
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value {
        it if it >= 100.0 => format!("{it:.0}"),
        it if it >= 10.0 => format!("{it:.1}"),
        it if it >= 1.0 => format!("{it:.2}"),
        it if it >= 0.1 => format!("{it:.3}"),
        it => format!("{it:.4}"),
    }
}

/// Puts a lane's tables into the page, and draws its curves beside it.
///
/// # Errors
///
/// Says what cannot be written, or that the page has no place for the lane.
pub fn write(folder: &Path, lane: &str, state: &str, measured: &Measured) -> Result<(), String> {
    let page = folder.join("performance.md");
    let old = fs::read_to_string(&page).map_err(|it| format!("`{}`: {it}", page.display()))?;
    let text = format!("{}\n{state}\n", markdown(measured));
    let new = replaced(&old, lane, &text).ok_or_else(|| format!("no place for `{lane}`"))?;
    fs::write(&page, new).map_err(|it| it.to_string())?;
    if !measured.curves.is_empty() {
        let curves = &measured.curves;
        let time = plot::svg("Nothing changed: time", "s", curves, |it| it.seconds);
        let memory = plot::svg("Nothing changed: memory", "MiB", curves, |it| it.mebibytes);
        for (name, text) in [("time", time), ("memory", memory)] {
            let path = folder.join(format!("performance/{name}.svg"));
            fs::create_dir_all(folder.join("performance")).map_err(|it| it.to_string())?;
            fs::write(path, text).map_err(|it| it.to_string())?;
        }
    }
    Ok(())
}

/// Replaces what stands between the markers of a lane.
fn replaced(page: &str, lane: &str, text: &str) -> Option<String> {
    let marker = format!("{BEGIN}{lane} -->\n");
    let start = page.find(&marker)? + marker.len();
    let end = start + page.get(start..)?.find(END)?;
    Some(format!("{}{}{}", page.get(..start)?, text, page.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::lanes::LANES;

    #[test]
    fn the_page_has_a_row_and_a_place_for_each_lane() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
        let page = fs::read_to_string(page).unwrap();
        for lane in LANES {
            assert!(page.contains(&format!("\n| {lane} | ")), "no row of `{lane}`");
            assert!(replaced(&page, lane, "").is_some(), "no place for `{lane}`");
        }
    }

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let page = "a\n<!-- measured: noop -->\nold\n<!-- end -->\nb\n";
        let new = replaced(page, "noop", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- measured: noop -->\nnew\n<!-- end -->\nb\n");
        assert_eq!(replaced(page, "other", ""), None);
    }
}
