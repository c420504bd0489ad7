//! Filter expressions, as far as collectors send them. Others are refused, so that a test sees them.

use std::collections::BTreeMap;

use serde_json::Value;

/// `service("NAME")`, or `service(id(name: "NAME", type: "TYPE"))` with one of both or both.
#[derive(Debug, PartialEq, Eq)]
pub struct Filter {
    name: Option<String>,
    kind: Option<String>,
}

impl Filter {
    /// `Err` is what cannot be read.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let refused = || format!("Invalid filter expression: {text}");
        let inner = call(text, "service").ok_or_else(refused)?;
        if let Some(name) = quoted(inner) {
            return Ok(Filter { name: Some(name), kind: None });
        }
        let mut filter = Filter { name: None, kind: None };
        let mut rest = call(inner, "id").ok_or_else(refused)?;
        loop {
            let (key, after) = rest.split_once(':').ok_or_else(refused)?;
            let (value, after) = text_at_start(after.trim_start()).ok_or_else(refused)?;
            let place = match key.trim() {
                "name" => &mut filter.name,
                "type" => &mut filter.kind,
                _ => return Err(refused()),
            };
            if place.replace(value).is_some() {
                return Err(refused());
            }
            match after.trim_start().strip_prefix(',') {
                Some(more) => rest = more,
                None if after.trim().is_empty() => return Ok(filter),
                None => return Err(refused()),
            }
        }
    }

    /// Whether a trace of these segments is wanted.
    pub fn wants(&self, documents: &BTreeMap<String, &Value>) -> bool {
        let is = |wanted: &Option<String>, value: &Value| wanted.as_ref().is_none_or(|wanted| value == wanted);
        documents.values().any(|document| is(&self.name, &document["name"]) && is(&self.kind, &document["origin"]))
    }
}

/// What stands between the parentheses of `name(…)`.
fn call<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    Some(text.trim().strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')?.trim())
}

/// The text in quotes that is all there is.
fn quoted(text: &str) -> Option<String> {
    text_at_start(text).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// The text in quotes at the start, and what comes after it.
fn text_at_start(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.strip_prefix('"')?.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 2..])),
            '\\' => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

#[test]
fn filters_of_collectors_are_read_and_others_refused() {
    let filter = |name: Option<&str>, kind: Option<&str>| Filter {
        name: name.map(str::to_owned),
        kind: kind.map(str::to_owned),
    };
    let kind = "AWS::StepFunctions::StateMachine";
    let text = format!(r#"service(id(name: "Pay \"all\"", type: "{kind}"))"#);
    assert_eq!(Filter::parse(&text), Ok(filter(Some("Pay \"all\""), Some(kind))));
    assert_eq!(Filter::parse(r#"service(id(name:"a",type:"b"))"#), Ok(filter(Some("a"), Some("b"))));
    assert_eq!(Filter::parse(r#"service(id(type: "b"))"#), Ok(filter(None, Some("b"))));
    assert_eq!(Filter::parse(r#"service("a")"#), Ok(filter(Some("a"), None)));
    for bad in [
        "",
        "service()",
        "service(id())",
        r#"service(id(name: "a" type: "b"))"#,
        r#"service(id(name: "a)"#,
        "ok = true",
    ] {
        assert!(Filter::parse(bad).is_err(), "{bad}");
    }
}
