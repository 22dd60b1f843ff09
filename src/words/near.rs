//! "Did you mean": the name that is nearest to a misspelt one.

/// Returns the one of `names` that `word` is most likely meant to be.
///
/// A name is near if a third of its letters at most must change (a swap of neighbours is one
/// change); upper and lower case, and `-` and `_`, are the same. Of two that are equally near, one
/// that begins with `word` is preferred.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |it: &str| it.to_ascii_lowercase().replace('-', "_");
    let (word, length) = (plain(word), word.chars().count());
    let distances = names.into_iter().filter_map(|name| {
        let allowed = (name.chars().count().max(length) / 3).max(1);
        // The difference of the lengths is a lower bound; it spares most of the work.
        if name.chars().count().abs_diff(length) > allowed || length > 200 {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&word, &plain(name));
        let unlike = !plain(name).starts_with(&word);
        (distance <= allowed && distance < length).then_some(((distance, unlike), name))
    });
    distances.min_by_key(|(order, _)| *order).map(|(_, name)| name)
}

/// Returns a hint: the nearest of `names`, or all of them if none is near.
#[must_use]
pub fn suggestion(word: &str, names: &[&str]) -> String {
    match nearest(word, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("write one of {}", list(names)),
    }
}

/// Returns `names` in backticks, with commas between them.
#[must_use]
pub fn list(names: &[&str]) -> String {
    names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_near_by_letters_swaps_and_case() {
        let names = ["static", "static_pie", "pure", "go_binary"];
        assert_eq!(nearest("statci", names), Some("static"));
        assert_eq!(nearest("static-pie", names), Some("static_pie"));
        assert_eq!(nearest("PURE", names), Some("pure"));
        assert_eq!(nearest("gobinary", names), Some("go_binary"));
        assert_eq!(nearest("musl", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest("x", ["y"]), None);
    }

    #[test]
    fn without_a_near_name_all_are_listed() {
        assert_eq!(suggestion("zzzz", &["on", "off"]), "write one of `on`, `off`");
        assert_eq!(suggestion("of", &["on", "off"]), "did you mean `off`?");
    }
}
