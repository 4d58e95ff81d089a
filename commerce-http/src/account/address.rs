//! Postal addresses on the wire.

use commerce_core::{account as core, address};
use poem_openapi::{
    Object,
    types::{Example, MaybeUndefined},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{Time, or_empty, present, sample};

/// A postal address.
#[derive(Clone, Debug, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct PostalAddress {
    /// The recipient.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// The company they work at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(nullable, validator(max_length = 200))]
    pub company: Option<String>,
    /// Street and number.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub line1: String,
    /// Flat, floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(nullable, validator(max_length = 200))]
    pub line2: Option<String>,
    /// May be absent where the country is one city, as in Singapore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(nullable, validator(max_length = 100))]
    pub city: Option<String>,
    /// State, province, canton.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(nullable, validator(max_length = 100))]
    pub region: Option<String>,
    /// May be absent where the country's post needs none, as in Hong Kong and Ireland.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(nullable, validator(max_length = 20))]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[oai(validator(pattern = "^[A-Za-z]{2}$"))]
    pub country: String,
    /// For the carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[oai(nullable)]
    pub phone: Option<String>,
}

impl From<address::PostalAddress> for PostalAddress {
    fn from(address: address::PostalAddress) -> Self {
        let address::PostalAddress { name, company, line1, line2, city, region, postal_code, country, phone } = address;
        let (city, postal_code) = (given(city), given(postal_code));
        Self { name, company, line1, line2, city, region, postal_code, country, phone }
    }
}

impl From<PostalAddress> for address::PostalAddress {
    fn from(address: PostalAddress) -> Self {
        let PostalAddress { name, company, line1, line2, city, region, postal_code, country, phone } = address;
        let (city, postal_code) = (city.unwrap_or_default(), postal_code.unwrap_or_default());
        Self { name, company, line1, line2, city, region, postal_code, country, phone }
    }
}

/// What is empty isn't there.
fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl Example for PostalAddress {
    fn example() -> Self {
        Self {
            name: "Mia Berger".to_owned(),
            company: Some("Berger Töpferei".to_owned()),
            line1: "Lindenstraße 7".to_owned(),
            line2: Some("2nd floor".to_owned()),
            city: Some("Berlin".to_owned()),
            region: Some("BE".to_owned()),
            postal_code: Some("10969".to_owned()),
            country: "DE".to_owned(),
            phone: Some("+49 30 901820".to_owned()),
        }
    }
}

/// A saved address.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Address {
    pub id: Uuid,
    /// The recipient.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Street and number.
    pub line1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    pub created_at: Time,
}

impl From<core::Address> for Address {
    fn from(saved: core::Address) -> Self {
        let PostalAddress { name, company, line1, line2, city, region, postal_code, country, phone } =
            saved.address.into();
        let (id, created_at) = (saved.id.0, saved.created_at.into());
        Self { id, name, company, line1, line2, city, region, postal_code, country, phone, created_at }
    }
}

impl Example for Address {
    fn example() -> Self {
        let PostalAddress { name, company, line1, line2, city, region, postal_code, country, phone } =
            PostalAddress::example();
        let (id, created_at) = (sample::OTHER, sample::time());
        Self { id, name, company, line1, line2, city, region, postal_code, country, phone, created_at }
    }
}

/// Changes to an address.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct AddressPatch {
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: Option<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 200))]
    pub company: MaybeUndefined<String>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(min_length = 1, max_length = 200))]
    pub line1: Option<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 200))]
    pub line2: MaybeUndefined<String>,
    /// `null` takes it away where it may be absent.
    #[serde(default)]
    #[oai(nullable, validator(max_length = 100))]
    pub city: MaybeUndefined<String>,
    #[serde(default)]
    #[oai(nullable, validator(max_length = 100))]
    pub region: MaybeUndefined<String>,
    /// `null` takes it away where it may be absent.
    #[serde(default)]
    #[oai(nullable, validator(max_length = 20))]
    pub postal_code: MaybeUndefined<String>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(pattern = "^[A-Za-z]{2}$"))]
    pub country: Option<String>,
    #[serde(default)]
    #[oai(nullable)]
    pub phone: MaybeUndefined<String>,
}

impl From<AddressPatch> for core::AddressPatch {
    fn from(body: AddressPatch) -> Self {
        Self::new()
            .name(body.name)
            .company(or_empty(body.company))
            .line1(body.line1)
            .line2(or_empty(body.line2))
            .city(or_empty(body.city))
            .region(or_empty(body.region))
            .postal_code(or_empty(body.postal_code))
            .country(body.country)
            .phone(or_empty(body.phone))
    }
}

impl Example for AddressPatch {
    fn example() -> Self {
        let PostalAddress { name, company, line1, line2, city, region, postal_code, country, phone } =
            PostalAddress::example();
        Self {
            name: Some(name),
            company: Some(company).into(),
            line1: Some(line1),
            line2: Some(line2).into(),
            city: Some(city).into(),
            region: Some(region).into(),
            postal_code: Some(postal_code).into(),
            country: Some(country),
            phone: Some(phone).into(),
        }
    }
}
