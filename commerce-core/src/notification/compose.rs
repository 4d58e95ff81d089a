//! From a queued notice to a message.

use super::{
    Message,
    text::{EmailContext, EmailTemplate},
};
use crate::{
    account::{MailToken, MailTokenKind, User, reachable as reachable_address},
    context::Permission,
    engine::Engine,
    event::Notice,
    id::{MailTokenId, OrderId, TaskId, UserId},
    order::Order,
    payment::RefundStatus,
    settings::LOCAL_SENDER,
    store::StoreError,
};

/// What a notice says, to whom. `None` if there is nobody to tell any more, or nothing: the recipient was erased or locked
/// out, the token was used or is too old.
pub(crate) async fn compose(engine: &Engine, task: TaskId, notice: &Notice) -> Result<Option<Message>, StoreError> {
    let Some((to, letter)) = write(engine, notice).await? else { return Ok(None) };
    let settings = &engine.settings;
    let from = settings.mail_from.as_deref().unwrap_or(LOCAL_SENDER);
    let host = from.rsplit_once('@').map_or("localhost", |(_, host)| host);
    Ok(Some(Message {
        id: format!("{task}@{host}"),
        from_name: settings.shop_name.clone(),
        from: from.to_owned(),
        to: reachable_address(&to),
        subject: letter.subject,
        text: letter.text,
        at: engine.now(),
    }))
}

async fn write(engine: &Engine, notice: &Notice) -> Result<Option<(String, EmailTemplate)>, StoreError> {
    Ok(match *notice {
        Notice::ConfirmEmail { user, token } => {
            let Some((user, token)) = user_and_token(engine, user, token).await? else { return Ok(None) };
            let letter = to_user(engine, &user).confirm_email(&engine.signer.mail_token(token.id), token.expires_at);
            Some((user.email, letter))
        }
        Notice::ResetPassword { user, token } => {
            let Some((user, token)) = user_and_token(engine, user, token).await? else { return Ok(None) };
            let letter = to_user(engine, &user).reset_password(&engine.signer.mail_token(token.id), token.expires_at);
            Some((user.email, letter))
        }
        Notice::ChangeEmail { user, token } => {
            let Some((user, token)) = user_and_token(engine, user, token).await? else { return Ok(None) };
            let Some(email) = token.email else { return Ok(None) };
            // Whose address it is by now isn't told to whoever asked, nor are they bothered.
            if engine.reads().load_user_by_email(&email).await?.is_some() {
                return Ok(None);
            }
            let letter = to_user(engine, &user).change_email(&engine.signer.mail_token(token.id), token.expires_at);
            Some((email, letter))
        }
        Notice::EmailChangeRequested { user, token } => {
            let Some(user) = reachable(engine, user).await? else { return Ok(None) };
            let token = engine.reads().load_mail_token(token).await?;
            let letter = to_user(engine, &user).email_change_requested();
            token.and_then(|token| token.former_email).map(|email| (email, letter))
        }
        Notice::PasswordChanged { user } => reachable(engine, user).await?.map(|user| {
            let letter = to_user(engine, &user).password_changed();
            (user.email, letter)
        }),
        Notice::OrderConfirmed { order } => {
            about(engine, order, |head, order| Some(head.order_confirmed(order))).await?
        }
        Notice::OrderShipped { order, fulfilment } => {
            about(engine, order, |head, order| {
                let parcel = order.fulfilments.iter().find(|parcel| parcel.id == fulfilment)?;
                Some(head.order_shipped(order, parcel))
            })
            .await?
        }
        Notice::OrderCancelled { order } => {
            about(engine, order, |head, order| Some(head.order_cancelled(order))).await?
        }
        Notice::OrderRefunded { order, refund } => {
            about(engine, order, |head, order| {
                let refund =
                    order.refunds.iter().find(|other| other.id == refund && other.status != RefundStatus::Failed)?;
                Some(head.order_refunded(order, refund))
            })
            .await?
        }
        Notice::Alert { alert, to } => {
            let user = reachable(engine, to).await?.filter(|user| user.role.allows(Permission::ViewAlerts));
            let alert = engine.reads().load_alert(alert).await?;
            user.zip(alert).map(|(user, alert)| {
                let letter = to_user(engine, &user).alert(&alert);
                (user.email, letter)
            })
        }
    })
}

