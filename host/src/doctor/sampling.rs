//! How many executions X-Ray's sampling rules let have a trace.

use super::Finding;
use crate::grant::xray::look::SamplingRule;

/// What X-Ray calls a state machine.
const STATE_MACHINE: &str = "AWS::StepFunctions::StateMachine";

/// The rule that counts for whatever no narrower one is for.
pub(super) fn judge(subject: &str, rules: &[SamplingRule]) -> Finding {
    let of_all = rules.iter().filter(|rule| is_of_all(rule));
    let Some(rule) = of_all.min_by_key(|rule| rule.priority) else {
        return Finding::ok(subject, "no sampling rule for all state machines");
    };
    let SamplingRule { name, fixed_rate, reservoir_size, .. } = rule;
    if *fixed_rate >= 1.0 {
        return Finding::ok(subject, format!("the sampling rule {name} traces everything"));
    }
    let percent = (fixed_rate * 1000.0).round() / 10.0;
    let narrower = match rules.iter().filter(|other| !is_of_all(other)).count() {
        0 => String::new(),
        count => format!(" ({count} narrower rules are not looked into)"),
    };
    Finding::warning(
        subject,
        format!(
            "the sampling rule {name} traces {reservoir_size} a second and {percent} % of the others{narrower}: executions above \
             that have no trace and the verdict `unsampled`"
        ),
        format!(
            "raise the rate of {name} in X-Ray's sampling rules, or add a rule for what you want whole; what is traced more \
             costs more"
        ),
    )
}

fn is_of_all(rule: &SamplingRule) -> bool {
    let others = [&rule.service_name, &rule.host, &rule.http_method, &rule.url_path, &rule.resource_arn];
    others.into_iter().all(|pattern| pattern == "*") && ["*", STATE_MACHINE].contains(&rule.service_type.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn rule(name: &str, priority: i64, fixed_rate: f64) -> SamplingRule {
        let [service_name, service_type, host, http_method, url_path, resource_arn] = [(); 6].map(|()| "*".to_owned());
        let name = name.to_owned();
        let reservoir_size = 1.0;
        SamplingRule {
            name,
            priority,
            reservoir_size,
            fixed_rate,
            service_name,
            service_type,
            host,
            http_method,
            url_path,
            resource_arn,
        }
    }

    #[test]
    fn the_first_rule_for_all_counts() {
        let default = rule("Default", 10_000, 0.05);
        let found = judge("a", std::slice::from_ref(&default));
        let expected = "the sampling rule Default traces 1 a second and 5 % of the others: executions above that have no trace \
                        and the verdict `unsampled`";
        assert_eq!((found.level, found.words.as_str()), (Level::Warning, expected));

        let narrow = SamplingRule { host: "example.com".to_owned(), ..rule("narrow", 1, 1.0) };
        let found = judge("a", &[narrow, default.clone()]);
        assert!(found.words.contains("of the others (1 narrower rules are not looked into):"), "{found}");

        let all = SamplingRule { service_type: STATE_MACHINE.to_owned(), ..rule("all", 9, 1.0) };
        let found = judge("a", &[default, all]);
        assert_eq!(found, Finding::ok("a", "the sampling rule all traces everything"));
        assert_eq!(judge("a", &[]).level, Level::Ok);
    }
}
