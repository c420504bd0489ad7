//! The TOML of a pipeline file as a tree with spans, references replaced.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Span};
use super::reference::{Origin, Resolver, Text};
use super::syntax;

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    /// A table with a header: the header.
    pub span: Span,
    pub value: Value,
}

/// What a TOML value can be.
#[derive(Clone)]
pub(super) enum Value {
    /// Reported already.
    Unreadable,
    String(Text),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
}

/// A key of a table and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

/// The source text, and what was found wrong with it so far.
pub(super) struct Report<'t> {
    pub text: &'t str,
    pub diagnostics: Vec<Diagnostic>,
}

impl Report<'_> {
    pub fn add(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The source at a place: the only form in which a diagnostic quotes a value.
    pub fn quote(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }
}

impl Node {
    /// What it is, with its article.
    pub fn noun(&self) -> &'static str {
        match &self.value {
            Value::Unreadable => "something unreadable",
            Value::String(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number with a fraction",
            Value::Boolean(_) => "a boolean",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The entries of a table, none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of a table that has this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Where its text ends, that of everything in it included.
    pub fn end(&self) -> usize {
        let within = match &self.value {
            Value::List(items) => items.iter().map(Node::end).max(),
            Value::Table(entries) => entries.iter().map(|entry| entry.node.end()).max(),
            _ => None,
        };
        within.unwrap_or_default().max(self.span.end)
    }
}

/// The file's root table. `None` where the text is so far from TOML that its keys cannot be told; why is reported.
pub(super) fn read(resolver: &Resolver<'_>, report: &mut Report<'_>) -> Option<Node> {
    let (root, errors) = DeTable::parse_recoverable(report.text);
    let span = root.span();
    let flaws = syntax::report(&errors, root.get_ref(), report);
    if !flaws.keys_are_known {
        return None;
    }
    let value = Reader { resolver, flaws: &flaws.values, report }.table("", root.into_inner());
    Some(Node { span, value })
}

/// Turns what `toml` parsed into nodes.
struct Reader<'a, 't> {
    resolver: &'a Resolver<'a>,
    /// Places of syntax errors: the values that hold one are unreadable.
    flaws: &'a [Span],
    report: &'a mut Report<'t>,
}

impl Reader<'_, '_> {
    fn table(&mut self, path: &str, table: DeTable<'_>) -> Value {
        let mut entries: Vec<Entry> = Vec::with_capacity(table.len());
        for (key, value) in table {
            let key_span = key.span();
            let key = key.into_inner().into_owned();
            let path = join(path, &key);
            let node = self.node(&path, value);
            entries.push(Entry { key, key_span, node });
        }
        entries.sort_by_key(|entry| entry.key_span.start);
        Value::Table(entries)
    }

    fn node(&mut self, path: &str, value: Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let value = match value.into_inner() {
            DeValue::Array(items) => {
                let item = |(index, item)| self.node(&format!("{path}[{index}]"), item);
                Value::List(items.into_iter().enumerate().map(item).collect())
            }
            DeValue::Table(table) => self.table(path, table),
            _ if self.flaws.iter().any(|flaw| span.start <= flaw.start && flaw.end <= span.end) => Value::Unreadable,
            DeValue::String(raw) => self.string(path, &span, &raw),
            DeValue::Boolean(boolean) => Value::Boolean(boolean),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => Value::Integer(integer),
                Err(_) => self.refuse(path, &span, "the number is too large", &i64::MAX.to_string()),
            },
            DeValue::Float(float) => match float.as_str().parse::<f64>() {
                Ok(float) if float.is_finite() => Value::Float(float),
                _ => self.refuse(path, &span, "no such number can be used here", "1.0"),
            },
            DeValue::Datetime(date) => {
                let quoted = format!("\"{date}\"");
                self.refuse(path, &span, "found a bare date; a date stands in quotes", &quoted)
            }
        };
        Node { span, value }
    }

    fn string(&mut self, path: &str, span: &Span, raw: &str) -> Value {
        match self.resolver.resolve(raw) {
            Ok(text) => Value::String(text),
            Err(unresolved) => {
                for problem in unresolved {
                    self.report.add(Diagnostic::new(path, span.clone(), problem.message).help(problem.help));
                }
                Value::Unreadable
            }
        }
    }

    fn refuse(&mut self, path: &str, span: &Span, message: &str, instead: &str) -> Value {
        self.report.add(Diagnostic::new(path, span.clone(), message).write(span.clone(), instead));
        Value::Unreadable
    }
}

/// `path.key`, or the key alone at the root.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The node as JSON. A string stays a string; what is unreadable is null.
pub(super) fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Unreadable => serde_json::Value::Null,
        Value::String(text) => text.value.clone().into(),
        Value::Integer(integer) => (*integer).into(),
        Value::Float(float) => (*float).into(),
        Value::Boolean(boolean) => (*boolean).into(),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Table(entries) => {
            serde_json::Value::Object(entries.iter().map(|entry| (entry.key.clone(), to_json(&entry.node))).collect())
        }
    }
}

impl Text {
    /// The value where it may stand for a number or a boolean.
    pub fn reference(&self) -> Option<&str> {
        (self.origin == Origin::Reference).then_some(self.value.as_str())
    }
}
