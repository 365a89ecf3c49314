//! A client that calls every operation, so that it succeeds and so that it does not.

use ruggine_core::api::account::{KnownDevice, Login, LookUp, Register};
use ruggine_core::api::conversation::{self, Conversation, Focus, Role};
use ruggine_core::api::message::{Fetch, PageRequest, Send};
use ruggine_core::api::session::{self, LogOut, Refresh, Revoke};
use ruggine_core::api::sync::HeadsRequest;
use ruggine_core::api::{Operation, identity, key_package, member, position, presence};
use ruggine_core::content::{Content, Title};
use ruggine_core::secret::SecretText;
use ruggine_core::{ApiError, Blob, ConversationId, Seq, UserId};
use ruggine_server::testing::{HttpClient, SocketClient, TestServer, text_message};

use super::requests::{
    BOTH, MESSAGE, MISPLACED, PASSWORD, TITLE, WRONG_PASSWORD, group_of, hello, log_in, page_of,
    register,
};

/// A client over HTTP or over a socket.
enum Client {
    Http(HttpClient),
    Socket(Box<SocketClient>),
}

impl Client {
    /// Both ways in both encodings, for one who has logged in.
    async fn all(server: &TestServer, token: &SecretText) -> Vec<Self> {
        let mut clients = Vec::new();
        for encoding in BOTH {
            let http = server.http().with_encoding(encoding).with_token(token);
            clients.push(Self::Http(http));
            let mut socket = SocketClient::connect(server.address(), encoding).await;
            socket.hello(token).await.unwrap();
            clients.push(Self::Socket(Box::new(socket)));
        }
        clients
    }

    async fn call<O: Operation>(&mut self, request: O) -> Result<O::Response, ApiError> {
        match self {
            Self::Http(http) => http.call(request).await,
            Self::Socket(socket) => socket.call(request).await,
        }
    }
}

