//! Commands that follow, until Ctrl-C.

use std::{cell::Cell, path::Path, process::Stdio};

use accord_tests::world::{WAIT_MAX, broker_binary, wait_until};
use rustix::{
    io::ioctl_fionread,
    process::{Pid, Signal, kill_process},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::rig::Rig;

/// Linux keeps 64 KiB of a pipe that nobody reads (pipe(7)), in pages of which each has whole lines.
const MANY_BYTES: u64 = 32 << 10;

/// `accord audit` with one of its commands that follow, and what it prints.
pub(crate) struct Following {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl Following {
    pub(crate) fn of(world: &Path, args: &[&str]) -> Self {
        let accord = broker_binary().unwrap().with_file_name("accord");
        let mut command = Command::new(accord);
        command.arg("audit").args(args);
        let command = command.env("ACCORD_PROFILE", world).current_dir(world);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = piped.kill_on_drop(true).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        Self {
            child,
            lines: BufReader::new(out).lines(),
        }
    }

    /// The next line that holds a text; the test's own bound is that of [`wait_until`].
    pub(crate) async fn line(&mut self, holds: &str) -> String {
        let next = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("ended before it said `{holds}`"));
                if line.contains(holds) {
                    return line;
                }
            }
        };
        timeout(WAIT_MAX, next).await.unwrap()
    }

    /// Waits until it can print no more, since nobody reads.
    pub(crate) async fn blocked(&mut self) {
        let out = self.lines.get_mut().get_ref();
        let unread = || ioctl_fionread(out).unwrap();
        let before = Cell::new(0);
        wait_until("the pipe to be full", || async {
            let now = unread();
            before.replace(now) == now && now > MANY_BYTES
        })
        .await
        .unwrap();
    }

    /// Ctrl-C, and the exit code once what was printed is read.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
        let ended = async {
            while self.lines.next_line().await.unwrap().is_some() {}
            self.child.wait().await.unwrap().code()
        };
        timeout(WAIT_MAX, ended).await.unwrap()
    }
}

// The command is waited for where the world runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ctrl_c_that_comes_while_a_command_prints_stops_it() {
    let rig = Rig::new().await;
    rig.grow(300).await;
    let args = ["tail", "--from", "0", "--json"];
    let mut following = Following::of(rig.world.files.dir(), &args);
    following.blocked().await;
    assert_eq!(following.stop().await, Some(0));
}
