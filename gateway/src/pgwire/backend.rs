//! What the server says, encoded into a connection's output buffer.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};
use expr::encoding::Encoding;
use pgwire::messages::Message;
use pgwire::messages::copy::{CopyInResponse, CopyOutResponse};
use pgwire::messages::data::ParameterDescription;
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, SecretKey};
use sql::{
    ColumnFormats, CommandTag, CopyFormat, CopyHeader, Format, Notification, OutputColumn, Report, Severity,
    TransactionStatus,
};

/// The newest protocol that is spoken: 3.0.
const PROTOCOL_VERSION: i32 = 3 << 16;

/// The messages that come with a statement are written as they are; the others are built first. All are far below the
/// protocol's bound; what is not is cut before it gets here.
fn put(output: &mut BytesMut, message: &impl Message) {
    if let Err(error) = message.encode(output) {
        tracing::error!(%error, "a message could not be encoded");
    }
}

/// AuthenticationOk
pub(crate) fn authentication_ok(output: &mut BytesMut) {
    put(output, &Authentication::Ok);
}

/// AuthenticationSASL
pub(crate) fn authentication_sasl(output: &mut BytesMut, mechanisms: &[&str]) {
    let mechanisms = mechanisms.iter().map(|mechanism| (*mechanism).to_owned()).collect();
    put(output, &Authentication::SASL(mechanisms));
}

/// AuthenticationSASLContinue
pub(crate) fn authentication_sasl_continue(output: &mut BytesMut, message: String) {
    put(output, &Authentication::SASLContinue(message.into()));
}

/// AuthenticationSASLFinal
pub(crate) fn authentication_sasl_final(output: &mut BytesMut, message: String) {
    put(output, &Authentication::SASLFinal(message.into()));
}

/// NegotiateProtocolVersion: only 3.0, and none of `options`.
pub(crate) fn negotiate_version(output: &mut BytesMut, options: Vec<String>) {
    put(output, &NegotiateProtocolVersion::new(PROTOCOL_VERSION, options));
}

/// BackendKeyData
pub(crate) fn backend_key_data(output: &mut BytesMut, process_id: i32, secret: i32) {
    put(output, &BackendKeyData::new(process_id, SecretKey::I32(secret)));
}

/// ParameterStatus
pub(crate) fn parameter_status(output: &mut BytesMut, encoding: Encoding, name: &str, value: &str) {
    with_length(output, b'S', |output| {
        put_text(output, name.as_bytes());
        put_text(output, &encoding.of_utf8_lossy(value));
    });
}

/// A string and the zero byte that ends it.
fn put_text(output: &mut BytesMut, text: &[u8]) {
    output.put_slice(text);
    output.put_u8(0);
}

/// NotificationResponse
pub(crate) fn notification(output: &mut BytesMut, encoding: Encoding, notification: &Notification) {
    with_length(output, b'A', |output| {
        output.put_i32(notification.pid);
        put_text(output, &encoding.of_utf8_lossy(&notification.channel));
        put_text(output, &encoding.of_utf8_lossy(&notification.payload));
    });
}

/// ReadyForQuery
pub(crate) fn ready_for_query(output: &mut BytesMut, status: TransactionStatus) {
    let status = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::InBlock => b'T',
        TransactionStatus::Failed => b'E',
    };
    output.put_slice(&[b'Z', 0, 0, 0, 5, status]);
}

/// A message without a body: ParseComplete `1`, BindComplete `2`, CloseComplete `3`, EmptyQueryResponse `I`,
/// NoData `n`, PortalSuspended `s`, CopyDone `c`.
pub(crate) fn bare(output: &mut BytesMut, kind: u8) {
    output.put_slice(&[kind, 0, 0, 0, 4]);
}

/// CommandComplete
pub(crate) fn command_complete(output: &mut BytesMut, tag: &CommandTag) {
    with_length(output, b'C', |output| {
        // Writing to a buffer that grows does not fail.
        let _ = write!(output, "{tag}");
        output.put_u8(0);
    });
}

/// ParameterDescription
pub(crate) fn parameter_description(output: &mut BytesMut, types: &[expr::Type]) {
    put(output, &ParameterDescription::new(types.iter().map(|ty| ty.kind.oid()).collect()));
}

