//! Rounds of two that are asked the same.

use std::{future::Future, pin::Pin, sync::Arc};

use tokio::{task::JoinSet, time::Instant};

use super::{SourceLine, SourcesPlan};
use crate::bench::{BenchError, Figures, figures::Round};

/// One question, by its number; it succeeds only with the answer that is measured.
pub(super) type Asking = Pin<Box<dyn Future<Output = Result<(), BenchError>> + Send>>;

/// Who is asked.
pub(super) type Asked = Arc<dyn Fn(u64) -> Asking + Send + Sync>;

/// Makes an [`Asked`] of a client and a function.
pub(super) fn asked<C, F>(
    client: Arc<C>,
    ask: impl Fn(Arc<C>, u64) -> F + Send + Sync + 'static,
) -> Asked
where
    C: Send + Sync + 'static,
    F: Future<Output = Result<(), BenchError>> + Send + 'static,
{
    Arc::new(move |number| Box::pin(ask(Arc::clone(&client), number)))
}

/// Asks both in alternating rounds.
pub(super) async fn compare(
    plan: SourcesPlan,
    names: (&'static str, &'static str),
    in_flight: usize,
    (source, bare): (&Asked, &Asked),
    judged: bool,
) -> Result<SourceLine, BenchError> {
    let of = |asked: &Asked| {
        let asked = Arc::clone(asked);
        async move || round(plan, in_flight, &asked).await
    };
    alternate(plan, names, in_flight, (of(source), of(bare)), judged).await
}

/// Measures both in alternating rounds, however each makes its own.
pub(super) async fn alternate(
    plan: SourcesPlan,
    (what, beside): (&'static str, &'static str),
    in_flight: usize,
    (mut source, mut bare): (
        impl AsyncFnMut() -> Result<Round, BenchError>,
        impl AsyncFnMut() -> Result<Round, BenchError>,
    ),
    judged: bool,
) -> Result<SourceLine, BenchError> {
    let (mut of_bare, mut of_source) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        of_bare.push(bare().await?);
        of_source.push(source().await?);
    }
    Ok(SourceLine {
        what,
        beside,
        in_flight,
        source: Figures::of(&of_source, &of_bare),
        bare: Figures::of(&of_bare, &of_bare),
        judged,
    })
}

/// A round of tasks, each of which waits for its last answer.
pub(super) async fn round(
    plan: SourcesPlan,
    in_flight: usize,
    asked: &Asked,
) -> Result<Round, BenchError> {
    let begin = Instant::now() + plan.counted / 10;
    let end = begin + plan.counted;
    let mut tasks = JoinSet::new();
    let step = u64::try_from(in_flight).unwrap_or(1);
    for mut number in 0..step {
        let asked = Arc::clone(asked);
        tasks.spawn(async move {
            let mut took_us = Vec::new();
            loop {
                let sent = Instant::now();
                asked(number).await?;
                number += step;
                let now = Instant::now();
                if now >= begin {
                    let took = now.duration_since(sent).as_micros();
                    took_us.push(u32::try_from(took).unwrap_or(u32::MAX));
                }
                if now >= end {
                    return Ok(took_us);
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let took_us: Result<Vec<u32>, BenchError> =
            ended.map_err(|_| BenchError::Child { what: "load" })?;
        all.append(&mut took_us?);
    }
    // The last answer of each task came after the end.
    let within = all.len().saturating_sub(in_flight);
    Ok(Round::cut_off(all, within, plan.counted.as_secs_f64()))
}
