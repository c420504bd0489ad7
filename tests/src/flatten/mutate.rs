//! Messages with something wrong in them, made of good ones: the same ones in every run.

use serde_json::{Value, json};

/// Numbers that look random and are the same in every run (xorshift).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// The message with a few of its values changed, moved or removed; now and then cut off.
pub fn mutate(payload: &[u8], chance: &mut Chance) -> Vec<u8> {
    if chance.below(12) == 0 {
        return payload[..chance.below(payload.len() + 1)].to_vec();
    }
    let Ok(mut message) = serde_json::from_slice::<Value>(payload) else {
        return payload.to_vec();
    };
    open_documents(&mut message);
    for _ in 0..1 + chance.below(6) {
        let target = chance.below(count(&message));
        change(&mut message, &mut { target }, chance);
    }
    if chance.below(2) == 0 {
        close_documents(&mut message);
    }
    message.to_string().into_bytes()
}

/// Walks to the value of that number and changes it.
fn change(value: &mut Value, target: &mut usize, chance: &mut Chance) -> bool {
    if *target == 0 {
        *value = changed(value, chance);
        return true;
    }
    *target -= 1;
    match value {
        Value::Array(items) => {
            let hit = items.iter_mut().any(|item| change(item, target, chance));
            let Some(again) = items.get(chance.below(items.len().max(1))).cloned() else { return hit };
            // One segment in two traces is not what this is about.
            if hit && chance.below(8) == 0 && again.get("Segments").is_none() {
                items.push(again);
            }
            hit
        }
        Value::Object(members) => {
            let hit = members.values_mut().any(|member| change(member, target, chance));
            if hit && chance.below(8) == 0 {
                members.insert(String::new(), json!("under an empty key"));
            }
            hit
        }
        _ => false,
    }
}

fn changed(value: &Value, chance: &mut Chance) -> Value {
    let other = [
        json!(null),
        json!(""),
        json!({}),
        json!([]),
        json!([null, "x", 1, {"": 1}]),
        json!(true),
        json!("false"),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!(18_446_744_073_709_551_615u64),
        json!("1700000000.25"),
        json!("grüße \u{1F680} \u{0000} \"'\\"),
        json!("x".repeat(600)),
    ];
    match value {
        Value::Number(number) if chance.below(2) == 0 => json!(number.to_string()),
        Value::String(text) if chance.below(3) == 0 => {
            text.parse::<f64>().map_or_else(|_| json!({"text": text}), |n| json!(n))
        }
        _ => other[chance.below(other.len())].clone(),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// `Document` as objects, so that what is in them can be changed.
fn open_documents(value: &mut Value) {
    each_document(value, &|document| {
        if let Some(Ok(opened)) = document.as_str().map(serde_json::from_str) {
            *document = opened;
        }
    });
}

fn close_documents(value: &mut Value) {
    each_document(value, &|document| {
        if document.is_object() {
            *document = document.to_string().into();
        }
    });
}

fn each_document(value: &mut Value, act: &dyn Fn(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_document(item, act)),
        Value::Object(members) => {
            members.get_mut("Document").into_iter().for_each(act);
            members.values_mut().for_each(|member| each_document(member, act));
        }
        _ => {}
    }
}
