//! The SQLite file of a queue.
//!
//! What changes often (who holds a message, since when it is visible) lies apart from the bodies, so that receiving
//! does not write them again. Messages name their holder, a connection, and each connection says from time to time until
//! when it is alive: keeping ten thousand messages invisible is one small write. Messages whose holder is not alive any
//! more are visible again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use serde_json::Value;

use super::bound::QueueError;
use super::outgoing::{self, Sending};
use super::{Backlog, ItemError, Message, Messages, Outgoing};
use crate::pipeline::FileQueueGrant;
use crate::stage::bindings::capability::Error;

/// One connection.
pub(super) struct File {
    connection: Connection,
    path: PathBuf,
    visibility: Duration,
    /// The number of this connection.
    holder: i64,
    /// What message ids begin with: the queue's own random number.
    prefix: String,
}

const SCHEMA: &str = "
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        visible_at INTEGER NOT NULL,
        sent_at INTEGER NOT NULL,
        receive_count INTEGER NOT NULL DEFAULT 0,
        holder INTEGER
    ) STRICT;
    CREATE INDEX waiting ON messages (visible_at, id) WHERE holder IS NULL;
    CREATE INDEX held ON messages (holder) WHERE holder IS NOT NULL;
    CREATE TABLE contents (id INTEGER PRIMARY KEY, attributes TEXT, body BLOB NOT NULL) STRICT;
    CREATE TABLE holders (id INTEGER PRIMARY KEY AUTOINCREMENT, alive_until INTEGER NOT NULL) STRICT;
    CREATE TABLE queue (prefix TEXT NOT NULL) STRICT;
    INSERT INTO queue VALUES (lower(hex(randomblob(4))));
    PRAGMA user_version = 1;
";

/// How long a call waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

