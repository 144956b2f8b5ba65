//! Variable-length integers, the grain of all records.

/// Appends to a record.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub Vec<u8>);

impl Writer {
    pub(crate) fn unsigned(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Small magnitudes of either sign stay short.
    pub(crate) fn signed(&mut self, value: i128) {
        self.unsigned(((value << 1) ^ (value >> 127)) as u128);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.unsigned(value.len() as u128);
        self.0.extend_from_slice(value);
    }
}

/// Reads a record; `None` when it ends early or a number is out of range.
#[derive(Debug)]
pub(crate) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn unsigned(&mut self) -> Option<u128> {
        let mut value = 0u128;
        for shift in (0..128).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i128> {
        let value = self.unsigned()?;
        Some((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    pub(crate) fn number<T: TryFrom<u128>>(&mut self) -> Option<T> {
        T::try_from(self.unsigned()?).ok()
    }

    pub(crate) fn integer<T: TryFrom<i128>>(&mut self) -> Option<T> {
        T::try_from(self.signed()?).ok()
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_size_come_back() {
        let values =
            [0, 1, -1, 63, -64, 127, 128, i128::from(i64::MAX), i128::from(i64::MIN), i128::MAX / 3, i128::MIN];
        let mut writer = Writer::default();
        values.iter().for_each(|v| writer.signed(*v));
        writer.bytes(b"end");
        let mut cursor = Cursor(&writer.0);
        for value in values {
            assert_eq!(cursor.signed(), Some(value));
        }
        assert_eq!(cursor.bytes(), Some(b"end".as_slice()));
        assert_eq!(cursor.unsigned(), None);
    }
}
