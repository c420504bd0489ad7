//! Where a remedy adds a key to a table or takes one out.

use super::diagnostic::{Diagnostic, Remedy, Span};
use super::document::{Entry, Node, Value};
use super::fields::list;

impl Diagnostic {
    /// Proposes to add `key = value` to `table`, beside `beside` if that is there.
    pub(super) fn add_key(self, text: &str, table: &Node, beside: &str, key: &str, value: &str) -> Diagnostic {
        let line = format!("{key} = {value}");
        match insertion(text, table, beside, &line) {
            Some(remedy) => {
                let written = remedy.text.trim_matches(['\n', '\r', ' ', ',']).to_owned();
                self.help(format!("add `{written}`")).remedy(remedy)
            }
            None => self.help(format!("add `{line}`")),
        }
    }

    /// Proposes to remove `entry` from `table`; `why` follows `remove it`.
    pub(super) fn remove_key(self, text: &str, table: &Node, entry: &Entry, why: &str) -> Diagnostic {
        let remedy = removal(text, table, entry).map(|span| Remedy { span, text: String::new() });
        self.help(format!("remove it{why}")).remedy(remedy)
    }

    /// Proposes the key that was meant in place of one that the table cannot have, or to remove it.
    pub(super) fn rename_or_remove<'k>(
        self,
        text: &str,
        table: &Node,
        entry: &Entry,
        meant: Option<&str>,
        known: impl Iterator<Item = &'k str>,
    ) -> Diagnostic {
        match meant {
            Some(key) => self.write(entry.key_span.clone(), key),
            None => self.remove_key(text, table, entry, &format!("; known here: {}", list(known))),
        }
    }
}

/// The edit that adds `line` to the table.
fn insertion(text: &str, table: &Node, beside: &str, line: &str) -> Option<Remedy> {
    let is_plain = |entry: &&Entry| !is_header(text, &entry.node) && !line_before(text, entry).starts_with('[');
    let neighbour = table.entry(beside).filter(|entry| is_plain(entry));
    if let Some(entry) = neighbour.or_else(|| table.entries().iter().find(is_plain)) {
        let before = line_before(text, entry);
        if before.contains('{') {
            return Some(insert(entry.node.end(), format!(", {line}")));
        }
        // A dotted key, `sinks.index.plugin`: the new one gets the same beginning.
        return Some(insert(line_end(text, entry.node.end()), format!("\n{before}{line}")));
    }
    if is_header(text, table) {
        return Some(insert(line_end(text, table.span.end), format!("\n{line}")));
    }
    let is_empty_inline = text.get(table.span.clone()).is_some_and(|table| table.starts_with('{'));
    is_empty_inline.then(|| insert(table.span.start + 1, format!(" {line} ")))
}

/// The span to remove so that the table loses this entry. `None` where it is a table of its own.
fn removal(text: &str, table: &Node, entry: &Entry) -> Option<Span> {
    let entries = table.entries();
    if is_header(text, &entry.node) || line_before(text, entry).starts_with('[') {
        return None;
    }
    let end = entry.node.end();
    if !line_before(text, entry).contains('{') {
        let is_dotted = entry.node.span == entry.key_span && entry.node.entries().len() > 1;
        let start = entry.key_span.start - line_before(text, entry).len();
        return (!is_dotted).then(|| start..(line_end(text, end) + 1).min(text.len()));
    }
    let index = entries.iter().position(|other| other.key_span == entry.key_span)?;
    match (index.checked_sub(1).and_then(|before| entries.get(before)), entries.get(index + 1)) {
        (Some(before), _) => Some(before.node.end()..end),
        (None, Some(next)) => Some(entry.key_span.start..next.key_span.start),
        (None, None) => Some(entry.key_span.start..end),
    }
}

/// Whether the table has a `[header]`.
fn is_header(text: &str, node: &Node) -> bool {
    matches!(node.value, Value::Table(_)) && text.get(node.span.clone()).is_some_and(|table| table.starts_with('['))
}

/// The text before the entry's key on its line.
fn line_before<'t>(text: &'t str, entry: &Entry) -> &'t str {
    let before = text.get(..entry.key_span.start).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default()
}

/// Where the line that holds the place ends, before its newline.
fn line_end(text: &str, place: usize) -> usize {
    let rest = text.get(place..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    place + line.trim_end_matches('\r').len()
}

fn insert(at: usize, text: String) -> Remedy {
    Remedy { span: at..at, text }
}
