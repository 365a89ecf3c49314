//! What an operation costs at N, 2N and 4N of history, members, sockets,
//! conversations and instances, as counters say it: statements, rows and pages
//! of the database, bytes of a connection, notices of the bus. A doubling may
//! cost 15 % more at the most. Where a cost is known to follow the size, the
//! test says so in its name and holds it to what it is for each.
//!
//! No figure is a time. Whatever a server does by itself is put off, so that
//! nothing but the operation is counted ([`scene`]); it is done many times, so
//! that a page of an index that splits now and then is shared ([`cost`]).
//!
//! SQLite counts neither statements nor pages where a client could read it, so
//! all of this stands on PostgreSQL.
#![cfg(all(
    feature = "http",
    feature = "sqlite",
    feature = "postgres",
    feature = "redis"
))]

mod conversations;
mod cost;
mod counting_bus;
mod flat;
mod history;
mod instances;
mod members;
mod people;
mod scene;
mod sockets;
mod sweeps;
