//! The commands as people and scripts run them: real processes against a real server.

mod accounts;
mod conversations;
mod hostile;
mod machine;
mod profiles;
mod sending;
mod shell;
mod tail;

use ruggine_core::ConversationId;
use ruggine_core::api::account::LogIn;
use ruggine_core::api::message::Send;
use ruggine_core::content::Content;
use ruggine_core::secret::SecretText;
use ruggine_server::testing::{Person, TestServer, fresh_message_id};

use machine::PASSWORD;

/// An account of a registered user, beside their profile.
async fn account(server: &TestServer, username: &str) -> Person {
    let log_in = LogIn {
        username: username.to_owned(),
        password: SecretText::new(PASSWORD),
        device: None,
        device_name: None,
    };
    let login = server.http().call(log_in).await;
    Person {
        login: login.expect("the password is right"),
    }
}

async fn post(
    server: &TestServer,
    person: &Person,
    conversation: ConversationId,
    content: Content,
) {
    let payload = content.to_payload().expect("the content is short");
    let send = Send {
        conversation,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(payload),
        content: None,
    };
    let sent = server.http_of(person).call(send).await;
    sent.expect("a member may write");
}

fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in {said}");
    }
}
