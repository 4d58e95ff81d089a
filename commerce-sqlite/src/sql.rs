//! SQL text and its binds, put together piece by piece.

use sqlx::{Arguments as _, AssertSqlSafe, Encode, SqlSafeStr as _, SqlStr, Sqlite, Type, sqlite::SqliteArguments};

/// One or more statements with their values. The text is made of this crate's own literals only; values are always bound.
#[derive(Default)]
pub(crate) struct Sql {
    text: String,
    args: SqliteArguments,
}

impl Sql {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), args: SqliteArguments::default() }
    }

    /// For statements put together from many pieces.
    pub(crate) fn with_capacity(text: usize) -> Self {
        Self { text: String::with_capacity(text), args: SqliteArguments::default() }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A value for the next `?`.
    pub(crate) fn bind<'q, T: Encode<'q, Sqlite> + Type<Sqlite> + 'q>(&mut self, value: T) -> &mut Self {
        // Integers, floats, text and blobs always encode; the conversions that may fail aren't used in this crate.
        let encoded = self.args.add(value);
        debug_assert!(encoded.is_ok(), "{encoded:?}");
        self
    }

    /// `(?, ?), (?, ?)`: so many rows of so many values.
    pub(crate) fn rows(&mut self, rows: usize, columns: usize) -> &mut Self {
        for row in 0..rows {
            self.text.push_str(if row == 0 { "(" } else { ", (" });
            self.marks(columns);
            self.text.push(')');
        }
        self
    }

    /// `?, ?, ?`
    pub(crate) fn marks(&mut self, count: usize) -> &mut Self {
        for n in 0..count {
            self.text.push_str(if n == 0 { "?" } else { ", ?" });
        }
        self
    }

    pub(crate) fn into_parts(self) -> (SqlStr, SqliteArguments) {
        (AssertSqlSafe(self.text).into_sql_str(), self.args)
    }
}
