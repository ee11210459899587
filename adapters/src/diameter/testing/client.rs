//! A client of python-diameter, which asks a real HSS what the source asks it: for measurements.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use accord_proto::msisdn::Msisdn;

use super::{CLIENT, REALM, RealHss, TestingError, python, stop, write};

const SCRIPT: &str = include_str!("client.py");

/// A client that runs, in a process of its own, and is stopped when dropped.
#[derive(Debug)]
pub struct PythonClient {
    child: Child,
    pipes: Arc<Mutex<Pipes>>,
}

#[derive(Debug)]
struct Pipes {
    tell: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl PythonClient {
    /// Starts one, `client.example`, and waits until the HSS has accepted it.
    ///
    /// # Errors
    /// [`TestingError`], for example where there is no python3 or no PyPI.
    pub async fn start(
        directory: &Path,
        hss: &RealHss,
        numbers: &[Msisdn],
    ) -> Result<Self, TestingError> {
        let python = python().await?;
        let (script, list) = (directory.join("client.py"), directory.join("numbers"));
        let log = directory.join("client.log");
        write(&script, SCRIPT)?;
        let digits: Vec<&str> = numbers.iter().map(Msisdn::expose_digits).collect();
        write(&list, &digits.join("\n"))?;
        let started = File::create(&log).and_then(|log| {
            Command::new(python)
                .arg(script)
                .args([CLIENT, REALM, &hss.host, &hss.port.to_string()])
                .arg(list)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log)
                .spawn()
        });
        let mut child = started.map_err(|error| TestingError::Io("start the client", error))?;
        let (Some(tell), Some(told)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(TestingError::NotStarted(log));
        };
        let told = BufReader::new(told);
        let client = Self {
            child,
            pipes: Arc::new(Mutex::new(Pipes { tell, told })),
        };
        match client.line(None).await?.as_str() {
            "ready" => Ok(client),
            _ => Err(TestingError::NotStarted(log)),
        }
    }

    /// Asks for so long with so many requests in flight: how long each took, in microseconds.
    ///
    /// # Errors
    /// [`TestingError`], if one was not answered.
    pub async fn round(&self, time: Duration, in_flight: usize) -> Result<Vec<u32>, TestingError> {
        let said = self
            .line(Some(format!("{} {in_flight}\n", time.as_secs_f64())))
            .await?;
        serde_json::from_str(&said).map_err(|_| TestingError::Command(said))
    }

    /// Tells it a line, if one is given, and waits for its next.
    async fn line(&self, tell: Option<String>) -> Result<String, TestingError> {
        let pipes = Arc::clone(&self.pipes);
        let exchange = move || {
            let mut pipes = pipes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(tell) = tell {
                pipes.tell.write_all(tell.as_bytes())?;
                pipes.tell.flush()?;
            }
            let mut line = String::new();
            pipes.told.read_line(&mut line)?;
            Ok(line.trim_end().to_owned())
        };
        let exchanged = tokio::task::spawn_blocking(exchange).await;
        exchanged
            .unwrap_or_else(|error| Err(error.into()))
            .map_err(|error| TestingError::Io("speak to the client", error))
    }
}

impl Drop for PythonClient {
    fn drop(&mut self) {
        stop(&mut self.child).ok();
    }
}
