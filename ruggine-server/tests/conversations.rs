//! Conversations, their rosters, and what each member may see of the log.
#![cfg(all(feature = "http", feature = "sqlite"))]

use futures_util::future::join_all;
use ruggine_core::api::conversation::{
    Conversation, ConversationKind, Create, Get, List, ProtectionMode, Role,
};
use ruggine_core::api::member;
use ruggine_core::api::message::{Fetch, Hole, Item, Page, PageRequest, PageStart, RowKind, Send};
use ruggine_core::api::position::{Delivered, Read};
use ruggine_core::api::presence::SetTyping;
use ruggine_core::codec::Encoding;
use ruggine_core::content::{Content, Notice, Text};
use ruggine_core::{ApiError, Blob, ConversationId, ErrorCode, Seq, Timestamp, UserId, limits};
use ruggine_server::testing::{HttpClient, Person, TestServer, text_message, words_of};

fn seq(number: u64) -> Seq {
    Seq::new(number)
}

fn create(kind: ConversationKind, members: &[UserId]) -> Create {
    Create {
        kind,
        mode: ProtectionMode::Managed,
        members: members.to_vec(),
        id: None,
    }
}

fn a_user_who_does_not_exist() -> UserId {
    UserId::new(Timestamp::from_millis(1))
}

fn add(conversation: ConversationId, user: &Person) -> member::Add {
    member::Add {
        conversation,
        users: vec![user.user()],
    }
}

fn remove(conversation: ConversationId, user: &Person) -> member::Remove {
    member::Remove {
        conversation,
        user: user.user(),
    }
}

fn change_role(conversation: ConversationId, user: &Person, role: Role) -> member::ChangeRole {
    member::ChangeRole {
        conversation,
        user: user.user(),
        role,
    }
}

async fn say(client: &HttpClient, conversation: ConversationId, words: &str) -> Seq {
    client
        .call(text_message(conversation, words))
        .await
        .expect("a member may write")
        .seq
}

async fn page(
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

fn code<T>(result: Result<T, ApiError>) -> ErrorCode {
    match result {
        Ok(_) => panic!("it was done"),
        Err(error) => error.code,
    }
}

#[tokio::test]
async fn a_direct_conversation_is_unique_per_pair_also_when_both_create_it_at_once() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    let attempts = (0..10).flat_map(|_| {
        [
            a.call(create(ConversationKind::Direct, &[bob.user()])),
            b.call(create(ConversationKind::Direct, &[ada.user()])),
        ]
    });
    let made: Vec<Conversation> = join_all(attempts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let first = made[0].id;
    assert!(made.iter().all(|conversation| conversation.id == first));
    assert_eq!(made[0].peer, Some(bob.user()));
    assert_eq!(made[1].peer, Some(ada.user()));
    assert_eq!(made[0].head, seq(1), "there is one beginning");
    assert_eq!(made[0].role, Some(Role::Member));
    assert_ne!(server.direct(&ada, &cleo).await, first);
    let all = a.call(List::default()).await.unwrap();
    assert_eq!(all.conversations.len(), 2);
}

#[tokio::test]
async fn a_direct_conversation_has_exactly_one_other_member() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let http = server.http_of(&ada);
    for members in [vec![], vec![ada.user()], vec![bob.user(), cleo.user()]] {
        let refused = code(http.call(create(ConversationKind::Direct, &members)).await);
        assert_eq!(refused, ErrorCode::InvalidParams);
    }
    let oneself_too = [ada.user(), bob.user(), bob.user()];
    let direct = http
        .call(create(ConversationKind::Direct, &oneself_too))
        .await;
    assert_eq!(direct.unwrap().peer, Some(bob.user()));
}

#[tokio::test]
async fn nobody_is_added_to_or_removed_from_a_direct_conversation() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let direct = server.direct(&ada, &bob).await;
    let http = server.http_of(&ada);
    assert_eq!(
        code(http.call(add(direct, &cleo)).await),
        ErrorCode::WrongMode
    );
    assert_eq!(
        code(http.call(remove(direct, &bob)).await),
        ErrorCode::WrongMode
    );
    assert_eq!(
        code(http.call(change_role(direct, &bob, Role::Owner)).await),
        ErrorCode::WrongMode
    );
    let leave = member::Leave {
        conversation: direct,
    };
    assert_eq!(code(http.call(leave).await), ErrorCode::WrongMode);
}

