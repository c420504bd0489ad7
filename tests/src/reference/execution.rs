//! The documents of executions, section 5.

use super::body::Body;
use super::common::{self, Arn, Common, Source};
use super::described::{self, Described};
use super::id::{self, Draft};
use super::input::{Message, Trace};
use super::json::{Reader, Warnings};
use super::node::Node;
use super::part::{self, Part};
use super::time::Micros;
use super::{Document, Kind, Payloads, Rejection, names};

const PAYLOAD_BYTES: usize = 262_144;

/// How many traces are named that an execution is not found in.
const TRACES: usize = 200;

/// One execution of a message.
struct Execution<'a> {
    what: What<'a>,
    message: &'a Message,
    /// Index of the own segment.
    own: Option<usize>,
}

enum What<'a> {
    /// (a) and (b): a Step Functions execution, perhaps described.
    Arn { arn: String, described: Option<&'a Described> },
    /// (c): a segment that nobody called, in a trace without Step Functions.
    Segment,
}

/// The documents, and a rejection for each execution without a time.
pub fn documents(source: &Source) -> (Vec<Draft>, Vec<Rejection>) {
    let executions = executions(source);
    let (mut drafts, mut rejections) = (Vec::new(), Vec::new());
    for execution in &executions {
        match execution.document(source, &executions) {
            Some(draft) => drafts.push(draft),
            None => rejections.push(Rejection::new("no time", None)),
        }
    }
    (drafts, rejections)
}

fn executions<'a>(source: &Source<'a>) -> Vec<Execution<'a>> {
    let message = source.message;
    let mut executions: Vec<Execution> = Vec::new();
    for described in best(&message.executions) {
        let arn = described.arn.clone();
        let own = own_segment(message, &arn);
        executions.push(Execution { what: What::Arn { arn, described: Some(described) }, message, own });
    }
    for arn in message.documented().filter_map(|(_, node)| part::execution_arn(node)) {
        let known = executions.iter().any(|execution| execution.arn() == Some(&arn));
        if !known {
            let own = own_segment(message, &arn);
            executions.push(Execution { what: What::Arn { arn, described: None }, message, own });
        }
    }
    if message.executions.is_empty() && is_whole(source) {
        let is_own = |node: &Node| node.is_root() && !has_step_functions(message, node.trace);
        let roots = message.documented().filter(|(_, node)| is_own(node));
        executions.extend(roots.map(|(own, _)| Execution { what: What::Segment, message, own: Some(own) }));
    }
    executions
}

/// Of several for one ARN the one that ranks highest, of equals the first.
fn best(all: &[Described]) -> Vec<&Described> {
    let mut best: Vec<&Described> = Vec::new();
    for described in all {
        match best.iter_mut().find(|other| other.arn == described.arn) {
            Some(other) if described.rank() > other.rank() => *other = described,
            Some(_) => {}
            None => best.push(described),
        }
    }
    best
}

/// Whether nothing more is expected of the trace.
fn is_whole(source: &Source) -> bool {
    source.message.envelope.is_none() || matches!(source.message.verdict(), Some("settled" | "limit_exceeded"))
}

/// A Step Functions segment, or a call that starts an execution: its segment may come later.
fn has_step_functions(message: &Message, trace: usize) -> bool {
    let starts = |node: &Node| {
        let operation = node.aws("operation").unwrap_or_default();
        // API Gateway names the action in the URL alone.
        let url = node.reader().object("http").object("request").text("url").unwrap_or_default();
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let action = query.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default();
        [operation.as_str(), action].iter().any(|name| matches!(*name, "StartExecution" | "StartSyncExecution"))
    };
    message.documented_of(trace).any(|node| part::is_step_functions(node) || starts(node))
}

/// The segment with the ARN, of several the one that started last.
fn own_segment(message: &Message, arn: &str) -> Option<usize> {
    let mut own: Option<usize> = None;
    for (index, node) in message.documented() {
        if node.is_segment() && node.aws("resource_arn").as_deref() == Some(arn) {
            let later = own.is_none_or(|own| node.start > message.nodes[own].start);
            own = if later { Some(index) } else { own };
        }
    }
    own
}

impl<'a> Execution<'a> {
    fn arn(&self) -> Option<&String> {
        match &self.what {
            What::Arn { arn, .. } => Some(arn),
            What::Segment => None,
        }
    }

