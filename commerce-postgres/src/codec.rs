//! Between Rust and rows: column arrays for UNNEST, enums by their serde names, tables as plain structs.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::{
    Arguments as _, Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgTypeInfo, PgValueRef},
    types::Json,
};
use uuid::Uuid;

/// One column of the rows that a statement takes: bound as an array, or of a single row as a plain value.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    Uuid(Vec<Option<Uuid>>),
    Int(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Json(Vec<Option<Json<serde_json::Value>>>),
    /// The text form of a `tsvector`.
    Document(Vec<Option<String>>),
}

impl Column {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Uuid(cells) => cells.len(),
            Self::Int(cells) => cells.len(),
            Self::Bool(cells) => cells.len(),
            Self::Text(cells) | Self::Document(cells) => cells.len(),
            Self::Bytes(cells) => cells.len(),
            Self::Json(cells) => cells.len(),
        }
    }

    /// The type of a cell, as a cast in SQL.
    pub(crate) const fn sql(&self) -> &'static str {
        match self {
            Self::Uuid(_) => "uuid",
            Self::Int(_) => "bigint",
            Self::Bool(_) => "boolean",
            Self::Text(_) | Self::Document(_) => "text",
            Self::Bytes(_) => "bytea",
            Self::Json(_) => "jsonb",
        }
    }

    /// How a cell becomes what the table keeps.
    pub(crate) const fn cast(&self) -> &'static str {
        match self {
            Self::Document(_) => "::tsvector",
            _ => "",
        }
    }

    pub(crate) fn bind(&self, args: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Uuid(cells) => add(args, cells),
            Self::Int(cells) => add(args, cells),
            Self::Bool(cells) => add(args, cells),
            Self::Text(cells) | Self::Document(cells) => add(args, cells),
            Self::Bytes(cells) => add(args, cells),
            Self::Json(cells) => add(args, cells),
        }
    }

    /// Binds one row's cell.
    pub(crate) fn bind_cell(&self, row: usize, args: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Uuid(cells) => args.add(cells[row]),
            Self::Int(cells) => args.add(cells[row]),
            Self::Bool(cells) => args.add(cells[row]),
            Self::Text(cells) | Self::Document(cells) => args.add(&cells[row]),
            Self::Bytes(cells) => args.add(&cells[row]),
            Self::Json(cells) => args.add(&cells[row]),
        }
    }

    /// Adds another's cells. It is of the same type, being the same column of the same statement.
    pub(crate) fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::Uuid(mine), Self::Uuid(others)) => mine.extend(others),
            (Self::Int(mine), Self::Int(others)) => mine.extend(others),
            (Self::Bool(mine), Self::Bool(others)) => mine.extend(others),
            (Self::Text(mine), Self::Text(others)) | (Self::Document(mine), Self::Document(others)) => {
                mine.extend_from_slice(others);
            }
            (Self::Bytes(mine), Self::Bytes(others)) => mine.extend_from_slice(others),
            (Self::Json(mine), Self::Json(others)) => mine.extend_from_slice(others),
            _ => {}
        }
    }

    pub(crate) fn uuids(cells: impl IntoIterator<Item = Uuid>) -> Self {
        Self::Uuid(cells.into_iter().map(Some).collect())
    }

    pub(crate) fn ints(cells: impl IntoIterator<Item = i64>) -> Self {
        Self::Int(cells.into_iter().map(Some).collect())
    }

    pub(crate) fn texts(cells: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Text(cells.into_iter().map(|cell| Some(cell.into())).collect())
    }
}

fn add<T>(args: &mut PgArguments, cells: &[Option<T>]) -> Result<(), BoxDynError>
where
    T: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType,
{
    match cells {
        [cell] => args.add(cell),
        cells => args.add(cells),
    }
}

/// A type that can stand in a column.
pub(crate) trait Cell: Sized {
    /// Moves the cells of one column into an array.
    fn column(cells: Vec<Self>) -> Column;
}

macro_rules! cells {
    ($($ty:ty => $column:ident),+ $(,)?) => {$(
        impl Cell for $ty {
            fn column(cells: Vec<Self>) -> Column {
                Column::$column(cells.into_iter().map(Some).collect())
            }
        }

        impl Cell for Option<$ty> {
            fn column(cells: Vec<Self>) -> Column {
                Column::$column(cells)
            }
        }
    )+};
}

cells! { Uuid => Uuid, i64 => Int, bool => Bool, String => Text, Vec<u8> => Bytes }

impl<const N: usize> Cell for [u8; N] {
    fn column(cells: Vec<Self>) -> Column {
        Column::Bytes(cells.into_iter().map(|cell| Some(cell.to_vec())).collect())
    }
}

impl<const N: usize> Cell for Option<[u8; N]> {
    fn column(cells: Vec<Self>) -> Column {
        Column::Bytes(cells.into_iter().map(|cell| cell.map(|bytes| bytes.to_vec())).collect())
    }
}