#[tokio::test]
async fn users_who_do_not_exist_are_no_members() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    let nobody = a_user_who_does_not_exist();
    for kind in [ConversationKind::Direct, ConversationKind::Group] {
        let refused = code(http.call(create(kind, &[nobody])).await);
        assert_eq!(refused, ErrorCode::UserNotFound);
    }
    let group = server.group(&ada, &[]).await;
    let request = member::Add {
        conversation: group,
        users: vec![nobody],
    };
    assert_eq!(code(http.call(request).await), ErrorCode::UserNotFound);
}

#[tokio::test]
async fn an_end_to_end_encrypted_conversation_is_refused_and_not_made_a_managed_one() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http_of(&ada);
    for kind in [ConversationKind::Direct, ConversationKind::Group] {
        let request = Create {
            mode: ProtectionMode::E2ee,
            ..create(kind, &[bob.user()])
        };
        assert_eq!(code(http.call(request).await), ErrorCode::WrongMode);
    }
    let all = http.call(List::default()).await.unwrap();
    assert!(all.conversations.is_empty());
}

#[tokio::test]
async fn a_group_created_again_under_its_id_is_the_same_group() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http_of(&ada);
    let id = ConversationId::new(Timestamp::from_millis(1_700_000_000_000));
    let request = Create {
        id: Some(id),
        ..create(ConversationKind::Group, &[bob.user()])
    };
    let attempts = (0..5).map(|_| http.call(request.clone()));
    for made in join_all(attempts).await {
        let made = made.unwrap();
        assert_eq!(made.id, id);
        assert_eq!(made.head, seq(1));
        assert_eq!(made.role, Some(Role::Owner));
        assert_eq!(made.member_count, 2);
    }
    say(&http, id, "one").await;
    assert_eq!(http.call(request.clone()).await.unwrap().head, seq(2));
    let foreign = server.http_of(&bob).call(request).await;
    assert_eq!(code(foreign), ErrorCode::ConversationExists);
}

#[tokio::test]
async fn a_conversation_begins_with_a_notice_of_who_is_in_it() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let log = server.http_of(&bob).read_log(group).await.unwrap();
    let [Item::Row(row)] = log.as_slice() else {
        panic!("{log:?}")
    };
    assert_eq!(
        (row.kind, row.sender, row.seq),
        (RowKind::System, ada.user(), seq(1))
    );
    let notice = Notice::from_payload(&row.payload);
    let expected = Notice::Created {
        kind: ConversationKind::Group,
        members: vec![ada.user(), bob.user()],
    };
    assert_eq!(notice, Some(expected));
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Add,
    Remove(Role),
    Change(Role, Role),
    Leave,
}

/// What the documentation of the roles says.
fn is_allowed(actor: Role, deed: Deed) -> bool {
    let by_an_admin = matches!(deed, Deed::Add | Deed::Remove(Role::Member));
    actor == Role::Owner || deed == Deed::Leave || (actor == Role::Admin && by_an_admin)
}