/// RowDescription
///
/// # Errors
/// 22P05: the encoding has no such character as a column is called by.
pub(crate) fn row_description(
    output: &mut BytesMut,
    encoding: Encoding,
    columns: &[OutputColumn],
    formats: &ColumnFormats,
) -> sql::Result<()> {
    let start = output.len();
    let mut outcome = Ok(());
    with_length(output, b'T', |output| {
        output.put_i16(column_count(columns.len()));
        for (index, column) in columns.iter().enumerate() {
            match encoding.of_utf8(&column.name) {
                Ok(name) => put_text(output, &name),
                Err(error) => return outcome = Err(error.into()),
            }
            output.put_u32(column.table_oid);
            output.put_i16(column.column_number);
            output.put_u32(column.ty.kind.base().oid());
            output.put_i16(column.ty.kind.length());
            output.put_i32(column.ty.modifier);
            output.put_i16(match formats.of(index) {
                Format::Text => 0,
                Format::Binary => 1,
            });
        }
    });
    if outcome.is_err() {
        output.truncate(start);
    }
    outcome
}

/// CopyInResponse
pub(crate) fn copy_in_response(output: &mut BytesMut, header: CopyHeader) {
    let (format, columns) = (copy_format(header.format), header.columns);
    put(output, &CopyInResponse::new(format, column_count(columns), vec![i16::from(format); columns]));
}

/// CopyOutResponse
pub(crate) fn copy_out_response(output: &mut BytesMut, header: CopyHeader) {
    let (format, columns) = (copy_format(header.format), header.columns);
    put(output, &CopyOutResponse::new(format, column_count(columns), vec![i16::from(format); columns]));
}

/// The code of the data as a whole, and of each of its columns.
fn copy_format(format: CopyFormat) -> i8 {
    match format {
        CopyFormat::Text | CopyFormat::Csv => 0,
        CopyFormat::Binary => 1,
    }
}

fn column_count(columns: usize) -> i16 {
    i16::try_from(columns).unwrap_or(i16::MAX)
}

/// CopyData
pub(crate) fn copy_data(output: &mut BytesMut, data: &[u8]) {
    output.reserve(5 + data.len());
    output.put_u8(b'd');
    output.put_u32(u32::try_from(data.len() + 4).unwrap_or(u32::MAX));
    output.put_slice(data);
}

/// ErrorResponse or, for the milder severities, NoticeResponse.
pub(crate) fn report(output: &mut BytesMut, encoding: Encoding, report: &Report) {
    let kind = match report.severity {
        Severity::Error | Severity::Fatal => b'E',
        Severity::Warning | Severity::Notice | Severity::Info => b'N',
    };
    let position = report.position.map(|position| position.to_string());
    let fields = [
        (b'S', Some(report.severity.as_str())),
        (b'V', Some(report.severity.as_str())),
        (b'C', Some(report.sqlstate)),
        (b'M', Some(report.message.as_str())),
        (b'D', report.detail.as_deref()),
        (b'H', report.hint.as_deref()),
        (b'W', report.context.as_deref()),
        (b's', report.names.schema.as_deref()),
        (b't', report.names.table.as_deref()),
        (b'c', report.names.column.as_deref()),
        (b'n', report.names.constraint.as_deref()),
        (b'P', position.as_deref()),
        (b'R', report.routine),
    ];
    with_length(output, kind, |output| {
        for (code, value) in fields {
            let Some(value) = value else { continue };
            output.put_u8(code);
            let value = if value.contains('\0') { value.replace('\0', "") } else { value.to_owned() };
            put_text(output, &encoding.of_utf8_lossy(&value));
        }
        output.put_u8(0);
    });
}

/// A DataRow under construction in the output buffer: its length is written when it is finished.
///
/// # Invariants
/// - `start` is where the message's kind stands; everything behind it belongs to this row.
pub(crate) struct DataRow<'a> {
    output: &'a mut BytesMut,
    start: usize,
}

impl<'a> DataRow<'a> {
    /// Begins a row of `columns` columns.
    pub(crate) fn begin(output: &'a mut BytesMut, columns: usize) -> Self {
        let start = output.len();
        output.put_slice(&[b'D', 0, 0, 0, 0]);
        output.put_i16(column_count(columns));
        Self { output, start }
    }

    /// A column that is NULL.
    pub(crate) fn null(&mut self) {
        self.output.put_i32(-1);
    }

    /// A column whose bytes are known.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.output.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.output.put_slice(bytes);
    }

    /// A column that `write` appends to the buffer.
    pub(crate) fn with(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let at = self.output.len();
        self.output.put_u32(0);
        write(self.output);
        let length = self.output.len() - at - 4;
        patch_u32(self.output, at, length);
    }

    /// Takes the row back.
    pub(crate) fn abandon(self) {
        self.output.truncate(self.start);
    }

    /// Ends the row. False: it is too long for the protocol and has been taken back.
    pub(crate) fn finish(self) -> bool {
        let length = self.output.len() - self.start - 1;
        if length > i32::MAX as usize {
            self.output.truncate(self.start);
            return false;
        }
        patch_u32(self.output, self.start + 1, length);
        true
    }
}

