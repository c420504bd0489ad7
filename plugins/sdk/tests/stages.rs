//! What the SDK makes of what a stage does, driven as the host would.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{BufRead, Write};
use std::time::Duration;

use rayline_sdk::objects::{self, Compression};
use rayline_sdk::testing::{self, Input, Read, Rejected, Verdict, Written};
use rayline_sdk::{
    Batch, Binding, Capability, CapabilityError, Context, Ends, Event, Exceptions, Failure, NewEvent, NewLabels,
    NoOptions, Outcome, Output, Reading, Settlement, Sink, Source, SourceEvent, SourceOutput, Transform, queue,
};
use serde_json::json;

/// Does what the words of a body say.
struct Words {
    suffix: String,
}

/// The options of the test.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct WordsOptions {
    /// What every body ends with.
    suffix: String,
}

impl Transform for Words {
    type Options = WordsOptions;
    const SUMMARY: &'static str = "Does what bodies say";

    fn open(options: WordsOptions, _: &Context) -> Result<Words, Failure> {
        Ok(Words { suffix: options.suffix })
    }

    fn process(&mut self, event: &Event<'_>, out: &mut Output) -> Result<(), Failure> {
        for word in std::str::from_utf8(event.body).unwrap_or_default().split(' ') {
            match word {
                "keep" => out.keep(event),
                "new" => {
                    out.body().extend_from_slice(b"never finished");
                    out.body().extend_from_slice(format!("new{}", self.suffix).as_bytes());
                    out.finish(&NewEvent { id: "é", time: 7, version: 8, ..NewEvent::default() });
                }
                "with" => {
                    let labels = [("kind", "new"), ("more", "1")];
                    out.push(&NewEvent { labels: NewLabels::With(&labels), ..NewEvent::like(event) }, b"");
                }
                "only" => out.push(&NewEvent { labels: NewLabels::Only(&[("kind", "x")]), ..NewEvent::default() }, b""),
                "part" => out.reject("a part", Some(b"p")),
                "reject" => return Err(Failure::reject("all")),
                "retry" => return Err(Failure::retry_after("later", Duration::from_secs(1))),
                "shorten" => out.body().clear(),
                "end" => out.finish(&NewEvent::default()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What comes of one batch: origin, labels, id and body of each event, then the rejections.
fn words(bodies: &[&str]) -> (Vec<String>, Vec<Rejected>) {
    let inputs: Vec<Input> =
        bodies.iter().map(|body| Input::body(*body).id("i").label("kind", "a").label("b", "c")).collect();
    let done = testing::transform::<Words>(r#"{"suffix":"!"}"#, &inputs).unwrap();
    let events = done.events.iter().map(|event| {
        let labels: Vec<String> = event.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{} [{}] {:?} {:?}", event.origin, labels.join(" "), event.id, event.body)
    });
    (events.collect(), done.rejected)
}

fn rejected(origin: u32, reason: &str, part: Option<&[u8]>) -> Rejected {
    Rejected { origin, reason: reason.into(), part: part.map(<[u8]>::to_vec) }
}

#[test]
fn outputs_follow_their_input() {
    let (events, rejections) = words(&["keep", "", "new keep", "with only"]);
    assert_eq!(
        events,
        [
            r#"0 [kind=a b=c] "i" "keep""#,
            r#"2 [kind=a b=c] "é" "new!""#,
            r#"2 [kind=a b=c] "i" "new keep""#,
            r#"3 [kind=new b=c more=1] "i" """#,
            r#"3 [kind=x] "" """#,
        ]
    );
    assert_eq!(rejections, []);
}

#[test]
fn a_rejected_event_takes_its_outputs_back() {
    let (events, rejections) = words(&["keep part", "keep part reject", "keep"]);
    assert_eq!(events, [r#"0 [kind=a b=c] "i" "keep part""#, r#"2 [kind=a b=c] "i" "keep""#]);
    assert_eq!(rejections, [rejected(0, "a part", Some(b"p")), rejected(1, "all", None)]);
}

#[test]
fn retry_and_a_damaged_output_fail_the_batch() {
    let failure =
        |body: &str| testing::transform::<Words>(r#"{"suffix":""}"#, &[Input::body("keep"), Input::body(body)]);
    assert_eq!(failure("retry").unwrap_err(), Failure::retry_after("later", Duration::from_secs(1)));
    assert!(matches!(failure("shorten end").unwrap_err(), Failure::Fatal(reason) if reason.contains("only append")));
}

#[test]
fn description_has_the_schema_of_the_options() {
    let description = testing::describe_transform::<Words>();
    assert_eq!(description["summary"], "Does what bodies say");
    assert_eq!(description["options"]["properties"]["suffix"]["description"], "What every body ends with.");
    assert_eq!(description["bindings"], json!([]));
    assert_eq!(description.get("ends"), None);

    let description = testing::describe_source::<Relay>();
    assert_eq!(description.get("options"), None);
    assert_eq!(
        description["bindings"],
        json!([{ "name": "in", "capability": "queue", "required": true, "summary": "what to read" }])
    );
    assert_eq!(description["ends"], "stop");
}

#[test]
fn options_that_do_not_fit_are_fatal() {
    assert!(matches!(testing::open_transform::<Words>("{}"), Err(Failure::Fatal(reason)) if reason.contains("suffix")));
}

/// Reads a queue, two events a message.
struct Relay;

impl Source for Relay {
    type Options = NoOptions;
    const SUMMARY: &'static str = "Reads a queue";
    const ENDS: Ends = Ends::Option("stop");

    fn bindings() -> Vec<Binding> {
        vec![Binding::required("in", Capability::Queue, "what to read")]
    }

    fn open(_: NoOptions, _: &Context) -> Result<Relay, Failure> {
        Ok(Relay)
    }

    fn read(&mut self, max_bytes: usize, max_wait: Duration, out: &mut SourceOutput) -> Result<Reading, Failure> {
        let messages = queue::receive("in", 10, max_bytes, max_wait)?;
        for message in messages.iter() {
            if message.body.is_empty() {
                out.empty(message.handle);
                continue;
            }
            let event = SourceEvent { labels: &[("kind", "raw")], attrs: message.attrs, ..SourceEvent::default() };
            out.push(message.handle, &event, message.body);
            out.push(message.handle, &event, b"again");
        }
        Ok(Reading::Idle(Duration::from_millis(5)))
    }

    fn settle(&mut self, settlements: &[Settlement]) -> Result<(), Failure> {
        for Settlement { ticket, outcome } in settlements {
            let failed = match outcome {
                Outcome::Done => queue::delete("in", &[*ticket])?,
                Outcome::Released => queue::release("in", &[*ticket])?,
            };
            assert!(failed.is_empty());
        }
        Ok(())
    }
}

#[test]
fn a_source_hands_out_tickets_and_settles_them() {
    let mut relay = testing::open_source::<Relay>("{}", None).unwrap();
    assert!(matches!(relay.read(100), Err(Failure::Fatal(reason)) if reason == "not granted: in"));

    for body in ["one", "", "three"] {
        testing::queue::put("in", r#"{"message_id":"m"}"#, body.as_bytes());
    }
    let Read::Events { events, tickets, checkpoint } = relay.read(100).unwrap() else { panic!("events were expected") };
    let origins: Vec<(u64, &str)> = events.iter().map(|event| (event.origin, event.body.as_str())).collect();
    assert_eq!(origins, [(1, "one"), (1, "again"), (3, "three"), (3, "again")]);
    assert_eq!(events[0].attrs, r#"{"message_id":"m"}"#);
    assert_eq!((tickets, checkpoint), (vec![1, 2, 3], None));
    assert_eq!(relay.read(100).unwrap(), Read::Idle(5));

    let settle = |ticket, outcome| Settlement { ticket, outcome };
    relay.settle(&[settle(1, Outcome::Done), settle(2, Outcome::Done), settle(3, Outcome::Released)]).unwrap();
    assert_eq!(testing::queue::held("in"), 0);
    assert_eq!(testing::queue::take("in"), [(r#"{"message_id":"m","receive_count":2}"#.to_owned(), b"three".to_vec())]);
}

/// Writes an object for each batch.
struct Store;

impl Sink for Store {
    type Options = NoOptions;
    const SUMMARY: &'static str = "Writes objects";

    fn open(_: NoOptions, _: &Context) -> Result<Store, Failure> {
        Ok(Store)
    }

    fn write(&mut self, batch: &Batch, out: &mut Exceptions) -> Result<(), Failure> {
        let mut upload = objects::create("out", Compression::None)?;
        for event in batch {
            match event.label("do") {
                Some("reject") => out.reject(&event, "no"),
                Some("retry") => out.retry(&event, "busy", Some(Duration::from_millis(3))),
                _ => writeln!(upload, "{}", String::from_utf8_lossy(event.body))?,
            }
        }
        upload.commit("batch")?;
        Ok(())
    }
}

#[test]
fn a_sink_names_what_it_did_not_write() {
    testing::objects::grant("out");
    let mut store = testing::open_sink::<Store>("{}").unwrap();
    let inputs = [
        Input::body("a"),
        Input::body("b").label("do", "reject"),
        Input::body("c").label("do", "retry"),
        Input::body("d"),
    ];
    let written = |event, verdict, reason: &str| Written { event, verdict, reason: reason.into() };
    assert_eq!(
        store.write(&inputs).unwrap(),
        [written(1, Verdict::Reject, "no"), written(2, Verdict::Retry(Some(3)), "busy")]
    );
    assert_eq!(testing::objects::all("out")["batch"], b"a\nd\n");
}

#[test]
fn objects_are_read_by_lines_and_listed_in_order() {
    for key in ["b/2", "a", "b/1", "b/3"] {
        testing::objects::put("out", key, b"one\ntwo\n");
    }
    let lines: Vec<String> = objects::open("out", "b/1").unwrap().lines().map(Result::unwrap).collect();
    assert_eq!(lines, ["one", "two"]);
    let list = |after: Option<&str>, max| -> Vec<String> {
        objects::list("out", "b/", after, max).unwrap().into_iter().map(|object| object.key).collect()
    };
    assert_eq!(list(None, 2), ["b/1", "b/2"]);
    assert_eq!(list(Some("b/1"), 9), ["b/2", "b/3"]);
    assert_eq!(list(Some("a"), 1), ["b/1"]);
    assert!(matches!(objects::open("out", "c"), Err(CapabilityError::NotFound(key)) if key == "c"));
}

#[test]
fn failures_of_capabilities_through_io_keep_their_meaning() {
    let temporary = CapabilityError::Temporary { reason: "slow down".into(), after: Some(Duration::from_secs(2)) };
    let through_io = Failure::from(std::io::Error::from(temporary));
    assert_eq!(through_io, Failure::retry_after("slow down", Duration::from_secs(2)));
    assert_eq!(Failure::from(std::io::Error::other("odd")), Failure::reject("odd"));
}
