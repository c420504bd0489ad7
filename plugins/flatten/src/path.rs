//! Where a node stands: the names above it.

/// The names from the outermost node to the one that was entered last.
#[derive(Default)]
pub struct Path {
    pub text: String,
    /// For each depth where its name ends.
    ends: Vec<usize>,
}

impl Path {
    /// Goes to the next node, which stands at that depth.
    pub fn enter(&mut self, depth: usize, name: Option<&str>) {
        self.ends.truncate(depth);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
        if let Some(name) = name {
            if !self.text.is_empty() {
                self.text.push_str(" > ");
            }
            self.text.push_str(name);
        }
        self.ends.push(self.text.len());
    }
}
