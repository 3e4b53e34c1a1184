//! The forms of the values inside an event.
//!
//! Key type: [`Coded`]. Numbers and words of the vocabulary stand as they are; a source line and a
//! word of the code under test are numbers of declarations; a mask stands in the kernel's own
//! words, because the positions of its bits are no promise.

use core::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::declared::{Declared, Numbers};
use crate::error::{Errno, Result};
use crate::event::{
    AllocOutcome, Entered, Fact, Gfp, ItemId, Layer, LayerRef, Levels, LockId, LockMode, Misuse,
    Op, Origin, PointId, PoolId, Prime, QueueId, ReclaimKind, ReclaimTarget, RequestId, Resource,
    ScopeKind, ScopeRef, ShrinkPass, ShrinkerId, Site, TaskFlags, TaskId, TaskKind, WaitId,
    WaitOutcome, WorkId,
};
use crate::units::{Pages, Sectors};
use reclaimdep_scope::{Depth, ReclaimContext, Superblock};

/// A value with a form in a file.
pub(super) trait Coded: Copy {
    /// What stands in the file.
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
    bool, u32, u64, Option<u64>, Option<TaskId>, Option<Errno>, TaskId, LockId, QueueId, RequestId, WorkId,
    ShrinkerId, PointId, PoolId, WaitId, ItemId, Resource, LockMode, WaitOutcome, Op, ReclaimKind, AllocOutcome, TaskKind,
    Pages, Sectors, Levels, ShrinkPass, Option<bool>, Fact, ReclaimTarget,
}

/// A value that stands as one of a few words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<T>(T);

/// How a value is said in a word.
pub(super) trait Spoken: fmt::Display {
    fn hear(word: &str) -> Option<Self>
    where
        Self: Sized;
}

impl Spoken for Gfp {
    fn hear(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl Spoken for Misuse {
    fn hear(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|misuse| misuse.name() == word)
    }
}

impl<T: fmt::Display> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: Spoken> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hear<T>(core::marker::PhantomData<T>);
        impl<T: Spoken> Visitor<'_> for Hear<T> {
            type Value = Word<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Word<T>, E> {
                T::hear(word)
                    .map(Word)
                    .ok_or_else(|| E::custom(format_args!("`{word}` is not known here")))
            }
        }
        deserializer.deserialize_str(Hear(core::marker::PhantomData))
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

/// How a scope came to be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum How {
    Held,
    Permanent,
    Inherited,
    OnBehalf(u32, u32),
}

impl Coded for Entered {
    type Form = How;
    fn encode(self, _: &mut Numbers) -> How {
        match self {
            Self::Held => How::Held,
            Self::Permanent => How::Permanent,
            Self::Inherited => How::Inherited,
            Self::OnBehalf(ScopeRef { task, seq }) => How::OnBehalf(task, seq),
        }
    }
    fn decode(form: How, _: &mut Declared) -> Result<Self> {
        Ok(match form {
            How::Held => Self::Held,
            How::Permanent => Self::Permanent,
            How::Inherited => Self::Inherited,
            How::OnBehalf(task, seq) => Self::OnBehalf(ScopeRef { task, seq }),
        })
    }
}

/// What a scope forbids: its name, and what its name does not say.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
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
    type Form = Kind;
    fn encode(self, numbers: &mut Numbers) -> Kind {
        match self {
            Self::Nofs => Kind::Nofs,
            Self::Noio => Kind::Noio,
            Self::Noreclaim => Kind::Noreclaim,
            Self::Pin => Kind::Pin,
            Self::Nowait => Kind::Nowait,
            Self::Kswapd => Kind::Kswapd,
            Self::Forbid(layers) => {
                Kind::Forbid(layers.iter().map(|layer| numbers.text(layer.name())).collect())
            }
            Self::Context(ReclaimContext { superblock, depth, private }) => {
                let depth = match depth {
                    Depth::Known(depth) => Some(depth),
                    Depth::Unknown => None,
                };
                Kind::Context(superblock.0, depth, private)
            }
        }
    }
    fn decode(form: Kind, declared: &mut Declared) -> Result<Self> {
        Ok(match form {
            Kind::Nofs => Self::Nofs,
            Kind::Noio => Self::Noio,
            Kind::Noreclaim => Self::Noreclaim,
            Kind::Pin => Self::Pin,
            Kind::Nowait => Self::Nowait,
            Kind::Kswapd => Self::Kswapd,
            Kind::Forbid(layers) => Self::Forbid(declared.layers(&layers)?),
            Kind::Context(superblock, depth, private) => Self::Context(ReclaimContext {
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
pub(super) enum Claim {
    Begin,
    Enter(Word<Gfp>),
    Leave,
    End,
}

impl Coded for Prime {
    type Form = Claim;
    fn encode(self, _: &mut Numbers) -> Claim {
        match self {
            Self::Begin => Claim::Begin,
            Self::Enter(mask) => Claim::Enter(Word(mask)),
            Self::Leave => Claim::Leave,
            Self::End => Claim::End,
        }
    }
    fn decode(form: Claim, _: &mut Declared) -> Result<Self> {
        Ok(match form {
            Claim::Begin => Self::Begin,
            Claim::Enter(Word(mask)) => Self::Enter(mask),
            Claim::Leave => Self::Leave,
            Claim::End => Self::End,
        })
    }
}
