//! Reading a page by its plan. Both backends share this, so that they cannot
//! disagree on where a page ends.

use ruggine_core::Seq;
use ruggine_core::api::message::PageStart;

use super::{PageItem, PageQuery, Segment, StoreResult, StoredRow};

/// Reads ranges of one log.
pub(super) trait Ranges: Send {
    /// Rows `from..=to`, ascending, at most `limit`.
    fn ascending(
        &mut self,
        from: Seq,
        to: Seq,
        limit: u32,
    ) -> impl Future<Output = StoreResult<Vec<StoredRow>>> + Send;

    /// Rows `from..=to`, descending, at most `limit`.
    fn descending(
        &mut self,
        from: Seq,
        to: Seq,
        limit: u32,
    ) -> impl Future<Output = StoreResult<Vec<StoredRow>>> + Send;
}

/// Reads what a plan says, up to the bytes that the query allows.
pub(super) async fn read_page(
    log: &mut impl Ranges,
    query: &PageQuery,
    plan: Vec<Segment>,
) -> StoreResult<Vec<PageItem>> {
    match query.start {
        PageStart::After(_) => forward(log, query, plan).await,
        PageStart::Before(_) | PageStart::Newest => backward(log, query, plan).await,
    }
}

async fn forward(
    log: &mut impl Ranges,
    query: &PageQuery,
    plan: Vec<Segment>,
) -> StoreResult<Vec<PageItem>> {
    let mut items = Vec::new();
    let mut budget = Budget::new(query.bytes_max);
    for segment in plan {
        let (from, to) = match segment {
            Segment::Hole(from, to) => {
                items.push(PageItem::Hole(from, to));
                continue;
            }
            Segment::Rows(from, to) => (from, to),
        };
        for row in log.ascending(from, to, query.rows_max).await? {
            if !budget.admits(&row) {
                return Ok(items);
            }
            items.push(PageItem::Row(row));
        }
    }
    Ok(items)
}

async fn backward(
    log: &mut impl Ranges,
    query: &PageQuery,
    plan: Vec<Segment>,
) -> StoreResult<Vec<PageItem>> {
    let mut items = Vec::new();
    let mut budget = Budget::new(query.bytes_max);
    'plan: for segment in plan.into_iter().rev() {
        let (from, to) = match segment {
            Segment::Hole(from, to) => {
                items.push(PageItem::Hole(from, to));
                continue;
            }
            Segment::Rows(from, to) => (from, to),
        };
        for row in log.descending(from, to, query.rows_max).await? {
            if !budget.admits(&row) {
                break 'plan;
            }
            items.push(PageItem::Row(row));
        }
    }
    items.reverse();
    Ok(items)
}

/// Bytes that a page may still take. The first row always fits.
struct Budget {
    left: usize,
    used: bool,
}

impl Budget {
    const fn new(bytes: usize) -> Self {
        Self {
            left: bytes,
            used: false,
        }
    }

    fn admits(&mut self, row: &StoredRow) -> bool {
        let fits = row.body.len() <= self.left || !self.used;
        self.used = true;
        self.left = self.left.saturating_sub(row.body.len());
        fits
    }
}
