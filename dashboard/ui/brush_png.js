// An 8-bit greyscale PNG (ISO/IEC 15948), compressed by the browser.

const CRC = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

async function greyPng(width, height, values) {
  const deflate = new CompressionStream("deflate");
  const packed = new Response(deflate.readable).arrayBuffer();
  const writer = deflate.writable.getWriter();
  const tall = Math.max(1, Math.floor((2 * STRIP_PIXELS) / width));
  for (let top = 0; top < height; top += tall) {
    const rows = Math.min(tall, height - top);
    const lines = new Uint8Array(rows * (width + 1)); // each begins with its filter, 0 for none
    for (let row = 0; row < rows; row++) {
      lines.set(values.subarray((top + row) * width, (top + row + 1) * width), row * (width + 1) + 1);
    }
    await writer.write(lines);
    await pause(); // so that painting goes on
  }
  await writer.close();
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits for each pixel; the rest is 0: grey, deflate, five filters, not interlaced
  const data = new Uint8Array(await packed);
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return new Blob([signature, chunk("IHDR", new Uint8Array(header.buffer)), chunk("IDAT", data), chunk("IEND", new Uint8Array())]);
}

function chunk(name, data) {
  const found = new Uint8Array(12 + data.length);
  const view = new DataView(found.buffer);
  view.setUint32(0, data.length);
  found.set(new TextEncoder().encode(name), 4);
  found.set(data, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < 8 + data.length; i++) crc = CRC[(crc ^ found[i]) & 255] ^ (crc >>> 8);
  view.setUint32(8 + data.length, ~crc >>> 0);
  return found;
}
