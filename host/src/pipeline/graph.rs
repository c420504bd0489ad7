//! Who reads whom: every stage is read, every reader has something to read, and nothing goes round in circles.

use std::collections::{BTreeMap, BTreeSet};

use super::Kind;
use super::diagnostic::{Diagnostic, Remedy, Span};
use super::document::{Report, join};
use super::fields::{list, nearest};
use super::stage::{Declared, Input};

/// Reports everything that is wrong between the stages.
pub(super) fn check(stages: &[Declared], report: &mut Report<'_>) {
    let graph = Graph { stages };
    graph.names(report);
    let mut meant = graph.inputs(report);
    meant.extend(graph.without_input(report));
    meant.extend(graph.cycles(report));
    graph.unread(&meant, report);
}

/// Whether the diagnostic only says that the stage at `path` has no place in the graph. It comes of a plugin in the wrong
/// table, once that is known.
pub(super) fn comes_of_wrong_kind(diagnostic: &Diagnostic, path: &str) -> bool {
    (diagnostic.field == path && diagnostic.message == UNREAD)
        || (diagnostic.field == join(path, "inputs") && diagnostic.message.ends_with(NO_INPUT))
}

const UNREAD: &str = "no stage reads this one";
const NO_INPUT: &str = "reads no stage";

struct Graph<'s> {
    stages: &'s [Declared],
}

/// A walk through the graph, for circles.
struct Walk<'s> {
    /// The way here.
    path: Vec<&'s Declared>,
    /// What was walked before.
    done: BTreeSet<&'s str>,
    meant: BTreeSet<&'s str>,
}

