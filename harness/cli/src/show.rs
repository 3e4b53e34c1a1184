//! `show`: a case as text, and as a page with a picture of each variant.

use reclaimdep::kernel::report::write_file;
use reclaimdep::{Error, Result};

use crate::args::ShowArgs;
use crate::chosen::chosen;

/// The text of the case; writes the page where `args` asks for it.
///
/// # Errors
/// If there is no such case or variant, or the page cannot be written.
pub(crate) fn show(args: &ShowArgs) -> Result<String> {
    let chosen = chosen(std::slice::from_ref(&args.case))?;
    let mut texts = Vec::new();
    for chosen in &chosen {
        let variant = args.variant.as_deref();
        if let Some(variant) = variant {
            chosen.case.known_variant(variant)?;
        }
        texts.push(chosen.case.to_text(variant));
    }
    if let Some(path) = &args.html {
        let [chosen] = &chosen[..] else {
            return Err(Error::input("--html is about one case").advice("name a file"));
        };
        write_file(path, &chosen.case.to_html(args.variant.as_deref()))?;
    }
    Ok(texts.join("\n"))
}
