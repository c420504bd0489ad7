//! `cause` of a node, section 4.

use serde_json::Value;

use super::body::Body;
use super::json::{self, Reader};

const FRAMES: usize = 100;

pub fn error(body: &mut Body, node: &Reader) {
    match node.get("cause") {
        None => {}
        Some(Value::Object(_)) => of_object(body, &node.object("cause")),
        Some(cause) => match json::text(cause) {
            Some(id) => body.put("error.id", id),
            None => node.dropped("cause"),
        },
    }
}

fn of_object(body: &mut Body, cause: &Reader) {
    body.put("xray.exceptions", cause.list("exceptions"));
    let exceptions = cause.objects("exceptions");
    let with_message = exceptions.iter().find(|exception| exception.text("message").is_some());
    let message = cause.text("message");
    let Some(exception) = with_message.or(exceptions.first()) else {
        body.put("error.message", message);
        return;
    };
    body.put("error.type", exception.text("type"));
    body.put("error.message", exception.text("message").or(message));
    body.put("error.id", exception.text("id"));
    let stack = exception.objects("stack");
    let frames: Vec<String> = stack.iter().take(FRAMES).filter_map(frame).collect();
    body.put("error.stack_trace", frames.join("\n"));
}

/// `label (path:line)`, what is missing left out.
fn frame(frame: &Reader) -> Option<String> {
    let place: Vec<String> = [frame.text("path"), frame.text("line")].into_iter().flatten().collect();
    let place = (!place.is_empty()).then(|| format!("({})", place.join(":")));
    let parts: Vec<String> = [frame.text("label"), place].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}
