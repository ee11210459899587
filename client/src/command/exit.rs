//! How the command ends.

use std::{error::Error, io, process::ExitCode};

use serde_json::{Value, json};

use super::terminal::Terminal;
use crate::{CallError, ConnectError, Refusal, profile::ProfileError, receipt::chain, unreached};

/// The exit codes; `--help` and the README list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything was answered, or is in order.
    Ok = 0,
    /// Something failed, or is damaged, or can't be believed.
    Failure = 1,
    /// The command line has a mistake; clap's own code for it.
    Usage = 2,
    /// The broker refused the whole question.
    Refused = 3,
    /// Answered, but at least one signal or line has no value.
    Unanswered = 4,
    /// What was read is verified, and nothing shows that it is the newest that there is.
    Stale = 5,
    /// No broker could be reached, or none answered in time.
    Unavailable = 69,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the command did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
    json: Option<Value>,
    /// The reader of our output went away: nobody is left to be told.
    silent: bool,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            json: None,
            silent: false,
        }
    }

    /// Adds the cause.
    pub(super) fn because(mut self, error: &dyn Error) -> Self {
        self.message = format!("{}: {}", self.message, chain(error));
        self
    }

    /// Says what can be done.
    pub(super) fn hint(mut self, hint: &str) -> Self {
        self.message = format!("{}\n  {hint}", self.message);
        self
    }

    /// Tells the person, or the program that reads `--json`, and gives the exit code.
    pub(super) fn report(self, terminal: &mut Terminal) -> Exit {
        if !self.silent {
            if terminal.is_json() {
                let error = self.json.unwrap_or_else(|| json!({"error": self.message}));
                // Where standard output is gone too, the exit code is all that is left.
                let _ = terminal.json(&error);
            }
            // This also flushes what was written before.
            terminal.error(&self.message);
        }
        self.exit
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self {
            silent: error.kind() == io::ErrorKind::BrokenPipe,
            ..Self::new(Exit::Failure, "can't write the output").because(&error)
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let exit = match error {
            ProfileError::UnknownParty { .. } | ProfileError::NoSuchRole { .. } => Exit::Usage,
            ProfileError::NotFound
            | ProfileError::Read { .. }
            | ProfileError::Write { .. }
            | ProfileError::Malformed { .. } => Exit::Failure,
        };
        Self::new(exit, chain(&error))
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::new(Exit::Failure, chain(&error))
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let message = chain(&error);
        match error {
            CallError::Refused(refusal) => Self {
                json: Some(refusal_json(&refusal)),
                ..Self::new(Exit::Refused, message)
            },
            CallError::Unreachable {
                endpoint,
                attempts,
                source,
            } => {
                let why = unreached::why(&endpoint, &source);
                let tried = match attempts {
                    ..=1 => String::new(),
                    _ => format!(", tried {attempts} times"),
                };
                // A broker that says so is there.
                if source.source().is_none() && !source.message().is_empty() {
                    return Self::new(Exit::Unavailable, format!("not now: {why}{tried}"));
                }
                Self::new(
                    Exit::Unavailable,
                    format!("no broker answers: {why}{tried}"),
                )
                .hint("is the broker running? for the sandbox: `cargo sandbox`")
            }
            CallError::Deadline { .. } => Self::new(Exit::Unavailable, message),
            // Nothing was sent: the command line is at fault.
            CallError::Malformed(_) => Self::new(Exit::Usage, message),
            CallError::Mistrusted(_) | CallError::Token(_) => Self::new(Exit::Failure, message),
        }
    }
}

pub(super) fn refusal_json(refusal: &Refusal) -> Value {
    json!({"refused": {
        "code": format!("{:?}", refusal.code),
        "reason": refusal.reason,
        "message": refusal.message,
        "field": refusal.field,
        "retry_after_ms": refusal
            .retry_after
            .and_then(|wait| u64::try_from(wait.as_millis()).ok()),
    }})
}
