//! What is received and not acknowledged yet, in order of receipt.

use std::collections::VecDeque;

/// Acknowledgements wait here until the desk has committed their messages. Each belongs to the connection it came on:
/// after a reconnect the broker sends the message again, and an old packet id may mean another message.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    waiting: VecDeque<Waiting>,
    epoch: u64,
}

#[derive(Debug)]
struct Waiting {
    sequence: u64,
    packet: u16,
    epoch: u64,
}

impl Acks {
    /// A new connection: what was received on older ones is not acknowledged any more.
    pub(crate) fn connected(&mut self) {
        self.epoch += 1;
        self.waiting.clear();
    }

    pub(crate) fn received(&mut self, sequence: u64, packet: u16) {
        self.waiting.push_back(Waiting { sequence, packet, epoch: self.epoch });
    }

    /// The packets of this connection that are committed up to `sequence`, in order of receipt.
    pub(crate) fn release(&mut self, sequence: u64) -> Vec<u16> {
        let done = self.waiting.partition_point(|w| w.sequence <= sequence);
        self.waiting.drain(..done).filter(|w| w.epoch == self.epoch).map(|w| w.packet).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_in_order_and_never_across_connections() {
        let mut acks = Acks::default();
        acks.connected();
        (1..=3).for_each(|n| acks.received(n, n as u16 + 10));
        assert_eq!(acks.release(2), [11, 12]);
        acks.connected();
        acks.received(4, 13);
        assert_eq!(acks.release(3), [] as [u16; 0]);
        assert_eq!(acks.release(9), [13]);
        assert_eq!(acks.len(), 0);
    }
}
