//! What a trace shows of itself: whether anything in it is in progress, which executions it holds, whether it has changed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::arn::ExecutionArn;

/// What is decided by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The ARNs of its Step Functions executions, EXPRESS ones too.
    pub executions: BTreeSet<String>,
    /// Whether a segment has no end. A subsegment without end in a segment that has one is incomplete: nothing will end it.
    pub is_in_progress: bool,
    /// Whether a segment names a parent that is not there.
    pub has_gap: bool,
    /// X-Ray takes nothing more for it.
    pub limit_exceeded: bool,
    /// In nanoseconds since 1970-01-01T00:00:00Z; 0: nothing has ended.
    pub latest_end: u64,
    /// Of every node's id and times. The order of segments and of what is in them does not matter, nor does the spelling.
    pub digest: u64,
}

/// A segment's parent that was not seen yet, and what depends on it.
struct Link {
    parent: u64,
    /// A subsegment that was sent alone and is in progress: what holds it may have ended.
    open: bool,
}

impl Facts {
    /// Reads one of what `BatchGetTraces` returned. What of it cannot be read is somebody else's to reject: it counts only
    /// for the digest.
    pub fn read(json: &str) -> Facts {
        let trace: Value = serde_json::from_str(json).unwrap_or_default();
        let mut facts = Facts { limit_exceeded: trace["LimitExceeded"] == true, ..Facts::default() };
        let (mut nodes, mut ended, mut links) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for member in trace["Segments"].as_array().into_iter().flatten() {
            let parsed: Value;
            let (document, length) = match &member["Document"] {
                Value::String(text) => {
                    parsed = serde_json::from_str(text).unwrap_or_default();
                    (&parsed, text.len())
                }
                Value::Null => (member, member.to_string().len()),
                document => (document, document.to_string().len()),
            };
            facts.segment(document, length, &mut nodes, &mut ended, &mut links);
        }
        for link in links {
            facts.has_gap |= !nodes.contains(&link.parent);
            facts.is_in_progress |= link.open && !ended.contains(&link.parent);
        }
        facts.digest = facts.digest.wrapping_add(hash(&[b"limit", &[u8::from(facts.limit_exceeded)]]));
        facts
    }

    fn segment(
        &mut self,
        document: &Value,
        length: usize,
        nodes: &mut BTreeSet<u64>,
        ended: &mut BTreeSet<u64>,
        links: &mut Vec<Link>,
    ) {
        let is_open = is_open(document);
        let parent = document["parent_id"].as_str().map(|parent| hash(&[parent.as_bytes()]));
        match parent {
            // A subsegment of its own.
            Some(parent) if document["type"] == "subsegment" => links.push(Link { parent, open: is_open }),
            Some(parent) => {
                links.push(Link { parent, open: false });
                self.is_in_progress |= is_open;
            }
            None => self.is_in_progress |= is_open,
        }
        let origin = document["origin"].as_str().unwrap_or_default();
        let steps = ["AWS::StepFunctions::StateMachine", "AWS::StepFunctions", "AWS::STEPFUNCTIONS"];
        if steps.iter().any(|known| origin.eq_ignore_ascii_case(known)) {
            let arns = ["resource_arn", "execution_arn"].map(|member| document["aws"][member].as_str());
            let arn = arns.into_iter().flatten().find(|arn| ExecutionArn::parse(arn).is_some());
            self.executions.extend(arn.map(str::to_owned));
        }
        self.digest = self.digest.wrapping_add(hash(&[b"length", &length.to_le_bytes()]));
        let mut open = vec![(document, !is_open)];
        while let Some((node, has_ended)) = open.pop() {
            let id = node["id"].as_str().unwrap_or_default().as_bytes();
            nodes.insert(hash(&[id]));
            if has_ended {
                ended.insert(hash(&[id]));
            }
            let [start, end] = ["start_time", "end_time"].map(|member| node[member].as_f64().unwrap_or_default());
            let state = [u8::from(node["in_progress"] == true)];
            let name = node["name"].as_str().unwrap_or_default().as_bytes();
            self.digest = self.digest.wrapping_add(hash(&[id, name, &start.to_le_bytes(), &end.to_le_bytes(), &state]));
            self.latest_end = self.latest_end.max((end.clamp(0.0, 1e11) * 1e6) as u64 * 1000);
            let below = node["subsegments"].as_array().into_iter().flatten();
            open.extend(below.map(|node| (node, has_ended)));
        }
    }
}

/// Whether more is to come of a segment. `in_progress: false` occurs beside an end, and segments without either too.
fn is_open(document: &Value) -> bool {
    document["end_time"].is_null() && document.is_object()
}