    fn described(&self) -> Option<&'a Described> {
        match &self.what {
            What::Arn { described, .. } => *described,
            What::Segment => None,
        }
    }

    fn own_node(&self) -> Option<&'a Node> {
        Some(&self.message.nodes[self.own?])
    }

    fn part(&self, all: &[Execution]) -> Option<Part> {
        let is_other = |node: &Node| {
            let arn = node.aws("resource_arn").filter(|_| node.is_segment());
            arn.is_some() && arn.as_ref() != self.arn() && all.iter().any(|other| other.arn() == arn.as_ref())
        };
        Some(part::of_segment(self.message, self.own?, is_other))
    }

    /// Absent if there is no time for it.
    fn document(&self, source: &Source<'a>, all: &[Execution]) -> Option<Draft> {
        let warnings = Warnings::default();
        let described = self.described().map(|described| described.reader(&warnings));
        let own = self.own_node();
        let date = |key| described.as_ref().and_then(|reader| described::date(reader, key));
        let start = date("startDate").or(own.and_then(|own| own.start));
        let stop = date("stopDate").or(own.and_then(|own| own.end));
        let discovered_at = source.message.envelope.as_ref().and_then(|envelope| envelope.discovered_at);
        let timestamp =
            start.or(discovered_at).or(stop).or(source.message.collected_at()).or(own.map(|own| own.timestamp))?;
        let status = self.status();
        described.iter().for_each(|reader| drop(reader.text("status")));
        let arn = self.arn().and_then(|arn| Arn::parse(arn));

        let mut body = Body::default();
        let (account, region) = self.place(arn.as_ref(), source);
        let outcome = outcome(status.as_deref());
        let common = Common {
            kind: Kind::Execution,
            timestamp,
            start,
            end: stop,
            duration_micros: None,
            outcome,
            account,
            region,
        };
        source.common(&mut body, &warnings, common);
        body.put("execution.arn", self.arn());
        body.put("execution.start", start);
        body.put("execution.stop", stop);
        body.put("execution.date", start.map(Micros::date));
        body.put("execution.status", &status);
        body.put("execution.status_source", status.as_ref().map(|_| self.status_source()));
        self.trace_ids(source, &mut body, &warnings);
        match &self.what {
            What::Arn { .. } => names::of_execution(&mut body, arn.as_ref(), described.as_ref()),
            What::Segment => names::of_segment(&mut body, own?),
        }
        if let Some(described) = &described {
            payloads(&mut body, described, source.input.payloads);
            body.put("execution.error", described.text("error"));
            body.put("execution.cause", described.text("cause"));
            body.put("execution.redrive_count", described::redrive_count(described));
        }
        self.put_part(&mut body, all);
        body.flag("xray.limit_exceeded", self.traces(source).any(|trace| trace.limit_exceeded));
        body.flag("xray.partial", source.message.verdict() == Some("partial"));
        body.put("xray.parse.warnings", warnings.list());

        Some(Draft {
            document: Document {
                kind: Kind::Execution,
                id: self.id(source),
                time_ns: timestamp.nanos(),
                version: self.version(source, status.as_deref(), stop.or(start)),
                body: body.finish(),
            },
            start,
            end: stop,
            name: own.and_then(|own| own.name.clone()),
        })
    }

    /// The ARN; (c): that of the segment and `:execution`.
    fn id(&self, source: &Source) -> String {
        let of_segment = || Some(format!("{}:execution", id::of_node(source, self.own_node()?)));
        self.arn().cloned().or_else(of_segment).unwrap_or_default()
    }

    fn version(&self, source: &Source, status: Option<&str>, last: Option<Micros>) -> u64 {
        // The sign bit must stay clear: 17 bits.
        let redrives = self.described().and_then(Described::redrive_count).unwrap_or(0).min((1 << 17) - 1);
        let described = self.described().is_some_and(|described| described.status().is_some());
        let terminal = status.is_some_and(described::is_terminal);
        (redrives as u64) << 46
            | u64::from(described) << 45
            | u64::from(terminal) << 44
            | u64::from(self.own.is_some()) << 43
            | id::version_time(source.message, self.own_node().map(|own| own.trace), last)
    }

    /// As described; else as the own segment shows.
    fn status(&self) -> Option<String> {
        let of_segment = |own: &Node| {
            if own.end.is_none() {
                "RUNNING"
            } else if own.flag("fault") || own.flag("error") {
                "FAILED"
            } else {
                "SUCCEEDED"
            }
        };
        let described = self.described().and_then(Described::status);
        described.or_else(|| self.own_node().map(|own| of_segment(own).to_owned()))
    }

    fn status_source(&self) -> &'static str {
        match self.described().filter(|described| described.status().is_some()) {
            Some(described) if described.is_event => "event",
            Some(_) => "describe",
            None => "xray",
        }
    }

    /// Account and region: the ARN's; (c): the segment's.
    fn place(&self, arn: Option<&Arn>, source: &Source) -> (Option<String>, Option<String>) {
        match &self.what {
            What::Arn { .. } => {
                let account = arn.and_then(|arn| arn.account.clone()).or_else(|| source.account());
                (account, arn.and_then(|arn| arn.region.clone()).or_else(|| source.region()))
            }
            What::Segment => {
                let own = self.own_node();
                (common::segment_account(own, source), common::segment_region(own, source))
            }
        }
    }

    /// The own segment's, without one those of the message's traces; and the `Root` of a described traceHeader.
    fn trace_ids(&self, source: &Source, body: &mut Body, warnings: &Warnings) {
        let mut ids: Vec<String> = match self.own_node() {
            Some(own) => own.trace_id.iter().cloned().collect(),
            None => source.message.traces.iter().filter_map(|trace| trace.id.clone()).take(TRACES).collect(),
        };
        ids.extend(self.described().and_then(|described| described.root(warnings)).filter(|root| !ids.contains(root)));
        body.put("trace.w3c_id", ids.first().and_then(|id| id::w3c_id(id)));
        body.put("trace.id", ids);
    }

    /// The trace that it is found in; else those that are sent with its description.
    fn traces(&self, source: &Source<'a>) -> impl Iterator<Item = &'a Trace> {
        let own = self.own_node().map(|own| own.trace);
        let traces = source.message.traces.iter().enumerate();
        traces.filter(move |(index, _)| own.is_none_or(|own| own == *index)).map(|(_, trace)| trace)
    }

    /// What is known only with an own segment.
    fn put_part(&self, body: &mut Body, all: &[Execution]) {
        let message = self.message;
        let (Some(own), Some(part)) = (self.own, self.part(all)) else { return };
        let nodes = message.documented().map(|(_, node)| node).filter(|node| part.contains(&node.outermost));
        let nodes: Vec<&Node> = nodes.collect();
        part::sums(body, &nodes);
        if self.arn().is_none() {
            return;
        }
        let states: Vec<&Node> = part::below(message, own).into_iter().filter(|node| is_state(node)).collect();
        body.put("states.count", states.len());
        let failed = states.iter().filter(|state| state.flag("fault") || state.flag("error"));
        body.put("states.failed", failed.count());
        let caller = part::caller(message, &message.nodes[own]);
        let calls_own = |other: &&Execution| {
            let has_caller = |part: Part| caller.is_some_and(|caller| part.contains(&message.nodes[caller].outermost));
            other.arn() != self.arn() && other.part(all).is_some_and(has_caller)
        };
        body.put("execution.parent_arn", all.iter().find(calls_own).and_then(Execution::arn));
    }
}

