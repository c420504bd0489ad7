//! `--retention-days` where the server has policies.

use super::played::{MONTHS, Played, Product};
use rayline::setup::elasticsearch::{Outcome, Report};
use serde_json::json;

/// The outcome of each step, the policy's first where there is one.
fn outcomes(report: &Report) -> String {
    report.steps.iter().filter_map(|step| step.outcome.word().chars().next()).collect()
}

#[test]
fn a_lifecycle_is_kept_by_templates_and_given_to_months_that_are_there() {
    let server = Played::start(Product::Elasticsearch);
    let (policy, months) = ("/_ilm/policy/xray", "/xray-executions-*,xray-traces-*,xray-spans-*/_settings");
    let age = || server.kept(policy)["policy"]["phases"]["delete"]["min_age"].clone();
    let lifecycle = || server.kept("/_component_template/xray")["template"]["settings"]["index"]["lifecycle"].clone();

    assert_eq!(outcomes(&server.setup(None)), "cccc");
    assert_eq!((age(), lifecycle()), (json!(null), json!(null)));
    assert_eq!(outcomes(&server.setup(Some(90))), "cruuu");
    assert_eq!((age(), lifecycle()), (json!("121d"), json!({"name": "xray"})));
    assert_eq!(server.kept(months), json!({"index": {"lifecycle": {"name": "xray"}}}));
    assert_eq!(outcomes(&server.setup(Some(90))), "uuuuu");
    assert_eq!(outcomes(&server.setup(Some(30))), "ruuuu");
    assert_eq!(age(), "61d");
    // A run without days leaves it.
    let last = server.setup(None);
    assert_eq!((outcomes(&last).as_str(), age(), lifecycle()), ("uuuu", json!("61d"), json!({"name": "xray"})));
    assert!(last.notes.is_empty(), "{last:?}");
}

#[test]
fn every_month_goes_by_the_policy_as_it_is_now() {
    for product in [Product::OpenSearch, Product::Amazon] {
        let server = Played::start(product);
        let first = server.setup(Some(90));
        assert_eq!((first.steps[0].title.as_str(), first.steps[0].outcome), ("state policy xray", Outcome::Created));
        assert_eq!(server.ages(), ["121d"; 3], "{product:?}");
        assert_eq!(outcomes(&server.setup(Some(90))), "uuuuu");

        server.ends(MONTHS[2]);
        let second = server.setup(Some(30));
        assert_eq!(outcomes(&second), "ruuuu");
        assert_eq!(server.ages(), ["61d", "61d", "121d"], "{product:?}");
        let left_out = "xray-traces-2025.01 (Cannot change policy while transitioning to new state)";
        assert_eq!(second.notes.iter().filter(|note| note.ends_with(left_out)).count(), 1, "{second:?}");
        assert!(first.notes.iter().all(|note| !note.contains("policy")), "{first:?}");

        // A run without days leaves it.
        assert_eq!(outcomes(&server.setup(None)), "uuuu");
        assert_eq!(server.ages(), ["61d", "61d", "121d"], "{product:?}");
    }
}
