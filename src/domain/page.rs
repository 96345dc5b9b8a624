//! Pages of long lists.

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Whether another page follows.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// An empty page.
    pub const EMPTY: Self = Self { items: Vec::new(), has_more: false };

    /// Returns how many items to read for a page: one more shows whether another page follows.
    pub const fn read_limit(limit: u32) -> u32 {
        limit.saturating_add(1)
    }

    /// Makes a page of items that were read with [`Self::read_limit`].
    pub fn new(mut items: Vec<T>, limit: u32) -> Self {
        let has_more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Self { items, has_more }
    }

    /// Returns the last item if another page follows: the next page begins after it.
    pub fn last_before_next(&self) -> Option<&T> {
        self.items.last().filter(|_| self.has_more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_item_means_another_page() {
        assert_eq!(Page::<u8>::read_limit(2), 3);
        for (items, kept, next) in [(vec![], 0, None), (vec![1, 2], 2, None), (vec![1, 2, 3], 2, Some(&2))] {
            let page = Page::new(items, 2);
            assert_eq!((page.items.len(), page.last_before_next()), (kept, next));
        }
    }
}
