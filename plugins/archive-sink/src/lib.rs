//! The archive: every message byte for byte, as `docs/archive.md` says.
//!
//! **Writing the same batch again gives the same objects.** Nothing that is written depends on the clock or on the
//! instance, and names end in a hash of the content.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rayline_message::transport::PAYLOAD_BYTES;
use rayline_message::{Attributes, Line, basic, hour_folder};
use rayline_sdk::objects::{self, Compression};
use rayline_sdk::{Batch, Binding, Capability, CapabilityError, Context, Event, Exceptions, Failure, Sink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const OBJECTS: &str = "objects";

/// The stage.
pub struct ArchiveSink {
    options: Options,
}

/// Options of `archive-sink`.
#[derive(Debug, Default, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How objects are compressed.
    compression: Packing,
}

/// How an object is compressed.
#[derive(Debug, Default, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Zstandard: smaller and faster. Objects end in `.ndjson.zst`.
    #[default]
    Zstd,
    /// gzip, for readers that know nothing else. Objects end in `.ndjson.gz`.
    Gzip,
}

impl Sink for ArchiveSink {
    type Options = Options;

    const SUMMARY: &'static str = "Archives every message byte for byte, one object an account, region and hour";

    fn bindings() -> Vec<Binding> {
        vec![Binding::required(OBJECTS, Capability::Objects, "where the archive is")]
    }

    fn open(options: Options, _: &Context) -> Result<Self, Failure> {
        Ok(Self { options })
    }

    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure> {
        let mut folders: BTreeMap<String, Vec<Event<'_>>> = BTreeMap::new();
        for event in batch {
            if event.body.len() > PAYLOAD_BYTES {
                let bytes = event.body.len();
                out.reject(&event, format!("the payload has {bytes} bytes, and the archive takes {PAYLOAD_BYTES}"));
                continue;
            }
            let folder = hour_folder(event.label("account"), event.label("region"), event.time);
            folders.entry(folder).or_default().push(event);
        }
        for (folder, events) in &folders {
            let Err(error) = self.write_object(folder, events) else { continue };
            match Failure::from(error) {
                // The other folders' objects are safe, or may yet be.
                Failure::Retry { reason, after } => {
                    events.iter().for_each(|event| out.retry(event, reason.clone(), after));
                }
                failure => return Err(failure),
            }
        }
        Ok(())
    }
}

impl ArchiveSink {
    fn write_object(&self, folder: &str, events: &[Event<'_>]) -> Result<(), CapabilityError> {
        let (compression, extension) = match self.options.compression {
            Packing::Zstd => (Compression::Zstd, "ndjson.zst"),
            Packing::Gzip => (Compression::Gzip, "ndjson.gz"),
        };
        let mut upload = objects::create(OBJECTS, compression)?;
        let mut line = Vec::new();
        for event in events {
            line.clear();
            let attributes = Attributes::parse(event.attrs);
            Line { sha256: sha256(event), attributes, raw: Cow::Borrowed(event.body) }.write(&mut line);
            upload.write(&line)?;
        }
        let first = events.iter().map(|event| event.time).filter(|&time| time > 0).min();
        let first = first.and_then(basic).map_or(String::new(), |time| time + "-");
        upload.commit(&format!("{folder}/{first}{{hash}}.{extension}"))?;
        Ok(())
    }
}

/// The id that the host gives to what a source passes on is the hash. A source's own id is not.
fn sha256<'a>(event: &Event<'a>) -> Cow<'a, str> {
    if event.id.len() == 64 && event.id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Cow::Borrowed(event.id);
    }
    Cow::Owned(Sha256::digest(event.body).iter().map(|byte| format!("{byte:02x}")).collect())
}

rayline_sdk::export_sink!(ArchiveSink);

#[cfg(test)]
mod tests {
    use rayline_sdk::testing::{self, Input};

    use super::*;

    const NOON: u64 = 1_735_732_800_000_000_000;
    const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn message(account: &str, seconds: u64, body: &str) -> Input {
        Input::body(body).label("kind", "raw").label("account", account).at(NOON + seconds * 1_000_000_000, 0)
    }

    /// The objects' keys without their hashes, and their contents.
    fn archive() -> Vec<(String, String)> {
        let name = |key: &str| {
            let (start, end) = key.split_once(".ndjson").unwrap();
            format!("{}#.ndjson{end}", &start[..start.len() - 16])
        };
        let objects = testing::objects::all(OBJECTS);
        objects.iter().map(|(key, content)| (name(key), String::from_utf8(content.clone()).unwrap())).collect()
    }

    #[test]
    fn an_object_for_each_account_and_hour() {
        testing::objects::grant(OBJECTS);
        let mut sink = testing::open_sink::<ArchiveSink>("{}").unwrap();
        let batch = [
            message("1", 61, "b").id(HASH),
            message("2", 0, "c").id(HASH),
            message("1", 60, "a").id(HASH),
            message("1", 3600, "later").id(HASH),
            Input::body("junk").id(HASH),
        ];
        assert_eq!(sink.write(&batch).unwrap(), []);
        let line = |raw: &str| format!("{{\"sha256\":\"{HASH}\",\"raw\":\"{raw}\"}}\n");
        let day = "region=unknown/year=2025/month=01/day=01";
        let expected = [
            (format!("account=1/{day}/hour=12/20250101T120100Z-#.ndjson.zst"), line("b") + &line("a")),
            (format!("account=1/{day}/hour=13/20250101T130000Z-#.ndjson.zst"), line("later")),
            (format!("account=2/{day}/hour=12/20250101T120000Z-#.ndjson.zst"), line("c")),
            ("account=unknown/region=unknown/year=1970/month=01/day=01/hour=00/#.ndjson.zst".to_owned(), line("junk")),
        ];
        assert_eq!(archive(), expected);

        assert_eq!(sink.write(&batch).unwrap(), []);
        assert_eq!(archive(), expected, "a batch written again replaces itself");
    }

    #[test]
    fn what_no_reader_would_take_is_rejected() {
        testing::objects::grant(OBJECTS);
        let mut sink = testing::open_sink::<ArchiveSink>("{}").unwrap();
        let long = "x".repeat(PAYLOAD_BYTES + 1);
        let left = sink.write(&[message("1", 0, &long).id(HASH), message("1", 0, &long[1..]).id(HASH)]).unwrap();
        let [rejected] = &left[..] else { panic!("one: {left:?}") };
        assert!(format!("{rejected:?}").contains("the archive takes 67108864"), "{rejected:?}");
        assert_eq!(archive().len(), 1);
    }

    #[test]
    fn a_line_has_what_the_queue_said() {
        testing::objects::grant(OBJECTS);
        let mut sink = testing::open_sink::<ArchiveSink>(r#"{"compression":"gzip"}"#).unwrap();
        let attrs =
            r#"{"message_id":"m","sent_at":"s","received_at":"r","receive_count":3,"sender_id":"i","object":"o"}"#;
        sink.write(&[message("1", 0, "test").attrs(attrs).id("some other id")]).unwrap();
        let [(key, content)] = &archive()[..] else { panic!("one object") };
        assert!(key.ends_with("#.ndjson.gz"), "{key}");
        let line = r#"{"sha256":"HASH","received_at":"r","sent_at":"s","message_id":"m","sender_id":"i","raw":"test"}"#;
        assert_eq!(*content, line.replace("HASH", HASH) + "\n");
    }
}
