//! Columns for people.

pub(super) use wharfinger_view::plain;

/// A table with a head; each column as wide as its widest cell.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(str::len);
    for row in rows {
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
