//! Recorded traces and executions: `ACCOUNT/REGION/executions/*.json`, each as `DescribeExecution` answers,
//! `ACCOUNT/REGION/traces/*.json`, each as `BatchGetTraces` answers or one of its `Traces`, and where it is there
//! `ACCOUNT/REGION/state-machines.json`, the list as the capability has it.
//!
//! Files may come, change and go while it is read. The `Date` of an answer is when its file was last changed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::accounts::Where;
use super::bound::XrayError;
use super::executions::{Arn, of_express};
use super::traces::{absent, time};
use super::{Answer, Error, ExecutionQuery, Page, Place, SummaryQuery, Temporary, TraceQuery};

/// A folder of recorded traces.
pub struct Folder {
    path: PathBuf,
    /// Files that were read, so that only those that changed are read again.
    read: Mutex<BTreeMap<PathBuf, Arc<File>>>,
}

/// A file as it was read.
struct File {
    /// When it was last changed, and its size.
    state: (SystemTime, u64),
    /// As it is, since numbers do not come out of a parsed value as they went in.
    json: String,
    value: Value,
}

/// How much of a description `ListExecutions` has too.
const LISTED: [&str; 11] = [
    "executionArn",
    "stateMachineArn",
    "stateMachineVersionArn",
    "stateMachineAliasArn",
    "name",
    "status",
    "startDate",
    "stopDate",
    "mapRunArn",
    "redriveCount",
    "redriveDate",
];

/// Items of a page.
const PAGE: usize = 1000;

