//! Reading keys of a table by name, type and range.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Span};
use super::document::{Node, Report, Value, join};

/// A key that a table may have, with a value to show where one is wanted.
pub(super) struct Key {
    pub name: &'static str,
    pub example: &'static str,
}

/// A table whose keys are known.
pub(super) struct Fields<'n> {
    pub path: String,
    pub table: &'n Node,
    keys: &'static [Key],
    /// Keys that unknown ones were probably meant to be.
    pub meant: Vec<&'static str>,
}

/// A string and where it stands.
pub(super) struct Word<'n> {
    pub text: &'n str,
    pub span: &'n Span,
}

impl<'n> Fields<'n> {
    /// Reports what is no table, and every key that is not one of `keys`.
    pub fn open(path: String, table: &'n Node, keys: &'static [Key], report: &mut Report<'_>) -> Option<Fields<'n>> {
        let Value::Table(entries) = &table.value else {
            let example = keys.first().map(|key| format!("{{ {} = {} }}", key.name, key.example)).unwrap_or_default();
            wrong_type(&path, table, "a table", &example, report);
            return None;
        };
        let mut fields = Fields { path, table, keys, meant: Vec::new() };
        for entry in entries.iter().filter(|entry| !keys.iter().any(|key| key.name == entry.key)) {
            let names = || keys.iter().map(|key| key.name);
            let meant = nearest(&entry.key, names().filter(|name| table.entry(name).is_none()));
            let diagnostic = Diagnostic::new(fields.field(&entry.key), entry.key_span.clone(), "unknown key");
            report.add(diagnostic.rename_or_remove(report.text, table, entry, meant, names()));
            fields.meant.extend(meant);
        }
        Some(fields)
    }

    pub fn field(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub fn node(&self, name: &str) -> Option<&'n Node> {
        self.table.entry(name).map(|entry| &entry.node)
    }

    /// Whether the key is neither there nor there with a typing error.
    pub fn is_missing(&self, name: &str) -> bool {
        self.node(name).is_none() && !self.meant.contains(&name)
    }

    /// An integer, or a reference that stands for one.
    pub fn integer(&self, name: &str, range: RangeInclusive<u64>, report: &mut Report<'_>) -> Option<u64> {
        integer(&self.field(name), self.node(name)?, self.example(name), range, report)
    }

    /// A number, or a reference that stands for one.
    pub fn number(&self, name: &str, range: RangeInclusive<f64>, report: &mut Report<'_>) -> Option<f64> {
        let node = self.node(name)?;
        let number = match &node.value {
            Value::Integer(integer) => Some(*integer as f64),
            Value::Float(float) => Some(*float),
            Value::String(text) => text.reference().and_then(|text| text.trim().parse::<f64>().ok()),
            _ => None,
        };
        let Some(number) = number.filter(|number| number.is_finite()) else {
            wrong_type(&self.field(name), node, "a number", self.example(name), report);
            return None;
        };
        if range.contains(&number) {
            return Some(number);
        }
        let (bound, words) = if number < *range.start() {
            (range.start(), "too small; the least is")
        } else {
            (range.end(), "too large; the most is")
        };
        out_of_range(&self.field(name), node, &format!("{words} {bound}"), &bound.to_string(), report);
        None
    }

    /// A number of seconds.
    pub fn secs(&self, name: &str, range: RangeInclusive<f64>, report: &mut Report<'_>) -> Option<Duration> {
        self.number(name, range, report).map(Duration::from_secs_f64)
    }

    /// A boolean, or a reference that stands for one.
    pub fn boolean(&self, name: &str, report: &mut Report<'_>) -> Option<bool> {
        let node = self.node(name)?;
        let boolean = match &node.value {
            Value::Boolean(boolean) => Some(*boolean),
            Value::String(text) => text.reference().and_then(|text| text.trim().parse().ok()),
            _ => None,
        };
        if boolean.is_none() {
            wrong_type(&self.field(name), node, "a boolean", self.example(name), report);
        }
        boolean
    }

    /// A string with something in it.
    pub fn string(&self, name: &str, report: &mut Report<'_>) -> Option<Word<'n>> {
        string(&self.field(name), self.node(name)?, self.example(name), report)
    }

    /// A list of strings.
    pub fn strings(&self, name: &str, report: &mut Report<'_>) -> Option<Vec<Word<'n>>> {
        let node = self.node(name)?;
        let Value::List(items) = &node.value else {
            let list = match &node.value {
                Value::String(_) => format!("[{}]", report.quote(&node.span)),
                _ => self.example(name).to_owned(),
            };
            wrong_type(&self.field(name), node, "a list of strings", &list, report);
            return None;
        };
        let example = self.example(name).trim_matches(['[', ']']);
        let item = |(index, item)| string(&format!("{}[{index}]", self.field(name)), item, example, report);
        let words: Vec<Option<Word<'n>>> = items.iter().enumerate().map(item).collect();
        words.into_iter().collect()
    }

    fn example(&self, name: &str) -> &'static str {
        self.keys.iter().find(|key| key.name == name).map_or("", |key| key.example)
    }
}

/// An integer in the range, or a reference that stands for one.
pub(super) fn integer(
    field: &str,
    node: &Node,
    example: &str,
    range: RangeInclusive<u64>,
    report: &mut Report<'_>,
) -> Option<u64> {
    let integer = match &node.value {
        Value::Integer(integer) => Some(*integer),
        Value::String(text) => text.reference().and_then(|text| text.trim().parse::<i64>().ok()),
        _ => None,
    };
    let Some(integer) = integer else {
        wrong_type(field, node, "an integer", example, report);
        return None;
    };
    let (least, most) = (*range.start(), *range.end());
    match u64::try_from(integer) {
        Ok(integer) if range.contains(&integer) => Some(integer),
        Ok(integer) if integer > most => {
            out_of_range(field, node, &format!("too large; the most is {most}"), &most.to_string(), report);
            None
        }
        _ => {
            out_of_range(field, node, &format!("too small; the least is {least}"), &least.to_string(), report);
            None
        }
    }
}

/// A string with something in it.
pub(super) fn string<'n>(field: &str, node: &'n Node, example: &str, report: &mut Report<'_>) -> Option<Word<'n>> {
    let Value::String(text) = &node.value else {
        wrong_type(field, node, "a string", example, report);
        return None;
    };
    if text.value.is_empty() {
        let diagnostic = Diagnostic::new(field, node.span.clone(), "the string is empty");
        report.add(diagnostic.write(node.span.clone(), example));
        return None;
    }
    Some(Word { text: &text.value, span: &node.span })
}

/// Reports a value of another type than `wanted`. One that was reported already is passed over.
pub(super) fn wrong_type(field: &str, node: &Node, wanted: &str, example: &str, report: &mut Report<'_>) {
    let quoted = report.quote(&node.span).trim_matches(['"', '\'']).to_owned();
    let diagnostic = match &node.value {
        Value::Unreadable => return,
        Value::String(text) if text.reference().is_some() && wanted_is_scalar(wanted) => {
            Diagnostic::new(field, node.span.clone(), format!("what `{quoted}` stands for is not {wanted}"))
                .help(format!("give it {wanted}, or write `{example}`"))
                .remedy(super::Remedy { span: node.span.clone(), text: example.to_owned() })
        }
        Value::String(text) if wanted_is_scalar(wanted) && is_bare(&text.value, wanted) && text.value == quoted => {
            Diagnostic::new(field, node.span.clone(), format!("found a string, wanted {wanted}"))
                .write(node.span.clone(), quoted)
        }
        _ => {
            let diagnostic =
                Diagnostic::new(field, node.span.clone(), format!("found {}, wanted {wanted}", node.noun()));
            // The span of a table with a header is only its header.
            match &node.value {
                Value::Table(_) if !report.quote(&node.span).starts_with('{') => {
                    diagnostic.help(format!("write `{} = {example}`", field.rsplit('.').next().unwrap_or(field)))
                }
                _ => diagnostic.write(node.span.clone(), example),
            }
        }
    };
    report.add(diagnostic);
}

/// The candidate that was probably meant.
pub(super) fn nearest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let name = name.to_lowercase();
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= name.chars().count().max(candidate.chars().count()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` ``, or `none`.
pub(super) fn list<'c>(names: impl Iterator<Item = &'c str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Reports a number that is too large or too small, and proposes `instead`.
pub(super) fn out_of_range(field: &str, node: &Node, words: &str, instead: &str, report: &mut Report<'_>) {
    let quoted = report.quote(&node.span);
    let message = match &node.value {
        Value::String(_) => format!("what `{}` stands for is {words}", quoted.trim_matches(['"', '\''])),
        _ => format!("{quoted} is {words}"),
    };
    report.add(Diagnostic::new(field, node.span.clone(), message).write(node.span.clone(), instead));
}

fn wanted_is_scalar(wanted: &str) -> bool {
    matches!(wanted, "an integer" | "a number" | "a boolean")
}

/// Whether the text would be right without its quotes.
fn is_bare(text: &str, wanted: &str) -> bool {
    match wanted {
        "an integer" => text.parse::<i64>().is_ok(),
        "a number" => text.parse::<f64>().is_ok_and(f64::is_finite),
        _ => text.parse::<bool>().is_ok(),
    }
}
