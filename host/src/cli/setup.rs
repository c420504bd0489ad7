//! `rayline setup`.

use std::path::PathBuf;

use anyhow::bail;
use reqwest::Url;

use super::Exit;
use super::load::Loader;
use crate::grant::http::Client;
use crate::pipeline::{HttpGrant, Pipeline};
use crate::setup::indices::{DEFAULT_PREFIX, Indices};
use crate::setup::kibana::object::Form;
use crate::setup::kibana::{self, Destination};

pub(super) mod elasticsearch;

/// What to set up.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Install index templates in Elasticsearch or OpenSearch, or replace them; say what was done.
    #[command(
        after_help = "Examples:\n  rayline setup elasticsearch central.toml\n  rayline setup elasticsearch central.toml --retention-days 90\n  rayline setup elasticsearch central.toml --print > index-templates.txt"
    )]
    Elasticsearch(elasticsearch::Args),
    /// Install index patterns, charts and dashboards in Kibana or OpenSearch Dashboards, or replace them.
    #[command(
        after_help = "Examples:\n  rayline setup kibana central.toml --url https://kibana.example.com\n  rayline setup kibana central.toml --url https://kibana.example.com --space xray\n  rayline setup kibana central.toml --print > dashboards.ndjson\n\nThe `index_prefix` of the pipeline's `elasticsearch-sink` is used, and the `auth` and `ca_file` of its `grants.http`, with --url for an address."
    )]
    Kibana(Kibana),
}

/// Where to, and with whose credentials.
#[derive(Debug, clap::Args)]
pub struct Kibana {
    /// The pipeline file whose `elasticsearch-sink` has the credentials and the indices' prefix.
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
    /// OpenSearch Dashboards, or of 8.8 for Kibana 8.8 to 9. Without a pipeline for the default `index_prefix`.
    #[arg(long, value_enum, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "7.10")]
    print: Option<Form>,
}

/// Runs one of the commands.
///
/// # Errors
/// When a server cannot be set up.
pub async fn setup(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Elasticsearch(args) => elasticsearch::run(args).await,
        Command::Kibana(args) => kibana(args).await,
    }
}

async fn kibana(args: Kibana) -> anyhow::Result<Exit> {
    let url = args.url.as_deref().map(address).transpose()?;
    let indices = match &args.pipeline {
        Some(file) => match Loader::for_pipelines(std::slice::from_ref(file), false)?.pipeline(file)? {
            Ok(pipeline) => Some(the_index(&pipeline)?),
            Err(report) => {
                eprint!("{report}");
                return Ok(Exit::Invalid);
            }
        },
        None => None,
    };
    if let Some(form) = args.print {
        print!("{}", form.ndjson(indices.as_ref().map_or(DEFAULT_PREFIX, |indices| indices.prefix.as_str())));
        return Ok(Exit::Done);
    }
    let (Some(Indices { grant, prefix, .. }), Some(url)) = (indices, url) else { bail!("name a pipeline and --url") };
    let client = Client::open(&HttpGrant { urls: vec![url.clone()], ..grant }).await?;
    let destination = Destination { space: args.space, tenant: args.tenant };
    let installed = kibana::install(&client, &destination, &prefix).await?;
    println!("{}: {} objects installed", installed.server, installed.objects);
    for (title, path) in installed.dashboards {
        println!("  {title}: {}{path}", url.as_str().trim_end_matches('/'));
    }
    Ok(Exit::Done)
}

/// The address of a server, as a grant has it.
fn address(text: &str) -> anyhow::Result<Url> {
    let Some(url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    else {
        bail!("--url {text} is no address of a server; write it as https://kibana.example.com");
    };
    if !url.username().is_empty() || url.password().is_some() {
        bail!("--url has credentials: these belong into `grants.http.auth` of the pipeline");
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("--url {text} is a page: end it before its `?` or `#`");
    }
    Ok(url)
}

/// The pipeline's index.
fn the_index(pipeline: &Pipeline) -> anyhow::Result<Indices> {
    let mut sinks = pipeline.stages.iter().filter_map(Indices::of);
    let file = pipeline.path.display();
    match (sinks.next(), sinks.next()) {
        (Some(index), None) => Ok(index),
        (None, _) => bail!("{file} has no stage with the plugin elasticsearch-sink"),
        (Some(one), Some(other)) => bail!(
            "{file} has several stages with the plugin elasticsearch-sink ({}, {}): give a pipeline with one",
            one.stage,
            other.stage
        ),
    }
}
