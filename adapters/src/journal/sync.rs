//! The journal's thread: syncs written records in groups, and signs checkpoints.

use std::{
    fs::{self, File},
    io::Write as _,
    sync::{Arc, PoisonError},
    time::Duration,
};

use accord_proto::c2sp::SignedNote;
use tokio::time::Instant;

use super::{CHECKPOINT_EVERY, Event, Head, JournalError, SYNC_EVERY_MAX, Shared, read, sync_dir};

/// How long records gather before they are synced together.
const GATHER: Duration = Duration::from_millis(25);
// The sync itself takes time too.
const _: () = assert!(GATHER.as_millis() * 2 <= SYNC_EVERY_MAX.as_millis());

/// Runs until the journal stops or fails.
pub(super) fn run(shared: &Shared) {
    let mut signed_at = Instant::now();
    loop {
        let stopping = wait(shared);
        if !stopping {
            std::thread::sleep(GATHER);
        }
        let due = stopping || signed_at.elapsed() >= CHECKPOINT_EVERY;
        let done = sync(shared).and_then(|()| if due { sign(shared) } else { Ok(()) });
        if let Err(error) = done {
            tracing::error!(error = &error as &dyn std::error::Error, "journal failed");
            shared.lock().failed = true;
            return;
        }
        if due {
            signed_at = Instant::now();
        }
        if stopping {
            return;
        }
    }
}

/// Waits until records were written, a checkpoint is due, or the journal stops.
fn wait(shared: &Shared) -> bool {
    let (mut state, _) = shared
        .wake
        .wait_timeout_while(shared.lock(), CHECKPOINT_EVERY, |state| {
            !state.unsynced && !state.stopping
        })
        .unwrap_or_else(PoisonError::into_inner);
    if state.stopping && !state.failed {
        // Whoever appended without writing out has sent no reply; the record is true all the same.
        if shared.write_out(&mut state).is_err() {
            tracing::warn!("the last records of the journal are lost");
        }
    }
    state.stopping
}

fn sync(shared: &Shared) -> Result<(), JournalError> {
    let (file, path) = {
        let mut state = shared.lock();
        if state.failed {
            return Err(JournalError::Failed);
        }
        if !state.unsynced {
            return Ok(());
        }
        state.unsynced = false;
        (Arc::clone(&state.file), state.path.clone())
    };
    // A rotation in between has synced the records of the file before.
    file.sync_data().map_err(JournalError::io("sync", &path))
}

/// Signs the head, unless nothing but a checkpoint was added since the last one.
fn sign(shared: &Shared) -> Result<(), JournalError> {
    let (head, note) = {
        let mut state = shared.lock();
        let covered = if state.signed == 0 {
            0
        } else {
            state.signed + 1
        };
        if state.head.size <= covered {
            return Ok(());
        }
        let key = &shared.settings.checkpoint_key;
        let head = state.head;
        let note = signed_note(shared, head)?;
        shared.append(&mut state, &Event::Checkpoint { note: &note })?;
        shared.write_out(&mut state)?;
        state.signed = head.size;
        tracing::debug!(
            size = head.size,
            key = key.verifier().name(),
            "journal signed"
        );
        (head, note)
    };
    sync(shared)?;
    store(shared, head, &note)
}

fn signed_note(shared: &Shared, head: Head) -> Result<String, JournalError> {
    let key = &shared.settings.checkpoint_key;
    let text = read::checkpoint_text(key.verifier().name(), head);
    let mut note = SignedNote::unsigned(text).map_err(|_| JournalError::Failed)?;
    note.sign(key).map_err(|_| JournalError::Failed)?;
    Ok(note.to_string())
}

/// Replaces the file `checkpoint`; a crash leaves the old one or the new one.
fn store(shared: &Shared, head: Head, note: &str) -> Result<(), JournalError> {
    let dir = &shared.settings.dir;
    let (new, path) = (dir.join("checkpoint.new"), dir.join("checkpoint"));
    File::create(&new)
        .and_then(|mut file| {
            file.write_all(note.as_bytes())?;
            file.sync_all()
        })
        .map_err(JournalError::io("write", &new))?;
    fs::rename(&new, &path).map_err(JournalError::io("replace", &path))?;
    tracing::debug!(size = head.size, "checkpoint stored");
    sync_dir(dir)
}
