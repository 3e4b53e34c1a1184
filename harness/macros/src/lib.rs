//! `#[reclaimdep::test]`: a test in a world, as sugar over one call of `reclaimdep::rt::run_test`.
//!
//! Use it through the `reclaimdep` crate. The steps are: parse the arguments, validate them (every
//! mistake is reported, not only the first), and expand the function to one `#[test]` per tier.
//!
//! | module | holds |
//! |---|---|
//! | `parse` | keys and values with their spans, not yet checked |
//! | `validate` | the known keys, their types, the signature of the function |
//! | `known` | the words that keys accept: tiers, eras, codes, kinds of pressure |
//! | `expand` | the generated functions |

mod expand;
mod known;
mod parse;
mod validate;

use proc_macro::TokenStream;

/// Runs a function as a test in a world, once for each tier.
///
/// The function takes `world: &World`, or no argument; then `World::current()` returns the world.
/// The second form works with `rstest`: write `#[rstest]` above this attribute.
///
/// | key | values | meaning |
/// |---|---|---|
/// | `tier` | `model`, `native`, `loop`, or several: `tier(model, loop)` | how the world runs; `model` by default |
/// | `era` | `"v3.10"`, ... | which kernel's behaviour the world has |
/// | `expect` | `RD04`, or several: `expect(RD02, RD04)` | the codes that must be found; by default the run must be quiet |
/// | `pressure` | `every_allocation`; `(every_allocation, optional)` | which allocations find memory short; without `optional`, the test fails where none does |
/// | `schedules` | a number above 0 | how many schedules the model tier runs |
/// | `deadline` | `"200ms"`, `"10s"`, `"0"` for none | how long the run may go without a scheduling point (RD05); 10 s by default |
/// | `task_stack` | a number of bytes | the stack of each task; 1 MiB by default on the model tier |
/// | `seed` | a number | the seed of the choices of the model tier |
///
/// With one tier the test has the function's name. With several, a module of that name has one test
/// for each tier; the test of the tier `loop` is called `loop_`.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::ItemFn);
    match syn::parse(args).and_then(|args| validate::validate(args, &item)) {
        Ok(spec) => expand::expand(&spec, item).into(),
        Err(errors) => expand::failed(&errors, item).into(),
    }
}