const NANOS: u64 = 1_000_000_000;

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Folder, XrayError> {
        match fs::read_dir(path) {
            Ok(_) => Ok(Folder { path: path.to_owned(), read: Mutex::default() }),
            Err(error) => Err(XrayError::NoFolder { folder: path.display().to_string(), reason: error.to_string() }),
        }
    }

    pub(crate) fn places(&self) -> Vec<Result<Place, Error>> {
        let is_account = |name: &String| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit());
        let accounts = folders(&self.path).into_iter().filter(is_account);
        let places = accounts.flat_map(|account| {
            let regions = folders(&self.path.join(&account)).into_iter();
            regions.map(move |region| Ok(Place { account: account.clone(), region }))
        });
        places.collect()
    }

    pub(super) fn describe_executions(&self, executions: &[String]) -> Vec<Result<Answer, Error>> {
        let mut looked = Looked::new(self, "executions");
        let describe = |arn: &String| {
            let parsed = Arn::parse(arn)?;
            if parsed.is_undescribed() {
                return Err(of_express());
            }
            let (account, region) = parsed.place();
            let files = looked.files(&Place { account, region })?;
            let described = files.iter().find(|file| text(&file.value, "executionArn") == Some(arn));
            let not_found = || Error::NotFound(format!("there is no execution {arn}"));
            described.map(|file| Answer { json: file.json.clone(), date: file.date() }).ok_or_else(not_found)
        };
        executions.iter().map(describe).collect()
    }

    pub(super) fn state_machines(&self, places: &[Place]) -> Vec<Result<Answer, Error>> {
        let list = |place: &Place| {
            let listed = self.place(place)?.join("state-machines.json");
            if listed.exists() {
                let file = self.file(&listed).ok_or_else(unreadable)?;
                return Ok(Answer { json: file.json.clone(), date: file.date() });
            }
            let executions = self.files(place, "executions")?;
            let mut machines: BTreeMap<&str, Value> = BTreeMap::new();
            for arn in executions.iter().filter_map(|file| text(&file.value, "stateMachineArn")) {
                let name = arn.rsplit(':').next().unwrap_or_default();
                let machine = json!({"stateMachineArn": arn, "name": name, "type": "STANDARD", "creationDate": 0});
                machines.insert(arn, machine);
            }
            let machines = Value::Array(machines.into_values().collect());
            Ok(Answer { json: machines.to_string(), date: self.date(&executions) })
        };
        places.iter().map(list).collect()
    }

    pub(super) fn executions(&self, queries: &[ExecutionQuery]) -> Vec<Result<Page, Error>> {
        let list = |query: &ExecutionQuery| {
            let (account, region) = Arn::parse(&query.state_machine)?.place();
            let files = self.files(&Place { account, region }, "executions")?;
            let is_one = |file: &&Arc<File>| {
                text(&file.value, "stateMachineArn") == Some(query.state_machine.as_str())
                    && text(&file.value, "status") == Some(query.status.as_str())
            };
            let mut executions: Vec<&Value> = files.iter().filter(is_one).map(|file| &file.value).collect();
            executions.sort_by(|a, b| moment(b).total_cmp(&moment(a)));
            let items = executions.into_iter().map(|execution| {
                let fields = LISTED.iter().filter_map(|key| Some(((*key).to_owned(), execution.get(*key)?.clone())));
                Value::Object(fields.collect())
            });
            page(items.collect(), query.next.as_deref(), self.date(&files))
        };
        queries.iter().map(list).collect()
    }

    pub(super) fn trace_summaries(&self, queries: &[SummaryQuery]) -> Vec<Result<Page, Error>> {
        let list = |query: &SummaryQuery| {
            let files = self.files(&query.place, "traces")?;
            let window = query.after / NANOS..=query.before / NANOS;
            let words = quoted(query.filter.as_deref().unwrap_or_default());
            let mut found: Vec<(u64, Value)> = files
                .iter()
                .flat_map(|file| traces(&file.value))
                .filter_map(|trace| Some((time(text(trace, "Id")?)?, trace)))
                .filter(|(time, trace)| window.contains(time) && holds(trace, &words))
                .map(|(time, trace)| (time, summary(time, trace)))
                .collect();
            found.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
            let items = found.into_iter().map(|(_, summary)| summary).collect();
            page(items, query.next.as_deref(), self.date(&files))
        };
        queries.iter().map(list).collect()
    }

    pub(super) fn traces(&self, queries: &[TraceQuery]) -> Vec<Result<Answer, Error>> {
        let mut looked = Looked::new(self, "traces");
        let find = |query: &TraceQuery| {
            if time(&query.id).is_none() {
                return Err(Error::Permanent(format!("{:?} is no id of a trace", query.id)));
            }
            let found = looked.files(&query.place)?.iter().find_map(|file| {
                let index = traces(&file.value).iter().position(|trace| text(trace, "Id") == Some(&query.id))?;
                Some(Answer { json: file.trace(index), date: file.date() })
            });
            found.ok_or_else(|| absent(&query.id).for_guest())
        };
        queries.iter().map(find).collect()
    }

    /// The folder of a place.
    fn place(&self, place: &Place) -> Result<PathBuf, Error> {
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let folder = self.path.join(&place.account).join(&place.region);
        if is_name(&place.account) && is_name(&place.region) && folder.is_dir() {
            return Ok(folder);
        }
        let Place { account, region } = place;
        Err(Error::Permanent(format!("the account {account} in {region} is not one of those that are granted")))
    }

    /// The files of one kind, by name. One that cannot be read is passed over: it may be just written.
    fn files(&self, place: &Place, kind: &str) -> Result<Vec<Arc<File>>, Error> {
        let folder = self.place(place)?.join(kind);
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        Ok(paths.iter().filter_map(|path| self.file(path)).collect())
    }

    fn file(&self, path: &Path) -> Option<Arc<File>> {
        let metadata = path.metadata().ok()?;
        let state = (metadata.modified().unwrap_or(UNIX_EPOCH), metadata.len());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = read.get(path)
            && file.state == state
        {
            return Some(file.clone());
        }
        let parsed = fs::read_to_string(path).map_err(|error| error.to_string()).and_then(|json| {
            let value = serde_json::from_str(&json).map_err(|error| error.to_string())?;
            Ok((json, value))
        });
        match parsed {
            Ok((json, value)) => {
                let file = Arc::new(File { state, json, value });
                read.insert(path.to_owned(), file.clone());
                Some(file)
            }
            Err(error) => {
                tracing::warn!("the recorded file {} cannot be read: {error}", path.display());
                None
            }
        }
    }

    /// Of a list of what is in some files: when the last of them changed.
    fn date(&self, files: &[Arc<File>]) -> u64 {
        let of_folder = || self.path.metadata().and_then(|metadata| metadata.modified()).map(nanos).unwrap_or_default();
        files.iter().map(|file| file.date()).max().unwrap_or_else(of_folder)
    }
}

