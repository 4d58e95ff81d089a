//! [`PostalAddress`]: where goods and bills go.

use serde::{Deserialize, Serialize};

/// A postal address, as orders keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostalAddress {
    /// The recipient.
    pub name: String,
    /// The company they work at, if it goes there.
    #[serde(default)]
    pub company: Option<String>,
    /// Street and number.
    pub line1: String,
    /// Flat, floor.
    pub line2: Option<String>,
    /// Town; empty where the country is one.
    pub city: String,
    /// State, province, canton.
    pub region: Option<String>,
    /// Postal code; empty where the country's post needs none.
    pub postal_code: String,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: String,
    /// For the carrier.
    pub phone: Option<String>,
}

impl PostalAddress {
    /// An address with what every address has.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        line1: impl Into<String>,
        city: impl Into<String>,
        postal_code: impl Into<String>,
        country: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            line1: line1.into(),
            city: city.into(),
            postal_code: postal_code.into(),
            country: country.into(),
            ..Self::default()
        }
    }
}
