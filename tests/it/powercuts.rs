//! Power cuts: a virtual machine drives the store on an ext4 file system, and is killed. With it goes what its kernel had
//! not written yet; the disk loses what was not flushed. The next start of the same disk checks what is left and goes on.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;

use crate::disk::{Disk, serve};
use crate::driver::{ACKNOWLEDGED, Figures, Verdict, acknowledged};
use crate::harness::{Files, number};
use crate::servers::Process;

/// The guest says at least one line in this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Said by the guest before it mounts the disk, and when the stream is at its end.
const MOUNTING: &str = "mounting";
const FINISHED: &str = "finished";

/// When the power is cut: so long after a line was heard so many times.
struct Moment {
    line: &'static str,
    times: usize,
    pause: Duration,
}

impl Moment {
    /// Mostly while the store is at work, sometimes while the file system or the store recovers.
    fn random(random: &mut Rng) -> Moment {
        if random.u8(0..5) == 0 {
            Moment { line: MOUNTING, times: 1, pause: Duration::from_millis(random.u64(0..3_000)) }
        } else {
            let pause = Duration::from_millis(random.u64(0..400));
            Moment { line: ACKNOWLEDGED, times: random.usize(1..=6), pause }
        }
    }
}

/// A machine with its disk, and what it has acknowledged.
struct Machine {
    guest: PathBuf,
    files: Files,
    disk: Arc<Mutex<Disk>>,
    acknowledged: usize,
}

impl Machine {
    /// `guest` holds the kernel, the initramfs and an empty file system.
    fn new(guest: &Path) -> Machine {
        let contents = std::fs::read(guest.join("disk.ext4")).unwrap();
        let disk = Arc::new(Mutex::new(Disk::new(contents)));
        Machine { guest: guest.to_owned(), files: Files::new(&[]), disk, acknowledged: 0 }
    }

    /// Starts the machine and cuts its power. `None`: the stream ended before.
    fn run_until(&mut self, moment: &Moment, random: &mut Rng, figures: &mut Figures) -> Option<usize> {
        let socket = self.files.path("disk.socket");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let disk = Arc::clone(&self.disk);
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // It ends with the machine.
            let _ = serve(stream, |work| work(&mut disk.lock().unwrap()));
        });
        let (mut machine, lines) = self.start(&socket);
        let mut times = 0;
        while times < moment.times {
            let line = lines.recv_timeout(PATIENCE).unwrap();
            self.hear(&line, figures);
            times += usize::from(line.starts_with(moment.line));
            if line.starts_with(FINISHED) {
                return None;
            }
        }
        std::thread::sleep(moment.pause);
        self.disk.lock().unwrap().power_off();
        machine.kill();
        server.join().unwrap();
        // Said before the cut.
        lines.iter().for_each(|line| self.hear(&line, figures));
        Some(self.disk.lock().unwrap().power_on(random))
    }

    fn start(&self, socket: &Path) -> (Process, Receiver<String>) {
        let drive = format!("file=nbd:unix:{},format=raw,if=virtio,cache=writeback", socket.display());
        // The kernel hands what it does not know to init, as environment.
        let append = format!("console=ttyS0 quiet panic=-1 EMISSIOND_ACKNOWLEDGED={}", self.acknowledged);
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults", "-display", "none", "-no-reboot"]);
        command.args(["-nic", "none", "-serial", "stdio", "-drive", &drive, "-append", &append]);
        command.arg("-kernel").arg(self.guest.join("vmlinuz")).arg("-initrd").arg(self.guest.join("initramfs"));
        let mut machine = Process::spawn("qemu-system-x86_64", command.stdout(Stdio::piped()));
        let output = BufReader::new(machine.0.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        });
        (machine, lines)
    }

    fn hear(&mut self, line: &str, figures: &mut Figures) {
        assert!(!line.contains("panicked") && !line.contains("FAILED"), "{line}");
        self.acknowledged = self.acknowledged.max(acknowledged(line).unwrap_or(0));
        if let Some(verdict) = Verdict::parse(line) {
            figures.add(&format!("after {} acknowledged", self.acknowledged), &verdict);
        }
    }
}

/// `EMISSIOND_CUTS` says how many, `EMISSIOND_SEED` which, `EMISSIOND_GUEST` where the guest is.
#[test]
#[ignore = "starts a virtual machine again and again; tests/campaigns/powercuts runs it"]
fn a_power_cut_loses_nothing_and_counts_nothing_twice() {
    let guest = PathBuf::from(std::env::var_os("EMISSIOND_GUEST").unwrap());
    let (cuts, seed) = (number("EMISSIOND_CUTS", 50), number("EMISSIOND_SEED", 7));
    let mut random = Rng::with_seed(seed);
    let mut figures = Figures::default();
    let mut machine = Machine::new(&guest);
    let (mut done, mut dropped, mut finished) = (0, 0, 0);
    while done < cuts {
        let moment = Moment::random(&mut random);
        if let Some(bytes) = machine.run_until(&moment, &mut random, &mut figures) {
            done += 1;
            dropped += bytes;
            println!("cut {done}: {} acknowledged, {bytes} bytes unflushed and lost", machine.acknowledged);
        } else {
            finished += 1;
            machine = Machine::new(&guest);
        }
    }
    // The last cut is judged as well, and the stream goes to its end.
    let never = Moment { line: FINISHED, times: 2, pause: Duration::ZERO };
    machine.run_until(&never, &mut random, &mut figures);
    figures.conclude(&format!("{cuts} power cuts, {dropped} bytes lost on the disk, {} streams ended", finished + 1));
}
