//! Whether state machines have tracing on: without it executions have no trace, and EXPRESS ones are not found.

use super::Finding;
use crate::grant::xray::look::Machine;

/// How many are named.
const NAMED: usize = 5;

const FIX: &str = "turn it on: `aws stepfunctions update-state-machine --state-machine-arn ARN --tracing-configuration \
                   enabled=true`, or TracingConfiguration in the template";

/// The state machines that were looked at, of so many.
pub(super) fn judge(subject: &str, looked_at: &[(Machine, bool)], total: usize) -> Finding {
    let of_kind = |kind: &str| looked_at.iter().filter(|(machine, _)| machine.kind == kind).count();
    let (standard, express) = (of_kind("STANDARD"), of_kind("EXPRESS"));
    let some = match looked_at.len() {
        0 => return Finding::ok(subject, "no state machines"),
        all if all < total => {
            format!("{all} of {total} state machines looked at ({standard} STANDARD, {express} EXPRESS)")
        }
        1 => format!("1 state machine ({standard} STANDARD, {express} EXPRESS)"),
        all => format!("{all} state machines ({standard} STANDARD, {express} EXPRESS)"),
    };
    let without: Vec<&Machine> = looked_at.iter().filter(|(_, traced)| !traced).map(|(machine, _)| machine).collect();
    if without.is_empty() {
        return Finding::ok(subject, format!("{some}, all with tracing"));
    }
    let names: Vec<&str> = without.iter().take(NAMED).map(|machine| machine.name.as_str()).collect();
    let more = match without.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let lost = match without.iter().any(|machine| machine.kind == "EXPRESS") {
        true => "their executions have no trace, and EXPRESS ones are not found at all",
        false => "their executions have no trace",
    };
    let words = format!("{some}, {} without tracing: {}{more}; {lost}", without.len(), names.join(", "));
    Finding::warning(subject, words, FIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn machine(name: &str, kind: &str, traced: bool) -> (Machine, bool) {
        (Machine { arn: String::new(), name: name.to_owned(), kind: kind.to_owned() }, traced)
    }

    #[test]
    fn some_without_tracing() {
        let mut machines = vec![machine("orders", "STANDARD", true), machine("checkout", "EXPRESS", true)];
        let found = judge("a", &machines, 2);
        assert_eq!(found, Finding::ok("a", "2 state machines (1 STANDARD, 1 EXPRESS), all with tracing"));
        machines.extend((0..7).map(|n| machine(&format!("m{n}"), "STANDARD", false)));
        let found = judge("a", &machines, 300);
        let expected = "9 of 300 state machines looked at (8 STANDARD, 1 EXPRESS), 7 without tracing: m0, m1, m2, m3, m4 and \
                        2 more; their executions have no trace";
        assert_eq!((found.level, found.words.as_str()), (Level::Warning, expected));
        let found = judge("a", &[machine("fast", "EXPRESS", false)], 1);
        assert!(found.words.ends_with("EXPRESS ones are not found at all"), "{found}");
        assert_eq!(judge("a", &[], 0).words, "no state machines");
    }
}
