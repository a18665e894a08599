//! The span of another process that a trace goes on under.
//!
//! ```text
//! traceparent   00-<trace id, 32 hex>-<span id, 16 hex>-<flags, 2 hex>      W3C Trace Context; bit 0 of the flags: sampled
//! in SQL        SELECT 1 /*traceparent='00-…-01'*/                          sqlcommenter: key='value', parted by commas
//! on the wire   trace id (16 bytes), span id (8 bytes)                      only what is sampled goes there
//! ```

/// A span of another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Which trace it belongs to.
    pub trace_id: [u8; 16],
    /// Its own id.
    pub span_id: [u8; 8],
    /// Whoever made it keeps the trace.
    pub is_sampled: bool,
}

impl Parent {
    /// Of a `traceparent`. `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version] = hex(parts.next()?)?;
        let (trace_id, span_id) = (hex(parts.next()?)?, hex(parts.next()?)?);
        let [flags] = hex(parts.next()?)?;
        // What a later version adds may follow, and nothing else.
        let is_whole = version != 0xff && (version != 0 || parts.next().is_none());
        let is_some = trace_id != [0; 16] && span_id != [0; 8];
        (is_whole && is_some).then_some(Self { trace_id, span_id, is_sampled: flags & 1 == 1 })
    }

    /// Of the last comment of an SQL text.
    pub fn of_sql(text: &str) -> Option<Self> {
        const KEY: &str = "traceparent='";
        let comment = text.get(text.rfind("/*")?..)?;
        let comment = comment.get(..comment.find("*/")?)?;
        let value = comment.get(comment.find(KEY)?.checked_add(KEY.len())?..)?;
        Self::parse(value.get(..value.find('\'')?)?)
    }

    /// Of the wire's bytes. `None`: there are none, or they make no sense.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace_id, span_id) = bytes.split_at_checked(16)?;
        let (trace_id, span_id) = (trace_id.try_into().ok()?, span_id.try_into().ok()?);
        Some(Self { trace_id, span_id, is_sampled: true })
    }

    /// The wire's bytes.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let ids = self.trace_id.iter().chain(&self.span_id);
        bytes.iter_mut().zip(ids).for_each(|(byte, id)| *byte = *id);
        bytes
    }
}

/// So many bytes of twice as many digits, letters among them in lower case.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N.checked_mul(2)? {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_parent_is_read_of_its_text_and_of_nothing_else() {
        let parent = Parent::parse(TEXT).unwrap();
        assert_eq!((parent.trace_id[0], parent.span_id[7], parent.is_sampled), (0x0a, 0x31, true));
        assert!(!Parent::parse(&TEXT.replace("-01", "-00")).unwrap().is_sampled);
        assert!(Parent::parse(&TEXT.replacen("00", "01", 1)).is_some());
        for wrong in [
            "",
            "00",
            &TEXT.to_uppercase(),
            &TEXT[..54],
            &format!("{TEXT}-00"),
            &TEXT.replacen("00", "ff", 1),
            &TEXT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &TEXT.replace("b7ad6b7169203331", &"0".repeat(16)),
            &TEXT.replace('b', "é"),
        ] {
            assert_eq!(Parent::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_parent_is_found_in_the_last_comment() {
        let parent = Parent::parse(TEXT);
        assert_eq!(Parent::of_sql(&format!("select 1 /*traceparent='{TEXT}'*/")), parent);
        assert_eq!(
            Parent::of_sql(&format!("/* a */ select 1 /*db='x',traceparent='{TEXT}',z='1'*/;")),
            parent
        );
        for none in ["select 1", "select 1 /* traceparent */", "/*traceparent='00", "select '/*'"] {
            assert_eq!(Parent::of_sql(none), None, "{none}");
        }
        assert_eq!(Parent::of_sql(&format!("select 'traceparent=''{TEXT}''' /* */")), None);
    }

    #[test]
    fn a_parent_goes_over_the_wire() {
        let parent = Parent::parse(TEXT).unwrap();
        assert_eq!(Parent::from_bytes(&parent.to_bytes()), Some(parent));
        assert_eq!(Parent::from_bytes(&[]), None);
        assert_eq!(Parent::from_bytes(&[1; 23]), None);
    }
}
