//! WASI 0.2, powerless: ordinary guests need it to start, and reach nothing with it.
//!
//! Clocks and random numbers are real. The environment, the arguments and the list of folders are empty, sockets and
//! lookups are denied, a request through `wasi:http` answers with an error. Standard output and standard error go to the
//! log, line by line. A guest that sleeps spends its own time: no grant limits that.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};
use wasmtime_wasi_io::bindings::wasi::io::poll;
use wasmtime_wasi_io::poll::DynPollable;

use super::State;
use super::log::{Journal, LINE_BYTES, Words};
use crate::stage::bindings::log::Level;
use crate::stage::limits::GuestTime;

/// The WASI state of one instance.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    http: WasiHttpCtx,
    refusal: Refusal,
}

impl Wasi {
    pub(super) fn new(journal: &Journal) -> Wasi {
        let lines = |level| Lines { journal: journal.clone(), level };
        let mut builder = WasiCtx::builder();
        builder.stdout(lines(Level::Info)).stderr(lines(Level::Warn));
        // Denied by default too; said here since much hangs on it.
        builder.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        Wasi { ctx: builder.build(), http: WasiHttpCtx::new(), refusal: Refusal }
    }
}

/// Links all of WASI 0.2 that a default component of any language imports.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    poll::add_to_linker::<State, Waits<'static>>(linker, |state| Waits {
        table: &mut state.table,
        time: &state.time,
        limit: state.call_limit,
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What a guest waits for with WASI's own means: a clock.
struct Waits<'a> {
    table: &'a mut ResourceTable,
    time: &'a GuestTime,
    limit: Duration,
}

impl HasData for Waits<'static> {
    type Data<'a> = Waits<'a>;
}

impl poll::Host for Waits<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.time.count_wait(self.limit, poll::Host::poll(self.table, pollables)).await
    }
}

impl poll::HostPollable for Waits<'_> {
    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.time.count_wait(self.limit, poll::HostPollable::block(self.table, pollable)).await
    }

    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.ctx, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let table: &mut ResourceTable = &mut self.table;
        WasiHttpCtxView { ctx: &mut self.wasi.http, table, hooks: &mut self.wasi.refusal }
    }
}

/// Sends no request.
struct Refusal;

type Answer<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;

impl WasiHttpHooks for Refusal {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _processed: Answer<()>,
    ) -> Answer<(http::Response<WasiBody>, Answer<()>)> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// Standard output or standard error, as lines of the log.
#[derive(Clone)]
struct Lines {
    journal: Journal,
    level: Level,
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    /// At once, not through a task: a trap's reason is made of the last line.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(LineWriter { lines: self.clone(), rest: Vec::new() })
    }

    /// Only WASI 0.3 would call it, and that is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }
}

/// Collects bytes until a line is whole.
struct LineWriter {
    lines: Lines,
    rest: Vec<u8>,
}

impl LineWriter {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.end(),
                byte => self.rest.push(*byte),
            }
            if self.rest.len() >= LINE_BYTES {
                self.end();
            }
        }
    }

    fn end(&mut self) {
        let line = String::from_utf8_lossy(&self.rest).trim_end().to_owned();
        self.rest.clear();
        if line.is_empty() {
            return;
        }
        self.lines.journal.line(self.lines.level, &line);
        if self.lines.level == Level::Warn {
            self.lines.journal.remember(Words::Stderr(line));
        }
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.end();
    }
}

impl OutputStream for LineWriter {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES)
    }
}

impl Pollable for LineWriter {
    fn ready<'s, 'f>(&'s mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(std::future::ready(()))
    }
}
