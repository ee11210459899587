//! An operator's adapter in this process, attached over mTLS as a real one would be.

use std::{path::Path, sync::Arc, time::Duration};

use accord_adapters::{
    config::AdapterConfig,
    runtime::{RestrictionHandle, Runtime, RuntimeError},
    several::{Part, Several},
    source::Source,
    sources::{OpenError, SourceConfig},
    virtual_operator::VirtualOperator,
};
use accord_proto::clock::SharedClock;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{WAIT_MAX, WorldError};

/// An adapter that runs.
#[derive(Debug)]
pub struct RunningAdapter {
    operator: String,
    virtual_operator: Option<Arc<VirtualOperator>>,
    restrictions: RestrictionHandle,
    attached: watch::Receiver<usize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RuntimeError>>,
    background: Vec<JoinHandle<()>>,
}

impl RunningAdapter {
    /// Starts the adapter of a configuration file; it dials from now on.
    ///
    /// # Errors
    /// [`WorldError`]: configuration, source or journal.
    pub async fn start(config: &Path, clock: SharedClock) -> Result<Self, WorldError> {
        let config = AdapterConfig::load(config)?;
        let mut virtual_operator = None;
        let mut background = Vec::new();
        let mut parts = Vec::new();
        for section in &config.sources {
            let failed = |error| OpenError {
                name: section.name.clone(),
                error,
            };
            let source: Arc<dyn Source> = if let SourceConfig::Virtual(keys) = &section.kind {
                let source = VirtualOperator::new(&keys.prefix, clock.clone());
                let source = Arc::new(source.map_err(|error| failed(error.into()))?);
                virtual_operator.get_or_insert_with(|| Arc::clone(&source));
                source
            } else {
                let opened = section.kind.open(clock.clone()).map_err(failed)?;
                if let Some(prepare) = opened.prepare {
                    prepare.await.map_err(failed)?;
                }
                background.extend(opened.background.map(tokio::spawn));
                opened.source
            };
            parts.push(Part::new(section, source));
        }
        let source = Arc::new(Several::new(parts, clock.clone()));
        let runtime = Runtime::new(config.runtime()?, source, clock)?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self {
            operator: config.operator.to_string(),
            virtual_operator,
            restrictions: runtime.restrictions(),
            attached: runtime.attached(),
            stop,
            task: tokio::spawn(runtime.run(async move {
                // A handle that was dropped means the same as one that was stopped.
                let _ = stopped.await;
            })),
            background,
        })
    }

    /// Waits until a broker took the adapter.
    ///
    /// # Errors
    /// [`WorldError::TimedOut`].
    pub async fn wait_attached(&mut self) -> Result<(), WorldError> {
        let attached = timeout(WAIT_MAX, self.attached.wait_for(|count| *count > 0)).await;
        match attached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(WorldError::TimedOut {
                what: format!("the adapter of {} to attach", self.operator),
            }),
        }
    }

    /// The operator.
    #[must_use]
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// The (first) virtual operator behind it, to swap SIMs; `None` where there is none.
    #[must_use]
    pub const fn virtual_operator(&self) -> Option<&Arc<VirtualOperator>> {
        self.virtual_operator.as_ref()
    }

    /// Opt-outs, locks and kill switches.
    #[must_use]
    pub const fn restrictions(&self) -> &RestrictionHandle {
        &self.restrictions
    }

    /// Ends it as a crash would: nothing is answered, nothing is written any more.
    pub async fn kill(self) {
        self.task.abort();
        for background in self.background {
            background.abort();
        }
        // It was aborted, so it ends; how is of no interest.
        let _ = self.task.await;
    }

    /// Stops it in good order: what is in flight is answered first.
    ///
    /// # Errors
    /// [`WorldError::Runtime`] if the journal failed, [`WorldError::TimedOut`] if it does not end.
    pub async fn stop(self) -> Result<(), WorldError> {
        // Where it ended by itself, nobody listens.
        let _ = self.stop.send(());
        for background in self.background {
            background.abort();
        }
        match timeout(WAIT_MAX + Duration::from_secs(5), self.task).await {
            Ok(Ok(ended)) => Ok(ended?),
            Ok(Err(_)) => Err(WorldError::Runtime(RuntimeError::Task)),
            Err(_) => Err(WorldError::TimedOut {
                what: format!("the adapter of {} to stop", self.operator),
            }),
        }
    }
}
