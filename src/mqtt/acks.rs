//! What is received and not acknowledged yet, in order of receipt.

use std::collections::VecDeque;

/// Messages wait here until the desk has committed them. An acknowledgement belongs to the connection it came on: after a
/// reconnect the broker sends the message again, and an old packet id may mean another message.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    sequence: u64,
    /// `None`: nothing to acknowledge, or no more.
    packet: Option<u16>,
    bytes: usize,
}

impl Acks {
    /// A new connection: what was received on older ones is not acknowledged any more.
    pub(crate) fn connected(&mut self) {
        self.waiting.iter_mut().for_each(|w| w.packet = None);
    }

    pub(crate) fn received(&mut self, sequence: u64, packet: Option<u16>, bytes: usize) {
        self.bytes += bytes;
        self.waiting.push_back(Waiting { sequence, packet, bytes });
    }

    /// The packets of this connection that are committed up to `sequence`, in order of receipt.
    pub(crate) fn release(&mut self, sequence: u64) -> Vec<u16> {
        let done = self.waiting.partition_point(|w| w.sequence <= sequence);
        let bytes = &mut self.bytes;
        let released = self.waiting.drain(..done).inspect(|w| *bytes -= w.bytes);
        released.filter_map(|w| w.packet).collect()
    }

    /// How many are to be acknowledged.
    pub(crate) fn unacked(&self) -> usize {
        self.waiting.iter().filter(|w| w.packet.is_some()).count()
    }

    /// The payload bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_in_order_and_never_across_connections() {
        let mut acks = Acks::default();
        acks.connected();
        (1..=3).for_each(|n| acks.received(n, Some(n as u16 + 10), 5));
        assert_eq!(acks.release(2), [11, 12]);
        acks.connected();
        acks.received(4, Some(13), 5);
        acks.received(5, None, 7);
        assert_eq!((acks.bytes(), acks.unacked()), (17, 1));
        assert_eq!(acks.release(3), [] as [u16; 0]);
        assert_eq!(acks.release(9), [13]);
        assert_eq!((acks.bytes(), acks.unacked()), (0, 0));
    }
}
