//! A simulated world: the shop on a store in memory, a gateway that loses calls, processes that die, a clock that is turned.
//! Everything follows from one seed, so that what was found once is found again.

mod actor;
mod invariants;
mod memory;
mod network;
mod op;
mod run;
mod state;
mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use commerce_core::id::IdGenerator;
use uuid::Uuid;

pub use self::{
    memory::MemoryStore,
    network::{Process, SimGateway, Wire},
    run::{Run, run},
    state::{Guard, SharedState},
    world::{Report, simulate},
};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Chance, all of it from one seed (splitmix64). Clones share it.
#[derive(Clone, Debug)]
pub struct Chance(Arc<Mutex<u64>>);

impl Chance {
    /// Chance from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    fn next(&self) -> u64 {
        let mut state = lock(&self.0);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, which isn't 0.
    #[must_use]
    pub fn below(&self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap_or(0)
    }

    /// Whether something of this probability happens, in per mille.
    #[must_use]
    pub fn happens(&self, per_mille: usize) -> bool {
        self.below(1000) < per_mille
    }

    /// One of several.
    pub fn pick<T: Clone>(&self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len())].clone()) }
    }
}

/// How often each thing happened. Clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Coverage(Arc<Mutex<BTreeMap<String, u64>>>);

impl Coverage {
    /// Counts one.
    pub fn hit(&self, what: impl Into<String>) {
        *lock(&self.0).entry(what.into()).or_default() += 1;
    }

    /// All counts.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.0).clone()
    }

    /// How often something happened.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        lock(&self.0).get(what).copied().unwrap_or(0)
    }
}

/// Replayable ids: a counter. Their lower half, from which the engine takes the jitter of its pauses, is always the same and
/// gives no pause.
#[derive(Debug, Default)]
pub struct SimIds(Mutex<u64>);

impl IdGenerator for SimIds {
    fn uuid(&self) -> Uuid {
        // The first multiple of all powers of two and of a thousand, up to the longest pause, that has the variant's bits.
        const LOW: u64 = (1u64 << 63).div_ceil(128_000) * 128_000;
        let mut next = lock(&self.0);
        *next += 1;
        // The version's four bits lie within the upper half.
        let high = (*next >> 12) << 16 | 0x7000 | (*next & 0xFFF);
        Uuid::from_u64_pair(high, LOW)
    }
}

/// [`SimIds`], shared by the processes of one world.
#[derive(Clone, Debug, Default)]
pub struct SharedIds(Arc<SimIds>);

impl IdGenerator for SharedIds {
    fn uuid(&self) -> Uuid {
        self.0.uuid()
    }
}