/// A state: not a call, not a `Branch N` or `Iteration N`.
fn is_state(node: &Node) -> bool {
    let name = node.name.as_deref().unwrap_or_default();
    let number = name.strip_prefix("Branch ").or_else(|| name.strip_prefix("Iteration "));
    let numbered = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    node.text("namespace").is_none() && !numbered
}

fn outcome(status: Option<&str>) -> &'static str {
    match status {
        Some("SUCCEEDED") => "success",
        Some("FAILED" | "TIMED_OUT" | "ABORTED") => "failure",
        _ => "unknown",
    }
}

fn payloads(body: &mut Body, described: &Reader, payloads: Payloads) {
    for key in ["input", "output"] {
        let payload = described.text(key);
        body.put(&format!("execution.{key}_bytes"), payload.as_ref().map(String::len));
        let limit = match payloads {
            Payloads::Full => usize::MAX,
            Payloads::Truncated => PAYLOAD_BYTES,
            Payloads::None => 0,
        };
        let kept = payload.as_deref().map(|payload| &payload[..payload.floor_char_boundary(limit)]);
        let cut = payloads != Payloads::None && kept.map(str::len) < payload.as_ref().map(String::len);
        body.put(&format!("execution.{key}"), kept);
        body.flag(&format!("execution.{key}_truncated"), cut);
        let included = described.object(&format!("{key}Details")).boolean("included");
        body.put(&format!("execution.{key}_included"), included.filter(|included| !included));
    }
}
