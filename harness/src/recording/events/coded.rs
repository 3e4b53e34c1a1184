//! The forms of the values inside an event.
//!
//! Key type: [`Coded`]. Numbers and words of the vocabulary are written as they are; a source line
//! and a word of the code under test are written as numbers of declarations. A mask is written in
//! the kernel's own words, because the positions of its bits differ from release to release.

use core::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::declared::{Declared, Numbers};
use crate::error::{Errno, Result};
use crate::event::{
    Actor, AllocOutcome, Entered, Fact, Gfp, ItemId, Layer, LayerRef, Levels, LockId, LockMode,
    Misuse, Needs, Op, Origin, PointId, PoolId, Prime, QueueId, ReclaimKind, ReclaimTarget,
    RequestId, Resource, ScopeKind, ScopeRef, ShrinkPass, ShrinkerId, Site, TaskFlags, TaskId,
    TaskKind, WaitId, WaitOutcome, WorkId,
};
use crate::units::{Pages, Sectors};
use reclaimdep_scope::{Depth, ReclaimContext, Superblock};

/// A value with a form in a file.
pub(super) trait Coded: Copy {
    /// The form in the file.
    type Form;
    fn encode(self, numbers: &mut Numbers) -> Self::Form;
    fn decode(form: Self::Form, declared: &mut Declared) -> Result<Self>;
}

macro_rules! as_they_are {
    ($($ty:ty),* $(,)?) => {$(
        impl Coded for $ty {
            type Form = Self;
            fn encode(self, _: &mut Numbers) -> Self {
                self
            }
            fn decode(form: Self, _: &mut Declared) -> Result<Self> {
                Ok(form)
            }
        }
    )*};
}

as_they_are! {
    bool, u32, u64, Option<u64>, Option<TaskId>, Option<Errno>, TaskId, LockId, QueueId, RequestId,
    WorkId, ShrinkerId, PointId, PoolId, WaitId, ItemId, Resource, LockMode, WaitOutcome, Op,
    ReclaimKind, AllocOutcome, TaskKind, Actor, Needs,
    Pages, Sectors, Levels, ShrinkPass, Option<bool>, Fact, ReclaimTarget,
}

/// A value that is written as a word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<T>(T);

/// A value whose text form can be read back.
pub(super) trait OneWord: fmt::Display {
    fn from_word(word: &str) -> Option<Self>
    where
        Self: Sized;
}

impl OneWord for Gfp {
    fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl OneWord for Misuse {
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|misuse| misuse.name() == word)
    }
}

impl<T: fmt::Display> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: OneWord> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor<T>(core::marker::PhantomData<T>);
        impl<T: OneWord> Visitor<'_> for WordVisitor<T> {
            type Value = Word<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Word<T>, E> {
                T::from_word(word)
                    .map(Word)
                    .ok_or_else(|| E::custom(format_args!("`{word}` is not known here")))
            }
        }
        deserializer.deserialize_str(WordVisitor(core::marker::PhantomData))
    }
}

macro_rules! as_words {
    ($($ty:ty),*) => {$(
        impl Coded for $ty {
            type Form = Word<Self>;
            fn encode(self, _: &mut Numbers) -> Word<Self> {
                Word(self)
            }
            fn decode(form: Word<Self>, _: &mut Declared) -> Result<Self> {
                Ok(form.0)
            }
        }
    )*};
}

as_words!(Gfp, Misuse);

impl Coded for TaskFlags {
    type Form = u32;
    fn encode(self, _: &mut Numbers) -> u32 {
        self.bits()
    }
    fn decode(form: u32, _: &mut Declared) -> Result<Self> {
        Ok(Self::from_bits_truncate(form))
    }
}

impl Coded for Site {
    type Form = u32;
    fn encode(self, numbers: &mut Numbers) -> u32 {
        numbers.site(self)
    }
    fn decode(form: u32, declared: &mut Declared) -> Result<Self> {
        declared.site(form)
    }
}

impl Coded for &'static str {
    type Form = u32;
    fn encode(self, numbers: &mut Numbers) -> u32 {
        numbers.text(self)
    }
    fn decode(form: u32, declared: &mut Declared) -> Result<Self> {
        declared.text(form)
    }
}

impl Coded for LayerRef {
    type Form = (u32, u32);
    fn encode(self, numbers: &mut Numbers) -> (u32, u32) {
        (numbers.text(self.layer.name()), self.instance)
    }
    fn decode((layer, instance): (u32, u32), declared: &mut Declared) -> Result<Self> {
        Ok(Self { layer: Layer::new(declared.text(layer)?), instance })
    }
}

