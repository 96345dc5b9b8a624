//! Supervision of background tasks: a task that panics or returns is logged, counted and restarted.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::TaskMetrics;

/// The time between the end of a task and its restart.
const REST: Duration = Duration::from_secs(1);

/// Starts tasks, restarts those that end, and stops them together.
pub(super) struct Supervisor {
    stop: CancellationToken,
    tasks: TaskTracker,
    metrics: TaskMetrics,
    rest: Duration,
}

impl Supervisor {
    pub(super) fn new(metrics: TaskMetrics) -> Self {
        Self { stop: CancellationToken::new(), tasks: TaskTracker::new(), metrics, rest: REST }
    }

    /// Runs a task that never ends. It is aborted when the supervisor stops.
    pub(super) fn run<T>(&self, name: &'static str, task: impl Fn() -> T + Send + 'static)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        self.run_with(name, task, || {});
    }

    /// The same. `ended` is called each time the task has ended, before anything else.
    pub(super) fn run_with<T>(
        &self,
        name: &'static str,
        task: impl Fn() -> T + Send + 'static,
        ended: impl Fn() + Send + 'static,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let abortable = move |stop: CancellationToken| {
            let task = task();
            async move {
                tokio::select! {
                    () = task => {}
                    () = stop.cancelled() => {}
                }
            }
        };
        self.supervise(name, abortable, ended);
    }

    /// Runs a task that finishes its work and returns once its token is cancelled.
    pub(super) fn run_to_completion<T>(
        &self,
        name: &'static str,
        task: impl Fn(CancellationToken) -> T + Send + 'static,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        self.supervise(name, task, || {});
    }

    /// Stops every task and waits until all have ended.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn supervise<T>(
        &self,
        name: &'static str,
        task: impl Fn(CancellationToken) -> T + Send + 'static,
        ended: impl Fn() + Send + 'static,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let (stop, metrics, rest) = (self.stop.clone(), self.metrics.clone(), self.rest);
        self.tasks.spawn(async move {
            // At least once: a task may have work to finish even if the server stops immediately.
            loop {
                let outcome = tokio::spawn(task(stop.clone())).await;
                ended();
                match outcome {
                    Ok(()) if stop.is_cancelled() => break,
                    Ok(()) => tracing::error!(task = name, "background task ended; it is restarted"),
                    Err(error) => tracing::error!(task = name, %error, "background task failed; it is restarted"),
                }
                metrics.restarted(name);
                let _ = tokio::time::timeout(rest, stop.cancelled()).await;
                if stop.is_cancelled() {
                    break;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    async fn eventually(what: impl Fn() -> bool) {
        let waiting = async {
            while !what() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
    }

    fn supervisor() -> (Supervisor, Arc<AtomicUsize>) {
        let supervisor = Supervisor { rest: Duration::from_millis(1), ..Supervisor::new(TaskMetrics::default()) };
        (supervisor, Arc::new(AtomicUsize::new(0)))
    }

    #[tokio::test]
    async fn task_that_panics_or_returns_is_restarted_and_counted() {
        let (supervisor, runs) = supervisor();
        let ends = Arc::new(AtomicUsize::new(0));
        let (counted, ended) = (runs.clone(), ends.clone());
        supervisor.run_with(
            "failing",
            move || {
                let run = counted.fetch_add(1, Ordering::SeqCst);
                async move {
                    match run {
                        0 => panic!("the first run"),
                        1 => {}
                        _ => std::future::pending().await,
                    }
                }
            },
            move || {
                ended.fetch_add(1, Ordering::SeqCst);
            },
        );
        eventually(|| runs.load(Ordering::SeqCst) == 3).await;
        assert_eq!(ends.load(Ordering::SeqCst), 2, "called for each end");
        assert_eq!(supervisor.metrics.restarts("failing"), 2);
        supervisor.stop().await;
        assert_eq!(runs.load(Ordering::SeqCst), 3, "a stopped task is not restarted");
    }

    #[tokio::test]
    async fn task_with_a_token_finishes_its_work() {
        let (supervisor, written) = supervisor();
        let counted = written.clone();
        supervisor.run_to_completion("writing", move |stop| {
            let counted = counted.clone();
            async move {
                stop.cancelled().await;
                tokio::task::yield_now().await;
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        supervisor.stop().await;
        assert_eq!((written.load(Ordering::SeqCst), supervisor.metrics.restarts("writing")), (1, 0));
    }
}
