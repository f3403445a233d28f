// Fetches the images of many tiles with few requests (see dashboard/server/picture_bundle.py).

const TOGETHER = 24;
let waiting = []; // [address, resolve function]

ask = (address) =>
  new Promise((resolve) => {
    if (!waiting.length) queueMicrotask(askForWaiting);
    waiting.push([address, resolve]);
  });

function askForWaiting() {
  const asked = waiting;
  waiting = [];
  for (let start = 0; start < asked.length; start += TOGETHER) askForSome(asked.slice(start, start + TOGETHER));
}

async function askForSome(asked) {
  const query = asked.map(([address]) => `of=${encodeURIComponent(address)}`).join("&");
  const bytes = await fetchBytes(`/files/pictures?${query}`);
  const lengths = bytes && new DataView(bytes);
  let place = 0;
  for (const [, resolve] of asked) {
    const length = lengths ? lengths.getUint32(place, true) : 0;
    const start = place + 4;
    place = start + length;
    resolve({ ok: length > 0, blob: async () => new Blob([new Uint8Array(bytes, start, length)]) });
  }
}

async function fetchBytes(address) {
  try {
    const response = await fetch(address, { credentials: "same-origin" });
    return response.ok ? await response.arrayBuffer() : null;
  } catch {
    return null;
  }
}
