//! HdrHistogram's interval log: a line per interval and kind of time, which HistogramLogAnalyzer, hdr-plot and their like
//! read. It is written while the run goes on, so that a run that is cut short has its log up to there.
//!
//! Values are nanoseconds; kinds are tags (`response`, `service`, `delivery`); the interval's maximum is in milliseconds, as
//! the format's other writers have it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use crate::distribution::encoded;
use crate::moments::Moments;

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct Hlog {
    path: PathBuf,
    file: BufWriter<File>,
    /// Why it is not written any further.
    failed: Option<io::Error>,
}

impl Hlog {
    /// Begins a log whose times count from now.
    ///
    /// # Errors
    /// That the file cannot be written, and why.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let begin = || {
            let mut file = BufWriter::new(File::create(path)?);
            write!(
                file,
                "#[Logged with bench-client {}]\n#[Histogram log format version 1.3]\n\
                 #[BaseTime: {began:.3} (seconds since epoch)]\n#[StartTime: {began:.3} (seconds since epoch)]\n\
                 \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
                env!("CARGO_PKG_VERSION")
            )?;
            Ok(file)
        };
        let file = begin().map_err(|error: io::Error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), file, failed: None })
    }

    /// Appends an interval: where it began, in seconds since the log did, and how long it was.
    pub(crate) fn append(&mut self, from: f64, seconds: f64, moments: &Moments) {
        let kinds =
            [("response", &moments.response), ("service", &moments.service), ("delivery", &moments.delivery)];
        for (tag, times) in kinds {
            if self.failed.is_none()
                && !times.is_empty()
                && let Err(error) = self.line(tag, from, seconds, times)
            {
                self.failed = Some(error);
            }
        }
    }

    fn line(&mut self, tag: &str, from: f64, seconds: f64, times: &Histogram<u64>) -> io::Result<()> {
        let max = times.max() as f64 / 1e6;
        writeln!(self.file, "Tag={tag},{from:.3},{seconds:.3},{max:.3},{}", encoded(times))
    }

    /// Ends the log.
    ///
    /// # Errors
    /// That not all of it could be written, and why.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        let ended = self.failed.take().map_or_else(|| self.file.flush(), Err);
        ended.map_err(|error| format!("cannot write {}: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn others_read_what_is_written() {
        let path = std::env::temp_dir().join(format!("bench-client-{}.hlog", std::process::id()));
        let mut log = Hlog::create(&path).unwrap();
        let mut moments = Moments::new();
        moments.response.record_n(1_500_000, 7).unwrap();
        moments.delivery.record(99).unwrap();
        log.append(0.25, 1.0, &moments);
        log.append(1.25, 1.0, &moments);
        log.finish().unwrap();
        let text = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut seen = Vec::new();
        let mut times = 0;
        for entry in IntervalLogIterator::new(&text) {
            match entry.unwrap() {
                LogEntry::Interval(interval) => {
                    let bytes =
                        base64::prelude::BASE64_STANDARD.decode(interval.encoded_histogram()).unwrap();
                    let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
                    let tag = interval.tag().unwrap().as_str().to_owned();
                    seen.push((
                        tag,
                        interval.start_timestamp().as_secs_f64(),
                        histogram.len(),
                        interval.max(),
                    ));
                }
                LogEntry::StartTime(_) | LogEntry::BaseTime(_) => times += 1,
            }
        }
        assert_eq!(times, 2);
        let tags: Vec<_> = seen.iter().map(|line| (line.0.as_str(), line.1, line.2)).collect();
        let expected =
            [("response", 0.25, 7), ("delivery", 0.25, 1), ("response", 1.25, 7), ("delivery", 1.25, 1)];
        assert_eq!(tags, expected);
        assert!((seen[0].3 - 1.5).abs() < 0.02, "milliseconds: {}", seen[0].3);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let refused = Hlog::create(Path::new("/nowhere/at/all.hlog")).unwrap_err();
        assert!(refused.starts_with("cannot write /nowhere/at/all.hlog: "), "{refused}");
    }
}
