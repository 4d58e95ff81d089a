//! Postal addresses on the wire.

use commerce_core::account as core;
use poem_openapi::{
    Object,
    types::{Example, MaybeUndefined},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{Time, patch, present, sample};

/// A postal address.
#[derive(Clone, Debug, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct PostalAddress {
    /// The recipient.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// Flat, floor, company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub city: String,
    /// State, province, canton.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    pub postal_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// For the carrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

impl From<core::PostalAddress> for PostalAddress {
    fn from(address: core::PostalAddress) -> Self {
        let core::PostalAddress { name, line1, line2, city, region, postal_code, country, phone } = address;
        Self { name, line1, line2, city, region, postal_code, country, phone }
    }
}

impl From<PostalAddress> for core::PostalAddress {
    fn from(address: PostalAddress) -> Self {
        let PostalAddress { name, line1, line2, city, region, postal_code, country, phone } = address;
        Self { name, line1, line2, city, region, postal_code, country, phone }
    }
}

impl Example for PostalAddress {
    fn example() -> Self {
        Self {
            name: "Mia Berger".to_owned(),
            line1: "Lindenstraße 7".to_owned(),
            line2: Some("2nd floor".to_owned()),
            city: "Berlin".to_owned(),
            region: Some("BE".to_owned()),
            postal_code: "10969".to_owned(),
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
    /// Street and number.
    pub line1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    pub postal_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    pub created_at: Time,
}

impl From<core::Address> for Address {
    fn from(saved: core::Address) -> Self {
        let core::PostalAddress { name, line1, line2, city, region, postal_code, country, phone } = saved.address;
        let (id, created_at) = (saved.id.0, saved.created_at.into());
        Self { id, name, line1, line2, city, region, postal_code, country, phone, created_at }
    }
}

impl Example for Address {
    fn example() -> Self {
        let PostalAddress { name, line1, line2, city, region, postal_code, country, phone } = PostalAddress::example();
        let (id, created_at) = (sample::OTHER, sample::time());
        Self { id, name, line1, line2, city, region, postal_code, country, phone, created_at }
    }
}

/// Changes to an address.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct AddressPatch {
    #[serde(default, deserialize_with = "present")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub line1: Option<String>,
    #[serde(default)]
    #[oai(nullable)]
    pub line2: MaybeUndefined<String>,
    #[serde(default, deserialize_with = "present")]
    pub city: Option<String>,
    #[serde(default)]
    #[oai(nullable)]
    pub region: MaybeUndefined<String>,
    #[serde(default, deserialize_with = "present")]
    pub postal_code: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub country: Option<String>,
    #[serde(default)]
    #[oai(nullable)]
    pub phone: MaybeUndefined<String>,
}

impl From<AddressPatch> for core::AddressPatch {
    fn from(body: AddressPatch) -> Self {
        Self {
            name: body.name,
            line1: body.line1,
            line2: patch(body.line2),
            city: body.city,
            region: patch(body.region),
            postal_code: body.postal_code,
            country: body.country,
            phone: patch(body.phone),
        }
    }
}

impl Example for AddressPatch {
    fn example() -> Self {
        let PostalAddress { name, line1, line2, city, region, postal_code, country, phone } = PostalAddress::example();
        Self {
            name: Some(name),
            line1: Some(line1),
            line2: Some(line2).into(),
            city: Some(city),
            region: Some(region).into(),
            postal_code: Some(postal_code),
            country: Some(country),
            phone: Some(phone).into(),
        }
    }
}
