//! One error of a pipeline file, its place and its remedy.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

/// A range of bytes of the pipeline file.
pub type Span = Range<usize>;

/// One error of a pipeline file. Shows no value that came out of `${…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Dotted path of the key (`sinks.index.batch.max_events`); empty where it is about the whole file.
    pub field: String,
    /// What was found.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to write or do instead. Holds the text of `remedy`.
    pub help: String,
    /// The edit that `help` proposes, where it is one.
    pub remedy: Option<Remedy>,
}

/// An edit of the pipeline file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What is replaced; empty: the text is added there.
    pub span: Span,
    /// What is written there; empty: it is removed.
    pub text: String,
}

impl Diagnostic {
    pub(super) fn new(field: impl Into<String>, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { field: field.into(), message: message.into(), span, help: String::new(), remedy: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = help.into();
        self
    }

    pub(super) fn remedy(mut self, remedy: impl Into<Option<Remedy>>) -> Diagnostic {
        self.remedy = remedy.into();
        self
    }

    /// Proposes `text` in place of `span`.
    pub(super) fn write(self, span: Span, text: impl Into<String>) -> Diagnostic {
        let text = text.into();
        self.help(format!("write `{text}`")).remedy(Remedy { span, text })
    }
}

impl Remedy {
    /// The source with the edit made.
    pub fn apply(&self, source: &str) -> String {
        let before = source.get(..self.span.start).unwrap_or(source);
        let after = source.get(self.span.end..).unwrap_or_default();
        format!("{before}{}{after}", self.text)
    }
}

/// The diagnostics in the order of their places, each with `path:line:column`, the field, the source line and the help;
/// then a line that counts them. Empty when there is none.
pub fn render(diagnostics: &[Diagnostic], path: &Path, source: &str, color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false);
    let name = path.display().to_string();
    let source = NamedSource::new(&name, source.to_owned());
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    let mut shown = String::new();
    for diagnostic in &sorted {
        // Writing to a string fails only if a `Display` does, and these do not.
        let _ = handler.render_report(&mut shown, &Shown { diagnostic, source: &source });
        shown.push('\n');
    }
    match sorted.len() {
        0 => {}
        1 => shown.push_str(&format!("{name}: 1 error\n")),
        count => shown.push_str(&format!("{name}: {count} errors\n")),
    }
    shown
}

/// A diagnostic beside its source, as miette wants them.
#[derive(Debug)]
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: &'a NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.diagnostic.field.as_str() {
            "" => f.write_str(&self.diagnostic.message),
            field => write!(f, "{field}: {}", self.diagnostic.message),
        }
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.diagnostic.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, self.diagnostic.span.clone()))))
    }
}
