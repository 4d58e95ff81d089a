//! States that change by the moves of a table, and by no other.

/// A state machine, given as the table of its moves.
pub trait State: Copy + Eq + std::fmt::Debug + Send + Sync + 'static {
    /// Which state may follow which.
    const TRANSITIONS: &'static [(Self, Self)];

    /// Whether `next` may follow. Staying is always possible.
    fn may_become(self, next: Self) -> bool {
        self == next || Self::TRANSITIONS.contains(&(self, next))
    }

    /// Moves on.
    ///
    /// # Errors
    /// [`InvalidTransition`] if the table doesn't have the move.
    fn transition_to(&mut self, next: Self) -> Result<(), InvalidTransition> {
        if self.may_become(next) {
            *self = next;
            Ok(())
        } else {
            Err(InvalidTransition { from: format!("{self:?}"), to: format!("{next:?}") })
        }
    }
}

/// A move that isn't in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is {from} can't become {to}")]
pub struct InvalidTransition {
    /// The present state.
    pub from: String,
    /// The state that was asked for.
    pub to: String,
}
