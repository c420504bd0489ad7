//! `rayline dead-letter list|show|replay`: also while the host runs, since it only reads objects that are whole, and
//! deletes one only when all that is in it has been delivered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use tokio::sync::mpsc::unbounded_channel;

use super::Exit;
use super::load::Loader;
use super::run::{exit_of, summarize};
use crate::delivery::claim::{Claim, Claimed, Ticket};
use crate::delivery::dead_letter::{LetterLine, Line, MessageLine, StoredEvent};
use crate::event::Event;
use crate::grant::check::is_probe;
use crate::grant::objects::{Store, StoreError};
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::run::{Feed, Running};

/// What to do with dead letters.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List letters: object, stage, and reason, with how many of them there are.
    #[command(after_help = "Example:\n  rayline dead-letter list pipelines/central.toml")]
    List {
        /// The pipeline file.
        pipeline: PathBuf,
    },
    /// Show every letter of an object with its part or event, and the source messages.
    #[command(after_help = "Example:\n  rayline dead-letter show pipelines/central.toml OBJECT")]
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
    messages: Vec<MessageLine>,
    /// Each with the place of its message.
    letters: Vec<(usize, LetterLine)>,
}

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    /// Another replay has deleted it.
    #[error("it is not there any more")]
    Gone,
    /// It is something else than a dead letter, or damaged.
    #[error("{0:#}; move it away, or mend it")]
    Foreign(anyhow::Error),
    /// The store fails: so will the next object.
    #[error(transparent)]
    Store(StoreError),
}

impl Letters {
    async fn read(store: &Store, object: &str) -> Result<Self, Unreadable> {
        let content = store.get(object).await.map_err(|error| match error {
            StoreError::NotFound(_) => Unreadable::Gone,
            error @ StoreError::Permanent(_) => Unreadable::Foreign(error.into()),
            error @ (StoreError::Refused(_) | StoreError::Failed(_)) => Unreadable::Store(error),
        })?;
        Letters::parse(&content).map_err(Unreadable::Foreign)
    }

    fn parse(content: &[u8]) -> anyhow::Result<Self> {
        let mut read = Letters { messages: Vec::new(), letters: Vec::new() };
        let mut places = HashMap::new();
        for (number, line) in content.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let line = serde_json::from_slice(line).with_context(|| format!("line {} is no letter", number + 1))?;
            match line {
                Line::Message(message) => {
                    places.insert(message.sha256.clone(), read.messages.len());
                    read.messages.push(message);
                }
                Line::Letter(letter) => {
                    let place = places.get(&letter.message);
                    let place = place.with_context(|| format!("the message of line {} is not there", number + 1))?;
                    read.letters.push((*place, letter));
                }
            }
        }
        Ok(read)
    }
}

async fn objects(store: &Store) -> anyhow::Result<Vec<String>> {
    let objects = store.list("", None, usize::MAX).await.context("cannot list the dead letter")?;
    Ok(objects.into_iter().map(|object| object.key).filter(|key| !is_probe(key)).collect())
}

/// The letters of one of many objects. `None`: there are none to be had; if that is for long, it is said.
async fn look(store: &Store, object: &str) -> anyhow::Result<Option<Letters>> {
    match Letters::read(store, object).await {
        Ok(letters) => Ok(Some(letters)),
        Err(Unreadable::Gone) => Ok(None),
        Err(error @ Unreadable::Foreign(_)) => {
            eprintln!("warning: the object {object} is passed over: {error}");
            Ok(None)
        }
        Err(Unreadable::Store(error)) => {
            Err(error).with_context(|| format!("cannot read the dead letter object {object}"))
        }
    }
}

async fn list(store: &Store) -> anyhow::Result<Exit> {
    for object in objects(store).await? {
        let Some(Letters { letters, .. }) = look(store, &object).await? else { continue };
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (_, letter) in &letters {
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
    let letters = Letters::read(store, object).await;
    let letters = letters.with_context(|| format!("cannot read the dead letter object {object}"))?;
    for (_, letter) in &letters.letters {
        println!("{}", serde_json::to_string_pretty(letter)?);
    }
    for message in &letters.messages {
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
    let mut passed_over = 0;
    'objects: for (number, object) in objects.iter().enumerate() {
        let Some(letters) = look(store, object).await? else {
            passed_over += 1;
            continue;
        };
        if let Some(at) = at
            && letters.letters.iter().any(|(_, letter)| letter.stage != at || letter.part.is_some())
        {
            // Other stages' letters, and parts, which only their whole message brings back: the object stays.
            given.remove(&number);
        } else {
            given.insert(number);
        }
        let ticket = Ticket::new(number as u64, settle.clone());
        for Given { target, source, message, events } in given_of(&letters, at)? {
            let Some(inlet) = inlets.get(target) else {
                bail!("the dead letter object {object} names the stage `{target}`, which the pipeline no longer has");
            };
            // What fails again is about the source message again, whichever event of it was given. It is not counted by
            // itself: the wait for room below would wait for it.
            let claim = Claim::new(source.into(), message.clone(), inlet.budget.charge(0), ticket.clone());
            for event in events {
                tokio::select! {
                    () = inlet.budget.room() => {}
                    result = &mut ended => {
                        broken = Some(exit_of(result?));
                        given.remove(&number);
                        break 'objects;
                    }
                }
                let event = event.unwrap_or_else(|| message.clone());
                let charge = inlet.budget.charge(event.bytes());
                inlet.outlets.send(vec![Claimed { event, claim: claim.clone(), charge }]).await;
            }
            claim.done();
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
    eprintln!("  dead letter objects: {deleted} delivered and deleted, {} kept", kept + passed_over);
    Ok(exit)
}

/// What a stage is given of one source message.
struct Given<'a> {
    target: &'a str,
    /// The source that read the message.
    source: &'a str,
    message: Event,
    /// `None`: the message itself.
    events: Vec<Option<Event>>,
}

/// What to give to which stage.
fn given_of<'a>(letters: &'a Letters, at: Option<&'a str>) -> anyhow::Result<Vec<Given<'a>>> {
    let mut all = Vec::with_capacity(letters.messages.len());
    for (place, MessageLine { source, event: message, .. }) in letters.messages.iter().enumerate() {
        let source = source.as_str();
        let events = match at {
            None => vec![None],
            Some(at) => {
                let of_stage = letters.letters.iter().filter(|(of, letter)| *of == place && letter.stage == at);
                let whole = of_stage.filter(|(_, letter)| letter.part.is_none());
                let events = whole.map(|(_, letter)| letter.event.as_ref().map(StoredEvent::event).transpose());
                events.collect::<Result<_, _>>()?
            }
        };
        all.push(Given { target: at.unwrap_or(source), source, message: message.event()?, events });
    }
    Ok(all)
}