/// A user who may get mail.
async fn reachable(engine: &Engine, id: UserId) -> Result<Option<User>, StoreError> {
    let user = engine.reads().load_user(id).await?;
    Ok(user.filter(|user| !user.disabled && !user.email.is_empty()))
}

/// A user who may get mail, and a token that is still good.
async fn user_and_token(
    engine: &Engine,
    user: UserId,
    token: MailTokenId,
) -> Result<Option<(User, MailToken)>, StoreError> {
    let Some(user) = reachable(engine, user).await? else { return Ok(None) };
    let token = engine.reads().load_mail_token(token).await?;
    let good = |token: &MailToken| token.used_at.is_none() && engine.now() < token.expires_at;
    // A token for an address that the account no longer has is void.
    let fits = |token: &MailToken| {
        token.kind == MailTokenKind::ChangeEmail || token.email.as_ref().is_none_or(|email| *email == user.email)
    };
    Ok(token.filter(|token| good(token) && fits(token)).map(|token| (user, token)))
}

/// A letter about an order, to the address it was placed with.
async fn about(
    engine: &Engine,
    order: OrderId,
    letter: impl FnOnce(&EmailContext<'_>, &Order) -> Option<EmailTemplate> + Send,
) -> Result<Option<(String, EmailTemplate)>, StoreError> {
    let Some(order) = engine.reads().load_order(order).await? else { return Ok(None) };
    let account = match order.customer_id {
        Some(customer) => engine.reads().load_user(customer).await?,
        None => None,
    };
    let letter = letter(&letterhead(engine, buyer(&order, account.as_ref())), &order);
    Ok(letter.map(|letter| (order.email, letter)))
}

fn to_user<'a>(engine: &'a Engine, user: &'a User) -> EmailContext<'a> {
    letterhead(engine, user.called())
}

/// Who is greeted in a letter about an order: who placed it, not who receives the goods. An account's name comes first, as the
/// billing address of a present is the recipient's if no other was given.
fn buyer<'a>(order: &'a Order, account: Option<&'a User>) -> &'a str {
    account.map(User::called).filter(|name| !name.is_empty()).unwrap_or(&order.billing_address.name)
}

fn letterhead<'a>(engine: &'a Engine, name: &'a str) -> EmailContext<'a> {
    let settings = &engine.settings;
    EmailContext { shop: &settings.shop_name, url: &settings.public_url, name, gross: settings.prices_include_tax }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, context::Role, order::sample};

    fn account(first_name: &str, last_name: &str) -> User {
        User {
            id: UserId(uuid::Uuid::nil()),
            email: "ada@example.com".to_owned(),
            email_confirmed: true,
            password_hash: String::new(),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            phone: None,
            role: Role::Customer,
            disabled: false,
            sessions_from: Timestamp::default(),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            version: 1,
        }
    }

    #[test]
    fn the_buyer_is_greeted_and_not_the_recipient() {
        let mut order = sample::pending(&[(1, 1000)], 0);
        order.shipping_address.name = "Bob".to_owned();
        order.billing_address.name = "Ada Lovelace".to_owned();
        assert_eq!(buyer(&order, None), "Ada Lovelace");
        order.billing_address.name = "Bob".to_owned();
        assert_eq!(buyer(&order, Some(&account("Ada", "Lovelace"))), "Ada");
        assert_eq!(buyer(&order, Some(&account("", "Lovelace"))), "Lovelace");
        assert_eq!(buyer(&order, Some(&account("", ""))), "Bob", "an erased account has no name");
    }
}