#[tokio::test]
async fn each_role_may_do_what_its_documentation_says_and_nothing_else() {
    const ROLES: [Role; 3] = [Role::Owner, Role::Admin, Role::Member];
    let server = TestServer::start().await;
    let owner = server.register("owner").await;
    let actor = server.register("actor").await;
    let target = server.register("target").await;
    let guest = server.register("guest").await;
    let mut deeds = vec![Deed::Add, Deed::Leave];
    deeds.extend(ROLES.map(Deed::Remove));
    deeds.extend(
        ROLES
            .iter()
            .flat_map(|from| ROLES.map(|to| Deed::Change(*from, to))),
    );

    for role in ROLES {
        for deed in &deeds {
            let group = server.group(&owner, &[&actor, &target]).await;
            let http = server.http_of(&owner);
            http.call(change_role(group, &actor, role)).await.unwrap();
            if let Deed::Remove(theirs) | Deed::Change(theirs, _) = deed {
                http.call(change_role(group, &target, *theirs))
                    .await
                    .unwrap();
            }
            let http = server.http_of(&actor);
            let result = match deed {
                Deed::Add => http.call(add(group, &guest)).await,
                Deed::Remove(_) => http.call(remove(group, &target)).await,
                Deed::Change(_, to) => http.call(change_role(group, &target, *to)).await,
                Deed::Leave => {
                    http.call(member::Leave {
                        conversation: group,
                    })
                    .await
                }
            };
            match result {
                Ok(_) => assert!(is_allowed(role, *deed), "{role} could {deed:?}"),
                Err(error) => {
                    assert!(
                        !is_allowed(role, *deed),
                        "{role} could not {deed:?}: {error}"
                    );
                    assert_eq!(error.code, ErrorCode::Forbidden);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_group_with_members_keeps_an_owner() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    let leave = member::Leave {
        conversation: group,
    };
    assert_eq!(code(a.call(leave).await), ErrorCode::LastOwner);
    for role in [Role::Admin, Role::Member] {
        assert_eq!(
            code(a.call(change_role(group, &ada, role)).await),
            ErrorCode::LastOwner
        );
    }
    a.call(change_role(group, &bob, Role::Owner)).await.unwrap();
    a.call(leave).await.unwrap();
    b.call(leave).await.unwrap();
    assert_eq!(
        b.call(Get {
            conversation: group
        })
        .await
        .unwrap()
        .member_count,
        0
    );
}

#[tokio::test]
async fn an_owner_who_is_alone_stays_owner() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let refused = server
        .http_of(&ada)
        .call(change_role(group, &ada, Role::Member))
        .await;
    assert_eq!(code(refused), ErrorCode::LastOwner);
}

#[tokio::test]
async fn of_two_owners_who_demote_each_other_at_once_one_remains() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    for _ in 0..10 {
        let group = server.group(&ada, &[&bob]).await;
        a.call(change_role(group, &bob, Role::Owner)).await.unwrap();
        let (one, other) = tokio::join!(
            a.call(change_role(group, &bob, Role::Member)),
            b.call(change_role(group, &ada, Role::Member)),
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        let list = member::List {
            conversation: group,
            after: None,
        };
        let members = a.call(list).await.unwrap().members;
        let owners = members.iter().filter(|member| member.role == Role::Owner);
        assert_eq!(owners.count(), 1);
    }
}

#[tokio::test]
async fn a_change_that_changes_nothing_writes_nothing() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let http = server.http_of(&ada);
    let added = http.call(add(group, &bob)).await.unwrap();
    let changed = http
        .call(change_role(group, &bob, Role::Member))
        .await
        .unwrap();
    assert_eq!((added.roster_version, added.head), (1, seq(1)));
    assert_eq!(changed, added);
}

#[tokio::test]
async fn many_who_change_a_roster_at_once_each_leave_their_notice() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut others = Vec::new();
    for name in ["bob", "cleo", "dina", "emil", "finn", "gaia"] {
        others.push(server.register(name).await);
    }
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let adding = others.iter().map(|person| http.call(add(group, person)));
    for added in join_all(adding).await {
        added.unwrap();
    }
    let conversation = http
        .call(Get {
            conversation: group,
        })
        .await
        .unwrap();
    assert_eq!(conversation.member_count, 7);
    assert_eq!(conversation.roster_version, 7);
    assert_eq!(conversation.head, seq(7));
}

#[tokio::test]
async fn a_removed_members_view_ends_with_the_removal() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    say(&a, group, "before").await;
    let removed = a.call(remove(group, &bob)).await.unwrap();
    let after = say(&a, group, "behind bob's back").await;

    let seen = b
        .call(Get {
            conversation: group,
        })
        .await
        .unwrap();
    assert_eq!(seen.head, removed.head);
    assert_eq!(seen.role, None);
    let log = b.read_log(group).await.unwrap();
    assert_eq!(log.len(), 3);
    let Some(Item::Row(last)) = log.last() else {
        panic!()
    };
    assert_eq!(last.seq, removed.head);
    assert_eq!(
        Notice::from_payload(&last.payload),
        Some(Notice::Removed { user: bob.user() })
    );
    let newest = page(&b, group, PageStart::Newest, None).await;
    assert_eq!((newest.to, newest.head), (removed.head, removed.head));

    let fetch = |seq| Fetch {
        conversation: group,
        seq,
    };
    assert!(b.call(fetch(removed.head)).await.is_ok());
    assert_eq!(code(b.call(fetch(after)).await), ErrorCode::MessageNotFound);
    let not_found = ErrorCode::ConversationNotFound;
    assert_eq!(
        code(b.call(text_message(group, "still here")).await),
        not_found
    );
    let typing = SetTyping {
        conversation: group,
        active: true,
    };
    assert_eq!(code(b.call(typing).await), not_found);
    let members = member::List {
        conversation: group,
        after: None,
    };
    assert_eq!(code(b.call(members).await), not_found);
    assert_eq!(code(b.call(add(group, &ada)).await), not_found);
}

