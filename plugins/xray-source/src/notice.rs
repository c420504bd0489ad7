//! What a message on the event queue says: pending work, a status event, or anything that names executions or traces.

use rayline_message::transport;
use rayline_sdk::xray::Place;
use serde_json::Value;

use crate::arn::{ExecutionArn, TraceMention};
use crate::options::Payloads;
use crate::pending::Pending;
use crate::told::Told;

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Pending(Box<Pending>),
    Notice(Notice),
    /// Why it is not understood.
    Unreadable(&'static str),
}

/// What is to be collected.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Executions, each with what a status event said of it. STANDARD ones, unless nothing else is named.
    pub executions: Vec<(String, Option<Told>)>,
    /// Traces that are not known to be those executions'.
    pub traces: Vec<TraceMention>,
    /// Where the traces are, if the message says.
    pub place: Option<Place>,
    /// It names more than [`MOST`].
    is_too_much: bool,
}

/// How many executions and traces a message may name.
const MOST: usize = 1000;

/// How often a text may hold JSON that holds a text that holds JSON: SQS holds SNS holds EventBridge holds a detail.
const LAYERS: usize = 5;

impl Message {
    /// Reads a message's body. `trace_header` stands beside it: it counts where the body names nothing.
    pub fn read(body: &[u8], trace_header: Option<&str>, payloads: Payloads) -> Message {
        let body = transport::unpack(body);
        let Ok(text) = str::from_utf8(&body) else { return Message::Unreadable("the message is not text") };
        let text = text.trim();
        let mut notice = Notice::default();
        match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                if value["schema"].as_str().is_some_and(|schema| schema.starts_with("rayline.pending/")) {
                    return match serde_json::from_value(value) {
                        Ok(pending) => Message::Pending(Box::new(pending)),
                        Err(_) => Message::Unreadable("the message is pending work of another version"),
                    };
                }
                notice.walk(&value, LAYERS, payloads);
            }
            Err(_) => notice.text(text, 0, payloads),
        }
        if notice.is_empty()
            && let Some(mention) = trace_header.and_then(TraceMention::parse)
        {
            notice.traces.push(mention);
        }
        // The execution's place is its trace's too.
        let named = notice.executions.first().and_then(|(arn, _)| Some(ExecutionArn::parse(arn)?.place()));
        notice.place = notice.place.or(named);
        let is_express = |arn: &str| ExecutionArn::parse(arn).is_some_and(|arn| arn.is_express);
        let has_express = notice.executions.iter().any(|(arn, _)| is_express(arn));
        notice.executions.retain(|(arn, _)| !is_express(arn));
        if notice.is_too_much {
            return Message::Unreadable("the message names more than 1,000 executions or traces: send it in parts");
        }
        match (notice.is_empty(), has_express) {
            (false, _) => Message::Notice(notice),
            (true, true) => Message::Unreadable(
                "the message names an execution of an EXPRESS state machine and no trace: these cannot be described, send a \
                 trace header with it or let the sweep find them (`sweep.express`)",
            ),
            (true, false) => Message::Unreadable("the message names neither an execution nor a trace"),
        }
    }
}

impl Notice {
    fn is_empty(&self) -> bool {
        self.executions.is_empty() && self.traces.is_empty()
    }

