//! Conversations of others, which look like none.

use ruggine_core::api::Method;
use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::time::SystemClock;
use ruggine_core::{Clock, ConversationId, ErrorCode, UserId};
use ruggine_server::testing::{Person, text_message};

use super::scene::{BOTH, Scene, refused};

#[tokio::test]
async fn a_conversation_of_others_and_one_that_does_not_exist_are_answered_alike() {
    let mut scene = Scene::new().await;
    let nowhere = ConversationId::new(SystemClock.now());
    let private = scene.private;
    for encoding in BOTH {
        let mut socket = scene.server.socket(&scene.mallory, encoding).await;
        let http = scene.http().with_encoding(encoding);
        for method in Method::ALL {
            let mut answers = Vec::new();
            for conversation in [private, nowhere] {
                use ruggine_core::api::{
                    conversation as conv, member, message, position, presence,
                };
                let user = scene.mallory.user();
                let seq = ruggine_core::Seq::new(1);
                macro_rules! both {
                    ($request:expr) => {{
                        let request = $request;
                        answers.push(refused(&http, request.clone()).await);
                        answers.push(socket.call(request).await.unwrap_err());
                    }};
                }
                match method {
                    Method::MessageSend => both!(text_message(conversation, "knock")),
                    Method::MessagePage => both!(PageRequest {
                        conversation,
                        from: PageStart::Newest,
                        limit: None,
                        as_content: false,
                    }),
                    Method::MessageFetch => both!(message::Fetch { conversation, seq }),
                    Method::ConversationGet => both!(conv::Get { conversation }),
                    Method::MemberList => both!(member::List {
                        conversation,
                        after: None
                    }),
                    Method::MemberAdd => both!(member::Add {
                        conversation,
                        users: vec![user]
                    }),
                    Method::MemberRemove => {
                        let ada = scene.server.http().call(Person::registration("ada")).await;
                        assert!(ada.is_err());
                        both!(member::Remove {
                            conversation,
                            user: UserId::from_bytes([7; 16])
                        });
                    }
                    Method::MemberLeave => both!(member::Leave { conversation }),
                    Method::MemberRole => both!(member::ChangeRole {
                        conversation,
                        user,
                        role: conv::Role::Owner,
                    }),
                    Method::PositionDelivered => both!(position::Delivered { conversation, seq }),
                    Method::PositionRead => both!(position::Read { conversation, seq }),
                    Method::TypingSet => both!(presence::SetTyping {
                        conversation,
                        active: true
                    }),
                    _ => {}
                }
            }
            for answer in &answers {
                assert_eq!(answer.code, ErrorCode::ConversationNotFound, "{method}");
                assert_eq!(answer, &answers[0], "{method}");
            }
        }
        socket.close().await;
        scene.is_unharmed("knocking at other doors").await;
    }
}
