//! What holds for every message, however odd.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use super::{ALL, Outcome, differential, generated, message};

const OBJECTS: [&str; 4] = ["xray.annotations", "xray.metadata", "aws.extra", "xray.exceptions"];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        // The same messages in every run: whoever breaks one sees it.
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn documents_keep_their_form(payload in generated::message()) {
        for (name, flatten) in ALL {
            let outcome = flatten(&message(payload.as_bytes()));
            prop_assert_eq!(&outcome, &flatten(&message(payload.as_bytes())), "{} is not pure", name);
            let ids: HashSet<&str> = outcome.documents.iter().map(|document| document.id.as_str()).collect();
            // Messages in a list are each by themselves, and two can be states of one document.
            let is_list = payload.starts_with('[');
            prop_assert!(is_list || ids.len() == outcome.documents.len(), "{} gives an id twice", name);
            for document in &outcome.documents {
                for (key, value) in &document.body {
                    prop_assert!(is_field(key, value), "{}: {} is {}", name, key, value);
                }
                for key in ["@timestamp", "doc.kind", "xray.raw.sha256", "event.outcome"] {
                    prop_assert!(document.body.contains_key(key), "{}: no {}", name, key);
                }
                prop_assert!(document.version < 1 << 63);
                prop_assert!(!document.id.is_empty() && document.id.len() <= 512);
            }
            prop_assert!(is_list || counts_agree(&outcome), "{}: {:?}", name, outcome);
        }
    }

    #[test]
    fn fast_and_slow_agree(payload in generated::message()) {
        differential::agree("generated", &message(payload.as_bytes()));
    }
}

/// A flat field: nothing empty, no objects but the stored ones, `false` only where it says something.
fn is_field(key: &str, value: &Value) -> bool {
    const FALSE: [&str; 5] = [
        "xray.collector.account.verified",
        "trace.root.found",
        "faas.coldstart",
        "execution.input_included",
        "execution.output_included",
    ];
    match value {
        Value::Null => false,
        Value::Bool(value) => *value || FALSE.contains(&key),
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) if OBJECTS.contains(&key) => !items.is_empty(),
        Value::Array(items) => {
            !items.is_empty() && items.iter().all(|item| item.as_str().is_some_and(|text| !text.is_empty()))
        }
        Value::Object(members) => OBJECTS.contains(&key) && !members.is_empty(),
    }
}

/// Traces count the nodes that have documents, each once.
fn counts_agree(outcome: &Outcome) -> bool {
    let of_kind = |kind| outcome.documents.iter().filter(move |document| document.kind.name() == kind);
    let sum = |count| of_kind("trace").filter_map(|trace| trace.body[count].as_u64()).sum::<u64>();
    let is_lone = of_kind("trace").next().is_none();
    is_lone
        || sum("segments.count") == of_kind("segment").count() as u64
            && sum("subsegments.count") == of_kind("subsegment").count() as u64
}