impl File {
    pub(super) fn open(grant: &FileQueueGrant) -> Result<File, QueueError> {
        let path = grant.path.clone();
        let failed = |reason: String| QueueError::Failed { queue: path.display().to_string(), reason };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        }
        let connection = Connection::open(&path).map_err(|error| failed(error.to_string()))?;
        let mut file =
            File { connection, path: path.clone(), visibility: grant.visibility, holder: 0, prefix: String::new() };
        file.prepare().map_err(|error| file.error(&error))?;
        Ok(file)
    }

    fn prepare(&mut self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(BUSY)?;
        self.connection.set_prepared_statement_cache_capacity(32);
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        // 32 MiB between checkpoints: under load messages are gone before they are copied to the main file.
        self.connection.pragma_update(None, "wal_autocheckpoint", 8192)?;
        self.connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        match self.connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
            0 => self.connection.execute_batch(SCHEMA)?,
            1 => {}
            _ => return Err(rusqlite::Error::InvalidQuery),
        }
        self.prefix = self.connection.query_row("SELECT prefix FROM queue", [], |row| row.get(0))?;
        self.connection.execute("INSERT INTO holders (alive_until) VALUES (?)", [self.alive_until()])?;
        self.holder = self.connection.last_insert_rowid();
        self.connection.execute_batch("COMMIT")
    }

    /// Begins a transaction. One that is not durable may be undone by a loss of power (not by the end of a process)
    /// until a durable one follows; it costs no wait for the disk.
    pub(super) fn begin(&self, durable: bool) -> Result<(), QueueError> {
        let synchronous = if durable { "FULL" } else { "NORMAL" };
        self.call(|connection| {
            connection.pragma_update(None, "synchronous", synchronous)?;
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)
        })
    }

    pub(super) fn commit(&self) -> Result<(), QueueError> {
        self.call(|connection| connection.prepare_cached("COMMIT")?.execute([]).map(drop))
    }

    /// After an error. There may be nothing to roll back.
    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!("{}", self.error(&error));
        }
    }

    /// Whether a `receive` now would find nothing. Needs no transaction.
    pub(super) fn has_nothing(&self) -> Result<bool, QueueError> {
        let now = now();
        self.call(|connection| {
            let something: bool = connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM messages WHERE holder IS NULL AND visible_at <= ?1)
                         OR EXISTS (SELECT 1 FROM holders WHERE alive_until < ?1 AND id <> ?2)",
                )?
                .query_row(params![now, self.holder], |row| row.get(0))?;
            Ok(!something)
        })
    }

    /// Takes visible messages, oldest first. Those in `held` are taken again without being handed out again.
    pub(super) fn receive(
        &self,
        max_messages: u32,
        max_bytes: u32,
        held: &HashMap<u64, Instant>,
    ) -> Result<Messages, QueueError> {
        let now = now();
        self.call(|connection| {
            self.give_back_of_the_dead(now)?;
            let mut select = connection.prepare_cached(
                "SELECT id, sent_at, receive_count, attributes, body FROM messages JOIN contents USING (id)
                 WHERE holder IS NULL AND visible_at <= ?1 ORDER BY visible_at, id LIMIT ?2",
            )?;
            let mut taken: Vec<i64> = Vec::new();
            let mut messages = Messages { entries: Vec::new(), attrs: String::new(), bodies: Vec::new() };
            let mut rows = select.query(params![now, max_messages])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                let handle = id.unsigned_abs();
                let body = row.get_ref(4)?.as_blob()?;
                let full = !messages.bodies.is_empty() && messages.bodies.len() + body.len() > max_bytes as usize;
                if full {
                    break;
                }
                taken.push(id);
                if held.contains_key(&handle) {
                    continue;
                }
                let attributes = row.get_ref(3)?.as_str_or_null()?;
                self.push_attrs(&mut messages.attrs, id, row.get(1)?, row.get::<_, i64>(2)? + 1, attributes);
                messages.bodies.extend_from_slice(body);
                messages.entries.push(Message {
                    handle,
                    attr_end: end(messages.attrs.len())?,
                    body_end: end(messages.bodies.len())?,
                });
            }
            drop(rows);
            let mut update = connection
                .prepare_cached("UPDATE messages SET holder = ?1, receive_count = receive_count + 1 WHERE id = ?2")?;
            for id in &taken {
                update.execute(params![self.holder, id])?;
            }
            if !taken.is_empty() {
                self.say_alive()?;
            }
            Ok(messages)
        })
    }

    pub(super) fn delete(&self, handles: &[u64]) -> Result<(), QueueError> {
        self.call(|connection| {
            let mut message = connection.prepare_cached("DELETE FROM messages WHERE id = ?")?;
            let mut content = connection.prepare_cached("DELETE FROM contents WHERE id = ?")?;
            for handle in handles {
                message.execute([row_id(*handle)])?;
                content.execute([row_id(*handle)])?;
            }
            Ok(())
        })
    }

    /// Makes messages visible that this connection still holds.
    pub(super) fn release(&self, handles: &[u64]) -> Result<(), QueueError> {
        let now = now();
        self.call(|connection| {
            let mut update = connection
                .prepare_cached("UPDATE messages SET holder = NULL, visible_at = ?1 WHERE id = ?2 AND holder = ?3")?;
            for handle in handles {
                update.execute(params![now, row_id(*handle), self.holder])?;
            }
            Ok(())
        })
    }

    /// Adds messages whose layout [`outgoing::check`] accepted. Returns those whose attributes are malformed.
    pub(super) fn send(&self, messages: &Outgoing) -> Result<Vec<ItemError>, QueueError> {
        let now = now();
        self.call(|connection| {
            let mut message = connection.prepare_cached("INSERT INTO messages (visible_at, sent_at) VALUES (?, ?)")?;
            let mut content =
                connection.prepare_cached("INSERT INTO contents (id, attributes, body) VALUES (?, ?, ?)")?;
            let mut errors = Vec::new();
            for (index, attrs, body) in outgoing::iter(messages) {
                let sending = match Sending::parse(attrs) {
                    Ok(sending) => sending,
                    Err(reason) => {
                        errors.push(ItemError { index, error: Error::Permanent(reason) });
                        continue;
                    }
                };
                let delay_ms = i64::try_from(sending.delay_secs * 1000).unwrap_or(i64::MAX);
                message.execute([now.saturating_add(delay_ms), now])?;
                let id = connection.last_insert_rowid();
                let attributes =
                    (!sending.attributes.is_empty()).then(|| Value::Object(sending.attributes).to_string());
                content.execute(params![id, attributes, body])?;
            }
            Ok(errors)
        })
    }

    pub(super) fn depth(&self) -> Result<Backlog, QueueError> {
        let now = now();
        self.call(|connection| {
            let mut count = connection.prepare_cached(
                "SELECT (SELECT count(*) FROM messages WHERE holder IS NULL AND visible_at <= ?1),
                        (SELECT count(*) FROM messages WHERE holder IS NOT NULL),
                        (SELECT count(*) FROM messages WHERE holder IS NULL AND visible_at > ?1)",
            )?;
            count.query_row([now], |row| {
                let count = |column| row.get(column).map(i64::unsigned_abs);
                Ok(Backlog { visible: count(0)?, invisible: count(1)?, delayed: count(2)? })
            })
        })
    }

    /// Says that this connection is alive, so that what it holds stays invisible.
    pub(super) fn beat(&self) -> Result<(), QueueError> {
        self.call(|_| self.say_alive())
    }

    /// Gives back what this connection holds, at its orderly end.
    pub(super) fn leave(&self) -> Result<(), QueueError> {
        let now = now();
        self.begin(false)?;
        self.call(|connection| {
            let release = "UPDATE messages SET holder = NULL, visible_at = ?1 WHERE holder = ?2";
            connection.execute(release, params![now, self.holder])?;
            connection.execute("DELETE FROM holders WHERE id = ?", [self.holder])
        })?;
        self.commit()
    }

    fn say_alive(&self) -> rusqlite::Result<()> {
        // Another process may have taken this one for dead and removed the row.
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO holders (id, alive_until) VALUES (?, ?)")?
            .execute([self.holder, self.alive_until()])
            .map(drop)
    }

    fn give_back_of_the_dead(&self, now: i64) -> rusqlite::Result<()> {
        let mut dead =
            self.connection.prepare_cached("SELECT id FROM holders WHERE alive_until < ? AND id <> ? LIMIT 1")?;
        while let Some(holder) = dead.query_row([now, self.holder], |row| row.get::<_, i64>(0)).optional()? {
            self.connection
                .prepare_cached("UPDATE messages SET holder = NULL, visible_at = ?1 WHERE holder = ?2")?
                .execute([now, holder])?;
            self.connection.prepare_cached("DELETE FROM holders WHERE id = ?")?.execute([holder])?;
        }
        Ok(())
    }

    fn push_attrs(&self, attrs: &mut String, id: i64, sent_at: i64, receive_count: i64, attributes: Option<&str>) {
        use std::fmt::Write;
        let sent_at = Timestamp::from_millisecond(sent_at).unwrap_or_default();
        let prefix = &self.prefix;
        // Into a string: it cannot fail. Nothing here needs escaping.
        let _ =
            write!(attrs, r#"{{"message_id":"{prefix}-{id}","sent_at":"{sent_at:.3}","receive_count":{receive_count}"#);
        if let Some(attributes) = attributes {
            let _ = write!(attrs, r#","attributes":{attributes}"#);
        }
        attrs.push('}');
    }

    fn alive_until(&self) -> i64 {
        now().saturating_add(i64::try_from(self.visibility.as_millis()).unwrap_or(i64::MAX))
    }

    fn call<T>(&self, call: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, QueueError> {
        call(&self.connection).map_err(|error| self.error(&error))
    }

    fn error(&self, error: &rusqlite::Error) -> QueueError {
        let queue = self.path.display().to_string();
        match error {
            rusqlite::Error::SqliteFailure(code, _)
                if matches!(code.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) =>
            {
                QueueError::Busy { queue }
            }
            rusqlite::Error::InvalidQuery => {
                QueueError::Failed { queue, reason: "it was made by a later version of this host".to_owned() }
            }
            error => QueueError::Failed { queue, reason: error.to_string() },
        }
    }
}

fn end(length: usize) -> rusqlite::Result<u32> {
    u32::try_from(length).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn row_id(handle: u64) -> i64 {
    i64::try_from(handle).unwrap_or(i64::MAX)
}

/// Milliseconds since the epoch: processes share a clock, not a start.
fn now() -> i64 {
    Timestamp::now().as_millisecond()
}
