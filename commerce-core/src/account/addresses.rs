//! Saved postal addresses.

use super::{AccountError, Accounts, Address, is_signed_in, validate_address};
use crate::{
    address::PostalAddress,
    context::Actor,
    engine::Planned,
    error::{CommonError, Invalid},
    id::AddressId,
    store::Aggregate,
    write::{OneCommit, Write, WriteContext},
};

/// How many addresses one user may save.
const MOST: usize = 100;

/// What to change of an address; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressPatch {
    name: Option<String>,
    company: Option<String>,
    line1: Option<String>,
    line2: Option<String>,
    city: Option<String>,
    region: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
    phone: Option<String>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $field(mut self, $field: impl Into<Option<String>>) -> Self {
            self.$field = $field.into();
            self
        }
    )+};
}
pub(super) use setters;

impl AddressPatch {
    /// Changes that change nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Another recipient; `None` keeps the present one.
        name,
        /// Another company, which an empty text takes away; `None` keeps it.
        company,
        /// Another street and number; `None` keeps them.
        line1,
        /// Another flat or floor, which an empty text takes away; `None` keeps it.
        line2,
        /// Another town, which an empty text takes away where an address needs none; `None` keeps it.
        city,
        /// Another state, province or canton, which an empty text takes away; `None` keeps it.
        region,
        /// Another postal code, which an empty text takes away where an address needs none; `None` keeps it.
        postal_code,
        /// Another country, in the two letters of ISO 3166-1; `None` keeps it.
        country,
        /// Another phone number, which an empty text takes away; `None` keeps it.
        phone,
    }

    fn apply(&self, old: &PostalAddress) -> PostalAddress {
        let needed = |new: &Option<String>, old: &String| new.as_ref().unwrap_or(old).clone();
        let optional = |new: &Option<String>, old: &Option<String>| new.as_ref().or(old.as_ref()).cloned();
        PostalAddress {
            name: needed(&self.name, &old.name),
            company: optional(&self.company, &old.company),
            line1: needed(&self.line1, &old.line1),
            line2: optional(&self.line2, &old.line2),
            city: needed(&self.city, &old.city),
            region: optional(&self.region, &old.region),
            postal_code: needed(&self.postal_code, &old.postal_code),
            country: needed(&self.country, &old.country),
            phone: optional(&self.phone, &old.phone),
        }
    }
}

impl Accounts {
    /// The caller's saved addresses, oldest first.
    ///
    /// # Errors
    /// [`CommonError::Access`] if nobody is signed in; [`CommonError::Store`].
    pub async fn addresses(&self) -> Result<Vec<Address>, AccountError> {
        let user = self.scope.actor().identity()?.user;
        Ok(self.scope.engine.reads().list_addresses(user).await?)
    }

    /// Saves an address for the caller.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::Invalid`], with `too_many` beyond a hundred addresses;
    /// [`CommonError::Idempotency`]; [`CommonError::Store`].
    pub fn add_address(&self, address: PostalAddress) -> Write<Address, AccountError> {
        let plan = OneCommit::new("accounts.add_address", self.clone(), address, |accounts, write, address| {
            Box::pin(accounts.plan_add_address(write, address))
        });
        self.scope.write(plan.allowed_to(is_signed_in))
    }

    async fn plan_add_address(
        &self,
        write: &WriteContext,
        address: &PostalAddress,
    ) -> Result<Planned<Address>, AccountError> {
        let address = validate_address(address, "")?;
        // Written only while the user stands as read, so that none is added to an account that is being erased.
        let user = self.signed_in(write.actor()).await?;
        if self.scope.engine.reads().list_addresses(user.id).await?.len() >= MOST {
            return Err(
                Invalid::field("", "too_many", "a hundred addresses are saved already; delete one first").into()
            );
        }
        let mut changes = self.scope.engine.set(write.actor());
        let id = AddressId(self.scope.engine.uuid());
        let mut saved = Address { id, user_id: user.id, address, created_at: changes.at(), version: 0 };
        changes.assert(user.root(), user.version).insert(&mut saved);
        Ok(Planned { changes, output: saved })
    }

    /// Changes one of the caller's addresses.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`] if it isn't theirs; [`CommonError::Invalid`];
    /// [`CommonError::VersionMismatch`]; [`CommonError::Store`].
    pub fn update_address(&self, id: AddressId, patch: AddressPatch) -> Write<Address, AccountError> {
        let plan =
            OneCommit::new("accounts.update_address", self.clone(), (id, patch), |accounts, write, (id, patch)| {
                Box::pin(accounts.plan_update_address(write, *id, patch))
            });
        self.scope.write(plan.allowed_to(is_signed_in))
    }

    async fn plan_update_address(
        &self,
        write: &WriteContext,
        id: AddressId,
        patch: &AddressPatch,
    ) -> Result<Planned<Address>, AccountError> {
        let before = self.own_address(write.actor(), id).await?;
        let address = validate_address(&patch.apply(&before.address), "")?;
        write.check_version(before.version)?;
        let mut after = Address { address, ..before.clone() };
        let mut changes = self.scope.engine.set(write.actor());
        changes.update(&before, &mut after);
        Ok(Planned { changes, output: after })
    }

    /// Deletes one of the caller's addresses. Orders keep their own copies.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`] if it isn't theirs; [`CommonError::VersionMismatch`];
    /// [`CommonError::Store`].
    pub fn delete_address(&self, id: AddressId) -> Write<(), AccountError> {
        let plan = OneCommit::new("accounts.delete_address", self.clone(), id, |accounts, write, id| {
            Box::pin(accounts.plan_delete_address(write, *id))
        });
        self.scope.write(plan.allowed_to(is_signed_in))
    }

    async fn plan_delete_address(&self, write: &WriteContext, id: AddressId) -> Result<Planned<()>, AccountError> {
        let address = self.own_address(write.actor(), id).await?;
        write.check_version(address.version)?;
        let mut changes = self.scope.engine.set(write.actor());
        changes.remove(address.root(), address.version);
        Ok(Planned { changes, output: () })
    }

    async fn own_address(&self, actor: &Actor, id: AddressId) -> Result<Address, AccountError> {
        let user = actor.identity()?.user;
        let address = self.scope.engine.reads().load_address(id).await?;
        Ok(address.filter(|address| address.user_id == user).ok_or(CommonError::NotFound("address"))?)
    }
}
