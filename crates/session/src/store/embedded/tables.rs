//! The tables of the file. Their names end with the version of their layout.

use bytes::Bytes;
use redb::{ReadableTable, StorageError, Table, TableDefinition, TableError, WriteTransaction};

use crate::SessionId;
use crate::store::rules::{Head, Tables};
use crate::store::{Lease, Life, State, Timestamp, Version};

/// Version, lease, time of writing, end of its time, name of its stream, encoded record.
type Row<'a> = (u64, u64, u64, Option<u64>, Option<&'a str>, &'a [u8]);

/// Session → record.
const RECORDS: TableDefinition<'_, u32, Row<'_>> = TableDefinition::new("records.1");
/// Stream → session.
const STREAMS: TableDefinition<'_, &str, u32> = TableDefinition::new("streams.1");
/// End of its time and session, for each parked one.
const ENDS: TableDefinition<'_, (u64, u32), ()> = TableDefinition::new("ends.1");
/// Lease → node and when it was seen.
const LIVES: TableDefinition<'_, u64, (&str, u64)> = TableDefinition::new("lives.1");
/// The last number that was given.
const NUMBER: TableDefinition<'_, (), u64> = TableDefinition::new("number.1");

/// All tables, open in one transaction.
pub(super) struct RedbTables<'t> {
    records: Table<'t, u32, Row<'static>>,
    streams: Table<'t, &'static str, u32>,
    ends: Table<'t, (u64, u32), ()>,
    lives: Table<'t, u64, (&'static str, u64)>,
    number: Table<'t, (), u64>,
    changed: bool,
}

impl<'t> RedbTables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            streams: transaction.open_table(STREAMS)?,
            ends: transaction.open_table(ENDS)?,
            lives: transaction.open_table(LIVES)?,
            number: transaction.open_table(NUMBER)?,
            changed: false,
        })
    }

    /// Whether there is anything to commit.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }
}

fn read_row(row: Row<'_>) -> (Head, &[u8]) {
    let (version, lease, written, until, stream, record) = row;
    let head = Head {
        version: Version(version),
        lease: Lease(lease),
        written: Timestamp(written),
        state: until.map_or(State::Live, |until| State::Parked {
            until: Timestamp(until),
        }),
        stream: stream.map(str::to_owned),
    };
    (head, record)
}

/// A number of a session as it is in the file; 0, which no session has, is passed over by all readers.
fn session(number: u32) -> Option<SessionId> {
    SessionId::new(number)
}

impl Tables for RedbTables<'_> {
    type Failure = StorageError;

    fn number(&mut self) -> Result<u64, StorageError> {
        let last = self.number.get(())?.map_or(0, |number| number.value());
        let next = last.wrapping_add(1);
        self.changed = true;
        self.number.insert((), next)?;
        Ok(next)
    }

    fn life(&self, lease: Lease) -> Result<Option<Life>, StorageError> {
        let row = self.lives.get(lease.0)?;
        Ok(row.map(|row| {
            let (node, seen) = row.value();
            Life {
                lease,
                node: node.to_owned(),
                seen: Timestamp(seen),
            }
        }))
    }

    fn lives(&self) -> Result<Vec<Life>, StorageError> {
        self.lives
            .iter()?
            .map(|row| {
                let (lease, life) = row?;
                let (node, seen) = life.value();
                Ok(Life {
                    lease: Lease(lease.value()),
                    node: node.to_owned(),
                    seen: Timestamp(seen),
                })
            })
            .collect()
    }

    fn set_life(&mut self, life: &Life) -> Result<(), StorageError> {
        self.changed = true;
        self.lives
            .insert(life.lease.0, (life.node.as_str(), life.seen.0))?;
        Ok(())
    }

    fn drop_life(&mut self, lease: Lease) -> Result<(), StorageError> {
        self.changed = true;
        self.lives.remove(lease.0)?;
        Ok(())
    }

    fn head(&self, id: SessionId) -> Result<Option<Head>, StorageError> {
        let row = self.records.get(id.number())?;
        Ok(row.map(|row| read_row(row.value()).0))
    }

    fn record(&self, id: SessionId) -> Result<Option<(Head, Bytes)>, StorageError> {
        let row = self.records.get(id.number())?;
        Ok(row.map(|row| {
            let (head, record) = read_row(row.value());
            (head, Bytes::copy_from_slice(record))
        }))
    }

    fn records(&self) -> Result<Vec<(SessionId, Head, Bytes)>, StorageError> {
        let mut records = Vec::new();
        for row in self.records.iter()? {
            let (number, row) = row?;
            if let Some(id) = session(number.value()) {
                let (head, record) = read_row(row.value());
                records.push((id, head, Bytes::copy_from_slice(record)));
            }
        }
        Ok(records)
    }

    fn set_record(&mut self, id: SessionId, head: &Head, record: &Bytes) -> Result<(), StorageError> {
        self.changed = true;
        let until = match head.state {
            State::Live => None,
            State::Parked { until } => Some(until.0),
        };
        let row = (
            head.version.0,
            head.lease.0,
            head.written.0,
            until,
            head.stream.as_deref(),
            record.as_ref(),
        );
        self.records.insert(id.number(), row)?;
        Ok(())
    }

    fn drop_record(&mut self, id: SessionId) -> Result<(), StorageError> {
        self.changed = true;
        self.records.remove(id.number())?;
        Ok(())
    }

    fn stream(&self, name: &str) -> Result<Option<SessionId>, StorageError> {
        let number = self.streams.get(name)?;
        Ok(number.and_then(|number| session(number.value())))
    }

    fn set_stream(&mut self, name: &str, id: SessionId) -> Result<(), StorageError> {
        self.changed = true;
        self.streams.insert(name, id.number())?;
        Ok(())
    }

    fn drop_stream(&mut self, name: &str) -> Result<(), StorageError> {
        self.changed = true;
        self.streams.remove(name)?;
        Ok(())
    }

    fn over(&self, now: Timestamp, limit: usize) -> Result<Vec<SessionId>, StorageError> {
        let mut over = Vec::new();
        for row in self.ends.range(..=(now.0, u32::MAX))?.take(limit) {
            let (key, ()) = row.map(|(key, _)| (key, ()))?;
            over.extend(session(key.value().1));
        }
        Ok(over)
    }

    fn set_end(&mut self, until: Timestamp, id: SessionId) -> Result<(), StorageError> {
        self.changed = true;
        self.ends.insert((until.0, id.number()), ())?;
        Ok(())
    }

    fn drop_end(&mut self, until: Timestamp, id: SessionId) -> Result<(), StorageError> {
        self.changed = true;
        self.ends.remove((until.0, id.number()))?;
        Ok(())
    }
}
