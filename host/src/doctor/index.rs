//! Which server an index is, and whether it has the templates, without which documents get fields of guessed types.

use futures::future::join_all;

use super::{Finding, Level};
use crate::pipeline::Pipeline;
use crate::setup::elasticsearch::{State, state};
use crate::setup::indices::Indices;
use crate::setup::server::Forbidden;

/// Each index of the pipeline.
pub async fn examine(pipeline: &Pipeline) -> Vec<Finding> {
    let setup = format!("run `rayline setup elasticsearch {}`", pipeline.path.display());
    let looks = pipeline.stages.iter().filter_map(Indices::of).map(|indices| {
        let setup = setup.as_str();
        async move {
            let Indices { stage, grant, prefix } = indices;
            let subject = format!("sinks.{stage}");
            match state(&grant, &prefix).await {
                Ok(state) => judge(&subject, &state, setup),
                Err(error) if error.is::<Forbidden>() => Finding::warning(
                    &subject,
                    format!("not checked: which server this is, and whether its index templates are in place: {error}"),
                    "let this user ask for both to have it checked, or see to it yourself: a run does not need these rights",
                ),
                Err(error) => {
                    let words = format!("the index templates cannot be looked at: {error:#}");
                    Finding { level: Level::Failure, ..Finding::ok(&subject, words) }
                }
            }
        }
    });
    join_all(looks).await
}

/// `setup` is the command that makes the templates.
fn judge(subject: &str, state: &State, setup: &str) -> Finding {
    let State { server, missing, different } = state;
    match (missing.as_slice(), different.as_slice()) {
        ([], []) => Finding::ok(subject, format!("{server}, index templates in place")),
        ([], different) => {
            let words = format!("{server}, but its {} is not this version's", different.join(", "));
            Finding::warning(subject, words, format!("{setup}, unless you changed it"))
        }
        (missing, _) => Finding::failure(subject, format!("{server} has no {}", missing.join(", ")), setup),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let judged = |missing: &[&str], different: &[&str]| {
            let state = State { server: "S 1".to_owned(), missing: list(missing), different: list(different) };
            judge("sinks.i", &state, "run `x`").to_string()
        };
        assert_eq!(judged(&[], &[]), "ok       sinks.i: S 1, index templates in place");
        assert_eq!(
            judged(&[], &["a"]),
            "warning  sinks.i: S 1, but its a is not this version's; fix: run `x`, unless you changed it"
        );
        assert_eq!(judged(&["a", "b"], &["c"]), "failure  sinks.i: S 1 has no a, b; fix: run `x`");
    }
}
