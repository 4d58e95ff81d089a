//! [`PgReads`]: one server, read from. The domains' modules say how.

use crate::connect::Reader;

/// Reads of the primary, or of one replica.
#[derive(Clone, Debug)]
pub(crate) struct PgReads {
    pub(crate) reader: Reader,
}

impl PgReads {
    pub(crate) const fn new(reader: Reader) -> Self {
        Self { reader }
    }
}
