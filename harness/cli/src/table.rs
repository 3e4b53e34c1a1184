//! `Table`: text in columns that line up.

use std::fmt;

use reclaimdep::kernel::error::visible;

/// Rows of cells under a head. The cells are escaped.
pub(crate) struct Table<const COLUMNS: usize>(Vec<[String; COLUMNS]>);

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table that has its head and no rows yet.
    pub(crate) fn new(head: [&str; COLUMNS]) -> Self {
        Self(vec![head.map(str::to_owned)])
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; COLUMNS]) {
        self.0.push(cells.map(|cell| visible(&cell)));
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
        for row in &self.0 {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_column_is_as_wide_as_its_widest_cell() {
        let mut table = Table::new(["case", "tier", "verdict"]);
        table.row(["c01".into(), "model".into(), "found".into()]);
        table.row(["c01-long".into(), "loop".into(), "quiet".into()]);
        expect![[r#"
            case      tier   verdict
            c01       model  found
            c01-long  loop   quiet
        "#]]
        .assert_eq(&table.to_string());
    }
}
