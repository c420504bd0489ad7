//! Instances of the frozen guests, which stay what they are. What guests do wrong on purpose is in the crate `tests`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::{Failure, Instance, OpenError, Verdict};
use crate::engine::Engine;
use crate::event::Event;
use crate::grant::Grants;
use crate::grant::objects::Store;
use crate::grant::queue::Queue;
use crate::pipeline::{
    Capability, FileQueueGrant, Grant, Kind, Limits, ObjectsGrant, PluginProblem, PluginRef, QueueGrant,
};
use crate::plugin::Plugin;

const LIMITS: Limits = Limits { memory_bytes: 64 << 20, call: Duration::from_secs(30) };

fn frozen(name: &str) -> Plugin {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/frozen").join(name).with_extension("wasm");
    Plugin::load(&Engine::new(None).unwrap(), &PluginRef::File(path)).unwrap()
}

async fn transform(limits: &Limits) -> Instance {
    open(limits).await.unwrap()
}

async fn open(limits: &Limits) -> Result<Instance, OpenError> {
    let context = json!({ "stage": "frozen", "options": {}, "instance": 0, "instances": 1, "seed": 7 });
    Instance::open(&frozen("transform"), &Grants::default(), limits, context).await
}

fn events(bodies: &[&str]) -> Vec<Event> {
    let event = |(index, body): (usize, &&str)| Event {
        labels: vec![("account".to_owned(), "1".to_owned())].into(),
        id: format!("id-{index}").into(),
        attrs: format!(r#"{{"n":{index}}}"#).into(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        time: 1,
        version: 2,
    };
    bodies.iter().enumerate().map(event).collect()
}

#[tokio::test]
async fn a_transform_answers_with_outputs_and_rejections_that_name_their_input() {
    let mut instance = transform(&LIMITS).await;
    let inputs = events(&["keep", "drop", "reject", "double"]);
    let processed = instance.process(&inputs).await.unwrap().unwrap();
    let outputs: Vec<(u32, &[u8], &[u8])> =
        processed.outputs.iter().map(|output| (output.origin, &*output.event.body, &*output.event.attrs)).collect();
    assert_eq!(
        outputs,
        [
            (0, &b"keep"[..], &br#"{"n":0}"#[..]),
            (3, b"double", br#"{"n":3}"#),
            (3, b"{}", br#"{"n":3}"#),
            (3, b"double", br#"{"n":3}"#),
        ]
    );
    assert_eq!(processed.outputs[2].event.id.len(), 64, "an id made of the body");
    let rejections: Vec<(u32, &str)> =
        processed.rejections.iter().map(|rejection| (rejection.origin, rejection.reason.as_str())).collect();
    assert_eq!(rejections, [(2, "asked to reject")]);
    instance.close().await.unwrap();
}

#[tokio::test]
async fn a_panic_is_a_trap_with_its_message_and_place_and_the_instance_is_lost() {
    let mut instance = transform(&LIMITS).await;
    let trap = instance.process(&events(&["keep", "panic"])).await.unwrap_err();
    assert!(trap.reason.starts_with("panicked at ") && trap.reason.ends_with(": asked to panic"), "{trap}");
    assert_eq!(instance.process(&events(&["keep"])).await.unwrap_err(), trap);
}

#[tokio::test]
async fn a_failure_of_the_whole_batch_is_not_a_trap() {
    let mut instance = transform(&LIMITS).await;
    let failure = instance.process(&events(&["retry"])).await.unwrap().unwrap_err();
    assert!(matches!(failure, Failure::Retry(later) if later.reason == "asked to try again"));
    assert!(instance.process(&events(&["keep"])).await.unwrap().is_ok());
}

#[tokio::test]
async fn memory_has_a_limit() {
    let mut instance = transform(&Limits { memory_bytes: 16 << 20, ..LIMITS }).await;
    let body = "x".repeat(20 << 20);
    let trap = instance.process(&events(&[&body])).await.unwrap_err();
    assert_eq!(trap.reason, "it needs more than its 16 MiB of memory (`limits.memory_bytes`)");
}

/// More than wasmtime lets through where nobody says how much.
#[tokio::test]
async fn a_call_hands_over_as_much_as_the_memory_may_hold() {
    let mut instance = transform(&Limits { memory_bytes: 1 << 30, ..LIMITS }).await;
    let body = "x".repeat(140 << 20);
    let processed = instance.process(&events(&[&body])).await.unwrap().unwrap();
    assert!(processed.outputs.len() == 1 && processed.outputs[0].event.body == body.as_bytes());
}

#[tokio::test]
async fn time_has_a_limit() {
    let batch = events(&["keep"; 20_000]);
    let spend = async || -> Result<(), OpenError> {
        let mut instance = open(&Limits { call: Duration::from_nanos(1), ..LIMITS }).await?;
        loop {
            _ = instance.process(&batch).await.map_err(OpenError::Trap)?;
        }
    };
    let Err(OpenError::Trap(trap)) = spend().await else { panic!("it ends by its limit") };
    assert_eq!(trap.reason, "it spent its 0.000000001 s of computing or sleeping in one call (`limits.call_secs`)");
}

#[test]
fn a_plugin_says_what_it_is() {
    let kinds = [("source", Kind::Source), ("transform", Kind::Transform), ("sink", Kind::Sink)];
    for (name, kind) in kinds {
        let plugin = frozen(name);
        assert_eq!((plugin.name(), plugin.kind()), (name, kind));
        let names: Vec<&str> = plugin.facts().bindings.iter().map(|binding| binding.name.as_str()).collect();
        let imports = plugin.imports().capabilities;
        for capability in Capability::ALL {
            let import = format!("rayline:stage/{}@0.1.0", capability.name());
            let bound = plugin.facts().bindings.iter().any(|binding| binding.capability == capability);
            assert!(bound || !imports.contains(&import), "{name} imports {import} and binds only {names:?}");
        }
    }
}

#[test]
fn what_is_no_stage_is_refused_with_the_reason() {
    let engine = Engine::new(None).unwrap();
    let cases: [(&[u8], PluginProblem); 4] = [
        (b"", PluginProblem::NotWasm),
        (b"plugin = 1", PluginProblem::NotWasm),
        (b"\0asm\x01\0\0\0", PluginProblem::CoreModule),
        (b"\0asm\x0d\0\x01\0", PluginProblem::NotAStage),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Plugin::from_bytes(&engine, "case", bytes).err().unwrap(), expected);
    }
    let broken = Plugin::from_bytes(&engine, "case", b"\0asm\x0d\0\x01\0\xff").err().unwrap();
    assert!(matches!(broken, PluginProblem::Broken { .. }), "{broken}");
    let missing = Plugin::load(&engine, &PluginRef::Shipped("nobody".to_owned())).err().unwrap();
    assert!(matches!(missing, PluginProblem::NotShipped { .. }));
    let missing = Plugin::load(&engine, &PluginRef::File("nowhere.wasm".into())).err().unwrap();
    assert_eq!(missing, PluginProblem::Missing);
}

#[tokio::test]
async fn a_sink_reaches_what_it_is_granted_and_goes_on_without_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let queue = QueueGrant::File(FileQueueGrant {
        path: folder.path().join("out.queue"),
        visibility: Duration::from_secs(30),
        max_hold: Duration::from_secs(60),
    });
    let objects = ObjectsGrant::Folder(folder.path().join("out"));
    let every = BTreeMap::from([
        ("queue".to_owned(), Grant::Queue(queue.clone())),
        ("objects".to_owned(), Grant::Objects(objects.clone())),
    ]);
    for (grants, messages, objects_written) in [(BTreeMap::new(), 0, 0), (every, 1, 1)] {
        let context = json!({ "stage": "frozen", "options": {}, "instance": 0, "instances": 1, "seed": 7 });
        let grants = Grants::open("frozen", &grants).await.unwrap();
        let mut instance = Instance::open(&frozen("sink"), &grants, &LIMITS, context).await.unwrap();
        let exceptions = instance.write(&events(&["a", "reject", "b", "retry"])).await.unwrap().unwrap();
        assert_eq!(exceptions.len(), 2);
        assert_eq!((exceptions[0].entry, exceptions[1].entry), (1, 3));
        assert_eq!(exceptions[0].verdict, Verdict::Reject("asked to reject".to_owned()));
        let left = Queue::open(&queue).await.unwrap().depth().await.unwrap().visible;
        let listed = Store::open(&objects).await.unwrap().list("", None, 10).await.unwrap().len();
        assert_eq!((left, listed), (messages, objects_written));
    }
}
