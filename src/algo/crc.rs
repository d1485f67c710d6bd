//! CRC-32 as zlib and Ethernet have it (reflected, polynomial 0x04C11DB7), eight bytes at a time.
//!
//! Source: Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC
//! Generators" (2005): a table for each of eight bytes in a row.

const POLYNOMIAL: u32 = 0xEDB8_8320;
const WIDTH: usize = 8;
static TABLES: [[u32; 256]; WIDTH] = tables();

/// The checksum of what has been added.
#[derive(Clone, Copy, Debug)]
pub struct Crc(u32);

impl Default for Crc {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc {
    pub fn add(&mut self, bytes: &[u8]) {
        let mut crc = self.0;
        let (blocks, rest) = bytes.as_chunks::<WIDTH>();
        for block in blocks {
            let mut word = u64::from_le_bytes(*block) ^ u64::from(crc);
            crc = 0;
            for table in TABLES.iter().rev() {
                crc ^= table[usize::from(word as u8)];
                word >>= 8;
            }
        }
        for byte in rest {
            crc = TABLES[0][usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
        }
        self.0 = crc;
    }

    pub fn value(self) -> u32 {
        !self.0
    }
}

const fn tables() -> [[u32; 256]; WIDTH] {
    let mut tables = [[0; 256]; WIDTH];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ POLYNOMIAL };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < WIDTH {
        byte = 0;
        while byte < 256 {
            let crc = tables[table - 1][byte];
            tables[table][byte] = tables[0][(crc & 0xff) as usize] ^ (crc >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = Crc::default();
        crc.add(bytes);
        crc.value()
    }

    #[test]
    fn the_published_check_values_come_out() {
        assert_eq!(crc(b""), 0);
        assert_eq!(crc(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc(b"The quick brown fox jumps over the lazy dog"), 0x414F_A339);
    }

    #[test]
    fn it_is_the_same_in_pieces() {
        let bytes: Vec<u8> = (0..100).collect();
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let mut parts = Crc::default();
            parts.add(head);
            parts.add(tail);
            assert_eq!(parts.value(), crc(&bytes));
        }
    }
}
