//! Journeys of accounts on a real store: registration, sessions, recovery, staff.

mod email;
mod guest_orders;
mod profile;
mod recovery;
mod register;
mod sessions;
mod users;

use std::{sync::Arc, time::Duration};

use commerce_core::{
    Caller, Commerce,
    account::{AccountError, Accounts, Credentials, Login, Registration, User},
    clock::{ManualClock, Timestamp},
    context::{Identity, Role},
    error::CommonError,
    notification::{MemoryMailer, Message},
    store::Store,
    token::RefreshToken,
};
use commerce_sqlite::SqliteStore;

const PASSWORD: &str = "correct horse battery staple";
const OTHER_PASSWORD: &str = "seven purple otters sing";

/// A shop with a clock to turn and a letter box to look into.
struct Shop {
    commerce: Commerce,
    clock: Arc<ManualClock>,
    mail: MemoryMailer,
    store: Arc<dyn Store>,
}

impl Shop {
    async fn open() -> Self {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
        Self::beside(store, clock)
    }

    /// A process of the shop with this store and clock.
    fn beside(store: Arc<dyn Store>, clock: Arc<ManualClock>) -> Self {
        let mail = MemoryMailer::default();
        let commerce = Commerce::builder()
            .shared_store(store.clone())
            .shared_clock(clock.clone())
            .mailer(mail.clone())
            .secret([7; 32])
            .settings(|settings| settings.public_url = "https://shop.example".into())
            .build()
            .unwrap();
        Self { commerce, clock, mail, store }
    }

    /// Another process of the same shop.
    fn another_process(&self) -> Self {
        Self::beside(self.store.clone(), self.clock.clone())
    }

    /// Accounts as a guest uses them.
    fn accounts(&self) -> Accounts {
        self.commerce.as_guest().accounts()
    }

    /// Accounts as the shop uses them itself.
    fn staff(&self) -> Accounts {
        self.commerce.as_system().accounts()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    async fn register(&self, email: &str) -> User {
        self.accounts().register(registration(email)).await.unwrap()
    }

    async fn create(&self, email: &str, role: Role) -> User {
        self.staff().create_user(registration(email), role).await.unwrap()
    }

    async fn login(&self, email: &str) -> Login {
        self.try_login(email, PASSWORD).await.unwrap()
    }

    async fn try_login(&self, email: &str, password: &str) -> Result<Login, AccountError> {
        self.accounts().login(Credentials::new(email, password)).await
    }

    async fn identity(&self, login: &Login) -> Identity {
        self.call(login).await.actor().identity().unwrap()
    }

    /// The shop as the user of a login uses it.
    async fn call(&self, login: &Login) -> Caller {
        self.commerce.authenticate(&login.tokens.access_token).await.unwrap()
    }

    /// Registers and signs in.
    async fn customer(&self, email: &str) -> (Login, Caller) {
        self.register(email).await;
        let login = self.login(email).await;
        let call = self.call(&login).await;
        (login, call)
    }

    async fn is_signed_in(&self, login: &Login) -> bool {
        match self.commerce.authenticate(&login.tokens.access_token).await {
            Ok(_) => true,
            Err(AccountError::InvalidToken) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn refresh(&self, token: impl Into<RefreshToken>) -> Result<Login, AccountError> {
        self.accounts().refresh(token).await
    }

    /// Delivers what is due, and answers the messages to an address whose subject has these words.
    async fn letters(&self, to: &str, subject: &str) -> Vec<Message> {
        self.commerce.worker().tick().await.unwrap();
        self.mail.sent_to(to).into_iter().filter(|message| message.subject.contains(subject)).collect()
    }

    /// Waits for the nth such message: some are asked for after the answer.
    async fn letter(&self, to: &str, subject: &str, nth: usize) -> Message {
        for _ in 0..500 {
            if let Some(letter) = self.letters(to, subject).await.into_iter().nth(nth) {
                return letter;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no message '{subject}' number {nth} came to {to}");
    }
}

fn registration(email: &str) -> Registration {
    Registration::new(email, PASSWORD, "Ada", "Lovelace")
}

/// The token that stands on a line of its own.
fn token_in(message: &Message) -> String {
    let plain = |line: &&str| line.len() > 30 && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let token = message.text.lines().find(plain).unwrap_or_else(|| panic!("{}", message.text)).to_owned();
    assert!(message.text.contains(&format!("?token={token}")), "{}", message.text);
    token
}

/// The pointers and codes of what a call found wrong with its input.
fn invalid<T>(result: Result<T, AccountError>) -> Vec<(String, &'static str)> {
    match result {
        Err(AccountError::Common(CommonError::Invalid(invalid))) => {
            invalid.errors.into_iter().map(|error| (error.pointer, error.code)).collect()
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("nothing was wrong"),
    }
}

macro_rules! refused {
    ($result:expr, $pattern:pat) => {
        match $result {
            Err($pattern) => {}
            Err(error) => panic!("refused for another reason: {error:?}"),
            Ok(_) => panic!("not refused"),
        }
    };
}
use refused;
