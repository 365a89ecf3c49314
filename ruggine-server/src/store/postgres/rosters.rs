//! Who is in a conversation, and changes of that.

use ruggine_core::api::conversation::Role;
use ruggine_core::{ConversationId, Seq, UserId};
use sqlx::postgres::PgConnection;
use sqlx::types::Uuid;

use super::errors::store_error;
use super::messages::{insert_notice, record_batch};
use super::rows::{Columns, all, integer, key, keys, limit, optional};
use super::transaction::End;
use crate::store::{
    BatchId, ChangeRoster, MemberEffect, MemberRecord, NewRow, Roster, RosterOutcome, RosterUser,
    RosterView, StoreError, StoreResult,
};

pub(super) async fn members(
    connection: &mut PgConnection,
    id: ConversationId,
    after: Option<UserId>,
    most: usize,
) -> StoreResult<(u64, Vec<MemberRecord>)> {
    let version = version(connection, id).await?.unwrap_or(0);
    let rows = sqlx::query(
        "SELECT u.*, m.role, m.from_seq,
                coalesce((SELECT max(delivered) FROM device_cursors d
                          WHERE d.conv_id = m.conv_id AND d.user_id = m.user_id), 0) AS delivered,
                coalesce((SELECT seq FROM read_positions r
                          WHERE r.user_id = m.user_id AND r.conv_id = m.conv_id), 0) AS read_seq
         FROM members m JOIN users u ON u.user_id = m.user_id
         WHERE m.conv_id = $1 AND m.user_id > $2 AND m.until_seq IS NULL
         ORDER BY m.user_id LIMIT $3",
    )
    .bind(key(id.as_bytes()))
    .bind(after.map_or(Uuid::nil(), |user| key(user.as_bytes())))
    .bind(limit(most))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let members = all("members", &rows, |columns| {
        Ok(MemberRecord {
            user: columns.user()?,
            role: columns.role()?.unwrap_or(Role::Unknown),
            from_seq: columns.seq("from_seq")?,
            delivered: columns.seq("delivered")?,
            read: columns.seq("read_seq")?,
        })
    })?;
    Ok((version, members))
}

pub(super) async fn view(
    connection: &mut PgConnection,
    id: ConversationId,
    users: &[UserId],
) -> StoreResult<Option<RosterView>> {
    let row = sqlx::query(
        "SELECT kind, mode, roster_version, member_count,
                (SELECT count(*) FROM members m WHERE m.conv_id = c.conv_id
                 AND m.until_seq IS NULL AND m.role = 'owner') AS owner_count
         FROM conversations c WHERE conv_id = $1",
    )
    .bind(key(id.as_bytes()))
    .fetch_optional(&mut *connection)
    .await
    .map_err(store_error)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let rows = sqlx::query(
        "SELECT u.user_id,
                (SELECT role FROM members m WHERE m.conv_id = $1 AND m.user_id = u.user_id
                 AND m.until_seq IS NULL) AS role,
                (SELECT count(*) FROM members m WHERE m.user_id = u.user_id
                 AND m.until_seq IS NULL) AS conversations
         FROM users u WHERE u.user_id = ANY($2)",
    )
    .bind(key(id.as_bytes()))
    .bind(keys(users.iter().map(UserId::as_bytes)))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let users = all("members", &rows, |columns| {
        Ok(RosterUser {
            id: columns.id("user_id")?,
            role: columns.role()?,
            conversations: columns.count("conversations")?,
        })
    })?;
    let columns = Columns::of("conversations", &row);
    Ok(Some(RosterView {
        kind: columns.kind()?,
        mode: columns.mode()?,
        version: columns.number("roster_version")?,
        member_count: columns.count("member_count")?,
        owner_count: columns.count("owner_count")?,
        users,
    }))
}

pub(super) async fn roster(
    connection: &mut PgConnection,
    id: ConversationId,
) -> StoreResult<Option<Roster>> {
    let row = sqlx::query("SELECT roster_version, last_seq FROM conversations WHERE conv_id = $1")
        .bind(key(id.as_bytes()))
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let rows = sqlx::query(
        "SELECT user_id, from_seq FROM members WHERE conv_id = $1 AND until_seq IS NULL",
    )
    .bind(key(id.as_bytes()))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    let columns = Columns::of("conversations", &row);
    Ok(Some(Roster {
        version: columns.number("roster_version")?,
        head: columns.seq("last_seq")?,
        members: all("members", &rows, |columns| {
            Ok((columns.id("user_id")?, columns.seq("from_seq")?))
        })?,
    }))
}

