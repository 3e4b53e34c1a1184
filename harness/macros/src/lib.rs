//! `#[reclaimdep::test]`: a test in a world, as sugar over one call of `reclaimdep::rt::run_test`.
//!
//! Use it through the `reclaimdep` crate. The steps are parse (what was written), validate (what it
//! means; every mistake is reported, not only the first) and expand (one `#[test]` for each tier).
//!
//! | module | holds |
//! |---|---|
//! | `parse` | keys and values with their spans, no meaning yet |
//! | `validate` | the keys, their types, the shape of the function |
//! | `known` | the words a key accepts: tiers, eras, codes, kinds of pressure |
//! | `expand` | the functions that come out |

mod expand;
mod known;
mod parse;
mod validate;

use proc_macro::TokenStream;

/// Runs a function as a test in a world, once for each tier.
///
/// The function takes `world: &World`, or nothing; then `World::current()` is the world inside. The
/// second form composes with `rstest`: write `#[rstest]` above and this attribute below.
///
/// | key | values | meaning |
/// |---|---|---|
/// | `tier` | `model`, `native`, `loop`, or several: `tier(model, loop)` | how the world runs; `model` where none is named |
/// | `era` | `"v3.10"`, ... | which kernel's behaviour |
/// | `expect` | `RD04`, or several: `expect(RD02, RD04)` | what must be found; quiet where none is named |
/// | `pressure` | `every_allocation` | which allocations find memory short |
/// | `schedules` | a number above 0 | how many schedules the model tier tries |
/// | `seed` | a number | where its choices start |
///
/// One tier gives a test of the function's name, several a module of that name with a test for each
/// (`loop_` for the tier `loop`).
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::ItemFn);
    match syn::parse(args).and_then(|args| validate::validate(args, &item)) {
        Ok(spec) => expand::expand(&spec, item).into(),
        Err(errors) => expand::failed(&errors, item).into(),
    }
}
