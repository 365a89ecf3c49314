//! Conversations and their rosters.

use ruggine_core::api::conversation::{ConversationKind, Role};
use ruggine_core::{ConversationId, Seq, UserId};
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::messages::{insert, record_batch};
use super::rows::{Columns, id_list, integer};
use super::{SqliteStore, store_error};
use crate::store::{
    ChangeRoster, ConversationRecord, ConversationStore, CreateConversation, MemberEffect,
    MemberRecord, Membership, NewConversation, Roster, RosterOutcome, RosterUser, RosterView,
    StoreError, StoreResult,
};

const FIRST: Seq = Seq::new(1);
const FIRST_VERSION: u64 = 1;

const SELECT_FOR_USER: &str = "WITH mine AS (
         SELECT conv_id, max(coalesce(until_seq, 9223372036854775807)) AS until
         FROM members WHERE user_id = ?1 AND conv_id > ?2 AND conv_id <= ?3
         GROUP BY conv_id ORDER BY conv_id LIMIT ?4)
     SELECT c.conv_id, c.kind, c.mode, c.creator, c.created_at, c.roster_version, c.member_count,
            min(c.last_seq, mine.until) AS head,
            coalesce(r.seq, 0) AS own_read,
            (SELECT role FROM members m
             WHERE m.conv_id = c.conv_id AND m.user_id = ?1 AND m.until_seq IS NULL) AS role,
            CASE c.kind WHEN 'direct' THEN
                (SELECT user_id FROM members m
                 WHERE m.conv_id = c.conv_id AND m.user_id <> ?1 LIMIT 1) END AS peer
     FROM mine JOIN conversations c ON c.conv_id = mine.conv_id
     LEFT JOIN read_positions r ON r.user_id = ?1 AND r.conv_id = c.conv_id
     ORDER BY c.conv_id";

