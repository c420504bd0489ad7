//! `rayline prune`.

use std::path::PathBuf;

use jiff::{Timestamp, tz::TimeZone};

use super::Exit;
use super::setup::elasticsearch::indices;
use crate::setup::prune::prune;

/// Which indices to delete.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline file whose `elasticsearch-sink` has the address and the credentials.
    #[arg(value_name = "PIPELINE")]
    pipeline: PathBuf,
    /// Delete the monthly indices whose last day is longer ago than this.
    #[arg(long, value_name = "N")]
    older_than_days: u32,
    /// Say what would be deleted, and delete nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Deletes old indices.
///
/// # Errors
/// When a server does not answer or refuses.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let Some(indices) = indices(&args.pipeline)? else { return Ok(Exit::Invalid) };
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    for index in indices {
        let report = prune(&index.grant, &index.prefix, today, args.older_than_days, args.dry_run).await?;
        println!("{}: {}", index.stage, report.server);
        let verb = if args.dry_run { "would delete" } else { "deleted" };
        for name in &report.old {
            println!("  {verb}  {name}");
        }
        println!("  kept  {} indices", report.kept);
    }
    Ok(Exit::Done)
}
