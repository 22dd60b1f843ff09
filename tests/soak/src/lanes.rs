//! Every lane.

mod edits;
mod faults;

use crate::lane::Lane;

/// Returns every lane, by the order of their names in the documents.
#[must_use]
pub fn all() -> Vec<Box<dyn Lane>> {
    let mut lanes: Vec<Box<dyn Lane>> = vec![Box::new(edits::FAKE), Box::new(edits::REAL)];
    lanes.extend(faults::all());
    lanes
}
