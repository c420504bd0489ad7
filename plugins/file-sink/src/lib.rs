//! Events in files, as NDJSON.
//!
//! **Writing the same batch again gives the same files**: names end in a hash of the content.

use std::collections::BTreeMap;

use rayline_message::{Ndjson, basic, folder_name};
use rayline_sdk::objects::{self, Compression};
use rayline_sdk::{Batch, Binding, Capability, CapabilityError, Context, Event, Exceptions, Failure, Sink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const OBJECTS: &str = "objects";

/// The stage.
pub struct FileSink {
    options: Options,
    stage: String,
}

/// Options of `file-sink`.
#[derive(Debug, Default, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// What is written of an event.
    format: Ndjson,
    /// What the files' names begin with, for example `documents/`. `KIND/TIME-HASH.ndjson` follows: the events' label
    /// `kind` (without it the stage's name), the time of the earliest event in the file, and a hash of its content.
    prefix: String,
}

impl Sink for FileSink {
    type Options = Options;

    const SUMMARY: &'static str = "Writes events to files of JSON lines, a folder for each kind";

    fn bindings() -> Vec<Binding> {
        vec![Binding::required(OBJECTS, Capability::Objects, "where the files are")]
    }

    fn open(options: Options, context: &Context) -> Result<Self, Failure> {
        Ok(Self { options, stage: context.stage.clone() })
    }

    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure> {
        let mut kinds: BTreeMap<&str, Vec<Event<'_>>> = BTreeMap::new();
        for event in batch {
            let kind = event.label("kind").filter(|kind| !kind.is_empty());
            kinds.entry(kind.unwrap_or(&self.stage)).or_default().push(event);
        }
        for (kind, events) in &kinds {
            let Err(error) = self.write_file(kind, events) else { continue };
            match Failure::from(error) {
                Failure::Retry { reason, after } => {
                    events.iter().for_each(|event| out.retry(event, reason.clone(), after));
                }
                failure => return Err(failure),
            }
        }
        Ok(())
    }
}

impl FileSink {
    fn write_file(&self, kind: &str, events: &[Event<'_>]) -> Result<(), CapabilityError> {
        let mut upload = objects::create(OBJECTS, Compression::None)?;
        let mut line = Vec::new();
        for event in events {
            line.clear();
            self.options.format.write(event, &mut line);
            upload.write(&line)?;
        }
        let first = events.iter().map(|event| event.time).filter(|&time| time > 0).min();
        let first = first.and_then(basic).map_or(String::new(), |time| time + "-");
        upload.commit(&format!("{}{}/{first}{{hash}}.ndjson", self.options.prefix, folder_name(kind)))?;
        Ok(())
    }
}

rayline_sdk::export_sink!(FileSink);

#[cfg(test)]
mod tests {
    use rayline_sdk::testing::{self, Input};

    use super::*;

    /// The files' names without their hashes, and their contents.
    fn files() -> Vec<(String, String)> {
        let objects = testing::objects::all(OBJECTS);
        let name = |key: &str| format!("{}#", &key[..key.len() - "0123456789abcdef.ndjson".len()]);
        objects.iter().map(|(key, content)| (name(key), String::from_utf8(content.clone()).unwrap())).collect()
    }

    #[test]
    fn a_file_for_each_kind() {
        testing::objects::grant(OBJECTS);
        let mut sink = testing::open_sink::<FileSink>(r#"{"prefix":"out/"}"#).unwrap();
        let noon = 1_735_732_800_000_000_000;
        let batch = [
            Input::body("2").label("kind", "span").at(noon + 1_000_000_000, 0),
            Input::body("1").label("kind", "span").at(noon, 0),
            Input::body("3").label("kind", "a/b"),
            Input::body("4").label("kind", ""),
        ];
        let expected = [
            ("out/a%2Fb/#".to_owned(), "3\n".to_owned()),
            ("out/span/20250101T120000Z-#".to_owned(), "2\n1\n".to_owned()),
            ("out/test/#".to_owned(), "4\n".to_owned()),
        ];
        for _ in 0..2 {
            assert_eq!(sink.write(&batch).unwrap(), []);
            assert_eq!(files(), expected, "a batch written again replaces itself");
        }
    }

    #[test]
    fn whole_events() {
        testing::objects::grant(OBJECTS);
        let mut sink = testing::open_sink::<FileSink>(r#"{"format":"event"}"#).unwrap();
        sink.write(&[Input::body("{}").id("1")]).unwrap();
        let line = r#"{"id":"1","labels":{},"attrs":{},"version":0,"body":{}}"#;
        assert_eq!(files(), [("test/#".to_owned(), format!("{line}\n"))]);
    }
}
