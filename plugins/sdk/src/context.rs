//! What a stage is told when it opens.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Failure;

/// What a stage is told when it opens, besides its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Context {
    /// The stage's name in the pipeline.
    pub stage: String,
    /// This instance's number, from 0.
    pub instance: u32,
    /// How many instances there are at most.
    pub instances: u32,
    /// For a source, the last saved checkpoint.
    #[serde(default)]
    pub checkpoint: Option<String>,
    /// A random number from 0 to 2^53 - 1, for hash tables over keys from input.
    #[serde(default)]
    pub seed: u64,
}

/// The options of a stage that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

/// Reads the text that the host gives to `open`.
pub(crate) fn parse<O: DeserializeOwned>(text: &str) -> Result<(O, Context), Failure> {
    #[derive(Deserialize)]
    struct Opening<O> {
        options: O,
        #[serde(flatten)]
        context: Context,
    }
    match serde_json::from_str::<Opening<O>>(text) {
        Ok(opening) => Ok((opening.options, opening.context)),
        Err(error) => Err(Failure::fatal(format!("cannot read what the host gave to open: {error}"))),
    }
}
