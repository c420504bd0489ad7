//! `rayline dead-letter list|show|replay`: also while the host runs, since it only reads objects that are whole, and
//! deletes one only when all that is in it has been delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::sync::mpsc::unbounded_channel;

use super::Exit;
use super::load::Loader;
use super::run::{exit_of, summarize};
use crate::delivery::claim::{Claim, Claimed, Ticket};
use crate::delivery::dead_letter::{LetterLine, Line, MessageLine};
use crate::event::Event;
use crate::grant::objects::Store;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::run::{Feed, Running};

/// What to do with dead letters.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List letters: object, stage, and reason, with how many of them there are.
    List {
        /// The pipeline file.
        pipeline: PathBuf,
    },
    /// Show every letter of an object with its part or event, and the source messages.
    Show {
        /// The pipeline file.
        pipeline: PathBuf,
        /// An object, as `list` names it.
        object: String,
    },
    /// Give the source messages to the pipeline again, as if its sources had read them; or the events to one stage.
    ///
    /// Objects whose letters were all delivered are deleted. What fails again is in a new object.
    #[command(
        after_help = "Examples:\n  rayline dead-letter replay pipelines/central.toml\n  rayline dead-letter replay pipelines/central.toml --at index"
    )]
    Replay {
        /// The pipeline file.
        pipeline: PathBuf,
        /// Give the events that this stage could not deliver to it alone.
        #[arg(long, value_name = "STAGE")]
        at: Option<String>,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// When the pipeline file or an object cannot be read.
pub async fn dead_letter(command: Command) -> anyhow::Result<Exit> {
    let (Command::List { pipeline: file }
    | Command::Show { pipeline: file, .. }
    | Command::Replay { pipeline: file, .. }) = &command;
    let loader = Loader::for_pipelines(std::slice::from_ref(file), false)?;
    let pipeline = match loader.pipeline(file)? {
        Ok(pipeline) => pipeline,
        Err(report) => {
            eprint!("{report}");
            return Ok(Exit::Invalid);
        }
    };
    let store = Store::open(&pipeline.dead_letter.location).await?;
    match command {
        Command::List { .. } => list(&store).await,
        Command::Show { object, .. } => show(&store, &object).await,
        Command::Replay { at, .. } => replay(&pipeline, &loader, &store, at.as_deref()).await,
    }
}

/// One object's lines.
struct Letters {
    messages: BTreeMap<String, MessageLine>,
    letters: Vec<LetterLine>,
}

impl Letters {
    async fn read(store: &Store, object: &str) -> anyhow::Result<Self> {
        let content =
            store.get(object).await.with_context(|| format!("cannot read the dead letter object {object}"))?;
        let mut read = Letters { messages: BTreeMap::new(), letters: Vec::new() };
        for (number, line) in content.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let line = serde_json::from_slice(line)
                .with_context(|| format!("line {} of the dead letter object {object} cannot be read", number + 1))?;
            match line {
                Line::Message(message) => {
                    read.messages.insert(message.sha256.clone(), message);
                }
                Line::Letter(letter) => read.letters.push(letter),
            }
        }
        Ok(read)
    }
}

async fn objects(store: &Store) -> anyhow::Result<Vec<String>> {
    let objects = store.list("", None, usize::MAX).await.context("cannot list the dead letter")?;
    Ok(objects.into_iter().map(|object| object.key).collect())
}

async fn list(store: &Store) -> anyhow::Result<Exit> {
    for object in objects(store).await? {
        let letters = Letters::read(store, &object).await?.letters;
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for letter in &letters {
            *counts.entry((&letter.stage, &letter.reason)).or_default() += 1;
        }
        println!("{object}");
        for ((stage, reason), count) in counts {
            println!("  {count:5}  {stage}: {reason}");
        }
    }
    Ok(Exit::Done)
}

async fn show(store: &Store, object: &str) -> anyhow::Result<Exit> {
    let letters = Letters::read(store, object).await?;
    for letter in &letters.letters {
        println!("{}", serde_json::to_string_pretty(letter)?);
    }
    for message in letters.messages.values() {
        println!("{}", serde_json::to_string_pretty(message)?);
    }
    Ok(Exit::Done)
}

async fn replay(pipeline: &Pipeline, loader: &Loader, store: &Store, at: Option<&str>) -> anyhow::Result<Exit> {
    if let Some(stage) = at
        && !pipeline.stages.iter().any(|known| known.name == stage)
    {
        let known: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
        bail!("{} has no stage `{stage}`: use one of {}", pipeline.path.display(), known.join(", "));
    }
    let objects = objects(store).await?;
    let mut running = Running::start(pipeline, &loader.plugins(), &Metrics::new(), Feed::Inlets).await?;
    let inlets = std::mem::take(&mut running.inlets);
    let status = running.status();
    let mut ended = tokio::spawn(running.join());

    let (settle, mut settled) = unbounded_channel();
    let mut given = BTreeSet::new();
    let mut broken = None;
    'objects: for (number, object) in objects.iter().enumerate() {
        let letters = Letters::read(store, object).await?;
        if let Some(at) = at
            && letters.letters.iter().any(|letter| letter.stage != at || letter.part.is_some())
        {
            // Other stages' letters, and parts, which only their whole message brings back: the object stays.
            given.remove(&number);
        } else {
            given.insert(number);
        }
        let ticket = Ticket::new(number as u64, settle.clone());
        for (target, source, event) in targets(&letters, at)? {
            let Some(inlet) = inlets.get(&target) else {
                bail!("the dead letter object {object} names the stage `{target}`, which the pipeline no longer has");
            };
            tokio::select! {
                () = inlet.budget.room() => {}
                result = &mut ended => {
                    broken = Some(exit_of(result?));
                    given.remove(&number);
                    break 'objects;
                }
            }
            let charge = inlet.budget.charge(event.bytes());
            let claim = Claim::new(source, event.clone(), charge.clone(), ticket.clone());
            inlet.outlets.send(vec![Claimed { event, claim, charge }]).await;
        }
    }
    drop((inlets, settle));
    let mut kept = 0;
    let mut deleted = 0;
    while let Some(end) = settled.recv().await {
        let number = usize::try_from(end.ticket)?;
        match objects.get(number) {
            Some(object) if end.done && given.contains(&number) => {
                store.delete(object).await.with_context(|| format!("cannot delete the dead letter object {object}"))?;
                deleted += 1;
            }
            _ => kept += 1,
        }
    }
    let exit = match broken {
        Some(exit) => exit,
        None => exit_of(ended.await?),
    };
    summarize(pipeline, &status);
    eprintln!("  dead letter objects: {deleted} delivered and deleted, {kept} kept");
    Ok(exit)
}

/// What to give to which stage, with the name of the source it came from.
fn targets(letters: &Letters, at: Option<&str>) -> anyhow::Result<Vec<(String, Arc<str>, Event)>> {
    let Some(at) = at else {
        let messages = letters.messages.values();
        return messages
            .map(|message| Ok((message.source.clone(), message.source.as_str().into(), message.event.event()?)))
            .collect();
    };
    let mut events = Vec::new();
    for letter in letters.letters.iter().filter(|letter| letter.stage == at && letter.part.is_none()) {
        let message =
            letters.messages.get(&letter.message).context("a letter names a message that is not in its object")?;
        let stored = letter.event.as_ref().unwrap_or(&message.event);
        events.push((at.to_owned(), message.source.as_str().into(), stored.event()?));
    }
    Ok(events)
}