    fn walk(&mut self, value: &Value, layers: usize, payloads: Payloads) {
        match value {
            Value::String(text) => self.text(text, layers, payloads),
            Value::Array(list) => list.iter().for_each(|value| self.walk(value, layers, payloads)),
            Value::Object(object) => {
                let arn = object.get("executionArn").and_then(Value::as_str);
                if let Some(arn) = arn.filter(|arn| ExecutionArn::parse(arn).is_some())
                    && let Some(told) = Told::read(value.to_string(), 0, payloads)
                {
                    // Input and output may name others, which are none of its business.
                    self.execution(arn, Some(told));
                    return;
                }
                if self.place.is_none() {
                    let text = |names: &[&str]| {
                        names.iter().find_map(|name| object.get(*name)?.as_str().filter(|text| !text.is_empty()))
                    };
                    let account = text(&["account", "account_id", "accountId"]);
                    self.place = account
                        .zip(text(&["region", "awsRegion"]))
                        .map(|(account, region)| Place { account: account.to_owned(), region: region.to_owned() });
                }
                // Detail first: what stands around a status event only repeats its ARN.
                let detail = object.get("detail");
                detail.into_iter().for_each(|value| self.walk(value, layers, payloads));
                let others = object.iter().filter(|(name, _)| *name != "detail");
                others.for_each(|(_, value)| self.walk(value, layers, payloads));
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, layers: usize, payloads: Payloads) {
        let text = text.trim();
        if ExecutionArn::parse(text).is_some() {
            self.execution(text, None);
        } else if let Some(mention) = TraceMention::parse(text) {
            if self.traces.len() >= MOST {
                self.is_too_much = true;
            } else if !self.traces.contains(&mention) {
                self.traces.push(mention);
            }
        } else if layers > 0
            && text.starts_with(['{', '['])
            && let Ok(value) = serde_json::from_str::<Value>(text)
        {
            self.walk(&value, layers - 1, payloads);
        }
    }

    fn execution(&mut self, arn: &str, told: Option<Told>) {
        if self.executions.len() >= MOST {
            self.is_too_much = true;
            return;
        }
        match self.executions.iter_mut().find(|(known, _)| known == arn) {
            Some((_, known)) => *known = known.take().or(told),
            None => self.executions.push((arn.to_owned(), told)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:states:eu-west-1:210987654321:execution:Order:order-1";
    const EXPRESS: &str = "arn:aws:states:eu-west-1:210987654321:express:Order:order-1:uuid";
    const TRACE: &str = "1-65f0c0de-5a1b2c3d4e5f60718293a4b5";

    /// Executions (`!` where an event told of it), traces (`-` where unsampled), place.
    fn read(body: &str, header: Option<&str>) -> Result<String, &'static str> {
        match Message::read(body.as_bytes(), header, Payloads::Full) {
            Message::Notice(notice) => {
                let told = |told: &Option<Told>| if told.is_some() { "!" } else { "" };
                let executions = notice.executions.iter().map(|(arn, event)| format!("{}{arn}", told(event)));
                let sampled = |mention: &TraceMention| if mention.is_sampled { "" } else { "-" };
                let traces = notice.traces.iter().map(|mention| format!("{}{}", sampled(mention), mention.id));
                let place = notice.place.map(|place| format!("{}/{}", place.account, place.region));
                Ok(executions.chain(traces).chain(place).collect::<Vec<_>>().join(" "))
            }
            Message::Unreadable(reason) => Err(reason),
            Message::Pending(_) => Ok("pending".into()),
        }
    }

    #[test]
    fn every_form() {
        let detail = json!({ "executionArn": ARN, "status": "FAILED", "startDate": 1, "stopDate": 2,
            "input": format!("{{\"parent\":\"{ARN}x\"}}") });
        let event = json!({ "source": "aws.states", "account": "210987654321", "region": "eu-west-1",
            "resources": [ARN], "detail": detail });
        let sns = json!({ "Type": "Notification", "Message": event.to_string() });
        let at = "210987654321/eu-west-1";
        let header = format!("Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=1");
        for (body, expected) in [
            (event.to_string(), format!("!{ARN} {at}")),
            (detail.to_string(), format!("!{ARN} {at}")),
            (sns.to_string(), format!("!{ARN} {at}")),
            (json!([sns]).to_string(), format!("!{ARN} {at}")),
            (json!({ "a": [{ "b": ARN }, format!("{ARN}2"), ARN] }).to_string(), format!("{ARN} {ARN}2 {at}")),
            (ARN.to_owned(), format!("{ARN} {at}")),
            (json!(ARN).to_string(), format!("{ARN} {at}")),
            (TRACE.to_owned(), TRACE.to_owned()),
            (format!("{header}\n"), TRACE.to_owned()),
            (format!("Root={TRACE};Sampled=0"), format!("-{TRACE}")),
            (
                json!({ "account": "1", "region": "r", "detail": { "trace": header } }).to_string(),
                format!("{TRACE} 1/r"),
            ),
            (json!({ "x": ARN, "trace": header }).to_string(), format!("{ARN} {TRACE} {at}")),
            (json!({ "x": EXPRESS, "trace": header }).to_string(), format!("{TRACE} {at}")),
            (Pending::default().to_json(), "pending".to_owned()),
        ] {
            assert_eq!(read(&body, None).as_deref(), Ok(expected.as_str()), "{body}");
            let packed =
                transport::pack(format!("{body}{}", " ".repeat(transport::PLAIN_BYTES)).as_bytes()).into_owned();
            assert_eq!(read(str::from_utf8(&packed).unwrap(), None).as_deref(), Ok(expected.as_str()), "packed {body}");
        }
        assert_eq!(read("{}", Some(&header)).as_deref(), Ok(TRACE));
        assert_eq!(read(ARN, Some(&header)), Ok(format!("{ARN} {at}")), "the body comes first");
    }

    #[test]
    fn what_is_not_understood() {
        for (body, part) in [
            ("", "neither"),
            ("junk", "neither"),
            ("{\"a\":1}", "neither"),
            (EXPRESS, "EXPRESS"),
            (r#"{"schema":"rayline.pending/2"}"#, "another version"),
            (r#"{"schema":"rayline.pending/1"}"#, "another version"),
        ] {
            let reason = read(body, None).unwrap_err();
            assert!(reason.contains(part), "{body}: {reason}");
        }
        assert_eq!(Message::read(b"\xff", None, Payloads::Full), Message::Unreadable("the message is not text"));
    }
}
