//! A library between the program and the system that counts what is synced,
//! and can make the disk slow or broken.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Setup;

/// A letter for each sync that has succeeded: `w` for a write-ahead log.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static char kind(int fd) {
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 4) return 'o';
    return memcmp(name + length - 4, "-wal", 4) == 0 ? 'w' : 'o';
}

static int sync_and_count(long call, int fd) {
    const char *pause = getenv("SHIM_PAUSE_US");
    if (pause) {
        struct timespec time = { 0, atol(pause) * 1000 };
        nanosleep(&time, NULL);
    }
    const char *broken = getenv("SHIM_BROKEN");
    if (broken && access(broken, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    long result = syscall(call, fd);
    int error = errno;
    const char *count = getenv("SHIM_COUNT");
    if (result == 0 && count) {
        char letter = kind(fd);
        int file = open(count, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file < 0 || syscall(SYS_write, file, &letter, 1) != 1) abort();
        close(file);
    }
    errno = error;
    return (int)result;
}

/* A disk without room takes no more of a write-ahead log. */
static int full(int fd) {
    const char *name = getenv("SHIM_FULL");
    if (!name || access(name, F_OK) != 0 || kind(fd) != 'w') return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return full(fd) ? -1 : syscall(SYS_write, fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    return full(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) {
    return full(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, count, at);
}

int fsync(int fd) { return sync_and_count(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_and_count(SYS_fdatasync, fd); }
"#;

/// Makes a library of this source in a folder.
pub(super) fn compile(folder: &Path, text: &str) -> PathBuf {
    let source = folder.join("shim.c");
    let library = folder.join("shim.so");
    std::fs::write(&source, text).expect("the folder can be written");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(&source)
        .output()
        .expect("there is a C compiler");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    library
}

/// The library, and the files through which it is spoken with.
#[derive(Debug)]
pub(super) struct Shim {
    library: PathBuf,
    count: PathBuf,
    broken: PathBuf,
    full: PathBuf,
    pause: Option<u32>,
}

impl Shim {
    /// Compiles it into this folder.
    pub(super) fn build(folder: &Path) -> Self {
        Self {
            library: compile(folder, SOURCE),
            count: folder.join("syncs"),
            broken: folder.join("broken"),
            full: folder.join("full"),
            pause: None,
        }
    }

    /// Every sync takes at least five milliseconds, as on a real disk.
    pub(super) const fn slow(mut self) -> Self {
        self.pause = Some(5_000);
        self
    }

    /// Puts it under a program.
    pub(super) fn over(&self, setup: Setup) -> Setup {
        let setup = setup
            .env("LD_PRELOAD", &self.library)
            .env("SHIM_COUNT", &self.count)
            .env("SHIM_BROKEN", &self.broken)
            .env("SHIM_FULL", &self.full);
        match self.pause {
            Some(pause) => setup.env("SHIM_PAUSE_US", pause.to_string()),
            None => setup,
        }
    }

    /// How often a write-ahead log was synced.
    pub(super) fn syncs(&self) -> usize {
        let letters = std::fs::read(&self.count).unwrap_or_default();
        letters.iter().filter(|letter| **letter == b'w').count()
    }

    /// From now on every sync fails.
    pub(super) fn break_disk(&self) {
        std::fs::write(&self.broken, "").expect("the folder can be written");
    }

    /// From now on a write-ahead log cannot be written.
    pub(super) fn fill_disk(&self) {
        std::fs::write(&self.full, "").expect("the folder can be written");
    }

    /// The disk is as it should be again.
    pub(super) fn mend_disk(&self) {
        for trouble in [&self.broken, &self.full] {
            if trouble.exists() {
                std::fs::remove_file(trouble).expect("the folder can be written");
            }
        }
    }
}
