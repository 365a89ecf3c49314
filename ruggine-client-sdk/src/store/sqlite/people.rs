//! People and the rosters that they stand in.

use ruggine_core::api::account::User;
use ruggine_core::api::conversation::Role;
use ruggine_core::api::member::Member;
use ruggine_core::{ConversationId, UserId};
use rusqlite::{Connection, Row, params};

use super::database;
use super::rows::{collect, id, integer, name, seq, text};
use crate::store::{MemberRecord, Position, StoreResult};

pub(super) fn put_user(db: &Connection, user: &User) -> StoreResult<()> {
    db.prepare_cached(
        "INSERT INTO users (user_id, username, display_name) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET username = excluded.username, display_name = excluded.display_name",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            user.id.as_bytes(),
            user.username.as_str(),
            user.display_name.as_str()
        ])
    })
    .map_err(database)?;
    Ok(())
}

pub(super) fn user(db: &Connection, user: UserId) -> StoreResult<Option<User>> {
    let mut statement = db
        .prepare_cached("SELECT * FROM users WHERE user_id = ?1")
        .map_err(database)?;
    let rows = statement.query([user.as_bytes()]).map_err(database)?;
    Ok(collect(rows, read_user)?.pop())
}

fn read_user(row: &Row<'_>) -> StoreResult<User> {
    Ok(User {
        id: id(row, "user_id")?,
        username: name(row, "username")?,
        display_name: name(row, "display_name")?,
    })
}

pub(super) fn put_members(
    db: &Connection,
    conv: ConversationId,
    roster_version: u64,
    members: &[Member],
) -> StoreResult<()> {
    db.execute("DELETE FROM members WHERE conv_id = ?1", [conv.as_bytes()])
        .map_err(database)?;
    for member in members {
        put_user(db, &member.user)?;
        db.prepare_cached(
            "INSERT INTO members (conv_id, user_id, role, delivered, read) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                conv.as_bytes(),
                member.user.id.as_bytes(),
                member.role.as_str(),
                integer(member.delivered.get()),
                integer(member.read.get()),
            ])
        })
        .map_err(database)?;
    }
    db.execute(
        "UPDATE conversations SET members_version = ?2, roster_version = max(roster_version, ?2)
         WHERE conv_id = ?1",
        params![conv.as_bytes(), integer(roster_version)],
    )
    .map_err(database)?;
    Ok(())
}

pub(super) fn members(db: &Connection, conv: ConversationId) -> StoreResult<Vec<MemberRecord>> {
    let mut statement = db
        .prepare_cached(
            "SELECT u.*, m.role, m.delivered, m.read FROM members m
             JOIN users u ON u.user_id = m.user_id WHERE m.conv_id = ?1 ORDER BY u.username",
        )
        .map_err(database)?;
    let rows = statement.query([conv.as_bytes()]).map_err(database)?;
    collect(rows, |row| {
        Ok(MemberRecord {
            user: read_user(row)?,
            role: Role::from_name(&text(row, "role")?),
            delivered: seq(row, "delivered")?,
            read: seq(row, "read")?,
        })
    })
}

pub(super) fn set_position(
    db: &Connection,
    conv: ConversationId,
    user: UserId,
    position: Position,
) -> StoreResult<()> {
    let (statement, seq) = match position {
        Position::Delivered(seq) => (
            "UPDATE members SET delivered = max(delivered, ?3) WHERE conv_id = ?1 AND user_id = ?2",
            seq,
        ),
        Position::Read(seq) => (
            "UPDATE members SET read = max(read, ?3) WHERE conv_id = ?1 AND user_id = ?2",
            seq,
        ),
    };
    db.execute(
        statement,
        params![conv.as_bytes(), user.as_bytes(), integer(seq.get())],
    )
    .map_err(database)?;
    Ok(())
}
