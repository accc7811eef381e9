//! Tables in pages: a limit and a token to go on from.
//!
//! **A table that does not change between two requests is read without a gap and without a
//! repetition.** One that does change may miss or repeat what moved, and nothing else: the token
//! names a key, not a position.

use serde::{Deserialize, Serialize};

/// Items of a page where the request does not say: 500.
pub const DEFAULT_LIMIT: usize = 500;

/// Items of a page at most; a larger request gets this many. A page is one slice of engine time.
pub const MAX_LIMIT: usize = 2_000;

/// One page of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items, in the table's order.
    pub items: Vec<T>,
    /// The token for the next page; none where this is the last. Opaque to whoever reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// How many items the whole table has under the request's filter, where that is known without
    /// counting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// A table that fits one page.
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None, total: None }
    }

    /// Fills a page from what stands *after* the cursor's key, in the table's order. `row` turns a
    /// key into its item, and is called for items of this page only; `token` names the last one.
    pub fn fill<K>(
        rest: impl IntoIterator<Item = K>,
        limit: usize,
        row: impl Fn(&K) -> T,
        token: impl Fn(&K) -> String,
    ) -> Self {
        let mut rest = rest.into_iter();
        let mut items = Vec::new();
        let mut last = None;
        for key in rest.by_ref().take(limit.clamp(1, MAX_LIMIT)) {
            items.push(row(&key));
            last = Some(key);
        }
        let more = rest.next().is_some();
        let next_cursor = last.filter(|_| more).map(|key| token(&key));
        Self { items, next_cursor, total: None }
    }
}

/// The number of items to return for what a request asked: never none, never more than
/// [`MAX_LIMIT`].
pub fn effective_limit(asked: Option<u32>) -> usize {
    let asked = asked.and_then(|limit| usize::try_from(limit).ok());
    asked.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_after(table: &[u32], cursor: Option<&str>, limit: usize) -> Page<u32> {
        let after: Option<u32> = cursor.map(|token| token.parse().unwrap());
        let rest = table.iter().copied().filter(|key| after.is_none_or(|after| *key > after));
        Page::fill(rest, limit, |key| *key, u32::to_string)
    }

    #[test]
    fn an_unchanged_table_is_read_without_gap_or_repetition() {
        let table: Vec<u32> = (0..23).map(|n| n * 3).collect();
        for limit in 1..=25 {
            let mut read = Vec::new();
            let mut cursor = None;
            loop {
                let page = page_after(&table, cursor.as_deref(), limit);
                assert!(page.items.len() <= limit);
                read.extend(page.items);
                match page.next_cursor {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            assert_eq!(read, table, "limit {limit}");
        }
    }

    #[test]
    fn the_last_page_carries_no_cursor_even_when_it_is_full() {
        assert_eq!(page_after(&[1, 2, 3], None, 3).next_cursor, None);
        assert_eq!(page_after(&[], None, 3), Page::whole(vec![]));
    }

    #[test]
    fn a_limit_is_never_none_and_never_beyond_the_maximum() {
        assert_eq!(effective_limit(None), DEFAULT_LIMIT);
        assert_eq!(effective_limit(Some(0)), 1);
        assert_eq!(effective_limit(Some(u32::MAX)), MAX_LIMIT);
    }
}
