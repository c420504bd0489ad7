//! How a grant reaches an AWS service: what every such grant can say besides the thing itself.

use crate::pipeline::document::Report;
use crate::pipeline::fields::Fields;

/// The keys `region`, `role_arn` and `external_id`. What is missing comes from where aws-config looks: environment,
/// profile, instance or task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Aws {
    /// `eu-west-1`.
    pub region: Option<String>,
    /// The role that is assumed with the credentials at hand.
    pub role_arn: Option<String>,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
}

/// Reads the three keys; they must be among the table's known ones.
pub(super) fn read(table: &Fields<'_>, report: &mut Report<'_>) -> Aws {
    let mut text = |name: &str| table.string(name, report).map(|word| word.text.to_owned());
    Aws { region: text("region"), role_arn: text("role_arn"), external_id: text("external_id") }
}
