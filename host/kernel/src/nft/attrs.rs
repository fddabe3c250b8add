//! Attributes of netlink messages: how they are written.

use crate::socket::aligned;

/// The mark of an attribute that holds attributes.
const NESTED: u16 = 0x8000;

/// Writes attributes at the end of a message.
pub(crate) struct Attrs<'a>(pub(crate) &'a mut Vec<u8>);

impl Attrs<'_> {
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.enclosed(kind, |bytes| bytes.extend(value));
    }

    /// With the zero at its end.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.enclosed(kind, |bytes| bytes.extend(value.bytes().chain([0])));
    }

    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(crate) fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Attrs<'_>)) {
        self.enclosed(kind | NESTED, |bytes| write(&mut Attrs(bytes)));
    }

    fn enclosed(&mut self, kind: u16, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        write(self.0);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = self.0.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
        self.0.resize(aligned(self.0.len()), 0);
    }
}
