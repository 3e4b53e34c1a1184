//! Whether a case makes sense, beyond its words.
use super::place::Source; use super::script::Case; use crate::error::Result;
pub(super) fn check(_case: &Case, _source: &Source<'_>) -> Result<()> { Ok(()) }