#[tokio::test]
async fn who_was_added_again_sees_a_hole_where_they_were_not_there() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[]).await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    say(&a, group, "long ago").await;
    let first = a.call(add(group, &bob)).await.unwrap().head;
    say(&a, group, "with bob").await;
    let last = a.call(remove(group, &bob)).await.unwrap().head;
    say(&a, group, "without bob").await;
    say(&a, group, "still without").await;
    let again = a.call(add(group, &bob)).await.unwrap().head;
    say(&a, group, "with bob again").await;

    let mut expected = vec![(seq(1), first.previous(), false)];
    expected.extend((first.get()..=last.get()).map(|n| (seq(n), seq(n), true)));
    expected.push((last.next(), again.previous(), false));
    expected.extend((again.get()..=again.get() + 1).map(|n| (seq(n), seq(n), true)));
    let shape = |items: &[Item]| -> Vec<(Seq, Seq, bool)> {
        items
            .iter()
            .map(|item| match item {
                Item::Row(row) => (row.seq, row.seq, true),
                Item::Hole(Hole { from, to }) => (*from, *to, false),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(shape(&b.read_log(group).await.unwrap()), expected);
    let backward = page(&b, group, PageStart::Newest, None).await;
    assert_eq!(shape(&backward.items), expected);
    assert_eq!((backward.from, backward.to), (seq(1), backward.head));
    for limit in 1..=4 {
        assert_eq!(
            shape(&walk_forward(&b, group, limit).await),
            expected,
            "{limit}"
        );
        assert_eq!(
            shape(&walk_backward(&b, group, limit).await),
            expected,
            "{limit}"
        );
    }
}

async fn walk_forward(client: &HttpClient, conversation: ConversationId, limit: u32) -> Vec<Item> {
    let mut items = Vec::new();
    let mut after = Seq::ZERO;
    loop {
        let next = page(client, conversation, PageStart::After(after), Some(limit)).await;
        assert_eq!(next.from, after.next());
        if next.items.is_empty() {
            assert_eq!(next.to, next.head);
            return items;
        }
        after = next.to;
        items.extend(next.items);
    }
}

async fn walk_backward(client: &HttpClient, conversation: ConversationId, limit: u32) -> Vec<Item> {
    let mut pages = Vec::new();
    let mut start = PageStart::Newest;
    loop {
        let next = page(client, conversation, start, Some(limit)).await;
        if next.items.is_empty() {
            break;
        }
        let done = next.from <= seq(1);
        start = PageStart::Before(next.from);
        pages.push(next.items);
        if done {
            break;
        }
    }
    pages.into_iter().rev().flatten().collect()
}

#[tokio::test]
async fn pages_lead_through_a_log_both_ways() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    for number in 0..23 {
        say(&http, group, &format!("message {number}")).await;
    }
    let whole = http.read_log(group).await.unwrap();
    assert_eq!(whole.len(), 24);
    for (number, item) in whole.iter().skip(1).enumerate() {
        assert_eq!(words_of(item), Some(format!("message {number}")));
    }
    for limit in [1, 7, 24, 100] {
        assert_eq!(walk_forward(&http, group, limit).await, whole, "{limit}");
        assert_eq!(walk_backward(&http, group, limit).await, whole, "{limit}");
    }
    let msgpack = http.clone().with_encoding(Encoding::MsgPack);
    assert_eq!(msgpack.read_log(group).await.unwrap(), whole);

    let beyond = page(&http, group, PageStart::After(seq(1_000)), None).await;
    assert!(beyond.items.is_empty() && beyond.from > beyond.to);
    let before_all = page(&http, group, PageStart::Before(seq(1)), None).await;
    assert!(before_all.items.is_empty() && before_all.from > before_all.to);
    let middle = page(&http, group, PageStart::Before(seq(11)), Some(3)).await;
    assert_eq!((middle.from, middle.to), (seq(8), seq(10)));
}

#[tokio::test]
async fn a_page_of_long_messages_ends_early_and_the_next_goes_on() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let long = "x".repeat(limits::PAYLOAD_MAX - 64);
    for _ in 0..25 {
        socket.call(text_message(group, &long)).await.unwrap();
    }
    let mut after = Seq::ZERO;
    let mut pages = 0;
    while after < seq(26) {
        let request = PageRequest {
            conversation: group,
            from: PageStart::After(after),
            limit: None,
            as_content: false,
        };
        let next = socket.call(request).await.unwrap();
        let bytes: usize = next
            .items
            .iter()
            .map(|item| match item {
                Item::Row(row) => row.payload.len(),
                _ => 0,
            })
            .sum();
        assert!(bytes <= limits::PAGE_BYTES_MAX, "{bytes}");
        assert_eq!(next.from, after.next());
        after = next.to;
        pages += 1;
    }
    assert!(pages > 1);
}