impl ConversationStore for SqliteStore {
    async fn create_conversation(&self, new: NewConversation) -> StoreResult<CreateConversation> {
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        if let Some(existing) = existing(&mut tx, &new).await? {
            return Ok(existing);
        }
        if new.kind == ConversationKind::Direct {
            claim_pair(&mut tx, &new).await?;
        }
        sqlx::query(
            "INSERT INTO conversations (conv_id, kind, mode, creator, created_at, last_seq, roster_version, member_count)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )
        .bind(&new.id.as_bytes()[..])
        .bind(new.kind.as_str())
        .bind(new.mode.as_str())
        .bind(&new.notice.sender.as_bytes()[..])
        .bind(new.notice.server_ts.as_millis())
        .bind(integer(FIRST.get()))
        .bind(integer(FIRST_VERSION))
        .bind(i64::try_from(new.members.len()).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await
        .map_err(store_error)?;
        for (user, role) in &new.members {
            begin_stay(&mut tx, new.id, *user, *role, FIRST).await?;
        }
        insert(&mut tx, &new.notice, FIRST).await?;
        let batch = record_batch(&mut tx, &[(new.id, FIRST)], new.notice.server_ts).await?;
        tx.commit().await.map_err(store_error)?;
        let batch = batch.ok_or_else(|| StoreError::Refused("the batch was empty".into()))?;
        Ok(CreateConversation::Created { seq: FIRST, batch })
    }

    async fn conversation(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> StoreResult<Option<ConversationRecord>> {
        let before = predecessor(id);
        let row = sqlx::query(SELECT_FOR_USER)
            .bind(&user.as_bytes()[..])
            .bind(before)
            .bind(&id.as_bytes()[..])
            .bind(1i64)
            .fetch_optional(&self.readers)
            .await
            .map_err(store_error)?;
        row.as_ref().map(conversation).transpose()
    }

    async fn conversations(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<ConversationRecord>> {
        let rows = sqlx::query(SELECT_FOR_USER)
            .bind(&user.as_bytes()[..])
            .bind(after.map_or_else(Vec::new, |id| id.as_bytes().to_vec()))
            .bind(&[0xff; 16][..])
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(store_error)?;
        rows.iter().map(conversation).collect()
    }

    async fn memberships(&self, user: UserId) -> StoreResult<Vec<Membership>> {
        let rows = sqlx::query(
            "SELECT c.conv_id, c.roster_version, c.member_count, c.last_seq, m.from_seq
             FROM members m JOIN conversations c ON c.conv_id = m.conv_id
             WHERE m.user_id = ?1 AND m.until_seq IS NULL ORDER BY c.conv_id",
        )
        .bind(&user.as_bytes()[..])
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                let columns = Columns {
                    table: "members",
                    row,
                };
                Ok(Membership {
                    conversation: columns.id("conv_id")?,
                    roster_version: columns.number("roster_version")?,
                    member_count: columns.count("member_count")?,
                    head: columns.seq("last_seq")?,
                    from_seq: columns.seq("from_seq")?,
                })
            })
            .collect()
    }

    async fn conversation_counts(&self, users: Vec<UserId>) -> StoreResult<Vec<(UserId, u32)>> {
        let rows = sqlx::query(
            "SELECT u.user_id, (SELECT count(*) FROM members m WHERE m.user_id = u.user_id
                                AND m.until_seq IS NULL) AS conversations
             FROM json_each(?1) j JOIN users u ON u.user_id = unhex(j.value)",
        )
        .bind(id_list(users.iter().map(UserId::as_bytes)))
        .fetch_all(&self.readers)
        .await
        .map_err(store_error)?;
        rows.iter()
            .map(|row| {
                let columns = Columns {
                    table: "members",
                    row,
                };
                Ok((columns.id("user_id")?, columns.count("conversations")?))
            })
            .collect()
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<(u64, Vec<MemberRecord>)> {
        // One transaction, so that the version belongs to the rows.
        let mut tx = self.readers.begin().await.map_err(store_error)?;
        let version = roster_version(&mut tx, id).await?.unwrap_or(0);
        let rows = sqlx::query(
            "SELECT u.*, m.role, m.from_seq,
                    coalesce((SELECT max(delivered) FROM device_cursors d
                              WHERE d.conv_id = m.conv_id AND d.user_id = m.user_id), 0) AS delivered,
                    coalesce((SELECT seq FROM read_positions r
                              WHERE r.user_id = m.user_id AND r.conv_id = m.conv_id), 0) AS read_seq
             FROM members m JOIN users u ON u.user_id = m.user_id
             WHERE m.conv_id = ?1 AND m.user_id > ?2 AND m.until_seq IS NULL
             ORDER BY m.user_id LIMIT ?3",
        )
        .bind(&id.as_bytes()[..])
        .bind(after.map_or_else(Vec::new, |user| user.as_bytes().to_vec()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *tx)
        .await
        .map_err(store_error)?;
        let members = rows
            .iter()
            .map(|row| {
                let columns = Columns {
                    table: "members",
                    row,
                };
                Ok(MemberRecord {
                    user: columns.user()?,
                    role: columns.role()?.unwrap_or(Role::Unknown),
                    from_seq: columns.seq("from_seq")?,
                    delivered: columns.seq("delivered")?,
                    read: columns.seq("read_seq")?,
                })
            })
            .collect::<StoreResult<Vec<_>>>()?;
        Ok((version, members))
    }

    async fn roster_view(
        &self,
        id: ConversationId,
        users: Vec<UserId>,
    ) -> StoreResult<Option<RosterView>> {
        let mut tx = self.readers.begin().await.map_err(store_error)?;
        let row = sqlx::query(
            "SELECT kind, mode, roster_version, member_count,
                    (SELECT count(*) FROM members m WHERE m.conv_id = c.conv_id
                     AND m.until_seq IS NULL AND m.role = 'owner') AS owner_count
             FROM conversations c WHERE conv_id = ?1",
        )
        .bind(&id.as_bytes()[..])
        .fetch_optional(&mut *tx)
        .await
        .map_err(store_error)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let columns = Columns {
            table: "conversations",
            row: &row,
        };
        let rows = sqlx::query(
            "SELECT u.user_id,
                    (SELECT role FROM members m WHERE m.conv_id = ?1 AND m.user_id = u.user_id
                     AND m.until_seq IS NULL) AS role,
                    (SELECT count(*) FROM members m WHERE m.user_id = u.user_id
                     AND m.until_seq IS NULL) AS conversations
             FROM json_each(?2) j JOIN users u ON u.user_id = unhex(j.value)",
        )
        .bind(&id.as_bytes()[..])
        .bind(id_list(users.iter().map(UserId::as_bytes)))
        .fetch_all(&mut *tx)
        .await
        .map_err(store_error)?;
        let users = rows
            .iter()
            .map(|row| {
                let columns = Columns {
                    table: "members",
                    row,
                };
                Ok(RosterUser {
                    id: columns.id("user_id")?,
                    role: columns.role()?,
                    conversations: columns.count("conversations")?,
                })
            })
            .collect::<StoreResult<Vec<_>>>()?;
        Ok(Some(RosterView {
            kind: columns.kind()?,
            mode: columns.mode()?,
            version: columns.number("roster_version")?,
            member_count: columns.count("member_count")?,
            owner_count: columns.count("owner_count")?,
            users,
        }))
    }

    async fn roster(&self, id: ConversationId) -> StoreResult<Option<Roster>> {
        let mut tx = self.readers.begin().await.map_err(store_error)?;
        let row =
            sqlx::query("SELECT roster_version, last_seq FROM conversations WHERE conv_id = ?1")
                .bind(&id.as_bytes()[..])
                .fetch_optional(&mut *tx)
                .await
                .map_err(store_error)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let rows = sqlx::query(
            "SELECT user_id, from_seq FROM members WHERE conv_id = ?1 AND until_seq IS NULL",
        )
        .bind(&id.as_bytes()[..])
        .fetch_all(&mut *tx)
        .await
        .map_err(store_error)?;
        let columns = Columns {
            table: "conversations",
            row: &row,
        };
        let members = rows
            .iter()
            .map(|row| {
                let columns = Columns {
                    table: "members",
                    row,
                };
                Ok((columns.id("user_id")?, columns.seq("from_seq")?))
            })
            .collect::<StoreResult<Vec<_>>>()?;
        Ok(Some(Roster {
            version: columns.number("roster_version")?,
            head: columns.seq("last_seq")?,
            members,
        }))
    }

    async fn change_roster(&self, change: ChangeRoster) -> StoreResult<RosterOutcome> {
        let id = change.notice.conversation;
        let mut writing = self.write().await?;
        let mut tx = writing.begin().await?;
        if roster_version(&mut tx, id).await? != Some(change.expected_version) {
            return Ok(RosterOutcome::Conflict);
        }
        let version = change.expected_version + 1;
        let joined = |effect: &MemberEffect| match effect {
            MemberEffect::Add(..) => 1i64,
            MemberEffect::Remove(_) => -1,
            MemberEffect::SetRole(..) => 0,
        };
        let row = sqlx::query(
            "UPDATE conversations SET last_seq = last_seq + 1, roster_version = ?2,
                    member_count = member_count + ?3
             WHERE conv_id = ?1 RETURNING last_seq",
        )
        .bind(&id.as_bytes()[..])
        .bind(integer(version))
        .bind(change.effects.iter().map(joined).sum::<i64>())
        .fetch_one(&mut *tx)
        .await
        .map_err(store_error)?;
        let seq = Columns {
            table: "conversations",
            row: &row,
        }
        .seq("last_seq")?;
        for effect in &change.effects {
            apply(&mut tx, id, *effect, seq).await?;
        }
        insert(&mut tx, &change.notice, seq).await?;
        let batch = record_batch(&mut tx, &[(id, seq)], change.notice.server_ts).await?;
        tx.commit().await.map_err(store_error)?;
        let batch = batch.ok_or_else(|| StoreError::Refused("the batch was empty".into()))?;
        Ok(RosterOutcome::Changed {
            seq,
            version,
            batch,
        })
    }
}

async fn existing(
    connection: &mut SqliteConnection,
    new: &NewConversation,
) -> StoreResult<Option<CreateConversation>> {
    if let Some([low, high]) = pair(new) {
        let row = sqlx::query(
            "SELECT conv_id FROM directs WHERE low_user = ?1 AND high_user = ?2 AND mode = ?3",
        )
        .bind(&low.as_bytes()[..])
        .bind(&high.as_bytes()[..])
        .bind(new.mode.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
        if let Some(row) = row {
            let id = Columns {
                table: "directs",
                row: &row,
            }
            .id("conv_id")?;
            return Ok(Some(CreateConversation::Existed(id)));
        }
    }
    let row = sqlx::query("SELECT creator, kind, mode FROM conversations WHERE conv_id = ?1")
        .bind(&new.id.as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let columns = Columns {
        table: "conversations",
        row: &row,
    };
    let creator: UserId = columns.id("creator")?;
    let same =
        creator == new.notice.sender && columns.kind()? == new.kind && columns.mode()? == new.mode;
    Ok(Some(if same {
        CreateConversation::Existed(new.id)
    } else {
        CreateConversation::IdTaken
    }))
}

/// The two users of a direct conversation, the lower id first.
fn pair(new: &NewConversation) -> Option<[UserId; 2]> {
    match (new.kind, new.members.as_slice()) {
        (ConversationKind::Direct, [(one, _), (other, _)]) => {
            Some([*one.min(other), *one.max(other)])
        }
        _ => None,
    }
}

async fn claim_pair(connection: &mut SqliteConnection, new: &NewConversation) -> StoreResult<()> {
    let Some([low, high]) = pair(new) else {
        return Err(StoreError::Refused(
            "a direct conversation has two members".into(),
        ));
    };
    sqlx::query("INSERT INTO directs (low_user, high_user, mode, conv_id) VALUES (?1, ?2, ?3, ?4)")
        .bind(&low.as_bytes()[..])
        .bind(&high.as_bytes()[..])
        .bind(new.mode.as_str())
        .bind(&new.id.as_bytes()[..])
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

async fn roster_version(
    connection: &mut SqliteConnection,
    id: ConversationId,
) -> StoreResult<Option<u64>> {
    let row = sqlx::query("SELECT roster_version FROM conversations WHERE conv_id = ?1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.map(|row| {
        Columns {
            table: "conversations",
            row: &row,
        }
        .number("roster_version")
    })
    .transpose()
}

async fn begin_stay(
    connection: &mut SqliteConnection,
    id: ConversationId,
    user: UserId,
    role: Role,
    from: Seq,
) -> StoreResult<()> {
    sqlx::query("INSERT INTO members (conv_id, user_id, from_seq, role) VALUES (?1, ?2, ?3, ?4)")
        .bind(&id.as_bytes()[..])
        .bind(&user.as_bytes()[..])
        .bind(integer(from.get()))
        .bind(role.as_str())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

async fn apply(
    connection: &mut SqliteConnection,
    id: ConversationId,
    effect: MemberEffect,
    seq: Seq,
) -> StoreResult<()> {
    let statement = match effect {
        MemberEffect::Add(user, role) => return begin_stay(connection, id, user, role, seq).await,
        MemberEffect::Remove(user) => sqlx::query(
            "UPDATE members SET until_seq = ?3 WHERE conv_id = ?1 AND user_id = ?2 AND until_seq IS NULL",
        )
        .bind(id.as_bytes().to_vec())
        .bind(user.as_bytes().to_vec())
        .bind(integer(seq.get())),
        MemberEffect::SetRole(user, role) => sqlx::query(
            "UPDATE members SET role = ?3 WHERE conv_id = ?1 AND user_id = ?2 AND until_seq IS NULL",
        )
        .bind(id.as_bytes().to_vec())
        .bind(user.as_bytes().to_vec())
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

fn conversation(row: &SqliteRow) -> StoreResult<ConversationRecord> {
    let columns = Columns {
        table: "conversations",
        row,
    };
    Ok(ConversationRecord {
        id: columns.id("conv_id")?,
        kind: columns.kind()?,
        mode: columns.mode()?,
        creator: columns.id("creator")?,
        created_at: columns.time("created_at")?,
        head: columns.seq("head")?,
        roster_version: columns.number("roster_version")?,
        member_count: columns.count("member_count")?,
        role: columns.role()?,
        own_read: columns.seq("own_read")?,
        peer: columns.optional_id("peer")?,
    })
}

/// A blob that sorts before this id and after every smaller one.
fn predecessor(id: ConversationId) -> Vec<u8> {
    let mut bytes = id.as_bytes().to_vec();
    match bytes.pop() {
        Some(last) if last > 0 => bytes.extend([last - 1, 0xff]),
        _ => {}
    }
    bytes
}
