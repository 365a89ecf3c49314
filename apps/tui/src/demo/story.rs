//! The story that the demo tells.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use ruggine_client_sdk::store::MessageRecord;
use ruggine_core::api::conversation::ProtectionMode;
use ruggine_core::{Content, ConversationId, Seq, UserId};

use super::checks;
use super::house::House;
use super::latency::{Quantiles, Stopwatch};
use super::person::Person;
use crate::output::{clean, line};

const PASSWORDS: [&str; 3] = [
    "lantern orchard velvet tide",
    "copper window meadow seven",
    "harbour pencil thunder moss",
];
const MISSED: u64 = 50;

/// Something that was said in a conversation.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) sender: UserId,
    pub(super) text: String,
}

/// The words of a row, where it is text.
pub(super) fn words(row: &MessageRecord) -> Option<String> {
    match Content::from_payload(row.payload.as_deref()?) {
        Ok(Content::Text(text)) => Some(text.body),
        _ => None,
    }
}

pub(super) async fn tell(folder: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    let watch = Stopwatch::default();
    let mut house = House::open(&folder.join("server")).await?;
    line(&format!(
        "A server listens on {}, its database is new.",
        house.url()
    ))?;
    let people_folder = folder.join("people");
    let (url, at) = (house.url(), people_folder.as_path());
    let mut ada = Person::arrive("Ada", PASSWORDS[0], &url, at, watch.clone()).await?;
    let mut bob = Person::arrive("Bob", PASSWORDS[1], &url, at, watch.clone()).await?;
    let mut eva = Person::arrive("Eva", PASSWORDS[2], &url, at, watch.clone()).await?;
    line("Ada, Bob and Eva have accounts and are connected.")?;

    heading("Ada and Bob, both online")?;
    let direct = ada
        .client()?
        .direct(bob.user, ProtectionMode::Managed)
        .await?
        .id();
    let mut between = Vec::new();
    talk(direct, &ada, &bob, &mut between).await?;
    show(&bob, direct, 1, 6).await?;

    heading(&format!(
        "Bob closes his program; Ada writes {MISSED} messages"
    ))?;
    bob.leave().await;
    watch.pause();
    for number in 1..=MISSED {
        let text = format!("While you were away, thought number {number}");
        say(&ada, direct, &text, &mut between).await?;
    }
    let head = Seq::new(1 + between.len() as u64);
    ada.wait_for(direct, head).await?;
    let resuming = Instant::now();
    bob.come_back().await?;
    bob.wait_for(direct, head).await?;
    line(&format!(
        "Bob starts it again and has all {MISSED} after {}, the last ones:",
        millis(resuming.elapsed())
    ))?;
    show(&bob, direct, head.get() - 2, head.get()).await?;

    heading("A group of three, and the server restarts in the middle")?;
    let group = ada
        .client()?
        .group(
            vec![bob.user, eva.user],
            ProtectionMode::Managed,
            Some("Trip to the lake"),
        )
        .await?
        .id();
    let everybody = [&ada, &bob, &eva];
    let mut in_group = Vec::new();
    // The notice of the beginning and the title are rows of the log too.
    let number = |said: &[Said]| Seq::new(2 + said.len() as u64);
    for person in everybody {
        person.wait_for(group, number(&in_group)).await?;
    }
    watch.go_on();
    for round in 1..=5 {
        round_of_words(group, &everybody, round, &mut in_group).await?;
        all_have(group, &everybody, number(&in_group)).await?;
    }
    watch.pause();
    for round in 6..=7 {
        round_of_words(group, &everybody, round, &mut in_group).await?;
    }
    house.restart().await?;
    for round in 8..=10 {
        round_of_words(group, &everybody, round, &mut in_group).await?;
    }
    all_have(group, &everybody, number(&in_group)).await?;
    let last = number(&in_group).get();
    show(&eva, group, last - 5, last).await?;

    heading("What was measured")?;
    report("from send to acknowledgement", watch.to_acknowledge())?;
    report("from send to receipt", watch.to_receive())?;

    heading("What was checked")?;
    let rows = checks::log_is_whole(direct, &[&ada, &bob], &between).await?;
    line(&format!(
        "direct: {rows} rows, the same for both, none missing, doubled or out of order"
    ))?;
    let rows = checks::log_is_whole(group, &everybody, &in_group).await?;
    line(&format!(
        "group: {rows} rows, the same for all three, none missing, doubled or out of order"
    ))?;
    ensure!(between.len() as u64 >= MISSED, "too little was said");
    for person in [&mut ada, &mut bob, &mut eva] {
        person.leave().await;
    }
    house.stop().await;
    let sealed = checks::one_sealed_row(&house.database()).await?;
    line(&format!(
        "one stored row, as the database holds it:\n{sealed}"
    ))?;
    let mut secrets: Vec<String> = PASSWORDS.iter().map(|text| (*text).to_owned()).collect();
    secrets.push("Trip to the lake".to_owned());
    secrets.extend(between.into_iter().chain(in_group).map(|said| said.text));
    let files = checks::nothing_is_readable(folder, &secrets)?;
    line(&format!(
        "none of {} texts is readable in any of {files} files",
        secrets.len()
    ))?;
    line(&format!(
        "\nAll is well, after {}.",
        millis(began.elapsed())
    ))?;
    Ok(())
}

