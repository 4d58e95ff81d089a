//! Statements with their parameters.

use std::borrow::Cow;

use sqlx::{Encode, Postgres, Type, postgres::PgArguments};

/// A statement with its parameters, which can be run more than once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql {
    pub text: Cow<'static, str>,
    pub args: PgArguments,
    bound: usize,
    pub mode: Mode,
}

/// How a statement is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Read,
    /// Planned for its parameters each time.
    PlannedAnew,
    /// Takes as long as it takes.
    Unhurried,
    /// Changes rows, and is a transaction of its own.
    Write,
}

impl Mode {
    /// With what its transaction begins, if it needs one. The driver prepares a statement and runs it in two steps: between
    /// them, a pooler lends the server's connection to others, unless a transaction keeps it.
    pub fn begin(self, named: bool) -> Option<&'static str> {
        match self {
            Self::PlannedAnew => {
                Some("BEGIN READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off")
            }
            Self::Unhurried => Some("BEGIN READ ONLY; SET LOCAL statement_timeout = 0"),
            Self::Read if !named => Some("BEGIN READ ONLY"),
            Self::Write if !named => Some("BEGIN"),
            Self::Read | Self::Write => None,
        }
    }
}

impl Sql {
    pub(crate) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Has the statement planned for these parameters each time: for those whose best plan depends on them.
    pub(crate) const fn planned_anew(&mut self) -> &mut Self {
        self.mode = Mode::PlannedAnew;
        self
    }

    /// Gives the statement all the time it takes: for those that go through whole tables, which nobody waits for.
    pub(crate) const fn unhurried(&mut self) -> &mut Self {
        self.mode = Mode::Unhurried;
        self
    }

    /// Says that the statement changes rows.
    pub(crate) const fn writes(&mut self) -> &mut Self {
        self.mode = Mode::Write;
        self
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// Writes the next placeholder and binds its value.
    pub(crate) fn bind<'q, T: Encode<'q, Postgres> + Type<Postgres>>(&mut self, value: T) -> &mut Self {
        use sqlx::Arguments as _;
        self.bound += 1;
        let placeholder = format!("${}", self.bound);
        self.text.to_mut().push_str(&placeholder);
        // A value that can't be encoded (an array of 2^31 items) leaves its placeholder unbound: the server refuses it.
        if self.args.add(value).is_err() {
            tracing::error!(sql = %self.text, "a parameter can't be encoded");
        }
        self
    }

    /// ` AND column = $n`, if there is a value.
    pub(crate) fn and<'q, T: Encode<'q, Postgres> + Type<Postgres>>(
        &mut self,
        condition: &str,
        value: Option<T>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.push(" AND ").push(condition).push(" ").bind(value);
        }
        self
    }

    /// The same statement with something before it.
    pub(crate) fn prefixed(&self, text: &str) -> Self {
        Self { text: format!("{text}{}", self.text).into(), ..self.clone() }
    }
}
