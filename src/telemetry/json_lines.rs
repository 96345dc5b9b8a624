//! Log lines as JSON: one flat object for each event, with the fields of the spans around it.

use std::fmt::{self, Debug};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes `timestamp`, `level`, `target`, and the fields of the event and of its spans.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        writer.write_char('{')?;
        let mut object = Object { writer: writer.by_ref(), is_empty: true, result: Ok(()) };
        object.member("timestamp", &time);
        object.member("level", metadata.level().as_str());
        object.member("target", metadata.target());
        event.record(&mut object);
        object.result?;
        for span in context.event_scope().into_iter().flatten() {
            // What `JsonFields` wrote when the span began.
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && let Some(members) = fields.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
                && !members.is_empty()
            {
                writer.write_char(',')?;
                writer.write_str(members)?;
            }
        }
        writer.write_str("}\n")
    }
}

/// The members of an object, written one after the other.
struct Object<'a> {
    writer: Writer<'a>,
    is_empty: bool,
    result: fmt::Result,
}

impl Object<'_> {
    fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        let json = |value: Result<String, serde_json::Error>| value.map_err(|_| fmt::Error);
        let (name, value) = (json(serde_json::to_string(name)), json(serde_json::to_string(value)));
        let comma = if self.is_empty { "" } else { "," };
        self.is_empty = false;
        self.result = self
            .result
            .and(name)
            .and_then(|name| value.map(|value| (name, value)))
            .and_then(|(name, value)| write!(self.writer, "{comma}{name}:{value}"));
    }
}

impl Visit for Object<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.member(field.name(), &value.to_string());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.member(field.name(), &value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field.name(), &value);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use serde_json::{Value, json};
    use tracing_subscriber::fmt::format::JsonFields;

    use super::JsonLines;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn line_is_one_flat_object_with_the_fields_of_its_spans() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let _request = tracing::error_span!("request", request_id = "r\"1", trace_id = None::<&str>).entered();
            let _empty = tracing::error_span!("inner").entered();
            tracing::info!(target: "some::target", count = 2_u64, ratio = 0.5, is_on = true, name = %"a\nb", "key changed");
        });
        let written = String::from_utf8(buffer.0.lock().clone()).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        let mut line: Value = serde_json::from_str(&written).unwrap();
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
        line.as_object_mut().unwrap().remove("timestamp");
        assert_eq!(
            line,
            json!({ "level": "INFO", "target": "some::target", "message": "key changed", "count": 2, "ratio": 0.5,
                "is_on": true, "name": "a\nb", "request_id": "r\"1" })
        );
    }
}
