//! Admins from the command line, and the first one of a new shop.

use commerce_core::{
    Commerce,
    account::{AccountError, Registration, UserQuery},
    context::Role,
    page::PageRequest,
};

use serde_json::json;

use crate::{Failure, config::Config, output::Format, shop::random};

/// Letters and digits that can't be mistaken for each other.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";

/// A password nobody guesses: 100 bits.
fn made_up_password() -> Result<String, Failure> {
    let letters: Vec<char> = random(20)?.iter().map(|byte| ALPHABET[usize::from(byte % 32)] as char).collect();
    Ok(letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

/// Creates an admin. Prints the password if it was made up.
pub async fn create(
    commerce: &Commerce,
    email: String,
    password: Option<String>,
    first_name: String,
    last_name: String,
    format: Format,
) -> Result<(), Failure> {
    let made_up = if password.is_none() { Some(made_up_password()?) } else { None };
    let Some(chosen) = password.or_else(|| made_up.clone()) else { return Ok(()) };
    let registration = Registration::new(email, chosen, first_name, last_name);
    let created = commerce.as_system().accounts().create_user(registration, Role::Admin).await;
    let user = created.map_err(|error| format!("the admin can't be created: {error}"))?;
    match made_up {
        Some(password) => format.notice(
            &format!("Admin {} with the password {password} (shown only now)", user.email),
            &json!({ "email": user.email, "password": password }),
        ),
        None => format.notice(&format!("Admin {}", user.email), &json!({ "email": user.email })),
    }
    Ok(())
}

/// Creates the first admin if there is none.
pub async fn ensure_first(commerce: &Commerce, config: &Config, format: Format) -> Result<(), Failure> {
    if has_admin(commerce).await? {
        return Ok(());
    }
    let email = config.admin_email.clone().unwrap_or_else(|| "admin@example.com".to_owned());
    let (password, first_name, last_name) = (config.admin_password.clone(), "Shop".to_owned(), "Admin".to_owned());
    let created = create(commerce, email, password, first_name, last_name, format).await;
    // Another server that started at the same time may have been first.
    if created.is_err() && has_admin(commerce).await? { Ok(()) } else { created }
}

async fn has_admin(commerce: &Commerce) -> Result<bool, Failure> {
    let admins = UserQuery { q: None, role: Some(Role::Admin) };
    let found = commerce.as_system().accounts().users(admins, &PageRequest::first(1)).await;
    Ok(!found.map_err(|error: AccountError| error.to_string())?.items.is_empty())
}
