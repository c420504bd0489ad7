//! Events on standard output, as NDJSON.

use rayline_message::Ndjson;
use rayline_sdk::{Batch, Binding, Capability, Context, Exceptions, Failure, Sink, console};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const OUTPUT: &str = "output";

/// The stage.
pub struct PrintSink {
    options: Options,
}

/// Options of `print-sink`.
#[derive(Debug, Default, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What is printed of an event.
    format: Ndjson,
}

impl Sink for PrintSink {
    type Options = Options;

    const SUMMARY: &'static str = "Prints every event as a line of JSON";

    fn bindings() -> Vec<Binding> {
        vec![Binding::required(OUTPUT, Capability::Console, "where the lines go")]
    }

    fn open(options: Options, _: &Context) -> Result<Self, Failure> {
        Ok(Self { options })
    }

    fn write(&mut self, batch: &Batch, _: &mut Exceptions) -> Result<(), Failure> {
        let mut lines = Vec::with_capacity(batch.body_bytes() + batch.len());
        batch.iter().for_each(|event| self.options.format.write(&event, &mut lines));
        Ok(console::write(OUTPUT, &lines)?)
    }
}

rayline_sdk::export_sink!(PrintSink);

#[cfg(test)]
mod tests {
    use rayline_sdk::testing::{self, Input};

    use super::*;

    fn printed(options: &str, events: &[Input]) -> String {
        let mut sink = testing::open_sink::<PrintSink>(options).unwrap();
        assert_eq!(sink.write(events).unwrap(), []);
        String::from_utf8(testing::console::take()).unwrap()
    }

    #[test]
    fn a_body_is_a_line() {
        let events = [Input::body("{\"a\":1}"), Input::body("{\r\n\"a\":\n2\n}"), Input::body("")];
        assert_eq!(printed("{}", &events), "{\"a\":1}\n{  \"a\": 2 }\n\n");
    }

    #[test]
    fn an_event_is_a_line() {
        let time = 1_735_732_800_000_000_000;
        let events = [
            Input::body("{\"a\":\n1}").id("i\"1").label("kind", "span").attrs("{\"object\":\"o\"}").at(time, 7),
            Input::body("not\nJSON"),
        ];
        assert_eq!(
            printed(r#"{"format":"event"}"#, &events),
            concat!(
                r#"{"id":"i\"1","labels":{"kind":"span"},"attrs":{"object":"o"},"time":"2025-01-01T12:00:00Z","version":7,"body":{"a": 1}}"#,
                "\n",
                r#"{"id":"","labels":{},"attrs":{},"version":0,"body_base64":"bm90CkpTT04="}"#,
                "\n"
            )
        );
    }
}
