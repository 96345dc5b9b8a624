//! Writing log lines without blocking or failing: a bounded queue, and a thread that writes.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

/// The most lines that wait to be written. Further lines are lost.
const QUEUED_LINES: usize = 8192;

/// How long the process waits for queued lines when it ends.
const FLUSH: Duration = Duration::from_secs(1);

/// The interval at which a flush retries a full queue.
const FLUSH_RETRY: Duration = Duration::from_millis(10);

static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Lines that could not be written, counted for the whole process.
pub(super) fn lost_lines() -> Counter {
    LOST.clone()
}

/// Queues lines for a thread that writes them. A line that does not fit into the queue or cannot be written is lost and
/// counted; the caller neither waits nor fails.
#[derive(Clone, Debug)]
pub(super) struct LogWriter {
    queue: SyncSender<Item>,
    lost: Counter,
}

#[derive(Debug)]
enum Item {
    Line(Vec<u8>),
    /// Reports that all earlier lines were handled.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        Self::start_with(output, QUEUED_LINES, lost_lines())
    }

    fn start_with(output: impl Write + Send + 'static, capacity: usize, lost: Counter) -> io::Result<Self> {
        let (queue, items) = sync_channel(capacity);
        let counted = lost.clone();
        thread::Builder::new().name("log".into()).spawn(move || write_items(output, &items, &counted))?;
        Ok(Self { queue, lost })
    }

    /// Waits briefly until the queued lines are written: the reader may have stopped reading.
    pub(super) fn flush_briefly(&self) {
        let (done, is_done) = sync_channel(1);
        let mut item = Item::Flush(done);
        let mut left = FLUSH;
        while let Err(TrySendError::Full(refused)) = self.queue.try_send(item) {
            let Some(less) = left.checked_sub(FLUSH_RETRY) else { return };
            (item, left) = (refused, less);
            thread::sleep(FLUSH_RETRY);
        }
        let _ = is_done.recv_timeout(left);
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Item::Line(line.to_vec())).is_err() {
            self.lost.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_items(mut output: impl Write, items: &Receiver<Item>, lost: &Counter) {
    for item in items {
        match item {
            Item::Line(line) => {
                if output.write_all(&line).is_err() {
                    lost.inc();
                }
            }
            Item::Flush(done) => {
                let _ = output.flush();
                let _ = done.try_send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    use parking_lot::Mutex;

    /// Writes into memory, one line for each permit.
    struct Slow {
        permits: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permits.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            self.written.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow(capacity: usize) -> (LogWriter, Sender<()>, Arc<Mutex<Vec<u8>>>, Counter) {
        let ((permit, permits), written, lost) = (channel(), Arc::default(), Counter::default());
        let output = Slow { permits, written: Arc::clone(&written) };
        (LogWriter::start_with(output, capacity, lost.clone()).unwrap(), permit, written, lost)
    }

    #[test]
    fn output_that_does_not_move_loses_lines_and_blocks_nobody() {
        let (mut writer, permit, written, lost) = slow(2);
        for line in 0..10 {
            writer.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        // One line may be in the thread's hands beside the two that wait.
        assert!((7..=8).contains(&lost.get()), "{}", lost.get());
        writer.flush_briefly();
        for _ in 0..3 {
            permit.send(()).unwrap();
        }
        let before = lost.get();
        writer.flush_briefly();
        assert_eq!(written.lock().iter().filter(|byte| **byte == b'\n').count() as u64, 10 - before);
    }

    #[test]
    fn output_that_fails_loses_lines_and_nothing_else() {
        let (mut writer, permit, written, lost) = slow(16);
        permit.send(()).unwrap();
        writer.write_all(b"first\n").unwrap();
        writer.flush_briefly();
        drop(permit);
        writer.write_all(b"second\nof two lines\n").unwrap();
        writer.write_all(b"third\n").unwrap();
        writer.flush_briefly();
        assert_eq!((written.lock().as_slice(), lost.get()), (&b"first\n"[..], 2));
    }
}
