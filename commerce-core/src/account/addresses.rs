//! Saved postal addresses.

use super::{AccountError, Accounts, Address, validate_address};
use crate::address::PostalAddress;
use crate::{
    context::{Actor, Done, RequestContext},
    engine::Planned,
    error::{CommonError, Invalid},
    id::AddressId,
    store::Aggregate,
};

/// How many addresses one user may save.
const MOST: usize = 100;

/// What to change of an address; what is absent stays, and `Some(None)` takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPatch {
    /// The recipient.
    pub name: Option<String>,
    /// The company they work at.
    pub company: Option<Option<String>>,
    /// Street and number.
    pub line1: Option<String>,
    /// Flat, floor.
    pub line2: Option<Option<String>>,
    /// Town; empty takes it away.
    pub city: Option<String>,
    /// State, province, canton.
    pub region: Option<Option<String>>,
    /// Postal code; empty takes it away.
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// For the carrier.
    pub phone: Option<Option<String>>,
}

impl AddressPatch {
    fn apply(self, old: PostalAddress) -> PostalAddress {
        PostalAddress {
            name: self.name.unwrap_or(old.name),
            company: self.company.unwrap_or(old.company),
            line1: self.line1.unwrap_or(old.line1),
            line2: self.line2.unwrap_or(old.line2),
            city: self.city.unwrap_or(old.city),
            region: self.region.unwrap_or(old.region),
            postal_code: self.postal_code.unwrap_or(old.postal_code),
            country: self.country.unwrap_or(old.country),
            phone: self.phone.unwrap_or(old.phone),
        }
    }
}

impl Accounts {
    /// The actor's saved addresses, oldest first.
    ///
    /// # Errors
    /// If nobody is signed in.
    pub async fn addresses(&self, actor: &Actor) -> Result<Vec<Address>, AccountError> {
        Ok(self.engine.reads().list_addresses(actor.identity()?.user).await?)
    }

    /// Saves an address for the actor.
    ///
    /// # Errors
    /// Rules broken by the address; `too_many` beyond a hundred.
    pub async fn add_address(
        &self,
        call: &RequestContext,
        address: PostalAddress,
    ) -> Result<Done<Address>, AccountError> {
        call.actor.identity()?;
        self.run(call, |this, call| async move {
            this.engine.transact(&call, || this.plan_add_address(&call, address.clone()), |_| None).await
        })
        .await
    }

    /// Saves an address for the actor in a transaction of the embedder's own.
    ///
    /// # Errors
    /// As [`Self::add_address`].
    pub async fn plan_add_address(
        &self,
        call: &RequestContext,
        address: PostalAddress,
    ) -> Result<Planned<Address>, AccountError> {
        let address = validate_address(&address, "")?;
        // Written only while the user stands as read, so that none is added to an account that is being erased.
        let user = self.signed_in(&call.actor).await?;
        if self.engine.reads().list_addresses(user.id).await?.len() >= MOST {
            return Err(
                Invalid::field("", "too_many", "a hundred addresses are saved already; delete one first").into()
            );
        }
        let mut changes = self.engine.set(&call.actor);
        let id = AddressId(self.engine.uuid());
        let mut saved = Address { id, user_id: user.id, address, created_at: changes.at(), version: 0 };
        changes.assert(user.root(), user.version).insert(&mut saved);
        Ok(Planned { changes, output: saved })
    }

    /// Changes one of the actor's addresses.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if it isn't theirs; rules broken by the input.
    pub async fn update_address(
        &self,
        call: &RequestContext,
        id: AddressId,
        patch: AddressPatch,
    ) -> Result<Address, AccountError> {
        call.actor.identity()?;
        self.run(call, |this, call| async move {
            let plan = || this.plan_update_address(&call, id, patch.clone());
            this.engine.transact(&call, plan, |_| None).await.map(|done| done.value)
        })
        .await
    }

    /// Changes one of the actor's addresses in a transaction of the embedder's own.
    ///
    /// # Errors
    /// As [`Self::update_address`].
    pub async fn plan_update_address(
        &self,
        call: &RequestContext,
        id: AddressId,
        patch: AddressPatch,
    ) -> Result<Planned<Address>, AccountError> {
        let before = self.own_address(&call.actor, id).await?;
        let mut after = before.clone();
        after.address = validate_address(&patch.apply(before.address.clone()), "")?;
        let mut changes = self.engine.set(&call.actor);
        changes.update(&before, &mut after);
        Ok(Planned { changes, output: after })
    }

    /// Deletes one of the actor's addresses. Orders keep their own copies.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if it isn't theirs.
    pub async fn delete_address(&self, call: &RequestContext, id: AddressId) -> Result<(), AccountError> {
        call.actor.identity()?;
        self.run(call, |this, call| async move {
            let plan = || async {
                let address = this.own_address(&call.actor, id).await?;
                let mut changes = this.engine.set(&call.actor);
                changes.remove(address.root(), address.version);
                Ok(Planned { changes, output: () })
            };
            this.engine.transact(&call, plan, |_| None::<AccountError>).await.map(drop)
        })
        .await
    }

    async fn own_address(&self, actor: &Actor, id: AddressId) -> Result<Address, AccountError> {
        let user = actor.identity()?.user;
        let address = self.engine.reads().load_address(id).await?;
        Ok(address.filter(|address| address.user_id == user).ok_or(CommonError::NotFound("address"))?)
    }
}