/// Calls every operation so that it succeeds, and again so that it does not.
/// Returns the tokens that were handed out.
pub(crate) async fn use_everything(
    server: &TestServer,
    round: usize,
    ada: &Login,
) -> Vec<SecretText> {
    let mut tokens = Vec::new();
    let mut keep = |login: &Login| {
        tokens.push(login.tokens.access.clone());
        tokens.push(login.tokens.refresh.clone());
        tokens.extend(login.device_secret.clone());
    };
    for (number, mut client) in (0..).zip(Client::all(server, &ada.tokens.access).await) {
        let username = format!("bob-{round}-{number}");
        let bob = client.call(register(&username)).await.unwrap();
        keep(&bob);
        client.call(register(&username)).await.unwrap_err();
        let weak = Register {
            password: SecretText::new("canarino"),
            ..register("weak")
        };
        client.call(weak).await.unwrap_err();
        let known = KnownDevice {
            id: bob.device,
            secret: bob.device_secret.clone().unwrap(),
        };
        let again = client
            .call(log_in(&username, PASSWORD, Some(known.clone())))
            .await
            .unwrap();
        keep(&again);
        let misplaced = KnownDevice {
            id: ada.device,
            ..known
        };
        client
            .call(log_in(&username, PASSWORD, Some(misplaced)))
            .await
            .unwrap_err();
        client
            .call(log_in(&username, WRONG_PASSWORD, None))
            .await
            .unwrap_err();
        client
            .call(log_in(PASSWORD, PASSWORD, None))
            .await
            .unwrap_err();
        client
            .call(log_in("nobody", PASSWORD, None))
            .await
            .unwrap_err();
        client
            .call(LookUp {
                username: username.clone(),
            })
            .await
            .unwrap();
        client
            .call(LookUp {
                username: PASSWORD.to_owned(),
            })
            .await
            .unwrap_err();
        let refresh = |token: &SecretText| Refresh {
            refresh: token.clone(),
        };
        let next = client.call(refresh(&again.tokens.refresh)).await.unwrap();
        tokens_of(&next, &mut keep, &again);
        client.call(refresh(&next.refresh)).await.unwrap();
        client
            .call(refresh(&again.tokens.refresh))
            .await
            .unwrap_err();
        client
            .call(refresh(&again.tokens.access))
            .await
            .unwrap_err();
        client
            .call(refresh(&SecretText::new(PASSWORD)))
            .await
            .unwrap_err();

        let made: Conversation = client.call(group_of(vec![bob.user.id])).await.unwrap();
        let conversation = made.id;
        client
            .call(group_of(vec![UserId::from_bytes([9; 16])]))
            .await
            .unwrap_err();
        client.call(conversation::List::default()).await.unwrap();
        client
            .call(conversation::Get { conversation })
            .await
            .unwrap();
        let focus = Focus {
            conversation: Some(conversation),
        };
        client.call(focus).await.unwrap();
        let title = Content::Title(Title {
            title: TITLE.to_owned(),
        })
        .to_payload()
        .unwrap();
        let send = |payload: Blob| Send {
            payload: Some(payload),
            ..text_message(conversation, MESSAGE)
        };
        client.call(send(title)).await.unwrap();
        let message = text_message(conversation, MESSAGE);
        client.call(message.clone()).await.unwrap();
        client.call(message.clone()).await.unwrap();
        let other = Send {
            client_msg_id: message.client_msg_id,
            ..text_message(conversation, MISPLACED)
        };
        client.call(other).await.unwrap_err();
        client
            .call(text_message(ConversationId::from_bytes([9; 16]), MESSAGE))
            .await
            .unwrap_err();
        client
            .call(send(MESSAGE.repeat(750).into_bytes().into()))
            .await
            .unwrap_err();
        client
            .call(send(MESSAGE.as_bytes().to_vec().into()))
            .await
            .unwrap();
        for as_content in [false, true] {
            client
                .call(PageRequest {
                    as_content,
                    ..page_of(conversation)
                })
                .await
                .unwrap();
        }
        client
            .call(Fetch {
                conversation,
                seq: Seq::new(3),
            })
            .await
            .unwrap();
        client
            .call(Fetch {
                conversation,
                seq: Seq::new(99),
            })
            .await
            .unwrap_err();
        let seq = Seq::new(2);
        client
            .call(position::Delivered { conversation, seq })
            .await
            .unwrap();
        client
            .call(position::Read { conversation, seq })
            .await
            .unwrap();
        client
            .call(presence::SetTyping {
                conversation,
                active: true,
            })
            .await
            .unwrap();
        client
            .call(presence::Query {
                users: vec![bob.user.id],
            })
            .await
            .unwrap();
        client.call(HeadsRequest::default()).await.unwrap();
        let user = bob.user.id;
        use_keys(&mut client, user).await;
        client
            .call(member::List {
                conversation,
                after: None,
            })
            .await
            .unwrap();
        client
            .call(member::ChangeRole {
                conversation,
                user,
                role: Role::Admin,
            })
            .await
            .unwrap();
        client
            .call(member::Remove { conversation, user })
            .await
            .unwrap();
        client
            .call(member::Remove { conversation, user })
            .await
            .unwrap_err();
        client
            .call(member::Add {
                conversation,
                users: vec![user],
            })
            .await
            .unwrap();
        client
            .call(member::Leave { conversation })
            .await
            .unwrap_err();
        client.call(session::List {}).await.unwrap();
        client
            .call(Revoke {
                session: bob.session,
            })
            .await
            .unwrap_err();
        let bobs = server.http().with_token(&bob.tokens.access);
        bobs.call(Revoke {
            session: bob.session,
        })
        .await
        .unwrap();
        bobs.call(LogOut {}).await.unwrap_err();
    }
    for encoding in BOTH {
        let http = server.http().with_encoding(encoding);
        http.call(hello(&ada.tokens.access)).await.unwrap();
        http.call(hello(&ada.tokens.refresh)).await.unwrap_err();
        let mut socket = SocketClient::connect(server.address(), encoding).await;
        socket.hello(&ada.tokens.refresh).await.unwrap_err();
        socket.hello(&SecretText::new(PASSWORD)).await.unwrap_err();
    }
    tokens
}

/// Asks for keys of somebody who has none, and publishes what are none.
async fn use_keys(client: &mut Client, user: UserId) {
    let nonsense = || Blob::from(MESSAGE.as_bytes().to_vec());
    let list = nonsense();
    client.call(identity::Publish { list }).await.unwrap_err();
    let users = vec![identity::Known { user, after: 0 }];
    client.call(identity::Get { users }).await.unwrap();
    let leave = key_package::Publish {
        packages: vec![nonsense()],
        last_resort: Some(nonsense()),
    };
    client.call(leave).await.unwrap_err();
    client.call(key_package::StockRequest {}).await.unwrap();
    let claim = |user| key_package::Claim { user, suite: 1 };
    client.call(claim(user)).await.unwrap();
    let nobody = UserId::from_bytes([9; 16]);
    client.call(claim(nobody)).await.unwrap_err();
}

fn tokens_of(tokens: &session::Tokens, keep: &mut impl FnMut(&Login), like: &Login) {
    keep(&Login {
        tokens: tokens.clone(),
        device_secret: None,
        ..like.clone()
    });
}