/// A conversation both ways, each answer after the word before it.
async fn talk(
    id: ConversationId,
    ada: &Person,
    bob: &Person,
    said: &mut Vec<Said>,
) -> anyhow::Result<()> {
    let opening = [
        (ada, "Ciao Bob, do you read me?"),
        (bob, "Loud and clear, Ada."),
        (ada, "Then let us see how fast this is."),
        (bob, "I am counting."),
    ];
    for (speaker, text) in opening {
        let listener = if speaker.user == ada.user { bob } else { ada };
        say(speaker, id, text, said).await?;
        listener
            .wait_for(id, Seq::new(1 + said.len() as u64))
            .await?;
    }
    for number in 1..=100 {
        let (speaker, listener) = if number % 2 == 1 {
            (ada, bob)
        } else {
            (bob, ada)
        };
        let text = format!("Ping number {number}, over and back");
        say(speaker, id, &text, said).await?;
        listener
            .wait_for(id, Seq::new(1 + said.len() as u64))
            .await?;
    }
    Ok(())
}

async fn round_of_words(
    id: ConversationId,
    people: &[&Person],
    round: u32,
    said: &mut Vec<Said>,
) -> anyhow::Result<()> {
    for person in people {
        let text = format!("{} packs item number {round} for the lake", person.name);
        say(person, id, &text, said).await?;
    }
    Ok(())
}

async fn all_have(id: ConversationId, people: &[&Person], seq: Seq) -> anyhow::Result<()> {
    for person in people {
        person.wait_for(id, seq).await?;
    }
    Ok(())
}

async fn say(
    person: &Person,
    id: ConversationId,
    text: &str,
    said: &mut Vec<Said>,
) -> anyhow::Result<()> {
    person.say(id, text).await?;
    said.push(Said {
        sender: person.user,
        text: text.to_owned(),
    });
    Ok(())
}

/// Part of the log, as one of the people has it.
async fn show(person: &Person, id: ConversationId, from: u64, to: u64) -> anyhow::Result<()> {
    let conversation = person.conversation(id)?;
    let members = conversation.members().await?;
    let many = usize::try_from(to - from + 1).unwrap_or(usize::MAX);
    let rows = conversation.messages(Seq::new(to + 1), many).await?;
    for row in rows.iter().rev() {
        let name = members
            .iter()
            .find(|member| member.user.id == row.sender)
            .map_or("?", |member| member.user.display_name.as_str());
        let text = words(row).unwrap_or_else(|| "(a notice)".to_owned());
        line(&format!(
            "  #{:<4} {}: {}",
            row.seq.get(),
            clean(name),
            clean(&text)
        ))?;
    }
    Ok(())
}

fn heading(text: &str) -> anyhow::Result<()> {
    Ok(line(&format!("\n{text}"))?)
}

fn report(what: &str, quantiles: Quantiles) -> anyhow::Result<()> {
    Ok(line(&format!(
        "  {what}: p50 {}, p99 {} over {} messages",
        millis(quantiles.p50),
        millis(quantiles.p99),
        quantiles.count
    ))?)
}

fn millis(time: std::time::Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