/// The files of one kind that a call looked at: of each place once.
struct Looked<'f> {
    folder: &'f Folder,
    kind: &'static str,
    files: BTreeMap<Where, Vec<Arc<File>>>,
}

impl<'f> Looked<'f> {
    fn new(folder: &'f Folder, kind: &'static str) -> Looked<'f> {
        Looked { folder, kind, files: BTreeMap::new() }
    }

    fn files(&mut self, place: &Place) -> Result<&[Arc<File>], Error> {
        match self.files.entry((place.account.clone(), place.region.clone())) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(self.folder.files(place, self.kind)?)),
        }
    }
}

impl File {
    /// One of its traces, as it is.
    fn trace(&self, index: usize) -> String {
        #[derive(Deserialize)]
        struct Traces<'j> {
            #[serde(borrow, rename = "Traces")]
            traces: Vec<&'j RawValue>,
        }
        let trace = serde_json::from_str(&self.json).ok().and_then(|file: Traces<'_>| file.traces.get(index).copied());
        trace.map_or_else(|| self.json.clone(), |trace| trace.get().to_owned())
    }

    fn date(&self) -> u64 {
        nanos(self.state.0)
    }
}

fn folders(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let entries = entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The traces of a file of either form.
fn traces(value: &Value) -> &[Value] {
    match value.get("Traces") {
        Some(Value::Array(traces)) => traces,
        _ => std::slice::from_ref(value),
    }
}

/// One page of the items.
fn page(items: Vec<Value>, next: Option<&str>, date: u64) -> Result<Page, Error> {
    let from = match next {
        Some(next) => next.parse().map_err(|_| Error::Permanent("`next` is not of this host".to_owned()))?,
        None => 0_usize,
    };
    let (count, items) = (items.len(), items.into_iter().skip(from).take(PAGE));
    let json = Value::Array(items.collect()).to_string();
    let to = from.saturating_add(PAGE);
    Ok(Page { json, date, next: (to < count).then(|| to.to_string()) })
}

/// The quoted words of a filter expression. It is not understood: a trace that holds all of them fits.
fn quoted(filter: &str) -> Vec<&str> {
    filter.split('"').skip(1).step_by(2).collect()
}

fn holds(trace: &Value, words: &[&str]) -> bool {
    let documents: Vec<String> = documents(trace).map(|document| document.to_string()).collect();
    words.iter().all(|word| documents.iter().any(|document| document.contains(word)))
}

/// A trace's segments, those that are text as what the text says.
fn documents(trace: &Value) -> impl Iterator<Item = Value> {
    let segments = trace.get("Segments").and_then(Value::as_array).into_iter().flatten();
    segments.filter_map(|segment| match segment.get("Document")? {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    })
}

/// What of a summary can be told from a trace itself.
fn summary(time: u64, trace: &Value) -> Value {
    let documents: Vec<Value> = documents(trace).collect();
    let root = documents.iter().find(|document| document.get("parent_id").is_none());
    let is = |key: &str| root.and_then(|root| root.get(key)).and_then(Value::as_bool).unwrap_or_default();
    let is_partial = documents.iter().any(|document| document.get("in_progress") == Some(&Value::Bool(true)));
    let mut summary = Map::new();
    for key in ["Id", "Duration"] {
        summary.extend(trace.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    summary.insert("StartTime".to_owned(), time.into());
    summary.insert("HasError".to_owned(), is("error").into());
    summary.insert("HasFault".to_owned(), is("fault").into());
    summary.insert("HasThrottle".to_owned(), is("throttle").into());
    summary.insert("IsPartial".to_owned(), is_partial.into());
    summary.insert("Revision".to_owned(), documents.len().into());
    Value::Object(summary)
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

/// What Step Functions sorts executions by: when one ended, or else when it last started.
fn moment(execution: &Value) -> f64 {
    let dates = ["stopDate", "redriveDate", "startDate"].iter();
    dates.filter_map(|key| execution.get(*key)?.as_f64()).next().unwrap_or_default()
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn unreadable() -> Error {
    let reason = "the list of state machines cannot be read".to_owned();
    Error::Temporary(Temporary { reason, after_ms: None })
}
