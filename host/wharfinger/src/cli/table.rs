//! Columns for people.

pub(super) use wharfinger_view::plain;

/// A table with a head; each column as wide as its widest cell. What stands in a cell may have come from
/// anywhere: it is no more than letters on a line.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let mut widths = head.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let first = line(&head.map(str::to_owned), &widths);
    rows.iter().fold(first, |text, row| text + &line(row, &widths))
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<_> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    padded.join("  ").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_stands_in_a_cell_stays_on_its_line() {
        let rows = [["a\nb\u{1b}[31m".to_owned(), "c".to_owned()]];
        let table = super::table(["ONE", "TWO"], &rows);
        assert_eq!(table.lines().count(), 2, "{table:?}");
        assert!(!table.contains('\u{1b}'), "{table:?}");
    }
}