#[tokio::test]
async fn content_stands_in_for_a_payload_where_it_is_asked_for() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let content = Content::from(Text::new("da curl"));
    let given = Send {
        payload: None,
        content: Some(content.clone()),
        ..text_message(group, "")
    };
    let ack = http.call(given).await.unwrap();
    let fetched = http
        .call(Fetch {
            conversation: group,
            seq: ack.seq,
        })
        .await
        .unwrap();
    let Item::Row(row) = &fetched.item else {
        panic!()
    };
    assert_eq!(row.payload, content.to_payload().unwrap());
    assert_eq!(row.content, None);

    let request = PageRequest {
        conversation: group,
        from: PageStart::Newest,
        limit: None,
        as_content: true,
    };
    let items = http.call(request).await.unwrap().items;
    let Some(Item::Row(row)) = items.last() else {
        panic!()
    };
    assert_eq!(row.content, Some(content));
    assert!(row.payload.is_empty());
}

#[tokio::test]
async fn a_message_without_a_valid_payload_takes_no_number() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let with = |payload: Option<Vec<u8>>| Send {
        payload: payload.map(Blob::from),
        ..text_message(group, "")
    };
    assert_eq!(code(http.call(with(None)).await), ErrorCode::InvalidContent);
    assert_eq!(
        code(http.call(with(Some(Vec::new()))).await),
        ErrorCode::InvalidContent
    );
    let over = vec![b'x'; limits::PAYLOAD_MAX + 1];
    assert_eq!(
        code(http.call(with(Some(over))).await),
        ErrorCode::PayloadTooLarge
    );
    let both = Send {
        content: Some(Content::from(Text::new("twice"))),
        ..text_message(group, "twice")
    };
    assert_eq!(code(http.call(both).await), ErrorCode::InvalidParams);
    let sealed = Send {
        epoch: Some(3),
        ..text_message(group, "no epoch here")
    };
    assert_eq!(code(http.call(sealed).await), ErrorCode::StaleEpoch);
    let fits = vec![b'x'; limits::PAYLOAD_MAX];
    assert_eq!(http.call(with(Some(fits))).await.unwrap().seq, seq(2));
}

#[tokio::test]
async fn a_single_row_can_be_fetched() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let second = say(&http, group, "second").await;
    http.call(add(group, &bob)).await.unwrap();
    let fetch = |seq| Fetch {
        conversation: group,
        seq,
    };
    let item = http.call(fetch(second)).await.unwrap().item;
    assert_eq!(words_of(&item).as_deref(), Some("second"));
    for missing in [Seq::ZERO, seq(4), Seq::MAX] {
        assert_eq!(
            code(http.call(fetch(missing)).await),
            ErrorCode::MessageNotFound
        );
    }
    let before_bob = server.http_of(&bob).call(fetch(second)).await;
    assert_eq!(code(before_bob), ErrorCode::MessageNotFound);
}

#[tokio::test]
async fn no_more_users_are_named_at_once_than_the_limit() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    let too_many: Vec<UserId> = (0..=limits::MEMBERS_PER_REQUEST)
        .map(|_| a_user_who_does_not_exist())
        .collect();
    let refused = http.call(create(ConversationKind::Group, &too_many)).await;
    assert_eq!(code(refused), ErrorCode::LimitReached);
    let group = server.group(&ada, &[]).await;
    let request = member::Add {
        conversation: group,
        users: too_many,
    };
    assert_eq!(code(http.call(request).await), ErrorCode::LimitReached);
}

