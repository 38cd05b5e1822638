// Runs the model: a photograph's pixels in, probabilities out.

// Firefox treats imports at the top as workers, which the page's policy does not let come
// from files.
const { containedWorker } = await import("./contained.js");
const { withPhotograph } = await import("./decode.js");
const { Unreadable } = await import("./file.js");
const { seenByModel } = await import("./resize.js");

let manifest;
let loaded;
let ort;
let session;
let turn = Promise.resolve();
let newest;

// The threads of ONNX Runtime, if the host allows them.
self.Worker = containedWorker;

// First the manifest, then photographs, which wait until the model is loaded.
onmessage = async ({ data }) => {
  try {
    if (data.manifest) {
      manifest = data.manifest;
      loaded = load();
      postMessage({ kind: "ready", provider: await loaded });
    } else {
      newest = data.number;
      // ONNX Runtime on WebGPU does not start a run during another.
      turn = turn.catch(() => {}).then(() => data.number === newest && answer(newest, data.blob));
      const found = await turn;
      if (found) postMessage(found);
    }
  } catch (error) {
    const unreadable = error instanceof Unreadable;
    const message = unreadable ? error.message : `That did not work: ${error.message}`;
    postMessage({ kind: "error", number: data.number, message });
  }
};

// WebGPU if available, else WebAssembly.
async function load() {
  if (manifest.precision !== "int8" && (await self.navigator.gpu?.requestAdapter())) {
    try {
      await open("./ort/ort.webgpu.bundle.min.mjs", "webgpu");
      return "WebGPU";
    } catch (error) {
      console.info(`WebGPU: ${error.message}`);
    }
  }
  await open("./ort/ort.wasm.bundle.min.mjs", "wasm");
  return "WebAssembly";
}

async function open(module, provider) {
  ort = await import(module);
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(new URL(manifest.file, import.meta.url).href, {
    executionProviders: [provider],
  });
}

async function answer(number, blob) {
  await loaded;
  const start = performance.now();
  const [height, width] = manifest.size;
  const pixels = await withPhotograph(blob, manifest.exif_orientation, (photograph) =>
    seenByModel(photograph, height, width, manifest.crop, manifest.interpolation));
  const image = new ort.Tensor("float32", Float32Array.from(pixels), [1, height, width, 3]);
  const outputs = await session.run({ image });
  const milliseconds = performance.now() - start;
  if (!outputs.probabilities.data.every(Number.isFinite)) {
    throw new Error("the model gives values that are no numbers");
  }
  const view = new ImageData(width, height);
  for (let i = 0; i < height * width; i += 1) {
    view.data.set([pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2], 255], 4 * i);
  }
  return {
    kind: "answer",
    number,
    probabilities: outputs.probabilities.data,
    rollout: outputs.rollout?.data ?? null,
    view,
    milliseconds,
  };
}
