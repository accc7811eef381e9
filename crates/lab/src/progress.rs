//! How a caller watches a lab come up or go down.

/// Told of each step before it is made.
///
/// Any `FnMut(&str, &str)` is one; [`Silent`] ignores everything.
pub trait Progress {
    /// About so many steps will follow.
    fn total(&mut self, _steps: usize) {}

    /// `what` is about to be done to `node` (to the lab as a whole where that is empty).
    fn step(&mut self, node: &str, what: &str);
}

impl<F: FnMut(&str, &str)> Progress for F {
    fn step(&mut self, node: &str, what: &str) {
        self(node, what);
    }
}

/// A [`Progress`] that shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&mut self, _node: &str, _what: &str) {}
}
