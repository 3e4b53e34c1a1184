//! Stand-in for the world until it lands.
#![allow(missing_docs, clippy::all, clippy::allow_attributes, clippy::allow_attributes_without_reason, unused)]
pub use world::{World, Tier};
pub mod world {
    use crate::{era::*, error::*, inject::*, mm::Mm, sched::*, stack::StackSpec, report::Report, witness::Code};
    use std::str::FromStr;
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    pub enum Tier { Model, Native, Loop }
    impl Tier { pub const ALL: &[Self] = &[Self::Model, Self::Native, Self::Loop]; }
    impl std::fmt::Display for Tier { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(match self { Self::Model => "model", Self::Native => "native", Self::Loop => "loop" }) } }
    impl FromStr for Tier { type Err = Error; fn from_str(t: &str) -> Result<Self> { match t { "model" => Ok(Self::Model), "native" => Ok(Self::Native), "loop" => Ok(Self::Loop), _ => Err(Error::input(format!("unknown tier `{t}`")).advice("use one of model, native, loop")) } } }
    #[derive(Clone)] pub struct World;
    pub struct Builder { tier: Tier }
    impl Builder {
        pub fn name(self, _: &str) -> Self { self } pub fn tier(self, tier: Tier) -> Self { Self { tier } } pub fn era(self, _: Era) -> Self { self }
        pub fn stack(self, _: StackSpec) -> Self { self } pub fn plan(self, _: PlanSpec) -> Self { self } pub fn pressure(self, _: Pressure) -> Self { self }
        pub fn schedules(self, _: u64) -> Self { self } pub fn seed(self, _: u64) -> Self { self } pub fn expect(self, _: &[Code]) -> Self { self } pub fn replay(self, _: Trace) -> Self { self }
        pub fn run(self, body: impl Fn(&World) + Send + Sync + 'static) -> Result<Report> { if self.tier == Tier::Loop { return Err(Error::environment("no loop in the stub")); } let _ = body; Ok(Report::default()) }
    }
    impl World {
        pub fn builder() -> Builder { Builder { tier: Tier::Model } }
        pub fn current() -> Self { Self }
        pub fn spawn<T: Send + 'static>(&self, _: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> { unreachable!() }
        pub fn fs(&self, _: &str) -> crate::fs::Fs { unreachable!() } pub fn bufio(&self, _: &str) -> crate::bufio::Client { unreachable!() } pub fn tier(&self) -> Tier { Tier::Model } pub fn era(&self) -> Era { Era::V3_10 } pub fn mm(&self) -> &Mm { unreachable!() }
    }
}
pub mod witness {
    use crate::error::*;
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)] pub enum Code { RD01, RD02, RD03, RD04, RD05, RD06, RD07, RD08, RD09, RD10, RD11, RD12, RD13 }
    impl Code { pub const ALL: &[Self] = &[Self::RD01, Self::RD02, Self::RD03, Self::RD04, Self::RD05, Self::RD06, Self::RD07, Self::RD08, Self::RD09, Self::RD10, Self::RD11, Self::RD12, Self::RD13];
        pub fn title(self) -> &'static str { "stub" } pub fn meaning(self) -> &'static str { "stub" } }
    impl std::fmt::Display for Code { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(&format!("{self:?}")) } }
    impl std::str::FromStr for Code { type Err = Error; fn from_str(t: &str) -> Result<Self> { Self::ALL.iter().copied().find(|c| format!("{c:?}") == t).ok_or_else(|| Error::input(format!("unknown finding code `{t}`")).advice("use one of RD01 to RD13")) } }
}
pub mod report {
    use crate::witness::Code;
    #[derive(Debug, Default, Clone)] pub struct Report { pub findings: Vec<()>, }
    impl Report { pub fn codes(&self) -> Vec<Code> { Vec::new() } pub fn has(&self, _: Code) -> bool { false } pub fn is_quiet(&self) -> bool { true } pub fn to_text(&self) -> String { String::new() } pub fn to_json(&self) -> String { "{}".into() } }
}
pub mod fs {
    use crate::error::Errno;
    #[derive(Clone)] pub struct Fs; #[derive(Clone, Copy)] pub struct Ino(pub u64); pub struct Tx<'a>(&'a Fs);
    impl Fs { pub fn create(&self, _: &str) -> Result<Ino, Errno> { Ok(Ino(0)) } pub fn lookup(&self, _: &str) -> Result<Ino, Errno> { Ok(Ino(0)) } pub fn write(&self, _: Ino, _: u64, _: &[u8]) -> Result<(), Errno> { Ok(()) } pub fn fsync(&self, _: Ino) -> Result<(), Errno> { Ok(()) } pub fn begin(&self, _: u32) -> Result<Tx<'_>, Errno> { Ok(Tx(self)) } }
    impl Tx<'_> { pub fn commit(self) {} }
}
pub mod bufio {
    use crate::error::Errno;
    #[derive(Clone)] pub struct Client; pub struct Buffer;
    impl Client { pub fn read(&self, _: u64) -> Result<Buffer, Errno> { Ok(Buffer) } pub fn new_block(&self, _: u64) -> Result<Buffer, Errno> { Ok(Buffer) } pub fn write_dirty_buffers(&self) -> Result<(), Errno> { Ok(()) } }
    impl Buffer { pub fn with_data_mut<R>(&self, f: impl FnOnce(&mut [u8]) -> R) -> R { f(&mut []) } pub fn mark_dirty(&self) {} }
}
pub mod rt {
    use crate::{Tier, World, witness::Code};
    pub struct TestSpec { pub name: &'static str, pub file: &'static str, pub line: u32, pub tier: Tier, pub era: Option<&'static str>, pub expect: &'static [Code], pub pressure: bool, pub schedules: Option<u64>, pub seed: Option<u64> }
    #[track_caller] pub fn run_test(_: TestSpec, body: impl Fn(&World) + Send + Sync + 'static) { let _ = body; }
}