impl<T: Serialize> Cell for Json<T> {
    fn column(cells: Vec<Self>) -> Column {
        Column::Json(cells.into_iter().map(|Json(cell)| Some(to_json(&cell))).collect())
    }
}

impl<T: Serialize> Cell for Option<Json<T>> {
    fn column(cells: Vec<Self>) -> Column {
        Column::Json(cells.into_iter().map(|cell| cell.map(|Json(cell)| to_json(&cell))).collect())
    }
}

// Value objects have string keys and no fallible serialisers: null stands for what can't be.
pub(crate) fn to_json(value: &impl Serialize) -> Json<serde_json::Value> {
    Json(serde_json::to_value(value).unwrap_or_default())
}

/// Search words with their weights, as the text form of a `tsvector`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document(pub String);

impl Type<Postgres> for Document {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }
}

impl Decode<'_, Postgres> for Document {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        <String as Decode<Postgres>>::decode(value).map(Self)
    }
}

impl Cell for Document {
    fn column(cells: Vec<Self>) -> Column {
        Column::Document(cells.into_iter().map(|cell| Some(cell.0)).collect())
    }
}

/// An enum (or currency) that is stored by its serde name.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Name<T>(pub T);

/// The serde name of a plain enum.
pub(crate) fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        // Only plain enums and currencies are stored by name; an empty name can't be read back.
        _ => String::new(),
    }
}

impl<T> Type<Postgres> for Name<T> {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }
    fn compatible(ty: &PgTypeInfo) -> bool {
        <String as Type<Postgres>>::compatible(ty)
    }
}

impl<T: DeserializeOwned> Decode<'_, Postgres> for Name<T> {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let name = <String as Decode<Postgres>>::decode(value)?;
        Ok(Self(serde_json::from_value(serde_json::Value::String(name))?))
    }
}

impl<T: Serialize> Encode<'_, Postgres> for Name<T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<Postgres>>::encode(name_of(&self.0), buffer)
    }
}

impl<T: Serialize> Cell for Name<T> {
    fn column(cells: Vec<Self>) -> Column {
        Column::Text(cells.into_iter().map(|cell| Some(name_of(&cell.0))).collect())
    }
}

/// A quantity: `u32` in core, BIGINT in storage.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Count(pub u32);

impl Type<Postgres> for Count {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }
}

impl Decode<'_, Postgres> for Count {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(<i64 as Decode<Postgres>>::decode(value)?.try_into()?))
    }
}

impl Cell for Count {
    fn column(cells: Vec<Self>) -> Column {
        Column::ints(cells.into_iter().map(|cell| i64::from(cell.0)))
    }
}

/// Rows of a table, as they are written.
pub(crate) trait Table: Sized {
    const NAME: &'static str;
    /// The primary key; the first column is the distribution column.
    const KEY: &'static [&'static str];
    const COLUMNS: &'static [&'static str];
    fn columns(rows: Vec<Self>) -> Vec<Column>;
}

/// Reads a struct from a row, each field from the column of its name. A field with a value takes that where a query doesn't
/// select its column.
macro_rules! from_row {
    ($name:ident { $($field:ident $(= $absent:expr)?),+ $(,)? }) => {
        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $name {
            fn from_row(row: &sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: $crate::codec::from_row!(@read row $field $(= $absent)?)),+ })
            }
        }
    };
    (@read $row:ident $field:ident) => {
        sqlx::Row::try_get($row, stringify!($field))?
    };
    (@read $row:ident $field:ident = $absent:expr) => {
        match sqlx::Row::try_get($row, stringify!($field)) {
            Err(sqlx::Error::ColumnNotFound(_)) => $absent,
            read => read?,
        }
    };
}
pub(crate) use from_row;

/// Declares a table's row: a struct that is read from rows and written as columns.
macro_rules! table {
    (
        $(#[$meta:meta])*
        $name:ident = $table:literal by [$($key:ident),+] {
            $($(#[$field_meta:meta])* $field:ident : $ty:ty $(= $absent:expr)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub(crate) struct $name {
            $($(#[$field_meta])* pub $field: $ty),+
        }

        $crate::codec::from_row!($name { $($field $(= $absent)?),+ });

        impl $crate::codec::Table for $name {
            const NAME: &'static str = $table;
            const KEY: &'static [&'static str] = &[$(stringify!($key)),+];
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];

            fn columns(rows: Vec<Self>) -> Vec<$crate::codec::Column> {
                $(let mut $field = Vec::with_capacity(rows.len());)+
                for row in rows {
                    $($field.push(row.$field);)+
                }
                vec![$(<$ty as $crate::codec::Cell>::column($field)),+]
            }
        }
    };
}
pub(crate) use table;
