//! A PostgreSQL server whose disk is full: what it does not keep nobody is told
//! of, and when there is room again everything goes on by itself.
//!
//! The disk is made full by a library that the server loads. Like a real one it
//! takes what lies within the files and refuses what would make them longer;
//! unlike a real one it needs no rights to be made. The write-ahead log is left
//! alone: it has its files from before. A server that cannot write it ends
//! itself and comes back, and that is tried in `ruggine-server/tests/cluster.rs`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ruggine_core::api::message::Item;
use ruggine_core::codec::Encoding;
use ruggine_core::{ClientMsgId, ErrorCode, Event, Seq};
use ruggine_server::testing::{patiently, text_message};
use ruggine_services::Postgres;

use super::shim::compile;
use crate::support::{self, KEY, Setup};

/// While the file of `SHIM_FULL` exists, no table and no index becomes longer.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int full(int fd, off_t end) {
    const char *flag = getenv("SHIM_FULL");
    if (!flag || access(flag, F_OK) != 0) return 0;
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    struct stat file;
    return strstr(name, "/base/") && fstat(fd, &file) == 0 && end > file.st_size;
}

static ssize_t no_room(void) {
    errno = ENOSPC;
    return -1;
}

static ssize_t one(int fd, const void *bytes, size_t count, off_t at) {
    if (full(fd, at + (off_t)count)) return no_room();
    return syscall(SYS_pwrite64, fd, bytes, count, at);
}

static ssize_t many(int fd, const struct iovec *parts, int count, off_t at) {
    off_t end = at;
    for (int part = 0; part < count; part++) end += (off_t)parts[part].iov_len;
    if (full(fd, end)) return no_room();
    return syscall(SYS_pwritev, fd, parts, (long)count, at, 0L);
}

static int reserve(int fd, off_t at, off_t length) {
    if (full(fd, at + length)) return ENOSPC;
    return syscall(SYS_fallocate, fd, 0L, at, length) == 0 ? 0 : errno;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return one(fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) { return one(fd, bytes, count, at); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return many(fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return many(fd, parts, count, at); }
int posix_fallocate(int fd, off_t at, off_t length) { return reserve(fd, at, length); }
int posix_fallocate64(int fd, off_t at, off_t length) { return reserve(fd, at, length); }
"#;

/// A database server of this test's own, and the file that makes its disk full.
struct Disk {
    postgres: Postgres,
    full: PathBuf,
}

impl Disk {
    fn make(folder: &Path) -> Self {
        let full = folder.join("full");
        let environment = vec![
            ("LD_PRELOAD".into(), compile(folder, SOURCE).into()),
            ("SHIM_FULL".into(), full.clone().into()),
        ];
        let postgres = Postgres::create_with_environment(&folder.join("postgres"), environment);
        Self {
            postgres: postgres.expect("PostgreSQL is installed"),
            full,
        }
    }

    fn fill(&self) {
        std::fs::write(&self.full, "").expect("the folder can be written");
    }

    fn make_room(&self) {
        std::fs::remove_file(&self.full).expect("the folder can be written");
    }
}

#[tokio::test]
async fn a_full_disk_of_the_database_loses_nothing_and_needs_no_new_start() {
    let folder = support::folder();
    let disk = Disk::make(folder.path());
    let server = Setup::in_folder(folder.path())
        .env("DATABASE_URL", disk.postgres.url())
        .env("ENCRYPTION_MASTER_KEY", KEY)
        .env("RUGGINE_RATE_LIMITS", "false")
        .env("RUGGINE_DRAIN_LEAD_SECONDS", "0")
        .env("RUGGINE_DRAIN_SPREAD_SECONDS", "0")
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let mut ear = server.socket(&bob, Encoding::Json).await;
    let rows = async || {
        let log = server.http_of(&bob).read_log(group).await;
        let log = log.expect("a member may read");
        let row = |item: &Item| match item {
            Item::Row(row) => (row.client_msg_id, row.seq),
            other => panic!("a member of all times sees {other:?}"),
        };
        // The first is the notice with which the group began.
        log.iter().skip(1).map(row).collect::<Vec<_>>()
    };

    disk.fill();
    // Short words may find room in what the tables have; long ones do not.
    let long = "not yet ".repeat(2_000);
    let messages: Vec<_> = (0..8)
        .map(|number| text_message(group, if number % 2 == 0 { &long } else { "now?" }))
        .collect();
    let mut acknowledged: HashMap<ClientMsgId, Seq> = HashMap::new();
    for (number, message) in messages.iter().enumerate() {
        match socket.call(message.clone()).await {
            Ok(ack) => {
                assert!(number % 2 == 1, "there is no room for long words");
                acknowledged.insert(message.client_msg_id, ack.seq);
            }
            Err(refused) => {
                assert_eq!(refused.code, ErrorCode::Unavailable, "{refused:?}");
                assert!(refused.retryable);
            }
        }
    }
    // Reading goes on, and what was acknowledged is there and nothing else.
    let kept: HashMap<ClientMsgId, Seq> = rows().await.into_iter().collect();
    assert_eq!(kept, acknowledged);
    let told = ear.catch_up().await;
    let told = told.iter().filter_map(|event| match event {
        Event::Message(message) => message.item.span().map(|(seq, _)| seq),
        _ => None,
    });
    let told: Vec<Seq> = told.collect();
    assert!(
        told.iter()
            .all(|seq| acknowledged.values().any(|acked| acked == seq)),
        "nobody is told of what is not kept: {told:?}, {acknowledged:?}"
    );
    // Whoever reads is served well here, so the balancer is told to go on.
    let ready = server.http().get("/readyz").await;
    assert_eq!((ready.status, &*ready.body), (200, &b"ready\n"[..]));

    disk.make_room();
    for message in &messages {
        let ack = socket.call(message.clone()).await;
        let ack = ack.expect("there is room again");
        let before = acknowledged.insert(message.client_msg_id, ack.seq);
        assert!(before.is_none_or(|before| before == ack.seq));
    }
    let log = rows().await;
    assert_eq!(log.len(), messages.len(), "each once: {log:?}");
    assert_eq!(log.into_iter().collect::<HashMap<_, _>>(), acknowledged);
    let ended = patiently("the end", server.stop()).await;
    assert_eq!(ended.code(), Some(0));
}