#[tokio::test]
async fn groups_and_lists_of_conversations_grow_to_their_limits_and_no_further() {
    let server = TestServer::options()
        .config(|config| {
            config.limits.group_members = 3;
            config.limits.conversations_per_user = 2;
        })
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let dina = server.register("dina").await;
    let http = server.http_of(&ada);
    let group = server.group(&ada, &[&bob]).await;
    http.call(add(group, &cleo)).await.unwrap();
    assert_eq!(
        code(http.call(add(group, &dina)).await),
        ErrorCode::LimitReached
    );
    server.group(&bob, &[]).await;
    let refused = http
        .call(create(ConversationKind::Direct, &[bob.user()]))
        .await;
    assert_eq!(code(refused), ErrorCode::LimitReached);
    let second = server.group(&ada, &[]).await;
    assert_eq!(
        code(http.call(add(second, &bob)).await),
        ErrorCode::LimitReached
    );
    let own = http.call(create(ConversationKind::Group, &[])).await;
    assert_eq!(code(own), ErrorCode::LimitReached);
}

#[tokio::test]
async fn a_group_is_not_created_with_more_members_than_a_group_may_have() {
    let server = TestServer::options()
        .config(|config| config.limits.group_members = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let members = [bob.user(), cleo.user()];
    let refused = server
        .http_of(&ada)
        .call(create(ConversationKind::Group, &members))
        .await;
    assert_eq!(code(refused), ErrorCode::LimitReached);
}

#[tokio::test]
async fn a_stranger_cannot_tell_a_conversation_from_none() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let eve = server.register("eve").await;
    let group = server.group(&ada, &[]).await;
    let none = ConversationId::new(Timestamp::from_millis(1));
    let http = server.http_of(&eve);
    let not_found = ErrorCode::ConversationNotFound;
    for conversation in [group, none] {
        let start = PageRequest {
            conversation,
            from: PageStart::Newest,
            limit: None,
            as_content: false,
        };
        let one = seq(1);
        let answers = [
            http.call(Get { conversation }).await.err(),
            http.call(start).await.err(),
            http.call(Fetch {
                conversation,
                seq: one,
            })
            .await
            .err(),
            http.call(text_message(conversation, "knock")).await.err(),
            http.call(Delivered {
                conversation,
                seq: one,
            })
            .await
            .err(),
            http.call(Read {
                conversation,
                seq: one,
            })
            .await
            .err(),
            http.call(SetTyping {
                conversation,
                active: true,
            })
            .await
            .err(),
            http.call(member::List {
                conversation,
                after: None,
            })
            .await
            .err(),
            http.call(add(conversation, &eve)).await.err(),
            http.call(remove(conversation, &ada)).await.err(),
            http.call(member::Leave { conversation }).await.err(),
            http.call(change_role(conversation, &eve, Role::Owner))
                .await
                .err(),
        ];
        for answer in &answers {
            let error = answer.as_ref().expect("a stranger does nothing");
            assert_eq!(error.code, not_found);
            assert_eq!(Some(error), answers[0].as_ref(), "all are answered alike");
        }
    }
    assert_eq!(server.http_of(&ada).read_log(group).await.unwrap().len(), 1);
}

#[tokio::test]
async fn members_are_listed_with_their_roles_and_positions() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[]).await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    let from = a.call(add(group, &bob)).await.unwrap().head;
    b.call(Delivered {
        conversation: group,
        seq: from,
    })
    .await
    .unwrap();
    b.call(Read {
        conversation: group,
        seq: seq(1),
    })
    .await
    .unwrap();
    let list = member::List {
        conversation: group,
        after: None,
    };
    let listed = a.call(list).await.unwrap();
    assert_eq!(listed.roster_version, 2);
    assert_eq!(listed.next, None);
    let bob_listed = listed
        .members
        .iter()
        .find(|member| member.user == bob.login.user)
        .unwrap();
    assert_eq!(bob_listed.role, Role::Member);
    assert_eq!(bob_listed.from_seq, from);
    assert_eq!((bob_listed.delivered, bob_listed.read), (from, seq(1)));
    let after = member::List {
        conversation: group,
        after: Some(listed.members[0].user.id),
    };
    assert_eq!(a.call(after).await.unwrap().members, listed.members[1..]);
}