pub(super) async fn change(
    connection: &mut PgConnection,
    change: &ChangeRoster,
    batch: BatchId,
) -> StoreResult<End<RosterOutcome>> {
    let id = change.notice.conversation;
    let version = change.expected_version + 1;
    let joined: i64 = change
        .effects
        .iter()
        .map(|effect| match effect {
            MemberEffect::Add(..) => 1,
            MemberEffect::Remove(_) => -1,
            MemberEffect::SetRole(..) => 0,
        })
        .sum();
    // Whoever waits here for another change sees that one's version.
    let row = sqlx::query(
        "UPDATE conversations SET last_seq = last_seq + 1, roster_version = $2,
                member_count = member_count + $3
         WHERE conv_id = $1 AND roster_version = $4 RETURNING last_seq",
    )
    .bind(key(id.as_bytes()))
    .bind(integer(version))
    .bind(joined)
    .bind(integer(change.expected_version))
    .fetch_optional(&mut *connection)
    .await
    .map_err(store_error)?;
    let Some(seq) = optional("conversations", row.as_ref(), |columns| {
        columns.seq("last_seq")
    })?
    else {
        let own = own_notice(connection, &change.notice).await?;
        return Ok(End::RollBack(own.map_or(RosterOutcome::Conflict, |seq| {
            RosterOutcome::Changed {
                seq,
                version,
                batch,
            }
        })));
    };
    let added: Vec<(UserId, Role)> = change
        .effects
        .iter()
        .filter_map(|effect| match effect {
            MemberEffect::Add(user, role) => Some((*user, *role)),
            _ => None,
        })
        .collect();
    begin_stays(connection, id, &added, seq).await?;
    for effect in &change.effects {
        apply(connection, id, *effect, seq).await?;
    }
    insert_notice(connection, &change.notice, seq).await?;
    record_batch(connection, batch, &[(id, seq)], change.notice.server_ts).await?;
    Ok(End::Commit(RosterOutcome::Changed {
        seq,
        version,
        batch,
    }))
}

/// The number of a notice, if an attempt whose answer was lost has written it.
async fn own_notice(connection: &mut PgConnection, notice: &NewRow) -> StoreResult<Option<Seq>> {
    let row = sqlx::query(
        "SELECT seq FROM messages WHERE conv_id = $1 AND device_id = $2 AND client_msg_id = $3",
    )
    .bind(key(notice.conversation.as_bytes()))
    .bind(key(notice.device.as_bytes()))
    .bind(key(notice.client_msg_id.as_bytes()))
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    optional("messages", row.as_ref(), |columns| columns.seq("seq"))
}

async fn version(connection: &mut PgConnection, id: ConversationId) -> StoreResult<Option<u64>> {
    let row = sqlx::query("SELECT roster_version FROM conversations WHERE conv_id = $1")
        .bind(key(id.as_bytes()))
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    optional("conversations", row.as_ref(), |columns| {
        columns.number("roster_version")
    })
}

pub(super) async fn begin_stays(
    connection: &mut PgConnection,
    id: ConversationId,
    members: &[(UserId, Role)],
    from: Seq,
) -> StoreResult<()> {
    if members.is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = members.iter().map(|(_, role)| role.as_str()).collect();
    sqlx::query(
        "INSERT INTO members (conv_id, from_seq, user_id, role)
         SELECT $1, $2, joining.user_id, joining.role
         FROM unnest($3::uuid[], $4::text[]) AS joining (user_id, role)",
    )
    .bind(key(id.as_bytes()))
    .bind(integer(from.get()))
    .bind(keys(members.iter().map(|(user, _)| user.as_bytes())))
    .bind(roles)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}

async fn apply(
    connection: &mut PgConnection,
    id: ConversationId,
    effect: MemberEffect,
    seq: Seq,
) -> StoreResult<()> {
    let statement = match effect {
        MemberEffect::Add(..) => return Ok(()),
        MemberEffect::Remove(user) => sqlx::query(
            "UPDATE members SET until_seq = $3
             WHERE conv_id = $1 AND user_id = $2 AND until_seq IS NULL",
        )
        .bind(key(id.as_bytes()))
        .bind(key(user.as_bytes()))
        .bind(integer(seq.get())),
        MemberEffect::SetRole(user, role) => sqlx::query(
            "UPDATE members SET role = $3
             WHERE conv_id = $1 AND user_id = $2 AND until_seq IS NULL",
        )
        .bind(key(id.as_bytes()))
        .bind(key(user.as_bytes()))
        .bind(role.as_str()),
    };
    let changed = statement.execute(connection).await.map_err(store_error)?;
    if changed.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Refused(
            "the roster was judged without this member".into(),
        ))
    }
}
