//! Each entity's columns, described once by [`row!`]: how its row is read, and which columns it is written to.
//!
//! A statement gives each row as one JSON array. That is one column to cross the driver's thread boundary instead of twenty, and
//! children come along in the same statement, and so in the same snapshot. The array's items have no names, which makes it fast to
//! read; they can't be mixed up, as the SQL that makes the array and the code that takes it apart come from the same lines, and
//! each item goes into the field it is named after. An entity that gets a field doesn't compile until the field is described.

use std::{fmt, marker::PhantomData};

use commerce_core::{Currency, Money, clock::Timestamp};
use hex::FromHex as _;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, SeqAccess, Visitor},
};
use uuid::Uuid;

use crate::{
    batch::Batch,
    codec::{FromJson, Row, json},
};

/// A kind of column: how it becomes JSON.
pub(crate) trait Cell {
    /// The SQL that gives the column's value.
    fn sql(column: &str) -> String {
        column.to_owned()
    }
}

/// A kind of column that holds values of this type.
pub(crate) trait CellOf<T>: Cell {
    fn read<'de, A: SeqAccess<'de>>(row: &mut A) -> Result<T, A::Error>;

    /// Binds a value for the column.
    fn bind(batch: &mut Batch, value: &T);
}

/// The next item of a row.
pub(crate) fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(row: &mut A) -> Result<T, A::Error> {
    row.next_element()?.ok_or_else(|| A::Error::custom("a row has too few columns"))
}

/// Something that is read from a row and written to one.
pub(crate) trait Entity: Sized {
    /// The columns it is written to.
    fn columns() -> Vec<&'static str>;

    fn read_columns<'de, A: SeqAccess<'de>>(row: &mut A) -> Result<Self, A::Error>;

    /// Binds the values of those of its columns that are wanted, in their order.
    fn bind_columns(&self, batch: &mut Batch, is_wanted: impl Fn(&str) -> bool);
}

impl<T: Entity> FromJson for T {
    fn from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Columns<T>(PhantomData<T>);

        impl<'de, T: Entity> Visitor<'de> for Columns<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<T, A::Error> {
                T::read_columns(&mut row)
            }
        }

        from.deserialize_seq(Columns(PhantomData))
    }
}