/// A message whose length is filled in once its body is there.
fn with_length(output: &mut BytesMut, kind: u8, write: impl FnOnce(&mut BytesMut)) {
    let start = output.len();
    output.put_slice(&[kind, 0, 0, 0, 0]);
    write(output);
    let length = output.len() - start - 1;
    patch_u32(output, start + 1, length);
}

fn patch_u32(output: &mut BytesMut, at: usize, value: usize) {
    if let Some(place) = output.get_mut(at..at + 4) {
        place.copy_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use pgwire::messages::{DecodeContext, PgWireBackendMessage, ProtocolVersion};

    use super::*;

    fn decoded(output: &mut BytesMut) -> PgWireBackendMessage {
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
        context.awaiting_frontend_ssl = false;
        context.awaiting_frontend_startup = false;
        PgWireBackendMessage::decode(output, &context).unwrap().unwrap()
    }

    #[test]
    fn a_data_row_has_its_lengths_filled_in() {
        let mut output = BytesMut::new();
        let mut row = DataRow::begin(&mut output, 3);
        row.null();
        row.bytes(b"ab");
        row.with(|buffer| buffer.put_slice(b"xyz"));
        assert!(row.finish());
        let PgWireBackendMessage::DataRow(row) = decoded(&mut output) else { panic!("no row") };
        assert_eq!(row.field_count, 3);
        assert_eq!(&row.data[..], b"\xff\xff\xff\xff\0\0\0\x02ab\0\0\0\x03xyz");
        assert!(output.is_empty());
    }

    #[test]
    fn the_messages_of_a_statement_read_back() {
        let mut output = BytesMut::new();
        let column = OutputColumn {
            name: "größe".to_owned(),
            ty: expr::Type::numeric(10, 2),
            table_oid: 70_000,
            column_number: 3,
        };
        let formats = ColumnFormats::Each(vec![Format::Text, Format::Binary]);
        row_description(&mut output, Encoding::UTF8, &[column.clone(), column], &formats).unwrap();
        command_complete(&mut output, &CommandTag::Insert(12));
        let told = Notification { channel: "größe".into(), payload: "".into(), pid: -7 };
        notification(&mut output, Encoding::UTF8, &told);
        ready_for_query(&mut output, TransactionStatus::Failed);
        let PgWireBackendMessage::RowDescription(rows) = decoded(&mut output) else { panic!("no columns") };
        let [first, second] = &rows.fields[..] else { panic!("not two columns") };
        assert_eq!((&*first.name, first.table_id, first.column_id), ("größe", 70_000, 3));
        assert_eq!((first.type_id, first.type_size), (1700, -1));
        assert_eq!((first.type_modifier, first.format_code, second.format_code), (10 << 16 | 6, 0, 1));
        let PgWireBackendMessage::CommandComplete(done) = decoded(&mut output) else { panic!("no tag") };
        assert_eq!(done.tag, "INSERT 0 12");
        let PgWireBackendMessage::NotificationResponse(told) = decoded(&mut output) else { panic!("untold") };
        assert_eq!((told.pid, told.channel.as_str(), told.payload.as_str()), (-7, "größe", ""));
        let PgWireBackendMessage::ReadyForQuery(ready) = decoded(&mut output) else { panic!("not ready") };
        assert_eq!(ready.status, pgwire::messages::response::TransactionStatus::Error);
        assert!(output.is_empty());
    }

    #[test]
    fn a_report_carries_all_its_fields() {
        let mut output = BytesMut::new();
        let error = sql::Error::new("42601", "syntax\0 error").hint("try").at(8);
        report(&mut output, Encoding::UTF8, error.report());
        let PgWireBackendMessage::ErrorResponse(response) = decoded(&mut output) else { panic!("no error") };
        let field =
            |code: u8| response.fields.iter().find(|field| field.0 == code).map(|field| field.1.as_str());
        assert_eq!(field(b'S'), Some("ERROR"));
        assert_eq!(field(b'C'), Some("42601"));
        assert_eq!(field(b'M'), Some("syntax error"));
        assert_eq!(field(b'H'), Some("try"));
        assert_eq!(field(b'P'), Some("8"));
    }
}
