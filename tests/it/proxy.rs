//! A bad network between the broker and the daemon: connections that are cut and stalled at any byte, and packets that come
//! twice.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;

use crate::broker::{EVENTS, events, publish, total};
use crate::harness::number;
use crate::servers::{Daemon, Mosquitto, wait_for_long};

/// What it does, until it is told to behave.
#[derive(Default)]
struct Mischief {
    /// How rare it is, in packets.
    every: u32,
    over: AtomicBool,
    cuts: AtomicU64,
    stalls: AtomicU64,
    doubles: AtomicU64,
}

/// Listens on a free port and hands on to the broker.
fn start(broker: u16, mischief: Arc<Mischief>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (number, daemon) in listener.incoming().enumerate() {
            let (Ok(daemon), Ok(broker)) = (daemon, TcpStream::connect(("127.0.0.1", broker))) else {
                continue;
            };
            for (from, to, seed) in [(&daemon, &broker, 0), (&broker, &daemon, 1)] {
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let (mischief, random) = (Arc::clone(&mischief), Rng::with_seed(2 * number as u64 + seed));
                std::thread::spawn(move || hand_on(from, to, &mischief, random));
            }
        }
    });
    port
}

/// Packet by packet, so that what comes twice is a packet. An error ends the connection, as a cut does.
fn hand_on(mut from: TcpStream, mut to: TcpStream, mischief: &Mischief, mut random: Rng) {
    while let Ok(packet) = read_packet(&mut from) {
        let wicked = !mischief.over.load(Ordering::Relaxed);
        match random.u32(0..mischief.every) {
            0..2 if wicked => {
                mischief.cuts.fetch_add(1, Ordering::Relaxed);
                let _ = to.write_all(&packet[..random.usize(0..packet.len())]);
                break;
            }
            2 if wicked => {
                mischief.stalls.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(random.u64(50..400)));
            }
            // A PUBLISH or a PUBACK.
            3..8 if wicked && [3, 4].contains(&(packet[0] >> 4)) => {
                mischief.doubles.fetch_add(1, Ordering::Relaxed);
                let _ = to.write_all(&packet);
            }
            _ => {}
        }
        if to.write_all(&packet).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn read_packet(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; 1];
    from.read_exact(&mut packet)?;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        packet.push(byte[0]);
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
    }
    let head = packet.len();
    packet.resize(head + length, 0);
    from.read_exact(&mut packet[head..])?;
    Ok(packet)
}

/// `EMISSIOND_READINGS`, `EMISSIOND_RATE` and `EMISSIOND_EVERY` make a campaign of it.
#[test]
fn a_bad_network_loses_nothing_and_counts_nothing_twice() {
    let broker = Mosquitto::as_shipped();
    let mischief = Arc::new(Mischief { every: number("EMISSIOND_EVERY", 1_000), ..Mischief::default() });
    let port = start(broker.port, Arc::clone(&mischief));
    let mut daemon = Daemon::behind(port, EVENTS);
    daemon.start();
    let (count, rate) = (number("EMISSIOND_READINGS", 4_000), number("EMISSIOND_RATE", 800));
    let (messages, expected_mg) = events(count, &mut Rng::with_seed(17));
    publish(&broker, f64::from(rate), &messages);
    mischief.over.store(true, Ordering::Relaxed);
    wait_for_long("every reading", || (daemon.status()["messages"]["accepted"] == count as u64).then_some(()));
    wait_for_long("the year's total", || (total(&daemon, "1y") == expected_mg).then_some(()));
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let (cuts, stalls, doubles) = (count(&mischief.cuts), count(&mischief.stalls), count(&mischief.doubles));
    println!("{cuts} cuts, {stalls} stalls, {doubles} packets twice: 0 lost, 0 double");
    assert!(cuts > 0 && doubles > 0);
}
