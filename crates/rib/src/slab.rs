//! Rows with small, stable, reusable numbers.
//!
//! **A number names its row from `insert` to `remove`, and no other row in between.**

/// A vector with holes that are filled again, lowest memory first.
#[derive(Debug)]
pub struct Slab<T> {
    rows: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts a row in and tells its number; none when 2^32 - 1 rows are in use.
    pub fn insert(&mut self, row: T) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            *self.rows.get_mut(number as usize)? = Some(row);
            return Some(number);
        }
        let number = u32::try_from(self.rows.len()).ok().filter(|n| *n < u32::MAX)?;
        self.rows.push(Some(row));
        Some(number)
    }

    /// Takes the row out.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let row = self.rows.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(row)
    }

    /// The row.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.rows.get(number as usize)?.as_ref()
    }

    /// The row, to change it.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.rows.get_mut(number as usize)?.as_mut()
    }

    /// Every row with its number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = self.rows.iter().enumerate();
        numbered.filter_map(|(n, row)| Some((u32::try_from(n).ok()?, row.as_ref()?)))
    }

    /// Every row, ascending, to change it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().filter_map(Option::as_mut)
    }

    /// Rows in use.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// Whether no row is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
