//! Requests about conversations in few words, and the code that answers one.

use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode, Role};
use ruggine_core::api::member;
use ruggine_core::api::message::{Page, PageRequest, PageStart};
use ruggine_core::{ApiError, ConversationId, ErrorCode, Seq, Timestamp, UserId};
use ruggine_server::testing::{HttpClient, Person, text_message};

pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number)
}

pub(crate) fn create(kind: ConversationKind, members: &[UserId]) -> Create {
    Create {
        kind,
        mode: ProtectionMode::Managed,
        members: members.to_vec(),
        id: None,
    }
}

pub(crate) fn a_user_who_does_not_exist() -> UserId {
    UserId::new(Timestamp::from_millis(1))
}

pub(crate) fn add(conversation: ConversationId, user: &Person) -> member::Add {
    member::Add {
        conversation,
        users: vec![user.user()],
    }
}

pub(crate) fn remove(conversation: ConversationId, user: &Person) -> member::Remove {
    member::Remove {
        conversation,
        user: user.user(),
    }
}

pub(crate) fn change_role(
    conversation: ConversationId,
    user: &Person,
    role: Role,
) -> member::ChangeRole {
    member::ChangeRole {
        conversation,
        user: user.user(),
        role,
    }
}

pub(crate) async fn say(client: &HttpClient, conversation: ConversationId, words: &str) -> Seq {
    client
        .call(text_message(conversation, words))
        .await
        .expect("a member may write")
        .seq
}

pub(crate) async fn page(
    client: &HttpClient,
    conversation: ConversationId,
    from: PageStart,
    limit: Option<u32>,
) -> Page {
    let request = PageRequest {
        conversation,
        from,
        limit,
        as_content: false,
    };
    client.call(request).await.expect("a member may read")
}

pub(crate) fn code<T>(result: Result<T, ApiError>) -> ErrorCode {
    match result {
        Ok(_) => panic!("it was done"),
        Err(error) => error.code,
    }
}
