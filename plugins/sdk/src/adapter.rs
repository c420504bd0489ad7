//! Between a component's exports and a stage: what the export macros call.
//!
//! A component has one stage, in a thread-local that the macro declares, since a generic static does not exist. There
//! is one thread and the host never calls while a call runs, so the cell is never borrowed twice.

use std::cell::RefCell;
use std::panic;
use std::thread::LocalKey;

use crate::bindings::processor::Processed;
use crate::bindings::reader::{Reading, Settlement};
use crate::bindings::types::{self, Failure};
use crate::bindings::writer::Exception;
use crate::{Batch, Sink, Source, Transform, context, describe, log, sink, source, transform};

/// Where a component keeps its stage.
pub type Slot<T> = LocalKey<RefCell<Option<T>>>;
/// What it keeps for a source.
pub type RunningSource<T> = source::Running<T>;
/// What it keeps for a transform.
pub type RunningTransform<T> = transform::Running<T>;

pub fn describe_source<T: Source>() -> String {
    report_panics();
    describe::source::<T>().to_string()
}

pub fn describe_transform<T: Transform>() -> String {
    report_panics();
    describe::transform::<T>().to_string()
}

pub fn describe_sink<T: Sink>() -> String {
    report_panics();
    describe::sink::<T>().to_string()
}

pub fn open_source<T: Source>(slot: &'static Slot<RunningSource<T>>, context: &str) -> Result<(), Failure> {
    report_panics();
    let (options, context) = context::parse(context)?;
    slot.set(Some(source::Running::new(T::open(options, &context)?)));
    Ok(())
}

pub fn open_transform<T: Transform>(slot: &'static Slot<RunningTransform<T>>, context: &str) -> Result<(), Failure> {
    report_panics();
    let (options, context) = context::parse(context)?;
    slot.set(Some(transform::Running::new(T::open(options, &context)?)));
    Ok(())
}

pub fn open_sink<T: Sink>(slot: &'static Slot<T>, context: &str) -> Result<(), Failure> {
    report_panics();
    let (options, context) = context::parse(context)?;
    slot.set(Some(T::open(options, &context)?));
    Ok(())
}

pub fn read<T: Source>(slot: &'static Slot<RunningSource<T>>, bytes: u32, wait_ms: u32) -> Result<Reading, Failure> {
    with(slot, |running| Ok(running.read(bytes, wait_ms)?))
}

pub fn settle<T: Source>(slot: &'static Slot<RunningSource<T>>, settlements: Vec<Settlement>) -> Result<(), Failure> {
    let settlements: Vec<_> = settlements.into_iter().map(crate::Settlement::from).collect();
    with(slot, |running| Ok(running.stage.settle(&settlements)?))
}

pub fn process<T: Transform>(
    slot: &'static Slot<RunningTransform<T>>,
    batch: types::Batch,
) -> Result<Processed, Failure> {
    let batch = Batch::new(batch).map_err(Failure::Fatal)?;
    with(slot, |running| Ok(running.process(&batch)?))
}

pub fn write<T: Sink>(slot: &'static Slot<T>, batch: types::Batch) -> Result<Vec<Exception>, Failure> {
    let batch = Batch::new(batch).map_err(Failure::Fatal)?;
    with(slot, |stage| Ok(sink::write(stage, &batch)?))
}

pub fn close_source<T: Source>(slot: &'static Slot<RunningSource<T>>) {
    if let Some(mut running) = slot.take() {
        running.stage.close();
    }
}

pub fn close_transform<T: Transform>(slot: &'static Slot<RunningTransform<T>>) {
    if let Some(mut running) = slot.take() {
        running.stage.close();
    }
}

pub fn close_sink<T: Sink>(slot: &'static Slot<T>) {
    if let Some(mut stage) = slot.take() {
        stage.close();
    }
}

fn with<T, R>(slot: &'static Slot<T>, call: impl FnOnce(&mut T) -> Result<R, Failure>) -> Result<R, Failure> {
    slot.with_borrow_mut(|stage| match stage {
        Some(stage) => call(stage),
        None => Err(Failure::Fatal("the stage was called before it was opened".into())),
    })
}

/// A panic is a bare trap on this target: what it says goes to the log first, where the host finds it by its field.
fn report_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(|| "an unknown place".into(), ToString::to_string);
        let message = info.payload_as_str().unwrap_or("no message");
        log::error(&format!("panicked at {place}: {message}"), &[("panic", "true")]);
    }));
}
