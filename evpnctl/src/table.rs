//! Tables in the look of FRR: no lines, a header, columns set apart by blanks.
//!
//! A row may carry notes: texts below it that are wrapped and never cut, such as why a session is
//! down and what to do about it.
//!
//! **A table fits [`WIDTH`] columns**: columns that may give way are cut with an ellipsis.

use crate::text::{WIDTH, cut, hang, wrap};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Width};

/// Blanks between columns.
const GAP: u16 = 2;
/// Blanks before a note.
const NOTE_INDENT: usize = 4;
/// The longest address that stands beside its row: every IPv4 one, and IPv6 ones as people choose
/// them.
const ADDRESS_WIDTH: usize = 22;
/// The width that a column which may give way keeps.
const LEAST: u16 = 4;

/// How a column behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// A word or an identity: shown whole.
    Word(&'static str),
    /// A number: shown whole, set to the right.
    Number(&'static str),
    /// A text that gives way where there is no room.
    Text(&'static str),
    /// An address, in the first column only: a long one stands on a line of its own.
    Address(&'static str),
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Word(title) | Self::Number(title) | Self::Text(title) | Self::Address(title) => {
                title
            }
        }
    }
}

/// A table.
pub(crate) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<([String; N], Vec<String>)>,
}

impl<const N: usize> Table<N> {
    /// A table of these columns.
    pub(crate) const fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push((cells, Vec::new()));
    }

    /// Adds a note below the last row.
    pub(crate) fn note(&mut self, text: &str) {
        if let Some((_, notes)) = self.rows.last_mut() {
            notes.extend(wrap(text, NOTE_INDENT));
        }
    }

    /// Adds a note below the last row that says what to do.
    pub(crate) fn remedy(&mut self, text: &str) {
        if let Some((_, notes)) = self.rows.last_mut() {
            notes.extend(remedy_lines(text, NOTE_INDENT));
        }
    }

    /// Adds lines below the last row that fit already.
    pub(crate) fn lines_below(&mut self, lines: Vec<String>) {
        if let Some((_, notes)) = self.rows.last_mut() {
            notes.extend(lines);
        }
    }

    /// The table as text; each line ends in a line feed.
    pub(crate) fn render(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_width(u16::try_from(WIDTH).unwrap_or(u16::MAX));
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(one_line(self.columns.map(|column| column.title().to_owned())));
        for (cells, _) in &self.rows {
            let mut cells = cells.clone();
            if let Some(long) = cells.first_mut().filter(|cell| self.is_long(cell)) {
                long.clear();
            }
            table.add_row(one_line(cells));
        }
        let widths = self.widths(&table.column_max_content_widths());
        for (index, (kind, width)) in self.columns.iter().zip(widths).enumerate() {
            let Some(column) = table.column_mut(index) else { continue };
            let gap = if index + 1 == N { 0 } else { GAP };
            column.set_padding((0, gap));
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + gap)));
            if matches!(kind, Column::Number(_)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = String::new();
        let mut lines = table.lines();
        let mut push = |line: &str| {
            text.push_str(&cut(line.trim_end(), WIDTH));
            text.push('\n');
        };
        push(&lines.next().unwrap_or_default());
        for (line, (cells, notes)) in lines.zip(&self.rows) {
            if let Some(long) = cells.first().filter(|cell| self.is_long(cell)) {
                push(long);
            }
            push(&line);
            notes.iter().for_each(|note| push(note));
        }
        text
    }

    /// Whether the first cell of a row does not stand beside the others.
    fn is_long(&self, first: &str) -> bool {
        matches!(self.columns.first(), Some(Column::Address(_)))
            && first.chars().count() > ADDRESS_WIDTH
    }

    /// The width of each column: its content's, unless the whole is too wide; then the widest of
    /// those that may give way gives way.
    fn widths(&self, content: &[u16]) -> Vec<u16> {
        let mut widths = content.to_vec();
        let gaps = u16::try_from(N.saturating_sub(1)).unwrap_or(u16::MAX).saturating_mul(GAP);
        let room = u16::try_from(WIDTH).unwrap_or(u16::MAX).saturating_sub(gaps);
        while widths.iter().map(|width| usize::from(*width)).sum::<usize>() > usize::from(room) {
            let soft = widths.iter_mut().zip(&self.columns);
            let soft = soft.filter(|(w, c)| matches!(c, Column::Text(_)) && **w > LEAST);
            match soft.max_by_key(|(width, _)| **width) {
                Some((width, _)) => *width -= 1,
                None => break,
            }
        }
        widths
    }
}

/// What to do, set apart from what is the matter.
pub(crate) fn remedy_lines(text: &str, indent: usize) -> Vec<String> {
    hang(&format!("{}-> ", " ".repeat(indent)), indent + 3, text)
}

fn one_line<const N: usize>(cells: [String; N]) -> Row {
    let mut row = Row::from(cells.to_vec());
    row.max_height(1);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_and_gives_way_only_where_it_may() {
        let word = "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe";
        let mut table =
            Table::new([Column::Word("Neighbor"), Column::Text("Name"), Column::Number("Routes")]);
        table.row([word.into(), "n".repeat(200), "1048576".into()]);
        table.note(&"why ".repeat(60));
        let text = table.render();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains(word) && text.contains("1048576") && text.contains('…'), "{text}");
        assert_eq!(text.matches("why").count(), 60);
    }

    #[test]
    fn a_long_address_is_shown_whole_on_a_line_of_its_own() {
        let long = "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe";
        let mut table = Table::new([Column::Address("Neighbor"), Column::Text("Name")]);
        table.row(["10.0.0.2".into(), "spine1".into()]);
        table.row([long.into(), "spine2".into()]);
        let expected = format!("Neighbor  Name\n10.0.0.2  spine1\n{long}\n          spine2\n");
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn an_empty_table_is_its_header() {
        let table = Table::new([Column::Word("VNI"), Column::Text("Type")]);
        assert_eq!(table.render(), "VNI  Type\n");
    }

    #[test]
    fn words_beyond_all_room_are_cut_at_the_edge() {
        let mut table = Table::new([Column::Word("A"), Column::Word("B")]);
        table.row(["a".repeat(90), "b".repeat(90)]);
        assert!(table.render().lines().all(|line| line.chars().count() <= WIDTH));
    }
}