impl<'s> Graph<'s> {
    fn named(&self, name: &str) -> Option<&'s Declared> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// The stages that have an output.
    fn readable(&self) -> impl DoubleEndedIterator<Item = &'s Declared> {
        self.stages.iter().filter(|stage| stage.kind != Kind::Sink)
    }

    fn readers(&self, name: &str) -> impl Iterator<Item = &'s Declared> {
        self.stages.iter().filter(move |stage| inputs(stage).iter().any(|input| input.name == name))
    }

    /// A name is used once in all three tables.
    fn names(&self, report: &mut Report<'_>) {
        let mut first: BTreeMap<&str, &Declared> = BTreeMap::new();
        for stage in self.stages {
            let Some(other) = first.get(stage.name.as_str()) else {
                first.insert(&stage.name, stage);
                continue;
            };
            let message = format!("the name `{}` is taken by a {}", stage.name, other.kind.name());
            let diagnostic = Diagnostic::new(stage.path(), stage.name_span.clone(), message);
            let name = format!("{}-{}", stage.name, stage.kind.name());
            report.add(diagnostic.write(stage.name_span.clone(), name));
        }
    }

    /// Each input is the name of another stage that has an output. Returns the names that may have been meant.
    fn inputs(&self, report: &mut Report<'_>) -> BTreeSet<&'s str> {
        let mut meant = BTreeSet::new();
        for stage in self.stages {
            for (index, input) in inputs(stage).iter().enumerate() {
                let field = || join(&stage.path(), &format!("inputs[{index}]"));
                let earlier = index.checked_sub(1).and_then(|before| inputs(stage).get(before));
                if let Some(before) = earlier
                    && inputs(stage).iter().take(index).any(|other| other.name == input.name)
                {
                    let remedy = Remedy { span: before.span.end..input.span.end, text: String::new() };
                    let diagnostic = Diagnostic::new(field(), input.span.clone(), "this input is named twice");
                    report.add(diagnostic.help("remove one of the two").remedy(remedy));
                    continue;
                }
                let candidates = || self.readable().map(|stage| stage.name.as_str()).filter(|name| *name != stage.name);
                match self.named(&input.name) {
                    None => {
                        let message = format!("there is no stage {}", report.quote(&input.span));
                        let diagnostic = Diagnostic::new(field(), input.span.clone(), message);
                        let only = candidates().next().filter(|_| candidates().count() == 1);
                        report.add(match nearest(&input.name, candidates()).or(only) {
                            Some(name) => {
                                meant.insert(name);
                                diagnostic.write(input.span.clone(), format!("\"{name}\""))
                            }
                            None => {
                                meant.extend(candidates());
                                diagnostic.help(format!("name one of these: {}", list(candidates())))
                            }
                        });
                    }
                    Some(read) if read.kind == Kind::Sink => {
                        let message = format!("`{}` is a sink: it has no output", read.name);
                        let diagnostic = Diagnostic::new(field(), input.span.clone(), message);
                        let is_free = |name: &str| {
                            candidates().any(|other| other == name)
                                && !inputs(stage).iter().any(|other| other.name == name)
                        };
                        let instead = inputs(read).iter().find(|input| is_free(&input.name));
                        report.add(match instead {
                            Some(other) => {
                                let help = format!("write `\"{}\"`, which `{}` reads", other.name, read.name);
                                let text = format!("\"{}\"", other.name);
                                diagnostic.help(help).remedy(Remedy { span: input.span.clone(), text })
                            }
                            None => diagnostic.help(format!("name one of these: {}", list(candidates()))),
                        });
                    }
                    Some(_) => {}
                }
            }
        }
        meant
    }

    /// A transform or sink reads something. Returns the names that are proposed to those that do not.
    fn without_input(&self, report: &mut Report<'_>) -> BTreeSet<&'s str> {
        let mut meant = BTreeSet::new();
        let readers = self.stages.iter().filter(|stage| stage.kind != Kind::Source);
        for stage in readers.filter(|stage| stage.inputs.as_ref().is_some_and(Vec::is_empty)) {
            let message = format!("this {} {NO_INPUT}", stage.kind.name());
            let list_span = stage.table.entry("inputs").map(|entry| entry.node.span.clone());
            let span = list_span.clone().unwrap_or(stage.name_span.clone());
            let diagnostic = Diagnostic::new(join(&stage.path(), "inputs"), span, message);
            let suggestion = self.suggestion(stage);
            meant.extend(suggestion);
            report.add(match (suggestion, list_span) {
                (None, _) => diagnostic.help("declare a source, and name it here: `inputs = [\"inbox\"]`"),
                (Some(name), Some(span)) => diagnostic.write(span, format!("[\"{name}\"]")),
                (Some(name), None) => {
                    let value = format!("[\"{name}\"]");
                    diagnostic.add_key(report.text, &stage.table, "plugin", "inputs", &value)
                }
            });
        }
        meant
    }

    /// What a stage without inputs could read: what nobody reads yet, else the last transform, else a source.
    fn suggestion(&self, stage: &Declared) -> Option<&'s str> {
        let others = || self.readable().filter(|other| other.name != stage.name && other.kind < stage.kind);
        let unread = others().rfind(|other| self.readers(&other.name).next().is_none());
        unread.or_else(|| others().next_back()).map(|other| other.name.as_str())
    }

    /// What a source or transform puts out is read. One in `meant` will be, once what was reported of its reader is mended.
    fn unread(&self, meant: &BTreeSet<&str>, report: &mut Report<'_>) {
        if self.stages.iter().any(|stage| stage.inputs.is_none()) {
            return;
        }
        for stage in self.readable() {
            let is_read = meant.contains(stage.name.as_str()) || self.readers(&stage.name).next().is_some();
            let is_second = self.named(&stage.name).is_some_and(|first| first.name_span != stage.name_span);
            if is_read || is_second {
                continue;
            }
            let diagnostic = Diagnostic::new(stage.path(), stage.name_span.clone(), UNREAD);
            let sinks = || self.stages.iter().filter(|stage| stage.kind == Kind::Sink);
            report.add(match sinks().rfind(|sink| !inputs(sink).is_empty()).or(sinks().next_back()) {
                None => {
                    let name = if self.named("out").is_none() { "out" } else { "print" };
                    let sink = format!(
                        "\n[sinks.{name}]\nplugin = \"print-sink\"\ninputs = [\"{}\"]\ngrants.output = \"stdout\"\n",
                        stage.name
                    );
                    let end = report.text.len();
                    diagnostic
                        .help(format!("declare a sink that does:\n{}", sink.trim_end()))
                        .remedy(Remedy { span: end..end, text: format!("\n{sink}") })
                }
                Some(sink) => also_read(diagnostic, sink, &stage.name, report.text),
            });
        }
    }

    /// Reports each circle once, at the input that is best taken out of it. Returns the names proposed instead.
    fn cycles(&self, report: &mut Report<'_>) -> BTreeSet<&'s str> {
        let mut walk = Walk { path: Vec::new(), done: BTreeSet::new(), meant: BTreeSet::new() };
        for stage in self.stages {
            self.follow(stage, &mut walk, report);
        }
        walk.meant
    }

    /// Walks against the flow, depth first.
    fn follow(&self, stage: &'s Declared, walk: &mut Walk<'s>, report: &mut Report<'_>) {
        if let Some(start) = walk.path.iter().position(|earlier| earlier.name == stage.name) {
            let circle: Vec<&Declared> = walk.path.iter().skip(start).copied().collect();
            walk.meant.extend(self.cycle(&circle, report));
            return;
        }
        if !walk.done.insert(&stage.name) {
            return;
        }
        walk.path.push(stage);
        let read = inputs(stage).iter().filter_map(|input| self.named(&input.name));
        for stage in read.filter(|read| read.kind != Kind::Sink) {
            self.follow(stage, walk, report);
        }
        walk.path.pop();
    }

    /// `circle`: each stage reads the next one, the last reads the first. Returns the source that is proposed instead.
    fn cycle(&self, circle: &[&'s Declared], report: &mut Report<'_>) -> Option<&'s str> {
        let edges = || {
            let read = circle.iter().cycle().skip(1);
            circle.iter().zip(read).filter_map(|(reader, read)| {
                let input = inputs(reader).iter().find(|input| input.name == read.name)?;
                Some((*reader, *read, input))
            })
        };
        // Without this input, what it names must still be read.
        let is_spare = |read: &Declared| self.readers(&read.name).count() > 1;
        let (reader, _, input) = edges().find(|(_, read, _)| is_spare(read)).or_else(|| edges().next())?;
        // From the one that is named to the one that names it, in the direction of the flow.
        let at = circle.iter().position(|stage| stage.name == reader.name).unwrap_or_default();
        let against: Vec<&str> =
            circle.iter().cycle().skip(at).take(circle.len()).map(|stage| stage.name.as_str()).collect();
        let flow: Vec<&str> = against.iter().rev().copied().chain(against.last().copied()).collect();
        let message = format!("the stages go round in a circle: {}", flow.join(" -> "));
        let diagnostic = Diagnostic::new(join(&reader.path(), "inputs"), input.span.clone(), message);
        let source = self
            .stages
            .iter()
            .filter(|stage| stage.kind == Kind::Source)
            .find(|source| !inputs(reader).iter().any(|input| input.name == source.name));
        let others = inputs(reader).len() > 1;
        report.add(match (source, others) {
            (Some(source), _) => diagnostic.write(input.span.clone(), format!("\"{}\"", source.name)),
            (None, true) => diagnostic.help("remove it").remedy(without(reader, input)),
            (None, false) => diagnostic.help("let it read a source"),
        });
        source.map(|source| source.name.as_str())
    }
}

/// Proposes that `sink` reads the stage too.
fn also_read(diagnostic: Diagnostic, sink: &Declared, name: &str, text: &str) -> Diagnostic {
    let Some(list) = sink.table.entry("inputs") else {
        let added = diagnostic.add_key(text, &sink.table, "plugin", "inputs", &format!("[\"{name}\"]"));
        let help = format!("in `{}` {}", sink.path(), added.help);
        return added.help(help);
    };
    let named = inputs(sink).iter().filter_map(|input| text.get(input.span.clone()));
    let quoted = format!("\"{name}\"");
    let all: Vec<&str> = named.chain([quoted.as_str()]).collect();
    let list_text = format!("[{}]", all.join(", "));
    let help = format!("remove it, or let a stage read it: in `{}` write `inputs = {list_text}`", sink.path());
    diagnostic.help(help).remedy(Remedy { span: list.node.span.clone(), text: list_text })
}

/// The edit that takes one of several inputs out of its list.
fn without(stage: &Declared, input: &Input) -> Option<Remedy> {
    let all = inputs(stage);
    let index = all.iter().position(|other| other.span == input.span)?;
    let span: Span = match index.checked_sub(1).and_then(|before| all.get(before)) {
        Some(before) => before.span.end..input.span.end,
        None => input.span.start..all.get(index + 1)?.span.start,
    };
    Some(Remedy { span, text: String::new() })
}

fn inputs(stage: &Declared) -> &[Input] {
    stage.inputs.as_deref().unwrap_or_default()
}
