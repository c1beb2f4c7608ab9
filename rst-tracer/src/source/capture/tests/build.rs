//! Writes capture files of either byte order into memory, right ones and wrong ones.
//!
//! It shares no code with the reader, so that the two check each other.

/// A file, and how its numbers are to be written.
#[derive(Clone)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) big: bool,
}

/// An option of a pcapng block: code and value.
pub(super) type Opt<'a> = (u16, &'a [u8]);

impl File {
    pub(super) fn empty(big: bool) -> Self {
        Self { bytes: Vec::new(), big }
    }

    /// A pcap file header: version 2.4, snapshot length 65,535.
    pub(super) fn pcap(big: bool, magic: u32, network: u32) -> Self {
        Self::old_pcap(big, magic, (2, 4), 65_535, network)
    }

    pub(super) fn old_pcap(
        big: bool,
        magic: u32,
        version: (u16, u16),
        snaplen: u32,
        network: u32,
    ) -> Self {
        Self::empty(big)
            .u32(magic)
            .u16(version.0)
            .u16(version.1)
            .u32(0)
            .u32(0)
            .u32(snaplen)
            .u32(network)
    }

    /// A pcap record: time, lengths as claimed, data.
    pub(super) fn record(self, time: (u32, u32), lengths: (u32, u32), data: &[u8]) -> Self {
        self.u32(time.0).u32(time.1).u32(lengths.0).u32(lengths.1).raw(data)
    }

    /// A pcapng file that begins with a section header and one Ethernet interface.
    pub(super) fn pcapng(big: bool) -> Self {
        Self::empty(big).section(-1).interface(1, 0, &[])
    }

    pub(super) fn section(self, length: i64) -> Self {
        let body = self.part().u32(0x1a2b_3c4d).u16(1).u16(0).i64(length);
        self.block(0x0a0d_0d0a, body)
    }

    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[Opt]) -> Self {
        let body = self.part().u16(link).u16(0).u32(snaplen).options(options);
        self.block(1, body)
    }

    pub(super) fn enhanced(self, interface: u32, ticks: u64, data: &[u8], options: &[Opt]) -> Self {
        let length = data.len() as u32;
        self.enhanced_as(interface, ticks, (length, length), data, options)
    }

    /// An enhanced packet whose lengths are as claimed.
    pub(super) fn enhanced_as(
        self,
        interface: u32,
        ticks: u64,
        lengths: (u32, u32),
        data: &[u8],
        options: &[Opt],
    ) -> Self {
        let body = self
            .part()
            .u32(interface)
            .u32((ticks >> 32) as u32)
            .u32(ticks as u32)
            .u32(lengths.0)
            .u32(lengths.1)
            .raw(data)
            .padded()
            .options(options);
        self.block(6, body)
    }

    pub(super) fn obsolete(self, interface: u16, ticks: u64, data: &[u8], options: &[Opt]) -> Self {
        let body = self
            .part()
            .u16(interface)
            .u16(0xffff)
            .u32((ticks >> 32) as u32)
            .u32(ticks as u32)
            .u32(data.len() as u32)
            .u32(data.len() as u32)
            .raw(data)
            .padded()
            .options(options);
        self.block(2, body)
    }

    pub(super) fn simple(self, original: u32, data: &[u8]) -> Self {
        let body = self.part().u32(original).raw(data);
        self.block(3, body)
    }

    /// A block of any type, its body padded and both lengths right.
    pub(super) fn block(self, kind: u32, body: Self) -> Self {
        let body = body.padded().bytes;
        let length = body.len() as u32 + 12;
        self.u32(kind).u32(length).raw(&body).u32(length)
    }

    /// A block of a type that does not matter here.
    pub(super) fn other(self, kind: u32, body: &[u8]) -> Self {
        let body = self.part().raw(body);
        self.block(kind, body)
    }

    /// An empty piece of the same byte order.
    pub(super) fn part(&self) -> Self {
        Self::empty(self.big)
    }

    pub(super) fn options(self, options: &[Opt]) -> Self {
        let written = options.iter().fold(self, |file, (code, value)| {
            file.u16(*code).u16(value.len() as u16).raw(value).padded()
        });
        if options.is_empty() { written } else { written.u16(0).u16(0) }
    }

    pub(super) fn u16(self, value: u16) -> Self {
        let bytes = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.raw(&bytes)
    }

    pub(super) fn u32(self, value: u32) -> Self {
        let bytes = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.raw(&bytes)
    }

    pub(super) fn i64(self, value: i64) -> Self {
        let bytes = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.raw(&bytes)
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Filled to a multiple of four bytes, with bytes that must not be taken for data.
    pub(super) fn padded(mut self) -> Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0xee);
        self
    }
}
