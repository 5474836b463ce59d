//! The files of a checkpoint, damaged so that checksums still fit: what reads a payload sees the damage, too.

use dstream::testing::SimDisk;

use super::mutate::{Random, mutate};

/// A file as `docs/checkpoint-format.md` describes it.
struct Framed {
    header: Vec<u8>,
    payloads: Vec<Vec<u8>>,
}

/// Takes a fixed number of bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(n)?;
    *bytes = rest;
    Some(taken)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes, 4)?.try_into().ok().map(u32::from_le_bytes)
}

impl Framed {
    fn parse(file: &[u8]) -> Option<Framed> {
        let mut rest = file;
        take(&mut rest, 16)?;
        let name = take_u32(&mut rest)?;
        take(&mut rest, name as usize + 4)?;
        let header = file[..file.len() - rest.len()].to_vec();
        let mut payloads = Vec::new();
        while !rest.is_empty() {
            let length = take_u32(&mut rest)?;
            take(&mut rest, 4)?;
            payloads.push(take(&mut rest, length as usize)?.to_vec());
            take(&mut rest, 4)?;
        }
        Some(Framed { header, payloads })
    }

    fn write(&self) -> Vec<u8> {
        let tag = self.header[self.header.len() - 4..].to_vec();
        let mut file = self.header.clone();
        for payload in &self.payloads {
            let length = (payload.len() as u32).to_le_bytes();
            let offset = (file.len() as u64).to_le_bytes();
            let head = crc32fast::hash(&[&tag[..], &offset, &length].concat()).to_le_bytes();
            let payload_crc = crc32fast::hash(&[&head[..], payload].concat()).to_le_bytes();
            for part in [&length[..], &head, payload, &payload_crc] {
                file.extend_from_slice(part);
            }
        }
        file
    }
}

/// Damages one to three files, and returns how many bytes all of them have.
pub(crate) fn damage(disk: &SimDisk, random: &mut Random) -> usize {
    let files: Vec<_> = disk.files().into_iter().filter(|file| !file.ends_with(".lock")).collect();
    for _ in 0..1 + random.below(3) {
        disk.damage(random.of(&files), |file| match Framed::parse(file) {
            Some(mut framed) if random.below(5) > 0 && !framed.payloads.is_empty() => {
                change(&mut framed.payloads, random);
                *file = framed.write();
            }
            _ => mutate(file, &[b"dschkpt\n".to_vec()], random),
        });
    }
    let mut length = 0;
    for file in &files {
        disk.damage(file, |file| length += file.len());
    }
    length
}

/// Changes payloads, or their order.
fn change(payloads: &mut Vec<Vec<u8>>, random: &mut Random) {
    let corpus = payloads.clone();
    let at = random.below(payloads.len());
    match random.below(12) {
        0 => payloads.truncate(at),
        1 => drop(payloads.remove(at)),
        2 => payloads.insert(at, random.of(&corpus).clone()),
        3 => payloads.swap(0, at),
        _ => mutate(&mut payloads[at], &corpus, random),
    }
}

#[test]
fn files_are_written_as_they_are_read() {
    let disk = super::program::disk();
    let mut framed = 0;
    for file in disk.files() {
        disk.damage(&file, |bytes| {
            if let Some(parsed) = Framed::parse(bytes) {
                framed += 1;
                assert!(!parsed.payloads.is_empty(), "{}", file.display());
                assert_eq!(parsed.write(), *bytes, "{}", file.display());
            }
        });
    }
    assert!(framed >= 2, "{framed} files of frames, expected a checkpoint and a log");
}