/// A hash that is the same on every host and in every release: FNV-1a with a last step that spreads short texts, since the
/// hashes are added up. Nothing but a needless message follows from a collision or from a change of it.
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.len().to_le_bytes().iter().chain(*part) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(segments: &[Value]) -> Facts {
        let members: Vec<Value> =
            segments.iter().map(|document| json!({ "Id": document["id"], "Document": document.to_string() })).collect();
        Facts::read(&json!({ "Id": "1", "LimitExceeded": false, "Segments": members }).to_string())
    }

    #[test]
    fn what_is_in_progress() {
        let root = json!({ "id": "a", "start_time": 1.0, "end_time": 3.0 });
        for (segments, in_progress, gap) in [
            (vec![root.clone()], false, false),
            (vec![json!({ "id": "a", "start_time": 1.0, "in_progress": true })], true, false),
            (vec![json!({ "id": "a", "start_time": 1.0 })], true, false),
            (vec![json!({ "id": "a", "start_time": 1.0, "end_time": 2, "in_progress": false })], false, false),
            // Clipped at 64 KB: nothing will end the leaf.
            (
                vec![json!({ "id": "a", "start_time": 1, "end_time": 2, "subsegments": [
                    { "id": "b", "start_time": 1, "subsegments": [{ "id": "c", "start_time": 1, "in_progress": true }] }
                ] })],
                false,
                false,
            ),
            (vec![root.clone(), json!({ "id": "b", "parent_id": "x", "start_time": 1, "end_time": 2 })], false, true),
            (vec![root.clone(), json!({ "id": "b", "parent_id": "a", "start_time": 1 })], true, false),
            // A subsegment sent alone, in a segment that has ended, and in one that has not.
            (
                vec![root.clone(), json!({ "id": "b", "parent_id": "a", "type": "subsegment", "start_time": 1 })],
                false,
                false,
            ),
            (vec![json!({ "id": "b", "parent_id": "a", "type": "subsegment", "start_time": 1 })], true, true),
            (vec![], false, false),
        ] {
            let facts = facts(&segments);
            assert_eq!((facts.is_in_progress, facts.has_gap), (in_progress, gap), "{segments:?}");
        }
    }

    #[test]
    fn order_and_spelling_do_not_matter_and_everything_else_does() {
        let a = json!({ "id": "a", "name": "n", "start_time": 1.25, "end_time": 3, "subsegments": [
            { "id": "c", "start_time": 1 }, { "id": "d", "start_time": 2 }
        ] });
        let b = json!({ "id": "b", "start_time": 1, "end_time": 4 });
        let digest = facts(&[a.clone(), b.clone()]).digest;
        assert_eq!(facts(&[b.clone(), a.clone()]).digest, digest);
        let mut turned = a.clone();
        turned["subsegments"].as_array_mut().unwrap().reverse();
        assert_eq!(facts(&[turned, b.clone()]).digest, digest);
        for (pointer, value) in [
            ("/id", json!("e")),
            ("/name", json!("m")),
            ("/end_time", json!(3.5)),
            ("/subsegments/0/in_progress", json!(true)),
            ("/subsegments/0/metadata", json!({ "more": 1 })),
        ] {
            let mut changed = a.clone();
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            changed.pointer_mut(parent).unwrap()[member] = value;
            assert_ne!(facts(&[changed, b.clone()]).digest, digest, "{pointer}");
        }
        assert_ne!(facts(&[a.clone()]).digest, digest);
        assert_ne!(facts(&[a, b.clone(), b]).digest, digest);
    }

    #[test]
    fn executions() {
        let arn = "arn:aws:states:eu-west-1:210987654321:execution:Order:order-1";
        let express = "arn:aws:states:eu-west-1:210987654321:express:Order:order-1:uuid";
        let found = facts(&[
            json!({ "id": "a", "origin": "AWS::StepFunctions::StateMachine", "aws": { "resource_arn": arn } }),
            json!({ "id": "b", "origin": "aws::stepfunctions::statemachine", "aws": { "resource_arn": express } }),
            json!({ "id": "c", "origin": "AWS::Lambda", "aws": { "resource_arn": format!("{arn}x") } }),
            json!({ "id": "d", "origin": "AWS::StepFunctions::StateMachine", "resource_arn": arn, "aws": null }),
        ]);
        assert_eq!(found.executions, [arn.to_owned(), express.to_owned()].into());
    }

    #[test]
    fn what_cannot_be_read_is_no_trace_of_anything() {
        for text in ["", "[]", r#"{"Segments":[1,{"Document":"{"},{"Document":7},null]}"#, r#"{"Segments":{}}"#] {
            let facts = Facts::read(text);
            assert!(!facts.is_in_progress && !facts.has_gap && facts.executions.is_empty(), "{text}");
        }
    }
}
