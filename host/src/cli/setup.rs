//! `rayline setup kibana`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Exit;
use super::load::Loader;
use crate::grant::http::Client;
use crate::pipeline::{Grant, HttpGrant, Pipeline, PluginRef};
use crate::setup::kibana::object::Form;
use crate::setup::kibana::{self, Destination};

/// What to set up.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Install index patterns, charts and dashboards in Kibana or OpenSearch Dashboards, or replace them.
    #[command(
        after_help = "Examples:\n  rayline setup kibana central.toml --url https://kibana.example.com\n  rayline setup kibana central.toml --url https://kibana.example.com --space xray\n  rayline setup kibana --print > dashboards.ndjson\n\nThe `auth` and `tls` of `grants.http` of the pipeline's `elasticsearch-sink` are used, with --url for an address."
    )]
    Kibana(Kibana),
}

/// Where to, and with whose credentials.
#[derive(Debug, clap::Args)]
pub struct Kibana {
    /// The pipeline file whose `elasticsearch-sink` has the credentials.
    #[arg(required_unless_present = "print", value_name = "PIPELINE")]
    pipeline: Option<PathBuf>,
    /// The address of Kibana or OpenSearch Dashboards, as a browser opens it.
    #[arg(long, required_unless_present = "print")]
    url: Option<String>,
    /// A space of Kibana, by its identifier. Default: the default space.
    #[arg(long, value_name = "NAME")]
    space: Option<String>,
    /// A tenant of OpenSearch Dashboards' security plugin, such as `global`.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Print the saved objects as a file to import, and connect to nothing: in the form of 7.10 for Kibana 7.9 to 8 and
    /// OpenSearch Dashboards, or of 8.8 for Kibana 8.8 to 9.
    #[arg(long, value_enum, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "7.10")]
    print: Option<Form>,
}

/// Runs one of the commands.
///
/// # Errors
/// When a server cannot be set up.
pub async fn setup(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Kibana(args) => kibana(args).await,
    }
}

async fn kibana(args: Kibana) -> anyhow::Result<Exit> {
    if let Some(form) = args.print {
        print!("{}", form.ndjson());
        return Ok(Exit::Done);
    }
    let (Some(file), Some(url)) = (args.pipeline, args.url) else { bail!("name a pipeline and --url") };
    let Some(pipeline) = Loader::for_pipelines(std::slice::from_ref(&file), false)?.pipelines(&[file.clone()])? else {
        return Ok(Exit::Invalid);
    };
    let [pipeline] = &pipeline[..] else { bail!("{} is not one pipeline", file.display()) };
    let url = url.trim_end_matches('/');
    let grant =
        HttpGrant { urls: vec![url.parse().context("--url is no address")?], ..index_grant(pipeline, &file)?.clone() };
    let client = Client::open(&grant)?;
    let destination = Destination { space: args.space, tenant: args.tenant };
    let installed = kibana::install(&client, &destination).await?;
    println!("{}: {} objects installed", installed.server, installed.objects);
    for (title, path) in installed.dashboards {
        println!("  {title}: {url}{path}");
    }
    Ok(Exit::Done)
}

/// The `http` grant of the pipeline's index.
fn index_grant<'p>(pipeline: &'p Pipeline, file: &Path) -> anyhow::Result<&'p HttpGrant> {
    let shipped = PluginRef::Shipped("elasticsearch-sink".to_owned());
    let mut sinks = pipeline.stages.iter().filter(|stage| stage.plugin == shipped);
    match (sinks.next(), sinks.next()) {
        (Some(stage), None) => match stage.grants.get("http") {
            Some(Grant::Http(grant)) => Ok(grant),
            _ => bail!("the stage {} of {} has no `grants.http`", stage.name, file.display()),
        },
        (None, _) => bail!("{} has no stage with the plugin elasticsearch-sink", file.display()),
        (Some(one), Some(other)) => bail!(
            "{} has several stages with the plugin elasticsearch-sink ({}, {}): give a pipeline with one",
            file.display(),
            one.name,
            other.name
        ),
    }
}
