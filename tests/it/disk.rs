//! A disk with a volatile cache, as a network block device: what was written since the last flush may vanish, whole writes
//! or single blocks, in any combination.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fastrand::Rng;

/// What a disk of today writes whole or not at all. ext4 relies on it: with torn blocks it refuses to mount.
const BLOCK: usize = 4096;
/// A flush takes this long, as with a disk that turns: a cut mostly strikes during one.
const FLUSH: Duration = Duration::from_millis(20);

/// What is safe, and what is not yet.
pub struct Disk {
    /// Without power, nothing becomes safe any more.
    is_on: bool,
    safe: Vec<u8>,
    /// As it is read: with all that was written.
    seen: Vec<u8>,
    /// Where, and what; the later one counts.
    unflushed: Vec<(usize, Vec<u8>)>,
}

/// What a power cut does to the writes that were not flushed.
#[derive(Clone, Copy, Debug)]
enum Loss {
    All,
    Writes,
    Blocks,
}

impl Disk {
    pub fn new(contents: Vec<u8>) -> Disk {
        Disk { is_on: true, safe: contents.clone(), seen: contents, unflushed: Vec::new() }
    }

    fn write(&mut self, at: usize, data: Vec<u8>) {
        self.seen[at..at + data.len()].copy_from_slice(&data);
        self.unflushed.push((at, data));
    }

    /// True: all is safe.
    fn flush(&mut self) -> bool {
        if !self.is_on {
            return false;
        }
        for (at, data) in self.unflushed.drain(..) {
            self.safe[at..at + data.len()].copy_from_slice(&data);
        }
        true
    }

    /// From here on nothing becomes safe, and no flush is confirmed.
    pub fn power_off(&mut self) {
        self.is_on = false;
    }

    /// The power is back; returns how many bytes were lost.
    pub fn power_on(&mut self, random: &mut Rng) -> usize {
        let loss = [Loss::All, Loss::Writes, Loss::Blocks][random.usize(0..3)];
        let mut lost = 0;
        for (start, data) in self.unflushed.drain(..) {
            let size = if matches!(loss, Loss::Blocks) { BLOCK } else { data.len() };
            for (n, piece) in data.chunks(size).enumerate() {
                let at = start + n * size;
                if matches!(loss, Loss::All) || random.bool() {
                    lost += piece.len();
                } else {
                    self.safe[at..at + piece.len()].copy_from_slice(piece);
                }
            }
        }
        self.seen.clone_from(&self.safe);
        self.is_on = true;
        lost
    }
}

// ---- the protocol: fixed newstyle, simple replies ----------------------------------------------------------------

const OPTION_EXPORT_NAME: u32 = 1;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = (1 << 31) | 1;
/// There are flags, and flush is among them. No FUA: whoever needs it flushes.
const EXPORT_FLAGS: u16 = 1 | 1 << 2;

/// Serves one connection until its end.
pub fn serve(mut stream: UnixStream, with_disk: impl Fn(&mut dyn FnMut(&mut Disk))) -> io::Result<()> {
    let mut size = 0;
    with_disk(&mut |disk| size = disk.seen.len() as u64);
    greet(&mut stream, size)?;
    loop {
        let mut request = [0; 28];
        stream.read_exact(&mut request)?;
        let kind = u16::from_be_bytes([request[6], request[7]]);
        let at = number(&request[16..24]) as usize;
        let length = number(&request[24..28]) as usize;
        let mut data = vec![0; if kind < 2 { length } else { 0 }];
        match kind {
            0 => with_disk(&mut |disk| data.copy_from_slice(&disk.seen[at..at + length])),
            1 => {
                stream.read_exact(&mut data)?;
                with_disk(&mut |disk| disk.write(at, std::mem::take(&mut data)));
            }
            2 => return Ok(()),
            3 => flush(&with_disk)?,
            _ => return Err(io::Error::other(format!("request {kind}"))),
        }
        let reply = [&0x6744_6698_u32.to_be_bytes()[..], &[0; 4], &request[8..16], &data].concat();
        stream.write_all(&reply)?;
    }
}

fn flush(with_disk: &impl Fn(&mut dyn FnMut(&mut Disk))) -> io::Result<()> {
    std::thread::sleep(FLUSH);
    let mut is_safe = false;
    with_disk(&mut |disk| is_safe = disk.flush());
    if is_safe { Ok(()) } else { Err(io::Error::other("the power is off")) }
}

fn greet(stream: &mut UnixStream, size: u64) -> io::Result<()> {
    stream.write_all(b"NBDMAGICIHAVEOPT\x00\x03")?;
    stream.read_exact(&mut [0; 4])?;
    let export = [&size.to_be_bytes()[..], &EXPORT_FLAGS.to_be_bytes()].concat();
    loop {
        let mut header = [0; 16];
        stream.read_exact(&mut header)?;
        let option = number(&header[8..12]) as u32;
        stream.read_exact(&mut vec![0; number(&header[12..16]) as usize])?;
        match option {
            OPTION_EXPORT_NAME => return stream.write_all(&export),
            OPTION_GO => {
                reply_option(stream, option, REPLY_INFO, &[&[0, 0], &export[..]].concat())?;
                return reply_option(stream, option, REPLY_ACK, &[]);
            }
            _ => reply_option(stream, option, REPLY_UNSUPPORTED, &[])?,
        }
    }
}

fn reply_option(stream: &mut UnixStream, option: u32, reply: u32, data: &[u8]) -> io::Result<()> {
    let numbers = [option, reply, data.len() as u32].map(u32::to_be_bytes).concat();
    stream.write_all(&[&0x0003_e889_0455_65a9_u64.to_be_bytes()[..], &numbers, data].concat())
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
