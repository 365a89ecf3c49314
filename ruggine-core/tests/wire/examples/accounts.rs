//! Accounts and sessions.

use ruggine_core::api::{account, session};
use ruggine_core::secret::SecretText;

use super::Examples;
use crate::values::{
    DEVICE_SECRET, LATER, NOW, PASSWORD, REFRESH, ada, device, session_id, tokens,
};

impl Examples for account::Register {
    fn examples() -> Vec<(&'static str, Self)> {
        let least = Self {
            username: "ada".to_owned(),
            password: SecretText::new(PASSWORD),
            display_name: None,
            device_name: None,
        };
        let most = Self {
            display_name: Some("Ada Lovelace 🦀".to_owned()),
            device_name: Some("laptop".to_owned()),
            ..least.clone()
        };
        vec![("with the least", least), ("with everything", most)]
    }
}

impl Examples for account::LogIn {
    fn examples() -> Vec<(&'static str, Self)> {
        let least = Self {
            username: "ada".to_owned(),
            password: SecretText::new(PASSWORD),
            device: None,
            device_name: None,
        };
        let most = Self {
            device: Some(account::KnownDevice {
                id: device(1),
                secret: SecretText::new(DEVICE_SECRET),
            }),
            device_name: Some("laptop".to_owned()),
            ..least.clone()
        };
        vec![("with the least", least), ("with everything", most)]
    }
}

impl Examples for account::Login {
    fn examples() -> Vec<(&'static str, Self)> {
        let again = Self {
            user: ada(),
            device: device(1),
            device_secret: None,
            session: session_id(1),
            tokens: tokens(),
        };
        let first = Self {
            device_secret: Some(SecretText::new(DEVICE_SECRET)),
            ..again.clone()
        };
        vec![("of a known device", again), ("of a new device", first)]
    }
}

impl Examples for account::LookUp {
    fn examples() -> Vec<(&'static str, Self)> {
        let username = "ada".to_owned();
        vec![("always", Self { username })]
    }
}

impl Examples for account::User {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", ada())]
    }
}

impl Examples for session::Refresh {
    fn examples() -> Vec<(&'static str, Self)> {
        let refresh = SecretText::new(REFRESH);
        vec![("always", Self { refresh })]
    }
}

impl Examples for session::Tokens {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", tokens())]
    }
}

impl Examples for session::LogOut {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", Self {})]
    }
}

impl Examples for session::List {
    fn examples() -> Vec<(&'static str, Self)> {
        vec![("always", Self {})]
    }
}

impl Examples for session::Sessions {
    fn examples() -> Vec<(&'static str, Self)> {
        let mine = session::Session {
            id: session_id(1),
            device: device(1),
            device_name: "laptop".to_owned(),
            created_at: NOW,
            last_seen_at: LATER,
            current: true,
        };
        let other = session::Session {
            id: session_id(2),
            device: device(2),
            device_name: String::new(),
            current: false,
            ..mine.clone()
        };
        let sessions = vec![mine, other];
        vec![("of two devices", Self { sessions })]
    }
}

impl Examples for session::Revoke {
    fn examples() -> Vec<(&'static str, Self)> {
        let session = session_id(2);
        vec![("always", Self { session })]
    }
}
