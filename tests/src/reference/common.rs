//! The fields of every document, section 3.

use super::body::Body;
use super::id;
use super::input::Message;
use super::json::Warnings;
use super::node::Node;
use super::time::Micros;
use super::{Input, Kind, part};

/// Where a document comes from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub input: &'a Input<'a>,
    pub message: &'a Message,
}

/// What the kinds of documents say each in their own way.
pub struct Common<'a> {
    pub kind: Kind,
    pub timestamp: Micros,
    pub start: Option<Micros>,
    pub end: Option<Micros>,
    /// Where it is known otherwise than from start and end.
    pub duration_micros: Option<i64>,
    pub outcome: &'a str,
    pub account: Option<String>,
    pub region: Option<String>,
}

impl Source<'_> {
    /// The collector's account.
    pub fn account(&self) -> Option<String> {
        self.message.account.clone().or_else(|| self.input.account.map(str::to_owned)).filter(|text| !text.is_empty())
    }

    /// The collector's region.
    pub fn region(&self) -> Option<String> {
        self.message.region.clone().or_else(|| self.input.region.map(str::to_owned)).filter(|text| !text.is_empty())
    }

    pub fn common(&self, body: &mut Body, warnings: &Warnings, common: Common) {
        self.message.warnings.list().into_iter().for_each(|warning| warnings.add(warning));
        body.put("@timestamp", common.timestamp);
        body.put("doc.kind", common.kind.name());
        body.put("cloud.provider", "aws");
        if common.account.as_ref().is_some_and(|account| !is_account(account)) {
            warnings.add("account_not_12_digits");
        }
        body.put("cloud.account.id", common.account);
        body.put("cloud.region", common.region);
        body.put("xray.collector.account.id", self.account());
        body.put("xray.collector.region", self.region());
        let is_senders = self.input.sender_account.is_some_and(|sender| self.account().as_deref() == Some(sender));
        body.put("xray.collector.account.verified", is_senders);
        body.put("xray.collected_at", self.message.collected_at());
        body.put("xray.verdict", self.message.verdict());
        body.put("xray.raw.sha256", id::sha256(self.input.payload));
        body.put("event.start", common.start);
        body.put("event.end", common.end);

        let between = || Some(common.end?.0 - common.start?.0);
        let duration = common.duration_micros.or_else(between).and_then(|micros| {
            if micros < 0 {
                warnings.add("negative_duration");
            }
            // More than 292 years are no `long` of nanoseconds.
            micros.max(0).checked_mul(1000)
        });
        body.put("event.duration", duration);
        body.put("duration_ms", duration.map(|duration| (duration / 1000) as f64 / 1e3));
        body.put("event.outcome", common.outcome);
        let lag = || Some((self.message.collected_at()?.0 - common.end?.0) / 1000);
        body.put("xray.lag_ms", lag());
        body.put("ecs.version", "8.17");
        body.put("xray.schema_version", 1);
    }
}

fn is_account(account: &str) -> bool {
    account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
}

/// The segment that a node is of: its outermost node or, where that is a copy, the one that has the document.
pub fn segment_of<'a>(message: &'a Message, node: &Node) -> Option<&'a Node> {
    Some(&message.nodes[part::standing(message, node.outermost)]).filter(|_| message.nodes[node.outermost].is_segment())
}

/// The account of a segment, else the collector's.
pub fn segment_account(segment: Option<&Node>, source: &Source) -> Option<String> {
    let own = segment.and_then(|segment| {
        let aws = segment.reader().object("aws");
        let in_arn = || arns(segment).into_iter().find_map(|arn| arn.account);
        aws.text("account_id").or_else(in_arn).or_else(|| aws.object("api_gateway").text("account_id"))
    });
    own.or_else(|| source.account())
}

/// The region of a segment, else the collector's.
pub fn segment_region(segment: Option<&Node>, source: &Source) -> Option<String> {
    let own = segment.and_then(|segment| {
        let in_arn = || arns(segment).into_iter().find_map(|arn| arn.region);
        segment.aws("region").or_else(in_arn)
    });
    own.or_else(|| source.region())
}

/// The ARNs that tell a segment's account and region, in order.
fn arns(segment: &Node) -> Vec<Arn> {
    let arns = [segment.aws("resource_arn"), segment.text("resource_arn"), segment.aws("function_arn")];
    arns.iter().flatten().filter_map(|arn| Arn::parse(arn)).collect()
}

/// `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`
pub struct Arn {
    pub partition: String,
    pub service: String,
    pub region: Option<String>,
    pub account: Option<String>,
    /// Its parts between colons.
    pub resource: Vec<String>,
}

impl Arn {
    pub fn parse(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", partition, service, region, account, resource @ ..] = parts.as_slice() else {
            return None;
        };
        let some = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        (!resource.is_empty()).then(|| Arn {
            partition: (*partition).to_owned(),
            service: (*service).to_owned(),
            region: some(region),
            account: some(account),
            resource: resource.iter().map(|part| (*part).to_owned()).collect(),
        })
    }
}
