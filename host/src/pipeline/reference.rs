//! `${NAME}`, `${NAME:-default}` and `${file:/path}` in string values; `$${` is a literal `${`.
//!
//! As in a shell, `:-` gives its default where the variable is not set or is empty. A default ends at the first `}`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Where references find their values.
pub(super) struct Resolver<'a> {
    pub env: &'a BTreeMap<String, String>,
    /// Relative paths of `${file:…}` are relative to it.
    pub folder: &'a Path,
    pub files: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// A string value of the file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// With every reference replaced: may be a secret.
    pub value: String,
    pub origin: Origin,
}

/// How much of a string came out of references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nothing.
    Literal,
    /// A part.
    Mixed,
    /// It is exactly one reference, and may stand for a number or a boolean.
    Reference,
}

/// A reference that cannot be replaced: what is wrong and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unresolved {
    pub message: String,
    pub help: String,
}

impl Resolver<'_> {
    /// Replaces every reference, or returns all that cannot be.
    pub fn resolve(&self, raw: &str) -> Result<Text, Vec<Unresolved>> {
        let mut value = String::new();
        let mut unresolved = Vec::new();
        let mut references = 0;
        let mut literal = 0;
        let mut rest = raw;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                value.push_str(before);
                value.push_str("${");
                literal += before.len() + 2;
                rest = after;
                continue;
            }
            value.push_str(before);
            literal += before.len();
            let Some((reference, after)) = after.split_once('}') else {
                unresolved.push(Unresolved {
                    message: "`${` has no `}`".to_owned(),
                    help: "close it as in `${NAME}`, or write `$${` for a literal `${`".to_owned(),
                });
                rest = "";
                break;
            };
            match self.value(reference) {
                Ok(text) => value.push_str(&text),
                Err(problem) => unresolved.push(problem),
            }
            references += 1;
            rest = after;
        }
        value.push_str(rest);
        literal += rest.len();
        let origin = match (references, literal) {
            (0, _) => Origin::Literal,
            (1, 0) => Origin::Reference,
            _ => Origin::Mixed,
        };
        if unresolved.is_empty() { Ok(Text { value, origin }) } else { Err(unresolved) }
    }

    /// What stands between `${` and `}`.
    fn value(&self, reference: &str) -> Result<String, Unresolved> {
        if let Some(path) = reference.strip_prefix("file:") {
            return self.file(path);
        }
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(Unresolved {
                message: format!("`${{{reference}}}` is no reference"),
                help: "write `${NAME}`, `${NAME:-default}` or `${file:/path}`, or `$${` for a literal `${`".to_owned(),
            });
        }
        match (self.env.get(name).filter(|value| default.is_none() || !value.is_empty()), default) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(Unresolved {
                message: format!("`${{{name}}}`: the environment has no variable {name}"),
                help: format!("set {name} in the environment, or give it a default: `${{{name}:-default}}`"),
            }),
        }
    }

    /// The file's text without the newline at its end.
    fn file(&self, path: &str) -> Result<String, Unresolved> {
        match (self.files)(&self.folder.join(path)) {
            Ok(text) => Ok(text.strip_suffix('\n').map_or(&*text, |t| t.strip_suffix('\r').unwrap_or(t)).to_owned()),
            Err(error) => Err(Unresolved {
                message: format!("`${{file:{path}}}`: the file cannot be read: {error}"),
                help: format!("put the value into the file {path}, readable by this user, or correct the path"),
            }),
        }
    }
}
