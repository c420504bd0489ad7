//! `cause`: what went wrong. `{}` stands on every healthy Step Functions node and says nothing.

use crate::body::{Body, field};
use crate::json::Value;
use crate::members::{Cause, Exception, Frame};
use crate::stored;
use crate::writer::{self, key};

/// How many frames of a stack are written.
const FRAMES: usize = 100;

/// Writes `error.*` and `xray.exceptions`.
pub fn write(body: &mut Body<'_>, cause: Option<Value<'_>>) {
    if !cause.is_some_and(Value::is_object) {
        body.text(field!("error.id" <- "cause"), cause);
        return;
    }
    let cause = cause.map(Cause::read).unwrap_or_default();
    let exceptions = body.read_array("dropped:cause.exceptions", cause.exceptions);
    let exception = chosen(body, exceptions);
    body.text(field!("error.type" <- "cause.exceptions.type"), exception.kind);
    let messages = [("dropped:cause.exceptions.message", exception.message), ("dropped:cause.message", cause.message)];
    body.first(key!("error.message"), &messages);
    body.text(field!("error.id" <- "cause.exceptions.id"), exception.id);
    if let Some(stack) = body.read_array("dropped:cause.exceptions.stack", exception.stack) {
        stack_trace(body, stack);
    }
    if let Some(exceptions) = exceptions.filter(|exceptions| exceptions.len() > 0) {
        body.raw(key!("xray.exceptions").as_bytes());
        stored::write(body.out, exceptions);
    }
}

/// The first exception with a message, else the first.
fn chosen<'t>(body: &mut Body<'_>, exceptions: Option<Value<'t>>) -> Exception<'t> {
    let mut first = None;
    let Some(exceptions) = exceptions else { return Exception::default() };
    for exception in body.objects("dropped:cause.exceptions", exceptions).map(Exception::read) {
        if body.read_text("dropped:cause.exceptions.message", exception.message).is_some() {
            return exception;
        }
        first = first.or(Some(exception));
    }
    first.unwrap_or_default()
}

/// A frame a line, `label (path:line)`, what is missing left out.
fn stack_trace(body: &mut Body<'_>, stack: Value<'_>) {
    let mut lines = String::new();
    for frame in body.objects("dropped:cause.exceptions.stack", stack).take(FRAMES).map(Frame::read) {
        let label = body.read_text("dropped:cause.exceptions.stack.label", frame.label);
        let path = body.read_text("dropped:cause.exceptions.stack.path", frame.path);
        let line = body.read_text("dropped:cause.exceptions.stack.line", frame.line);
        if label.is_none() && path.is_none() && line.is_none() {
            continue;
        }
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(label.as_deref().unwrap_or_default());
        if path.is_some() || line.is_some() {
            lines.push_str(if label.is_some() { " (" } else { "(" });
            lines.push_str(path.as_deref().unwrap_or_default());
            lines.push_str(if path.is_some() && line.is_some() { ":" } else { "" });
            lines.push_str(line.as_deref().unwrap_or_default());
            lines.push(')');
        }
    }
    if !lines.is_empty() {
        body.raw(key!("error.stack_trace").as_bytes());
        writer::string(body.out, &lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Parser, Scratch, Shape};
    use crate::time::Calendar;

    fn written(cause: &str) -> (String, Vec<String>) {
        let mut scratch = Scratch::default();
        let parsed = Parser::new().parse(&[cause.as_bytes()], &mut scratch);
        let value = Value::new(&parsed[0].as_ref().unwrap().0);
        assert_ne!(value.shape(), Shape::Null);
        let (mut out, mut warnings) = (Vec::new(), Vec::new());
        let mut body = Body { out: &mut out, calendar: &mut Calendar::new(), warnings: &mut warnings };
        write(&mut body, Some(value));
        (String::from_utf8(out).unwrap(), warnings.into_iter().map(String::from).collect())
    }

    #[test]
    fn causes() {
        for (cause, expected) in [
            ("{}", ""),
            (r#"{"exceptions":[]}"#, ""),
            (r#""abcdefghijklmnop""#, r#","error.id":"abcdefghijklmnop""#),
            (r#"{"message":"m"}"#, r#","error.message":"m""#),
            (
                r#"{"message":"m","exceptions":[{"remote":true,"type":"T","id":"i"}]}"#,
                r#","error.type":"T","error.message":"m","error.id":"i","xray.exceptions":[{"remote":true,"type":"T","id":"i"}]"#,
            ),
            (
                r#"{"exceptions":[{"type":"A"},{"type":"B","message":"b"}]}"#,
                r#","error.type":"B","error.message":"b","xray.exceptions":[{"type":"A"},{"type":"B","message":"b"}]"#,
            ),
        ] {
            assert_eq!(written(cause), (expected.into(), vec![]), "{cause}");
        }
        assert_eq!(written("[1]"), (String::new(), vec!["dropped:cause".into()]));
    }

    #[test]
    fn stacks() {
        let stack = r#"{"exceptions":[{"stack":[{"label":"f","path":"a.js","line":1},{"path":"b.js"},{"label":"g"},{},
            {"line":3},{"label":"h","line":4},{"label":"k","path":"c.js"}]}]}"#;
        let lines = r#"f (a.js:1)\n(b.js)\ng\n(3)\nh (4)\nk (c.js)"#;
        assert!(written(stack).0.starts_with(&format!(",\"error.stack_trace\":\"{lines}\"")), "{:?}", written(stack));
    }
}
