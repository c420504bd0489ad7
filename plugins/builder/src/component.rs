//! From a core module to a component.

use anyhow::{Context, Result, bail};
use wit_component::{ComponentEncoder, metadata};
use wit_parser::WorldKey;

/// The versions of the contract that a host of this version runs.
const CONTRACT: (u64, u64) = (0, 1);

/// Wraps a core module that says which world it is for.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    check(module)?;
    let encode = || ComponentEncoder::default().module(module)?.validate(true).encode();
    encode().context("its imports or exports do not fit its world")
}

/// Whether the module exports a stage, of a version that the host knows.
fn check(module: &[u8]) -> Result<()> {
    let (_, bindings) = metadata::decode(module).context("what it says of its world cannot be read")?;
    let resolve = &bindings.resolve;
    let world = resolve.worlds.get(bindings.world).context("its world is missing")?;
    let stages = world.exports.keys().filter_map(|key| match key {
        WorldKey::Interface(id) => resolve.packages.get(resolve.interfaces.get(*id)?.package?),
        WorldKey::Name(_) => None,
    });
    let mut stages = stages.filter(|package| package.name.namespace == "rayline" && package.name.name == "stage");
    let Some(package) = stages.next() else {
        bail!(
            "it exports nothing of rayline:stage: call rayline_sdk::export_transform!, export_source! or export_sink!"
        );
    };
    match &package.name.version {
        Some(version) if (version.major, version.minor) == CONTRACT => Ok(()),
        Some(version) => {
            let (major, minor) = CONTRACT;
            bail!(
                "it was written for rayline:stage {version}, and this host runs {major}.{minor}.x: use the rayline-sdk of this host"
            )
        }
        None => bail!("its rayline:stage has no version: use the rayline-sdk of this host"),
    }
}