impl Coded for Option<Origin> {
    type Form = Option<(u32, u64)>;
    fn encode(self, numbers: &mut Numbers) -> Self::Form {
        self.map(|origin| (numbers.text(origin.what), origin.item))
    }
    fn decode(form: Self::Form, declared: &mut Declared) -> Result<Self> {
        form.map(|(what, item)| Ok(Origin { what: declared.text(what)?, item })).transpose()
    }
}

impl Coded for Option<Site> {
    type Form = Option<<Site as Coded>::Form>;
    fn encode(self, numbers: &mut Numbers) -> Self::Form {
        self.map(|site| site.encode(numbers))
    }
    fn decode(form: Self::Form, declared: &mut Declared) -> Result<Self> {
        form.map(|site| Site::decode(site, declared)).transpose()
    }
}

/// How a scope was entered.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EnteredForm {
    Held,
    Permanent,
    Inherited,
    OnBehalf(u32, u32),
}

impl Coded for Entered {
    type Form = EnteredForm;
    fn encode(self, _: &mut Numbers) -> EnteredForm {
        match self {
            Self::Held => EnteredForm::Held,
            Self::Permanent => EnteredForm::Permanent,
            Self::Inherited => EnteredForm::Inherited,
            Self::OnBehalf(ScopeRef { task, seq }) => EnteredForm::OnBehalf(task, seq),
        }
    }
    fn decode(form: EnteredForm, _: &mut Declared) -> Result<Self> {
        Ok(match form {
            EnteredForm::Held => Self::Held,
            EnteredForm::Permanent => Self::Permanent,
            EnteredForm::Inherited => Self::Inherited,
            EnteredForm::OnBehalf(task, seq) => Self::OnBehalf(ScopeRef { task, seq }),
        })
    }
}

/// The kind of a scope: its name, and the data of kinds that have some.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ScopeForm {
    Nofs,
    Noio,
    Noreclaim,
    Pin,
    Nowait,
    Kswapd,
    Forbid(Vec<u32>),
    /// Superblock, depth where it is known, the owner's own value.
    Context(u32, Option<u32>, u64),
}

impl Coded for ScopeKind {
    type Form = ScopeForm;
    fn encode(self, numbers: &mut Numbers) -> ScopeForm {
        match self {
            Self::Nofs => ScopeForm::Nofs,
            Self::Noio => ScopeForm::Noio,
            Self::Noreclaim => ScopeForm::Noreclaim,
            Self::Pin => ScopeForm::Pin,
            Self::Nowait => ScopeForm::Nowait,
            Self::Kswapd => ScopeForm::Kswapd,
            Self::Forbid(layers) => {
                ScopeForm::Forbid(layers.iter().map(|layer| numbers.text(layer.name())).collect())
            }
            Self::Context(ReclaimContext { superblock, depth, private }) => {
                let depth = match depth {
                    Depth::Known(depth) => Some(depth),
                    Depth::Unknown => None,
                };
                ScopeForm::Context(superblock.0, depth, private)
            }
        }
    }
    fn decode(form: ScopeForm, declared: &mut Declared) -> Result<Self> {
        Ok(match form {
            ScopeForm::Nofs => Self::Nofs,
            ScopeForm::Noio => Self::Noio,
            ScopeForm::Noreclaim => Self::Noreclaim,
            ScopeForm::Pin => Self::Pin,
            ScopeForm::Nowait => Self::Nowait,
            ScopeForm::Kswapd => Self::Kswapd,
            ScopeForm::Forbid(layers) => Self::Forbid(declared.layers(&layers)?),
            ScopeForm::Context(superblock, depth, private) => Self::Context(ReclaimContext {
                superblock: Superblock(superblock),
                depth: depth.map_or(Depth::Unknown, Depth::Known),
                private,
            }),
        })
    }
}

/// A step of a claim about order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ClaimForm {
    Begin,
    Enter(Word<Gfp>),
    Leave,
    End,
}

impl Coded for Prime {
    type Form = ClaimForm;
    fn encode(self, _: &mut Numbers) -> ClaimForm {
        match self {
            Self::Begin => ClaimForm::Begin,
            Self::Enter(mask) => ClaimForm::Enter(Word(mask)),
            Self::Leave => ClaimForm::Leave,
            Self::End => ClaimForm::End,
        }
    }
    fn decode(form: ClaimForm, _: &mut Declared) -> Result<Self> {
        Ok(match form {
            ClaimForm::Begin => Self::Begin,
            ClaimForm::Enter(Word(mask)) => Self::Enter(mask),
            ClaimForm::Leave => Self::Leave,
            ClaimForm::End => Self::End,
        })
    }
}
