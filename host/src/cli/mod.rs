//! The command line: one file per command.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::data_dir::DataDirError;
use crate::grant::queue::LEAVE;

pub mod collect;
pub mod dead_letter;
pub mod doctor;
pub mod finite;
pub mod load;
pub mod logs;
pub mod plugin;
pub mod progress;
pub mod prune;
pub mod replay;
pub mod run;
pub mod setup;
pub mod validate;

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// A stage failed for good, or something outside did.
    Failed = 1,
    /// The command line or a pipeline file is wrong. Nothing was started.
    Invalid = 2,
    /// In a pipeline that ends by itself a stage found over half of its events bad. What it held comes again.
    Paused = 3,
    /// Another host works in the `data_dir`.
    Taken = 4,
    /// Told to stop, and not all events in flight ended in time. They come again.
    Released = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

const AFTER_HELP: &str = "\
Examples:
  rayline doctor pipelines/central.toml
  rayline run pipelines/central.toml

Exit codes:
  0  everything was done
  1  a stage failed for good, or something outside did
  2  the command line or a pipeline file is wrong; nothing was started
  3  in a pipeline that ends by itself a stage found over half of its events bad
  4  another host works in the data_dir
  5  told to stop, and not all events in flight ended in time; they come again";

/// Brings AWS X-Ray traces into Elasticsearch or OpenSearch, keeps the raw messages, and replays them.
#[derive(Debug, Parser)]
#[command(name = "rayline", version, long_version = long_version(), after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// How log lines look. Default: text on a terminal, json elsewhere.
    #[arg(long, global = true, value_enum, env = "RAYLINE_LOG_FORMAT")]
    log_format: Option<logs::Format>,
    /// Which log lines: a level, or directives such as `info,rayline=debug`.
    #[arg(long, global = true, value_name = "FILTER", default_value = "info", env = "RAYLINE_LOG")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run pipelines until they end or are told to stop.
    #[command(
        after_help = "Examples:\n  rayline run pipelines/demo.toml\n  rayline run collect.toml central.toml --log-format json\n\nSIGTERM and ctrl-c stop in good order (a second ctrl-c at once); SIGHUP reads the files again."
    )]
    Run {
        /// Pipeline files.
        #[arg(required = true, value_name = "PIPELINE")]
        pipelines: Vec<PathBuf>,
    },
    /// Check pipeline files, the plugins they name and what their grants reach; show every error.
    #[command(
        after_help = "Examples:\n  rayline validate pipelines/central.toml\n  rayline validate --no-connect pipelines/*.toml"
    )]
    Validate(validate::Args),
    /// Look for what stands in the way of a pipeline before anybody waits for data: rights, queues, tracing, cost.
    #[command(
        after_help = "Examples:\n  rayline doctor pipelines/collect.toml\n  rayline doctor pipelines/central.toml | grep -v '^ok'\n\nA line for each thing: ok, warning (it works, and something is lost, late or dear one day) or failure, with what to\nchange. Ends with 0 where nothing is a failure. What the role may not ask is a warning. It writes small objects named\nrayline-validate-… where the pipeline writes, and deletes them again."
    )]
    Doctor(doctor::Args),
    /// Run a pipeline that reads an archive, for a part of it.
    #[command(
        after_help = "Examples:\n  rayline replay pipelines/replay.toml --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z --dry-run\n  rayline replay pipelines/replay.toml --account 111122223333 --rate 500"
    )]
    Replay(replay::Args),
    /// Collect executions by their ARNs, and end when each is complete.
    #[command(
        after_help = "Example:\n  rayline collect --pipeline pipelines/collect.toml --execution arn:aws:states:eu-west-1:444455556666:execution:Orders:100417"
    )]
    Collect(collect::Args),
    /// Set up what a pipeline needs in other programs.
    #[command(subcommand)]
    Setup(setup::Command),
    /// Delete the indices of months that are over for long enough, on every kind of server.
    #[command(
        after_help = "Examples:\n  rayline prune central.toml --older-than-days 90 --dry-run\n  rayline prune central.toml --older-than-days 90"
    )]
    Prune(prune::Args),
    /// Show, describe and build plugins.
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Show and replay what could not be delivered, also while the host runs.
    #[command(subcommand)]
    DeadLetter(dead_letter::Command),
    /// Print a script that completes commands in a shell.
    #[command(after_help = "Example:\n  rayline completion bash > /etc/bash_completion.d/rayline")]
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// How long the end of the process waits for threads that block: longer than a queue takes to give back what it holds.
const UNENDING: Duration = LEAVE.saturating_add(Duration::from_secs(5));

fn long_version() -> &'static str {
    const { concat_version() }
}

const fn concat_version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), "\nstage contract: rayline:stage@0.1.0")
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _armed = fail::FailScenario::setup();
    let cli = Cli::parse();
    logs::init(cli.log_format, &cli.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return Exit::Failed.into();
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run { pipelines } => run::run(&pipelines).await,
            Command::Validate(args) => validate::validate(&args).await,
            Command::Doctor(args) => doctor::doctor(&args).await,
            Command::Replay(args) => replay::replay(args).await,
            Command::Collect(args) => collect::collect(args).await,
            Command::Setup(command) => setup::setup(command).await,
            Command::Prune(args) => prune::run(args).await,
            Command::Plugin(command) => plugin::plugin(command),
            Command::DeadLetter(command) => dead_letter::dead_letter(command).await,
            Command::Completion { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "rayline", &mut std::io::stdout());
                Ok(Exit::Done)
            }
        }
    });
    // A write to a pipe that nobody reads blocks its thread for ever.
    runtime.shutdown_timeout(UNENDING);
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            match error.downcast_ref() {
                Some(DataDirError::Taken(_)) => Exit::Taken.into(),
                _ => Exit::Failed.into(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_shows_examples() {
        fn look(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let is_group = command.get_subcommands().next().is_some();
            assert!(is_group || help.contains("Example"), "{}", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }
}
