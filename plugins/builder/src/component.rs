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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use wit_component::{StringEncoding, embed_component_metadata};
    use wit_parser::Resolve;

    use super::*;

    /// What is said of a module whose world exports `stage` of a package.
    fn checked(package: &str) -> String {
        let text = format!("package {package}; interface stage {{}} world guest {{ export stage; }}");
        let mut resolve = Resolve::default();
        let package = resolve.push_str("guest.wit", &text).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        check(&module).map_or_else(|error| error.to_string(), |()| "fits".into())
    }

    #[test]
    fn stages_of_this_version_fit() {
        assert_eq!(checked("rayline:stage@0.1.0"), "fits");
        assert_eq!(checked("rayline:stage@0.1.7"), "fits");
    }

    #[test]
    fn others_are_told_what_to_do() {
        assert_eq!(
            checked("rayline:stage@0.2.0"),
            "it was written for rayline:stage 0.2.0, and this host runs 0.1.x: use the rayline-sdk of this host"
        );
        assert_eq!(checked("rayline:stage"), "its rayline:stage has no version: use the rayline-sdk of this host");
        assert!(checked("acme:stage@0.1.0").contains("call rayline_sdk::export_transform!"));
        assert!(check(b"\0asm\x01\0\0\0").unwrap_err().to_string().contains("call rayline_sdk::export_transform!"));
    }
}
