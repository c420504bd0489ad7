//! Names of executions and traces.

use rayline_sdk::xray::Place;

/// The ARN of a Step Functions execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutionArn<'a> {
    pub region: &'a str,
    pub account: &'a str,
    /// EXPRESS executions cannot be described.
    pub is_express: bool,
}

impl<'a> ExecutionArn<'a> {
    /// Reads `arn:…:states:REGION:ACCOUNT:execution:SM:NAME` or `…:express:SM:NAME:UUID`; `None` if the text is neither.
    pub fn parse(text: &'a str) -> Option<ExecutionArn<'a>> {
        // Step Functions' own limit is 256 characters. Anybody in the organisation can send a message.
        if text.len() > 1024 || text.contains(char::is_whitespace) {
            return None;
        }
        let mut parts = text.strip_prefix("arn:")?.split(':');
        let (_partition, service, region, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_express = match parts.next()? {
            "execution" => false,
            "express" => true,
            _ => return None,
        };
        let (machine, name) = (parts.next()?, parts.next()?);
        let is_whole = service == "states" && [region, account, machine, name].iter().all(|part| !part.is_empty());
        is_whole.then_some(ExecutionArn { region, account, is_express })
    }

    /// Where it runs.
    pub fn place(&self) -> Place {
        Place { account: self.account.to_owned(), region: self.region.to_owned() }
    }
}

/// A trace that a message or an execution names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceMention {
    pub id: String,
    /// Whether its header says that it is not sampled.
    pub is_sampled: bool,
}

impl TraceMention {
    /// Reads a trace header (`Root=1-…;Parent=…;Sampled=1`) or a trace id alone.
    pub fn parse(text: &str) -> Option<TraceMention> {
        let text = text.trim();
        if is_trace_id(text) {
            return Some(TraceMention { id: text.to_ascii_lowercase(), is_sampled: true });
        }
        let mut parts = text.split(';').map(str::trim);
        let root = parts.clone().find_map(|part| part.strip_prefix("Root=")).filter(|id| is_trace_id(id))?;
        let is_sampled = !parts.any(|part| part == "Sampled=0");
        Some(TraceMention { id: root.to_ascii_lowercase(), is_sampled })
    }
}

/// `1-8hex-24hex`.
fn is_trace_id(text: &str) -> bool {
    let Some((seconds, random)) = text.strip_prefix("1-").and_then(|rest| rest.split_once('-')) else { return false };
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex(seconds, 8) && is_hex(random, 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions() {
        for (text, expected) in [
            (
                "arn:aws:states:eu-west-1:210987654321:execution:Order:order-1",
                Some(("210987654321", "eu-west-1", false)),
            ),
            (
                "arn:aws-cn:states:cn-north-1:210987654321:express:SM:N:uu-id",
                Some(("210987654321", "cn-north-1", true)),
            ),
            ("arn:aws:states:eu-west-1:210987654321:stateMachine:Order", None),
            ("arn:aws:sqs:eu-west-1:210987654321:execution:Order:order-1", None),
            ("arn:aws:states:eu-west-1::execution:Order:order-1", None),
            ("arn:aws:states:eu-west-1:210987654321:execution:Order", None),
            ("arn:aws:states:eu-west-1:210987654321:execution:Order:order 1", None),
            ("chicken", None),
        ] {
            let read = ExecutionArn::parse(text).map(|arn| (arn.account, arn.region, arn.is_express));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn traces() {
        let id = "1-65f0c0de-5a1b2c3d4e5f60718293a4b5";
        for (text, expected) in [
            (id.to_owned(), Some(true)),
            (format!(" Root={id};Parent=53995c3f42cd8ad8;Sampled=1"), Some(true)),
            (format!("Self=1-67891234-12456789abcdef012345678;Root={id}"), Some(true)),
            (format!("Root={id};Sampled=0"), Some(false)),
            (id.to_ascii_uppercase(), Some(true)),
            ("Root=1-65f0c0de;Sampled=1".to_owned(), None),
            ("1-65f0c0de-5a1b2c3d4e5f60718293a4bz".to_owned(), None),
        ] {
            let read = TraceMention::parse(&text);
            assert_eq!(read.as_ref().map(|mention| mention.is_sampled), expected, "{text}");
            assert!(read.is_none_or(|mention| mention.id == id), "{text}");
        }
    }
}
