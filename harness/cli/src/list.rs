//! `list`: prints a table of the cases.

use reclaimdep::Result;
use reclaimdep_fixtures::cases;

use crate::table::Table;

/// The table: id, shape, eras and title of every case.
pub(crate) fn list() -> Result<String> {
    let mut table = Table::new(["case", "shape", "eras", "title"]);
    for case in cases()? {
        let eras = case.expect.iter().map(|row| row.era.name()).collect::<Vec<_>>().join(" ");
        table.row([case.id, case.shape, eras, case.title]);
    }
    Ok(table.to_string())
}
