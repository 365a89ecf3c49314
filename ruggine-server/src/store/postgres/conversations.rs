//! Conversations as users see them, and their creation.

use ruggine_core::api::conversation::ConversationKind;
use ruggine_core::{ConversationId, Seq, UserId};
use sqlx::postgres::PgConnection;
use sqlx::types::Uuid;

use super::PostgresStore;
use super::errors::store_error;
use super::messages::{insert_notice, is_recorded, record_batch};
use super::rosters::{self, begin_stays};
use super::rows::{Columns, all, integer, key, keys, limit, optional};
use super::transaction::{End, Unanswered};
use crate::store::{
    BatchId, ChangeRoster, ConversationRecord, ConversationStore, CreateConversation, MemberRecord,
    Membership, NewConversation, Roster, RosterOutcome, RosterView, StoreError, StoreResult,
};

const FIRST: Seq = Seq::new(1);
const FIRST_VERSION: u64 = 1;

const SELECT_ONE: &str = "WITH mine AS (
         SELECT conv_id, max(coalesce(until_seq, 9223372036854775807)) AS until
         FROM members WHERE user_id = $1 AND conv_id = $2 GROUP BY conv_id)
     SELECT c.conv_id, c.kind, c.mode, c.creator, c.created_at, c.roster_version, c.member_count,
            least(c.last_seq, mine.until) AS head,
            coalesce(r.seq, 0) AS own_read,
            (SELECT role FROM members m
             WHERE m.conv_id = c.conv_id AND m.user_id = $1 AND m.until_seq IS NULL) AS role,
            CASE c.kind WHEN 'direct' THEN
                (SELECT user_id FROM members m
                 WHERE m.conv_id = c.conv_id AND m.user_id <> $1 LIMIT 1) END AS peer
     FROM mine JOIN conversations c ON c.conv_id = mine.conv_id
     LEFT JOIN read_positions r ON r.user_id = $1 AND r.conv_id = c.conv_id";
const SELECT_PAGE: &str = "WITH mine AS (
         SELECT conv_id, max(coalesce(until_seq, 9223372036854775807)) AS until
         FROM members WHERE user_id = $1 AND conv_id > $2
         GROUP BY conv_id ORDER BY conv_id LIMIT $3)
     SELECT c.conv_id, c.kind, c.mode, c.creator, c.created_at, c.roster_version, c.member_count,
            least(c.last_seq, mine.until) AS head,
            coalesce(r.seq, 0) AS own_read,
            (SELECT role FROM members m
             WHERE m.conv_id = c.conv_id AND m.user_id = $1 AND m.until_seq IS NULL) AS role,
            CASE c.kind WHEN 'direct' THEN
                (SELECT user_id FROM members m
                 WHERE m.conv_id = c.conv_id AND m.user_id <> $1 LIMIT 1) END AS peer
     FROM mine JOIN conversations c ON c.conv_id = mine.conv_id
     LEFT JOIN read_positions r ON r.user_id = $1 AND r.conv_id = c.conv_id
     ORDER BY c.conv_id";

impl ConversationStore for PostgresStore {
    async fn create_conversation(&self, new: NewConversation) -> StoreResult<CreateConversation> {
        let batch = super::messages::new_batch()?;
        // One that went unanswered is known again by its batch.
        self.write(
            Unanswered::Repeat,
            &(new, batch),
            |connection, (new, batch)| Box::pin(create(connection, new, *batch)),
        )
        .await
    }

    async fn conversation(
        &self,
        id: ConversationId,
        user: UserId,
    ) -> StoreResult<Option<ConversationRecord>> {
        self.read(&(id, user), |connection, (id, user)| {
            Box::pin(one(connection, *id, *user))
        })
        .await
    }

