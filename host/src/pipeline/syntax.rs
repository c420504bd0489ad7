//! What to write where the file is no TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::diagnostic::{Diagnostic, Remedy, Span};
use super::document::Report;

/// What the syntax errors leave of the file.
pub(super) struct Flaws {
    /// Places of errors that spoil one value each and nothing else.
    pub values: Vec<Span>,
    /// Whether every key and table is still known; otherwise more errors would be guesses.
    pub keys_are_known: bool,
}

/// Reports the first error of each line: those after it mostly come of it.
pub(super) fn report(errors: &[Error], root: &DeTable<'_>, report: &mut Report<'_>) -> Flaws {
    let mut flaws = Flaws { values: Vec::new(), keys_are_known: true };
    let mut errors: Vec<(Span, &str)> =
        errors.iter().map(|error| (error.span().unwrap_or_default(), error.message())).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let open = errors.iter().find_map(|(_, message)| match message {
        message if message.starts_with("unclosed array,") => Some(("list", "]")),
        message if message.starts_with("unclosed inline table") => Some(("table", "}")),
        _ => None,
    });
    let mut last_line = None;
    for (span, message) in errors {
        let is_between =
            ["missing comma", "unclosed", "unexpected", "extra"].iter().any(|start| message.starts_with(start));
        if !is_between && root.iter().any(|(_, value)| is_in_scalar(&span, value, report.text)) {
            flaws.values.push(span.clone());
        } else if message != "duplicate key" || line_of(report.text, span.start).1.trim_start().starts_with('[') {
            flaws.keys_are_known = false;
        }
        let (line, _) = line_of(report.text, span.start);
        if last_line == Some(line) {
            continue;
        }
        last_line = Some(line);
        let diagnostic = diagnose(&span, message, open, report.text);
        report.add(diagnostic);
        if open.is_some() && !flaws.keys_are_known {
            break;
        }
    }
    flaws
}

/// Whether the place is within a string, number or boolean on one line.
fn is_in_scalar(place: &Span, value: &Spanned<DeValue<'_>>, text: &str) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => table.iter().any(|(_, value)| is_in_scalar(place, value, text)),
        DeValue::Array(items) => items.iter().any(|item| is_in_scalar(place, item, text)),
        _ => {
            let span = value.span();
            let is_within = span.start <= place.start && place.end <= span.end;
            is_within && !text.get(span).is_some_and(|value| value.contains('\n'))
        }
    }
}

/// `open`: a list or table that is never closed, and what closes it.
fn diagnose(span: &Span, message: &str, open: Option<(&str, &str)>, text: &str) -> Diagnostic {
    let (line_start, line) = line_of(text, span.start);
    let before = text.get(line_start..span.start).unwrap_or_default();
    let found = text.get(span.clone()).unwrap_or_default();
    let key = before.trim_end().trim_end_matches('=').trim();
    let new = |message: &str| Diagnostic::new("", span.clone(), message);
    let insert = |at: usize, text: &str| Remedy { span: at..at, text: text.to_owned() };

    if let Some((noun, bracket)) = open
        && before.trim().is_empty()
    {
        let end = text.get(..line_start).unwrap_or_default().trim_end().len();
        return Diagnostic::new("", end..end, format!("the {noun} is not closed"))
            .help(format!("write `{bracket}` at its end"))
            .remedy(insert(end, bracket));
    }
    if message.starts_with("string values must be quoted") && found.is_empty() {
        return new("the key has no value").help(format!("write a value: `{key} = …`, or remove the line"));
    }
    if message.starts_with("invalid boolean") && matches!(found.to_lowercase().as_str(), "true" | "false") {
        return new("a boolean is written in lower case").write(span.clone(), found.to_lowercase());
    }
    if let Some((first, _)) = found.split_once(char::is_whitespace) {
        let at = span.start + first.len();
        let is_inline = before.contains('{');
        let (separator, words) =
            if is_inline { (",", "write `,` after the value") } else { ("\n", "begin a new line") };
        return Diagnostic::new("", at..at, "another key begins here").help(words).remedy(insert(at, separator));
    }
    if found.starts_with(|c: char| c.is_ascii_digit()) {
        return new("this is neither a number nor a string")
            .help("write a number as digits, like `1_000`, its unit is in the key's name; put a string in quotes");
    }
    let is_bare = ["string values must be quoted", "invalid boolean", "invalid float"];
    if is_bare.iter().any(|start| message.starts_with(start)) {
        let quoted = match key {
            "inputs" | "batch.group_by" | "group_by" => format!("[\"{found}\"]"),
            _ => format!("\"{found}\""),
        };
        return new("a string stands in quotes").write(span.clone(), quoted);
    }
    if let Some(quote) = message
        .strip_prefix("invalid basic string, expected `")
        .map(|_| "\"")
        .or_else(|| message.strip_prefix("invalid literal string, expected `").map(|_| "'"))
    {
        return new("the string is not closed")
            .help(format!("write `{quote}` at its end"))
            .remedy(insert(span.start, quote));
    }
    if message.starts_with("missing escaped value") {
        return new("a `\\` in double quotes begins an escape, and this is none")
            .help("write `\\\\` for a backslash, or put the string in single quotes")
            .remedy(insert(span.start, "\\"));
    }
    if message.starts_with("unclosed table") {
        return new("the table's name is not closed").help("write `]` after it").remedy(insert(span.start, "]"));
    }
    if message.starts_with("missing comma") {
        return new("a comma is missing").help("write `,` between the two").remedy(insert(span.start, ","));
    }
    if message == "duplicate key" {
        let is_header = line.trim_start().starts_with('[');
        let line_end = (line_start + line.len() + 1).min(text.len());
        let remedy = (!is_header).then(|| Remedy { span: line_start..line_end, text: String::new() });
        return new(&format!("`{found}` is here for the second time")).help("remove one of the two").remedy(remedy);
    }
    if message.starts_with("key with no value") {
        return new("`=` is missing").help("write `=` between the key and its value").remedy(insert(span.start, "= "));
    }
    if message.starts_with("invalid unquoted key") && matches!(found, ":") {
        return new("`:` is no part of a key")
            .help("write ` =` between the key and its value")
            .remedy(Remedy { span: span.clone(), text: " =".to_owned() });
    }
    new(&format!("this is no TOML: {message}"))
        .help("write `key = value` lines and `[table]` headers as https://toml.io shows")
}

/// Where the line that holds the place begins, and the line without its newline.
fn line_of(text: &str, place: usize) -> (usize, &str) {
    let start = text.get(..place).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(start..).unwrap_or_default();
    (start, line.split('\n').next().unwrap_or_default())
}