/// `row! { fn review() -> Review of "r." { id: Id, … } }`: describes an entity's columns, each named after its field, and declares
/// the function that gives the SQL of its row. Columns are named in that with the prefix. A field that is `= sql` is read by
/// that SQL and not written.
macro_rules! row {
    (
        $(#[$meta:meta])*
        $visible:vis fn $name:ident($($arg:ident: $arg_type:ty),*) -> $entity:ident of $prefix:literal {
            $($field:ident: $cell:ty $(= $sql:expr)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $visible fn $name($($arg: $arg_type),*) -> String {
            let columns = [$($crate::row::row!(@sql $prefix, $field, $cell $(, $sql)?)),+];
            format!("json_array({})", columns.join(", "))
        }

        impl $crate::row::Entity for $entity {
            fn columns() -> Vec<&'static str> {
                let columns: &[Option<&str>] = &[$($crate::row::row!(@column $field $(, $sql)?)),+];
                columns.iter().copied().flatten().collect()
            }

            fn read_columns<'de, A: serde::de::SeqAccess<'de>>(row: &mut A) -> Result<Self, A::Error> {
                Ok(Self { $($field: <$cell as $crate::row::CellOf<_>>::read(row)?),+ })
            }

            fn bind_columns(&self, batch: &mut $crate::batch::Batch, is_wanted: impl Fn(&str) -> bool) {
                $($crate::row::row!(@bind self, batch, is_wanted, $field, $cell $(, $sql)?);)+
            }
        }
    };
    (@sql $prefix:literal, $field:ident, $cell:ty) => {
        <$cell as $crate::row::Cell>::sql(concat!($prefix, stringify!($field)))
    };
    (@sql $prefix:literal, $field:ident, $cell:ty, $sql:expr) => { String::from($sql) };
    (@column $field:ident) => { Some(stringify!($field)) };
    (@column $field:ident, $sql:expr) => { None };
    (@bind $self:ident, $batch:ident, $is_wanted:ident, $field:ident, $cell:ty) => {
        if $is_wanted(stringify!($field)) {
            <$cell as $crate::row::CellOf<_>>::bind($batch, &$self.$field);
        }
    };
    (@bind $self:ident, $batch:ident, $is_wanted:ident, $field:ident, $cell:ty, $sql:expr) => {};
}
pub(crate) use row;

/// All rows of a kind as one list.
pub(crate) fn all(row: &str, order: &str, from: &str) -> String {
    format!("(SELECT json_group_array({row} ORDER BY {order}) FROM {from})")
}

fn hex_or_null(column: &str) -> String {
    format!("iif({column} IS NULL, NULL, hex({column}))")
}

/// An id.
pub(crate) struct Id;
/// An id or NULL.
pub(crate) struct MaybeId;
/// A number, or NULL where the field takes it.
pub(crate) struct Int;
/// A text, or NULL where the field takes it.
pub(crate) struct Text;
/// 0 or 1.
pub(crate) struct Flag;
/// Microseconds, or NULL where the field takes it.
pub(crate) struct Time;
/// An enum by its serde name.
pub(crate) struct Name;
/// 32 bytes.
pub(crate) struct Hash;
/// 32 bytes or NULL.
pub(crate) struct MaybeHash;
/// A JSON document.
pub(crate) struct Json;
/// A JSON document or NULL.
pub(crate) struct MaybeJson;
/// An amount in the currency of an order `o`.
pub(crate) struct OrderMoney;
/// An amount with its currency, which is read only.
pub(crate) struct Amount;
/// Another entity, which is read only.
pub(crate) struct One;
/// A list of other entities, which is read only.
pub(crate) struct Many;

impl Cell for Int {}
impl Cell for Text {}
impl Cell for Flag {}
impl Cell for Time {}
impl Cell for Name {}
impl Cell for Amount {}
impl Cell for One {}
impl Cell for Many {}

impl Cell for Id {
    fn sql(column: &str) -> String {
        format!("hex({column})")
    }
}

impl Cell for MaybeId {
    fn sql(column: &str) -> String {
        hex_or_null(column)
    }
}

impl Cell for Hash {
    fn sql(column: &str) -> String {
        format!("hex({column})")
    }
}

impl Cell for MaybeHash {
    fn sql(column: &str) -> String {
        hex_or_null(column)
    }
}

impl Cell for Json {
    fn sql(column: &str) -> String {
        format!("json({column})")
    }
}

impl Cell for MaybeJson {
    fn sql(column: &str) -> String {
        format!("json({column})")
    }
}

impl Cell for OrderMoney {
    fn sql(column: &str) -> String {
        format!("json_array({column}, o.currency)")
    }
}

/// How the values of a kind of column are read and bound.
macro_rules! cell_of {
    ($cell:ident$([$of:ident: $bound:path])?: $type:ty, read $row:ident => $read:expr, bind $value:ident => $bind:expr) => {
        impl$(<$of: $bound>)? CellOf<$type> for $cell {
            fn read<'de, A: SeqAccess<'de>>($row: &mut A) -> Result<$type, A::Error> {
                Ok($read)
            }

            fn bind(batch: &mut Batch, $value: &$type) {
                batch.bind($bind);
            }
        }
    };
}

/// An id of core's: read from hexadecimal digits, kept as 16 bytes.
pub(crate) trait AnyId: Copy + DeserializeOwned + Into<Uuid> {}
impl<T: Copy + DeserializeOwned + Into<Uuid>> AnyId for T {}

/// An enum, by its serde name.
pub(crate) trait Named: Serialize + DeserializeOwned {}
impl<T: Serialize + DeserializeOwned> Named for T {}

cell_of!(Id[T: AnyId]: T, read row => next(row)?, bind id => (*id).into());
cell_of!(MaybeId[T: AnyId]: Option<T>, read row => next(row)?, bind id => id.map(Into::into));
cell_of!(Int: i64, read row => next(row)?, bind number => *number);
cell_of!(Int: Option<i64>, read row => next(row)?, bind number => *number);
cell_of!(Int: u32, read row => next(row)?, bind number => i64::from(*number));
cell_of!(Text: String, read row => next(row)?, bind text => text.clone());
cell_of!(Text: Option<String>, read row => next(row)?, bind text => text.clone());
cell_of!(Flag: bool, read row => next::<u8, A>(row)? != 0, bind flag => *flag);
cell_of!(Time: Timestamp, read row => Timestamp::from_micros(next(row)?), bind time => time.as_micros());
cell_of!(
    Time: Option<Timestamp>,
    read row => next::<Option<i64>, A>(row)?.map(Timestamp::from_micros),
    bind time => time.map(Timestamp::as_micros)
);
cell_of!(Name[T: Named]: T, read row => next(row)?, bind value => name(value));
cell_of!(
    Hash: [u8; 32],
    read row => <[u8; 32]>::from_hex(next::<String, A>(row)?).map_err(A::Error::custom)?,
    bind hash => hash.to_vec()
);
cell_of!(
    MaybeHash: Option<[u8; 32]>,
    read row => {
        let digits: Option<String> = next(row)?;
        digits.map(<[u8; 32]>::from_hex).transpose().map_err(A::Error::custom)?
    },
    bind hash => hash.map(|hash| hash.to_vec())
);
cell_of!(Json[T: Named]: T, read row => next(row)?, bind value => json(value));
cell_of!(MaybeJson[T: Named]: Option<T>, read row => next(row)?, bind value => value.as_ref().map(json));
cell_of!(OrderMoney: Money, read row => amount(row)?, bind amount => amount.minor);

/// A cell that nothing is written to: there is nothing to bind.
macro_rules! read_only {
    ($cell:ident$([$of:ident: $bound:path])?: $type:ty, read $row:ident => $read:expr) => {
        impl$(<$of: $bound>)? $crate::row::CellOf<$type> for $cell {
            fn read<'de, A: serde::de::SeqAccess<'de>>($row: &mut A) -> Result<$type, A::Error> {
                Ok($read)
            }

            fn bind(_: &mut $crate::batch::Batch, _: &$type) {}
        }
    };
}
pub(crate) use read_only;

read_only!(Amount: Money, read row => amount(row)?);
read_only!(One[T: FromJson]: T, read row => next::<Row<T>, A>(row)?.0);
read_only!(Many[T: FromJson]: Vec<T>, read row => {
    next::<Vec<Row<T>>, A>(row)?.into_iter().map(|row| row.0).collect()
});

fn amount<'de, A: SeqAccess<'de>>(row: &mut A) -> Result<Money, A::Error> {
    let (minor, currency): (i64, Currency) = next(row)?;
    Ok(Money { minor, currency })
}

fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        // Only plain enums are stored by name; an empty name can't be read back.
        _ => String::new(),
    }
}