    async fn conversations(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> StoreResult<Vec<ConversationRecord>> {
        let input = (user, after, limit);
        self.read(&input, |connection, (user, after, limit)| {
            Box::pin(page(connection, *user, *after, *limit))
        })
        .await
    }

    async fn memberships(&self, user: UserId) -> StoreResult<Vec<Membership>> {
        self.read(&user, |connection, user| {
            Box::pin(memberships(connection, *user))
        })
        .await
    }

    async fn conversation_counts(&self, users: Vec<UserId>) -> StoreResult<Vec<(UserId, u32)>> {
        self.read(&users, |connection, users| {
            Box::pin(counts(connection, users))
        })
        .await
    }

    async fn members(
        &self,
        id: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> StoreResult<(u64, Vec<MemberRecord>)> {
        let input = (id, after, limit);
        self.read_at_once(&input, |connection, (id, after, limit)| {
            Box::pin(rosters::members(connection, *id, *after, *limit))
        })
        .await
    }

    async fn roster_view(
        &self,
        id: ConversationId,
        users: Vec<UserId>,
    ) -> StoreResult<Option<RosterView>> {
        self.read_at_once(&(id, users), |connection, (id, users)| {
            Box::pin(rosters::view(connection, *id, users))
        })
        .await
    }

    async fn roster(&self, id: ConversationId) -> StoreResult<Option<Roster>> {
        self.read_at_once(&id, |connection, id| {
            Box::pin(rosters::roster(connection, *id))
        })
        .await
    }

    async fn change_roster(&self, change: ChangeRoster) -> StoreResult<RosterOutcome> {
        let batch = super::messages::new_batch()?;
        // A change that went unanswered is known again by its notice.
        self.write(
            Unanswered::Repeat,
            &(change, batch),
            |connection, (change, batch)| Box::pin(rosters::change(connection, change, *batch)),
        )
        .await
    }
}

async fn create(
    connection: &mut PgConnection,
    new: &NewConversation,
    batch: BatchId,
) -> StoreResult<End<CreateConversation>> {
    if new.kind == ConversationKind::Direct
        && let Some(id) = claim_pair(connection, new).await?
    {
        let earlier = match id == new.id {
            true => earlier(connection, new, batch).await?,
            false => CreateConversation::Existed(id),
        };
        return Ok(End::RollBack(earlier));
    }
    let created = sqlx::query(
        "INSERT INTO conversations
             (conv_id, kind, mode, creator, created_at, last_seq, roster_version, member_count)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(key(new.id.as_bytes()))
    .bind(new.kind.as_str())
    .bind(new.mode.as_str())
    .bind(key(new.notice.sender.as_bytes()))
    .bind(new.notice.server_ts.as_millis())
    .bind(integer(FIRST.get()))
    .bind(integer(FIRST_VERSION))
    .bind(limit(new.members.len()))
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    if created.rows_affected() == 0 {
        return Ok(End::RollBack(earlier(connection, new, batch).await?));
    }
    begin_stays(connection, new.id, &new.members, FIRST).await?;
    insert_notice(connection, &new.notice, FIRST).await?;
    record_batch(connection, batch, &[(new.id, FIRST)], new.notice.server_ts).await?;
    Ok(End::Commit(CreateConversation::Created {
        seq: FIRST,
        batch,
    }))
}

/// Whose the id is that another conversation has.
async fn earlier(
    connection: &mut PgConnection,
    new: &NewConversation,
    batch: BatchId,
) -> StoreResult<CreateConversation> {
    if is_recorded(connection, batch).await? {
        // An attempt whose answer was lost has made it.
        return Ok(CreateConversation::Created { seq: FIRST, batch });
    }
    let row = sqlx::query("SELECT creator, kind, mode FROM conversations WHERE conv_id = $1")
        .bind(key(new.id.as_bytes()))
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    let columns = Columns::of("conversations", &row);
    let creator: UserId = columns.id("creator")?;
    let same =
        creator == new.notice.sender && columns.kind()? == new.kind && columns.mode()? == new.mode;
    Ok(if same {
        CreateConversation::Existed(new.id)
    } else {
        CreateConversation::IdTaken
    })
}

/// Takes a pair and a mode for a conversation, or finds the one that has it.
async fn claim_pair(
    connection: &mut PgConnection,
    new: &NewConversation,
) -> StoreResult<Option<ConversationId>> {
    let [(one, _), (other, _)] = new.members.as_slice() else {
        return Err(StoreError::Refused(
            "a direct conversation has two members".into(),
        ));
    };
    let (low, high) = (one.min(other), one.max(other));
    // Of two who create at once, the second waits here for the first.
    let claimed = sqlx::query(
        "INSERT INTO directs (low_user, high_user, mode, conv_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
    )
    .bind(key(low.as_bytes()))
    .bind(key(high.as_bytes()))
    .bind(new.mode.as_str())
    .bind(key(new.id.as_bytes()))
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    if claimed.rows_affected() > 0 {
        return Ok(None);
    }
    let row = sqlx::query(
        "SELECT conv_id FROM directs WHERE low_user = $1 AND high_user = $2 AND mode = $3",
    )
    .bind(key(low.as_bytes()))
    .bind(key(high.as_bytes()))
    .bind(new.mode.as_str())
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    Columns::of("directs", &row).id("conv_id").map(Some)
}

async fn one(
    connection: &mut PgConnection,
    id: ConversationId,
    user: UserId,
) -> StoreResult<Option<ConversationRecord>> {
    let row = sqlx::query(SELECT_ONE)
        .bind(key(user.as_bytes()))
        .bind(key(id.as_bytes()))
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    optional("conversations", row.as_ref(), record)
}

async fn page(
    connection: &mut PgConnection,
    user: UserId,
    after: Option<ConversationId>,
    most: usize,
) -> StoreResult<Vec<ConversationRecord>> {
    let rows = sqlx::query(SELECT_PAGE)
        .bind(key(user.as_bytes()))
        .bind(after.map_or(Uuid::nil(), |id| key(id.as_bytes())))
        .bind(limit(most))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    all("conversations", &rows, record)
}

async fn memberships(connection: &mut PgConnection, user: UserId) -> StoreResult<Vec<Membership>> {
    let rows = sqlx::query(
        "SELECT c.conv_id, c.roster_version, c.member_count, c.last_seq, m.from_seq
         FROM members m JOIN conversations c ON c.conv_id = m.conv_id
         WHERE m.user_id = $1 AND m.until_seq IS NULL ORDER BY c.conv_id",
    )
    .bind(key(user.as_bytes()))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    all("members", &rows, |columns| {
        Ok(Membership {
            conversation: columns.id("conv_id")?,
            roster_version: columns.number("roster_version")?,
            member_count: columns.count("member_count")?,
            head: columns.seq("last_seq")?,
            from_seq: columns.seq("from_seq")?,
        })
    })
}

async fn counts(
    connection: &mut PgConnection,
    users: &[UserId],
) -> StoreResult<Vec<(UserId, u32)>> {
    let rows = sqlx::query(
        "SELECT u.user_id, (SELECT count(*) FROM members m
                            WHERE m.user_id = u.user_id AND m.until_seq IS NULL) AS conversations
         FROM users u WHERE u.user_id = ANY($1)",
    )
    .bind(keys(users.iter().map(UserId::as_bytes)))
    .fetch_all(connection)
    .await
    .map_err(store_error)?;
    all("members", &rows, |columns| {
        Ok((columns.id("user_id")?, columns.count("conversations")?))
    })
}

fn record(columns: &Columns<'_>) -> StoreResult<ConversationRecord> {
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
